"""An ONNX file from elsewhere, checked before anything opens it.

ONNX Runtime follows a network's references to other files, even for a network that it is handed as bytes, and runs
whatever operators the file names. So a file is refused here unless it is one whole network with all its weights inside,
made of operators that feed-forward encoders need, from one picture to its outputs.

Bounded are the size of the file, the number of its parts and nodes, its tensors (as large as their bytes, no larger),
the size of the picture, and the sizes that the file writes down for operators that make something larger: pads,
windows, shapes to expand to. No size may be computed from what is seen in the picture, so that a network takes the same
memory and time for every picture, and a trial tells how much (`mien.encoders.trial`).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mien.networks.messages import (
    ATTRIBUTE,
    DIMENSION,
    EXPORT_AGAIN,
    FETCH_AGAIN,
    GRAPH,
    MODEL,
    NODE,
    ONE_FILE,
    OPERATOR_SET,
    SHAPE,
    STRANGE,
    TENSOR,
    TENSOR_TYPE,
    TYPE,
    VALUE,
    Reader,
    count,
    text,
    wholes,
)
from mien.networks.refusal import RefusalError, refusing

LARGEST: Final = 1 << 30
"""Bytes of a file. The largest encoders of faces in use, vision transformers of 300 million weights, take 1.2 GB and
half of that as float16; ArcFace's ResNet-100 takes 260 MB."""

MOST_NODES: Final = 20_000
"""ArcFace's ResNet-100 has some 300, a vision transformer some 3,000."""

LARGEST_SHAPE: Final = 1 << 24
"""Numbers in a picture, and in what an operator is told to make by a shape in the file."""

FURTHEST: Final = 4096
"""The largest window, stride, dilation and pad."""

HIGHEST_RANK: Final = 8

_NAMES: Final = """
    Abs Add And AveragePool BatchNormalization Cast CastLike Ceil Celu Clip Concat Constant ConstantOfShape Conv
    ConvInteger Cos CumSum DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp
    Expand Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool
    Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LRN
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max
    MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg Not Or PRelu Pad Pow QLinearConv QLinearMatMul
    QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape Resize Round Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus Softsign
    SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh ThresholdedRelu Tile Transpose Unsqueeze Upsample Where
"""

OPERATORS: Final = frozenset(_NAMES.split())
"""Of ONNX's own operator set: what convolutional and transformer encoders are exported with, and int8 ones by ONNX
Runtime's quantisation. Left out are all that hold networks (If, Loop, Scan), strings, sequences, random numbers,
recurrence, and what reads or writes files."""

_SIZES: Final = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Resize": (1, 2, 3),
    "Tile": (1,),
    "Upsample": (1,),
}
"""Operator -> which of its inputs say how much it makes."""

_SHAPED: Final = {
    **_SIZES,
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
}
"""Operator -> which of its inputs decide the shape of what it makes; of Reduce... it is the second."""

_SHAPES: Final = frozenset({"Shape", "Size"})
"""Operators that see of their input how large it is, and nothing else."""

_REACHES: Final = frozenset({"kernel_shape", "strides", "dilations", "pads", "output_padding", "output_shape"})
"""Attributes that say how far an operator reaches."""

_TYPES: Final = {
    1: ("float32", 4, "float_data"),
    2: ("uint8", 1, "int32_data"),
    3: ("int8", 1, "int32_data"),
    6: ("int32", 4, "int32_data"),
    7: ("int64", 8, "int64_data"),
    9: ("bool", 1, "int32_data"),
    10: ("float16", 2, "int32_data"),
    11: ("float64", 8, "double_data"),
}
"""TensorProto.DataType -> numpy's name, bytes, and the field in which the numbers stand if not in raw_data."""

_WIDTHS: Final = {"float_data": 4, "double_data": 8, "int32_data": None, "int64_data": None, "uint64_data": None}


