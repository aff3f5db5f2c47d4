"""train_coco_pose_estimation.py: short runs on a made-up COCO, resumed, killed, interrupted; what they leave is taken by the other scripts."""

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from caffe_files import caffemodel
from coco_files import make_coco
from conftest import PATIENCE, ROOT, seeded_weights
from training_runs import (
    OFTEN,
    SHORT,
    arguments,
    assert_same_run,
    assert_same_weights,
    files_in,
    log_of,
    narrow_posenet,
    train,
    weights_of,
)

import coco_data_loader
import evaluate_coco_pose
import pose_detector
import train_coco_pose_estimation
from evaluation import curves
from keypoints.augment import fit_matrix, warp
from models import ARCHS, VGG19, shapes_of
from models.weights import read_weights, write_weights
from streams.picture import read_image
from training import extensions

SHIPPED = ARCHS["lightposenet"].weights


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    root = make_coco(tmp_path_factory.mktemp("coco"))
    return make_coco(root, "val")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path_factory):
    """Compiled models are not kept in the home folder, and the picture of the curves, which takes longer than an iteration, is an empty file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(extensions, "plot_log", lambda _, path: path.write_bytes(b""))


@pytest.fixture
def narrow(monkeypatch):
    narrow_posenet(monkeypatch)


def options_of(*argv):
    return train_coco_pose_estimation.with_defaults(train_coco_pose_estimation.parser().parse_args([str(word) for word in argv]))


# Resumed


CASES = {
    "adam": (),
    "average, batch normalisation": ("--ema", "0.9", "--batch_normalisation"),
    "sgd, cosine": ("--optimizer", "sgd", "--schedule", "cosine", "--lr", "1e-3"),
    "posenet": ("--arch", "posenet", "--freeze", "3"),
    "posenet, thawed": ("--arch", "posenet", "--freeze", "1", "--ema", "0.9"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_in_two_parts_is_the_run_in_one(coco, tmp_path, narrow, case):
    """The parts meet between two entries of the log; the second one makes its samples in another process, where the network is trained with Adam."""
    one, two = tmp_path / "one", tmp_path / "two"
    options = ("--iteration", 5, "--interval", 3, "--log_interval", 2, *CASES[case])
    assert train(coco, one, *options) == 0
    two.mkdir()
    shutil.copy(one / "snapshot_iter_3", two)
    assert train(coco, two, *options, "--resume", "--loaderjob", int(case == "adam")) == 0
    assert_same_run(one, two, 5)
    assert [entry["iteration"] for entry in log_of(one)] == [2, 4, 5]
    before, after = weights_of(one / "model_iter_3"), weights_of(one / "model_iter_5")
    assert all((before[name] != after[name]).any() for name in before if name.endswith("/W"))


def test_each_validation_is_logged_at_its_own_iteration_and_so_is_the_end(coco, tmp_path):
    logs = []
    for name, interval in (("each", 1), ("seldom", 5)):
        assert train(coco, tmp_path / name, "--iteration", 7, "--val_interval", 3, "--log_interval", interval) == 0
        logs.append({entry["iteration"]: entry for entry in log_of(tmp_path / name)})
    each, seldom = logs
    assert list(seldom) == [3, 5, 6, 7]
    assert [n for n in seldom if "val/loss" in seldom[n]] == [n for n in each if "val/loss" in each[n]] == [3, 6]
    assert all(seldom[n]["val/loss"] == each[n]["val/loss"] for n in (3, 6))


def test_a_run_that_was_at_its_end_goes_on(coco, tmp_path):
    """Intervals are of iterations since the very beginning, wherever the run was resumed."""
    one, two = tmp_path / "one", tmp_path / "two"
    assert train(coco, one, "--iteration", 5) == 0
    assert train(coco, two, "--iteration", 3) == 0
    assert files_in(two) == {"log", "loss.png", *(f"{what}_iter_{n}" for what in ("model", "snapshot") for n in (2, 3))}
    assert train(coco, two, "--iteration", 5, "--resume") == 0
    assert_same_run(one, two, 5)
    assert [entry["iteration"] for entry in log_of(two) if "val/loss" in entry] == [2, 4]


def test_killed_at_any_moment_it_goes_on_from_the_last_snapshot(coco, tmp_path):
    out, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, str(ROOT / "train_coco_pose_estimation.py"), "--coco_dir", str(coco), "--out", str(out), *SHORT, *OFTEN]
    with subprocess.Popen([*command, "--iteration", "1000", "--interval", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + PATIENCE
        while not (out / "snapshot_iter_3").exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(np.random.default_rng().uniform(0, 0.3))
        process.kill()
        assert process.stderr.read() == b""
    snapshots = sorted(int(path.name.rpartition("_")[2]) for path in out.glob("snapshot_iter_*"))
    assert 1 <= len(snapshots) <= 4
    last = snapshots[-1]
    (out / f".snapshot_iter_{last + 1}.1.0.part").write_bytes((out / f"snapshot_iter_{last}").read_bytes()[:1000])
    options = ("--iteration", last + 2, "--interval", 1)
    assert train(coco, out, *options, "--resume") == 0
    assert train(coco, whole, *options) == 0
    assert_same_run(whole, out, last + 2)
    assert len(list(out.glob("snapshot_iter_*"))) == 3


def test_old_snapshots_are_removed(coco, tmp_path):
    for keep, kept in ((0, {1, 2, 3, 4}), (2, {3, 4})):
        out = tmp_path / str(keep)
        assert train(coco, out, "--iteration", 4, "--interval", 1, "--keep", keep) == 0
        assert {int(path.name.rpartition("_")[2]) for path in out.glob("snapshot_iter_*")} == kept
        assert len(list(out.glob("model_iter_*"))) == 4
    last = tmp_path / "0"
    (last / "snapshot_iter_4").rename(last / "snapshot_iter_9")  # of a run that went further: the newer one is not taken for an old one
    assert train(coco, last, "--iteration", 4, "--interval", 1, "--keep", 1, "--resume", last / "snapshot_iter_3") == 0
    assert {path.name for path in last.glob("snapshot_iter_*")} == {"snapshot_iter_4", "snapshot_iter_9"}


SIGNALLED = """
import os, sys
import train_coco_pose_estimation
from training.iterator import SampleIterator

