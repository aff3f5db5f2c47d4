"""OpenVINO's way: IEbase.py, pose_detectorIE.py, pose_detectorIEbase.py, networks of others, streams, and files that do not fit."""

import itertools
import json
import shutil
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest
from coco_ap import average_precision
from conftest import PATIENCE, ROOT, SHARED, assert_refused, needs_shared, run_script, seeded_weights

from engines import open_net
from engines.openvino_compat import open_core, ov
from errors import InputError
from evaluation.compare import compare_maps, count_common, pose_points
from IEbase import IEbase
from models import ARCHS, shapes_of
from pose_detector import PoseDetector
from streams.threads import read_ahead

ops = ov.opset13
SCENE = ROOT / "data" / "people.png"
LIGHT = ROOT / "models" / "light_posenet.npz"
OMZ = SHARED / "models" / "human-pose-estimation-0001" / "human-pose-estimation-0001.xml"
TF_POSE = SHARED / "models" / "mobilenet_v2_small" / "graph_opt.pb"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with light.xml (dynamic), face.npz, face.xml."""
    folder = tmp_path_factory.mktemp("ir")
    assert run_script("convert_model.py", "lightposenet", LIGHT, folder / "light.xml", "--dynamic").returncode == 0
    np.savez(folder / "face.npz", **seeded_weights(shapes_of("facenet")))
    assert run_script("convert_model.py", "facenet", folder / "face.npz", folder / "face.xml").returncode == 0
    return folder


def noise(*shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32) - 0.5


# IEbase.py


def test_ie_base_prints_the_seed_s_lines(files):
    process = run_script("IEbase.py", "--xml", files / "face.xml", "--bin", files / "face.bin", "--device", "CPU")
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert lines[:3] == [
        "n/c/h/w (from xml)= 1 3 368 368",
        "input_blob : out_blob = data : Mconv7_stage6",
        "net.outputs[ Mconv7_stage6 ].shape [1, 71, 46, 46]",
    ]
    assert lines[3].startswith("device CPU")
    assert "FP32" in lines[3]


def test_ie_base_from_python_synchronous_and_not(files):
    engine = IEbase(files / "light.xml")
    x, y = noise(1, 3, 64, 72), noise(1, 3, 64, 72) * 0.5
    first = engine.infer(x)["head2_out"]
    engine.start(y)
    second = engine.wait()["head2_out"]
    np.testing.assert_array_equal(engine.infer(x)["head2_out"], first)
    assert np.abs(first - second).max() > 1e-3
    expected = np.concatenate(open_net("lightposenet", LIGHT)(x), axis=1)
    np.testing.assert_allclose(first, expected, atol=1e-5)


# pose_detectorIE.py


def test_ie_finds_what_pose_detector_finds(files, tmp_path):
    documents = []
    for script, weights in (("pose_detector.py", (LIGHT,)), ("pose_detectorIE.py", ("--xml", files / "light.xml", "--bin", files / "light.bin"))):
        numbers = tmp_path / f"{script}.json"
        options = ("--img", SCENE, "--out", tmp_path / "r.png", "--json", numbers, "--precision", "f32", "--precise")
        process = run_script(script, "lightposenet", *weights, *options)
        assert process.returncode == 0, process.stderr
        documents.append(json.loads(numbers.read_text())["people"])
    assert documents[0] == documents[1]
    assert len(documents[0]) >= 4


def test_ie_imports_no_chainer():
    code = (
        "import sys, pose_detectorIE as ie\n"
        f"status = ie.main(['lightposenet', '--img', {str(SCENE)!r}, '--out', sys.argv[1]])\n"
        "sys.exit(status or any(name.split('.')[0] == 'chainer' for name in sys.modules))"
    )
    process = subprocess.run([sys.executable, "-c", code, "/dev/shm/ie_test.png"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr


def copy_ir(files, folder, name="light"):
    for suffix in (".xml", ".bin"):
        shutil.copy(files / f"{name}{suffix}", folder / f"net{suffix}")
    return folder / "net.xml"


def test_files_that_do_not_fit_are_refused_in_one_line(files, tmp_path):
    xml = copy_ir(files, tmp_path)

    def refused(*words, arch="lightposenet", options=()):
        process = run_script("pose_detectorIE.py", arch, "--xml", xml, "--img", SCENE, "--out", tmp_path / "r.png", *options)
        assert_refused(process, *words)
        assert not (tmp_path / "r.png").exists()

    refused("this is lightposenet, expected posenet", arch="posenet")
    refused("--device GPU", "CPU", options=["--device", "GPU"])
    refused("--precision int8", "not quantised", "--calibration", options=["--precision", "int8"])
    if "FP16" not in open_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        refused("--precision f16", "f32", options=["--precision", "f16"])
    refused("face.bin has", "bytes, expected", options=["--bin", files / "face.bin"])
    (tmp_path / "net.bin").unlink()
    refused("net.bin are missing", "--bin")
    copy_ir(files, tmp_path)
    text = xml.read_text()
    xml.write_text(text.replace('version="11"', 'version="7"', 1))
    refused("IR version 7", "no longer reads", "convert_model.py lightposenet")
    xml.write_text(text[: len(text) // 2])
    refused("net.xml")
    xml.write_text("this is no network")
    refused("expected OpenVINO's .xml")
    xml.unlink()
    refused("no such file")


def test_a_foreign_network_of_another_kind_is_refused(files, tmp_path):
    """71 channels given to pose, without rt_info to tell."""
    model = open_core().read_model(files / "face.xml")
    stripped = ov.Model(model.get_results(), model.get_parameters(), "foreign")
    ov.save_model(stripped, tmp_path / "foreign.xml", compress_to_fp16=False)
    text = (tmp_path / "foreign.xml").read_text()
    begin, end = text.find("<rt_info>"), text.rfind("</rt_info>") + len("</rt_info>")
    if "pose_toolkit" in text:
        (tmp_path / "foreign.xml").write_text(text[: text.rfind("<rt_info>")] + text[end:])
    assert begin != end
    process = run_script("pose_detectorIE.py", "posenet", "--xml", tmp_path / "foreign.xml", "--img", SCENE, "--out", tmp_path / "r.png")
    assert_refused(process, "posenet answers 38 and 19 channels", "got Mconv7_stage6 71", "another network")


# Networks of others


@needs_shared
@pytest.mark.parametrize(("arch", "path", "least"), [("human-pose-estimation-0001", OMZ, 0.43), ("mobilenet_v2_small", TF_POSE, 0.20)])
def test_average_precision_of_networks_of_others(arch, path, least):
    assert average_precision(PoseDetector(open_net(arch, path, precision="f32"))) >= least


@needs_shared
def test_input_scale_and_offset_can_be_named(tmp_path):
    """human-pose-estimation-0001 wants 0..255; called posenet, which is normalised, it must be told."""
    options = ("--img", SHARED / "samples" / "000000040083.jpg", "--out", tmp_path / "r.png", "--precision", "f32")
    numbers = [tmp_path / "a.json", tmp_path / "b.json"]
    assert run_script("pose_detectorIE.py", "human-pose-estimation-0001", "--xml", OMZ, *options, "--json", numbers[0]).returncode == 0
    scaled = ("--input_scale", "1", "--input_offset", "0")
    assert run_script("pose_detectorIE.py", "posenet", "--xml", OMZ, *options, *scaled, "--json", numbers[1]).returncode == 0
    people = [json.loads(path.read_text())["people"] for path in numbers]
    assert people[0] == people[1]
    assert len(people[0]) >= 2


# The comparison


@pytest.mark.parametrize("arch", ["lightposenet", "facenet"])
def test_comparison(files, tmp_path, arch):
    weights, picture = ((), SCENE) if arch == "lightposenet" else ((files / "face.npz",), ROOT / "data" / "face.png")
    xml = files / ("light.xml" if arch == "lightposenet" else "face.xml")
    out, numbers = tmp_path / "d.png", tmp_path / "d.json"
    process = run_script("pose_detectorIEbase.py", arch, *weights, "--img", picture, "--xml", xml, "--out", out, "--json", numbers)
    assert process.returncode == 0, process.stderr
    assert "stddev" in process.stdout
    drawn = cv2.imread(str(out))
    assert drawn.shape[0] > 300
    sought = cv2.imread(str(picture))[:5, :5].reshape(-1, 3).mean(0)  # a corner of the photo is to be seen
    assert (np.abs(drawn - sought).max(2) < 6).sum() > 300
    rows = {row["engine"]: row for row in json.loads(numbers.read_text())["engines"]}
    assert {"Chainer f32", "OpenVINO f32", "OpenVINO FP16 weights", str(xml)} <= set(rows)
    kinds = ("PAF", "heatmap") if arch == "lightposenet" else ("heatmap",)
    for name in ("OpenVINO f32", str(xml)):
        assert rows[name]["joints_in_common"] == rows[name]["joints"] == rows["Chainer f32"]["joints"]
        for kind in kinds:
            assert rows[name]["maps"][kind]["difference_max"] <= 1e-4
            assert rows[name]["maps"][kind]["difference_correlation"] > 0.999999
    assert rows["OpenVINO FP16 weights"]["maps"]["heatmap"]["difference_max"] > 1e-5


def test_comparing_maps():
    a = noise(3, 4, 5)
    assert compare_maps(a, a)[:2] == (0, 0)
    assert compare_maps(a, a).correlation == pytest.approx(1)
    difference = compare_maps(a, -a + 0.5)
    assert difference.correlation == pytest.approx(-1)
    assert difference.max == pytest.approx(np.abs(2 * a - 0.5).max())
    poses = np.zeros((2, 18, 3))
    poses[0, 4], poses[1, 4], poses[1, 5] = (10, 10, 2), (50, 10, 2), (70, 10, 2)
    moved = poses + (5, 5, 0)
    assert count_common(pose_points(poses), pose_points(moved * (poses[..., 2:] > 0))) == 3
    assert count_common(pose_points(poses), pose_points(moved[:1] * (poses[:1, :, 2:] > 0))) == 1
    assert count_common(pose_points(poses), pose_points(np.zeros((0, 18, 3)))) == 0


# Streams


@pytest.mark.parametrize("options", [{}, {"hint": "throughput"}, {"hint": "throughput", "streams": 2}, {"engine": "chainer"}], ids=str)
def test_a_stream_is_what_one_after_another_is_in_order(options):
    """Also where the sizes change in between."""
    scene = cv2.imread(str(SCENE))
    images = [np.roll(scene[: 400 - 40 * (n // 5)], 9 * n, axis=1) for n in range(15)]
    detector = PoseDetector(open_net("lightposenet", **options), short_side=256)
    streamed = list(detector.stream(images))
    assert len(streamed) == 15
    for image, (same, people) in zip(images, streamed, strict=True):
        assert same is image
        poses, scores = detector(image)
        np.testing.assert_allclose(people.poses, poses, atol=1e-3)
        np.testing.assert_allclose(people.scores, scores, atol=1e-4)


def test_a_stream_takes_no_more_than_it_can_work_on():
    """An endless source: the first answer comes, and only some pictures were taken by then."""
    taken = []

    def endless():
        for n in itertools.count():
            taken.append(n)
            yield n, noise(1, 3, 64, 64)

    stream = open_net("lightposenet").stream(endless())
    assert next(stream)[0] == 0
    assert len(taken) <= 8
    assert [next(stream)[0] for _ in range(5)] == [1, 2, 3, 4, 5]


def test_reading_ahead_keeps_order_bounds_and_errors():
    assert list(read_ahead(range(100), size=3)) == list(range(100))
    taken = []

    def source():
        for n in itertools.count():
            taken.append(n)
            yield n

    before = threading.active_count()
    reader = read_ahead(source(), size=3)
    assert next(reader) == 0
    time.sleep(0.3)
    assert len(taken) <= 6
    reader.close()
    end = time.monotonic() + PATIENCE
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() == before

    def broken():
        yield 1
        raise OSError("the camera is gone")

    reader = read_ahead(broken())
    assert next(reader) == 1
    with pytest.raises(OSError, match="the camera is gone"):
        next(reader)


def test_every_row_of_archs_is_ours_or_a_file():
    for name, row in ARCHS.items():
        assert row.task in ("pose", "face", "hand"), name
        assert (row.table is None) == (name in ("human-pose-estimation-0001", "mobilenet_v2_small"))


# What an attack found


def test_the_bin_beside_an_xml_is_not_overwritten(files, tmp_path):
    xml = copy_ir(files, tmp_path)
    before = xml.with_suffix(".bin").read_bytes()
    options = ("--img", SCENE, "--out", tmp_path / "r.png", "--json", tmp_path / "net.bin")
    assert_refused(run_script("pose_detectorIE.py", "lightposenet", "--xml", xml, *options), "net.bin", "in use already")
    assert_refused(run_script("pose_detectorIEbase.py", "lightposenet", "--xml", xml, *options), "net.bin", "in use already")
    assert xml.with_suffix(".bin").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("head2_out[0:38],head2_out[38:57]", "head2_out[0:57],head2_out[38:57]", "outputs that it states"),
        ("head2_out[0:38],head2_out[38:57]", "nolayer[0:38],other[0:19]", "outputs that it states"),
        ("head2_out[0:38],head2_out[38:57]", "", "outputs that it states"),
        ('<input_offset value="-0.5" />', '<input_offset value="abc" />', "input_offset is 'abc'"),
        ('<input_offset value="-0.5" />', '<input_offset value="nan" />', "input_offset is 'nan'"),
    ],
)
def test_damaged_facts_in_a_file_are_refused(files, tmp_path, old, new, words):
    xml = copy_ir(files, tmp_path)
    text = xml.read_text()
    assert old in text
    xml.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=words):
        open_net("lightposenet", xml)


def small_network(path, shape=(1, 3, 64, 64), channels=57, stride=8, fixed=False):
    """A network of one convolution, as a file; fixed: it can take one size only."""
    data = ops.parameter(ov.PartialShape(shape), np.float32, name="data")
    weights = np.zeros((channels, shape[1], stride, stride), np.float32)
    y = ops.convolution(data, ops.constant(weights), [stride] * 2, [0, 0], [0, 0], [1, 1])
    if fixed:
        y = ops.reshape(y, ops.constant(np.array([1, channels, 8, 8])), False)
    ov.save_model(ov.Model([ops.result(y)], [data], "small"), path)
    return path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shape": (1, 1, 64, 64)}, "expected pictures of 3 channels"),
        ({"channels": 56}, "answers 38 and 19 channels"),
        ({"stride": 4}, "expected a cell for each 8x8"),
        ({"fixed": True}, "made for one size"),
    ],
)
def test_networks_of_others_that_do_not_fit(tmp_path, options, words):
    path = small_network(tmp_path / "small.xml", **options)
    with pytest.raises(InputError, match=words):
        open_net("human-pose-estimation-0001", path)(noise(1, 3, 96, 128))


@pytest.mark.parametrize("device", ["CPU", "per shape"])
def test_a_network_for_one_size_refuses_the_picture_that_has_another(tmp_path, device):
    """It is looked at before the first picture only, and where something went wrong."""
    net = open_net("human-pose-estimation-0001", small_network(tmp_path / "small.xml", fixed=True))
    net.any_shape = device == "CPU"
    good, other = noise(1, 3, 64, 64), noise(1, 3, 96, 128)
    if device == "per shape":
        assert net(good)[0].shape == (1, 38, 8, 8)
    for ask in (net, lambda x: list(net.stream(iter([(0, good), (1, x)])))):
        with pytest.raises(InputError, match="made for one size"):
            ask(other)


def test_a_network_of_others_that_fits(tmp_path):
    pafs, heatmaps = open_net("human-pose-estimation-0001", small_network(tmp_path / "small.xml"))(noise(1, 3, 96, 128))
    assert (pafs.shape, heatmaps.shape) == ((1, 38, 12, 16), (1, 19, 12, 16))
