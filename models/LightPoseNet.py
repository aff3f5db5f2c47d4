"""LightPoseNet: the small pose network that ships with the project. 45 convolutions, 1,701,426 parameters, stride 8, two stages."""

from models.light import light_network

WIDTH, MIDDLE, STEM = 192, 96, (24, 48)  # channels between the blocks, inside one, and of the stem

NETWORK = light_network((38, 19), WIDTH, MIDDLE, STEM)  # PAFs, heatmaps
