"""The network that is kept of an encoder's files, against numpy, and against files that are not what they should be."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.encoders import trial
from mien.encoders.description import read
from mien.encoders.prepare import prepare
from mien.encoders.shelf import keep
from mien.engines import children
from mien.engines.children import TaskEndedError
from mien.errors import EncoderError
from mien.networks.sessions import open_session
from mien.seeing.encoders.network import NetworkEncoder

if TYPE_CHECKING:
    from conftest import TinyEncoder

CHIPS = np.random.default_rng(3).integers(0, 256, (5, 16, 16, 3), np.uint8)


def prepared(tiny: TinyEncoder, data: bytes | None = None) -> bytes:
    return prepare(read(tiny.toml), {"tiny.onnx": data or tiny.onnx.read_bytes()}, "The encoder tiny")


@pytest.mark.parametrize(
    ("colour", "layout", "mean", "scale", "batch"),
    [*product(("rgb", "bgr"), ("nchw", "nhwc"), (0.0, 127.5, [124.7, 116, 103]), (1.0, [58.4, 5, 7]), (None, 1))],
)
def test_embeddings_are_those_of_numpy(
    tiny: Callable[..., TinyEncoder], tmp_path: Path, colour: str, layout: str, mean: Any, scale: Any, batch: int | None
) -> None:
    one = tiny(batch, colour=colour, layout=layout, mean=mean, scale=scale)
    encoder = NetworkEncoder(keep(read(one.toml), {"fp32": prepared(one)}, tmp_path / "shelf"), batch=2)
    found, wanted = encoder.encode(CHIPS), one.embed(CHIPS)
    assert found.shape == (5, 8) and found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    assert encoder.encode(CHIPS[:0]).shape == (0, 8)


def test_the_same_files_give_the_same_network_which_onnx_finds_sound(tiny: Callable[..., TinyEncoder]) -> None:
    one = tiny(colour="bgr", mean=127.5, scale=128.0)
    data = prepared(one)
    assert data == prepared(one)
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
    session = open_session(data)
    assert [(port.name, port.type, port.shape) for port in session.get_inputs()] == [
        ("rgb", "tensor(uint8)", ["N", 16, 16, 3])
    ]
    assert [(port.name, port.shape) for port in session.get_outputs()] == [("embedding", ["N", 8])]


@pytest.mark.parametrize("names", [("rgb", "embedding"), ("embedding", "rgb"), ("mien/1", "mien/embedding")])
def test_names_of_the_network_are_in_nobodys_way(tiny: Callable[..., TinyEncoder], names: tuple[str, str]) -> None:
    one = tiny(mean=1.0)
    found = open_session(prepared(one, one.network(names=names))).run(None, {"rgb": CHIPS})[0]
    np.testing.assert_allclose(found, one.embed(CHIPS), rtol=1e-4, atol=1e-2)


def test_a_network_that_takes_bytes_is_given_bytes(tiny: Callable[..., TinyEncoder]) -> None:
    one = tiny()
    found = open_session(prepared(one, one.network(kind=TensorProto.UINT8))).run(None, {"rgb": CHIPS})[0]
    np.testing.assert_allclose(found, one.embed(CHIPS), rtol=1e-4, atol=1e-2)


def test_weights_that_are_listed_as_inputs_are_none(tiny: Callable[..., TinyEncoder]) -> None:
    one = tiny()
    model = onnx.load_model_from_string(one.network())
    model.ir_version = 3
    model.graph.input.append(helper.make_tensor_value_info("weights", TensorProto.FLOAT, one.weights.shape))
    found = open_session(prepared(one, model.SerializeToString())).run(None, {"rgb": CHIPS})[0]
    np.testing.assert_allclose(found, one.embed(CHIPS), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(
    ("described", "what", "remedy"),
    [
        ({"side": 32}, "takes 3 x 16 x 16, and its description says 3 x 32 x 32", "side or layout"),
        ({"layout": "nhwc"}, "takes 3 x 16 x 16, and its description says 16 x 16 x 3", "side or layout"),
        ({"dimensions": 9}, "gives 2 x 8 numbers|gives 1 x 8 numbers", "Correct dimensions"),
        ({"scale": 1e-42}, "no usable numbers", "Correct mean and scale"),
        ({"scale": 1e38}, "same embedding|no usable numbers", "mean"),
    ],
)
def test_a_description_that_does_not_fit_is_told_by_its_key(
    tiny: Callable[..., TinyEncoder], described: dict[str, Any], what: str, remedy: str
) -> None:
    one = tiny()
    data = one.network()
    one.describe(**described)
    with pytest.raises(EncoderError, match=what) as caught:
        prepared(one, data)
    assert caught.value.about == "The encoder tiny"
    assert remedy in caught.value.remedy


def changed(one: TinyEncoder, *nodes: onnx.NodeProto, weights: Any = None) -> bytes:
    """The network of `one` with these nodes in the place of its last, which reads "flat" and gives "out"."""
    model = onnx.load_model_from_string(one.network())
    del model.graph.node[-1]
    model.graph.node.extend(nodes)
    for name, value in (weights or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return bytes(model.SerializeToString())


def test_a_network_that_mixes_pictures_is_refused(tiny: Callable[..., TinyEncoder]) -> None:
    one = tiny()
    mixing = changed(
        one,
        helper.make_node("MatMul", ["flat", "weights"], ["each"]),
        helper.make_node("ReduceMean", ["each"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Add", ["each", "mean"], ["out"]),
    )
    with pytest.raises(EncoderError, match="another embedding when others are run with it"):
        prepared(one, mixing)


def test_a_network_whose_shapes_are_for_one_picture_is_refused(tiny: Callable[..., TinyEncoder]) -> None:
    one = tiny()
    baked = changed(
        one,
        helper.make_node("MatMul", ["flat", "weights"], ["each"]),
        helper.make_node("Reshape", ["each", "shape"], ["out"]),
        weights={"shape": np.array([1, 8])},
    )
    with pytest.raises(EncoderError, match=r"does not run on 2 x 16 x 16 x 3 numbers") as caught:
        prepared(one, baked)
    assert "one picture at a time" in caught.value.remedy


def test_a_network_that_sees_nothing_is_refused(tiny: Callable[..., TinyEncoder]) -> None:
    one = tiny()
    blind = changed(
        one,
        helper.make_node("MatMul", ["flat", "weights"], ["each"]),
        helper.make_node("Mul", ["each", "nought"], ["nothing"]),
        helper.make_node("Add", ["nothing", "one"], ["out"]),
        weights={"nought": np.zeros(1, np.float32), "one": np.ones(1, np.float32)},
    )
    with pytest.raises(EncoderError, match="same embedding for a grey picture and for noise"):
        prepared(one, blind)


def test_a_network_for_several_pictures_is_refused(tiny: Callable[..., TinyEncoder]) -> None:
    with pytest.raises(EncoderError, match="takes exactly 4 pictures at a time"):
        prepared(tiny(4))


def test_a_network_that_onnx_runtime_does_not_open_is_refused(tiny: Callable[..., TinyEncoder]) -> None:
    one = tiny()
    wild = changed(one, helper.make_node("MatMul", ["nowhere", "weights"], ["out"]))
    with pytest.raises(EncoderError, match="The encoder tiny cannot be run: "):
        prepared(one, wild)


def test_a_network_that_takes_too_much_memory_is_ended(
    tiny: Callable[..., TinyEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "MEMORY", 100_000_000)  # or the test would take as much
    one = tiny()
    vast = changed(
        one,
        helper.make_node("MatMul", ["flat", "weights"], ["each"]),
        helper.make_node("Einsum", ["flat", "flat", "flat"], ["cube"], equation="na,nb,nc->nabc"),  # 2 GB
        helper.make_node("ReduceMin", ["cube"], ["least"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["least", "at"], ["column"]),
        helper.make_node("Add", ["each", "column"], ["out"]),
        weights={"at": np.array([1])},
    )
    with pytest.raises(EncoderError, match=r"The encoder tiny takes more than 0\.1 GB of memory"):
        prepared(one, vast)


def test_a_network_that_takes_too_long_is_ended(
    tiny: Callable[..., TinyEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(task: str, *_: object, **limits: float) -> None:
        assert task == "mien.encoders.trial:run" and limits["seconds"] == trial.SECONDS
        raise TaskEndedError("time")

    monkeypatch.setattr(children, "ask", ask)
    with pytest.raises(EncoderError, match="takes more than 120 seconds for a few pictures"):
        prepared(tiny())


def test_what_is_refused_by_the_check_never_runs(tiny: Callable[..., TinyEncoder]) -> None:
    one = tiny()
    with pytest.raises(EncoderError, match="needs the operator"):
        prepared(one, changed(one, helper.make_node("RandomNormalLike", ["flat"], ["out"])))
    with pytest.raises(EncoderError, match="is no ONNX file"):
        prepared(one, b"not a network")


def test_a_hostile_ir_is_refused(tiny: Callable[..., TinyEncoder]) -> None:
    one = tiny()
    xml = b'<!DOCTYPE net [<!ENTITY a "b">]><net version="10"><layers/></net>'
    with pytest.raises(EncoderError, match="The encoder tiny"):
        prepare(read(one.toml), {"tiny.xml": xml, "tiny.bin": b""}, "The encoder tiny")


def test_nothing_is_computed_that_the_description_does_not_ask_for(tiny: Callable[..., TinyEncoder]) -> None:
    """Without preprocessing nothing but the cast and the layout stands before the network."""
    model = onnx.load_model_from_string(prepared(tiny()))
    own, after = ["Cast", "Flatten", "MatMul"], ["Cast", "Flatten"]
    assert [node.op_type for node in model.graph.node] == ["Cast", "Transpose", *own, *after]
