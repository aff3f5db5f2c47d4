"""What every script says of itself: --version, and an option's help as a whole sentence."""

import argparse
from importlib import import_module

import pytest
from conftest import ROOT, run_script

import cli

SCRIPTS = sorted(path.stem for path in ROOT.glob("*.py") if "\ndef parser(" in path.read_text(encoding="utf-8"))
TOOLS = ["distil.body", "distil.points", "distil.export", "distil.score"]


def test_the_scripts_are_there():
    assert {"pose_detector", "demo", "camera_face_demo", "train_coco_pose_estimation", "IEbase", "benchmark"} <= set(SCRIPTS)
    assert len(SCRIPTS) == 17


def actions(parser):
    """Those of the subcommands too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from (each for command in action.choices.values() for each in actions(command))
        else:
            yield action


def faults(help):
    """What keeps a help from being a whole, plain sentence."""
    if not help:
        return "there is none"
    if not (help[0].isupper() and help.endswith(".")):
        return "no sentence: a capital first, a full stop last"
    return "" if len(help.split()) >= 3 else "too short to say anything"


@pytest.mark.parametrize("module", SCRIPTS + TOOLS)
def test_every_option_has_a_sentence(module):
    parser = import_module(module).parser()
    named = {str(action.option_strings or action.dest): faults(action.help) for action in actions(parser)}
    assert {name: fault for name, fault in named.items() if fault} == {}
    assert parser.format_help()  # a stray % would raise


@pytest.mark.parametrize("help", [None, "", "VGG's layers rest so long", "what to be quick at (default: latency)", "(default: CPU)", "Yes."])
def test_what_is_no_sentence(help):
    assert faults(help)


@pytest.mark.parametrize("module", SCRIPTS + TOOLS)
def test_version(module, capsys):
    with pytest.raises(SystemExit) as end:
        import_module(module).parser().parse(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.endswith(f" {cli.VERSION}\n")


def test_version_of_a_script_needs_nothing_else():
    """No picture, no network."""
    process = run_script("pose_detector.py", "--version")
    assert (process.returncode, process.stdout, process.stderr) == (0, f"pose_detector.py {cli.VERSION}\n", "")


@pytest.mark.parametrize("module", SCRIPTS)
def test_a_misspelt_option_is_named(module, capsys):
    """Also where something else is missing, and beside what it may have meant."""
    with pytest.raises(SystemExit) as end:
        import_module(module).parser().parse(["--verson", "--nonsense=1"])
    assert end.value.code == 2
    assert "unrecognized arguments: --verson, did you mean --version?; --nonsense" in capsys.readouterr().err


def test_words_behind_two_dashes_are_no_options(capsys):
    with pytest.raises(SystemExit):
        import_module("IEbase").parser().parse(["--", "--verson"])
    assert "required: --xml" in capsys.readouterr().err
