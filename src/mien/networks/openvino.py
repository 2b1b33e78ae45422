"""OpenVINO's IR, an .xml and a .bin, to an ONNX file that computes the same, for any number of pictures at once.

A small strict reader: it knows the operators that feed-forward encoders of faces use, with all their attributes, and
refuses every other by name. Every shape is computed here and compared with the one that the file declares. What the
file has for one picture becomes N pictures: an operator that would mix pictures, or take their axis from the first
place, is refused.

Constants of 16 bits become float32 with exactly their values. OpenVINO computes in float32 on CPUs too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mien.networks.graph import Graph, Value
from mien.networks.ir import FETCH_AGAIN, FREE, NOT_FOR_MIEN, Layer, read_layers, shape, whole
from mien.networks.onnx_file import FLOAT, UINT8, network, node, value_info
from mien.networks.operators import OPERATORS, Form
from mien.networks.refusal import RefusalError, refusing

INPUT, OUTPUT = "image", "embedding"
"""The names that the input and the output of the ONNX file have."""

LARGEST_WEIGHTS: Final = 512 << 20
"""Bytes of a .bin. One with numbers of 16 bits becomes an ONNX file twice as large."""

_STORED: Final[dict[str, np.dtype[Any]]] = {
    "f16": np.dtype("<f2"),
    "f32": np.dtype("<f4"),
    "i32": np.dtype("<i4"),
    "i64": np.dtype("<i8"),
    "u8": np.dtype("u1"),
    "i8": np.dtype("i1"),
}

_HELD: Final[dict[str, np.dtype[Any]]] = {"f": np.dtype("f4"), "i": np.dtype("i8"), "u": np.dtype("i8")}
"""As what the numbers of a kind are held here, and written."""

_PARAMETER: Final = Form((0,), frozenset({"shape", "element_type"}))
_CONST: Final = Form((0,), frozenset({"element_type", "shape", "offset", "size"}))
_PLACE: Final = ("offset", "size")


def to_onnx(xml: bytes, weights: bytes, about: str) -> bytes:
    """The ONNX file of the network in `xml` and `weights`, the bytes of the .xml and the .bin: "image" (N, C, H, W), in
    float32, or uint8 where the network takes that, to "embedding" (N, D) float32.

    The same files give the same bytes. Raises EncoderError, with `about` as the name of the file, where they are
    damaged, hostile, or hold something that mien does not convert.
    """
    with refusing(about):
        if len(weights) > LARGEST_WEIGHTS:
            raise RefusalError(f"has weights of {len(weights):,} bytes, more than {LARGEST_WEIGHTS:,}", NOT_FOR_MIEN)
        layers = read_layers(xml)
        parameter, result = _only(layers, "Parameter"), _only(layers, "Result")
        graph, image = Graph(len(weights)), _image(parameter)
        values: dict[int, Value] = {}
        for layer in layers:
            if layer is not result:
                inputs = [values[source] for source in layer.sources]
                values[layer.id] = _value(graph, layer, inputs, weights) if layer is not parameter else image
                _compare(layer, inputs, values[layer.id], parameter)
        if len(result.sources) != 1:
            raise result.refused("has no input", FETCH_AGAIN)
        found = values[result.sources[0]]
        _compare(result, [found], None, parameter)
        lengths = [each for each in found.shape if each is not None]
        if found.kind != "f" or found.numbers is not None or not lengths:
            raise result.refused("gives no numbers for a picture")
        graph.nodes.append(node("Flatten", [found.name], OUTPUT, axis=1))
        pictures: list[int | str] = ["N", *(each for each in image.shape if each)]
        inputs_ = [value_info(INPUT, pictures, UINT8 if image.kind == "u" else FLOAT)]
        outputs = [value_info(OUTPUT, ["N", math.prod(lengths)])]
        return network("mien-encoder", graph.nodes, graph.constants, inputs_, outputs)


def _only(layers: Sequence[Layer], kind: str) -> Layer:
    found = [layer for layer in layers if layer.kind == kind]
    if len(found) != 1:
        raise RefusalError(
            f"has {len(found)} layers of type {kind}",
            "An encoder takes one picture and gives one embedding. Take a network that does.",
        )
    return found[0]


def _image(layer: Layer) -> Value:
    """The input of the network: pictures of channels, height and width, in this or another order."""
    _PARAMETER.check(layer)
    kind = {"f32": "f", "f16": "f", "u8": "u"}.get(layer.data.get("element_type", ""))
    if kind is None:
        raise layer.refused("takes numbers of a type that mien does not give")
    lengths = shape(layer.data.get("shape", ""))
    if len(lengths) != 4 or FREE in lengths[1:]:
        raise layer.refused("takes no pictures of one size: its shape has to be four lengths")
    if lengths != layer.output:
        raise layer.refused("has two different shapes", FETCH_AGAIN)
    Graph.bound(layer, lengths[1:])
    return Value(INPUT, (None, *lengths[1:]), kind)


def _value(graph: Graph, layer: Layer, inputs: Sequence[Value], weights: bytes) -> Value:
    """What a layer gives for these inputs."""
    if layer.kind == "Const":
        _CONST.check(layer)
        return _const(graph, layer, weights)
    if layer.kind not in OPERATORS:
        raise layer.refused("is of a type that mien does not convert")
    form, convert = OPERATORS[layer.kind]
    form.check(layer)
    return convert(graph, layer, *inputs)


def _const(graph: Graph, layer: Layer, weights: bytes) -> Value:
    kind = _STORED.get(layer.data.get("element_type", ""))
    if kind is None:
        raise layer.refused("holds numbers of a type that mien does not convert")
    lengths, offset, size = shape(layer.data.get("shape", "")), *(whole(layer.data.get(key, "")) for key in _PLACE)
    if FREE in lengths or Graph.bound(layer, lengths) * kind.itemsize != size:
        raise layer.refused("has a shape and a size that do not fit each other", FETCH_AGAIN)
    if offset < 0 or offset + size > len(weights):
        raise layer.refused("reaches beyond the end of the .bin", FETCH_AGAIN)
    held = _HELD[kind.kind]
    graph.spend(layer, lengths, held.itemsize)
    numbers = np.frombuffer(weights, kind, math.prod(lengths), offset).reshape(lengths)
    return graph.constant(layer, numbers.astype(held))


def _compare(layer: Layer, inputs: Sequence[Value], made: Value | None, parameter: Layer) -> None:
    """Refuses the layer where a shape that it declares is not the one computed."""
    written_for = parameter.output[0] if parameter.output else FREE
    declared = [*layer.inputs, *([] if made is None else [layer.output])]
    found = [each.shape for each in (*inputs, *([] if made is None else [made]))]
    if declared != [tuple(written_for if each is None else each for each in one) for one in found]:
        raise layer.refused("declares a shape that its inputs do not have or give", FETCH_AGAIN)
