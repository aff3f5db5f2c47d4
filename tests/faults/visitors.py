"""Visitors of web_demo.py who hand in what is damaged, ask for what is not there, break off, and a page on a machine that fails.

    python tests/faults/visitors.py --seed 1 --minutes 5
    python tests/faults/visitors.py --seed 1 --first 17 --cases 1     one case again

Wanted: the page answers everybody, with a message where something is wrong; its terminal shows lines of ours; it answers the next
visitor as it did the first one; a signal ends it, and nothing is left. Needs Gradio (requirements-web.txt).
"""

import argparse
import http.client
import importlib.util
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from faults import mutations  # noqa: E402
from faults.machine import limited, small_disk  # noqa: E402

PATIENCE = 240  # seconds for an answer; the machine may be busy
SETTINGS = ["body", "lightposenet", "OpenVINO", "f32", 128]
OTHER = ["lightposenet", "OpenVINO", "f32"]
EXTRA = {"look": [], "compare": OTHER, "maps": ["all joints"], "watch": []}  # what follows the settings
NONSENSE = (
    *(
        None,
        "",
        "x",
        "\0",
        "../../etc/passwd",
        "a" * 10_000,
        "\ud800",
        0,
        -1,
        1,
        127,
        737,
        368.5,
        1e308,
        2**63,
        True,
        [],
        ["body"],
        {},
        {"path": "x"},
    ),
    *("whole person: body, face, hands", "Chainer", "int8", "bf16", "posenet", "NOSE", "<b>x</b>"),
)
BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b'{"data": null}',
    b'{"data": 5}',
    b'{"data": {}}',
    b'{"data": [[[[',
    b"[" * 100_000,
    b"\xff\xfe",
    b"NaN",
)
PATHS = (
    *(
        "call/look",
        "call/nothing",
        "call/watch",
        "run/look",
        "api/look",
        "queue/join",
        "queue/data?session_hash=x",
        "queue/status",
        "upload",
        "cancel",
    ),
    *("upload?upload_id=%00", "upload_progress?upload_id=x", "file=/etc/passwd", "file=%00", "file=" + "a" * 5000, "file=https://127.0.0.1:1/x"),
    *("stream/x/y/z/playlist.m3u8", "stream/x", "stream/x/close", "heartbeat/x", "component_server", "reset", "config", "info", "call/look/x"),
    *(
        "process_recording",
        "vibe-edit",
        "run-history/connect",
        "proxy=http://127.0.0.1:1/x",
        "custom_component/x/client/x/y",
        "monitoring",
        "deep_link",
    ),
)


class Page:
    """A web_demo.py that runs."""

    def __init__(self, process, words):
        self.process, self.words, self.url = process, words, None

    def said(self) -> str:
        """What its terminal shows beside its address."""
        return "".join(line for line in self.words.read_text(errors="replace").splitlines(True) if not line.startswith("http://"))

    def ask(self, path, body=None, method=None, headers=(), seconds=PATIENCE) -> bytes:
        """The answer to a request, also to one that is refused."""
        request = urllib.request.Request(f"{self.url}/{path}", body, dict(headers) or {"Content-Type": "application/json"}, method=method)
        try:
            with OPENER.open(request, timeout=seconds) as answer:
                return answer.read(1 << 26)
        except urllib.error.HTTPError as error:
            return error.read()

    def upload(self, name, data):
        """What an upload is called afterwards, as a value of an input."""
        head = f'--line\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        answer = self.ask("gradio_api/upload", head + data + b"\r\n--line--\r\n", headers={"Content-Type": "multipart/form-data; boundary=line"})
        try:
            return {"path": json.loads(answer)[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        except (ValueError, KeyError, IndexError):
            return None

    def call(self, name, values):
        """(event, values) of the last answer: "complete" or "error"."""
        answer = json.loads(self.ask(f"gradio_api/call/{name}", json.dumps({"data": values}).encode()))
        if "event_id" not in answer:
            return "error", answer
        lines = self.ask(f"gradio_api/call/{name}/{answer['event_id']}").decode().splitlines()
        events = [line[7:] for line in lines if line.startswith("event: ") and "heartbeat" not in line]
        return events[-1], json.loads([line for line in lines if line.startswith("data: ")][-1][6:])

    def found(self, picture):
        """The JSON of the people in a picture."""
        event, values = self.call("look", [self.upload("good.png", picture), *SETTINGS])
        return values[6] if event == "complete" and not values[0] else (event, values)


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def page_in(folder, before=None):
    """A Page whose temporary folder is folder/tmp."""
    words, tmp = folder / "words", folder / "tmp"
    tmp.mkdir(exist_ok=True)
    with words.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "web_demo.py"), "--port", "0"],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(tmp), "no_proxy": "*"},
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=before,
        )
    page, end = Page(process, words), time.monotonic() + PATIENCE
    try:
        while page.url is None and process.poll() is None and time.monotonic() < end:
            page.url = next((word for word in words.read_text(errors="replace").split() if word.startswith("http://") and "(" not in word), None)
            time.sleep(0.1)
        yield page
    finally:
        process.kill()
        process.wait()


