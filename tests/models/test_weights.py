"""Weights are read whole and strictly, or refused in one line that names the file, the fault and the cure."""

import contextlib
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from errors import InputError
from models import ARCHS, other_shapes, shapes_of
from models.npz import open_npz
from models.weights import read_weights, write_weights

SHAPES = {"conv1_1/W": (4, 3, 3, 3), "conv1_1/b": (4,), "out/W": (2, 4, 1, 1), "out/b": (2,)}
FORGOTTEN_SHAPES = {"conv5_5_CPM_L1/W": (38, 8, 1, 1), "conv5_5_CPM_L1/b": (38,), "conv5_5_CPM_L2/W": (19, 8, 1, 1), "conv5_5_CPM_L2/b": (19,)}


def good_weights(shapes=SHAPES):
    rng = np.random.default_rng(7)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def saved(path, weights, save=np.savez):
    save(path, **weights)
    return path


def refusal(path, shapes=SHAPES, others=()) -> str:
    """With what words a file is refused: one line that names the file, here without the name."""
    with pytest.raises(InputError) as caught:
        read_weights(path, shapes, others)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"weights {path}: ")
    assert caught.value.status == 2
    return message.removeprefix(f"weights {path}: ")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_good_weights_come_back_in_the_order_of_the_table(tmp_path, save):
    weights = good_weights()
    read = read_weights(saved(tmp_path / "w.npz", dict(reversed(weights.items())), save), SHAPES)
    assert list(read) == list(SHAPES)
    for name, array in read.items():
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, weights[name])


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_every_floating_point_type_comes_back_as_float32(tmp_path, dtype):
    weights = {name: array.astype(dtype) for name, array in good_weights().items()}
    for name, array in read_weights(saved(tmp_path / "w.npz", weights), SHAPES).items():
        assert array.dtype == np.dtype("f4")
        assert array.dtype.isnative
        np.testing.assert_array_equal(array, weights[name].astype("f4"))


def test_half_precision_whose_sum_overflows_is_finite(tmp_path):
    weights = good_weights() | {"conv1_1/W": np.full(SHAPES["conv1_1/W"], 60000, np.float16)}
    assert (read_weights(saved(tmp_path / "w.npz", weights), SHAPES)["conv1_1/W"] == 60000).all()


def test_arrays_in_fortran_order_are_read_right(tmp_path):
    weights = {name: np.asfortranarray(array) for name, array in good_weights().items()}
    for name, array in read_weights(saved(tmp_path / "w.npz", weights), SHAPES).items():
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, weights[name])


def test_shipped_weights_fit_their_table():
    row = ARCHS["lightposenet"]
    weights = read_weights(row.weights, shapes_of("lightposenet"), other_shapes("lightposenet"))
    assert {name: array.shape for name, array in weights.items()} == shapes_of("lightposenet")


def test_a_text_path_will_do(tmp_path):
    assert set(read_weights(str(saved(tmp_path / "w.npz", good_weights())), SHAPES)) == set(SHAPES)


def test_missing_layer(tmp_path):
    weights = good_weights()
    del weights["out/W"], weights["out/b"]
    message = refusal(saved(tmp_path / "w.npz", weights))
    assert "layer out is missing (1 of 2 found)" in message
    assert "convert the caffemodel again" in message


@pytest.mark.parametrize("name", SHAPES)
def test_missing_half_of_a_layer(tmp_path, name):
    weights = good_weights()
    del weights[name]
    assert f"layer {name.split('/')[0]} is missing (1 of 2 found)" in refusal(saved(tmp_path / "w.npz", weights))


def test_many_missing_layers_are_counted_and_a_few_are_named(tmp_path):
    shapes = {f"conv{n}/{kind}": (2,) for n in range(9) for kind in "Wb"}
    weights = {"conv8/W": np.ones(2, np.float32), "conv8/b": np.ones(2, np.float32)}
    message = refusal(saved(tmp_path / "w.npz", weights), shapes)
    assert "layers conv0, conv1, conv2, ... are missing (1 of 9 found)" in message


