"""Write and read OpenVINO's files (.xml and .bin) of a network, with what a reader must know about it inside."""

import math
import re
from pathlib import Path

from engines.ir_files import check_pair, weights_of, write_ir
from engines.openvino_compat import open_core, ov
from engines.openvino_net import build_model
from entity import STRIDE
from errors import InputError
from files import open_binary, read_bytes
from models import ARCHS, names_of, recognise
from models.layers import INPUT, Output
from silence import quiet

SECTION = "pose_toolkit"  # of the IR's rt_info


def make_ir(arch, row, weights, input_shape=None) -> ov.Model:
    """The network of a row of models.ARCHS as an ov.Model; rt_info says arch, task, stride, normalisation and outputs.

    input_shape: (N, 3, H, W); None leaves N, H and W free.
    """
    model = build_model(row.network, weights, arch)
    for key, value in facts_of(arch, row).items():
        model.set_rt_info(value, [SECTION, key])
    if input_shape is not None:
        model.reshape({INPUT: list(input_shape)})
    return model


def facts_of(arch, row) -> dict:
    """What a reader of a network's file must know about it, as text."""
    facts = {
        "arch": arch,
        "task": row.task,
        "stride": STRIDE,
        "input_scale": row.scale,
        "input_offset": row.offset,
        "channel_order": "BGR",
        "outputs": ",".join(f"{layer}[{start}:{stop}]" for layer, start, stop in row.network.outputs),
    }
    return {key: str(value) for key, value in facts.items()}


def save_ir(model, path, compress_to_fp16=False):
    """Write path (.xml) and the .bin beside it, both or none. compress_to_fp16: weights in half precision."""
    try:
        write_ir(path, lambda part: ov.save_model(model, part, compress_to_fp16=compress_to_fp16))
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[-1]
        raise InputError(f"{path}: cannot be written ({reason}); is there space on the disk? Choose another place") from None


def load_file(path, bin=None, arch="ARCH") -> ov.Model:
    """The network of an .xml with its .bin (None: beside it), an .onnx or a .pb, as it is. arch: for the message. Raises InputError."""
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (".xml", ".onnx", ".pb"):
        raise InputError(f"network {path}: expected an .xml, .onnx or .pb, got {path.suffix or 'no extension'!r}; name such a file")
    if kind == ".xml":
        bin = Path(bin) if bin else weights_of(path)
        _check_xml(arch, path, bin)
        check_pair(path, bin)
    with open_binary(path, "network"):
        pass
    try:
        with quiet():
            model = open_core().read_model(path, bin) if kind == ".xml" else open_core().read_model(path)
    except (RuntimeError, UnicodeError) as error:  # pybind cannot hand on what is no UTF-8, in OpenVINO's own messages too
        what = "these two files do not belong together" if "weights" in str(error) else "OpenVINO cannot read it; it is damaged or of another kind"
        files = f"{path} and {bin}" if kind == ".xml" else path
        raise InputError(f"network {files}: {what}; convert the weights again (convert_model.py)") from None
    if len(model.inputs) != 1 or not model.outputs:
        raise InputError(
            f"network {path}: expected one input and an output, got {len(model.inputs)} and {len(model.outputs)}; this is another network"
        )
    return model


def read_model(arch, row, path, bin=None):
    """A network from an .xml with its .bin, an .onnx or a .pb: an ov.Model with input (N, 3, H, W), its outputs (models.layers.Output), its row.

    The scale and offset that the file itself states (rt_info) go before the row's.
    Raises InputError for files that are missing, do not belong together, are too old, or hold another network than `arch`.
    """
    path, model = Path(path), load_file(path, bin, arch)
    try:
        return _understand(arch, row, path, model)
    except UnicodeError:
        raise InputError(f"network {path}: expected names in UTF-8, got other bytes; it is damaged: convert the weights again") from None


def _understand(arch, row, path, model):
    """What read_model returns, of a file that is read. Raises UnicodeError where what it states is no text."""
    facts = _facts(model)
    if facts.get("arch", arch) != arch:
        raise InputError(f"network {path}: this is {facts['arch']}, expected {arch}; name that network, or another file")
    try:
        model = _as_nchw(model, row)
    except RuntimeError:
        got = f"{model.inputs[0].partial_shape} -> {', '.join(str(port.partial_shape) for port in model.outputs)}"
        raise InputError(f"network {path}: expected pictures of 3 channels in {row.layout} and maps, got {got}; this is another network") from None
    outputs = _find_outputs(model, row, facts, arch, path)
    return model, outputs, row._replace(**{key: _number(facts, f"input_{key}", getattr(row, key), path) for key in ("scale", "offset")})


def name_in(path, task) -> str:
    """The network of ARCHS for a task ("pose", "face" or "hand") that a file holds: what it states, or is recognised as. Raises InputError."""
    model, names = load_file(path), names_of(task)
    try:
        stated = _facts(model).get("arch")
    except UnicodeError:
        stated = None  # read_model says that it is damaged
    known = (stated,) if stated else recognise(task, path, _output_names(model))
    if not known:
        raise InputError(f"network {path}: it does not say which network it is; name one before it: {', '.join(names)}")
    if known[0] not in names:
        raise InputError(f"network {path}: this is {known[0]}, expected one of {', '.join(names)}; name another file")
    return known[0]


