"""README and the pages of docs/: the commands that they name parse, links lead somewhere, tables are complete and agree."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from conftest import ROOT

IN_FOLDERS = [path for path in ROOT.glob("*/README.md") if path.parent.name.isidentifier()]  # not in those of tools and environments
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *IN_FOLDERS))
SCRIPTS = sorted(path.name for path in ROOT.glob("*.py") if "\ndef parser(" in path.read_text(encoding="utf-8"))
SHELL = ("getModels.sh", "getData.sh")
PLACES = ("data/", "tests/", "docs/", "distil/")  # what is named there is part of the project
NOW = [page for page in PAGES if page != "CHANGELOG.md"]  # what holds today


def text_of(page) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def without_fences(text) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def spans(text) -> list:
    """What stands in backticks within a line, and the lines of indented blocks."""
    text = without_fences(text)
    return re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE) + re.findall(r"`([^`\n]+)`", re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE))


def commands(text) -> list:
    """[[word, ...]] for each command of this project that a page tells to type."""
    found = []
    for span in spans(text):
        try:
            words = shlex.split(span.replace("\\|", "|"), comments=True)
        except ValueError:  # a JSON's beginning, for example
            continue
        while words:
            end = next((i for i, word in enumerate(words) if word in ("|", ">", ";", "&&")), len(words))
            command, words = words[:end], words[end + 1 :]
            while command and re.fullmatch(r"[A-Z_]+=\S*", command[0]):
                command = command[1:]
            if command and Path(command[0]).name in ("mpiexec", "srun"):
                command = command[next((i for i, word in enumerate(command) if Path(word).name == "python"), len(command)) :]
            if command and (command[0] in ("python", ".venv/bin/python", "make") or command[0].removeprefix("./") in SHELL):
                found.append(command)
    return found


def fault_of(command) -> str:
    """What is wrong with a command; "" where nothing is."""
    program, *arguments = command
    if program == "make":
        targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
        wrong = [word for word in arguments if "=" not in word and word not in targets]
        return f"no targets of the Makefile: {wrong}" if wrong else ""
    if program.endswith(".sh"):
        known = set(re.findall(r"--[a-z_]+", text_of(program.removeprefix("./"))))
        wrong = [word for word in arguments if word.startswith("--") and word not in known]
        return f"{program} has no {wrong}" if wrong else ""
    if not arguments:
        return ""
    name, *arguments = arguments[1:] if arguments[0] == "-m" else arguments
    gone = [word for word in (name, *arguments) if word.startswith(PLACES) and not (ROOT / word).exists()]
    if gone:
        return f"not in the project: {gone}"
    if name in ("pytest", "pip", "venv"):
        return ""
    module = name.removesuffix(".py").replace("/", ".")
    if not (ROOT / (module.replace(".", "/") + ".py")).is_file():
        return f"there is no {name}"
    if not arguments:  # it may be named without being typed
        return ""
    if "\ndef parser(" not in text_of(module.replace(".", "/") + ".py"):
        wrong = set(re.findall(r"--[a-z_]+", " ".join(arguments))) - set(re.findall(r"--[a-z_]+", text_of(module.replace(".", "/") + ".py")))
        return f"{name} has no {wrong}" if wrong else ""
    return fault_of_arguments(import_module(module).parser(), arguments)


def fault_of_arguments(parser, arguments) -> str:
    try:
        (parser.parse if hasattr(parser, "parse") else parser.parse_args)(arguments)
    except SystemExit as end:
        return "" if not end.code else f"{parser.prog} refuses {' '.join(arguments)}"
    return ""


def options_of(script) -> set:
    """The long options of a script."""
    return {name for action in import_module(script.removesuffix(".py")).parser()._actions for name in action.option_strings if name.startswith("--")}


def slug(heading) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def broken_links(page) -> list:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", without_fences(text_of(page)))):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / name if name else ROOT / page).resolve()
        if not path.exists() or (anchor and anchor not in map(slug, re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE))):
            broken.append(target)
    return broken


def test_the_pages_are_there():
    assert {"README.md", "README_JP.md", "CONTRIBUTING.md", "docs/use.md", "docs/install.md", "docs/training.md", "models/README.md"} <= set(PAGES)
    assert len(commands(text_of("README.md"))) > 25


@pytest.mark.parametrize("page", NOW)
def test_commands_parse(page, capsys):
    faults = {shlex.join(command): fault_of(command) for command in commands(text_of(page))}
    assert {command: fault for command, fault in faults.items() if fault} == {}


@pytest.mark.parametrize(
    "line",
    [
        "    python pose_detectors.py data/people.png",
        "    python pose_detector.py --image data/people.png",
        "    python pose_detector.py data/peoples.png",
        "    python pose_detector.py data/people.png --short_side many",
        "    POSE_MAX_MEGAPIXELS=400 python demo.py a.png --no_feet",
        "    cat a.jpg | python pose_detector.py - --jsn - > people.json",
        "    mpiexec -n 2 python train_coco_pose_estimation.py --comunicator naive",
        "    ./getModels.sh --dark",
        "    make coffee",
        "or `.venv/bin/python -m distil.body traim crops body.pt` instead",
        "| camera | `python camera_pose_demo.py --kamera 0` |",
    ],
)
def test_what_does_not_parse(line, capsys):
    (command,) = commands(f"Type:\n\n{line}\n")
    assert fault_of(command)


@pytest.mark.parametrize("page", PAGES)
def test_links_resolve(page):
    assert broken_links(page) == []


def test_broken_links_are_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](gone.md) [b](#one-thing) [c](#another) ![d](gone.png) [e](page.md#one-thing) [f](https://example.org/x)\n")
    assert broken_links(page) == ["gone.md", "#another", "gone.png"]


@pytest.mark.parametrize("page", ["README.md", "README_JP.md"])
def test_readme_has_an_example_of_each_script(page):
    assert {command[1] for command in commands(text_of(page)) if len(command) > 1} >= set(SCRIPTS)


@pytest.mark.parametrize(("page", "script"), [("docs/use.md", "pose_detector.py"), ("docs/training.md", "train_coco_pose_estimation.py")])
def test_tables_name_every_option(page, script):
    named = set(re.findall(r"--[a-z_]+", text_of(page)))
    assert options_of(script) - named == {"--help", "--version"} - named


@pytest.mark.parametrize("page", NOW)
def test_options_named_in_the_text_exist(page):
    known = set().union(*map(options_of, SCRIPTS), *(re.findall(r"--[a-z_]+", text_of(name)) for name in SHELL))
    known |= {"--allow", "--oversubscribe", "--ntasks", "--mpi"}  # how those of mpiexec and srun begin
    for tool in (*ROOT.glob("distil/*.py"), *ROOT.glob("tests/faults/*.py"), ROOT / "tests/simulate_sharing.py"):
        known |= set(re.findall(r"--[a-z_]+", tool.read_text(encoding="utf-8")))
    named = {word for span in spans(text_of(page)) for word in re.findall(r"(?<![\w-])--[a-z][a-z_]+", span.split("pip install")[0])}
    assert named - known == set()


def test_both_readmes_have_the_same_figures():
    """AP and milliseconds of each network, and what is typed."""

    def figures(page):
        rows = re.findall(r"^\| `([\w-]+)` \|(.*)\|$", text_of(page), re.MULTILINE)
        return {name: re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?!\w)", cells) for name, cells in rows}

    assert figures("README.md") == figures("README_JP.md")
    assert set(figures("README.md")) == {"lightposenet", "human-pose-estimation-0001", "posenet"}

    def typed(page):
        return sorted([word for word in command if "YOUR" not in word and word.isascii()] for command in commands(text_of(page)))

    assert typed("README.md") == typed("README_JP.md")


def test_layout_names_every_file_and_room():
    layout = text_of("CONTRIBUTING.md").partition("## Layout")[2].partition("\n## ")[0]
    names = {path.name for path in (*ROOT.glob("*.py"), *ROOT.glob("*.sh"))} | {
        path.parent.name + "/" for path in (*ROOT.glob("*/*.py"), *ROOT.glob("*/*.md")) if path.parent.name.isidentifier()
    }
    assert {name for name in names if not re.search(rf"(?<!\w){re.escape(name)}", layout)} == set()
