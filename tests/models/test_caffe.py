"""models/caffe.py: both forms of the format, and 2,400 damaged files, each refused in one line or read right."""

import resource
import signal

import numpy as np
import pytest
from caffe_files import SHAPES, blob, caffemodel, field, layer, mutations, unpacked, varint

from errors import InputError
from models.caffe import read_caffemodel

N_MUTATIONS = 2400


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}


def read(tmp_path, content, shapes=SHAPES):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    return read_caffemodel(path, shapes)


def read_or_refuse(tmp_path, content):
    """The weights and None, or None and why not."""
    try:
        return read(tmp_path, content)[0], None
    except InputError as error:
        return None, str(error)


def refused(tmp_path, content, *words):
    with pytest.raises(InputError) as error:
        read(tmp_path, content)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return error.value


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("form", ["shape", "four"])
@pytest.mark.parametrize("double", [False, True])
def test_every_form_gives_the_same_weights(tmp_path, weights, version, form, double):
    got, left_over = read(tmp_path, caffemodel(weights, version, form, double))
    assert list(got) == list(SHAPES)
    assert left_over == []
    for name, array in weights.items():
        assert got[name].dtype == np.float32
        np.testing.assert_array_equal(got[name], array)


def test_numbers_in_several_runs_belong_behind_each_other(tmp_path, weights):
    array = weights["conv1/W"]
    data = array.tobytes()
    shape = field(7, field(1, b"".join(varint(size) for size in array.shape)))
    parts = shape + field(5, data[:40]) + field(5, data[40:])
    rest = {name: value for name, value in weights.items() if not name.startswith("conv1/")}
    got, _ = read(tmp_path, caffemodel(rest) + layer("conv1", [parts, blob(weights["conv1/b"])]))
    np.testing.assert_array_equal(got["conv1/W"], array)


def test_left_over_layers_are_named(tmp_path, weights):
    extra = layer("fc6", [blob(np.ones((5, 7), np.float32)), blob(np.ones(5, np.float32))], kind=b"InnerProduct")
    got, left_over = read(tmp_path, caffemodel(weights) + extra)
    assert left_over == ["fc6"]
    assert "fc6/W" not in got


def test_a_missing_layer_is_named_and_its_status_is_1(tmp_path, weights):
    some = {name: array for name, array in weights.items() if not name.startswith("conv2")}
    assert refused(tmp_path, caffemodel(some), "2 of 3 layers", "conv2").status == 1


def test_refusals(tmp_path, weights):
    whole = caffemodel(weights)
    bad_shape = weights | {"out/W": np.zeros((2, 6, 3, 1), np.float32)}
    not_finite = weights | {"conv2/b": np.array([0, np.nan, 0, 0, 0, 0], np.float32)}
    signalling = weights | {"conv2/b": np.array([0x7FF0000000000001] + 5 * [0], np.uint64).view(np.float64)}  # its cast is a warning of NumPy's
    too_large = weights | {"conv2/b": np.array([0, 1e300, 0, 0, 0, 0])}
    without_conv1 = caffemodel({name: array for name, array in weights.items() if not name.startswith("conv1/")})
    conv1 = [blob(weights["conv1/W"]), blob(weights["conv1/b"])]
    assert refused(tmp_path, caffemodel(bad_shape), "layer out", "(2, 6, 3, 1)", "(2, 6, 3, 3)").status == 2
    refused(tmp_path, caffemodel(not_finite), "layer conv2", "NaN")
    refused(tmp_path, caffemodel(too_large, double=True), "layer conv2", "infinity")
    refused(tmp_path, caffemodel(signalling, double=True), "layer conv2", "NaN")
    refused(tmp_path, whole + layer("out", [blob(weights["out/W"]), blob(weights["out/b"])]), "'out'", "twice")
    refused(tmp_path, without_conv1 + layer("conv1", conv1[:1]), "conv1", "1 blobs")
    refused(tmp_path, without_conv1 + layer("conv1", conv1, kind=b"InnerProduct"), "conv1", "no convolution")
    refused(tmp_path, without_conv1 + layer("conv1", [unpacked(weights["conv1/W"]), conv1[1]]), "conv1", "holds 0")
    refused(tmp_path, b"", "no layer has weights")
    refused(tmp_path, b'name: "a prototxt"\nlayer { name: "data" }\n')
    refused(tmp_path, field(100, b"") * 20_000, "expected a Caffe network")
    refused(tmp_path, varint(100 << 3 | 2) + varint(1 << 40), "cut off")


@pytest.mark.parametrize(("version", "form"), [(1, "four"), (2, "shape")])
def test_damaged_files_are_refused_or_read_right(tmp_path, weights, version, form):
    """Numbers changed inside the data cannot be noticed; there, and nowhere else, a result may differ, in as many numbers as bytes changed."""
    content = caffemodel(weights, version, form)
    n_refused = n_read = 0
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes
    signal.alarm(120)
    try:
        for what, damaged, n_bytes in mutations(content, N_MUTATIONS // 2):
            got, message = read_or_refuse(tmp_path, damaged)
            if message:
                assert "\n" not in message
                n_refused += 1
                continue
            n_read += 1
            assert {name: array.shape for name, array in got.items()} == SHAPES
            assert all(np.isfinite(array).all() for array in got.values())
            if n_bytes is not None:
                n_different = sum((got[name] != weights[name]).sum() for name in SHAPES)
                assert n_different <= n_bytes, what
    finally:
        signal.alarm(0)
    assert n_refused > N_MUTATIONS / 8
    assert n_read > 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 200_000


@pytest.mark.parametrize("axes", [(1,) * 70, (2, 6, 3, 3) + (1,) * 66, (0,), (0, 1 << 62), (), (108, *(1,) * 40)])
def test_shapes_that_nobody_has(tmp_path, weights, axes):
    """NumPy has 64 axes at most."""
    content = caffemodel(weights)
    wrong = layer(
        "out", [field(7, field(1, b"".join(map(varint, axes)))) + field(5, weights["out/W"].astype("<f4").tobytes()), blob(weights["out/b"])]
    )
    right = layer("out", [blob(weights["out/W"]), blob(weights["out/b"])])
    assert content.count(right) == 1
    refused(tmp_path, content.replace(right, wrong), "layer 'out' states")
