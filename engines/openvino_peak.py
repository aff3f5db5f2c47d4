"""What this machine's arithmetic gives at best: convolutions of the kind that OpenVINO is quickest at, in a precision of its own each."""

import numpy as np

from engines.openvino_compat import open_core, ov
from models.layers import INPUT

ops = ov.opset13
CHANNELS, CELLS, LAYERS = 256, 64, 6
SIDE = (CHANNELS, CELLS, CELLS)  # of the input


def convolution_operations() -> int:
    """Additions and multiplications of best_convolution."""
    return 2 * LAYERS * CHANNELS**2 * 9 * CELLS**2


def best_convolution(precision):
    """A compiled model of LAYERS convolutions of 3x3, x (1, CHANNELS, CELLS, CELLS) float32; None where the CPU has not the precision.

    precision: f32, bf16 or int8; for the last one the inputs and weights are rounded to 256 steps, which OpenVINO makes INT8 of.
    """
    core = open_core()
    wanted = {"f32": "FP32", "bf16": "BF16", "int8": "INT8"}[precision]
    if wanted not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return None
    data = y = ops.parameter([1, *SIDE], np.float32, name=INPUT)
    data.output(0).set_names({INPUT})
    rng = np.random.default_rng(0)
    for _ in range(LAYERS):
        weights = ops.constant(rng.uniform(-0.03, 0.03, (CHANNELS, CHANNELS, 3, 3)).astype(np.float32))
        if precision == "int8":
            y, weights = _rounded(y, 0.0, 2.0, 256), _rounded(weights, -0.03, 0.03, 255)
        y = ops.relu(ops.convolution(y, weights, [1, 1], [1, 1], [1, 1], [1, 1]))
    hint = {} if precision == "int8" else {"INFERENCE_PRECISION_HINT": {"f32": ov.Type.f32, "bf16": ov.Type.bf16}[precision]}
    return core.compile_model(ov.Model([ops.result(y)], [data], "peak"), "CPU", {"PERFORMANCE_HINT": "LATENCY", **hint})


def _rounded(values, low, high, levels):
    low, high = (ops.constant(np.full((1, 1, 1, 1), end, np.float32)) for end in (low, high))
    return ops.fake_quantize(values, low, high, low, high, levels)
