"""OpenVINO's operators as ONNX's: what each checks of its inputs and attributes, and nodes that compute the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mien.networks.graph import Graph, Shape, Value
from mien.networks.ir import FETCH_AGAIN, HIGHEST_RANK, Layer, whole
from mien.networks.onnx_file import FLOAT, Attribute
from mien.networks.windows import ATTRIBUTES, FURTHEST, pair, windows_of

Convert = Callable[..., Value]
"""What makes the nodes of a layer: it is handed the graph, the layer and its inputs."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a layer of some type may look like."""

    inputs: Container[int]
    """How many it may have."""
    attributes: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset({"opset1"})
    """The operator sets in which the type means what it means here."""

    def check(self, layer: Layer) -> None:
        if layer.version not in self.versions:
            raise layer.refused(f"is of {layer.version!r}, which mien does not convert")
        strange = layer.data.keys() - self.attributes
        if strange:
            raise layer.refused(f"has the attribute {min(strange)[:40]!r}, which mien does not convert")
        if len(layer.sources) not in self.inputs or layer.output is None:
            raise layer.refused("has too few or too many inputs or outputs", FETCH_AGAIN)


OPERATORS: Final[dict[str, tuple[Form, Convert]]] = {}


def _operator(
    kind: str, *inputs: int, attributes: Iterable[str] = (), versions: str = "opset1"
) -> Callable[[Convert], Convert]:
    def enter(convert: Convert) -> Convert:
        OPERATORS[kind] = Form(inputs, frozenset(attributes), frozenset(versions.split())), convert
        return convert

    return enter


# Number by number


@_operator("Convert", 1, attributes={"destination_type"})
def _convert(graph: Graph, layer: Layer, data: Value) -> Value:
    kind = {"f32": "f", "f16": "f", "i32": "i", "i64": "i"}.get(layer.data.get("destination_type", ""))
    if kind is None or (data.kind, kind) == ("f", "i"):
        raise layer.refused("converts into a type that mien does not know")
    if data.kind == kind:
        return data
    if data.numbers is None:
        return graph.add(layer, "Cast", [data], data.shape, to=FLOAT)
    graph.spend(layer, data.shape, 8)
    return graph.constant(layer, data.numbers.astype(np.float32 if kind == "f" else np.int64))


def _pairwise(onnx: str, compute: Callable[..., NDArray[Any]]) -> Convert:
    def convert(graph: Graph, layer: Layer, a: Value, b: Value) -> Value:
        if layer.data.get("auto_broadcast", "numpy") != "numpy":
            raise layer.refused("has an auto_broadcast that mien does not know")
        _floats(layer, a, b)
        shape = _broadcast(layer, a.shape, b.shape)
        if a.numbers is None or b.numbers is None:
            return graph.add(layer, onnx, [a, b], shape)
        graph.spend(layer, shape, 4)
        with np.errstate(all="ignore"):
            return graph.constant(layer, compute(a.numbers, b.numbers))

    return convert


for _kind, _onnx, _compute in (
    ("Add", "Add", np.add),
    ("Subtract", "Sub", np.subtract),
    ("Multiply", "Mul", np.multiply),
    ("Divide", "Div", np.divide),
    ("Maximum", "Max", np.maximum),
    ("Minimum", "Min", np.minimum),
):
    _operator(_kind, 2, attributes={"auto_broadcast", "m_pythondiv"})(_pairwise(_onnx, _compute))


def _alone(onnx: str) -> Convert:
    def convert(graph: Graph, layer: Layer, data: Value) -> Value:
        _floats(layer, data)
        return graph.add(layer, onnx, [data], data.shape)

    return convert


for _kind, _onnx, _versions in (
    ("ReLU", "Relu", "opset1"),
    ("Sigmoid", "Sigmoid", "opset1"),
    ("Tanh", "Tanh", "opset1"),
    ("HSwish", "HardSwish", "opset4"),
):
    _operator(_kind, 1, versions=_versions)(_alone(_onnx))


