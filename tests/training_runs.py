"""What the tests of training share: short runs in this process, and what they leave."""

import json

import numpy as np

import train_coco_pose_estimation
from models import CocoPoseNet
from models.layers import Network

SHORT = ("--arch", "lightposenet", "--insize", "64", "--batchsize", "2", "--val_samples", "2", "--loaderjob", "0")
OFTEN = ("--interval", "2", "--val_interval", "2", "--log_interval", "1")
OF_THE_CLOCK = ("wait", "elapsed_time")


def arguments(coco, out, *options) -> list:
    """Of a short run; later options win."""
    return ["--coco_dir", str(coco), "--out", str(out), *SHORT, *OFTEN, *map(str, options)]


def train(coco, out, *options) -> int:
    """A run in this process."""
    return train_coco_pose_estimation.main(arguments(coco, out, *options))


def weights_of(path) -> dict:
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def log_of(out) -> list:
    """The entries of OUT/log without what the clock says."""
    entries = json.loads((out / "log").read_text())
    return [{name: value for name, value in entry.items() if name not in OF_THE_CLOCK} for entry in entries]


def assert_same_weights(first, second, tolerance=0.0):
    first, second = weights_of(first), weights_of(second)
    assert list(first) == list(second)
    for name, array in first.items():
        np.testing.assert_allclose(second[name], array, rtol=0, atol=tolerance, err_msg=name)


def assert_same_run(first, second, iteration):
    """Bit for bit."""
    assert (first / f"model_iter_{iteration}").read_bytes() == (second / f"model_iter_{iteration}").read_bytes()
    assert log_of(first) == log_of(second)


def narrow_posenet(patch):
    """Make posenet's table a sixteenth as wide, its answers excepted, until the MonkeyPatch `patch` is undone: a run takes a second, not minutes."""
    answers = {output.layer for stage in CocoPoseNet.STAGES for output in stage}

    def narrow(layers):
        return tuple(layer if layer.name in answers else layer._replace(channels=layer.channels // 16) for layer in layers)

    patch.setattr(CocoPoseNet, "NETWORK", Network(narrow(CocoPoseNet.LAYERS), CocoPoseNet.NETWORK.stages))
    patch.setattr(CocoPoseNet, "VGG19_LAYERS", narrow(CocoPoseNet.VGG19_LAYERS))


def files_in(folder) -> set:
    return {path.name for path in folder.iterdir()}
