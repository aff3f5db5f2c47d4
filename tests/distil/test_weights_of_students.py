"""Folding batch normalisation, and widening: the function of a network stays what it was, by Chainer as another program."""

import numpy as np
import pytest
from conftest import assert_input_error, seeded_weights

from distil.folding import folded, unfolded
from distil.widen import widen
from engines import open_net
from engines.chainer_compat import chainer
from engines.chainer_net import ChainerNet
from models import ARCHS, shapes_of
from models.layers import INPUT, Network, Output, add, chain, concat, conv, parameter_shapes
from models.light import light_network

EPSILON = 1e-5


def random_normalisation(rng, channels):
    names = {"gamma": rng.uniform(-2, 2, channels), "beta": rng.normal(size=channels), "mean": rng.normal(size=channels)}
    return {**names, "var": rng.uniform(0.01, 4, channels)}


def test_folding_is_what_convolution_and_normalisation_do():
    rng = np.random.default_rng(0)
    weight, parts = rng.normal(size=(5, 3, 3, 3)), random_normalisation(rng, 5)
    arrays = {"a/W": weight, **{f"a/{name}": array for name, array in parts.items()}, "b/W": rng.normal(size=(2, 5, 1, 1)), "b/b": rng.normal(size=2)}
    weights = folded({name: array.astype(np.float32) for name, array in arrays.items()}, EPSILON)
    assert [(name, array.dtype) for name, array in weights.items()] == [(name, np.float32) for name in ("a/W", "a/b", "b/W", "b/b")]
    x = rng.normal(size=(2, 3, 7, 6)).astype(np.float32)
    with chainer.using_config("train", False):
        y = chainer.functions.convolution_2d(x, weight.astype(np.float32), pad=1)
        expected = chainer.functions.fixed_batch_normalization(
            y, *(parts[name].astype(np.float32) for name in ("gamma", "beta", "mean", "var")), EPSILON
        )
        ours = chainer.functions.convolution_2d(x, weights["a/W"], weights["a/b"], pad=1)
    np.testing.assert_allclose(ours.array, expected.array, atol=1e-4)
    np.testing.assert_array_equal(weights["b/W"], arrays["b/W"].astype(np.float32))


def test_unfolding_and_folding_is_nothing():
    rng = np.random.default_rng(1)
    weight, bias, parts = rng.normal(size=(4, 2, 1, 1)), rng.normal(size=4), random_normalisation(rng, 4)
    gamma, beta = unfolded(bias, parts["mean"], parts["var"], EPSILON)
    again = folded({"a/W": weight, "a/gamma": gamma, "a/beta": beta, "a/mean": parts["mean"], "a/var": parts["var"]}, EPSILON)
    np.testing.assert_allclose(again["a/W"], weight, rtol=1e-6)
    np.testing.assert_allclose(again["a/b"], bias, rtol=1e-5, atol=1e-6)


def answers(network, weights, x):
    return np.concatenate(ChainerNet.of_weights(network, weights, -1)(x), axis=1)


@pytest.mark.parametrize("widths", [(40, 24, (8, 12)), (32, 16, (8, 9)), (32, 20, (10, 8)), (32, 16, (8, 8))])
def test_a_wider_network_answers_the_same(widths):
    narrow, wide = light_network((5, 2), 32, 16, (8, 8)), light_network((5, 2), *widths)
    weights = seeded_weights(parameter_shapes(narrow.layers))
    before = {name: array.copy() for name, array in weights.items()}
    wider = widen(weights, wide, np.random.default_rng(0))
    assert {name: array.shape for name, array in wider.items()} == parameter_shapes(wide.layers)
    assert all(array.dtype == np.float32 for array in wider.values())
    x = np.random.default_rng(2).random((2, 3, 24, 40), dtype=np.float32) - 0.5
    expected = answers(narrow, weights, x)
    np.testing.assert_allclose(answers(wide, wider, x), expected, atol=1e-5 * np.abs(expected).max())
    for name, array in weights.items():
        np.testing.assert_array_equal(array, before[name])


def test_the_new_channels_are_features_of_their_own():
    narrow, wide = light_network((3,), 8, 4, (4, 4)), light_network((3,), 12, 6, (6, 6))
    wider = widen(seeded_weights(parameter_shapes(narrow.layers)), wide, np.random.default_rng(0))
    assert np.linalg.matrix_rank(wider["stem1/W"].reshape(6, -1)) == 6
    assert wider["block1_reduce/W"][4:].std() > 0.1
    assert not wider["block1_reduce/W"][:4, 8:].any()  # what was there reads nothing new
    np.testing.assert_array_equal(wider["fuse/W"][:8, 8:12], 0)
    assert wider["fuse/W"][:8, 12:].all()  # the maps stand behind the features, which are more now


def test_concatenated_and_added_layers_find_their_channels():
    def network(width):
        layers = chain(INPUT, conv("a", width, 1), conv("b", width, 1), add("c", "a", "b"), concat("d", "c", INPUT, "a"), conv("e", 2, 1, relu=False))
        return Network(layers, ((Output("e", 0, 2),),))

    weights = seeded_weights(parameter_shapes(network(3).layers))
    x = np.random.default_rng(3).random((1, 3, 8, 8), dtype=np.float32)
    expected = run_at_stride_1(network(3), weights, x)
    np.testing.assert_allclose(run_at_stride_1(network(7), widen(weights, network(7), np.random.default_rng(0)), x), expected, atol=1e-5)


def run_at_stride_1(network, weights, x):
    from models.layers import run_layers

    def step(layer, inputs):
        if layer.op == "concat":
            return np.concatenate(inputs, 1)
        y = sum(inputs) if layer.op == "add" else np.einsum("nchw,oc->nohw", inputs[0], weights[f"{layer.name}/W"][..., 0, 0])
        y = y if layer.op == "add" else y + weights[f"{layer.name}/b"][:, None, None]
        return np.maximum(y, 0) if layer.relu else y

    return run_layers(network.layers, x, step, ["e"])["e"]


def test_weights_that_do_not_fit_are_refused():
    network, rng = ARCHS["lightfacenet"].network, np.random.default_rng(0)
    hand = seeded_weights(shapes_of("lighthandnet"))
    assert_input_error(lambda: widen(hand, network, rng), "--start", "head1_out/W", "(22, 96, 1, 1)")
    assert_input_error(lambda: widen({"a/W": np.zeros((1, 1, 1, 1))}, network, rng), "--start", "45 layers")
    wide = seeded_weights(parameter_shapes(light_network((71,), 104, 48, (16, 32)).layers))
    assert_input_error(lambda: widen(wide, network, rng), "or fewer channels")


def test_weights_of_the_same_widths_stay_as_they_are(tmp_path):
    from models.weights import read_weights, write_weights

    arch = "lightfacenet"
    weights = widen(read_weights(ARCHS[arch].weights, shapes_of(arch)), ARCHS[arch].network, np.random.default_rng(0))
    write_weights(tmp_path / "w.npz", weights)
    x = np.random.default_rng(4).random((1, 3, 64, 64), dtype=np.float32) - 0.5
    np.testing.assert_array_equal(open_net(arch, tmp_path / "w.npz", precision="f32")(x)[0], open_net(arch, precision="f32")(x)[0])
