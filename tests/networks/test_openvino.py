"""OpenVINO's IR to ONNX: each operator against numpy, and files that are damaged or hostile.

The files are written here; test_retail_0095.py has a real one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.errors import EncoderError
from mien.networks import graph, ir, openvino, operators
from mien.networks.check import Port, check
from mien.networks.openvino import to_onnx
from mien.networks.sessions import open_session

Numbers = NDArray[Any]
Compute = Callable[[Numbers], Numbers]

TYPES = {"f2": "f16", "f4": "f32", "i4": "i32", "i8": "i64", "u1": "u8", "i1": "i8"}


class Net:
    """Writes a small IR. Each method gives the id of its layer; shapes are as the file declares them."""

    def __init__(self, picture: Sequence[int | str] = (1, 4, 6, 6), element: str = "f32", version: str = "11") -> None:
        self.layers: list[str] = []
        self.edges: list[str] = []
        self.weights = b""
        self.shapes: list[tuple[int | str, ...]] = []
        self.version = version
        self.image = self.layer("Parameter", [], picture, shape=_commas(picture), element_type=element)

    def const(self, value: Any, kind: str = "f4") -> int:
        data = np.asarray(value, f"<{kind}")
        offset, self.weights = len(self.weights), self.weights + data.tobytes()
        where: dict[str, Any] = {"shape": _commas(data.shape), "offset": offset, "size": data.nbytes}
        return self.layer("Const", [], data.shape, element_type=TYPES[kind], **where)

    def layer(
        self, kind: str, sources: Sequence[int], gives: Sequence[int | str], version: str = "opset1", **data: Any
    ) -> int:
        own = len(self.layers)
        inputs = "".join(_port(at, self.shapes[source]) for at, source in enumerate(sources))
        for at, source in enumerate(sources):
            self.edge(source, own, at)
        attributes = "".join(f" {key.replace('_pad_', '-pad')}={quoteattr(str(value))}" for key, value in data.items())
        self.layers.append(
            f'<layer id="{own}" name="&lt;{own}&gt;" type="{kind}" version="{version}"><data{attributes}/>'
            f"<input>{inputs}</input><output>{_port(len(sources), gives)}</output></layer>"
        )
        self.shapes.append(tuple(gives))
        return own

    def edge(self, source: int, target: int, port: int) -> None:
        given = len(re.findall("<port", self.layers[source])) - 1 if source < len(self.layers) else 0
        self.edges.append(f'<edge from-layer="{source}" from-port="{given}" to-layer="{target}" to-port="{port}"/>')

    def result(self, source: int) -> Net:
        own = len(self.layers)
        self.layers.append(
            f'<layer id="{own}" name="out" type="Result" version="opset1">'
            f"<input>{_port(0, self.shapes[source])}</input></layer>"
        )
        self.edge(source, own, 0)
        return self

    @property
    def xml(self) -> bytes:
        parts = [
            f'<?xml version="1.0"?>\n<net name="small" version="{self.version}">',
            f"<layers>{''.join(self.layers)}</layers>",
            f"<edges>{''.join(self.edges)}</edges>",
            '<rt_info><note value="anything"><deeper/></note></rt_info></net>',
        ]
        return "".join(parts).encode()

    def convert(self) -> bytes:
        return to_onnx(self.xml, self.weights, "small.xml")


def _commas(lengths: Sequence[int | str]) -> str:
    return ", ".join(map(str, lengths))


def _port(number: int, lengths: Sequence[int | str]) -> str:
    dims = "".join(f"<dim>{-1 if each == '?' else each}</dim>" for each in lengths)
    return f'<port id="{number}" precision="FP32">{dims}</port>'


def pictures(count: int, *shape: int) -> Numbers:
    return np.random.default_rng(count).normal(size=(count, *shape)).astype(np.float32)


def ran(data: bytes, image: Numbers) -> Numbers:
    (found,) = open_session(data).run(["embedding"], {"image": image})
    return np.asarray(found)


def noise(*shape: int) -> Numbers:
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


# Operators, each against numpy


def windowed(
    x: Numbers, kernel: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int, int, int], fill: float
) -> Numbers:
    """(N, C, rows, columns, kernel height, kernel width): every window over the padded pictures."""
    top, left, bottom, right = pads
    full = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(full, kernel, (2, 3))[:, :, :: strides[0], :: strides[1]]


def convolved(
    x: Numbers, kernels: Numbers, strides: tuple[int, int], pads: tuple[int, int, int, int], groups: int, apart: int = 1
) -> Numbers:
    spread = np.zeros((*kernels.shape[:2], *((length - 1) * apart + 1 for length in kernels.shape[2:])))
    spread[:, :, ::apart, ::apart] = kernels
    windows = windowed(x, spread.shape[2:], strides, pads, 0)
    joined = [
        np.einsum("nchwij,ocij->nohw", w, k)
        for w, k in zip(np.split(windows, groups, 1), np.split(spread, groups, 0), strict=True)
    ]
    return np.concatenate(joined, 1)


EXPLICIT = {"auto_pad": "explicit"}


def conv(**how: Any) -> dict[str, Any]:
    return {"strides": "1, 1", "dilations": "1, 1", "pads_begin": "0, 0", "pads_end": "0, 0", **how}


def pool(**how: Any) -> dict[str, Any]:
    return {"kernel": "2, 2", "strides": "2, 2", "pads_begin": "0, 0", "pads_end": "0, 0", **how}


Build = Callable[[Net], int]


def unary(kind: str, compute: Compute, version: str = "opset1", **data: Any) -> tuple[Build, Compute]:
    return lambda net: net.layer(kind, [net.image], (1, 4, 6, 6), version, **data), compute


def binary(kind: str, compute: Callable[[Numbers, Numbers], Numbers], *shape: int) -> tuple[Build, Compute]:
    other = noise(*shape) + np.float32(3)
    return (
        lambda net: net.layer(kind, [net.image, net.const(other)], (1, 4, 6, 6), auto_broadcast="numpy"),
        lambda x: compute(x, other),
    )


def with_axes(
    kind: str, compute: Compute, axes: Sequence[int], gives: Sequence[int], version: str = "opset1", **data: Any
) -> tuple[Build, Compute]:
    def build(net: Net) -> int:
        return net.layer(kind, [net.image, net.const(axes, "i8")], gives, version, **data)

    return build, compute


def prelu(slope: Numbers, spread: tuple[int, ...]) -> tuple[Build, Compute]:
    return (
        lambda net: net.layer("PReLU", [net.image, net.const(slope)], (1, 4, 6, 6)),
        lambda x: np.where(x < 0, x * slope.reshape(spread), x),
    )


def convolution(gives: int, apart: int, pads: tuple[int, int, int, int], **how: Any) -> tuple[Build, Compute]:
    kernels = noise(5, 4, 3, 3)
    strides = tuple(map(int, str(how.get("strides", "1,1")).split(",")))
    return (
        lambda net: net.layer("Convolution", [net.image, net.const(kernels)], (1, 5, gives, gives), **conv(**how)),
        lambda x: convolved(x, kernels, (strides[0], strides[1]), pads, 1, apart),
    )


def group_convolution(groups: int) -> tuple[Build, Compute]:
    kernels = noise(groups, 2, 4 // groups, 3, 3)
    return (
        lambda net: net.layer(
            "GroupConvolution", [net.image, net.const(kernels)], (1, 2 * groups, 4, 4), **conv(**EXPLICIT)
        ),
        lambda x: convolved(x, kernels.reshape(-1, 4 // groups, 3, 3), (1, 1), (0, 0, 0, 0), groups),
    )


def pooling(kind: str, gives: int, compute: Compute, **how: Any) -> tuple[Build, Compute]:
    return lambda net: net.layer(kind, [net.image], (1, 4, gives, gives), **pool(**how)), compute


def most(pads: tuple[int, int, int, int], kernel: int = 2) -> Compute:
    return lambda x: windowed(x, (kernel, kernel), (2, 2), pads, -math.inf).max((4, 5))


def mean(pads: tuple[int, int, int, int], kernel: int = 2, with_pads: bool = False) -> Compute:
    def compute(x: Numbers) -> Numbers:
        full = windowed(x, (kernel, kernel), (2, 2), pads, 0 if with_pads else math.nan)
        return np.asarray(np.nanmean(full, (4, 5)))

    return compute


def normalised(x: Numbers, over: tuple[int, ...], how: Callable[[Numbers], Numbers]) -> Numbers:
    return np.asarray(x / np.sqrt(how((x * x).sum(over, keepdims=True))))


def softmaxed(x: Numbers, axis: int) -> Numbers:
    high = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(high / high.sum(axis, keepdims=True))


def sigmoid(x: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-x))


def reshaped(target: Sequence[int], gives: Sequence[int], special: bool = False) -> tuple[Build, Compute]:
    return with_axes(
        "Reshape", lambda x: x.reshape(len(x), *gives[1:]), target, gives, special_zero=str(special).lower()
    )


def dense(turned: bool) -> tuple[Build, Compute]:
    matrix = noise(7, 144) if turned else noise(144, 7)

    def build(net: Net) -> int:
        flat = net.layer("Reshape", [net.image, net.const([1, 144], "i8")], (1, 144), special_zero="false")
        right = net.const(matrix)
        return net.layer("MatMul", [flat, right], (1, 7), transpose_a="false", transpose_b=str(turned).lower())

    return build, lambda x: x.reshape(len(x), -1) @ (matrix.T if turned else matrix)


def attention(net: Net) -> int:
    return net.layer("MatMul", [net.image, net.image], (1, 4, 6, 6), transpose_a="false", transpose_b="true")


def joined(net: Net) -> int:
    return net.layer("Concat", [net.image, net.layer("ReLU", [net.image], (1, 4, 6, 6))], (1, 8, 6, 6), axis="-3")


def decompressed(net: Net) -> int:
    """Weights of 8 bits with their zero point and scale, as OpenVINO's compression writes them."""
    steps = net.layer("Convert", [net.const(np.arange(4).reshape(4, 1, 1), "u1")], (4, 1, 1), destination_type="f32")
    whole = net.layer("Subtract", [steps, net.const(np.float16(2), "f2")], (4, 1, 1))
    scaled = net.layer("Multiply", [whole, net.const(0.25)], (4, 1, 1))
    return net.layer("Add", [net.image, scaled], (1, 4, 6, 6))


