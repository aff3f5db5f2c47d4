"""training/updater.py: the loss against the original's, the update, batch normalisation and its folding, the average, the teacher."""

import copy
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import golden

from engines.chainer_compat import chainer
from engines.chainer_net import ChainerNet, TableChain, load_weights
from models import ARCHS, shapes_of
from models.layers import Network, Output, add, chain, concat, conv, parameter_shapes, pool
from training.updater import (
    NormalisedChain,
    Teacher,
    Updater,
    average,
    initial_weights,
    learning_rate,
    make_chain,
    make_optimizer,
    stage_losses,
    targets,
    weights_to_save,
)

CELLS = 2
ROWS = chain(
    "data",
    *(conv("first", 4, stride=2), conv("second", 4, stride=2), pool("half")),
    *(conv("side", 4, relu=False), add("sum", "half", "side"), conv("out1", 57, 1, relu=False)),
    *(concat("joined", "sum", "out1"), conv("third", 4, 1), conv("out2", 57, 1, relu=False)),
)
TINY = Network(ROWS, tuple((Output(name, 0, 38), Output(name, 38, 57)) for name in ("out1", "out2")))
SHAPES = parameter_shapes(ROWS)
CPU = chainer.get_device("@numpy")


def rng(seed=0):
    return np.random.default_rng(seed)


def noise(shape, seed=0):
    return rng(seed).standard_normal(shape).astype(np.float32)


def sample(seed, ignored=False):
    mask = np.full((CELLS, CELLS), ignored)
    return noise((3, 16, 16), seed), noise((38, CELLS, CELLS), seed + 1), noise((19, CELLS, CELLS), seed + 2), mask


class Batches(chainer.dataset.Iterator):
    """The same samples, for ever."""

    epoch, epoch_detail, previous_epoch_detail, is_new_epoch = 0, 0.0, 0.0, False

    def __init__(self, batch):
        self.batch = batch

    def next(self):
        return self.batch


def make_updater(normalise=False, optimizer="sgd", rate=0.01, batch=(1, 20), **options):
    tiny = make_chain(TINY, SHAPES, initial_weights(SHAPES, rng()), normalise)
    rate_of = rate if callable(rate) else lambda _: rate
    return Updater(Batches([sample(seed) for seed in batch]), make_optimizer(optimizer, 1.0).setup(tiny), CPU, rate_of, **options), tiny


# The loss


def resize(array, size):
    """(..., H, W) -> (..., size, size), bilinear, the corners on the corners."""
    for axis in (-2, -1):
        places = np.linspace(0, array.shape[axis] - 1, size)
        low = np.minimum(places.astype(int), array.shape[axis] - 2)
        share = (places - low).reshape((size,) + (1,) * (-1 - axis))
        array = np.take(array, low, axis) * (1 - share) + np.take(array, low + 1, axis) * share
    return array


def test_the_loss_is_the_originals():
    expected = golden("loss.npz")
    stages = [[chainer.Variable(expected[f"{name}_y{stage}"]) for name in ("pafs", "heat")] for stage in (0, 1)]
    pafs, heatmaps, ignored = (resize(expected[name].astype(np.float64), 12) for name in ("pafs_t", "heatmaps_t", "ignore_mask"))
    weights = 1 - (ignored > 0)[:, None].astype(np.float32)
    assert 0 < weights.mean() < 1
    losses = stage_losses(stages, pafs.astype(np.float32), heatmaps.astype(np.float32), weights)
    for name, values in zip(("paf_loss", "heatmap_loss"), losses, strict=True):
        np.testing.assert_allclose([float(value.array) for value in values], expected[name], rtol=1e-6)
    np.testing.assert_allclose(sum(float(value.array) for values in losses for value in values), expected["total"], rtol=1e-6)


def tiny_loss(stages, pafs, heatmaps, weights):
    return sum(value for values in stage_losses(stages, pafs, heatmaps, weights) for value in values)


def test_its_gradient_is_that_of_finite_differences_and_0_in_masked_cells():
    pafs, heatmaps = noise((2, 4, 3, 3), 1).astype(np.float64), noise((2, 2, 3, 3), 2).astype(np.float64)
    weights = np.ones((2, 1, 3, 3))
    weights[0, 0, 1, 2], weights[1, 0, 0, 0] = 0, 0.3
    answers = [noise(pafs.shape, 3).astype(np.float64), noise(heatmaps.shape, 4).astype(np.float64)]
    variables = [chainer.Variable(array) for array in answers]
    tiny_loss([variables], pafs, heatmaps, weights).backward()
    for number, variable in enumerate(variables):
        slope = np.zeros_like(variable.array)
        for place in np.ndindex(*slope.shape):
            ends = []
            for step in (1e-4, -1e-4):
                moved = [array.copy() for array in answers]
                moved[number][place] += step
                ends.append(float(tiny_loss([moved], pafs, heatmaps, weights).array))
            slope[place] = (ends[0] - ends[1]) / 2e-4
        np.testing.assert_allclose(variable.grad, slope, rtol=0, atol=1e-9)
        assert not variable.grad[0, :, 1, 2].any()
        assert np.abs(variable.grad[0, :, 1, 1]).min() > 0


