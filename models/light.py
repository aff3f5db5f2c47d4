"""What the light networks are made of: a stem, residual bottlenecks and a head; its maps join the features, more bottlenecks follow, a second head.

Residual bottlenecks: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; a second stage that reads the maps of the first one:
Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", CVPR 2017.
"""

from itertools import accumulate

from models.layers import INPUT, Network, Output, add, chain, concat, conv

DILATIONS = (1, 2, 1, 4)  # of one block after another, and again
N_BLOCKS, N_REFINES = 8, 4


def light_network(answers, width, middle, stem) -> Network:
    """45 convolutions, stride 8, two stages.

    answers: channels of each output of a stage, which share a convolution. width: channels between the blocks; middle: inside one; stem: of the
    first convolution, and of the next two.
    """
    first, second = stem
    channels = sum(answers)
    layers = (
        *chain(INPUT, conv("stem1", first, stride=2), conv("stem2", second, stride=2), conv("stem3", second), conv("stem4", width, stride=2)),
        *_blocks("stem4", "block", N_BLOCKS, width, middle),
        *_head(f"block{N_BLOCKS}", "head1", width, channels),
        *chain("", concat("concat_stage2", f"block{N_BLOCKS}", "head1_out"), conv("fuse", width, 1)),
        *_blocks("fuse", "refine", N_REFINES, width, middle),
        *_head(f"refine{N_REFINES}", "head2", width, channels),
    )
    stops = tuple(accumulate(answers))
    stages = (tuple(Output(f"{head}_out", start, stop) for start, stop in zip((0, *stops), stops, strict=False)) for head in ("head1", "head2"))
    return Network(layers, tuple(stages))


def _blocks(source, kind, count, width, middle):
    """count residual bottlenecks: result = ReLU(input + expand(conv(reduce(input))))."""
    layers = []
    for n in range(1, count + 1):
        name = f"{kind}{n}"
        layers += chain(
            source,
            conv(f"{name}_reduce", middle, 1),
            conv(f"{name}_conv", middle, dilation=DILATIONS[(n - 1) % len(DILATIONS)]),
            conv(f"{name}_expand", width, 1, relu=False),
            add(name, source, f"{name}_expand"),
        )
        source = name
    return layers


def _head(source, name, width, channels):
    return chain(source, conv(f"{name}_hidden", width, 1), conv(f"{name}_out", channels, 1, relu=False))
