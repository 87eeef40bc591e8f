"""How the layers of two EfficientDets of different size correspond, and which channels connect them.

:mod:`pipeline.detector.slicing` builds on it. Of a stage the first blocks correspond, of the pyramid the
first cells; heads must be equally deep, since they have no residual path around a layer left out.
Underscored attributes are Model Garden's: its blocks and heads offer their layers by no other name.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

import tf_keras
from official.vision.modeling.layers.nn_blocks import InvertedBottleneckBlock
from tf_keras.layers import BatchNormalization, Conv2D, SeparableConv2D

from pipeline.detector.bifpn import WeightedFusion
from pipeline.errors import UserError


class SlicingError(UserError):
    """The smaller network cannot be cut out of the larger one."""


@dataclass(frozen=True, eq=False)
class Channels:
    """Channels that one choice is made for: how many the larger network has, and how many stay."""

    larger: int
    smaller: int

    def __post_init__(self) -> None:
        if self.smaller > self.larger:
            raise SlicingError(f"{self.smaller} channels cannot be cut out of {self.larger}")


@dataclass(frozen=True)
class Pair:
    """A layer of the larger network and its counterpart in the smaller; attributes pair up likewise."""

    larger: Any
    smaller: Any

    def __getattr__(self, name: str) -> Pair:
        return Pair(getattr(self.larger, name), getattr(self.smaller, name))

    def channels(self, weight: str = "gamma") -> Channels:
        """Those along a weight's first axis."""
        return Channels(*(getattr(side, weight).shape[0] for side in (self.larger, self.smaller)))


@dataclass(frozen=True)
class Wire:
    """A pair of layers between the channels that it reads and those that it writes; None: all stay."""

    layer: Pair
    reads: Channels | None
    writes: Channels | None


Wires: TypeAlias = Generator[Wire, None, Any]


def wires(detector: Pair) -> Wires:
    """Every layer with weights of two detectors.

    Raises:
        SlicingError: the smaller one has more of something than the larger one.
    """
    stages = yield from _backbone(detector.backbone)
    pyramid = yield from _pyramid(detector.decoder, stages)
    head = detector.head
    yield from _tower(head._cls_convs, head._cls_norms, head._classifier, pyramid)
    yield from _tower(head._box_convs, head._box_norms, head._box_regressor, pyramid)


def _backbone(backbone: Pair) -> Wires:
    """Returns the outputs of the stages, by the larger network's width: no two are equally wide."""
    (stem,), (norm,) = _made(backbone, Conv2D), _made(backbone, BatchNormalization)
    reads = norm.channels()
    yield Wire(stem, None, reads)
    yield Wire(norm, None, reads)
    stages = {}
    for stage in _first(_stages(backbone.larger), _stages(backbone.smaller), "stages"):
        blocks = _first(stage.larger, stage.smaller, "blocks of a stage")
        writes = blocks[0]._norm2.channels()  # the stage's residual path
        for block in blocks:
            yield from _block(block, reads, writes)
            reads = writes
        stages[writes.larger] = writes
    return stages


def _stages(backbone: tf_keras.Model) -> list[list[InvertedBottleneckBlock]]:
    blocks = [layer for layer in backbone.layers if isinstance(layer, InvertedBottleneckBlock)]
    return [list(stage) for _, stage in groupby(blocks, key=lambda block: block._out_filters)]


def _block(block: Pair, reads: Channels, writes: Channels) -> Wires:
    # The very first blocks do not expand: their _conv0 and _norm0 have no weights.
    inner = block._norm1.channels() if block.larger._expand_ratio > 1 else reads
    gate = block._squeeze_excitation
    squeezed = gate._se_reduce.channels("bias")
    yield Wire(block._conv0, reads, inner)
    yield Wire(block._norm0, None, inner)
    yield Wire(block._conv1, inner, inner)  # depthwise
    yield Wire(block._norm1, None, inner)
    yield Wire(gate._se_reduce, inner, squeezed)
    yield Wire(gate._se_expand, squeezed, inner)
    yield Wire(block._conv2, inner, writes)
    yield Wire(block._norm2, None, writes)


def _pyramid(decoder: Pair, stages: Mapping[int, Channels]) -> Wires:
    """Returns the channels that all levels share: every node sums over others' outputs."""
    norms = _made(decoder, BatchNormalization)
    pyramid = norms[0].channels()
    for lateral in _made(decoder, Conv2D, all_of=True):
        yield Wire(lateral, stages[lateral.larger.kernel.shape[2]], pyramid)
    for fusion in _made(decoder, WeightedFusion):
        yield Wire(fusion, None, None)
    for conv in _made(decoder, SeparableConv2D):
        yield Wire(conv, pyramid, pyramid)
    for norm in norms:
        yield Wire(norm, None, pyramid)
    return pyramid


def _tower(convs: Pair, norms: Pair, predictor: Pair, reads: Channels) -> Wires:
    """One head: levels share its convolutions; ``norms`` are by level, then by convolution."""
    levels = _first(norms.larger, norms.smaller, "levels", all_of=True)
    for i, conv in enumerate(_first(convs.larger, convs.smaller, "convolutions of a head", all_of=True)):
        writes = conv.channels("bias")
        yield Wire(conv, reads, writes)
        for level in levels:
            yield Wire(Pair(level.larger[i], level.smaller[i]), None, writes)
        reads = writes
    yield Wire(predictor, reads, None)


def _made(network: Pair, kind: type, all_of: bool = False) -> list[Pair]:
    """The layers of a kind in the order in which they were made, as the numbers in their names say.

    So a pyramid's first cells come first, which the graph's own order does not promise.
    """
    larger, smaller = (
        sorted((layer for layer in model.layers if type(layer) is kind), key=_number)
        for model in (network.larger, network.smaller)
    )
    return _first(larger, smaller, f"{kind.__name__} layers", all_of)


def _number(layer: tf_keras.layers.Layer) -> int:
    match = re.search(r"_(\d+)$", layer.name)  # Keras gives the first of a kind none
    return int(match[1]) if match else 0


def _first(larger: Sequence[Any], smaller: Sequence[Any], what: str, all_of: bool = False) -> list[Pair]:
    """Pairs the first ones; ``all_of``: there must be equally many."""
    if len(smaller) > len(larger) or (all_of and len(smaller) != len(larger)):
        raise SlicingError(f"{len(smaller)} {what} cannot be cut out of {len(larger)}")
    return [Pair(*pair) for pair in zip(larger, smaller, strict=False)]
