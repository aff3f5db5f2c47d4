"""web_demo.py as its visitors meet it: with a browser, and with Gradio's client, which sends what a browser would."""

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import asked_for, complaints, needs_browser, open_browser, wait_for
from conftest import ROOT, assert_refused, run_script
from videos import write_video
from web_pages import SETTINGS, WATCHED, needs_gradio, page_at_work

import web_demo
from errors import InputError
from page.uploads import read_picture
from pose_detector import PoseDetector

CLEAR = "#picture [title='Remove Image'], #picture [aria-label='Remove Image']"
PEOPLE = ROOT / "data" / "people.png"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with page_at_work(tmp_path_factory.mktemp("web")) as page:
        yield page


def bomb(path, side=30_000):
    """A PNG of black, one bit for each pixel: a hundred kilobytes that become gigabytes."""

    def chunk(kind, body):
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    head = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(bytes(1 + -(-side // 8)) * side)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


# Before the page is there


def test_without_gradio_one_line_says_what_to_install(tmp_path):
    (tmp_path / "gradio.py").write_text("raise ImportError('No module named gradio')\n")
    assert_refused(run_script("web_demo.py", "--port", "0", env={"PYTHONPATH": str(tmp_path)}), "pip install -r requirements-web.txt")


def test_a_port_in_use_and_an_address_of_others_are_refused_in_one_line():
    with web_demo.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert_refused(run_script("web_demo.py", "--port", port), str(port), "name another --port")
    assert_refused(run_script("web_demo.py", "--host", "192.0.2.1"), "192.0.2.1", "cannot listen there")


# What comes in


@needs_gradio
def test_a_picture_gives_people_times_and_files(page):
    message, drawn, people, times, picture, numbers, text = page.look(PEOPLE)
    assert message == ""
    assert "4 people" in people
    assert all(stage in times for stage in ("read", "network", "decode", "draw"))
    document = json.loads(text)
    assert (document["image"], document["width"], document["height"], document["arch"]) == ("people.png", 720, 400, "lightposenet")
    assert fetch(page, numbers).decode().strip() == text.strip()  # Gradio drops the last line's end
    image = cv2.imdecode(np.frombuffer(fetch(page, picture), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (400, 720, 3)
    assert fetch(page, drawn) == fetch(page, picture)


def fetch(page, file):
    path = file["path"] if isinstance(file, dict) else file
    with urllib.request.urlopen(path if path.startswith("http") else f"{page.url}/gradio_api/file={path}") as answer:
        return answer.read()


@needs_gradio
def test_what_cannot_be_read_is_one_clear_message_and_the_page_lives_on(page, tmp_path):
    text, cut, empty = tmp_path / "text.jpg", tmp_path / "cut.png", tmp_path / "empty.png"
    text.write_text("this is no picture")
    cut.write_bytes(PEOPLE.read_bytes()[:20_000])
    empty.write_bytes(b"")
    expected = {
        text: "expected a picture",
        cut: "damaged",
        bomb(tmp_path / "bomb.png"): "30000x30000 pixels, expected 40 million at most",
        empty: "empty",
    }
    for path, words in expected.items():
        message, *others = page.look(path)
        assert words in message
        assert f"picture {path.name}: " in message
        assert str(page.folder) not in message
        assert others == [None] * 6
    assert "no picture yet" in page.look(None)[0]
    assert "4 people" in page.look(PEOPLE)[2]


def post(page, path, text, **headers):
    """The status and the text of the answer."""
    request = urllib.request.Request(f"{page.url}{path}", text.encode(), {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@needs_gradio
@pytest.mark.parametrize("way", ["run", "api"])
def test_nobody_gets_past_the_queue(page, way):
    """It is what keeps to --jobs."""
    status, text = post(page, f"/gradio_api/{way}/look", json.dumps({"data": [None, *SETTINGS]}))
    assert (status, "queue" in text) == (404, True)


@needs_gradio
@pytest.mark.parametrize(
    "picture",
    ['"/etc/passwd"', '{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}', '{"path": "", "meta": {"_type": "gradio.FileData"}}', "{}"],
)
def test_only_what_was_uploaded_is_read_and_nothing_is_told_of_other_files(page, picture):
    _, text = post(page, "/gradio_api/call/look", f'{{"data": [{picture}, {json.dumps(SETTINGS)[1:]}}}')
    with urllib.request.urlopen(f"{page.url}/gradio_api/call/look/{json.loads(text)['event_id']}") as answer:
        answer = answer.read().decode()
    assert answer.startswith("event: error") or "no picture yet" in answer
    assert not any(word in answer for word in ("passwd", str(ROOT), str(Path.cwd())))


@needs_gradio
def test_a_number_that_is_none_is_one_clear_message(page):
    _, text = post(page, "/gradio_api/call/look", f'{{"data": [{json.dumps(page.upload(PEOPLE))}, {json.dumps(SETTINGS[:-1])[1:-1]}, NaN]}}')
    with urllib.request.urlopen(f"{page.url}/gradio_api/call/look/{json.loads(text)['event_id']}") as answer:
        assert "short side: expected 128 to 736 pixels, got nan" in answer.read().decode()


@needs_gradio
def test_the_address_of_this_machine_in_ipv6(page):
    def status(host):
        try:
            return urllib.request.urlopen(urllib.request.Request(page.url, headers={"host": host})).status
        except urllib.error.HTTPError as error:
            return error.code

    assert [status(host) for host in ("[::1]:7860", "localhost:7860", "example.com")] == [200, 200, 400]


@needs_gradio
def test_settings_that_cannot_be_had_are_one_clear_message(page):
    assert "Chainer computes in f32" in page.look(PEOPLE, ("body", "lightposenet", "Chainer", "bf16", 368))[0]
    assert "expected one of" in page.look(PEOPLE, ("body", [], "OpenVINO", "f32", 368))[0]


@pytest.mark.parametrize("short_side", [None, True, "368", [], float("nan"), 127, 1e300], ids=repr)
def test_a_short_side_that_is_none(short_side):
    with pytest.raises(InputError, match="short side: expected 128 to 736 pixels"):
        web_demo.Detectors().pose("lightposenet", "OpenVINO", "f32", short_side)


@needs_gradio
def test_the_terminal_shows_a_line_of_what_was_refused_and_nothing_of_who_left(tmp_path):
    with page_at_work(tmp_path) as page:
        assert ask(page, "/etc/hostname") == "error"
        host, port = page.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as visitor:  # who leaves in the middle of an upload
            head = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
            visitor.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())
        assert page.look(PEOPLE)[0] == ""
        address, *others = (tmp_path / "words.txt").read_text().splitlines()
    assert address.startswith(page.url)
    assert [line[:39] for line in others] == ["web_demo.py: a request was refused (Inv"]


@needs_gradio
def test_two_visitors_at_once_get_each_their_own(page):
    from gradio_client import handle_file

    pictures = {PEOPLE: "4 people", ROOT / "data" / "person.png": "1 person", ROOT / "data" / "face.png": "image"}
    jobs = [(page.client().submit(handle_file(path), *SETTINGS, api_name="/look"), path) for path in list(pictures) * 2]
    for job, path in jobs:
        message, _, people, _, _, _, text = job.result(timeout=120)
        assert message == ""
        assert json.loads(text)["image"] == path.name
        assert path.name == "face.png" or pictures[path] in people


@needs_gradio
def test_a_video_becomes_a_video_and_a_line_for_each_frame(page, tmp_path):
    from gradio_client import handle_file

    source = write_video(tmp_path / "v.avi", size_wh=(360, 200), codec="MJPG", images=[cv2.resize(cv2.imread(str(PEOPLE)), (360, 200))] * 6)
    message, words, _, download, lines = page.client().predict(handle_file(source), *SETTINGS, api_name="/watch")
    assert (message, words) == ("", "6 frames")
    documents = [json.loads(line) for line in fetch(page, lines).decode().splitlines()]
    assert [document["frame"] for document in documents] == [*range(6)]
    assert {document["image"] for document in documents} == {"v.avi"}
    assert [person["id"] for person in documents[-1]["people"]]
    result = tmp_path / "result.webm"
    result.write_bytes(fetch(page, download))
    capture = cv2.VideoCapture(str(result))
    assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (360, 200)


@needs_gradio
def test_videos_without_frames_or_too_long_are_refused(page, tmp_path):
    from gradio_client import handle_file

    whole = write_video(tmp_path / "whole.avi", codec="MJPG")
    none = tmp_path / "none.avi"
    none.write_bytes(Path(whole).read_bytes()[:400])  # the head alone
    long = write_video(tmp_path / "long.avi", n_frames=31, rate=0.1, codec="MJPG")
    for path, words in ((none, "expected a video"), (long, "5.2 minutes, expected 5 at most")):
        assert words in page.client().predict(handle_file(path), *SETTINGS, api_name="/watch")[0]
    assert "no video yet" in page.client().predict(None, *SETTINGS, api_name="/watch")[0]


def ask(page, path) -> str:
    """What the page answers to a forged request, which says that a path, or a URL, is an upload: the event's name."""
    data = [{"path": str(path), "meta": {"_type": "gradio.FileData"}}, *SETTINGS]
    request = urllib.request.Request(f"{page.url}/gradio_api/call/look", json.dumps({"data": data}).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{page.url}/gradio_api/call/look/{event}") as answer:
        return next(line.split()[1] for line in answer.read().decode().splitlines() if line.startswith("event:") and "heartbeat" not in line)


@needs_gradio
def test_files_of_the_machine_and_other_servers_stay_out_of_reach(page):
    for path in ("/etc/hostname", ROOT / "README.md", PEOPLE):
        with pytest.raises(urllib.error.HTTPError):
            fetch(page, str(path))
        assert ask(page, path) == "error"
    assert ask(page, "http://192.0.2.1/x.png") == "error"
    assert not any(page.folder.rglob("hostname"))
    assert page.look(PEOPLE)[0] == ""
    own = next(page.folder.rglob("people.png"))
    assert ask(page, own) == "complete"
    request = urllib.request.Request(page.url, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):  # a page elsewhere whose name points here
        urllib.request.urlopen(request)


@needs_gradio
def test_nobody_outside_is_asked_and_nothing_is_left(tmp_path):
    with page_at_work(tmp_path) as page:
        assert page.look(PEOPLE)[0] == ""
        assert any(page.folder.rglob("*.png"))
    assert page.process.returncode == 143
    assert list(page.folder.iterdir()) == []
    assert page.addresses <= {"127.0.0.1", "localhost", "None"}


# A detector that has found somebody when the page's folder has gone.
LATE = """
import os, time, web_demo
make = web_demo.Detectors.of_kind
def of_kind(self, *settings):
    detector = make(self, *settings)
    detect = detector.detect
    def late(image):
        found, end = detect(image), time.monotonic() + 60
        open(os.environ["TMPDIR"] + "/../begun", "w").close()
        while os.listdir(os.environ["TMPDIR"]) and time.monotonic() < end:
            time.sleep(0.01)
        open(os.environ["TMPDIR"] + "/../gone", "w").close()
        return found
    detector.detect = late
    return detector
web_demo.Detectors.of_kind = of_kind
"""


@needs_gradio
@pytest.mark.parametrize("api", ["look", "watch"])
def test_who_is_at_work_when_the_page_ends_leaves_nothing(tmp_path, api):
    from gradio_client import handle_file

    source = PEOPLE if api == "look" else write_video(tmp_path / "v.avi", size_wh=(360, 200), codec="MJPG")
    with page_at_work(tmp_path, code=LATE + WATCHED) as page:
        page.client().submit(handle_file(source), *SETTINGS, api_name=f"/{api}")
        wait_for((tmp_path / "begun").exists)
    assert (tmp_path / "gone").exists()
    assert page.process.returncode == 143
    assert list(page.folder.iterdir()) == []


# In a browser


@needs_gradio
@needs_browser
def test_in_a_browser(page, tmp_path):
    with open_browser(tmp_path) as driver:
        driver.get(page.url)
        drop(driver, "picture", PEOPLE)
        wait_for(lambda: "4 people" in text_of(driver, "people"))
        wait_for(lambda: driver.find_element("css selector", "#drawn img").get_property("naturalWidth") == 720)
        check_numbers(driver, tmp_path)
        check_engines(driver)
        check_compare(driver)
        check_maps(driver)
        check_bad_input(driver, tmp_path)
        check_leaving(driver, page, tmp_path)
        assert all(url.startswith(page.url) for url in asked_for(driver))
        assert complaints(driver) == []
    assert page.addresses <= {"127.0.0.1", "localhost", "None", "192.0.2.1"}  # the last one: what a test above asked it to ask


def text_of(driver, name):
    return driver.find_element("id", name).text


def click(driver, name):
    driver.execute_script("arguments[0].click()", driver.find_element("id", name))


def drop(driver, name, path):
    wait_for(lambda: driver.find_element("css selector", f"#{name} input[type=file]")).send_keys(str(path))


def choose(driver, name, value):
    """Of a dropdown."""
    driver.find_element("css selector", f"#{name} input").click()
    options = wait_for(lambda: driver.find_elements("css selector", f"#{name} [role=option]"))
    next(option for option in options if option.text.removeprefix("✓").strip() == value).click()


def open_tab(driver, name):
    next(tab for tab in driver.find_elements("css selector", "[role=tab]") if tab.text == name).click()


def check_numbers(driver, folder):
    """Both downloads, the JSON against the detector itself."""
    for name in ("json", "png"):
        click(driver, name)
    document = json.loads(wait_for(lambda: (folder / "result.json").read_text()))
    detector = web_demo.Detectors().pose("lightposenet", "OpenVINO", "the processor's choice", 368)
    assert isinstance(detector, PoseDetector)
    assert len(document["people"]) == len(detector.detect(read_picture(PEOPLE))) == 4
    wait_for(lambda: read_picture(folder / "result.png").shape == (400, 720, 3))


def check_engines(driver):
    choose(driver, "engine", "Chainer")
    wait_for(lambda: "prepare the network 0.0" in text_of(driver, "times"))  # Chainer prepares nothing
    assert "4 people" in text_of(driver, "people")


def check_compare(driver):
    open_tab(driver, "Compare")
    choose(driver, "precisionB", "f32")
    click(driver, "compare")
    words = wait_for(lambda: "correlation" in text_of(driver, "comparison") and text_of(driver, "comparison"))
    rows = {line.split()[0]: line for line in words.splitlines()}
    assert rows["A:"].startswith("A: lightposenet, Chainer")
    assert rows["B:"].startswith("B: lightposenet, OpenVINO, f32 4 ")
    assert float(rows["heatmaps"].split()[1]) < 1e-4
    wait_for(lambda: driver.find_element("css selector", "#difference img").get_property("naturalWidth") == 720)


def check_maps(driver):
    open_tab(driver, "Heatmaps")
    click(driver, "maps")
    for name in ("maps0", "maps1"):
        wait_for(lambda name=name: driver.find_element("css selector", f"#{name} img").get_property("naturalWidth") == 720)


def check_bad_input(driver, folder):
    (folder / "text.jpg").write_text("no picture")
    driver.find_element("css selector", CLEAR).click()
    wait_for(lambda: "no picture yet" in text_of(driver, "message"))
    drop(driver, "picture", folder / "text.jpg")
    wait_for(lambda: "text.jpg: expected a picture" in text_of(driver, "message"))


def check_leaving(driver, page, folder):
    """A visitor who closes the window in the middle of a video: the work stops, its files go."""
    frames = [cv2.resize(cv2.imread(str(PEOPLE)), (360, 200))] * 2000
    video = write_video(folder / "long.avi", size_wh=(360, 200), codec="MJPG", images=frames)
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    driver.get(page.url)
    wait_for(lambda: driver.find_elements("css selector", "[role=tab]"))
    open_tab(driver, "Video")
    drop(driver, "video", video)
    wait_for(lambda: driver.find_elements("css selector", "#video video"))
    click(driver, "watch")
    wait_for(lambda: "of 2000" in text_of(driver, "progress"))
    assert any(page.folder.rglob("result.jsonl"))
    driver.close()
    driver.switch_to.window(first)
    wait_for(lambda: not any(page.folder.rglob("result.jsonl")))
    assert "4 people" in page.look(PEOPLE)[2]


def test_the_process_that_is_guarded_calls_nobody():
    code = """
import socket, sys
from page.guard import stay_here
stay_here("127.0.0.1")
with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
    pass
for call in (lambda: socket.create_connection(("192.0.2.1", 80), 1), lambda: socket.getaddrinfo("example.org", 80)):
    try:
        call()
    except PermissionError:
        continue
    sys.exit(1)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
