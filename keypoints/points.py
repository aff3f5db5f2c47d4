"""The points of faces and hands: one place for each map of a network that looks at a crop."""

import time
from contextlib import closing

import numpy as np

from entity import FACE_PEAK_THRESH
from keypoints.image import check_maps, check_net, check_picture, normalise, resize
from keypoints.peaks import find_maxima, locate_peaks

INPUT_SIZE = 368  # pixels: the side of the input of a network that has no row; a crop is stretched to it
MAX_BATCH = 8  # crops in one forward pass: a face network needs about 0.1 GB for each


class PointDetector:
    """What the detectors of faces and hands share. keypoints = detector(image)"""

    has_pose, least_side = False, None

    def __init__(self, net, threshold=None):
        """net: x (N, 3, S, S) float32 -> (heatmaps (N, points + 1, S/8, S/8),), background last; its row `net.arch`, where it has one,
        says S and how pictures are normalised. threshold: a point's peak is above it; None for the network's own. Raises InputError
        for what is no network."""
        check_net(net, type(self).__name__)
        arch = getattr(net, "arch", None)
        self.net = net
        self.scale, self.offset, side = (arch.scale, arch.offset, arch.input_size) if arch else (1 / 256, -0.5, INPUT_SIZE)
        self.size_wh = (side, side)
        self.threshold = threshold if threshold is not None else arch.point_thresh if arch else FACE_PEAK_THRESH
        self.sure = arch.sure if arch else 0.0
        self.seconds = {"network": 0.0, "decode": 0.0}  # of the last call; "network" includes resizing

    def is_there(self, keypoints) -> bool:
        """Whether so many of the points (n, 3) were found, NaN for others, that there is a face or a hand at all."""
        return np.isfinite(keypoints[:, 0]).sum() >= self.sure * len(keypoints)

    @property
    def name(self):
        """Of the network, as in ARCHS; None where it has none."""
        return getattr(self.net, "name", None)

    @property
    def networks(self):
        """The names of all networks that are run."""
        return (self.name,)

    @property
    def compile_seconds(self):
        """Spent so far on preparing the network for the shapes of its inputs."""
        return self.net.compile_seconds

    def detect_crops(self, crops, mirrored) -> list:
        """Find the points of each crop.

        crops: pictures (H, W, 3) uint8 BGR of any sizes. mirrored: per crop whether the network sees its mirror image.
        Returns per crop (points, 3) float64: x, y, confidence in pixels of the crop; NaN for a point that was not found.
        """
        for picture in crops:
            check_picture(picture)
        results, self.seconds = [], {"network": 0.0, "decode": 0.0}
        for begin in range(0, len(crops), MAX_BATCH):
            part = list(zip(crops[begin : begin + MAX_BATCH], mirrored[begin : begin + MAX_BATCH], strict=True))
            start = time.perf_counter()
            inputs = [resize(crop[:, ::-1] if mirror else crop, self.size_wh) for crop, mirror in part]
            (heatmaps,) = self.net(np.concatenate([normalise(x, self.scale, self.offset) for x in inputs]))
            check_maps(heatmaps)
            middle = time.perf_counter()
            for maps, (crop, mirror) in zip(heatmaps, part, strict=True):
                results.append(decode_points(maps[:, :, ::-1] if mirror else maps, (crop.shape[1], crop.shape[0]), self.threshold))
            self.seconds["network"] += middle - start
            self.seconds["decode"] += time.perf_counter() - middle
        return results

    def stream(self, images, ahead=iter):
        """Yield (image, keypoints) for each of the images, in order. ahead: what runs the images in a thread, as streams.threads.read_ahead."""
        with closing(ahead(image for image in images)) as images:
            for image in images:
                yield image, self.detect(image)

    def describe(self, persons) -> str:
        keypoints = np.concatenate([part.keypoints for person in persons for part in person.parts.values()])
        return f"{np.isfinite(keypoints[:, 0]).sum()} of {len(keypoints)} points"


def decode_points(heatmaps, size_wh, threshold):
    """heatmaps (points + 1, h, w) of a crop of size_wh -> (points, 3) float64: x, y, confidence in pixels of the crop, NaN where missing."""
    peaks = locate_peaks(np.ascontiguousarray(heatmaps[:-1]), threshold, find_maxima)
    cells_wh = np.array([heatmaps.shape[2], heatmaps.shape[1]])
    keypoints = np.full((len(heatmaps) - 1, 3), np.nan)
    joint = peaks[:, 0].astype(int)
    keypoints[joint, :2] = (peaks[:, 1:3] + 0.5) * (np.array(size_wh) / cells_wh) - 0.5
    keypoints[joint, 2] = peaks[:, 3]
    return keypoints
