"""What libraries write on descriptor 2 is not seen while it is quiet; what we write is."""

import os
import subprocess
import sys
import threading
from pathlib import Path

from conftest import ROOT

from silence import quiet

PROGRAM = """
import os, sys
import silence
silence.own_stderr()
silence.own_stderr()
with silence.quiet():
    os.write(2, b"a library\\n")
    with silence.quiet():
        print("ours", file=sys.stderr)
    os.write(2, b"a library\\n")
os.write(2, b"after\\n")
"""


def run(**options):
    return subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, **options)


def test_we_are_heard_and_libraries_are_not():
    assert run().stderr.splitlines() == ["ours", "after"]


def test_with_stderr_closed():
    ended = run(preexec_fn=lambda: os.close(2))
    assert "a library" not in ended.stdout


def test_threads_share_the_quiet(capfd):
    begun, go_on = threading.Event(), threading.Event()

    def work():
        with quiet():
            begun.set()
            go_on.wait()
            os.write(2, b"second\n")

    thread = threading.Thread(target=work)
    with quiet():
        thread.start()
        begun.wait()
        os.write(2, b"first\n")
    go_on.set()
    thread.join()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_no_descriptor_is_left_open():
    folder = Path("/proc/self/fd")
    before = len(list(folder.iterdir()))
    for _ in range(3):
        with quiet():
            pass
    assert len(list(folder.iterdir())) == before
