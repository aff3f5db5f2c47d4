"""The networks by name: what each is for, how it is fed, where its weights are."""

import zipfile
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from entity import FACE_PEAK_THRESH, Decoding
from models.layers import parameter_shapes

MODELS = Path(__file__).parent


class Arch(NamedTuple):
    """A row of ARCHS: how a network is fed and how its answer is read. x = picture * scale + offset."""

    task: str  # pose, face or hand
    table: str | None = None  # the module of models/ that holds NETWORK; None: a network of others, which comes as a file of OpenVINO
    scale: float = 1 / 255
    offset: float = -0.5
    decoding: Decoding = Decoding()
    weights: Path | None = None  # shipped with the project
    fetched: Path | None = None  # where getModels.sh leaves them
    quantised: Path | None = None  # the weights that ship, in INT8, as an .xml: for CPUs that gain from it
    layout: str = "NCHW"  # of a network of others
    heatmaps_first: bool = False  # of a network of others with one output of 57 channels
    output_names: tuple = ()  # of a network of others: what its file calls its outputs
    point_thresh: float = FACE_PEAK_THRESH  # a face's or hand's point whose peak is lower is left out
    sure: float = 0.0  # the share of a face's or hand's points that must be found: with fewer there is none
    input_size: int = 368  # pixels: the side of a face's or hand's crop, the usual short side of a photo

    @property
    def at_hand(self):
        """The weights that ship, or were fetched; None: they must be named."""
        return self.weights or (self.fetched if self.fetched and self.fetched.is_file() else None)

    @property
    def network(self):
        return import_module(f"models.{self.table}").NETWORK


def _shipped(name):
    """The weights of a network that ships."""
    return {"weights": MODELS / f"{name}.npz", "quantised": MODELS / f"{name}_int8.xml"}


# Measured on coco/ val (models/README.md): without these LightPoseNet finds as many people, and invents seven times as many.
LIGHT_DECODING = Decoding(heatmap_peak_thresh=0.1, n_subset_limbs_thresh=5, subset_score_thresh=0.7, max_stretch=3)
# Measured by distil/score.py (models/README.md): right points stay, and in crops without a face or hand next to nothing is drawn.
LIGHT_FACE = {"input_size": 192, "point_thresh": 0.4, "sure": 0.5}
LIGHT_HAND = {"input_size": 192, "point_thresh": 0.45, "sure": 0.7}

ARCHS = {
    "posenet": Arch("pose", "CocoPoseNet", fetched=MODELS / "coco_posenet.npz"),
    "lightposenet": Arch("pose", "LightPoseNet", decoding=LIGHT_DECODING, **_shipped("light_posenet")),
    "facenet": Arch("face", "FaceNet", scale=1 / 256, fetched=MODELS / "facenet.npz"),
    "handnet": Arch("hand", "HandNet", scale=1 / 256, fetched=MODELS / "handnet.npz"),
    "lightfacenet": Arch("face", "LightFaceNet", scale=1 / 256, **_shipped("light_facenet"), **LIGHT_FACE),
    "lighthandnet": Arch("hand", "LightHandNet", scale=1 / 256, **_shipped("light_handnet"), **LIGHT_HAND),
    "human-pose-estimation-0001": Arch(  # Open Model Zoo
        "pose", scale=1, offset=0, fetched=MODELS / "human-pose-estimation-0001.xml", output_names=("Mconv7_stage2_L1", "Mconv7_stage2_L2")
    ),
    "mobilenet_v2_small": Arch(  # tf-pose-estimation
        "pose", scale=1, offset=0, layout="NHWC", heatmaps_first=True, output_names=("Openpose/concat_stage7",)
    ),
}
FETCH_LIGHT = "./getModels.sh --light fetches human-pose-estimation-0001 (docs/networks.md)"
FETCH = {  # how a user gets weights that do not ship
    "posenet": "./getModels.sh --body fetches it (docs/networks.md), and lightposenet needs none",
    "facenet": "./getModels.sh --face fetches it (docs/networks.md)",
    "handnet": "./getModels.sh --hand fetches it (docs/networks.md)",
}
PREFERRED = {  # task -> networks, the best one first; the last one ships
    "pose": ("posenet", "human-pose-estimation-0001", "lightposenet"),
    "face": ("facenet", "lightfacenet"),
    "hand": ("handnet", "lighthandnet"),
}
OURS = tuple(name for name, row in ARCHS.items() if row.table)

VGG19 = "vgg19"  # not a network of its own: the layers of posenet that training takes from VGG-19


def names_of(task) -> tuple:
    """The networks for a task: "pose", "face" or "hand"."""
    return tuple(name for name, row in ARCHS.items() if row.task == task)


def choose(task, weights=None) -> str:
    """The name of the network for a task where none is named: the best one whose weights are at hand. Where only weights are named, the one whose
    layers an .npz has (engines.choose_net knows other files too); of what is no .npz the task's first one, and opening it says what is wrong.
    """
    if weights is None:
        return next(name for name in PREFERRED[task] if ARCHS[name].at_hand)
    try:
        with zipfile.ZipFile(weights) as file:
            layers = {name.removesuffix(".npy") for name in file.namelist()}
    except Exception:  # whatever it is: opening it says so
        layers = set()
    names = [name for name in names_of(task) if ARCHS[name].table]
    return next((name for name in names if layers == set(shapes_of(name))), names[0])


def names_of_outputs(arch) -> set:
    """What a file of this network of ARCHS calls its outputs."""
    row = ARCHS[arch]
    return {output.layer for output in row.network.outputs} if row.table else set(row.output_names)


def recognise(task, path, outputs) -> tuple:
    """The networks for a task that a file may hold which does not say so: those whose outputs are called as its are (`outputs`, a set of names),
    and where there is none, the one whose name its own (`path`) begins with; () for a network that nobody knows.
    """
    names, stem = names_of(task), Path(path).stem.lower()
    return tuple(name for name in names if names_of_outputs(name) <= outputs) or tuple(name for name in names if stem.startswith(name))


def shapes_of(arch) -> dict:
    """{"conv1_1/W": (64, 3, 3, 3), ...}: the parameters of a network of ARCHS, or of VGG19."""
    if arch == VGG19:
        return parameter_shapes(import_module("models.CocoPoseNet").VGG19_LAYERS)
    return parameter_shapes(ARCHS[arch].network.layers)


def other_shapes(arch) -> dict:
    """{name: shapes_of(name)} of every other network, to recognise their files."""
    return {name: shapes_of(name) for name in (*OURS, VGG19) if name != arch}
