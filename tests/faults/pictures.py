"""Pictures."""

import importlib.util

import cv2
import numpy as np
from faults.kinds import Kind, digest

from streams.picture import read_image


def picture():
    rng = np.random.default_rng(1)
    return cv2.GaussianBlur(rng.integers(0, 256, (48, 64, 4), np.uint8), (0, 0), 2)


class Picture(Kind):
    suffix, channels = "", 3

    def __init__(self, folder):
        super().__init__(folder)
        done, data = cv2.imencode(self.suffix, np.ascontiguousarray(picture()[..., : self.channels]))
        assert done
        self.good = data.tobytes()

    def answer(self, data):
        path = self.folder / f"picture{self.suffix}"
        path.write_bytes(data)
        image = read_image(path)
        return image.shape, digest(image)


def kind(suffix, channels=3, share=0.7, has_checksum=False):
    name = f"picture {suffix}{', transparent' if channels == 4 else ''}"
    return type(name, (Picture,), {"name": name, "suffix": suffix, "channels": channels, "share": share, "has_checksum": has_checksum})


class Heic(Picture):
    name, suffix, share = "picture .heic", ".heic", 0.5

    def __init__(self, folder):
        Kind.__init__(self, folder)
        import pillow_heif

        path = self.folder / "good.heic"
        pillow_heif.from_bytes("RGB", (64, 48), np.ascontiguousarray(picture()[..., :3]).tobytes()).save(path, quality=80)
        self.good = path.read_bytes()


KINDS = (kind(".png"), kind(".png", 4), kind(".jpg", share=1.0), kind(".webp"), kind(".bmp"), kind(".tiff"), kind(".gif"), kind(".jp2", share=0.3))
if importlib.util.find_spec("pillow_heif"):
    KINDS += (Heic,)
