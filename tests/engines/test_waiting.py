"""engines/waiting.py: signals are heard while OpenVINO computes, what stands still is an error, and a stream that is left loses nothing."""

import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import PATIENCE, ROOT, assert_input_error

from engines import open_net, waiting


class Request:
    """A request that never ends, or after so many steps. seconds: of computing in each step."""

    def __init__(self, n_steps=10**9, seconds=0.0, error=None):
        self.n_steps, self.seconds, self.error = n_steps, seconds, error
        self.n_waited, self.cancelled = 0, False

    def wait_for(self, milliseconds):
        self.n_waited += 1
        begin = time.process_time()
        while time.process_time() - begin < self.seconds:
            pass
        if self.n_waited >= self.n_steps and self.error is not None:
            raise self.error
        return self.n_waited >= self.n_steps

    def wait(self):
        assert not self.busy

    @property
    def busy(self):
        return self.n_waited < self.n_steps and not self.cancelled

    def get_input_tensor(self, _):
        if self.busy:
            raise RuntimeError("Infer Request is busy")

    def cancel(self):
        self.cancelled = True


def test_what_stands_still_is_one_line():
    request = Request()
    before = sys.getrefcount(request)
    assert_input_error(lambda: waiting.wait(request), "stood still", "240 s", "--engine chainer", "--resume")
    assert request.n_waited * waiting.STEP == 240_000
    assert sys.getrefcount(request) > before  # it is never freed: that would wait for ever


@pytest.mark.parametrize("n_steps", [1, 2, 959, 960])
def test_what_ends_is_waited_for(n_steps):
    request = Request(n_steps)
    waiting.wait(request)
    assert request.n_waited == n_steps


def test_what_computes_may_take_as_long_as_it_wants(monkeypatch):
    monkeypatch.setattr(waiting, "STANDSTILL", 1.0)
    request = Request(n_steps=30, seconds=0.01)
    waiting.wait(request)
    assert request.n_waited == 30


def test_what_fails_says_so():
    with pytest.raises(RuntimeError, match="no memory"):
        waiting.wait(Request(3, error=RuntimeError("no memory")))


def test_a_request_that_was_never_started_is_not_waited_for():
    net = open_net("lightposenet")
    request = net._compile((1, 3, 64, 64))[1]
    assert not waiting.is_busy(request)
    waiting.wait(request)
    waiting.give_up([(request, None)])


class Left(Exception):
    pass


@pytest.mark.parametrize("way", ["call", "stream left", "stream broken"])
def test_what_is_given_up_answers_again(monkeypatch, way):
    """Left in the middle of an inference: the next answers of the same network are right, which OpenVINO's own are not after a cancel."""
    net = open_net("lightposenet")
    small, large = (np.random.default_rng(0).random((1, 3, side, side), dtype=np.float32) - 0.5 for side in (64, 640))
    expected = net(small)

    def leave(_):
        raise Left

    for n_answered in (0, 1, 2):
        if way == "stream left":
            stream = net.stream((n, large) for n in range(8))
            for _ in range(n_answered):
                next(stream)
            stream.close()
        else:
            use = (lambda: net(large)) if way == "call" else (lambda: list(net.stream((n, large) for n in range(8))))
            with monkeypatch.context() as patch:
                patch.setattr("engines.openvino_net.wait", leave)
                with pytest.raises(Left):
                    use()
        for answer in (net(small), *(answer for _, answer in net.stream((n, small) for n in range(3)))):
            for array, same in zip(answer, expected, strict=True):
                np.testing.assert_array_equal(array, same)


def test_what_does_not_end_is_never_freed(monkeypatch):
    monkeypatch.setattr(waiting, "GRACE", 0.0)

    class Stubborn(Request):
        def cancel(self):
            pass

    request, x = Stubborn(), np.zeros(3)
    before = sys.getrefcount(request), sys.getrefcount(x)
    waiting.give_up([(request, x)])
    assert (sys.getrefcount(request), sys.getrefcount(x)) == (before[0] + 1, before[1] + 1)


INTERRUPT = """
import signal, sys, time
import numpy as np
from engines import open_net

net = open_net("lightposenet", precision="f32")
x = np.zeros((1, 3, 1536, 1536), np.float32)  # takes so long that the signal comes in its middle
net(x)
begin = time.process_time()
net(x)
whole = time.process_time() - begin
answers = []


def run(way):
    if way == "call":
        answers.append(net(x))
    else:
        answers.extend(net.stream((n, x) for n in range(4)))


for way in ("call", "stream"):
    signal.signal(signal.SIGPROF, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_PROF, whole / 10)  # of computing, so that it comes in the middle on any machine
    begin = time.process_time()
    try:
        run(way)
    except KeyboardInterrupt:
        print(way, len(answers), "early" if time.process_time() - begin < {"call": 0.95, "stream": 1.9}[way] * whole + 1 else "late")
print(len(net(x)))
"""


def test_a_signal_is_heard_while_openvino_computes():
    """In a call and in a stream, before the answer is there; the network goes on to work afterwards."""
    process = subprocess.run([sys.executable, "-c", INTERRUPT], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (process.stdout, process.stderr, process.returncode) == ("call 0 early\nstream 0 early\n2\n", "", 0)


LEAVE = """
import gc, random, signal, sys
import numpy as np
from engines.openvino_net import OpenVinoNet, build_model
from models import ARCHS, shapes_of
from models.weights import read_weights

row, rng, kept, counts = ARCHS["lightposenet"], random.Random(0), [], [0, 0]
model = build_model(row.network, read_weights(row.weights, shapes_of("lightposenet")))
xs = [np.random.default_rng(n).random((1, 3, *sides), dtype=np.float32) - 0.5 for n, sides in enumerate([(32, 32), (64, 96), (128, 64)])]
signal.signal(signal.SIGPROF, lambda *_: sys.exit(143))
expected = [OpenVinoNet(model, row.network.outputs)(x) for x in xs]
for number in range(24):
    try:
        net = OpenVinoNet(model, row.network.outputs, hint=rng.choice(["latency", "throughput"]))
        order = [rng.randrange(3) for _ in range(12)]
        if number % 4:
            net(xs[0])  # it is prepared: the signal comes in the stream
        signal.setitimer(signal.ITIMER_PROF, rng.random() * 0.1 + 1e-4)  # of computing, on any machine
        for n, answer in net.stream((n, xs[n]) for n in order):
            assert all(np.allclose(one, other, atol=1e-5) for one, other in zip(answer, expected[n], strict=True))
            counts[0] += 1
    except SystemExit as error:
        counts[1] += 1
        kept.append(error)  # its frames live on, and with them the stream
        kept[:] = kept[-rng.randrange(4):]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
print("all ended", counts[0] > 0, counts[1] > 0)
"""


def test_streams_that_are_left_at_any_moment():
    """By SystemExit from a signal's handler; the next network begins at once, the answers are right, and none is waited for in vain."""
    command = [sys.executable, "-c", LEAVE]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (process.stdout, process.returncode) == ("all ended True True\n", 0), process.stderr
