"""What all command lines share: options, one-line errors, exit statuses (0 done, 2 bad input, 128 + n ended by signal n: Ctrl-C is 130)."""

import process
from process import BAD_INPUT, INTERRUPTED

import argparse
import math
import os
import sys
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from entity import COCO_DIR, MAX_SIDE, STRIDE
from errors import InputError
from files import STDIN
from session import ending_on_signals, lasting_streams
from silence import own_stderr

ArgumentTypeError = argparse.ArgumentTypeError


class Parser(argparse.ArgumentParser):
    """argparse, with errors on one line."""

    def __init__(self, **options):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def error(self, message):
        self.exit(BAD_INPUT, f"{self.prog}: {message} (--help lists the options)\n")


def run(parser, work, argv=None) -> int:
    """Parse argv, call work(options), return the exit status; what the user can mend becomes one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no error
    own_stderr()
    with lasting_streams() as (stdout, _), ending_on_signals():
        try:
            status = work(_parsed(parser, argv)) or 0
            stdout.flush()
            return _told(parser, stdout.error) if stdout.error and not status else status
        except KeyboardInterrupt:
            print(f"{parser.prog}: interrupted", file=sys.stderr)
            return INTERRUPTED
        except Exception as error:
            if process.shortage_in(error) is not None:
                print(f"{parser.prog}: {process.words_of(error)}", file=sys.stderr)
                return BAD_INPUT
            if isinstance(error, InputError):
                print(f"{parser.prog}: {' '.join(str(error).split())}", file=sys.stderr)
                return error.status
            if not isinstance(error, OSError):
                raise
            return _told(parser, error)


def _parsed(parser, argv):
    mixed = parser.get_default("task") is not None  # words may stand between options; subcommands cannot
    options = parser.parse_intermixed_args(argv) if mixed else parser.parse_args(argv)
    if "words" in options:
        try:
            split_words(options)
        except ArgumentTypeError as error:
            parser.error(str(error))
    return options


def _told(parser, error) -> int:
    """Say what an OSError is; the exit status. Where files are read and written it is an InputError: what is left is the output, or the machine."""
    if isinstance(error, BrokenPipeError):
        print(f"{parser.prog}: the work is done, but whoever read its output has gone before the end (broken pipe)", file=sys.stderr)
        return 1
    place = f" ({error.filename})" if error.filename else ""
    print(f"{parser.prog}: {error.strerror or error}{place}; check the disk, and where the output goes", file=sys.stderr)
    return BAD_INPUT


def changed(options, **values):
    """A copy of parsed options with other values."""
    return argparse.Namespace(**{**vars(options), **values})


def whole_number(text, least=1, most=None) -> int:
    """An argparse type: least, least + 1, ... most."""
    try:
        value = int(text)
    except ValueError:
        value = None
    if value is None or value < least or (most is not None and value > most):
        expected = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ArgumentTypeError(f"expected a whole number {expected}, got {text!r}")
    return value


positive_int = whole_number


def stride_multiple(text) -> int:
    """An argparse type: a side of a network's input."""
    value = whole_number(text, least=STRIDE, most=MAX_SIDE)
    if value % STRIDE:
        raise ArgumentTypeError(f"expected a multiple of {STRIDE}, got {value}")
    return value


def add_network(parser, task):
    """[ARCH] [WEIGHTS] [PICTURE ...]: a task's network ("pose", "face" or "hand") and what is read, all of which may be left out."""
    from models import PREFERRED, names_of

    names, best = names_of(task), " or ".join(PREFERRED[task])
    about = f"the network ({', '.join(names)}; without it the first whose weights are there: {best}), then its weights, then what --input takes"
    parser.add_argument("words", nargs="*", metavar="ARCH | WEIGHTS | X", help=about)
    parser.set_defaults(task=task)


WEIGHTS = (".npz", ".xml", ".onnx", ".pb", ".caffemodel")  # a word with such an ending names weights


def split_words(options):
    """Raise ArgumentTypeError for a word that is no network, no weights, and nothing that could be read; options.arch, weights, names are set."""
    from models import choose, names_of

    words, names = list(options.words), names_of(options.task)
    arch = words.pop(0) if words and words[0] in names else None
    weights = words.pop(0) if words and words[0].lower().endswith(WEIGHTS) else None
    for word in words:
        if not word:
            raise ArgumentTypeError("an empty name: name a network, its weights, or what is read")
        if not (os.path.lexists(word) or word == "-" or word.isdecimal() or any(mark in word for mark in "*?[/\\.:")):
            near = get_close_matches(word, names, 1)
            meant = f"did you mean {near[0]}?" if near else f"the networks are {', '.join(names)}"
            raise ArgumentTypeError(f"{word!r} is no network and no file; {meant}")
    if words and (options.img is not None or options.input is not None):
        raise ArgumentTypeError(f"{words[0]} and {'--img' if options.img is not None else '--input'} both name what is read; name one of them")
    if not words and options.img is None and options.input is None:
        raise ArgumentTypeError("nothing to read: name a picture, a folder, a video, a camera's number or a URL")
    options.arch = arch or choose(options.task, weights)
    options.weights, options.names = weights, words


