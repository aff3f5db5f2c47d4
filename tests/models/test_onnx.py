"""models/onnx.py: OpenVINO reads what is written, and it answers as the table does."""

import numpy as np
import pytest
from conftest import seeded_weights

from engines import open_net
from engines.openvino_compat import open_core
from engines.openvino_ir import facts_of
from engines.openvino_net import build_model
from models import ARCHS
from models.layers import INPUT, Network, Output, add, chain, concat, conv, parameter_shapes, pool
from models.onnx import to_onnx, varint
from models.weights import write_weights

ARCH_NAMES = ["lightposenet", "lightfacenet"]


@pytest.mark.parametrize("arch", ARCH_NAMES)
@pytest.mark.parametrize(("dtype", "most"), [(np.float32, 1e-4), (np.float16, 2e-2)])
def test_answers_as_the_table(tmp_path, arch, dtype, most):
    """Free sizes: two inputs of other sizes, one odd in cells, against OpenVINO's network that was built from the table."""
    row = ARCHS[arch]
    weights = seeded_weights(parameter_shapes(row.network.layers))
    halves = {name: array.astype(dtype) for name, array in weights.items()}
    path = tmp_path / "net.onnx"
    path.write_bytes(to_onnx(row.network, halves, arch, facts_of(arch, row)))
    core = open_core()
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    of_file, of_table = (core.compile_model(model, "CPU", exact) for model in (core.read_model(path), build_model(row.network, weights)))
    assert [output.get_any_name() for output in of_file.outputs] == [output.get_any_name() for output in of_table.outputs]
    for shape in ((1, 3, 64, 96), (2, 3, 72, 64)):
        x = np.random.default_rng(0).uniform(-0.5, 0.5, shape).astype(np.float32)
        for found, expected in zip(of_file(x).values(), of_table(x).values(), strict=True):
            assert found.shape == expected.shape
            assert np.abs(found - expected).max() <= most * max(1, np.abs(expected).max())


def test_a_fixed_shape_and_the_metadata(tmp_path):
    row = ARCHS["lightposenet"]
    weights = seeded_weights(parameter_shapes(row.network.layers))
    path = tmp_path / "net.onnx"
    path.write_bytes(to_onnx(row.network, weights, "lightposenet", {"stride": "8"}, (1, 3, 64, 64)))
    model = open_core().read_model(path)
    assert list(model.inputs[0].shape) == [1, 3, 64, 64]
    assert b"stride" in path.read_bytes()


def test_read_by_the_detectors(tmp_path):
    """As WEIGHTS of a script: the same answers as the .npz gives."""
    row = ARCHS["lightposenet"]
    weights = seeded_weights(parameter_shapes(row.network.layers))
    write_weights(tmp_path / "net.npz", weights)
    (tmp_path / "net.onnx").write_bytes(to_onnx(row.network, weights, "lightposenet", facts_of("lightposenet", row)))
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 3, 64, 64)).astype(np.float32)
    answers = [open_net("lightposenet", tmp_path / name, precision="f32")(x) for name in ("net.npz", "net.onnx")]
    for expected, found in zip(*answers, strict=True):
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_every_kind_of_layer(tmp_path):
    """Pooling of an odd size rounds up; a dilated and a strided convolution, a concatenation, a sum."""
    layers = chain(
        INPUT,
        conv("a", 4),
        pool("b"),
        conv("c", 4, dilation=2),
        concat("d", "b", "c"),
        conv("e", 4, 1, relu=False),
        add("f", "e", "c"),
        conv("g", 2, stride=2, relu=False),
    )
    network = Network(layers, ((Output("g", 0, 2),),))
    weights = seeded_weights(parameter_shapes(layers))
    (tmp_path / "net.onnx").write_bytes(to_onnx(network, weights, "all", {}))
    x = np.random.default_rng(0).uniform(-1, 1, (1, 3, 21, 30)).astype(np.float32)
    core, exact = open_core(), {"INFERENCE_PRECISION_HINT": "f32"}
    found, expected = (
        core.compile_model(model, "CPU", exact)(x)[0] for model in (core.read_model(tmp_path / "net.onnx"), build_model(network, weights))
    )
    assert found.shape == expected.shape == (1, 2, 6, 8)
    assert np.abs(found - expected).max() <= 1e-4


@pytest.mark.parametrize(("number", "expected"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_varint(number, expected):
    """300 is the example of protobuf's page on its encoding."""
    assert varint(number) == expected