# Batch normalisation, and the average of the weights


@pytest.mark.parametrize("network", [TINY, ARCHS["lightposenet"].network], ids=["tiny", "lightposenet"])
def test_folded_weights_answer_as_the_chain_with_batch_normalisation(network):
    shapes = parameter_shapes(network.layers)
    normalised = make_chain(network, shapes, initial_weights(shapes, rng()), normalise=True)
    optimizer = chainer.optimizers.Adam(alpha=0.01).setup(normalised)
    for seed in range(4):
        x = noise((3, 3, 32, 32), seed) * 2 + 1
        optimizer.update(lambda x=x: sum(chainer.functions.mean(output**2) for stage in normalised(x) for output in stage))
    folded, x = weights_to_save(normalised), noise((2, 3, 40, 32), 9)
    assert {name: array.shape for name, array in folded.items()} == shapes
    assert list(folded) == list(shapes)
    assert {array.dtype for array in folded.values()} == {np.dtype(np.float32)}
    plain = TableChain(network)
    load_weights(plain, folded)
    expected, answers = ChainerNet(normalised, CPU)(x), ChainerNet(plain, CPU)(x)
    for answer, right in zip(answers, expected, strict=True):
        assert np.abs(right).max() > 0.01
        np.testing.assert_allclose(answer, right, rtol=0, atol=2e-6 * max(1, np.abs(right).max()))


def test_layers_that_answer_are_not_normalised():
    names = NormalisedChain(TINY, SHAPES).normalised
    assert names == ["first", "second", "side", "third"]


