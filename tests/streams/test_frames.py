"""streams/frames.py: which frames each kind of --input gives, in which order and under which names."""

import contextlib
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import assert_input_error
from videos import SIZE_WH, is_red, number_of, turn_mp4, write_pictures, write_video

from errors import InputError
from streams.frames import DEFAULT_RATE, Pictures, Video, find_pictures, is_live, is_video, open_frames


def names_and_stems(source):
    return [(Path(path).name, stem) for path, stem in zip(source.paths, source.stems, strict=True)]


def opened(*names, **options):
    return open_frames([str(name) for name in names], **options)


# Pictures


def test_one_picture(tmp_path):
    write_pictures(tmp_path, ["a.png"])
    (frame,) = opened(tmp_path / "a.png").frames()
    assert (frame.number, frame.name, frame.stem, frame.seconds) == (0, str(tmp_path / "a.png"), "a", None)
    assert frame.size_wh == SIZE_WH
    assert frame.key == frame.name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.svg", ("picture", "a.svg: .svg cannot be read here; convert it")),
        ("a.NEF", ("picture", "a.NEF: .nef cannot be read here; convert it")),
        ("README.md", ("README.md: expected a video", "a picture, or a list of pictures (.txt)")),
    ],
)
def test_one_file_that_is_none(tmp_path, name, words):
    """As in a folder, where it is named as left out; and what it might have been."""
    (tmp_path / name).write_text("<svg/>")
    assert_input_error(lambda: opened(tmp_path / name), *words)


def test_a_damaged_video_is_not_taken_for_a_picture(tmp_path):
    (tmp_path / "v.mp4").write_text("x")
    with pytest.raises(InputError, match=r"expected a video \(.mp4, .avi, .mov, ...\), got"):
        opened(tmp_path / "v.mp4")


def test_folder(tmp_path):
    """In the order of names; hidden files, other files and folders do not count."""
    write_pictures(tmp_path, ["b.jpg", "a.PNG", "c10.bmp", "c9.webp", ".hidden.png", "deep/d.png", "folder.png/e.png"])
    (tmp_path / "notes.txt").write_text("x")
    source = opened(tmp_path)
    assert names_and_stems(source) == [("a.PNG", "a"), ("b.jpg", "b"), ("c10.bmp", "c10"), ("c9.webp", "c9")]
    assert [(frame.number, number_of(frame.image)) for frame in source.frames()] == [(0, 1), (1, 0), (2, 2), (3, 3)]
    assert source.failures == []


def test_folder_with_folders(tmp_path):
    """-r: stems keep the folders, so that two pictures of one name stay apart; hidden folders are left out as hidden files are."""
    write_pictures(tmp_path, ["a.png", "x/a.png", "x/y/b.png", ".git/c.png", "x/.cache/d.png"])
    source = opened(tmp_path, recursive=True)
    assert source.stems == ["a", "x/a", "x/y/b"]


def test_hidden_folder_that_is_named_is_read(tmp_path):
    write_pictures(tmp_path, [".hidden/a.png"])
    assert opened(tmp_path / ".hidden", recursive=True).stems == ["a"]


def test_results_in_the_folder_are_left_out(tmp_path):
    """A second run with --out IN/results does not read the first one's."""
    write_pictures(tmp_path, ["a.png", "results/a.png"])
    assert opened(tmp_path, recursive=True, without=tmp_path / "results").stems == ["a"]


@pytest.mark.parametrize(
    ("pattern", "stems"),
    [("*.png", ["a", "b"]), ("**/*.png", ["a", "b", "x/c"]), ("x/*", ["c"]), ("[ab].png", ["a", "b"]), ("?/c.png", ["x/c"])],
)
def test_glob(tmp_path, pattern, stems):
    write_pictures(tmp_path, ["a.png", "b.png", "d.jpg", "x/c.png"])
    assert opened(tmp_path / pattern).stems == stems


def test_file_whose_name_looks_like_a_glob(tmp_path):
    write_pictures(tmp_path, ["a[1].png", "a1.png"])
    assert names_and_stems(opened(tmp_path / "a[1].png")) == [("a[1].png", "a[1]")]


def test_list_file(tmp_path):
    """Names relative to the list, absolute ones, comments, empty lines; in the list's order, each once."""
    write_pictures(tmp_path, ["in/a.png", "in/b.png", "c.png"])
    (tmp_path / "list.txt").write_text(f"# pictures\n\nin/b.png\r\n  in/a.png  \n{tmp_path / 'c.png'}\nin/b.png\n")
    source = opened(tmp_path / "list.txt")
    assert names_and_stems(source) == [("b.png", "in/b"), ("a.png", "in/a"), ("c.png", "c")]


