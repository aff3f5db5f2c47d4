"""COCO's annotations, through everything that reads them: masks, samples, average precision."""

import shutil

import numpy as np
from coco_files import annotations_path, make_coco
from faults import mutations
from faults.kinds import Kind, script

import coco_data_loader
import gen_ignore_mask
from evaluate_coco_pose import compare_all
from evaluation.coco import read_annotations
from evaluation.coco_ap import choose, coco_figures
from evaluation.keypoint_errors import keypoint_errors
from keypoints.paf import People


class Annotations(Kind):
    name, share = "annotations", 2.0

    def __init__(self, folder):
        super().__init__(folder)
        self.coco = make_coco(self.folder / "coco")
        self.path = annotations_path(self.coco)
        self.good = self.path.read_bytes()

    def damaged(self, rng):
        return mutations.of_json(rng, self.good.decode()), True

    def answer(self, data):
        self.path.write_bytes(data)
        return self._figures()

    def _figures(self):
        dataset = choose(read_annotations(self.path))
        one = People(np.ones((1, 18, 3)), np.ones(1), np.ones((1, 18)))
        people = {image["id"]: one for image in dataset["images"]}
        entries = [
            {"image_id": entry["image_id"], "category_id": 1, "keypoints": entry["keypoints"], "score": 0.5} for entry in dataset["annotations"]
        ]
        return str(coco_figures(dataset, entries)), str(keypoint_errors(compare_all(dataset, people).values()))


class Masks(Annotations):
    name, share = "annotations for masks", 1.0

    def answer(self, data):
        self.path.write_bytes(data)
        shutil.rmtree(self.coco / "ignore_mask_train2017", ignore_errors=True)
        return script(gen_ignore_mask.main, "--coco_dir", self.coco, "--jobs", 1)


class Samples(Annotations):
    name, share = "annotations for samples", 0.5

    def answer(self, data):
        self.path.write_bytes(data)
        out = self.folder / "samples.png"
        script(coco_data_loader.main, "--coco_dir", self.coco, "--out", out, "--insize", 64, "--number", 4)
        return out.read_bytes()


KINDS = (Annotations, Masks, Samples)