def test_the_average_of_the_weights():
    updater, tiny = make_updater(normalise=True)
    ema = copy.deepcopy(tiny)
    before = {name: parameter.array.copy() for name, parameter in ema.namedparams()}
    updater.update()
    average(ema, tiny, 0.9)
    new = dict(tiny.namedparams())
    for name, parameter in ema.namedparams():
        np.testing.assert_allclose(parameter.array, 0.9 * before[name] + 0.1 * new[name].array, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(ema.first_bn.avg_mean, tiny.first_bn.avg_mean)
    assert ema.first_bn.avg_mean.any()
    assert not np.shares_memory(ema.first_bn.avg_mean, tiny.first_bn.avg_mean)


def test_the_average_follows_closely_at_first():
    """Its decay is (1 + n) / (10 + n) until that reaches --ema: the random first weights are soon forgotten."""
    updater, tiny = make_updater()
    updater.ema, updater.ema_decay, updater.iteration = copy.deepcopy(tiny), 0.6, 5
    for decay in (6 / 15, 7 / 16, 8 / 17, 9 / 18, 10 / 19, 11 / 20, 12 / 21, 13 / 22, 0.6, 0.6):
        old = updater.ema.out1.b.array.copy()
        updater.update()
        np.testing.assert_allclose(updater.ema.out1.b.array, decay * old + (1 - decay) * tiny.out1.b.array, rtol=0, atol=1e-6)


# The update


def test_schedules():
    original = [learning_rate(iteration, 300_000) for iteration in (0, 99_999, 100_000, 199_999, 200_000, 299_999)]
    np.testing.assert_allclose(original, [1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6])
    cosine = partial(learning_rate, total=5000, schedule="cosine", base=2.0)
    np.testing.assert_allclose([cosine(0), cosine(499), cosine(999), cosine(1000), cosine(3000)], [0.002, 1, 2, 2, 1])
    np.testing.assert_allclose(cosine(5000), 0, atol=1e-12)
    rates = [cosine(iteration) for iteration in range(5000)]
    assert (np.diff(rates[:1000]) > 0).all()
    assert (np.diff(rates[1001:]) < 0).all()
    assert learning_rate(123, 200, "constant", 0.5) == 0.5
    assert 0 < learning_rate(0, 1, "cosine", 1.0) <= 1


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_the_rate_of_an_iteration_is_used(optimizer):
    updater, tiny = make_updater(optimizer=optimizer, rate=lambda iteration: 0.0 if iteration == 0 else 0.01)
    before = tiny.first.W.array.copy()
    updater.update()
    np.testing.assert_array_equal(tiny.first.W.array, before)
    updater.update()
    assert (tiny.first.W.array != before).any()


def test_adamw_is_adam_with_a_decay_that_the_rate_scales():
    steps = {}
    for name in ("adam", "adamw"):
        updater, tiny = make_updater(optimizer=name, rate=0.02)
        before = tiny.first.W.array.copy()
        updater.update()
        steps[name] = tiny.first.W.array - before
    np.testing.assert_allclose(np.abs(steps["adam"]).max(), 0.02, rtol=1e-3)  # Adam's first step is the rate
    np.testing.assert_allclose(steps["adamw"], steps["adam"] - 0.02 * 0.01 * before, rtol=0, atol=1e-7)


def test_frozen_layers_rest_until_it_is_time():
    updater, tiny = make_updater(frozen=["first", "second"], freeze_until=2)
    before = {name: parameter.array.copy() for name, parameter in tiny.namedparams()}

    def changed():
        return {name.split("/")[1] for name, parameter in tiny.namedparams() if (parameter.array != before[name]).any()}

    for _ in range(2):
        updater.update()
        assert changed() == {"side", "out1", "third", "out2"}
    updater.update()
    assert changed() == {"first", "second", "side", "out1", "third", "out2"}


def test_gradients_of_slow_layers_are_a_quarter():
    """A first step of SGD is the rate times the gradient."""
    steps = []
    for slow in ([], ["first", "side"]):
        updater, tiny = make_updater(slow=slow)
        before = {name: parameter.array.copy() for name, parameter in tiny.namedparams()}
        updater.update()
        steps.append({name: parameter.array - before[name] for name, parameter in tiny.namedparams()})
    for name, step in steps[0].items():
        factor = 0.25 if name.split("/")[1] in ("first", "side") else 1
        assert step.any()
        np.testing.assert_allclose(steps[1][name], factor * step, rtol=0, atol=1e-6)


# The teacher


class Constant:
    """A network that answers 2 and 3, and keeps what it was given."""

    arch = SimpleNamespace(scale=1, offset=0)

    def __call__(self, x):
        self.x = x
        return np.full((len(x), 38, CELLS, CELLS), 2, np.float32), np.full((len(x), 19, CELLS, CELLS), 3, np.float32)


def test_ignored_cells_take_the_teachers_maps_with_its_weight():
    labelled, unlabelled = sample(1), sample(2, ignored=True)
    labelled[3][0, 1] = True
    net = Constant()
    x, pafs, heatmaps, weights = targets([labelled, unlabelled], Teacher(net, 0.5))
    np.testing.assert_allclose(net.x, (x + 0.5) * 255, rtol=1e-6)  # fed as its own network is
    assert weights[0, 0].tolist() == [[1, 0.5], [1, 1]]
    assert (weights[1], pafs[1], heatmaps[1]) == (pytest.approx(0.5), pytest.approx(2), pytest.approx(3))
    np.testing.assert_array_equal(pafs[0, :, 0, 1], 2)
    np.testing.assert_array_equal(heatmaps[0, :, 0, 1], 3)
    for answer, label in ((pafs, labelled[1]), (heatmaps, labelled[2])):
        np.testing.assert_array_equal(answer[0, :, 1], label[:, 1])
    assert {array.dtype for array in (x, pafs, heatmaps, weights)} == {np.dtype(np.float32)}


def test_without_a_teacher_ignored_cells_do_not_count():
    *_, weights = targets([sample(1), sample(2, ignored=True)])
    assert (weights[0] == 1).all()
    assert not weights[1].any()


def test_a_batch_without_labels_teaches_only_through_a_teacher():
    for teacher, moves in ((None, False), (Teacher(Constant(), 1.0), True)):
        updater, tiny = make_updater(teacher=teacher)
        updater.get_iterator("main").batch = [sample(2, ignored=True)]
        before = tiny.out2.b.array.copy()
        updater.update()
        assert (tiny.out2.b.array != before).any() == moves


def test_first_weights_have_the_variance_of_lecun():
    weights = initial_weights(shapes_of("lightposenet"), rng(3))
    assert list(weights) == list(shapes_of("lightposenet"))
    assert not any(array.any() for name, array in weights.items() if name.endswith("/b"))
    wide = weights["block1_conv/W"]
    np.testing.assert_allclose(wide.std(), 1 / np.sqrt(96 * 9), rtol=0.02)
