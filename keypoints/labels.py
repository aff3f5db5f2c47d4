"""What a network should answer for given poses: heatmaps and PAFs. The inverse of peaks and paf.

Source: Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", CVPR 2017, eq. 6 to 9.
"""

import numpy as np

from entity import LIMBS, N_LIMBS, STRIDE

HEATMAP_SIGMA = 7.0  # pixels of the network's input
PAF_WIDTH = 8.0  # likewise: half the width of a limb


def cell_centers(size, stride=STRIDE):
    """(size / stride,) float64: where the cells of the maps lie in the network's input, in pixels: cell g at stride (g + 0.5) - 0.5."""
    return stride * (np.arange(size // stride) + 0.5) - 0.5


def make_heatmaps(poses, xs, ys, sigma=HEATMAP_SIGMA):
    """Gaussians around the joints, the maximum over people; the last map is the background, 1 - maximum over joints.

    poses (n, 18, 3): x, y, v in pixels; a joint with v = 0 is not there; or as many points of faces or hands as there are. xs (W,), ys (H,):
    pixels at which to evaluate. Returns (19, H, W) float32, or one map more than points.
    """
    columns, rows = (np.exp(-((positions - poses[:, :, axis, None]) ** 2) / (2 * sigma**2)) for axis, positions in ((0, xs), (1, ys)))
    rows = rows * (poses[:, :, 2, None] > 0)
    heatmaps = np.zeros((poses.shape[1] + 1, len(ys), len(xs)), np.float32)
    for person_rows, person_columns in zip(rows.astype(np.float32), columns.astype(np.float32), strict=True):
        np.maximum(heatmaps[:-1], person_rows[:, :, None] * person_columns[:, None, :], out=heatmaps[:-1])
    heatmaps[-1] = 1 - heatmaps[:-1].max(0)
    return heatmaps


def make_pafs(poses, xs, ys, width=PAF_WIDTH):
    """Unit vectors along the limbs, within `width` of them; where the limbs of several people overlap, their mean.

    poses, xs, ys as in make_heatmaps; xs and ys ascending. Returns (38, H, W) float32: channel 2 i is x, 2 i + 1 is y of limb i.
    """
    limbs, starts, ends = _limbs_of(poses)
    vectors = ends - starts
    lengths = np.hypot(vectors[:, 0], vectors[:, 1])
    units = vectors / lengths[:, None]
    dx, dy = xs - starts[:, :1], ys - starts[:, 1:]  # (m, W), (m, H)
    along_x, along_y, across_x, across_y = units[:, :1] * dx, units[:, 1:] * dy, units[:, 1:] * dx, units[:, :1] * dy
    near = zip(_near(xs, starts[:, 0], ends[:, 0], width), _near(ys, starts[:, 1], ends[:, 1], width), strict=True)
    pafs = np.zeros((N_LIMBS, 2, len(ys), len(xs)), np.float32)
    count = np.zeros((N_LIMBS, len(ys), len(xs)), np.float32)
    columns = units.astype(np.float32)[:, :, None, None]
    for i, (limb, length, (x, y)) in enumerate(zip(limbs.tolist(), lengths.tolist(), near, strict=True)):  # only the cells around each limb
        along, across = along_x[i, x] + along_y[i, y, None], across_y[i, y, None] - across_x[i, x]
        inside = (along >= 0) & (along <= length) & (np.abs(across) <= width)
        pafs[limb, :, y, x] += columns[i] * inside
        count[limb, y, x] += inside
    return (pafs / np.maximum(count, 1)[:, None]).reshape(2 * N_LIMBS, len(ys), len(xs))


def _limbs_of(poses):
    """The limbs of all people that have a length: limb (m,), starts (m, 2), ends (m, 2)."""
    first, second = np.array(LIMBS).T
    starts, ends = poses[:, first], poses[:, second]  # (n, 19, 3)
    there = (starts[..., 2] > 0) & (ends[..., 2] > 0) & (starts[..., :2] != ends[..., :2]).any(-1)
    return np.nonzero(there)[1], starts[there][:, :2], ends[there][:, :2]


def _near(positions, start, end, width):
    """Per limb the slice of the positions, ascending, that lie between its ends or within `width` of them."""
    low = np.searchsorted(positions, np.minimum(start, end) - width, "left")
    high = np.searchsorted(positions, np.maximum(start, end) + width, "right")
    return [slice(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True)]
