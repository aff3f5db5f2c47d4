"""streams/picture.py: every kind of picture file, whole and broken."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from pictures import ALPHA, BGR, RGB, X, encoded, read
from PIL import ExifTags, Image

from errors import InputError
from streams.picture import read_image, read_reduced


def assert_refused(tmp_path, data, *words, name="picture.png"):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as error:
        read_image(tmp_path / name)
    assert_one_line(error, tmp_path / name, *words)


def assert_one_line(error, *words):
    assert "\n" not in str(error.value)
    for word in words:
        assert str(word) in str(error.value)


def assert_close(image, expected, tolerance):
    assert image.shape == expected.shape
    np.testing.assert_allclose(image.astype(int), expected.astype(int), rtol=0, atol=tolerance)


# Kinds of files


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("PPM", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 12),
        ("JPEG", {"quality": 95, "subsampling": 0}, 4),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 4),
    ],
)
def test_read_color(tmp_path, kind, options, tolerance):
    """Blue comes first."""
    assert_close(read(tmp_path, encoded(RGB, kind, **options)), BGR, tolerance)


@pytest.mark.parametrize(("kind", "tolerance"), [("PNG", 0), ("BMP", 0), ("TIFF", 0), ("JPEG", 4)])
def test_read_grey(tmp_path, kind, tolerance):
    """Three equal channels."""
    image = read(tmp_path, encoded(RGB[..., 0], kind))
    assert_close(image, np.repeat(RGB[..., :1], 3, axis=2), tolerance)
    assert (image[..., 0] == image[..., 1]).all()
    assert (image[..., 0] == image[..., 2]).all()


def test_read_black_and_white(tmp_path):
    image = read(tmp_path, encoded(Image.fromarray(ALPHA).convert("1"), "PNG"))
    np.testing.assert_array_equal(image, np.repeat(ALPHA[..., None], 3, axis=2))


def test_read_palette(tmp_path):
    palette = Image.fromarray(RGB).quantize(16)
    np.testing.assert_array_equal(read(tmp_path, encoded(palette, "PNG")), np.array(palette.convert("RGB"))[..., ::-1])


def test_read_palette_with_a_transparent_color(tmp_path):
    palette = Image.fromarray(RGB).quantize(16)
    transparent = np.array(palette) == palette.getpixel((5, 5))
    image = read(tmp_path, encoded(palette, "PNG", transparency=palette.getpixel((5, 5))))
    assert 0 < transparent.sum() < transparent.size
    np.testing.assert_array_equal(image, np.where(transparent[..., None], 255, np.array(palette.convert("RGB"))[..., ::-1]))


def test_read_transparency_shows_white(tmp_path):
    """Whatever colour lies below; half transparent is half white."""
    image = read(tmp_path, encoded(np.dstack([RGB, ALPHA]), "PNG"))
    assert (image[:, :40] == 255).all()
    np.testing.assert_array_equal(image[:, 40:], BGR[:, 40:])
    half = read(tmp_path, encoded(np.dstack([RGB, np.full_like(ALPHA, 51)]), "PNG"))
    assert_close(half, 0.2 * BGR + 0.8 * 255, 1)


def test_read_grey_with_alpha(tmp_path):
    image = read(tmp_path, encoded(np.dstack([RGB[..., 0], ALPHA]), "PNG"))
    np.testing.assert_array_equal(image, np.where(ALPHA == 0, 255, RGB[..., 0])[..., None].repeat(3, axis=2))


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_read_sixteen_bits(tmp_path, extension):
    """The upper byte."""
    deep = BGR.astype(np.uint16) * 256 + 200
    for picture, expected in ((deep, BGR), (deep[..., 0], BGR[..., :1].repeat(3, axis=2))):
        assert_close(read(tmp_path, cv2.imencode(extension, picture)[1].tobytes()), expected, 1)


def test_read_sixteen_bits_with_alpha(tmp_path):
    """Transparent, between, and opaque."""
    alpha = np.where(X < 30, 0, np.where(X < 50, 100, 255))[..., None]
    deep = np.dstack([BGR, alpha]).astype(np.uint16) * 257
    image = read(tmp_path, cv2.imencode(".png", deep)[1].tobytes())
    assert_close(image, BGR * (alpha / 255) + 255 * (1 - alpha / 255), 1)


def test_read_cmyk(tmp_path):
    """The colours that Pillow shows."""
    data = encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG", quality=95)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.mode == "CMYK"
        expected = np.array(opened.convert("RGB"))[..., ::-1]
    assert_close(read(tmp_path, data), expected, 2)
    assert_close(expected, BGR, 8)


TURNED = {  # EXIF orientation -> what the viewer sees
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image, 2).swapaxes(0, 1),
    8: lambda image: np.rot90(image, 1),
}


def exif(orientation, thumbnail=b""):
    """An EXIF block with an orientation and, in its second directory, a JPEG thumbnail (big endian TIFF structure)."""
    first = struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 26 if thumbnail else 0)
    block = b"MM\0*" + struct.pack(">I", 8) + first
    if thumbnail:
        at = len(block) + 2 + 3 * 12 + 4
        entries = ((0x0103, 3, 6 << 16), (0x0201, 4, at), (0x0202, 4, len(thumbnail)))
        block += struct.pack(">H", 3) + b"".join(struct.pack(">HHII", tag, kind, 1, value) for tag, kind, value in entries) + bytes(4) + thumbnail
    return b"Exif\0\0" + block


def with_exif(jpeg, block):
    """The JPEG with the block as its first segment."""
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


@pytest.mark.parametrize("orientation", TURNED)
def test_read_turns_as_exif_says(tmp_path, orientation):
    data = with_exif(encoded(RGB, "JPEG", quality=95, subsampling=0), exif(orientation))
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.getexif()[0x0112] == orientation
    assert_close(read(tmp_path, data), TURNED[orientation](BGR), 4)


@pytest.mark.parametrize("progressive", [False, True])
def test_read_jpeg_with_a_thumbnail(tmp_path, progressive):
    """Another picture inside the file, with its own end, before the picture itself."""
    thumbnail = encoded(255 - RGB[::4, ::4], "JPEG")
    data = with_exif(encoded(RGB, "JPEG", quality=95, subsampling=0, progressive=progressive), exif(6, thumbnail))
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.getexif().get_ifd(ExifTags.IFD.IFD1)[0x0202] == len(thumbnail)
    assert_close(read(tmp_path, data), TURNED[6](BGR), 4)


@pytest.mark.parametrize("tail", [b"\0" * 5000, b"text \xff\xda\x00\x0c and more", b"\xff\xd8\xff\xe0\x00\x10", b"\xff" * 9, b"\xff"])
@pytest.mark.parametrize("progressive", [False, True])
def test_read_jpeg_with_trailing_bytes(tmp_path, progressive, tail):
    """Cameras and editors put things behind the picture; what they are does not matter."""
    data = encoded(RGB, "JPEG", quality=95, subsampling=0, progressive=progressive)
    np.testing.assert_array_equal(read(tmp_path, data + tail), read(tmp_path, data))


@pytest.mark.parametrize("fill", [b"", b"\xff", b"\xff\xff"])
def test_read_jpeg_with_restart_markers_comments_and_fill_bytes(tmp_path, fill):
    """Whatever may stand between the segments: FF before a marker, restart markers in the data, an end marker in a comment."""
    data = cv2.imencode(".jpg", BGR, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1].tobytes()
    assert b"\xff\xd0" in data
    comment = fill + b"\xff\xfe\x00\x06\xff\xd9\xff\xda"
    np.testing.assert_array_equal(read(tmp_path, data[:2] + comment + data[2:]), read(tmp_path, data))
    at = data.rindex(b"\xff\xd9")
    assert_refused(tmp_path, data[:2] + comment + data[2:at], "ends in the middle")


def test_read_one_pixel(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, encoded(RGB[5:6, 7:8], "PNG")), BGR[5:6, 7:8])


@pytest.mark.parametrize("shape", [(1, 4000), (4000, 1), (6000, 8000)])
def test_read_long_and_large(tmp_path, shape):
    """1x4000 and 8000x6000 pixels."""
    data = cv2.imencode(".png", np.full((*shape, 3), 7, np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    image = read(tmp_path, data)
    assert image.shape == (*shape, 3)
    assert image[-1, -1].tolist() == [7, 7, 7]


def test_read_takes_text_and_path(tmp_path):
    path = tmp_path / "Bild ä 写真.png"
    path.write_bytes(encoded(RGB, "PNG"))
    np.testing.assert_array_equal(read_image(str(path)), read_image(path))


# What is refused


def test_missing(tmp_path):
    with pytest.raises(InputError) as error:
        read_image(tmp_path / "none.png")
    assert_one_line(error, tmp_path / "none.png", "no such file")


def test_folder(tmp_path):
    with pytest.raises(InputError) as error:
        read_image(tmp_path)
    assert_one_line(error, tmp_path, "folder")


def test_below_a_file(tmp_path):
    """A path that cannot be: its folder is a file."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError) as error:
        read_image(tmp_path / "file" / "picture.png")
    assert_one_line(error, tmp_path / "file" / "picture.png", "not readable")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    (tmp_path / "picture.png").write_bytes(encoded(RGB, "PNG"))
    (tmp_path / "picture.png").chmod(0)
    with pytest.raises(InputError) as error:
        read_image(tmp_path / "picture.png")
    assert_one_line(error, "not readable", "permission")


