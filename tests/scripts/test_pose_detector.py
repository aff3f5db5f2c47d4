"""pose_detector.py end to end, as a user runs it, with good and bad input; and PoseDetector with networks whose answer is known."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest
from conftest import PATIENCE, ROOT, assert_refused, run_script
from people import person, visible

from data.make_scene import DATA, PORTRAITS
from engines import open_net
from entity import Decoding, Joint
from keypoints.labels import cell_centers, make_heatmaps, make_pafs
from models import ARCHS
from pose_detector import PoseDetector

SCENE = DATA / "people.png"
SHIPPED = ROOT / "models" / "light_posenet.npz"
WEIGHTS = ROOT / "models" / "light_posenet.npz"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """The scripts keep compiled models here, not in the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def out(tmp_path):
    """An empty folder for results."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def detect(*arguments, cwd=ROOT, env=None):
    return run_script("pose_detector.py", *arguments, cwd=cwd, env=env)


def assert_done(process, words=""):
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.count("\n") == 1
    assert process.stdout.startswith(words)


def find(picture, folder, *options):
    """Run the script with lightposenet: the result's picture, and the JSON's document."""
    result, document = folder / "result.png", folder / "result.json"
    process = detect("lightposenet", "--img", picture, "--out", result, "--json", document, *options)
    document = json.loads(document.read_text(encoding="utf-8"))
    n_people = len(document["people"])
    assert_done(process, f"{'1 person' if n_people == 1 else f'{n_people} people'}; {result}; network ")
    assert " decode " in process.stdout
    drawn = cv2.imread(str(result))
    assert drawn.shape == (document["height"], document["width"], 3)
    assert sorted(path.name for path in folder.iterdir()) == ["result.json", "result.png"]
    return drawn, document


def portrait_boxes():
    """left, top, right, bottom of each portrait in data/people.png."""
    boxes = []
    for name, height, left, top, _ in PORTRAITS:
        rows, columns = cv2.imread(str(DATA / name)).shape[:2]
        boxes.append((left, top, left + columns * height / rows, top + height))
    return np.array(boxes)


def points(document):
    """(n, 18, 2) x, y of the people, NaN for what was not found; ordered by the nose's x."""
    found = [[keypoint[:2] if keypoint else [np.nan, np.nan] for keypoint in person["keypoints"]] for person in document["people"]]
    found = np.array(found, float).reshape(-1, 18, 2)
    return found[np.argsort(found[:, Joint.Nose, 0])]


def assert_at_portraits(document, scale=1.0, others=0):
    """A nose in the upper part of each portrait of the scene, whose picture is enlarged by scale, and at most `others` beside these four."""
    noses = points(document)[:, Joint.Nose] / scale
    for left, top, right, bottom in portrait_boxes():
        inside = (noses[:, 0] > left) & (noses[:, 0] < right) & (noses[:, 1] > top) & (noses[:, 1] < top + 0.6 * (bottom - top))
        assert inside.sum() >= 1, f"no nose in the portrait at {left}, {top}"
    assert len(noses) <= len(PORTRAITS) + others


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """data/people.png with OpenVINO in f32."""
    return find(SCENE, tmp_path_factory.mktemp("reference"), "--precision", "f32")


# ---- good input


def test_people_of_the_scene_are_found(reference):
    drawn, document = reference
    assert (document["width"], document["height"], document["arch"]) == (720, 400, "lightposenet")
    assert document["image"] == str(SCENE)
    assert document["joints"] == [joint.name for joint in Joint]
    assert len(document["people"]) == 4
    assert_at_portraits(document)
    for someone in document["people"]:
        assert len(someone["keypoints"]) == 18
        assert someone["score"] > 0
    changed = (drawn != cv2.imread(str(SCENE))).any(2)
    assert 0.005 < changed.mean() < 0.2
    inside = np.zeros_like(changed)
    for left, top, right, bottom in portrait_boxes().astype(int):
        inside[max(top - 12, 0) : bottom + 12, max(left - 12, 0) : right + 12] = True
    assert not changed[~inside].any()


def test_default_options_find_them_too(out):
    assert_at_portraits(find(SCENE, out)[1])


def test_chainer_gives_the_same_people(out, reference):
    _, document = find(SCENE, out, "--engine", "chainer")
    np.testing.assert_allclose(points(document), points(reference[1]), atol=0.5)
    for ours, theirs in zip(document["people"], reference[1]["people"], strict=True):
        assert ours["score"] == pytest.approx(theirs["score"], abs=0.01)


def test_one_thread_gives_the_same_people(out, reference):
    _, document = find(SCENE, out, "--precision", "f32", "--threads", 1)
    np.testing.assert_allclose(points(document), points(reference[1]), atol=0.05)


