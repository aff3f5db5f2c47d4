"""getModels.sh against a server on this machine that truncates, stalls, serves wrong bytes, answers 404, and supports ranges or not."""

import hashlib
import os
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

import numpy as np
import pytest
from caffe_files import caffemodel
from conftest import PATIENCE, ROOT, seeded_weights
from servers import serving

from models import shapes_of

pytestmark = pytest.mark.skipif(shutil.which("sh") is None, reason="needs a POSIX shell")
CONTENT = np.random.default_rng(0).bytes(300_000)
TOOLS_OF_THE_SCRIPTS = (
    *("sh", "wc", "tr", "cut", "sed", "grep", "find", "sort", "tail", "mkdir", "rmdir", "mktemp", "mv", "rm"),
    *("touch", "sleep", "uname", "dirname", "sha256sum", "sha384sum"),
)
TOOLS = [tool for tool in ("curl", "wget") if shutil.which(tool)]


class Mirror(BaseHTTPRequestHandler):
    """/KIND/FILE serves the file in the way its first part says; requests are counted by path."""

    content = CONTENT
    requests: ClassVar[list] = []

    def do_GET(self):
        kind = self.path.split("/")[1]
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        Mirror.requests.append((kind, begin))
        content = Mirror.content
        if kind == "missing":
            self.send_error(404)
            return
        if kind == "wrong":
            content = bytes(len(content))
        if kind == "long":
            content += content
        ranges = kind not in ("noranges", "truncates_noranges")
        if ranges and begin >= len(content):
            self.send_error(416)
            return
        part = content[begin:] if ranges else content
        self.send_response(206 if ranges and begin else 200)
        if ranges and begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if kind.startswith("truncates") or kind == "stalls":
            part = part[: len(part) // 2]
        self.wfile.write(part)
        if kind == "stalls":
            self.server.release.wait(20)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Mirror.requests, Mirror.content = [], CONTENT
    with serving(Mirror) as address:
        yield address


def tool_path(tmp_path, tool):
    """A PATH on which only one of curl and wget is found."""
    folder = tmp_path / f"bin_{tool}"
    folder.mkdir()
    for name in (*TOOLS_OF_THE_SCRIPTS, tool):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return str(folder)


def get_models(tmp_path, server, kinds, tool="curl", options=("--body", "--download_only"), size=None, checksum=None, env=None):
    """Run getModels.sh with a table whose mirrors are `kinds`; returns the process and the folder."""
    content, folder = Mirror.content, tmp_path / "models"
    mirrors = " ".join(f"{server}/{kind}/net.caffemodel" for kind in kinds)
    checksum = checksum or hashlib.sha256(content).hexdigest()
    table = tmp_path / "table.txt"
    table.write_text(f"body pose_iter_440000.caffemodel {size or len(content)} 256 {checksum} {mirrors}\n")
    environment = {**os.environ, "MODELS_TABLE": str(table), "DOWNLOAD_STALL": "2", "no_proxy": "*", **(env or {})}
    path = shutil.which("sh")
    if tool:
        folder_bin = tmp_path / f"bin_{tool}"
        environment["PATH"] = str(folder_bin) if folder_bin.exists() else tool_path(tmp_path, tool)
    command = [path, str(ROOT / "getModels.sh"), *options, "--folder", str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False), folder


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    "kinds",
    [
        ("good",),
        ("missing", "good"),
        ("wrong", "good"),
        ("long", "good"),
        ("truncates", "good"),
        ("truncates_noranges", "noranges"),
        ("truncates", "wrong", "good"),
        ("stalls", "good"),
    ],
    ids="-".join,
)
def test_the_next_mirror_is_tried_until_the_file_is_right(tmp_path, server, tool, kinds):
    process, folder = get_models(tmp_path, server, kinds, tool)
    assert process.returncode == 0, process.stdout + process.stderr
    assert (folder / "pose_iter_440000.caffemodel").read_bytes() == CONTENT
    assert sorted(path.name for path in folder.iterdir()) == ["pose_iter_440000.caffemodel"]
    assert f"from {server}/{kinds[-1]}/" in process.stdout
    assert "non-commercial" in process.stdout


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("kinds", [("missing",), ("wrong", "missing"), ("truncates",), ("stalls",), ("long",)], ids="-".join)
def test_without_a_good_mirror_there_is_no_file(tmp_path, server, tool, kinds):
    process, folder = get_models(tmp_path, server, kinds, tool)
    assert process.returncode == 1
    assert "no mirror served it" in process.stderr
    assert process.stderr.count("\n") == 1
    assert not (folder / "pose_iter_440000.caffemodel").exists()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_broken_download_is_continued_by_the_next_run(tmp_path, server, tool):
    process, folder = get_models(tmp_path, server, ["truncates"], tool)
    [part] = folder.glob(".pose_iter_440000.caffemodel.part.*")
    assert process.returncode == 1
    begun = (part / "part").stat().st_size
    assert 0 < begun < len(CONTENT)
    process, folder = get_models(tmp_path, server, ["good"], tool)
    assert process.returncode == 0
    assert ("good", begun) in Mirror.requests
    assert (folder / "pose_iter_440000.caffemodel").read_bytes() == CONTENT


