"""What the tests share: where ../shared is, seeded weights, and a way to run a script as a user does."""

import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from errors import InputError

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
PATIENCE = 900  # seconds for a process, or for what another one does: what takes longer hangs, however busy the machine is

# Started in the background of a shell, or by nohup, this process ignores signals, and what it starts would inherit that: with a handler it does not.
INHERITED = {signal.SIGINT: signal.default_int_handler} | {getattr(signal, name): lambda *_: None for name in ("SIGHUP",) if hasattr(signal, name)}
for number, handler in INHERITED.items():
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

needs_shared = pytest.mark.skipif(not (SHARED / "samples").is_dir(), reason=f"{SHARED} with photos and networks of others is not here")


@pytest.fixture
def no_screen(monkeypatch):
    """As on a machine without a screen."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


def golden(name):
    """The arrays of a file of tests/golden, by key (tests/golden/README.md)."""
    with np.load(ROOT / "tests" / "golden" / name) as arrays:
        return {key: arrays[key] for key in arrays.files}


def seeded_weights(shapes) -> dict:
    """The weights of the golden net_* outputs, for any table: He-scaled normal numbers, seeded by the layer's name (tests/golden/README.md)."""
    weights = {}
    for name, shape in shapes.items():
        if name.endswith("/W"):
            layer = name.removesuffix("/W")
            rng = np.random.default_rng(zlib.crc32(layer.encode()))
            weights[name] = (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
            weights[f"{layer}/b"] = (rng.standard_normal(shape[0]) * 0.1).astype(np.float32)
    return weights


def run_script(*arguments, cwd=ROOT, env=None, timeout=PATIENCE):
    """Run a script of the project: run_script("pose_detector.py", "lightposenet", ...) -> CompletedProcess with text output."""
    script, *rest = map(str, arguments)
    return subprocess.run(
        [sys.executable, str(ROOT / script), *rest], cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=timeout
    )


def assert_input_error(call, *words):
    """call() raises InputError with one line that holds the words."""
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    for word in words:
        assert str(word) in str(error.value)


def assert_refused(process, *words):
    """Exit status 2, one line on stderr that holds the words, nothing on stdout."""
    assert process.returncode == 2, process.stderr
    assert process.stdout == ""
    assert process.stderr.count("\n") == 1
    assert process.stderr.endswith("\n")
    for word in words:
        assert str(word) in process.stderr
