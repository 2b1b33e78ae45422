"""From the verified files of an encoder to the one network that is kept of it, which takes chips as they are.

    "rgb" (N, side, side, 3) uint8 -> channel order -> (value - mean) / scale -> layout -> the network -> "embedding"

What the description says of pixels becomes operators in front of the network, so that whoever runs an encoder needs to
know nothing of it. A network that takes one picture at a time stays so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.encoders.description import Description
from mien.encoders.trial import tried
from mien.errors import EncoderError
from mien.networks.check import check
from mien.networks.onnx_file import BYTES, FLOAT, UINT8, VARINT, field, fields, node, tensor, value_info, varint
from mien.networks.openvino import to_onnx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mien.networks.check import Network, Port

INPUT, OUTPUT = "rgb", "embedding"

LEAST_IR = 4
"""The first version of ONNX's files in which a weight need not be an input as well."""

APART, TOGETHER = 1e-4, 1e-3
"""In parts of its length: by how much the embedding of one chip differs from that of another at least, and from its own
at most when other chips are run with it."""

_INNER = "net/"
"""Stands before every name in the network itself, so that none is a name of what is put around it."""


def prepare(description: Description, files: Mapping[str, bytes], about: str) -> bytes:
    """The network that is kept, as an ONNX file; `files` are the encoder's by name, errors are about `about`.

    Raises EncoderError where the files are damaged or hostile, or do not fit the description.
    """
    data = _as_onnx(files, about)
    network = check(data, about)
    batch = _batch(network.input, description, about)
    whole = _with_preprocessing(data, network, description, batch)
    _try(whole, description, batch, about)
    return whole


def _as_onnx(files: Mapping[str, bytes], about: str) -> bytes:
    of_ending = {name.lower().rpartition(".")[2]: data for name, data in files.items()}
    return of_ending["onnx"] if "onnx" in of_ending else to_onnx(of_ending["xml"], of_ending["bin"], about)


def _batch(takes: Port, description: Description, about: str) -> int | str:
    """How many pictures the network takes at once: "N" for any number. Raises EncoderError where its input is not what
    the description says."""
    count, *found = takes.shape or ()
    side = description.side
    wanted = [3, side, side] if description.layout == "nchw" else [side, side, 3]
    if any(length not in (None, should) for length, should in zip(found, wanted, strict=True)):
        raise EncoderError(
            about,
            f"takes {_by(found)}, and its description says {_by(wanted)}",
            "Correct side or layout in the description.",
        )
    if count not in (None, 1):
        raise EncoderError(
            about,
            f"takes exactly {count} pictures at a time",
            "Export the encoder for one picture at a time, or for any number.",
        )
    return count or "N"


def _by(lengths: list[int | None] | list[int]) -> str:
    return " x ".join("?" if length is None else str(length) for length in lengths)


# Around the network


def _with_preprocessing(data: bytes, network: Network, description: Description, batch: int | str) -> bytes:
    """The file of the whole. `data` was checked, and is put together again without being copied more than once."""
    model = list(fields(data))
    graph = fields(next(value for number, _, value in model if number == 7))
    before, constants = _before(description, network.input)
    after = [
        node("Cast", [_INNER + network.outputs[0].name], "mien/embedding", to=FLOAT),
        node("Flatten", ["mien/embedding"], OUTPUT, axis=1),
    ]
    side = description.side
    parts = [
        *[field(1, each) for each in before],
        *[piece for number, wire, value in graph if number in (1, 5) for piece in _renamed(number, value)],
        *[field(1, each) for each in after],
        field(2, "mien-encoder"),
        *[field(5, tensor(name, value)) for name, value in constants.items()],
        field(11, value_info(INPUT, [batch, side, side, 3], UINT8)),
        field(12, value_info(OUTPUT, [batch, description.dimensions])),
    ]
    version = max(LEAST_IR, next(value for number, _, value in model if number == 1))
    opsets = [field(8, bytes(value)) for number, _, value in model if number == 8]
    return b"".join([field(1, version), field(2, "mien"), *_message(7, parts), *opsets])


def _before(description: Description, takes: Port) -> tuple[list[bytes], dict[str, NDArray[Any]]]:
    """The nodes from "rgb" to the input of the network, and the constants that they read."""
    steps: list[tuple[str, list[str], dict[str, Any]]] = []
    constants: dict[str, NDArray[Any]] = {}
    if description.colour == "bgr":
        constants["mien/order"] = np.array([2, 1, 0])
        steps.append(("Gather", ["mien/order"], {"axis": 3}))
    steps.append(("Cast", [], {"to": FLOAT}))
    for operator, name, value, neutral in (
        ("Sub", "mien/mean", description.mean, 0.0),
        ("Div", "mien/scale", description.scale, 1.0),
    ):
        if value != neutral:
            constants[name] = np.asarray(value, np.float32)
            steps.append((operator, [name], {}))
    if description.layout == "nchw":
        steps.append(("Transpose", [], {"perm": (0, 3, 1, 2)}))
    if takes.type == "uint8":
        steps.append(("Cast", [], {"to": UINT8}))
    names = [INPUT, *[f"mien/{number}" for number in range(1, len(steps))], _INNER + takes.name]
    nodes = [
        node(operator, [names[at], *others], names[at + 1], **attributes)
        for at, (operator, others, attributes) in enumerate(steps)
    ]
    return nodes, constants


def _renamed(number: int, message: memoryview) -> list[bytes | memoryview]:
    """The field `number` of a graph, a node (1) or a weight (5), with `_INNER` before all names of tensors."""
    names = {1: (1, 2), 5: (8,)}[number]

    def pieces() -> Iterator[bytes | memoryview]:
        for at, wire, value in fields(message):
            if at in names:
                yield field(at, _INNER.encode() + bytes(value) if len(value) else b"")  # no name: an input left out
            elif wire == VARINT:
                yield field(at, value)
            else:
                yield varint(at << 3 | wire) + (varint(len(value)) if wire == BYTES else b"")
                yield value

    return _message(number, list(pieces()))


def _message(number: int, pieces: list[bytes | memoryview] | list[bytes]) -> list[bytes | memoryview]:
    """A field that is a message, in pieces."""
    return [varint(number << 3 | BYTES) + varint(sum(map(len, pieces))), *pieces]


# The trial


def _try(data: bytes, description: Description, batch: int | str, about: str) -> None:
    """Runs two chips, one grey and one of noise. Raises EncoderError where their embeddings are not what the
    description leads one to expect."""
    alone, *others = tried(data, description.side, batch, description.dimensions, about)
    lengths = np.linalg.norm(alone, axis=1, keepdims=True)
    if not np.isfinite(alone).all() or not lengths.all():
        raise EncoderError(
            about, "gives embeddings that are no usable numbers", "Correct mean and scale in the description."
        )
    grey, other = alone / lengths
    if np.linalg.norm(grey - other) < APART:
        raise EncoderError(
            about,
            "gives the same embedding for a grey picture and for noise",
            "Correct mean, scale and layout in the description, or take another file of this encoder.",
        )
    if any((np.linalg.norm(together - alone, axis=1, keepdims=True) > TOGETHER * lengths).any() for together in others):
        raise EncoderError(
            about,
            "gives a picture another embedding when others are run with it",
            "Export the encoder for one picture at a time.",
        )
