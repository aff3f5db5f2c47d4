"""Files of OpenVINO with bytes that are no text are refused in one line."""

import numpy as np
import pytest
from conftest import assert_input_error

from engines import choose_net, open_net
from engines.openvino_compat import ov
from engines.openvino_ir import make_ir, save_ir
from errors import InputError
from models import ARCHS, shapes_of


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes_of("lightposenet").items()}
    path = tmp_path_factory.mktemp("ir") / "net.xml"
    save_ir(make_ir("lightposenet", ARCHS["lightposenet"], weights), path)
    return path


@pytest.mark.parametrize(
    ("text", "other"),
    [
        (b'arch value="lightposenet"', b'arch value="\xff\xfe"'),
        (b'outputs value="', b'outputs value="\xc3\x28'),
        (b'input_scale value="', b'input_scale value="\xed\xa0\x80'),
        (b'names="data"', b'names="\xff"'),
        (b'name="stem1"', b'name="\xff"'),
        (b'type="Convolution"', b'type="\xff"'),
    ],
)
def test_bytes_that_are_no_text(network, tmp_path, text, other):
    data = network.read_bytes()
    assert text in data
    (tmp_path / "net.xml").write_bytes(data.replace(text, other))
    try:
        net = open_net("lightposenet", tmp_path / "net.xml", bin=network.with_suffix(".bin"))
        net(np.zeros((1, 3, 16, 16), np.float32))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert str(tmp_path / "net.xml") in str(error)  # noqa: PT017
    else:
        assert b"name" in text  # what a layer or the input is called does not matter


# Files that do not say which network they hold


def silent_file(path, names=("pafs", "maps")):
    """A network with the outputs of a pose network, called so, that says nothing of itself."""
    ops = ov.opset13
    data = ops.parameter(ov.PartialShape([1, 3, 64, 64]), np.float32, name="data")
    results = []
    for name, channels in zip(names, (38, 19), strict=True):
        maps = ops.convolution(data, ops.constant(np.zeros((channels, 3, 8, 8), np.float32)), [8, 8], [0, 0], [0, 0], [1, 1])
        maps.output(0).set_names({name})
        results.append(ops.result(maps))
    ov.save_model(ov.Model(results, [data], "net"), path, compress_to_fp16=False)
    return path


OTHERS = ("Mconv7_stage2_L1", "Mconv7_stage2_L2")  # the outputs of human-pose-estimation-0001
OURS = ("Mconv7_stage6_L1", "Mconv7_stage6_L2")  # of posenet


@pytest.mark.parametrize(
    ("arch", "name", "outputs", "what"),
    [
        ("posenet", "net.xml", OTHERS, "human-pose-estimation-0001"),
        ("lightposenet", "net.xml", OURS, "posenet"),
        ("human-pose-estimation-0001", "net.xml", OURS, "posenet"),
        ("posenet", "human-pose-estimation-0001_fp16.xml", ("pafs", "maps"), "human-pose-estimation-0001"),
    ],
)
def test_another_network_with_as_many_channels_is_refused(tmp_path, arch, name, outputs, what):
    """It would be fed wrongly, and find nobody. Its outputs say which network it is, and where nobody knows them its name does."""
    path = silent_file(tmp_path / name, outputs)
    assert_input_error(lambda: open_net(arch, path), path, f"this is {what}", f"expected {arch}")


@pytest.mark.parametrize(
    ("arch", "name", "outputs"),
    [
        ("human-pose-estimation-0001", "net.xml", OTHERS),
        ("posenet", "net.xml", OURS),
        ("posenet", "human-pose-estimation-0001.xml", OURS),  # the outputs count for more than the name
        ("posenet", "net.xml", ("pafs", "maps")),
        ("human-pose-estimation-0001", "net.xml", ("pafs", "maps")),  # others of its kind
        ("posenet", "posenet.xml", ("pafs", "maps")),
    ],
)
def test_a_network_that_is_or_may_be_the_one_is_taken(tmp_path, arch, name, outputs):
    net = open_net(arch, silent_file(tmp_path / name, outputs))
    assert [maps.shape for maps in net(np.zeros((1, 3, 64, 64), np.float32))] == [(1, 38, 8, 8), (1, 19, 8, 8)]


# Files that are named without a network


def test_the_network_that_a_file_states(network):
    assert choose_net("pose", network) == "lightposenet"
    assert_input_error(lambda: choose_net("face", network), network, "this is lightposenet", "expected one of facenet")


@pytest.mark.parametrize(
    ("name", "outputs", "arch"),
    [
        ("net.xml", OTHERS, "human-pose-estimation-0001"),
        ("net.xml", OURS, "posenet"),
        ("human-pose-estimation-0001_fp16.xml", ("pafs", "maps"), "human-pose-estimation-0001"),
    ],
)
def test_the_network_that_a_file_is_recognised_as(tmp_path, name, outputs, arch):
    assert choose_net("pose", silent_file(tmp_path / name, outputs)) == arch


def test_a_file_that_nobody_knows(tmp_path):
    """It is not taken for the best network."""
    path = silent_file(tmp_path / "net.xml")
    assert_input_error(lambda: choose_net("pose", path), path, "which network it is", "posenet, lightposenet")
    assert_input_error(lambda: choose_net("pose", tmp_path / "nothing.xml"), "nothing.xml: no such file")
