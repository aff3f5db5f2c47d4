"""evaluate_coco_pose.py: the figures against pycocotools used directly, the errors of keypoints against cases made by hand, and end to end."""

import contextlib
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading

import cv2
import numpy as np
import pytest
from browser import asked_for, complaints, needs_browser, open_browser, wait_for
from conftest import ROOT, SHARED, assert_refused, needs_shared, run_script
from people import person
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import evaluate_coco_pose
from engines import open_net
from entity import COCO_JOINTS, COCO_SIGMAS, Joint
from errors import InputError
from evaluation import report
from evaluation.coco_ap import FIGURES, choose, coco_figures, coco_result
from evaluation.keypoint_errors import assign, compare, extremes, keypoint_errors
from keypoints.paf import People
from keypoints.whole import persons_of
from pose_detector import PoseDetector
from streams.formats import to_coco
from streams.picture import read_image

SCENE = ROOT / "data" / "people.png"
NOSE, LEFT_EYE = 0, 1  # in COCO's order
LEFT_FOOT, RIGHT_FOOT = 15, 16


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """The scripts keep compiled models here, not in the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def people_of(poses, scores=None):
    poses = np.array(poses, np.float64).reshape(-1, 18, 3)
    scores = np.ones(len(poses)) if scores is None else np.array(scores, np.float64)
    return People(poses, scores, (poses[..., 2] > 0).astype(np.float64))


def annotation(number, image_id, pose, **changes):
    """COCO's entry of a pose: everything labelled, the area that of the box."""
    keypoints = pose[list(COCO_JOINTS)].copy()
    found = keypoints[:, 2] > 0
    low, high = keypoints[found, :2].min(0), keypoints[found, :2].max(0)
    entry = {"id": number, "image_id": image_id, "category_id": 1, "iscrowd": 0, "bbox": [*low.tolist(), *(high - low).tolist()]}
    entry |= {"area": float(np.prod(high - low)), "num_keypoints": int(found.sum()), "keypoints": keypoints.ravel().tolist()}
    return entry | changes


def dataset_of(poses_of_images) -> dict:
    """{image id: poses (n, 18, 3)} -> COCO's dataset."""
    images = [{"id": number, "file_name": f"{number:012d}.png", "width": 640, "height": 480} for number in poses_of_images]
    pairs = [(number, pose) for number, poses in poses_of_images.items() for pose in poses]
    return {"images": images, "annotations": [annotation(1 + at, number, pose) for at, (number, pose) in enumerate(pairs)]}


def made_up_dataset(rng, n_images=12):
    """One to four people each, of many sizes."""
    return {
        7 * number + 3: np.stack([person(*rng.uniform((80, 80), (560, 300)), head=rng.uniform(8, 30)) for _ in range(rng.integers(1, 5))])
        for number in range(n_images)
    }


def noisy(poses_of_images, rng):
    """Entries of a result file: moved joints, missing joints, missed and invented people."""
    entries = []
    for number, poses in poses_of_images.items():
        seen = np.concatenate([poses, [person(*rng.uniform(50, 400, 2), head=12)]])[rng.random(len(poses) + 1) < 0.8]
        seen[..., :2] += rng.normal(0, rng.uniform(0.5, 4), seen[..., :2].shape)
        seen[rng.random(seen.shape[:2]) < 0.08] = 0
        entries += to_coco(persons_of(people_of(seen, rng.random(len(seen)))), number)
    return entries


