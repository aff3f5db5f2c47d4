"""Networks that are opened once, kept, and used by several people."""

from collections import OrderedDict
from importlib.util import find_spec
from threading import Lock

from engines import open_net
from engines.cache import default_cache_dir
from errors import InputError
from models import ARCHS, names_of

ENGINES = {"OpenVINO": "openvino", "Chainer": "chainer"}  # as the page calls them
USUAL = "the processor's choice"  # of a precision
PRECISIONS = (USUAL, "f32", "bf16", "f16", "int8")
MOST = 8  # networks that are kept


def at_hand(task="pose") -> list:
    """The names of a task's networks, or of all, whose weights are here."""
    return [name for name in (names_of(task) if task else ARCHS) if ARCHS[name].at_hand]


def check_choice(what, value, choices):
    """Raise InputError unless a value that came over the network, which may be anything, is one of the choices."""
    if value not in list(choices):
        raise InputError(f"{what}: expected one of {', '.join(choices)}, got {repr(value)[:60]}")


def engines_at_hand() -> list:
    """Those of ENGINES that are installed."""
    return [name for name, module in ENGINES.items() if find_spec(module)]


class SharedNet:
    """A network that several threads call, one at a time; otherwise as engines.open_net's."""

    def __init__(self, net):
        self.net, self.lock, self.name, self.arch = net, Lock(), net.name, net.arch

    def __call__(self, x):
        with self.lock:
            return self.net(x)

    @property
    def compile_seconds(self):
        return self.net.compile_seconds


class Networks:
    """networks.get("lightposenet", "OpenVINO", "f32"): the same network each time, while it is one of the MOST used last."""

    def __init__(self):
        self.opened, self.lock = OrderedDict(), Lock()

    def get(self, arch, engine, precision=USUAL) -> SharedNet:
        """engine: of ENGINES. precision: of PRECISIONS. Raises InputError for what cannot be had."""
        check_choice("network", arch, at_hand(task=None))
        check_choice("engine", engine, ENGINES)
        check_choice("precision", precision, PRECISIONS)
        if precision != USUAL and engine != "OpenVINO":
            raise InputError(f"{engine} computes in f32; choose {USUAL!r} as the precision, or OpenVINO as the engine")
        key = arch, engine, precision
        with self.lock:
            if key not in self.opened:
                options = {"cache_dir": default_cache_dir(), "precision": None if precision == USUAL else precision} if engine == "OpenVINO" else {}
                self.opened[key] = SharedNet(open_net(arch, engine=ENGINES[engine], **options))
            self.opened.move_to_end(key)
            if len(self.opened) > MOST:
                self.opened.popitem(last=False)
            return self.opened[key]