def test_named_weights_and_device_give_the_same_people(out, reference):
    process = detect(
        "lightposenet", WEIGHTS, "--img", SCENE, "--out", out / "x.png", "--json", out / "x.json", "--device", "CPU", "--precision", "f32"
    )
    assert_done(process, "4 people")
    np.testing.assert_allclose(points(json.loads((out / "x.json").read_text())), points(reference[1]), atol=0.05)


def test_precise_finds_them_too(out, reference):
    _, document = find(SCENE, out, "--precise", "--precision", "f32")
    assert_at_portraits(document)
    noses, noses_of_one_scale = points(document)[:, Joint.Nose], points(reference[1])[:, Joint.Nose]
    np.testing.assert_allclose(noses, noses_of_one_scale, atol=4)
    assert (noses != noses_of_one_scale).any()


def test_smaller_input_finds_them_too(out, reference):
    _, document = find(SCENE, out, "--short_side", 256)
    assert_at_portraits(document, others=1)
    assert document["people"] != reference[1]["people"]


def test_result_goes_to_the_current_folder_by_default(out):
    assert_done(detect("lightposenet", "--img", SCENE, cwd=out), "4 people; result.png; ")
    assert [path.name for path in out.iterdir()] == ["result.png"]
    assert cv2.imread(str(out / "result.png")).shape == (400, 720, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".PNG"])
def test_extension_chooses_the_format(out, suffix, reference):
    assert_done(detect("lightposenet", "--img", SCENE, "--out", out / f"x{suffix}", "--precision", "f32"), "4 people")
    start = (out / f"x{suffix}").read_bytes()[:16]
    assert {".jpg": b"\xff\xd8\xff", ".PNG": b"\x89PNG"}[suffix] in start
    difference = np.abs(cv2.imread(str(out / f"x{suffix}")).astype(int) - reference[0]).mean()
    assert difference < 6


def test_names_with_spaces_and_other_letters(tmp_path, out):
    picture = tmp_path / "a b ü漢.png"
    picture.write_bytes(SCENE.read_bytes())
    process = detect("lightposenet", "--img", picture, "--out", out / "é 1.png", "--json", out / "-漢.json")
    assert_done(process, f"4 people; {out / 'é 1.png'}; ")
    assert sorted(path.name for path in out.iterdir()) == ["-漢.json", "é 1.png"]
    assert json.loads((out / "-漢.json").read_text(encoding="utf-8"))["image"] == str(picture)


def test_old_results_are_replaced(out):
    (out / "result.png").write_text("old")
    (out / "result.json").write_text("old" * 10000)
    assert len(find(SCENE, out)[1]["people"]) == 4


@pytest.mark.parametrize(("width", "height"), [(320, 240), (1, 1), (1, 4000), (8000, 6000)], ids=["320x240", "1x1", "1x4000", "8000x6000"])
def test_picture_without_people_stays_as_it_is(tmp_path, out, width, height):
    picture = np.full((height, width, 3), (120, 128, 140), np.uint8)
    cv2.imwrite(str(tmp_path / "plain.png"), picture)
    drawn, document = find(tmp_path / "plain.png", out)
    assert document["people"] == []
    assert (document["width"], document["height"]) == (width, height)
    assert np.array_equal(drawn, picture)


def test_precise_bears_extreme_shapes(tmp_path, out):
    cv2.imwrite(str(tmp_path / "plain.png"), np.full((4000, 1, 3), 128, np.uint8))
    assert find(tmp_path / "plain.png", out, "--precise")[1]["people"] == []


@pytest.mark.parametrize("width", [200, 4000])
def test_small_and_large_pictures_of_the_scene(tmp_path, out, width):
    scene = cv2.imread(str(SCENE))
    picture = cv2.resize(scene, (width, round(width * 400 / 720)), interpolation=cv2.INTER_AREA if width < 720 else cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "scene.png"), picture)
    drawn, document = find(tmp_path / "scene.png", out)
    assert_at_portraits(document, scale=width / 720, others=1)
    assert 0.005 < (drawn != picture).any(2).mean() < 0.2


def write_alpha(path, scene):
    cv2.imwrite(str(path), np.dstack([scene, np.full(scene.shape[:2], 255, np.uint8)]))


def write_16_bit(path, scene):
    cv2.imwrite(str(path), scene.astype(np.uint16) * 257)


@pytest.mark.parametrize("write", [write_alpha, write_16_bit], ids=["alpha", "16 bit"])
def test_same_picture_in_another_form_has_the_same_people(tmp_path, out, write, reference):
    write(tmp_path / "scene.png", cv2.imread(str(SCENE)))
    drawn, document = find(tmp_path / "scene.png", out, "--precision", "f32")
    np.testing.assert_allclose(points(document), points(reference[1]), atol=0.5)
    assert np.abs(drawn.astype(int) - reference[0]).max() <= 1


