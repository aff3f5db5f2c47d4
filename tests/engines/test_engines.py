"""Both engines: the golden outputs, each other's answers, the output contract, and what OpenVINO keeps ready."""

import os
import subprocess
import sys
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import PATIENCE, ROOT, golden, seeded_weights

from engines import cache, open_net
from engines.chainer_compat import chainer
from engines.chainer_net import ChainerNet, TableChain
from engines.openvino_compat import open_core, ov
from engines.openvino_net import MAX_COMPILED, OpenVinoNet, build_model, n_cores
from errors import InputError
from models import ARCHS, shapes_of
from models.layers import Network, Output, add, chain, concat, conv, parameter_shapes, pool
from models.weights import read_weights, write_weights

GOLDEN_SEED, LIGHT_SEED, GOLDEN_SHAPE = 3, 5, (1, 3, 96, 136)
TOLERANCE = 1e-4  # f32, golden outputs and one engine against the other
LIGHT = ARCHS["lightposenet"]
ENGINES = ("chainer", "openvino")
N_CHANNELS = {
    **{"posenet": (38, 19), "lightposenet": (38, 19)},
    **{"facenet": (71,), "handnet": (22,), "lightfacenet": (71,), "lighthandnet": (22,)},
}


def noise(shape, seed=GOLDEN_SEED):
    return np.random.default_rng(seed).random(shape, dtype=np.float32) - 0.5


def light_net(**options):
    return open_net("lightposenet", **options)


def light_weights():
    return read_weights(LIGHT.weights, shapes_of("lightposenet"))


