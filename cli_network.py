"""Options of a network: which one, its weights, how a picture is fed to it, what runs it."""

import os
from difflib import get_close_matches
from functools import partial

import cli
from entity import MAX_SIDE, STRIDE
from errors import InputError


def add_network(parser, task):
    """[ARCH] [WEIGHTS] [PICTURE ...]: a task's network ("pose", "face" or "hand") and what is read, all of which may be left out."""
    from models import PREFERRED, names_of

    names, best = names_of(task), " or ".join(PREFERRED[task])
    about = (
        f"The network: {', '.join(names)}. Without it the best one is taken whose weights are there: {best}. Then the file of its weights, "
        f"an .npz or a network of OpenVINO (.xml, .onnx, .pb), which may be left out where weights ship or were fetched. Then what --input takes."
    )
    parser.add_argument("words", nargs="*", metavar="ARCH | WEIGHTS | X", help=about)
    parser.set_defaults(task=task, finish=split_words)


WEIGHTS = (".npz", ".xml", ".onnx", ".pb", ".caffemodel")  # a word with such an ending names weights


def holds_arrays(name) -> bool:
    """Whether a file is an npz by its content, as training's model_iter_N are."""
    try:
        with open(name, "rb") as file:  # noqa: PTH123 - Path raises where a name is too long
            return file.read(4) == b"PK\3\4"
    except (OSError, ValueError):
        return False


def split_words(options):
    """Raise cli.ArgumentTypeError for a word that is no network, no weights, and nothing that could be read; options.arch and weights (None where
    they are not named: engines.choose_net) and names are set."""
    from models import ARCHS, names_of

    words, names = list(options.words), names_of(options.task)
    arch = words.pop(0) if words and words[0] in names else None
    weights = words.pop(0) if words and (words[0].lower().endswith(WEIGHTS) or holds_arrays(words[0])) else None
    for word in words:
        if not word:
            raise cli.ArgumentTypeError("an empty name: name a network, its weights, or what is read")
        if not (os.path.lexists(word) or word == "-" or word.isdecimal() or any(mark in word for mark in "*?[/\\.:")):
            near = get_close_matches(word, names, 1)
            meant = f"did you mean {near[0]}?" if near and word not in ARCHS else f"the networks are {', '.join(names)}"
            what = f"a network for a {ARCHS[word].task}, not for a {options.task}" if word in ARCHS else "no network and no file"
            raise cli.ArgumentTypeError(f"{word!r} is {what}; {meant}")
    if words and (options.img is not None or options.input is not None):
        raise cli.ArgumentTypeError(f"{words[0]} and {'--img' if options.img is not None else '--input'} both name what is read; name one of them")
    if not words and options.img is None and options.input is None:
        raise cli.ArgumentTypeError("nothing to read: name a picture, a folder, a video, a camera's number or a URL")
    options.arch, options.weights, options.names = arch, weights, words


def add_short_side(parser, only="", default=368):
    """--short_side. only: where it matters, "With --pose: "."""
    kind = partial(cli.whole_number, least=STRIDE, most=MAX_SIDE)
    about = "Shrink or enlarge a picture to this short side before the network sees it. More finds smaller people, less is quicker"
    about = only + about[0].lower() + about[1:] if only else about
    parser.add_argument("--short_side", type=kind, default=default, metavar="PIXELS", help=f"{about} (default: {default}).")


def add_scales(parser):
    """--scales."""
    about = "Look at 0.45 of the short side too where nobody, only parts, or somebody large is found (auto), or never (one) (default: auto)."
    parser.add_argument("--scales", choices=("auto", "one"), default="auto", help=about)


def add_engine_options(parser):
    """--engine and --gpu, and OpenVINO's options."""
    group = parser.add_argument_group("engine")
    about = "Run the network with OpenVINO, which is quick on a CPU, or with Chainer, the reference (default: openvino; chainer with --gpu)."
    group.add_argument("--engine", choices=("openvino", "chainer"), help=about)
    about = "Run Chainer on the GPU of this number, through CuPy; -1 is the CPU (default: -1)."
    group.add_argument("--gpu", type=partial(cli.whole_number, least=-1), default=-1, metavar="N", help=about)
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
    group.add_argument("--threads", type=partial(cli.whole_number, most=1024), metavar="N", help=about)
    about = "Work on N pictures side by side; more may be quicker on many cores (default: as --hint says)."
    group.add_argument("--streams", type=partial(cli.whole_number, most=1024), metavar="N", help=about)
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