def test_grey_picture(tmp_path, out):
    cv2.imwrite(str(tmp_path / "grey.png"), cv2.imread(str(SCENE), cv2.IMREAD_GRAYSCALE))
    assert_at_portraits(find(tmp_path / "grey.png", out)[1], others=2)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_picture(tmp_path, out, suffix):
    pillow = pytest.importorskip("PIL.Image")
    picture = tmp_path / f"cmyk{suffix}"
    with pillow.open(SCENE) as scene:
        scene.convert("CMYK").save(picture)
    assert_at_portraits(find(picture, out)[1], others=1)


# ---- bad input


def assert_nothing_written(folder):
    assert [path.name for path in folder.iterdir()] == []


def make_bad_picture(tmp_path, name):
    path = tmp_path / name
    if name == "folder.png":
        path.mkdir()
    elif name == "empty.png":
        path.touch()
    elif name == "text.png":
        path.write_text("This is no picture.\n")
    elif name == "below_a_file.png":
        (tmp_path / "file").touch()
        path = tmp_path / "file" / name
    elif name.startswith("cut"):
        data = cv2.imencode(path.suffix, cv2.imread(str(SCENE)))[1].tobytes()
        path.write_bytes(data[: len(data) // 2])
    elif name == "pipe.png":
        os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("name", "got", "cure"),
    [
        ("missing.png", "no such file", "check the name"),
        ("folder.png", "got a folder", "name a file"),
        ("empty.png", "empty", "copy or download it again"),
        ("text.png", "expected a picture", "convert it"),
        ("cut.jpg", "ends in the middle", "copy or download it again"),
        ("cut.png", "ends in the middle", "copy or download it again"),
        ("below_a_file.png", "not readable", "check"),
        ("pipe.png", "got a device or a pipe", "name a file"),
    ],
)
def test_bad_picture_is_refused(tmp_path, out, name, got, cure):
    picture = make_bad_picture(tmp_path, name)
    process = detect("lightposenet", "--img", picture, "--out", out / "x.png", "--json", out / "x.json")
    assert_refused(process, "pose_detector.py: picture ", picture, got, cure)
    assert_nothing_written(out)


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def make_bad_weights(tmp_path, name):
    path = tmp_path / name
    if name == "folder.npz":
        path.mkdir()
    elif name == "empty.npz":
        path.touch()
    elif name == "cut.npz":
        data = WEIGHTS.read_bytes()
        path.write_bytes(data[: len(data) // 2])
    elif name == "text.npz":
        path.write_text("no weights\n")
    elif name == "hostile.npz":
        np.savez(path, **{"stem1/W": np.array([Hostile(tmp_path / "executed")], object)})
    elif name == "missing_layer.npz":
        np.savez(path, **{key: value for key, value in np.load(WEIGHTS).items() if not key.startswith("fuse/")})
    elif name == "nan.npz":
        arrays = dict(np.load(WEIGHTS))
        arrays["fuse/W"] = np.full_like(arrays["fuse/W"], np.nan)
        np.savez(path, **arrays)
    elif name == "one_layer.npz":
        np.savez(path, **{"conv1_1/W": np.ones((64, 3, 3, 3), np.float32), "conv1_1/b": np.ones(64, np.float32)})
    elif name == "light.npz":
        path = WEIGHTS
    return path


@pytest.mark.parametrize(
    ("arch", "name", "words"),
    [
        ("lightposenet", "missing.npz", ("no such file", "docs/networks.md")),
        ("lightposenet", "folder.npz", ("expected", "got a folder", "name")),
        ("lightposenet", "empty.npz", ("expected an .npz file", "got", "again")),
        ("lightposenet", "cut.npz", ("expected an .npz file", "damaged copy", "again")),
        ("lightposenet", "text.npz", ("expected an .npz file", "got", "again")),
        ("lightposenet", "hostile.npz", ("expected an .npz file of plain arrays", "pickle", "never loaded")),
        ("lightposenet", "missing_layer.npz", ("layer fuse is missing", "found", "convert")),
        ("lightposenet", "nan.npz", ("fuse/W holds NaN", "use another one")),
        ("lightposenet", "one_layer.npz", ("missing", "name the network")),
        ("posenet", "light.npz", ("weights of lightposenet", "name that network")),
        ("posenet", "one_layer.npz", ("conv1_2", "missing (1 of 92 found)", "convert")),
    ],
)
def test_bad_weights_are_refused(tmp_path, out, arch, name, words):
    weights = make_bad_weights(tmp_path, name)
    process = detect(arch, weights, "--img", SCENE, "--out", out / "x.png", "--json", out / "x.json")
    assert_refused(process, "pose_detector.py: weights ", weights, *words)
    assert_nothing_written(out)
    assert not (tmp_path / "executed").exists()


def test_hostile_weights_would_have_done_harm(tmp_path):
    """Or else the test above proves nothing."""
    weights = make_bad_weights(tmp_path, "hostile.npz")
    with np.load(weights, allow_pickle=True) as arrays:
        assert arrays["stem1/W"].shape == (1,)
    assert (tmp_path / "executed").is_dir()


def test_posenet_needs_weights(out):
    process = detect("posenet", "--img", SCENE, "--out", out / "x.png")
    assert_refused(process, "posenet needs weights", "docs/networks.md", "lightposenet")
    assert_nothing_written(out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--out", "out/x.xyz"), ("--out out/x.xyz", "expected a picture's name", ".png", "'.xyz'")),
        (("--out", "out/x"), ("--out out/x", "expected a picture's name", ".png", "no extension")),
        (("--out", "out"), ("--out out", "expected", "got")),
        (("--out", "folder.png"), ("--out folder.png", "expected a file's name, got a folder")),
        (("--out", "scene.png/x.png"), ("--out scene.png/x.png", "scene.png is no folder")),
        (("--out", "scene.png"), ("--out scene.png", "in use already (img)", "choose another name")),
        (("--out", "out/../scene.png"), ("--out out/../scene.png", "in use already (img)", "choose another name")),
        (("--out", "out/x.png", "--json", "scene.png/no/x.json"), ("--json scene.png/no", "scene.png is a file")),
        (("--out", "out/x.png", "--json", "out"), ("--json out", "expected a file's name, got a folder")),
    ],
    ids=" ".join,
)
def test_bad_places_for_results_are_refused(tmp_path, out, options, words):
    (tmp_path / "scene.png").write_bytes(SCENE.read_bytes())
    (tmp_path / "folder.png").mkdir()
    assert_refused(detect("lightposenet", "--img", "scene.png", *options, cwd=tmp_path), *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "out", "scene.png"]
    assert_nothing_written(out)
    assert_nothing_written(tmp_path / "folder.png")
    assert (tmp_path / "scene.png").read_bytes() == SCENE.read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder_is_refused(out):
    out.chmod(0o500)
    assert_refused(detect("lightposenet", "--img", SCENE, "--out", out / "x.png"), "not writable", "choose another")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--engine", "torch"), ("--engine", "'torch'", "openvino", "chainer")),
        (("--device", "TOASTER"), ("--device TOASTER", "OpenVINO finds", "CPU", "name one of these")),
        (("--precision", "f8"), ("--precision", "'f8'", "f32", "bf16")),
        (("--gpu", "0", "--engine", "openvino"), ("--gpu is for --engine chainer", "--device")),
        (("--gpu", "zero"), ("--gpu", "'zero'")),
        (("--device", "CPU", "--engine", "chainer"), ("--device is for --engine openvino", "--gpu")),
        (("--device", "CPU", "--gpu", "0"), ("--device is for --engine openvino", "--gpu")),
        (("--precision", "f32", "--engine", "chainer"), ("--precision is for --engine openvino",)),
        (("--threads", "0"), ("--threads", "whole number from 1 to 1024", "'0'")),
        (("--short_side", "0"), ("--short_side", "whole number from 8 to 4096", "'0'")),
        (("--short_side", "-5"), ("--short_side", "whole number from 8 to 4096", "'-5'")),
        (("--short_side", "abc"), ("--short_side", "whole number from 8 to 4096", "'abc'")),
        (("--bogus",), ("unrecognized", "--bogus", "--help")),
        (("--prec",), ("unrecognized", "--prec", "--help")),  # no abbreviations: they would change their meaning with new options
        (("--show",), ("--show", "no screen", "DISPLAY", "leave --show out")),
    ],
    ids=" ".join,
)
def test_bad_options_are_refused(out, options, words):
    process = detect("lightposenet", "--img", SCENE, "--out", out / "x.png", *options, env={"DISPLAY": "", "WAYLAND_DISPLAY": ""})
    assert_refused(process, "pose_detector.py: ", *words)
    assert_nothing_written(out)


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is here")
def test_gpu_without_cupy_names_the_cure(out):
    process = detect("lightposenet", "--img", SCENE, "--out", out / "x.png", "--gpu", 0)
    assert_refused(process, "--gpu 0", "CuPy", "pip install cupy", "leave --gpu out")
    assert_nothing_written(out)


