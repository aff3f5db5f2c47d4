"""What is written plays in a browser: Chromium without a window opens each video, goes to its middle and says which colour it shows there."""

import functools
import http.server
import json
import shutil
import subprocess
import threading

import numpy as np
import pytest

from streams import ffmpeg
from streams.video import VideoFile, can_write, usual_codec

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None)
PAGE = """<!doctype html><script>
const v = document.createElement("video"), name = location.search.slice(1);
const say = what => fetch("/said", {method: "POST", body: JSON.stringify(what)});
v.muted = true; v.src = name;
v.onloadeddata = () => { v.currentTime = v.duration / 2; };
v.onerror = () => say({error: v.error.code});
v.onseeked = () => {
  const c = document.createElement("canvas"); c.width = v.videoWidth; c.height = v.videoHeight;
  c.getContext("2d").drawImage(v, 0, 0);
  say({size: [v.videoWidth, v.videoHeight], seconds: v.duration, rgb: [...c.getContext("2d").getImageData(40, 30, 1, 1).data].slice(0, 3)});
};
</script>"""


class Page(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and takes one message, for `said`."""

    def do_POST(self):
        self.server.said.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
        self.server.heard.set()

    def log_message(self, *_):
        pass


def shown_by_browser(folder, name) -> dict:
    (folder / "page.html").write_text(PAGE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Page, directory=folder))
    server.said, server.heard = [], threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder / 'profile'}", "--remote-debugging-port=0"]
    url = f"http://127.0.0.1:{server.server_port}/page.html?{name}"
    process = subprocess.Popen([BROWSER, *options, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert server.heard.wait(120), "the browser said nothing"
        return server.said[0]
    finally:
        process.terminate()
        process.wait(20)
        server.shutdown()


@pytest.fixture(params=["system", "package"])
def ffmpeg_of(request, monkeypatch):
    """What a machine has: its own program ffmpeg, or the package imageio-ffmpeg alone."""
    if request.param == "package":
        if ffmpeg._packaged() is None:
            pytest.skip("imageio-ffmpeg is not installed here (pip install imageio-ffmpeg), or has no program for this machine")
        monkeypatch.setattr(ffmpeg.shutil, "which", lambda name: None)
    elif shutil.which("ffmpeg") is None:
        pytest.skip("no program ffmpeg on this machine")
    for memory in (ffmpeg.program, can_write):
        memory.cache_clear()
    yield
    for memory in (ffmpeg.program, can_write):
        memory.cache_clear()


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine (apt-get install chromium)")
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_the_usual_video_plays(tmp_path, suffix, ffmpeg_of):
    """Its size, its length and its colours."""
    path = tmp_path / f"v{suffix}"
    if usual_codec(path) == "mp4v":
        pytest.skip("nothing here writes H.264: no program ffmpeg")
    video = VideoFile(path, 10)
    for _ in range(20):
        video.write(np.full((90, 120, 3), (40, 90, 200), np.uint8))
    video.close()
    shown = shown_by_browser(tmp_path, path.name)
    assert "error" not in shown
    assert shown["size"] == [120, 90]
    assert shown["seconds"] == pytest.approx(2, abs=0.15)
    assert np.abs(np.subtract(shown["rgb"], (200, 90, 40))).max() < 12


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine (apt-get install chromium)")
def test_without_ffmpeg_it_is_said(tmp_path, monkeypatch):
    """MPEG-4 part 2 is what the note says of it: the browser refuses it."""
    monkeypatch.setattr(ffmpeg, "encoder", lambda path, codec: None)
    video = VideoFile(tmp_path / "v.mp4", 10, "mp4v")
    for _ in range(5):
        video.write(np.full((90, 120, 3), 90, np.uint8))
    video.close()
    assert "error" in shown_by_browser(tmp_path, "v.mp4")
