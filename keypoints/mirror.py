"""Left and right change places: what the maps of a picture's mirror image say about the picture."""

import numpy as np

from entity import FLIPPED_JOINTS, FLIPPED_LIMBS, N_JOINTS, N_LIMBS


def mirror_maps(pafs, heatmaps):
    """The maps of a picture from those of its mirror image, and the other way round.

    pafs (38, H, W), heatmaps (19, H, W), of one dtype float -> the same, new. Columns are reversed, channels of the left and the right
    side change places, and the x components of the PAFs change their sign. Exact where the picture's width is a multiple of the stride.
    """
    vectors = pafs.reshape(N_LIMBS, 2, *pafs.shape[1:])[list(FLIPPED_LIMBS), :, :, ::-1]
    signs = np.array([-1, 1], pafs.dtype)[:, None, None]
    channels = [*FLIPPED_JOINTS, *range(N_JOINTS, len(heatmaps))]  # the background stays
    return (vectors * signs).reshape(pafs.shape), heatmaps[channels, :, ::-1]
