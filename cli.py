"""What all command lines share: options, one-line errors, exit statuses (0 done, 2 bad input, 128 + n ended by signal n: Ctrl-C is 130)."""

import process
from process import BAD_INPUT, INTERRUPTED

import argparse
import math
import os
import sys
import time
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from entity import COCO_DIR, MAX_SIDE, STRIDE
from errors import InputError
from files import STDIN
from session import ending_on_signals, lasting_streams, launched
from silence import own_stderr

VERSION = "0.1.0"  # of the whole toolkit; pyproject.toml takes it from here
ArgumentTypeError = argparse.ArgumentTypeError


class Parser(argparse.ArgumentParser):
    """argparse, with errors on one line, --help and --version."""

    def __init__(self, **options):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, add_help=False, **options)
        self.add_argument("-h", "--help", action="help", help="Show these lines and end.")
        self.add_argument("--version", action="version", version=f"%(prog)s {VERSION}", help="Show the version of the toolkit and end.")

    def parse(self, argv=None):
        """Words may stand between options (add_network), which argparse cannot do where there are commands."""
        mixed = self.get_default("task") is not None
        return self.parse_intermixed_args(argv) if mixed else self.parse_args(argv)

    def error(self, message):
        let_first_speak()
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
                let_first_speak()
                print(f"{parser.prog}: {' '.join(str(error).split())}", file=sys.stderr)
                return error.status
            if not isinstance(error, OSError):
                raise
            return _told(parser, error)


def let_first_speak():
    """Of several processes that were started together the first says what is wrong; when it ends, mpiexec ends the others, which wait here."""
    if launched().number:
        time.sleep(2)


def _parsed(parser, argv):
    options = parser.parse(argv)
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
    about = (
        f"The network: {', '.join(names)}. Without it the best one is taken whose weights are there: {best}. Then the file of its weights, "
        f"an .npz or a network of OpenVINO (.xml, .onnx, .pb), which may be left out where weights ship or were fetched. Then what --input takes."
    )
    parser.add_argument("words", nargs="*", metavar="ARCH | WEIGHTS | X", help=about)
    parser.set_defaults(task=task)


WEIGHTS = (".npz", ".xml", ".onnx", ".pb", ".caffemodel")  # a word with such an ending names weights


def holds_arrays(name) -> bool:
    """Whether a file is an npz by its content, as training's model_iter_N are."""
    try:
        with open(name, "rb") as file:  # noqa: PTH123 - Path raises where a name is too long
            return file.read(4) == b"PK\3\4"
    except (OSError, ValueError):
        return False


def split_words(options):
    """Raise ArgumentTypeError for a word that is no network, no weights, and nothing that could be read; options.arch, weights, names are set."""
    from models import choose, names_of

    words, names = list(options.words), names_of(options.task)
    arch = words.pop(0) if words and words[0] in names else None
    weights = words.pop(0) if words and (words[0].lower().endswith(WEIGHTS) or holds_arrays(words[0])) else None
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
    parser.add_argument(
        "--coco_dir", default=COCO_DIR, metavar="FOLDER", help=f"Read COCO 2017 from this folder, as ./getData.sh leaves it (default: {COCO_DIR})."
    )


def add_short_side(parser, only="", default=368):
    """--short_side. only: where it matters, "with --pose"."""
    kind = partial(whole_number, least=STRIDE, most=MAX_SIDE)
    about = "Shrink or enlarge a picture to this short side before the network sees it. More finds smaller people, less is quicker"
    parser.add_argument("--short_side", type=kind, default=default, metavar="PIXELS", help=f"{only}{about} (default: {default}).")


def add_scales(parser):
    """--scales."""
    about = (
        "Look at half the short side too where nobody, only parts, or somebody who fills the picture is found (auto), or never (one) (default: auto)."
    )
    parser.add_argument("--scales", choices=("auto", "one"), default="auto", help=about)


def add_source_options(parser, pose=True, words=False):
    """--img or --input, and the outputs (streams/pipeline.py). pose: the detector finds poses, which can be tracked, and evaluated as COCO does.
    words: what is read may be named without an option too (add_network)."""
    group = parser.add_argument_group("pictures in")
    source = group.add_mutually_exclusive_group(required=not words)
    source.add_argument(
        "--img",
        metavar="PICTURE",
        help="Read one picture: a file, a URL, or - for stdin. It is drawn into result.png unless --out or --no_draw says otherwise.",
    )
    source.add_argument(
        "--input",
        nargs="+",
        metavar="X",
        help="Read pictures, a folder, a 'glob', a list of files (.txt), a video (- for one on stdin: y4m, MJPEG), a camera by its number, "
        "or a URL (rtsp://, http://).",
    )
    group.add_argument(
        "-r", "--recursive", action="store_true", help="Read the folders in a folder too; without this only the pictures right in it are read."
    )
    add_output_options(parser, pose)


def add_camera_options(parser, pose=True):
    """--camera or --input, and the outputs of what goes on without an end."""
    group = parser.add_argument_group("camera")
    group.add_argument(
        "--camera",
        type=partial(whole_number, least=0, most=1000),
        default=0,
        metavar="N",
        help="Read the camera of this number; 0 is the first one (default: 0).",
    )
    group.add_argument("--input", metavar="X", help="Play this video in the camera's place, or read a camera behind a URL (rtsp://, http://).")
    add_output_options(parser, pose, live=True)


