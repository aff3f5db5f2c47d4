"""gen_ignore_mask.py: COCO's own polygons against matplotlib's, run lengths, whole files, and the script."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from coco_files import annotation, annotations_path, change_annotations, make_coco, standing
from conftest import PATIENCE, ROOT, SHARED, assert_refused, needs_shared, run_script
from matplotlib.path import Path as Outline
from pycocotools import mask as rle

import gen_ignore_mask
from coco_data_loader import CocoDataLoader, Picture
from errors import InputError
from evaluation.coco import mask_path

HEIGHT, WIDTH = 240, 320


def mask_of(tmp_path, *others, person=None):
    """The mask of a picture with these people and one to train on, at the left unless given."""
    pose, box = standing(60, 50, 24)
    annotations = [annotation(1, 1, pose, box, **(person or {})), *others]
    make_coco(tmp_path, "train", [1], annotations)
    loader = CocoDataLoader(tmp_path, mode="train")
    return loader.make_mask(loader.pictures[0])


def dilated(mask):
    """Grown by a 16 x 16 box: 7 pixels to the left and above, 8 to the right and below."""
    height, width = mask.shape
    grown = np.zeros((height + 15, width + 15), bool)
    for y in range(16):
        for x in range(16):
            grown[y : y + height, x : x + width] |= mask
    return grown[7 : 7 + height, 7 : 7 + width]


def rectangle(left, top, right, bottom):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_dilated():
    grown = np.argwhere(dilated(rectangle(100, 50, 101, 51)))
    assert (grown.min(0).tolist(), grown.max(0).tolist()) == ([43, 93], [58, 108])


def crowd(counts):
    return annotation(2, 1, None, (200, 0, 40, 240), iscrowd=1, segmentation={"size": [HEIGHT, WIDTH], "counts": counts})


@pytest.mark.parametrize("compressed", [False, True])
def test_run_lengths(tmp_path, compressed):
    """They go down the columns, beginning with what is outside: 30 pixels of column 200, from row 10 on."""
    counts = [HEIGHT * 200 + 10, 30, HEIGHT * 120 - 40]
    if compressed:
        counts = rle.frPyObjects({"size": [HEIGHT, WIDTH], "counts": counts}, HEIGHT, WIDTH)["counts"].decode()
    np.testing.assert_array_equal(mask_of(tmp_path, crowd(counts)), dilated(rectangle(200, 10, 201, 40)))


@pytest.mark.parametrize(
    ("changes", "is_ignored"),
    [
        ({}, True),
        ({"num_keypoints": 4}, True),
        ({"num_keypoints": 5}, False),
        ({"num_keypoints": 5, "area": 1000}, True),
        ({"num_keypoints": 17, "iscrowd": 1}, True),
    ],
)
def test_who_is_ignored(tmp_path, changes, is_ignored):
    mask = mask_of(tmp_path, annotation(2, 1, None, (200, 100, 60, 80), **changes))
    np.testing.assert_array_equal(mask, dilated(rectangle(200, 100, 260, 180)) if is_ignored else False)


def test_people_to_train_on_are_taken_out_before_it_grows(tmp_path):
    person = {"segmentation": [[210, 120, 230, 120, 230, 150, 210, 150]]}
    mask = mask_of(tmp_path, annotation(2, 1, None, (200, 100, 60, 80)), person=person)
    region = rectangle(200, 100, 260, 180)
    region[120:150, 210:230] = False
    np.testing.assert_array_equal(mask, dilated(region))
    assert not mask[130, 220]


def test_an_ignored_person_of_several_parts_and_slivers(tmp_path):
    """A polygon of two points has no area."""
    parts = [[200, 100, 220, 100, 220, 120, 200, 120], [260, 100, 280, 100, 280, 120, 260, 120], [0, 0, 50, 50]]
    mask = mask_of(tmp_path, annotation(2, 1, None, (200, 100, 80, 20), segmentation=parts))
    np.testing.assert_array_equal(mask, dilated(rectangle(200, 100, 220, 120) | rectangle(260, 100, 280, 120)))


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        5,
        "text",
        [["a"] * 6],
        [[1e9] * 6],
        [[float("nan")] * 6],
        [5],
        {"counts": [1, 2]},
        {"size": [HEIGHT, WIDTH], "counts": [5]},
        {"size": [1, 1], "counts": [1]},
        {"size": [HEIGHT, WIDTH], "counts": None},
        {"size": [HEIGHT, WIDTH], "counts": "0"},
        {"size": [HEIGHT, WIDTH], "counts": ""},
        {"size": [HEIGHT, WIDTH], "counts": "PPPPPPPP"},
        {"size": [HEIGHT, WIDTH], "counts": ["a"]},
        {"size": [HEIGHT, WIDTH], "counts": [-5, HEIGHT * WIDTH + 5]},
    ],
)
def test_bad_segmentations(tmp_path, segmentation):
    with pytest.raises(InputError, match="annotation 2: expected polygons or run lengths of 320x240"):
        mask_of(tmp_path, annotation(2, 1, None, (200, 100, 60, 80), segmentation=segmentation))


@needs_shared
def test_real_polygons(tmp_path):
    """People of COCO with all their polygons, each ignored in turn, against matplotlib: pixels differ only on the outlines."""
    dataset = json.loads((SHARED / "samples" / "person_keypoints_samples.json").read_text())
    checked = 0
    for image in dataset["images"]:
        people = [entry for entry in dataset["annotations"] if entry["image_id"] == image["id"]]
        for person in people:
            assert_mask_is_right(image, [{**entry, "num_keypoints": 0 if entry is person else 9, "area": 9999} for entry in people])
            checked += 1
    assert checked == 14


def assert_mask_is_right(image, people):
    size = image["height"], image["width"]
    trained, ignored, near = (np.zeros(size, bool) for _ in range(3))
    for person in people:
        for polygon in person["segmentation"]:
            points = np.reshape(polygon, (-1, 2))
            (trained if person["num_keypoints"] else ignored)[:] |= inside(points, size)
            line = np.zeros(size, np.uint8)
            cv2.polylines(line, [np.rint(points - 0.5).astype(np.int32)], True, 1, 3)
            near |= line > 0
    picture = picture_of(image, people)
    mask = CocoDataLoader.make_mask(picture)
    assert mask[dilated(ignored & ~trained & ~near)].all()
    assert not mask[~dilated((ignored & ~trained) | near)].any()
    assert mask.any()


def inside(points, size):
    """Pixels whose centres lie inside; COCO's polygons count from the corner of the first pixel."""
    rows, columns = np.indices(size)
    centers = np.column_stack([columns.ravel(), rows.ravel()]) + 0.5
    return Outline(np.concatenate([points, points[:1]]), closed=True).contains_points(centers).reshape(size)