def pictures():
    """{name: bytes} of what is handed in: small ones, so that a case takes less than a second."""
    image = cv2.resize(cv2.imread(str(ROOT / "data" / "people.png")), (320, 178), interpolation=cv2.INTER_AREA)
    files = {f"x{suffix}": cv2.imencode(suffix, image)[1].tobytes() for suffix in (".png", ".jpg", ".webp", ".bmp")}
    with tempfile.TemporaryDirectory() as folder:
        for name, codec in (("x.avi", "MJPG"), ("x.mp4", "mp4v")):
            writer = cv2.VideoWriter(str(Path(folder, name)), cv2.VideoWriter_fourcc(*codec), 25, (320, 178))
            for number in range(4):
                writer.write(np.roll(image, 5 * number, axis=1))
            writer.release()
            files[name] = Path(folder, name).read_bytes()
    return files


def damaged(page, rng, files):
    """A damaged file."""
    name = rng.choice(list(files))
    data = mutations.of_bytes(np.random.default_rng(rng.randrange(1 << 32)), files[name])
    api = "watch" if name.endswith(("avi", "mp4")) or rng.random() < 0.1 else rng.choice(("look", "look", "compare", "maps"))
    event, values = page.call(api, [page.upload(name, data), *SETTINGS, *EXTRA[api]])
    assert event == "complete", (event, values)
    assert "wrong inside" not in values[0], values[0]


def settings(page, rng, files):
    """Values that the page does not offer. Gradio refuses some of them itself."""
    api = rng.choice(list(EXTRA))
    values = [page.upload("x.png", files["x.png"]), *SETTINGS, *EXTRA[api]]
    for _ in range(rng.choice((1, 1, 2))):
        values[rng.randrange(len(values))] = rng.choice(NONSENSE)
    if rng.random() < 0.1:
        del values[rng.randrange(len(values)) :]
    event, values = page.call(api, values)
    assert event == "error" or "wrong inside" not in values[0], values[0]


