"""Quantise a network to INT8 with NNCF, calibrated on pictures. NNCF is optional: pip install nncf."""

import logging

import numpy as np

from engines.openvino_compat import open_core
from errors import InputError
from models.layers import INPUT


def quantise(model, inputs):
    """model: an ov.Model. inputs: list of x (1, 3, H, W) float32, normalised, of typical pictures; shapes may differ.

    Returns a new ov.Model in INT8 (NNCF's performance preset, all inputs). Raises InputError without NNCF.
    """
    try:
        import nncf
    except ModuleNotFoundError as error:
        raise InputError(f"--data_type INT8 needs {error.name}, which is not installed; run: pip install nncf, or choose FP16") from None
    logging.getLogger("nncf").setLevel(logging.ERROR)  # its progress is ours to show
    dataset = nncf.Dataset(inputs, lambda x: {INPUT: x})
    return nncf.quantize(model, dataset, preset=nncf.QuantizationPreset.PERFORMANCE, subset_size=len(inputs))


def run_model(model, inputs) -> list:
    """Per input the outputs of a model (list of arrays), compiled once for any shape, in f32."""
    model = model.clone()
    model.reshape({INPUT: [-1, 3, -1, -1]})
    request = open_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    return [[np.array(array) for array in request.infer({INPUT: x}).values()] for x in inputs]
