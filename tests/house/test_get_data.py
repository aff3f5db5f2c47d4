"""getData.sh against a server on this machine with small zips: fetch, continue, check, unpack, and nothing half-done."""

import io
import os
import subprocess
import sys
import zipfile
from typing import ClassVar

import pytest
from conftest import PATIENCE, ROOT
from servers import serving
from test_get_models import TOOLS, Mirror, pytestmark, tool_path  # noqa: F401  (pytestmark: needs a POSIX shell)

FILES = {  # of a small COCO, by zip
    "train": [f"train2017/{number:012d}.jpg" for number in range(5)],
    "val": [f"val2017/{number:012d}.jpg" for number in range(3)],
    "annotations": ["annotations/person_keypoints_train2017.json", "annotations/person_keypoints_val2017.json"],
}
NAMES = {"train": "train2017.zip", "val": "val2017.zip", "annotations": "annotations_trainval2017.zip"}
FOLDERS = {"train": "train2017", "val": "val2017", "annotations": "annotations"}


def content_of(name):
    return name.encode() * 400


def zip_of(names) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, content_of(name))
    return file.getvalue()


class Zips(Mirror):
    """/KIND/FILE as Mirror has it, each file with a content of its own."""

    contents: ClassVar[dict] = {}
    paths: ClassVar[list] = []

    def do_GET(self):
        name = self.path.split("/")[-1]
        Zips.paths.append(name)
        Mirror.content = Zips.contents[name]
        super().do_GET()


@pytest.fixture
def server():
    Zips.contents, Zips.paths, Mirror.requests = {NAMES[key]: zip_of(names) for key, names in FILES.items()}, [], []
    with serving(Zips) as address:
        yield address


def get_data(tmp_path, server, *options, kind="good", sizes=None, path=None, counts=None):
    """Run getData.sh with a table of the small zips; returns the process and the folder."""
    table, folder = tmp_path / "table.txt", tmp_path / "coco data"
    lines = [
        f"{key} {name} {(sizes or {}).get(key, len(Zips.contents[name]))} 0 {(counts or {}).get(key, len(FILES[key]))} {server}/{kind}/{name}\n"
        for key, name in NAMES.items()
    ]
    table.write_text("".join(lines))
    environment = {**os.environ, "COCO_TABLE": str(table), "DOWNLOAD_STALL": "2", "no_proxy": "*", "PYTHON": sys.executable}
    if path:
        environment["PATH"] = path
    command = ["/bin/sh", str(ROOT / "getData.sh"), "--coco_dir", str(folder), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False), folder