def test_no_layer_at_all(tmp_path):
    message = refusal(saved(tmp_path / "w.npz", {"stranger": np.zeros(1)}))
    assert "layers conv1_1, out are missing (0 of 2 found)" in message


def test_an_empty_npz(tmp_path):
    refusal(saved(tmp_path / "w.npz", {}))


@pytest.mark.parametrize("name", ["surplus/W", "iteration", "conv1_1/w"])
def test_extra_entry(tmp_path, name):
    message = refusal(saved(tmp_path / "w.npz", good_weights() | {name: np.zeros(3, np.float32)}))
    assert f"{name!r} belongs to no layer of this network (1 such entries)" in message


@pytest.mark.parametrize("shape", [(3, 4, 1, 1), (2, 4), (2, 4, 1, 1, 1), (4, 2, 1, 1), (0, 4, 1, 1), ()])
def test_wrong_shape(tmp_path, shape):
    message = refusal(saved(tmp_path / "w.npz", good_weights() | {"out/W": np.zeros(shape, np.float32)}))
    assert f"out/W has shape {shape}, expected (2, 4, 1, 1)" in message
    assert "another network" in message


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "complex64", "U3", "S4", "datetime64[s]"])
def test_numbers_that_are_not_floating_point(tmp_path, dtype):
    message = refusal(saved(tmp_path / "w.npz", good_weights() | {"out/b": np.zeros(2, dtype)}))
    assert f"out/b holds {np.dtype(dtype)}, expected floating point numbers" in message


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("values", [[np.nan], [np.inf], [-np.inf], [np.inf, -np.inf]])
@pytest.mark.parametrize("name", ["conv1_1/W", "out/b"])
def test_numbers_that_are_not_finite(tmp_path, name, values, dtype):
    weights = good_weights()
    weights[name].flat[: len(values)] = values
    message = refusal(saved(tmp_path / "w.npz", {key: array.astype(dtype) for key, array in weights.items()}))
    assert f"{name} holds NaN or infinity" in message


def test_numbers_beyond_float32(tmp_path):
    weights = good_weights() | {"out/b": np.array([1e300, 1])}
    assert "out/b holds NaN or infinity" in refusal(saved(tmp_path / "w.npz", weights))


class Trap:
    """Unpickling it makes a folder: what a hostile file would do, made harmless."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def hostile_npz(path, trap):
    np.savez(path, **good_weights() | {"out/b": np.array([trap, trap], dtype=object)})


def hostile_npy(path, trap):
    with path.open("wb") as file:
        np.save(file, np.array([trap], dtype=object))


def hostile_pickle(path, trap):
    path.write_bytes(pickle.dumps(trap))


@pytest.mark.parametrize("make", [hostile_npz, hostile_npy, hostile_pickle])
def test_pickled_objects_are_refused_and_not_executed(tmp_path, make):
    path, sprung = tmp_path / "w.npz", tmp_path / "sprung"
    make(path, Trap(sprung))
    assert "expected an .npz file of plain arrays" in refusal(path)
    assert not sprung.exists()


def test_pickled_objects_in_an_npz_are_named(tmp_path):
    hostile_npz(tmp_path / "w.npz", Trap(tmp_path / "sprung"))
    assert "got Python objects (pickle), which are never loaded" in refusal(tmp_path / "w.npz")


@pytest.mark.parametrize("make", [hostile_npz, hostile_npy, hostile_pickle])
def test_the_hostile_files_are_hostile(tmp_path, make):
    path, sprung = tmp_path / "w.npz", tmp_path / "sprung"
    make(path, Trap(sprung))
    with contextlib.suppress(Exception):  # the folder cannot be made twice
        np.load(path, allow_pickle=True)["out/b"]
    assert sprung.is_dir()


def file_bytes(save=np.savez):
    file = io.BytesIO()
    save(file, **good_weights())
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("part", [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999])
def test_truncated_file(tmp_path, part, save):
    data = file_bytes(save)
    path = tmp_path / "w.npz"
    path.write_bytes(data[: max(1, int(part * len(data)))])
    message = refusal(path)
    assert "expected an .npz file" in message
    assert "copy or convert it again" in message


@pytest.mark.parametrize("place", ["numbers", "header", "directory"])
def test_damaged_bytes(tmp_path, place):
    data = bytearray(file_bytes())
    at = {"numbers": data.index(b"\x93NUMPY") + 200, "header": data.index(b"\x93NUMPY") + 12, "directory": data.rindex(b"PK\1\2") + 4}[place]
    data[at : at + 8] = bytes(byte ^ 0x55 for byte in data[at : at + 8])
    path = tmp_path / "w.npz"
    path.write_bytes(data)
    assert "damaged" in refusal(path)


def test_damaged_compressed_numbers(tmp_path):
    """Chainer's own save_npz compresses."""
    data = bytearray(file_bytes(np.savez_compressed))
    path = tmp_path / "w.npz"
    for at in range(60, 160, 10):
        damaged = data.copy()
        damaged[at : at + 8] = bytes(byte ^ 0x55 for byte in damaged[at : at + 8])
        path.write_bytes(damaged)
        assert "damaged" in refusal(path)