def test_a_file_that_is_there_is_not_fetched_again_and_a_damaged_one_is(tmp_path, server):
    get_models(tmp_path, server, ["good"])
    Mirror.requests = []
    process, folder = get_models(tmp_path, server, ["good"])
    assert "is there" in process.stdout
    assert Mirror.requests == []
    (folder / "pose_iter_440000.caffemodel").write_bytes(bytes(len(CONTENT)))
    process, folder = get_models(tmp_path, server, ["good"])
    assert process.returncode == 0
    assert (folder / "pose_iter_440000.caffemodel").read_bytes() == CONTENT


def test_a_wrong_beginning_of_another_mirror_does_not_spoil_a_good_one(tmp_path, server):
    part = tmp_path / "models" / ".pose_iter_440000.caffemodel.part.abcdef" / "part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(1000))
    process, folder = get_models(tmp_path, server, ["good"])
    assert process.returncode == 0, process.stdout
    assert (folder / "pose_iter_440000.caffemodel").read_bytes() == CONTENT


def test_it_downloads_and_converts(tmp_path, server):
    shapes = shapes_of("posenet")
    Mirror.content = caffemodel(seeded_weights(shapes))
    process, folder = get_models(tmp_path, server, ["good"], tool=None, options=["--body"], env={"PYTHON": sys.executable})
    assert process.returncode == 0, process.stderr
    assert "92 of 92 layers" in process.stdout
    with np.load(folder / "coco_posenet.npz") as arrays:
        assert {name: arrays[name].shape for name in arrays.files} == shapes


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--nonsense"], "unknown option --nonsense"), (["--folder"], "--folder needs the name"), (["--folder", "/dev/null/x"], "cannot be written")],
)
def test_bad_options(options, words):
    command, environment = [str(ROOT / "getModels.sh"), "--body", *options], {**os.environ, "PYTHON": sys.executable}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert process.returncode in (1, 2)
    assert words in process.stderr
    assert process.stderr.count("\n") == 1


def test_without_a_download_tool(tmp_path, server):
    process, _ = get_models(tmp_path, server, ["good"], tool="neither")
    assert process.returncode == 2
    assert "curl or wget is needed" in process.stderr


def test_the_real_table_holds_the_files_and_mirrors():
    lines = [line.split() for line in (ROOT / "models" / "downloads.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line[0] for line in lines] == ["body", "face", "hand", "vgg", "light", "light"]
    for _, name, size, bits, checksum, *mirrors in lines:
        assert int(size) > 200_000
        assert len(checksum) * 4 == int(bits)
        assert mirrors
        assert all(mirror.startswith(("http://", "https://")) for mirror in mirrors)
        assert name.rpartition(".")[2] in ("caffemodel", "xml", "bin")
