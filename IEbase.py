"""Load a network of OpenVINO on a device, and show its inputs and outputs and what this machine offers.

    python IEbase.py --xml models/FP32/pose_iter_440000.xml
    python IEbase.py --xml models/FP32/pose_iter_440000.xml --bin models/FP32/pose_iter_440000.bin --device CPU

From Python: set up once, infer many times.

    engine = IEbase("models/FP32/pose_iter_440000.xml")
    outputs = engine.infer(x)          # {"Mconv7_stage6_L1": (1, 38, 46, 46), ...}
    engine.start(x); outputs = engine.wait()
"""

import process  # noqa: F401 (before what takes seconds)

import sys

import numpy as np

import cli
from engines.openvino_compat import open_core, ov
from engines.openvino_ir import load_file
from engines.openvino_net import check_device, compile_model
from engines.waiting import wait
from errors import InputError


class IEbase:
    """A network, compiled for a device with the shape of its file."""

    def __init__(self, xml, bin=None, device="CPU"):
        """xml: the network (.xml, .onnx or .pb); bin: its weights (None: beside it). Raises InputError."""
        core = open_core()
        check_device(core, device)
        self.model = load_file(xml, bin)
        self.compiled = compile_model(core, self.model, device, {})
        self.request = self.compiled.create_infer_request()

    def infer(self, x) -> dict:
        """x (N, C, H, W) float32 of the input's shape -> {output name: array}."""
        self.start(x)
        return self.wait()

    def start(self, x):
        """Begin to infer, and return at once."""
        x = np.ascontiguousarray(x, np.float32)
        expected = self.model.inputs[0].partial_shape
        if not expected.compatible(ov.PartialShape(x.shape)):
            raise InputError(f"input of shape {list(x.shape)}, expected {expected}; resize the picture, or convert with --input_shape or --dynamic")
        self.request.start_async([x], share_inputs=False)

    def wait(self) -> dict:
        """The outputs of what was started last."""
        wait(self.request)
        return {port.any_name: np.array(self.request.get_tensor(port).data) for port in self.compiled.outputs}


def describe(model) -> list:
    """Lines about a network's input and outputs."""
    port = model.inputs[0]
    lines = []
    for output in model.outputs:
        lines.append(f"n/c/h/w (from xml)= {' '.join(_sizes(port))}")
        lines.append(f"input_blob : out_blob = {port.any_name} : {output.any_name}")
        lines.append(f"net.outputs[ {output.any_name} ].shape [{', '.join(_sizes(output))}]")
    return lines


def _sizes(port):
    return ["?" if size.is_dynamic else str(size.get_length()) for size in port.partial_shape]


def describe_devices() -> list:
    """Lines about the devices of this machine and the precisions that they compute in."""
    core, lines = open_core(), []
    for device in core.available_devices:
        able = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
        precisions = [name for name in ("FP32", "BF16", "FP16", "INT8") if name in able]
        chosen = core.get_property(device, "INFERENCE_PRECISION_HINT")
        name = core.get_property(device, "FULL_DEVICE_NAME")
        lines.append(f"device {device} ({name}): {', '.join(precisions)}; by itself it chooses {chosen.get_type_name()}")
    return lines


def parser():
    p = cli.Parser(prog="IEbase.py", description=__doc__)
    p.add_argument("--xml", required=True, help="Read the network from this file: .xml, .onnx or .pb.")
    p.add_argument("--bin", help="Read the .xml's weights from this file (default: the .bin beside it).")
    p.add_argument("--device", default="CPU", help="Load the network on this device; the last lines list those of the machine (default: CPU).")
    return p


def show(options):
    engine = IEbase(options.xml, options.bin, options.device)
    print("\n".join(describe(engine.model) + describe_devices()))


def main(argv=None) -> int:
    return cli.run(parser(), show, argv)


if __name__ == "__main__":
    sys.exit(main())
