"""Annotations: everything that is read of them is of the right type and in range, before pycocotools and OpenCV see it."""

import json

import pytest
from coco_files import annotations_path, change_annotations, make_coco

from errors import InputError
from evaluation.coco import read_annotations
from evaluation.coco_ap import choose
from streams.picture import LIMIT

ANNOTATIONS = {
    "id": (None, "11", True, -1, 1.0, 2**60),
    "image_id": (None, "1", 1.5, 99),
    "iscrowd": (None, "0", 2, -1, 0.5, [], {}),
    "area": (None, "100", True, -1, 10**400, 1e300, float("nan"), [5]),
    "bbox": (None, [1, 2, 3], [1, 2, 3, "4"], [[1]] * 4, {}),
    "keypoints": (None, [0] * 50, ["0"] * 51, [10**400] * 51),
    "num_keypoints": (None, True, 18, -1, 1.0),
    "category_id": ("1", None, -1, 1.5),
}
IMAGES = {
    "id": (None, "1", True, -1),
    "file_name": (None, 5, []),
    "width": (None, 0, -1, 65_536, 2**31, 320.0, "320", True),
    "height": (None, 0, -1, 65_536, 2**31, 10**400),
}
CASES = [
    (part, field, value)
    for part, fields in (("annotations", ANNOTATIONS), ("images", IMAGES))
    for field, values in fields.items()
    for value in values
]


@pytest.fixture
def coco(tmp_path):
    return make_coco(tmp_path / "coco")


def refused(coco) -> str:
    with pytest.raises(InputError) as caught:
        choose(read_annotations(annotations_path(coco)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("part", "field", "value"), CASES)
def test_a_value_of_another_kind(coco, part, field, value):
    change_annotations(coco, lambda dataset: dataset[part][1].update({field: value}))
    message = refused(coco)
    assert field in message or "is not listed" in message


@pytest.mark.parametrize(("part", "field"), [("images", name) for name in IMAGES] + [("annotations", name) for name in ANNOTATIONS])
def test_a_value_that_is_missing(coco, part, field):
    change_annotations(coco, lambda dataset: dataset[part][1].pop(field) and None)
    if field in ("iscrowd", "category_id"):
        assert choose(read_annotations(annotations_path(coco)))["annotations"][1][field] == {"iscrowd": 0, "category_id": 1}[field]
    else:
        assert field in refused(coco)


@pytest.mark.parametrize("part", ["images", "annotations"])
def test_an_id_that_is_there_twice(coco, part):
    change_annotations(coco, lambda dataset: dataset[part][1].update(id=dataset[part][0]["id"]))
    assert "the same id" in refused(coco)


def test_a_picture_beyond_the_limit_on_pixels(coco):
    change_annotations(coco, lambda dataset: dataset["images"][0].update(width=60_000, height=60_000))
    assert LIMIT in refused(coco)


def test_json_that_goes_deep(coco):
    annotations_path(coco).write_text("[" * 200_000)
    assert "expected JSON" in refused(coco)
    annotations_path(coco).write_text(json.dumps({"images": [], "annotations": [[]]}))
    assert "no valid" in refused(coco)
