"""Matrix products for convolutions on a CPU: BLAS by its pointers, so that blocks of arrays are read where they lie and sums go on in place.

    gemm(m, n, k, (a, lda), (b, ldb), (c, ldc), add=True)  # C += A B

The pointers are those that SciPy hands to Cython (scipy.linalg.cython_blas); a call lets go of Python's lock. BLAS itself runs on one thread here and
the blocks side by side on ours: each block is summed by one thread in one order, so the results are the same bits for any number of threads.
"""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from typing import NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

KINDS = {np.dtype(np.float32): ("sgemm", ctypes.c_float), np.dtype(np.float64): ("dgemm", ctypes.c_double)}


class Matrix(NamedTuple):
    """A row-major matrix somewhere in memory: address of its first number, numbers from row to row, and whether it is meant turned."""

    address: int
    stride: int
    turned: bool = False


@cache
def gemm_of(dtype):
    """gemm(m, n, k, a, b, c, add=False): C (m, n) = A (m, k) B (k, n), or += with `add`; a, b, c: Matrix, of numbers of this dtype.

    The caller sees to it that the arrays live, and are large enough.
    """
    name, number = KINDS[dtype]
    routine = _fortran(name, number)
    letters = {False: b"N", True: b"T"}
    one, zero = ctypes.pointer(number(1)), ctypes.pointer(number(0))

    def gemm(m, n, k, a, b, c, add=False):
        beta = one if add else zero  # BLAS counts in columns: C' = B' A'
        routine(
            letters[b.turned],
            letters[a.turned],
            _int(n),
            _int(m),
            _int(k),
            one,
            b.address,
            _int(b.stride),
            a.address,
            _int(a.stride),
            beta,
            c.address,
            _int(c.stride),
        )

    return gemm


def _fortran(name, number):
    """The BLAS routine xGEMM as SciPy was linked with it."""
    from scipy.linalg import cython_blas

    capsule, api = cython_blas.__pyx_capi__[name], ctypes.pythonapi
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    address_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", api))
    size, scalar = ctypes.POINTER(ctypes.c_int), ctypes.POINTER(number)
    matrix = (ctypes.c_void_p, size)
    signature = ctypes.CFUNCTYPE(None, *[ctypes.c_char_p] * 2, *[size] * 3, scalar, *matrix, *matrix, scalar, *matrix)
    return signature(address_of(capsule, name_of(capsule)))


@cache
def _int(number):
    return ctypes.pointer(ctypes.c_int(number))


def share(work, count):
    """work(0) ... work(count - 1), side by side on as many threads as BLAS was given; each work once, in any order."""
    threads = min(_threads(), count)
    numbers = iter(range(count))

    def run():
        for number in numbers:
            work(number)

    with _one_blas_thread():
        others = [_pool().submit(run) for _ in range(threads - 1)]
        try:
            run()
        finally:
            for other in others:
                other.result()


@cache
def _threads():
    return _blas_threads()


@cache
def _pool():
    return ThreadPoolExecutor(max(1, _threads() - 1), "convolution")


def _one_blas_thread():
    """`with _one_blas_thread():` a matrix product runs on the thread that asks for it."""
    if _blas_threads() == 1:  # to look takes a tenth of what setting it takes
        return nullcontext()
    return _controller().limit(limits=1, user_api="blas")


def _blas_threads() -> int:
    """On how many threads matrix products may run: the cores, or what the user or ChainerMN set."""
    return max((library.num_threads for library in _controller().lib_controllers if library.user_api == "blas"), default=1)


@cache
def _controller():
    return ThreadpoolController()
