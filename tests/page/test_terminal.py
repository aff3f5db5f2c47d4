"""What libraries say of a request is one line in the page's terminal."""

import logging
import sys
import types

import pytest

from page import terminal


@pytest.fixture
def brief(monkeypatch):
    """As in the page's process; a module of Gradio's that prints what it catches."""
    module = types.ModuleType("gradio.queueing")
    module.traceback = terminal.traceback
    monkeypatch.setitem(sys.modules, module.__name__, module)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    terminal.be_brief()
    yield module
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    for name, other in list(sys.modules.items()):
        if name.split(".")[0] == "gradio" and isinstance(getattr(other, "traceback", None), terminal.OneLine):
            other.traceback = terminal.traceback


class ClientDisconnect(Exception):
    """As Starlette's."""


def test_an_exception_that_is_printed_is_a_line(brief, capsys):
    for error in (ValueError("of\nseveral lines"), ClientDisconnect(), ConnectionResetError("gone")):
        try:
            raise error
        except Exception:
            brief.traceback.print_exc()
    assert capsys.readouterr().err == "web_demo.py: a request was refused (ValueError: of several lines)\n"
    assert brief.traceback.format_exc


def test_an_exception_that_is_logged_is_a_line(brief, capsys):
    for error in (ValueError("x" * 1000), ClientDisconnect()):
        try:
            raise error
        except Exception:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    logging.getLogger("asyncio").info("nothing to worry about")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("web_demo.py: Exception in ASGI application (ValueError: xxx")
    assert len(line) < 320