def test_an_array_that_claims_to_be_enormous(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**13,)})
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as file:
        file.writestr("out/b.npy", header.getvalue())
    assert "damaged" in refusal(tmp_path / "w.npz")


@pytest.mark.parametrize("data", [b"", b"these are no weights\n" * 20, b"PK\3\4", b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(1000)])
def test_a_file_of_another_kind(tmp_path, data):
    path = tmp_path / "w.npz"
    path.write_bytes(data)
    assert "expected an .npz file" in refusal(path)


def test_one_array_alone(tmp_path):
    np.save(tmp_path / "w.npy", np.zeros(3, np.float32))
    assert "expected an .npz file" in refusal(tmp_path / "w.npy")


def test_a_zip_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as file:
        file.writestr("read me.txt", "hello")
    assert "missing (0 of 2 found)" in refusal(tmp_path / "w.npz")


def test_a_folder(tmp_path):
    assert "got a folder" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "file/below"])
def test_a_name_that_cannot_be(tmp_path, name):
    (tmp_path / "file").touch()
    refusal(tmp_path / name)


def test_a_missing_file(tmp_path):
    message = refusal(tmp_path / "none.npz")
    assert "no such file" in message
    assert "docs/networks.md" in message


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root reads every file")
def test_a_file_without_permission(tmp_path):
    path = saved(tmp_path / "w.npz", good_weights())
    path.chmod(0)
    assert "permission" in refusal(path).lower()


def test_weights_of_another_network_are_recognised(tmp_path):
    others = {"small": {"a/W": (1,), "a/b": (1,)}, "other": {"b/W": (2, 1), "b/b": (2,)}}
    path = saved(tmp_path / "w.npz", {name: np.zeros(shape, np.float32) for name, shape in others["other"].items()})
    assert "these are the weights of other; name that network" in refusal(path, SHAPES, others)


def test_a_stranger_is_not_taken_for_another_network(tmp_path):
    others = {"small": {"a/W": (1,), "a/b": (1,)}}
    message = refusal(saved(tmp_path / "w.npz", {"a/W": np.zeros(1, np.float32)}), SHAPES, others)
    assert "the weights of" not in message
    assert "missing (0 of 2 found)" in message


@pytest.mark.parametrize("arch", ["posenet", "facenet", "handnet", "lightfacenet"])
def test_the_shipped_weights_given_to_another_network(arch):
    assert "these are the weights of lightposenet; " in refusal(ARCHS["lightposenet"].weights, shapes_of(arch), other_shapes(arch))


