"""Animations, pipes, parts of videos, and what is named as left out: through the options, as a user has them."""

import io
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from conftest import ROOT, assert_input_error
from videos import SIZE_WH, fake_main, number_of, picture, read_video, write_pictures, write_video

from streams import ffmpeg
from streams.animation import Animation
from streams.durations import durations_of, is_animated
from streams.frames import open_frames
from streams.picture import read_image
from streams.piped import PipedVideo
from streams.selection import Choice, chosen

Image = pytest.importorskip("PIL.Image", reason="Pillow, which writes the animations, is not installed")


def write_animation(path, durations, numbers=None):
    """One picture for each duration (ms), numbered from 0 or as named."""
    images = [Image.fromarray(picture(number)[..., ::-1]) for number in numbers or range(len(durations))]
    options = {"lossless": True} if path.suffix == ".webp" else {}
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=0, **options)
    return path


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


# Animations


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_is_a_video(tmp_path, suffix):
    """All pictures with their own times; the video shows each as long as the file says."""
    path = write_animation(tmp_path / f"a{suffix}", [100, 300, 50])
    assert fake_main(["--input", path, "--jsonl", tmp_path / "r", "--out", tmp_path / "o.avi"]) == 0
    assert [line["seconds"] for line in lines_of(tmp_path / "r")] == [0, 0.1, 0.4]
    images, rate = read_video(tmp_path / "o.avi")
    assert rate == 20
    assert [number_of(image) for image in images] == [0, 0, 1, 1, 1, 1, 1, 1, 2]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_many_pictures(tmp_path, suffix):
    """More than are decoded at a time."""
    numbers = [i % 20 for i in range(75)]
    source = Animation(write_animation(tmp_path / f"a{suffix}", [40] * 75, numbers))
    assert source.rate == 25
    assert [number_of(frame.image) for frame in source.frames()] == numbers
    assert source.failures == []


def test_which_files_are_animated(tmp_path):
    """One picture is none; a damaged file gives no error."""
    (tmp_path / "cut.gif").write_bytes(b"GIF89a\1\0")
    write_animation(tmp_path / "two.gif", [100, 100])
    cv2.imwrite(str(tmp_path / "still.webp"), picture(1))
    write_animation(tmp_path / "one.gif", [100])
    found = {name: is_animated(tmp_path / name) for name in ("cut.gif", "two.gif", "still.webp", "one.gif", "gone.gif")}
    assert found == {"cut.gif": False, "two.gif": True, "still.webp": False, "one.gif": False, "gone.gif": False}
    data = (tmp_path / "two.gif").read_bytes()
    assert all(len(durations_of(data[:n])) <= 2 for n in range(len(data)))


# Folders


