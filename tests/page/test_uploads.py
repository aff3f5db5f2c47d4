"""Limits of what is handed in, and the words for it."""

import os
import time

import numpy as np
import pytest
from conftest import assert_input_error
from pictures import BGR, RGB, encoded
from videos import write_video

from page import uploads


def test_a_picture_is_read_as_elsewhere(tmp_path):
    (tmp_path / "p.png").write_bytes(encoded(RGB, "PNG"))
    np.testing.assert_array_equal(uploads.read_picture(tmp_path / "p.png"), BGR)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])
def test_the_size_is_looked_at_before_the_picture_is_decoded(tmp_path, monkeypatch, kind):
    path = tmp_path / f"p.{kind.lower()}"
    path.write_bytes(encoded(RGB, kind))
    monkeypatch.setattr(uploads, "MEGAPIXELS", 0.004)
    monkeypatch.setattr(uploads, "read_image", lambda path: pytest.fail("decoded"))
    assert_input_error(lambda: uploads.read_picture(path), f"picture {path.name}: 80x60 pixels")


def test_errors_name_the_file_and_not_its_folder(tmp_path):
    (tmp_path / "t.jpg").write_text("words")
    with pytest.raises(uploads.InputError) as error:
        uploads.read_picture(tmp_path / "t.jpg")
    assert "t.jpg" in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_limits_of_a_video(tmp_path, monkeypatch):
    path = write_video(tmp_path / "v.avi", n_frames=8, rate=2, codec="MJPG")
    video = uploads.open_video(path)
    assert len(video) == 8
    video.close()
    monkeypatch.setattr(uploads, "MINUTES", 0.05)
    assert_input_error(lambda: uploads.open_video(path), "video v.avi: 0.1 minutes")
    monkeypatch.setattr(uploads, "MEGAPIXELS", 0.003)
    assert_input_error(lambda: uploads.open_video(path), "video v.avi: 64x48 pixels")


def test_what_is_not_used_any_more_is_deleted(tmp_path):
    """Also what nobody knows of, as an upload that was broken off; what is used stays, with its folder."""
    old = time.time() - 100
    for name in ("left", "kept", "a/left.png", "b/kept.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for name in ("left", "a/left.png", "a", "b"):
        os.utime(tmp_path / name, (old, old))
    uploads.sweep(tmp_path, 50)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["b", "b/kept.png", "kept"]
    with uploads.sweeping(tmp_path, -1, every=0.01):
        end = time.monotonic() + 60
        while any(tmp_path.iterdir()) and time.monotonic() < end:
            time.sleep(0.01)
    assert not any(tmp_path.iterdir())
