"""Which network is taken where only weights are named, or nothing."""

import pytest
from conftest import seeded_weights

import models
from models import ARCHS, OURS, choose, names_of, shapes_of
from models.weights import write_weights

TASKS = ("pose", "face", "hand")


@pytest.fixture
def usual(monkeypatch, tmp_path):
    """Where OpenPose's weights of each task would be."""
    changed = {task: (name, tmp_path / path.name, light) for task, (name, path, light) in models.USUAL.items()}
    monkeypatch.setattr(models, "USUAL", changed)
    return {task: row[1] for task, row in changed.items()}


def test_every_network_of_ours_has_a_task():
    assert sorted(name for task in TASKS for name in names_of(task)) == sorted(OURS)


@pytest.mark.parametrize("task", TASKS)
def test_nothing_named(usual, task):
    """The light network, which ships, until OpenPose's weights are there."""
    name, weights = choose(task)
    assert weights is None
    assert ARCHS[name].task == task
    assert ARCHS[name].weights.is_file()
    usual[task].touch()
    assert choose(task) == (models.USUAL[task][0], usual[task])


@pytest.mark.parametrize("arch", ["lightposenet", "lightfacenet", "lighthandnet"])
def test_weights_say_whose_they_are(tmp_path, arch):
    path = tmp_path / "any.npz"
    write_weights(path, seeded_weights(shapes_of(arch)))
    assert choose(ARCHS[arch].task, path) == (arch, path)


@pytest.mark.parametrize("content", [None, b"", b"PK\3\4 something", b"<net/>"])
def test_other_files_are_openposes(tmp_path, content):
    """Opening them says what is wrong."""
    path = tmp_path / "net.xml"
    if content is not None:
        path.write_bytes(content)
    assert choose("face", path) == ("facenet", path)
