"""getModels.sh and getData.sh under kills, several at a time, and with servers that drip, on curl and wget."""

# ruff: noqa: F811  (fixtures are imported, and then named by the tests)

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import PATIENCE, ROOT
from test_get_data import FILES, NAMES, Zips, assert_holds, get_data
from test_get_data import server as zip_server  # noqa: F401
from test_get_models import CONTENT, TOOLS, Mirror, get_models, pytestmark, server, tool_path  # noqa: F401

NAME = "pose_iter_440000.caffemodel"
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def slow():
    """The address of a server that answers each request with a header and 1000 bytes of CONTENT, then a byte a tenth of a second."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()
    threads = [threading.Thread(target=accept, args=(listener, ended))]
    threads[0].start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    ended.set()
    threads[0].join()
    listener.close()


def accept(listener, ended):
    listener.settimeout(0.1)
    threads = []
    while not ended.is_set():
        try:
            threads.append(threading.Thread(target=drip, args=(listener.accept()[0], ended)))
            threads[-1].start()
        except TimeoutError:
            pass
    for thread in threads:
        thread.join()


def drip(connection, ended):
    with connection:
        try:
            connection.recv(10_000)
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\n\r\n".encode() + CONTENT[:1000])
            for at in range(1000, len(CONTENT)):
                if ended.wait(0.1):
                    return
                connection.sendall(CONTENT[at : at + 1])
        except OSError:  # it was given up, which is what is asked for
            pass


def start(tmp_path, table_lines, tool="curl", script="getModels.sh", options=("--body", "--download_only", "--folder"), stall="60"):
    """The script, running; its table is table_lines, its folder tmp_path/models."""
    table, folder_bin = tmp_path / "table.txt", tmp_path / f"bin_{tool}"
    if not table.exists() or table.read_text() != table_lines:  # another run may be reading it
        table.write_text(table_lines)
    path = str(folder_bin) if folder_bin.exists() else tool_path(tmp_path, tool)
    environment = {
        "PATH": path,
        "MODELS_TABLE": str(table),
        "COCO_TABLE": str(table),
        "DOWNLOAD_STALL": stall,
        "no_proxy": "*",
        "PYTHON": sys.executable,
    }
    command = [shutil.which("sh"), str(ROOT / script), *options, str(tmp_path / "models")]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def row(*mirrors):
    return f"body {NAME} {len(CONTENT)} 256 {SUM} {' '.join(mirrors)}\n"


def until(condition, seconds=PATIENCE):
    """What condition() answers, as soon as that is true."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return answer


