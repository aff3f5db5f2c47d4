"""LightPoseNet: the small pose network that ships with the project. 45 convolutions, 764,914 parameters, stride 8, two stages."""

from models.light import light_network

WIDTH, MIDDLE, STEM = 128, 64, (16, 32)  # channels between the blocks, inside one, and of the stem

NETWORK = light_network((38, 19), WIDTH, MIDDLE, STEM)  # PAFs, heatmaps
