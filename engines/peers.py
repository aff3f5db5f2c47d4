"""A network by every engine that this machine has, for benchmark.py to measure side by side: ours and, where they are installed, those of others
(pip install torch onnx onnxruntime).
"""

import tempfile
from pathlib import Path

import numpy as np

from engines import open_net
from errors import InputError
from keypoints.image import normalise, resize
from models import ARCHS, shapes_of
from models.layers import INPUT, run_layers
from models.weights import read_weights


def torch_net(network, weights):
    """net(x) as the engines' of models/, by PyTorch in f32 on the CPU. Raises ModuleNotFoundError without it."""
    import torch
    from torch.nn import functional as F

    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}

    def step(layer, inputs):
        if layer.op == "conv":
            y = F.conv2d(inputs[0], tensors[f"{layer.name}/W"], tensors[f"{layer.name}/b"], layer.stride, layer.pad, layer.dilation)
        elif layer.op == "pool":
            y = F.max_pool2d(inputs[0], 2, 2, ceil_mode=True)
        else:
            y = torch.cat(inputs, 1) if layer.op == "concat" else sum(inputs[1:], inputs[0])
        return F.relu(y) if layer.relu else y

    wanted = {output.layer for output in network.outputs}

    def net(x):
        with torch.inference_mode():
            results = run_layers(network.layers, torch.from_numpy(x), step, wanted)
        return tuple(results[layer][:, start:stop].numpy() for layer, start, stop in network.outputs)

    return net


def onnxruntime_net(network, weights):
    """The same by ONNX Runtime. Raises ModuleNotFoundError without onnx and onnxruntime."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes = []

    def step(layer, inputs):
        attributes = {}
        if layer.op == "conv":
            inputs = [*inputs, f"{layer.name}/W", f"{layer.name}/b"]
            attributes = {"strides": [layer.stride] * 2, "pads": [layer.pad] * 4, "dilations": [layer.dilation] * 2}
        elif layer.op == "pool":
            attributes = {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}
        elif layer.op == "concat":
            attributes = {"axis": 1}
        name = f"{layer.name}/before_relu" if layer.relu else layer.name
        kind = {"conv": "Conv", "pool": "MaxPool", "concat": "Concat", "add": "Add"}[layer.op]
        nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        if layer.relu:
            nodes.append(helper.make_node("Relu", [name], [layer.name]))
        return layer.name

    names = list(dict.fromkeys(output.layer for output in network.outputs))
    run_layers(network.layers, INPUT, step, names)
    shape = ["n", 3, "h", "w"]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def net(x):
        results = dict(zip(names, session.run(names, {INPUT: x}), strict=True))
        return tuple(results[layer][:, start:stop] for layer, start, stop in network.outputs)

    return net


PEERS = {"PyTorch f32": torch_net, "ONNX Runtime f32": onnxruntime_net}


def open_peers(network, weights) -> dict:
    """{name: net} of the peers that are installed."""
    nets = {}
    for name, make in PEERS.items():
        try:
            nets[name] = make(network, weights)
        except ModuleNotFoundError:
            continue
    return nets


def made_up_weights(arch, folder) -> Path:
    """An npz of seeded random weights for a network of ARCHS."""
    rng = np.random.default_rng(0)
    weights = {}
    for name, shape in shapes_of(arch).items():
        scale = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.1
        weights[name] = (rng.standard_normal(shape) * scale).astype(np.float32)
    path = Path(folder) / f"{arch}.npz"
    np.savez(path, **weights)
    return path


def open_nets(arch, calibration) -> dict:
    """{"Chainer f32": net, "OpenVINO f32": net, ...}: what this machine can run. calibration: pictures for INT8, or None."""
    with tempfile.TemporaryDirectory() as folder:
        path = ARCHS[arch].weights or made_up_weights(arch, folder)
        weights = read_weights(path, shapes_of(arch))
        nets = {"Chainer f32": open_net(arch, path, engine="chainer"), **open_peers(ARCHS[arch].network, weights)}
        for precision in ("f32", "bf16"):
            try:
                nets[f"OpenVINO {precision}"] = open_net(arch, path, precision=precision)
            except InputError:  # not in this processor
                continue
        if calibration is not None:
            nets["OpenVINO int8"] = open_int8(arch, weights, calibration)
    return nets


def open_int8(arch, weights, calibration):
    """The network in INT8, calibrated on pictures. Raises InputError without NNCF."""
    from engines.openvino_int8 import quantise
    from engines.openvino_ir import make_ir
    from engines.openvino_net import OpenVinoNet

    row = ARCHS[arch]
    inputs = [normalise(resize(picture, (368, 368)), row.scale, row.offset) for picture in calibration]
    return OpenVinoNet(quantise(make_ir(arch, row, weights), inputs), row.network.outputs)


def same(a, b) -> bool:
    """Whether two nets answered alike, so that their times may stand side by side."""
    return all(np.allclose(x, y, atol=1e-3) for x, y in zip(a, b, strict=True))
