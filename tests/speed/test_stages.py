"""What is measured is what it is called. Nothing here is timed."""

import cv2
import numpy as np
import pytest

from entity import Decoding
from keypoints.labels import cell_centers, make_heatmaps, make_pafs
from keypoints.paf import decode
from models import ARCHS
from models.layers import Network, Output, chain, conv, pool
from speed import clock
from speed.chart import write_chart
from speed.networks import operations, share_table
from speed.rows import Row
from speed.stages import PEOPLE, STAGES, decoding_jobs, made_up_poses


@pytest.mark.parametrize("count", PEOPLE)
def test_made_up_people_are_found_again(count):
    """So the growth with people is that of so many people."""
    size_wh = (736, 368)
    poses = made_up_poses(count, size_wh)
    maps = make_pafs(poses, *(cell_centers(side) for side in size_wh)), make_heatmaps(poses, *(cell_centers(side) for side in size_wh))
    found = decode(*maps, Decoding())
    assert abs(len(found) - count) <= count // 10
    jobs = decoding_jobs(*maps, Decoding())
    assert len(jobs["peaks"]()) >= 12 * count
    np.testing.assert_array_equal(jobs["grouping"]().confidences, found.confidences)


def test_operations_of_a_convolution(monkeypatch):
    """3x3, 3 to 4 channels, 16x8 pixels; half of that in each direction behind the pool."""
    layers = (*chain("data", conv("a", 4), pool("p"), conv("b", 2, 1)),)
    network = Network(layers, ((Output("b", 0, 2),),))
    monkeypatch.setitem(ARCHS, "tiny", type("Row", (), {"network": network, "table": "x"}))
    monkeypatch.setattr("speed.networks.shapes_of", lambda arch: {"a/W": (4, 3, 3, 3), "b/W": (2, 4, 1, 1)})
    assert operations("tiny", (16, 8)) == 2 * (16 * 8 * 4 * 27 + 8 * 4 * 2 * 4)


def test_jobs_are_measured_in_turn(monkeypatch):
    calls = []
    monkeypatch.setattr(clock.time, "sleep", lambda seconds: calls.append("rest"))
    measured = clock.timings({name: lambda name=name: calls.append(name) for name in "ab"}, 2)
    assert calls == ["rest", "a", "a", "rest", "b", "b"] * 2
    assert all(0 <= each.median <= each.high for each in measured.values())


def test_summary_of_ten_runs():
    assert clock.summary([each / 1000 for each in range(1, 12)]) == pytest.approx((6, 10))
    assert clock.summary([0.5]) == (500, 500)


def test_a_run_tells_its_own_memory(tmp_path):
    """Also where the one that starts it is larger."""
    ballast = np.ones(100 << 20, np.uint8)
    script = tmp_path / "s.py"
    script.write_text("")
    run = clock.run_script(script)
    assert run.seconds > 0
    assert run.megabytes < 90 < ballast.nbytes / 2**20
    script.write_text("raise SystemExit('no such thing')")
    with pytest.raises(RuntimeError, match="no such thing"):
        clock.run_script(script)


def test_shares_are_of_the_same_precision():
    row = Row("network", "light", "OpenVINO f32", 10.0, None, 1.0, {"arch": "light", "gflop": 1.0, "gflops": 100.0})
    text = share_table([row, row._replace(engine="Chainer f32")], {"f32": 400.0, "bf16": 800.0})
    assert "| light | f32 | 1.00 | 100 | 25 % |" in text
    assert text.count("| light |") == 1


@pytest.mark.parametrize("kind", [".png", ".svg"])
def test_chart_is_a_picture(tmp_path, kind):
    rows = [Row("picture", stage, "", 1.0 + number) for number, stage in enumerate(STAGES)]
    rows += [Row("network", f"{arch}, network 8x8", engine, 3.0, None, 1.0, {"arch": arch}) for arch in "ab" for engine in ("OpenVINO", "other")]
    path = tmp_path / f"chart{kind}"
    write_chart(path, rows, "a machine")
    if kind == ".png":
        assert min(cv2.imread(str(path)).shape[:2]) > 100
    else:
        text = path.read_text()
        assert "<svg" in text
