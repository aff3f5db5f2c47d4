"""How large a picture is, from the first bytes of its file: before room for it is taken.

Sources: PNG, ISO/IEC 15948; JPEG, ITU-T T.81; BMP and TIFF 6.0 as Microsoft and Adobe publish them; WebP, RFC 9649; GIF89a; Netpbm's pages;
JPEG 2000, ITU-T T.800; AVIF, ISO/IEC 23008-12; Radiance and Sun as their own programs write them.
"""

import re
import struct

JPEG = b"\xff\xd8"
PNG = b"\x89PNG\r\n\x1a\n"
TIFF = {
    b"II*\0": ("<", 4, 8),
    b"MM\0*": (">", 4, 8),
    b"II+\0": ("<", 8, 16),
    b"MM\0+": (">", 8, 16),
}  # order; bytes of an offset; where the first one ends
TIFF_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}
WIDTH, HEIGHT = 256, 257  # tags of TIFF
STARTS_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of JPEG that state the size
WITHOUT_LENGTH = {0x00, 0x01, *range(0xD0, 0xD9)}


def picture_size(data):
    """(width, height) that the file states, the largest where it states several; None where no format is known, or it is damaged."""
    for begins, of_format in FORMATS:
        if begins(data):
            try:
                sizes = list(of_format(data))
            except (struct.error, IndexError, ValueError):
                return None
            return max(sizes, key=lambda size: size[0] * size[1], default=None)
    return None


def _png(data):
    yield struct.unpack_from(">II", data, 16)


def _jpeg(data):
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in WITHOUT_LENGTH:
            at += 2
        elif marker in STARTS_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            yield width, height
            return
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]


def _bmp(data):
    if struct.unpack_from("<I", data, 14)[0] == 12:  # OS/2's
        yield struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
        yield abs(width), abs(height)


def _webp(data):
    kind = data[12:16]
    if kind == b"VP8X":
        yield tuple(1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        yield 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = struct.unpack_from("<HH", data, 26)
        yield width & 0x3FFF, height & 0x3FFF


def _tiff(data):
    """Of the first page, which is the one that is read."""
    order, width, end = TIFF[data[:4]]
    offset, count, entry = ("I", "H", 12) if width == 4 else ("Q", "Q", 20)
    at = struct.unpack_from(order + offset, data, end - width)[0]
    n_entries = struct.unpack_from(order + count, data, at)[0]
    at += struct.calcsize(order + count)
    found = {}
    for number in range(min(n_entries, 1000)):
        tag, kind = struct.unpack_from(order + "HH", data, at + number * entry)
        if tag in (WIDTH, HEIGHT):
            value = struct.unpack_from(order + TIFF_TYPES.get(kind, "I"), data, at + number * entry + entry - width)[0]
            found[tag] = max(value, found.get(tag, 0))
    yield found.get(WIDTH, 0), found.get(HEIGHT, 0)


def _gif(data):
    yield struct.unpack_from("<HH", data, 6)


def _netpbm(data):
    """PBM, PGM, PPM; PFM; and PAM, which names its numbers."""
    head = re.sub(rb"#[^\n\r]*", b" ", data[:65536])
    named = dict(re.findall(rb"(WIDTH|HEIGHT)\s+(\d{1,12})", head)) if data[:2] == b"P7" else {}
    numbers = [named.get(b"WIDTH", b"0"), named.get(b"HEIGHT", b"0")] if named else re.findall(rb"\d{1,12}", head[2:])[:2]
    yield int(numbers[0]), int(numbers[1])


def _jpeg2000(data):
    yield from (struct.unpack_from(">II", data, match.end() + 4) for match in re.finditer(rb"\xff\x4f\xff\x51", data[:65536]))
    yield from (struct.unpack_from(">II", data, match.end())[::-1] for match in re.finditer(rb"ihdr", data[:65536]))


def _avif(data):
    yield from (struct.unpack_from(">II", data, match.end() + 4) for match in re.finditer(rb"ispe", data[:65536]))


def _radiance(data):
    sides = dict(re.findall(rb"[-+]([XY]) (\d{1,12})", data[:65536]))
    yield int(sides.get(b"X", 0)), int(sides.get(b"Y", 0))


def _sun(data):
    yield struct.unpack_from(">II", data, 4)


FORMATS = (  # (whether a file begins so, its sizes)
    (lambda data: data[:8] == PNG, _png),
    (lambda data: data[:2] == JPEG, _jpeg),
    (lambda data: data[:2] == b"BM", _bmp),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _webp),
    (lambda data: data[:4] in TIFF, _tiff),
    (lambda data: data[:4] == b"GIF8", _gif),
    (lambda data: data[:1] == b"P" and data[1:2] in b"1234567fF", _netpbm),
    (lambda data: data[:4] == b"\xff\x4f\xff\x51" or data[4:8] == b"jP  ", _jpeg2000),
    (lambda data: data[4:8] == b"ftyp", _avif),
    (lambda data: data[:2] == b"#?", _radiance),
    (lambda data: data[:4] == b"\x59\xa6\x6a\x95", _sun),
)
