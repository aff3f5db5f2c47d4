"""Adam on a CPU, in blocks that stay in a core's cache and are shared out to the cores: the same bits as Chainer's, which reads and writes each
weight some twenty times through memory.
"""

import numpy as np

from engines.chainer_blas import share
from engines.chainer_compat import chainer

BLOCK = 1 << 15  # numbers


class Rule(chainer.optimizers.adam.AdamRule):
    """Of one parameter. The plain Adam and AdamW (chainer.optimizers.Adam without amsgrad and adabound)."""

    def update_core_cpu(self, param):
        if param.grad is None:
            return
        arrays = [param.array, param.grad, self.state["m"], self.state["v"]]
        if not all(array.flags.c_contiguous for array in arrays):
            super().update_core_cpu(param)
            return
        arrays = [array.reshape(-1) for array in arrays]

        def work(number):
            self._update(*(array[number * BLOCK : (number + 1) * BLOCK] for array in arrays))

        share(work, -(-param.size // BLOCK))

    def _update(self, weights, gradient, m, v):
        """In place; Kingma and Ba, 2015, algorithm 1, in the order of Chainer's operations."""
        hyper = self.hyperparam
        m += (1 - hyper.beta1) * (gradient - m)
        v += (1 - hyper.beta2) * (gradient * gradient - v)
        step = self.alpha_t / (np.sqrt(v) + hyper.eps)
        if hyper.weight_decay_rate:
            weights *= 1 - hyper.eta * hyper.weight_decay_rate
        weights += -hyper.eta * (step * m)


class Adam(chainer.optimizers.Adam):
    def create_update_rule(self):
        return Rule(self.hyperparam)
