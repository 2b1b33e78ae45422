from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.compat.final_layer import FinalLayer
from mien.compat.output_graph import Graph, read, write
from mien.compat.pictures import bottlenecks_of, chip_of
from mien.encoders.shelf import kept
from mien.errors import EncoderError, ModelError
from mien.networks.check import check
from mien.networks.onnx_file import field, fields, node
from mien.networks.sessions import open_session
from mien.types import EncoderChoice
from mien.wiring import eyes_with


@pytest.fixture(scope="module")
def graph() -> Graph:
    random = np.random.default_rng(0)
    layer = FinalLayer(random.standard_normal((128, 4)).astype(np.float32), np.arange(4, dtype=np.float32))
    return Graph(kept("dlib-resnet"), layer, "final_result")


@pytest.fixture(scope="module")
def data(graph: Graph) -> bytes:
    return write(graph)


def test_one_network_leads_from_picture_to_probabilities(graph: Graph, data: bytes, sample: Path) -> None:
    assert check(data, "graph").outputs[0].name == "final_result"
    eyes = eyes_with(graph.encoder, EncoderChoice(views=1))
    chip = chip_of(eyes, sample / "people/Jun/01.jpg")
    (found,) = open_session(data).run(None, {"picture": chip[None]})
    expected = graph.layer.probabilities(bottlenecks_of(eyes, chip[None]))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.shape == (1, 4)


def test_a_picture_of_any_size_goes_in(data: bytes) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (1, 61, 207, 3)).astype(np.uint8)
    (found,) = open_session(data).run(["final_result"], {"picture": picture})
    assert found.sum() == pytest.approx(1, abs=1e-5)


def test_what_was_written_is_read(graph: Graph, data: bytes) -> None:
    again = read(data, "graph")
    assert (again.encoder.name, again.output) == ("dlib-resnet", "final_result")
    assert np.array_equal(again.layer.weights, graph.layer.weights)
    assert np.array_equal(again.layer.biases, graph.layer.biases)


def write_as(data: bytes, says: bytes) -> bytes:
    """The graph with another doc_string."""
    parts = ((number, wire, value) for number, wire, value in fields(data))
    return b"".join(
        field(number, says if number == 6 else value if wire == 0 else bytes(value)) for number, wire, value in parts
    )


def test_anything_that_retrain_would_not_write_is_refused(data: bytes) -> None:
    at = data.index(b"LpNormalization")
    for other in (
        b"",
        b"no network",
        data[:-1],
        data[:at] + b"LpNormalizatiom" + data[at + 15 :],
        data.replace(b"retrain/norm", b"retrain/nurm"),
        data + node("If", ["a"], "b"),
        write_as(data, b"[" * 100_000),
        write_as(data, b'{"encoder": "dlib-resnet", "output": "\\ud800"}'),
    ):
        with pytest.raises(ModelError, match="is no network that mien-retrain wrote"):
            read(other, "graph")


def test_an_encoder_that_is_not_here_is_named(data: bytes) -> None:
    with pytest.raises(EncoderError, match="dlib-rasnet"):
        read(data.replace(b'"encoder": "dlib-resnet"', b'"encoder": "dlib-rasnet"'), "graph")


def test_a_layer_that_does_not_fit_its_encoder_is_refused(graph: Graph) -> None:
    for weights in (np.zeros((5, 4), np.float32), np.full((128, 4), np.nan, np.float32)):
        with pytest.raises(ModelError):
            read(write(graph._replace(layer=FinalLayer(weights, graph.layer.biases))), "graph")
