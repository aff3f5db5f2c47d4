"""The forward pass of a network by every engine, and the share of the machine's arithmetic that it reaches."""

import numpy as np

from engines.peers import open_nets
from models import ARCHS, shapes_of
from models.layers import INPUT, run_layers
from speed.clock import timings
from speed.rows import Row

PRECISIONS = ("f32", "bf16", "int8")


def network_rows(arch, size_wh, repeats, calibration=None) -> list:
    """A Row for each engine that this machine has. size_wh: of the input, multiples of 8. calibration: pictures for INT8 where none ships."""
    x = np.random.default_rng(0).random((1, 3, size_wh[1], size_wh[0]), dtype=np.float32) - 0.5
    nets = open_nets(arch, calibration)
    measured = timings({name: lambda net=net: net(x) for name, net in nets.items()}, repeats)
    slowest, work = max(each.median for each in measured.values()), operations(arch, size_wh) / 1e9
    stage = f"{arch}, network {size_wh[0]}x{size_wh[1]}"
    return [
        Row("network", stage, name, each.median, each.high, slowest / each.median, {"arch": arch, "gflop": work, "gflops": 1000 * work / each.median})
        for name, each in measured.items()
    ]


def operations(arch, size_wh) -> int:
    """Additions and multiplications of a forward pass over one picture, those of its convolutions."""
    network, shapes, total = ARCHS[arch].network, shapes_of(arch), 0

    def step(layer, sides):
        nonlocal total
        height, width = sides[0]
        shrinks = 2 if layer.op == "pool" else layer.stride
        sides = -(-height // shrinks), -(-width // shrinks)
        if layer.op == "conv":
            total += 2 * sides[0] * sides[1] * int(np.prod(shapes[f"{layer.name}/W"]))
        return sides

    run_layers(network.layers, size_wh[::-1], step, {output.layer for output in network.outputs})
    return total


def best_rates(repeats) -> dict:
    """{precision: GFLOP/s} that this machine reaches on the convolution it likes best, for those precisions that it has."""
    from engines.openvino_peak import SIDE, best_convolution, convolution_operations

    x, jobs = np.random.default_rng(0).random((1, *SIDE), dtype=np.float32), {}
    for precision in PRECISIONS:
        net = best_convolution(precision)
        if net is not None:
            jobs[precision] = lambda net=net: net({INPUT: x})
    return {name: convolution_operations() / 1e6 / each.median for name, each in timings(jobs, repeats).items()}


def share_table(rows, rates) -> str:
    """Markdown: what each network of the rows reaches of the rates, by OpenVINO."""
    lines = ["| network | precision | GFLOP | GFLOP/s | of this machine's best |", "|---|---|---:|---:|---:|"]
    for row in rows:
        precision = row.engine.removeprefix("OpenVINO ")
        if row.part == "network" and precision in rates:
            rate = row.facts["gflops"]
            lines.append(f"| {row.stage} | {precision} | {row.facts['gflop']:.2f} | {rate:.0f} | {100 * rate / rates[precision]:.0f} % |")
    best = ", ".join(f"{name} {rate:.0f} GFLOP/s" for name, rate in rates.items())
    return "\n".join([*lines, "", f"This machine's best: six convolutions of 3x3, 256 channels, by OpenVINO: {best}."])