def add_coco_dir(parser):
    """--coco_dir."""
    parser.add_argument("--coco_dir", default=COCO_DIR, metavar="FOLDER", help=f"COCO 2017, as ./getData.sh leaves it (default: {COCO_DIR})")


def add_short_side(parser, what="", default=368):
    """--short_side."""
    kind = partial(whole_number, least=STRIDE, most=MAX_SIDE)
    parser.add_argument("--short_side", type=kind, default=default, metavar="PIXELS", help=f"{what}of the network's input (default: {default})")


def add_scales(parser):
    """--scales."""
    usual = "auto: where nobody, only parts, or somebody who fills the picture is found, look at half the short side too (default); one: never"
    parser.add_argument("--scales", choices=("auto", "one"), default="auto", help=usual)


def add_source_options(parser, pose=True, words=False):
    """--img or --input, and the outputs (streams/pipeline.py). pose: the detector finds poses, which can be tracked, and evaluated as COCO does.
    words: what is read may be named without an option too (add_network)."""
    group = parser.add_argument_group("pictures in")
    source = group.add_mutually_exclusive_group(required=not words)
    source.add_argument(
        "--img", metavar="PICTURE", help="one picture, or - for one that comes on stdin; it is drawn into result.png unless --out says otherwise"
    )
    source.add_argument(
        "--input",
        nargs="+",
        metavar="X",
        help="pictures, a folder, a 'glob', a list of files (.txt), a video (- for one on stdin: y4m, MJPEG), a camera's number, "
        "or a URL (rtsp://, http://)",
    )
    group.add_argument("-r", "--recursive", action="store_true", help="--input: with the folders in the folder")
    add_output_options(parser, pose)


def add_camera_options(parser, pose=True):
    """--camera or --input, and the outputs of what goes on without an end."""
    group = parser.add_argument_group("camera")
    group.add_argument("--camera", type=partial(whole_number, least=0, most=1000), default=0, metavar="N", help="the camera's number (default: 0)")
    group.add_argument("--input", metavar="X", help="a video that is played in the camera's place, or a URL (rtsp://, http://)")
    add_output_options(parser, pose, live=True)


def add_output_options(parser, pose=True, live=False):
    """--out and the files of results."""
    group = parser.add_argument_group("results out")
    kinds = (
        "a folder or a video (.mp4, .webm, .avi)" if live else "a picture (- for a PNG on stdout), for many a folder or a video (.mp4, .webm, .avi)"
    )
    group.add_argument(
        "--out",
        metavar="X",
        help=f"where to draw the result: {kinds}",
    )
    group.add_argument("--jsonl", metavar="FILE", help="a line of JSON for each frame")
    group.add_argument("--csv", metavar="FILE", help="a line for each person, for spreadsheets")
    group.add_argument("--openpose_json", metavar="FOLDER", help="a file for each frame, in OpenPose's form")
    models = ("COCO", "BODY_25")
    group.add_argument("--openpose_model", choices=models, default="COCO", help="order of joints in these files: 18 or 25 (default: COCO)")
    group.add_argument(
        "--codec",
        metavar="FOURCC",
        help="the video's codec, four letters, where a player needs another one than H.264 (avc1; VP90 in .webm, MJPG in .avi)",
    )
    if not live:
        add_choice_options(parser)
        group.add_argument(
            "--json", metavar="FILE", help="one picture's people, as numbers (- writes them to stdout, as for --jsonl, --csv and --coco_results)"
        )
        group.add_argument("--resume", action="store_true", help="continue a run over pictures that was interrupted: leave out what is done")
        group.add_argument("--show", action="store_true", help="open a window with the result")
    if pose:
        group.add_argument("--track", action="store_true", help="number people: the same number for the same person from frame to frame")
        group.add_argument("--smooth", action="store_true", help="with --track, and joints that tremble less (a one-euro filter)")
    if pose and not live:
        group.add_argument("--coco_results", metavar="FILE", help="a list that pycocotools loads")
    parser.set_defaults(prog=parser.prog)


