"""train_coco_pose_estimation.py with ChainerMN: two processes on this machine are one with twice the batch, and end together."""

import mpi
import pytest
from coco_files import make_coco
from conftest import ROOT
from training_runs import OFTEN, SHORT, assert_same_weights, files_in, log_of, train

pytestmark = mpi.needs_mpi


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    root = make_coco(tmp_path_factory.mktemp("coco"))
    return make_coco(root, "val")


def train_by_two(coco, out, *options):
    """The run of two processes -> CompletedProcess. One thread each: they share this machine's cores."""
    script = [ROOT / "train_coco_pose_estimation.py", "--coco_dir", coco, "--out", out, "--communicator", "naive"]
    return mpi.run(2, *script, *SHORT, *OFTEN, *options)


CASES = {  # options and what the weights may differ by
    "average": (("--ema", "0.9"), 1e-6),
    "batch normalisation": (
        ("--batch_normalisation",),
        0.03,
    ),  # the running variance is corrected by n / (n - 1), n of one process: 64
}


@pytest.mark.parametrize("case", CASES)
def test_two_processes_are_one_with_twice_the_batch(coco, tmp_path, case):
    """SGD: Adam's first steps are the gradients' signs, and so more than rounding where a gradient is almost 0."""
    options, tolerance = CASES[case]
    one, two = tmp_path / "one", tmp_path / "two"
    options = ("--iteration", 3, "--optimizer", "sgd", *options)
    process = train_by_two(coco, two, *options, "--batchsize", 1)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.count("\n") == 5  # the table is the first one's
    assert train(coco, one, *options, "--batchsize", 2) == 0
    assert_same_weights(one / "model_iter_3", two / "model_iter_3", tolerance)
    assert files_in(one) == files_in(two)
    for first, second in zip(log_of(one), log_of(two), strict=True):
        assert first["rate"] == second["rate"]
        assert ("val/loss" in first) == ("val/loss" in second)
        if "val/loss" in first:
            assert second["val/loss"] == pytest.approx(first["val/loss"], rel=max(2e-6, tolerance))


def test_two_processes_resume_together_and_not_as_one(coco, tmp_path, capsys):
    out, options = tmp_path / "out", ("--optimizer", "sgd", "--batchsize", 1)
    assert train(coco, tmp_path / "one", "--optimizer", "sgd", "--iteration", 4) == 0
    for more in (("--iteration", 2), ("--iteration", 4, "--resume")):
        process = train_by_two(coco, out, *options, *more)
        assert (process.returncode, process.stderr) == (0, "")
    assert_same_weights(tmp_path / "one" / "model_iter_4", out / "model_iter_4", 1e-6)
    assert train(coco, out, *options, "--iteration", 6, "--resume") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "the number of processes was 2, got 1" in err


def test_where_one_of_them_fails_all_end(coco, tmp_path):
    """The first one alone finds out that there is nobody to measure AP on; the other waits in the first iteration."""
    lonely = make_coco(tmp_path / "coco")
    make_coco(lonely, "val")
    (lonely / "val2017" / "000000000005.jpg").unlink()  # a picture without people, of which training takes no notice
    process = train_by_two(lonely, tmp_path / "out", "--iteration", 3, "--eval_interval", 2)
    assert process.returncode != 0
    assert "main/loss" not in process.stdout
    assert process.stderr.count("train_coco_pose_estimation.py: ") == 1  # beside what MPI itself says
    assert "000000000005.jpg" in process.stderr


def test_each_of_them_needs_a_picture_to_validate_on(coco, tmp_path):
    process = train_by_two(coco, tmp_path / "out", "--iteration", 3, "--val_samples", 1)
    assert process.returncode == 2
    assert "--val_samples 1: expected one at least for each of the 2 processes" in process.stderr
    assert "Traceback" not in process.stderr
