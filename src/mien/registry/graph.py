"""A fitted head as a network: "embedding" (N, D) float32 of any length -> "scores" (N, P) float32, cosines.

It computes what `mien.learning.head.FittedHead.scores` does, with nothing but ONNX's own operators, so that any ONNX
runtime can use a model. An ONNX file is a protobuf message, and of protobuf
(protobuf.dev/programming-guides/encoding) a head takes numbers and byte strings alone, so it is written and read here:
the onnx package would make `mien add --enrol` wait for it longer than for everything that has to be computed. Fields
are numbered as in github.com/onnx/onnx, onnx.proto.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mien.learning.head import FittedHead

OPSET, IR_VERSION = 18, 8
"""18 has the scatter by maximum, and every ONNX Runtime that mien supports knows both; fixed, so that the same head
gives the same bytes."""

_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_KINDS: Final[dict[int, np.dtype[Any]]] = {_FLOAT: np.dtype("<f4"), _INT64: np.dtype("<i8")}
_INT, _STRING = 2, 3  # AttributeProto.AttributeType
_VARINT, _BYTES = 0, 2  # protobuf's wire types

_FOREIGN = "is not a head that mien wrote"


def head_graph(head: FittedHead) -> bytes:
    """The serialised network, all weights inside: no external data."""
    people, dimensions = head.vectors.shape
    constants: dict[str, NDArray[Any]] = {"prototypes": head.vectors.T}
    nodes: list[bytes] = []
    source = "embedding"
    if head.transform is not None:
        constants["transform"] = head.transform
        nodes.append(_node("MatMul", [source, "transform"], "turned"))
        source = "turned"
    nodes.append(_node("LpNormalization", [source], "unit", axis=1, p=2))
    if head.share == 1.0 or not len(head.exemplars):
        nodes.append(_node("MatMul", ["unit", "prototypes"], "scores"))
    else:
        constants |= {
            "exemplars": head.exemplars.T,
            "owner": head.owner[None],
            "share": np.array([head.share], np.float32),
            "rest": np.array([1 - np.float32(head.share)], np.float32),
            "farthest": np.array([-1], np.float32),
        }
        nodes += [
            _node("MatMul", ["unit", "prototypes"], "means"),
            _node("MatMul", ["unit", "exemplars"], "singles"),
            _node("Shape", ["singles"], "shape"),
            _node("Expand", ["owner", "shape"], "columns"),
            _node("Shape", ["means"], "width"),
            _node("Expand", ["farthest", "width"], "nothing"),
            _node("ScatterElements", ["nothing", "columns", "singles"], "nearest", axis=1, reduction="max"),
            _node("Mul", ["means", "share"], "part"),
            _node("Mul", ["nearest", "rest"], "other"),
            _node("Add", ["part", "other"], "scores"),
        ]
    graph = [
        *[_field(1, node) for node in nodes],
        _field(2, "mien-head"),
        *[_field(5, _tensor(name, value)) for name, value in constants.items()],
        _field(11, _value("embedding", dimensions)),
        _field(12, _value("scores", people)),
    ]
    opset = _field(1, "") + _field(2, OPSET)
    return _field(1, IR_VERSION) + _field(2, "mien") + _field(7, b"".join(graph)) + _field(8, opset)


def head_of_graph(data: bytes) -> FittedHead:
    """The head of a network that `head_graph` serialised, its `counted` empty. Raises ValueError for any other."""
    try:
        (graph,) = (part for number, part in _fields(data) if number == 7)
        constants = dict(_named(part) for number, part in _fields(graph) if number == 5)
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
    except (LookupError, ValueError, TypeError) as error:
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
        and all(part.dtype == np.float32 and np.isfinite(part).all() for part in floats)
        and head.exemplars.shape == (len(head.owner), size)
        and (head.transform is None or head.transform.shape == (size, size))
        and head.owner.dtype == np.int64
        and bool((np.diff(head.owner, prepend=0, append=people - 1) >= 0).all())
        and 0 <= head.share <= 1
    )


# ONNX's messages


def _node(operator: str, inputs: list[str], output: str, **attributes: int | str) -> bytes:
    """A NodeProto."""
    wired = [*[_field(1, name) for name in inputs], _field(2, output), _field(4, operator)]
    for name, value in attributes.items():
        held = _field(3, value) + _field(20, _INT) if isinstance(value, int) else _field(4, value) + _field(20, _STRING)
        wired.append(_field(5, _field(1, name) + held))
    return b"".join(wired)


def _tensor(name: str, value: NDArray[Any]) -> bytes:
    """A TensorProto, row by row."""
    kind = _INT64 if value.dtype.kind == "i" else _FLOAT
    shape = b"".join(_field(1, length) for length in value.shape)
    return shape + _field(2, kind) + _field(8, name) + _field(9, value.astype(_KINDS[kind], order="C").tobytes())


def _named(tensor: Any) -> tuple[str, NDArray[Any]]:
    """The name and the value of what `_tensor` made."""
    fields = _fields(tensor)
    shape = [value for number, value in fields if number == 1]
    parts = dict(fields)
    kind = _KINDS[parts[2]]
    return bytes(parts[8]).decode(), np.frombuffer(parts[9], kind).reshape(shape).astype(kind.newbyteorder("="))


def _value(name: str, columns: int) -> bytes:
    """A ValueInfoProto: float32 (N, columns)."""
    shape = _field(1, _field(2, "N")) + _field(1, _field(1, columns))
    return _field(1, name) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, shape)))


# Protobuf


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field of a message: a number not below 0, a text, or bytes, which may be a message again."""
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first, the eighth set where more follow."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _fields(message: bytes | memoryview) -> list[tuple[int, Any]]:
    """(number, value) of each field, the value an int or a memoryview. Raises ValueError or IndexError."""
    data, at = memoryview(message), 0
    fields: list[tuple[int, Any]] = []
    while at < len(data):
        key, at = _read_varint(data, at)
        value, at = _read_varint(data, at)
        if key & 7 == _VARINT:
            fields.append((key >> 3, value))
        elif key & 7 == _BYTES and value <= len(data) - at:
            fields.append((key >> 3, data[at : at + value]))
            at += value
        else:
            raise ValueError(_FOREIGN)
    return fields


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends."""
    value = shift = 0
    while message[at] > 0x7F:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if shift > 63:
            raise ValueError(_FOREIGN)
    return value | message[at] << shift, at + 1