_FEW, _MANY = 64, 4096
"""Numbers in a constant that is a shape, and in an attribute."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a network."""

    name: str
    shape: tuple[int | None, ...] | None
    """None for a length that is free, and for a shape of which nothing is said."""
    type: str
    """As numpy names it: "float32", say."""


@dataclass(frozen=True, slots=True)
class Network:
    """What an ONNX file says of the network in it."""

    input: Port
    """A picture, four lengths, of float32 or uint8."""
    outputs: tuple[Port, ...]
    opset: int
    operators: tuple[str, ...]
    """The names of those that occur, sorted."""
    parameters: int
    """How many weights there are: numbers in constants of a float type, or int8."""
    size: int
    """Bytes of the file."""


@dataclass(frozen=True, slots=True)
class _Tensor:
    shape: tuple[int, ...]
    type: str
    fields: Mapping[str, list[Any]]


def check(data: bytes, about: str) -> Network:
    """What the ONNX file in `data` says of its network. Raises EncoderError, with `about` as the name of the file,
    where the file is damaged or mien would not run the network."""
    with refusing(about):
        if len(data) > LARGEST:
            raise RefusalError(f"has {len(data):,} bytes, more than {LARGEST:,}", EXPORT_AGAIN)
        return _Check(Reader()).network(data)


