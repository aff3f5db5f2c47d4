"""COCO's keypoint AP of a detector on ../shared/coco val, by pycocotools."""

import contextlib
import io

import cv2
import numpy as np
from conftest import SHARED
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from entity import COCO_JOINTS


def average_precision(detector) -> float:
    """detector(image) -> poses (n, 18, 3), scores (n,). AP over the 157 photos."""
    root = SHARED / "coco"
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(root / "annotations" / "person_keypoints_val2017.json"))
    results = []
    for number, facts in truth.imgs.items():
        poses, scores = detector(cv2.imread(str(root / "val2017" / facts["file_name"])))
        for keypoints, score in zip(np.asarray(poses)[:, COCO_JOINTS], scores, strict=True):
            results.append({"image_id": number, "category_id": 1, "keypoints": keypoints.ravel().tolist(), "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(results), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])
