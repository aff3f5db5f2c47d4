"""HandNet: OpenPose's hand network (21 points and background), six stages. 52 convolutions, 36.83 M parameters."""

from models.FaceNet import point_network

NETWORK = point_network(22)
