"""The output graph of retrain: one ONNX network from a picture to a probability for each label.

    "picture" (1, height, width, 3) uint8 -> (resized to the encoder's side) -> the encoder -> a unit vector, lengthened
    -> weights and biases -> softmax -> "final_result" (1, labels) float32

All weights are inside. Which encoder stands in it is said in its doc_string, so that whoever reads it can make it again
and compare every byte: no network is run that mien would not have written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.compat.final_layer import FinalLayer
from mien.compat.pictures import NORM
from mien.encoders.shelf import Kept, kept
from mien.errors import ModelError, UsageError
from mien.networks.check import check
from mien.networks.onnx_file import FLOAT, UINT8, field, fields, named_tensor, node, tensor, value_info

INPUT, FINAL = "picture", "final_result"
_OWN = "retrain/"
"""Stands before every name that is not the encoder's."""

_RESIZES_TO_SIZES = 11
"""The opset from which on Resize can be told the sizes."""


class Graph(NamedTuple):
    """What is in an output graph: its encoder, the final layer, the name of the output."""

    encoder: Kept
    layer: FinalLayer
    output: str


def write(graph: Graph) -> bytes:
    """The bytes of the network; the same graph gives the same bytes. Raises EncoderError and ModelError."""
    data = graph.encoder.network("fp32").read()
    name = f"The encoder {graph.encoder.name}"
    if check(data, name).opset < _RESIZES_TO_SIZES:
        raise ModelError(name, "is of an old form of ONNX, which cannot resize", "Export it with opset 11 or newer.")
    model = list(fields(data))
    inner = list(fields(next(value for number, _, value in model if number == 7)))
    side, classes = graph.encoder.description.side, len(graph.layer.biases)
    constants: dict[str, NDArray[Any]] = {
        "sizes": np.array([1, 3, side, side]),
        "norm": np.array([NORM], np.float32),
        "weights": graph.layer.weights,
        "biases": graph.layer.biases,
    }
    parts = [
        *[field(1, one) for one in _before()],
        *[field(number, bytes(value)) for number, _, value in inner if number in (1, 5)],
        *[field(1, one) for one in _after(graph.output)],
        field(2, "mien-retrain"),
        *[field(5, tensor(_OWN + key, value)) for key, value in constants.items()],
        field(11, value_info(INPUT, [1, "height", "width", 3], UINT8)),
        field(12, value_info(graph.output, [1, classes])),
    ]
    version = next(value for number, _, value in model if number == 1)
    opsets = [field(8, bytes(value)) for number, _, value in model if number == 8]
    says = json.dumps({"encoder": graph.encoder.name, "output": graph.output})
    return b"".join([field(1, version), field(2, "mien"), field(6, says), field(7, b"".join(parts)), *opsets])


def _before() -> Iterator[bytes]:
    """From the picture to what the encoder takes. A picture of the encoder's side stays as it is, to the bit."""
    yield node("Cast", [INPUT], f"{_OWN}float", to=FLOAT)
    yield node("Transpose", [f"{_OWN}float"], f"{_OWN}planes", perm=[0, 3, 1, 2])
    resized = [f"{_OWN}planes", "", "", f"{_OWN}sizes"]
    yield node("Resize", resized, f"{_OWN}resized", mode="linear", coordinate_transformation_mode="half_pixel")
    yield node("Transpose", [f"{_OWN}resized"], f"{_OWN}pixels", perm=[0, 2, 3, 1])
    yield node("Round", [f"{_OWN}pixels"], f"{_OWN}whole")
    yield node("Cast", [f"{_OWN}whole"], "rgb", to=UINT8)


def _after(output: str) -> Iterator[bytes]:
    yield node("LpNormalization", ["embedding"], f"{_OWN}unit", axis=1, p=2)
    yield node("Mul", [f"{_OWN}unit", f"{_OWN}norm"], f"{_OWN}bottleneck")
    yield node("Gemm", [f"{_OWN}bottleneck", f"{_OWN}weights", f"{_OWN}biases"], f"{_OWN}logits")
    yield node("Softmax", [f"{_OWN}logits"], output, axis=1)


def read(data: bytes, about: str) -> Graph:
    """What is in the output graph in `data`, which errors call `about`. Raises ModelError for whatever mien did not
    write, and EncoderError where its encoder is not on this machine."""
    try:
        model = {number: value for number, _, value in fields(data)}
        says = json.loads(bytes(model[6]))
        name, output = str(says["encoder"]), str(says["output"])
        tensors = (bytes(value) for number, _, value in fields(model[7]) if number == 5)
        own = dict(named_tensor(memoryview(one)) for one in tensors if _OWN.encode() in one)
        layer = FinalLayer(own[f"{_OWN}weights"], own[f"{_OWN}biases"])
        sound = layer.weights.shape[1:] == layer.biases.shape == (len(layer.biases),) and len(layer.biases) > 1
        output.encode()
    except (LookupError, ValueError, TypeError, OverflowError, RecursionError):
        sound = False
    if sound:
        graph = Graph(kept(name), layer, output)
        sound = _is_layer_of(graph) and write(graph) == data
    if not sound:
        raise ModelError(about, "is no network that mien-retrain wrote", _REMEDY)
    return graph


def _is_layer_of(graph: Graph) -> bool:
    """Whether the final layer, which came from a file, is one for its encoder."""
    parts = (graph.layer.weights, graph.layer.biases)
    return len(graph.layer.weights) == graph.encoder.description.dimensions and all(
        part.dtype == np.float32 and bool(np.isfinite(part).all()) for part in parts
    )


def require_name(encoder: Kept, output: str) -> None:
    """Raises UsageError where the output of a graph cannot be called so."""
    taken = {"", INPUT, "rgb", "embedding"}
    inner = encoder.network("fp32").read()
    if output in taken or output.startswith(_OWN) or not output.isascii() or field(1, output) in inner:
        raise UsageError(f"--final_tensor_name {output!r}", "cannot be the name of the output", "Choose another.")


_REMEDY = "Make one from the folders of pictures: mien-retrain --image_dir FOLDER --output_graph FILE."
