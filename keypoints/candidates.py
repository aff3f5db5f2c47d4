"""Which pairs of peaks the part affinity fields (PAFs) would connect, and how well they support each.

Source: Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", CVPR 2017, section 2.3 (eq. 10, 11).
"""

from itertools import pairwise

import numpy as np

from entity import LIMBS, N_JOINTS, N_LIMBS

AT_ONCE = 1 << 11  # pairs: their samples fit into the cache


def find_candidates(pafs, peaks, decoding, nearest=False, select=None) -> list:
    """For each limb the pairs that the PAFs support: a list of (index of the first peak, of the second, score, length), best first.

    pafs (38, H, W) float32; peaks (P, 4): joint, x, y, score, ordered by joint, x and y in pixels of pafs. All limbs are judged at once.
    nearest: read the PAFs at whole pixels, as the original does on its enlarged maps, instead of between them.
    select: says which pairs are worth reading the PAFs for; leave_hopeless_out, unless a test compares it with leaving out none.
    """
    n = decoding.n_integ_points
    t = np.linspace(0, 1, n) if nearest else (np.arange(n) + 0.5) / n  # at the ends themselves a field is half as strong
    pairs = (select or leave_hopeless_out)(all_pairs(peaks), pafs, peaks, t, decoding)
    parts = [[column[begin : begin + AT_ONCE] for column in pairs] for begin in range(0, max(len(pairs[0]), 1), AT_ONCE)]
    scores, lengths = map(np.concatenate, zip(*(judge(*part, pafs, peaks, t, decoding, nearest) for part in parts), strict=True))
    order = np.lexsort((-scores, pairs[0]))
    order = order[scores[order] > 0]
    limbs, *columns = (column[order] for column in (*pairs, scores, lengths))
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    begins = np.searchsorted(limbs, np.arange(N_LIMBS + 1)).tolist()
    return [rows[begin:end] for begin, end in pairwise(begins)]


def all_pairs(peaks) -> tuple:
    """Each peak of a limb's first joint with each of its second, as limbs (K,), firsts (K,), seconds (K,) int; by limb, first, second.

    peaks (P, 4), ordered by joint.
    """
    begins = np.searchsorted(peaks[:, 0], np.arange(N_JOINTS + 1))
    counts = np.diff(begins)
    a, b = np.array(LIMBS).T
    limbs = np.repeat(np.arange(N_LIMBS), counts[a])  # one for each first peak
    firsts = np.concatenate([np.arange(begins[joint], begins[joint + 1]) for joint in a])
    n_seconds = counts[b][limbs]
    ends = np.cumsum(n_seconds)
    seconds = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - n_seconds - begins[b][limbs], n_seconds)
    return np.repeat(limbs, n_seconds), np.repeat(firsts, n_seconds), seconds


def leave_hopeless_out(pairs, pafs, peaks, t, decoding) -> tuple:
    """Those of the pairs (limbs, firsts, seconds) that may pass judge(), and no other answer: most pairs in a crowd lead across places where
    their limb's PAF is too weak to give decoding.inner_product_thresh in any direction, and too many such samples refuse a pair.
    """
    height, width = pafs.shape[1:]
    weak = weak_cells(pafs, decoding.inner_product_thresh).ravel()
    limbs, firsts, seconds = pairs
    x, y = peaks[:, 1].astype(np.float64), peaks[:, 2].astype(np.float64)
    bearable = len(t) - decoding.n_integ_points_thresh - 1
    n_weak = np.zeros(len(limbs), int)
    steps = sorted(t, key=lambda at: abs(at - 0.5))  # between two people a field is weakest halfway
    for some in [steps] if len(limbs) <= AT_ONCE else [[at] for at in steps]:  # many pairs: few of them remain after the first steps
        at = np.array(some)
        columns = np.clip((x[firsts, None] + (x[seconds] - x[firsts])[:, None] * at).astype(int), 0, width - 1)
        rows = np.clip((y[firsts, None] + (y[seconds] - y[firsts])[:, None] * at).astype(int), 0, height - 1)
        n_weak += weak.take((limbs[:, None] * height + rows) * width + columns).sum(1)
        hopeful = n_weak <= bearable
        limbs, firsts, seconds, n_weak = limbs[hopeful], firsts[hopeful], seconds[hopeful], n_weak[hopeful]
    return limbs, firsts, seconds


