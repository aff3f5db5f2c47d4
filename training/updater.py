"""Train a table of layers with Chainer: the loss, the chain with batch normalisation, the update, the average of the weights.

Sources: loss: Cao et al., CVPR 2017, eq. 5; batch normalisation: Ioffe and Szegedy, 2015, folded into the convolutions on saving.
"""

import time

import numpy as np

from engines.chainer_compat import chainer
from engines.chainer_net import TableChain, load_weights, parameter_of
from entity import LEARNING
from models.weights import fold_normalisation
from training.adam import Adam

F = chainer.functions
L = chainer.links
EPSILON = 1e-5  # of batch normalisation
DECAY = 0.01  # AdamW's: the weights shrink by this share of the rate in an iteration


def stage_losses(stages, pafs, heatmaps, weights):
    """(losses of the PAFs, losses of the heatmaps), a chainer.Variable per stage: mean squared errors (eq. 5).

    stages: per stage (pafs (N, 38, h, w), heatmaps (N, 19, h, w)), chainer.Variable; the targets pafs, heatmaps: arrays of these shapes;
    weights (N, 1, h, w) float32: of the squared errors of a cell, 0 where it does not count (it counts in the mean all the same).
    """
    paf_losses, heatmap_losses = [], []
    for answers in stages:
        for losses, answer, target in zip((paf_losses, heatmap_losses), answers, (pafs, heatmaps), strict=True):
            losses.append(F.sum(F.square(answer - target) * weights) / answer.size)
    return paf_losses, heatmap_losses


