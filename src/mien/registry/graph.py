"""A fitted head as a network: "embedding" (N, D) float32 of any length -> "scores" (N, P) float32, cosines.

It computes what `mien.learning.head.FittedHead.scores` does, with nothing but ONNX's own operators, so that any ONNX
runtime can use a model. The same head gives the same bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.learning.head import FittedHead
from mien.networks.onnx_file import fields, named_tensor, network, node, value_info

_FOREIGN = "is not a head that mien wrote"
_LENGTH_OFF = 1e-3
"""By how much the length of a unit vector in a file may differ from 1: float32 makes it 1e-7."""


def head_graph(head: FittedHead) -> bytes:
    """The serialised network, all weights inside: no external data."""
    people, dimensions = head.vectors.shape
    constants: dict[str, NDArray[Any]] = {"prototypes": head.vectors.T}
    nodes: list[bytes] = []
    source = "embedding"
    if head.transform is not None:
        constants["transform"] = head.transform
        nodes.append(node("MatMul", [source, "transform"], "turned"))
        source = "turned"
    nodes.append(node("LpNormalization", [source], "unit", axis=1, p=2))
    if head.share == 1.0 or not len(head.exemplars):
        nodes.append(node("MatMul", ["unit", "prototypes"], "scores"))
    else:
        constants |= {
            "exemplars": head.exemplars.T,
            "owner": head.owner[None],
            "share": np.array([head.share], np.float32),
            "rest": np.array([1 - np.float32(head.share)], np.float32),
            "farthest": np.array([-1], np.float32),
        }
        nodes += [
            node("MatMul", ["unit", "prototypes"], "means"),
            node("MatMul", ["unit", "exemplars"], "singles"),
            node("Shape", ["singles"], "shape"),
            node("Expand", ["owner", "shape"], "columns"),
            node("Shape", ["means"], "width"),
            node("Expand", ["farthest", "width"], "nothing"),
            node("ScatterElements", ["nothing", "columns", "singles"], "nearest", axis=1, reduction="max"),
            node("Mul", ["means", "share"], "part"),
            node("Mul", ["nearest", "rest"], "other"),
            node("Add", ["part", "other"], "scores"),
        ]
    inputs, outputs = [value_info("embedding", ["N", dimensions])], [value_info("scores", ["N", people])]
    return network("mien-head", nodes, constants, inputs, outputs)


def head_of_graph(data: bytes) -> FittedHead:
    """The head of a network that `head_graph` serialised, its `counted` empty. Raises ValueError for any other.

    Whatever such a network computes is a score of each face for each person: it holds what `head_graph` writes, to the
    byte, so no other operator, no loop, no size that the file only claims, and nothing of other files.
    """
    try:
        (graph,) = (part for number, _, part in fields(data) if number == 7)
        constants = dict(named_tensor(part) for number, _, part in fields(graph) if number == 5)
        dimensions = constants["prototypes"].shape[0]
        exemplars = constants.get("exemplars", np.empty((dimensions, 0), np.float32))
        (owner,) = constants.get("owner", np.empty((1, 0), np.int64))
        (share,) = constants.get("share", np.ones(1, np.float32))
        head = FittedHead(
            vectors=np.ascontiguousarray(constants["prototypes"].T),
            transform=constants.get("transform"),
            exemplars=np.ascontiguousarray(exemplars.T),
            owner=owner,
            share=float(share),
            counted=np.empty(0, np.bool_),
        )
    except (LookupError, ValueError, TypeError, OverflowError) as error:
        raise ValueError(_FOREIGN) from error
    if not _is_sound(head) or head_graph(head) != data:
        raise ValueError(_FOREIGN)
    return head


def _is_sound(head: FittedHead) -> bool:
    """Whether the parts, which came from a file, belong together."""
    people, size = head.vectors.shape if head.vectors.ndim == 2 else (0, 0)
    floats = [head.vectors, head.exemplars, *([] if head.transform is None else [head.transform])]
    return (
        people > 0
        and size > 0
        and all(part.dtype == np.float32 and np.isfinite(part).all() for part in floats)
        and all(_is_unit(part) for part in (head.vectors, head.exemplars))
        and head.exemplars.shape == (len(head.owner), size)
        and (head.transform is None or head.transform.shape == (size, size))
        and head.owner.dtype == np.int64
        and bool((np.diff(head.owner, prepend=0, append=people - 1) >= 0).all())
        and 0 <= head.share <= 1
    )


def _is_unit(rows: NDArray[Any]) -> bool:
    return rows.ndim == 2 and bool((np.abs(np.linalg.norm(rows, axis=1) - 1) < _LENGTH_OFF).all())