def add_choice_options(parser):
    """--first, --last, --step, --fps (streams/selection.py)."""
    group = parser.add_argument_group("frames of a video, or some of many pictures")
    number = partial(whole_number, least=0)
    group.add_argument("--first", type=number, default=0, metavar="N", help="begin with frame N, counted from 0, to leave out what comes before")
    group.add_argument("--last", type=number, metavar="N", help="end with frame N, to try something out on a few frames")
    group.add_argument(
        "--step", type=positive_int, default=1, metavar="N", help="take every Nth frame, to be N times as fast; the time goes on as it was"
    )
    rate = partial(bounded_float, least=0.1, most=1000, what="rate")
    group.add_argument(
        "--fps", type=rate, metavar="N", help="take N frames of a video's second; of pictures, show N in a second of --out VIDEO (default: 25)"
    )


READS = ("weights", "xml", "bin", "face_weights", "hand_weights", "pose_weights")  # options that name files which are read


def asked(options) -> tuple:
    """(streams.wanted.Source, Wanted): what the options of add_source_options or add_camera_options ask for."""
    from streams.durations import is_animated
    from streams.frames import PICTURES
    from streams.selection import Choice
    from streams.wanted import Source, Wanted

    given = vars(options)
    if "camera" in given:
        source = Source(camera=str(options.camera) if options.input is None else options.input)
    else:
        choice = Choice(options.first, options.last, options.step, options.fps)
        source = Source(img=options.img, names=tuple(options.input or given.get("names") or ()), recursive=options.recursive, choice=choice)
    values = {name: given[name] for name in Wanted.__dataclass_fields__ if name in given}
    wanted = Wanted(**values, reads={name: given[name] for name in READS if given.get(name)})
    alone = given.get("names", [])  # named without --img or --input: a picture, and nothing is said of results
    is_picture = len(alone) == 1 and (source.picture or (Path(alone[0]).suffix.lower() in PICTURES and not is_animated(alone[0])))
    if alone == [STDIN] or (is_picture and not wanted.named):
        source = Source(img=alone[0], choice=source.choice)
    if source.img is not None and wanted.out is None and not wanted.to_stdout:
        wanted = replace(wanted, out="result.png")
    return source, wanted


def finite_float(text) -> float:
    """An argparse type: a number, not NaN or infinity, that a picture can be multiplied with."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= 1e6:
        raise ArgumentTypeError(f"expected a number from -1e6 to 1e6, got {text!r}")
    return value


def bounded_float(text, least, most, what="number") -> float:
    """An argparse type: a number from least to most."""
    value = finite_float(text)
    if not least <= value <= most:
        raise ArgumentTypeError(f"expected a {what} from {least} to {most}, got {text!r}")
    return value


def add_engine_options(parser):
    """--engine and --gpu, and OpenVINO's options."""
    group = parser.add_argument_group("engine")
    group.add_argument("--engine", choices=("openvino", "chainer"), help="default: openvino; chainer with --gpu")
    group.add_argument(
        "--gpu", type=partial(whole_number, least=-1), default=-1, metavar="N", help="run Chainer on this GPU, through CuPy (-1: none)"
    )
    add_openvino_options(parser)


def add_openvino_options(parser):
    """--device, --precision, --threads, --streams, --hint."""
    group = parser.add_argument_group("OpenVINO")
    group.add_argument("--device", help="(default: CPU)")
    usual = "default: int8 where it ships and this processor gains from it, else the device's choice; int8 of other networks needs a quantised .xml"
    group.add_argument("--precision", choices=("f32", "bf16", "f16", "int8"), help=usual)
    group.add_argument("--threads", type=partial(whole_number, most=1024), metavar="N", help="default: all cores")
    group.add_argument("--streams", type=partial(whole_number, most=1024), metavar="N", help="pictures worked on side by side")
    group.add_argument("--hint", choices=("latency", "throughput"), help="what to be quick at (default: latency)")


OPENVINO_OPTIONS = ("device", "precision", "threads", "streams", "hint")


def openvino_options(options) -> dict:
    """The keyword arguments of engines.open_net from the options of add_openvino_options that were given."""
    return {name: getattr(options, name) for name in OPENVINO_OPTIONS if getattr(options, name) is not None}


def engine_options(options) -> dict:
    """The keyword arguments of engines.open_net from the options of add_engine_options. Raises InputError if they contradict each other."""
    engine = options.engine or ("chainer" if options.gpu >= 0 else "openvino")
    if engine == "openvino":
        if options.gpu >= 0:
            raise InputError("--gpu is for --engine chainer; OpenVINO's devices are named by --device, for example --device GPU")
        return {"engine": engine, **openvino_options(options)}
    for name in OPENVINO_OPTIONS:
        if getattr(options, name) is not None:
            raise InputError(f"--{name} is for --engine openvino; Chainer's device is chosen by --gpu")
    return {"engine": engine, "device": options.gpu}
