"""The Makefile on machines where its set-up cannot work, and the commands that it would run; requirements and constraints."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import PATIENCE, ROOT

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

# What the Makefile asks of a Python: its version (-c "import sys; ..."), its name (--version), and its venv module (-c "import ensurepip, venv").
TOO_OLD = """#!/bin/sh
case "$*" in
    *version_info*) exit 1 ;;
    --version) echo "Python 3.8.10" ;;
    *) echo "asked for: $*" >&2; exit 97 ;;
esac
"""
WITHOUT_VENV = """#!/bin/sh
case "$*" in
    *version_info*) exit 0 ;;
    *ensurepip*) echo "ModuleNotFoundError: No module named 'ensurepip'" >&2; exit 1 ;;
    *) echo "asked for: $*" >&2; exit 97 ;;
esac
"""


def make(*arguments):
    """Run make in the project as a user does; variables of a make that runs these tests are kept from it."""
    kept = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "PYTHON", "VENV")}
    return subprocess.run(["make", *map(str, arguments)], cwd=ROOT, env=kept, capture_output=True, text=True, timeout=PATIENCE)


def fake_python(folder, script):
    path = folder / "python"
    path.write_text(script)
    path.chmod(0o755)
    return path


@needs_make
@pytest.mark.parametrize("target", ["demo", "test"])
@pytest.mark.parametrize(
    ("script", "words"),
    [
        (None, ("/nonexistent", "is missing", "3.11", "PYTHON=")),
        (TOO_OLD, ("Python 3.8.10", "too old", "3.11", "PYTHON=")),
        (WITHOUT_VENV, ("no venv module", "apt install python3-venv")),
    ],
    ids=["missing", "too old", "without venv"],
)
def test_unusable_python_is_one_clear_line(tmp_path, target, script, words):
    python = fake_python(tmp_path, script) if script else "/nonexistent"
    venv = tmp_path / "venv"
    process = make(target, f"PYTHON={python}", f"VENV={venv}")
    assert process.returncode == 2
    assert process.stdout == ""
    lines = process.stderr.splitlines()
    ours = [line for line in lines if "***" not in line]
    assert len(ours) == 1, process.stderr
    assert len(lines) <= 2
    for word in words:
        assert word in ours[0]
    assert not venv.exists()


@needs_make
def test_python_whose_venv_fails_leaves_no_stamp(tmp_path):
    python = fake_python(
        tmp_path, WITHOUT_VENV.replace("*ensurepip*) echo \"ModuleNotFoundError: No module named 'ensurepip'\" >&2; exit 1", "*ensurepip*) exit 0")
    )
    process = make("demo", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}")
    assert process.returncode == 2
    assert f"asked for: -m venv --clear {tmp_path / 'venv'}" in process.stderr
    assert not list(tmp_path.glob("venv/*.stamp"))


def dry_run(target, venv):
    process = make("-n", target, f"VENV={venv}")
    assert (process.returncode, process.stderr) == (0, "")
    assert not venv.exists()
    return process.stdout


@needs_make
def test_demo_sets_up_and_finds_people(tmp_path):
    venv = tmp_path / "venv"
    *setup, last = dry_run("demo", venv).splitlines()
    assert last == f"{venv}/bin/python demo.py --img data/people.png --out result.png"
    order = [
        next(n for n, line in enumerate(setup) if word in line) for word in ("version_info", "ensurepip", "-m venv", "-r requirements.txt", "touch")
    ]
    assert order == sorted(order)
    assert not [line for line in setup if "requirements-dev.txt" in line]


@needs_make
def test_test_lints_and_runs_pytest(tmp_path):
    venv = tmp_path / "venv"
    lines = dry_run("test", venv).splitlines()
    commands = ("ruff check .", "ruff format --check .", "pytest -n 2 --dist loadfile")
    assert lines[-3:] == [f"{venv}/bin/python -m {command}" for command in commands]
    assert [line for line in lines if "-r requirements-dev.txt" in line]


@needs_make
@pytest.mark.parametrize("target", ["demo", "test"])
def test_every_install_is_constrained_for_old_and_new_pip(tmp_path, target):
    installs = [line for line in dry_run(target, tmp_path / "venv").splitlines() if "pip" in line and " install " in line]
    installs = [line for line in installs if "apt install" not in line]
    assert len(installs) == {"demo": 1, "test": 2}[target]
    for line in installs:
        assert re.search(r"(^| )PIP_CONSTRAINT=constraints\.txt ", line)
        assert re.search(r"(^| )PIP_BUILD_CONSTRAINT=constraints\.txt ", line)


@needs_make
def test_second_run_does_not_set_up_again(tmp_path):
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / "runtime.stamp").touch()
    process = make("-n", "demo", f"VENV={venv}")
    assert process.stdout == f"{venv}/bin/python demo.py --img data/people.png --out result.png\n"
    os.utime(venv / "runtime.stamp", (1, 1))  # older than requirements.txt
    assert "-m venv --clear" in make("-n", "demo", f"VENV={venv}").stdout


@needs_make
@pytest.mark.parametrize("arguments", [(), ("help",)], ids=["make", "make help"])
def test_help_names_the_targets(arguments):
    process = make(*arguments)
    assert (process.returncode, process.stderr) == (0, "")
    for words in ("make demo", "make test", "PYTHON=", "VENV="):
        assert words in process.stdout
    assert not [line for line in process.stdout.splitlines() if line.startswith("#")]


@needs_make
def test_help_is_the_comment_on_top_of_the_makefile():
    top = (ROOT / "Makefile").read_text(encoding="utf-8").split("\n\n")[0]
    assert make("help").stdout == "".join(f"{line.removeprefix('# ')}\n" for line in top.splitlines())


@needs_make
def test_targets_of_the_help_exist(tmp_path):
    targets = re.findall(r"^make (\w+)", make("help").stdout, re.MULTILINE)
    assert {"demo", "test"} <= set(targets)
    for target in targets:
        assert make("-n", target, f"VENV={tmp_path / 'venv'}").returncode == 0, target


def entries(name):
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def test_constraints_keep_the_setuptools_that_chainer_builds_with():
    assert entries("constraints.txt") == ["setuptools<81"]
    assert "setuptools<81" in entries("requirements.txt")


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_has_a_range(name):
    requirements = entries(name)
    assert requirements
    for requirement in requirements:
        if requirement.startswith("-r "):
            assert (ROOT / requirement.removeprefix("-r ")).is_file()
        elif requirement != "setuptools<81":
            assert re.fullmatch(r"[A-Za-z0-9-]+>=[0-9.]+,<[0-9.]+", requirement), requirement
            lower, upper = (tuple(map(int, number.split("."))) for number in re.findall(r"[<>]=?([0-9.]+)", requirement))
            assert lower < upper, requirement


@needs_make
def test_check_is_lint_and_files_that_are_there(tmp_path):
    """None of them runs a script of its own for long: what it runs is what the Makefile names, and no name has gone."""
    venv = tmp_path / "venv"
    *before, last = dry_run("check", venv).splitlines()
    assert f"{venv}/bin/python -m ruff check ." in before
    words = last.removeprefix(f"{venv}/bin/python -m pytest ").split()
    assert len(words) > 10
    assert [word for word in words if not (ROOT / word).is_file()] == []
