"""Who may import whom, and nothing happens on import: the rules of the house, read with `ast`, each shown to bite."""

import ast
import sys
from pathlib import PurePosixPath
from typing import NamedTuple

import pytest
from conftest import ROOT

from models import ARCHS

SHARED_MODULES = {"entity", "errors", "files", "parts", "process", "session", "silence"}  # beside the scripts, imported by everybody
COMMAND_LINE = {"cli", "cli_network", "cli_streams"}  # beside the scripts, imported by them alone
TABLES = {f"models.{row.table}" for row in ARCHS.values() if row.table}
BELOW = {  # room -> the rooms that it may import
    "keypoints": set(),
    "models": set(),
    "engines": {"models", "keypoints"},
    "streams": {"engines", "models", "keypoints"},
    "evaluation": {"streams", "engines", "models", "keypoints"},
    "page": {"evaluation", "streams", "engines", "models", "keypoints"},
    "training": {"evaluation", "streams", "engines", "models", "keypoints"},
    "speed": {"evaluation", "streams", "engines", "models", "keypoints"},
    "distil": {"evaluation", "streams", "engines", "models", "keypoints"},
}
SCRIPT_ROOMS = {"data", "distil"}  # they hold scripts of their own

# What a file may import beyond the standard library; a package stands for what is in it. A file not listed may import what the other rules allow.
MAY_IMPORT = {
    "entity.py": {"numpy"},
    "errors.py": {"numpy"},
    "files.py": {"numpy", "errors", "parts"},
    "parts.py": set(),
    "process.py": set(),
    "session.py": {"process"},
    "silence.py": set(),
    "cli.py": {"argparse", *SHARED_MODULES},
    "cli_network.py": {"cli", "models", *SHARED_MODULES},
    "cli_streams.py": {"cli", "streams.durations", "streams.frames", "streams.selection", "streams.wanted", *SHARED_MODULES},
    "keypoints/*.py": {"numpy", "cv2", "scipy", "keypoints", *SHARED_MODULES},
    "streams/heic.py": {"numpy", "pillow_heif", *SHARED_MODULES},
    "streams/ffmpeg.py": {"imageio_ffmpeg", "streams.capture"},
    "streams/shared.py": {"mpi4py", "streams", *SHARED_MODULES},
    "streams/cores.py": {"cv2", "threadpoolctl", "engines.processor"},
    "streams/*.py": {"numpy", "cv2", "tqdm", "streams", *BELOW["streams"], *SHARED_MODULES},
    "speed/*.py": {"numpy", "cv2", "matplotlib", "speed", *BELOW["speed"], *SHARED_MODULES},
    "evaluation/*.py": {"numpy", "cv2", "tqdm", "matplotlib", "pycocotools", "evaluation", *BELOW["evaluation"], *SHARED_MODULES},
    "models/layers.py": set(),
    "models/light.py": {"models.layers"},
    **{f"{table.replace('.', '/')}.py": {"models.layers", "models.light", *TABLES} for table in TABLES},
}

# Who may import these, and at the top of a file the modules of engines/ and training/ that import them in their turn.
CHAINERS = ("engines/chainer_*.py", "training/*.py", "train_coco_pose_estimation.py")
ONLY_IN = {
    "argparse": ("cli.py",),
    "chainer": CHAINERS,
    "chainermn": CHAINERS,
    "cupy": CHAINERS,
    "mpi4py": ("streams/shared.py",),
    "openvino": ("engines/openvino_*.py", "IEbase.py", "convert_model.py"),
    "pycocotools": ("*.py", "evaluation/coco_ap.py"),  # the scripts of the root folder
    "matplotlib": ("*.py", "evaluation/*.py", "speed/chart.py"),
    "nncf": ("engines/openvino_*.py", "convert_model.py"),
    "distil": ("distil/*.py",),
    "torch": ("distil/*.py", "engines/peers.py"),
    **dict.fromkeys(("gradio", "uvicorn", "fastapi", "starlette"), ("web_demo.py",)),
    "mediapipe": ("distil/mediapipe_teacher.py",),
}
ENGINE_MODULES = {"engines.chainer_": "chainer", "engines.openvino_": "openvino"} | dict.fromkeys(
    (f"training.{name}" for name in ("run", "updater", "adam", "extensions", "iterator", "snapshot")), "chainer"
)
ENGINE_NAMES = {"chainer": "chainer", "ov": "openvino", "openvino": "openvino"}  # as engines/ calls them: not to be handed on