def interrupt(self):
    if self.n_steps == {step}:
        for _ in range({times}):
            os.kill(os.getpid(), {number})
    return SampleIterator.__next__(self)

SampleIterator.next = interrupt
sys.exit(train_coco_pose_estimation.main(sys.argv[1:]))
"""


def train_signalled(coco, out, *options, step, number, times=1):
    """A run in a process of its own, which gets a signal when it asks for the batch of a step."""
    code = SIGNALLED.format(step=step, number=int(number), times=times)
    return subprocess.run([sys.executable, "-c", code, *arguments(coco, out, *options)], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_finishes_the_iteration_and_can_be_resumed(coco, tmp_path, number, status):
    out, whole = tmp_path / "interrupted", tmp_path / "whole"
    process = train_signalled(coco, out, "--iteration", 5, "--interval", 100, step=2, number=number)
    assert process.returncode == status, process.stderr
    assert process.stderr.count("\n") == 1
    assert "interrupted; this iteration is finished" in process.stderr
    assert "iteration 3 of 5, interrupted; --resume continues" in process.stdout
    assert {"snapshot_iter_3", "model_iter_3"} < files_in(out)
    assert train(coco, out, "--iteration", 5, "--resume") == 0
    assert train(coco, whole, "--iteration", 5) == 0
    assert_same_run(whole, out, 5)


def test_interrupted_twice_it_ends_at_once(coco, tmp_path):
    process = train_signalled(coco, tmp_path / "out", "--iteration", 5, "--interval", 100, step=1, number=signal.SIGINT, times=2)
    assert process.returncode == 130
    assert process.stderr.splitlines()[1:] == ["train_coco_pose_estimation.py: interrupted"]
    assert not any(name.startswith(("snapshot", "model")) for name in files_in(tmp_path / "out"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_in_the_first_iteration_it_ends_at_once(coco, tmp_path, number):
    """There is nothing to keep."""
    process = train_signalled(coco, tmp_path / "out", "--iteration", 5, step=0, number=number)
    assert process.returncode == 128 + number
    assert process.stderr.splitlines() == (["train_coco_pose_estimation.py: interrupted"] if number == signal.SIGINT else [])
    assert files_in(tmp_path / "out") == set()


# First weights


@pytest.mark.parametrize("name", ["vgg.npz", "vgg.caffemodel"])
def test_vggs_layers_and_no_others_come_from_vgg(tmp_path, narrow, name):
    shapes, path = shapes_of(VGG19), tmp_path / name
    vgg = seeded_weights(shapes)
    if name.endswith(".npz"):
        write_weights(path, vgg)
    else:
        path.write_bytes(caffemodel(vgg))
    weights = train_coco_pose_estimation.first_weights(options_of("--vgg", path))
    random = train_coco_pose_estimation.first_weights(options_of("--initmodel", write_random(tmp_path)))
    assert set(weights) == set(shapes_of("posenet"))
    assert len(vgg) == 20
    for key, array in weights.items():
        np.testing.assert_array_equal(array, (vgg if key in vgg else random)[key])


def write_random(tmp_path):
    """The file of posenet's random weights, those of the default seed."""
    from training.updater import initial_weights

    write_weights(tmp_path / "random.npz", initial_weights(shapes_of("posenet"), np.random.default_rng(0)))
    return tmp_path / "random.npz"


