"""A page in the browser: the people in pictures and videos that are dropped on it.

    python web_demo.py
    python web_demo.py --port 8080 --host 0.0.0.0      # for other machines too

It needs Gradio (pip install -r requirements-web.txt). What is dropped stays on this machine, and is deleted; nothing is sent anywhere.
"""

import process  # noqa: F401 (before what takes seconds)

import atexit
import os
import shutil
import socket
import sys
import tempfile
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import cli
from demo import WholeBodyDetector
from entity import Joint
from errors import InputError
from face_detector import FaceDetector
from hand_detector import HandDetector
from models import choose
from page import guard, terminal
from page.desk import Desk, answering, answering_in_steps
from page.networks import PRECISIONS, USUAL, Networks, at_hand, engines_at_hand
from page.pictures import EVERY_JOINT
from page.uploads import MEGAPIXELS, MINUTES, UPLOAD, sweeping
from pose_detector import PoseDetector

BODY, WHOLE = "body", "whole person: body, face, hands"
SHORTEST, LONGEST = 128, 736  # pixels, of the short side of a network's input
KEPT = 1800  # seconds that an upload or a result stays on the disk after its last use; all go when the page ends
WAITING = 20  # visitors
STYLE = """.html-container table { border: 0; width: 100% } .html-container :is(tr, th, td) { border: 0; text-align: left; padding: 0.15rem 0.6rem }
.html-container tr { border-bottom: 1px solid #8884 !important }
#message { color: #b91c1c; font-weight: 600 } footer { display: none !important }"""
ABOUT = f"""# People in pictures
Drop a picture: skeletons appear on the right. Up to {MEGAPIXELS} megapixels; videos up to {MINUTES} minutes.
Pictures stay on the machine that runs this page, and are deleted after {KEPT // 60} minutes, or when the page ends."""


class Detectors:
    """Makes the detectors; their networks are opened once."""

    def __init__(self):
        self.networks = Networks()

    def pose(self, arch, engine, precision, short_side):
        if type(short_side) not in (int, float) or not SHORTEST <= short_side <= LONGEST:
            raise InputError(f"short side: expected {SHORTEST} to {LONGEST} pixels, got {repr(short_side)[:60]}")
        return PoseDetector(self.networks.get(arch, engine, precision), short_side=int(short_side))

    def of_kind(self, kind, arch, engine, precision, short_side):
        """kind: BODY or WHOLE, for which face and hand networks are those that demo.py takes."""
        pose = self.pose(arch, engine, precision, short_side)
        if kind == BODY:
            return pose
        face, hand = (self.networks.get(choose(part), engine) for part in ("face", "hand"))
        return WholeBodyDetector(pose, FaceDetector(face), HandDetector(hand))


def load_gradio(folder):
    """The package, told to call nobody and to keep its files in the folder. Raises InputError where it is missing."""
    quiet = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_RUN_HISTORY": "False"}
    os.environ.update(quiet, GRADIO_TEMP_DIR=str(folder))
    try:
        import gradio
    except ImportError as error:
        raise InputError(f"Gradio is not installed ({error}); run: pip install -r requirements-web.txt") from None
    return gradio


def build(gr, desk, jobs):
    """The page, a gradio.Blocks. jobs: how many pictures and videos are worked on at once."""
    work = {"concurrency_limit": jobs, "concurrency_id": "work"}
    with gr.Blocks(title="People in pictures", analytics_enabled=False, delete_cache=(60, KEPT)) as page:
        gr.Markdown(ABOUT)
        with gr.Row():
            with gr.Column(scale=1):
                picture = gr.Image(type="filepath", sources=["upload", "webcam", "clipboard"], label="Picture", elem_id="picture", height=320)
                message = gr.HTML(elem_id="message")
                settings = add_settings(gr)
            with gr.Column(scale=2):
                add_people(gr, desk, picture, settings, message, work)
                add_compare(gr, desk, picture, settings, message, work)
                add_maps(gr, desk, picture, settings, message, work)
                add_video(gr, desk, settings, message, work)
        picture.preprocess = path_of
    page.has_launched = True  # else Gradio takes any path of this machine for an upload
    return page.queue(max_size=WAITING, api_open=False)  # nobody gets past it: it is what keeps to `jobs`


def path_of(upload):
    """Where an upload lies. Gradio would decode it first, whatever its size."""
    return upload and upload.path


def add_settings(gr) -> list:
    return [
        gr.Radio([BODY, WHOLE], value=BODY, label="Find", elem_id="kind"),
        *add_network(gr, ""),
        gr.Slider(SHORTEST, LONGEST, 368, step=16, label="Short side of the network's input, pixels", elem_id="short_side"),
    ]


def add_network(gr, mark) -> list:
    return [
        gr.Dropdown(at_hand(), value=choose("pose"), label=f"Network{mark}", elem_id=f"network{mark.strip()}"),
        gr.Dropdown(engines_at_hand(), value=engines_at_hand()[0], label=f"Engine{mark}", elem_id=f"engine{mark.strip()}"),
        gr.Dropdown(list(PRECISIONS), value=USUAL, label=f"Precision{mark}", elem_id=f"precision{mark.strip()}"),
    ]


