"""Training samples from several places, and from pictures without labels."""

import numpy as np

from entity import N_JOINTS, N_LIMBS, STRIDE
from keypoints.augment import augment
from keypoints.image import normalise
from streams.frames import find_pictures
from streams.picture import read_image


class MixedSamples:
    """Samples of several datasets as one."""

    def __init__(self, datasets):
        """datasets: each with a length and sample(index, rng)."""
        self.datasets = datasets

    def __len__(self):
        return sum(map(len, self.datasets))

    def sample(self, index, rng):
        for dataset in self.datasets:
            if index < len(dataset):
                return dataset.sample(index, rng)
            index -= len(dataset)
        raise IndexError("sample index out of range")


class UnlabelledSamples:
    """Views of the pictures in a folder, in which no cell counts by itself: what there is to learn from them, a teacher says."""

    def __init__(self, folder, insize):
        """insize: side of the view, pixels. Raises InputError if there are no pictures."""
        self.paths, self.insize = find_pictures(folder, None), insize

    def __len__(self):
        return len(self.paths)

    def sample(self, index, rng):
        """x (3, insize, insize) float32, pafs, heatmaps (zeros), ignore_mask (all True), as CocoDataLoader's."""
        image = read_image(self.paths[index])
        height, width = image.shape[:2]
        box = np.array([[0, 0, width, height]], np.float64)
        image, _, _ = augment(image, np.zeros((height, width), bool), np.zeros((0, N_JOINTS, 3)), rng, box, self.insize)
        cells = self.insize // STRIDE
        maps = (np.zeros((channels, cells, cells), np.float32) for channels in (2 * N_LIMBS, N_JOINTS + 1))
        return normalise(image)[0], *maps, np.ones((cells, cells), bool)
