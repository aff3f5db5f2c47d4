"""engines/chainer_convolution.py against Chainer's own convolution, and its bits, its memory and its threads."""

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engines import chainer_blas
from engines.chainer_blas import Matrix, gemm_of, share
from engines.chainer_blocks import BLOCK, Shape
from engines.chainer_compat import chainer
from engines.chainer_convolution import FEW, Convolution, ReluSum, convolve
from models import ARCHS

F = chainer.functions
MANY = FEW + 6  # channels
ODD = [  # n, channels in, out, height, width, kernel, stride, pad, dilation
    (1, 3, 4, 9, 11, 3, 1, 1, 1),
    (2, MANY, 5, 46, 46, 3, 1, 1, 1),
    (3, MANY, 8, 17, 23, 3, 1, 4, 4),
    (2, MANY, 40, 20, 9, 7, 1, 3, 1),
    (1, MANY, 4, 70, 61, 3, 1, 2, 2),
    (2, MANY, 4, 12, 13, 3, 1, 0, 1),
    (1, MANY, 4, 12, 13, 3, 1, 5, 1),
    (1, MANY, 4, 2, 1, 3, 1, 1, 1),
    (2, MANY, 4, 3, 1, 3, 1, 4, 4),
    (1, MANY, 4, 1, 2, 7, 1, 3, 1),
    (2, MANY, 4, 9, 8, 2, 1, 1, 1),
    (2, MANY, 19, 8, 8, 1, 1, 0, 1),
    (1, MANY, 4, 12, 13, 1, 1, 1, 1),
    (1, MANY, 4, 12, 13, 1, 2, 0, 1),
    (3, 3, 16, 37, 40, 3, 2, 1, 1),
    (2, 5, 7, 80, 81, 3, 2, 1, 1),
    (2, MANY, 4, 12, 13, 3, 3, 2, 2),
    (1, 1, 1, 1, 1, 1, 1, 0, 1),
]
LAYERS = {layer[3:7] for row in ARCHS.values() if row.table for layer in row.network.layers if layer.op == "conv"}  # channels ... dilation
TABLES = [
    (2, channels, 6, 21, 18, kernel, stride, kernel // 2 * dilation, dilation)
    for _, kernel, stride, dilation in sorted(LAYERS)
    for channels in (3, MANY)
]
CASES = list(dict.fromkeys(ODD + TABLES))


def made_up(case, dtype=np.float32, seed=0):
    n, channels, n_out, height, width, kernel, stride, pad, dilation = case
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(size).astype(dtype) for size in ((n, channels, height, width), (n_out, channels, kernel, kernel), (n_out,))]
    return arrays, Shape(kernel, stride, pad, dilation)


def ours(variables, shape, relu):
    return Convolution(shape, relu).apply(variables)[0]


def chainers(variables, shape, relu):
    y = F.convolution_2d(*variables, shape.stride, shape.pad, dilate=shape.dilation)
    return F.relu(y) if relu else y


def answers(function, arrays, shape, relu) -> list:
    """The output, and the gradients of the inputs for a gradient that is made up."""
    variables = [chainer.Variable(array.copy()) for array in arrays]
    y = function(variables, shape, relu)
    y.grad = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
    y.backward()
    return [y.array, *(variable.grad for variable in variables)]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_output_and_gradients_are_chainers(case, relu):
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-13)):
        arrays, shape = made_up(case, dtype)
        for mine, reference in zip(answers(ours, arrays, shape, relu), answers(chainers, arrays, shape, relu), strict=True):
            assert mine.dtype == dtype
            assert mine.flags.c_contiguous
            np.testing.assert_allclose(mine, reference, rtol=0, atol=tolerance * np.abs(reference).max())


@pytest.mark.parametrize("case", [(1, MANY, 2, 5, 4, 3, 1, 2, 2), (2, 2, 3, 6, 5, 3, 2, 1, 1), (2, MANY, 3, 3, 4, 1, 1, 0, 1)])
def test_gradients_are_the_differences(case):
    from chainer.gradient_check import check_backward  # after chainer_compat

    arrays, shape = made_up(case, np.float64)
    y_gradient = np.random.default_rng(2).standard_normal(chainers(arrays, shape, False).shape)
    check_backward(lambda *variables: ours(variables, shape, False), tuple(arrays), y_gradient, dtype=np.float64, atol=1e-6, rtol=1e-6)


def test_only_the_gradients_that_are_asked_for():
    arrays, shape = made_up(ODD[1])
    x, kernel, b = arrays[0], *(chainer.Parameter(array) for array in arrays[1:])
    y = ours((x, kernel, b), shape, True)
    assert [node.requires_grad for node in y.creator.inputs] == [False, True, True]
    F.sum(y).backward()
    np.testing.assert_allclose(b.grad, (y.array > 0).sum(axis=(0, 2, 3)), rtol=1e-6)


