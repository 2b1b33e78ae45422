"""For the tests of people who write plug-ins, and for mien's own: tools that need no weights, and what a tool promises.

    def test_my_detector() -> None:
        check_detector(MyDetector(), a_photo_with_faces)

The fakes see a world in which a face is a coloured square with a white stripe along its top, on black: its colour is
who it is. `draw_photo` paints such photos, and `fake_eyes` sees them; a whole album is aligned and trained in no time.
For sources there is a `FakeWeb` to read, a `FakeSink` to write into, and a `FakeSource` to collect from.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.encoders.shelf import BUILT_IN, known
from mien.errors import FetchError
from mien.learning.openset import default_threshold
from mien.protocols import Detector, Encoder, Head, Landmarker, Sink, Source
from mien.seeing.eyes import DLIB, Eyes, Views
from mien.text.fetching import FetchFault
from mien.types import Alignment, Box, Cosines, Face, Floats, LeastQuality, Offer, Page, Pixels, Receipt

Colour = tuple[int, int, int]
"""RGB."""

DIMENSIONS = 128
"""Numbers in an embedding of the `FakeEncoder`."""

COSINES: Cosines = cast("Cosines", known()[BUILT_IN].cosines)
"""What is true of the built-in encoder's cosines."""

ANY_QUALITY = LeastQuality(0.0, 0.0)
"""What the `FakeEncoder` asks of a face, unless it is told to ask for more."""

_INK = 48
"""A pixel with a channel above this is of a face: JPEG leaves the black around it a little dirty."""
_STRIPE = 8
"""The stripe is one in so many parts of a face's height."""
_LANDMARKS = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.58), (0.35, 0.75), (0.65, 0.75)])
"""Where a face has its `Face.landmarks`, in parts of its square."""
_POINTS = np.array([(0.86, 0.21), (0.65, 0.23), (0.12, 0.21), (0.33, 0.23), (0.49, 0.63)])
"""Where the square given to a `Landmarker` has dlib's five points, much as in the mean face."""


def draw_photo(faces: Iterable[tuple[Colour, Box]], width: int = 320, height: int = 240) -> Pixels:
    """A (height, width, 3) uint8 RGB photo of faces, each (its colour, its square). Colours should have a channel above
    100; two that are 80 apart in some channel are two people."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for colour, box in faces:
        x0, y0, x1, y1 = (round(value) for value in box)
        pixels[y0:y1, x0:x1] = colour
        pixels[y0 : y0 + max(1, (y1 - y0) // _STRIPE), x0:x1] = 255
    return pixels


@dataclass(frozen=True)
class FakeDetector:
    """A `Detector` of squares of 8 pixels and more. It is surer of faces that stand upright, and misplaces the
    landmarks of others, as YuNet does."""

    id: str = "fake-detector"

    def detect(self, pixels: Pixels) -> list[Face]:
        ink = (pixels.max(axis=2) > _INK).astype(np.uint8)
        count, _, table, _ = cv2.connectedComponentsWithStats(ink)
        faces = [self._face(pixels, *map(int, row[:4])) for row in table[1:count] if min(row[2], row[3]) >= 8]
        return sorted(faces, key=lambda face: -face.detector_score)

    def _face(self, pixels: Pixels, x: int, y: int, width: int, height: int) -> Face:
        stripe = pixels[y : y + max(1, height // (2 * _STRIPE)), x : x + width]
        score = 0.95 if stripe.min(axis=2).mean() > 192 else 0.7
        landmarks = (_LANDMARKS * (width - 1, height - 1) + (x, y)).astype(np.float32)
        return Face((float(x), float(y), float(x + width - 1), float(y + height - 1)), landmarks, score, self.id)


@dataclass(frozen=True)
class FakeLandmarker:
    """A `Landmarker` that knows where points belong in a square and does not look."""

    id: str = "fake-landmarker"

    def landmarks(self, pixels: Pixels, boxes: Sequence[Box]) -> Floats:
        corners = np.asarray(boxes, np.float64).reshape(-1, 1, 4)
        return (corners[..., :2] + _POINTS * (corners[..., 2:] - corners[..., :2])).astype(np.float32)


@dataclass(frozen=True)
class FakeEncoder:
    """An `Encoder` of the colour in the middle of a chip: how near it is to each of 5 x 5 x 5 colours, and three zeros.
    The cosine of two colours falls smoothly with their distance: about 0.94 if they are 16 apart in one channel, and
    about 0.4 if 64. Of its cosines it says what is true of the built-in encoder's."""

    id: str = "fake-encoder"
    size: int = 64
    dimensions: int = DIMENSIONS
    alignment: Alignment = DLIB
    cosines: Cosines | None = COSINES
    least: LeastQuality = ANY_QUALITY

    @property
    def weights_sha256(self) -> str:
        return hashlib.sha256(self.id.encode()).hexdigest()

    def encode(self, chips: NDArray[np.uint8]) -> Floats:
        third = self.size // 3
        levels = np.linspace(0.0, 256.0, 5)
        rows = np.zeros((len(chips), DIMENSIONS), np.float32)
        for row, chip in zip(rows, chips, strict=True):
            middle = chip[third:-third, third:-third].mean(axis=(0, 1), dtype=np.float64)
            red, green, blue = np.exp(-(((middle[:, None] - levels) / 32) ** 2) / 2)
            row[:125] = np.einsum("r,g,b->rgb", red, green, blue).ravel()
        return rows