def direct(truth_path, results_path, ids=None):
    """pycocotools as its own documentation uses it: files in, stats out."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(truth_path))
        evaluation = COCOeval(truth, truth.loadRes(str(results_path)), "keypoints")
        if ids is not None:
            evaluation.params.imgIds = ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


# The figures


def test_perfect_detections_have_ap_1():
    poses = made_up_dataset(np.random.default_rng(0))
    entries = [entry for number, found in poses.items() for entry in to_coco(persons_of(people_of(found)), number)]
    figures = coco_figures(dataset_of(poses), entries)
    assert list(figures) == list(FIGURES)
    assert figures == pytest.approx(dict.fromkeys(FIGURES, 1.0))


def test_no_detections_have_ap_0():
    figures = coco_figures(dataset_of({1: [person(200, 100, 20)]}), [])
    assert (figures["AP"], figures["AR"], figures["AP50"]) == (0, 0, 0)
    assert figures["APm"] == 0
    assert figures["APl"] is None  # nobody is that large


@pytest.mark.parametrize("limit", [None, 5])
def test_figures_are_those_of_pycocotools(tmp_path, limit):
    """By files, and, with a limit, by its own choice of images out of all."""
    rng = np.random.default_rng(1)
    poses = made_up_dataset(rng)
    dataset = {**dataset_of(poses), "categories": [{"id": 1, "name": "person"}]}
    entries = noisy(poses, rng)
    before = json.dumps([dataset, entries])
    chosen = choose(dataset, limit)
    ids = [image["id"] for image in chosen["images"]]
    figures = coco_figures(chosen, [entry for entry in entries if entry["image_id"] in ids])
    assert json.dumps([dataset, entries]) == before
    (tmp_path / "truth.json").write_text(json.dumps(dataset))
    (tmp_path / "found.json").write_text(json.dumps(entries))
    expected = direct(tmp_path / "truth.json", tmp_path / "found.json", ids).stats
    assert 0.1 < expected[0] < 0.95
    np.testing.assert_allclose([np.nan if value is None else value for value in figures.values()], np.where(expected < 0, np.nan, expected))


def test_precision_over_recall_has_the_ap_under_it():
    rng = np.random.default_rng(4)
    poses = made_up_dataset(rng)
    figures, curves = coco_result(dataset_of(poses), noisy(poses, rng))
    assert (len(curves["recall"]), curves["recall"][0], curves["recall"][-1]) == (101, 0, 1)
    for oks, name in (("0.50", "AP50"), ("0.75", "AP75")):
        precision = curves["precision"][oks]
        assert np.mean(precision) == pytest.approx(figures[name], abs=1e-4)
        assert precision == sorted(precision, reverse=True)
    assert 0.2 < figures["AP50"] < 0.95
    assert np.mean(curves["precision"]["0.95"]) < figures["AP75"]


def test_choose_spreads_evenly():
    dataset = dataset_of({number: [person(200, 100, 20)] for number in (50, 40, 30, 20, 10, 5, 4, 3, 2, 1)})
    assert [image["id"] for image in choose(dataset, 5)["images"]] == [1, 3, 5, 20, 40]
    assert [image["id"] for image in choose(dataset, 3)["images"]] == [1, 4, 20]
    for limit in (None, 10, 99):
        assert [image["id"] for image in choose(dataset, limit)["images"]] == [1, 2, 3, 4, 5, 10, 20, 30, 40, 50]
    chosen = choose(dataset, 5)
    assert {entry["image_id"] for entry in chosen["annotations"]} == {1, 3, 5, 20, 40}


def test_choose_leaves_other_categories_out_and_wants_people():
    dataset = dataset_of({1: [person(200, 100, 20)], 2: []})
    dataset["annotations"].append(annotation(9, 1, person(100, 100, 20), category_id=18))
    assert [entry["id"] for entry in choose(dataset)["annotations"]] == [1]
    dataset["annotations"][0]["iscrowd"] = 1
    with pytest.raises(InputError, match="nobody in the 2 of 2 pictures"):
        choose(dataset)


# Who is whom, and the keypoints


def test_similarities_are_pycocotools(tmp_path):
    rng = np.random.default_rng(2)
    poses = {1: np.stack([person(200, 100, 20), person(320, 120, 24), person(250, 140, 15)])}
    poses[1][1, [Joint.LeftFoot, Joint.RightEar]] = 0
    dataset = {**dataset_of(poses), "categories": [{"id": 1, "name": "person"}]}
    found = poses[1][[2, 0, 1]] + np.concatenate([rng.normal(0, 4, (3, 18, 2)), np.zeros((3, 18, 1))], axis=2)
    found[0, Joint.LeftHand] = 0
    people = people_of(found, [0.9, 0.8, 0.7])  # in the order that pycocotools sorts into
    (tmp_path / "truth.json").write_text(json.dumps(dataset))
    (tmp_path / "found.json").write_text(json.dumps(to_coco(persons_of(people), 1)))
    expected = direct(tmp_path / "truth.json", tmp_path / "found.json").ious[1, 1]  # detections x people
    comparison = compare(dataset["annotations"], people)
    oks = comparison.similarities.sum(-1) / (comparison.truth[..., 2] > 0).sum(-1)[:, None]
    np.testing.assert_allclose(oks.T, expected, atol=2e-3)  # a result file has two decimals
    assert comparison.match.tolist() == [1, 2, 0]
    np.testing.assert_allclose(comparison.oks, expected[[1, 2, 0], [0, 1, 2]], atol=2e-3)


@pytest.mark.parametrize(
    ("oks", "match"),
    [
        ([[0.9, 0.2], [0.8, 0.7]], [0, 1]),
        ([[0.6, 0.2], [0.8, 0.7]], [1, 0]),  # the most similar pair first; the other one takes what is left
        ([[0.8, 0.05], [0.9, 0.7]], [-1, 0]),  # 0.05 is no pair
        ([[0.1], [0.1]], [0, -1]),
        ([[0.0999, 0.0]], [-1]),
        (np.zeros((2, 0)), [-1, -1]),
        (np.zeros((0, 3)), []),
    ],
)
def test_assign(oks, match):
    assert assign(np.array(oks)).tolist() == match


def moved(keypoint, similarity, area):
    """How far a keypoint is moved for this similarity, pixels."""
    return 2 * COCO_SIGMAS[keypoint] * np.sqrt(-2 * area * np.log(similarity))


def test_keypoint_errors_of_a_case_made_by_hand():
    """One person with each sort of error; another one whom nobody found; a crowd and a person without keypoints, who do not count."""
    pose, lost = person(200, 100, 20), person(450, 100, 20)
    area = 6400.0
    labels = [annotation(1, 1, pose, area=area), annotation(2, 1, lost, area=area)]
    labels[0]["keypoints"][3 * RIGHT_FOOT : 3 * RIGHT_FOOT + 3] = [0, 0, 0]  # not labelled
    labels += [annotation(3, 1, pose, iscrowd=1), annotation(4, 1, pose, keypoints=[0] * 51, num_keypoints=0)]
    labels += [annotation(5, 1, pose, keypoints=[7, 7, -1] * 17)]  # as little labelled as with v = 0
    found = pose.copy()
    for joint, keypoint, similarity in ((Joint.Nose, 0, 0.51), (Joint.LeftEye, 1, 0.49), (Joint.RightEye, 2, 0.11), (Joint.LeftEar, 3, 0.09)):
        found[joint, 0] += moved(keypoint, similarity, area)
    found[Joint.LeftFoot] = 0
    rows = {row["name"]: row for row in keypoint_errors([compare(labels, people_of([found]))])}
    assert list(rows) == [joint.name for joint in COCO_JOINTS]
    kinds = {"nose": "good", "left_eye": "near", "right_eye": "near", "left_ear": "far", "right_ear": "good", "left_ankle": "missing"}
    for name, kind in kinds.items():
        shares = {key: rows[name][key] for key in ("good", "near", "far", "missing", "unfound")}
        assert shares == {**dict.fromkeys(shares, 0), "unfound": 0.5, kind: 0.5}
        assert rows[name]["labelled"] == 2
    assert (rows["right_ankle"]["labelled"], rows["right_ankle"]["unfound"], rows["right_ankle"]["distance"]) == (1, 1, None)
    assert rows["nose"]["distance"] == pytest.approx(moved(0, 0.51, area) / 80)
    assert rows["right_ear"]["distance"] == 0
    assert rows["left_ankle"]["distance"] is None


def test_keypoint_errors_of_nothing():
    rows = keypoint_errors([compare([], people_of([person(200, 100, 20)]))])
    assert {row["labelled"] for row in rows} == {0}
    assert rows[0]["good"] is rows[0]["distance"] is None


def test_extremes():
    """Pictures with nobody in them are in neither list, and none is in both."""
    pose = person(200, 100, 20)
    shifts = {"a": 0, "b": 3, "c": 6, "d": 300}
    comparisons = {}
    for name, shift in shifts.items():
        found = pose + np.array([shift, 0, 0])
        comparisons[name] = compare([annotation(1, 1, pose)], people_of([found]))
    comparisons["empty"] = compare([], people_of([pose]))
    assert extremes(comparisons, 1) == (["d"], ["a"])
    assert extremes(comparisons, 12) == (["d", "c"], ["a", "b"])
    assert extremes({"a": comparisons["a"]}, 12) == (["a"], [])
    assert extremes({"empty": comparisons["empty"]}, 12) == ([], [])


# End to end


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """A COCO folder of four pictures, whose labels are what lightposenet finds in them: it is perfect there."""
    root = tmp_path_factory.mktemp("coco")
    (root / "annotations").mkdir()
    (root / "val2017").mkdir()
    scene = read_image(SCENE)
    half = scene.shape[1] // 2
    pictures = {3: scene, 7: scene[:, :half], 8: scene[:, half:], 12: np.full((240, 320, 3), 90, np.uint8)}
    detector = PoseDetector(open_net("lightposenet", precision="f32"))
    poses = {}
    for number, image in pictures.items():
        cv2.imwrite(str(root / "val2017" / f"{number:012d}.png"), image)
        poses[number] = detector(np.ascontiguousarray(image))[0]
    assert sum(map(len, poses.values())) > 4
    (root / "annotations" / "person_keypoints_val2017.json").write_text(json.dumps(dataset_of(poses)))
    return root


def evaluate(coco_dir, *options, arch="lightposenet"):
    return run_script("evaluate_coco_pose.py", arch, "--coco_dir", coco_dir, "--precision", "f32", *options)


def test_as_a_user_runs_it(coco, tmp_path):
    """All figures 1; the files hold what is printed; the page opens from disk."""
    out, numbers, folder = tmp_path / "found.json", tmp_path / "evaluation.json", tmp_path / "new" / "report"
    process = evaluate(coco, "--out", out, "--json", numbers, "--report", folder)
    assert (process.returncode, process.stderr) == (0, "")
    assert "one scale with a second look" in process.stdout
    assert re.search(r"^AP +1\.000 +1\.000 +1\.000 ", process.stdout, re.MULTILINE)
    assert re.search(r"^AR +1\.000 +1\.000 +1\.000 ", process.stdout, re.MULTILINE)
    assert "val2017: 4 of 4 images" in process.stdout
    document = json.loads(numbers.read_text())
    assert document["figures"]["AP"] == pytest.approx(1)
    assert document["run"]["scales"] == [1]
    assert not document["run"]["flip"]
    assert [row["id"] for row in document["per_image"]] == [3, 7, 8, 12]
    assert document["per_image"][0]["oks"] == [1.0] * len(document["per_image"][0]["oks"])
    assert document["per_image"][3] | {"scores": 0} == {"id": 12, "file_name": "000000000012.png", "mean_oks": None, "oks": [], "scores": 0}
    assert all(row["good"] in (None, 1) for row in document["keypoints"])
    page = (folder / "index.html").read_text()
    links = set(re.findall(r'(?:src|href)="([^"]*)"', page))
    assert links == {"keypoints.png", "precision.png", "worst_01.jpg", "worst_02.jpg", "best_01.jpg"}
    assert '<meta name="viewport" content="width=device-width' in page
    assert "://" not in page
    assert {path.name for path in folder.iterdir()} == links | {"index.html"}
    for name in links:
        assert read_image(folder / name).std() > 10
    page_of_less = evaluate(coco, "--limit", "1", "--report", folder)  # an earlier report is replaced
    assert page_of_less.returncode == 0
    page = (folder / "index.html").read_text()
    assert "1 of 4 images" in page
    assert {path.name for path in folder.iterdir()} == set(re.findall(r'(?:src|href)="([^"]*)"', page)) | {"index.html"}  # nothing of the earlier one


@needs_browser
def test_the_page_opens_in_a_browser(coco, tmp_path):
    """From disk, on a screen as wide as a telephone: no picture is broken, no script fails, nothing is wider than the screen."""
    folder = tmp_path / "report"
    assert evaluate(coco, "--report", folder).returncode == 0
    with open_browser(tmp_path, window="500,900") as driver:
        driver.get((folder / "index.html").as_uri())
        images = driver.find_elements("css selector", "img")
        assert len(images) == 5
        for image in images:
            driver.execute_script("arguments[0].scrollIntoView()", image)
            wait_for(lambda image=image: image.get_property("naturalWidth") > 300)
        assert driver.execute_script("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        driver.save_screenshot(str(tmp_path / "page.png"))
        assert read_image(tmp_path / "page.png").std() > 10
        images[-1].click()
        wait_for(lambda: driver.current_url.endswith("best_01.jpg"))
        assert complaints(driver) == []
        assert all(url.startswith("file://") for url in asked_for(driver))


@pytest.mark.parametrize(
    ("options", "scales", "flip"),
    [
        (("--preset", "flip"), [1], True),
        (("--scales", "0.5", "1"), [0.5, 1], False),
        (("--preset", "precise_flip", "--short_side", "128"), [0.5, 1, 1.5, 2], True),
    ],
)
def test_presets_and_scales(coco, tmp_path, options, scales, flip):
    process = evaluate(coco, "--json", tmp_path / "e.json", *options, "--limit", "2")
    assert (process.returncode, process.stderr) == (0, "")
    document = json.loads((tmp_path / "e.json").read_text())
    assert (document["run"]["scales"], document["run"]["flip"], document["run"]["images"]) == (scales, flip, 2)
    assert document["run"]["second_look"] == (scales == [1])
    assert ("second look" in process.stdout) == (scales == [1])
    assert [row["id"] for row in document["per_image"]] == [3, 8]
    assert 0 < document["figures"]["AP"] <= 1 or options[-1] == "128"


@needs_shared
def test_real_photos(tmp_path):
    """What --out holds gives, by pycocotools directly, what --json says."""
    out, numbers = tmp_path / "found.json", tmp_path / "e.json"
    process = evaluate(SHARED / "coco", "--limit", "16", "--out", out, "--json", numbers)
    assert (process.returncode, process.stderr) == (0, "")
    document = json.loads(numbers.read_text())
    ids = [row["id"] for row in document["per_image"]]
    assert len(ids) == 16
    evaluation = direct(SHARED / "coco" / "annotations" / "person_keypoints_val2017.json", out, ids)
    for value, expected in zip(document["figures"].values(), evaluation.stats, strict=True):
        assert value == pytest.approx(expected) if expected >= 0 else value is None
    assert 0.02 < document["figures"]["AP"] < 0.5


def test_limit_beyond_the_set(coco):
    process = evaluate(coco, "--limit", "9")
    assert process.returncode == 0
    assert process.stderr == "--limit 9: there are only 4 images; all of them are used\n"
    assert "4 of 4 images" in process.stdout


def test_progress_and_interruption(coco, tmp_path):
    """On a terminal the work shows its progress; Ctrl-C ends it with status 130, one line, and no file."""
    root = tmp_path / "many"
    (root / "annotations").mkdir(parents=True)
    (root / "val2017").symlink_to(coco / "val2017")
    dataset = json.loads((coco / "annotations" / "person_keypoints_val2017.json").read_text())
    dataset["images"] += [{**dataset["images"][0], "id": 100 + number} for number in range(5000)]
    (root / "annotations" / "person_keypoints_val2017.json").write_text(json.dumps(dataset))
    out = tmp_path / "out" / "found.json"
    out.parent.mkdir()
    terminal, theirs = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    command = [sys.executable, ROOT / "evaluate_coco_pose.py", "lightposenet", "--coco_dir", root, "--out", out]
    options = {"stdout": subprocess.PIPE, "stderr": theirs, "cwd": ROOT, "text": True}
    with subprocess.Popen(command, **options, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as process:
        os.close(theirs)
        deadline = threading.Timer(60, process.kill)
        deadline.start()
        text = ""
        with contextlib.suppress(OSError):  # the terminal ends with the process
            while not re.search(r" [1-9][0-9]*/5004 .*image/s", text):
                text += os.read(terminal, 4096).decode(errors="replace")
            process.send_signal(signal.SIGINT)
            while part := os.read(terminal, 4096).decode(errors="replace"):
                text += part
        output, _ = process.communicate()
        deadline.cancel()
    os.close(terminal)
    assert (process.returncode, output) == (130, "")
    assert text.rstrip().endswith("evaluate_coco_pose.py: interrupted")
    assert "Traceback" not in text
    assert list(out.parent.iterdir()) == []


# Bad input


def refused(capsys, *arguments):
    """Run main, expect status 2 and one line on stderr, which is returned."""
    try:
        status = evaluate_coco_pose.main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("evaluate_coco_pose.py: ")
    return captured.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--scales", "0"), "a scale from 0.1 to 4"),
        (("--scales", "1", "much"), "got 'much'"),
        (("--scales", "nan"), "nan"),
        (("--scales",), "--scales"),
        (("--limit", "0"), "a whole number of at least 1"),
        (("--preset", "best"), "--preset"),
        (("--split", "test"), "--split"),
        (("--bin", "x.bin"), "a .bin belongs to an .xml"),
        (("--engine", "chainer", "--precision", "f32"), "--precision is for --engine openvino"),
        (("--out", str(SCENE / "x.json")), "no folder"),
        (("--report", str(SCENE)), "expected a folder's name, got a file"),
        (("--report", str(ROOT / "data")), "one with other files"),
        (("--out", "x.json", "--json", "x.json"), "in use already"),
    ],
)
def test_options_that_make_no_sense(coco, capsys, monkeypatch, tmp_path, options, words):
    monkeypatch.chdir(tmp_path)
    assert words in refused(capsys, "lightposenet", "--coco_dir", coco, *options)
    assert list(tmp_path.iterdir()) == []


def test_networks_that_do_not_fit(coco, capsys, tmp_path):
    assert "facenet" in refused(capsys, "facenet", "--coco_dir", coco)
    assert "needs weights" in refused(capsys, "human-pose-estimation-0001", "--coco_dir", coco)
    assert "no such file" in refused(capsys, "posenet", tmp_path / "x.npz", "--coco_dir", coco)
    assert "light" in refused(capsys, "posenet", ROOT / "models" / "light_posenet.npz", "--coco_dir", coco)


def test_no_coco(tmp_path, capsys):
    assert "COCO is not here" in refused(capsys, "lightposenet", "--coco_dir", tmp_path / "nowhere")
    assert_refused(evaluate(tmp_path), "annotations/person_keypoints_val2017.json is missing")


@pytest.fixture
def broken(coco, tmp_path):
    """A copy of the COCO folder, and a function that changes its dataset."""
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    (root / "val2017").mkdir()
    for path in (coco / "val2017").iterdir():
        (root / "val2017" / path.name).write_bytes(path.read_bytes())
    source = json.loads((coco / "annotations" / "person_keypoints_val2017.json").read_text())

    def change(edit=lambda dataset: None):
        dataset = json.loads(json.dumps(source))
        edit(dataset)
        (root / "annotations" / "person_keypoints_val2017.json").write_text(json.dumps(dataset))

    change()
    return root, change


def test_pictures_that_are_missing_or_damaged(broken, capsys, tmp_path):
    root, _ = broken
    last = root / "val2017" / "000000000012.png"
    last.write_bytes(last.read_bytes()[:-20])
    assert "000000000012.png: the file is damaged" in refused(capsys, "lightposenet", "--coco_dir", root, "--out", tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()
    last.unlink()
    assert "000000000012.png" in refused(capsys, "lightposenet", "--coco_dir", root)
    (root / "val2017" / "000000000003.png").unlink()
    message = refused(capsys, "lightposenet", "--coco_dir", root)
    assert "2 of 4 pictures" in message
    assert "the first is 000000000003.png" in message


def test_annotations_without_people(broken, capsys):
    root, change = broken
    change(lambda dataset: dataset["annotations"].clear())
    assert "nobody in the 4 of 4 pictures has a labelled keypoint" in refused(capsys, "lightposenet", "--coco_dir", root)
    (root / "annotations" / "person_keypoints_val2017.json").write_text('{"images": [')
    assert "expected JSON" in refused(capsys, "lightposenet", "--coco_dir", root)


def test_what_is_read_is_not_overwritten(broken, capsys):
    root, _ = broken
    labels = root / "annotations" / "person_keypoints_val2017.json"
    before = labels.read_bytes()
    assert "in use already" in refused(capsys, "lightposenet", "--coco_dir", root, "--out", labels)
    assert "folder of pictures" in refused(capsys, "lightposenet", "--coco_dir", root, "--json", root / "val2017" / "000000000003.png")
    assert "with other files" in refused(capsys, "lightposenet", "--coco_dir", root, "--report", root / "val2017")
    assert labels.read_bytes() == before


def test_a_page_of_somebody_else_is_kept(tmp_path):
    (tmp_path / report.PAGE).write_text("<html>mine</html>")
    with pytest.raises(InputError, match="with other files"):
        report.check_folder(tmp_path)
    (tmp_path / report.PAGE).write_text(report.MARK)
    report.check_folder(tmp_path)