def add_people(gr, desk, picture, settings, message, work):
    with gr.Tab("People"):
        drawn = gr.Image(label="Found", interactive=False, format="png", elem_id="drawn", buttons=["fullscreen"])
        people, times = gr.HTML(elem_id="people"), gr.HTML(elem_id="times")
        with gr.Row():
            image_file = gr.DownloadButton("Picture (PNG)", elem_id="png")
            numbers_file = gr.DownloadButton("Numbers (JSON)", elem_id="json")
        with gr.Accordion("JSON", open=False):
            numbers = gr.Code(language="json", interactive=False, max_lines=30)
    outputs = [drawn, people, times, image_file, numbers_file, numbers]
    gr.on(
        [picture.change, *(each.release if hasattr(each, "release") else each.input for each in settings)],
        answering(desk.look, len(outputs)),
        [picture, *settings],
        [message, *outputs],
        trigger_mode="always_last",
        api_name="look",
        **work,
    )


def add_compare(gr, desk, picture, settings, message, work):
    with gr.Tab("Compare"):
        gr.Markdown("A is what is chosen on the left, B what is chosen here. The last picture shows where the heatmaps differ.")
        with gr.Row():
            other = add_network(gr, " B")
        button = gr.Button("Compare", variant="primary", elem_id="compare")
        texts = gr.HTML(elem_id="comparison")
        with gr.Row():
            outputs = [gr.Image(label=label, interactive=False, buttons=["fullscreen"]) for label in ("A", "B")]
        outputs.append(gr.Image(label="Difference of the heatmaps", interactive=False, elem_id="difference", buttons=["fullscreen"]))
    button.click(answering(desk.compare, 4), [picture, *settings, *other], [message, *outputs, texts], api_name="compare", **work)


def add_maps(gr, desk, picture, settings, message, work):
    with gr.Tab("Heatmaps"):
        joint = gr.Dropdown([EVERY_JOINT, *(each.name for each in Joint)], value=EVERY_JOINT, label="Joint", elem_id="joint")
        button = gr.Button("Show the maps", variant="primary", elem_id="maps")
        labels = "Heatmaps: where each joint is", "PAFs: which way the limbs go, red is to the right"
        outputs = [gr.Image(label=label, interactive=False, elem_id=f"maps{i}", buttons=["fullscreen"]) for i, label in enumerate(labels)]
    gr.on([button.click, joint.input], answering(desk.maps, 2), [picture, *settings, joint], [message, *outputs], api_name="maps", **work)


def add_video(gr, desk, settings, message, work):
    with gr.Tab("Video"):
        video = gr.Video(sources=["upload"], label=f"Video, {MINUTES} minutes at most, without its sound", elem_id="video", height=320)
        button = gr.Button("Find the people", variant="primary", elem_id="watch")
        outputs = [gr.HTML(elem_id="progress"), gr.Video(label="Found", interactive=False, elem_id="watched")]
        with gr.Row():
            outputs += [
                gr.DownloadButton("Video (WebM)", elem_id="webm"),
                gr.DownloadButton("Numbers (a line of JSON for each frame)", elem_id="jsonl"),
            ]
    video.preprocess = path_of
    button.click(answering_in_steps(desk.watch, 4), [video, *settings], [message, *outputs], api_name="watch", **work)


def serve(options):
    sock = listen(options.host, options.port)
    with sock, tempfile.TemporaryDirectory(prefix="pose-web-") as folder:
        tempfile.tempdir = folder  # whatever a library keeps in a file goes with it
        atexit.register(shutil.rmtree, folder, ignore_errors=True)  # threads that are at work when the page ends may make it anew
        gr = load_gradio(folder)
        import uvicorn
        from fastapi import FastAPI
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.requests import ClientDisconnect

        guard.stay_here(options.host)
        terminal.be_brief()
        detectors = Detectors()
        page = build(gr, Desk(folder, detectors.pose, detectors.of_kind), options.jobs)
        app = FastAPI(openapi_url=None)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*guard.HERE, *guard.ANY_V6] if options.host in guard.HERE else ["*"])
        app.add_middleware(guard.Uploads, folder=folder, gone=ClientDisconnect)
        app.add_middleware(guard.Headers)
        theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])
        app = gr.mount_gradio_app(
            app,
            page,
            "/",
            max_file_size=UPLOAD,
            ssr_mode=False,
            run_history=False,
            footer_links=[],
            theme=theme,
            css=STYLE,
            pwa=False,
            show_error=False,
        )
        server = uvicorn.Server(uvicorn.Config(app, loop="asyncio", log_config=None, log_level="warning", timeout_graceful_shutdown=1))
        name = f"[{options.host}]" if ":" in options.host else options.host
        print(f"http://{name}:{sock.getsockname()[1]} (Ctrl-C ends it)", flush=True)
        nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        with nowhere, redirect_stdout(nowhere), sweeping(folder, KEPT):  # Gradio prints what it is asked
            server.run(sockets=[sock])


def listen(host, port):
    """A socket that listens. Raises InputError."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InputError(
            f"--host {host} --port {port}: the page cannot listen there ({error.strerror or error}); name another --port or --host"
        ) from None


def parser():
    p = cli.Parser(prog="web_demo.py", description=__doc__)
    p.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="Listen on this address; 0.0.0.0 lets other machines in too (default: %(default)s)."
    )
    ports = partial(cli.whole_number, least=0, most=65535)
    p.add_argument("--port", type=ports, default=7860, metavar="N", help="Listen on this port; 0 takes any that is free (default: %(default)s).")
    jobs = partial(cli.whole_number, most=64)
    p.add_argument("--jobs", type=jobs, default=2, metavar="N", help="Work on N pictures and videos at once, while others wait (default: 2).")
    return p


def main(argv=None) -> int:
    return cli.run(parser(), serve, argv)


if __name__ == "__main__":
    sys.exit(main())
