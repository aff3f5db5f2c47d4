"""Import Chainer 7.8.1, the last one (2022), on NumPy 2 and a recent Python.

    from engines.chainer_compat import chainer

Chainer is in maintenance and three things that it reads at import or at run time have left NumPy:
`numpy.float` (1.24), `numpy.sctypes` (2.0) and the package `numpy.distutils` (gone with Python 3.12; asked only whether a Mac's BLAS is sound).
They are put back here, before the import. Its import also warns of its own old age (pkg_resources, invalid escape sequences); a user
can do nothing about that, so exactly those categories are silenced, and only while the import runs.
"""

import os
import sys
import types
import warnings

import numpy

from errors import InputError


def _put_back():
    if "float" not in vars(numpy):
        numpy.float = float
    if "sctypes" not in vars(numpy):
        numpy.sctypes = {
            "int": [numpy.int8, numpy.int16, numpy.int32, numpy.int64],
            "uint": [numpy.uint8, numpy.uint16, numpy.uint32, numpy.uint64],
            "float": [numpy.float16, numpy.float32, numpy.float64],
            "complex": [numpy.complex64, numpy.complex128],
            "others": [bool, object, bytes, str, numpy.void],
        }
    numpy.distutils = types.ModuleType("numpy.distutils")
    numpy.distutils.system_info = types.ModuleType("numpy.distutils.system_info")
    numpy.distutils.system_info.get_info = lambda *_: {}
    sys.modules["numpy.distutils"] = numpy.distutils
    sys.modules["numpy.distutils.system_info"] = numpy.distutils.system_info


def _import_chainer():
    with warnings.catch_warnings():
        for category in (DeprecationWarning, SyntaxWarning):
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
        os.environ.setdefault("CHAINER_WARN_VERSION_MISMATCH", "0")  # it knows no CuPy newer than 7
        _put_back()
        try:
            import chainer
        except ModuleNotFoundError as error:
            cure = "pip install 'setuptools<81'" if error.name == "pkg_resources" else "make venv (docs/install.md)"
            raise InputError(f"the Chainer engine needs {error.name}, which is not installed; run: {cure}, or use --engine openvino") from None
    return chainer


chainer = _import_chainer()
