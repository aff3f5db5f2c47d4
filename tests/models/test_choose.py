"""Which network is taken where only weights are named, or nothing."""

import pytest
from conftest import seeded_weights

import models
from models import ARCHS, PREFERRED, choose, names_of, shapes_of
from models.weights import write_weights

TASKS = ("pose", "face", "hand")


@pytest.fixture
def fetched(monkeypatch, tmp_path):
    """{network: where its fetched weights would be}: none is there."""
    rows = {name: row._replace(fetched=tmp_path / row.fetched.name if row.fetched else None) for name, row in ARCHS.items()}
    monkeypatch.setattr(models, "ARCHS", rows)
    return {name: row.fetched for name, row in rows.items()}


def test_every_network_has_a_task():
    assert sorted(name for task in TASKS for name in names_of(task)) == sorted(ARCHS)


@pytest.mark.parametrize("task", TASKS)
def test_nothing_named(fetched, task):
    """The light network, which ships, until the weights of a better one are there."""
    *better, light = PREFERRED[task]
    assert ARCHS[light].weights.is_file()
    assert choose(task) == light
    for name in reversed(better):
        fetched[name].touch()
        assert choose(task) == name


@pytest.mark.parametrize("arch", ["lightposenet", "lightfacenet", "lighthandnet"])
def test_weights_say_whose_they_are(tmp_path, arch):
    path = tmp_path / "any.npz"
    write_weights(path, seeded_weights(shapes_of(arch)))
    assert choose(ARCHS[arch].task, path) == arch


@pytest.mark.parametrize("content", [None, b"", b"PK\3\4 something", b"<net/>"])
def test_other_files_are_openposes(tmp_path, content):
    """Opening them says what is wrong."""
    path = tmp_path / "net.xml"
    if content is not None:
        path.write_bytes(content)
    assert choose("face", path) == "facenet"