def test_without_vgg_a_line_says_so(coco, tmp_path, narrow, capsys, monkeypatch):
    monkeypatch.setattr(train_coco_pose_estimation, "MODELS", tmp_path)
    assert train(coco, tmp_path / "out", "--arch", "posenet", "--iteration", 1) == 0
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "./getModels.sh --vgg" in err


# What comes out


def test_a_short_run_from_the_shipped_weights_improves_them_and_all_scripts_take_it(coco, tmp_path, capsys, monkeypatch):
    """The pictures of train and val are the same three and nothing varies them: training brings the loss on them down."""
    monkeypatch.setattr(coco_data_loader, "augment", lambda image, mask, poses, *_: warp(image, mask, poses, fit_matrix((320, 240), 64), 64))
    monkeypatch.setattr(extensions, "plot_log", curves.plot_log)
    out = tmp_path / "out"
    options = ("--initmodel", SHIPPED, "--iteration", 8, "--val_interval", 1, "--lr", "3e-4", "--batchsize", 3, "--interval", 4, "--keep", 1)
    assert train(coco, out, *options, "--val_samples", 3, "--eval_interval", 8, "--eval_samples", 3) == 0
    log = log_of(out)
    assert [entry["iteration"] for entry in log] == list(range(1, 9))
    losses = [entry["val/loss"] for entry in log]
    assert (np.diff(losses) < 0).all()
    assert losses[-1] < 0.75 * losses[0]
    np.testing.assert_allclose([entry["main/loss"] for entry in log[1:]], losses[:-1], rtol=1e-5)
    for entry in log:
        assert entry["main/loss"] == pytest.approx(entry["main/paf"] + entry["main/heat"], rel=1e-4)
    assert [0 <= entry["AP"] <= 1 for entry in log if "AP" in entry] == [True]
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == 10
    assert shown.startswith("epoch")
    assert files_in(out) == {"log", "loss.png", "model_iter_4", "model_iter_8", "snapshot_iter_8"}
    assert read_image(out / "loss.png").std() > 5
    model = out / "model_iter_8"
    assert list(read_weights(model, shapes_of("lightposenet"))) == list(shapes_of("lightposenet"))
    picture, drawn, people = ROOT / "data" / "person.png", tmp_path / "drawn.png", tmp_path / "people.json"
    assert pose_detector.main(["lightposenet", str(model), "--img", str(picture), "--out", str(drawn), "--json", str(people)]) == 0
    assert json.loads(people.read_text())
    assert evaluate_coco_pose.main(["lightposenet", str(model), "--coco_dir", str(coco), "--out", str(tmp_path / "figures.json")]) == 0


def test_test_tries_everything_with_what_there_is(coco, tmp_path):
    """--test wants ten pictures to validate on; three are there, and enough."""
    argv = ["--test", "--arch", "lightposenet", "--insize", "64", "--batchsize", "1", "--loaderjob", "0"]
    assert train_coco_pose_estimation.main([*argv, "--coco_dir", str(coco), "--out", str(tmp_path)]) == 0
    assert [entry["iteration"] for entry in log_of(tmp_path)] == list(range(1, 11))
    assert {"model_iter_5", "model_iter_10", "snapshot_iter_10", "loss.png"} < files_in(tmp_path)


def test_the_running_average_is_what_is_saved(coco, tmp_path):
    plain, averaged = tmp_path / "plain", tmp_path / "averaged"
    assert train(coco, plain, "--iteration", 3, "--interval", 1, "--lr", "1e-3") == 0
    assert train(coco, averaged, "--iteration", 3, "--interval", 1, "--lr", "1e-3", "--ema", "0.9") == 0
    steps = [weights_of(plain / f"model_iter_{n}")["fuse/W"] for n in (1, 2, 3)]
    first = weights_of(averaged / "model_iter_1")["fuse/W"]
    expected = first
    for n, step in enumerate(steps[1:], 1):
        decay = (1 + n) / (10 + n)
        expected = decay * expected + (1 - decay) * step
    np.testing.assert_allclose(weights_of(averaged / "model_iter_3")["fuse/W"], expected, rtol=0, atol=1e-7)
    assert np.abs(expected - steps[-1]).max() > 1e-5


def test_the_same_seed_gives_the_same_weights(coco, tmp_path):
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        assert train(coco, tmp_path / name, "--iteration", 1, "--seed", seed) == 0
    assert_same_weights(tmp_path / "one" / "model_iter_1", tmp_path / "two" / "model_iter_1")
    with pytest.raises(AssertionError):
        assert_same_weights(tmp_path / "one" / "model_iter_1", tmp_path / "three" / "model_iter_1")
