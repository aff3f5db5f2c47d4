"""COCO's folder: where its parts lie, whether they are there, and its people as poses.

COCO_DIR/annotations/person_keypoints_{train,val}2017.json
COCO_DIR/{train,val}2017/{image id, 12 digits}.jpg
COCO_DIR/ignore_mask_{train,val}2017/{image id, 12 digits}.png    (gen_ignore_mask.py)
"""

import gc
import json
import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from entity import COCO_JOINTS, COCO_YEAR, N_JOINTS, TRAINING, Joint
from errors import InputError
from files import read_bytes
from streams.picture import check_size

SPLITS = ("train", "val")
N_KEYPOINTS = len(COCO_JOINTS)
MAX_COORDINATE = 1e6  # pixels; no picture is that large
MAX_SIDE = 65_500  # pixels of a picture; JPEG has no larger ones
MAX_NUMBER = 1 << 53  # of ids; beyond it NumPy's floats, in which pycocotools has them, are not exact


def _is_whole(value, least, most) -> bool:
    return type(value) is int and least <= value <= most


def _is_number(value, most) -> bool:
    return type(value) in (int, float) and 0 <= value < most


_id, _side = partial(_is_whole, least=0, most=MAX_NUMBER), partial(_is_whole, least=1, most=MAX_SIDE)
CHECKS = {  # what is read of COCO's entries, and whether a value of it is right
    "images": {"id": _id, "file_name": lambda value: isinstance(value, str), "width": _side, "height": _side},
    "annotations": {
        "id": _id,
        "image_id": _id,
        "bbox": lambda value: isinstance(value, list),
        "area": partial(_is_number, most=MAX_COORDINATE**2),
        "keypoints": lambda value: isinstance(value, list),
        "num_keypoints": partial(_is_whole, least=0, most=N_KEYPOINTS),
        "iscrowd": partial(_is_whole, least=0, most=1),
        "category_id": _id,
    },
}
OPTIONAL = {"iscrowd": 0, "category_id": 1}  # what they are where they are not named


def check_coco(coco_dir, split):
    """(path of the annotations, folder of the pictures) of a split, "train" or "val".

    Raises InputError if one of them is not there.
    """
    root, name = Path(coco_dir), f"{split}{COCO_YEAR}"
    annotations, images = root / "annotations" / f"person_keypoints_{name}.json", root / name
    cure = f"run ./getData.sh{' --val' if split == 'val' else ''} --coco_dir {coco_dir}, or name COCO's folder with --coco_dir"
    expected = f"expected annotations/{annotations.name} and the folder {name} of pictures in it"
    try:
        if not root.is_dir():
            raise InputError(f"{root}: COCO is not here ({expected}); {cure}")
        if not annotations.is_file():
            raise InputError(f"{root}: annotations/{annotations.name} is missing ({expected}); {cure}")
        if not images.is_dir():
            raise InputError(f"{root}: the folder {name} is missing ({expected}); {cure}")
        if not any(images.iterdir()):
            raise InputError(f"{root}: the folder {name} is empty ({expected}); {cure}")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{root}: not readable ({getattr(error, 'strerror', None) or error}); check name and permissions") from None
    return annotations, images


def open_coco(coco, coco_dir, split):
    """(path of the annotations, folder of the pictures, dataset) of a split; the dataset is read, or a pycocotools.coco.COCO's own."""
    annotations, images = check_coco(coco_dir, split)
    if not hasattr(coco, "dataset"):
        return annotations, images, read_annotations(annotations)
    check_dataset(coco.dataset, annotations)
    return annotations, images, coco.dataset


def read_annotations(path) -> dict:
    """The dataset in COCO's file of keypoints: {"images": [...], "annotations": [...], ...}.

    Raises InputError if it is not JSON or not of this form.
    """
    cure = "run ./getData.sh again"
    try:
        with paused_collector():
            dataset = json.loads(read_bytes(path, "annotations", cure))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"annotations {path}: expected JSON, got something else or a part of it ({error}); {cure}") from None
    check_dataset(dataset, path)
    return dataset


