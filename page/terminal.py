"""The page's terminal: of a request that the libraries cannot answer it shows one line, never their tracebacks, and of visitors who leave nothing."""

import logging
import sys
import traceback
from types import ModuleType

PROG = "web_demo.py"
LONGEST = 300  # characters of a line; visitors write into it
GONE = ("ClientDisconnect", "ConnectionResetError", "BrokenPipeError", "CancelledError")


def be_brief():
    """From now on what Gradio, uvicorn and asyncio say is one line. Gradio is imported."""
    logging.basicConfig(handlers=[Brief()], level=logging.WARNING, force=True)
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "gradio" and getattr(module, "traceback", None) is traceback:
            module.traceback = OneLine("traceback")


def is_gone(error) -> bool:
    """Whether an exception says that the visitor has left. By name: some are of packages that are not ours to import."""
    return type(error).__name__ in GONE


def tell(text, error=None):
    """Show a line."""
    print(line(text, error), file=sys.stderr)


def line(text, error=None) -> str:
    """`web_demo.py: text (ValueError: why)`."""
    why = f" ({type(error).__name__}: {error})" if error is not None else ""
    words = " ".join(f"{PROG}: {text}{why}".split())
    return words if len(words) <= LONGEST else f"{words[:LONGEST]} ..."


class Brief(logging.Handler):
    """Shows a record as one line."""

    def emit(self, record):
        error = record.exc_info[1] if record.exc_info else None
        if not is_gone(error):
            tell(record.getMessage().strip() or record.name, error)


class OneLine(ModuleType):
    """The module traceback for those who print what they catch: a line of it."""

    def __getattr__(self, name):
        return getattr(traceback, name)

    def print_exc(self, *_, **__):
        error = sys.exception()
        if not is_gone(error):
            tell("a request was refused", error)