def test_what_is_left_out_is_named(tmp_path, capsys):
    """Videos, animations and pictures that cannot be read here: each with its reason, and their number in the last line."""
    write_pictures(tmp_path / "in", ["a.png", "b.gif", "c.avif"])
    write_video(tmp_path / "in" / "v.mp4")
    write_animation(tmp_path / "in" / "x.gif", [100, 100])
    (tmp_path / "in" / "raw.nef").write_bytes(b"x")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    assert fake_main(["--input", tmp_path / "in", "--jsonl", tmp_path / "new" / "r"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("3 pictures, ")
    assert "3 left out" in printed.out
    for name, why in (("v.mp4", "a video"), ("x.gif", "an animation"), ("raw.nef", "cannot be read")):
        assert any(name in line and why in line for line in printed.err.splitlines())
    assert "notes.txt" not in printed.err
    assert len(lines_of(tmp_path / "new" / "r")) == 3


def test_heic(tmp_path, monkeypatch):
    """Read where pillow-heif is, otherwise one line that names it."""
    path = tmp_path / "p.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert_input_error(lambda: read_image(path), "p.heic", "pip install pillow-heif")


def test_heic_is_read(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    image = np.full((48, 64, 3), (30, 90, 200), np.uint8)
    pillow_heif.from_bytes("BGR", (64, 48), image.tobytes()).save(tmp_path / "p.heic", quality=95)
    found = read_image(tmp_path / "p.heic")
    assert found.shape == image.shape
    assert np.abs(found.astype(int) - image).max() < 12


# Parts of videos


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ("--first 5", range(5, 20)),
        ("--last 3", range(4)),
        ("--first 2 --last 11 --step 3", (2, 5, 8, 11)),
        ("--fps 10", range(0, 20, 2)),
        ("--fps 20", range(20)),
        ("--first 19", (19,)),
        ("--fps 15 --last 7", (0, 2, 3, 4, 6, 7)),
    ],
)
def test_some_frames(tmp_path, options, numbers):
    """They keep their numbers and times, and the video of them lasts as long as its part did."""
    source = write_video(tmp_path / "v.avi", 20, rate=20, codec="MJPG")
    assert fake_main(["--input", source, "--jsonl", tmp_path / "r", "--out", tmp_path / "o.avi", *options.split()]) == 0
    lines = lines_of(tmp_path / "r")
    assert [line["frame"] for line in lines] == list(numbers)
    assert [line["seconds"] for line in lines] == [number / 20 for number in numbers]
    images, rate = read_video(tmp_path / "o.avi")
    assert [number_of(image) for image in images] == list(numbers)
    seconds = (max(numbers) + 1 - min(numbers)) / 20
    assert abs(len(images) / rate - seconds) < 1 / rate + 1e-6


def test_pictures_become_a_video(tmp_path):
    write_pictures(tmp_path / "in", [f"{i:02}.png" for i in range(9)])
    assert fake_main(["--input", tmp_path / "in", "--out", tmp_path / "o.avi", "--fps", "4", "--first", "1", "--step", "2"]) == 0
    images, rate = read_video(tmp_path / "o.avi")
    assert rate == 4
    assert [number_of(image) for image in images] == [1, 3, 5, 7]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--first 9 --last 3", ["--last 3", "before"]),
        ("--first 99", ["--first 99", "20 frames"]),
        ("--fps 50", ["--fps 50", "only 20"]),
        ("--fps 5 --step 2", ["--step", "--fps"]),
        ("--step 0", ["--step"]),
        ("--first -1", ["--first"]),
    ],
)
def test_parts_that_are_none(tmp_path, capsys, options, words):
    source = write_video(tmp_path / "v.avi", 20, rate=20, codec="MJPG")
    try:
        status = fake_main(["--input", source, "--jsonl", tmp_path / "r", *options.split()])
    except SystemExit as error:  # argparse's own refusal
        status = error.code
    assert status == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert all(word in message for word in words)
    assert not (tmp_path / "r").exists()


def test_the_length_is_what_comes(tmp_path):
    source = write_video(tmp_path / "v.avi", 20, rate=20, codec="MJPG")
    for choice in (Choice(3), Choice(3, 10, 4), Choice(fps=7), Choice(1, 18, fps=3)):
        selected = chosen(open_frames([source]), choice)
        assert len(selected) == len(list(selected.frames()))
        selected.close()


# Pipes


def test_y4m(tmp_path):
    """The pictures, their rate; a stream that is cut off gives what was whole, and says so."""
    data = io.BytesIO()
    data.write(b"YUV4MPEG2 W64 H48 F30000:1001 Ip C420jpeg\n")
    for number in range(5):
        data.write(b"FRAME\n" + cv2.cvtColor(picture(number), cv2.COLOR_BGR2YUV_I420).tobytes())
    source = PipedVideo(io.BytesIO(data.getvalue()))
    frames = list(source.frames())
    assert [number_of(frame.image) for frame in frames] == list(range(5))
    assert frames[0].image.shape == (*SIZE_WH[::-1], 3)
    assert np.abs(frames[2].image.astype(int) - picture(2)).max() < 8
    assert source.rate == pytest.approx(30000 / 1001)
    assert source.failures == []
    cut_off = PipedVideo(io.BytesIO(data.getvalue()[:-10]))
    assert len(list(cut_off.frames())) == 4
    assert len(cut_off.failures) == 1


def test_mjpeg():
    data = b"".join(cv2.imencode(".jpg", picture(number))[1].tobytes() for number in range(6))
    source = PipedVideo(io.BufferedReader(io.BytesIO(data), 100))
    assert [number_of(frame.image) for frame in source.frames()] == list(range(6))
    assert source.failures == []


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", b"YUV4MPEG2 W64\n", b"YUV4MPEG2 W64 H48 C444\n", b"YUV4MPEG2 W64 H48 F25:0\n", b"YUV4MPEG2 W64 H48\nFRAME\nxx"]
)
def test_what_is_no_video(data):
    assert_input_error(lambda: PipedVideo(io.BytesIO(data)), "--input -", "yuv4mpegpipe")


