"""getModels.sh with broken tables, wrong limits, planted links and a part file that cannot be removed, on curl and wget."""

# ruff: noqa: F811  (a fixture is imported, and then named by the tests)

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from conftest import PATIENCE, ROOT
from test_downloads import NAME, row, start
from test_get_models import CONTENT, TOOLS, get_models, pytestmark, server, tool_path  # noqa: F401

SUM = hashlib.sha256(CONTENT).hexdigest()
BROKEN = {
    f"body --output-document={{tmp}}/evil 10 256 {SUM} http://localhost/x\n": "a file's name",
    f"body ../evil 10 256 {SUM} http://localhost/x\n": "a file's name",
    f"body sub/evil 10 256 {SUM} http://localhost/x\n": "a file's name",
    "body\n": "a file's name",
    f"body net -5 256 {SUM} http://localhost/x\n": "a number of bytes",
    f"body net 08 256 {SUM} http://localhost/x\n": "a number of bytes",
    f"body net {'9' * 30} 256 {SUM} http://localhost/x\n": "a number of bytes",
    f"body net ten 256 {SUM} http://localhost/x\n": "a number of bytes",
    f"body net 10 1 {SUM} http://localhost/x\n": "bits",
    f"body net 10 384 {SUM} http://localhost/x\n": "a checksum of 96 digits",
    "body net 10 256 $(touch{tmp}/evil) http://localhost/x\n": "a checksum of 64 digits",
    "body net 10\n": "bits",
    f"body net 10 256 {SUM}\n": "a mirror",
    f"body net 10 256 {SUM} --output-document={{tmp}}/evil\n": "http://",
    f"body net 10 256 {SUM} http://localhost/x -e use_proxy=yes\n": "http://",
    f"body net 10 256 {SUM} http://localhost/\x1b[2J\n": "http://",
    f"body net 10 256 {SUM} file:///etc/passwd": "http://",
    f"body * 10 256 {SUM} http://localhost/x\n": "a file's name",
    "": "has no line for body",
    "\0\xff\n\n body": "a file's name",
}


@pytest.mark.parametrize(("line", "words"), BROKEN.items(), ids=range(len(BROKEN)))
@pytest.mark.parametrize("tool", TOOLS)
def test_a_broken_table_is_one_line(tmp_path, line, words, tool):
    process = start(tmp_path, line.replace("{tmp}", str(tmp_path)), tool)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert words in errors
    assert errors.count("\n") == 1
    assert "\x1b" not in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"bin_{tool}", "table.txt"]


def test_a_table_that_was_written_on_windows(tmp_path, server):
    process = start(tmp_path, row(f"{server}/good/net").replace("\n", "\r\n"))
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert (tmp_path / "models" / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["DOWNLOAD_STALL", "DOWNLOAD_RATE"])
def test_a_limit_that_is_no_number(tmp_path, server, name):
    process, _ = get_models(tmp_path, server, ["good"], env={name: "soon"})
    assert process.returncode == 2
    assert name in process.stderr
    assert process.stderr.count("\n") == 1


@pytest.mark.parametrize("tool", TOOLS)
def test_planted_links_are_not_followed(tmp_path, server, tool):
    folder, precious = tmp_path / "models", tmp_path / "precious"
    folder.mkdir()
    precious.mkdir()
    (precious / "part").write_bytes(b"mine")
    for link in (NAME, f".{NAME}.part", f".{NAME}.part.abcdef", f".{NAME}.part.ABCDEF", ".queue.1.1.1.x"):
        (folder / link).symlink_to(precious / "part" if link in (NAME, f".{NAME}.part") else precious)
    process, _ = get_models(tmp_path, server, ["good"], tool)
    assert process.returncode == 0, process.stderr
    assert (precious / "part").read_bytes() == b"mine"
    assert (folder / NAME).read_bytes() == CONTENT
    assert not (folder / NAME).is_symlink()
    assert [path.name for path in precious.iterdir()] == ["part"]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_part_file_that_cannot_be_removed(tmp_path, server, tool):
    path = Path(tool_path(tmp_path, tool))
    (path / "rm").unlink()
    (path / "rm").write_text("#!/bin/sh\nexit 1\n")
    (path / "rm").chmod(0o755)
    process, folder = get_models(tmp_path, server, ["wrong", "wrong", "good"], tool)
    assert process.returncode == 1
    assert "cannot be removed" in process.stderr
    assert process.stderr.count("\n") == 1
    assert not (folder / NAME).exists()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full"])
def test_without_somebody_to_read_the_work_is_done(tmp_path, server, closed):
    """Neither lost, nor written into the file that is opened next."""
    table, folder = tmp_path / "table.txt", tmp_path / "models"
    table.write_text(row(f"{server}/good/net"))
    command = f'"{ROOT}/getModels.sh" --body --download_only --folder "{folder}" {closed}'
    process = subprocess.run(
        ["sh", "-c", command], env={**os.environ, "MODELS_TABLE": str(table), "no_proxy": "*"}, capture_output=True, timeout=PATIENCE, check=False
    )
    assert (process.returncode, process.stderr) == (0, b"")
    assert [path.name for path in folder.iterdir()] == [NAME]
    assert (folder / NAME).read_bytes() == CONTENT