@contextmanager
def paused_collector():
    """`with paused_collector():` Python looks for no garbage, which takes half of the time while millions of objects are made that all stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def check_dataset(dataset, path):
    """Raise InputError, naming path, if the dataset lacks what is read of it."""
    for part, checks in CHECKS.items():
        entries = dataset.get(part) if isinstance(dataset, dict) else None
        if not isinstance(entries, list):
            raise InputError(f'annotations {path}: expected COCO\'s form with a list "{part}", got none; run ./getData.sh again')
        for number, entry in enumerate(entries):
            for field, is_right in checks.items():
                if not isinstance(entry, dict) or not is_right(entry.get(field, OPTIONAL.get(field))):
                    raise InputError(f'annotations {path}: entry {number} of "{part}" has no valid "{field}"; take COCO\'s person_keypoints file')
        if len({entry["id"] for entry in entries}) < len(entries):
            raise InputError(f'annotations {path}: two entries of "{part}" have the same id; take COCO\'s person_keypoints file')
    for image in dataset["images"]:
        check_size((image["width"], image["height"]), f"annotations {path}: picture {image['id']}")
    _check_lengths(path, dataset)


def _check_lengths(path, dataset):
    known = {image["id"] for image in dataset["images"]}
    for annotation in dataset["annotations"]:
        if annotation["image_id"] not in known:
            raise InputError(f"annotations {path}: annotation {annotation['id']} is of picture {annotation['image_id']}, which is not listed")
    for field, length in (("bbox", 4), ("keypoints", 3 * N_KEYPOINTS)):
        if _are_numbers([annotation[field] for annotation in dataset["annotations"]], length):
            continue
        wrong = next(annotation for annotation in dataset["annotations"] if not _are_numbers([annotation[field]], length))
        raise InputError(f"annotations {path}: annotation {wrong['id']}: expected {length} numbers as {field}; take COCO's file")


def _are_numbers(rows, length) -> bool:
    """Whether each row is so many finite numbers, as coordinates are. One call for all: COCO has 262,465 people."""
    try:
        array = np.array(rows)
        if array.dtype.kind not in "iuf":  # texts that look like numbers, true and false
            return not rows
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        return False
    return not rows or (array.shape == (len(rows), length) and bool((np.abs(array) < MAX_COORDINATE).all()))


def check_pictures(images, folder):
    """Raise InputError if pictures that the annotations name are not in the folder. images: entries with "file_name"."""
    there = set(os.listdir(folder))  # noqa: PTH208 (one call: COCO has 118,287 pictures)
    absent = [image["file_name"] for image in images if image["file_name"] not in there]
    if absent:
        count = (
            f"{len(absent)} of {len(images)} pictures that the annotations name are" if len(absent) > 1 else "a picture that the annotations name is"
        )
        raise InputError(f"{folder}: {count} missing, the first is {absent[0]}; run ./getData.sh again")


def is_trained_on(annotation) -> bool:
    """Whether a person is one to train on: no crowd, enough labelled joints, large enough (entity.TRAINING). The others are ignored."""
    enough = annotation["num_keypoints"] >= TRAINING.min_keypoints and annotation["area"] >= TRAINING.min_area
    return bool(enough and not annotation.get("iscrowd", 0))


def mask_path(coco_dir, split, image_id) -> Path:
    """Where the ignore mask of a picture lies."""
    return Path(coco_dir) / f"ignore_mask_{split}{COCO_YEAR}" / mask_name(image_id)


def mask_name(image_id) -> str:
    return f"{image_id:012d}.png"


def to_poses(keypoints):
    """COCO's 51 numbers of each person (n, 51) -> (n, 18, 3) float64: x, y, v as COCO has them; rows of zeros where v = 0.

    The neck is the midpoint of the shoulders when both are labelled; its v is the smaller one of theirs.
    """
    points = np.reshape(np.asarray(keypoints, np.float64), (-1, N_KEYPOINTS, 3))
    poses = np.zeros((len(points), N_JOINTS, 3))
    poses[:, list(COCO_JOINTS)] = np.where(points[..., 2:] > 0, points, 0)
    shoulders = poses[:, [Joint.right_shoulder, Joint.left_shoulder]]  # (n, 2, 3)
    necks = np.concatenate([shoulders[..., :2].mean(1), shoulders[..., 2:].min(1)], axis=1)
    poses[:, Joint.neck] = np.where(necks[:, 2:] > 0, necks, 0)
    return poses