@_operator("PReLU", 2)
def _prelu(graph: Graph, layer: Layer, data: Value, slope: Value) -> Value:
    """One slope for all is written as LeakyRelu, which is the same and which ONNX Runtime joins with the convolution
    before it."""
    _floats(layer, data, slope)
    numbers = _constant(layer, slope)
    if numbers.size == 1:
        return graph.add(layer, "LeakyRelu", [data], data.shape, alpha=float(numbers.reshape(())))
    if numbers.ndim == 1 and len(data.shape) > 1 and numbers.shape == data.shape[1:2]:
        slope = graph.constant(layer, numbers.reshape(-1, *[1] * (len(data.shape) - 2)))
    if _broadcast(layer, data.shape, slope.shape) != data.shape:
        raise layer.refused("has slopes that do not fit", FETCH_AGAIN)
    return graph.add(layer, "PRelu", [data, slope], data.shape)


@_operator("Clamp", 1, attributes={"min", "max"})
def _clamp(graph: Graph, layer: Layer, data: Value) -> Value:
    _floats(layer, data)
    low, high = _real(layer, "min"), _real(layer, "max")
    if low > high:
        raise layer.refused("has a 'min' above its 'max'", FETCH_AGAIN)
    ends = [graph.constant(layer, np.array(end, np.float32)) for end in (low, high)]
    return graph.add(layer, "Clip", [data, *ends], data.shape)


# Windows over a picture


@_operator("Convolution", 2, attributes=ATTRIBUTES | {"dilations"})
def _convolution(graph: Graph, layer: Layer, data: Value, kernels: Value) -> Value:
    if len(kernels.shape) != 4:
        raise layer.refused("is not over two dimensions")
    return _convolved(graph, layer, data, kernels, 1)


@_operator("GroupConvolution", 2, attributes=ATTRIBUTES | {"dilations"})
def _group_convolution(graph: Graph, layer: Layer, data: Value, kernels: Value) -> Value:
    """OpenVINO has the groups as a dimension of their own: (groups, out, in, height, width)."""
    if len(kernels.shape) != 5:
        raise layer.refused("is not over two dimensions")
    numbers = _constant(layer, kernels)
    groups, out, *rest = numbers.shape
    return _convolved(graph, layer, data, graph.constant(layer, numbers.reshape(groups * out, *rest)), groups)


def _convolved(graph: Graph, layer: Layer, data: Value, kernels: Value, groups: int) -> Value:
    _floats(layer, data, kernels)
    channels, *size = _picture(layer, data)
    out, per_group, height, width = _constant(layer, kernels).shape
    if channels != per_group * groups or max(height, width) > FURTHEST:
        raise layer.refused("has kernels that do not fit its picture", FETCH_AGAIN)
    over = windows_of(layer, (size[0], size[1]), (height, width), dilated=True)
    return graph.add(
        layer,
        "Conv",
        [data, kernels],
        (None, out, *over.size),
        kernel_shape=(height, width),
        strides=over.strides,
        pads=over.pads,
        dilations=over.dilations,
        group=groups,
    )


_POOLED = ATTRIBUTES | {"kernel", "rounding_type"}


@_operator("MaxPool", 1, attributes=_POOLED)
def _max_pool(graph: Graph, layer: Layer, data: Value) -> Value:
    return _pooled(graph, layer, data, "MaxPool", True)


@_operator("AvgPool", 1, attributes=_POOLED | {"exclude-pad"})
def _avg_pool(graph: Graph, layer: Layer, data: Value) -> Value:
    """A window over the whole picture is written as GlobalAveragePool."""
    kernel, (_, *size) = pair(layer, "kernel", 1), _picture(layer, data)
    without = _flag(layer, "exclude-pad")
    over = windows_of(layer, (size[0], size[1]), kernel)
    if kernel == (*size,) and not any(over.pads):
        _floats(layer, data)
        return graph.add(layer, "GlobalAveragePool", [data], (None, data.shape[1], 1, 1))
    return _pooled(graph, layer, data, "AveragePool", without, count_include_pad=int(not without))


