"""LightHandNet: the small hand network that ships with the project (21 points and background). 45 convolutions, 438,124 parameters."""

from models.LightFaceNet import light_point_network

NETWORK = light_point_network(22)
