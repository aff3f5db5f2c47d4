"""benchmark.py runs, names the machine, and puts its table where it is told; the peers compute what we compute. Nothing here is timed."""

import json
import re

import cv2
import numpy as np
import pytest
from conftest import SHARED, assert_refused, needs_shared, run_script, seeded_weights

from engines import open_net
from engines.peers import PEERS, ROUGH_PEERS, same
from models import ARCHS, shapes_of
from models.weights import read_weights

QUICK = ("--quick", "--arch", "lightposenet", "--repeats", "1", "--size", "64")


def test_table_goes_between_the_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nafter\n")
    process = run_script("benchmark.py", *QUICK, "--update", page, "--json", tmp_path / "x.json", "--chart", tmp_path / "x.svg")
    assert process.returncode == 0, process.stderr
    text = page.read_text()
    document = json.loads((tmp_path / "x.json").read_text())
    assert {row["part"] for row in document["rows"]} == {"network", "picture", "run"}
    assert set(document["growth"]["people"]) == {"1 person", "5 people", "20 people"}
    assert document["peaks"]["f32"] > 0
    assert "</svg>" in (tmp_path / "x.svg").read_text()
    assert text.startswith("before\n<!-- benchmark -->\n| stage | engine |")
    assert text.endswith("<!-- /benchmark -->\nafter\n")
    assert "old" not in text
    stages = ("read (a picture of 720x400", "prepare", "peaks", "connections", "grouping", "draw", "write", "read to drawn", "one picture")
    for words in ("lightposenet, network 64x64 | Chainer f32", "OpenVINO int8", "OpenCV DNN f32", *stages, "Measured on", "cores"):
        assert words in text


@needs_shared
def test_rows_of_videos_and_training(tmp_path):
    """The whole way of a video, and training, are measured too; the share of waiting is a share."""
    video = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for grey in range(5):
        video.write(np.full((48, 64, 3), grey, np.uint8))
    video.release()
    cv2.imwrite(str(tmp_path / "1.png"), np.full((48, 64, 3), 90, np.uint8))
    process = run_script("benchmark.py", *QUICK, "--video", tmp_path / "v.avi", "--photos", tmp_path, "--coco_dir", SHARED / "coco")
    assert process.returncode == 0, process.stderr
    assert "| folder of 1 photos to JSONL" in process.stdout
    assert "| video, 5 frames, read to drawn" in process.stdout
    assert "| video, 5 frames, start to end with tracking, drawing and .mp4" in process.stdout
    assert "| video, 5 frames, the same with faces and hands" in process.stdout
    speed, share = re.search(r"training lightposenet, .* \((.*) images/s; (.*) % of it waiting", process.stdout).groups()
    assert float(speed) > 0
    assert 0 <= float(share) <= 100


def test_bad_input(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no markers")
    assert_refused(run_script("benchmark.py", "--size", "100"), "multiple of 8")
    assert_refused(run_script("benchmark.py", "--update", tmp_path / "nosuch.md"), "nosuch.md", "no such file")
    assert_refused(run_script("benchmark.py", "--img", tmp_path / "nosuch.png"), "nosuch.png", "no such file")
    assert_refused(run_script("benchmark.py", "--chart", tmp_path / "x.pdf"), "x.pdf", ".svg")
    assert_refused(run_script("benchmark.py", "--json", tmp_path), "expected a file's name")
    assert_refused(run_script("benchmark.py", "--video", tmp_path / "nosuch.avi"), "nosuch.avi", "no such file")
    assert_refused(run_script("benchmark.py", "--photos", tmp_path / "nosuch"), "nosuch", "folder")
    assert_refused(run_script("benchmark.py", "--calibration", tmp_path / "nosuch"), "nosuch", "folder")
    assert_refused(run_script("benchmark.py", "--coco_dir", tmp_path), "annotations", "getData.sh")
    process = run_script("benchmark.py", *QUICK, "--update", page)
    assert process.returncode == 2
    assert "markers" in process.stderr
    assert page.read_text() == "no markers"


@pytest.mark.parametrize("name", PEERS)
def test_peers_compute_what_we_compute(name):
    weights = read_weights(ARCHS["lightposenet"].weights, shapes_of("lightposenet"))
    try:
        peer = PEERS[name](ARCHS["lightposenet"].network, weights)
    except ModuleNotFoundError as error:
        pytest.skip(f"{name}: {error.name} is not installed")
    x = np.random.default_rng(0).random((1, 3, 64, 104), dtype=np.float32) - 0.5
    assert same(peer(x), open_net("lightposenet", precision="f32")(x))


def test_peer_in_half_precision_is_near():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    weights = read_weights(ARCHS["lightposenet"].weights, shapes_of("lightposenet"))
    x = np.random.default_rng(0).random((1, 3, 64, 104), dtype=np.float32) - 0.5
    for rough, exact in zip(
        ROUGH_PEERS["PyTorch bf16"](ARCHS["lightposenet"].network, weights)(x), open_net("lightposenet", precision="f32")(x), strict=True
    ):
        assert 0 < np.abs(rough - exact).max() < 0.05


def test_peers_pool_as_we_do():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network, weights = ARCHS["facenet"].network, seeded_weights(shapes_of("facenet"))
    x = np.random.default_rng(0).random((1, 3, 64, 64), dtype=np.float32) - 0.5
    assert PEERS["PyTorch f32"](network, weights)(x)[0].shape == (1, 71, 8, 8)