@pytest.mark.parametrize("words", [(SCENE,), ("lightposenet", SCENE), (SHIPPED, SCENE), (SCENE, "--short_side", "256"), ("--precise", SCENE)])
def test_what_is_read_needs_no_option(tmp_path, words):
    """pose_detector.py photo.jpg: the best network whose weights are there, drawn into result.png; options may stand anywhere."""
    process = detect(*words, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("4 people; result.png; ")
    assert (tmp_path / "result.png").is_file()


def test_files_and_folders_without_an_option(tmp_path):
    process = detect(ROOT / "data", SCENE, "--jsonl", tmp_path / "r", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert len((tmp_path / "r").read_text().splitlines()) == 5
    assert_refused(detect("missing.jpg", cwd=tmp_path), "missing.jpg", "no such file")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("nothing to read",)),
        (("lightposenet",), ("nothing to read",)),
        (("nonet", "--img", SCENE), ("'nonet'", "no network and no file", "did you mean posenet")),
        (("elephant", "--img", SCENE), ("'elephant'", "the networks are", "posenet", "lightposenet", "human-pose-estimation-0001")),
        (("lightposenet", "--img", SCENE, "--shrt_side", "3"), ("unrecognized arguments: --shrt_side",)),
        ((SCENE, "--img", SCENE), ("--img", "both name what is read")),
        (("facenet", "--img", SCENE), ("'facenet'", "a network for a face, not for a pose", "posenet, lightposenet")),
        (("lightposenet", "posenet", SCENE), ("named once, and first", "posenet stands behind lightposenet")),
        ((SCENE, "lightposenet"), ("named once, and first", "lightposenet stands behind", SCENE)),
    ],
    ids=[
        "nothing",
        "no picture",
        "unknown network",
        "far from any network",
        "misspelt option",
        "two sources",
        "no pose network",
        "two networks",
        "network last",
    ],
)
def test_bad_arguments_are_refused(tmp_path, arguments, words):
    assert_refused(detect(*arguments, cwd=tmp_path), "pose_detector.py: ", *words, "--help")
    assert_nothing_written(tmp_path)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        pytest.param(("--out", "out/x.png", "--json", "out/x.png"), None, id="--json is --out"),
        pytest.param(("--out", "out/x.png", "--json", "scene.png"), "scene.png", id="--json is --img"),
        pytest.param(("w.npz", "--out", "out/x.png", "--json", "w.npz"), "w.npz", id="--json is WEIGHTS"),
    ],
)
def test_results_never_replace_each_other_or_the_input(tmp_path, out, options, kept):
    (tmp_path / "scene.png").write_bytes(SCENE.read_bytes())
    (tmp_path / "w.npz").write_bytes(WEIGHTS.read_bytes())
    before = (tmp_path / kept).read_bytes() if kept else None
    assert_refused(detect("lightposenet", *options, "--img", "scene.png", cwd=tmp_path), "--json", "choose another")
    assert_nothing_written(out)
    assert kept is None or (tmp_path / kept).read_bytes() == before