def check_recognised(arch, model, path):
    """Raise InputError for the model of a file that does not say what it is, has maps of the right number of channels, and is recognised as
    another network than `arch`: it would find nobody, for pictures are fed to it otherwise.
    """
    known = () if _facts(model) else recognise(ARCHS[arch].task, path, _output_names(model))
    if known and arch not in known:
        raise InputError(f"network {path}: this is {' or '.join(known)}, expected {arch}; name that network, or another file")


def _output_names(model) -> set:
    """Of a model; TensorFlow's without the number of the tensor, as in "name:0"."""
    return {name.removesuffix(":0") for port in model.outputs for name in port.names}


def _number(facts, key, default, path) -> float:
    """A number that the file states."""
    try:
        value = float(facts.get(key, default))
    except ValueError:
        value = math.nan
    if not abs(value) <= 1e6:
        raise InputError(f"network {path}: {key} is {facts[key]!r}, expected a number; convert the weights again (convert_model.py)")
    return value


def _check_xml(arch, path, bin):
    """What OpenVINO itself would say in many lines, or not at all."""
    head = read_bytes(path, "network")
    if not bin.is_file():
        raise InputError(f"network {path}: its weights {bin} are missing; put them beside it, or name them with --bin")
    if b"</net>" not in head[-200:]:
        raise InputError(f"network {path}: expected OpenVINO's .xml, got something else or half a file; convert the weights again (convert_model.py)")
    version = re.search(rb"<net\b[^>]*\bversion=\"(\d+)\"", head[:4096])
    if version is None:
        raise InputError(f"network {path}: expected OpenVINO's .xml, got something else; convert the weights again (convert_model.py)")
    if int(version[1]) < 10:
        raise InputError(
            f"network {path}: IR version {int(version[1])}, of a toolkit of before 2020, which OpenVINO no longer reads; "
            f"convert the weights again: python convert_model.py {arch} WEIGHTS {path}"
        )
    ends = [int(offset) + int(size) for offset, size in re.findall(rb"<data\b[^>]*\boffset=\"(\d+)\"[^>]*\bsize=\"(\d+)\"", head)]
    if ends and max(ends) != bin.stat().st_size:
        raise InputError(
            f"network {path}: {bin} has {bin.stat().st_size} bytes, expected {max(ends)}; it belongs to another network, name the right one"
        )


def _facts(model) -> dict:
    """What make_ir wrote into rt_info; {} for a network of others."""
    if not model.has_rt_info(SECTION):
        return {}
    return {key: model.get_rt_info([SECTION, key]).astype(str) for key in model.get_rt_info([SECTION]).value}


def _as_nchw(model, row):
    """The model with a float32 input and outputs in NCHW, N, H and W free. Raises RuntimeError if it is none of that kind."""
    for port in (*model.inputs, *model.outputs):
        if port.partial_shape.rank.is_dynamic or port.partial_shape.rank.get_length() != 4:
            raise RuntimeError("not four dimensions")
    if row.layout == "NCHW":
        model.reshape([-1, 3, -1, -1])
        return model
    steps = ov.preprocess.PrePostProcessor(model)
    steps.input().model().set_layout(ov.Layout(row.layout))
    steps.input().tensor().set_layout(ov.Layout("NCHW"))
    for n in range(len(model.outputs)):
        steps.output(n).model().set_layout(ov.Layout(row.layout))
        steps.output(n).tensor().set_layout(ov.Layout("NCHW"))
    return steps.build()


CHANNELS = {"pose": (38, 19), "face": (71,), "hand": (22,)}


def _find_outputs(model, row, facts, arch, path):
    """Which channels of which output are PAFs and heatmaps: as the file says, or by their number."""
    for n, port in enumerate(model.outputs):
        if not port.names:
            port.set_names({f"output{n}"})
    sizes = {port.any_name: port.partial_shape[1].get_length() if port.partial_shape[1].is_static else None for port in model.outputs}
    expected = CHANNELS[row.task]
    if "outputs" in facts:
        stated = [Output(layer, int(start), int(stop)) for layer, start, stop in re.findall(r"([^,\[]+)\[(\d+):(\d+)\]", facts["outputs"])]
        if tuple(output.stop - output.start for output in stated) != expected or any(sizes.get(layer, 0) < stop for layer, _, stop in stated):
            raise InputError(f"network {path}: the outputs that it states ({facts['outputs']}) are not there; convert the weights again")
        return tuple(stated)
    chosen = [next((Output(name, 0, size) for name, size in sizes.items() if size == wanted), None) for wanted in expected]
    if None not in chosen:
        return tuple(chosen)
    whole = next((name for name, size in sizes.items() if size == sum(expected)), None)
    if row.task == "pose" and whole is not None:
        return (Output(whole, 19, 57), Output(whole, 0, 19)) if row.heatmaps_first else (Output(whole, 0, 38), Output(whole, 38, 57))
    got = ", ".join(f"{name} {size}" for name, size in sizes.items())
    need = " and ".join(map(str, expected)) + (" channels, or one output of 57" if row.task == "pose" else " channels")
    raise InputError(f"network {path}: {arch} answers {need}, got {got}; this is another network")