def fake_eyes(views: Views = 1, encoder: str = FakeEncoder.id) -> Eyes:
    """Eyes for the photos of `draw_photo`. With another name the encoder counts as another one."""
    return Eyes(FakeDetector(), FakeLandmarker(), FakeEncoder(encoder), views)


@dataclass
class FakeSink:
    """A `Sink` in memory that takes `limit` bytes."""

    limit: int = 64 << 20
    data: bytes = b""

    @property
    def size(self) -> int:
        return len(self.data)

    def write(self, data: bytes) -> None:
        if len(self.data) + len(data) > self.limit:
            raise FetchError("The photo", "is too large", "Raise the limit.", FetchFault.TOO_LARGE)
        self.data += data

    def restart(self) -> None:
        self.data = b""


@dataclass
class FakeWeb:
    """A `Web` of the pages and pictures given by URL, and of no others. An error among them is raised. `asked` are the
    URLs that it was asked for, in order."""

    pages: Mapping[str, bytes | str | Page | FetchError] = field(default_factory=dict)
    pictures: Mapping[str, bytes | FetchError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def page(self, url: str) -> Page:
        found = self._find(self.pages, url)
        if isinstance(found, Page):
            return found
        return Page(url, found.encode() if isinstance(found, str) else found, None)

    def picture(self, url: str, into: Sink, since: str) -> Receipt | None:
        data = self._find(self.pictures, url)
        stamp = hashlib.sha256(data).hexdigest()
        if stamp == since:
            return None
        into.write(data)
        return Receipt(stamp, "allowed")

    def _find(self, among: Mapping[str, Any], url: str) -> Any:
        with self._lock:
            self.asked.append(url)
        found = among.get(url, FetchError(url, "is nowhere", "Check the address.", FetchFault.GONE))
        if isinstance(found, FetchError):
            raise found
        return found


@dataclass(frozen=True)
class FakeSource:
    """A `Source` of photos in memory: location -> (person, bytes). With `stamps` its listing tells which photos have
    changed. An error in the place of a photo is yielded by `offers` if it has no person, and raised by `fetch` if it
    has."""

    photos: Mapping[str, tuple[str, bytes | FetchError]]
    stamps: bool = True

    def offers(self) -> Iterator[Offer | FetchError]:
        for location, (person, data) in self.photos.items():
            if isinstance(data, FetchError):
                yield Offer(location, person, location.rsplit("/", 1)[-1]) if person else data
            else:
                stamp = hashlib.sha256(data).hexdigest() if self.stamps else ""
                yield Offer(location, person, location.rsplit("/", 1)[-1], stamp)

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        gone = FetchError(offer.location, "is not there any more", "Nothing needs doing.", FetchFault.GONE)
        data = self.photos.get(offer.location, ("", gone))[1]
        if isinstance(data, FetchError):
            raise data
        stamp = hashlib.sha256(data).hexdigest()
        if stamp == since:
            return None
        into.write(data)
        return Receipt(stamp)


def check_detector(detector: Detector, photo: Pixels) -> None:
    """Raises AssertionError unless `detector` keeps the promises of `mien.protocols`; it should find a face in `photo`
    (HxWx3 uint8 RGB)."""
    pixels = _frozen(photo)
    faces = detector.detect(pixels)
    assert faces, "it finds no face; give a photo in which it should"
    _check_faces(faces, photo)
    scores = [face.detector_score for face in faces]
    assert scores == sorted(scores, reverse=True), "the best score must come first"
    for twin in _twins(detector):
        again = twin.detect(pixels)
        assert [_told(face) for face in again] == [_told(face) for face in faces], "the same photo, other faces"
    for height, width in ((1, 1), (7, 300), (300, 7)):
        assert isinstance(detector.detect(np.zeros((height, width, 3), np.uint8)), list), "any size must do"


def check_landmarker(landmarker: Landmarker, photo: Pixels, boxes: Sequence[Box]) -> None:
    """Raises AssertionError unless `landmarker` keeps the promises of `mien.protocols`; `boxes` (two or more) are the
    squares of faces in `photo`, see `mien.vision.geometry.square_from_landmarks`."""
    pixels = _frozen(photo)
    points = landmarker.landmarks(pixels, boxes)
    _check_floats(points, (len(boxes), 5, 2))
    _check_floats(landmarker.landmarks(pixels, []), (0, 5, 2))
    for twin in _twins(landmarker):
        for box, five in zip(boxes, points, strict=True):
            assert np.array_equal(twin.landmarks(pixels, [box])[0], five), "a face's points depend on its company"
    outside = (-50.0, -50.0, photo.shape[1] + 50.0, photo.shape[0] + 50.0)
    _check_floats(landmarker.landmarks(pixels, [outside]), (1, 5, 2))


def check_encoder(encoder: Encoder, chips: NDArray[np.uint8]) -> None:
    """Raises AssertionError unless `encoder` keeps the promises of `mien.protocols`; `chips` (N, size, size, 3), two or
    more, should be of faces."""
    assert chips.shape[1:] == (encoder.size, encoder.size, 3), f"give chips of {encoder.size} pixels"
    chips = _frozen(chips)
    rows = encoder.encode(chips)
    _check_floats(rows, (len(chips), encoder.dimensions))
    assert np.linalg.norm(rows, axis=1).min() > 0, "a vector of length 0 has no direction"
    _check_floats(encoder.encode(chips[:0]), (0, encoder.dimensions))
    assert len(encoder.weights_sha256) == 64, "weights_sha256 is a SHA-256 in hex"
    template = encoder.alignment.template
    assert template is None or np.shape(template) == (5, 2), "a template is five points, or None"
    assert encoder.least.size >= 0 and 0 <= encoder.least.sharpness < 1, "a size, and a sharpness in 0..1"
    if encoder.cosines is not None:
        _check_cosines(encoder.cosines)
    assert np.array_equal(encoder.encode(chips[::-1]), rows[::-1]), "a row depends on its place in the batch"
    for twin in _twins(encoder):
        for number in range(len(chips)):
            alone = twin.encode(chips[number : number + 1])
            assert np.array_equal(alone[0], rows[number]), "a row depends on what else is in the batch, or on the run"


def _check_cosines(cosines: Cosines) -> None:
    assert cosines.slope > 0 and cosines.temperature > 0, "slope and temperature of a calibration are above 0"
    assert cosines.mislabelled >= 0 and cosines.contradicted >= 0, "a margin is not below 0"
    assert 0 < cosines.same_face <= 1 and 0 < cosines.near_duplicate <= 1, "what is the same has a cosine of at most 1"
    by_people = [default_threshold(people, 5, 0.01, cosines) for people in (1, 10, 100, 1000)]
    assert by_people == sorted(by_people), "the more people, the higher a stranger scores"


def check_head(head: Head, embeddings: Floats) -> None:
    """Raises AssertionError unless `head` keeps the promises of `mien.protocols`; `embeddings` is (N, D) unit
    float32."""
    people = head.people
    assert isinstance(people, tuple) and len(set(people)) == len(people) > 0, "people are a tuple of different names"
    embeddings = _frozen(embeddings)
    scores = head.scores(embeddings)
    _check_floats(scores, (len(embeddings), len(people)))
    assert np.abs(scores).max() <= 1 + 1e-5, "a cosine is no more than 1"
    _check_floats(head.scores(embeddings[:0]), (0, len(people)))
    alone = np.concatenate([head.scores(one[None]) for one in embeddings])
    assert np.allclose(alone, scores, rtol=0, atol=1e-5), "a face's scores depend on its company"


def check_source(make_source: Callable[[], Source]) -> None:
    """Raises AssertionError unless the sources that `make_source` makes keep the promises of `mien.protocols`. All of
    its photos are fetched, so give it a few: two or more."""
    source = make_source()
    listed = list(source.offers())
    offers = [each for each in listed if isinstance(each, Offer)]
    assert len(offers) >= 2, "it offers nothing to check; let it have two photos or more"
    for each in listed:
        _check_offered(each)
    locations = [offer.location for offer in offers]
    assert len({(offer.location, offer.person) for offer in offers}) == len(offers), "a photo is offered twice"
    for relisted in (source.offers(), make_source().offers()):
        assert list(map(_told_of, relisted)) == list(map(_told_of, listed)), "listed again, it offers something else"
    with ThreadPoolExecutor(8) as threads:
        fetched = list(threads.map(partial(_check_fetch, source), offers))
        again = list(threads.map(partial(_check_fetch, source), offers))
    assert again == fetched, "fetched again, a photo has other bytes"
    for place in (f"{locations[0]}-gone", "../../../../../../../../etc/hosts"):
        _refuses(source, Offer(place, offers[0].person, "gone"), FakeSink(), "a photo that it does not have")
    error = _refuses(source, offers[0], FakeSink(len(fetched[0]) - 1), "a photo that is too large")
    assert error.kind is FetchFault.TOO_LARGE, "an error of the sink must come through as it is"


def _check_offered(each: Offer | FetchError) -> None:
    if isinstance(each, FetchError):
        assert each.about and each.what and each.remedy, "an error says what is wrong with what, and what to do"
        assert isinstance(each.kind, FetchFault), f"the kind of an error is a FetchFault, not {each.kind!r}"
        return
    assert isinstance(each, Offer), f"it offers {each!r}, which is neither an Offer nor a FetchError"
    for text in (each.location, each.person, each.name, each.stamp, each.licence, *each.listed):
        assert isinstance(text, str), f"{each} holds something that is no text"
        text.encode()
    assert each.location.strip() and each.person.strip() and each.name.strip(), f"{each} leaves something empty"
    assert not {"/", "\\", "\0"} & set(each.name), f"{each.name!r} is a path and not a name"


def _told_of(each: Offer | FetchError) -> object:
    return each if isinstance(each, Offer) else each.args


def _check_fetch(source: Source, offer: Offer) -> bytes:
    sink = FakeSink()
    receipt = source.fetch(offer, sink, "")
    assert isinstance(receipt, Receipt), "a photo that was never fetched cannot be unchanged: a Receipt is due"
    assert sink.data, f"{offer.location} has no bytes"
    assert offer.stamp in ("", receipt.stamp), "the stamp of the listing is not that of the photo: it would come daily"
    if receipt.stamp:
        unchanged = FakeSink()
        assert source.fetch(offer, unchanged, receipt.stamp) is None, "with its own stamp a photo is unchanged: None"
        assert not unchanged.size, "nothing is written where nothing has changed"
    return sink.data


def _refuses(source: Source, offer: Offer, sink: FakeSink, what: str) -> FetchError:
    try:
        receipt = source.fetch(offer, sink, "")
    except FetchError as error:
        return error
    raise AssertionError(f"{what} gives {receipt} and not a FetchError")


def _check_faces(faces: Sequence[Face], photo: Pixels) -> None:
    for face in faces:
        x0, y0, x1, y1 = face.box
        assert all(isinstance(value, float) for value in face.box), "a box is four floats"
        assert x0 < x1 and y0 < y1, f"the box {face.box} is empty"
        assert x0 < photo.shape[1] and y0 < photo.shape[0] and x1 > 0 and y1 > 0, f"{face.box} is not in the photo"
        _check_floats(face.landmarks, (5, 2))
        assert isinstance(face.detector_score, float), "a score is a float"
        assert face.turn == 0, "a detector sees upright faces; turning the photo is not its affair"
        assert face.detector, "a face names its detector"


def _check_floats(array: NDArray[Any], shape: tuple[int, ...]) -> None:
    assert array.dtype == np.float32, f"float32 is needed, not {array.dtype}"
    assert array.shape == shape, f"the shape is {array.shape} and should be {shape}"
    assert np.isfinite(array).all(), "there is a number that is not finite"


def _twins(tool: Any) -> list[Any]:
    """The tool itself once more, and a copy made as pickle makes one: numbers and id must stay."""
    twin = copy.deepcopy(tool)
    assert isinstance(tool.id, str) and tool.id, "an id is a text"
    assert twin.id == tool.id, "the copy has another id"
    return [tool, twin]


def _told(face: Face) -> tuple[object, ...]:
    return (face.box, face.landmarks.tobytes(), face.detector_score, face.detector)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A copy that cannot be written to: what a tool is shown is not its own."""
    array = array.copy()
    array.flags.writeable = False
    return array
