"""The tables of layers: counts, names, wiring, arithmetic, and the loop that runs them."""

import math
import weakref

import pytest

from models import ARCHS, VGG19, shapes_of
from models.layers import INPUT, Layer, Output, add, chain, concat, conv, parameter_shapes, pool, run_layers

SIZES = {
    **{"posenet": (92, 52_311_446), "facenet": (52, 38_425_706), "handnet": (52, 36_832_324)},
    **{"lightposenet": (45, 1_701_426), "lightfacenet": (45, 452_334), "lighthandnet": (45, 438_124)},
}
N_OUT = {"posenet": 57, "facenet": 71, "handnet": 22, "lightposenet": 57, "lightfacenet": 71, "lighthandnet": 22}
LIGHT = [arch for arch in SIZES if arch.startswith("light")]


def table(arch):
    return ARCHS[arch].network.layers


def by_name(arch):
    return {layer.name: layer for layer in table(arch)}


def output_shapes(layers, height, width):
    """{name: (channels, height, width)} of every layer, by the arithmetic of convolutions, not by an engine."""
    shapes = {INPUT: (3, height, width)}
    for layer in layers:
        inputs = [shapes[name] for name in layer.inputs]
        channels, *sides = inputs[0]
        if layer.op == "conv":
            reach = layer.dilation * (layer.kernel - 1) + 1
            shapes[layer.name] = (layer.channels, *((side + 2 * layer.pad - reach) // layer.stride + 1 for side in sides))
        elif layer.op == "pool":
            shapes[layer.name] = (channels, *(-(-side // 2) for side in sides))
        else:
            assert len({shape[1:] for shape in inputs}) == 1, f"{layer.name} joins maps of several sizes"
            shapes[layer.name] = (sum(shape[0] for shape in inputs) if layer.op == "concat" else channels, *sides)
    return shapes


def count_macs(layers, side):
    """Multiplications of all convolutions for one square picture."""
    shapes = output_shapes(layers, side, side)
    return sum(shapes[x.inputs[0]][0] * x.kernel**2 * math.prod(shapes[x.name]) for x in layers if x.op == "conv")


@pytest.mark.parametrize("arch", SIZES)
def test_number_of_convolutions_and_parameters(arch):
    shapes = shapes_of(arch)
    n_convolutions, n_parameters = SIZES[arch]
    assert sum(layer.op == "conv" for layer in table(arch)) == n_convolutions
    assert len(shapes) == 2 * n_convolutions
    assert sum(math.prod(shape) for shape in shapes.values()) == n_parameters


@pytest.mark.parametrize("arch", SIZES)
def test_names_are_unique_and_inputs_come_first(arch):
    seen = {INPUT}
    for layer in table(arch):
        assert layer.inputs, f"{layer.name} reads nothing"
        assert seen.issuperset(layer.inputs), f"{layer.name} reads what comes later"
        assert layer.name not in seen
        seen.add(layer.name)


@pytest.mark.parametrize(
    ("arch", "name", "shape"),
    [
        ("posenet", "conv1_1/W", (64, 3, 3, 3)),
        ("posenet", "conv4_3_CPM/W", (256, 512, 3, 3)),
        ("posenet", "conv4_4_CPM/b", (128,)),
        ("posenet", "conv5_1_CPM_L2/W", (128, 128, 3, 3)),
        ("posenet", "conv5_4_CPM_L1/W", (512, 128, 1, 1)),
        ("posenet", "conv5_5_CPM_L1/W", (38, 512, 1, 1)),
        ("posenet", "conv5_5_CPM_L1/b", (38,)),
        ("posenet", "conv5_5_CPM_L2/b", (19,)),
        ("posenet", "Mconv1_stage2_L1/W", (128, 185, 7, 7)),
        ("posenet", "Mconv6_stage4_L2/W", (128, 128, 1, 1)),
        ("posenet", "Mconv7_stage6_L1/W", (38, 128, 1, 1)),
        ("posenet", "Mconv7_stage6_L2/W", (19, 128, 1, 1)),
        ("facenet", "conv4_4/W", (512, 512, 3, 3)),
        ("facenet", "conv5_3_CPM/W", (128, 512, 3, 3)),
        ("facenet", "conv6_1_CPM/W", (512, 128, 1, 1)),
        ("facenet", "conv6_2_CPM/W", (71, 512, 1, 1)),
        ("facenet", "Mconv1_stage2/W", (128, 199, 7, 7)),
        ("facenet", "Mconv7_stage6/b", (71,)),
        ("handnet", "conv6_2_CPM/W", (22, 512, 1, 1)),
        ("handnet", "Mconv1_stage6/W", (128, 150, 7, 7)),
        ("lightposenet", "stem1/W", (24, 3, 3, 3)),
        ("lightposenet", "block1_reduce/W", (96, 192, 1, 1)),
        ("lightposenet", "refine4_conv/W", (96, 96, 3, 3)),
        ("lightposenet", "head1_out/W", (57, 192, 1, 1)),
        ("lightposenet", "head2_out/b", (57,)),
        ("lightfacenet", "stem4/W", (96, 32, 3, 3)),
        ("lightfacenet", "fuse/W", (96, 96 + 71, 1, 1)),
        ("lightfacenet", "refine1_conv/W", (48, 48, 3, 3)),
        ("lighthandnet", "head1_out/W", (22, 96, 1, 1)),
        ("vgg19", "conv4_2/W", (512, 512, 3, 3)),
    ],
)
def test_parameters_have_the_original_names_and_shapes(arch, name, shape):
    assert shapes_of(arch)[name] == shape


def test_vgg19_are_the_ten_layers_up_to_conv4_2():
    names = [*("conv1_1", "conv1_2", "conv2_1", "conv2_2"), *(f"conv3_{n}" for n in range(1, 5)), "conv4_1", "conv4_2"]
    assert list(shapes_of(VGG19)) == [f"{name}/{kind}" for name in names for kind in "Wb"]
    assert shapes_of(VGG19).items() <= shapes_of("posenet").items()


@pytest.mark.parametrize(("arch", "billions"), [("posenet", 135.9), ("facenet", 106.6), ("handnet", 103.2)])
def test_multiplications_at_368(arch, billions):
    assert round(count_macs(table(arch), 368) / 1e9, 1) == billions


@pytest.mark.parametrize("arch", SIZES)
@pytest.mark.parametrize(("height", "width"), [(368, 368), (8, 8), (24, 200)])
def test_every_stage_answers_with_stride_8(arch, height, width):
    shapes = output_shapes(table(arch), height, width)
    for stage in ARCHS[arch].network.stages:
        for output in stage:
            assert shapes[output.layer][1:] == (height // 8, width // 8)
        assert sum(output.stop - output.start for output in stage) == N_OUT[arch]


@pytest.mark.parametrize(
    ("arch", "first", "later"),
    [
        ("posenet", ["conv5_5_CPM_L1", "conv5_5_CPM_L2"], ["Mconv7_stage{}_L1", "Mconv7_stage{}_L2"]),
        ("facenet", ["conv6_2_CPM"], ["Mconv7_stage{}"]),
        ("handnet", ["conv6_2_CPM"], ["Mconv7_stage{}"]),
    ],
)
def test_only_the_last_convolution_of_a_stage_has_no_relu(arch, first, later):
    expected = [first, *([name.format(stage) for name in later] for stage in range(2, 7))]
    assert [[output.layer for output in stage] for stage in ARCHS[arch].network.stages] == expected
    assert {layer.name for layer in table(arch) if layer.op == "conv" and not layer.relu} == {name for stage in expected for name in stage}


@pytest.mark.parametrize("arch", ["posenet", "facenet", "handnet"])
def test_later_stages_read_the_stage_before_and_the_features(arch):
    stages = ARCHS[arch].network.stages
    features = "conv4_4_CPM" if arch == "posenet" else "conv5_3_CPM"
    joined = [layer.inputs for layer in table(arch) if layer.op == "concat"]
    assert joined == [(*(output.layer for output in stage), features) for stage in stages[:-1]]
    readers = [layer.name for layer in table(arch) if layer.inputs == ("concat_stage3",)]
    assert readers == (["Mconv1_stage3_L1", "Mconv1_stage3_L2"] if arch == "posenet" else ["Mconv1_stage3"])


@pytest.mark.parametrize("arch", ["posenet", "facenet", "handnet"])
def test_trunk_pools_three_times_and_convolves_as_wide_as_written(arch):
    layers = by_name(arch)
    assert [layer.inputs for layer in table(arch) if layer.op == "pool"] == [("conv1_2",), ("conv2_2",), ("conv3_4",)]
    for name, layer in layers.items():
        if layer.op == "conv":
            assert (layer.stride, layer.dilation, layer.pad) == (1, 1, layer.kernel // 2)
            wide = 7 if name.startswith("Mconv") and name[5] in "12345" else 3
            one = name.startswith(("Mconv6", "Mconv7", "conv5_4_CPM", "conv5_5_CPM", "conv6_1_CPM", "conv6_2_CPM"))
            assert layer.kernel == (1 if one else wide), name


def expected_light_layers():
    """The table without its widths, row by row: op, name, inputs, kernel, stride, dilation, relu."""
    for name, source, stride in [("stem1", INPUT, 2), ("stem2", "stem1", 2), ("stem3", "stem2", 1), ("stem4", "stem3", 2)]:
        yield "conv", name, (source,), 3, stride, 1, True
    for kind, count, source in [("block", 8, "stem4"), ("refine", 4, "fuse")]:
        if kind == "refine":
            yield "concat", None, ("block8", "head1_out"), None, None, None, None
            yield "conv", "fuse", (None,), 1, 1, 1, True
        for n in range(count):
            name = f"{kind}{n + 1}"
            yield "conv", f"{name}_reduce", (source,), 1, 1, 1, True
            yield "conv", f"{name}_conv", (f"{name}_reduce",), 3, 1, (1, 2, 1, 4)[n % 4], True
            yield "conv", f"{name}_expand", (f"{name}_conv",), 1, 1, 1, False
            yield "add", name, (source, f"{name}_expand"), None, None, None, True
            source = name
        head = "head1" if kind == "block" else "head2"
        yield "conv", f"{head}_hidden", (source,), 1, 1, 1, True
        yield "conv", f"{head}_out", (f"{head}_hidden",), 1, 1, 1, False


@pytest.mark.parametrize("arch", LIGHT)
def test_light_networks_are_wired_alike(arch):
    joined = next(layer.name for layer in table(arch) if layer.op == "concat")
    expected = list(expected_light_layers())
    assert len(expected) == len(table(arch)) == 45 + 12 + 1
    for layer, (op, name, inputs, kernel, stride, dilation, relu) in zip(table(arch), expected, strict=True):
        assert (layer.op, layer.name) == (op, name or joined)
        assert layer.inputs == tuple(source or joined for source in inputs)
        if op == "conv":
            assert (layer.kernel, layer.stride, layer.dilation, layer.relu) == (kernel, stride, dilation, relu), name
        elif op == "add":
            assert layer.relu, name


def test_light_pose_net_fuses_249_channels_and_splits_its_heads():
    shapes = shapes_of("lightposenet")
    assert shapes["fuse/W"][1] == shapes["block8_expand/W"][0] + shapes["head1_out/W"][0] == 249
    expected = [(Output(f"head{n}_out", 0, 38), Output(f"head{n}_out", 38, 57)) for n in (1, 2)]
    assert list(ARCHS["lightposenet"].network.stages) == expected


def test_networks_answer_with_their_last_stage():
    assert ARCHS["posenet"].network.outputs == (Output("Mconv7_stage6_L1", 0, 38), Output("Mconv7_stage6_L2", 0, 19))
    assert ARCHS["facenet"].network.outputs == (Output("Mconv7_stage6", 0, 71),)
    assert ARCHS["handnet"].network.outputs == (Output("Mconv7_stage6", 0, 22),)
    assert ARCHS["lightfacenet"].network.outputs == (Output("head2_out", 0, 71),)
    assert ARCHS["lighthandnet"].network.outputs == (Output("head2_out", 0, 22),)


@pytest.mark.parametrize(("kernel", "dilation", "pad"), [(1, 1, 0), (3, 1, 1), (7, 1, 3), (3, 2, 2), (3, 4, 4), (1, 4, 0)])
def test_padding_keeps_the_size(kernel, dilation, pad):
    layer = conv("a", 1, kernel, dilation=dilation)
    assert layer.pad == pad
    assert output_shapes(chain(INPUT, layer), 17, 23)["a"] == (1, 17, 23)


def test_chain_links_each_layer_to_the_one_before():
    assert [layer.inputs for layer in chain("source", conv("a", 1), pool("b"), conv("c", 1))] == [("source",), ("a",), ("b",)]


def test_chain_keeps_explicit_inputs():
    layers = chain("source", conv("a", 1), conv("b", 1, inputs=("elsewhere",)), add("c", "a", "b"), concat("d", "c", "source"), conv("e", 1))
    assert [layer.inputs for layer in layers] == [("source",), ("elsewhere",), ("a", "b"), ("c", "source"), ("d",)]


def test_parameter_shapes_follow_the_channels():
    layers = chain(INPUT, conv("a", 5), conv("b", 5, 1), add("c", "a", "b"), pool("d"), concat("e", "d", "a", INPUT), conv("f", 2, 7))
    assert parameter_shapes(layers) == {
        **{"a/W": (5, 3, 3, 3), "a/b": (5,)},
        **{"b/W": (5, 5, 1, 1), "b/b": (5,)},
        **{"f/W": (2, 5 + 5 + 3, 7, 7), "f/b": (2,)},
    }


class Tensor:
    """An output that one can hold a weak reference to."""


def held_at_each_layer(layers, wanted):
    """Run a table; per layer the names of the earlier outputs that are still held while it runs; then what run_layers returned."""
    references, held = {}, []

    def step(layer, inputs):
        assert inputs == [references[name]() for name in layer.inputs]
        held.append({name for name, reference in references.items() if reference() is not None})
        output = Tensor()
        references[layer.name] = weakref.ref(output)
        return output

    picture = Tensor()
    references[INPUT] = weakref.ref(picture)
    results = run_layers(layers, picture, step, wanted)
    assert {name: reference() for name, reference in references.items() if reference() is not None} == {INPUT: picture, **results}
    return [names - {INPUT} for names in held], results


def test_run_layers_forgets_an_output_after_its_last_reader():
    layers = chain(INPUT, conv("a", 1), conv("b", 1), conv("c", 1), add("d", "c", "a"), conv("e", 1), conv("f", 1))
    held, results = held_at_each_layer(layers, ["f"])
    assert held == [set(), {"a"}, {"a", "b"}, {"a", "c"}, {"d"}, {"e"}]
    assert list(results) == ["f"]


def test_run_layers_returns_what_is_wanted_and_nothing_else():
    layers = chain(INPUT, conv("a", 1), conv("b", 1), conv("c", 1))
    held, results = held_at_each_layer(layers, {"a", "c"})
    assert held == [set(), {"a"}, {"a", "b"}]
    assert set(results) == {"a", "c"}


@pytest.mark.parametrize("arch", SIZES)
def test_run_layers_holds_only_what_is_still_read(arch):
    layers, wanted = table(arch), {output.layer for output in ARCHS[arch].network.outputs}
    held, results = held_at_each_layer(layers, wanted)
    assert set(results) == wanted
    for i, names in enumerate(held):
        assert names <= wanted.union(*(layer.inputs for layer in layers[i:])), layers[i].name


def test_layers_run_in_order_with_their_inputs():
    layers = chain(INPUT, conv("a", 1), add("b", "a", INPUT), concat("c", "b", "a"))
    results = run_layers(layers, "x", lambda layer, inputs: f"{layer.name}({','.join(inputs)})", ["c"])
    assert results == {"c": "c(b(a(x),x),a(x))"}


def test_layers_are_rows():
    assert conv("a", 7) == Layer("conv", "a", (), 7, 3, 1, 1, True)
    assert pool("p") == Layer("pool", "p")
    assert concat("c", "a", "p") == Layer("concat", "c", ("a", "p"))
    assert add("s", "a", "c") == Layer("add", "s", ("a", "c"), relu=True)