def folded(net: Net) -> int:
    """Constants whose form is changed on the way."""
    row = net.layer("Unsqueeze", [net.const(noise(4)), net.const([0, 2, 3], "i4")], (1, 4, 1, 1))
    turned = net.layer("Transpose", [row, net.const([0, 2, 3, 1], "i8")], (1, 1, 1, 4))
    back = net.layer("Reshape", [turned, net.const([0, -1, 1, 1], "i8")], (1, 4, 1, 1), special_zero="true")
    flat = net.layer("Squeeze", [back, net.const([0], "i8")], (4, 1, 1))
    return net.layer("Multiply", [net.image, flat], (1, 4, 6, 6))


CASES: dict[str, tuple[Build, Compute]] = {
    "ReLU": unary("ReLU", lambda x: np.maximum(x, 0)),
    "Sigmoid": unary("Sigmoid", sigmoid),
    "Tanh": unary("Tanh", np.tanh),
    "HSwish": unary("HSwish", lambda x: x * np.clip(x + 3, 0, 6) / 6, "opset4"),
    "Clamp": unary("Clamp", lambda x: np.clip(x, -0.5, 0.25), min="-0.5", max="2.5e-1"),
    "Convert": unary("Convert", lambda x: x, destination_type="f32"),
    "Softmax": unary("Softmax", lambda x: softmaxed(x, 1), axis="1"),
    "Softmax, last": unary("Softmax", lambda x: softmaxed(x, 3), "opset8", axis="-1"),
    "Add": binary("Add", np.add, 1, 4, 1, 1),
    "Add, lower rank": binary("Add", np.add, 6),
    "Add, a number": binary("Add", np.add),
    "Subtract": binary("Subtract", np.subtract, 4, 1, 1),
    "Multiply": binary("Multiply", np.multiply, 1, 4, 6, 6),
    "Divide": binary("Divide", np.divide, 1, 1, 1, 1),
    "Maximum": binary("Maximum", np.maximum, 4, 1, 1),
    "Minimum": binary("Minimum", np.minimum, 4, 1, 1),
    "PReLU, one": prelu(noise(1), (1,)),
    "PReLU, a channel": prelu(noise(4), (4, 1, 1)),
    "PReLU, in full": prelu(noise(1, 4, 1, 1), (4, 1, 1)),
    "Convolution": convolution(4, 1, (0, 0, 0, 0), auto_pad="explicit"),
    "Convolution, strides": convolution(3, 1, (1, 0, 0, 1), strides="2,2", pads_begin="1,0", pads_end="0,1"),
    "Convolution, dilations": convolution(2, 2, (0, 0, 0, 0), dilations="2,2"),
    "Convolution, valid": convolution(4, 1, (0, 0, 0, 0), auto_pad="valid", pads_begin="9, 9"),
    "Convolution, same upper": convolution(3, 1, (0, 0, 1, 1), auto_pad="same_upper", strides="2,2"),
    "Convolution, same lower": convolution(3, 1, (1, 1, 0, 0), auto_pad="same_lower", strides="2,2"),
    "GroupConvolution": group_convolution(2),
    "GroupConvolution, a channel each": group_convolution(4),
    "AvgPool": pooling("AvgPool", 3, mean((0, 0, 0, 0)), **{"exclude-pad": "true"}),
    "AvgPool, pads": pooling(
        "AvgPool", 4, mean((1, 1, 1, 1)), pads_begin="1,1", pads_end="1,1", **{"exclude-pad": "true"}
    ),
    "AvgPool, pads count": pooling(
        "AvgPool", 4, mean((1, 1, 1, 1), with_pads=True), pads_begin="1,1", pads_end="1,1", **{"exclude-pad": "false"}
    ),
    "AvgPool, ceil": pooling(
        "AvgPool", 3, mean((0, 0, 1, 1), 3), kernel="3,3", rounding_type="ceil", **{"exclude-pad": "true"}
    ),
    "AvgPool, over all": pooling(
        "AvgPool", 1, lambda x: x.mean((2, 3), keepdims=True), kernel="6,6", strides="6,6", **{"exclude-pad": "true"}
    ),
    "MaxPool": pooling("MaxPool", 3, most((0, 0, 0, 0))),
    "MaxPool, pads": pooling("MaxPool", 4, most((1, 1, 1, 1)), pads_begin="1,1", pads_end="1,1"),
    "MaxPool, floor": pooling("MaxPool", 2, most((0, 0, 0, 0), 3), kernel="3,3", rounding_type="floor"),
    "MaxPool, ceil": pooling("MaxPool", 3, most((0, 0, 1, 1), 3), kernel="3,3", rounding_type="ceil"),
    "MatMul": dense(False),
    "MatMul, turned": dense(True),
    "MatMul of two": (attention, lambda x: x @ x.swapaxes(2, 3)),
    "Concat": (joined, lambda x: np.concatenate([x, np.maximum(x, 0)], 1)),
    "Transpose": with_axes("Transpose", lambda x: x.transpose(0, 2, 3, 1), [0, 2, 3, 1], (1, 6, 6, 4)),
    "Reshape": reshaped([1, 24, 6], (1, 24, 6)),
    "Reshape, rest": reshaped([1, -1], (1, 144)),
    "Reshape, first": reshaped([-1, 144], (1, 144)),
    "Reshape, as it was": reshaped([0, 0, 36], (1, 4, 36), special=True),
    "NormalizeL2, add": with_axes(
        "NormalizeL2", lambda x: normalised(x, (1,), lambda s: s + 0.5), [1], (1, 4, 6, 6), eps="0.5", eps_mode="add"
    ),
    "NormalizeL2, max": with_axes(
        "NormalizeL2",
        lambda x: normalised(x, (1, 2, 3), lambda s: np.maximum(s, 1e-5)),
        [1, -1, 2],
        (1, 4, 6, 6),
        eps="1e-5",
        eps_mode="max",
    ),
    "ReduceMean": with_axes("ReduceMean", lambda x: x.mean((2, 3)), [2, 3], (1, 4), keep_dims="false"),
    "ReduceMean, kept": with_axes("ReduceMean", lambda x: x.mean((2, 3)), [-1, -2], (1, 4, 1, 1), keep_dims="true"),
    "Unsqueeze": with_axes("Unsqueeze", lambda x: x, [1, -1], (1, 1, 4, 6, 6, 1)),
    "weights of 8 bits": (decompressed, lambda x: x + np.array([-0.5, -0.25, 0, 0.25]).reshape(4, 1, 1)),
    "constants reshaped": (folded, lambda x: x * noise(4).reshape(4, 1, 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_operator_computes_what_numpy_computes_for_any_number_of_pictures(case: str) -> None:
    build, compute = CASES[case]
    net = Net()
    data = net.result(build(net)).convert()
    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert check(data, case).input == Port("image", (None, 4, 6, 6), "float32")
    for count in (3, 1):
        x = pictures(count, 4, 6, 6)
        found = ran(data, x)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, np.asarray(compute(x)).reshape(count, -1), rtol=1e-5, atol=1e-5)
    assert len(ran(data, pictures(0, 4, 6, 6))) == 0


def test_every_operator_has_a_case() -> None:
    kinds = {case.split(",")[0].split(" ")[0] for case in CASES} | {"Squeeze"}
    assert kinds >= operators.OPERATORS.keys()


def test_axes_of_length_one_are_taken_away() -> None:
    net = Net((1, 4, 1, 1))
    net.result(net.layer("Squeeze", [net.image, net.const([2, -1], "i8")], (1, 4)))
    x = pictures(3, 4, 1, 1)
    np.testing.assert_array_equal(ran(net.convert(), x), x.reshape(3, 4))


@pytest.mark.parametrize("first", [1, 8, "?"])
@pytest.mark.parametrize("version", ["10", "11"])
def test_number_of_pictures_is_free_whatever_the_file_says(first: int | str, version: str) -> None:
    net = Net((first, 4, 6, 6), version=version)
    wanted = -1 if first == "?" else first
    flat = net.layer("Reshape", [net.image, net.const([wanted, 144], "i8")], (first, 144), special_zero="false")
    x = pictures(5, 4, 6, 6)
    np.testing.assert_array_equal(ran(net.result(flat).convert(), x), x.reshape(5, -1))


def test_halves_become_floats_of_the_same_value() -> None:
    halves = np.random.default_rng(0).normal(size=(1, 4, 6, 6)).astype(np.float16)
    net = Net(element="f16")
    wide = net.layer("Convert", [net.const(halves, "f2")], halves.shape, destination_type="f32")
    data = net.result(net.layer("Add", [net.image, wide], (1, 4, 6, 6))).convert()
    (stored,) = onnx.load_model_from_string(data).graph.initializer
    assert onnx.numpy_helper.to_array(stored).tobytes() == halves.astype(np.float32).tobytes()


def test_picture_of_bytes_goes_in_as_bytes() -> None:
    net = Net((1, 6, 6, 3), element="u8")
    data = net.result(net.layer("Convert", [net.image], (1, 6, 6, 3), destination_type="f32")).convert()
    x = np.arange(2 * 108, dtype=np.uint8).reshape(2, 6, 6, 3)
    np.testing.assert_array_equal(ran(data, x), x.reshape(2, -1))


def test_same_files_give_the_same_bytes_and_layers_may_stand_in_any_order() -> None:
    net = Net()
    net.result(CASES["Concat"][0](net))
    data = net.convert()
    assert data == net.convert()
    net.layers.reverse()
    x = pictures(2, 4, 6, 6)
    np.testing.assert_array_equal(ran(net.convert(), x), ran(data, x))


def test_constants_may_share_their_place_and_what_nobody_reads_is_left_out() -> None:
    net = Net()
    first = net.const(noise(1, 4, 6, 6))
    again = net.layer("Const", [], (1, 4, 6, 6), element_type="f32", shape="1,4,6,6", offset=0, size=576)
    net.const(noise(100))
    total = net.layer("Add", [net.layer("Add", [net.image, first], (1, 4, 6, 6)), again], (1, 4, 6, 6))
    data = net.result(total).convert()
    assert check(data, "x").parameters == 288
    x = pictures(2, 4, 6, 6)
    np.testing.assert_allclose(ran(data, x), (x + 2 * noise(1, 4, 6, 6)).reshape(2, -1), atol=1e-5)


# What is refused


def refused(xml: bytes, weights: bytes = b"") -> EncoderError:
    with pytest.raises(EncoderError) as caught:
        to_onnx(xml, weights, "evil.xml")
    error = caught.value
    assert error.about == "evil.xml" and error.remedy.endswith(".") and len(error.what) < 250
    return error


def sound() -> Net:
    net = Net()
    kernels = net.const(noise(5, 4, 3, 3), "f2")
    return net.result(net.layer("Convolution", [net.image, kernels], (1, 5, 4, 4), **conv()))


BOMB = b"".join(b'<!ENTITY a%d "%s">' % (at + 1, b"&a%d;" % at * 10) for at in range(9))


@pytest.mark.parametrize(
    ("before", "what"),
    [
        (b'<!DOCTYPE net [<!ENTITY a0 "ha">' + BOMB + b"]>", "has a DOCTYPE or entities"),
        (b'<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "has a DOCTYPE or entities"),
        (b'<!DOCTYPE net SYSTEM "http://example.org/x.dtd">', "has a DOCTYPE or entities"),
        (b"<!DOCTYPE net>", "has a DOCTYPE or entities"),
        (b"<net>&x;</net>", "is not whole XML in UTF-8"),
        (b"\xff\xfe", "is not whole XML in UTF-8"),
        (b"<net/>", "is not whole XML in UTF-8"),
    ],
)
def test_xml_with_more_than_elements_is_refused(before: bytes, what: str) -> None:
    xml = sound().xml.replace(b'<?xml version="1.0"?>\n', before)
    assert what in refused(xml, sound().weights).what


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"no XML",
        sound().xml[:-1],
        sound().xml[:200],
        sound().xml.decode().encode("utf-16"),
        sound().xml.replace(b'"small"', '"größer"'.encode("latin-1")),
        sound().xml.replace(b'"small"', b'"\xed\xa0\x80"'),
        sound().xml + b"<net/>",
    ],
    ids=["empty", "text", "cut", "cut early", "utf-16", "latin-1", "surrogate", "two"],
)
def test_what_is_no_xml_in_utf_8_is_refused(xml: bytes) -> None:
    assert "is not whole XML in UTF-8" in refused(xml, sound().weights).what


def test_xml_says_it_is_in_another_encoding_and_is_not_believed() -> None:
    xml = sound().xml.replace(b'"1.0"?>', b'"1.0" encoding="utf-7"?>')
    assert to_onnx(xml, sound().weights, "x") == sound().convert()


def test_deep_wide_and_large_xml_is_refused() -> None:
    assert "too many elements" in refused(b"<net>" * 100_000).what
    assert "too many elements" in refused(b"<net>" + b"<a/>" * 200_000 + b"</net>").what
    assert "more than 16,777,216" in refused(b"<net>" + b" " * ir.LARGEST_XML).what
    many = b"<layer id='1'/>" * 10_001
    assert "has more than 10,000 layers" in refused(b'<net version="11"><layers>%s</layers></net>' % many).what


def test_weights_that_are_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "LARGEST_WEIGHTS", 10)
    assert "has weights of 360 bytes, more than 10" in refused(sound().xml, sound().weights).what


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('version="11"', 'version="9"', "is not OpenVINO's IR, version 10 or 11"),
        ("<net ", "<model ", "is not whole XML"),
        ("<layers>", "<edges/><layers>", "has 2 'edges' where one belongs"),
        ("<layers>", "<layers/><layers>", "has 2 'layers' where one belongs"),
        ("<layers>", "<layers><evil/>", "has a 'evil' among its layers"),
        ("<data strides", "<body/><data strides", "(Convolution) has a body"),
        ("<data strides", "<data/><data strides", "has 2 'data' where one belongs"),
        ('type="Convolution"', 'type="Loop"', "its layer 2 (Loop) is of a type that mien does not convert"),
        ('type="Convolution"', f'type="{"X" * 999}"', "is of a type that mien does not convert"),
        ('type="Convolution" version="opset1"', 'type="Convolution" version="extension"', "is of 'extension'"),
        ('type="Const" version="opset1"', 'type="Const" version="opset99"', "is of 'opset99'"),
        ("<data strides", '<data evil="1" strides', "has the attribute 'evil', which mien does not convert"),
        ('id="2" name', 'id="1" name', "has two layers with the same id"),
        ('id="2" name', 'id="two" name', "has 'two' where a whole number belongs"),
        ('id="2" name', 'id="٢" name', "has '٢' where a whole number belongs"),
        ('<layer id="2"', "<layer", "has '' where a whole number belongs"),
        ('to-layer="2" to-port="1"', 'to-layer="2" to-port="0"', "has two edges to the same input"),
        ('to-layer="2" to-port="1"', 'to-layer="2" to-port="7"', "has an edge from or to a place that is not there"),
        ('from-layer="1"', 'from-layer="99"', "has an edge from or to a place that is not there"),
        ('from-layer="1"', 'from-layer="2"', "has an edge from or to a place that is not there"),
        ('from-port="0" to-layer="2" to-port="1"', 'to-layer="2" to-port="1"', "has an edge from or to a place"),
        ('<edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>', "", "has an input that nothing gives"),
        ('from-layer="1" from-port="0"', 'from-layer="2" from-port="2"', "wait for each other in a circle"),
        (
            '<port id="1" precision="FP32"><dim>5',
            '<port id="0" precision="FP32"><dim>5',
            "has ports that cannot",
        ),
        ('<port id="2" precision="FP32"><dim>1', '<port id="0" precision="FP32"><dim>1', "with the same id"),
        ("<output>", '<output><port id="9"/>', "has several outputs"),
        ("<dim>3</dim>", "<dim>4</dim>", "declares a shape that its inputs do not have or give"),
        ("<dim>3</dim>", "<dim>0</dim>", "has a tensor that is 0 long"),
        ("<dim>3</dim>", "<dim>-3</dim>", "has a tensor that is -3 long"),
        ("<dim>3</dim>", "<dim>9999999999999999</dim>", "where a whole number belongs"),
        ("<dim>3</dim>", "<dim>3</dim><dim>1</dim>" * 5, "has ports that cannot be told apart"),
        ("<dim>3</dim>", "<dim><dim>3</dim></dim>", "has '' where a whole number belongs"),
        ('shape="5, 4, 3, 3"', 'shape="5, 4, 3, 4"', "has a shape and a size that do not fit each other"),
        ('shape="5, 4, 3, 3"', 'shape="5, 4, 3, -1"', "has a shape and a size that do not fit each other"),
        ('shape="5, 4, 3, 3"', 'shape="-5, -4, 3, 3"', "has a tensor that is -5 long"),
        ('shape="5, 4, 3, 3"', 'shape="5,4,3,3,1,1,1,1"', "has a tensor of more than 6 dimensions"),
        ('shape="5, 4, 3, 3"', 'shape="999999999999999,999999999999999"', "numbers of a picture, more than"),
        ('size="360"', 'size="180"', "has a shape and a size that do not fit each other"),
        ('size="360"', "", "has '' where a whole number belongs"),
        ('offset="0"', 'offset="2"', "reaches beyond the end of the .bin"),
        ('offset="0"', 'offset="-2"', "reaches beyond the end of the .bin"),
        ('offset="0"', 'offset="999999999999999"', "reaches beyond the end of the .bin"),
        ('element_type="f16"', 'element_type="bf16"', "holds numbers of a type that mien does not convert"),
        ('element_type="f32"', 'element_type="i64"', "takes numbers of a type that mien does not give"),
        ('shape="1, 4, 6, 6"', 'shape="1, 4, 6"', "its shape has to be four lengths"),
        ('shape="1, 4, 6, 6"', 'shape="1, 4, ?, ?"', "its shape has to be four lengths"),
        ('shape="1, 4, 6, 6"', 'shape="1, 4, 6, 7"', "has two different shapes"),
        ('pads_begin="0, 0"', 'pads_begin="-1, 0"', "has no usable 'pads_begin'"),
        ('pads_begin="0, 0"', 'pads_begin="0"', "has no usable 'pads_begin'"),
        ('pads_begin="0, 0"', 'pads_begin="99999, 0"', "has no usable 'pads_begin'"),
        ('pads_begin="0, 0"', "", "has no usable 'pads_begin'"),
        ('strides="1, 1"', 'strides="0, 1"', "has no usable 'strides'"),
        ('strides="1, 1"', 'strides="2, 2"', "declares a shape"),
        ('dilations="1, 1"', 'dilations="4096, 1"', "has a window that is larger than its picture"),
        ("<data strides", '<data auto_pad="evil" strides', "has an auto_pad 'evil'"),
        ('type="Result"', 'type="ReLU"', "has 0 layers of type Result"),
        ('type="Const"', 'type="Parameter"', "has 2 layers of type Parameter"),
    ],
)
def test_changed_file_is_refused_for_its_reason(old: str, new: str, what: str) -> None:
    net = sound()
    xml = net.xml.decode()
    assert old in xml
    assert what in refused(xml.replace(old, new, 1).encode(), net.weights).what


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_no_numbers_are_refused(value: float) -> None:
    for kind in ("f2", "f4"):
        net = Net()
        net.result(net.layer("Add", [net.image, net.const([value, 1], kind)], (1, 4, 6, 6)))
        assert "has weights that are infinite or no numbers" in refused(net.xml, net.weights).what


