from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import pytest
from PIL import Image

from mien import Album, classify
from mien.errors import EncoderMismatchError, UsageError
from mien.open_album import eyes_of
from mien.recogniser import Recogniser
from mien.registry import versions
from mien.registry.folder import Model
from mien.seeing.eyes import Eyes
from mien.testing import FakeDetector, FakeEncoder
from mien.types import Answer, Face, LeastQuality, Pixels
from mien.wiring import make_eyes

if TYPE_CHECKING:
    from conftest import Painted


@pytest.fixture
def trained(taught: Painted) -> Painted:
    taught.looked()
    return taught


@pytest.fixture
def model(trained: Painted) -> Model:
    return in_use(trained)


def in_use(painted: Painted) -> Model:
    """The model in use."""
    return versions.load(painted.folder / "models", painted.open().version or "")


@pytest.fixture
def other(trained: Painted, model: Model) -> Model:
    """A model of the same encoder that does not know Bo."""
    trained.open().remove("Bo")
    return in_use(trained)


@pytest.fixture
def strange(trained: Painted, model: Model) -> Model:
    """A model of another encoder."""
    trained.open(precision="int8").train()
    found = in_use(trained)
    assert found.encoder_id != model.encoder_id
    return found


def photo(trained: Painted, folder: Path, person: str) -> Path:
    return trained.paint(folder / f"{person}.png", person)


def names(answer: Answer) -> list[str | None]:
    return [face.prediction.person for face in answer.faces]


def pixels_of(file: Path) -> Pixels:
    with Image.open(file) as image:
        return np.asarray(image)


# What it takes


def test_a_photo_may_be_a_path_bytes_an_image_or_an_array(trained: Painted, model: Model, tmp_path: Path) -> None:
    file = photo(trained, tmp_path, "Ada")
    with Recogniser(model, trained.eyes_of) as recogniser:
        answers = [
            recogniser.answer(given)
            for given in (file, str(file), file.read_bytes(), Image.open(file), pixels_of(file))
        ]
    assert [answer.path for answer in answers] == [str(file)] * 2 + ["image 1"] * 3
    first, *others = [answer.to_json() | {"photo": ""} for answer in answers]
    assert others == [first] * 4 and first["faces"][0]["person"] == "Ada"
    assert [answer.photo.format for answer in answers if answer.photo] == ["PNG"] * 3 + [""] * 2


def test_those_without_a_path_are_counted(trained: Painted, model: Model, tmp_path: Path) -> None:
    ada, bo = (photo(trained, tmp_path, person) for person in ("Ada", "Bo"))
    with Recogniser(model, trained.eyes_of) as recogniser:
        answers = list(recogniser.answers([pixels_of(bo), ada, b"", ada.read_bytes()]))
    assert [answer.path for answer in answers] == ["image 1", str(ada), "image 2", "image 3"]
    assert [names(answer) for answer in answers] == [["Bo"], ["Ada"], [], ["Ada"]]
    assert answers[2].error is not None and answers[2].error.message == "image 2 is empty."


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (np.zeros((4, 4), np.uint8), "is an array of shape (4, 4) and type uint8"),
        (np.zeros((4, 4, 4), np.uint8), "is an array of shape (4, 4, 4) and type uint8"),
        (np.zeros((4, 4, 3), np.float32), "is an array of shape (4, 4, 3) and type float32"),
        (np.zeros((2, 4, 4, 3), np.uint8), "is an array of shape (2, 4, 4, 3) and type uint8"),
        (np.zeros((0, 4, 3), np.uint8), "is an array of shape (0, 4, 3) and type uint8"),
        (7, "is of the type int"),
        (None, "is of the type NoneType"),
    ],
)
def test_anything_else_is_refused_with_what_is_wanted(trained: Painted, model: Model, given: Any, what: str) -> None:
    wanted = (
        "Give a path, the bytes of a file, a PIL image, or an array of shape (height, width, 3) and type uint8, RGB."
    )
    with Recogniser(model, trained.eyes_of) as recogniser:
        asks: list[Callable[[], object]] = [
            lambda: recogniser.answer(given),
            lambda: list(recogniser.answers([given])),
            lambda: trained.open().classify(given),
            lambda: trained.open().classify([given]),
            lambda: classify([given], trained.folder / "models" / model.version, eyes=trained.eyes),
        ]
        for ask in asks:
            with pytest.raises(UsageError) as caught:
                ask()
            assert str(caught.value) == f"image 1 {what}. {wanted}"


