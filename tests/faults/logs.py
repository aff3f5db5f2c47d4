"""Logs of training."""

import json

from faults import mutations
from faults.kinds import Kind, script

import plot_train_log


class Log(Kind):
    name, share = "log of training", 0.3

    def __init__(self, folder):
        super().__init__(folder)
        entries = [
            {
                "main/loss": 2 / n,
                "main/paf": 1 / n,
                "main/heat": 1 / n,
                "val/loss": 3 / n,
                "AP": n / 100,
                "rate": 1e-4,
                "iteration": n,
                "elapsed_time": n,
            }
            for n in range(1, 6)
        ]
        self.good = json.dumps(entries).encode()

    def damaged(self, rng):
        return mutations.of_json(rng, self.good.decode()), True

    def answer(self, data):
        path, out = self.folder / "log", self.folder / "loss.png"
        path.write_bytes(data)
        out.unlink(missing_ok=True)
        script(plot_train_log.main, path)
        return out.stat().st_size > 0


KINDS = (Log,)