def _pooled(
    graph: Graph, layer: Layer, data: Value, onnx: str, pads_are_nothing: bool, **attributes: Attribute
) -> Value:
    _floats(layer, data)
    channels, *size = _picture(layer, data)
    kernel = pair(layer, "kernel", 1)
    rounding = layer.data.get("rounding_type", "floor")
    plain = windows_of(layer, (size[0], size[1]), kernel)
    over = windows_of(layer, (size[0], size[1]), kernel, ceil=rounding == "ceil")
    if rounding not in ("floor", "ceil") or (over != plain and not pads_are_nothing):
        raise layer.refused("has a rounding_type that mien does not know here")
    if any(pad >= kernel[axis % 2] for axis, pad in enumerate(over.pads)):
        raise layer.refused("has a window of pads alone", FETCH_AGAIN)
    attributes |= {"kernel_shape": kernel, "strides": over.strides, "pads": over.pads}
    return graph.add(layer, onnx, [data], (None, channels, *over.size), **attributes)


# Products


@_operator("MatMul", 2, attributes={"transpose_a", "transpose_b"})
def _mat_mul(graph: Graph, layer: Layer, a: Value, b: Value) -> Value:
    _floats(layer, a, b)
    if min(len(a.shape), len(b.shape)) < 2:
        raise layer.refused("multiplies something that is no matrix")
    turned = [
        _transposed(graph, layer, each, (*range(len(each.shape) - 2), len(each.shape) - 1, len(each.shape) - 2))
        if _flag(layer, key, False)
        else each
        for key, each in (("transpose_a", a), ("transpose_b", b))
    ]
    (*many_a, rows, inner), (*many_b, other, columns) = turned[0].shape, turned[1].shape
    if inner is None or inner != other:
        raise layer.refused("multiplies matrices that do not fit each other", FETCH_AGAIN)
    many = _broadcast(layer, (*many_a,), (*many_b,)) if many_a or many_b else ()
    return graph.add(layer, "MatMul", turned, (*many, rows, columns))


@_operator("Softmax", 1, attributes={"axis"}, versions="opset1 opset8")
def _softmax(graph: Graph, layer: Layer, data: Value) -> Value:
    _floats(layer, data)
    axis = _axis(layer, whole(layer.data.get("axis", "1")), len(data.shape))
    if axis == 0:
        raise layer.refused("mixes the pictures")
    return graph.add(layer, "Softmax", [data], data.shape, axis=axis)


@_operator("NormalizeL2", 2, attributes={"eps", "eps_mode"})
def _normalize_l2(graph: Graph, layer: Layer, data: Value, axes: Value) -> Value:
    _floats(layer, data)
    mode = {"add": "Add", "max": "Max"}.get(layer.data.get("eps_mode", ""))
    if mode is None:
        raise layer.refused("has an eps_mode that mien does not know")
    over, shape = _reduced(layer, data, axes)
    eps = graph.constant(layer, np.array(_real(layer, "eps"), np.float32))
    squares = graph.add(layer, "Mul", [data, data], data.shape)
    kept = graph.constant(layer, np.array(over, np.int64))
    total = graph.add(layer, "ReduceSum", [squares, kept], shape, keepdims=1)
    length = graph.add(layer, "Sqrt", [graph.add(layer, mode, [total, eps], shape)], shape)
    return graph.add(layer, "Div", [data, length], data.shape)


@_operator("ReduceMean", 2, attributes={"keep_dims"})
def _reduce_mean(graph: Graph, layer: Layer, data: Value, axes: Value) -> Value:
    _floats(layer, data)
    over, shape = _reduced(layer, data, axes)
    kept = _flag(layer, "keep_dims", False)
    if not kept:
        shape = tuple(length for axis, length in enumerate(shape) if axis not in over)
    return graph.add(
        layer, "ReduceMean", [data, graph.constant(layer, np.array(over, np.int64))], shape, keepdims=int(kept)
    )