def test_empty(tmp_path):
    assert_refused(tmp_path, b"", "empty")


@pytest.mark.parametrize("data", [b"x", b"no picture\n" * 100, b"\x89PNG", b"BM", b"II*\0", b"RIFF\0\0\0\0WEBP", b"\0" * 5000])
def test_no_picture(tmp_path, data, capfd):
    """Text named .png, and files that begin like a picture; OpenCV adds no words of its own."""
    assert_refused(tmp_path, data, tmp_path / "picture.png", "expected a picture")
    assert capfd.readouterr() == ("", "")


NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def jpeg_files():
    files = []
    thumbnail = encoded(RGB[::4, ::4], "JPEG")
    for progressive in (False, True):
        data = encoded(NOISE, "JPEG", progressive=progressive)
        name = "progressive" if progressive else "baseline"
        files.append(pytest.param(data, id=name))
        files.append(pytest.param(with_exif(data, exif(1, thumbnail)), id=f"{name}, thumbnail"))
    return files


@pytest.mark.parametrize("data", jpeg_files())
def test_cut_jpeg(tmp_path, data, capfd):
    """At every tenth of its length, at any byte of its header, before its last bytes: never a half grey picture."""
    assert read(tmp_path, data).shape == (48, 64, 3)
    lengths = {len(data) * part // 10 for part in range(1, 10)} | set(range(2, 1500, 37)) | {len(data) - 1, len(data) - 2, len(data) - 3}
    for length in lengths:
        assert_refused(tmp_path, data[:length], "ends in the middle", name="picture.jpg")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("picture", [NOISE, RGB], ids=["noise", "smooth"])
def test_cut_png(tmp_path, picture, capfd):
    """Anywhere, down to the last byte; a file that is not known as a PNG yet is no picture."""
    data = encoded(picture, "PNG")
    for length in {*range(1, len(data), 97), *range(1, 120), *range(len(data) - 40, len(data))}:
        assert_refused(tmp_path, data[:length], "ends in the middle" if length >= 8 else "expected a picture")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("tail", [b"\0" * 5000, b"IEND", b"\x89PNG\r\n\x1a\n"])
def test_read_png_with_trailing_bytes(tmp_path, tail):
    np.testing.assert_array_equal(read(tmp_path, encoded(RGB, "PNG") + tail), BGR)


def test_cut_png_that_speaks_of_its_end(tmp_path):
    """The name of the end marker inside a text, before the picture."""
    data = encoded(RGB, "PNG")
    text = b"tEXtComment\0IEND"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    whole = data[:33] + chunk + data[33:]
    np.testing.assert_array_equal(read(tmp_path, whole), BGR)
    assert_refused(tmp_path, whole[:-30], "ends in the middle")


def test_damaged_png(tmp_path, capfd):
    """One wrong bit anywhere after the first bytes, in one line: libpng would complain in others."""
    data = encoded(NOISE, "PNG")
    for place in range(8, len(data), 211):
        damaged = bytearray(data)
        damaged[place] ^= 16
        assert_refused(tmp_path, bytes(damaged), "damaged")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("kind", "options"), [("BMP", {}), ("WEBP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("GIF", {}), ("PPM", {})]
)
def test_cut_others(tmp_path, kind, options, capfd):
    """OpenCV itself refuses these."""
    data = encoded(NOISE, kind, **options)
    for part in range(1, 10):
        assert_refused(tmp_path, data[: len(data) * part // 10], "expected a picture")
    assert_refused(tmp_path, data[:-2], "expected a picture")
    assert capfd.readouterr() == ("", "")


# Sizes


# Large JPEGs at a part of their size


@pytest.mark.parametrize(
    ("size_wh", "least", "factor"), [((1600, 1200), 150, 8), ((1600, 1200), 151, 4), ((1601, 1203), 300, 4), ((900, 1600), 450, 2)]
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_reduced_pictures_are_the_averages_of_the_full_ones(tmp_path, size_wh, least, factor, orientation):
    smooth = cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8), size_wh, interpolation=cv2.INTER_CUBIC)
    path = tmp_path / "x.jpg"
    path.write_bytes(with_exif(cv2.imencode(".jpg", smooth, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes(), exif(orientation)))
    full = read_image(path)
    image, full_wh = read_reduced(path, least)
    assert full_wh == (full.shape[1], full.shape[0])
    assert (image.shape[1], image.shape[0]) == tuple(-(-side // factor) for side in full_wh)
    expected = cv2.resize(full, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_AREA)
    assert np.abs(image.astype(int) - expected).mean() < 1.5


@pytest.mark.parametrize(("name", "size_wh", "least"), [("x.jpg", (1600, 1200), 601), ("x.png", (1600, 1200), 100), ("x.jpg", (800, 799), 90)])
def test_pictures_that_come_in_full(tmp_path, name, size_wh, least):
    """Too small; no JPEG; one of which it would not be clear which way it stands."""
    path = tmp_path / name
    cv2.imwrite(str(path), np.full((size_wh[1], size_wh[0], 3), 90, np.uint8))
    image, full_wh = read_reduced(path, least)
    assert full_wh is None
    assert (image.shape[1], image.shape[0]) == size_wh


def test_damaged_pictures_are_refused_as_ever(tmp_path):
    path = tmp_path / "x.jpg"
    path.write_bytes(cv2.imencode(".jpg", np.full((1200, 1600, 3), 90, np.uint8))[1].tobytes()[:-500])
    with pytest.raises(InputError, match="damaged"):
        read_reduced(path, 100)
