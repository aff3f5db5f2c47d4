"""What happens beside the iterations of a training run: validation, AP, progress, files."""

import contextlib
import io
from pathlib import Path

import numpy as np
from tqdm import tqdm

from engines.chainer_compat import chainer
from errors import InputError
from evaluation.curves import plot_log, read_log
from models.weights import write_weights
from parts import remove_leftovers
from training import snapshot
from training.updater import report_losses, targets, to_device, weights_to_save

extension = chainer.training.extension
MODEL = "model_iter_{}"


class Every:
    """The trigger of iterations that are a multiple of one of the periods, and of the last one. It has no state, so a run resumed between two of
    them keeps to the same iterations.
    """

    def __init__(self, *periods, last=None):
        self.periods, self.last = periods, last

    def __call__(self, trainer):
        iteration = trainer.updater.iteration
        return iteration == self.last or any(iteration % period == 0 for period in self.periods)


class Validation(chainer.training.extensions.Evaluator):
    """val/loss, val/paf and val/heat: the losses of training, over samples that never change."""

    name = "validation"

    def __init__(self, dataset, indices, batch_size, chain, device, communicator=None):
        """dataset.sample(index, None) for each of the indices; with a communicator of ChainerMN each process takes its share of them."""
        super().__init__({}, {"main": chain}, device=device)
        rank, size = (communicator.rank, communicator.size) if communicator else (0, 1)
        self.dataset, self.indices, self.batch_size, self.chain = dataset, indices[rank::size], batch_size, chain
        self.communicator, self.chosen_device = communicator, device

    def evaluate(self) -> dict:
        summary = chainer.reporter.DictSummary()
        for begin in range(0, len(self.indices), self.batch_size):
            batch = [self.dataset.sample(index, None) for index in self.indices[begin : begin + self.batch_size]]
            observation = {}
            with chainer.reporter.report_scope(observation), chainer.using_config("train", False), chainer.no_backprop_mode():
                report_losses(self.chain, *to_device(targets(batch), self.chosen_device), None)
            summary.add({f"val/{name}": (float(value.array), len(batch)) for name, value in observation.items()})
        return summary.compute_mean()


class AveragePrecision:
    """AP on some pictures of val, by COCO's own measure."""

    name = "average_precision"
    trigger, priority = (1, "iteration"), extension.PRIORITY_WRITER

    def __init__(self, measure):
        """measure() -> AP or None."""
        self.measure = measure

    def __call__(self, trainer):
        value = self.measure()
        chainer.report({"AP": 0.0 if value is None else value})


class Finite(chainer.training.Extension):
    """Raises InputError when the loss is no number any more."""

    name, priority = "finite", extension.PRIORITY_WRITER

    def __call__(self, trainer):
        if not np.isfinite(float(trainer.observation["main/loss"].array)):
            raise _diverged("the loss is", trainer)


def check_weights(trainer):
    """A finite loss does not tell: it is of the weights before the update."""
    chain = trainer.updater.get_optimizer("main").target
    if not all(np.isfinite(float(parameter.array.sum())) for parameter in chain.params()):
        raise _diverged("weights are", trainer)


def _diverged(what, trainer):
    cure = "begin again with a lower --lr, where there is one from the last model_iter_N (--initmodel)"
    return InputError(f"iteration {trainer.updater.iteration}: {what} NaN or infinity, the training has diverged; {cure}")


class DataWait(chainer.training.Extension):
    """`wait`: the share of the time that the updates spent waiting for data, 0 to 1."""

    name, priority = "wait", extension.PRIORITY_WRITER

    def __call__(self, trainer):
        chainer.report({"wait": trainer.updater.share_waited()})


class Progress(chainer.training.Extension):
    """A tqdm bar over the iterations, on stderr."""

    name, trigger, priority = "progress", (1, "iteration"), extension.PRIORITY_READER

    def __init__(self, total):
        self.total, self.bar = total, None

    def initialize(self, trainer):
        self.bar = tqdm(total=self.total, initial=trainer.updater.iteration, unit="iteration", disable=None)  # only on a terminal

    def __call__(self, trainer):
        self.bar.update(trainer.updater.iteration - self.bar.n)

    def finalize(self):
        if self.bar is not None:
            self.bar.close()


class Snapshots(chainer.training.Extension):
    """OUT/snapshot_iter_N, the whole state of the run; the `keep` newest stay."""

    name, priority = "snapshots", -100  # after the others, whose state it holds

    def __init__(self, folder, facts, keep):
        self.folder, self.facts, self.keep = Path(folder), facts, keep
        remove_leftovers(folder)

    def __call__(self, trainer):
        check_weights(trainer)
        path = self.folder / snapshot.NAME.format(trainer.updater.iteration)
        snapshot.save(path, trainer, self.facts)
        snapshot.prune(self.folder, self.keep, trainer.updater.iteration)


class Models(chainer.training.Extension):
    """OUT/model_iter_N: the weights, as the detectors take them."""

    name, priority = "models", -50

    def __init__(self, folder, chain):
        self.folder, self.chain = Path(folder), chain

    def __call__(self, trainer):
        check_weights(trainer)
        write_weights(self.folder / MODEL.format(trainer.updater.iteration), weights_to_save(self.chain))


class Curves(chainer.training.Extension):
    """OUT/loss.png: the curves of OUT/log."""

    name, priority = "curves", -60

    def __init__(self, folder):
        self.folder = Path(folder)

    def __call__(self, trainer):
        if (self.folder / "log").is_file():
            plot_log({"log": read_log(self.folder / "log")}, self.folder / "loss.png")


class Table(io.StringIO):
    """Where PrintReport writes: lines above the progress bar, without the escape sequences of terminals."""

    def write(self, text):
        *lines, rest = (self.getvalue() + text.replace("\033[J", "")).split("\n")
        for line in lines:
            tqdm.write(line.rstrip())
        self.seek(0)
        self.truncate()
        super().write(rest)
        return len(text)


class Stop:
    """The trigger that ends the run: after `total` iterations, or when `now` was set, which a signal does."""

    def __init__(self, total, communicator=None):
        """communicator: of ChainerMN, whose processes end together."""
        self.total, self.communicator, self.now = total, communicator, None

    def __call__(self, trainer):
        if self.communicator is not None:
            self.now = max(self.communicator.mpi_comm.allgather(self.now or 0)) or None
        return trainer.updater.iteration >= self.total or self.now is not None


def quiet():
    """`with quiet():` what Chainer and MPI print about their age while they are imported is left out."""
    return contextlib.redirect_stderr(io.StringIO())
