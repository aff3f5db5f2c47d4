"""FaceNet: OpenPose's face network (70 points and background), six stages. 52 convolutions, 38.43 M parameters.

HandNet is the same network with another number of points.
"""

from models.layers import Network, Output, chain, concat, conv, pool

FEATURES = "conv5_3_CPM"

TRUNK = chain(
    "data",
    *(conv("conv1_1", 64), conv("conv1_2", 64), pool("pool1_stage1")),
    *(conv("conv2_1", 128), conv("conv2_2", 128), pool("pool2_stage1")),
    *(conv(f"conv3_{n}", 256) for n in range(1, 5)),
    pool("pool3_stage1"),
    *(conv(f"conv4_{n}", 512) for n in range(1, 5)),
    *(conv("conv5_1", 512), conv("conv5_2", 512), conv(FEATURES, 128)),
)


def output_name(stage):
    return "conv6_2_CPM" if stage == 1 else f"Mconv7_stage{stage}"


def point_network(channels) -> Network:
    """channels: heatmaps of the points and one of the background."""
    layers = [*TRUNK, *chain(FEATURES, conv("conv6_1_CPM", 512, 1), conv(output_name(1), channels, 1, relu=False))]
    for stage in range(2, 7):
        layers += chain(
            FEATURES,
            concat(f"concat_stage{stage}", output_name(stage - 1), FEATURES),
            *(conv(f"Mconv{n}_stage{stage}", 128, 7) for n in range(1, 6)),
            conv(f"Mconv6_stage{stage}", 128, 1),
            conv(output_name(stage), channels, 1, relu=False),
        )
    return Network(tuple(layers), tuple((Output(output_name(stage), 0, channels),) for stage in range(1, 7)))


NETWORK = point_network(71)
