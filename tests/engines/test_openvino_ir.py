"""Files of OpenVINO with bytes that are no text are refused in one line."""

import numpy as np
import pytest

from engines import open_net
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
