"""An ONNX graph while it is being made from OpenVINO's layers: nodes, constants, and what is bounded of both.

Every value that depends on the pictures has their number, N, as its first length, and in no other place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mien.networks.ir import FETCH_AGAIN, Layer
from mien.networks.onnx_file import Attribute, node

LARGEST_TENSOR: Final = 1 << 27
"""Numbers of one constant, or that a layer makes of one picture: 512 MB of float32. The first layer of an encoder makes
some 400,000, and the largest of VGGFace has 103 million weights."""

MOST_BYTES: Final = 2 << 30
"""Of all constants that are made on the way."""

Shape = tuple[int | None, ...]
"""None is N."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a layer gives: the name that the value has in the ONNX file, its shape, and for a constant its numbers."""

    name: str
    shape: Shape
    kind: str = "f"
    """As numpy's dtype.kind: "f" is float32, "i" int64, "u" uint8."""
    numbers: NDArray[Any] | None = None


class Graph:
    """`size` is that of the .bin in bytes: what is made of it may be some times larger and no more, however many layers
    share its bytes."""

    def __init__(self, size: int) -> None:
        self.nodes: list[bytes] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._left = min(16 * size + (1 << 20), MOST_BYTES)
        self._made = 0

    def constant(self, layer: Layer, numbers: NDArray[Any]) -> Value:
        """A constant, which is written if a node reads it. Refused if a number in it is infinite or none."""
        if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
            raise layer.refused("has weights that are infinite or no numbers", FETCH_AGAIN)
        self._made += 1
        return Value(f"c{self._made}", numbers.shape, numbers.dtype.kind, numbers)

    def add(self, layer: Layer, operator: str, inputs: Sequence[Value], shape: Shape, **attributes: Attribute) -> Value:
        """A node and what it gives, float32 of this shape. Refused if the shape is too large or N is in the wrong place
        of it."""
        if shape[:1] != (None,) or None in shape[1:]:
            raise layer.refused("works on constants alone, or takes the pictures' axis from the first place")
        self.bound(layer, shape)
        for each in inputs:
            if each.numbers is not None and each.name not in self.constants:
                self.spend(layer, each.shape, each.numbers.itemsize)
                self.constants[each.name] = each.numbers
        self._made += 1
        name = f"v{self._made}"
        self.nodes.append(node(operator, [each.name for each in inputs], name, **attributes))
        return Value(name, shape)

    def spend(self, layer: Layer, shape: Shape, itemsize: int) -> None:
        """Takes account of a constant before it is made."""
        self._left -= self.bound(layer, shape) * itemsize
        if self._left < 0:
            raise layer.refused("makes the constants many times larger than the .bin")

    @staticmethod
    def bound(layer: Layer, shape: Shape) -> int:
        """How many numbers a tensor has, for one picture. Refused if too many."""
        numbers = math.prod(length or 1 for length in shape)
        if numbers > LARGEST_TENSOR:
            raise layer.refused(f"makes {numbers:,} numbers of a picture, more than {LARGEST_TENSOR:,}")
        return numbers
