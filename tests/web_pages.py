"""A web_demo.py that runs, and says which addresses it asks for; what a visitor without a browser sees."""

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from browser import wait_for
from conftest import ROOT

needs_gradio = pytest.mark.skipif(not find_spec("gradio"), reason="Gradio is not installed (pip install -r requirements-web.txt)")
SETTINGS = "body", "lightposenet", "OpenVINO", "f32", 368
WATCHED = """
import sys
log = open(sys.argv[1], "a", buffering=1)
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        log.write(str(address[0] if isinstance(address, tuple) else address) + "\\n")
sys.addaudithook(watch)
import web_demo
sys.exit(web_demo.main(sys.argv[2:]))
"""


class Page:
    """A page that runs: its address, its folder for temporary files, the addresses it asked for, its process."""

    def __init__(self, process, url, folder, log):
        self.process, self.url, self.folder, self.log = process, url, folder, log

    @property
    def addresses(self) -> set:
        return set(self.log.read_text().splitlines())

    def client(self):
        from gradio_client import Client

        return Client(self.url, verbose=False, analytics_enabled=False, download_files=False)

    def upload(self, path):
        """Hand a file in -> what stands for it in what is sent to the page."""
        body = b'--end\r\nContent-Disposition: form-data; name="files"; filename="upload"\r\n\r\n' + Path(path).read_bytes() + b"\r\n--end--\r\n"
        request = urllib.request.Request(f"{self.url}/gradio_api/upload", body, {"content-type": "multipart/form-data; boundary=end"})
        with urllib.request.urlopen(request) as answer:
            return {"path": json.load(answer)[0], "meta": {"_type": "gradio.FileData"}}

    def look(self, path, settings=SETTINGS):
        """message, drawn, people, times, two downloads, JSON; as a visitor of its own."""
        from gradio_client import handle_file

        return self.client().predict(handle_file(path) if path else None, *settings, api_name="/look")


@contextmanager
def page_at_work(folder, *options, code=WATCHED):
    """A Page, which ends with the block. code: what runs web_demo, with the name of a log before its options."""
    temporary, log, words = Path(folder) / "tmp", Path(folder) / "addresses.txt", Path(folder) / "words.txt"
    temporary.mkdir()
    env = {**os.environ, "TMPDIR": str(temporary), "no_proxy": "*"}
    with words.open("w") as file:
        command = [sys.executable, "-c", code, str(log), "--port", "0", *options]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=file, stderr=subprocess.STDOUT)
    try:
        url = wait_for(lambda: next(word for word in words.read_text().split() if word.startswith("http://")))
        yield Page(process, url, temporary, log)
    finally:
        process.terminate()
        process.wait(60)
