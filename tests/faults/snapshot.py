"""Snapshots of training: read by a fresh run, which then takes a step."""

import io
import json

import numpy as np
import pytest
from faults import mutations
from faults.kinds import Kind, digest
from training_runs import narrow_posenet

from evaluation.curves import plot_log
from training import run, snapshot
from training.extensions import Stop, check_weights
from training.recipe import Recipe
from training.updater import plain_weights

FACTS = {"arch": "posenet", "samples": 3}
N_STEPS = 3


class Samples:
    """Three random samples of 32x32 pixels."""

    def __len__(self):
        return 3

    def sample(self, index, rng):
        return rng.random((3, 32, 32), np.float32), rng.random((38, 4, 4), np.float32), rng.random((19, 4, 4), np.float32), np.zeros((4, 4), bool)


class Snapshot(Kind):
    name, share, has_checksum = "snapshot", 0.4, True

    def __init__(self, folder):
        super().__init__(folder)
        narrow_posenet(pytest.MonkeyPatch())
        trainer = self._trainer(ema=0.9)
        run.add_log(trainer, self.recipe)
        log = trainer.get_extension("LogReport")
        trainer._start_at, trainer._snapshot_elapsed_time = 0.0, 0.0
        for number in range(1, N_STEPS + 1):
            trainer.updater.update()
            log._log.append({"main/loss": 2.0, "iteration": number, "elapsed_time": float(number), "rate": 1e-4})
        snapshot.save(self.folder / "good", trainer, FACTS)
        self.good = (self.folder / "good").read_bytes()

    def _trainer(self, ema):
        self.recipe = Recipe("posenet", str(self.folder), 32, iteration=10, batchsize=1, loaderjob=0, ema=ema, freeze=0, interval=1)
        device = run.open_device(-1)
        return run.make_trainer(self.recipe, (Samples(), None, None), None, None, None, device, Stop(10))[0]

    def damaged(self, rng):
        kind = rng.random()
        if kind < 0.4:
            return mutations.of_bytes(rng, self.good), False
        return (mutations.of_zip(rng, self.good) if kind < 0.6 else self._changed(rng)), True

    def _changed(self, rng) -> bytes:
        """An entry of another kind: a text that is other JSON, an array of another shape, type or value."""
        with np.load(io.BytesIO(self.good)) as arrays:
            entries = dict(arrays)
        small = [name for name, array in entries.items() if not array.ndim]
        name = str(rng.choice(small if rng.random() < 0.7 else list(entries)))
        array = entries[name]
        if array.dtype.kind == "U":
            array = np.array(mutations.of_json(rng, str(array)).decode(errors="replace"))
        else:
            kind = rng.integers(5)
            values = (np.nan, np.inf, -1, 0, 1, 3, 4, 2.5, 1e30, 2**31, 2**62, -(2**62))
            if kind == 0:
                array = array.astype(rng.choice(["f2", "f8", "i8", "i4", "U5", "?", "c8", "u8"]))
            elif kind == 1:
                array = array.reshape(rng.choice([1, array.size]), -1) if rng.random() < 0.5 else np.zeros(int(rng.integers(9)), array.dtype)
            elif kind == 2:
                del entries[name]
            else:
                allowed = values if array.dtype.kind == "f" else values[3:]
                with np.errstate(all="ignore"):
                    array = np.full(array.shape, allowed[rng.integers(len(allowed))]).astype(array.dtype)
        if name in entries:
            entries[name] = array
        file = io.BytesIO()
        np.savez(file, **entries)
        return file.getvalue()

    def answer(self, data):
        path = self.folder / "snapshot_iter_3"
        path.write_bytes(data)
        trainer = self._trainer(ema=0.9)
        run.add_log(trainer, self.recipe)
        with np.errstate(over="ignore", invalid="ignore"):
            snapshot.load(path, trainer, FACTS)
            trainer.updater.update()
            check_weights(trainer)
        log = trainer.get_extension("LogReport").log
        if json.dumps(log) != getattr(self, "log", None):
            plot_log({"log": log}, self.folder / "loss.png")
            self.log = json.dumps(log)
        return digest(*plain_weights(trainer.updater.get_optimizer("main").target).values()), self.log


KINDS = (Snapshot,)
