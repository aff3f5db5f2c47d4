"""The networks by name: what each is for, how it is fed, where its weights are."""

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from entity import Decoding
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
    layout: str = "NCHW"  # of a network of others
    heatmaps_first: bool = False  # of a network of others with one output of 57 channels
    input_size: int = 368  # pixels: the side of a face's or hand's crop, the usual short side of a photo

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
    "lightfacenet": Arch("face", "LightFaceNet", scale=1 / 256, weights=MODELS / "light_facenet.npz", input_size=192),
    "lighthandnet": Arch("hand", "LightHandNet", scale=1 / 256, weights=MODELS / "light_handnet.npz", input_size=192),
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
