"""Damage: seeded changes of bytes, of JSON, and of the entries of a zip."""

import io
import json
import re
import struct
import warnings
import zipfile

NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    127,
    128,
    255,
    256,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    (1 << 63) - 1,
    (1 << 64) - 1,
)
TEXTS = (b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"%s%n", b"../", b"'", b'"', b"\r\n", b"(" * 300, b"[" * 5000, b"9" * 500, b"-1", b"1e999", b"NaN")
RAW = (  # JSON that json.dumps does not write
    *("null", "true", "false", "0", "-1", "1", "1.5", "-0.0", "1e400", "-1e400", "NaN", "Infinity", "1e-320", "65536", "2147483648", "4294967296"),
    *("9223372036854775808", "-9223372036854775809", "1" + "0" * 400, "1" + "0" * 5000, '""', '"text"', '"\\ud800"', '"\\u0000"', '"1"', '"../x"'),
    *(
        "[]",
        "{}",
        "[[]]",
        "[null]",
        "16",
        "17",
        "100",
        "320",
        "-5",
        "[100,100]",
        "[1e308,1e308]",
        '{"a":1}',
        "[" * 900 + "]" * 900,
        "[" * 200_000 + "]" * 200_000,
        '"' + "x" * 5000 + '"',
    ),
)
TIMES = (1, 1, 1, 2, 3)  # faults of a file
MARK = "\ufffcMARK"


def of_bytes(rng, data) -> bytes:
    """The bytes with one to three faults, as disks, networks and hostile people make them."""
    data = bytearray(data)
    for _ in range(rng.choice(TIMES)):
        CHANGES[rng.integers(len(CHANGES))](rng, data)
    return bytes(data)


def _place(rng, data):
    """Any place, the head and the tail of the file more often."""
    kind, size = rng.integers(4), max(1, len(data))
    if kind == 0:
        return int(rng.integers(min(size, 300)))
    if kind == 1:
        return size - 1 - int(rng.integers(min(size, 300)))
    return int(rng.integers(size))


def _length(rng, data):
    return int(min(len(data), 2 ** rng.uniform(0, 12)))


def _flip(rng, data):
    for _ in range(rng.integers(1, 9)) if data else ():
        data[_place(rng, data)] ^= 1 << rng.integers(8)


def _random(rng, data):
    at = _place(rng, data)
    data[at : at + _length(rng, data)] = rng.bytes(_length(rng, data))


def _fill(rng, data):
    at, length = _place(rng, data), _length(rng, data)
    data[at : at + length] = bytes([rng.choice([0, 255, 32])]) * length


def _delete(rng, data):
    at = _place(rng, data)
    del data[at : at + _length(rng, data)]


def _repeat(rng, data):
    at, length = _place(rng, data), _length(rng, data)
    data[at:at] = data[at : at + length] * int(rng.integers(1, 5))


def _cut(rng, data):
    del data[_place(rng, data) :]


def _number(rng, data):
    at, value = _place(rng, data), int(rng.choice(len(NUMBERS)))
    kind = rng.choice(["<B", "<H", ">H", "<I", ">I", "<Q", ">Q"])
    packed = struct.pack(kind, NUMBERS[value] & (1 << 8 * struct.calcsize(kind)) - 1)
    data[at : at + len(packed)] = packed


def _text(rng, data):
    at = _place(rng, data)
    data[at : at + int(rng.integers(3))] = TEXTS[rng.integers(len(TEXTS))]


CHANGES = (_flip, _flip, _flip, _random, _fill, _delete, _repeat, _cut, _number, _number, _text)


def of_json(rng, text) -> bytes:
    """A JSON document with one to three values of another kind, left out, or twice; sometimes damaged as bytes."""
    if rng.random() < 0.2:
        return of_bytes(rng, text.encode())
    document, raw = json.loads(text), []
    for _ in range(rng.choice(TIMES)):
        places = {}  # by the name of the field, so that rare fields are damaged as often as frequent ones
        for name, holder, key in _places(document):
            places.setdefault(name, []).append((holder, key))
        if not places:
            break
        chosen = places[list(places)[rng.integers(len(places))]]
        holder, key = chosen[rng.integers(len(chosen))]
        kind = rng.integers(6)
        if kind == 0 and isinstance(holder, list):
            holder.append(holder[key])
        elif kind == 1:
            del holder[key]
        elif kind == 2 and isinstance(holder, dict):
            holder[f"{key} "] = holder.pop(key)
        else:
            raw.append(RAW[rng.integers(len(RAW))])
            holder[key] = f"{MARK}{len(raw) - 1:03d}"
    written = json.dumps(document)
    for number, value in enumerate(raw):
        written = written.replace(json.dumps(f"{MARK}{number:03d}"), value)
    return written.encode()


def _places(node, name=""):
    """(name of the field, container, key) of every value below a node."""
    items = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    for key, value in items:
        field = key if isinstance(node, dict) else f"{name}[]"
        yield field, node, key
        yield from _places(value, field)


def of_xml(rng, data) -> bytes:
    """XML with an attribute of another value, or a tag left out."""
    attributes = list(re.finditer(rb'="([^"]*)"', data))
    for _ in range(rng.choice(TIMES)):
        match = attributes[rng.integers(len(attributes))]
        if match[1].isdigit() and rng.random() < 0.7:
            value = (
                str(int(rng.choice([0, 1, 2, 3, 4, 5, 8, 57, 64, 1000]))).encode()
                if rng.random() < 0.7
                else str(NUMBERS[rng.integers(len(NUMBERS))]).encode()
            )
        else:
            value = attributes[rng.integers(len(attributes))][1] if rng.random() < 0.5 else TEXTS[rng.integers(len(TEXTS))].replace(b'"', b"")
        data = (
            data.replace(match[0], b'="' + value + b'"', 1)
            if rng.random() < 0.5
            else b'="'.join([data[: match.start()], value + data[match.end() - 1 :]])
        )
    return data


def of_zip(rng, data) -> bytes:
    """A zip with an entry damaged, renamed, doubled or blown up, whose checksums are right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [[entry.filename, archive.read(entry)] for entry in archive.infolist()]
    chosen = entries[rng.integers(len(entries))]
    kind = rng.integers(6)
    if kind == 0:
        chosen[0] = chosen[0].replace("/", "\\") + str(rng.choice(["", ".npy", "\0", "é"]))
    elif kind == 1:
        entries.append(list(chosen))
    elif kind == 2:
        chosen[1] += bytes(int(2 ** rng.uniform(1, 24)))
    else:
        head = chosen[1][:128]
        chosen[1] = of_bytes(rng, head) + chosen[1][128:] if rng.random() < 0.8 else of_bytes(rng, chosen[1])
    file = io.BytesIO()
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w", kinds[rng.choice(4, p=[0.5, 0.3, 0.1, 0.1])]) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, archive.compression)
    return file.getvalue()
