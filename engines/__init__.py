"""The one way to open a network.

    net = open_net("lightposenet")
    pafs, heatmaps = net(x)  # x (N, 3, H, W) float32, normalised -> (N, 38, H/8, W/8), (N, 19, H/8, W/8)

A face or hand network answers `(heatmaps,)`. Engines are imported when they are used, so one of them may be missing.
"""

from pathlib import Path

from engines import memory
from engines.processor import processor
from errors import InputError
from models import ARCHS, FETCH, FETCH_LIGHT, choose, other_shapes, shapes_of
from models.weights import read_weights

OPENVINO_FILES = (".xml", ".onnx", ".pb")
GAINING = {"avx512_vnni", "avx_vnni", "amx_int8"}  # instruction sets with which INT8 is quicker than bf16 and f32


def takes_quantised(row, device, precision) -> bool:
    """Whether a row's INT8 file runs where no weights are named: when it is asked for, or nothing is and this CPU gains from it."""
    gains = precision is None and device in (None, "CPU") and not GAINING.isdisjoint(processor()[1])
    return row.quantised is not None and (precision == "int8" or gains)


def choose_net(task, weights=None) -> str:
    """The name of the network for a task ("pose", "face" or "hand") where none is named: the one that the weights hold, or the best one whose
    weights are at hand. Raises InputError for a file of OpenVINO that holds none for the task, or does not say which.
    """
    if weights is None or Path(weights).suffix.lower() not in OPENVINO_FILES:
        return choose(task, weights)
    from engines.openvino_ir import name_in

    memory.reserve(memory.of_network(weights), str(weights))
    return name_in(weights, task)


def open_net(
    arch, weights=None, *, engine="openvino", device=None, precision=None, threads=None, cache_dir=None, bin=None, scale=None, offset=None, **hints
):
    """A network with its weights, ready to run: net(x) -> tuple of arrays; net.name is its name, net.arch its row of ARCHS.

    arch: a name of ARCHS. weights: an npz, or for OpenVINO an .xml (with `bin` beside it or named), .onnx or .pb; None for those that ship or were
    fetched.
    engine: "openvino" with device "CPU", precision "f32", "bf16", "f16", "int8" or None (INT8 where it ships and is
    quicker, else the device's choice), threads, cache_dir (compiled
    models are kept there) and hints (engines.openvino_net.OpenVinoNet); or "chainer" with device -1 (CPU) or the number of a GPU.
    scale, offset: of the input, where they are not the row's: x = picture * scale + offset.
    Raises InputError for anything that does not fit.
    """
    if arch not in ARCHS:
        raise InputError(f"unknown network {arch!r}: expected one of {', '.join(ARCHS)}")
    if engine not in ("openvino", "chainer"):
        raise InputError(f"unknown engine {engine!r}: expected openvino or chainer")
    row = ARCHS[arch]
    if weights is None and bin is None and engine == "openvino" and takes_quantised(row, device, precision):
        weights, precision = row.quantised, "int8"
    weights = row.at_hand if weights is None else weights
    if weights is None:
        raise InputError(f"{arch} needs weights, which do not ship with the project: name the file; {FETCH.get(arch, FETCH_LIGHT)}")
    from_npz = Path(weights).suffix.lower() not in OPENVINO_FILES
    if from_npz and bin is not None:
        raise InputError(f"{bin}: a .bin belongs to an .xml, got {weights}; name the .xml")
    if from_npz and row.table is None:
        raise InputError(f"{arch} comes as an .xml, .onnx or .pb file, got {weights}; name such a file")
    memory.reserve(memory.of_network(weights), arch)
    if engine == "chainer":
        if not from_npz:
            raise InputError(f"Chainer reads .npz weights, got {weights}; name an .npz, or use --engine openvino")
        from engines.chainer_net import ChainerNet

        net = ChainerNet.of_weights(row.network, read_weights(weights, shapes_of(arch), other_shapes(arch)), -1 if device is None else device)
    else:
        from engines.openvino_net import OpenVinoNet, build_model

        if from_npz:
            model, outputs = build_model(row.network, read_weights(weights, shapes_of(arch), other_shapes(arch)), arch), row.network.outputs
        else:
            from engines.openvino_ir import check_recognised, read_model

            model, outputs, row = read_model(arch, row, weights, bin)
            if scale is None and offset is None:  # who says how it is fed knows what it is
                check_recognised(arch, model, weights)
        net = OpenVinoNet(model, outputs, "CPU" if device is None else device, precision, threads, cache_dir, **hints)
    net.name, net.precision = arch, precision
    net.arch = row._replace(scale=row.scale if scale is None else scale, offset=row.offset if offset is None else offset)
    return net
