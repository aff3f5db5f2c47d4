"""The photos that crops are made of: COCO's with the poses of its people, and folders of photos that nobody has labelled."""

from typing import NamedTuple

import numpy as np

from entity import N_JOINTS
from errors import InputError
from evaluation.coco import check_pictures, open_coco, paused_collector, to_poses
from streams.frames import find_pictures
from streams.picture import read_image

HELD_OUT = 7  # photos of val2017 whose id this divides are never trained on: the published figures are of those


class Photo(NamedTuple):
    """A photo and its labelled people."""

    path: str
    split: str  # "train", "val", or "" for a folder's
    image_id: int
    poses: np.ndarray  # (n, 18, 3) float64: x, y, v in pixels
    boxes: np.ndarray  # (n, 4) float64: x, y, width, height

    def read(self):
        """(H, W, 3) uint8 BGR."""
        return read_image(self.path, turn=False)


def is_held_out(split, image_id) -> bool:
    return split == "val" and image_id % HELD_OUT == 0


def photos_of_coco(coco_dir, splits, held_out=False) -> list:
    """The photos of the splits ("train", "val") but those held out, or only those; people are those with a labelled joint. Raises InputError."""
    photos = []
    for split in splits:
        _, folder, dataset = open_coco(coco_dir, coco_dir, split)
        check_pictures(dataset["images"], folder)
        people = {image["id"]: [] for image in dataset["images"]}
        with paused_collector():
            for annotation in dataset["annotations"]:
                if annotation["num_keypoints"] and not annotation.get("iscrowd", 0):
                    people[annotation["image_id"]].append(annotation)
            for image in dataset["images"]:
                if is_held_out(split, image["id"]) == held_out:
                    some = people[image["id"]]
                    boxes = np.reshape(np.array([person["bbox"] for person in some], np.float64), (-1, 4))
                    poses = to_poses([person["keypoints"] for person in some])
                    photos.append(Photo(str(folder / image["file_name"]), split, image["id"], poses, boxes))
    if not any(len(photo.poses) for photo in photos):
        raise InputError(f"--coco_dir {coco_dir}: nobody is left to learn from; take COCO's person_keypoints files")
    return photos


def photos_of_folder(folder) -> list:
    """The pictures in a folder, without labels. Raises InputError if there are none."""
    nobody, nothing = np.zeros((0, N_JOINTS, 3)), np.zeros((0, 4))
    return [Photo(str(path), "", number, nobody, nothing) for number, path in enumerate(find_pictures(folder, None))]
