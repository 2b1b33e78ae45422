from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mien.errors import DamagedModelError, PhotoError, ToolError
from mien.protocols import Detector
from mien.seeing import eyes as module
from mien.seeing.eyes import (
    CLOSE_UP_SIDE,
    DLIB,
    DLIB_CLOSE_UP_SIDE,
    FACES_AT_ONCE,
    LEAST_SIDE,
    LONG_SIDE,
    SMALLEST_FACE,
    Eyes,
    Views,
)
from mien.seeing.second_look import SURE
from mien.testing import FakeDetector, FakeEncoder, FakeLandmarker, draw_photo, fake_eyes
from mien.types import Alignment, Box, EncoderChoice, Face, Floats, Photo, Picture, Pixels, SeenFace, SeenPhoto
from mien.vision.decoding import LEAST_SCALE
from mien.vision.images import read_picture
from mien.wiring import make_eyes

RED, GREEN, BLUE = (200, 40, 40), (40, 200, 40), (40, 40, 200)
QUARTERS = (1, 2, 3)


def picture(pixels: Pixels, scale: float = 1.0) -> Picture:
    height, width = pixels.shape[:2]
    return Picture(Photo("0" * 64, round(width / scale), round(height / scale), "PNG", "5a" * 8), pixels, scale)


def blank(width: int, height: int) -> Picture:
    return picture(np.zeros((height, width, 3), np.uint8))


def face(score: float, box: Box = (100.0, 100.0, 199.0, 199.0), detector: str = "scripted") -> Face:
    x0, y0, x1, y1 = box
    at = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.75), (0.65, 0.75)])
    return Face(box, (at * (x1 - x0, y1 - y0) + (x0, y0)).astype(np.float32), score, detector)


Script = Callable[[Pixels], list[Face]]


@dataclass(frozen=True)
class Scripted:
    """A detector that does as it is told, and writes down what it was shown; close-ups apart, which show it nothing,
    and the second look, which it is not asked for while it is sure."""

    script: Script = lambda _: []
    close_up: Script = lambda _: []
    id: str = "scripted"
    shown: list[tuple[int, int]] = field(default_factory=list)

    def detect(self, pixels: Pixels) -> list[Face]:
        if pixels.shape[:2] == (DLIB_CLOSE_UP_SIDE, DLIB_CLOSE_UP_SIDE):
            return self.close_up(pixels)
        self.shown.append((pixels.shape[1], pixels.shape[0]))
        return self.script(pixels)


def scripted_eyes(detector: Scripted) -> Eyes:
    return Eyes(detector, FakeLandmarker(), FakeEncoder(), 1)


def once(pixels: Pixels) -> list[Face]:
    """A face that is surely one, in a photo of 400 x 300 as it is."""
    return [face(SURE + 0.01)] if pixels.shape[:2] == (300, 400) else []


# At which sizes faces are looked for


@pytest.mark.parametrize(
    ("size", "smallest", "shown"),
    [
        ((600, 400), 0, (600, 400)),  # small as it is
        ((1600, 1200), 0, (800, 600)),  # the long side
        ((4000, 3000), 0, (1800, 1350)),  # what the smallest face needs
        ((4000, 500), 0, (1800, 225)),  # and in a panorama as well
        ((4000, 500), 80, (900, 112)),
        ((1000, 600), 16, (1000, 600)),
    ],
)
def test_the_finest_scale_is_that_of_the_smallest_face(
    size: tuple[int, int], smallest: int, shown: tuple[int, int]
) -> None:
    detector = Scripted()
    replace(scripted_eyes(detector), smallest_face=smallest).see(blank(*size))
    widest = max(width for width, _ in detector.shown)
    assert widest >= min(shown[0], 700), "tiles of at least that much"
    assert max(height for width, height in detector.shown if width == widest) <= shown[1]
    if max(shown) <= 1024:
        assert shown in detector.shown