def test_at_least_one_name_is_asked_for(trained: Painted, model: Model) -> None:
    with Recogniser(model, trained.eyes_of) as recogniser:
        for ask in (recogniser.answer, recogniser.answers):
            with pytest.raises(UsageError, match=r"^top is 0, which asks for no name\."):
                ask([], top=0)  # type: ignore[arg-type]


def test_endless_photos_are_taken_a_few_at_a_time(trained: Painted, model: Model, tmp_path: Path) -> None:
    pixels, taken = pixels_of(photo(trained, tmp_path, "Ada")), count()

    def frames() -> Iterator[Pixels]:
        for _ in taken:
            yield pixels

    with Recogniser(model, trained.eyes_of, workers=1) as recogniser:
        answers = recogniser.answers(frames())
        assert [next(answers).path for _ in range(3)] == ["image 1", "image 2", "image 3"]
        answers.close()
    assert next(taken) <= 6


# Many threads


class Gate(FakeDetector):
    """A detector that waits at a gate, and counts who waits."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__.update(inside=threading.Semaphore(0), opened=threading.Event())

    def detect(self, pixels: Pixels) -> list[Face]:
        self.__dict__["inside"].release()
        assert self.__dict__["opened"].wait(60)
        return super().detect(pixels)

    def wait_for_one(self) -> None:
        assert self.__dict__["inside"].acquire(timeout=60)

    def open(self) -> None:
        self.__dict__["opened"].set()


def test_many_threads_share_as_many_eyes_as_there_are_workers(trained: Painted, model: Model, tmp_path: Path) -> None:
    made: list[Eyes] = []
    lent: set[int] = set()
    guard = threading.Lock()

    class Watched(FakeDetector):
        def detect(self, pixels: Pixels) -> list[Face]:
            with guard:
                assert id(self) not in lent, "two threads see with one set of eyes"
                lent.add(id(self))
            found = super().detect(pixels)
            with guard:
                lent.remove(id(self))
            return found

    def watched(model: Model) -> Eyes:
        made.append(replace(trained.eyes_of(model), detector=Watched()))
        return made[-1]

    people = ["Ada", "Bo", "Cy"]
    frames = [pixels_of(photo(trained, tmp_path, person)) for person in people]
    with Recogniser(model, watched, workers=2) as recogniser, ThreadPoolExecutor(12) as executor:
        assert len(made) == 1, "the others are made when they are needed"
        answers = list(executor.map(lambda number: recogniser.answer(frames[number % 3]), range(150)))
        assert [names(answer) for answer in answers] == [[people[number % 3]] for number in range(150)]
        assert len(list(recogniser.answers(frames * 5))) == 15
    assert len(made) <= 2


def test_opencv_has_one_thread_a_call_while_it_answers_and_its_own_again_afterwards(
    trained: Painted, model: Model, tmp_path: Path
) -> None:
    seen: list[int] = []

    class Asking(FakeDetector):
        def detect(self, pixels: Pixels) -> list[Face]:
            seen.append(cv2.getNumThreads())
            return super().detect(pixels)

    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        with Recogniser(model, lambda model: replace(trained.eyes_of(model), detector=Asking())) as recogniser:
            recogniser.answer(photo(trained, tmp_path, "Ada"))
        assert set(seen) == {1} and cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


# Another model


def test_calls_that_have_begun_finish_with_the_model_they_began_with(
    trained: Painted, model: Model, other: Model, tmp_path: Path
) -> None:
    bo, gate = photo(trained, tmp_path, "Bo"), Gate()
    with (
        Recogniser(model, lambda model: replace(trained.eyes_of(model), detector=gate), workers=2) as recogniser,
        ThreadPoolExecutor(1) as executor,
    ):
        begun = recogniser.answers([bo, bo])
        also_begun = executor.submit(recogniser.answer, bo)
        gate.wait_for_one()
        recogniser.use(other)
        assert recogniser.model is other
        gate.open()
        later = recogniser.answer(bo)
        assert [names(answer) for answer in (*begun, also_begun.result(), later)] == [["Bo"]] * 3 + [[None]]
        assert (also_begun.result().model, later.model) == (model.version, other.version)


def test_photos_of_one_request_are_answered_by_one_model(
    trained: Painted, model: Model, other: Model, tmp_path: Path
) -> None:
    bo = photo(trained, tmp_path, "Bo")
    with Recogniser(model, trained.eyes_of) as recogniser:
        answer = recogniser.answering()
        recogniser.use(other)
        assert (answer(bo).model, recogniser.answer(bo).model) == (model.version, other.version)
        assert names(answer(bo)) == ["Bo"]


def test_eyes_are_kept_for_a_model_of_the_same_encoder_and_let_go_for_one_of_another(
    trained: Painted, model: Model, other: Model, strange: Model, tmp_path: Path
) -> None:
    ada = photo(trained, tmp_path, "Ada")
    made: list[weakref.ref[Eyes]] = []

    def watched(model: Model) -> Eyes:
        eyes = trained.eyes_of(model)
        made.append(weakref.ref(eyes))
        return eyes

    with Recogniser(model, watched) as recogniser:
        recogniser.answer(ada)
        recogniser.use(other)
        recogniser.answer(ada)
        assert len(made) == 1
        recogniser.use(strange)
        assert names(recogniser.answer(ada)) == ["Ada"]
        gc.collect()
        assert [eyes() is not None for eyes in made] == [False, True]
    gc.collect()
    assert made[1]() is None, "a closed recogniser holds nothing"


def test_a_model_that_cannot_be_used_changes_nothing(
    trained: Painted, model: Model, strange: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Recogniser(model, trained.eyes_of) as recogniser:
        monkeypatch.setattr("mien.seeing.eyes.RECIPE", "of another version")
        with pytest.raises(EncoderMismatchError):
            recogniser.use(strange)
        with pytest.raises(EncoderMismatchError):
            Recogniser(model, trained.eyes_of)
        assert recogniser.model is model


def test_models_change_while_many_threads_ask(trained: Painted, model: Model, other: Model, tmp_path: Path) -> None:
    bo = pixels_of(photo(trained, tmp_path, "Bo"))
    with Recogniser(model, trained.eyes_of, workers=2) as recogniser, ThreadPoolExecutor(6) as executor:
        asked = [executor.submit(recogniser.answer, bo) for _ in range(100)]
        for _ in range(50):
            recogniser.use(other)
            recogniser.use(model)
        answers = [one.result() for one in asked]
    assert {(answer.model, *names(answer)) for answer in answers} <= {(model.version, "Bo"), (other.version, None)}


def test_a_closed_recogniser_answers_no_more(trained: Painted, model: Model, tmp_path: Path) -> None:
    ada = photo(trained, tmp_path, "Ada")
    recogniser = Recogniser(model, trained.eyes_of)
    begun = recogniser.answers([ada])
    recogniser.close()
    recogniser.close()
    assert names(next(begun)) == ["Ada"], "a call that has begun finishes"
    asks: list[Callable[[], object]] = [
        lambda: recogniser.answer(ada),
        lambda: recogniser.answers([ada]),
        lambda: recogniser.use(model),
        lambda: recogniser.model,
    ]
    for ask in asks:
        with pytest.raises(UsageError, match=r"The recogniser is closed\."):
            ask()


# The real networks


def test_one_recogniser_answers_like_an_album(trained_album: Path, sample: Path) -> None:
    """Several threads, real networks, and a JPEG on its side by its EXIF orientation."""
    file = sample / "groups/05.jpg"
    (expected,) = Album(trained_album).classify(file)
    with Image.open(file) as image:
        exif = Image.Exif()
        exif[0x0112] = 6
        buffer = BytesIO()
        image.transpose(Image.Transpose.ROTATE_90).save(buffer, "PNG", exif=exif)
    album = Album(trained_album)
    model = versions.load(trained_album / "models", album.version or "")
    with Recogniser(model, partial(eyes_of, make=make_eyes), workers=2) as recogniser:
        given = [file.read_bytes(), Image.open(BytesIO(buffer.getvalue())), pixels_of(file), file]
        with ThreadPoolExecutor(4) as executor:
            answers = list(executor.map(recogniser.answer, given))
    for answer in answers:
        assert answer.to_json()["faces"] == expected.to_json()["faces"]
        assert answer.photo and expected.photo and answer.photo.width == expected.photo.width


# Why a face is unknown, and what makes a name doubtful


def asking(trained: Painted, least: LeastQuality) -> Callable[[Model], Eyes]:
    """Eyes of an encoder that asks so much of a face."""

    def eyes(model: Model) -> Eyes:
        made = trained.eyes_of(model)
        return replace(made, encoder=replace(cast("FakeEncoder", made.encoder), least=least))

    return eyes


def reasons(answer: Answer) -> list[str | None]:
    return [str(face.prediction.reason.kind) if face.prediction.reason else None for face in answer.faces]


def test_faces_below_the_size_that_the_encoder_needs_are_unknown_for_that(
    trained: Painted, model: Model, tmp_path: Path
) -> None:
    crowd = trained.paint(tmp_path / "crowd.png", "Ada", "Bo", "Stranger", sides=(100, 40, 100))
    with Recogniser(model, asking(trained, LeastQuality(60, 0))) as recogniser:
        answer, alone = recogniser.answer(crowd), recogniser.answer(crowd, top=1)
    assert names(answer) == names(alone) == ["Ada", None, None]
    assert reasons(answer) == reasons(alone) == [None, "too small", "nobody"]
    assert answer.faces[1].prediction.candidates[0].person == "Bo", "whom programs may still look up"
    assert answer.to_json()["faces"][1]["reason"] == "too small"
    assert [len(face.prediction.candidates) for face in alone.faces] == [1, 1, 1]
    with Recogniser(model, asking(trained, LeastQuality(0, 1.01))) as recogniser:
        assert set(reasons(recogniser.answer(crowd))) == {"too blurred"}


def test_somebody_who_is_in_a_photo_twice_is_doubtful_but_once(trained: Painted, model: Model, tmp_path: Path) -> None:
    with Recogniser(model, trained.eyes_of) as recogniser:
        answer = recogniser.answer(trained.paint(tmp_path / "twins.png", "Ada", "Bo", "Ada"))
    assert names(answer) == ["Ada", "Bo", "Ada"]
    assert reasons(answer)[1] is None
    assert sorted(map(str, (reasons(answer)[0], reasons(answer)[2]))) == ["None", "twice"]
    assert [face.prediction.reason.why for face in answer.faces if face.prediction.reason] == ["Ada is here twice"]


def test_a_photo_that_the_model_learned_from_is_told(trained: Painted, model: Model, tmp_path: Path) -> None:
    with Recogniser(model, trained.eyes_of) as recogniser:
        learned = recogniser.answer(trained.training / "Ada/ada-1.png")
        new = recogniser.answer(photo(trained, tmp_path, "Ada"))
    assert (learned.learned, new.learned) == (("Ada",), ())
    assert learned.to_json()["learned"] == ["Ada"] and "learned" not in new.to_json()


def test_answers_come_with_the_embeddings_for_whoever_compares_photos(
    trained: Painted, model: Model, tmp_path: Path
) -> None:
    file = trained.paint(tmp_path / "a.png", "Ada", "Bo")
    with Recogniser(model, trained.eyes_of) as recogniser:
        ((answer, embeddings), (nothing, none)) = recogniser.seen_answers([file, b""])
    assert names(answer) == ["Ada", "Bo"] and [one.shape for one in embeddings] == [(128,), (128,)]
    assert nothing.error is not None and none == ()
