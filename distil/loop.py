"""The loop that trains a student: bf16 where the processor has it, the rate along a cosine, an average of the weights, a state that is not lost.

Sources: Muon, for the inner convolutions: distil/muon.py; AdamW, for the rest: Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
ICLR 2019; the cosine: the same, "SGDR", ICLR 2017; the average: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992.
"""

import copy
import math
import pickle
import sys
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from tqdm import tqdm

from distil.muon import Muon
from errors import InputError
from files import atomic_file, open_binary
from streams.threads import undivided

DECAY, CLIP, WARM_UP, LEAST, KEEP = 1e-3, 5.0, 150, 0.003, 0.998
SAVE_EVERY, REPORT_EVERY = 300, 100  # seconds; iterations

STATE = {"facts": dict, "student": dict, "average": dict, "optimiser": dict, "minutes": (int, float), "iteration": int}
STATE_FACTS = {"arch", "widths"}


class Schedule(NamedTuple):
    """minutes: of this call; total: of the whole run, along which the rate falls; steps: iterations of this call at most; compiled: whether the
    network is compiled for each size of batch before it learns."""

    total: float
    minutes: float
    rate: float
    steps: int = 10**9
    compiled: bool = False

    def rate_at(self, part, iteration):
        """part: of the run that is done, 0..1."""
        return self.rate * min(1, (iteration + 1) / WARM_UP) * (0.5 * (1 + math.cos(math.pi * min(part, 1))) + LEAST)


def device_of(name):
    """A torch.device: name, or None for a GPU where there is one."""
    if name and name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"--device {name}: PyTorch finds no GPU here; leave it out for the CPU")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def has_bf16(device) -> bool:
    """Whether bf16 is quicker there than f32: on a GPU, and on a CPU with AVX512_BF16 or AMX."""
    return device.type == "cuda" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def read_state(path) -> dict:
    """What a Trainer saved. Raises InputError for a file that is missing or something else. Nothing in it is executed."""
    with open_binary(path, "state", "name the file of a training (python -m distil.body train, or distil.points)") as file:
        is_whole = zipfile.is_zipfile(file)
        file.seek(0)
        try:
            state = torch.load(file, map_location="cpu", weights_only=True) if is_whole else None
        except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError):
            state = None
    if (
        not isinstance(state, dict)
        or not all(isinstance(state.get(name), kind) for name, kind in STATE.items())
        or not state["facts"].keys() >= STATE_FACTS
    ):
        raise InputError(f"state {path}: expected the file of a training of distil, got something else or a part of it; name another one")
    return state


def load(module, values, path):
    """module.load_state_dict(values). Raises InputError, naming path, where they do not belong to it."""
    try:
        module.load_state_dict(values)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise InputError(f"state {path}: its numbers are not those of the network that it names; name another one") from None


def check_sizes(optimiser, path):
    """Raise InputError, naming path, where an optimiser that was loaded keeps arrays of other shapes than its parameters'."""
    kept = ((p, value) for p, values in optimiser.state.items() for name, value in values.items() if name != "step")
    if not all(torch.is_tensor(value) and value.shape == p.shape for p, value in kept):
        raise InputError(f"state {path}: its optimiser is not that of the network that it names; name another one")