def test_a_reduced_picture_is_looked_at_no_finer_than_the_photo_asks_for() -> None:
    whole, half = Scripted(), Scripted()
    scripted_eyes(whole).see(blank(1600, 1200))
    scripted_eyes(half).see(picture(np.zeros((600, 800, 3), np.uint8), 0.5))
    assert whole.shown == half.shown
    assert (LONG_SIDE, LONG_SIDE * 3 // 4) in half.shown


def test_faces_below_the_smallest_that_counts_are_not_reported() -> None:
    found = [face(0.95, (10.0, 10.0, 50.0, 50.0)), face(0.95, (100.0, 100.0, 160.0, 160.0))]
    eyes = scripted_eyes(Scripted(lambda pixels: found if pixels.shape == (300, 400, 3) else []))
    assert len(eyes.see(blank(400, 300)).faces) == 2
    (left,) = replace(eyes, smallest_face=60).see(blank(400, 300)).faces
    assert left.face.box == found[1].box
    assert replace(eyes, smallest_face=61).see(blank(400, 300)).faces == ()


def test_photos_are_read_no_smaller_than_their_smallest_faces_allow() -> None:
    eyes = scripted_eyes(Scripted())
    assert eyes.least_scale == LEAST_SCALE == LEAST_SIDE / SMALLEST_FACE
    assert replace(eyes, smallest_face=80).least_scale == LEAST_SIDE / 80
    assert replace(eyes, smallest_face=10).least_scale == 1


@pytest.mark.parametrize("turn", QUARTERS)
def test_a_photo_on_its_side_gives_boxes_in_its_own_pixels_and_the_same_embeddings(turn: int) -> None:
    upright = draw_photo([(RED, (20, 30, 120, 130)), (GREEN, (180, 60, 240, 120))])
    turned = picture(np.ascontiguousarray(np.rot90(upright, -turn)))
    seen = fake_eyes().see(turned).faces
    before = {tuple(one.embedding.vector.round(3)) for one in fake_eyes().see(picture(upright)).faces}
    assert {tuple(one.embedding.vector.round(3)) for one in seen} == before
    for one in seen:
        assert one.face.turn == turn
        x0, y0, x1, y1 = (round(value) for value in one.face.box)
        inside = turned.pixels[y0 + 2 : y1 - 1, x0 + 2 : x1 - 1].max(axis=2)
        assert inside.min() > 0, "the box holds the face"
        around = turned.pixels[y0 - 2 : y1 + 3, x0 - 2 : x1 + 3].max(axis=2)
        edges = (around[0], around[-1], around[:, 0], around[:, -1])
        assert not any(edge.any() for edge in edges), "and nothing else"
        assert np.ptp(one.face.landmarks, axis=0).max() < x1 - x0
        assert (one.face.landmarks > (x0, y0)).all() and (one.face.landmarks < (x1, y1)).all()
    chips = [fake_eyes().chip(turned, one.face, 96) for one in seen]
    assert {tuple(chip[60, 48]) for chip in chips} == {RED, GREEN}


def test_a_close_up_places_the_landmarks() -> None:
    def nearer(_: Pixels) -> list[Face]:
        off_centre = face(0.99, (0.0, 0.0, 60.0, 60.0))
        middle = (DLIB_CLOSE_UP_SIDE - 1) / 2
        return [off_centre, replace(face(0.7), box=(middle - 50, middle - 50, middle + 50, middle + 50))]

    (plain,) = scripted_eyes(Scripted(once)).see(blank(400, 300)).faces
    (closer,) = scripted_eyes(Scripted(once, nearer)).see(blank(400, 300)).faces
    assert plain.face.landmarks == pytest.approx(face(SURE).landmarks), "nothing seen there: its own stay"
    assert not np.allclose(closer.face.landmarks, plain.face.landmarks)
    assert (closer.face.box, closer.face.detector_score) == (plain.face.box, plain.face.detector_score)


def test_a_close_up_that_shows_somebody_else_is_ignored() -> None:
    eyes = scripted_eyes(Scripted(once, lambda _: [face(0.99, (0.0, 0.0, 60.0, 60.0))]))
    (found,) = eyes.see(blank(400, 300)).faces
    assert found.face.landmarks == pytest.approx(face(SURE).landmarks)


# What it makes of the faces


def test_faces_go_from_left_to_right_whatever_their_scores() -> None:
    boxes: list[Box] = [(x, 40.0, x + 40.0, 80.0) for x in (200.0, 20.0, 260.0, 120.0)]
    found = [face(0.99 - 0.01 * number, box) for number, box in enumerate(boxes)]
    whole = Scripted(lambda pixels: found if pixels.shape == (300, 400, 3) else [])
    seen = scripted_eyes(whole).see(blank(400, 300)).faces
    assert [one.face.box for one in seen] == sorted(boxes)


def test_a_reduced_picture_gives_full_size_pixels() -> None:
    pixels = draw_photo([(RED, (20, 30, 120, 130))])
    (whole,), (half,) = fake_eyes().see(picture(pixels)).faces, fake_eyes().see(picture(pixels, 0.5)).faces
    assert half.face.box == tuple(2 * value for value in whole.face.box)
    assert half.face.landmarks == pytest.approx(2 * whole.face.landmarks)
    assert half.quality.size == pytest.approx(2 * whole.quality.size)
    assert half.embedding.vector == pytest.approx(whole.embedding.vector)


def test_a_stadium_is_seen_in_slices() -> None:
    batches: list[int] = []

    class Counting(FakeEncoder):
        def encode(self, chips: NDArray[np.uint8]) -> Floats:
            batches.append(len(chips))
            return super().encode(chips)

    many = 2 * FACES_AT_ONCE + 3
    squares = [(RED if n % 2 else BLUE, (12 * n + 1.0, 4.0, 12 * n + 10.0, 13.0)) for n in range(many)]
    eyes = replace(fake_eyes(2), encoder=Counting())
    seen = eyes.see(picture(draw_photo(squares, 12 * many, 20))).faces
    assert batches == [2 * FACES_AT_ONCE, 2 * FACES_AT_ONCE, 2 * 3]
    assert [one.face.box[0] for one in seen] == pytest.approx([12 * n + 1 for n in range(many)], abs=1)


class Watching(FakeEncoder):
    """Keeps the chips that it is given, and needs a template."""

    chips: list[NDArray[np.uint8]]

    def encode(self, chips: NDArray[np.uint8]) -> Floats:
        object.__setattr__(self, "chips", list(chips))
        return super().encode(chips)


class NoTrees(FakeLandmarker):
    """Is not to be asked."""

    def landmarks(self, pixels: Pixels, boxes: Sequence[Box]) -> Floats:
        raise AssertionError("an encoder with a template uses the detector's points")


# Where a fake face has its landmarks, in a chip of 64 pixels that it fills but for a margin of 10.
POINTS = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.58), (0.35, 0.75), (0.65, 0.75))
TEMPLATE = tuple((10 + 44 * x, 10 + 44 * y) for x, y in POINTS)


