"""Import OpenVINO, without its telemetry and its converter.

    from engines.openvino_compat import open_core, ov

OpenVINO's package sends usage data from a thread as soon as it is imported, and writes a folder into the user's home. Nobody asked for that
here; it also forks in a way that now and then hangs a process which imports Chainer next. With `openvino_telemetry` out of reach,
OpenVINO (and NNCF) take their own stub for it. The converter of other frameworks' models takes 50 ms to import; who wants it (NNCF) still can,
afterwards.
"""

import sys
from contextlib import contextmanager
from functools import cache

from errors import InputError


@contextmanager
def kept_out(name):
    """`with kept_out(name):` a module that is not imported yet cannot be; a package that can do without it goes on."""
    before = sys.modules.setdefault(name, None)
    try:
        yield
    finally:
        if before is None:
            del sys.modules[name]


sys.modules.setdefault("openvino_telemetry", None)
CONVERTER = "openvino.tools.ovc"

try:
    with kept_out(CONVERTER):
        import openvino as ov
except ModuleNotFoundError as error:
    cure = "run: make venv (docs/install.md), or use --engine chainer"
    raise InputError(f"the OpenVINO engine needs {error.name}, which is not installed; {cure}") from None

__all__ = ["open_core", "ov"]


@cache
def open_core() -> ov.Core:
    """The one core of this process, which lives as long as it does.

    A core's plugin for the CPU gives the thread that it begins in a stack for signals, and takes it away again when it ends: with several
    cores that end in another order than they began, the next Ctrl-C finds a stack that is gone (segmentation fault).
    """
    return ov.Core()
