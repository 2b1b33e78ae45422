"""The messages of an ONNX file that came from elsewhere, read strictly.

Two readers may take one sequence of bytes for two different networks: of a field that stands twice, one takes the first
and another the last, and what one does not know it skips. So every field must be known here, be of its type, and stand
once unless it is a list: then ONNX Runtime reads the network that was checked. Fields are those of
github.com/onnx/onnx, onnx.proto, as of ONNX 1.23.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from mien.networks.onnx_file import BYTES, FIXED32, FIXED64, VARINT, fields, read_varint
from mien.networks.refusal import RefusalError

MOST_FIELDS: Final = 1_000_000
"""A network of 300 nodes has some 10,000."""

FETCH_AGAIN: Final = "Fetch the file again from where it is published, and compare its sha256 with the one given there."
EXPORT_AGAIN: Final = (
    "mien runs plain feed-forward encoders in one ONNX file. Export the encoder as such, or take another."
)
ONE_FILE: Final = (
    "mien never follows a network to another file. Save it as one: "
    "onnx.save_model(onnx.load(OLD), NEW, save_as_external_data=False)."
)
STRANGE: Final = "is no ONNX file, or one cut off or of a form that mien does not know"


class Slot(NamedTuple):
    """A field of a message: in what it comes, whether it is a list, and why a file with it is refused, if so."""

    name: str
    wires: frozenset[int]
    many: bool = False
    refused: tuple[str, str] | None = None
    """`what` and `remedy`."""


Slots = Mapping[int, Slot]


def _whole(name: str) -> Slot:
    return Slot(name, frozenset({VARINT}))


def _data(name: str) -> Slot:
    """A text, bytes or a message."""
    return Slot(name, frozenset({BYTES}))


def _list(name: str, wire: int = BYTES) -> Slot:
    """Many; numbers may also stand together in one field."""
    return Slot(name, frozenset({wire, BYTES}), many=True)


def _never(name: str, what: str, remedy: str, wire: int = BYTES) -> Slot:
    return Slot(name, frozenset({wire}), many=True, refused=(what, remedy))


_BRANCHES = ("has networks within a network, or functions", EXPORT_AGAIN)
_ELSEWHERE = ("keeps weights in another file", ONE_FILE)
_SPARSE = ("has sparse weights", EXPORT_AGAIN)
_ODD = ("has values of a type that is no tensor of numbers", EXPORT_AGAIN)

MODEL: Final[Slots] = {
    1: _whole("ir_version"),
    2: _data("producer_name"),
    3: _data("producer_version"),
    4: _data("domain"),
    5: _whole("model_version"),
    6: _data("doc_string"),
    7: _data("graph"),
    8: _list("opset_import"),
    14: _list("metadata_props"),
    20: _never("training_info", *_BRANCHES),
    25: _never("functions", *_BRANCHES),
    26: _list("configuration"),
}

OPERATOR_SET: Final[Slots] = {1: _data("domain"), 2: _whole("version")}

GRAPH: Final[Slots] = {
    1: _list("node"),
    2: _data("name"),
    5: _list("initializer"),
    10: _data("doc_string"),
    11: _list("input"),
    12: _list("output"),
    13: _list("value_info"),
    14: _list("quantization_annotation"),
    15: _never("sparse_initializer", *_SPARSE),
    16: _list("metadata_props"),
}

NODE: Final[Slots] = {
    1: _list("input"),
    2: _list("output"),
    3: _data("name"),
    4: _data("op_type"),
    5: _list("attribute"),
    6: _data("doc_string"),
    7: _data("domain"),
    8: _data("overload"),
    9: _list("metadata_props"),
    10: _list("device_configurations"),
}

ATTRIBUTE: Final[Slots] = {
    1: _data("name"),
    2: Slot("f", frozenset({FIXED32})),
    3: _whole("i"),
    4: _data("s"),
    5: _data("t"),
    6: _never("g", *_BRANCHES),
    7: _list("floats", FIXED32),
    8: _list("ints", VARINT),
    9: _list("strings"),
    10: _never("tensors", *_ODD),
    11: _never("graphs", *_BRANCHES),
    13: _data("doc_string"),
    14: _never("tp", *_ODD),
    15: _never("type_protos", *_ODD),
    20: _whole("type"),
    21: _never("ref_attr_name", *_BRANCHES),
    22: _never("sparse_tensor", *_SPARSE),
    23: _never("sparse_tensors", *_SPARSE),
}

TENSOR: Final[Slots] = {
    1: _list("dims", VARINT),
    2: _whole("data_type"),
    3: _never("segment", *_ODD),
    4: _list("float_data", FIXED32),
    5: _list("int32_data", VARINT),
    6: _never("string_data", *_ODD),
    7: _list("int64_data", VARINT),
    8: _data("name"),
    9: _data("raw_data"),
    10: _list("double_data", FIXED64),
    11: _list("uint64_data", VARINT),
    12: _data("doc_string"),
    13: _never("external_data", *_ELSEWHERE),
    14: _whole("data_location"),
    16: _list("metadata_props"),
}

VALUE: Final[Slots] = {1: _data("name"), 2: _data("type"), 3: _data("doc_string"), 4: _list("metadata_props")}

TYPE: Final[Slots] = {
    1: _data("tensor_type"),
    4: _never("sequence_type", *_ODD),
    5: _never("map_type", *_ODD),
    6: _data("denotation"),
    7: _never("opaque_type", *_ODD),
    8: _never("sparse_tensor_type", *_ODD),
    9: _never("optional_type", *_ODD),
}

TENSOR_TYPE: Final[Slots] = {1: _whole("elem_type"), 2: _data("shape")}
SHAPE: Final[Slots] = {1: _list("dim")}
DIMENSION: Final[Slots] = {1: _whole("dim_value"), 2: _data("dim_param"), 3: _data("denotation")}


class Reader:
    """Reads the messages of one file, and counts their fields, so that a small file does not become much work."""

    def __init__(self) -> None:
        self._left = MOST_FIELDS

    def read(self, message: bytes | memoryview, slots: Slots) -> dict[str, list[Any]]:
        """Name -> values of each field that is there: ints, or memoryviews of bytes. Raises RefusalError."""
        found: dict[str, list[Any]] = {}
        try:
            for number, wire, value in fields(message):
                self._left -= 1
                if self._left < 0:
                    raise RefusalError(f"has more than {MOST_FIELDS:,} parts", EXPORT_AGAIN)
                slot = slots.get(number)
                if slot is None or wire not in slot.wires or (slot.name in found and not slot.many):
                    raise RefusalError(STRANGE, FETCH_AGAIN)
                if slot.refused:
                    raise RefusalError(*slot.refused)
                found.setdefault(slot.name, []).append(value)
        except ValueError:
            raise RefusalError(STRANGE, FETCH_AGAIN) from None
        return found


def text(values: Sequence[Any] | None) -> str:
    """The text of a field that stands once, empty where it does not stand."""
    try:
        return bytes(values[0]).decode() if values else ""
    except UnicodeDecodeError:
        raise RefusalError(STRANGE, FETCH_AGAIN) from None


def count(values: Sequence[Any], width: int | None) -> int:
    """How many numbers there are in a list of numbers, each so many bytes wide, or of any width (None); -1 where the
    bytes do not come out even."""
    total = 0
    for value in values:
        if isinstance(value, int):
            total += 1
        elif width is None:
            total += int(np.count_nonzero(np.frombuffer(value, np.uint8) < 0x80)) if len(value) else 0
        elif len(value) % width:
            return -1
        else:
            total += len(value) // width
    return total


def wholes(values: Sequence[Any], most: int) -> list[int]:
    """The numbers of such a list, of 64 bits and signed. Refused if there are more than `most`."""
    found: list[int] = []
    for value in values:
        numbers, at = ([value], 0) if isinstance(value, int) else ([], 0)
        while not isinstance(value, int) and at < len(value) and len(numbers) <= most:
            try:
                number, at = read_varint(value, at)
            except ValueError:
                raise RefusalError(STRANGE, FETCH_AGAIN) from None
            numbers.append(number)
        found += numbers
        if len(found) > most:
            raise RefusalError(f"has a list of more than {most} lengths", EXPORT_AGAIN)
    return [number - (1 << 64) if number >> 63 else number for number in found]