class Import(NamedTuple):
    """`import module`, or `from module import name`."""

    module: str
    name: str | None
    at_top: bool  # when the file is imported, not when a function of it runs


def imports(path, tree):
    """The imports of a file, those in functions too, and import_module("...")."""
    inner = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.walk(node)
        if child is not node
    }
    for node in ast.walk(tree):
        at_top = id(node) not in inner
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, None, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                package = PurePosixPath(path).parts[: -node.level]
                module = ".".join([*package, *([node.module] if node.module else [])])
            yield from (Import(module, alias.name, at_top) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield Import(node.args[0].value, None, at_top)


def matches(path, patterns):
    return any(PurePosixPath(path).match(pattern) and path.count("/") == pattern.count("/") for pattern in patterns)


def is_one_of(item, modules):
    """Is what is imported one of the modules, or in one of them?"""
    names = {item.module, f"{item.module}.{item.name}"}
    return any(name == module or name.startswith(f"{module}.") for name in names for module in modules)


def import_faults(path, tree, scripts):
    allowed = next((modules for pattern, modules in MAY_IMPORT.items() if matches(path, [pattern])), None)
    for item in imports(path, tree):
        top = item.module.split(".")[0]
        shown = f"from {item.module} import {item.name}" if item.name else f"import {item.module}"
        if item.name == "*":
            yield f"{shown}: star import"
        if allowed is not None and top not in sys.stdlib_module_names and not is_one_of(item, allowed):
            yield f"{shown}: may import only the standard library{''.join(f', {name}' for name in sorted(allowed))}"
        if top in ONLY_IN and not matches(path, ONLY_IN[top]):
            yield f"{shown}: only in {', '.join(ONLY_IN[top])}"
        room = path.split("/")[0] if "/" in path else None
        if room in BELOW and top in BELOW and top != room and top not in BELOW[room]:
            yield f"{shown}: {room} stands below {top}"
        if top in COMMAND_LINE and room is not None and room not in SCRIPT_ROOMS:
            yield f"{shown}: only scripts know the command line"
        for prefix, engine in ENGINE_MODULES.items():
            if not is_engine_module(item, prefix) or matches(path, ONLY_IN[engine]):
                continue
            if item.at_top:
                yield f"{shown}: engines are imported where they are used, inside a function"
            if ENGINE_NAMES.get(item.name) == engine:
                yield f"{shown}: {engine} only in {', '.join(ONLY_IN[engine])}"
        if top in scripts:
            if "/" in path:
                yield f"{shown}: only scripts import a script"
            elif not (item.name or "").endswith(("Detector", "DataLoader")):
                yield f"{shown}: a script gives its Detector or DataLoader class, nothing else"


def is_engine_module(item, prefix):
    return item.module.startswith(prefix) or f"{item.module}.{item.name}".startswith(prefix)


def path_faults(tree):
    """sys.path is left alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "path" and isinstance(node.value, ast.Name) and node.value.id == "sys":
            yield f"line {node.lineno}: sys.path"
        if isinstance(node, ast.ImportFrom) and node.module == "sys" and any(alias.name == "path" for alias in node.names):
            yield f"line {node.lineno}: sys.path"
        if isinstance(node, ast.Attribute) and node.attr == "addsitedir":
            yield f"line {node.lineno}: site.addsitedir changes sys.path"


BEGINNING = "process.py"  # the one file that does something when it is imported: its last statement, below this test
STARTED = "was_started_here()"
DEFINITIONS = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def statement_faults(tree):
    """Imports, assignments, functions, classes, the docstring, and the guard of main: nothing else stands at the left margin."""
    for number, node in enumerate(tree.body):
        is_docstring = number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        is_guard = isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" and not node.orelse
        if not (isinstance(node, DEFINITIONS) or is_docstring or is_guard):
            yield f"line {node.lineno}: happens on import: {ast.unparse(node).splitlines()[0]}"


def is_script(path):
    """Does a person run it? The .py files of the root folder but the shared modules, and those of data/."""
    return path.startswith("data/") or ("/" not in path and path.removesuffix(".py") not in SHARED_MODULES | COMMAND_LINE)


def faults(path, source, scripts=()) -> list:
    """How a file breaks the rules. path: relative to the root, with slashes; scripts: the modules that are scripts of the root."""
    tree = ast.parse(source, path)
    found = [*import_faults(path, tree, set(scripts)), *path_faults(tree)]
    if path == BEGINNING and isinstance(tree.body[-1], ast.If) and ast.unparse(tree.body[-1].test) == STARTED:
        del tree.body[-1]
    if "/" not in path or path.startswith(("data/", "keypoints/", "streams/", "evaluation/", "page/", "speed/", "distil/")):
        found += statement_faults(tree)
    return found


def is_scanned(path):
    folders = path.relative_to(ROOT).parts[:-1]
    return not any(folder.startswith((".", "_")) or folder in ("tests", "venv", "build", "dist", "coco") for folder in folders)


FILES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py")) if is_scanned(path)}
SCRIPTS = {path.removesuffix(".py") for path in FILES if "/" not in path and is_script(path)}


def test_the_files_are_there():
    assert {"pose_detector.py", "entity.py", "errors.py", "cli.py", "keypoints/paf.py", "models/layers.py"} <= set(FILES)
    assert {f"{table.replace('.', '/')}.py" for table in TABLES} <= set(FILES)
    assert {"engines/chainer_net.py", "engines/openvino_net.py", "models/__init__.py"} <= set(FILES)
    assert "pose_detector" in SCRIPTS
    assert not SCRIPTS & SHARED_MODULES
    assert not any(path.startswith(("tests/", ".venv/")) for path in FILES)


@pytest.mark.parametrize("path", FILES)
def test_rules_are_kept(path):
    assert faults(path, FILES[path].read_text(encoding="utf-8"), SCRIPTS) == []


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_script_begins_with_its_process(script):
    """What process.py does is for the time in which the others are imported."""
    first = next(node for node in ast.parse(FILES[f"{script}.py"].read_text(encoding="utf-8")).body if not isinstance(node, ast.Expr))
    assert ast.unparse(first) == "import process"


BREACHES = [
    ("entity.py", "import cv2", "may import only"),
    ("entity.py", "from errors import InputError", "may import only"),
    ("errors.py", "import cli", "may import only"),
    ("files.py", "from entity import STRIDE", "may import only"),
    ("keypoints/paf.py", "import chainer", "may import only"),
    ("keypoints/paf.py", "import chainer", "only in engines/chainer_*.py, training/*.py"),
    ("keypoints/paf.py", "import openvino as ov", "may import only"),
    ("keypoints/paf.py", "from openvino import Core", "only in engines/openvino_*.py"),
    ("keypoints/paf.py", "def f():\n    import openvino", "only in engines/openvino_*.py"),
    ("keypoints/paf.py", "from models import ARCHS", "may import only"),
    ("keypoints/paf.py", "def f():\n    from models.weights import read_weights", "may import only"),
    ("keypoints/paf.py", "import tqdm", "may import only"),
    ("keypoints/paf.py", "from ..models import ARCHS", "may import only"),
    ("keypoints/new.py", "import pose_detector", "only scripts import a script"),
    ("keypoints/paf.py", "import argparse", "only in cli.py"),
    ("streams/cli.py", "import argparse", "only in cli.py"),
    ("pose_detector.py", "from argparse import ArgumentParser", "only in cli.py"),
    ("models/weights.py", "import argparse", "only in cli.py"),
    ("evaluation/keypoint_errors.py", "def f():\n    from pycocotools.coco import COCO", "only in *.py"),
    ("models/weights.py", "import pycocotools", "only in *.py"),
    ("entity.py", "import pycocotools", "may import only"),
    ("keypoints/draw.py", "def f():\n    import matplotlib", "may import only"),
    ("models/layers.py", "import numpy", "may import only"),
    ("models/layers.py", "from models.weights import read_weights", "may import only"),
    ("models/layers.py", "from entity import STRIDE", "may import only"),
    ("models/CocoPoseNet.py", "import numpy as np", "may import only"),
    ("models/LightPoseNet.py", "from engines import open_net", "may import only"),
    ("models/LightPoseNet.py", "from .weights import read_weights", "may import only"),
    ("models/light.py", "from models.FaceNet import point_network", "may import only"),
    ("models/weights.py", "import chainer", "only in engines/chainer_*.py, training/*.py"),
    ("models/weights.py", "import chainer.links as L", "only in engines/chainer_*.py, training/*.py"),
    ("engines/openvino_net.py", "from chainer import functions", "only in engines/chainer_*.py, training/*.py"),
    ("engines/openvino_net.py", "from engines.chainer_compat import chainer", "chainer only in"),
    ("models/__init__.py", 'import importlib\nimportlib.import_module("chainer")', "only in engines/chainer_*.py, training/*.py"),
    ("models/__init__.py", '__import__("openvino")', "only in engines/openvino_*.py"),
    ("models/__init__.py", "from engines.chainer_net import ChainerNet", "inside a function"),
    ("engines/__init__.py", "from .openvino_net import OpenVinoNet", "inside a function"),
    ("models/__init__.py", "from engines import openvino_net", "inside a function"),
    ("models/__init__.py", "class Net:\n    import engines.openvino_net", "inside a function"),
    ("engines/chainer_net.py", "import openvino", "only in engines/openvino_*.py"),
    ("models/chainer_net.py", "import chainer", "only in engines/chainer_*.py, training/*.py"),
    ("models/weights.py", "from pose_detector import PoseDetector", "only scripts import a script"),
    ("benchmark.py", "import openvino", "only in engines/openvino_*.py"),
    ("benchmark.py", "def f():\n    from engines.openvino_net import ov", "openvino only in"),
    ("benchmark.py", "def f():\n    from engines.chainer_compat import chainer", "chainer only in"),
    ("benchmark.py", "def f():\n    import cupy", "only in engines/chainer_*.py, training/*.py"),
    ("pose_detector.py", "from engines.openvino_net import OpenVinoNet", "inside a function"),
    ("convert_model.py", "import chainer", "only in engines/chainer_*.py, training/*.py"),
    ("train_coco_pose_estimation.py", "import openvino", "only in engines/openvino_*.py"),
    ("benchmark.py", "import pose_detector", "its Detector or DataLoader class, nothing else"),
    ("benchmark.py", "from pose_detector import SCALES", "its Detector or DataLoader class, nothing else"),
    ("benchmark.py", "def f():\n    from pose_detector import PoseDetector, main", "its Detector or DataLoader class, nothing else"),
    ("data/make_scene.py", "from pose_detector import PoseDetector", "only scripts import a script"),
    ("train_coco_pose_estimation.py", "import coco_data_loader", "its Detector or DataLoader class, nothing else"),
    ("train_coco_pose_estimation.py", "from coco_data_loader import draw_sample", "its Detector or DataLoader class, nothing else"),
    ("keypoints/augment.py", "from coco_data_loader import CocoDataLoader", "only scripts import a script"),
    ("evaluation/coco.py", "from pycocotools import mask", "only in *.py, evaluation/coco_ap.py"),
    ("coco_data_loader.py", "import chainer", "only in engines/chainer_*.py, training/*.py"),
    ("benchmark.py", "from pose_detector import *", "star import"),
    ("models/__init__.py", "from models.layers import *", "star import"),
    ("keypoints/paf.py", "from keypoints.peaks import *", "star import"),
    ("benchmark.py", 'import sys\ndef f():\n    sys.path.append("x")', "sys.path"),
    ("models/layers.py", 'import sys\nsys.path[0] = "x"', "sys.path"),
    ("data/make_scene.py", 'import sys\nsys.path = ["x"]', "sys.path"),
    ("keypoints/paf.py", "from sys import path", "sys.path"),
    ("benchmark.py", 'import site\ndef f():\n    site.addsitedir("x")', "sys.path"),
    ("benchmark.py", 'print("hello")', "happens on import"),
    ("benchmark.py", '"""Text."""\nmain()', "happens on import"),
    ("benchmark.py", "import os\nif os.name:\n    pass", "happens on import"),
    ("benchmark.py", 'if __name__ == "__main__":\n    pass\nelse:\n    main()', "happens on import"),
    ("benchmark.py", "try:\n    import os\nexcept ImportError:\n    os = None", "happens on import"),
    ("benchmark.py", "for i in range(3):\n    pass", "happens on import"),
    ("benchmark.py", 'with open("x") as file:\n    pass', "happens on import"),
    ("benchmark.py", "import os\nassert os", "happens on import"),
    ("entity.py", "X = []\nX += [1]", "happens on import"),
    ("process.py", "import os\nif was_started_here():\n    begin()\nbegin()", "happens on import"),
    ("cli.py", "import process\nif was_started_here():\n    begin()", "happens on import"),
    ("keypoints/draw.py", "import cv2\ncv2.setNumThreads(1)", "happens on import"),
    ("distil/body.py", "import torch\ntorch.set_num_threads(1)", "happens on import"),
    ("keypoints/labels.py", "def f():\n    import torch", "only in distil/*.py"),
    ("training/run.py", "from torch import nn", "only in distil/*.py"),
    ("models/weights.py", "from distil.folding import folded", "only in distil/*.py"),
    ("benchmark.py", "def f():\n    import distil.body", "only in distil/*.py"),
    ("distil/points.py", "import mediapipe", "only in distil/mediapipe_teacher.py"),
    ("distil/points.py", "from coco_data_loader import CocoDataLoader", "only scripts import a script"),
    ("distil/student.py", "import chainer", "only in"),
    ("data/make_scene.py", "main()", "happens on import"),
    ("streams/frames.py", "import cv2\ncv2.setNumThreads(1)", "happens on import"),
    ("keypoints/paf.py", "from streams.picture import read_image", "keypoints stands below streams"),
    ("keypoints/paf.py", "def f():\n    import engines", "keypoints stands below engines"),
    ("models/weights.py", "from engines import open_net", "models stands below engines"),
    ("models/weights.py", "from keypoints.image import resize", "models stands below keypoints"),
    ("engines/peers.py", "from streams.picture import read_image", "engines stands below streams"),
    ("streams/pipeline.py", "from evaluation.compare import compare_maps", "streams stands below evaluation"),
    ("streams/pipeline.py", "def f():\n    from training.run import run", "streams stands below training"),
    ("evaluation/coco.py", "from training import workers", "evaluation stands below training"),
    ("streams/pipeline.py", "import cli", "only scripts know the command line"),
    ("training/run.py", "from cli import changed", "only scripts know the command line"),
    ("engines/cache.py", "def f():\n    import cli", "only scripts know the command line"),
    ("streams/pipeline.py", "from demo import WholeBodyDetector", "only scripts import a script"),
    ("streams/pipeline.py", "import chainer", "may import only"),
    ("engines/__init__.py", "def f():\n    from engines.chainer_compat import chainer", "chainer only in"),
    ("evaluation/compare.py", "from training.updater import Updater", "inside a function"),
    ("streams/window.py", "import matplotlib", "may import only"),
    ("streams/batch.py", "def f():\n    from mpi4py import MPI", "only in streams/shared.py"),
    ("training/machines.py", "import mpi4py", "only in streams/shared.py"),
    ("page/desk.py", "def f():\n    import gradio", "only in web_demo.py"),
    ("pose_detector.py", "import gradio as gr", "only in web_demo.py"),
    ("page/desk.py", "from pose_detector import PoseDetector", "only scripts import a script"),
    ("evaluation/report.py", "from page.pictures import look", "evaluation stands below page"),
    ("streams/pipeline.py", "from speed.clock import timings", "streams stands below speed"),
    ("speed/stages.py", "from pose_detector import PoseDetector", "only scripts import a script"),
    ("speed/stages.py", "import matplotlib", "only in *.py, evaluation/*.py, speed/chart.py"),
    ("models/caffe.py", "def f():\n    import matplotlib", "only in *.py, evaluation/*.py"),
]


@pytest.mark.parametrize(("path", "source", "words"), BREACHES)
def test_a_breach_is_found(path, source, words):
    found = faults(path, source, SCRIPTS)
    assert any(words in fault for fault in found), found


KEPT = [
    ("entity.py", '"""Data."""\nimport numpy as np\nfrom enum import IntEnum\nX: int = 3'),
    (
        "keypoints/person.py",
        "import numpy\nimport cv2\nfrom scipy import ndimage\nfrom entity import STRIDE\nfrom keypoints import peaks\nfrom . import paf",
    ),
    ("cli.py", "import argparse"),
    ("evaluate_coco_pose.py", "def f():\n    from pycocotools.coco import COCO"),
    ("evaluation/report.py", "def f():\n    from matplotlib.figure import Figure"),
    ("models/HandNet.py", "from models.FaceNet import point_network\nfrom .layers import conv\nfrom models import FaceNet"),
    ("engines/chainer_net.py", "import chainer\nfrom engines.chainer_compat import chainer\nfrom models.layers import run_layers"),
    ("engines/openvino_ir.py", "import openvino\nfrom engines.openvino_net import ov"),
    ("engines/openvino_int8.py", "def f():\n    import nncf"),
    ("engines/__init__.py", "def f():\n    from engines.chainer_net import ChainerNet\n    from engines import openvino_net"),
    ("train_coco_pose_estimation.py", "import chainer\nfrom engines.chainer_net import TableChain"),
    ("train_coco_pose_estimation.py", "from coco_data_loader import CocoDataLoader"),
    ("coco_data_loader.py", "from pycocotools import mask\nfrom keypoints.augment import augment"),
    ("IEbase.py", "import openvino as ov"),
    ("distil/student.py", "import torch\nfrom torch import nn\nfrom distil.folding import folded"),
    ("distil/mediapipe_teacher.py", 'import importlib\ndef f():\n    importlib.import_module("mediapipe")'),
    ("convert_model.py", "def f():\n    from engines.openvino_ir import make_ir"),
    ("demo.py", "import sys\nfrom entity import STRIDE\nfrom pose_detector import PoseDetector\n\nif __name__ == '__main__':\n    sys.exit(main())"),
    ("web_demo.py", "def f():\n    import gradio\n    import uvicorn"),
    ("demo.py", "import sys\nclass A:\n    pass\ndef f(): ...\nX = Y = 3\nprint_it = sys.argv"),
]


@pytest.mark.parametrize(("path", "source"), KEPT)
def test_what_is_allowed_is_not_a_breach(path, source):
    assert faults(path, source, SCRIPTS) == []