@pytest.mark.parametrize("close_up", [True, False])
def test_an_encoder_with_a_template_gets_its_points_where_it_wants_them(close_up: bool) -> None:
    encoder = Watching("own", alignment=Alignment(TEMPLATE, close_up))
    eyes = replace(fake_eyes(4), encoder=encoder, landmarker=NoTrees())
    half = draw_photo([(RED, (100, 50, 200, 150))])
    half[50:151, 150:201] = BLUE  # the right half of the face
    (seen,) = eyes.see(picture(half)).faces
    upright, mirrored, *_ = encoder.chips
    assert len(encoder.chips) == 4 and np.linalg.norm(seen.embedding.vector) == pytest.approx(1)
    np.testing.assert_array_equal(mirrored, upright[:, ::-1])
    np.testing.assert_allclose(upright[40, (15, 48)], [RED, BLUE], atol=3)
    assert upright[:8].max() == 0 and upright[:, :8].max() == 0  # the margin shows what lies around the face
    assert tuple(map(len, eyes.encoder_chips(picture(half), seen.face))) == (64,) * 4


@pytest.mark.parametrize("number", [np.nan, np.inf, 0.0])
def test_embeddings_that_are_no_numbers_cost_the_photo(number: float) -> None:
    class Broken(FakeEncoder):
        def encode(self, chips: NDArray[np.uint8]) -> Floats:
            return np.full((len(chips), 128), number, np.float32)

    eyes = replace(fake_eyes(), encoder=Broken("broken"))
    error = eyes.see_read(lambda: picture(draw_photo([(RED, (20, 30, 120, 130))])), "ada.jpg")
    assert isinstance(error, PhotoError) and "no usable numbers" in str(error)


