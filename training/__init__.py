"""Training a pose network with Chainer: samples, steps, snapshots, several machines."""