def weak_cells(pafs, threshold):
    """(19, H, W) bool: no point in the square of a cell, its right, its lower and its lower right neighbour has a vector longer than threshold."""
    vectors = pafs.reshape(N_LIMBS, 2, *pafs.shape[1:])
    length = np.sqrt(vectors[:, 0] ** 2 + vectors[:, 1] ** 2)
    np.maximum(length[:, :-1], length[:, 1:], out=length[:, :-1])
    np.maximum(length[:, :, :-1], length[:, :, 1:], out=length[:, :, :-1])
    return length * (1 + 1e-5) <= threshold  # a mean of vectors is not longer than the longest of them, but for rounding


def judge(limbs, firsts, seconds, pafs, peaks, t, decoding, nearest) -> tuple:
    """The scores (K,) and lengths (K,) float64 of pairs; score -inf for those that are no connection. t (n,): where along a pair to read.

    The score is the mean inner product of the PAF with the unit vector along the limb (eq. 10 and 11, as a sum), less a penalty
    for limbs longer than decoding.limb_length_ratio widths of the maps.
    """
    x, y = peaks[:, 1].astype(np.float64), peaks[:, 2].astype(np.float64)
    vector_x, vector_y = x[seconds] - x[firsts], y[seconds] - y[firsts]  # (K,)
    lengths = np.hypot(vector_x, vector_y)
    longer = np.maximum(lengths, 1e-9)
    points = (x[firsts, None] + vector_x[:, None] * t, y[firsts, None] + vector_y[:, None] * t)  # (K, n) each
    fields = (_read_nearest if nearest else _read_bilinear)(pafs.reshape(N_LIMBS, 2, *pafs.shape[1:]), limbs[:, None], points)  # (2, K, n)
    products = fields[0] * (vector_x / longer)[:, None] + fields[1] * (vector_y / longer)[:, None]
    penalties = decoding.limb_length_ratio * pafs.shape[2] / longer - decoding.length_penalty_value
    scores = products.mean(-1) + np.minimum(penalties, 0)
    possible = (lengths > 0) & ((products > decoding.inner_product_thresh).sum(-1) > decoding.n_integ_points_thresh)
    return np.where(possible, scores, -np.inf), lengths


def _read_nearest(maps, layers, points):
    """maps (L, C, H, W), each of layers at points (x, y), rounded to pixels; points outside read the border. Returns (C, ...)."""
    x, y = (np.clip(np.rint(values).astype(int), 0, size - 1) for values, size in zip(points, maps.shape[:1:-1], strict=True))
    return np.moveaxis(maps[layers, :, y, x], -1, 0)


def _read_bilinear(maps, layers, points):
    """maps (L, C, H, W), each of layers at points (x, y), bilinear; points outside read the border. Returns (C, ...).

    layers: int, to be broadcast with the points.
    """
    _, channels, height, width = maps.shape
    x, y = (np.minimum(np.maximum(values, 0), size - 1) for values, size in zip(points, (width, height), strict=True))
    left, top = np.minimum(x.astype(int), max(width - 2, 0)), np.minimum(y.astype(int), max(height - 2, 0))
    fx, fy = x - left, y - top
    corner = (layers * (channels * height) + top) * width + left
    flat, right, down = maps.reshape(-1), min(1, width - 1), width * min(1, height - 1)
    left_share, upper_share, result = 1 - fx, 1 - fy, np.empty((channels, *corner.shape))
    for channel in range(channels):
        a, b, c, d = (flat[channel * height * width + step :].take(corner) for step in (0, right, down, down + right))
        result[channel] = (a * left_share + b * fx) * upper_share + (c * left_share + d * fx) * fy
    return result
