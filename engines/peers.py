"""A network by every engine that this machine has, for benchmark.py to measure side by side: ours and, where they are installed, those of others
(pip install torch onnxruntime), and OpenCV's.
"""

import tempfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from engines import open_net
from errors import InputError
from keypoints.image import normalise, resize
from models import ARCHS, shapes_of
from models.layers import INPUT, run_layers
from models.onnx import to_onnx
from models.weights import read_weights


def torch_net(network, weights, dtype="float32"):
    """net(x) as the engines' of models/, by PyTorch on the CPU. dtype: "float32" or "bfloat16". Raises ModuleNotFoundError without it."""
    import torch
    from torch.nn import functional as F

    dtype = getattr(torch, dtype)
    tensors = {name: torch.from_numpy(array).to(dtype) for name, array in weights.items()}

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
            results = run_layers(network.layers, torch.from_numpy(x).to(dtype), step, wanted)
        return tuple(results[layer][:, start:stop].float().numpy() for layer, start, stop in network.outputs)

    return net


def onnxruntime_net(network, weights):
    """The same by ONNX Runtime in f32. Raises ModuleNotFoundError without it."""
    import onnxruntime

    session = onnxruntime.InferenceSession(to_onnx(network, weights, "network", {}), providers=["CPUExecutionProvider"])
    names = names_of_outputs(network)

    def net(x):
        results = dict(zip(names, session.run(names, {INPUT: x}), strict=True))
        return tuple(results[layer][:, start:stop] for layer, start, stop in network.outputs)

    return net


def opencv_net(network, weights):
    """The same by OpenCV's own engine in f32, which is prepared for one shape of x at a time."""
    names, prepared = names_of_outputs(network), {}

    def net(x):
        if x.shape not in prepared:
            prepared.clear()
            prepared[x.shape] = cv2.dnn.readNetFromONNX(np.frombuffer(to_onnx(network, weights, "network", {}, x.shape), np.uint8))
        prepared[x.shape].setInput(x)
        results = dict(zip(names, prepared[x.shape].forward(names), strict=True))
        return tuple(results[layer][:, start:stop] for layer, start, stop in network.outputs)

    return net


def names_of_outputs(network) -> list:
    return list(dict.fromkeys(output.layer for output in network.outputs))


PEERS = {"PyTorch f32": torch_net, "ONNX Runtime f32": onnxruntime_net, "OpenCV DNN f32": opencv_net}
ROUGH_PEERS = {"PyTorch bf16": partial(torch_net, dtype="bfloat16")}


def open_peers(network, weights) -> dict:
    """{name: net} of the peers that are installed."""
    nets = {}
    for name, make in (PEERS | ROUGH_PEERS).items():
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


def open_nets(arch, calibration=None) -> dict:
    """{"Chainer f32": net, "OpenVINO f32": net, ...}: what this machine can run. calibration: pictures for INT8 where none ships, or None."""
    with tempfile.TemporaryDirectory() as folder:
        path = ARCHS[arch].weights or made_up_weights(arch, folder)
        weights = read_weights(path, shapes_of(arch))
        nets = {"Chainer f32": open_net(arch, path, engine="chainer"), **open_peers(ARCHS[arch].network, weights)}
        for precision in ("f32", "bf16"):
            try:
                nets[f"OpenVINO {precision}"] = open_net(arch, path, precision=precision)
            except InputError:  # not in this processor
                continue
        if ARCHS[arch].quantised is not None:
            nets["OpenVINO int8"] = open_net(arch, precision="int8")
        elif calibration is not None:
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
