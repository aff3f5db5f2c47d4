"""What all command lines share: options, one-line errors, exit statuses (0 done, 2 bad input, 130 interrupted)."""

import argparse
import os
import sys

from errors import InputError

ArgumentTypeError = argparse.ArgumentTypeError
BAD_INPUT, INTERRUPTED = 2, 130


class Parser(argparse.ArgumentParser):
    """argparse, with errors on one line."""

    def __init__(self, **options):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def error(self, message):
        self.exit(BAD_INPUT, f"{self.prog}: {message} (--help lists the options)\n")


def run(parser, work, argv=None) -> int:
    """Parse argv, call work(options), return the exit status; what the user can mend becomes one line on stderr."""
    options = parser.parse_args(argv)
    try:
        return work(options) or 0
    except InputError as error:
        message = " ".join(str(error).split())
        print(f"{parser.prog}: {message}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return INTERRUPTED


def positive_int(text) -> int:
    """An argparse type: 1, 2, ..."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return value


def add_engine_options(parser):
    """--engine, --gpu, --device, --precision, --threads."""
    group = parser.add_argument_group("engine")
    group.add_argument("--engine", choices=("openvino", "chainer"), help="default: openvino; chainer with --gpu")
    group.add_argument("--gpu", type=int, default=-1, metavar="N", help="run Chainer on this GPU, through CuPy (-1: no GPU)")
    group.add_argument("--device", help="OpenVINO's device (default: CPU)")
    group.add_argument("--precision", choices=("f32", "bf16", "f16"), help="OpenVINO's precision (default: the device's own choice)")
    group.add_argument("--threads", type=positive_int, metavar="N", help="OpenVINO's threads (default: all cores)")


def engine_options(options) -> dict:
    """The keyword arguments of models.open_net from the options of add_engine_options. Raises InputError if they contradict each other."""
    engine = options.engine or ("chainer" if options.gpu >= 0 else "openvino")
    if engine == "openvino":
        if options.gpu >= 0:
            raise InputError("--gpu is for --engine chainer; OpenVINO's devices are named by --device, for example --device GPU")
        return {"engine": engine, "device": options.device or "CPU", "precision": options.precision, "threads": options.threads}
    for name in ("device", "precision", "threads"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name} is for --engine openvino; Chainer's device is chosen by --gpu")
    return {"engine": engine, "device": options.gpu}


def check_screen():
    """Raise InputError where no window can be opened (OpenCV would abort the process)."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise InputError("--show: there is no screen here (DISPLAY is not set); leave --show out and open the file that --out names")
