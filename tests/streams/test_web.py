"""Servers that misbehave (tests/faults/servers.py) against what reads from a URL: limits, each one line; Ctrl-C; videos that name other files."""

import os
import resource
import signal
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler

import cv2
import pytest
from conftest import assert_input_error
from faults.servers import BEHAVIOURS, misbehaving
from servers import serving
from videos import fake_main, picture, start_fake, wait_until, write_video

from errors import InputError
from streams import web
from streams.capture import OPTIONS
from streams.frames import Video
from streams.live import open_live
from streams.threads import aside

ANSWERED = {"empty body", "a page", "length -1", "length no number", "a playlist of a file", "a list of files"}  # as HTTP they are well
LIMITS = {  # what the line says
    "silence": "not complete after 3 s, the limit",
    "a dripping status": "not complete after 3 s, the limit",
    "a dripping header": "not complete after 3 s, the limit",
    "a dripping body": "not complete after 3 s, the limit",
    "endless 100 Continue": "not complete after 3 s, the limit",
    "silent in the body": "not complete after 3 s, the limit",
    "endless body": "more than 4,000,000 bytes, the limit",
    "endless chunks": "more than 4,000,000 bytes, the limit",
    "a chunk of 2**60": "more than 4,000,000 bytes, the limit",
    "length 10**15": "1,000,000,000,000,000 bytes, and 4,000,000 is the limit",
    "redirect to file://": "not allowed",
    "redirect to ftp://": "unknown url type: ftp",
}


@pytest.fixture
def limits(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(web, "MOST_SECONDS", 3.0)
    monkeypatch.setattr(web, "MOST_BYTES", 4_000_000)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_server_that_misbehaves(limits, tmp_path, capsys, behaviour):
    """One line that says the limit; nothing is written, and no thread goes on reading."""
    before, peak = threading.active_count(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with misbehaving(behaviour) as (address, requests):
        if behaviour in ANSWERED:
            assert len(web.fetch(f"{address}/x.png", "picture")) < 100
        assert fake_main(["--img", f"{address}/x.png", "--out", tmp_path / "r.png"]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"{address}/x.png" in error
        assert LIMITS.get(behaviour, "") in error
        assert error.rstrip("\n").isprintable()
        assert 1 <= len(requests) <= 12
    assert not (tmp_path / "r.png").exists()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 300_000  # KiB
    end = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.05)
    assert threading.active_count() <= before


class Pictures(BaseHTTPRequestHandler):
    """A picture: with its length, in chunks, and behind two redirects."""

    protocol_version = "HTTP/1.1"
    data = cv2.imencode(".png", picture(7, (1200, 900)))[1].tobytes()

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path.startswith("/moved"):
            self.send_response(301)
            self.send_header("Location", "/moved_2.png" if self.path == "/moved.png" else "/length.png")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        if self.path == "/chunks.png":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(self.data), 1000):
                part = self.data[at : at + 1000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(self.data)))
        self.end_headers()
        self.wfile.write(self.data)


@pytest.mark.parametrize("name", ["length.png", "chunks.png", "moved.png"])
def test_a_picture_arrives_as_it_is(monkeypatch, name):
    monkeypatch.setenv("no_proxy", "*")
    with serving(Pictures) as address:
        assert web.fetch(f"{address}/{name}", "picture") == Pictures.data
        monkeypatch.setattr(web, "MOST_BYTES", len(Pictures.data))
        assert web.fetch(f"{address}/{name}", "picture") == Pictures.data
        monkeypatch.setattr(web, "MOST_BYTES", len(Pictures.data) - 1)
        assert_input_error(partial(web.fetch, f"{address}/{name}", "picture"), name, "bytes", "limit")


@pytest.mark.parametrize("behaviour", ["silence", "a dripping header", "endless 100 Continue", "a dripping body", "length 10**15"])
def test_a_video_whose_opening_does_not_end(limits, monkeypatch, behaviour):
    monkeypatch.setattr("streams.capture.TIMEOUT", 2)
    with misbehaving(behaviour) as (address, _):
        assert_input_error(partial(open_live, f"{address}/v.mp4"), f"{address}/v.mp4", "no picture comes from it", "check the URL")


@pytest.mark.parametrize("options", [["--img", "x.png", "--out"], ["--input", "x.png", "--out"], ["--input", "v.mp4", "--jsonl"]])
def test_ctrl_c_while_a_server_is_silent(tmp_path, monkeypatch, options):
    """The status is that of an interruption: the wait for the server was left, its limits did not pass, and it was asked once."""
    monkeypatch.setenv("no_proxy", "*")
    option, name, out = options
    before = "import streams.web, signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    with misbehaving("silence") as (address, requests):
        process = start_fake(option, f"{address}/{name}", out, tmp_path / "r.png", before=before)
        wait_until(lambda: requests, process, seconds=120)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
        assert len(requests) == 1
    assert (process.returncode, errors.splitlines()[-1]) == (130, "fake.py: interrupted")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["file:///etc/hostname.png", "FILE:///x/v%201.mp4", "file://host/x.png"])