def test_other_shapes_are_every_network_but_this_one():
    assert set(other_shapes("posenet")) == {"lightposenet", "facenet", "handnet", "lightfacenet", "lighthandnet", "vgg19"}
    assert other_shapes("posenet")["facenet"] == shapes_of("facenet")


@pytest.mark.parametrize("arch", ["posenet", "lightposenet"])
def test_face_weights_given_to_a_pose_network(tmp_path, arch):
    path = saved(tmp_path / "w.npz", {name: np.broadcast_to(np.float32(1), shape) for name, shape in shapes_of("facenet").items()})
    assert "these are the weights of facenet; " in refusal(path, shapes_of(arch), other_shapes(arch))
    path.unlink()


def test_face_weights_given_to_the_hand_network(tmp_path):
    """The two networks have the same names: only the shapes tell them apart."""
    names = {"conv5_3_CPM/b": (128,), "conv6_2_CPM/W": (22, 512, 1, 1), "conv6_2_CPM/b": (22,)}
    face = names | {"conv6_2_CPM/W": (71, 512, 1, 1), "conv6_2_CPM/b": (71,)}
    assert names.items() <= shapes_of("handnet").items()
    assert face.items() <= shapes_of("facenet").items()
    path = saved(tmp_path / "w.npz", good_weights(face))
    assert "network" in refusal(path, names, {"facenet": face})


def test_the_original_converters_file_is_refused_with_the_cure(tmp_path):
    weights = good_weights(FORGOTTEN_SHAPES)
    weights["conv5_5_CPM_L1/b"][:] = 0
    message = refusal(saved(tmp_path / "w.npz", weights), FORGOTTEN_SHAPES)
    assert "conv5_5_CPM_L1 was never copied from the caffemodel" in message
    assert "convert the caffemodel again with convert_model.py" in message


@pytest.mark.parametrize("zeros", [(), ("conv5_5_CPM_L2/b",), ("conv5_5_CPM_L1/b", "conv5_5_CPM_L2/b")])
def test_biases_that_may_be_zero(tmp_path, zeros):
    """Where both are zero, as in a network that was not trained yet, nothing was forgotten."""
    weights = good_weights(FORGOTTEN_SHAPES)
    for name in zeros:
        weights[name][:] = 0
    read = read_weights(saved(tmp_path / "w.npz", weights), FORGOTTEN_SHAPES)
    assert [name for name in read if not read[name].any()] == [*zeros]


def test_one_number_in_the_forgotten_bias_will_do(tmp_path):
    weights = good_weights(FORGOTTEN_SHAPES)
    weights["conv5_5_CPM_L1/b"][:] = 0
    weights["conv5_5_CPM_L1/b"][37] = 1e-6
    assert read_weights(saved(tmp_path / "w.npz", weights), FORGOTTEN_SHAPES)["conv5_5_CPM_L1/b"].any()


def test_write_weights_is_read_back_and_repeats_itself(tmp_path):
    weights = good_weights()
    for name in ("a.npz", "b.npz"):
        write_weights(tmp_path / name, weights)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]
    with open_npz(tmp_path / "a.npz") as npz:
        read = {name: npz.read(name) for name in npz.headers}
    assert list(read) == list(weights)
    for name, array in read.items():
        np.testing.assert_array_equal(array, weights[name])


def test_write_weights_leaves_nothing_half_written(tmp_path):
    (tmp_path / "w.npz").write_bytes(b"the old file")

    class Broken:
        def __array__(self, *_, **__):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_weights(tmp_path / "w.npz", good_weights() | {"out/b": Broken()})
    assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]
    assert (tmp_path / "w.npz").read_bytes() == b"the old file"


def test_write_weights_where_no_folder_can_be(tmp_path):
    """A folder that is missing is made; where a file stands in its place, there is none."""
    write_weights(tmp_path / "new" / "w.npz", good_weights())
    with pytest.raises(InputError, match="cannot be written"):
        write_weights(tmp_path / "new" / "w.npz" / "w.npz", good_weights())
