"""Whether a GIF or WebP file is an animation, and how long each of its pictures is shown; nothing is decoded.

Sources: GIF89a (W3C's copy), sections 18 to 26; WebP: RFC 9649, section 2.7.
"""

import struct
from pathlib import Path

from errors import InputError
from files import open_binary

ANIMATED = {".gif", ".webp"}
HEAD = 64  # bytes of a WebP file that say whether it is animated


def is_animated(path) -> bool:
    """Whether a file has two pictures or more. A file that cannot be read has none."""
    if Path(path).suffix.lower() not in ANIMATED:
        return False
    try:
        with open_binary(path, "picture") as file:
            begin = file.read(HEAD)
            return b"ANIM" in begin if begin[:4] == b"RIFF" else len(durations_of(begin + file.read())) > 1
    except (InputError, OSError):
        return False


def durations_of(data) -> list:
    """How long, in ms, each picture of a GIF or WebP file says to be; of a damaged file, those before the damage. A WebP without animation: none."""
    durations = []
    try:
        for duration in _gif(data) if data[:3] == b"GIF" else _webp(data) if data[:4] == b"RIFF" else ():
            durations.append(duration)
    except (struct.error, IndexError):
        pass
    return durations


def _gif(data):
    at, delay = 13 + _table(data[10]), 0
    while data[at] in (0x21, 0x2C):  # an extension, a picture; after the last one a trailer
        if data[at] == 0x21:
            if data[at + 1] == 0xF9:  # graphic control
                delay = 10 * struct.unpack_from("<H", data, at + 4)[0]
            at += 2
        else:
            yield delay
            at, delay = at + 11 + _table(data[at + 9]), 0
        while data[at]:  # sub-blocks
            at += 1 + data[at]
        at += 1


def _table(flags) -> int:
    """Bytes of a table of colours."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _webp(data):
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind == b"ANMF":
            yield struct.unpack_from("<I", data, at + 20)[0] & 0xFFFFFF
        at += 8 + size + size % 2