@pytest.mark.parametrize("option", ["--img", "--input"])
def test_a_url_of_a_file(tmp_path, capsys, option, name):
    """It names no server: give the path."""
    assert fake_main([option, name, "--out", tmp_path / "r.png"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert name in error
    assert "give its path, /" in error


@pytest.mark.parametrize("option", ["--img", "--input"])
def test_a_url_that_is_none(tmp_path, capsys, option):
    assert fake_main([option, "http://[::1/x.png", "--out", tmp_path / "r.png"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "http://[::1/x.png: this is no URL" in error


# Videos that name other files


class Counting(BaseHTTPRequestHandler):
    """Counts requests; says no to each."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.requests = [*getattr(self.server, "requests", ()), self.path]
        Counting.seen.append(self.path)
        self.send_error(404)

    do_HEAD = do_POST = do_DESCRIBE = do_OPTIONS = do_GET
    seen = ()


LISTS = {  # contents of a file called as a video, with {other}: a URL or a file
    "ffconcat": "ffconcat version 1.0\nfile '{other}'\nduration 1\n",
    "m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10.0,\n{other}\n#EXT-X-ENDLIST\n",
    "master": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1280000,RESOLUTION=64x48\n{other}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\na=control:{other}\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:full:2011" type="static">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1"><BaseURL>{other}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "rtsp": "RTSPtext\n{other}\n",
    "asx": "[Reference]\nRef1={other}\n",
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".m3u8", ".ffconcat", ".sdp", ".mpd", ".video"])
def test_a_video_file_that_names_others_is_refused(tmp_path, monkeypatch, capfd, kind, suffix):
    """No server is asked, no other file is read, OpenCV's variable is as before."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv(OPTIONS, raising=False)
    monkeypatch.setattr(Counting, "seen", [])
    write_video(tmp_path / "other.mp4", 5)
    with serving(Counting) as address:
        for other in (f"{address}/other.ts", f"{address}/other.mp4", "other.mp4", str(tmp_path / "other.mp4"), f"file://{tmp_path}/other.mp4"):
            (tmp_path / f"v{suffix}").write_text(LISTS[kind].format(other=other))
            assert fake_main(["--input", tmp_path / f"v{suffix}", "--jsonl", tmp_path / "r"]) == 2
            error = capfd.readouterr().err
            assert error.count("\n") == 1
            assert f"v{suffix}: expected a video" in error
    assert Counting.seen == []
    assert not (tmp_path / "r").exists()
    assert OPTIONS not in os.environ


def test_such_a_file_would_be_followed_otherwise(tmp_path):
    """What the test above keeps out is real: OpenCV alone plays the other file."""
    write_video(tmp_path / "other.mp4", 5)
    (tmp_path / "v.mp4").write_text(LISTS["ffconcat"].format(other="other.mp4"))
    capture = cv2.VideoCapture(str(tmp_path / "v.mp4"))
    assert capture.read()[0]
    capture.release()


def test_a_playlist_on_a_server_names_no_file_of_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    write_video(tmp_path / "other.mp4", 5)
    contents = "".join((LISTS["m3u8"], LISTS["ffconcat"])[n].format(other=f"file://{tmp_path}/other.mp4") for n in (0, 1))

    class Server(Counting):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.apple.mpegurl" if self.path.endswith("m3u8") else "video/mp4")
            self.end_headers()
            text = contents if self.path.endswith("m3u8") else LISTS["ffconcat"].format(other=f"file://{tmp_path}/other.mp4")
            self.wfile.write(text.encode())

    with serving(Server) as address:
        for name in ("a.m3u8", "a.mp4", "a.ffconcat"):
            with pytest.raises(InputError, match="no picture comes"):
                open_live(f"{address}/{name}")


def test_what_a_user_set_for_ffmpeg_is_kept_and_counts(tmp_path, monkeypatch):
    monkeypatch.setenv(OPTIONS, "format_whitelist;mov")
    Video(write_video(tmp_path / "v.mp4", 3)).close()
    with pytest.raises(InputError, match="expected a video"):
        Video(write_video(tmp_path / "v.mkv", 3))
    assert os.environ[OPTIONS] == "format_whitelist;mov"


# Threads


def test_aside_answers_raises_and_gives_up():
    assert aside(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        aside(lambda: 1 / 0)
    release = threading.Event()
    with pytest.raises(TimeoutError):
        aside(release.wait, 0.05)
    release.set()
