"""Processes of one machine share its cores."""

import os
from contextlib import suppress
from pathlib import Path

import cv2

from engines.processor import THREADS

TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology"


def cores() -> tuple:
    """The numbers of the cores that this process may use, those of one processor, and of one core of it, side by side."""
    if not hasattr(os, "sched_getaffinity"):
        return tuple(range(os.cpu_count() or 1))
    return tuple(sorted(os.sched_getaffinity(0), key=_place))


def _place(core) -> tuple:
    """(processor, core in it, number); hyperthreads of one core differ in the last alone."""
    with suppress(OSError, ValueError):
        folder = Path(TOPOLOGY.format(core))
        return int((folder / "physical_package_id").read_text()), int((folder / "core_id").read_text()), core
    return 0, core, core


def share_cores(places, number):
    """Processes of one machine that may use the same cores take a part of them each: fighting for them, they would be slower than one.

    places: the streams.desk.Place of each process. What mpiexec or SLURM has divided already stays as it is. A process with one core has
    one thread that computes, and the system finds it a place: held on one core it would wait there for whatever else runs on it.
    """
    from threadpoolctl import threadpool_limits

    mine = places[number].cores
    others = [each for each, place in enumerate(places) if place.machine == places[number].machine and set(place.cores) & set(mine)]
    part = part_of(mine, others.index(number), len(others))
    if len(part) == 1:
        os.environ.setdefault(THREADS, "1")
    elif hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, part)  # OpenVINO, which begins later, takes what it finds, and holds its threads on cores of their own
    cv2.setNumThreads(len(part))
    threadpool_limits(len(part))


def part_of(cores, number, count) -> tuple:
    """One of `count` parts, as equal as can be, of cores; where they are too few, one core each in turn."""
    if count > len(cores):
        return (cores[number % len(cores)],)
    return cores[number * len(cores) // count : (number + 1) * len(cores) // count]
