"""Joints that do not tremble: the one-euro filter.

Source: Casiez, Roussel, Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems", CHI 2012.
"""

from typing import NamedTuple

import numpy as np

from entity import N_JOINTS


class Smoothing(NamedTuple):
    """The one-euro filter's parameters; lengths in units of the person's size, the square root of the box's area."""

    min_cutoff: float = 2.0  # Hz: the lower, the less a still joint trembles
    beta: float = 2.0  # Hz per (size / s): the higher, the less a moving joint lags behind
    derivative_cutoff: float = 1.0  # Hz


class OneEuroFilter:
    """Smooths the joints (18, 2) of one person. A missing joint is NaN, in and out, and after a pause begins anew."""

    def __init__(self, parameters=Smoothing(), restart_seconds=0.5):
        self.parameters, self.restart_seconds = parameters, restart_seconds
        self.position = np.full((N_JOINTS, 2), np.nan)
        self.speed = np.zeros((N_JOINTS, 2))
        self.when = np.full(N_JOINTS, -np.inf)

    def __call__(self, points, seconds, size):
        """points (18, 2) float64, NaN where missing; seconds: when; size: of the person, pixels. Returns (18, 2), smoothed."""
        found = np.isfinite(points[:, 0])
        elapsed = seconds - self.when
        known = found & np.isfinite(self.position[:, 0]) & (elapsed <= self.restart_seconds) & (elapsed > 0)
        fresh = found & ~known & (elapsed != 0)
        step, old = elapsed[known, None], self.position[known]
        raw_speed = (points[known] - old) / step
        speed = self.speed[known] + _weight(self.parameters.derivative_cutoff, step) * (raw_speed - self.speed[known])
        magnitude = np.hypot(*speed.T)[:, None] / max(size, 1e-9)
        cutoff = self.parameters.min_cutoff + self.parameters.beta * magnitude
        self.position[known] = old + _weight(cutoff, step) * (points[known] - old)
        self.speed[known] = speed
        self.position[fresh], self.speed[fresh] = points[fresh], 0
        self.when[found] = seconds
        return np.where(found[:, None], self.position, np.nan)


def _weight(cutoff, step):
    """Of the new value, in a low-pass filter of this cutoff frequency (eq. 3 and 6 of the paper)."""
    r = 2 * np.pi * cutoff * step
    return r / (r + 1)
