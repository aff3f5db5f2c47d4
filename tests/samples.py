"""Datasets for training/iterator.py that its processes can import."""

from errors import InputError


class Numbers:
    """A sample is the picture's number and a random one."""

    def __init__(self, length, unreadable=()):
        self.length, self.unreadable = length, set(unreadable)

    def __len__(self):
        return self.length

    def sample(self, index, rng):
        if index in self.unreadable:
            raise InputError(f"picture {index}.jpg: damaged")
        return index, int(rng.integers(1 << 40))