def add_output_options(parser, pose=True, live=False):
    """--out and the files of results."""
    group = parser.add_argument_group("results out")
    many = "a folder or a video (.mp4, .webm, .avi)"
    kinds = f"into {many}" if live else f"into a picture (- for a PNG on stdout); many into {many}"
    unit = "frame" if live else "picture or frame"
    group.add_argument("--out", metavar="X", help=f"Draw the result {kinds}.")
    group.add_argument("--jsonl", metavar="FILE", help=f"Write the numbers, a line of JSON for each {unit}.")
    group.add_argument("--csv", metavar="FILE", help="Write a table with a line for each person, for spreadsheets.")
    group.add_argument("--openpose_json", metavar="FOLDER", help=f"Write a file for each {unit}, as OpenPose does, for tools that read its files.")
    models = ("COCO", "BODY_25")
    about = "Write 18 joints (COCO) or 25 (BODY_25) into --openpose_json; some tools read only BODY_25 (default: COCO)."
    group.add_argument("--openpose_model", choices=models, default="COCO", help=about)
    group.add_argument(
        "--codec",
        metavar="FOURCC",
        help="Write the video with this codec, four letters, where a player needs another one than H.264 (avc1; VP90 in .webm, MJPG in .avi).",
    )
    if not live:
        add_choice_options(parser)
        about = "Write the numbers of one picture; - writes them to stdout, as for --jsonl, --csv and --coco_results."
        group.add_argument("--json", metavar="FILE", help=about)
        group.add_argument(
            "--resume", action="store_true", help="Go on with a run over pictures that was interrupted, without doing again what is done."
        )
        group.add_argument("--show", action="store_true", help="Open a window with the result.")
    group.add_argument(
        "-v", "--verbose", action="store_true", help=f"Print a line for each {unit}: what was found, how long it took, what was left out."
    )
    if pose:
        _add_people_options(group, live)
    _add_drawing_options(parser.add_argument_group("drawing"), pose, live)
    parser.set_defaults(prog=parser.prog)


def add_choice_options(parser):
    """--first, --last, --step, --fps (streams/selection.py)."""
    group = parser.add_argument_group("frames of a video, or some of many pictures")
    number = partial(whole_number, least=0)
    group.add_argument("--first", type=number, default=0, metavar="N", help="Begin with frame N, counted from 0, to leave out what comes before.")
    group.add_argument("--last", type=number, metavar="N", help="End with frame N, to try something out on a few frames.")
    group.add_argument(
        "--step", type=positive_int, default=1, metavar="N", help="Take every Nth frame, to be N times as fast; the time goes on as it was."
    )
    rate = partial(bounded_float, least=0.1, most=1000, what="rate")
    group.add_argument(
        "--fps", type=rate, metavar="N", help="Take N frames of a video's second; of pictures, show N in a second of --out VIDEO (default: 25)."
    )


def _add_people_options(group, live):
    """Which people count, and who they are."""
    share = partial(bounded_float, least=0, most=100, what="rank")
    about = (
        "Leave out people whose rank is lower; --labels shows the ranks. Raise it where too much is found (default: 0, the network's own thresholds)."
    )
    group.add_argument("--threshold", type=share, default=0.0, metavar="RANK", help=about)
    group.add_argument("--max_people", type=whole_number, metavar="N", help="Keep only the N people of a picture who rank highest (default: all).")
    group.add_argument("--track", action="store_true", help="Give people numbers, the same one to the same person from frame to frame.")
    group.add_argument("--smooth", action="store_true", help="Do as --track does, and let joints tremble less (a one-euro filter).")
    if not live:
        group.add_argument("--coco_results", metavar="FILE", help="Write a list that pycocotools loads.")


def _add_drawing_options(group, pose, live):
    """What a drawn picture looks like."""
    if not live:
        group.add_argument("--no_draw", action="store_true", help="Draw nothing, not even result.png; for those who want only the numbers.")
    group.add_argument("--labels", action="store_true", help="Write the number and the rank above each person.")
    backgrounds = ("photo", "black", "blurred")  # keypoints.draw.BACKGROUNDS
    about = "Draw on the photo, on black, or on the blurred photo, where it should not be seen who it is (default: photo)."
    group.add_argument("--background", choices=backgrounds, default="photo", help=about)
    if pose:
        group.add_argument("--heatmaps", action="store_true", help="Draw the network's heatmaps too, which show why a joint was found or missed.")


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
    if source.img is not None and wanted.out is None and not wanted.to_stdout and not wanted.no_draw:
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
    about = "Run the network with OpenVINO, which is quick on a CPU, or with Chainer, the reference (default: openvino; chainer with --gpu)."
    group.add_argument("--engine", choices=("openvino", "chainer"), help=about)
    about = "Run Chainer on the GPU of this number, through CuPy; -1 is the CPU (default: -1)."
    group.add_argument("--gpu", type=partial(whole_number, least=-1), default=-1, metavar="N", help=about)
    add_openvino_options(parser)


def add_openvino_options(parser):
    """--device, --precision, --threads, --streams, --hint."""
    group = parser.add_argument_group("OpenVINO")
    group.add_argument("--device", help="Run on this device of OpenVINO, for example GPU; IEbase.py lists those of the machine (default: CPU).")
    about = (
        "Compute in this precision. f32 is exact, the others are quicker; int8 of networks that do not ship needs a quantised .xml "
        "(default: int8 where it ships and this processor gains from it, else what the device prefers)."
    )
    group.add_argument("--precision", choices=("f32", "bf16", "f16", "int8"), help=about)
    about = "Use N threads; fewer leave cores to other work (default: all cores)."
    group.add_argument("--threads", type=partial(whole_number, most=1024), metavar="N", help=about)
    about = "Work on N pictures side by side; more may be quicker on many cores (default: as --hint says)."
    group.add_argument("--streams", type=partial(whole_number, most=1024), metavar="N", help=about)
    about = "Ask for each answer as soon as possible (latency), or for as many as possible in a given time (throughput) (default: latency)."
    group.add_argument("--hint", choices=("latency", "throughput"), help=about)


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
