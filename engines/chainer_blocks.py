"""Convolutions on a CPU and their gradients, by products of blocks. Arrays in, arrays out.

The usual way unrolls the whole input (im2col), up to 300 MB, multiplies once, and scatters the gradient back. Here the picture is taken in blocks
of rows that stay in a core's cache, and the blocks are shared out to the cores (engines.chainer_blas). Two ways are here:

- "product", 1x1: of the kernel and the input as it lies.
- "shifted", stride 1: a block is copied with its margin of zeros, width V = W + pad (a row's right margin is the next row's left one); then the
  input moved by (dy, dx) is the same memory dy * V + dx numbers further on, and the convolution is the sum of kernel[dy, dx] times that over all
  (dy, dx): nothing is unrolled. The columns in the margin are computed too and left out. The input's gradient is the convolution of the gradient
  with the turned kernel, the kernel's gradient the product of the gradient and the moved input.

Inputs x (N, C, H, W), W (O, C, k, k), b (O,), all float32 or all float64; output (N, O, H', W').
"""

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from engines.chainer_blas import Matrix, gemm_of, share

BLOCK = 1024  # columns of a product, about: 128 channels in and out then fit a cache of 1 MB
BATCH_BYTES = 32 << 20  # of padded inputs held at once for the kernel's gradient


class Shape(NamedTuple):
    """A convolution of squares: kernel, stride, pad and dilation in pixels."""

    kernel: int
    stride: int
    pad: int
    dilation: int

    @property
    def reach(self) -> int:
        """Pixels from the first to the last that the kernel touches."""
        return self.dilation * (self.kernel - 1)

    def size(self, side) -> int:
        """Of the output."""
        return (side + 2 * self.pad - self.reach - 1) // self.stride + 1

    def wide(self, width) -> int:
        """From row to row of a padded input, or of the output that lies as it does, whichever needs more."""
        return width + max(self.pad, 2 * self.pad - self.reach)

    def offsets(self):
        return [(dy, dx) for dy in range(0, self.reach + 1, self.dilation) for dx in range(0, self.reach + 1, self.dilation)]


