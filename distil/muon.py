"""Muon: the momentum of a matrix, made orthogonal, is its step, so that weak directions are learnt as quickly as strong ones.

Sources: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024 (the Newton-Schulz iteration and its coefficients);
Liu et al., "Muon is Scalable for LLM Training", 2025, equation 4 (steps as large as AdamW's, so that both go by one rate).
"""

import math

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the odd polynomial that brings singular values to about 1
ROUNDS = 5
MOMENTUM = 0.95
STEP = 0.2  # root mean square of a step, in rates


def orthogonal(matrix):
    """matrix (M, N) = U S V^T -> about U V^T: its singular values are 0.6 to 1.3 but where they were next to nothing; float32, computed in bf16."""
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if is_tall else matrix).bfloat16()
    x = x / (x.norm() + 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ROUNDS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if is_tall else x).float()


class Muon(torch.optim.Optimizer):
    """For the inner convolutions of a network: weights (O, I, K, K) are the matrix (O, I K K). AdamW is for all else."""

    def __init__(self, params, lr, weight_decay):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if "momentum" not in self.state[p]:
                    self.state[p]["momentum"] = torch.zeros_like(p)
                momentum = self.state[p]["momentum"].lerp_(p.grad, 1 - MOMENTUM)
                direction = p.grad.lerp(momentum, MOMENTUM).flatten(1)  # Nesterov's
                size = group["lr"] * STEP * math.sqrt(max(direction.shape))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(size * orthogonal(direction).view(p.shape))