def test_list_of_names_above_it(tmp_path):
    """Results never leave their folder."""
    write_pictures(tmp_path, ["a.png", "lists/x.png"])
    (tmp_path / "lists" / "list.txt").write_text("../a.png\nx.png\n")
    assert opened(tmp_path / "lists" / "list.txt").stems == ["a", "x"]


@pytest.mark.parametrize("line", [".", "/", "//", "./", "./."])
def test_list_with_what_is_no_name(tmp_path, line):
    write_pictures(tmp_path, ["a.png"])
    (tmp_path / "list.txt").write_text(f"a.png\n{line}\n")
    with pytest.raises(InputError, match="expected a file's name on each line"):
        open_frames([str(tmp_path / "list.txt")])


def test_a_damaged_video_says_nothing_beside_our_lines(tmp_path, capfd):
    """OpenCV's own reader of .avi and libjpeg do, once for each frame."""
    good = Path(write_video(tmp_path / "good.avi", 8, codec="MJPG")).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(15):
        data = np.frombuffer(good, np.uint8).copy()
        data[rng.integers(200, len(data), 20)] = rng.integers(0, 256, 20)
        (tmp_path / "video.avi").write_bytes(data.tobytes())
        with contextlib.suppress(InputError):
            video = Video(tmp_path / "video.avi")
            for _ in video.frames():
                pass
            video.close()
    assert capfd.readouterr().err == ""


def test_a_frame_at_which_opencv_raises_is_a_failure_and_those_behind_it_come(tmp_path):
    """A frame of 256 MB, as an .avi says that FFmpeg refuses and OpenCV's own reader takes."""
    path = tmp_path / "v.avi"
    data = bytearray(Path(write_video(path, 6, codec="MJPG")).read_bytes())
    frame = [match.start() for match in re.finditer(b"00dc", data) if match.start() > data.index(b"movi")][3]
    data[frame + 4 : frame + 8] = b"\0\0\0\x10"
    path.write_bytes(data.replace(b"strf", b"str&"))
    video = opened(path)
    assert video.capture.getBackendName() == "CV_MJPEG"
    frames = list(video.frames())
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 4, 5]
    assert [words for _, words in video.failures] == ["it cannot be decoded"]


def test_list_with_a_missing_name(tmp_path):
    """It is a failure as any other unreadable picture, and does not stop the others."""
    write_pictures(tmp_path, ["a.png"])
    (tmp_path / "list.txt").write_text("gone.png\na.png\n")
    source = opened(tmp_path / "list.txt")
    assert [frame.stem for frame in source.frames()] == ["a"]
    assert [name for name, _ in source.failures] == [str(tmp_path / "gone.png")]


def test_same_stems(tmp_path):
    """a.jpg and a.png, and one name in two folders, have results of their own."""
    write_pictures(tmp_path, ["x/a.jpg", "x/a.png", "y/a.png", "y/b.png"])
    source = opened(tmp_path / "x", tmp_path / "y")
    assert len(set(source.stems)) == 4
    assert source.stems[3] == "b"
    assert opened(tmp_path / "x").stems == ["a.jpg", "a.png"]


def test_unreadable_pictures_are_counted(tmp_path):
    write_pictures(tmp_path, ["a.png", "e.png"])
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:50])
    (tmp_path / "c.jpg").write_bytes(b"")
    (tmp_path / "d.jpg").write_text("no picture")
    source = opened(tmp_path)
    frames = list(source.frames())
    assert [(frame.number, frame.stem) for frame in frames] == [(0, "a"), (4, "e")]
    assert [Path(name).name for name, _ in source.failures] == ["b.png", "c.jpg", "d.jpg"]
    assert all(why and "\n" not in why for _, why in source.failures)


def test_skipped_pictures_are_not_read(tmp_path):
    write_pictures(tmp_path, ["a.png", "b.png"])
    (tmp_path / "a.png").write_bytes(b"damaged meanwhile")
    source = opened(tmp_path)
    assert [frame.stem for frame in source.frames(lambda frame: frame.stem == "a")] == ["b"]
    assert source.failures == []


# Videos


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "mp4v"), (".avi", "MJPG")])
def test_video(tmp_path, suffix, codec):
    """Every frame once, in order, with its time."""
    video = opened(write_video(tmp_path / f"v{suffix}", 11, rate=12.5, codec=codec))
    assert isinstance(video, Video)
    assert (len(video), video.rate, video.size_wh) == (11, 12.5, SIZE_WH)
    frames = list(video.frames())
    assert [number_of(frame.image) for frame in frames] == [frame.number for frame in frames] == list(range(11))
    assert [frame.seconds for frame in frames] == [number / 12.5 for number in range(11)]
    assert frames[3].stem == "v_000000000003"
    assert len({frame.key for frame in frames}) == 11
    assert video.failures == []
    video.close()