def assert_holds(folder, *keys):
    """These parts, whole, and nothing else."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(FOLDERS[key] for key in keys)
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {name: content_of(name) for key in keys for name in FILES[key]}


def test_everything(tmp_path, server):
    process, folder = get_data(tmp_path, server)
    assert process.returncode == 0, process.stdout + process.stderr
    assert_holds(folder, "train", "val", "annotations")
    assert process.stderr == ""
    assert "CC BY 4.0" in process.stdout


@pytest.mark.parametrize("tool", TOOLS)
def test_the_small_part(tmp_path, server, tool):
    process, folder = get_data(tmp_path, server, "--val", path=tool_path(tmp_path, tool))
    assert process.returncode == 0, process.stdout + process.stderr
    assert_holds(folder, "val", "annotations")
    assert NAMES["train"] not in Zips.paths


def test_a_second_run_does_nothing(tmp_path, server):
    get_data(tmp_path, server)
    Zips.paths = []
    process, folder = get_data(tmp_path, server)
    assert process.returncode == 0
    assert process.stdout.count("is there") == 3
    assert Zips.paths == []
    assert_holds(folder, "train", "val", "annotations")


def test_train_is_added_to_val(tmp_path, server):
    get_data(tmp_path, server, "--val")
    Zips.paths = []
    _, folder = get_data(tmp_path, server)
    assert Zips.paths == [NAMES["train"]]
    assert_holds(folder, "train", "val", "annotations")


def test_keep(tmp_path, server):
    process, folder = get_data(tmp_path, server, "--val", "--keep")
    assert process.returncode == 0
    assert (folder / NAMES["val"]).read_bytes() == Zips.contents[NAMES["val"]]
    assert sorted(path.name for path in folder.iterdir()) == ["annotations", NAMES["annotations"], "val2017", NAMES["val"]]


def test_a_zip_that_is_there_is_unpacked_without_fetching(tmp_path, server):
    folder = tmp_path / "coco data"
    folder.mkdir()
    (folder / NAMES["val"]).write_bytes(Zips.contents[NAMES["val"]])
    process, folder = get_data(tmp_path, server, "--val")
    assert process.returncode == 0
    assert Zips.paths == [NAMES["annotations"]]
    assert_holds(folder, "val", "annotations")


def test_a_broken_download_is_continued_by_the_next_run(tmp_path, server):
    process, folder = get_data(tmp_path, server, "--val", kind="truncates")
    assert process.returncode == 1
    assert "run this again to continue" in process.stderr
    [part] = folder.glob(f".{NAMES['val']}.part.*")
    begun = (part / "part").stat().st_size
    assert 0 < begun < len(Zips.contents[NAMES["val"]])
    assert not (folder / "val2017").exists()
    process, folder = get_data(tmp_path, server, "--val")
    assert process.returncode == 0, process.stderr
    assert ("good", begun) in Mirror.requests
    assert_holds(folder, "val", "annotations")


def test_a_wrong_size_is_refused(tmp_path, server):
    process, folder = get_data(tmp_path, server, "--val", sizes={"val": len(Zips.contents[NAMES["val"]]) - 1})
    assert process.returncode == 1
    assert "val2017.zip" in process.stderr
    assert process.stderr.count("\n") == 1
    assert_holds(folder, "annotations")


def damaged(data):
    """A zip with a wrong byte in the contents of its last file."""
    at = data.rindex(content_of(FILES["val"][-1])) + 1000
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (damaged, "cannot be unpacked"),
        (lambda data: bytes(len(data)), "cannot be unpacked"),
        (lambda data: zip_of(["other/x.jpg"]), "the folder val2017"),
    ],
    ids=["damaged", "zeros", "another"],
)
def test_a_damaged_zip_leaves_nothing_and_is_fetched_again(tmp_path, server, spoil, words):
    good = Zips.contents[NAMES["val"]]
    Zips.contents[NAMES["val"]] = spoil(good)
    process, folder = get_data(tmp_path, server, "--val")
    assert process.returncode == 1
    assert words in process.stderr
    assert "it is removed" in process.stderr
    assert process.stderr.count("\n") == 1
    assert_holds(folder, "annotations")
    Zips.contents[NAMES["val"]] = good
    process, folder = get_data(tmp_path, server, "--val")
    assert process.returncode == 0
    assert_holds(folder, "val", "annotations")


def test_a_zip_with_too_few_files_is_refused(tmp_path, server):
    process, folder = get_data(tmp_path, server, "--val", counts={"val": 4})
    assert process.returncode == 1
    assert "the folder val2017 with 4 files" in process.stderr
    assert_holds(folder, "annotations")


def test_what_a_killed_run_left_is_cleared_away(tmp_path, server):
    """Killed while it unpacked: its part folder holds some files, val2017 is not there."""
    folder = tmp_path / "coco data"
    (folder / ".val2017.part.abcdef" / "unpacked" / "val2017").mkdir(parents=True)
    (folder / ".val2017.part.abcdef" / "unpacked" / "val2017" / "old.jpg").write_bytes(b"half")
    process, folder = get_data(tmp_path, server, "--val")
    assert process.returncode == 0
    assert_holds(folder, "val", "annotations")


def test_a_folder_that_lacks_files_is_left_alone_and_named(tmp_path, server):
    """Somebody's own, half unpacked: nothing of it is lost."""
    folder = tmp_path / "coco data"
    (folder / "val2017").mkdir(parents=True)
    (folder / "val2017" / "mine.jpg").write_bytes(b"mine")
    process, folder = get_data(tmp_path, server, "--val")
    assert process.returncode == 1
    assert "val2017: expected 3 files in it, found 1; move it away" in process.stderr
    assert (folder / "val2017" / "mine.jpg").read_bytes() == b"mine"
    assert NAMES["val"] not in Zips.paths


def test_a_full_disk_is_known_beforehand(tmp_path, server):
    process, _ = get_data(tmp_path, server, "--val", sizes={"val": 10**17})
    assert process.returncode == 1
    assert "MiB are needed there" in process.stderr
    assert NAMES["val"] not in Zips.paths


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--nonsense"], "unknown option --nonsense"), (["--coco_dir"], "--coco_dir needs"), (["--coco_dir", "/dev/null/x"], "cannot be written")],
)
def test_bad_options(options, words):
    process = subprocess.run([str(ROOT / "getData.sh"), "--val", *options], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert process.returncode == 2
    assert words in process.stderr
    assert process.stderr.count("\n") == 1


def test_help():
    process = subprocess.run([str(ROOT / "getData.sh"), "--help"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert process.returncode == 0
    assert "--val" in process.stdout


def test_the_real_table():
    lines = [line.split() for line in (ROOT / "data" / "coco.txt").read_text().splitlines() if not line.startswith("#")]
    rows = {line[0]: line[1:] for line in lines}
    assert {key: row[0] for key, row in rows.items()} == NAMES
    assert {key: (int(row[1]), row[2], int(row[3])) for key, row in rows.items()} == {
        "train": (19_336_861_798, "0", 118_287),
        "val": (815_585_330, "0", 5_000),
        "annotations": (252_907_541, "0", 6),
    }
    for name, *_, mirror, _ in rows.values():
        folder = "annotations" if name.startswith("annotations") else "zips"
        assert mirror == f"http://images.cocodataset.org/{folder}/{name}"