class _Check:
    def __init__(self, reader: Reader) -> None:
        self.read = reader.read
        self.constants: dict[str, _Tensor | list[float]] = {}
        self.operators: set[str] = set()
        self.parameters = 0
        self.sized: list[tuple[str, list[str]]] = []
        """Operators that make something larger, with their inputs."""
        self.made_of: dict[str, list[str]] = {}
        """What each output of an operator is computed from."""
        self.shaping: list[tuple[str, str]] = []
        """(operator, input) for each input that decides a shape."""

    def network(self, data: bytes) -> Network:
        model = self.read(data, MODEL)
        opset = self.opset(model.get("opset_import", []))
        if "graph" not in model or "ir_version" not in model:
            raise RefusalError(STRANGE, FETCH_AGAIN)
        graph = self.read(model["graph"][0], GRAPH)
        for part in graph.get("initializer", []):
            fields = self.read(part, TENSOR)
            self.keep(text(fields.get("name")), self.tensor(fields))
        weights = set(self.constants)
        nodes = graph.get("node", [])
        if len(nodes) > MOST_NODES:
            raise RefusalError(f"has {len(nodes):,} nodes, more than {MOST_NODES:,}", EXPORT_AGAIN)
        for part in nodes:
            self.node(self.read(part, NODE))
        for operator, names in self.sized:
            _bound(operator, [self.constants.get(name) for name in names])
        inputs = [port for port in map(self.port, graph.get("input", [])) if port.name not in weights]
        outputs = tuple(map(self.port, graph.get("output", [])))
        if len(inputs) != 1 or not outputs:
            what = f"has {len(inputs)} inputs and {len(outputs)} outputs, where one picture goes in"
            raise RefusalError(what, EXPORT_AGAIN)
        self.require_fixed_shapes(inputs[0].name)
        return Network(_picture(inputs[0]), outputs, opset, (*sorted(self.operators),), self.parameters, len(data))

    def opset(self, imports: Sequence[Any]) -> int:
        """The version of ONNX's own operator set; others may be named, as no operator of theirs gets through."""
        found = [self.read(each, OPERATOR_SET) for each in imports]
        own = [each.get("version", [0])[0] for each in found if text(each.get("domain")) in ("", "ai.onnx")]
        if len(own) != 1 or own[0] < 1:
            raise RefusalError(STRANGE, FETCH_AGAIN)
        return int(own[0])

    def keep(self, name: str, constant: _Tensor | list[float]) -> None:
        if name in self.constants:
            raise RefusalError("has two constants of the same name", FETCH_AGAIN)
        self.constants[name] = constant

    def tensor(self, fields: Mapping[str, list[Any]]) -> _Tensor:
        """A tensor that is as large as its bytes. Nothing is made of its numbers."""
        if fields.get("data_location", [0])[0] != 0:
            raise RefusalError("keeps weights in another file", ONE_FILE)
        name, width, holder = _TYPES.get(fields.get("data_type", [0])[0], ("", 0, ""))
        if not name:
            raise RefusalError("has weights of a type that mien does not run", EXPORT_AGAIN)
        shape = tuple(wholes(fields.get("dims", []), HIGHEST_RANK))
        held = {key: values for key, values in fields.items() if key == "raw_data" or key in _WIDTHS}
        if len(held) > 1 or not held.keys() <= {"raw_data", holder}:
            numbers = -1
        elif "raw_data" in held:
            size = len(held["raw_data"][0])
            numbers = size // width if size % width == 0 else -1
        else:
            numbers = count(held.get(holder, []), _WIDTHS[holder])
        if min(shape, default=1) < 0 or numbers != math.prod(shape):
            raise RefusalError("has weights that are not as large as they say", FETCH_AGAIN)
        if name in ("float32", "float16", "float64", "int8"):
            self.parameters += numbers
        return _Tensor(shape, name, fields)

    def node(self, fields: Mapping[str, list[Any]]) -> None:
        operator, domain = text(fields.get("op_type")), text(fields.get("domain"))
        if domain not in ("", "ai.onnx") or operator not in OPERATORS:
            full = f"{domain}.{operator}" if domain else operator
            raise RefusalError(f"needs the operator {full[:80]!r}, which mien does not run", EXPORT_AGAIN)
        self.operators.add(operator)
        names: set[str] = set()
        for part in fields.get("attribute", []):
            held = self.read(part, ATTRIBUTE)
            name = text(held.get("name"))
            if name in names:
                raise RefusalError(STRANGE, FETCH_AGAIN)
            names.add(name)
            value = self.tensor(self.read(held["t"][0], TENSOR)) if "t" in held else None
            if operator == "Constant":
                self.keep(text(fields.get("output")), value or _written(held))
            elif name in _REACHES:
                if any(abs(each) > FURTHEST for each in wholes(held.get("ints", []), 2 * HIGHEST_RANK)):
                    raise RefusalError(f"has a node {operator} that reaches further than {FURTHEST:,}", EXPORT_AGAIN)
            elif name in ("scales", "repeats"):
                _bound_product(operator, _written(held))
        inputs = [text([each]) for each in fields.get("input", [])]
        if operator in _SIZES:
            self.sized.append((operator, inputs))
        told = _SHAPED.get(operator, (1,) if operator.startswith("Reduce") else ())
        self.shaping += [(operator, inputs[at]) for at in told if at < len(inputs)]
        if operator not in _SHAPES:
            for each in fields.get("output", []):
                self.made_of.setdefault(text([each]), []).extend(inputs)

    def require_fixed_shapes(self, picture: str) -> None:
        """Refuses a network in which what is seen in the picture decides how large something is."""
        operator_of = {name: operator for operator, name in self.shaping}
        behind, left = set(operator_of), list(operator_of.items())
        while left:
            name, operator = left.pop()
            if name == picture:
                raise RefusalError(f"has a node {operator} whose size depends on what is in the picture", EXPORT_AGAIN)
            new = [each for each in self.made_of.get(name, ()) if each not in behind]
            behind.update(new)
            left += [(each, operator) for each in new]

    def port(self, message: Any) -> Port:
        fields = self.read(message, VALUE)
        kind = self.read(fields.get("type", [b""])[0], TYPE)
        tensor = self.read(kind.get("tensor_type", [b""])[0], TENSOR_TYPE)
        name, _, _ = _TYPES.get(tensor.get("elem_type", [0])[0], ("", 0, ""))
        if not name:
            raise RefusalError("has an input or output that is no tensor of numbers", EXPORT_AGAIN)
        shape = None
        if "shape" in tensor:
            lengths = self.read(tensor["shape"][0], SHAPE).get("dim", [])
            shape = tuple(self.length(each) for each in lengths)
        return Port(text(fields.get("name")), shape, name)

    def length(self, message: Any) -> int | None:
        """None for a length that is free: it has a name, none at all, or is below 0, as some programs write it."""
        fields = self.read(message, DIMENSION)
        found = wholes(fields.get("dim_value", []), 1)
        if found and "dim_param" in fields:
            raise RefusalError(STRANGE, FETCH_AGAIN)
        return found[0] if found and found[0] >= 0 else None