@pytest.mark.parametrize(("option", "name"), [("--out", "pipe.png"), ("--json", "pipe.json")])
def test_pipes_and_devices_are_no_place_for_results(tmp_path, out, option, name):
    os.mkfifo(tmp_path / name)  # never a real device: root would lose it
    process = detect("lightposenet", "--img", SCENE, "--out", out / "x.png", option, tmp_path / name)
    assert (tmp_path / name).is_fifo()
    assert_refused(process, f"{option} {tmp_path / name}: ", "expected", "got", "pipe")
    assert_nothing_written(out)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("b" * 300 + ".png", ("--out", "File name too long"), id="too long"),
        pytest.param(os.fsdecode(b"x.\xff"), ("--out", "expected a picture's name"), id="not UTF-8"),
        pytest.param("loop.png", ("loop.png",), id="loop of links"),
    ],
)
def test_bad_names_for_results_are_refused(out, name, words):
    if name == "loop.png":
        (out / name).symlink_to(name)
    assert_refused(detect("lightposenet", "--img", SCENE, "--out", out / name), *words)
    assert [path.name for path in out.iterdir()] in ([], ["loop.png"])


def test_a_name_as_long_as_the_file_system_takes_is_no_trouble(out):
    name = "b" * 251 + ".png"
    assert detect("lightposenet", "--img", SCENE, "--out", out / name).returncode == 0
    assert [path.name for path in out.iterdir()] == [name]