@pytest.mark.parametrize("case", ODD[:3])
def test_inputs_are_read_however_they_lie_and_stay(case):
    arrays, shape = made_up(case)
    expected = answers(ours, arrays, shape, True)
    turned = [np.asfortranarray(array) for array in arrays]
    before = [array.copy() for array in turned]
    variables = [chainer.Variable(array) for array in turned]
    y = ours(variables, shape, True)
    y.grad = np.asfortranarray(np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype))
    y.backward()
    for mine, reference in zip([y.array, *(variable.grad for variable in variables)], expected, strict=True):
        np.testing.assert_array_equal(mine, reference)
    for array, old in zip(turned, before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.fixture(params=[1, 2, 5])
def threads(request, monkeypatch):
    """As on a machine with so many cores."""
    with ThreadPoolExecutor(max(1, request.param - 1)) as pool:
        monkeypatch.setattr(chainer_blas, "_threads", lambda: request.param)
        monkeypatch.setattr(chainer_blas, "_pool", lambda: pool)
        yield request.param


BITS = {case: answers(ours, *made_up(case), True) for case in (ODD[4], ODD[15], (4, MANY, 9, 30, 31, 1, 1, 0, 1))}


@pytest.mark.parametrize("case", BITS)
def test_the_bits_do_not_depend_on_the_number_of_threads(threads, case):
    for _ in range(3):
        for mine, reference in zip(answers(ours, *made_up(case), True), BITS[case], strict=True):
            np.testing.assert_array_equal(mine, reference)


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_what_does_not_fit_is_refused(wrong):
    arrays, shape = made_up(ODD[1])
    for other in (arrays[wrong][..., :-1][:, :-1] if wrong < 2 else arrays[wrong][:-1], arrays[wrong].astype(np.float64)):
        inputs = [other if i == wrong else array for i, array in enumerate(arrays)]
        with pytest.raises(chainer.utils.type_check.InvalidType):
            ours(inputs, shape, True)


def test_not_a_number_stays_where_it_belongs():
    """The margins of a block hold other rows' numbers, and their columns are left out."""
    (x, kernel, b), shape = made_up((1, MANY, 3, 40, 40, 3, 1, 1, 1))
    clean = convolve(x, kernel, shape, b)
    x[0, 4, 20, 39] = np.nan
    y = convolve(x, kernel, shape, b)
    wrong = np.zeros(y.shape, bool)
    wrong[0, :, 19:22, 38:40] = True
    assert np.isnan(y[wrong]).all()
    np.testing.assert_array_equal(y[~wrong], clean[~wrong])


def test_inference_holds_little_beside_its_output():
    """Chainer's unrolls 64 * 9 values a pixel, 38 MB."""
    (x, kernel, b), shape = made_up((1, 64, 64, 128, 128, 3, 1, 1, 1))

    def peak(function):
        tracemalloc.start()
        with chainer.no_backprop_mode():
            y = function((x, kernel, b), shape, True)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert y.creator is None
        return most

    assert x.nbytes < peak(ours) < x.nbytes + 16 * BLOCK * 64 * 4
    assert peak(chainers) > 38e6


def test_sum_and_relu_are_chainers():
    a, b = (np.random.default_rng(seed).standard_normal((3, 5, 7, 6)).astype(np.float32) for seed in (1, 2))
    found = []
    for function in (lambda a, b: ReluSum().apply((a, b))[0], lambda a, b: F.relu(a + b)):
        variables = chainer.Variable(a), chainer.Variable(b)
        y = function(*variables)
        y.grad = a * b
        y.backward()
        found.append([y.array, *(variable.grad for variable in variables)])
    for mine, reference in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, reference)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_parts_of_arrays(dtype):
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(size).astype(dtype) for size in ((5, 9), (7, 11), (6, 12)))
    expected = c.copy()
    expected[1:4, 2:8] += a[:3, 1:6] @ b[1:7, 4:9].T
    item = c.itemsize
    left, right = Matrix(a.ctypes.data + item, 9), Matrix(b.ctypes.data + item * (11 + 4), 11, turned=True)
    gemm_of(c.dtype)(3, 6, 5, left, right, Matrix(c.ctypes.data + item * (12 + 2), 12), add=True)
    np.testing.assert_allclose(c, expected, rtol=0, atol=1e-6)


def test_each_work_is_done_once(threads):
    done = []
    share(done.append, 100)
    assert sorted(done) == list(range(100))


def test_an_error_in_any_thread_is_raised(threads):
    main = threading.main_thread()

    def work(number):
        if threads == 1 or threading.current_thread() is not main:
            raise MemoryError("no more")

    def many():
        for _ in range(1000):  # until another thread has had a turn
            share(work, 50)

    with pytest.raises(MemoryError, match="no more"):
        many()
