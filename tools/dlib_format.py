"""Read dlib's .dat files of networks, with numpy alone. (Those of shape predictors are read by the package.)

dlib writes no schema, only values in the order of its C++ types (dlib/serialize.h, dlib/dnn/layers.h and tensor.h):

    integer   control byte c, then c & 15 bytes of little-endian magnitude; c & 128 says negative
    float     two integers: mantissa, exponent; the value is mantissa * 2**exponent
    bool      ASCII "0" or "1"
    string    integer length, then the bytes
    tensor    version 2, four integers (samples, channels, rows, columns), then raw little-endian float32
    alias     version 1, four integers: the shape of a slice of some tensor

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

from mien.errors import DamagedModelError
from mien.networks.dlib_integers import damaged
from mien.types import Floats


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