def test_a_link_is_written_through(out):
    (out / "link.png").symlink_to("target.png")
    assert detect("lightposenet", "--img", SCENE, "--out", out / "link.png").returncode == 0
    assert (out / "link.png").is_symlink()
    assert cv2.imread(str(out / "target.png")) is not None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(("--device", "CPU.5"), ("--device CPU.5", "name one"), id="--device CPU.5"),
        pytest.param(("--device", "AUTO:GPU"), ("--device AUTO:GPU", "name one"), id="--device AUTO:GPU"),
        pytest.param(("--threads", "9999999999"), ("--threads",), id="--threads 9999999999"),
        pytest.param(("--device", ""), ("--device", "name one"), id="--device ''"),
        pytest.param(("",), ("an empty name",), id="WEIGHTS ''"),
        pytest.param(("--json", ""), ("--json",), id="--json ''"),
        pytest.param(("--gpu", "-5"), ("--gpu",), id="--gpu -5"),
    ],
)
def test_values_that_cannot_work_are_refused(out, options, words):
    assert_refused(detect("lightposenet", *options, "--img", SCENE, "--out", out / "x.png"), *words)
    assert_nothing_written(out)


def test_weights_whose_answer_overflows_are_refused(tmp_path, out):
    np.savez(tmp_path / "big.npz", **{name: np.full_like(array, 3e38, np.float32) for name, array in np.load(WEIGHTS).items()})
    process = detect("lightposenet", tmp_path / "big.npz", "--img", SCENE, "--out", out / "x.png")
    assert_refused(process, "NaN or infinity")
    assert_nothing_written(out)


def test_png_damaged_inside_is_refused(tmp_path, out):
    data = bytearray(SCENE.read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "damaged.png").write_bytes(data)
    assert_refused(detect("lightposenet", "--img", tmp_path / "damaged.png", "--out", out / "x.png"), "damaged.png", "the file is damaged")
    assert_nothing_written(out)


def test_bytes_behind_a_png_do_no_harm(tmp_path, out):
    (tmp_path / "scene.png").write_bytes(SCENE.read_bytes() + bytes(5000))
    assert len(find(tmp_path / "scene.png", out)[1]["people"]) == 4


def test_terminal_that_knows_only_ascii(out):
    process = detect("lightposenet", "--img", SCENE, "--out", out / "ü.png", env={"PYTHONIOENCODING": "ascii"})
    assert_done(process, "4 people; ")
    assert [path.name for path in out.iterdir()] == ["ü.png"]


# ---- Ctrl-C

INTERRUPTER = """
    import os, signal, sys, threading

    class Finder:
        def find_spec(name, path=None, target=None):
            if name == os.environ["INTERRUPT_AT"]:
                sys.meta_path.remove(Finder)
                after = float(os.environ["INTERRUPT_AFTER"])
                if after:
                    timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
                    timer.daemon = True
                    timer.start()
                else:
                    os.kill(os.getpid(), signal.SIGINT)

    sys.meta_path.insert(0, Finder)
"""


def interrupted(tmp_path, module, seconds, *arguments):
    """Run the script on a slow job; Ctrl-C comes `seconds` after it begins to import `module`."""
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(INTERRUPTER))
    env = os.environ | {"PYTHONPATH": str(tmp_path), "INTERRUPT_AT": module, "INTERRUPT_AFTER": str(seconds)}
    command = [sys.executable, ROOT / "pose_detector.py", "lightposenet", "--img", SCENE, "--precise", "--short_side", 1600, *arguments]
    return subprocess.run(list(map(str, command)), cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("module", "seconds", "engine"),
    [("engines.openvino_net", 0, "openvino"), ("openvino", 0, "openvino"), ("chainer", 0, "chainer"), ("engines.chainer_net", 2, "chainer")],
    ids=["engine's module", "OpenVINO's import", "Chainer's import", "Chainer at work"],
)
def test_interrupt_at_work_is_one_line(tmp_path, out, module, seconds, engine):
    (out / "x.png").write_text("the old result")
    process = interrupted(tmp_path, module, seconds, "--out", out / "x.png", "--json", out / "x.json", "--engine", engine)
    assert (process.returncode, process.stdout, process.stderr) == (130, "", "pose_detector.py: interrupted\n")
    assert [path.name for path in out.iterdir()] == ["x.png"]
    assert (out / "x.png").read_text() == "the old result"


