"""What all command lines share: options, one-line errors, exit statuses (0 done, 2 bad input, 130 interrupted)."""

import argparse
import math
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import cv2

from entity import COCO_DIR, STRIDE
from errors import InputError
from files import check_path, is_same_file
from keypoints import results
from keypoints.image import MAX_SIDE, read_image

ArgumentTypeError = argparse.ArgumentTypeError
BAD_INPUT, INTERRUPTED, TERMINATED = 2, 130, 143
QUIT_KEYS = (27, ord("q"))


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
    options = parser.parse_args(argv)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)
    try:
        status = work(options) or 0
        sys.stdout.flush()
        return status
    except InputError as error:
        message = " ".join(str(error).split())
        print(f"{parser.prog}: {message}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _end(*_):
    sys.exit(TERMINATED)  # an exception, so that nothing half-written stays


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


def add_coco_dir(parser):
    """--coco_dir."""
    parser.add_argument("--coco_dir", default=COCO_DIR, metavar="FOLDER", help=f"COCO 2017, as ./getData.sh leaves it (default: {COCO_DIR})")


def add_short_side(parser, what=""):
    """--short_side."""
    kind = partial(whole_number, least=STRIDE, most=MAX_SIDE)
    parser.add_argument("--short_side", type=kind, default=368, metavar="PIXELS", help=f"{what}of the network's input (default: 368)")


def add_picture_options(parser):
    """--img, --out, --json, --show."""
    parser.add_argument("--img", required=True, metavar="PICTURE")
    parser.add_argument("--out", default="result.png", metavar="PICTURE", help="where to draw the result (default: result.png)")
    parser.add_argument("--json", metavar="FILE", help="also write what was found, as numbers")
    parser.add_argument("--show", action="store_true", help="open a window with the result")


def run_on_picture(options, open_detector):
    """Read --img, detect, write --out and --json, say what was found and how long it took; all that can be checked is checked first.

    open_detector() -> detector with detect(image) -> found, draw(image, found) -> picture, to_json(found) -> dict, describe(found) -> text,
    the network `net`, and `seconds` {"network", "decode"} of the last picture.
    """
    results.check_image_path(options.out)
    if options.json is not None:
        check_path(options.json, "--json")
    check_distinct(options, inputs=("img", "weights", "xml", "bin"), outputs=("out", "json"))
    if options.show:
        check_screen()
    image = read_image(options.img)
    detector = open_detector()
    found = detector.detect(image)
    drawn = detector.draw(image, found)
    contents = {options.out: results.encode_image(options.out, drawn)}
    if options.json is not None:
        text = results.to_json_text(options.img, (image.shape[1], image.shape[0]), arch=options.arch, **detector.to_json(found))
        contents[options.json] = text.encode()
    results.write_files(contents)
    prepare, seconds = detector.net.compile_seconds, detector.seconds
    prepared = f" (and {prepare:.3f} s to prepare it)" if prepare else ""
    print(f"{detector.describe(found)}; {options.out}; network {seconds['network'] - prepare:.3f} s{prepared}, decode {seconds['decode']:.3f} s")
    if options.show:
        show(Path(options.out).name, drawn)


def show(name, picture) -> bool:
    """Show a picture until a key is pressed or the window is closed; False for q, Esc and closing, which say that it is enough."""
    cv2.imshow(name, picture)
    while cv2.getWindowProperty(name, cv2.WND_PROP_VISIBLE) >= 1:
        key = cv2.waitKey(100)
        if key >= 0:
            return key & 0xFF not in QUIT_KEYS
    return False


def has_screen() -> bool:
    """Whether a window can be opened."""
    try:
        check_screen()
    except InputError:
        return False
    return True


def check_distinct(options, inputs, outputs):
    """Raise InputError if an output would overwrite an input or another output; names of options, of which some may be absent.

    The .bin beside an .xml counts as named.
    """
    taken = []
    for name in inputs:
        value = getattr(options, name, None)
        for path in value if isinstance(value, list) else [value] if value else []:
            taken.append((name, path))
            if str(path).lower().endswith(".xml"):
                taken.append((name, Path(path).with_suffix(".bin")))
    for name in outputs:
        path = getattr(options, name, None)
        if not path:
            continue
        for other, used in taken:
            if is_same_file(path, used):
                raise InputError(f"--{name} {path}: this file is in use already ({other}); choose another name")
        taken.append((name, path))


def finite_float(text) -> float:
    """An argparse type: a number, not NaN or infinity, that a picture can be multiplied with."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= 1e6:
        raise ArgumentTypeError(f"expected a number from -1e6 to 1e6, got {text!r}")
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
    group.add_argument("--precision", choices=("f32", "bf16", "f16", "int8"), help="default: the device's own choice; int8 needs a quantised .xml")
    group.add_argument("--threads", type=partial(whole_number, most=1024), metavar="N", help="default: all cores")
    group.add_argument("--streams", type=partial(whole_number, most=1024), metavar="N", help="pictures worked on side by side")
    group.add_argument("--hint", choices=("latency", "throughput"), help="what to be quick at (default: latency)")


OPENVINO_OPTIONS = ("device", "precision", "threads", "streams", "hint")


def openvino_options(options) -> dict:
    """The keyword arguments of models.open_net from the options of add_openvino_options that were given."""
    return {name: getattr(options, name) for name in OPENVINO_OPTIONS if getattr(options, name) is not None}


def engine_options(options) -> dict:
    """The keyword arguments of models.open_net from the options of add_engine_options. Raises InputError if they contradict each other."""
    engine = options.engine or ("chainer" if options.gpu >= 0 else "openvino")
    if engine == "openvino":
        if options.gpu >= 0:
            raise InputError("--gpu is for --engine chainer; OpenVINO's devices are named by --device, for example --device GPU")
        return {"engine": engine, **openvino_options(options)}
    for name in OPENVINO_OPTIONS:
        if getattr(options, name) is not None:
            raise InputError(f"--{name} is for --engine openvino; Chainer's device is chosen by --gpu")
    return {"engine": engine, "device": options.gpu}


def check_screen():
    """Raise InputError where no window can be opened. Tried out in a process of its own, for OpenCV aborts the one in which it fails."""
    cure = "leave --show out and open the file that --out names"
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        raise InputError(f"--show: there is no screen here (DISPLAY is not set); {cure}")
    attempt = subprocess.run([sys.executable, "-c", "import cv2; cv2.namedWindow('test')"], capture_output=True, check=False)
    if attempt.returncode:
        raise InputError(f"--show: this machine's screen cannot be used by OpenCV; {cure}")
