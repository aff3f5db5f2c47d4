"""COCO's keypoint AP of a detector on ../shared/coco val."""

from conftest import SHARED

from keypoints.coco import check_coco, read_annotations
from keypoints.coco_ap import choose, coco_figures, detect_all
from keypoints.formats import to_coco
from keypoints.whole import persons_of


def average_precision(detector) -> float:
    """detector: a PoseDetector. AP over the 157 photos."""
    annotations, folder = check_coco(SHARED / "coco", "val")
    dataset = choose(read_annotations(annotations))
    found, _ = detect_all(detector, dataset["images"], folder)
    return coco_figures(dataset, [entry for number, people in found.items() for entry in to_coco(persons_of(people), number)])["AP"]
