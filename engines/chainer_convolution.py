"""Convolution, bias and ReLU on a CPU as one function of Chainer, faster than its own (engines.chainer_blocks has the ways).

    y = Convolution(Shape(kernel=3, stride=1, pad=1, dilation=1), relu=True).apply((x, W, b))[0]

x (N, C, H, W), W (O, C, k, k), b (O,), all float32 or all float64; y (N, O, H', W'). Without backpropagation nothing is kept.
"""

import numpy as np

from engines.chainer_blas import share
from engines.chainer_blocks import by_offset, product, product_gradient, shifted, shifted_gradient
from engines.chainer_compat import chainer
from engines.chainer_unrolled import scattered, unrolled, unrolled_gradient

type_check = chainer.utils.type_check
FEW = 24  # channels: with fewer, unrolling pays


class Convolution(chainer.FunctionNode):
    """ReLU(x * W + b), or without ReLU. It cannot be differentiated twice."""

    def __init__(self, shape, relu):
        self.shape, self.relu = shape, relu

    def check_type_forward(self, types):
        x, kernel, b = types
        side = self.shape.kernel
        type_check.expect(
            *(x.dtype.kind == "f", kernel.dtype == x.dtype, b.dtype == x.dtype),
            *(x.ndim == 4, kernel.ndim == 4, kernel.shape[1] == x.shape[1]),
            *(kernel.shape[2] == side, kernel.shape[3] == side, b.ndim == 1, b.shape[0] == kernel.shape[0]),
        )

    def forward_cpu(self, inputs):
        x, kernel, b = inputs
        self.retain_inputs((0, 1))
        y = convolve(x, kernel, self.shape, b, self.relu)
        if self.relu:
            self.retain_outputs((0,))
        return (y,)

    def backward(self, indexes, gradients):
        x, kernel = (variable.array for variable in self.get_retained_inputs())
        gradient = np.ascontiguousarray(gradients[0].array)
        if self.relu:
            gradient = _where_positive(gradient, self.get_retained_outputs()[0].array)
        make = {
            0: lambda: input_gradient(gradient, kernel, self.shape, x.shape),
            1: lambda: kernel_gradient(x, gradient, self.shape),
            2: lambda: gradient.sum(axis=(0, 2, 3)),
        }
        return tuple(chainer.Variable(make[index](), requires_grad=False) for index in indexes)


class ReluSum(chainer.FunctionNode):
    """ReLU(a + b), for arrays of one shape. It cannot be differentiated twice."""

    def check_type_forward(self, types):
        a, b = types
        type_check.expect(a.dtype == b.dtype, a.shape == b.shape)

    def forward_cpu(self, inputs):
        a, b = inputs
        y = np.empty_like(a)

        def work(image):
            np.add(a[image], b[image], out=y[image])
            np.maximum(y[image], 0, out=y[image])

        share(work, len(y))
        self.retain_outputs((0,))
        return (y,)

    def backward(self, indexes, gradients):
        gradient = chainer.Variable(_where_positive(gradients[0].array, self.get_retained_outputs()[0].array), requires_grad=False)
        return (gradient,) * len(indexes)


def _where_positive(gradient, y):
    result = np.empty_like(gradient)

    def work(image):
        np.multiply(gradient[image], y[image] > 0, out=result[image])

    share(work, len(y))
    return result


def convolve(x, kernel, shape, b=None, relu=False):
    """x (N, C, H, W), kernel (O, C, k, k), b (O,) or None -> (N, O, H', W')."""
    x, kernel = np.ascontiguousarray(x), np.ascontiguousarray(kernel)
    if _is_plain(shape):
        return product(kernel[:, :, 0, 0], x, b, relu)
    if _is_unrolled(shape, x.shape[1]):
        return unrolled(x, kernel, shape, b, relu)
    return shifted(x, by_offset(kernel), kernel.shape[0], shape, b, relu)


def input_gradient(gradient, kernel, shape, x_shape):
    """gradient (N, O, H', W') of the output -> of the input, (N, C, H, W) = x_shape."""
    gradient = np.ascontiguousarray(gradient)
    if _is_plain(shape):
        return product(kernel[:, :, 0, 0].T, gradient, None, False)
    if shape.stride > 1 or shape.pad > shape.reach:
        return scattered(gradient, np.ascontiguousarray(kernel), shape, x_shape)
    return convolve(gradient, kernel[:, :, ::-1, ::-1].swapaxes(0, 1), shape._replace(pad=shape.reach - shape.pad))


def kernel_gradient(x, gradient, shape):
    """x (N, C, H, W), gradient (N, O, H', W') of the output -> of the kernel, (O, C, k, k)."""
    x, gradient = np.ascontiguousarray(x), np.ascontiguousarray(gradient)
    if _is_plain(shape):
        return product_gradient(x, gradient)
    if _is_unrolled(shape, x.shape[1]):
        return unrolled_gradient(x, gradient, shape)
    return shifted_gradient(x, gradient, shape)


def _is_plain(shape):
    return shape == (1, 1, 0, shape.dilation)


def _is_unrolled(shape, channels):
    return shape.stride > 1 or channels < FEW
