"""CocoPoseNet: OpenPose's body network (COCO, 18 joints), six stages of two branches. 92 convolutions, 52,311,446 parameters."""

from models.layers import Network, Output, chain, concat, conv, pool

FEATURES = "conv4_4_CPM"
BRANCHES = {"L1": 38, "L2": 19}  # PAFs, heatmaps

TRUNK = chain(
    "data",
    *(conv("conv1_1", 64), conv("conv1_2", 64), pool("pool1_stage1")),
    *(conv("conv2_1", 128), conv("conv2_2", 128), pool("pool2_stage1")),
    *(conv(f"conv3_{n}", 256) for n in range(1, 5)),
    pool("pool3_stage1"),
    *(conv("conv4_1", 512), conv("conv4_2", 512), conv("conv4_3_CPM", 256), conv(FEATURES, 128)),
)

VGG19_LAYERS = tuple(layer for layer in TRUNK if not layer.name.endswith("_CPM"))  # these, VGG-19's weights initialise for training


def output_name(stage, branch):
    return f"conv5_5_CPM_{branch}" if stage == 1 else f"Mconv7_stage{stage}_{branch}"


def first_stage(branch, channels):
    return chain(
        FEATURES,
        *(conv(f"conv5_{n}_CPM_{branch}", 128) for n in range(1, 4)),
        conv(f"conv5_4_CPM_{branch}", 512, 1),
        conv(output_name(1, branch), channels, 1, relu=False),
    )


def later_stage(stage, branch, channels):
    return chain(
        f"concat_stage{stage}",
        *(conv(f"Mconv{n}_stage{stage}_{branch}", 128, 7) for n in range(1, 6)),
        conv(f"Mconv6_stage{stage}_{branch}", 128, 1),
        conv(output_name(stage, branch), channels, 1, relu=False),
    )


LAYERS = [*TRUNK, *first_stage("L1", 38), *first_stage("L2", 19)]
for stage in range(2, 7):
    LAYERS.append(concat(f"concat_stage{stage}", *(output_name(stage - 1, branch) for branch in BRANCHES), FEATURES))
    for branch, channels in BRANCHES.items():
        LAYERS += later_stage(stage, branch, channels)

STAGES = [tuple(Output(output_name(stage, branch), 0, channels) for branch, channels in BRANCHES.items()) for stage in range(1, 7)]

NETWORK = Network(tuple(LAYERS), tuple(STAGES))
