"""LightPoseNet: the small pose network that ships with the project. 45 convolutions, 764,914 parameters, stride 8, two stages."""

from models.layers import Network, Output, add, chain, concat, conv

WIDTH, MIDDLE = 128, 64  # channels between the blocks, and inside one
DILATIONS = (1, 2, 1, 4)
N_BLOCKS, N_REFINES = 8, 4


def blocks(source, kind, count):
    """count residual bottlenecks: result = ReLU(input + expand(conv(reduce(input))))."""
    layers = []
    for n in range(1, count + 1):
        name = f"{kind}{n}"
        layers += chain(
            source,
            conv(f"{name}_reduce", MIDDLE, 1),
            conv(f"{name}_conv", MIDDLE, dilation=DILATIONS[(n - 1) % len(DILATIONS)]),
            conv(f"{name}_expand", WIDTH, 1, relu=False),
            add(name, source, f"{name}_expand"),
        )
        source = name
    return layers


def head(source, name):
    return chain(source, conv(f"{name}_hidden", WIDTH, 1), conv(f"{name}_out", 57, 1, relu=False))


def outputs(layer):
    """PAFs, heatmaps."""
    return Output(layer, 0, 38), Output(layer, 38, 57)


LAYERS = (
    *chain("data", conv("stem1", 16, stride=2), conv("stem2", 32, stride=2), conv("stem3", 32), conv("stem4", WIDTH, stride=2)),
    *blocks("stem4", "block", N_BLOCKS),
    *head(f"block{N_BLOCKS}", "head1"),
    *chain("", concat("concat_stage2", f"block{N_BLOCKS}", "head1_out"), conv("fuse", WIDTH, 1)),
    *blocks("fuse", "refine", N_REFINES),
    *head(f"refine{N_REFINES}", "head2"),
)

NETWORK = Network(LAYERS, (outputs("head1_out"), outputs("head2_out")))
