"""Odd cases of files, pictures and decoding that were wrong once."""

import os
import subprocess
import sys
import warnings
import zipfile

import cv2
import numpy as np
import pytest
from conftest import ROOT
from people import person, round_trip
from pictures import ALPHA, BGR, RGB, blob, centroid, encoded, read
from PIL import Image

from errors import InputError
from files import atomic_file
from keypoints.image import check_maps, resize
from keypoints.peaks import smooth
from models import other_shapes, shapes_of
from models.weights import read_weights
from streams.results import encode_image, write_files


def test_write_files_with_long_names_that_begin_alike(tmp_path):
    """The picture and its JSON share the first 50 letters."""
    picture, text = (tmp_path / ("camera 12, hall, north entrance, 2024-11-21 02-41-17.000" + e) for e in (".png", ".json"))
    write_files({picture: b"picture", text: b"text"})
    assert (picture.read_bytes(), text.read_bytes()) == (b"picture", b"text")
    assert len(list(tmp_path.iterdir())) == 2


def test_write_image_too_large_says_it_once(capfd):
    """Our line is the only one: OpenCV writes none of its own."""
    with pytest.raises(InputError):
        encode_image("a.jpg", np.zeros((2, 70000, 3), np.uint8))
    assert capfd.readouterr() == ("", "")


def test_new_files_keep_old_permissions(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("old")
    path.chmod(0o640)
    with atomic_file(path) as part:
        part.write_text("new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_read_transparent_png_turns_as_exif_says(tmp_path):
    picture = Image.fromarray(np.dstack([RGB, np.full_like(ALPHA, 255)]))
    tags = Image.Exif()
    tags[0x0112] = 6
    np.testing.assert_array_equal(read(tmp_path, encoded(picture, "PNG", exif=tags)), np.rot90(BGR, -1))


@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"lossless": True, "exact": True}), ("TIFF", {}), ("GIF", {}), ("AVIF", {})])
def test_read_transparency_of_other_formats_shows_white(tmp_path, kind, options):
    image = read(tmp_path, encoded(Image.fromarray(np.dstack([RGB, ALPHA])), kind, **options))
    assert (image[:, :36] >= 250).all()


def test_check_maps_of_both_infinities():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError):
            check_maps(np.array([np.inf, -np.inf], np.float32))


@pytest.mark.parametrize("size_wh", [(200, 700), (700, 200), (100, 1500)])
def test_resize_averages_along_the_side_that_shrinks(size_wh):
    """To a square, as crops are: one side grows, the other shrinks."""
    noise = np.random.default_rng(0).integers(0, 256, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    short = (min(size_wh[0], 368), min(size_wh[1], 368))
    expected = cv2.resize(cv2.resize(noise, short, interpolation=cv2.INTER_AREA), (368, 368), interpolation=cv2.INTER_CUBIC)
    assert resize(noise, (368, 368)).std() < 1.05 * expected.std()
    source = blob(size_wh, (50.3, 70.8), 6)
    np.testing.assert_allclose(centroid(resize(source, (368, 368))), (centroid(source) + 0.5) * np.divide(368, size_wh) - 0.5, rtol=0, atol=0.06)


def test_smooth_no_maps():
    assert smooth(np.zeros((0, 5, 7), np.float32), 4, 2.4).shape == (0, 20, 28)


@pytest.mark.parametrize("head", [16, 22, 28])
def test_one_person_alone_any_place(head):
    """700 places: no joint is lost. (told_apart can then be asked of overlapping people only.)"""
    lost = 0
    for seed in range(700):
        rng = np.random.default_rng(seed)
        pose = person(*rng.uniform((60, 40), (90, 50)), head, rng.normal(0, 0.1), 0.05, rng)
        found = round_trip(pose[None], (160, 240)).poses
        inside = ((pose[:, :2] >= 0) & (pose[:, :2] <= (159, 239))).all()
        lost += inside and (found.shape != (1, 18, 3) or (found[0, :, 2] == 0).any())
    assert lost == 0


def test_openvino_sends_nothing_home(tmp_path):
    """No thread is started, nothing is written into the user's home."""
    code = "from engines import openvino_net; import threading; assert threading.active_count() == 1"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "HOME": str(tmp_path)}, check=False)
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("owner", "asked"), [("handnet", "posenet"), ("handnet", "lightposenet"), ("facenet", "handnet"), ("handnet", "facenet")])
def test_weights_of_another_network_are_recognised(tmp_path, owner, asked):
    np.savez(tmp_path / "w.npz", **{name: np.zeros(shape, np.float16) for name, shape in shapes_of(owner).items()})
    with pytest.raises(InputError, match=f"these are the weights of {owner}"):
        read_weights(tmp_path / "w.npz", shapes_of(asked), other_shapes(asked))


def test_a_zip_of_other_things_is_no_npz(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("c/W", "hi")
    with pytest.raises(InputError, match="layer c is missing"):
        read_weights(tmp_path / "w.npz", {"c/W": (1,)})
