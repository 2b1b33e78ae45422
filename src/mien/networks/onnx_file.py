"""ONNX files, written and read as the protobuf messages they are.

Of protobuf (protobuf.dev/programming-guides/encoding) ONNX takes few things, so they are written and read here: the
onnx package would make every command that writes a network wait for its import longer than for everything that has to
be computed, and a network from elsewhere is to be looked at before anything else opens it. Fields are numbered as in
github.com/onnx/onnx, onnx.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

OPSET, IR_VERSION = 18, 8
"""18 has the scatter by maximum, and every ONNX Runtime that mien supports knows both; fixed, so that the same network
gives the same bytes."""

FLOAT, UINT8, INT64 = 1, 2, 7  # TensorProto.DataType
_KINDS: Final[dict[int, np.dtype[Any]]] = {FLOAT: np.dtype("<f4"), INT64: np.dtype("<i8")}
_AS_FLOAT, _AS_INT, _AS_STRING, _AS_FLOATS, _AS_INTS = 1, 2, 3, 6, 7  # AttributeProto.AttributeType

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protobuf's wire types

Attribute = int | float | str | Sequence[int] | Sequence[float]

_BROKEN = "no protobuf message"


# ONNX's messages


def network(
    name: str,
    nodes: Iterable[bytes],
    constants: Mapping[str, NDArray[Any]],
    inputs: Iterable[bytes],
    outputs: Iterable[bytes],
) -> bytes:
    """A ModelProto by mien, all weights inside: no external data. `nodes` are made by `node`, in an order in which each
    comes after those it reads; `inputs` and `outputs` by `value_info`."""
    graph = [
        *[field(1, each) for each in nodes],
        field(2, name),
        *[field(5, tensor(named, each)) for named, each in constants.items()],
        *[field(11, each) for each in inputs],
        *[field(12, each) for each in outputs],
    ]
    opset = field(1, "") + field(2, OPSET)
    return field(1, IR_VERSION) + field(2, "mien") + field(7, b"".join(graph)) + field(8, opset)


def node(operator: str, inputs: Sequence[str], output: str, **attributes: Attribute) -> bytes:
    """A NodeProto with one output."""
    wired = [*[field(1, name) for name in inputs], field(2, output), field(4, operator)]
    return b"".join([*wired, *[field(5, _attribute(name, value)) for name, value in attributes.items()]])


def _attribute(name: str, value: Attribute) -> bytes:
    """An AttributeProto. A sequence is of floats if its first is one, and else of ints."""
    match value:
        case int():
            held = field(3, value) + field(20, _AS_INT)
        case float():
            held = field(2, value) + field(20, _AS_FLOAT)
        case str():
            held = field(4, value) + field(20, _AS_STRING)
        case [float(), *_]:
            held = b"".join(field(7, float(each)) for each in value) + field(20, _AS_FLOATS)
        case _:
            held = b"".join(field(8, int(each)) for each in value) + field(20, _AS_INTS)
    return field(1, name) + held


def tensor(name: str, value: NDArray[Any]) -> bytes:
    """A TensorProto, row by row: whole numbers as int64, all others as float32."""
    kind = INT64 if value.dtype.kind in "iu" else FLOAT
    shape = b"".join(field(1, length) for length in value.shape)
    return shape + field(2, kind) + field(8, name) + field(9, value.astype(_KINDS[kind], order="C").tobytes())


def named_tensor(message: memoryview) -> tuple[str, NDArray[Any]]:
    """The name and the value of what `tensor` made. Raises LookupError, TypeError or ValueError for anything else."""
    parts = [(number, value) for number, _, value in fields(message)]
    shape = [value for number, value in parts if number == 1]
    once = dict(parts)
    kind = _KINDS[once[2]]
    return bytes(once[8]).decode(), np.frombuffer(once[9], kind).reshape(shape).astype(kind.newbyteorder("="))


def value_info(name: str, shape: Sequence[int | str], kind: int = FLOAT) -> bytes:
    """A ValueInfoProto: a tensor of this shape, where a length that is free has a name."""
    dimensions = b"".join(field(1, field(2 if isinstance(length, str) else 1, length)) for length in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dimensions)))


# Protobuf


def field(number: int, value: int | float | str | bytes) -> bytes:
    """A field of a message: a whole number, a float32, a text, or bytes, which may be a message again."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | FIXED32) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first, the eighth set where more follow; below 0 as a number of 64 bits."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def fields(message: bytes | memoryview) -> Iterator[tuple[int, int, Any]]:
    """(number, wire type, value) of each field, one after another: the value is an int for VARINT and a memoryview for
    all others. Raises ValueError where the message is none."""
    data, at = memoryview(message), 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise ValueError(_BROKEN)
        if wire == VARINT:
            value, at = read_varint(data, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            length, at = read_varint(data, at)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise ValueError(_BROKEN)
        if length > len(data) - at:
            raise ValueError(_BROKEN)
        yield number, wire, data[at : at + length]
        at += length


def read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number from 0 to 2^64 - 1 that begins at `at`, and where it ends. Raises ValueError where none does."""
    value = shift = 0
    for index in range(at, min(at + 10, len(message))):
        byte = message[index]
        value |= (byte & 0x7F) << shift
        if byte <= 0x7F:
            if value >> 64:
                break
            return value, index + 1
        shift += 7
    raise ValueError(_BROKEN)
