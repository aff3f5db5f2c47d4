"""A table of layers as a network of PyTorch that learns: batch normalisation after each convolution but those that answer, and adapters for hints."""

import torch
from torch import nn
from torch.nn import functional

from distil.folding import folded, unfolded
from models.layers import parameter_shapes, run_layers


class Student(nn.Module):
    """stages, hints = student(x): x (N, 3, H, W) float32 -> per stage all its channels (N, C, H/8, W/8); per tap what its adapter says."""

    def __init__(self, network, taps=()):
        """network: models.layers.Network. taps: (layer, channels) rows: a 1x1 convolution reads the layer and says the teacher's features
        there (Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015)."""
        super().__init__()
        self.network, self.taps = network, tuple(taps)
        self.stages = [list(dict.fromkeys(output.layer for output in stage)) for stage in network.stages]
        answers, shapes = {name for names in self.stages for name in names}, parameter_shapes(network.layers)
        self.convolutions, self.norms, self.adapters, channels = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict(), {}
        for layer in network.layers:
            if layer.op == "conv":
                after, before, kernel, _ = shapes[f"{layer.name}/W"]
                convolution = nn.Conv2d(before, after, kernel, layer.stride, layer.pad, layer.dilation, bias=layer.name in answers)
                self.convolutions[layer.name], channels[layer.name] = convolution, after
                if layer.name not in answers:
                    self.norms[layer.name] = nn.BatchNorm2d(after)
            else:
                sizes = [channels[name] for name in layer.inputs]
                channels[layer.name] = sum(sizes) if layer.op == "concat" else sizes[0]
        for tap, count in self.taps:
            self.adapters[tap] = nn.Conv2d(channels[tap], count, 1)
        self._answer_background()

    def _answer_background(self):
        """Begin with empty maps: the last channel, which is the background, is 1."""
        for stage in self.network.stages:
            for output in stage:
                convolution = self.convolutions[output.layer]
                nn.init.normal_(convolution.weight, std=0.01)
                nn.init.zeros_(convolution.bias)
            convolution.bias.data[output.stop - 1] = 1

    def forward(self, x):
        wanted = {name for names in self.stages for name in names} | {tap for tap, _ in self.taps}
        found = run_layers(self.network.layers, x, self._step, wanted)
        stages = [found[names[0]] if len(names) == 1 else torch.cat([found[name] for name in names], 1) for names in self.stages]
        return stages, [self.adapters[tap](found[tap]) for tap, _ in self.taps]

    def _step(self, layer, inputs):
        if layer.op == "conv":
            y = self.convolutions[layer.name](inputs[0])
            y = self.norms[layer.name](y) if layer.name in self.norms else y
        elif layer.op == "pool":
            y = functional.max_pool2d(inputs[0], 2, 2, ceil_mode=True)
        else:
            y = torch.cat(inputs, 1) if layer.op == "concat" else sum(inputs[1:], inputs[0])
        return torch.relu(y) if layer.relu else y

    @torch.no_grad()
    def weights(self) -> dict:
        """{"conv1/W": array float32, "conv1/b": ..., ...} in the order of the table, normalisation folded in."""
        arrays = {}
        for name, convolution in self.convolutions.items():
            arrays[f"{name}/W"] = convolution.weight
            if name in self.norms:
                norm = self.norms[name]
                parts = {"gamma": norm.weight, "beta": norm.bias, "mean": norm.running_mean, "var": norm.running_var}
                arrays |= {f"{name}/{part}": tensor for part, tensor in parts.items()}
            else:
                arrays[f"{name}/b"] = convolution.bias
        return folded({name: tensor.float().cpu().numpy() for name, tensor in arrays.items()}, EPSILON)

    @torch.no_grad()
    def take(self, weights, batches):
        """Begin with the weights of the table ({"conv1/W": array, ...}), folded as they are; in the end the function is theirs.

        batches: x (N, 3, H, W) float32 tensors, from which each normalisation gets its statistics.
        """
        for name, convolution in self.convolutions.items():
            convolution.weight.copy_(torch.from_numpy(weights[f"{name}/W"]))
            bias = torch.from_numpy(weights[f"{name}/b"])
            if name in self.norms:
                _set_norm(self.norms[name], bias, torch.zeros_like(bias), torch.ones_like(bias))
            else:
                convolution.bias.copy_(bias)
        sums = {name: torch.zeros(2, norm.num_features, dtype=torch.float64) for name, norm in self.norms.items()}
        hooks = [norm.register_forward_pre_hook(_adder(sums[name])) for name, norm in self.norms.items()]
        self.eval()
        count = 0
        for x in batches:
            self(x)
            count += 1
        for hook in hooks:
            hook.remove()
        for name, norm in self.norms.items():
            mean, square = (sums[name] / count).float()
            _set_norm(norm, torch.from_numpy(weights[f"{name}/b"]), mean, (square - mean**2).clamp(min=0))
        self.train()


EPSILON = 1e-5  # PyTorch's own


def _set_norm(norm, bias, mean, var):
    gamma, beta = unfolded(bias.double().numpy(), mean.double().numpy(), var.double().numpy(), EPSILON)
    for tensor, value in ((norm.weight, gamma), (norm.bias, beta), (norm.running_mean, mean), (norm.running_var, var)):
        tensor.copy_(torch.as_tensor(value))


def _adder(sums):
    """A hook that adds the mean and the mean square of each channel of a normalisation's input to sums (2, C)."""

    def add(_, inputs):
        x = inputs[0].double()
        sums.add_(torch.stack([x.mean((0, 2, 3)), (x**2).mean((0, 2, 3))]).cpu())

    return add
