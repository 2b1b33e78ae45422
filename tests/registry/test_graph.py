"""A head as a network says what the head says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest

from mien.learning.head import FittedHead, HeadOption
from mien.networks.onnx_file import FLOAT, field
from mien.networks.sessions import open_session
from mien.registry.graph import head_graph, head_of_graph
from mien.testing import COSINES
from mien.types import Floats
from mien.wiring import HEADS


def unit(rows: int, seed: int) -> Floats:
    found = np.random.default_rng(seed).normal(size=(rows, 128)) * 0.03 + np.eye(128)[0]
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def fitted(option: HeadOption) -> FittedHead:
    owner = np.repeat(np.arange(5), [1, 2, 9, 12, 40])
    return option.fit_for(COSINES)(unit(len(owner), 0), owner, 5, np.ones(len(owner), np.float32))


NEAREST = replace(fitted(HEADS[0]), exemplars=unit(9, 2), owner=np.array([0, 1, 1, 2, 2, 2, 3, 4, 4]), share=0.6)
"""A head with exemplars, as earlier versions of mien made them: single faces beside the prototype."""

every_form = pytest.mark.parametrize(
    "head", [*map(fitted, HEADS), NEAREST], ids=[*(option.name for option in HEADS), "with exemplars"]
)


def scores(data: bytes, faces: Floats) -> Floats:
    (found,) = open_session(data).run(["scores"], {"embedding": faces})
    return np.asarray(found)


@every_form
def test_the_network_gives_the_same_scores_for_any_number_of_faces_of_any_length(head: FittedHead) -> None:
    faces = unit(7, 1) * np.float32(1.47)
    data = head_graph(head)
    for batch in (faces, faces[:1], faces[:0]):
        found = scores(data, batch)
        assert found.shape == (len(batch), 5) and found.dtype == np.float32
        np.testing.assert_allclose(found, head.scores(batch), atol=1e-5)


def test_people_without_exemplars_have_the_same_scores_too() -> None:
    head = NEAREST
    for person in (0, 2, 4):
        kept = head.owner != person
        fewer = replace(head, exemplars=head.exemplars[kept], owner=head.owner[kept])
        np.testing.assert_allclose(scores(head_graph(fewer), unit(7, 1)), fewer.scores(unit(7, 1)), atol=1e-5)


@every_form
def test_the_same_head_is_the_same_bytes_with_all_weights_inside(head: FittedHead) -> None:
    data = head_graph(head)
    turned = None if head.transform is None else head.transform.copy(order="F")
    assert head_graph(replace(head, vectors=head.vectors.copy(order="F"), transform=turned)) == data
    graph = onnx.load_from_string(data).graph
    assert not any(weights.external_data for weights in graph.initializer)
    by_name = {weights.name: onnx.numpy_helper.to_array(weights) for weights in graph.initializer}
    np.testing.assert_array_equal(by_name["prototypes"].T, head.vectors)


@every_form
def test_it_is_the_file_that_onnx_would_write(head: FittedHead) -> None:
    data = head_graph(head)
    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert model.SerializeToString(deterministic=True) == data


# Back again


@every_form
def test_a_network_gives_back_its_head_to_be_written_again(head: FittedHead) -> None:
    data = head_graph(head)
    back = head_of_graph(data)
    np.testing.assert_allclose(back.scores(unit(7, 1)), head.scores(unit(7, 1)), atol=1e-6)
    assert head_graph(back) == data
    assert back.vectors.tobytes() == head.vectors.tobytes() and back.exemplars.tobytes() == head.exemplars.tobytes()


def another_network() -> bytes:
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["embedding"], ["scores"])],
        "other",
        [onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["N", 128])],
        [onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["N", 128])],
    )
    return bytes(onnx.helper.make_model(graph).SerializeToString())


def broken(**parts: Any) -> bytes:
    return head_graph(replace(NEAREST, **parts))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no network at all",
        another_network(),
        broken(owner=np.full(len(NEAREST.owner), 5)),
        broken(owner=NEAREST.owner[::-1]),
        broken(owner=NEAREST.owner[1:]),
        broken(vectors=np.full((5, 128), np.nan, np.float32)),
        broken(share=1.5),
        head_graph(NEAREST)[:-1],
        head_graph(NEAREST) + b"\x0d1234",
        head_graph(NEAREST).replace(b"max", b"add"),
        b"\xff" * 20,
        broken(transform=np.eye(127, dtype=np.float32)),
        broken(vectors=NEAREST.vectors * 2),
        broken(vectors=np.empty((1 << 40, 0), np.float32), exemplars=np.empty((9, 0), np.float32)),
        field(7, field(5, field(1, 2**64 - 1) + field(2, FLOAT) + field(8, "prototypes") + field(9, b""))),
    ],
    ids=[
        "empty",
        "junk",
        "another",
        "nobody's",
        "unsorted",
        "too few owners",
        "nan",
        "share",
        "cut",
        "longer",
        "operator",
        "endless",
        "transform",
        "length",
        "people of nothing",
        "claims",
    ],
)
def test_what_is_no_head_of_mien_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a head that mien wrote"):
        head_of_graph(data)
