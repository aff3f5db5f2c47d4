"""Crops for the body network: what is written comes back, nothing unfinished counts, and each is used as often as the others."""

import json
from functools import partial

import numpy as np
import pytest
from conftest import assert_input_error
from distil_files import HINTS, made_crops

from distil import body, crops
from distil.crops import HINTS_SCALE, MAPS_SCALE, CropSets, best_place, content_of
from distil.hints import HINTS as HINTS_OF
from distil.hints import add_outputs, read_axes
from engines import open_net
from keypoints.image import PAD_COLOR, normalise
from models import ARCHS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    return made_crops(tmp_path, monkeypatch)


def test_crops_hold_what_the_teacher_says_of_them(folder):
    x, y, f = (np.load(folder / f"seed0_{key}.npy") for key in "xyf")
    assert (x.shape, x.dtype) == ((6, 96, 96, 3), np.uint8)
    assert (y.shape, y.dtype) == ((6, 57, 12, 12), np.int8)
    assert (f.shape, f.dtype) == ((6, 13, 12, 12), np.int8)
    assert json.loads((folder / "seed0.json").read_text()) == {"crops": 6}
    teacher = add_outputs(open_net("lightposenet", hint="throughput"), [hint.layer for hint in HINTS])
    axes = read_axes(folder / crops.AXES)
    for image, maps, features in zip(x, y, f, strict=True):
        _, heatmaps, *said = teacher(normalise(image))
        assert (maps[38:56] / MAPS_SCALE >= np.clip(heatmaps[0, :18], 0, 1) - 0.02).all()  # labels only raise them
        expected = np.concatenate([each.project(feature[0]) for each, feature in zip(axes, said, strict=True)])
        np.testing.assert_allclose(features / HINTS_SCALE, np.clip(expected, -127 / 32, 127 / 32), atol=0.1)
    assert y[:, 38:56].max() > 100  # labelled joints


def test_a_network_answers_its_inner_layers_too():
    x = np.random.default_rng(0).random((1, 3, 32, 40), dtype=np.float32) - 0.5
    plain, more = open_net("lightposenet", precision="f32"), add_outputs(open_net("lightposenet", precision="f32"), ["block2", "refine4"])
    pafs, heatmaps, block, refine = more(x)
    assert block.shape == refine.shape == (1, ARCHS["lightposenet"].network.layers[3].channels, 4, 5)
    np.testing.assert_allclose(np.concatenate([pafs, heatmaps], 1), np.concatenate(plain(x), 1), atol=1e-5)
    assert block.min() == 0  # after its ReLU


def test_batches(folder):
    sets, rng = CropSets(folder), np.random.default_rng(0)
    assert len(sets) == 6
    seen = []
    for _ in range(30):
        x, y, f = sets.batch(rng, 300)
        cells = y.shape[2]
        assert cells in (9, 12)
        assert x.shape[1:] == (8 * cells, 8 * cells, 3)
        assert f.shape[1:] == (13, cells, cells)
        assert len(x) == len(y) == len(f) == round(300 / cells**2)
        seen.append(len(x))
    assert len(set(seen)) == 2


def test_a_window_keeps_pixels_and_maps_together(folder, monkeypatch):
    monkeypatch.setattr("distil.views.P_LIGHT", 0)
    x, y, _ = (np.load(folder / f"seed0_{key}.npy") for key in "xyf")
    sets, rng = CropSets(folder), np.random.default_rng(1)
    windows = [batch for batch in (sets.batch(rng, 300) for _ in range(20)) if batch[1].shape[2] == 9]
    for pixels, maps, _ in windows:
        for one, its in zip(pixels, maps, strict=True):
            places = [
                (n, top, left)
                for n in range(6)
                for top in range(4)
                for left in range(4)
                if np.array_equal(x[n, 8 * top : 8 * top + 72, 8 * left : 8 * left + 72], one)
            ]
            assert any(np.array_equal(y[n, :, top : top + 9, left : left + 9], its) for n, top, left in places)


def test_each_crop_comes_once_a_round(folder, monkeypatch):
    monkeypatch.setattr("distil.crops.WINDOWS", {1.0: 1.0})
    monkeypatch.setattr("distil.views.P_LIGHT", 0)
    sets, rng = CropSets(folder), np.random.default_rng(0)
    x, _, _ = sets.batch(rng, 6 * 144)
    np.testing.assert_array_equal(np.sort(x.sum((1, 2, 3))), np.sort(np.load(folder / "seed0_x.npy").sum((1, 2, 3))))


def test_an_interrupted_set_holds_what_was_finished(tmp_path, monkeypatch):
    class Interrupted(crops.Drawer):
        drawn = 0

        def __call__(self, rng):
            Interrupted.drawn += 1
            if Interrupted.drawn == 3 + 7:  # after those from which the axes come
                raise KeyboardInterrupt
            return super().__call__(rng)

    monkeypatch.setattr(body, "Drawer", Interrupted)
    with pytest.raises(AssertionError):
        made_crops(tmp_path, monkeypatch, 20)
    done = json.loads((tmp_path / "crops" / "seed0.json").read_text())["crops"]
    assert 0 < done < 7
    assert len(CropSets(tmp_path / "crops")) == done


def test_sets_stand_side_by_side_and_are_not_overwritten(tmp_path, monkeypatch, capsys):
    made_crops(tmp_path, monkeypatch, 3)
    axes = (tmp_path / "crops" / crops.AXES).read_bytes()
    folder = made_crops(tmp_path, monkeypatch, 2, seed=1)
    assert (folder / crops.AXES).read_bytes() == axes
    assert len(CropSets(folder)) == 5
    with pytest.raises(AssertionError):
        made_crops(tmp_path, monkeypatch, 2, seed=1)
    assert "name another seed" in capsys.readouterr().err
    arguments = ["--coco_dir", str(tmp_path / "coco"), "--teacher", "lightposenet", "--count", "1", "--side", "96", "--seed", "2"]
    monkeypatch.setitem(HINTS_OF, "lightposenet", HINTS[:1])
    assert body.main(["crops", str(folder), *arguments]) == 2
    assert "of another teacher" in capsys.readouterr().err


def test_a_folder_without_crops(tmp_path):
    assert_input_error(lambda: CropSets(tmp_path), "no crops are here", "distil.body crops")


def test_a_set_that_is_damaged(folder):
    (said,) = folder.glob("*.json")
    maps = said.with_name(f"{said.stem}_y.npy")
    good = said.read_text(), maps.read_bytes()
    changes = (
        *(partial(said.write_text, text) for text in ("{", "[]", '{"crops": "6"}', '{"crops": 700}', '{"crops": -1}', "[" * 10**5)),
        *(partial(maps.write_bytes, data) for data in (good[1][:-100], good[1][:20], b"", b"\x93NUMPY" + bytes(100))),
        partial(np.save, maps, np.load(maps)[:, :50]),
        partial(np.save, maps, np.load(maps).astype(np.float32)),
        maps.unlink,
    )
    for change in changes:
        change()
        assert_input_error(lambda: CropSets(folder), said, "make the set again")
        said.write_text(good[0]), maps.write_bytes(good[1])
    assert len(CropSets(folder)) == 6


def test_windows_show_the_photo():
    x = np.empty((1, 96, 96, 3), np.uint8)
    x[:] = PAD_COLOR
    x[0, 48:, 48:] = 200
    sums = content_of(x)
    assert sums[0, -1, -1] == 36
    rng = np.random.default_rng(0)
    places = np.array([best_place(sums[0], 6, rng) for _ in range(50)])
    assert places.min() >= 0
    assert places.max() <= 6
    assert places.mean() > 4