def piped(data, *options):
    path = f"sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]"
    code = f"import sys; {path}; import videos; sys.exit(videos.fake_main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", code, *map(str, options)], input=data, capture_output=True, check=False)


def test_a_picture_through_pipes(tmp_path):
    """PNG in, PNG or JSON out, with nothing else on stdout."""
    png = cv2.imencode(".png", picture(2))[1].tobytes()
    drawn = piped(png, "--img", "-", "--out", "-")
    assert drawn.returncode == 0
    assert cv2.imdecode(np.frombuffer(drawn.stdout, np.uint8), cv2.IMREAD_COLOR).shape == picture(2).shape
    assert drawn.stderr.startswith(b"2 people; network ")
    numbers = piped(png, "--img", "-", "--json", "-")
    assert len(json.loads(numbers.stdout)["people"]) == 2
    assert numbers.stderr.rstrip().endswith(b"by fakenet")
    assert not list(tmp_path.iterdir())


def test_a_pipe_without_a_picture():
    """Nothing, and what is none: it is not called a file with the name -."""
    for data, words in ((b"", "nothing came"), (b"hello", "expected a picture")):
        process = piped(data, "--img", "-", "--json", "-")
        assert (process.returncode, process.stdout) == (2, b"")
        assert f"picture on stdin: {words}" in process.stderr.decode()


@pytest.mark.parametrize("option", ["--jsonl", "--csv", "--coco_results"])
def test_results_on_stdout_are_those_of_the_file(tmp_path, option):
    source = write_video(tmp_path / "v.avi", 4, codec="MJPG")
    assert fake_main(["--input", source, option, tmp_path / "r"]) == 0
    process = piped(b"", "--input", source, option, "-")
    assert process.returncode == 0
    assert process.stdout == (tmp_path / "r").read_bytes()
    assert process.stderr.startswith(b"4 frames")


def test_one_thing_on_stdout(tmp_path, capsys):
    write_pictures(tmp_path, ["a.png"])
    assert fake_main(["--input", tmp_path / "a.png", "--jsonl", "-", "--csv", "-"]) == 2
    assert "--csv -: stdout takes one of the results, and --jsonl goes there already" in capsys.readouterr().err
    assert fake_main(["--input", tmp_path / "a.png", "--openpose_json", "-"]) == 2
    assert "--openpose_json -: expected a folder's name" in capsys.readouterr().err


# Sound


def make_sounding(path):
    sources = ["-f", "lavfi", "-i", "color=gray:s=64x48:r=10:d=2", "-f", "lavfi", "-i", "sine=d=2"]
    subprocess.run([ffmpeg.program(), "-v", "error", *sources, "-c:v", "mpeg4", "-c:a", "aac", str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


def streams_of(path):
    told = subprocess.run([ffmpeg.program(), "-hide_banner", "-i", str(path)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return [kind for kind in ("Video", "Audio") if f": {kind}: " in told.stderr]


@pytest.mark.skipif(ffmpeg.program() is None, reason="the program ffmpeg is not on this machine")
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_the_sound_is_kept(tmp_path, suffix):
    source = make_sounding(tmp_path / "in.mp4")
    assert fake_main(["--input", source, "--out", tmp_path / f"o{suffix}", "--first", "5"]) == 0
    assert streams_of(tmp_path / f"o{suffix}") == ["Video", "Audio"]
    assert len(read_video(tmp_path / f"o{suffix}")[0]) == 15
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", f"o{suffix}"]


@pytest.mark.skipif(ffmpeg.program() is None, reason="the program ffmpeg, which makes the sound, is not on this machine")
def test_the_sound_is_said_to_be_left_out(tmp_path, capsys, monkeypatch):
    """Once; and a video without sound says nothing."""
    source, silent = make_sounding(tmp_path / "in.mp4"), write_video(tmp_path / "silent.mp4")
    monkeypatch.setattr(ffmpeg, "program", lambda: None)
    monkeypatch.setattr(ffmpeg, "encoder", lambda path, codec: None)
    assert fake_main(["--input", source, "--out", tmp_path / "o.avi"]) == 0
    assert capsys.readouterr().err.count("sound is left out") == 1
    assert fake_main(["--input", silent, "--out", tmp_path / "o.avi"]) == 0
    assert capsys.readouterr().err == ""
