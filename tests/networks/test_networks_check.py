"""What an ONNX file from elsewhere has to be before anything opens it. The onnx package writes the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from mien.errors import EncoderError
from mien.networks import check as checking
from mien.networks import messages
from mien.networks.check import Network, Port, check
from mien.networks.onnx_file import field
from mien.storage.weights import load

Change = Callable[[Any], object]


def weights(name: str, value: Any, kind: type = np.float32) -> Any:
    return numpy_helper.from_array(np.array(value, kind), name)


def small(change: Change = lambda model: None, nodes: Sequence[Any] = (), opset: int = 18) -> bytes:
    """A small encoder, with further nodes before its last, changed by a test."""
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernels"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            helper.make_node("PRelu", ["a", "slope"], ["b"]),
            helper.make_node("GlobalAveragePool", ["b"], ["c"]),
            *nodes,
            helper.make_node("Flatten", ["c"], ["embedding"], axis=1),
        ],
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 4])],
        [weights("kernels", np.ones((4, 3, 3, 3))), weights("slope", [[[0.5]]])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    change(model)
    return bytes(model.SerializeToString())


def refused(data: bytes) -> EncoderError:
    with pytest.raises(EncoderError) as caught:
        check(data, "mine.onnx")
    assert caught.value.about == "mine.onnx" and caught.value.remedy.endswith(".")
    return caught.value


def test_network_says_what_goes_in_and_comes_out() -> None:
    data = small()
    assert check(data, "mine.onnx") == Network(
        input=Port("image", (None, 3, 8, 8), "float32"),
        outputs=(Port("embedding", (None, 4), "float32"),),
        opset=18,
        operators=("Conv", "Flatten", "GlobalAveragePool", "PRelu"),
        parameters=4 * 27 + 1,
        size=len(data),
    )


@pytest.mark.parametrize("name", ["resnet.onnx", "resnet_int8.onnx", "mmod.onnx", "yunet_s.onnx"])
def test_networks_of_mien_pass(name: str) -> None:
    assert check(load(name), name).parameters > 50_000


def test_quantised_network_passes(tmp_path: Any) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Chips(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter([{"image": np.ones((1, 3, 8, 8), np.float32)}])

        def get_next(self) -> Any:
            return next(self.left, None)

    (tmp_path / "in.onnx").write_bytes(small())
    for form in (QuantFormat.QDQ, QuantFormat.QOperator):
        quantize_static(tmp_path / "in.onnx", tmp_path / "out.onnx", Chips(), quant_format=form)
        assert {"QuantizeLinear", "DequantizeLinear"} <= set(check((tmp_path / "out.onnx").read_bytes(), "x").operators)


def test_weights_may_be_listed_as_inputs_and_lengths_be_free() -> None:
    def change(model: Any) -> None:
        model.graph.input.append(helper.make_tensor_value_info("slope", TensorProto.FLOAT, [1, 1, 1]))
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
        model.graph.input[0].type.tensor_type.shape.dim[2].ClearField("dim_value")
        model.graph.output[0].type.tensor_type.ClearField("shape")
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))

    found = check(small(change), "x")
    assert found.input.shape == (None, 3, None, 8) and found.outputs[0].shape is None


def test_picture_of_bytes_passes() -> None:
    def change(model: Any) -> None:
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8

    assert check(small(change), "x").input.type == "uint8"


@pytest.mark.parametrize(
    ("kind", "holder"),
    [
        (TensorProto.FLOAT, "float_data"),
        (TensorProto.DOUBLE, "double_data"),
        (TensorProto.INT64, "int64_data"),
        (TensorProto.INT32, "int32_data"),
        (TensorProto.INT8, "int32_data"),
        (TensorProto.UINT8, "int32_data"),
        (TensorProto.BOOL, "int32_data"),
        (TensorProto.FLOAT16, "int32_data"),
    ],
)
@pytest.mark.parametrize("raw", [True, False])
def test_weights_of_each_type_are_counted_as_they_stand(kind: int, holder: str, raw: bool) -> None:
    value = np.array([[1, 0, 1], [1, 1, 0]], helper.tensor_dtype_to_np_dtype(kind))

    def change(model: Any) -> None:
        one = helper.make_tensor("one", kind, (2, 3), value.tobytes() if raw else value.ravel(), raw)
        assert raw or len(getattr(one, holder)) == 6
        model.graph.initializer.append(one)

    def shorter(model: Any) -> None:
        change(model)
        model.graph.initializer[2].dims[1] = 2

    assert check(small(change), "x")
    assert "as large as they say" in refused(small(shorter)).what


# What is refused


def everywhere(spoil: Callable[[Any], object]) -> list[Change]:
    """A tensor that is spoilt, in each place where one may stand."""

    def initializer(model: Any) -> None:
        spoil(model.graph.initializer[0])

    def constant(model: Any) -> None:
        node = helper.make_node("Constant", [], ["k"], value=weights("k", [1.0, 2.0]))
        spoil(node.attribute[0].t)
        model.graph.node.append(node)

    def odd_attribute(model: Any) -> None:
        one = weights("k", [1.0, 2.0])
        spoil(one)
        model.graph.node[0].attribute.append(helper.make_attribute("x", one))

    return [initializer, constant, odd_attribute]


def external(tensor: Any) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def entry_alone(tensor: Any) -> None:
    tensor.external_data.add().key = "location"


def location_alone(tensor: Any) -> None:
    tensor.data_location = TensorProto.EXTERNAL


@pytest.mark.parametrize("change", [c for spoil in (external, entry_alone, location_alone) for c in everywhere(spoil)])
def test_weights_in_another_file_are_refused_wherever_they_are_named(change: Change) -> None:
    assert refused(small(change)).what == "keeps weights in another file"


def with_branch(operator: str) -> Change:
    def change(model: Any) -> None:
        inner = helper.make_graph([], "inner", [], [])
        model.graph.node.append(helper.make_node(operator, ["c"], ["d"], body=inner))

    return change


def hidden_branch(model: Any) -> None:
    inner = helper.make_graph([], "inner", [], [], [weights("w", [1.0])])
    external(inner.initializer[0])
    model.graph.node[0].attribute.append(helper.make_attribute("body", inner))


def with_function(model: Any) -> None:
    model.functions.append(helper.make_function("mine", "F", [], [], [], []))


def with_sparse(model: Any) -> None:
    one = helper.make_sparse_tensor(weights("v", [1.0]), weights("i", [1], np.int64), [9])
    model.graph.sparse_initializer.append(one)


def with_sparse_constant(model: Any) -> None:
    one = helper.make_sparse_tensor(weights("v", [1.0]), weights("i", [1], np.int64), [9])
    model.graph.node.append(helper.make_node("Constant", [], ["k"], sparse_value=one))


def with_node(operator: str, domain: str = "") -> Change:
    return lambda model: model.graph.node.append(helper.make_node(operator, ["c"], ["d"], domain=domain))


def two_inputs(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def of_length(*lengths: int) -> Change:
    def change(model: Any) -> None:
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.FLOAT, lengths))

    return change


def of_type(kind: int) -> Change:
    def change(model: Any) -> None:
        model.graph.input[0].type.tensor_type.elem_type = kind

    return change


def a_sequence(model: Any) -> None:
    model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("embedding", TensorProto.FLOAT, None))


def text_weights(model: Any) -> None:
    model.graph.initializer.append(TensorProto(name="t", data_type=TensorProto.STRING, dims=[1], string_data=[b"text"]))


def four_bits(model: Any) -> None:
    model.graph.initializer.append(helper.make_tensor("t", TensorProto.UINT4, [2], [1, 2]))


def twice(model: Any) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def both_holders(model: Any) -> None:
    model.graph.initializer[1].float_data.append(0.5)


def of_dims(*dims: int) -> Change:
    def change(model: Any) -> None:
        del model.graph.initializer[1].dims[:]
        model.graph.initializer[1].dims.extend(dims)

    return change


def many_nodes(model: Any) -> None:
    model.graph.node.extend([helper.make_node("Relu", ["c"], [f"r{at}"]) for at in range(checking.MOST_NODES)])


def reaches(**attributes: Any) -> Change:
    return lambda model: model.graph.node.append(helper.make_node("MaxPool", ["a"], ["m"], **attributes))


def same_attribute_twice(model: Any) -> None:
    model.graph.node[0].attribute.append(model.graph.node[0].attribute[0])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        *[
            (with_branch(name), f"needs the operator {name!r}, which mien does not run")
            for name in ("If", "Loop", "Scan")
        ],
        (hidden_branch, "has networks within a network, or functions"),
        (with_function, "has networks within a network, or functions"),
        (with_sparse, "has sparse weights"),
        (with_sparse_constant, "has sparse weights"),
        (with_node("FusedConv", "com.microsoft"), "needs the operator 'com.microsoft.FusedConv'"),
        (with_node("Conv", "evil"), "needs the operator 'evil.Conv'"),
        (with_node("Evil" * 1000), "needs the operator 'EvilEvil"),
        (with_node("LSTM"), "needs the operator 'LSTM'"),
        (two_inputs, "has 2 inputs and 1 outputs"),
        (lambda model: model.graph.ClearField("input"), "has 0 inputs"),
        (lambda model: model.graph.ClearField("output"), "and 0 outputs"),
        (of_length(1, 3, 8), "takes no picture: its input has not four lengths"),
        (of_length(1, 3, 0, 8), "takes no picture"),
        (of_length(1, 3, 1 << 20, 1 << 20), "takes a picture of more than 16,777,216 numbers"),
        (lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"), "takes no picture"),
        (lambda m: m.graph.input[0].ClearField("type"), "has an input or output that is no tensor of numbers"),
        (of_type(TensorProto.INT64), "takes its picture as int64"),
        (a_sequence, "has values of a type that is no tensor of numbers"),
        (text_weights, "has values of a type that is no tensor of numbers"),
        (four_bits, "has weights of a type that mien does not run"),
        (twice, "has two constants of the same name"),
        (both_holders, "has weights that are not as large as they say"),
        (of_dims(1 << 40, 1 << 40), "has weights that are not as large as they say"),
        (of_dims(-1, -1), "has weights that are not as large as they say"),
        (of_dims(*[1] * 9), "has a list of more than 8 lengths"),
        (many_nodes, "has 20,004 nodes, more than 20,000"),
        (reaches(kernel_shape=[1 << 20, 1]), "has a node MaxPool that reaches further than 4,096"),
        (reaches(kernel_shape=[2, 2], pads=[0, 0, 0, -(1 << 40)]), "has a node MaxPool that reaches further"),
        (same_attribute_twice, "is no ONNX file"),
        (lambda model: model.ClearField("opset_import"), "is no ONNX file"),
        (lambda model: model.opset_import.append(helper.make_opsetid("ai.onnx", 18)), "is no ONNX file"),
        (lambda model: model.ClearField("graph"), "is no ONNX file"),
        (lambda model: model.ClearField("ir_version"), "is no ONNX file"),
    ],
)
def test_what_mien_would_not_run_is_refused(change: Change, what: str) -> None:
    found = refused(small(change)).what
    assert what in found and len(found) < 200


def seen_in_the_picture(operator: str, inputs: Sequence[str]) -> list[Any]:
    """Nodes by which a number that is computed from the picture ("seen") decides how large something is."""
    return [
        helper.make_node("ReduceMax", ["c"], ["brightest"], keepdims=0),
        helper.make_node("Cast", ["brightest"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Mul", ["whole", "many"], ["product"]),
        helper.make_node("Max", ["product", "many"], ["seen"]),
        helper.make_node(operator, inputs, ["vast"]),
    ]


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        ("ConstantOfShape", ["seen"]),
        ("Expand", ["c", "seen"]),
        ("Tile", ["c", "seen"]),
        ("Range", ["nought", "seen", "one"]),
        ("Resize", ["c", "", "", "seen"]),
        ("Pad", ["c", "seen"]),
        ("Reshape", ["c", "seen"]),
        ("Slice", ["c", "seen", "seen"]),
        ("ReduceSum", ["c", "seen"]),
    ],
)
def test_a_size_that_depends_on_the_picture_is_refused(operator: str, inputs: Sequence[str]) -> None:
    def change(model: Any) -> None:
        model.graph.initializer.extend([weights(name, [1], np.int64) for name in ("many", "nought", "one")])
        if operator == "Slice":  # nodes may stand in any order
            nodes = [*model.graph.node]
            del model.graph.node[:]
            model.graph.node.extend(reversed(nodes))

    found = refused(small(change, seen_in_the_picture(operator, inputs)))
    assert found.what == f"has a node {operator} whose size depends on what is in the picture"


def test_a_size_that_depends_on_the_size_of_the_picture_passes() -> None:
    nodes = [
        helper.make_node("Shape", ["b"], ["size"]),
        helper.make_node("Mul", ["size", "two"], ["twice"]),
        helper.make_node("Expand", ["c", "twice"], ["d"]),
    ]
    assert check(small(lambda m: m.graph.initializer.append(weights("two", [1, 1, 2, 2], np.int64)), nodes), "x")


def test_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "LARGEST", 100)
    assert "bytes, more than 100" in refused(small()).what


def test_file_of_too_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MOST_FIELDS", 20)
    assert refused(small()).what == "has more than 20 parts"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no network at all",
        b"\xff" * 100,
        small()[:-1],
        small()[:40],
        small() + b"\x0b\x0c",  # a group
        small() + field(1, 8),  # a version twice
        small() + field(7, b""),  # a graph twice, which protobuf joins
        small() + field(99, 1),
        small() + field(7, 3),  # not of the field's type
        small() + b"\x00\x01",
        small().replace(b"PRelu", b"PR\xffl\xff"),
    ],
    ids=["empty", "text", "ones", "cut", "cut early", "group", "twice", "joined", "unknown", "type", "zero", "no text"],
)
def test_what_is_no_onnx_file_is_refused(data: bytes) -> None:
    assert refused(data).what == messages.STRANGE


# What makes something large


def told(operator: str, *inputs: Any, at_run: bool = False, **attributes: Any) -> bytes:
    """A network with an operator to which constants say how much it makes, once from weights and once from nodes."""

    def change(model: Any) -> None:
        for at, value in enumerate(inputs):
            if at_run:
                node = helper.make_node("Constant", [], [f"k{at}"], value=numpy_helper.from_array(value))
                model.graph.node.append(node)
            else:
                model.graph.initializer.append(numpy_helper.from_array(value, f"k{at}"))

    names = [f"k{at}" for at in range(len(inputs))]
    first = [] if operator in ("ConstantOfShape", "Range") else ["c"]
    return small(change, [helper.make_node(operator, first + names, ["t"], **attributes)])


def whole(*values: int) -> Any:
    return np.array(values, np.int64)


def scalar(value: float) -> Any:
    return np.array(value, np.float32)


@pytest.mark.parametrize("at_run", [False, True])
@pytest.mark.parametrize(
    ("operator", "fine", "too_much"),
    [
        ("ConstantOfShape", [whole(1, 512)], [whole(1 << 20, 1 << 20)]),
        ("Expand", [whole(-1, 512)], [whole(1 << 40)]),
        ("Tile", [whole(1, 2, 2, 1)], [whole(1, 1, 1 << 30, 1)]),
        ("Pad", [whole(0, 0, 100, 100, 0, 0, 100, 100)], [whole(0, 0, 1 << 30, 0, 0, 0, 0, 0)]),
        ("Range", [scalar(0), scalar(512), scalar(1)], [scalar(0), scalar(1), scalar(1e-30)]),
        ("Range", [whole(0), whole(512), whole(2)], [whole(0), whole(1), whole(0)]),
        ("Resize", [scalar(0), np.ones(4, np.float32)], [scalar(0), np.array([1, 1, 1e9, 1], np.float32)]),
        ("Resize", [scalar(0), scalar(0), whole(1, 3, 9, 9)], [scalar(0), scalar(0), whole(1, 3, 1 << 30, 9)]),
        ("Upsample", [np.ones(4)], [np.array([1, np.nan, 1, 1])]),
        ("ConstantOfShape", [whole(1)], [np.ones(100, np.int64)]),
    ],
)
def test_what_constants_tell_an_operator_to_make_is_bounded(
    operator: str, fine: list[Any], too_much: list[Any], at_run: bool
) -> None:
    assert operator in check(told(operator, *fine, at_run=at_run), "x").operators
    found = refused(told(operator, *too_much, at_run=at_run)).what
    assert f"has a node {operator} that" in found or found == "has a shape of too many lengths"


def test_what_an_attribute_tells_an_operator_to_make_is_bounded() -> None:
    assert check(told("Upsample", scales=[1.0, 1.0, 2.0, 2.0]), "x")
    assert "has a node Upsample that" in refused(told("Upsample", scales=[1.0, 1.0, 1e20, 1e20])).what
    constant = [helper.make_node("Constant", [], ["k"], value_ints=[1 << 30, 1 << 30])]
    expand = helper.make_node("Expand", ["c", "k"], ["t"])
    assert "has a node Expand that" in refused(small(nodes=[*constant, expand])).what
    assert "has a node Expand that" in refused(small(nodes=[expand, *constant])).what


def test_numbers_written_one_by_one_are_read_too() -> None:
    def change(model: Any) -> None:
        model.graph.initializer.append(helper.make_tensor("k", TensorProto.INT64, [2], [1 << 30, 1 << 30]))
        model.graph.initializer.append(helper.make_tensor("f", TensorProto.FLOAT, [1], [1e30]))
        model.graph.initializer.append(helper.make_tensor("h", TensorProto.FLOAT16, [1], [2.0]))

    for name, what in (("k", "has a node Expand that"), ("f", "has a node Expand that"), ("h", "does not read")):
        assert what in refused(small(change, [helper.make_node("Expand", ["c", name], ["t"])])).what


# The messages


ORACLES: dict[str, Any] = {
    "MODEL": onnx.ModelProto,
    "OPERATOR_SET": onnx.OperatorSetIdProto,
    "GRAPH": onnx.GraphProto,
    "NODE": onnx.NodeProto,
    "ATTRIBUTE": onnx.AttributeProto,
    "TENSOR": onnx.TensorProto,
    "VALUE": onnx.ValueInfoProto,
    "TYPE": onnx.TypeProto,
    "TENSOR_TYPE": onnx.TypeProto.Tensor,
    "SHAPE": onnx.TensorShapeProto,
    "DIMENSION": onnx.TensorShapeProto.Dimension,
}


@pytest.mark.parametrize("table", ORACLES)
def test_fields_are_those_of_onnx(table: str) -> None:
    wires = {1: 1, 2: 5, 3: 0, 4: 0, 5: 0, 9: 2, 11: 2, 12: 2, 14: 0}  # FieldDescriptor.TYPE_... -> wire type
    slots: messages.Slots = getattr(messages, table)
    known = {each.number: each for each in ORACLES[table].DESCRIPTOR.fields}
    assert slots.keys() <= known.keys()
    for number, slot in slots.items():
        assert slot.name == known[number].name
        assert slot.refused or (wires[known[number].type] in slot.wires and slot.many == known[number].is_repeated)


def test_fields_of_a_newer_onnx_are_refused_until_somebody_has_looked_at_them() -> None:
    """All of the onnx package that the tests run with are known; its next version may add one."""
    missing = {
        f"{table}.{each.name}"
        for table, oracle in ORACLES.items()
        for each in oracle.DESCRIPTOR.fields
        if each.number not in getattr(messages, table)
    }
    assert missing == set()


def test_operators_are_onnx_s() -> None:
    own = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""}
    assert own >= checking.OPERATORS


# Anything at all


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_changed_file_passes_or_is_refused_and_nothing_else(data: st.DataObject) -> None:
    sound = bytearray(small() if data.draw(st.booleans()) else told("Expand", whole(1, 512)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(sound) - 1))
        match data.draw(st.sampled_from(["change", "cut", "insert", "remove", "repeat"])):
            case "change":
                sound[at] = data.draw(st.integers(0, 255))
            case "cut":
                del sound[max(at, 1) :]
            case "insert":
                sound[at:at] = data.draw(st.binary(max_size=12))
            case "remove":
                del sound[at : at + data.draw(st.integers(1, 12))]
                sound = sound or bytearray(b"\x00")
            case "repeat":
                sound[at:at] = sound[at : at + data.draw(st.integers(1, 60))]
    try:
        check(bytes(sound), "x")
    except EncoderError as error:
        assert str(error)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert refused(data)
