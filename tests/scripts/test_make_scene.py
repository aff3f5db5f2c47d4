"""data/make_scene.py makes the pictures that are committed beside it."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from conftest import PATIENCE, ROOT

DATA = ROOT / "data"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with copies of the script and the portraits, after a run of the script from another folder."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("make_scene.py", "astronaut.png", "hopper.png"):
        shutil.copy(DATA / name, folder)
    process = subprocess.run([sys.executable, folder / "make_scene.py"], cwd=folder.parent, capture_output=True, text=True, timeout=PATIENCE)
    assert (process.returncode, process.stderr) == (0, "")
    return folder


@pytest.mark.parametrize(("name", "size_wh"), [("people.png", (720, 400)), ("person.png", (512, 512)), ("face.png", (180, 200))])
def test_committed_pictures_are_what_the_script_makes(made, name, size_wh):
    committed, again = cv2.imread(str(DATA / name)), cv2.imread(str(made / name))
    assert committed.shape == (size_wh[1], size_wh[0], 3)
    assert np.array_equal(committed, again)


def test_script_writes_nothing_else(made):
    assert {path.name for path in made.iterdir()} == {"make_scene.py", "astronaut.png", "hopper.png", "people.png", "person.png", "face.png"}
    for name in ("astronaut.png", "hopper.png"):
        assert (made / name).read_bytes() == (DATA / name).read_bytes()


def test_portraits_lie_inside_the_scene_and_apart():
    from data.make_scene import PORTRAITS, SIZE_WH

    boxes = []
    for name, height, left, top, _ in PORTRAITS:
        portrait = cv2.imread(str(DATA / name))
        boxes.append((left, top, left + round(portrait.shape[1] * height / portrait.shape[0]), top + height))
    for n, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0
        assert top >= 0
        assert right <= SIZE_WH[0]
        assert bottom <= SIZE_WH[1]
        for other in boxes[:n]:
            assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
    assert sum(mirrored for *_, mirrored in PORTRAITS) == 1


@pytest.mark.parametrize(("word", "status"), [("--help", 0), ("scene.png", 2)])
def test_words_make_nothing(made, word, status):
    (made / "people.png").write_bytes(b"mine")
    process = subprocess.run([sys.executable, made / "make_scene.py", word], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert process.returncode == status
    assert "python data/make_scene.py" in process.stdout + process.stderr
    assert (made / "people.png").read_bytes() == b"mine"
