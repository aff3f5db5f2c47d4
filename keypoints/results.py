"""Write results: pictures and JSON. A file appears whole or not at all; what cannot be written is found out before the work begins."""

import json
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from entity import COCO_JOINTS, Joint
from errors import InputError
from files import atomic_file, check_path

FORMATS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


def check_image_path(path):
    """Raise InputError if no picture can be written there: an unknown extension, or a place that cannot be written."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"--out {path}: expected a picture's name ({', '.join(FORMATS)}), got {path.suffix or 'no extension'!r}")
    check_path(path, "--out")


def encode_image(path, image) -> bytes:
    """A picture (H, W, 3) uint8 BGR in the format of path's extension. Raises InputError if it does not fit the format."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our own line says it
    try:
        done, data = cv2.imencode(Path(path).suffix, image)
    except cv2.error:
        done = False
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not done:
        height, width = image.shape[:2]
        raise InputError(f"{path}: a picture of {width}x{height} cannot be written in this format; choose .png")
    return data.tobytes()


def write_image(path, image):
    """Write a picture (H, W, 3) uint8 BGR in the format of the extension."""
    write_files({path: encode_image(path, image)})


def people_to_json(people) -> dict:
    """{"joints": names, "people": [{"score", "keypoints"}]}; keypoints as points_to_json. people: keypoints.paf.People."""
    persons = []
    for pose, score, confidences in zip(*people, strict=True):
        points = np.where(pose[:, 2:] > 0, np.column_stack([pose[:, :2], confidences]), np.nan)
        persons.append({"score": round(float(score), 4), "keypoints": points_to_json(points)})
    return {"joints": [joint.name for joint in Joint], "people": persons}


def points_to_json(points) -> list:
    """points (n, 3): x, y, confidence, NaN where missing -> per point [x, y, confidence] or None."""
    return [[round(float(x), 3), round(float(y), 3), round(float(c), 4)] if np.isfinite(x) else None for x, y, c in points]


def people_to_coco(people, image_id) -> list:
    """People of one picture as entries of a COCO result file, best first: 17 keypoints (x, y, v; v = 1, and 0, 0, 0 where missing) and a score.

    people: keypoints.paf.People. COCO's coordinates are those of here: the centre of the first pixel is (0, 0).
    """
    entries = []
    for pose, score, _ in zip(*people, strict=True):
        points = np.where(pose[:, 2:] > 0, np.round(pose, 2), 0)[list(COCO_JOINTS)]
        points[:, 2] = points[:, 2] > 0
        entries.append({"image_id": image_id, "category_id": 1, "keypoints": points.ravel().tolist(), "score": round(float(score), 5)})
    return sorted(entries, key=lambda entry: -entry["score"])


def to_json_text(picture, size_wh, **facts) -> str:
    """One picture's result: {"image", "width", "height", facts...}."""
    document = {"image": str(picture), "width": size_wh[0], "height": size_wh[1], **facts}
    return json.dumps(document, indent=1) + "\n"


def write_files(contents):
    """Write {path: bytes}, all or none of them."""
    with ExitStack() as stack:
        parts = [stack.enter_context(atomic_file(path)) for path in contents]
        for part, content in zip(parts, contents.values(), strict=True):
            part.write_bytes(content)