def test_bin_that_is_cut_off_is_refused() -> None:
    assert "reaches beyond the end of the .bin" in refused(sound().xml, sound().weights[:-1]).what
    assert "reaches beyond the end of the .bin" in refused(sound().xml, b"").what


def case(build: Callable[[Net], int], picture: Sequence[int] = (1, 4, 6, 6)) -> Net:
    net = Net(picture)
    return net.result(build(net))


def layer(kind: str, gives: Sequence[int], *constants: Numbers, **data: Any) -> Callable[[Net], int]:
    """A layer of the picture and some constants."""

    def build(net: Net) -> int:
        others = [net.const(each, each.dtype.str[1:]) for each in constants]
        return net.layer(kind, [net.image, *others], gives, **data)

    return build


def whole(*values: int) -> Numbers:
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("build", "what"),
    [
        (layer("Add", (4, 4, 6, 6), noise(4, 1, 1, 1)), "has inputs that do not fit"),
        (layer("Add", (1, 1, 4, 6, 6), noise(1, 1, 1, 1, 1)), "takes the pictures' axis from the first place"),
        (layer("Add", (1, 4, 6, 6), noise(5)), "has inputs that do not fit each other"),
        (layer("Add", (1, 4, 6, 6), noise(6), auto_broadcast="pdpd"), "has an auto_broadcast that mien does not know"),
        (layer("Add", (1, 4, 6, 6), whole(1)), "computes with whole numbers"),
        (layer("Add", (1, 4, 6, 6)), "has too few or too many inputs"),
        (layer("Transpose", (4, 1, 6, 6), whole(1, 0, 2, 3)), "takes the pictures' axis from the first place"),
        (layer("Transpose", (6, 6, 4, 1), np.empty(0, np.int64)), "has a tensor that is 0 long"),
        (layer("Transpose", (1, 4, 6, 6), whole(0, 1, 2, 2)), "has an order that is none"),
        (layer("Transpose", (1, 4, 6, 6), noise(4)), "has no usable axes or lengths"),
        (layer("Reshape", (144,), whole(144), special_zero="false"), "or mixes the pictures"),
        (layer("Reshape", (2, 72), whole(2, 72), special_zero="false"), "or mixes the pictures"),
        (layer("Reshape", (4, 36), whole(4, -1), special_zero="false"), "or mixes the pictures"),
        (layer("Reshape", (1, 143), whole(1, 143), special_zero="false"), "changes how many numbers there are"),
        (layer("Reshape", (1, 144), whole(-1, -1), special_zero="false"), "has a shape that means nothing"),
        (layer("Reshape", (1, 144), whole(1, 0), special_zero="false"), "has a shape that means nothing"),
        (layer("Reshape", (1, 144), whole(1, 144)), "has no usable 'special_zero'"),
        (layer("Reshape", (1, 144), whole(1, 1 << 62), special_zero="false"), "has no usable axes or lengths"),
        (layer("Squeeze", (4, 6, 6), whole(0)), "or that of the pictures"),
        (layer("Squeeze", (1, 6, 6), whole(1)), "takes away an axis that is longer than 1"),
        (layer("Squeeze", (4, 6, 6)), "or that of the pictures"),
        (layer("Unsqueeze", (1, 1, 4, 6, 6), whole(0)), "takes the pictures' axis from the first place"),
        (layer("Unsqueeze", (1, 1, 4, 6, 6), whole(1, 1)), "adds an axis twice"),
        (layer("Unsqueeze", (1, 1, 4, 6, 6), whole(9)), "names axis 9 of 5"),
        (layer("Unsqueeze", (1, 1, 1, 1, 4, 6), whole(1, 2, 3)), "makes more than 6 dimensions"),
        (layer("Softmax", (1, 4, 6, 6), axis="0"), "mixes the pictures"),
        (layer("Softmax", (1, 4, 6, 6), axis="-4"), "mixes the pictures"),
        (layer("Softmax", (1, 4, 6, 6), axis="4"), "names axis 4 of 4"),
        (layer("Concat", (1, 4, 6, 6), noise(1, 4, 6, 6), axis="1"), "joins parts that do not fit"),
        (layer("Concat", (2, 4, 6, 6), axis="0"), "joins parts that do not fit, or mixes the pictures"),
        (layer("Concat", (1, 4, 6, 6)), "has no axis"),
        (layer("MatMul", (1, 4, 6, 5), noise(5, 5)), "multiplies matrices that do not fit each other"),
        (layer("MatMul", (1, 4, 6), noise(6)), "multiplies something that is no matrix"),
        (layer("MatMul", (2, 1, 4, 6, 5), noise(2, 1, 1, 6, 5)), "takes the pictures' axis from the first place"),
        (layer("ReduceMean", (4, 6, 6), whole(0), keep_dims="false"), "sums over the pictures"),
        (layer("ReduceMean", (1, 4, 6, 6), whole(4), keep_dims="true"), "names axis 4 of 4"),
        (layer("NormalizeL2", (1, 4, 6, 6), whole(1), eps="1", eps_mode="evil"), "has an eps_mode that mien does not"),
        (layer("NormalizeL2", (1, 4, 6, 6), whole(1), eps="nan", eps_mode="add"), "has no usable 'eps'"),
        (layer("NormalizeL2", (1, 4, 6, 6), whole(1), eps="1e99", eps_mode="add"), "has no usable 'eps'"),
        (layer("Clamp", (1, 4, 6, 6), min="1", max="0"), "has a 'min' above its 'max'"),
        (layer("Clamp", (1, 4, 6, 6), min="1"), "has no usable 'max'"),
        (layer("Convert", (1, 4, 6, 6), destination_type="i32"), "converts into a type that mien does not know"),
        (layer("PReLU", (1, 4, 6, 6), noise(3)), "has inputs that do not fit each other"),
        (layer("PReLU", (2, 4, 6, 6), noise(2, 4, 1, 1)), "has inputs that do not fit each other"),
        (layer("PReLU", (1, 1, 4, 6, 6), noise(1, 1, 4, 1, 1)), "has slopes that do not fit"),
        (layer("Convolution", (1, 5, 4, 4), noise(5, 3, 3, 3), **conv()), "has kernels that do not fit its picture"),
        (layer("Convolution", (1, 5, 4, 4), noise(5, 4, 3), **conv()), "is not over two dimensions"),
        (layer("GroupConvolution", (1, 5, 4, 4), noise(5, 4, 3, 3), **conv()), "is not over two dimensions"),
        (layer("GroupConvolution", (1, 6, 4, 4), noise(3, 2, 1, 3, 3), **conv()), "has kernels that do not fit"),
        (layer("MaxPool", (1, 4, 3, 3), **pool(rounding_type="evil")), "has a rounding_type that mien does not know"),
        (layer("MaxPool", (1, 4, 5, 5), **pool(pads_begin="2,2", pads_end="2,2")), "has a window of pads alone"),
        (
            layer("MaxPool", (1, 4, 3, 3), **pool(kernel="1,1", strides="4,4", rounding_type="ceil")),
            "beside its picture",
        ),
        (layer("AvgPool", (1, 4, 3, 3), **pool()), "has no usable 'exclude-pad'"),
        (
            layer("AvgPool", (1, 4, 3, 3), **pool(kernel="3,3", rounding_type="ceil", **{"exclude-pad": "false"})),
            "has a rounding_type that mien does not know here",
        ),
        (lambda net: net.layer("ReLU", [net.const(noise(4))], (4,)), "works on constants alone"),
        (lambda net: net.const(noise(4)), "gives no numbers for a picture"),
        (
            lambda net: net.layer("Convolution", [net.image, net.image], (1, 1, 1, 1), **conv()),
            "that mien knows as a constant only",
        ),
    ],
)
def test_layer_that_would_not_compute_the_same_is_refused(build: Callable[[Net], int], what: str) -> None:
    net = case(build)
    assert what in refused(net.xml, net.weights).what