def initial_weights(shapes, rng) -> dict:
    """{name: array}: normal numbers with variance 1 / fan-in (LeCun), biases 0. shapes: models.shapes_of(arch)."""
    weights = {}
    for name, shape in shapes.items():
        if name.endswith("/W"):
            weights[name] = (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        else:
            weights[name] = np.zeros(shape, np.float32)
    return weights


class NormalisedChain(TableChain):
    """A table with batch normalisation after each convolution, except those that answer; `folded` gives the weights of the plain table."""

    def __init__(self, network, shapes, communicator=None):
        """shapes: models.shapes_of(arch). communicator: of ChainerMN, to normalise over the batches of all processes."""
        super().__init__(network)
        answers = {output.layer for stage in network.stages for output in stage}
        self.normalised = [layer.name for layer in network.layers if layer.op == "conv" and layer.name not in answers]
        with self.init_scope():
            for name in self.normalised:
                setattr(self, f"{name}_bn", _normalisation(shapes[f"{name}/b"][0], communicator))

    def _convolve(self, layer, x):
        if layer.name not in self.normalised:
            return super()._convolve(layer, x)
        y = self[f"{layer.name}_bn"](self._convolution(layer, x, relu=False))
        return F.relu(y) if layer.relu else y

    def folded(self) -> dict:
        weights = plain_weights(self)
        for name in self.normalised:
            bn = self[f"{name}_bn"]
            gamma, beta, mean, var = (_numpy(array) for array in (bn.gamma.array, bn.beta.array, bn.avg_mean, bn.avg_var))
            parts = fold_normalisation(weights[f"{name}/W"], weights[f"{name}/b"], gamma, beta, mean, var, EPSILON)
            weights[f"{name}/W"], weights[f"{name}/b"] = parts
        return weights


def _normalisation(size, communicator):
    if communicator is None:
        return L.BatchNormalization(size, eps=EPSILON)
    import chainermn

    chainer.disable_experimental_feature_warning = True  # a user can do nothing about it
    link = chainermn.links.MultiNodeBatchNormalization(size, communicator, eps=EPSILON)
    link.avg_var[...] = 1  # where Chainer's own begins; ChainerMN's begins with 0
    return link


def plain_weights(chain) -> dict:
    """{"conv1_1/W": array, ...}: the parameters of the table's convolutions in its order, NumPy float32."""
    names = [f"{layer.name}/{part}" for layer in chain.network.layers if layer.op == "conv" for part in "Wb"]
    return {name: _numpy(parameter_of(chain, name).array) for name in names}


def weights_to_save(chain) -> dict:
    """What models.weights.write_weights takes."""
    return chain.folded() if isinstance(chain, NormalisedChain) else plain_weights(chain)


def _numpy(array):
    return chainer.get_device("@numpy").send(array).copy()


def learning_rate(iteration, total, schedule="original", base=None) -> float:
    """The rate of an iteration (from 0). schedule: "original" (a tenth from LEARNING.drops on), "cosine" (rises for LEARNING.warmup
    iterations, then falls along a cosine to 0 at `total`), or "constant"."""
    base = LEARNING.rate if base is None else base
    if schedule == "original":
        return base * 0.1 ** sum(iteration >= drop for drop in LEARNING.drops)
    if schedule == "cosine":
        warmup = min(LEARNING.warmup, total // 2)
        if iteration < warmup:
            return base * (iteration + 1) / warmup
        return base * 0.5 * (1 + np.cos(np.pi * (iteration - warmup) / max(total - warmup, 1)))
    return base


def make_optimizer(name, rate):
    """Adam, AdamW or SGD with momentum."""
    if name in ("adam", "adamw"):  # the rate is their eta, which, unlike alpha, scales the decay too (Loshchilov and Hutter, 2019)
        return Adam(alpha=1, eta=rate, weight_decay_rate=DECAY if name == "adamw" else 0)
    return chainer.optimizers.MomentumSGD(lr=rate, momentum=0.9)


class Updater(chainer.training.updaters.StandardUpdater):
    """One iteration: a batch, the loss, its gradients (averaged over the processes), the update.

    All of its state is in `serialize`: an interrupted run that is resumed goes on bit for bit.
    """

    def __init__(
        self, iterator, optimizer, device, rate_of, ema=None, ema_decay=0.0, frozen=(), slow=(), freeze_until=0, teacher=None, communicator=None
    ):
        """rate_of(iteration) -> rate. ema: a copy of the chain that gets the running average of its weights. frozen: layers that rest until
        iteration freeze_until; slow: layers whose gradients are scaled (entity.Learning). teacher: Teacher or None.
        """
        super().__init__(iterator, optimizer, device=device)
        self.rate_of, self.ema, self.ema_decay = rate_of, ema, ema_decay
        self.frozen, self.slow, self.freeze_until = frozen, slow, freeze_until
        self.teacher, self.communicator = teacher, communicator
        for layer in frozen:  # before a snapshot is read: what rests has no state of the optimizer in it
            optimizer.target[layer].disable_update()
        self.waited = self.worked = 0.0  # seconds for data, and for all, since they were last asked for

    def update_core(self):
        begin = time.perf_counter()
        batch = self.get_iterator("main").next()
        self.waited += time.perf_counter() - begin
        optimizer, chain = self.get_optimizer("main"), self.get_optimizer("main").target
        for layer in self.frozen:
            chain[layer].enable_update() if self.iteration >= self.freeze_until else chain[layer].disable_update()
        chain.cleargrads()
        loss = report_losses(chain, *to_device(targets(batch, self.teacher), self.device), chain)
        loss.backward()
        if self.communicator is not None:
            self.communicator.multi_node_mean_grad(chain)
        for layer in self.slow:
            for parameter in chain[layer].params():
                if parameter.grad is not None:
                    parameter.grad *= LEARNING.slow_factor
        setattr(optimizer, "eta" if hasattr(optimizer, "eta") else "lr", self.rate_of(self.iteration))
        optimizer.update()
        if self.ema is not None:
            average(self.ema, chain, min(self.ema_decay, (1 + self.iteration) / (10 + self.iteration)))
        self.worked += time.perf_counter() - begin

    def share_waited(self) -> float:
        """The share of the time since the last call that was spent waiting for data."""
        share, self.waited, self.worked = self.waited / max(self.worked, 1e-9), 0.0, 0.0
        return share

    def serialize(self, serializer):
        super().serialize(serializer)
        if self.ema is not None:
            self.ema.serialize(serializer["ema"])


def report_losses(chain, x, pafs, heatmaps, weights, observer):
    """The loss of a batch on the chain's device, with its parts reported to chainer: loss, paf and heat (sums over the stages)."""
    paf_losses, heatmap_losses = stage_losses(chain(x), pafs, heatmaps, weights)
    paf, heat = sum(paf_losses), sum(heatmap_losses)
    loss = paf + heat
    chainer.report({"loss": loss, "paf": paf, "heat": heat}, observer)
    return loss


def targets(batch, teacher=None):
    """x, pafs, heatmaps, weights of a batch as arrays. batch: samples (x, pafs, heatmaps, ignore_mask) of CocoDataLoader.

    Where a cell does not count, it takes the teacher's maps as its target, if there is one, with the teacher's weight.
    """
    x, pafs, heatmaps, ignored = (np.stack(column) for column in zip(*batch, strict=True))
    ignored = ignored[:, None]
    weights = 1 - ignored.astype(np.float32)
    if teacher is not None and ignored.any():
        taught_pafs, taught_heatmaps = teacher(x)
        pafs, heatmaps = np.where(ignored, taught_pafs, pafs), np.where(ignored, taught_heatmaps, heatmaps)
        weights = np.where(ignored, np.float32(teacher.weight), weights)
    return x, pafs, heatmaps, weights


def to_device(arrays, device):
    return [device.send(array) for array in arrays]


class Teacher:
    """pafs, heatmaps = teacher(x): the maps of another network, for x normalised as ours."""

    def __init__(self, net, weight):
        """net: engines.open_net(...). weight: of its maps' squared errors; a label's is 1."""
        self.net, self.weight = net, weight

    def __call__(self, x):
        """x (N, 3, H, W) float32, BGR / 255 - 0.5 -> (N, 38, H/8, W/8), (N, 19, H/8, W/8)."""
        return self.net((x + np.float32(0.5)) * np.float32(255 * self.net.arch.scale) + np.float32(self.net.arch.offset))


def average(ema, chain, decay):
    """ema's parameters and statistics: decay of the old, the rest of the chain's."""
    for (_, old), (_, new) in zip(sorted(ema.namedparams()), sorted(chain.namedparams()), strict=True):
        old.array *= decay
        old.array += (1 - decay) * new.array
    for link, source in zip(ema.links(), chain.links(), strict=True):
        for name in link._persistent:
            if hasattr(getattr(link, name), "shape"):
                getattr(link, name)[...] = getattr(source, name)


def make_chain(network, shapes, weights, normalise=False, communicator=None):
    """The chain to train, with its first weights (of the plain table)."""
    chain = NormalisedChain(network, shapes, communicator) if normalise else TableChain(network)
    load_weights(chain, weights)
    return chain
