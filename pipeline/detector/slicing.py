"""A smaller EfficientDet cut out of a larger trained one: fewer channels everywhere, fewer blocks and cells.

Which channels stay is chosen once for everything that must agree on it:

- the outputs of a backbone stage, because its blocks add onto one residual path;
- the whole pyramid, because its nodes sum over each other's outputs;
- each block's expanded channels, each squeeze-and-excitation's inner ones and each head
  convolution's outputs by themselves.

Class and box predictions lose inputs only. A channel's importance is how strongly it is written times
how strongly it is read. Read: the L1 norm of the weights that read it, after Li et al., "Pruning
Filters for Efficient ConvNets" (ICLR 2017). Written: the absolute scale of its batch norms, after Liu
et al., "Learning Efficient Convolutional Networks through Network Slimming" (ICCV 2017), because behind
a batch norm the size of the filter itself says nothing; without a batch norm, its filter's L1 norm.

Batch-norm statistics are sliced along. They are the larger network's: let training re-estimate them
before judging.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from pipeline.detector.wiring import Channels, Pair, SlicingError, Wire, wires

Keep: TypeAlias = NDArray[np.intp]  # numbers of the larger network's channels that stay, ascending

# The axis along which a kind of weight reads channels, or writes them.
READS = {"kernel": 2, "depthwise_kernel": 2, "pointwise_kernel": 2}
WRITES = {"kernel": 3, "pointwise_kernel": 3, "bias": 0} | dict.fromkeys(
    ("gamma", "beta", "moving_mean", "moving_variance"), 0
)

# What weighs channels against each other. A depthwise convolution by itself does not: it keeps them apart.
MIXES = {"kernel", "pointwise_kernel"}


@dataclass(frozen=True)
class Slice:
    """Where one weight of the smaller network comes from: the channels to keep, by axis."""

    target: tf.Variable
    source: tf.Variable
    keeps: Mapping[int, Keep]

    def value(self) -> NDArray[np.float32]:
        value = self.source.numpy()
        for axis, keep in self.keeps.items():
            value = value.take(keep, axis)
        return value


def slice_weights(larger: tf_keras.Model, smaller: tf_keras.Model) -> None:
    """Gives every weight of an EfficientDet its part of a larger one's.

    Args:
        larger, smaller: as :func:`pipeline.detector.task.build_efficientdet` makes them. Of equal
            size, all weights are copied.

    Raises:
        SlicingError: the smaller network is larger somewhere, or a weight has no counterpart.
            Nothing was assigned then.
    """
    slices = mapping(larger, smaller)
    left = {weight.ref() for weight in smaller.weights} ^ {each.target.ref() for each in slices}
    if left:
        raise SlicingError(f"no counterpart in the larger network: {[ref.deref().name for ref in left]}")
    values = [each.value() for each in slices]
    for each, value in zip(slices, values, strict=True):
        if value.shape != tuple(each.target.shape):
            raise SlicingError(f"{each.target.name}: {value.shape} does not fit {tuple(each.target.shape)}")
    for each, value in zip(slices, values, strict=True):
        each.target.assign(value)


def mapping(larger: tf_keras.Model, smaller: tf_keras.Model) -> list[Slice]:
    """Every weight of the smaller network with its part of the larger one; arguments and errors as above."""
    all_wires = list(wires(Pair(larger, smaller)))
    keeps = _choose(all_wires)
    return [each for wire in all_wires for each in _slices(wire, keeps)]


def _slices(wire: Wire, keeps: Mapping[Channels, Keep]) -> list[Slice]:
    slices = []
    for target, source in zip(wire.layer.smaller.weights, wire.layer.larger.weights, strict=True):
        kind = _kind(source)
        sides = ((wire.reads, READS), (wire.writes, WRITES))
        axes = {axis[kind]: keeps[channels] for channels, axis in sides if channels and kind in axis}
        slices.append(Slice(target, source, axes))
    return slices


def _choose(all_wires: Sequence[Wire]) -> dict[Channels, Keep]:
    """The most important channels, for every choice; see the module."""
    scales, filters, readers = (defaultdict[Channels, Any](float) for _ in range(3))
    for wire in all_wires:
        weights = {_kind(weight): np.abs(weight.numpy()) for weight in wire.layer.larger.weights}
        if wire.writes and "gamma" in weights:
            scales[wire.writes] += weights["gamma"]
        if wire.writes and "kernel" in weights:
            filters[wire.writes] += weights["kernel"].sum(axis=(0, 1, 2))
        if wire.reads and weights.keys() & MIXES:
            # A separable convolution reads by its two kernels' product.
            kernels = [value.sum(axis=(0, 1, 3)) for kind, value in weights.items() if kind in READS]
            readers[wire.reads] += np.prod(kernels, axis=0)
    return {
        channels: _largest(scales.get(channels, filters[channels]) * strength, channels.smaller)
        for channels, strength in readers.items()
    }


def _largest(importance: NDArray[np.float32], count: int) -> Keep:
    return np.sort(np.argsort(-importance, kind="stable")[:count])


def _kind(weight: tf.Variable) -> str:
    return str(weight.name).rpartition("/")[2].removesuffix(":0")
