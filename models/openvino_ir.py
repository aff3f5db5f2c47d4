"""Write OpenVINO's files (.xml and .bin) of a network, with what a reader must know about it inside."""

import shutil
import tempfile
from pathlib import Path

from entity import STRIDE
from errors import InputError
from models.layers import INPUT
from models.openvino_net import build_model, ov

SECTION = "pose_toolkit"  # of the IR's rt_info


def make_ir(arch, row, weights, input_shape=None) -> ov.Model:
    """The network of a row of models.ARCHS as an ov.Model; rt_info says arch, task, stride, normalisation and outputs.

    input_shape: (N, 3, H, W); None leaves N, H and W free.
    """
    model = build_model(row.network, weights, arch)
    facts = {
        "arch": arch,
        "task": row.task,
        "stride": STRIDE,
        "input_divisor": row.divisor,
        "input_offset": -0.5,
        "channel_order": "BGR",
        "outputs": ",".join(f"{layer}[{start}:{stop}]" for layer, start, stop in row.network.outputs),
    }
    for key, value in facts.items():
        model.set_rt_info(str(value), [SECTION, key])
    if input_shape is not None:
        model.reshape({INPUT: list(input_shape)})
    return model


def save_ir(model, path, compress_to_fp16=False):
    """Write path (.xml) and the .bin beside it, both or none. compress_to_fp16: weights in half precision."""
    path = Path(path)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.stem}.", suffix=".part", dir=path.parent))
    try:
        part = folder / path.name
        ov.save_model(model, part, compress_to_fp16=compress_to_fp16)
        part.with_suffix(".bin").replace(path.with_suffix(".bin"))
        part.replace(path)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be written ({str(error).splitlines()[-1]}); choose another place") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
