"""streams/video.py, alone and behind --out: size, rate, odd sizes, codecs, and what is left after an interruption."""

import contextlib
import os
import re
import signal
import subprocess

import numpy as np
import pytest
from conftest import PATIENCE, assert_input_error
from videos import SIZE_WH, fake_main, is_red, number_of, picture, read_video, start_fake, turn_mp4, wait_until, write_pictures, write_video

from errors import InputError
from streams import ffmpeg
from streams.video import VideoFile, check_video_path, note_on


def write(path, images, rate=25, codec=None):
    video = VideoFile(path, rate, codec)
    for image in images:
        video.write(image)
    video.close()
    return video


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mov", ".mkv", ".m4v"])
@pytest.mark.parametrize("rate", [25, 30000 / 1001, 12.5])
def test_what_was_written_comes_back(tmp_path, suffix, rate):
    """All frames in order, their size and rate; nothing else is in the folder."""
    path = tmp_path / f"v{suffix}"
    write(path, [picture(number) for number in range(12)], rate)
    images, found = read_video(path)
    assert [number_of(image) for image in images] == list(range(12))
    assert images[0].shape == (*SIZE_WH[::-1], 3)
    assert found == pytest.approx(rate, rel=1e-4)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("suffix", "rate", "size_wh"), [(".mp4", 25, (66, 50)), (".avi", 25, (65, 49)), (".avi", 12.5, (66, 50))])
def test_odd_sizes(tmp_path, suffix, rate, size_wh):
    """Nothing is cut off: a codec that needs even sides gets the last column and row twice; Motion JPEG at a whole rate keeps the size."""
    image = picture(5, (65, 49))
    image[:, 56:], image[40:] = 250, 250
    path = tmp_path / f"v{suffix}"
    write(path, [image] * 5, rate)
    images, _ = read_video(path)
    assert len(images) == 5
    assert (images[0].shape[1], images[0].shape[0]) == size_wh
    found = images[4].astype(int)
    assert np.abs(found[:49, :65] - image).mean() < 6
    assert found[24, -1, 0] > 180
    assert found[-1, 32, 0] > 180


@pytest.mark.parametrize("size_wh", [(1, 1), (2, 1), (7, 3)])
def test_tiny_sizes(tmp_path, size_wh):
    """A video, or one line; never a file that cannot be read."""
    path = tmp_path / "v.mp4"
    image = np.full((size_wh[1], size_wh[0], 3), 90, np.uint8)
    with contextlib.suppress(InputError):
        write(path, [image] * 3)
    assert list(tmp_path.iterdir()) in ([], [path])
    assert not path.exists() or len(read_video(path)[0]) == 3


def test_frames_of_other_sizes_are_fitted(tmp_path):
    """Into the first one's size, the proportions kept, black around."""
    path = tmp_path / "v.avi"
    grey = [np.full((height, width, 3), 200, np.uint8) for width, height in ((64, 48), (128, 48), (20, 60), (500, 1))]
    write(path, grey)
    (_, wide, tall, line), _ = read_video(path)
    for image, box in ((wide, (0, 12, 64, 36)), (tall, (24, 0, 40, 48)), (line, (0, 23, 64, 24))):
        left, top, right, bottom = box
        expected = np.zeros((48, 64), int)
        expected[top:bottom, left:right] = 200
        assert np.median(np.abs(image[..., 0].astype(int) - expected)) < 8
        assert np.abs(image[(top + bottom) // 2, (left + right) // 2].astype(int) - 200).max() < 90
        assert image[..., 0].astype(int).sum() == pytest.approx(expected.sum(), rel=0.25)


def test_nothing_written_is_no_file(tmp_path):
    write(tmp_path / "v.mp4", [])
    assert list(tmp_path.iterdir()) == []


def test_old_video_stays_until_the_end(tmp_path):
    path = tmp_path / "v.mp4"
    path.write_text("old")
    video = VideoFile(path, 25)
    video.write(picture(1))
    assert path.read_text() == "old"
    video.close()
    assert len(read_video(path)[0]) == 1


def test_repeated_frames(tmp_path):
    video = VideoFile(tmp_path / "v.mp4", 25)
    video.write(picture(1), 3)
    video.write(picture(9), 2)
    video.write(picture(9), 0)
    video.close()
    assert [number_of(image) for image in read_video(tmp_path / "v.mp4")[0]] == [1, 1, 1, 9, 9]


# Codecs


@pytest.mark.parametrize("codec", ["abc", "abcde", "äöüß", ""])
def test_codec_needs_four_letters(tmp_path, codec):
    assert_input_error(lambda: check_video_path(tmp_path / "v.mp4", codec), "four letters")


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "mp4v"), (".avi", "MJPG"), (".avi", "XVID"), (".mkv", "mp4v")])
def test_usual_codecs_pass_the_check(tmp_path, suffix, codec, capfd):
    check_video_path(tmp_path / f"v{suffix}", codec)
    write(tmp_path / f"v{suffix}", [picture(3)] * 4, codec=codec)
    assert len(read_video(tmp_path / f"v{suffix}")[0]) == 4
    assert capfd.readouterr() == ("", "")


def test_unavailable_codec_is_reported_before_the_work(tmp_path, capfd):
    """In one line, which names those that can be had, without lines of OpenCV's own, and the detector is never opened."""
    source = write_video(tmp_path / "in.mp4")
    capfd.readouterr()
    for codec in ("H265", "ZZZZ"):

        class Never:
            def __getattr__(self, name):
                raise AssertionError("the work began")

        assert fake_main(["--input", source, "--out", tmp_path / "out.mp4", "--codec", codec], detector=Never()) == 2
        printed = capfd.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert codec in printed.err
        assert "mp4v" in printed.err
    assert not (tmp_path / "out.mp4").exists()


