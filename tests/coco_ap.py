"""COCO's keypoint AP of a detector on ../shared/coco val."""

from conftest import SHARED

from evaluation.coco import check_coco, read_annotations
from evaluation.coco_ap import choose, coco_entries, coco_figures, detect_all


def average_precision(detector) -> float:
    """detector: a PoseDetector. AP over the 157 photos."""
    annotations, folder = check_coco(SHARED / "coco", "val")
    dataset = choose(read_annotations(annotations))
    found, _ = detect_all(detector, dataset["images"], folder)
    return coco_figures(dataset, coco_entries(found))["AP"]
