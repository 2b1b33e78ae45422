"""Networks as ONNX graphs: dlib's from their .dat, YuNet from the shared library that carries its weights."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

from dlib_format import AddPrevious, Affine, Convolution, Dense, Input, Net, Pool, Relu, Tag
from mien.types import Floats

OPSET = 17
IR_VERSION = 9  # of the ONNX release that brought opset 17 to ONNX Runtime 1.17 and older


class Graph:
    """A graph under construction. Methods return the name of what they add."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def model(self, name: str, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]) -> onnx.ModelProto:
        graph = helper.make_graph(self._nodes, name, inputs, outputs, self._constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="mien"
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _tensor(name: str, shape: list[int | str], kind: TensorProto.DataType = TensorProto.FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


# -------------------------------------------------------------------------------------------------------- dlib


class Signal(NamedTuple):
    """What flows between layers: square pictures."""

    name: str
    channels: int
    side: int


def resnet(net: Net) -> onnx.ModelProto:
    """ "rgb" (N, 150, 150, 3) uint8 -> "embedding" (N, 128) float32."""
    if net.input.size is None or net.input.size[0] != net.input.size[1]:
        raise ValueError(f"not a network for square chips: {net.input}")
    side = net.input.size[0]
    graph = Graph()
    planes = graph.add("Cast", graph.add("Transpose", "rgb", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    signal = Signal(planes, 3, side)
    saved: list[Signal] = []
    outputs = 0
    for index, layer in enumerate(net.layers):
        match layer:
            case Convolution():
                following = net.layers[index + 1]
                signal = Signal(
                    _convolve(graph, signal.name, layer, following, None if index else net.input),
                    len(layer.bias),
                    _side(signal.side, layer.weight.shape[2], layer.stride[0], layer.padding[0]),
                )
            case Affine():
                pass  # folded into the convolution before it
            case Relu():
                signal = signal._replace(name=graph.add("Relu", signal.name))
            case Pool(kernel=(0, 0), kind="average"):
                signal = Signal(graph.add("GlobalAveragePool", signal.name), signal.channels, 1)
            case Pool():
                operator = "MaxPool" if layer.kind == "max" else "AveragePool"
                name = graph.add(operator, signal.name, kernel_shape=layer.kernel, strides=layer.stride)
                signal = Signal(name, signal.channels, _side(signal.side, layer.kernel[0], layer.stride[0], 0))
            case Tag() if isinstance(net.layers[index - 1], Tag):
                signal = saved[0]  # a tag upon a tag is a skip: the block's input goes its other way, by a pool
            case Tag():
                saved.append(signal)
            case AddPrevious():
                signal = _add(graph, signal, saved[-1])
                saved = []
            case Dense():
                outputs = layer.weight.shape[1]
                flat = graph.add("Flatten", signal.name)
                graph.add("MatMul", flat, graph.constant(layer.weight), output="embedding")
    return graph.model(
        "dlib_resnet", [_tensor("rgb", ["N", side, side, 3], TensorProto.UINT8)], [_tensor("embedding", ["N", outputs])]
    )


def mmod(net: Net) -> onnx.ModelProto:
    """ "rgb" (N, 3, H, W) float32, 0..255 -> "score" (N, 1, h, w) float32. What is padding must hold the net's mean
    colour."""
    graph = Graph()
    name = "rgb"
    for index, layer in enumerate(net.layers):
        match layer:
            case Convolution():
                following = net.layers[index + 1] if index + 1 < len(net.layers) else None
                output = "score" if following is None else None
                name = _convolve(graph, name, layer, following, None if index else net.input, output)
            case Affine():
                pass
            case Relu():
                name = graph.add("Relu", name)
            case _:
                raise ValueError(f"a detector is made of convolutions, not of {layer}")
    return graph.model("dlib_mmod", [_tensor("rgb", ["N", 3, "H", "W"])], [_tensor("score", ["N", 1, "h", "w"])])


def _side(side: int, kernel: int, stride: int, padding: int) -> int:
    return (side + 2 * padding - kernel) // stride + 1


def _convolve(
    graph: Graph, name: str, layer: Convolution, following: object, pixels: Input | None, output: str | None = None
) -> str:
    """A convolution, with the affine layer that follows it and, before the first, dlib's (pixel - mean) / 256 folded
    in.

    The latter is exact only where nothing is padded: dlib pads with zeros after the subtraction.
    """
    weight, bias = layer.weight.astype(np.float64), layer.bias.astype(np.float64)
    if isinstance(following, Affine):
        scale = following.scale.astype(np.float64)
        weight, bias = weight * scale[:, None, None, None], bias * scale + following.shift
    if pixels is not None:
        if any(layer.padding):
            raise ValueError("the pixels' normalisation cannot be folded into a padded convolution")
        weight = weight / 256
        bias = bias - weight.sum(axis=(2, 3)) @ np.array(pixels.mean)
    return graph.add(
        "Conv",
        name,
        graph.constant(weight.astype(np.float32)),
        graph.constant(bias.astype(np.float32)),
        output=output,
        kernel_shape=layer.weight.shape[2:],
        strides=layer.stride,
        pads=layer.padding * 2,
    )


def _add(graph: Graph, one: Signal, other: Signal) -> Signal:
    """dlib's add_prev: the smaller tensor counts as padded with zeros, behind its channels, below and right of its
    pixels."""
    channels, side = max(one.channels, other.channels), max(one.side, other.side)

    def padded(signal: Signal) -> str:
        missing = np.array([0, 0, 0, 0, 0, channels - signal.channels, side - signal.side, side - signal.side])
        return graph.add("Pad", signal.name, graph.constant(missing)) if missing.any() else signal.name

    return Signal(graph.add("Add", padded(one), padded(other)), channels, side)


# -------------------------------------------------------------------------------------------------------- YuNet


def yunet(library: bytes) -> onnx.ModelProto:
    """ "input" (N, 3, H, W) float32, BGR 0..255, H and W multiples of 32 -> for each stride s of 8, 16 and 32, with
    A = H/s * W/s: "cls_s" and "obj_s" (N, A, 1), "bbox_s" (N, A, 4), "kps_s" (N, A, 10).

    The topology is that of YuNet-s (W. Wu, H. Peng and S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023).
    """
    arrays = dict(_exported_arrays(library))
    graph = Graph()

    def pointwise(name: str, layer: str) -> str:
        bias = arrays[f"{layer}_pw_bias"]
        weight = arrays[f"{layer}_pw_weight"].reshape(len(bias), -1, 1, 1)
        return graph.add("Conv", name, graph.constant(weight), graph.constant(bias), kernel_shape=[1, 1])

    def depthwise(name: str, layer: str) -> str:
        bias = arrays[f"{layer}_dw_bias"]
        weight = arrays[f"{layer}_dw_weight"].reshape(9, len(bias)).T.reshape(-1, 1, 3, 3)
        shape: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1] * 4, "group": len(bias)}
        return graph.add("Conv", name, graph.constant(weight), graph.constant(bias), **shape)

    def unit(name: str, *layers: str) -> str:
        for layer in layers:
            name = graph.add("Relu", depthwise(pointwise(name, layer), layer))
        return name

    def stage(name: str, number: int) -> str:
        return unit(name, f"backbone__model{number}_dp1", f"backbone__model{number}_dp2")

    def pool(name: str) -> str:
        return graph.add("MaxPool", name, kernel_shape=[2, 2], strides=[2, 2])

    twice = graph.constant(np.array([1, 1, 2, 2], np.float32))

    def merge(small: str, large: str) -> str:
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return graph.add("Add", graph.add("Resize", small, "", twice, mode="nearest", output=None, **how), large)

    # The first convolution is stored as (out, row, column, channel), its 27 columns filled up to 32.
    first = arrays["backbone__model0_pw_weight"].reshape(16, 32)[:, :27].reshape(16, 3, 3, 3).transpose(0, 3, 1, 2)
    first_bias = graph.constant(arrays["backbone__model0_pw_bias"])
    shape: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}
    stem = graph.add("Relu", graph.add("Conv", "input", graph.constant(first), first_bias, **shape))
    fine = stage(pool(stage(stage(pool(unit(stem, "backbone__model0_dp")), 1), 2)), 3)
    middle = stage(pool(fine), 4)
    coarse = stage(pool(middle), 5)
    coarse = unit(coarse, "neck__lateral_convs__2")
    middle = unit(merge(coarse, middle), "neck__lateral_convs__1")
    fine = unit(merge(middle, fine), "neck__lateral_convs__0")

    outputs = []
    for head, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for level, features in enumerate((fine, middle, coarse)):
            layer = f"bbox_head__multi_level_{head}__{level}"
            rows = graph.add("Transpose", depthwise(pointwise(features, layer), layer), perm=[0, 2, 3, 1])
            name = f"{head}_{8 << level}"
            table = graph.constant(np.array([0, -1, width]))
            if width == 1:
                graph.add("Sigmoid", graph.add("Reshape", rows, table), output=name)
            else:
                graph.add("Reshape", rows, table, output=name)
            outputs.append(_tensor(name, ["N", f"A{8 << level}", width]))
    return graph.model("yunet_s", [_tensor("input", ["N", 3, "H", "W"])], outputs)


def _exported_arrays(library: bytes) -> Iterator[tuple[str, Floats]]:
    """The float arrays that a shared library (ELF, 64 bits, little-endian) exports by name."""
    if library[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", library, 40)
    size, count = struct.unpack_from("<HH", library, 58)
    # name, type, flags, address, offset, size, link, info, alignment, size of an entry
    sections = [struct.unpack_from("<IIQQQQIIQQ", library, table + size * number) for number in range(count)]
    (symbols,) = (section for section in sections if section[1] == 11)  # SHT_DYNSYM
    names = sections[symbols[6]][4]
    for entry in range(symbols[4], symbols[4] + symbols[5], 24):
        name, info, _, section, address, length = struct.unpack_from("<IBBHQQ", library, entry)
        if info & 15 == 1 and 0 < section < count and sections[section][1] != 8:  # STT_OBJECT, not in SHT_NOBITS
            begin = names + name
            label = library[begin : library.index(b"\0", begin)].decode()
            if label.endswith(("_weight", "_bias")):
                offset = address - sections[section][3] + sections[section][4]
                yield label, np.frombuffer(library, "<f4", length // 4, offset).astype(np.float32)