# Behind --out


def test_video_to_video(tmp_path, capsys):
    """As many frames, the size and the rate of the input."""
    source = write_video(tmp_path / "in.avi", 13, (66, 50), 12.5, "MJPG")
    assert fake_main(["--input", source, "--out", tmp_path / "out.mp4"]) == 0
    images, rate = read_video(tmp_path / "out.mp4")
    assert [number_of(image) for image in images] == list(range(13))
    assert (images[0].shape, rate) == ((50, 66, 3), 12.5)
    closing = rf"13 frames, 12 people found; {re.escape(str(tmp_path / 'out.mp4'))}; [\d.]+ s, [\d.]+ frames per second, by fakenet\n"
    assert re.fullmatch(closing, capsys.readouterr().out)


def test_turned_video_comes_out_upright(tmp_path):
    source = write_video(tmp_path / "in.mp4", 4)
    turn_mp4(source)
    assert fake_main(["--input", source, "--out", tmp_path / "out.mp4"]) == 0
    images, _ = read_video(tmp_path / "out.mp4")
    assert len(images) == 4
    assert images[0].shape == (SIZE_WH[0], SIZE_WH[1], 3)
    assert is_red(images[0][3, -4])


def test_pictures_to_video(tmp_path):
    write_pictures(tmp_path / "in", ["0.png", "1.png", "2.png"])
    assert fake_main(["--input", tmp_path / "in", "--out", tmp_path / "out.mp4"]) == 0
    assert [number_of(image) for image in read_video(tmp_path / "out.mp4")[0]] == [0, 1, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_video_holds_what_was_done(tmp_path, number):
    """Ctrl-C, or a polite kill: a valid file with all frames so far, as many as the line on stdout says; the other results agree."""
    source = write_video(tmp_path / "in.mp4", 400)
    out, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    process = start_fake("--input", source, "--out", out, "--jsonl", lines, seconds=0.02)
    wait_until(lambda: lines.exists() and lines.read_text().count("\n") >= 12, process)
    process.send_signal(number)
    printed, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    note = [f"fake.py: {line}" for line in filter(None, [note_on(out)])]  # of machines without the program ffmpeg
    assert errors.splitlines() == note + (["fake.py: interrupted"] if number == signal.SIGINT else [])
    images, _ = read_video(out)
    assert 12 <= len(images) < 400
    assert all(abs(number_of(image) - i % 20) <= 1 for i, image in enumerate(images))  # coded twice, with loss
    assert len(images) == int(printed.split(" frames")[0])
    assert lines.read_text().count("\n") == len(images)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".out.jsonl.run", "in.mp4", "out.jsonl", "out.mp4"]


def test_killed_run_leaves_the_old_video(tmp_path):
    source = write_video(tmp_path / "in.mp4", 400)
    out, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    out.write_text("old")
    process = start_fake("--input", source, "--out", out, "--jsonl", lines, seconds=0.02)
    wait_until(lambda: lines.exists() and lines.read_text().count("\n") >= 5, process)
    process.kill()
    process.communicate()
    assert out.read_text() == "old"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs limits on the size of files")
def test_full_disk_is_one_line(tmp_path):
    """A limit on the size of files plays the full disk: status 2, one line, and no video that only looks whole."""
    images = np.random.default_rng(0).integers(0, 256, (30, 120, 160, 3), np.uint8)
    source = write_video(tmp_path / "in.avi", size_wh=(160, 120), codec="MJPG", images=images)
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))"
    process = start_fake("--input", source, "--out", tmp_path / "out.avi", seconds=0, before=limit)
    try:
        _, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 2
    assert errors.count("\n") == 1
    assert "out.avi" in errors
    assert not (tmp_path / "out.avi").exists()


# Which program writes


@pytest.fixture
def programs(monkeypatch):
    """{name: what it encodes with} of the programs that are there; "ffmpeg" is the system's, "packaged" imageio-ffmpeg's."""
    there = {}
    monkeypatch.setattr(ffmpeg.shutil, "which", lambda name: name if name in there else None)
    monkeypatch.setattr(ffmpeg, "_packaged", lambda: "packaged" if "packaged" in there else None)
    monkeypatch.setattr(ffmpeg, "_encoders_of", lambda name: there[name])
    ffmpeg.program.cache_clear()
    yield there
    ffmpeg.program.cache_clear()


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({}, None),
        ({"ffmpeg": {"libx264"}, "packaged": {"libx264"}}, "ffmpeg"),
        ({"ffmpeg": {"libopenh264"}, "packaged": {"libx264"}}, "ffmpeg"),
        ({"packaged": {"libx264"}}, "packaged"),
        ({"ffmpeg": {"libvpx-vp9"}, "packaged": {"libx264"}}, "packaged"),
        ({"ffmpeg": {"libvpx-vp9"}, "packaged": {"mpeg4"}}, "ffmpeg"),
        ({"ffmpeg": {"libvpx-vp9"}}, "ffmpeg"),
    ],
)
def test_the_program_is_one_that_writes_h264(programs, there, expected):
    programs.update(there)
    assert ffmpeg.program() == expected


def test_a_program_of_another_machine_encodes_nothing(tmp_path):
    """It is there, and cannot be started."""
    path = tmp_path / "ffmpeg"
    path.write_bytes(b"\x7fELF of another machine")
    path.chmod(0o755)
    assert ffmpeg._encoders_of(str(path)) == set()
    assert ffmpeg._encoders_of(str(tmp_path / "gone")) == set()