def test_interrupt_from_outside(out):
    command = [sys.executable, ROOT / "pose_detector.py", "lightposenet", "--img", SCENE, "--out", out / "x.png", "--engine", "chainer", "--precise"]
    with subprocess.Popen([*command, "--short_side", "1600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=3)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stdout, stderr) == (130, "", "pose_detector.py: interrupted\n")
    assert_nothing_written(out)


# ---- PoseDetector


class KnownNet:
    """A network that knows the poses of a white picture of image_wh pixels, and answers their labels for whatever part of x the picture fills."""

    def __init__(self, poses, image_wh):
        self.poses, self.image_wh, self.inner_sizes, self.shapes = poses, image_wh, [], []

    def __call__(self, x):
        assert x.shape[:2] == (1, 3)
        assert x.dtype == np.float32
        height, width = x.shape[2:]
        assert height % 8 == width % 8 == 0
        white = x[0, 0] > 0.49
        inner_wh = int(white[0].sum()), int(white[:, 0].sum())
        assert white[: inner_wh[1], : inner_wh[0]].all()
        self.shapes.append((width, height))
        self.inner_sizes.append(inner_wh)
        poses = self.poses.copy()
        found = poses[..., 2:] > 0
        poses[..., :2] = np.where(found, (poses[..., :2] + 0.5) * np.divide(inner_wh, self.image_wh) - 0.5, 0)
        xs, ys = cell_centers(width), cell_centers(height)
        return make_pafs(poses, xs, ys)[None], make_heatmaps(poses, xs, ys)[None]


def white(size_wh):
    return np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)


def known_people(size_wh, count=2):
    """(count, 18, 3): people side by side in a picture, of nearly its height, some joints hidden."""
    width, height = size_wh
    poses = np.array([person(width * (n + 0.5) / count, 0.22 * height, head=0.1 * height, angle=0.1 * n) for n in range(count)])
    poses[0, [Joint.LeftHand, Joint.RightEar]] = 0
    return visible(poses, size_wh)


def assert_same_people(found, expected, tolerance=0.5, offset=0.06):
    """Every joint within `tolerance` pixels, and on average within `offset`: half a pixel forgotten somewhere moves them all."""
    assert len(found) == len(expected)
    found = found[np.argsort(found[:, Joint.Neck, 0])]
    assert np.array_equal(found[..., 2], expected[..., 2])
    np.testing.assert_allclose(found, expected, atol=tolerance)
    there = expected[..., 2] > 0
    assert np.abs((found - expected)[there].mean(0)).max() < offset
    assert not found[~there].any()


def test_detector_on_the_scene():
    picture = cv2.imread(str(SCENE))
    before = picture.copy()
    detector = PoseDetector(open_net("lightposenet", precision="f32"))
    poses, scores = detector(picture)
    assert (poses.shape, scores.shape) == ((4, 18, 3), (4,))
    assert set(np.unique(poses[..., 2])) <= {0, 2}
    assert not poses[poses[..., 2] == 0].any()
    assert (scores > 0).all()
    assert np.array_equal(picture, before)
    again, _ = detector(np.ascontiguousarray(picture[:, ::-1]))
    assert len(again) == 4
    np.testing.assert_array_equal(detector(picture)[0], poses)
    poses, scores = detector(np.full((97, 211, 3), 128, np.uint8))
    assert (poses.shape, scores.shape) == ((0, 18, 3), (0,))


def test_script_writes_what_the_detector_finds(reference):
    """The same people, in the order of their ranks."""
    poses, scores = PoseDetector(open_net("lightposenet", precision="f32"))(cv2.imread(str(SCENE)))
    order = np.argsort(-scores * (poses[..., 2] > 0).sum(1) ** 0.25)
    for someone, pose, score in zip(reference[1]["people"], poses[order], scores[order], strict=True):
        assert someone["score"] == pytest.approx(score, abs=1e-3)
        for keypoint, (x, y, v) in zip(someone["keypoints"], pose, strict=True):
            assert (keypoint is None) == (v == 0)
            if keypoint is not None:
                assert keypoint[:2] == pytest.approx((x, y), abs=0.01)
                assert 0 < keypoint[2] <= 1.1


SIZES = [(736, 368), (723, 401), (301, 207), (401, 723), (1447, 803)]


@pytest.mark.parametrize("size_wh", SIZES, ids="{0[0]}x{0[1]}".format)
def test_known_poses_come_back_in_pixels_of_the_picture(size_wh):
    poses = known_people(size_wh, count=2 if size_wh[0] > size_wh[1] else 1)
    net = KnownNet(poses, size_wh)
    found, scores = PoseDetector(net, again=False)(white(size_wh))
    assert_same_people(found, poses, tolerance=0.02, offset=0.02)
    assert scores.shape == (len(poses),)
    ((width, height),) = net.shapes
    assert min(width, height) == 368
    assert net.inner_sizes == net.shapes  # the picture fills the input


def test_people_too_large_for_the_network_are_found_by_a_second_look():
    """A network that knows people in small inputs alone."""
    size_wh = 736, 368
    poses = known_people(size_wh)
    net = KnownNet(poses, size_wh)

    def knows_small_people(x):
        pafs, heatmaps = net(x)
        return (pafs, heatmaps) if min(x.shape[2:]) < 300 else (0 * pafs, 0 * heatmaps)

    assert len(PoseDetector(knows_small_people, again=False)(white(size_wh))[0]) == 0
    found, _ = PoseDetector(knows_small_people)(white(size_wh))
    assert_same_people(found, poses)


@pytest.mark.parametrize("size_wh", SIZES, ids="{0[0]}x{0[1]}".format)
def test_known_poses_come_back_in_precise_mode(size_wh):
    poses = known_people(size_wh, count=2 if size_wh[0] > size_wh[1] else 1)
    net = KnownNet(poses, size_wh)
    found, _ = PoseDetector(net, precise=True)(white(size_wh))
    assert_same_people(found, poses)
    long_side = 368 * max(size_wh) / min(size_wh)
    assert sorted(min(inner) for inner in net.inner_sizes) == [184, 368, 552, 736]
    assert sorted(max(inner) for inner in net.inner_sizes) == pytest.approx([0.5 * long_side, long_side, 1.5 * long_side, 2 * long_side], abs=0.51)
    for shape, inner in zip(net.shapes, net.inner_sizes, strict=True):
        assert all(0 <= outside - inside < 8 for outside, inside in zip(shape, inner, strict=True))


@pytest.mark.parametrize(
    ("scales", "short_sides"), [((1,), [368]), ((0.5, 1.5), [184, 552]), ((1.5, 0.5), [184, 552]), ((0.7, 1, 1.3), [258, 368, 478])]
)
def test_scales_are_a_parameter(scales, short_sides):
    size_wh = 723, 401
    poses = known_people(size_wh)
    net = KnownNet(poses, size_wh)
    found, _ = PoseDetector(net, precise=True, scales=scales)(white(size_wh))
    assert_same_people(found, poses)
    assert sorted(min(inner) for inner in net.inner_sizes) == short_sides


def test_scales_do_nothing_without_precise():
    net = KnownNet(known_people((736, 368)), (736, 368))
    PoseDetector(net, scales=(0.5, 2), again=False)(white((736, 368)))
    assert net.shapes == [(736, 368)]


@pytest.mark.parametrize(("short_side", "height"), [(184, 184), (250, 256), (512, 512)])
def test_short_side_is_a_parameter(short_side, height):
    size_wh = 600, 300
    poses = known_people(size_wh)
    net = KnownNet(poses, size_wh)
    found, _ = PoseDetector(net, short_side=short_side)(white(size_wh))
    assert net.shapes[0][1] == height
    assert_same_people(found, poses)


def test_decoding_is_a_parameter():
    size_wh = 736, 368
    poses = known_people(size_wh)  # the first person has 16 joints, the second one 18
    net = KnownNet(poses, size_wh)
    found, _ = PoseDetector(net, decoding=Decoding(n_subset_limbs_thresh=17))(white(size_wh))
    assert_same_people(found, poses[1:])
    assert len(PoseDetector(net, decoding=Decoding(n_subset_limbs_thresh=19))(white(size_wh))[0]) == 0
    assert len(PoseDetector(net, decoding=Decoding(heatmap_peak_thresh=1.01))(white(size_wh))[0]) == 0


def test_row_of_the_network_says_how_to_decode():
    size_wh = 736, 368
    poses = known_people(size_wh)
    net = KnownNet(poses, size_wh)
    net.arch = ARCHS["posenet"]._replace(decoding=Decoding(n_subset_limbs_thresh=17))
    assert_same_people(PoseDetector(net)(white(size_wh))[0], poses[1:])
    assert_same_people(PoseDetector(net, decoding=Decoding())(white(size_wh))[0], poses)


@pytest.mark.parametrize(("arch", "value"), [("posenet", 0.5), ("facenet", 255 / 256 - 0.5)])
def test_row_of_the_network_says_how_to_normalise(arch, value):
    seen = []

    def net(x):
        seen.append((float(x.min()), float(x.max())))
        return np.zeros((1, 38, x.shape[2] // 8, x.shape[3] // 8), np.float32), np.zeros((1, 19, x.shape[2] // 8, x.shape[3] // 8), np.float32)

    net.arch = ARCHS[arch]
    PoseDetector(net)(white((64, 64)))
    assert seen[0] == pytest.approx((value, value), abs=1e-6)


@pytest.mark.parametrize("precision", [[], ["--precision", "f32"]], ids=["as it ships", "f32"])
@pytest.mark.parametrize("name", ["astronaut", "hopper"])
def test_a_person_who_fills_the_picture_is_one_person(name, precision, tmp_path):
    """At the usual size parts are found, or two people; the second look sees all of them."""
    path = tmp_path / "r.json"
    assert_done(detect("lightposenet", "--img", DATA / f"{name}.png", "--no_draw", "--json", path, *precision))
    (found,) = json.loads(path.read_text())["people"]
    assert sum(point is not None for point in found["keypoints"]) >= 10