def test_file_for_several_pictures_keeps_them_apart() -> None:
    net = case(layer("Add", (2, 4, 6, 6), noise(2, 1, 1, 1)), (2, 4, 6, 6))
    assert "has inputs that do not fit" in refused(net.xml, net.weights).what


def test_result_is_where_the_network_ends() -> None:
    net = Net()
    end = net.layer("Result", [net.image], (1, 4, 6, 6))
    assert net.convert()
    net.layer("ReLU", [end], (1, 4, 6, 6))
    assert "is not where the network ends" in refused(net.xml).what


def test_giant_shapes_cost_nothing() -> None:
    net = Net((1, 1 << 20, 1 << 20, 1))
    assert "numbers of a picture, more than" in refused(net.result(net.image).xml).what
    net = Net((1, 1, 8192, 1))
    wide = net.layer("Add", [net.image, net.const(noise(1, 1, 1, 8192))], (1, 1, 8192, 8192))
    net.result(net.layer("Concat", [wide] * 64, (1, 64, 8192, 8192), axis="1"))
    assert "numbers of a picture, more than" in refused(net.xml, net.weights).what


def test_many_constants_over_one_place_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    net.const(noise(1 << 14))
    for _ in range(100):
        net.layer("Const", [], (1 << 14,), element_type="f32", shape=1 << 14, offset=0, size=1 << 16)
    assert "makes the constants many times larger than the .bin" in refused(net.result(net.image).xml, net.weights).what
    net = Net()
    row, column = net.const(noise(1, 4096)), net.const(noise(4096, 1))
    net.layer("Multiply", [row, column], (4096, 4096))
    assert "makes the constants many times larger than the .bin" in refused(net.result(net.image).xml, net.weights).what


