"""`pip install .`: every room and module is in it, with the weights that ship; scripts are commands; it works elsewhere."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module

import pytest
from conftest import ROOT

import cli
from models import ARCHS, MODELS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS = ("engines", "evaluation", "keypoints", "models", "page", "speed", "streams", "training")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The files that an installation would have, built by setuptools, and its metadata."""
    place = tmp_path_factory.mktemp("built")
    build = ["egg_info", "--egg-base", place, "build_py", "--build-lib", place / "lib"]
    command = [sys.executable, "-W", "ignore", "-c", "from setuptools import setup; setup()", "-q", *map(str, build)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr
    return place


def sources():
    """The .py files that belong to an installation."""
    return {path.relative_to(ROOT).as_posix() for folder in (ROOT, *(ROOT / room for room in ROOMS)) for path in folder.glob("*.py")}


def test_every_module_is_in_it(built):
    lib = built / "lib"
    assert {path.relative_to(lib).as_posix() for path in lib.rglob("*.py")} == sources()


def test_weights_that_ship_are_in_it_and_others_are_not(built):
    shipped = [path for row in ARCHS.values() for path in (row.weights, row.quantised) if path]
    shipped += [path.with_suffix(".bin") for path in shipped if path.suffix == ".xml"]
    names = {path.name for path in (built / "lib" / "models").iterdir()}
    assert {path.name for path in shipped} <= names
    assert {name for name in names if name.endswith((".npz", ".xml", ".bin"))} == {path.name for path in shipped}
    assert "downloads.txt" in names
    assert all(path.parent == MODELS for path in shipped)


def test_it_works_elsewhere(built, tmp_path):
    """Modules, and weights, of the installation; the repository is not in sight."""
    program = (
        "import cli, models, pose_detector; from engines import open_net; from streams.wanted import Wanted; "
        "detector = pose_detector.PoseDetector(open_net('lightposenet')); "
        "print(cli.VERSION, models.__file__, pose_detector.__file__)"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(built / "lib")}, capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr
    version, *files = process.stdout.split()
    assert version == cli.VERSION
    assert files == [str(built / "lib" / "models" / "__init__.py"), str(built / "lib" / "pose_detector.py")]


def test_the_version_is_that_of_the_scripts(built):
    (metadata,) = built.glob("*.egg-info/PKG-INFO")
    assert re.search(r"^Version: (.+)$", metadata.read_text(encoding="utf-8"), re.MULTILINE)[1] == cli.VERSION


def test_commands_are_the_scripts():
    """Each script with options has one, and each leads to a main."""
    commands = PROJECT["project"]["scripts"]
    modules = [target.removesuffix(":main") for target in commands.values()]
    assert sorted(modules) == sorted(path.stem for path in ROOT.glob("*.py") if "\ndef parser(" in path.read_text(encoding="utf-8"))
    assert all(callable(import_module(module).main) for module in modules)


def requirements(name):
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    return sorted(line for line in lines if line and not line.startswith("-r"))


def test_dependencies_are_those_of_the_requirements():
    """Without Chainer and what its set-up needs, and without the page's: these are extras."""
    extras = PROJECT["project"]["optional-dependencies"]
    assert sorted(PROJECT["project"]["dependencies"] + extras["chainer"]) == requirements("requirements.txt")
    assert all(requirement.startswith(("chainer", "setuptools")) for requirement in extras["chainer"])
    assert extras["web"] == requirements("requirements-web.txt")
