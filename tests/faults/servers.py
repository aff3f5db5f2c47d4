"""Servers that behave badly, and every script that reads from a server against each of them.

    python tests/faults/servers.py --seed 1 --minutes 5

A case is a behaviour, an option that takes a URL, and a moment for Ctrl-C or none. Wanted: the process ends in time, without a traceback, with one
line on stderr that names the URL (and a second one with the number of failures, where there may be several), and nothing is written.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 300  # seconds for a case; the machine may be busy
PNG = b"\x89PNG\r\n\x1a\n"
OK = b"HTTP/1.1 200 OK\r\n"


def drip(send, data, seconds=0.3):
    """Byte by byte, then the last byte for ever."""
    for byte in data:
        send(bytes([byte]))
        time.sleep(seconds)
    while True:
        send(data[-1:])
        time.sleep(seconds)


def flood(send, data):
    while True:
        send(data)


def quiet(send):
    while True:
        send(b"")
        time.sleep(0.1)


def then(*steps):
    """Bytes are sent, functions called."""

    def behave(send):
        for step in steps:
            send(step) if isinstance(step, bytes) else step(send)

    return behave


def redirect(to):
    return then(f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode())


BEHAVIOURS = {  # what the server sends after a request; the connection is closed then
    "nothing": then(),
    "silence": quiet,
    "no HTTP": then(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "random bytes": then(bytes(range(256)) * 40),
    "empty body": then(OK + b"Content-Length: 0\r\n\r\n"),
    "a page": then(OK + b"Content-Type: text/html\r\nContent-Length: 20\r\n\r\n<html>hello</html>\r\n"),
    "error 500": then(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
    "error 401": then(b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'),
    "status 999": then(b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"),
    "a dripping status": lambda send: drip(send, OK),
    "a dripping header": then(OK, lambda send: drip(send, b"X-Long: aaaaaaaa")),
    "a dripping body": then(OK + b"Content-Length: 100000\r\n\r\n" + PNG, lambda send: drip(send, b"\0" * 8)),
    "endless 100 Continue": lambda send: flood(send, b"HTTP/1.1 100 Continue\r\n\r\n"),
    "slow 100 Continue": lambda send: drip(send, b"HTTP/1.1 100 Continue\r\n\r\n" * 99, 0.05),
    "endless header": then(OK, lambda send: flood(send, b"X-More: " + b"a" * 1000 + b"\r\n")),
    "one endless header line": then(OK + b"X-More: ", lambda send: flood(send, b"a" * 65536)),
    "endless body": then(OK + b"\r\n" + PNG, lambda send: flood(send, b"\0" * 65536)),
    "endless chunks": then(OK + b"Transfer-Encoding: chunked\r\n\r\n", lambda send: flood(send, b"10000\r\n" + b"\0" * 65536 + b"\r\n")),
    "a chunk of 2**60": then(OK + b"Transfer-Encoding: chunked\r\n\r\n1000000000000000\r\n", lambda send: flood(send, b"\0" * 65536)),
    "a chunk of no number": then(OK + b"Transfer-Encoding: chunked\r\n\r\nhello\r\nworld"),
    "length 10**15": then(OK + b"Content-Length: 1000000000000000\r\n\r\n" + PNG),
    "length -1": then(OK + b"Content-Length: -1\r\n\r\n" + PNG),
    "length no number": then(OK + b"Content-Length: many\r\n\r\n" + PNG),
    "breaks off": then(OK + b"Content-Length: 5000\r\n\r\n" + PNG + b"\0" * 99),
    "silent in the body": then(OK + b"Content-Length: 5000\r\n\r\n" + PNG, quiet),
    "redirect to itself": redirect("/x"),
    "redirect to file://": redirect("file:///etc/passwd"),
    "redirect to ftp://": redirect("ftp://127.0.0.1/x.png"),
    "redirect to nonsense": redirect("http://[::bad/"),
    "redirect to no port": redirect("http://127.0.0.1:99999/x.png"),
    "redirect without a place": then(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"),
    "a playlist of a file": then(
        OK + b"Content-Type: application/vnd.apple.mpegurl\r\n\r\n#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    ),
    "a list of files": then(OK + b"\r\nffconcat version 1.0\nfile 'file:///etc/passwd'\n"),
}


@contextmanager
def misbehaving(name):
    """`with misbehaving("silence") as (address, requests):` a server on the loopback; requests: the first lines of what came, so far."""
    requests, stopped = [], threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection):
        with connection, suppress(OSError):
            requests.append(connection.recv(65536).split(b"\r\n")[0].decode(errors="replace"))

            def send(data):
                if stopped.is_set():
                    raise OSError("the test is over")
                connection.sendall(data)

            BEHAVIOURS[name](send)

    def accept():
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
    finally:
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


SCRIPTS = {  # what reads from a URL -> (file behind it, lines on stderr at most)
    ("pose_detector.py", "lightposenet", "--img"): ("x.png", 1),
    ("pose_detector.py", "lightposenet", "--input"): ("x.png", 2),
    ("pose_detector.py", "lightposenet", "--jsonl", "r.jsonl", "--input"): ("x.mp4", 1),
    ("demo.py", "lightposenet", "--img"): ("x.jpg", 1),
    ("camera_pose_demo.py", "lightposenet", "--input"): ("camera", 2),
    ("pose_detectorIEbase.py", "lightposenet", "--img"): ("x.png", 1),
}


def run_case(behaviour, script, folder, interrupt=None) -> str:
    """One case in a folder; what is wrong with it, or "". interrupt: seconds until Ctrl-C, or None."""
    name, *options = script
    file, most_lines = SCRIPTS[script]
    environment = {key: value for key, value in os.environ.items() if key.lower() not in ("http_proxy", "all_proxy", "display")} | {"no_proxy": "*"}
    with misbehaving(behaviour) as (address, requests):
        command = [sys.executable, str(ROOT / name), *options, f"{address}/{file}"]
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_default_signals
        )
        try:
            if interrupt is not None:
                end = time.monotonic() + PATIENCE
                while not requests and process.poll() is None and time.monotonic() < end:
                    time.sleep(0.01)
                time.sleep(interrupt)
                process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            return f"a hang; {process.communicate()}"
    left = sorted(path.name for path in Path(folder).iterdir())
    allowed = (1, 2, 130, -signal.SIGINT) if interrupt is not None else (1, 2)  # -SIGINT: when its line is said and Python is ending
    if process.returncode not in allowed:
        return f"status {process.returncode}: {errors}"
    if "Traceback" in errors or not 1 <= errors.count("\n") <= most_lines:
        return f"expected one line: {errors}"
    return f"files were written: {left}" if left else ""


def _default_signals():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main(argv=None) -> int:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=2.0)
    options = parser.parse_args(argv)
    rng, end = random.Random(options.seed), time.monotonic() + 60 * options.minutes
    cases = [(behaviour, script) for behaviour in BEHAVIOURS for script in SCRIPTS]
    rng.shuffle(cases)
    n_cases = n_bad = 0
    for behaviour, script in cases:
        if time.monotonic() > end:
            break
        interrupt = rng.choice([None, None, rng.random() * 2])
        with tempfile.TemporaryDirectory() as folder:
            begin = time.monotonic()
            trouble = run_case(behaviour, script, folder, interrupt)
        n_cases, n_bad = n_cases + 1, n_bad + bool(trouble)
        if trouble:
            moment = "" if interrupt is None else f", Ctrl-C after {interrupt:.2f} s"
            print(f"{behaviour}, {' '.join(script)}{moment}, {time.monotonic() - begin:.0f} s: {trouble}", flush=True)
    print(f"servers: {n_cases} of {len(cases)} cases, {n_bad} bad (--seed {options.seed})")
    return min(n_bad, 1)


if __name__ == "__main__":
    sys.exit(main())
