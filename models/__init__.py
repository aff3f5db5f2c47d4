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
    """A row of ARCHS: how a network is fed and how its answer is read. x = picture * scale + offset."""

    task: str  # pose, face or hand
    table: str | None = None  # the module of models/ that holds NETWORK; None: a network of others, which comes as a file of OpenVINO
    scale: float = 1 / 255
    offset: float = -0.5
    decoding: Decoding = Decoding()
    weights: Path | None = None  # shipped with the project
    layout: str = "NCHW"  # of a network of others
    heatmaps_first: bool = False  # of a network of others with one output of 57 channels

    @property
    def network(self):
        return import_module(f"models.{self.table}").NETWORK


# Measured on coco/ val (models/README.md): without these LightPoseNet finds as many people, and invents seven times as many.
LIGHT_DECODING = Decoding(heatmap_peak_thresh=0.1, n_subset_limbs_thresh=5, subset_score_thresh=0.7, max_stretch=3)

ARCHS = {
    "posenet": Arch("pose", "CocoPoseNet"),
    "lightposenet": Arch("pose", "LightPoseNet", decoding=LIGHT_DECODING, weights=MODELS / "light_posenet.npz"),
    "facenet": Arch("face", "FaceNet", scale=1 / 256),
    "handnet": Arch("hand", "HandNet", scale=1 / 256),
    "human-pose-estimation-0001": Arch("pose", scale=1, offset=0),  # Open Model Zoo
    "mobilenet_v2_small": Arch("pose", scale=1, offset=0, layout="NHWC", heatmaps_first=True),  # tf-pose-estimation
}
FETCH_LIGHT = './getModels.sh --light fetches human-pose-estimation-0001 (README, "Weights")'
FETCH = {  # how a user gets weights that do not ship
    "posenet": './getModels.sh --body fetches it (README, "Weights"), and lightposenet needs none',
    "facenet": './getModels.sh --face fetches it (README, "Weights")',
    "handnet": './getModels.sh --hand fetches it (README, "Weights")',
}
OURS = tuple(name for name, row in ARCHS.items() if row.table)

VGG19 = "vgg19"  # not a network of its own: the layers of posenet that training takes from VGG-19


def shapes_of(arch) -> dict:
    """{"conv1_1/W": (64, 3, 3, 3), ...}: the parameters of a network of ARCHS, or of VGG19."""
    if arch == VGG19:
        return parameter_shapes(import_module("models.CocoPoseNet").VGG19_LAYERS)
    return parameter_shapes(ARCHS[arch].network.layers)


def other_shapes(arch) -> dict:
    """{name: shapes_of(name)} of every other network, to recognise their files."""
    return {name: shapes_of(name) for name in (*OURS, VGG19) if name != arch}


def open_net(
    arch, weights=None, *, engine="openvino", device=None, precision=None, threads=None, cache_dir=None, bin=None, scale=None, offset=None, **hints
):
    """A network with its weights, ready to run: net(x) -> tuple of arrays; net.arch is its row of ARCHS.

    arch: a name of ARCHS. weights: an npz, or for OpenVINO an .xml (with `bin` beside it or named), .onnx or .pb; None for those that ship.
    engine: "openvino" with device "CPU", precision "f32", "bf16", "f16", "int8" or None (the device's choice), threads, cache_dir (compiled
    models are kept there) and hints (models.openvino_net.OpenVinoNet); or "chainer" with device -1 (CPU) or the number of a GPU.
    scale, offset: of the input, where they are not the row's: x = picture * scale + offset.
    Raises InputError for anything that does not fit.
    """
    if arch not in ARCHS:
        raise InputError(f"unknown network {arch!r}: expected one of {', '.join(ARCHS)}")
    if engine not in ("openvino", "chainer"):
        raise InputError(f"unknown engine {engine!r}: expected openvino or chainer")
    row = ARCHS[arch]
    weights = row.weights if weights is None else weights
    if weights is None:
        raise InputError(f"{arch} needs weights, which do not ship with the project: name the file; {FETCH.get(arch, FETCH_LIGHT)}")
    from_npz = Path(weights).suffix.lower() not in (".xml", ".onnx", ".pb")
    if from_npz and bin is not None:
        raise InputError(f"{bin}: a .bin belongs to an .xml, got {weights}; name the .xml")
    if from_npz and row.table is None:
        raise InputError(f"{arch} comes as an .xml, .onnx or .pb file, got {weights}; name such a file")
    if engine == "chainer":
        if not from_npz:
            raise InputError(f"Chainer reads .npz weights, got {weights}; name an .npz, or use --engine openvino")
        from models.chainer_net import ChainerNet

        net = ChainerNet.of_weights(row.network, read_weights(weights, shapes_of(arch), other_shapes(arch)), -1 if device is None else device)
    else:
        from models.openvino_net import OpenVinoNet, build_model

        if from_npz:
            model, outputs = build_model(row.network, read_weights(weights, shapes_of(arch), other_shapes(arch)), arch), row.network.outputs
        else:
            from models.openvino_ir import read_model

            model, outputs, row = read_model(arch, row, weights, bin)
        net = OpenVinoNet(model, outputs, "CPU" if device is None else device, precision, threads, cache_dir, **hints)
    net.arch = row._replace(scale=row.scale if scale is None else scale, offset=row.offset if offset is None else offset)
    return net