def test_long_chain_of_layers_is_no_recursion() -> None:
    net = Net()
    last = net.image
    for _ in range(3000):
        last = net.layer("ReLU", [last], (1, 4, 6, 6))
    assert check(net.result(last).convert(), "x").operators == ("Flatten", "Relu")


# Anything at all


WORDS = "0 -1 1 2 99999999999 nan f16 i64 opset1 ReLU Const Reshape </layer> <"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_changed_file_converts_or_is_refused_and_nothing_else(data: st.DataObject) -> None:
    build, _ = CASES[data.draw(st.sampled_from(sorted(CASES)))]
    net = case(build)
    xml, weights = net.xml.decode(), bytearray(net.weights)
    for _ in range(data.draw(st.integers(1, 3))):
        values = [*re.finditer(r'(?<==")[^"]*(?=")|(?<=>)[^<>]+(?=<)', xml)] or [*re.finditer("$", xml)]
        match data.draw(st.sampled_from(["value", "swap", "cut", "remove", "weights"])):
            case "value":
                place = data.draw(st.sampled_from(values))
                new = data.draw(st.sampled_from(WORDS.split(" ")) | st.text(max_size=8))
                xml = xml[: place.start()] + new + xml[place.end() :]
            case "swap":
                one, other = data.draw(st.sampled_from(values)), data.draw(st.sampled_from(values))
                xml = xml[: one.start()] + other.group() + xml[one.end() :]
            case "cut":
                xml = xml[: data.draw(st.integers(0, len(xml)))]
            case "remove":
                elements = [*re.finditer(r"<(\w+)[^<>]*/>|<dim>\w*</dim>|<port.*?</port>", xml)] or values
                gone = data.draw(st.sampled_from(elements))
                xml = xml[: gone.start()] + xml[gone.end() :]
            case "weights" if weights:
                del weights[data.draw(st.integers(0, len(weights) - 1)) :]
    try:
        converted = to_onnx(xml.encode("utf-8", "surrogatepass"), bytes(weights), "x")
    except EncoderError as error:
        assert str(error)
    else:
        assert check(converted, "x") and open_session(converted)  # whatever converts can be run


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=30))
def test_any_bytes_are_refused(xml: bytes, weights: bytes) -> None:
    assert refused(xml, weights)


def test_limits_let_real_encoders_through() -> None:
    assert graph.LARGEST_TENSOR > 25088 * 4096 and openvino.LARGEST_WEIGHTS > 2 * 65_000_000
