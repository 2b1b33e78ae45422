"""Files are written by the few lines of `Writer`, and one by dlib itself; dlib's networks stand behind test_resnet."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dlib_format import (
    AddPrevious,
    Affine,
    Convolution,
    Dense,
    DetectorLoss,
    Input,
    MetricLoss,
    Overlap,
    Pool,
    Relu,
    Tag,
    read_net,
)
from mien.errors import DamagedModelError
from mien.networks.shape_predictor import read_shape_predictor


class Writer:
    def __init__(self) -> None:
        self.data = b""

    def integers(self, *values: int) -> Writer:
        for value in values:
            magnitude = abs(value).to_bytes((abs(value).bit_length() + 7) // 8, "little")
            self.data += bytes([len(magnitude) | 0x80 * (value < 0)]) + magnitude
        return self

    def floats(self, *values: float) -> Writer:
        for value in values:
            fraction, exponent = math.frexp(value)
            mantissa, exponent = int(fraction * 2**53), exponent - 53
            while mantissa and mantissa % 256 == 0:
                mantissa, exponent = mantissa // 256, exponent + 8
            self.integers(mantissa, exponent)
        return self

    def name(self, text: str) -> Writer:
        self.integers(len(text))
        self.data += text.encode()
        return self

    def tensor(self, *values: float) -> Writer:
        self.integers(2, 1, len(values), 1, 1)
        self.data += np.array(values, "<f4").tobytes()
        return self

    def alias(self, *shape: int) -> Writer:
        return self.integers(1, *shape)

    def state(self) -> Writer:
        self.data += b"100"
        return self.tensor().tensor().tensor(0.5)

    def column(self, *values: float) -> Writer:
        return self.integers(-len(values), -1).floats(*values)


RATES = (1.0, 0.0, 1.0, 0.0)


def detector_loss(writer: Writer) -> Writer:
    return writer.name("loss_mmod_").integers(1, 80, 60).floats(1, 2, 0.5, 0.338, 1, 0.25, 0.75)


def metric_loss(writer: Writer) -> Writer:
    return writer.name("loss_metric_2").floats(0.04, 0.6)


def network(loss: Callable[[Writer], Writer] = metric_loss, *, sized: bool = True) -> bytes:
    """One layer of each kind, with a tag and a skip."""
    writer = loss(Writer().integers(1))
    writer.integers(2, 2, 2, 1, 1, 2, 2, 2, 3)  # outermost first
    writer.name("input_rgb_image_sized" if sized else "input_rgb_image_pyramid").floats(122.5, 117, 104)
    if sized:
        writer.integers(150, 140)
    writer.name("con_4").tensor(1, 2, 3, 4, 5, 6, 7, 8, 9, 10).integers(2, 1, 2, 3, 2, 1, 0)
    writer.alias(2, 2, 1, 2).alias(1, 2, 1, 1).floats(*RATES).state().integers(1)
    writer.name("affine_").tensor(1, 2, 3, 4).alias(1, 2, 1, 1).alias(1, 2, 1, 1).integers(0).state()
    writer.name("bn_con2").tensor(2, 4, 5, 6).alias(1, 2, 1, 1).alias(1, 2, 1, 1).tensor().tensor()
    writer.tensor(1, 2).tensor(3.75, 15.75).integers(100, 100).floats(*RATES).floats(0.25).state()
    writer.name("relu_").state()
    # here the tag and the skip: nothing is written for them
    writer.name("avg_pool_2").integers(0, 0, 1, 1, 0, 0).state()
    writer.name("add_prev_").state()
    writer.name("fc_2").integers(2, 3).tensor(1, 2, 3, 4, 5, 6).alias(3, 2, 1, 1).alias(0, 0, 0, 0).integers(2)
    return writer.floats(*RATES).state().data


def test_a_network_is_read_to_its_last_byte() -> None:
    net = read_net(network())
    assert net.loss == MetricLoss(margin=0.04, threshold=0.6)
    assert net.input == Input(mean=(122.5, 117.0, 104.0), size=(150, 140))
    convolution, affine, batch, relu, tag, skip, pool, add, dense = net.layers
    assert isinstance(convolution, Convolution)
    np.testing.assert_array_equal(convolution.weight, [[[[1, 2]], [[3, 4]]], [[[5, 6]], [[7, 8]]]])
    np.testing.assert_array_equal(convolution.bias, [9, 10])
    assert (convolution.stride, convolution.padding) == ((3, 2), (1, 0))
    assert isinstance(affine, Affine)
    np.testing.assert_array_equal([affine.scale, affine.shift], [[1, 2], [3, 4]])
    assert isinstance(batch, Affine)
    np.testing.assert_array_equal([batch.scale, batch.shift], [[1, 1], [4, 4]])  # 2 / sqrt(3.75 + 0.25), 5 - 1 * 1, ...
    assert (relu, tag, skip, add) == (Relu(), Tag(), Tag(), AddPrevious())
    assert pool == Pool("average", (0, 0), (1, 1), (0, 0))
    assert isinstance(dense, Dense)
    np.testing.assert_array_equal(dense.weight, [[1, 2], [3, 4], [5, 6]])


def test_a_detector_is_read() -> None:
    net = read_net(network(detector_loss, sized=False))
    assert net.loss == DetectorLoss((80, 60), 1.0, 2.0, 0.5, Overlap(0.338, 1.0), Overlap(0.25, 0.75))
    assert net.input == Input(mean=(122.5, 117.0, 104.0), size=None)


FLOATS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e200, max_value=1e200, allow_subnormal=False)


@given(FLOATS, FLOATS, st.integers(1 - 2**63, 2**63 - 1))
def test_floats_and_integers_come_back(one: float, other: float, size: int) -> None:
    writer = Writer().integers(1).name("loss_metric_2").floats(one, other)
    net = read_net(writer.name("input_rgb_image_sized").floats(one, 0, other).integers(size, -size).data)
    assert net.loss == MetricLoss(one, other)
    assert net.input == Input((one, 0.0, other), (size, -size))
    assert net.layers == ()


def predictor(
    points: int = 2, *, cascades: int = 2, trees: int = 3, splits: int = 3, pixels: int = 4, beyond: int = 0
) -> Writer:
    counter = iter(range(10**6))

    def numbers(count: int) -> list[float]:
        return [next(counter) / 8 - 20 for _ in range(count)]

    writer = Writer().integers(1).column(*numbers(2 * points)).integers(cascades)
    for _ in range(cascades):
        writer.integers(trees)
        for _ in range(trees):
            writer.integers(splits)
            for split in range(splits):
                writer.integers(split % pixels, (split + 1) % pixels + beyond).floats(*numbers(1))
            writer.integers(splits + 1)
            for _ in range(splits + 1):
                writer.column(*numbers(2 * points))
    writer.integers(cascades)
    for _ in range(cascades):
        writer.integers(pixels, *[pixel % points for pixel in range(pixels)])
    writer.integers(cascades)
    for _ in range(cascades):
        writer.integers(pixels).floats(*numbers(2 * pixels))
    return writer


def test_a_shape_predictor_is_read_to_its_last_byte() -> None:
    trees = read_shape_predictor(predictor().data)
    assert (trees.initial.shape, trees.leaves.shape, trees.delta.shape) == ((2, 2), (2, 3, 4, 2, 2), (2, 4, 2))
    np.testing.assert_array_equal(trees.anchor, [[0, 1, 0, 1]] * 2)
    np.testing.assert_array_equal(trees.first, np.broadcast_to([0, 1, 2], (2, 3, 3)))
    np.testing.assert_array_equal(trees.second, np.broadcast_to([1, 2, 3], (2, 3, 3)))
    # Floats were counted up in the order of the file: initial; of each tree 3 thresholds, then 16 of its leaves; delta.
    expected = np.arange(4 + 2 * 3 * 19 + 2 * 8) / 8 - 20
    grown = expected[4:-16].reshape(2, 3, 19)
    np.testing.assert_array_equal(trees.initial.ravel(), expected[:4])
    np.testing.assert_array_equal(trees.threshold, grown[..., :3])
    np.testing.assert_array_equal(trees.leaves.reshape(2, 3, 16), grown[..., 3:])
    np.testing.assert_array_equal(trees.delta.ravel(), expected[-16:])


def test_a_shape_predictor_that_dlib_wrote_is_read(tmp_path: Path) -> None:
    dlib = pytest.importorskip("dlib", reason="dlib-bin has no wheel for this machine")
    options = dlib.shape_predictor_training_options()
    options.tree_depth, options.cascade_depth, options.num_trees_per_cascade_level = 2, 3, 4
    options.feature_pool_size, options.oversampling_amount, options.num_test_splits = 20, 2, 2
    box = dlib.rectangle(10, 10, 60, 60)
    images: list[NDArray[np.uint8]] = list(np.random.default_rng(0).integers(0, 256, (4, 70, 70), np.uint8))
    faces = [
        [dlib.full_object_detection(box, [dlib.point(15 + n, 20), dlib.point(50, 20 + n), dlib.point(30, 50)])]
        for n in range(4)
    ]
    dlib.train_shape_predictor(images, faces, options).save(str(tmp_path / "trees.dat"))
    trees = read_shape_predictor((tmp_path / "trees.dat").read_bytes())
    assert trees.leaves.shape == (3, 4, 4, 3, 2)
    assert trees.first.shape == (3, 4, 3)
    # The mean shape in the unit square of the box, whose corners are the centres of its corner pixels.
    assert (trees.initial * 50 + 10).tolist() == [pytest.approx(point) for point in ([16.5, 20], [50, 21.5], [30, 50])]


READERS = {"net": (read_net, network()), "trees": (read_shape_predictor, predictor().data)}


@pytest.mark.parametrize("kind", READERS)
def test_every_cut_is_refused(kind: str) -> None:
    read, data = READERS[kind]
    for length in range(len(data)):
        with pytest.raises(DamagedModelError, match="at byte"):
            read(data[:length])


@pytest.mark.parametrize("kind", READERS)
def test_what_follows_the_end_is_named_by_its_byte(kind: str) -> None:
    read, data = READERS[kind]
    with pytest.raises(DamagedModelError, match=rf"end of the .*, at byte {len(data):,}\."):
        read(data + b"\0")


@pytest.mark.parametrize("kind", READERS)
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_altered_bytes_are_read_or_refused_and_nothing_else(kind: str, changes: list[tuple[float, int]]) -> None:
    read, data = READERS[kind]
    altered = bytearray(data)
    for place, value in changes:
        altered[int(place * len(data))] = value
    with suppress(DamagedModelError):
        read(bytes(altered))


@pytest.mark.parametrize("kind", READERS)
@given(rest=st.binary(max_size=200), place=st.floats(0, 1))
def test_any_bytes_are_read_or_refused_and_nothing_else(kind: str, rest: bytes, place: float) -> None:
    read, data = READERS[kind]
    with suppress(DamagedModelError):
        read(data[: int(place * len(data))] + rest)


def one_layer() -> Writer:
    return metric_loss(Writer().integers(1)).integers(3).name("input_rgb_image_pyramid").floats(0, 0, 0)


def innermost(tensor: Writer) -> bytes:
    return one_layer().name("con_4").data + tensor.data


def batch_normalisation(variance: float, gamma: float) -> bytes:
    writer = one_layer().name("bn_con2").tensor(gamma, 1).alias(1, 1, 1, 1).alias(1, 1, 1, 1).tensor().tensor()
    return writer.tensor(1).tensor(variance).integers(1, 1).floats(*RATES).floats(0).state().integers(1).data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (innermost(Writer().integers(2, 2**60, 1, 1, 1)), "bytes are announced"),
        (innermost(Writer().integers(2, 2**31, 2**31, 2**31, 2**31)), "bytes are announced"),
        (innermost(Writer().integers(2, -1, 1, 1, -1)), "a tensor of shape"),
        (innermost(Writer().integers(1, 1, 1, 1, 1)), "a tensor of version 1"),
        (innermost(Writer().tensor(math.nan)), "not finite"),
        (innermost(Writer().tensor().integers(0, 0, 0, 1, 1, 0, 0).alias(0, 2**60, 2**60, 2**60)), "a slice of shape"),
        (innermost(Writer().tensor(1).integers(1, 1, 1, 0, 1, 0, 0).alias(1, 1, 1, 1)), "announced"),
        (batch_normalisation(1e-30, 3e38), "impossible statistics"),
        (batch_normalisation(-1, 1), "impossible statistics"),
        (batch_normalisation(math.nan, 1), "not finite"),
        (metric_loss(Writer().integers(1)).integers(*[2] * 50_000).data, "announced"),
        (metric_loss(Writer().integers(1)).integers(2**62).data, "bytes are announced"),
        (metric_loss(Writer().integers(1)).integers(-5).data, "-5 bytes are announced"),
        (metric_loss(Writer().integers(1)).name("input_of_tomorrow").data, "an unknown input, 'input_of_tomorrow'"),
        (Writer().integers(1).name("loss_of_hope").data, "an unknown loss, 'loss_of_hope', at byte 2"),
        (Writer().integers(1).name("loss_metric_2").integers(0, 32000).data, "no finite number"),
        (Writer().integers(7).data, "a network of version 7, where only 1 is known, at byte 0"),
        (innermost(Writer())[:-5] + b"relu9", "an unknown layer, 'relu9'"),
        (b"", "1 bytes are announced and 0 are there, at byte 0"),
    ],
)
def test_hostile_networks_are_refused_before_anything_is_allocated(data: bytes, words: str) -> None:
    with pytest.raises(DamagedModelError, match=words):
        read_net(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Writer().integers(2).data, "no shape predictor of version 1, at byte 0"),
        (Writer().integers(1, 4, 1).data, "no column"),
        (Writer().integers(1, 1 - 2**31, -1).data, "announced"),
        (Writer().integers(1).column(1, 2, 3).data, "a shape of 3 numbers"),
        (Writer().integers(1, -2, -1, 1, 32000, 0, 0).data, "not finite"),
        (Writer().integers(1).column(1, 2).integers(2**31 - 1, 2**31 - 1, 2**31 - 1).data, "announced"),
        (Writer().integers(1).column(1, 2).integers(0, 0, 0).data, "0 of something"),
        (predictor(splits=2).data, "impossible shapes"),
        (predictor(beyond=2).data, "not there"),
        (Writer().integers(1, 2**40).data, "no integer"),
    ],
)
def test_hostile_shape_predictors_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(DamagedModelError, match=words):
        read_shape_predictor(data)
