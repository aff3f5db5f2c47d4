"""What all command lines share: options, one-line errors, exit statuses (0 done, 2 bad input, 128 + n ended by signal n: Ctrl-C is 130)."""

import process
from process import BAD_INPUT, INTERRUPTED

import argparse
import math
import sys
import time
from difflib import get_close_matches

from entity import COCO_DIR, MAX_SIDE, STRIDE
from errors import InputError
from session import ending_on_signals, lasting_streams, launched, unwrapped_ends
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
        """Words may stand between options (cli_network.add_network), which argparse cannot do where there are commands."""
        mixed = self.get_default("task") is not None
        return self.parse_intermixed_args(argv) if mixed else self.parse_args(argv)

    def parse_known_args(self, args=None, namespace=None):
        self.given = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def _unknown(self) -> str:
        """The options that were given and do not exist, each with the one that it resembles."""
        known, unknown = [name for name in self._option_string_actions if name.startswith("--")], []
        for word in self.given[: self.given.index("--") if "--" in self.given else None]:
            name = word.partition("=")[0]
            if len(name) > 2 and name.startswith("--") and name not in known:
                near = get_close_matches(name, known, 1)
                unknown.append(f"{name}, did you mean {near[0]}?" if near else name)
        return "; ".join(unknown)

    def error(self, message):
        if "required" in message or message.startswith("unrecognized arguments"):  # argparse looks for what is missing first
            unknown = self._unknown()
            message = f"unrecognized arguments: {unknown}" if unknown else message
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
            with unwrapped_ends():
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
    if "finish" in options:  # what the parser cannot check alone
        try:
            options.finish(options)
        except ArgumentTypeError as error:
            parser.error(str(error))
    return options


def _told(parser, error) -> int:
    """Say what an OSError is; the exit status. Where files are read and written it is an InputError: what is left is the output, or the machine."""
    if isinstance(error, BrokenPipeError):
        print(f"{parser.prog}: whoever read the output has gone before its end (broken pipe); what was to come is not there", file=sys.stderr)
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


def add_coco_dir(parser):
    """--coco_dir."""
    parser.add_argument(
        "--coco_dir", default=COCO_DIR, metavar="FOLDER", help=f"Read COCO 2017 from this folder, as ./getData.sh leaves it (default: {COCO_DIR})."
    )
