"""The networks by name, and the one way to open one.

    net = open_net("lightposenet")
    pafs, heatmaps = net(x)  # x (N, 3, H, W) float32, normalised -> (N, 38, H/8, W/8), (N, 19, H/8, W/8)

A face or hand network answers `(heatmaps,)`. Engines are imported when they are used, so one of them may be missing.
"""

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from entity import Decoding
from errors import InputError
from models.layers import parameter_shapes
from models.weights import read_weights

MODELS = Path(__file__).parent


class Arch(NamedTuple):
    """A row of ARCHS. x = picture / divisor - 0.5."""

    table: str  # the module of models/ that holds NETWORK
    task: str  # pose, face or hand
    divisor: float
    decoding: Decoding = Decoding()
    weights: Path | None = None  # shipped with the project

    @property
    def network(self):
        return import_module(f"models.{self.table}").NETWORK


# Measured on coco/ val (models/README.md): without these LightPoseNet finds as many people, and invents seven times as many.
LIGHT_DECODING = Decoding(heatmap_peak_thresh=0.1, n_subset_limbs_thresh=5, subset_score_thresh=0.7)

ARCHS = {
    "posenet": Arch("CocoPoseNet", "pose", 255),
    "lightposenet": Arch("LightPoseNet", "pose", 255, LIGHT_DECODING, MODELS / "light_posenet.npz"),
    "facenet": Arch("FaceNet", "face", 256),
    "handnet": Arch("HandNet", "hand", 256),
}


VGG19 = "vgg19"  # not a network of its own: the layers of posenet that training takes from VGG-19


def shapes_of(arch) -> dict:
    """{"conv1_1/W": (64, 3, 3, 3), ...}: the parameters of a network of ARCHS, or of VGG19."""
    if arch == VGG19:
        return parameter_shapes(import_module("models.CocoPoseNet").VGG19_LAYERS)
    return parameter_shapes(ARCHS[arch].network.layers)


def other_shapes(arch) -> dict:
    """{name: shapes_of(name)} of every other network, to recognise their files."""
    return {name: shapes_of(name) for name in (*ARCHS, VGG19) if name != arch}


def open_net(arch, weights=None, *, engine="openvino", device=None, precision=None, threads=None, cache_dir=None):
    """A network with its weights, ready to run: net(x) -> tuple of arrays; net.arch is its row of ARCHS.

    arch: a name of ARCHS. weights: an npz; None for the ones that ship with the project.
    engine: "openvino" with device "CPU", precision "f32", "bf16", "f16" or None (the device's choice), threads and cache_dir (compiled models
    are kept there); or "chainer" with device -1 (CPU) or the number of a GPU.
    Raises InputError for anything that does not fit.
    """
    if arch not in ARCHS:
        raise InputError(f"unknown network {arch!r}: expected one of {', '.join(ARCHS)}")
    if engine not in ("openvino", "chainer"):
        raise InputError(f"unknown engine {engine!r}: expected openvino or chainer")
    row = ARCHS[arch]
    if weights is None and row.weights is None:
        raise InputError(f'{arch} needs weights, which do not ship with the project: name an .npz (README, "Weights"), or use lightposenet')
    parameters = read_weights(weights or row.weights, shapes_of(arch), other_shapes(arch))
    if engine == "chainer":
        from models.chainer_net import ChainerNet

        net = ChainerNet(row.network, parameters, -1 if device is None else device)
    else:
        from models.openvino_net import OpenVinoNet

        net = OpenVinoNet(row.network, parameters, device or "CPU", precision, threads, cache_dir)
    net.arch = row
    return net