def _picture(port: Port) -> Port:
    if port.type not in ("float32", "uint8"):
        raise RefusalError(f"takes its picture as {port.type}", f"mien gives float32 or uint8. {EXPORT_AGAIN}")
    if port.shape is None or len(port.shape) != 4 or 0 in port.shape:
        raise RefusalError("takes no picture: its input has not four lengths", EXPORT_AGAIN)
    if math.prod(length or 1 for length in port.shape) > LARGEST_SHAPE:
        raise RefusalError(f"takes a picture of more than {LARGEST_SHAPE:,} numbers", EXPORT_AGAIN)
    return port


# Sizes that the file writes down


def _bound(operator: str, inputs: Sequence[_Tensor | list[float] | None]) -> None:
    """Refuses an operator that is told by constants to make something too large."""
    told = [_numbers(inputs[at]) for at in _SIZES[operator] if at < len(inputs)]
    match operator, told:
        case "Pad", [pads]:
            if any(not abs(each) <= FURTHEST for each in pads):
                raise RefusalError(f"has a node Pad that reaches further than {FURTHEST:,}", EXPORT_AGAIN)
        case "Range", [[start], [limit], [step]]:
            _bound_product(operator, [(limit - start) / step if step else math.inf])
        case _:
            for numbers in told:
                _bound_product(operator, numbers)


def _bound_product(operator: str, numbers: Sequence[float]) -> None:
    made = math.prod(float(abs(each)) for each in numbers if not abs(each) < 1)
    if not made <= LARGEST_SHAPE:
        raise RefusalError(f"has a node {operator} that makes more than {LARGEST_SHAPE:,} numbers", EXPORT_AGAIN)


def _numbers(constant: _Tensor | list[float] | None) -> list[float]:
    """The few numbers of a constant; none of what is computed while the network runs."""
    if not isinstance(constant, _Tensor):
        return constant or []
    if math.prod(constant.shape) > _FEW:
        raise RefusalError("has a shape of too many lengths", EXPORT_AGAIN)
    raw, whole = constant.fields.get("raw_data"), constant.type not in ("float16", "float32", "float64")
    if raw is None and whole:
        return [*wholes([each for key in ("int32_data", "int64_data") for each in constant.fields.get(key, [])], _FEW)]
    if raw is None and constant.type == "float16":
        raise RefusalError("has a shape of a type that mien does not read", EXPORT_AGAIN)
    raw = raw or [*constant.fields.get("float_data", []), *constant.fields.get("double_data", [])]
    kind = np.dtype(constant.type).newbyteorder("<")
    return [float(each) for each in np.frombuffer(b"".join(map(bytes, raw)), kind)]


def _written(attribute: Mapping[str, list[Any]]) -> list[float]:
    """The numbers of an attribute."""
    floats = b"".join(map(bytes, [*attribute.get("f", []), *attribute.get("floats", [])]))
    if len(floats) % 4 or len(floats) > 4 * _MANY:
        raise RefusalError(STRANGE, FETCH_AGAIN)
    ints = wholes([*attribute.get("i", []), *attribute.get("ints", [])], _MANY)
    return [*ints, *(each for (each,) in struct.iter_unpack("<f", floats))]
