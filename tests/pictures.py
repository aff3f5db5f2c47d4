"""Pictures to test with: a smooth one, its bytes in any format, a blob and where its middle is."""

import io

import numpy as np
from PIL import Image

from streams.picture import read_image

HEIGHT, WIDTH = 60, 80
Y, X = np.mgrid[:HEIGHT, :WIDTH]
RGB = np.stack([X * 3, Y * 4, X + Y], axis=-1).astype(np.uint8)  # smooth, so that JPEG keeps it
BGR = RGB[..., ::-1]
ALPHA = np.where(X < 40, 0, 255).astype(np.uint8)


def encoded(image, kind, **options):
    """The bytes of a picture file. image: a Pillow image or an RGB array."""
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


def read(tmp_path, data, name="picture"):
    """read_image of a file that holds data; the name has no extension, so only the content counts."""
    (tmp_path / name).write_bytes(data)
    image = read_image(tmp_path / name)
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    return image


def blob(size_wh, center, sigma):
    """A white dot on black, (H, W, 3) uint8."""
    columns = np.exp(-((np.arange(size_wh[0]) - center[0]) ** 2) / (2 * sigma**2))
    rows = np.exp(-((np.arange(size_wh[1]) - center[1]) ** 2) / (2 * sigma**2))
    return np.rint(255 * rows[:, None] * columns).astype(np.uint8)[..., None].repeat(3, axis=2)


def centroid(image):
    weight = image[..., 0].astype(float)
    return np.array([(weight * np.arange(weight.shape[1])).sum(), (weight * np.arange(weight.shape[0])[:, None]).sum()]) / weight.sum()
