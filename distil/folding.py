"""Batch normalisation goes into the convolution before it: what a student learnt becomes the weights of its table.

Source: Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.1: at inference it is one linear map for each channel.
"""

import numpy as np

from models.weights import fold_normalisation

STATISTICS = ("gamma", "beta", "mean", "var")


def folded(arrays, epsilon) -> dict:
    """{"conv1/W": ..., "conv1/b": ...} float32 of the same function.

    arrays: per convolution "NAME/W" (out, in, k, k) and either "NAME/b" (out,) or, where batch normalisation follows, "NAME/gamma", "NAME/beta",
    "NAME/mean", "NAME/var" (out,). epsilon: what the normalisation adds to var.
    """
    weights = {}
    for name in [key.removesuffix("/W") for key in arrays if key.endswith("/W")]:
        weight = arrays[f"{name}/W"].astype(np.float64)
        if f"{name}/gamma" in arrays:
            weight, bias = fold_normalisation(weight, 0, *(arrays[f"{name}/{part}"].astype(np.float64) for part in STATISTICS), epsilon)
        else:
            bias = arrays[f"{name}/b"]
        weights[f"{name}/W"], weights[f"{name}/b"] = weight.astype(np.float32), bias.astype(np.float32)
    return weights


def unfolded(bias, mean, var, epsilon):
    """(gamma, beta) (out,) with which batch normalisation changes nothing but adds the bias: what a folded convolution becomes when it is
    trained on. mean, var (out,): of the convolution's output without its bias."""
    return np.sqrt(var + epsilon), bias + mean
