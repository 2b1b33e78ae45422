"""The windows in which convolutions and poolings look at a picture: strides, dilations, and explicit pads."""

from __future__ import annotations

from typing import Final, NamedTuple

from mien.networks.ir import FETCH_AGAIN, Layer, wholes

FURTHEST: Final = 4096
"""The largest kernel, stride, dilation and pad."""

ATTRIBUTES: Final = frozenset({"strides", "pads_begin", "pads_end", "auto_pad"})


class Windows(NamedTuple):
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]
    """Above, left, below, right, as ONNX has them."""
    size: tuple[int, int]
    """How many windows there are, from top to bottom and from left to right."""


def windows_of(
    layer: Layer, size: tuple[int, int], kernel: tuple[int, int], dilated: bool = False, ceil: bool = False
) -> Windows:
    """The windows of a layer over a picture of this size (height, width).

    With `ceil`, a last window may reach over the lower and right edge, where more pads are put so that ONNX without
    its own rule for this has the same windows; a window of pads alone is refused.
    """
    strides = pair(layer, "strides", 1)
    dilations = pair(layer, "dilations", 1) if dilated else (1, 1)
    reach = [(length - 1) * dilation + 1 for length, dilation in zip(kernel, dilations, strict=True)]
    begin, end = _pads(layer, size, reach, strides)
    counts: list[int] = []
    for axis in (0, 1):
        room = size[axis] + begin[axis] + end[axis] - reach[axis]
        if room < 0:
            raise layer.refused("has a window that is larger than its picture", FETCH_AGAIN)
        missing = -room % strides[axis] if ceil else 0
        if missing and room + missing >= begin[axis] + size[axis]:
            raise layer.refused("has a window beside its picture")
        end[axis] += missing
        counts.append((room + missing) // strides[axis] + 1)
    return Windows(strides, dilations, (begin[0], begin[1], end[0], end[1]), (counts[0], counts[1]))


def _pads(
    layer: Layer, size: tuple[int, int], reach: list[int], strides: tuple[int, int]
) -> tuple[list[int], list[int]]:
    match layer.data.get("auto_pad", "explicit"):
        case "explicit" | "notset":
            return [*pair(layer, "pads_begin", 0)], [*pair(layer, "pads_end", 0)]
        case "valid":
            return [0, 0], [0, 0]
        case "same_upper" | "same_lower" as rule:
            pads = [
                max((-(-length // stride) - 1) * stride + window - length, 0)
                for length, window, stride in zip(size, reach, strides, strict=True)
            ]
            small, large = [pad // 2 for pad in pads], [pad - pad // 2 for pad in pads]
            return (small, large) if rule == "same_upper" else (large, small)
        case rule:
            raise layer.refused(f"has an auto_pad {rule[:40]!r}, which mien does not know")


def pair(layer: Layer, key: str, least: int) -> tuple[int, int]:
    """Two numbers of an attribute, for height and width."""
    found = wholes(layer.data.get(key, ""))
    if len(found) != 2 or not all(least <= each <= FURTHEST for each in found):
        raise layer.refused(f"has no usable {key!r}: two numbers from {least} to {FURTHEST:,}", FETCH_AGAIN)
    return found[0], found[1]