def picture_of(image, people):
    """As the loader has it."""
    return Picture(image["id"], image["file_name"], (image["width"], image["height"]), np.zeros((0, 18, 3)), np.zeros((0, 4)), tuple(people))


def masks_in(root, split="train"):
    folder = mask_path(root, split, 0).parent
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_script_writes_the_masks(tmp_path):
    """Of both splits; pictures 2 and 3 have something to ignore, 1 has not, and 4 is not trained on."""
    root = make_coco(make_coco(tmp_path), "val")
    process = run_script("gen_ignore_mask.py", "--coco_dir", root)
    assert process.returncode == 0, process.stderr
    for split in ("train", "val"):
        assert sorted(masks_in(root, split)) == ["000000000002.png", "000000000003.png"]
        loader = CocoDataLoader(root, mode=split, use_masks=False)
        for picture in loader.pictures[1:]:
            mask = cv2.imread(str(mask_path(root, split, picture.image_id)), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(mask, loader.make_mask(picture).astype(np.uint8) * 255)
            assert mask.any()
    assert process.stdout.count("2 masks written, 0 were there; 1 pictures need none") == 2


def test_it_goes_on_where_it_ended(tmp_path):
    """What is whole stays as it is; what is cut off, of another size or not there is written."""
    root = make_coco(tmp_path)
    folder = mask_path(root, "train", 0).parent
    run_script("gen_ignore_mask.py", "--coco_dir", root)
    right = masks_in(root)
    for spoil in (
        lambda path: path.unlink(),
        lambda path: path.write_bytes(right[path.name][:-20]),
        lambda path: cv2.imwrite(str(path), np.zeros((3, 3))),
    ):
        spoil(folder / "000000000002.png")
        kept = (folder / "000000000003.png").stat().st_mtime_ns
        process = run_script("gen_ignore_mask.py", "--coco_dir", root)
        assert "1 masks written, 1 were there" in process.stdout
        assert masks_in(root) == right
        assert (folder / "000000000003.png").stat().st_mtime_ns == kept


@needs_shared
def test_processes_agree(tmp_path):
    """Real pictures; one process or two, the same files."""
    roots = []
    for jobs in (1, 2):
        roots.append(tmp_path / str(jobs))
        roots[-1].mkdir()
        for part in ("annotations", "val2017"):
            (roots[-1] / part).symlink_to(SHARED / "coco" / part)
        process = run_script("gen_ignore_mask.py", "--coco_dir", roots[-1], "--jobs", jobs)
        assert process.returncode == 0, process.stderr
        assert "35 masks written" in process.stdout
    assert masks_in(roots[0], "val") == masks_in(roots[1], "val")
    assert len(masks_in(roots[0], "val")) == 35


@needs_shared
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_whole_files(tmp_path, number, status):
    """Whenever it comes: every mask is whole, and the next run makes the rest."""
    for part in ("annotations", "train2017"):
        (tmp_path / part).symlink_to(SHARED / "coco" / part)
    command = [sys.executable, str(ROOT / "gen_ignore_mask.py"), "--coco_dir", str(tmp_path), "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    folder = mask_path(tmp_path, "train", 0).parent
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None and not (folder.is_dir() and any(folder.iterdir())):
        time.sleep(0.002)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == status, errors
    assert "Traceback" not in errors
    before = masks_in(tmp_path)
    assert 0 < len(before) < 606
    assert all(name.endswith(".png") and data.endswith(b"IEND\xaeB`\x82") for name, data in before.items())
    after = run_script("gen_ignore_mask.py", "--coco_dir", tmp_path)
    assert f"{606 - len(before)} masks written, {len(before)} were there" in after.stdout
    assert len(masks_in(tmp_path)) == 606


@pytest.mark.parametrize("options", [["--out", "views"], []], ids=["out", "no screen"])
def test_vis_writes_pictures_side_by_side(tmp_path, options):
    """Left the picture with the people, right with what does not count, in red; no masks are written."""
    root = make_coco(tmp_path / "coco")
    process = run_script("gen_ignore_mask.py", "--coco_dir", root, "--vis", *options, cwd=tmp_path, env={"DISPLAY": ""})
    assert process.returncode == 0, process.stderr
    folder = tmp_path / (options[-1] if options else "mask_views")
    assert sorted(path.name for path in folder.iterdir()) == ["000000000002.png", "000000000003.png"]
    assert not mask_path(root, "train", 0).parent.exists()
    left, right = np.split(cv2.imread(str(folder / "000000000003.png")).astype(int), 2, axis=1)
    original = cv2.imread(str(root / "train2017" / "000000000003.jpg")).astype(int)
    loader = CocoDataLoader(root, use_masks=False)
    ignored = loader.make_mask(loader.pictures[2])
    np.testing.assert_array_equal(right[~ignored], original[~ignored])
    np.testing.assert_array_equal(right[ignored], original[ignored] // 3 + (0, 0, 90))
    assert (left != original).any()


def test_vis_shows_one_after_the_other(tmp_path, monkeypatch):
    """Any key goes on, Esc ends."""
    root = make_coco(tmp_path)
    shown, keys = [], iter([-1, 32, 27])
    monkeypatch.setattr(gen_ignore_mask, "has_screen", lambda: True)
    monkeypatch.setattr(cv2, "imshow", lambda name, picture: shown.append(picture.shape))
    monkeypatch.setattr(cv2, "waitKey", lambda _: next(keys))
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1)
    assert gen_ignore_mask.main(["--coco_dir", str(root), "--vis"]) == 0
    assert shown == [(240, 640, 3)] * 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--coco_dir", "/nowhere"], "COCO is not here"),
        (["--jobs", "0"], "--jobs"),
        (["--split", "eval"], "--split"),
        (["--out", "views"], "--out is for --vis"),
    ],
)
def test_bad_options(options, words):
    assert_refused(run_script("gen_ignore_mask.py", *options), words)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: annotations_path(root).write_text("{"), "expected JSON"),
        (lambda root: (root / "ignore_mask_train2017").write_text(""), "the folder cannot be made"),
        (lambda root: change_annotations(root, lambda dataset: dataset["annotations"][3].update(segmentation=[["x"] * 6])), "annotation 14"),
        (lambda root: (root / "train2017" / "000000000001.jpg").unlink(), "a picture that the annotations name is missing"),
    ],
)
def test_bad_coco(tmp_path, spoil, words):
    root = make_coco(tmp_path)
    spoil(root)
    assert_refused(run_script("gen_ignore_mask.py", "--coco_dir", root), words)


def end_at_once(task):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_one_line():
    with pytest.raises(InputError, match=r"has ended by itself .* fewer --jobs"):
        list(gen_ignore_mask.run_all(end_at_once, list(range(200)), 2))
