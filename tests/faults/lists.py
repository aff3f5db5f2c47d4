"""Lists of files, as --input takes them."""

from faults import mutations
from faults.kinds import Kind, script
from videos import fake_main, write_pictures

LINES = (
    "",
    " ",
    ".",
    "..",
    "/",
    "//",
    "\x1f",
    "\x85",
    "\u3000",
    "a" * 300,
    "a/" * 3000,
    "#",
    "1.png",
    "./1.png",
    "sub",
    "list.txt",
    "http://x/y.png",
    "-r",
    "*",
    "~",
)


class List(Kind):
    name = "list of files"

    def __init__(self, folder):
        super().__init__(folder)
        write_pictures(self.folder, ["1.png", "2.png", "sub/3.png"])
        self.good = b"# pictures\n1.png\n2.png\nsub/3.png\n"

    def damaged(self, rng):
        if rng.random() < 0.4:
            return "\n".join(LINES[rng.integers(len(LINES))] for _ in range(rng.integers(1, 5))).encode(), True
        return mutations.of_bytes(rng, self.good), True

    def answer(self, data):
        path, out = self.folder / "list.txt", self.folder / "out.jsonl"
        path.write_bytes(data)
        out.unlink(missing_ok=True)
        script(fake_main, "--input", path, "--jsonl", out, many=True)
        return out.read_text() if out.exists() else ""


KINDS = (List,)
