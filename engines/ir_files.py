"""The two files of a network of OpenVINO, .xml and .bin: written so that the old pair can be used until the new one is there.

A run that is killed between the two renames leaves a new .bin beside an old .xml. So an .xml of ours ends in a line that says which .bin it belongs
to, and the .bin that is replaced stays as .NAME.old.bin until its .xml is replaced, too.
"""

import os
import re
import zlib
from contextlib import suppress
from pathlib import Path

from errors import InputError
from files import atomic_file, open_binary
from parts import clear_once, make_part, sync

CHUNK = 1 << 20
STATED = re.compile(rb"<!-- weights: \d+ bytes, CRC-32 [0-9a-f]{8} -->\s*\Z")


def write_ir(path, save):
    """Write path (.xml) and the .bin beside it. save(part) writes them under the name of a part (.xml). Raises OSError, and what save raises."""
    path = Path(os.path.realpath(path))
    clear_once(path.parent)
    xml = make_part(path, ".part.xml")
    weights = xml.with_suffix(".bin")
    try:
        os.close(os.open(weights, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))  # so that no link is there
        save(xml)
        with xml.open("ab") as file:
            file.write(_line_of(weights))
        sync(xml)
        sync(weights)
        _put_aside(path)
        weights.replace(path.with_suffix(".bin"))
        xml.replace(path)
        _old_of(path).unlink(missing_ok=True)
    finally:
        for part in (xml, weights):
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _put_aside(path):
    """The .bin of a pair that is to be replaced, which its .xml goes on finding."""
    weights = path.with_suffix(".bin")
    if not (path.is_file() and weights.is_file()):
        return
    if STATED.search(_end_of(path)) is None:  # not ours, or older
        with atomic_file(path) as part:
            part.write_bytes(path.read_bytes() + b"\n" + _line_of(weights))
    if _is_stated(path, weights):
        weights.replace(_old_of(path))


def weights_of(path) -> Path:
    """The .bin that belongs to an .xml and is not named: beside it, or put aside by a run that was killed."""
    old = _old_of(path)
    return old if old.is_file() and _is_stated(path, old) else path.with_suffix(".bin")


def check_pair(path, weights):
    """Raise InputError where an .xml says that these are not its weights."""
    if STATED.search(_end_of(path)) is not None and not _is_stated(path, weights):
        what = "these two files do not belong together, or one of them is damaged"
        raise InputError(f"network {path} and {weights}: {what}; convert the weights again (convert_model.py)")


def _is_stated(path, weights) -> bool:
    stated = STATED.search(_end_of(path))
    return stated is not None and stated[0].strip() == _line_of(weights).strip()


def _end_of(path) -> bytes:
    with open_binary(path, "network") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 200))
        return file.read()


def _line_of(weights) -> bytes:
    value = 0
    with open_binary(weights, "weights") as file:
        while data := file.read(CHUNK):
            value = zlib.crc32(data, value)
    return f"<!-- weights: {weights.stat().st_size} bytes, CRC-32 {value:08x} -->\n".encode()


def _old_of(path):
    return path.with_name(f".{path.stem[:200]}.old.bin")
