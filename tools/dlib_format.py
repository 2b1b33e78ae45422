"""Read dlib's .dat files: networks and shape predictors, with numpy alone.

dlib writes no schema, only values in the order of its C++ types (dlib/serialize.h, dlib/dnn/layers.h and tensor.h,
dlib/image_processing/shape_predictor.h):

    integer   control byte c, then c & 15 bytes of little-endian magnitude; c & 128 says negative
    float     two integers: mantissa, exponent; the value is mantissa * 2**exponent
    bool      ASCII "0" or "1"
    string    integer length, then the bytes
    tensor    version 2, four integers (samples, channels, rows, columns), then raw little-endian float32
    alias     version 1, four integers: the shape of a slice of some tensor
    matrix    rows and columns, both negated, then the floats

A network is nested, each layer holding the one below. On disk that is: the loss; one version integer for every layer,
outermost first (1 is a tag or a skip, 2 a layer, 3 the innermost); the input; then the layers' own values, innermost
first.

A file is read to its last byte, or DamagedModelError names the byte where it stopped making sense. No size read from
a file is believed before it has been compared with the bytes that remain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dlib_integers import Integers, damaged, decode_integers
from mien.errors import DamagedModelError
from mien.types import Floats

# ------------------------------------------------------------------------------------------------------ networks


@dataclass(frozen=True, slots=True)
class Overlap:
    """Boxes overlap if their intersection exceeds `iou` of the box around both, or `covered` of the area of either."""

    iou: float
    covered: float


@dataclass(frozen=True, slots=True)
class MetricLoss:
    """Embeddings nearer than `threshold - margin` were the same person, further than `threshold + margin` another."""

    margin: float
    threshold: float


@dataclass(frozen=True, slots=True)
class DetectorLoss:
    """Max-margin object detection. `window` is (width, height) in pixels of what slides over the pyramid; of two
    detections that overlap by `suppress` the weaker is dropped."""

    window: tuple[int, int]
    false_alarm: float
    miss: float
    truth_iou: float
    suppress: Overlap
    ignore: Overlap


@dataclass(frozen=True, slots=True)
class Input:
    """`mean` (red, green, blue; 0..255) is subtracted from a pixel, and the rest divided by 256. `size` is (rows,
    columns) of a network for one size of picture, None for a detector's, which sees a whole image pyramid."""

    mean: tuple[float, float, float]
    size: tuple[int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """`weight` (out, in, rows, columns) float32, `bias` (out,); `stride` and `padding` are (vertical, horizontal)."""

    weight: Floats
    bias: Floats
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """`scale` and `shift`, (channels,) float32."""

    scale: Floats
    shift: Floats


@dataclass(frozen=True, slots=True)
class Pool:
    """`kernel` (0, 0) pools the whole picture."""

    kind: Literal["max", "average"]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """`weight` (in, out) float32, without a bias."""

    weight: Floats


@dataclass(frozen=True, slots=True)
class Relu:
    """What is negative becomes 0."""


@dataclass(frozen=True, slots=True)
class AddPrevious:
    """Add the output of a tagged layer; where the shapes differ, the smaller counts as padded with zeros at the end."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, or a skip to one: files do not say which, nor its number."""


Layer = Convolution | Affine | Pool | Dense | Relu | AddPrevious | Tag


@dataclass(frozen=True, slots=True, eq=False)
class Net:
    """`layers` run in this order: innermost first."""

    loss: MetricLoss | DetectorLoss
    input: Input
    layers: tuple[Layer, ...]


def read_net(data: bytes) -> Net:
    """The network in the bytes of a .dat file.

    Understood is what the networks in use are made of (see the classes above). Raises DamagedModelError for anything
    else, and for a file that is cut, altered or goes on after its end.
    """
    reader = _Reader(data)
    reader.expect(1, "a network")
    loss = _read_loss(reader)
    versions: list[int] = []
    while (number := reader.integer()) in (1, 2, 3):
        versions.append(number)
    # The first number that is no version is the length of the next name: the input's.
    input_ = _read_input(reader, reader.text(number))
    layers = tuple(Tag() if version == 1 else _read_layer(reader, version) for version in reversed(versions))
    if reader.remaining:
        raise reader.error(f"{reader.remaining:,} bytes follow the end of the network")
    return Net(loss, input_, layers)


# dlib writes infinities and NaN as exponents from 32000 on. This bound is far below, and far above any weight's; with
# it no number can overflow.
_LARGEST_EXPONENT = 900


class _Reader:
    """Walks over the bytes of a file that may be hostile."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self.offset = 0

    @property
    def remaining(self) -> int:
        return len(self._data) - self.offset

    def error(self, what: str, at: int | None = None) -> DamagedModelError:
        return damaged(what, self.offset if at is None else at)

    def take(self, count: int) -> memoryview:
        if not 0 <= count <= self.remaining:
            raise self.error(f"{count:,} bytes are announced and {self.remaining:,} are there")
        start, self.offset = self.offset, self.offset + count
        return self._data[start : self.offset]

    def integer(self) -> int:
        start = self.offset
        control = self.take(1)[0]
        length = control & 15
        if control & 0x70 or length > 8:
            raise self.error("no integer", start)
        magnitude = int.from_bytes(self.take(length), "little")
        return -magnitude if control & 0x80 else magnitude

    def pair(self) -> tuple[int, int]:
        return self.integer(), self.integer()

    def quad(self) -> tuple[int, int, int, int]:
        return self.integer(), self.integer(), self.integer(), self.integer()

    def expect(self, version: int, what: str) -> None:
        start = self.offset
        if (found := self.integer()) != version:
            raise self.error(f"{what} of version {found}, where only {version} is known", start)

    def boolean(self) -> None:
        """Check one and pass: no boolean in these files matters."""
        start = self.offset
        if self.take(1)[0] not in b"01":
            raise self.error("no boolean", start)

    def number(self) -> float:
        start = self.offset
        mantissa, exponent = self.pair()
        if exponent > _LARGEST_EXPONENT:
            raise self.error("no finite number", start)
        return math.ldexp(mantissa, exponent)

    def text(self, length: int) -> str:
        return bytes(self.take(length)).decode("latin-1")

    def name(self) -> str:
        return self.text(self.integer())

    def tensor(self) -> Floats:
        """All values of a tensor, flat; the aliases that follow it tell their shapes."""
        self.expect(2, "a tensor")
        start = self.offset
        shape = self.quad()
        if min(shape) < 0:
            raise self.error(f"a tensor of shape {shape}", start)
        values = np.frombuffer(self.take(4 * math.prod(shape)), "<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise self.error("a tensor with numbers that are not finite", start)
        return values

    def slices(self, values: Floats, count: int) -> list[Floats]:
        """The `count` slices of a tensor's values, in the shapes of the aliases read here."""
        start = self.offset
        slices, used = [], 0
        for _ in range(count):
            self.expect(1, "a tensor's slice")
            shape = self.quad()
            begin, used = used, used + math.prod(shape)
            if (min(shape) < 1 and any(shape)) or used > values.size:
                raise self.error(f"a slice of shape {shape} in a tensor of {values.size:,}", start)
            slices.append(values[begin:used].reshape(shape))
        if used != values.size:
            raise self.error(f"slices of {used:,} in a tensor of {values.size:,}", start)
        return slices


def _read_loss(reader: _Reader) -> MetricLoss | DetectorLoss:
    start = reader.offset
    match reader.name():
        case "loss_metric_2":
            return MetricLoss(margin=reader.number(), threshold=reader.number())
        case "loss_mmod_":
            reader.expect(1, "a detector's loss")
            return DetectorLoss(
                window=reader.pair(),
                false_alarm=reader.number(),
                miss=reader.number(),
                truth_iou=reader.number(),
                suppress=Overlap(iou=reader.number(), covered=reader.number()),
                ignore=Overlap(iou=reader.number(), covered=reader.number()),
            )
        case unknown:
            raise reader.error(f"an unknown loss, {unknown!r}", start)


def _read_input(reader: _Reader, name: str) -> Input:
    if name not in ("input_rgb_image_sized", "input_rgb_image_pyramid"):
        raise reader.error(f"an unknown input, {name!r}")
    mean = reader.number(), reader.number(), reader.number()
    return Input(mean, reader.pair() if name == "input_rgb_image_sized" else None)


def _read_layer(reader: _Reader, version: int) -> Layer:
    layer = _read_values(reader)
    for _ in range(3):  # is set up, its gradients are stale, its output is disabled
        reader.boolean()
    for _ in range(3):  # what training left: gradients and a cached output
        reader.tensor()
    if version == 3:  # of the innermost layer: how many samples a picture becomes
        reader.integer()
    return layer


def _read_values(reader: _Reader) -> Layer:
    start = reader.offset
    match reader.name():
        case "con_4":
            return _read_convolution(reader)
        case "affine_":
            scale, shift = reader.slices(reader.tensor(), 2)
            reader.integer()  # after a convolution or a dense layer: the shape tells
            return Affine(scale.ravel(), shift.ravel())
        case "bn_con2":
            return _read_batch_normalisation(reader)
        case "max_pool_2":
            return Pool("max", reader.pair(), reader.pair(), reader.pair())
        case "avg_pool_2":
            return Pool("average", reader.pair(), reader.pair(), reader.pair())
        case "fc_2":
            return _read_dense(reader)
        case "relu_":
            return Relu()
        case "add_prev_":
            return AddPrevious()
        case unknown:
            raise reader.error(f"an unknown layer, {unknown!r}", start)


def _read_convolution(reader: _Reader) -> Convolution:
    values = reader.tensor()
    start = reader.offset
    filters, kernel, stride, padding = reader.integer(), reader.pair(), reader.pair(), reader.pair()
    weight, bias = reader.slices(values, 2)
    _skip_training_rates(reader)
    if (filters, *kernel) != (weight.shape[0], *weight.shape[2:]) or bias.size != filters:
        raise reader.error(
            f"{filters} filters of {kernel}, but weights of {weight.shape} and {bias.size} biases", start
        )
    if min(stride) < 1 or min(padding) < 0:
        raise reader.error(f"a convolution of stride {stride} and padding {padding}", start)
    return Convolution(weight, bias.ravel(), stride, padding)


def _read_batch_normalisation(reader: _Reader) -> Affine:
    """In use, batch normalisation is an affine map made of the statistics that training left in the file."""
    start = reader.offset
    gamma, beta = (part.ravel().astype(np.float64) for part in reader.slices(reader.tensor(), 2))
    for _ in range(2):  # means and inverse deviations of training's last batch
        reader.tensor()
    mean, variance = (reader.tensor().astype(np.float64) for _ in range(2))
    reader.pair()  # updates of these statistics, and over how many batches they ran
    _skip_training_rates(reader)
    variance += reader.number()
    if not gamma.shape == beta.shape == mean.shape == variance.shape or (variance <= 0).any():
        raise reader.error("a batch normalisation with impossible statistics", start)
    scale = gamma / np.sqrt(variance)
    shift = beta - mean * scale
    if np.abs([scale, shift]).max(initial=0) > np.finfo(np.float32).max:
        raise reader.error("a batch normalisation with impossible statistics", start)
    return Affine(scale.astype(np.float32), shift.astype(np.float32))


def _read_dense(reader: _Reader) -> Dense:
    start = reader.offset
    outputs, inputs = reader.pair()
    weight, bias = reader.slices(reader.tensor(), 2)
    reader.integer()  # whether there is a bias: its shape tells
    _skip_training_rates(reader)
    if weight.shape != (inputs, outputs, 1, 1) or bias.size:
        raise reader.error(
            f"a dense layer of {inputs} to {outputs}, but weights of {weight.shape} and {bias.size} biases", start
        )
    return Dense(weight.reshape(inputs, outputs))


def _skip_training_rates(reader: _Reader) -> None:
    """Multipliers of learning rate and weight decay, for weights and for biases."""
    for _ in range(4):
        reader.number()


# ---------------------------------------------------------------------------------------------- shape predictors


@dataclass(frozen=True, slots=True, eq=False)
class ShapePredictor:
    """An ensemble of regression trees (Kazemi and Sullivan, CVPR 2014): C cascades of T trees of S splits for P
    points, reading F pixels. Coordinates are fractions of the face's box.

    `initial` (P, 2) float32 is the mean shape. Pixel f of cascade c lies at `delta[c, f]` (float32 x, y; in the frame
    of the mean shape) from point `anchor[c, f]`. Split s of tree t goes left, to split 2s + 1, if pixel
    `first[c, t, s]` minus pixel `second[c, t, s]` exceeds `threshold[c, t, s]`, else right, to 2s + 2; past the last
    split s lies leaf s - S of `leaves`, which is added to the shape.
    """

    initial: Floats
    anchor: NDArray[np.uint16]  # (C, F)
    delta: Floats  # (C, F, 2)
    first: NDArray[np.uint16]  # (C, T, S)
    second: NDArray[np.uint16]  # (C, T, S)
    threshold: Floats  # (C, T, S)
    leaves: Floats  # (C, T, S + 1, P, 2)


def read_shape_predictor(data: bytes) -> ShapePredictor:
    """The shape predictor in the bytes of a .dat file.

    Such a file is nothing but integers, so all of them are decoded at once and then cut into arrays. Raises
    DamagedModelError if the file is cut, altered or goes on after its end, and for trees of unequal shapes, which
    dlib's trainer does not make.
    """
    cursor = _Cursor(data)
    if cursor.size() != 1:
        raise cursor.error("no shape predictor of version 1", 0)
    initial = cursor.column()
    points = len(initial) // 2
    if len(initial) != 2 * points:
        raise cursor.error(f"a shape of {len(initial)} numbers")

    forest_start = cursor.index
    cascades, trees, splits = cursor.size(), cursor.size(), cursor.size()
    cursor.index -= 2  # trees and splits are announced again in each cascade and tree
    width = 2 + 4 * splits + (splits + 1) * (2 + 4 * points)
    forests = cursor.take(cascades * (1 + trees * width)).reshape(cascades, 1 + trees * width)
    grown = forests[:, 1:].reshape(cascades, trees, width)
    nodes = grown[..., 1 : 1 + 4 * splits].reshape(cascades, trees, splits, 4)
    leaves = grown[..., 2 + 4 * splits :].reshape(cascades, trees, splits + 1, 2 + 4 * points)
    if (
        (splits + 1) & splits
        or (forests[:, 0] != trees).any()
        or (grown[..., 0] != splits).any()
        or (grown[..., 1 + 4 * splits] != splits + 1).any()
        or (leaves[..., :2] != (-2 * points, -1)).any()
    ):
        raise cursor.error("regression trees of unequal or impossible shapes", forest_start)

    pixels_start = cursor.index
    anchor = cursor.table(cascades, 1)[..., 0]
    delta = cursor.table(cascades, 4).reshape(cascades, -1, 2, 2)
    if delta.shape[1] != anchor.shape[1] or not _within(anchor, points) or not _within(nodes[..., :2], anchor.shape[1]):
        raise cursor.error("trees that ask for pixels or points that are not there", pixels_start)
    if cursor.index != len(cursor.integers):
        raise cursor.error("more follows the end of the shape predictor")
    return ShapePredictor(
        initial=initial.reshape(points, 2),
        anchor=anchor.astype(np.uint16),
        delta=cursor.floats(delta, pixels_start),
        first=nodes[..., 0].astype(np.uint16),
        second=nodes[..., 1].astype(np.uint16),
        threshold=cursor.floats(nodes[..., 2:], forest_start),
        leaves=cursor.floats(
            leaves[..., 2:].reshape(cascades, trees, splits + 1, points, 2, 2),
            forest_start,
        ),
    )


def _within(indices: Integers, bound: int) -> bool:
    return bool(indices.min() >= 0 and indices.max() < min(bound, 2**16))


class _Cursor:
    """Walks over the integers of a file that may be hostile."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.integers = decode_integers(data)
        self.index = 0

    def error(self, what: str, at: int | None = None) -> DamagedModelError:
        offset = 0
        for _ in range(self.index if at is None else at):
            offset += 1 + (self._data[offset] & 15)
        return damaged(what, offset)

    def take(self, count: int) -> Integers:
        if count > len(self.integers) - self.index:
            raise self.error(f"{count:,} numbers are announced and {len(self.integers) - self.index:,} are there")
        start, self.index = self.index, self.index + count
        return self.integers[start : self.index]

    def size(self) -> int:
        """How many of something follow: at least one."""
        if (size := int(self.take(1)[0])) < 1:
            raise self.error(f"{size} of something", self.index - 1)
        return size

    def column(self) -> Floats:
        """A matrix of one column; dlib negates the sides of matrices."""
        rows, columns = self.take(2)
        if rows >= 0 or columns != -1:
            raise self.error(f"no column of numbers but a matrix of {-rows} x {-columns}", self.index - 2)
        start = self.index
        return self.floats(self.take(-2 * int(rows)).reshape(-1, 2), start)

    def table(self, rows: int, width: int) -> Integers:
        """(rows, N, width) integers: a list of `rows` lists of N each, N the same in all."""
        start = self.index
        listed, items = self.size(), self.size()
        self.index -= 1  # the number of items is announced again by each list
        lists = self.take(rows * (1 + items * width)).reshape(rows, 1 + items * width)
        if listed != rows or (lists[:, 0] != items).any():
            raise self.error("lists of unequal lengths", start)
        return lists[:, 1:].reshape(rows, items, width)

    def floats(self, pairs: Integers, start: int) -> Floats:
        """(...) float32 from (..., 2) mantissas and exponents, which lie somewhere behind integer `start`."""
        mantissas, exponents = pairs[..., 0], pairs[..., 1]
        with np.errstate(over="ignore", under="ignore"):
            values: Floats = np.ldexp(mantissas.astype(np.float32), exponents)
        if exponents.max() > _LARGEST_EXPONENT or not np.isfinite(values).all():
            raise self.error("a list with a number that is not finite", start)
        return values
