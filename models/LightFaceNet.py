"""LightFaceNet: the small face network that ships with the project (70 points and background). 45 convolutions, 452,334 parameters.

LightHandNet is the same network with another number of points.
"""

from models.light import light_network

WIDTH, MIDDLE, STEM = 96, 48, (16, 32)  # channels between the blocks, inside one, and of the stem


def light_point_network(channels):
    """channels: heatmaps of the points and one of the background."""
    return light_network((channels,), WIDTH, MIDDLE, STEM)


NETWORK = light_point_network(71)