def test_a_close_up_is_made_only_where_the_encoder_wants_one() -> None:
    looks: list[tuple[int, ...]] = []

    class Counting(FakeDetector):
        def detect(self, pixels: Pixels) -> list[Face]:
            if pixels.shape[:2] == (CLOSE_UP_SIDE, CLOSE_UP_SIDE):
                looks.append(pixels.shape)
            return super().detect(pixels)

    for close_up, wanted in ((True, 1), (False, 0)):
        looks.clear()
        encoder = FakeEncoder(alignment=Alignment(TEMPLATE, close_up))
        replace(fake_eyes(), detector=Counting(), encoder=encoder).see(picture(draw_photo([(RED, (20, 30, 120, 130))])))
        assert len(looks) == wanted


@pytest.mark.parametrize("views", [1, 2, 4])
def test_every_number_of_views_gives_unit_embeddings(views: Views) -> None:
    (seen,) = fake_eyes(views).see(picture(draw_photo([(RED, (20, 30, 120, 130))]))).faces
    assert seen.embedding.vector.dtype == np.float32
    assert np.linalg.norm(seen.embedding.vector) == pytest.approx(1)
    assert seen.embedding.encoder_id == fake_eyes(views).encoder_id


def test_the_encoder_id_names_everything_an_embedding_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    eyes = fake_eyes()
    others = [
        replace(eyes, detector=FakeDetector("other")),
        replace(eyes, smallest_face=60),
        replace(eyes, doubtful_faces=True),
        replace(eyes, landmarker=FakeLandmarker("other")),
        replace(eyes, encoder=FakeEncoder("other")),
        replace(eyes, views=2),
        replace(eyes, encoder=FakeEncoder(alignment=Alignment(TEMPLATE))),
        replace(eyes, encoder=FakeEncoder(alignment=Alignment(TEMPLATE, close_up=False))),
    ]
    ids = {eyes.encoder_id, *(one.encoder_id for one in others)}
    monkeypatch.setattr(module, "RECIPE", "another")
    assert len(ids | {eyes.encoder_id}) == 10
    monkeypatch.undo()
    assert eyes.encoder_id == pickle.loads(pickle.dumps(eyes)).encoder_id == fake_eyes().encoder_id


def test_a_photo_that_cannot_be_read_is_an_answer_and_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    found = fake_eyes().see_file(tmp_path / "a.jpg")
    assert isinstance(found, PhotoError)
    assert (found.kind, found.__traceback__) == ("empty", None)


# Tools that mien did not bring


class Failing:
    """A detector, landmarker and encoder in one that raises whatever it is asked."""

    id = "failing-1"
    size = 64
    alignment = DLIB

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def detect(self, pixels: Pixels) -> list[Face]:
        raise self.error

    def landmarks(self, pixels: Pixels, boxes: Sequence[Box]) -> Floats:
        raise self.error

    def encode(self, chips: NDArray[np.uint8]) -> Floats:
        raise self.error


