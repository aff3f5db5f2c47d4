"""Files of results that --resume continues."""

import json

from faults import mutations
from faults.kinds import Kind, script
from videos import fake_main, write_pictures


class JsonLines(Kind):
    name, option, suffix = "results .jsonl", "--jsonl", ".jsonl"

    def __init__(self, folder):
        super().__init__(folder)
        write_pictures(self.folder / "in", ["0.png", "1.png", "2.png", "4.png"])
        self.path = self.folder / f"out{self.suffix}"
        self._run()
        self.good = self.path.read_bytes()

    def _run(self):
        script(fake_main, "--input", self.folder / "in", self.option, self.path, "--resume")

    def damaged(self, rng):
        lines = self.good.decode().splitlines()
        number = rng.integers(len(lines))
        if rng.random() < 0.6:
            changed = mutations.of_json(rng, lines[number]).replace(b"\n", b"")
            return b"".join((changed if i == number else line.encode()) + b"\n" for i, line in enumerate(lines)), True
        return mutations.of_bytes(rng, self.good), True

    def answer(self, data):
        for file in self.folder.glob("*out*"):
            file.unlink()
        self.path.write_bytes(data)
        try:
            self._run()
        except BaseException:
            assert self.path.read_bytes() == data, "refused, and changed all the same"
            raise
        return self.path.read_bytes()


class Csv(JsonLines):
    name, option, suffix = "results .csv", "--csv", ".csv"

    def damaged(self, rng):
        return mutations.of_bytes(rng, self.good), True


class Coco(JsonLines):
    name, option, suffix = "results of COCO", "--coco_results", ".json"

    def damaged(self, rng):
        return mutations.of_json(rng, self.good.decode()) if rng.random() < 0.6 else mutations.of_bytes(rng, self.good), True

    def answer(self, data):
        written = super().answer(data)
        json.loads(written)
        return written


KINDS = (JsonLines, Csv, Coco)
