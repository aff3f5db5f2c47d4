"""Import OpenVINO, without its telemetry.

    from models.openvino_compat import ov

OpenVINO's package sends usage data from a thread as soon as it is imported, and writes a folder into the user's home. Nobody asked for that
here; it also forks in a way that now and then hangs a process which imports Chainer next. With `openvino_telemetry` out of reach,
OpenVINO (and NNCF) take their own stub for it.
"""

import sys

from errors import InputError

sys.modules.setdefault("openvino_telemetry", None)

try:
    import openvino as ov
except ModuleNotFoundError as error:
    cure = 'run: make venv (README, "Installation"), or use --engine chainer'
    raise InputError(f"the OpenVINO engine needs {error.name}, which is not installed; {cure}") from None

__all__ = ["ov"]