def test_skipped_frames_of_a_video(tmp_path):
    video = opened(write_video(tmp_path / "v.mp4", 9))
    found = [(frame.number, number_of(frame.image)) for frame in video.frames(lambda frame: frame.number % 3 != 2)]
    assert found == [(2, 2), (5, 5), (8, 8)]


def test_turned_video_stands_upright(tmp_path):
    """Telephones store the picture lying, and say so; the red corner is then at the right."""
    path = write_video(tmp_path / "v.mp4", 3)
    turn_mp4(path)
    video = opened(path)
    assert video.size_wh == SIZE_WH[::-1]
    for frame in video.frames():
        assert frame.size_wh == SIZE_WH[::-1]
        assert is_red(frame.image[4, -4])
        assert not is_red(frame.image[4, 4])
    assert len(video) == 3


def test_video_cut_off(tmp_path):
    """The frames that are there come; the rest is a failure."""
    path = tmp_path / "v.avi"
    write_video(path, 20, (320, 240), codec="MJPG")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    video = opened(path)
    frames = list(video.frames())
    assert 5 <= len(frames) < 20
    assert [number_of(frame.image) for frame in frames] == list(range(len(frames)))
    assert len(video.failures) == 1
    assert f"{len(frames)} of 20" in video.failures[0][1]


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100, None], ids=["empty", "text", "without its index"])
def test_what_is_no_video_is_refused(tmp_path, content):
    """None: an mp4 without the index at its end."""
    path = tmp_path / "v.mp4"
    write_video(path)
    path.write_bytes(path.read_bytes()[:1500] if content is None else content)
    assert_input_error(lambda: opened(path), path)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf"), 90000.0])
def test_video_without_a_sensible_rate(tmp_path, monkeypatch, rate):
    path = write_video(tmp_path / "v.mp4")

    class Capture:
        def __init__(self, name):
            self.capture = cv2.VideoCapture(name)
            self.isOpened, self.read, self.release = self.capture.isOpened, self.capture.read, self.capture.release

        def get(self, what):
            return rate if what == cv2.CAP_PROP_FPS else self.capture.get(what)

    monkeypatch.setattr("streams.frames.open_capture", Capture)
    assert Video(path).rate == DEFAULT_RATE


def test_video_known_by_its_content(tmp_path):
    path = tmp_path / "recording"
    Path(write_video(tmp_path / "v.mp4")).rename(path)
    write_pictures(tmp_path, ["a.png"])
    (tmp_path / "a.png").rename(tmp_path / "photo")
    assert is_video(path)
    assert not is_video(tmp_path / "photo")
    assert isinstance(opened(path), Video)
    assert isinstance(opened(tmp_path / "photo"), Pictures)


# What cannot be used


def test_bad_inputs(tmp_path):
    write_pictures(tmp_path, ["a.png", "full/b.png"])
    write_video(tmp_path / "v.mp4")
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)))
    (tmp_path / "nothing.txt").write_text("# nothing\n")
    assert_input_error(lambda: opened(tmp_path / "gone.png"), "gone.png", "no such")
    assert_input_error(lambda: opened(tmp_path / "empty"), "no pictures")
    assert_input_error(lambda: opened(tmp_path / "nothing.txt"), "no pictures")
    assert_input_error(lambda: opened(tmp_path / "binary.txt"), "binary.txt", "list")
    assert_input_error(lambda: opened(tmp_path / "*.gif"), "no pictures")
    assert_input_error(lambda: opened(tmp_path / "a.png", tmp_path / "v.mp4"), "v.mp4", "a video among 2")
    assert_input_error(lambda: opened(tmp_path / "*"), "v.mp4", "a video among 2")
    assert_input_error(lambda: opened("a\0b"), "--input")
    assert_input_error(lambda: opened("x" * 5000), "--input")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_folder(tmp_path):
    (tmp_path / "locked").mkdir(mode=0)
    assert_input_error(lambda: opened(tmp_path / "locked"), "locked")


def test_live_names():
    assert all(is_live([name]) for name in ("0", "12", "rtsp://camera/1", "http://x/y.mjpg"))
    assert not any(is_live(names) for names in (["a.png"], ["0", "1"], ["folder/0"], ["C:/x"], ["-1"]))


def test_find_pictures_spreads(tmp_path):
    write_pictures(tmp_path, [f"{i}.png" for i in range(9)])
    assert [path.name for path in find_pictures(tmp_path, 3)] == ["0.png", "3.png", "6.png"]
    assert len(find_pictures(tmp_path, 100)) == 9
    assert len(find_pictures(tmp_path, 4)) <= 4
