"""COCO's keypoint AP and AR of a detector, by pycocotools.

Source: COCO's keypoint evaluation, https://cocodataset.org/#keypoints-eval
"""

import contextlib
import io
import sys
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from errors import InputError
from keypoints.whole import persons_of
from streams.formats import to_coco
from streams.picture import read_image
from streams.threads import read_ahead
from streams.together import words_of_lost

PERSON = 1  # COCO's category
FIGURES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")  # in pycocotools' order


CURVES = ("0.50", "0.75", "0.95")  # OKS from which on a detection is right


class Result(NamedTuple):
    """Of an evaluation."""

    figures: dict  # {"AP": 0.45, ...} with the names of FIGURES; None where there is nobody of that size
    curves: dict  # {"recall": 101 numbers from 0 to 1, "precision": {OKS of CURVES: 101 numbers}}, people of all sizes


def coco_figures(dataset, entries) -> dict:
    """coco_result's figures."""
    return coco_result(dataset, entries).figures


def coco_result(dataset, entries) -> Result:
    """dataset: {"images", "annotations"} in COCO's form, those that count; entries: of a COCO result file, all on these images."""
    categories = [{"id": PERSON, "name": "person"}]
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        truth.dataset = {**dataset, "categories": categories, "annotations": [dict(entry) for entry in dataset["annotations"]]}
        truth.createIndex()
        if entries:
            found = truth.loadRes([dict(entry) for entry in entries])
        else:  # loadRes takes no empty list
            found.dataset = {"images": dataset["images"], "annotations": [], "categories": categories}
            found.createIndex()
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures = {name: float(value) if value >= 0 else None for name, value in zip(FIGURES, evaluation.stats, strict=True)}
    return Result(figures, _curves(evaluation))


def _curves(evaluation) -> dict:
    precision = evaluation.eval["precision"][:, :, 0, 0, 0]  # (OKS, recall), -1 where nobody is labelled
    numbers = {f"{oks:.2f}": number for number, oks in enumerate(evaluation.params.iouThrs)}
    recall = [round(float(value), 2) for value in evaluation.params.recThrs]
    return {"recall": recall, "precision": {oks: [max(0.0, round(float(value), 4)) for value in precision[numbers[oks]]] for oks in CURVES}}


def coco_entries(found) -> list:
    """Entries of a COCO result file. found: {image id: keypoints.paf.People}."""
    return [entry for number, people in found.items() for entry in to_coco(persons_of(people), number)]


def choose(dataset, limit=None) -> dict:
    """The part of COCO's dataset that is evaluated: at most `limit` images, evenly spread over their ids, and the people in them.

    Raises InputError if nobody in it has a labelled keypoint.
    """
    images = sorted(dataset["images"], key=lambda image: image["id"])
    if limit is not None and limit < len(images):
        images = [images[number * len(images) // limit] for number in range(limit)]
    chosen = {image["id"] for image in images}
    people = [{"category_id": PERSON, "iscrowd": 0, **entry} for entry in dataset["annotations"] if entry["image_id"] in chosen]
    people = [entry for entry in people if entry["category_id"] == PERSON]
    if not any(entry["num_keypoints"] and not entry["iscrowd"] for entry in people):
        raise InputError(
            f"nobody in the {len(images)} of {len(dataset['images'])} pictures has a labelled keypoint: there is nothing to measure; "
            "raise --limit, or take COCO's person_keypoints file"
        )
    return {"images": images, "annotations": people}


def detect_all(detector, images, folder, mates=None, options=()) -> tuple:
    """{image id: People} of the images (COCO's entries), read from the folder; and the seconds for one, without preparing the network.

    They are looked at in the order of their sizes, for a network is prepared for each size anew. mates: a streams.shared.Crew that shares them out;
    all but the first of them answer (None, None). options: what they must all have alike.
    """
    ordered = sorted(images, key=lambda image: (image["width"], image["height"]))
    prepared, found, coming = detector.net.compile_seconds, {}, deque()
    names = [image["file_name"] for image in ordered]
    bar = tqdm(total=len(images), unit="image", leave=False, disable=True if mates and not mates.first else None)

    def show(totals):
        bar.update(totals["done"] - bar.n)

    def on_signal(lost):
        if lost:
            bar.write(f"{mates.prog}: another process has ended, and nothing is kept{words_of_lost(lost, names)}", file=sys.stderr)

    def read():
        for number in range(len(ordered)) if mates is None else mates.tasks():
            coming.append(number)
            yield read_image(Path(folder) / names[number], turn=False)

    with bar:
        if mates is not None:
            asked = {"options": options, "pictures": names}
            mates.start(asked, lambda: list(range(len(ordered))), show, on_signal)
        begin = time.perf_counter()
        with contextlib.closing(detector.stream(read(), read_ahead)) as answers:
            for _, people in answers:
                number = coming.popleft()
                found[ordered[number]["id"]] = people
                show({"done": len(found)}) if mates is None else mates.progress(number, done=len(found))
        reports = [found] if mates is None else mates.finish(found)
    if reports is None:
        return None, None
    found = {number: people for each in reports for number, people in each.items()}
    seconds = time.perf_counter() - begin - (detector.net.compile_seconds - prepared)
    return {image["id"]: found[image["id"]] for image in images}, seconds / len(images)
