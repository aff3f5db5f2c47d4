"""Convolutions on a CPU with strides or of few channels, and their gradients: the pixels under the kernel are unrolled (im2col), a block at a time.

Arrays as in engines.chainer_blocks.
"""

import numpy as np

from engines.chainer_blas import Matrix, gemm_of, share
from engines.chainer_blocks import begin, blocks_of, padded


def _unroll(x, first, last, shape, width):
    """Of one x (C, H, W), the pixels under the kernel for each output of the rows from `first` to before `last`: (C, k, k, rows, width)."""
    source = padded(x, first * shape.stride, (last - 1) * shape.stride + shape.reach + 1, shape)
    c, y, x = source.strides
    sizes = (source.shape[0], shape.kernel, shape.kernel, last - first, width)
    strides = (c, shape.dilation * y, shape.dilation * x, shape.stride * y, shape.stride * x)
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(source, sizes, strides))


def unrolled(x, kernel, shape, b, relu):
    n, n_out, k = len(x), len(kernel), kernel[0].size
    height, width = (shape.size(side) for side in x.shape[2:])
    y = np.empty((n, n_out, height, width), x.dtype)
    blocks, gemm, a = blocks_of(height, width), gemm_of(x.dtype), Matrix(kernel.ctypes.data, k)

    def work(number):
        image, (first, last) = number // len(blocks), blocks[number % len(blocks)]
        columns = _unroll(x[image], first, last, shape, width)
        target, size = y[image, :, first:last], (last - first) * width
        begun = begin(target, b)
        gemm(n_out, size, k, a, Matrix(columns.ctypes.data, size), Matrix(target.ctypes.data, height * width), add=begun)
        if relu:
            np.maximum(target, 0, out=target)

    share(work, n * len(blocks))
    return y


def unrolled_gradient(x, gradient, shape):
    n, n_out, height, width = gradient.shape
    k, blocks, gemm = x.shape[1] * shape.kernel**2, blocks_of(height, width), gemm_of(x.dtype)
    parts = np.empty((n, n_out, k), x.dtype)

    def work(image):
        for i, (first, last) in enumerate(blocks):
            columns, size = _unroll(x[image], first, last, shape, width), (last - first) * width
            a, b = Matrix(gradient[image, :, first:last].ctypes.data, height * width), Matrix(columns.ctypes.data, size, turned=True)
            gemm(n_out, k, size, a, b, Matrix(parts[image].ctypes.data, k), add=i > 0)

    share(work, n)
    return parts.sum(axis=0).reshape(n_out, x.shape[1], shape.kernel, shape.kernel)


def scattered(gradient, kernel, shape, x_shape):
    """The transposed convolution, for strides: each output's gradient goes to the pixels under the kernel."""
    n, n_out, height, width = gradient.shape
    k, gemm = kernel[0].size, gemm_of(gradient.dtype)
    wide = np.zeros((n, x_shape[1], x_shape[2] + 2 * shape.pad, x_shape[3] + 2 * shape.pad), gradient.dtype)
    a = Matrix(kernel.ctypes.data, k, turned=True)

    def work(image):
        for first, last in blocks_of(height, width):
            columns, size = np.empty((x_shape[1], shape.kernel**2, last - first, width), gradient.dtype), (last - first) * width
            b = Matrix(gradient[image, :, first:last].ctypes.data, height * width)
            gemm(k, size, n_out, a, b, Matrix(columns.ctypes.data, size))
            for i, (dy, dx) in enumerate(shape.offsets()):
                top = first * shape.stride + dy
                rows = slice(top, top + (last - first - 1) * shape.stride + 1, shape.stride)
                wide[image, :, rows, dx : dx + (width - 1) * shape.stride + 1 : shape.stride] += columns[:, i]

    share(work, n)
    return np.ascontiguousarray(wide[:, :, shape.pad : shape.pad + x_shape[2], shape.pad : shape.pad + x_shape[3]])