def refusal(call, *arguments, **options) -> str:
    """The one line with which a call is refused."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture(scope="module", params=N_CHANNELS)
def engines(request, tmp_path_factory):
    """arch, {engine: net} with seeded weights, f32. One network at a time is held."""
    arch = request.param
    path = tmp_path_factory.mktemp("weights") / "seeded.npz"
    write_weights(path, seeded_weights(shapes_of(arch)))
    nets = {"chainer": open_net(arch, path, engine="chainer"), "openvino": open_net(arch, path, precision="f32")}
    path.unlink()
    return arch, nets


@pytest.mark.parametrize("engines", ["posenet", "facenet", "handnet"], indirect=True)
@pytest.mark.parametrize("engine", ENGINES)
def test_golden(engines, engine):
    arch, nets = engines
    outputs = nets[engine](noise(GOLDEN_SHAPE))
    expected = golden(f"net_{arch.removesuffix('net')}.npz")["output"]
    np.testing.assert_allclose(np.concatenate(outputs[::-1], axis=1), expected, rtol=0, atol=TOLERANCE)  # pose: heatmaps, then PAFs


@pytest.mark.parametrize("engine", ENGINES)
def test_golden_light(engine):
    net = open_net("lightposenet", engine=engine, precision="f32")
    expected = golden("net_light.npz")["output"]
    np.testing.assert_allclose(np.concatenate(net(noise(GOLDEN_SHAPE, LIGHT_SEED)), axis=1), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("shape", [(1, 3, 64, 104), (2, 3, 40, 72), (1, 3, 8, 24)])
def test_engines_agree_and_keep_the_contract(engines, shape):
    arch, nets = engines
    n, _, height, width = shape
    x = noise(shape)
    before = x.copy()
    answers = {engine: net(x) for engine, net in nets.items()}
    np.testing.assert_array_equal(x, before)
    for outputs in answers.values():
        assert isinstance(outputs, tuple)
        assert [array.shape for array in outputs] == [(n, channels, height // 8, width // 8) for channels in N_CHANNELS[arch]]
        for array in outputs:
            assert type(array) is np.ndarray
            assert array.dtype == np.float32
    last_alone = nets["chainer"](x[-1:])  # the pictures of a batch do not mix
    for ours, reference, last in zip(answers["openvino"], answers["chainer"], last_alone, strict=True):
        assert np.ptp(reference) > 0.1  # something was computed
        assert n == 1 or not np.allclose(reference[0], last[0])
        tolerance = TOLERANCE * max(1, np.abs(reference).max())  # the light network's seeded maps reach 300
        np.testing.assert_allclose(ours, reference, rtol=0, atol=tolerance)
        np.testing.assert_allclose(reference[-1:], last, rtol=0, atol=tolerance)


def test_model_has_the_caffe_names_and_any_size(engines):
    arch, nets = engines
    model = nets["openvino"].model
    expected = ["Mconv7_stage6_L1", "Mconv7_stage6_L2"] if arch == "posenet" else ["head2_out"] if arch.startswith("light") else ["Mconv7_stage6"]
    assert [output.get_names() for output in model.outputs] == [{name} for name in expected]
    assert [source.get_names() for source in model.inputs] == [{"data"}]
    assert model.input("data").element_type == ov.Type.f32
    batch, channels, height, width = model.input("data").partial_shape
    assert channels.get_length() == 3
    assert all(side.is_dynamic for side in (batch, height, width))
    assert [output.partial_shape[1].get_length() for output in model.outputs] == ([57] if arch == "lightposenet" else list(N_CHANNELS[arch]))


def test_chain_has_the_names_and_shapes_of_the_table(engines):
    arch, nets = engines
    parameters = {name.removeprefix("/"): parameter.shape for name, parameter in nets["chainer"].chain.namedparams()}
    assert parameters == shapes_of(arch)


def run_model(model, x):
    """The outputs of an ov.Model, run as it is."""
    request = open_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    return list(request.infer({"data": x}).values())


def test_model_runs_on_any_size_without_reshaping():
    model, net = build_model(LIGHT.network, light_weights()), open_net("lightposenet", engine="chainer")
    for shape in [(1, 3, 16, 40), (2, 3, 24, 16)]:
        (maps,) = run_model(model, noise(shape))
        np.testing.assert_allclose(maps, np.concatenate(net(noise(shape)), axis=1), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("engine", ENGINES)
def test_pooling_rounds_up_and_adding_is_followed_by_relu(engine):
    """A table small enough to compute here, with every kind of layer, on odd sides."""
    rows = chain(
        "data", pool("half"), conv("a", 3, 1, relu=False), conv("b", 3, 1, inputs=("half",)), add("sum", "a", "b"), concat("out", "sum", "a")
    )
    network, weights = Network(rows, ((Output("out", 0, 6),),)), seeded_weights(parameter_shapes(rows))
    x = noise((2, 3, 7, 9))
    padded = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-np.inf)
    half = padded.reshape(2, 3, 4, 2, 5, 2).max(axis=(3, 5))
    a, b = (np.einsum("oi,nihw->nohw", weights[f"{name}/W"][..., 0, 0], half) + weights[f"{name}/b"][:, None, None] for name in "ab")
    expected = np.concatenate([np.maximum(a + np.maximum(b, 0), 0), a], axis=1)
    (answer,) = ChainerNet.of_weights(network, weights)(x) if engine == "chainer" else run_model(build_model(network, weights), x)
    np.testing.assert_allclose(answer, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("engine", ENGINES)
def test_other_arrays_are_converted(engine):
    net = open_net("lightposenet", engine=engine, precision="f32")
    x = noise((1, 3, 16, 24))
    expected = net(x)
    for other in (x.astype(np.float64), np.asfortranarray(x), x[..., ::-1].copy()[..., ::-1]):
        for a, b in zip(net(other), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("engine", ENGINES)
def test_results_are_not_overwritten_by_a_later_call(engine):
    net = open_net("lightposenet", engine=engine, precision="f32")
    first = net(noise((1, 3, 24, 40), seed=1))
    kept = [array.copy() for array in first]
    second = net(noise((1, 3, 24, 40), seed=2))
    for a, b, c in zip(first, kept, second, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.allclose(a, c)


def test_results_may_be_changed_in_place():
    net = light_net(precision="f32")
    x = noise((1, 3, 24, 40))
    first = net(x)
    kept = [array.copy() for array in first]
    for array in first:
        array += 1
    for a, b in zip(net(x), kept, strict=True):
        np.testing.assert_array_equal(a, b)


# OpenVINO


def watch(net) -> list:
    """From now on a list that grows by the shape and the ov.CompiledModel of each compilation."""
    core, compilations = net.core, []

    def compile_model(model, *rest):
        compiled = core.compile_model(model, *rest)
        sizes = model.input("data").partial_shape
        compilations.append((tuple(size.get_length() if size.is_static else -1 for size in sizes), compiled))
        return compiled

    net.core = SimpleNamespace(compile_model=compile_model)
    return compilations


def run_and_ask(net, x, *names):
    """The answer to x, and properties of the model that was compiled for it."""
    compilations = watch(net)
    answer = net(x)
    ((_, compiled),) = compilations
    return answer, *(compiled.get_property(name) for name in names)


def per_shape_net(**options):
    """An OpenVinoNet that compiles per shape, as for other devices than a CPU."""
    net = light_net(**options)
    net.any_shape = False
    return net


@pytest.mark.parametrize("any_shape", [True, False])
def test_compiled_once(any_shape):
    """For all shapes on a CPU, otherwise for each."""
    net = light_net() if any_shape else per_shape_net()
    compilations = watch(net)
    shapes = [(1, 3, 16, 24), (1, 3, 24, 16), (2, 3, 16, 24)]
    for _ in range(3):
        for shape in shapes:
            net(noise(shape))
    expected = [(-1, 3, -1, -1)] if any_shape else shapes
    assert [shape for shape, _ in compilations] == expected
    assert net.n_compiled == len(expected)
    assert net.compile_seconds > 0


@pytest.mark.parametrize("device", ["CPU", "AUTO", "HETERO:CPU"])
def test_only_a_cpu_takes_any_shape(device):
    net = light_net(device=device)
    net(noise((1, 3, 16, 24)))
    net(noise((1, 3, 24, 24)))
    assert net.n_compiled == (1 if device == "CPU" else 2)


@pytest.mark.parametrize("arch", ["lightposenet", "facenet"])
def test_answers_are_those_of_a_network_compiled_for_the_shape(arch, tmp_path):
    np.savez(tmp_path / "w.npz", **seeded_weights(shapes_of(arch)))
    any_shape, per_shape = (open_net(arch, tmp_path / "w.npz", precision="f32") for _ in range(2))
    per_shape.any_shape = False
    for shape in ((1, 3, 16, 24), (3, 3, 16, 24), (1, 3, 64, 40), (1, 3, 16, 24)):
        for a, b in zip(any_shape(noise(shape)), per_shape(noise(shape)), strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_number_of_shapes_kept_is_bounded():
    net = per_shape_net(precision="f32")
    shapes = [(1, 3, 16, 8 * width) for width in range(1, MAX_COMPILED + 3)]
    first = net(noise(shapes[0]))
    for shape in shapes:
        net(noise(shape))
        assert len(net.compiled) <= MAX_COMPILED
    assert net.n_compiled == len(shapes)
    for a, b in zip(net(noise(shapes[0])), first, strict=True):
        np.testing.assert_array_equal(a, b)
    assert net.n_compiled == len(shapes) + 1  # it had been forgotten


def test_the_shape_used_longest_ago_is_forgotten(monkeypatch):
    monkeypatch.setattr("engines.openvino_net.MAX_COMPILED", 2)
    net = per_shape_net()
    compilations = watch(net)
    a, b, c = (1, 3, 8, 8), (1, 3, 8, 16), (1, 3, 8, 24)
    for shape in (a, b, a, c, a, b):
        net(noise(shape))
    assert [shape for shape, _ in compilations] == [a, b, c, b]


def test_precise_mode_finds_its_four_shapes_ready():
    assert MAX_COMPILED >= 4


@pytest.mark.parametrize("device", ["FOO", "cpu", "NPU.7", "CPU,GPU"])
def test_unknown_device(device):
    message = refusal(light_net, device=device)
    assert f"--device {device}: " in message
    assert "CPU" in message.removeprefix(f"--device {device}: ")


@pytest.mark.parametrize("precision", ["fp32", "int4", ""])
def test_unknown_precision(precision):
    assert f"--precision {precision}: expected one of f32, bf16, f16" in refusal(light_net, precision=precision)


class OldComputer:
    """An ov.Core on a CPU that only knows f32."""

    available_devices = ("CPU",)

    def get_property(self, device, name):
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return ["FP32", "INT8", "BIN"]


@pytest.mark.parametrize("precision", ["bf16", "f16"])
def test_precision_that_the_device_does_not_have(monkeypatch, precision):
    monkeypatch.setattr("engines.openvino_net.open_core", OldComputer)
    message = refusal(light_net, precision=precision)
    assert message.startswith(f"--precision {precision}: CPU computes in f32; ")


def capabilities():
    return open_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.mark.skipif("FP16" in capabilities(), reason="this CPU computes in f16")
def test_f16_on_a_cpu_without_it():
    assert "--precision f16: CPU computes in f32" in refusal(light_net, precision="f16")


@pytest.mark.skipif("BF16" not in capabilities(), reason="this CPU does not compute in bf16")
def test_bf16_is_close_to_f32():
    x = noise((1, 3, 64, 104))
    answer, precision = run_and_ask(light_net(precision="bf16"), x, "INFERENCE_PRECISION_HINT")
    assert precision == ov.Type.bf16
    for half, full in zip(answer, light_net(precision="f32")(x), strict=True):
        assert half.dtype == np.float32
        difference = np.abs(half - full)
        assert 0 < difference.max() < 0.05 * np.ptp(full)
        assert difference.mean() < 0.01 * np.ptp(full)


def test_f32_is_what_is_compiled():
    _, precision = run_and_ask(light_net(precision="f32"), noise((1, 3, 16, 24)), "INFERENCE_PRECISION_HINT")
    assert precision == ov.Type.f32


def test_a_process_among_others_has_one_thread_that_goes_where_there_is_room(monkeypatch):
    """Held on a core, the threads of all such processes would be on the same one."""
    x, names = noise((1, 3, 16, 24)), ("INFERENCE_NUM_THREADS", "ENABLE_CPU_PINNING")
    monkeypatch.setenv("POSE_THREADS", "1")
    assert run_and_ask(light_net(precision="f32"), x, *names)[1:] == (1, False)
    assert run_and_ask(light_net(precision="f32", threads=2), x, *names)[1] == min(2, n_cores())  # what was asked for


def test_threads():
    x = noise((1, 3, 16, 24))
    answer, n_threads = run_and_ask(light_net(precision="f32", threads=1), x, "INFERENCE_NUM_THREADS")
    assert n_threads == 1
    for a, b in zip(answer, light_net(precision="f32")(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE)


def blobs(folder) -> dict:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_second_start_uses_the_cache(tmp_path):
    x, folder = noise((1, 3, 16, 24)), tmp_path / "some" / "where"
    expected, from_cache = run_and_ask(light_net(precision="f32", cache_dir=folder), x, "LOADED_FROM_CACHE")
    assert not from_cache
    files = blobs(folder)
    assert len(files) == 1
    answer, from_cache = run_and_ask(light_net(precision="f32", cache_dir=folder), x, "LOADED_FROM_CACHE")
    assert from_cache
    for a, b in zip(answer, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert blobs(folder) == files


def test_cache_tells_weights_apart(tmp_path):
    x, weights = noise((1, 3, 16, 24)), light_weights()
    expected = light_net(precision="f32", cache_dir=tmp_path / "cache")(x)
    weights["head2_out/b"][7] += 1
    write_weights(tmp_path / "w.npz", weights)
    shifted = light_net(weights=tmp_path / "w.npz", precision="f32", cache_dir=tmp_path / "cache")(x)
    np.testing.assert_allclose(shifted[0][:, 7], expected[0][:, 7] + 1, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(shifted[1], expected[1], rtol=0, atol=TOLERANCE)


def test_cache_keeps_to_the_options_of_each_start(tmp_path):
    x = noise((1, 3, 16, 24))
    expected = light_net(precision="f32")(x)
    light_net(cache_dir=tmp_path)(x)  # perhaps in bf16
    for threads in (1, None):
        net = light_net(precision="f32", threads=threads, cache_dir=tmp_path)
        answer, precision, n_threads = run_and_ask(net, x, "INFERENCE_PRECISION_HINT", "INFERENCE_NUM_THREADS")
        assert precision == ov.Type.f32
        assert threads is None or n_threads == threads
        for a, b in zip(answer, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE)


def test_one_run_adds_only_a_few_shapes_to_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("engines.openvino_net.MAX_CACHED", 2)
    for make, n_blobs in ((light_net, 1), (per_shape_net, 2)):
        net = make(cache_dir=tmp_path / make.__name__)
        for width in range(8, 48, 8):
            net(noise((1, 3, 8, width)))
        assert len(blobs(tmp_path / make.__name__)) == n_blobs


def test_no_cache_unless_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    light_net()(noise((1, 3, 16, 24)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/below", "damaged"])
def test_a_cache_that_cannot_be_used_is_no_error(tmp_path, place):
    x = noise((1, 3, 16, 24))
    expected = light_net(precision="f32")(x)
    if place == "damaged":
        light_net(precision="f32", cache_dir=tmp_path / place)(x)
        for path in (tmp_path / place).iterdir():
            path.write_bytes(path.read_bytes()[:1000])
    else:
        (tmp_path / "file").write_text("no folder", encoding="utf-8")
    for a, b in zip(light_net(precision="f32", cache_dir=tmp_path / place)(x), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    if place != "damaged":
        assert (tmp_path / "file").read_text(encoding="utf-8") == "no folder"


def test_a_damaged_cache_is_compiled_again(tmp_path):
    """OpenVINO itself takes other weights from it without a word."""
    x = noise((1, 3, 16, 24))
    expected = light_net(precision="f32", cache_dir=tmp_path)(x)
    (blob,) = tmp_path.glob("*.blob")
    good = blob.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(3):
        data = bytearray(good)
        for at in rng.integers(len(data) // 4, len(data), 50):
            data[at] ^= 1 << rng.integers(8)
        for path in tmp_path.iterdir():
            path.unlink()
        blob.write_bytes(data)
        answer, from_cache = run_and_ask(light_net(precision="f32", cache_dir=tmp_path), x, "LOADED_FROM_CACHE")
        assert not from_cache
        for a, b in zip(answer, expected, strict=True):
            np.testing.assert_array_equal(a, b)
        assert [path.read_bytes() == data for path in tmp_path.iterdir()] == [False]


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_a_cache_is_its_owners_alone(tmp_path):
    x, folder, before = noise((1, 3, 16, 24)), tmp_path / "a" / "b", os.umask(0)
    try:
        light_net(cache_dir=folder)(x)
    finally:
        os.umask(before)
    for each in (folder, folder.parent):
        assert each.stat().st_mode & 0o777 == 0o700
    (blob,) = folder.iterdir()
    for mode in (0o770, 0o702):
        folder.chmod(mode)
        _, from_cache = run_and_ask(light_net(cache_dir=folder), x, "LOADED_FROM_CACHE")
        assert not from_cache
        assert [path.name for path in folder.iterdir()] == [blob.name]


def test_a_cache_of_another_user_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1, raising=False)
    assert not cache.make_room(tmp_path)


def test_what_a_killed_compilation_left_goes_after_an_hour(tmp_path):
    for name, age in ((f"{cache.WORKSHOP}new", 60), (f"{cache.WORKSHOP}old", 7200)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.blob").touch()
        then = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (then, then))
    assert cache.make_room(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{cache.WORKSHOP}new"]


def test_make_room_makes_the_folder(tmp_path):
    assert cache.make_room(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert cache.make_room(str(tmp_path / "a" / "b"))


def test_make_room_says_no_below_a_file(tmp_path):
    (tmp_path / "file").touch()
    assert not cache.make_room(tmp_path / "file")
    assert not cache.make_room(tmp_path / "file" / "below")


@pytest.mark.parametrize(("n_bytes", "kept"), [(1000, "abcd"), (400, "abcd"), (399, "abc"), (250, "ab"), (100, "a"), (99, "")])
def test_make_room_drops_the_oldest(tmp_path, monkeypatch, n_bytes, kept):
    monkeypatch.setattr(cache, "MAX_BYTES", n_bytes)
    for age, name in enumerate("abcd"):  # a is the newest
        path = tmp_path / f"{name}.blob"
        path.write_bytes(bytes(100))
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "not ours.txt").write_bytes(bytes(10_000))
    assert cache.make_room(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"not ours.txt", *(f"{name}.blob" for name in kept)}


def test_default_cache_dir_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_cache_dir() == tmp_path / "pose-toolkit" / "openvino"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if sys.platform != "win32":
        assert cache.default_cache_dir() == tmp_path / "home" / ".cache" / "pose-toolkit" / "openvino"


# Chainer


def test_gpu_without_cupy(monkeypatch):
    monkeypatch.setattr(chainer.backends.cuda, "available", False)
    message = refusal(open_net, "lightposenet", engine="chainer", device=0)
    assert message.startswith("--gpu 0: ")
    assert "CuPy" in message
    assert "pip install cupy" in message


@pytest.mark.parametrize("train", [True, False])
def test_chainer_net_leaves_the_configuration_as_it_was(train):
    net = open_net("lightposenet", engine="chainer")
    seen = []
    forward = net.chain.forward
    net.chain.forward = lambda *arguments: seen.append((chainer.config.train, chainer.config.enable_backprop)) or forward(*arguments)
    with chainer.using_config("train", train), chainer.using_config("enable_backprop", train):
        net(noise((1, 3, 16, 24)))
        assert (chainer.config.train, chainer.config.enable_backprop) == (train, train)
        with pytest.raises(chainer.utils.type_check.InvalidType):
            net(np.zeros((1, 4, 16, 24)))
        assert (chainer.config.train, chainer.config.enable_backprop) == (train, train)
    assert seen == [(False, False), (False, False)]


def test_chain_answers_with_all_stages_for_training():
    chain = TableChain(LIGHT.network)
    stages = chain(noise((2, 3, 16, 24)))
    assert [[output.shape for output in stage] for stage in stages] == [[(2, 38, 2, 3), (2, 19, 2, 3)]] * 2
    loss = sum(chainer.functions.sum(output) for stage in stages for output in stage)
    loss.backward()
    assert all(parameter.grad is not None for parameter in chain.params())


def test_a_chain_has_weights_of_its_own():
    x, weights = noise((1, 3, 16, 24)), light_weights()
    first, second = (ChainerNet.of_weights(LIGHT.network, weights) for _ in range(2))
    expected = second(x)
    first.chain.head2_out.b.array += 1
    for a, b, c in zip(first(x), second(x), expected, strict=True):
        np.testing.assert_allclose(a, c + 1, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(b, c)
    np.testing.assert_array_equal(weights["head2_out/b"], light_weights()["head2_out/b"])


# open_net


def test_unknown_network():
    assert "unknown network 'resnet': expected one of posenet, lightposenet, facenet, handnet" in refusal(open_net, "resnet")


def test_unknown_engine():
    assert "unknown engine 'caffe': expected openvino or chainer" in refusal(open_net, "lightposenet", engine="caffe")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("arch", ["posenet", "facenet", "handnet"])
def test_networks_that_ship_without_weights(arch, engine):
    message = refusal(open_net, arch, engine=engine)
    assert message.startswith(f"{arch} needs weights")
    assert "docs/networks.md" in message


@pytest.mark.parametrize("engine", ENGINES)
def test_missing_weights_file(engine, tmp_path):
    assert f"weights {tmp_path / 'none.npz'}: no such file" in refusal(open_net, "posenet", tmp_path / "none.npz", engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_net_knows_its_row(engine):
    net = open_net("lightposenet", engine=engine)
    assert net.arch == ARCHS["lightposenet"]
    assert net.arch.task == "pose"
    assert net.compile_seconds == 0.0


def test_tasks():
    tasks = {"posenet": "pose", "lightposenet": "pose", "facenet": "face", "handnet": "hand", "lightfacenet": "face", "lighthandnet": "hand"}
    assert {name: ARCHS[name].task for name in tasks} == tasks


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_named_are_the_weights_used(engine, tmp_path):
    weights = light_weights()
    weights["head2_out/b"] = weights["head2_out/b"] + 1
    write_weights(tmp_path / "w.npz", weights)
    x = noise((1, 3, 16, 24))
    options = {"engine": engine, "precision": "f32"}
    for a, b in zip(open_net("lightposenet", tmp_path / "w.npz", **options)(x), open_net("lightposenet", **options)(x), strict=True):
        np.testing.assert_allclose(a, b + 1, rtol=0, atol=1e-5)


def test_options_reach_openvino(tmp_path):
    net = open_net("lightposenet", device="CPU", precision="f32", threads=1, cache_dir=tmp_path)
    _, precision, n_threads = run_and_ask(net, noise((1, 3, 16, 24)), "INFERENCE_PRECISION_HINT", "INFERENCE_NUM_THREADS")
    assert (precision, n_threads) == (ov.Type.f32, 1)
    assert len(blobs(tmp_path)) == 1


class RequestOfNobody:
    """What OpenVinoNet._requests returns, as far as stream uses it: writes down what is done with it, and on whose data."""

    model_outputs, error = (), None

    def __init__(self, name, events):
        self.name, self.events, self.busy = name, events, False

    def start_async(self, inputs, share_inputs):
        assert not self.busy
        self.busy, self.data = True, weakref.ref(inputs[0])
        self.events.append(f"start {self.name}")

    def get_input_tensor(self, _):
        if self.busy:
            raise RuntimeError("it is busy")

    def cancel(self):
        self.busy = False
        self.events.append(f"cancel {self.name}")

    def wait_for(self, _):
        self.wait()
        return True

    def wait(self):
        if not self.busy:
            return
        assert self.data() is not None  # the device reads it until then
        self.busy = False
        self.events.append(f"wait {self.name}")
        if self.error:
            raise self.error


@pytest.fixture
def net_of_nobody():
    """An OpenVinoNet, compiled per shape, with two requests for each, which does nothing; .events, .requests."""
    net = object.__new__(OpenVinoNet)
    net.outputs, net.events, net.requests, net.n_compiled, net.compiled, net.beside, compiled = (), [], [], 0, {}, (), {}

    def requests_of(compiled):
        new = [RequestOfNobody(f"{name}{compiled.width}", net.events) for name in "ba"]
        net.requests += new
        return list(new)

    net._compile = lambda shape, changes: (compiled.setdefault(shape, SimpleNamespace(width=shape[3])), None)
    net._requests, net._check = requests_of, lambda shape: None
    return net


def pictures(*widths):
    return ((number, np.zeros((1, 3, 8, width), np.float32)) for number, width in enumerate(widths))


def test_stream_waits_for_each_request_before_it_is_used_again_or_given_up(net_of_nobody):
    answers = list(net_of_nobody.stream(pictures(16, 16, 16, 24, 16)))
    assert [number for number, _ in answers] == [0, 1, 2, 3, 4]
    events = "start a16, start b16, wait a16, start a16, wait b16, wait a16, start a24, wait a24, start a16, wait a16"
    assert net_of_nobody.events == events.split(", ")


@pytest.mark.parametrize("error", [GeneratorExit, ZeroDivisionError, RuntimeError])
def test_stream_that_ends_early_waits_for_what_is_on_its_way(error, net_of_nobody):
    """It is closed, or its source fails, or the device does."""

    def source():
        yield from pictures(16, 16, 16)
        if error is ZeroDivisionError:
            raise error
        yield from pictures(16)

    stream = net_of_nobody.stream(source())
    assert next(stream)[0] == 0
    failing, working = net_of_nobody.requests
    if error is GeneratorExit:
        stream.close()
    else:
        if error is RuntimeError:
            failing.error = error
        with pytest.raises(error):
            next(stream)
    assert not failing.busy
    assert not working.busy


END_AFTER_STREAM = """
import numpy as np
from models.layers import Network, Output, chain, conv, parameter_shapes
from engines.openvino_net import OpenVinoNet, build_model

