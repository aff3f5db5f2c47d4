"""Wait for a request of OpenVINO, so that signals are heard, and what stands still becomes an error.

`InferRequest.wait` returns when the answer is there, and not before: Python's handlers of signals cannot run meanwhile, so Ctrl-C and SIGTERM
wait too, and where the device's threads lost the request (seen once, on a machine under heavy load, with all of them idle), for ever.
"""

import ctypes
import time
from contextlib import suppress

from errors import InputError

STEP = 250  # milliseconds between two looks at signals
STANDSTILL = 240.0  # seconds of waiting after which the process must have computed something
GRACE = 1.0  # seconds for what was cancelled
LEAST_SHARE = 0.003  # of one core. A request that is worked on takes more, even on a machine that is very busy; waiting itself takes less


def wait(request):
    """Return when what was started last has ended (at once, if nothing was). Raises RuntimeError where it failed, as request.wait does;
    InputError where the process computed nothing for STANDSTILL; and, within STEP, what the handlers of signals raise.

    Time is counted in steps, not by a clock: a process that was stopped, or a machine that slept, is not behind.
    """
    begin, n_steps = time.process_time(), 0
    while not request.wait_for(STEP):
        if not is_busy(request):
            request.wait()  # it ended in this moment, or was never started
            return
        n_steps += 1
        if n_steps * STEP < STANDSTILL * 1000:
            continue
        if time.process_time() - begin < LEAST_SHARE * STANDSTILL:
            keep_for_ever(request)
            cure = "run it again (what is written stays; --resume, where there is one, continues), or with --engine chainer"
            raise InputError(f"OpenVINO has stood still for {STANDSTILL:.0f} s over one picture, without computing; {cure}")
        begin, n_steps = time.process_time(), 0


def give_up(pairs):
    """Cancel requests whose answers nobody wants any more, and wait until they have ended: soon, for the device looks between two layers.
    pairs: (request, the array that it reads). Of what still runs after GRACE, or at the next signal, neither is ever freed.

    Their network must not be used again: a cancelled inference leaves shapes of its own in it (seen in OpenVINO 2026.4: maps of the old size).
    """
    for request, _ in pairs:
        request.cancel()
    try:
        end = time.monotonic() + GRACE
        while any(is_busy(request) for request, _ in pairs) and time.monotonic() < end:
            time.sleep(0.001)
    finally:
        for request, x in pairs:
            if is_busy(request):
                keep_for_ever(request, x)
            else:
                with suppress(RuntimeError):  # it failed, or says that it was cancelled
                    request.wait()


def keep_for_ever(*things):
    """Never free them: a request's end would wait for its answer, and its threads may still read the array."""
    for thing in things:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def is_busy(request) -> bool:
    """Whether it was started, and has not ended: then OpenVINO refuses to show its tensors."""
    try:
        request.get_input_tensor(0)
    except RuntimeError:
        return True
    return False
