"""The size of a picture is known before room is taken for it."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from pictures import encoded
from PIL import Image

from errors import InputError
from streams.picture import LIMIT, MEGAPIXELS, max_pixels, read_image
from streams.picture_size import picture_size

PILLOW = [
    ("PNG", {}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True, "exif": b"x" * 5000}),
    ("BMP", {}),
    ("GIF", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"exif": b"Exif\0\0" + b"x" * 30}),
    ("TIFF", {}),
    ("TIFF", {"big_tiff": True}),
    ("PPM", {}),
    ("JPEG2000", {}),
]


@pytest.mark.parametrize("size_wh", [(1, 1), (17, 300), (123, 45)])
@pytest.mark.parametrize(("kind", "options"), PILLOW)
def test_as_pillow_writes_it(kind, options, size_wh):
    assert picture_size(encoded(Image.new("RGB", size_wh), kind, **options)) == size_wh


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tiff", ".jp2", ".gif", ".ppm", ".pam", ".sr", ".hdr", ".pfm"])
def test_as_opencv_writes_it(suffix):
    image = np.zeros((60, 80, 3), np.float32 if suffix in (".hdr", ".pfm") else np.uint8)
    assert picture_size(cv2.imencode(suffix, image)[1].tobytes()) == (80, 60)


@pytest.mark.parametrize("data", [b"", b"P", b"P6", b"BM", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"RIFF....WEBP", b"text"])
def test_what_says_nothing(data):
    assert picture_size(data) is None


def png_header(width, height) -> bytes:
    """A PNG that is whole, but for its pixels."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_picture_beyond_the_limit_is_refused_in_a_line_that_says_how_to_raise_it(tmp_path, monkeypatch):
    path = tmp_path / "large.png"
    path.write_bytes(png_header(20_000, 20_000))
    with pytest.raises(InputError, match=rf"20000x20000 .* {MEGAPIXELS} million; .*{LIMIT}=400$"):
        read_image(path)
    monkeypatch.setenv(LIMIT, "0.0001")
    path.write_bytes(encoded(Image.new("RGB", (11, 10)), "PNG"))
    with pytest.raises(InputError, match="11x10"):
        read_image(path)
    monkeypatch.setenv(LIMIT, "0.00011")
    assert read_image(path).shape == (10, 11, 3)


@pytest.mark.parametrize("text", ["many", "0", "-5", "nan", "inf"])
def test_a_limit_that_is_none(monkeypatch, text):
    monkeypatch.setenv(LIMIT, text)
    with pytest.raises(InputError, match=LIMIT):
        max_pixels()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_decoders_say_nothing_themselves(tmp_path, capfd, kind):
    """libjpeg complains of what it passes over, libpng of a checksum inside of one whose own is right."""
    rng = np.random.default_rng(0)
    good = encoded(rng.integers(0, 256, (60, 80, 3), np.uint8), kind)
    spoke = 0
    for _ in range(60):
        data = np.frombuffer(good, np.uint8).copy()
        data[rng.integers(20, len(data), 3)] ^= 16
        cv2.imdecode(data, cv2.IMREAD_COLOR)
        spoke += bool(capfd.readouterr().err)
        path = tmp_path / "picture"
        path.write_bytes(data.tobytes())
        try:
            read_image(path)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017
        assert capfd.readouterr().err == ""
    assert spoke