rows = chain("data", conv("out", 4, stride=8))
weights = {name: np.zeros(shape, np.float32) for name, shape in parameter_shapes(rows).items()}
network = Network(rows, ((Output("out", 0, 4),),))
model = build_model(network, weights)


def endless():
    while True:
        yield "picture", np.zeros((1, 3, 16, 16), np.float32)


def one(number):
    net = OpenVinoNet(model, network.outputs, hint=("latency", "throughput")[number % 2])
    stream = net.stream(endless())
    for _ in range(1 + number % 4):
        next(stream)


for number in range(60):
    one(number)
print("all ended")
"""


def test_network_may_end_right_after_a_stream():
    """With callbacks in the device's threads the process ended instead (std::terminate), in the 45th round at the latest."""
    process = subprocess.run([sys.executable, "-c", END_AFTER_STREAM], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (process.stdout, process.returncode) == ("all ended\n", 0), process.stderr


INTERRUPT_AFTER_NETS = """
import gc
import signal
import numpy as np
from engines import open_net

nets = [open_net("lightposenet") for _ in range(3)]
for net in nets:
    net(np.zeros((1, 3, 16, 16), np.float32))
del net
while nets:
    del nets[0]  # the first one first
    gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_after_networks_have_ended():
    """OpenVINO's cores, had each network its own, would leave the thread with a stack for signals that is gone: a segmentation fault."""
    process = subprocess.run([sys.executable, "-c", INTERRUPT_AFTER_NETS], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (process.stdout, process.returncode) == ("interrupted\n", 0), process.stderr
