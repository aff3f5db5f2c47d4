"""What a network should answer for given poses: heatmaps and PAFs. The inverse of peaks and paf.

Source: Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", CVPR 2017, eq. 6 to 9.
"""

import numpy as np

from entity import LIMBS, N_JOINTS, N_LIMBS, STRIDE

HEATMAP_SIGMA = 7.0  # pixels of the network's input
PAF_WIDTH = 8.0  # likewise: half the width of a limb


def cell_centers(size, stride=STRIDE):
    """(size / stride,) float64: where the cells of the maps lie in the network's input, in pixels: cell g at stride (g + 0.5) - 0.5."""
    return stride * (np.arange(size // stride) + 0.5) - 0.5


def make_heatmaps(poses, xs, ys, sigma=HEATMAP_SIGMA):
    """Gaussians around the joints, the maximum over people; the last map is the background, 1 - maximum over joints.

    poses (n, 18, 3): x, y, v in pixels; a joint with v = 0 is not there. xs (W,), ys (H,): pixels at which to evaluate.
    Returns (19, H, W) float32.
    """
    columns, rows = (np.exp(-((positions - poses[:, :, axis, None]) ** 2) / (2 * sigma**2)) for axis, positions in ((0, xs), (1, ys)))
    rows = rows * (poses[:, :, 2, None] > 0)
    heatmaps = np.zeros((N_JOINTS + 1, len(ys), len(xs)), np.float32)
    for person_rows, person_columns in zip(rows.astype(np.float32), columns.astype(np.float32), strict=True):
        np.maximum(heatmaps[:-1], person_rows[:, :, None] * person_columns[:, None, :], out=heatmaps[:-1])
    heatmaps[-1] = 1 - heatmaps[:-1].max(0)
    return heatmaps


def make_pafs(poses, xs, ys, width=PAF_WIDTH):
    """Unit vectors along the limbs, within `width` of them; where the limbs of several people overlap, their mean.

    poses, xs, ys as in make_heatmaps. Returns (38, H, W) float32: channel 2 i is x, 2 i + 1 is y of limb i.
    """
    pafs = np.zeros((N_LIMBS, 2, len(ys), len(xs)), np.float32)
    count = np.zeros((N_LIMBS, len(ys), len(xs)), np.float32)
    for limb, (a, b) in enumerate(LIMBS):
        for person in poses[(poses[:, a, 2] > 0) & (poses[:, b, 2] > 0)]:
            start, vector = person[a, :2], person[b, :2] - person[a, :2]
            length = np.hypot(*vector)
            if length == 0:
                continue
            unit = vector / length
            dx, dy = xs - start[0], (ys - start[1])[:, None]
            along, across = unit[0] * dx + unit[1] * dy, unit[0] * dy - unit[1] * dx  # (H, W)
            inside = (along >= 0) & (along <= length) & (np.abs(across) <= width)
            pafs[limb] += unit[:, None, None] * inside
            count[limb] += inside
    return (pafs / np.maximum(count, 1)[:, None]).reshape(2 * N_LIMBS, len(ys), len(xs))