# Shapes


@_operator("Reshape", 2, attributes={"special_zero"})
def _reshape(graph: Graph, layer: Layer, data: Value, target: Value) -> Value:
    """The file's first length may be the number of pictures it was written for, 0 or -1: all three mean N here."""
    wanted = _integers(layer, target)
    if _flag(layer, "special_zero"):
        wanted = [data.shape[at] if each == 0 and at < len(data.shape) else each for at, each in enumerate(wanted)]
    if data.numbers is None and wanted and wanted[0] in (None, -1, *layer.inputs[0][:1]):
        wanted[0] = None
    rest = math.prod(each for each in wanted if each is not None and each != -1)
    if any(each is not None and (each == 0 or each < -1) for each in wanted) or wanted.count(-1) > 1:
        raise layer.refused("has a shape that means nothing", FETCH_AGAIN)
    size = math.prod(each for each in data.shape if each is not None)
    return _reshaped(graph, layer, data, tuple(size // rest if each == -1 else each for each in wanted))


@_operator("Squeeze", 1, 2)
def _squeeze(graph: Graph, layer: Layer, data: Value, axes: Value | None = None) -> Value:
    rank = len(data.shape)
    if axes is None:
        gone = {axis for axis, length in enumerate(layer.inputs[0]) if length == 1}
    else:
        gone = {_axis(layer, axis, rank) for axis in _integers(layer, axes)}
    if any(data.shape[axis] != 1 for axis in gone):
        raise layer.refused("takes away an axis that is longer than 1, or that of the pictures")
    return _reshaped(graph, layer, data, tuple(each for axis, each in enumerate(data.shape) if axis not in gone))


@_operator("Unsqueeze", 2)
def _unsqueeze(graph: Graph, layer: Layer, data: Value, axes: Value) -> Value:
    wanted = _integers(layer, axes)
    rank = len(data.shape) + len(wanted)
    new = {_axis(layer, axis, rank) for axis in wanted}
    if len(new) < len(wanted):
        raise layer.refused("adds an axis twice", FETCH_AGAIN)
    old = iter(data.shape)
    return _reshaped(graph, layer, data, tuple(1 if axis in new else next(old) for axis in range(rank)))


def _reshaped(graph: Graph, layer: Layer, data: Value, shape: Shape) -> Value:
    lengths = [[each for each in one if each is not None] for one in (data.shape, shape)]
    if math.prod(lengths[0]) != math.prod(lengths[1]) or shape.count(None) != data.shape.count(None):
        raise layer.refused("changes how many numbers there are, or mixes the pictures")
    if len(shape) > HIGHEST_RANK:
        raise layer.refused(f"makes more than {HIGHEST_RANK} dimensions")
    if data.numbers is not None:
        return graph.constant(layer, data.numbers.reshape([each or 0 for each in shape]))
    _floats(layer, data)
    target = graph.constant(layer, np.array([each or 0 for each in shape], np.int64))  # to Reshape, 0 is "as it was"
    return graph.add(layer, "Reshape", [data, target], shape)


@_operator("Transpose", 2)
def _transpose(graph: Graph, layer: Layer, data: Value, order: Value) -> Value:
    wanted = _integers(layer, order) or [*range(len(data.shape))][::-1]
    if sorted(wanted) != [*range(len(data.shape))]:
        raise layer.refused("has an order that is none", FETCH_AGAIN)
    return _transposed(graph, layer, data, (*wanted,))


def _transposed(graph: Graph, layer: Layer, data: Value, order: tuple[int, ...]) -> Value:
    if data.numbers is not None:
        return graph.constant(layer, data.numbers.transpose(order))
    _floats(layer, data)
    return graph.add(layer, "Transpose", [data], tuple(data.shape[axis] for axis in order), perm=order)


@_operator("Concat", *range(1, 65), attributes={"axis"})
def _concat(graph: Graph, layer: Layer, *parts: Value) -> Value:
    _floats(layer, *parts)
    rank = len(parts[0].shape)
    if "axis" not in layer.data:
        raise layer.refused("has no axis", FETCH_AGAIN)
    axis = _axis(layer, whole(layer.data["axis"]), rank)
    lengths = [each.shape[axis] if len(each.shape) == rank else None for each in parts]
    if axis == 0 or None in lengths or len({(*each.shape[:axis], *each.shape[axis + 1 :]) for each in parts}) > 1:
        raise layer.refused("joins parts that do not fit, or mixes the pictures")
    total = sum(each for each in lengths if each is not None)
    shape: Shape = (*parts[0].shape[:axis], total, *parts[0].shape[axis + 1 :])
    return graph.add(layer, "Concat", parts, shape, axis=axis)


# What several operators ask


def _floats(layer: Layer, *values: Value) -> None:
    if any(value.kind != "f" for value in values):
        raise layer.refused("computes with whole numbers")


def _constant(layer: Layer, value: Value) -> NDArray[Any]:
    if value.numbers is None:
        raise layer.refused("takes something from the picture that mien knows as a constant only")
    return value.numbers


def _integers(layer: Layer, value: Value) -> list[Any]:
    """The few whole numbers, axes or lengths, that a constant holds."""
    numbers = _constant(layer, value)
    if numbers.dtype.kind == "f" or numbers.ndim > 1 or numbers.size > HIGHEST_RANK:
        raise layer.refused("has no usable axes or lengths", FETCH_AGAIN)
    found = [int(each) for each in numbers.ravel()]
    if any(abs(each) > 1 << 40 for each in found):
        raise layer.refused("has no usable axes or lengths", FETCH_AGAIN)
    return found


def _axis(layer: Layer, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise layer.refused(f"names axis {axis} of {rank}", FETCH_AGAIN)
    return axis % rank


def _reduced(layer: Layer, data: Value, axes: Value) -> tuple[list[int], Shape]:
    """The axes over which a layer sums, and the shape that is left with these 1 long."""
    over = sorted({_axis(layer, axis, len(data.shape)) for axis in _integers(layer, axes)})
    if not over or over[0] == 0:
        raise layer.refused("sums over no axis, or over the pictures")
    return over, tuple(1 if axis in over else length for axis, length in enumerate(data.shape))


def _picture(layer: Layer, data: Value) -> tuple[int, int, int]:
    """Channels, height and width."""
    match data.shape:
        case (None, int(channels), int(height), int(width)):
            return channels, height, width
    raise layer.refused("works on something that is no picture of channels, height and width")


def _broadcast(layer: Layer, a: Shape, b: Shape) -> Shape:
    """numpy's rule; N goes with N, and with 1."""
    rank = max(len(a), len(b))
    pairs = [*zip((*[1] * (rank - len(a)), *a), (*[1] * (rank - len(b)), *b), strict=True)]
    if any(x != y and 1 not in (x, y) for x, y in pairs):
        raise layer.refused("has inputs that do not fit each other", FETCH_AGAIN)
    return tuple(y if x == 1 else x for x, y in pairs)


def _flag(layer: Layer, key: str, default: bool | None = None) -> bool:
    said = layer.data.get(key, str(default)).strip().lower()
    if said not in ("true", "false", "1", "0"):
        raise layer.refused(f"has no usable {key!r}: true or false", FETCH_AGAIN)
    return said in ("true", "1")


def _real(layer: Layer, key: str) -> float:
    try:
        found = float(layer.data.get(key, "")[:40])
    except ValueError:
        found = math.nan
    if not abs(found) <= np.finfo(np.float32).max:
        raise layer.refused(f"has no usable {key!r}", FETCH_AGAIN)
    return found
