"""A small COCO of made-up people, in COCO's own layout."""

import json

import cv2
import numpy as np
from people import person

from entity import COCO_JOINTS

SIZE_WH = (320, 240)


def keypoints_of(pose) -> list:
    """A pose (18, 3) as COCO's 51 numbers; the neck is not among them."""
    return pose[list(COCO_JOINTS)].ravel().tolist()


def polygon_of(box) -> list:
    x, y, width, height = box
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def annotation(number, image_id, pose=None, box=(0, 0, 60, 100), **changes) -> dict:
    """COCO's entry of a person; without a pose, one without labelled joints."""
    pose = np.zeros((18, 3)) if pose is None else pose
    entry = {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [float(value) for value in box],
        "area": float(box[2] * box[3]),
        "segmentation": [polygon_of(box)],
        "keypoints": keypoints_of(pose),
        "num_keypoints": int((pose[list(COCO_JOINTS), 2] > 0).sum()),
    }
    return {**entry, **changes}


def standing(x, y, head):
    """A pose and its box."""
    pose = person(x, y, head)
    low, high = pose[:, :2].min(0), pose[:, :2].max(0)
    return pose, [*(low - 4), *(high - low + 8)]


def make_coco(root, split="train", images=None, annotations=None):
    """Write pictures and annotations below root; returns root. As they stand: picture 1 has two people to train on; 2 has one and one without
    joints; 3 has one and a crowd; 4 has nobody to train on; 5 has nobody.
    """
    rng = np.random.default_rng(0)
    if annotations is None:
        (one, one_box), (two, two_box) = standing(100, 50, 24), standing(220, 60, 20)
        crowd = {"size": [240, 320], "counts": [240 * 200, 240 * 40, 240 * 80]}  # columns 200..239
        annotations = [
            annotation(11, 1, one, one_box),
            annotation(12, 1, two, two_box),
            annotation(13, 2, one, one_box),
            annotation(14, 2, None, (200, 40, 70, 150)),
            annotation(15, 3, two, two_box),
            annotation(16, 3, None, (200, 0, 40, 240), iscrowd=1, segmentation=crowd),
            annotation(17, 4, None, (10, 10, 100, 100)),
        ]
    numbers = range(1, 6) if images is None else images
    folder = root / f"{split}2017"
    folder.mkdir(parents=True)
    (root / "annotations").mkdir(exist_ok=True)
    entries = []
    for number in numbers:
        name = f"{number:012d}.jpg"
        picture = cv2.GaussianBlur(rng.integers(0, 256, (SIZE_WH[1], SIZE_WH[0], 3), np.uint8), (0, 0), 3)
        cv2.imwrite(str(folder / name), picture)
        entries.append({"id": number, "file_name": name, "width": SIZE_WH[0], "height": SIZE_WH[1]})
    dataset = {"images": entries, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    annotations_path(root, split).write_text(json.dumps(dataset))
    return root


def annotations_path(root, split="train"):
    return root / "annotations" / f"person_keypoints_{split}2017.json"


def change_annotations(root, change, split="train"):
    """Rewrite the annotations: change(dataset) changes them in place, or returns others."""
    path = annotations_path(root, split)
    dataset = json.loads(path.read_text())
    path.write_text(json.dumps(change(dataset) or dataset))