@pytest.mark.parametrize("role", ["detector", "landmarker", "encoder"])
def test_a_tool_that_fails_is_named_and_its_traceback_kept(tmp_path: Path, role: str) -> None:
    failing: Any = {role: Failing(ValueError("no such luck"))}
    eyes = replace(fake_eyes(), **failing, tracebacks=tmp_path / "kept")
    seen = picture(draw_photo([(RED, (20, 30, 120, 130))]))
    with pytest.raises(ToolError) as caught:
        eyes.see(seen)
    (file,) = (tmp_path / "kept").iterdir()
    assert caught.value.message == (
        f"The {role} failing-1 failed (ValueError: no such luck); its traceback is in {file}."
    )
    assert "raise self.error" in file.read_text() and "ValueError: no such luck" in file.read_text()


def test_a_photo_on_which_a_tool_fails_is_an_answer_and_the_next_is_seen(tmp_path: Path) -> None:
    for name, box in (("a.png", (20, 30, 120, 130)), ("b.png", (20, 30, 60, 70))):
        Image.fromarray(draw_photo([(RED, box)])).save(tmp_path / name)

    class Fussy(FakeDetector):
        def detect(self, pixels: Pixels) -> list[Face]:
            found = super().detect(pixels)
            if pixels.shape[0] != DLIB_CLOSE_UP_SIDE and found[0].box[2] - found[0].box[0] > 90:
                raise ValueError("too large for me")
            return found

    eyes = replace(fake_eyes(), detector=Fussy("fussy"), tracebacks=tmp_path / "kept")
    failed, seen = eyes.see_file(tmp_path / "a.png"), eyes.see_file(tmp_path / "b.png")
    assert isinstance(failed, PhotoError) and failed.kind == "tool"
    assert [failed.__traceback__, failed.__cause__, failed.__context__] == [None] * 3, "nothing holds the picture"
    assert str(failed).startswith(f"{tmp_path / 'a.png'} could not be seen. The detector fussy failed (ValueError: too")
    assert isinstance(seen, SeenPhoto) and len(seen.faces) == 1


def test_a_mistake_of_miens_own_tools_is_seen_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def detect(self: FakeDetector, pixels: Pixels) -> list[Face]:
        raise ValueError("a mistake")

    monkeypatch.setattr(FakeDetector, "detect", detect)
    with pytest.raises(ValueError, match="a mistake"):
        fake_eyes().see(blank(64, 64))


def test_ctrl_c_and_errors_that_a_tool_may_raise_pass() -> None:
    for error in (KeyboardInterrupt(), DamagedModelError("The network", "is damaged", "Reinstall it.")):
        with pytest.raises(type(error)):
            replace(fake_eyes(), detector=Failing(error)).see(blank(64, 64))


# The real tools


@pytest.fixture(scope="module")
def eyes() -> Eyes:
    return make_eyes(EncoderChoice(views=1))


@pytest.fixture(scope="module")
def portrait(sample: Path) -> Pixels:
    with Image.open(sample / "people/Nora/03.jpg") as image:
        return np.asarray(image.convert("RGB"))


def one_face(eyes: Eyes, file: Path) -> SeenFace:
    seen = eyes.see_file(file)
    assert not isinstance(seen, PhotoError)
    (found,) = seen.faces
    return found


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(0.0, width) * max(0.0, height)
    return common / (sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)) - common)


STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera that writes this EXIF orientation stores an upright scene."""


def test_the_eight_exif_orientations_are_one_photo(eyes: Eyes, portrait: Pixels, tmp_path: Path) -> None:
    found = {}
    for orientation, turn in STORED.items():
        image = Image.fromarray(portrait)
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = tmp_path / f"{orientation}.jpg"
        (image if turn is None else image.transpose(turn)).save(file, exif=exif, quality=95)
        found[orientation] = one_face(eyes, file)
    upright = found[1]
    for orientation, seen in found.items():
        assert overlap(seen.face.box, upright.face.box) >= 0.9, orientation
        assert float(seen.embedding.vector @ upright.embedding.vector) >= 0.98, orientation
        assert seen.face.turn == 0


@pytest.mark.parametrize("turn", QUARTERS)
@pytest.mark.parametrize("person", ["Amara", "Kenji", "Marco"])
def test_a_photo_that_lost_its_orientation_is_turned_upright(
    eyes: Eyes, sample: Path, tmp_path: Path, person: str, turn: int
) -> None:
    with Image.open(sample / f"people/{person}/02.jpg") as image:
        image.rotate(-90 * turn, expand=True).save(tmp_path / "turned.png")
    upright, turned = one_face(eyes, sample / f"people/{person}/02.jpg"), one_face(eyes, tmp_path / "turned.png")
    assert turned.face.turn == turn
    assert float(turned.embedding.vector @ upright.embedding.vector) >= 0.97


@dataclass(frozen=True)
class Blinkered:
    """A detector that reports, of the faces that another one finds in a whole photo of this shape, only those whose
    middle lies at `x`, in parts of the width."""

    of: Detector
    shape: float
    x: float
    id: str = "blinkered"

    def detect(self, pixels: Pixels) -> list[Face]:
        faces = self.of.detect(pixels)
        if abs(pixels.shape[0] / pixels.shape[1] - self.shape) > 0.01:
            return faces
        return [one for one in faces if abs((one.box[0] + one.box[2]) / 2 / pixels.shape[1] - self.x) < 0.02]


def test_an_embedding_does_not_depend_on_company_to_the_bit(eyes: Eyes, sample: Path) -> None:
    group = read_picture(sample / "groups/02.jpg")
    together = eyes.see(group).faces
    assert len(together) >= 3
    for one in together:
        shape, x = group.photo.height / group.photo.width, (one.face.box[0] + one.face.box[2]) / 2 / group.photo.width
        (alone,) = replace(eyes, detector=Blinkered(eyes.detector, shape, x)).see(group).faces
        assert alone.embedding.vector.tobytes() == one.embedding.vector.tobytes()


def test_no_face_is_seen_where_there_is_none(eyes: Eyes, sample: Path) -> None:
    photos = sorted((sample / "no-face").glob("*.jpg"))
    assert photos
    for photo in photos:
        seen = eyes.see_file(photo)
        assert not isinstance(seen, PhotoError) and seen.faces == (), photo.name


def test_a_face_that_fills_the_picture_and_one_in_a_crowd_are_found(eyes: Eyes, portrait: Pixels) -> None:
    (usual,) = eyes.see(picture(portrait)).faces
    x0, y0, x1, y1 = (round(value) for value in usual.face.box)
    close = np.ascontiguousarray(portrait[y0:y1, x0:x1])
    large = np.asarray(cv2.resize(close, None, fx=1500 / close.shape[1], fy=1500 / close.shape[1]), np.uint8)
    (found,) = eyes.see(picture(large)).faces
    assert float(found.embedding.vector @ usual.embedding.vector) >= 0.9

    small = cv2.resize(portrait, None, fx=24 / (x1 - x0), fy=24 / (x1 - x0), interpolation=cv2.INTER_AREA)
    wide = np.full((1200, 1600, 3), 90, np.uint8)
    wide[600 : 600 + small.shape[0], 700 : 700 + small.shape[1]] = small
    (found,) = eyes.see(picture(wide)).faces
    assert overlap(found.face.box, (700.0, 600.0, 700.0 + small.shape[1], 600.0 + small.shape[0])) > 0.1


def test_open_eyes_have_opened_their_networks() -> None:
    eyes = make_eyes(EncoderChoice(views=1))
    assert eyes.open() is eyes
    for tool, part in ((eyes.detector, "_session"), (eyes.encoder, "_session"), (eyes.landmarker, "_forest")):
        assert part in vars(tool)