class Trainer:
    """A student, the average of its weights, and its optimisers; run() trains them and writes the state."""

    def __init__(self, student, path, facts, schedule, device):
        """path: of the state; facts: what it says of the network ({name: plain value}), for who goes on with it and for export."""
        self.path, self.facts, self.schedule, self.device = Path(path), facts, schedule, device
        self.student = student.to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.student).eval().requires_grad_(False)
        inner = [student.convolutions[name].weight for name in student.norms]
        known = {id(p) for p in inner}
        others = [p for p in student.parameters() if id(p) not in known]
        groups = [{"params": [p for p in others if p.ndim > 1], "weight_decay": DECAY}, {"params": [p for p in others if p.ndim == 1]}]
        self.optimiser = torch.optim.AdamW(groups, lr=schedule.rate, weight_decay=0.0, fused=True)
        self.muon = Muon(inner, schedule.rate, DECAY)
        self.iteration, self.first, self.before = 0, 0, 0.0
        self.begin = time.monotonic()

    def go_on(self, state):
        """Take up what read_state read. Raises InputError where it is of another network."""
        load(self.student, state["student"], self.path)
        load(self.average, state["average"], self.path)
        if "muon" in state:  # else it is of an older version, which had AdamW for all weights: both begin anew
            for optimiser, values in ((self.optimiser, state["optimiser"]), (self.muon, state["muon"])):
                load(optimiser, values, self.path)
                check_sizes(optimiser, self.path)
        self.iteration = self.first = state["iteration"]
        self.before = state["minutes"]

    def run(self, batches, loss_of):
        """batches: endless, of what loss_of takes. loss_of(student, batch, part) -> (loss, {name: number to report}), tensors on the device;
        part: of the run that is done, 0..1. An interruption saves the state first. Raises InputError if the training diverges."""
        self.begin = saved = time.monotonic()
        student = torch.compile(self.student, dynamic=False) if self.schedule.compiled else self.student
        bf16, reported, log = has_bf16(self.device), (self.iteration, self.begin), []
        progress = tqdm(total=round(min(self.schedule.minutes, self.schedule.total - self.before) * 60), unit="s", desc="training", disable=None)
        try:
            for batch in batches:
                if self._is_over():
                    break
                with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                    loss, parts = loss_of(student, batch, self._minutes() / self.schedule.total)
                self._step(loss)
                log.append(torch.stack(list(parts.values())).detach())
                progress.update(round(time.monotonic() - self.begin) - progress.n)
                if self.iteration % REPORT_EVERY == 0 or self.iteration == self.first + 1:
                    reported, log = self._report(progress, reported, log, parts), []
                if time.monotonic() - saved > SAVE_EVERY:
                    self.save()
                    saved = time.monotonic()
        except (KeyboardInterrupt, SystemExit):
            self.save()
            _tell(progress, f"{self.path}: saved after {self.iteration} iterations; the same command with --resume goes on")
            raise
        finally:
            progress.close()
        self.save()

    def _minutes(self):
        return self.before + (time.monotonic() - self.begin) / 60

    def _is_over(self):
        minutes = self._minutes()
        schedule = self.schedule
        return minutes - self.before >= schedule.minutes or minutes >= schedule.total or self.iteration - self.first >= schedule.steps

    def _step(self, loss):
        rate = self.schedule.rate_at(self._minutes() / self.schedule.total, self.iteration - self.first)
        for group in (*self.optimiser.param_groups, *self.muon.param_groups):
            group["lr"] = rate
        self.student.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.student.parameters(), CLIP)
        if not torch.isfinite(norm):
            raise InputError(f"the training diverged at iteration {self.iteration}; begin again, or go on from what was saved, with a lower --rate")
        self.optimiser.step()
        self.muon.step()
        self.iteration += 1
        keep = min(KEEP, self.iteration / (self.iteration + 10))
        with torch.no_grad():
            for old, new in zip(self.average.state_dict().values(), self.student.state_dict().values(), strict=True):
                old.lerp_(new, 1 - keep) if old.dtype.is_floating_point else old.copy_(new)

    def _report(self, progress, reported, log, parts):
        """One line; returns (iteration, time) of it."""
        now = time.monotonic()
        numbers = "  ".join(f"{name} {value:.3f}" for name, value in zip(parts, torch.stack(log).mean(0).tolist(), strict=True))
        speed = (self.iteration - reported[0]) / (now - reported[1])
        _tell(progress, f"{self.iteration} iterations  {self._minutes():.1f} of {self.schedule.total:g} minutes  {numbers}  {speed:.2f} iterations/s")
        return self.iteration, now

    def save(self):
        modules = {name: getattr(self, name).state_dict() for name in ("student", "average", "optimiser", "muon")}
        state = {"facts": self.facts, **modules, "minutes": self._minutes(), "iteration": self.iteration}
        with undivided(), atomic_file(self.path) as part:
            torch.save(state, part)


def _tell(progress, line):
    """A line on stdout that neither the progress bar nor a buffer keeps back."""
    progress.write(line)
    sys.stdout.flush()