def blocks_of(height, width) -> list:
    """(first row, one after the last) of the blocks."""
    count = max(1, round(height * width / BLOCK))
    edges = [height * i // count for i in range(count + 1)]
    return [(first, last) for first, last in pairwise(edges) if last > first]


def begin(sums, b):
    """Whether products are to be added to what `sums` (O, rows, columns) now holds: the biases, if there are any."""
    if b is not None:
        sums[...] = b[:, None, None]
    return b is not None


def padded(x, first, last, shape):
    """Rows `first` to `last` (not included) of one x (C, H, W) with its margins of zeros, and more zeros below: (C, rows + 1 or more, V).

    The right margin of a row is at the beginning of the next one. V = shape.wide(W).
    """
    channels, height, width = x.shape
    pad = shape.pad
    above, below = max(pad, first), max(min(pad + height, last), max(pad, first))
    wide = shape.wide(width)
    result = np.empty((channels, last - first + 1 + shape.reach // wide, wide), x.dtype)
    result[:, : above - first] = 0
    result[:, below - first :] = 0
    middle = result[:, above - first : below - first]
    middle[:, :, :pad] = 0
    middle[:, :, pad + width :] = 0
    middle[:, :, pad : pad + width] = x[:, above - pad : below - pad]
    return result


# 1x1


def product(kernel, x, b, relu):
    """kernel (O, C) times each x (C, H W)."""
    n, channels, height, width = x.shape
    y = np.empty((n, len(kernel), height, width), x.dtype)
    kernel = np.ascontiguousarray(kernel)  # OpenBLAS takes twice as long for a turned one
    gemm, a = gemm_of(x.dtype), Matrix(kernel.ctypes.data, channels)
    blocks, pixels = blocks_of(height, width), height * width

    def work(number):
        image, (first, last) = number // len(blocks), blocks[number % len(blocks)]
        source, target = x[image, :, first:last], y[image, :, first:last]
        columns, begun = (last - first) * width, begin(target, b)
        gemm(len(target), columns, channels, a, Matrix(source.ctypes.data, pixels), Matrix(target.ctypes.data, pixels), add=begun)
        if relu:
            np.maximum(target, 0, out=target)

    share(work, n * len(blocks))
    return y


def product_gradient(x, gradient):
    n, channels, height, width = x.shape
    n_out, pixels = gradient.shape[1], height * width
    parts = np.empty((n, n_out, channels), x.dtype)
    gemm = gemm_of(x.dtype)

    def work(image):
        a, b = Matrix(gradient[image].ctypes.data, pixels), Matrix(x[image].ctypes.data, pixels, turned=True)
        gemm(n_out, channels, pixels, a, b, Matrix(parts[image].ctypes.data, channels))

    share(work, n)
    return parts.sum(axis=0)[:, :, None, None]


# shifted


def by_offset(kernel):
    """(O, C, k, k) -> (k * k, O * C)."""
    return _turn(kernel.reshape(-1, kernel.shape[2] * kernel.shape[3]))


def _turn(matrix):
    return cv2.transpose(matrix)  # fifteen times faster than NumPy's copy


def shifted(x, kernel, n_out, shape, b, relu):
    """kernel: _by_offset."""
    n, channels, height, width = x.shape
    y = np.empty((n, n_out, shape.size(height), shape.size(width)), x.dtype)
    wide, offsets = shape.wide(width), shape.offsets()
    blocks, gemm, item = blocks_of(y.shape[2], wide), gemm_of(x.dtype), x.itemsize

    def work(number):
        image, (first, last) = number // len(blocks), blocks[number % len(blocks)]
        source = padded(x[image], first, last + shape.reach, shape)
        sums = np.empty((n_out, last - first, wide), x.dtype)
        target, columns = Matrix(sums.ctypes.data, (last - first) * wide), (last - first) * wide
        start, stride, begun = source.ctypes.data, source.shape[1] * wide, begin(sums, b)
        for i, (dy, dx) in enumerate(offsets):
            moved = Matrix(start + item * (dy * wide + dx), stride)
            gemm(n_out, columns, channels, Matrix(kernel[i].ctypes.data, channels), moved, target, add=begun or i > 0)
        inner, out = sums[:, :, : y.shape[3]], y[image, :, first:last]
        np.maximum(inner, 0, out=out) if relu else np.copyto(out, inner)

    share(work, n * len(blocks))
    return y


def shifted_gradient(x, gradient, shape):
    n, channels, height, width = x.shape
    n_out, wide, item = gradient.shape[1], shape.wide(width), x.itemsize
    rows, offsets, gemm = gradient.shape[2], shape.offsets(), gemm_of(x.dtype)
    result = np.empty((len(offsets), n_out, channels), x.dtype)
    at_once = max(1, BATCH_BYTES // (item * (channels + n_out) * (height + 2 * shape.pad) * wide))
    for begin in range(0, n, at_once):
        images = range(begin, min(begin + at_once, n))
        sources, tails = [None] * len(images), [None] * len(images)

        def prepare(number, images=images, sources=sources, tails=tails):
            sources[number] = padded(x[images[number]], 0, rows + shape.reach, shape)
            tails[number] = np.zeros((n_out, rows, wide), x.dtype)
            tails[number][:, :, : gradient.shape[3]] = gradient[images[number]]

        def work(i, begin=begin, sources=sources, tails=tails):
            dy, dx = offsets[i]
            for number, (source, tail) in enumerate(zip(sources, tails, strict=True)):
                moved = Matrix(source.ctypes.data + item * (dy * wide + dx), source.shape[1] * wide, turned=True)
                a, target = Matrix(tail.ctypes.data, rows * wide), Matrix(result[i].ctypes.data, channels)
                gemm(n_out, channels, rows * wide, a, moved, target, add=begin + number > 0)

        share(prepare, len(images))
        share(work, len(offsets))
    return _turn(result.reshape(len(offsets), -1)).reshape(n_out, channels, shape.kernel, shape.kernel)