def processes_with(words):
    """Their numbers; zombies have no command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass
    return [number for number in found if number != os.getpid()]


needs_proc = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")


@needs_proc
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGKILL, -9)])
def test_a_download_ends_with_its_script_and_is_continued(tmp_path, server, slow, tool, number, status):
    process = start(tmp_path, row(f"{slow}/net"), tool)
    part = until(lambda: [path for path in tmp_path.glob(f"models/.{NAME}.part.*/part") if path.stat().st_size])[0]
    until(lambda: processes_with(f"{slow}/net"))
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    until(lambda: not processes_with(f"{slow}/net"))
    assert process.returncode == status
    assert errors == ("" if number == signal.SIGKILL else "getModels.sh: stopped; run it again to continue\n")
    begun = part.stat().st_size
    process = start(tmp_path, row(f"{server}/good/net"), tool)
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert Mirror.requests == [("good", begun)]
    assert [path.name for path in (tmp_path / "models").iterdir()] == [NAME]
    assert (tmp_path / "models" / NAME).read_bytes() == CONTENT


@needs_proc
@pytest.mark.parametrize("tool", TOOLS)
def test_a_run_after_a_kill_waits_for_the_download_that_is_still_there(tmp_path, server, slow, tool):
    process = start(tmp_path, row(f"{slow}/net"), tool)
    until(lambda: [path for path in tmp_path.glob(f"models/.{NAME}.part.*/part") if path.stat().st_size])
    process.kill()  # not waited for: a zombie is no run either
    after = start(tmp_path, row(f"{server}/good/net"), tool)
    assert after.communicate(timeout=PATIENCE)[1] == ""
    process.communicate(timeout=PATIENCE)
    assert (tmp_path / "models" / NAME).read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "models").iterdir()] == [NAME]


@pytest.mark.parametrize("tool", TOOLS)
def test_several_at_a_time_fetch_a_file_once(tmp_path, server, tool):
    processes = [start(tmp_path, row(f"{server}/good/net"), tool) for _ in range(4)]
    outputs = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert [errors for _, errors in outputs] == [""] * 4
    assert Mirror.requests == [("good", 0)]
    assert [path.name for path in (tmp_path / "models").iterdir()] == [NAME]
    assert (tmp_path / "models" / NAME).read_bytes() == CONTENT


def test_what_dead_runs_left_is_cleared_though_the_file_is_there(tmp_path, server):
    folder = tmp_path / "models"
    (folder / f".{NAME}.part.abcdef").mkdir(parents=True)
    (folder / f".{NAME}.part.abcdef" / "part").write_bytes(b"half")
    (folder / f".queue.1.{2**22 + 1}.5678.{re.sub('[^A-Za-z0-9]', '_', os.uname().nodename)}").mkdir()
    (folder / NAME).write_bytes(CONTENT)
    process, _ = get_models(tmp_path, server, ["good"])
    assert "is there" in process.stdout
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_another_machine_is_waited_for_as_long_as_it_shows_itself(tmp_path, server):
    ticket = tmp_path / "models" / ".queue.1.1234.5678.elsewhere"
    ticket.mkdir(parents=True)
    process = start(tmp_path, row(f"{server}/good/net"))
    assert "another run works in" in process.stdout.readline()
    assert Mirror.requests == []
    os.utime(ticket, (time.time() - 3600,) * 2)
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert [path.name for path in (tmp_path / "models").iterdir()] == [NAME]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_mirror_that_drips_is_given_up(tmp_path, server, slow, tool):
    process = start(tmp_path, row(f"{slow}/net", f"{server}/good/net"), tool, stall="1")
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert "fewer than 1000 a second" in output
    assert (tmp_path / "models" / NAME).read_bytes() == CONTENT


SLOW_PYTHON = """#!/bin/sh
case "$*" in
    *" -e "*) for folder; do :; done; mkdir -p "$folder/val2017"; echo half >"$folder/val2017/0.jpg"; exec sleep 60.125 ;;
esac
"""


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_unpacking_ends_with_its_script_and_leaves_nothing(tmp_path, zip_server, number):
    folder, python = tmp_path / "coco data", tmp_path / "python"
    folder.mkdir()
    (folder / "val2017.zip").write_bytes(Zips.contents["val2017.zip"])
    (folder / "annotations").mkdir()
    for at in range(2):
        (folder / "annotations" / f"{at}.json").touch()
    python.write_text(SLOW_PYTHON)
    python.chmod(0o755)
    table = tmp_path / "own.txt"
    size = len(Zips.contents["val2017.zip"])
    table.write_text(f"annotations a.zip 1 0 2 {zip_server}/x\nval val2017.zip {size} 0 3 {zip_server}/x\n")
    command = [shutil.which("sh"), str(ROOT / "getData.sh"), "--val", "--coco_dir", str(folder)]
    process = subprocess.Popen(command, env={**os.environ, "COCO_TABLE": str(table), "PYTHON": str(python)}, stdout=subprocess.DEVNULL)
    until(lambda: list(folder.glob(".val2017.part.*/unpacked/val2017/0.jpg")))
    until(lambda: processes_with("60.125"))
    process.send_signal(number)
    process.wait(30)
    until(lambda: not processes_with("60.125"))
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert bool(left) == (number == signal.SIGKILL)
    shutil.rmtree(folder / "annotations")
    process, folder = get_data(tmp_path, zip_server, "--val")
    assert process.returncode == 0, process.stderr
    assert_holds(folder, "val", "annotations")


def test_several_at_a_time_unpack_once(tmp_path, zip_server):
    rows = "".join(f"{key} {name} {len(Zips.contents[name])} 0 {len(FILES[key])} {zip_server}/good/{name}\n" for key, name in NAMES.items())
    processes = [start(tmp_path, rows, script="getData.sh", options=("--val", "--coco_dir")) for _ in range(3)]
    outputs = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [(process.returncode, errors) for process, (_, errors) in zip(processes, outputs, strict=True)] == [(0, "")] * 3
    assert sum("val2017: unpacking" in output for output, _ in outputs) == 1
    assert_holds(tmp_path / "models", "val", "annotations")
