"""Run a table of layers with OpenVINO: the fast engine on a CPU. Needs no Chainer."""

import time
from collections import OrderedDict

import numpy as np

from errors import InputError
from models.cache import make_room
from models.layers import INPUT, run_layers

try:
    import openvino as ov
    from openvino import opset13 as ops
except ModuleNotFoundError as error:
    cure = 'run: make venv (README, "Installation"), or use --engine chainer'
    raise InputError(f"the OpenVINO engine needs {error.name}, which is not installed; {cure}") from None

PRECISIONS = {"f32": ov.Type.f32, "bf16": ov.Type.bf16, "f16": ov.Type.f16}
MAX_COMPILED = 6  # input shapes kept ready; precise mode needs four
MAX_CACHED = 4  # shapes that one run adds to the cache folder: a compiled CocoPoseNet takes 200 MB, and a folder of pictures has many shapes


def build_model(network, weights, name="network") -> ov.Model:
    """The table as an ov.Model: input `data` (N, 3, H, W) float32, N, H and W free; outputs named as the table's last layers."""

    def step(layer, inputs):
        if layer.op == "conv":
            y = ops.convolution(
                inputs[0],
                ops.constant(weights[f"{layer.name}/W"]),
                strides=[layer.stride] * 2,
                pads_begin=[layer.pad] * 2,
                pads_end=[layer.pad] * 2,
                dilations=[layer.dilation] * 2,
            )
            y = ops.add(y, ops.constant(weights[f"{layer.name}/b"].reshape(1, -1, 1, 1)))
        elif layer.op == "pool":
            y = ops.max_pool(inputs[0], [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], rounding_type="ceil").output(0)
        elif layer.op == "concat":
            y = ops.concat(inputs, axis=1)
        else:
            y = ops.add(*inputs)
        if layer.relu:
            y = ops.relu(y)
        node = y.get_node() if isinstance(y, ov.Output) else y
        node.set_friendly_name(layer.name)
        return y

    data = ops.parameter(ov.PartialShape([-1, 3, -1, -1]), np.float32, name=INPUT)
    data.output(0).set_names({INPUT})
    names = list(dict.fromkeys(output.layer for output in network.outputs))
    outputs = run_layers(network.layers, data, step, names)
    results = []
    for output_name in names:
        outputs[output_name].output(0).set_names({output_name})
        results.append(ops.result(outputs[output_name]))
    return ov.Model(results, [data], name)


class OpenVinoNet:
    """net(x): x (N, 3, H, W) float32 -> tuple of arrays (N, channels, H/8, W/8) float32, the last stage's outputs.

    The model is compiled once per shape of x; the last MAX_COMPILED shapes stay ready.
    """

    def __init__(self, network, weights, device="CPU", precision=None, threads=None, cache_dir=None):
        """precision: f32, bf16, f16, or None for the device's own choice. threads: None is all. cache_dir: compiled models are kept
        there for the next start (None: nowhere). Raises InputError for a device or precision that is not to be had."""
        self.outputs = network.outputs
        self.core = ov.Core()
        self.device = device
        _check_device(self.core, device)
        self.config = {"PERFORMANCE_HINT": "LATENCY"}
        if precision is not None:
            _check_precision(self.core, device, precision)
            self.config["INFERENCE_PRECISION_HINT"] = PRECISIONS[precision]
        if threads is not None:
            self.config["INFERENCE_NUM_THREADS"] = threads
        self.cache_config = {"CACHE_DIR": str(cache_dir)} if cache_dir is not None and make_room(cache_dir) else {}
        self.model = build_model(network, weights)
        self.compiled = OrderedDict()
        self.n_compiled = 0
        self.compile_seconds = 0.0  # so far

    def __call__(self, x) -> tuple:
        x = np.ascontiguousarray(x, np.float32)
        results = self._request(x.shape).infer({INPUT: x}, share_inputs=True)
        arrays = {name: array for output, array in results.items() for name in output.names}
        return tuple(arrays[layer][:, start:stop] for layer, start, stop in self.outputs)

    def _request(self, shape):
        request = self.compiled.pop(shape, None)
        if request is None:
            begin = time.perf_counter()
            model = self.model.clone()
            model.reshape({INPUT: list(shape)})
            config = self.config | (self.cache_config if self.n_compiled < MAX_CACHED else {})
            request = self.core.compile_model(model, self.device, config).create_infer_request()
            self.n_compiled += 1
            self.compile_seconds += time.perf_counter() - begin
        self.compiled[shape] = request
        if len(self.compiled) > MAX_COMPILED:
            self.compiled.popitem(last=False)
        return request


def _check_device(core, device):
    available = core.available_devices
    if device.split(".")[0].split(":")[0] not in {*(name.split(".")[0] for name in available), "AUTO", "HETERO", "MULTI", "BATCH"}:
        raise InputError(f"--device {device}: OpenVINO finds {', '.join(available)} on this machine; name one of these")


def _check_precision(core, device, precision):
    if precision not in PRECISIONS:
        raise InputError(f"--precision {precision}: expected one of {', '.join(PRECISIONS)}")
    wanted = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}[precision]
    try:
        able = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError:  # a virtual device such as AUTO does not say
        return
    if wanted not in able:
        offered = [name for name, capability in (("f32", "FP32"), ("bf16", "BF16"), ("f16", "FP16")) if capability in able]
        raise InputError(f"--precision {precision}: {device} computes in {', '.join(offered)}; name one of these, or leave --precision out")
