"""What is asked of a training is checked before it begins; no PyTorch is needed for that."""

import pytest

from distil.options import Training, check_state
from errors import InputError


def training(state, **values):
    fields = dict.fromkeys(Training._fields) | {"state": str(state), "resume": False, "compile": False, **values}
    return Training(**fields)


def test_compiling_needs_a_compiler(tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    check_state(training(tmp_path / "s.pt"))
    with pytest.raises(InputError, match=r"C\+\+ compiler"):
        check_state(training(tmp_path / "s.pt", compile=True))
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    check_state(training(tmp_path / "s.pt", compile=True))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="named in CXX"):
        check_state(training(tmp_path / "s.pt", compile=True))
