"""training/adam.py against Chainer's Adam, bit for bit."""

import numpy as np
import pytest

from engines.chainer_compat import chainer
from training.adam import BLOCK, Adam

SHAPES = {"one": (1,), "small": (4, 3), "block": (BLOCK,), "large": (7, BLOCK // 2, 2)}


def trained(optimizer, order="C") -> dict:
    """Weights and the optimizer's numbers after a few steps with made-up gradients; "one" has none."""
    rng = np.random.default_rng(0)
    chain = chainer.Chain()
    with chain.init_scope():
        for name, shape in SHAPES.items():
            setattr(chain, name, chainer.Parameter(np.asarray(rng.standard_normal(shape), np.float32, order=order)))
    optimizer.setup(chain)
    for step in range(3):
        optimizer.eta = 0.1 / (1 + step)
        for name, shape in SHAPES.items():
            getattr(chain, name).grad = None if name == "one" else np.asarray(rng.standard_normal(shape), np.float32, order=order)
        optimizer.update()
    parameters = dict(chain.namedparams())
    states = {f"{name}/{key}": array for name, parameter in parameters.items() for key, array in (parameter.update_rule.state or {}).items()}
    return {**{name: parameter.array for name, parameter in parameters.items()}, **states}


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("decay", [0, 0.01])
def test_the_same_bits(decay, order):
    mine, reference = (trained(kind(alpha=1, eta=0.1, weight_decay_rate=decay), order) for kind in (Adam, chainer.optimizers.Adam))
    assert mine.keys() == reference.keys()
    assert "/large/v" in mine
    for name, array in reference.items():
        np.testing.assert_array_equal(mine[name], array)