def requests(page, rng, files):
    """Requests that no page of ours sends."""
    path, method = "gradio_api/" + rng.choice(PATHS), rng.choice(("GET", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"))
    headers = {"Content-Type": rng.choice(("application/json", "multipart/form-data", "multipart/form-data; boundary=line", "text/plain", "x"))}
    with suppress(TimeoutError, http.client.HTTPException):  # some wait for what never comes, others are broken off, as they should
        page.ask(path, rng.choice(BODIES) if method in ("POST", "PUT") else None, method, headers, seconds=5)


def halves(page, rng, files):
    """A connection that ends in the middle: of a request, of an upload, of an answer."""
    host, port = page.url.removeprefix("http://").split(":")
    body = json.dumps({"data": [page.upload("x.avi", files["x.avi"]), *SETTINGS]}).encode()
    api = rng.choice(("watch", "look"))
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        kind = rng.randrange(4)
        if kind == 0:  # an upload
            head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n"
            head += "Content-Type: multipart/form-data; boundary=line\r\n\r\n"
            part = b'--line\r\nContent-Disposition: form-data; name="files"; filename="x.png"\r\n\r\n' + files["x.png"]
            connection.sendall(head.encode() + part[: rng.randrange(len(part))])
        elif kind == 1:  # a request
            head = f"POST /gradio_api/call/{api} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall((head.encode() + body)[: rng.randrange(1, len(head) + len(body))])
        elif kind == 2:  # no HTTP
            connection.sendall(rng.randbytes(rng.randrange(1, 5000)))
        else:  # an answer: the visitor goes while it is made
            event = json.loads(page.ask(f"gradio_api/call/{api}", body)).get("event_id")
            connection.sendall(f"GET /gradio_api/call/{api}/{event} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            connection.recv(rng.randrange(1, 200))
        time.sleep(rng.random() / 2)
        if rng.random() < 0.5:  # at once: RST
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


KINDS = {each.__name__: each for each in (damaged, settings, requests, halves)}


def foreign(words) -> bool:
    """Whether a terminal shows what is no line of ours."""
    return not all(line.startswith("web_demo.py: ") for line in words.splitlines())


def visits(options, folder, note) -> dict:
    """Cases one after the other on one page, and at the end a signal while it works. Returns {kind: cases}."""
    files, counts, end = pictures(), dict.fromkeys(options.kind, 0), time.monotonic() + 60 * options.minutes
    with page_in(folder) as page:
        good, said = page.found(files["x.png"]), ""
        assert isinstance(good, str), good
        for number in range(options.first, options.first + options.cases):
            if time.monotonic() > end:
                break
            rng = random.Random(f"{options.seed} {number}")
            kind = rng.choice(options.kind)
            counts[kind] += 1
            try:
                KINDS[kind](page, rng, files)
            except Exception as error:  # whatever it is, it is the case's
                note(number, kind, f"{type(error).__name__}: {error}")
            if page.process.poll() is not None:
                note(number, kind, f"the page ended, status {page.process.returncode}")
                return counts
            now = page.said()
            if foreign(now[len(said) :]):
                note(number, kind, f"in the terminal: {now[len(said) :][-3000:]}")
            said = now
            if number % 10 == 9 and (now := page.found(files["x.png"])) != good:
                note(number, kind, f"another answer than the first one: {now}")
        finish(page, files, random.Random(options.seed), note, said)
    return counts


def finish(page, files, rng, note, said=""):
    """A signal while a video is worked on: the page ends, and nothing is left."""
    number = rng.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    page.ask("gradio_api/call/watch", json.dumps({"data": [page.upload("x.avi", files["x.avi"]), *SETTINGS]}).encode())
    time.sleep(rng.random())
    page.process.send_signal(number)
    try:
        status = page.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        note("end", number.name, "a hang")
        return
    words = page.said()[len(said) :]
    if status not in (128 + number, 0) or foreign(words):
        note("end", number.name, f"status {status}: {words}")
    if left := [path.name for path in (page.words.parent / "tmp").rglob("*")]:
        note("end", number.name, f"left {left[:10]}")


def failing(options, note) -> dict:
    """Pages with a small temporary disk, and with little memory: a message, or a line."""
    files, rng = pictures(), random.Random(options.seed)
    cases = [("disk", size) for size in (40, 200, 600, 2000)] + [("memory", size) for size in (800, 1200, 1600, 2400)]
    for kind, size in cases:
        with tempfile.TemporaryDirectory(prefix="page_") as name, ExitStack() as stack:
            folder = Path(name)
            (folder / "tmp").mkdir()
            if kind == "disk":
                stack.enter_context(small_disk(folder / "tmp", size))
            page = stack.enter_context(page_in(folder, limited(size) if kind == "memory" else None))
            if page.url is None:
                if page.process.returncode != 2 or page.said().count("\n") != 1:
                    note(f"{size}", kind, f"status {page.process.returncode}: {page.said()}")
                continue
            for api in rng.sample(list(EXTRA), 4) * 2:
                file = "x.avi" if api == "watch" else "x.png"
                try:
                    event, values = page.call(api, [page.upload(file, files[file]), *SETTINGS, *EXTRA[api]])
                    if event != "error" and "wrong inside" in values[0]:
                        note(f"{size} {api}", kind, values[0])
                except Exception as error:
                    note(f"{size} {api}", kind, f"{type(error).__name__}: {error}")
                if page.process.poll() is not None:
                    break
            if page.process.poll() is not None and (page.process.returncode != 2 or page.said().count("\n") != 1):
                note(f"{size}", kind, f"the page ended, status {page.process.returncode}")
            if foreign(page.said()):
                note(f"{size}", kind, f"in the terminal: {page.said()[-3000:]}")
    return {"failing machines": len(cases)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--kind", nargs="+", choices=tuple(KINDS), default=list(KINDS))
    parser.add_argument("--machine", action="store_true", help="small disks and little memory instead of visitors")
    options, faults = parser.parse_args(), []

    def note(number, kind, words):
        faults.append(kind)
        print(f"{number}: {kind}: {words}", flush=True)

    if not importlib.util.find_spec("gradio"):
        print("visitors: left out, Gradio is not installed (pip install -r requirements-web.txt)")
        return 0
    with tempfile.TemporaryDirectory(prefix="visitors_") as folder:
        counts = failing(options, note) if options.machine else visits(options, Path(folder), note)
    print(f"visitors: {counts}, {len(faults)} faults (--seed {options.seed})")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
