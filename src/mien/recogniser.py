"""recogniser: a model that is ready to answer who is in photos, in many threads and for as long as its owner wants.

Goes in: a model, and photos as paths, bytes, PIL images or arrays. Comes out: an `Answer` for each. Embeddings become
predictions here for everybody who asks who is in a photo: `classify`, `evaluate`, and whatever keeps mien running.
(What `check` asks of an intake starts from embeddings that are known, and goes to `mien.learning.openset` itself.) It
knows no album and no concrete tool, and keeps nothing of the photos; who wants that hands it a `Sight` that does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeAlias, TypeGuard

import numpy as np
from PIL import Image

from mien.engines import threads
from mien.engines.pool import Pool
from mien.errors import PhotoError, UsageError
from mien.learning.openset import identify, told
from mien.protocols import Engine
from mien.registry.folder import Model
from mien.seeing.eyes import Eyes
from mien.text.answers import AnswerKind
from mien.types import (
    Answer,
    Finding,
    Floats,
    LeastQuality,
    NamedFace,
    Picture,
    Pixels,
    Prediction,
    SeenPhoto,
)
from mien.vision.decoding import LEAST_SCALE
from mien.vision.images import decode, picture_of, read_picture

PhotoLike: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | Pixels
"""A photo as it may be given: the path of a file, the bytes of one, a PIL image of any mode (its EXIF orientation is
applied), or an (H, W, 3) uint8 RGB array. Images and arrays must not be changed until they are answered."""


class Sight(Protocol):
    """How photos are seen: by looking at each, as `Looking` does, or by remembering those that were seen before
    (`mien.remembering`). Any number of threads may ask it."""

    def see(self, eyes: Eyes, model: Model, photo: PhotoLike, name: str) -> SeenPhoto | PhotoError:
        """The faces in a photo that errors call `name`, as the eyes of a model see them; or why there are none to be
        had."""
        ...

    def close(self) -> None:
        """Ends it, when the last photo was seen."""
        ...


class Looking:
    """Each photo is looked at, and nothing is kept of it."""

    def see(self, eyes: Eyes, model: Model, photo: PhotoLike, name: str) -> SeenPhoto | PhotoError:
        if is_path(photo):
            return eyes.see_file(Path(photo))
        return eyes.see_read(partial(read, photo, name, least_scale=eyes.least_scale), name)

    def close(self) -> None: ...


class Recogniser:
    """A model with its networks open, which any number of threads may ask at once.

    `eyes_of` makes the eyes that a model was trained with (`mien.open_album.eyes_of`). Each answer borrows one set of
    them, as a set serves one thread at a time. `workers` is the setting: there are at most so many sets (0: one a
    core), each opened when it is first needed and then kept. `sight` says how photos are seen: by looking at each where
    none is given. An `engine` that the eyes make use of ends with it. Raises what `eyes_of` raises.

    A context manager: at its end the recogniser is closed.
    """

    def __init__(
        self,
        model: Model,
        eyes_of: Callable[[Model], Eyes],
        workers: int = 0,
        sight: Sight | None = None,
        engine: Engine | None = None,
    ) -> None:
        self._eyes_of, self._workers, self._sight, self._engine = eyes_of, workers, sight or Looking(), engine
        self._changing = threading.Lock()
        self._in_use: _InUse | None = self._opened(model)

    @property
    def model(self) -> Model:
        """The model that answers now. Raises UsageError if the recogniser is closed."""
        return self._now().model

    def use(self, model: Model) -> None:
        """Answers with another model from now on. Calls that have begun finish with the model they began with.

        Where both models are of one encoder, the eyes are kept; otherwise the old ones go with the last call that
        borrows them. Raises what `eyes_of` raises, with the model before still in use, and UsageError if the recogniser
        is closed.
        """
        with self._changing:
            before = self._now()
            same = model.encoder_id == before.model.encoder_id
            self._in_use = _InUse.of(model, before.eyes, self._sight) if same else self._opened(model)

    def answer(self, photo: PhotoLike, top: int = 3) -> Answer:
        """Who is in a photo, with the `top` best candidates for each face, in the thread that asks.

        A photo that cannot be read is an answer with its error. Raises UsageError for something that is no photo, for a
        `top` below 1, and if the recogniser is closed.
        """
        return self.answering(top)(photo)

    def answering(self, top: int = 3) -> Callable[[PhotoLike], Answer]:
        """`answer` by the model that is in use now, whatever model is used later: for whoever asks about several photos
        in threads of their own and wants them answered by one model. Raises as `answer` does."""
        in_use = self._asked(top)

        def answer(photo: PhotoLike) -> Answer:
            ((name, given),) = named([photo])
            with threads.single_opencv_thread():
                return in_use.answer(name, given, top)[0]

        return answer

    def answers(self, photos: Iterable[PhotoLike], top: int = 3) -> Generator[Answer]:
        """An answer for each photo, in their order, from as many threads as `workers` says; see `answer`.

        `photos` may be endless, as a few are taken at a time. The model is the one in use when this is called.
        """
        return self._answers(self._asked(top), photos, top)

    def seen_answers(self, photos: Iterable[PhotoLike], top: int = 3) -> Generator[tuple[Answer, tuple[Floats, ...]]]:
        """The same, each answer with the embeddings (D,) of its faces, for whoever compares the photos themselves."""
        return self._seen_answers(self._asked(top), photos, top)

    def close(self) -> None:
        """Lets the model and the eyes go. Calls that have begun finish; others raise UsageError."""
        with self._changing:
            self._in_use = None
        self._sight.close()
        if self._engine:
            self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self, model: Model) -> _InUse:
        first = self._eyes_of(model)  # at once, as it says whether the model can be used at all
        pool = Pool(partial(self._eyes_of, model), threads.threads_for(self._workers), [first])
        return _InUse.of(model, pool, self._sight)

    def _now(self) -> _InUse:
        in_use = self._in_use
        if in_use is None:
            raise UsageError("The recogniser", "is closed", "Make a new one for more photos.")
        return in_use

    def _asked(self, top: int) -> _InUse:
        if top < 1:
            raise UsageError("top", f"is {top}, which asks for no name", "Ask for at least 1.")
        return self._now()

    def _answers(self, in_use: _InUse, photos: Iterable[PhotoLike], top: int) -> Generator[Answer]:
        with closing(self._seen_answers(in_use, photos, top)) as answers:
            for answer, _ in answers:
                yield answer

    def _seen_answers(
        self, in_use: _InUse, photos: Iterable[PhotoLike], top: int
    ) -> Generator[tuple[Answer, tuple[Floats, ...]]]:
        def work(in_use: _InUse, photo: tuple[str, PhotoLike]) -> tuple[Answer, tuple[Floats, ...]]:
            return in_use.answer(*photo, top)

        for _, answer in threads.run(named(photos), lambda: in_use, work, self._workers, in_order=True):
            yield answer


@dataclass(frozen=True, slots=True)
class _InUse:
    """A model, the eyes that it was trained with, and how photos are seen by them; `learned` are the people by the
    SHA-256 of the photos that they were learned from."""

    model: Model
    eyes: Pool[Eyes]
    sight: Sight
    learned: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, model: Model, eyes: Pool[Eyes], sight: Sight) -> _InUse:
        learned: dict[str, tuple[str, ...]] = {}
        for person, photos in sorted(model.card.photos.items()):
            for sha256 in photos:
                learned[sha256] = (*learned.get(sha256, ()), person)
        return cls(model, eyes, sight, learned)

    def answer(self, name: str, photo: PhotoLike, top: int) -> tuple[Answer, tuple[Floats, ...]]:
        """The answer for a photo, and the embeddings (D,) of its faces."""
        with self.eyes.borrow() as eyes:
            seen = self.sight.see(eyes, self.model, photo, name)
            least = eyes.encoder.least
        if isinstance(seen, PhotoError):
            return Answer(name, self.model.version, None, (), seen), ()
        learned = self.learned.get(seen.photo.sha256, ())
        named = self._named(seen, top, least)
        answer = Answer(name, self.model.version, seen.photo, named, None, learned)
        return answer, tuple(one.embedding.vector for one in seen.faces)

    def _named(self, seen: SeenPhoto, top: int, least: LeastQuality) -> tuple[NamedFace, ...]:
        """The faces with their answers, of which those poorer than the `least` are unknown."""
        faces, model = seen.faces, self.model
        if not faces:
            return ()
        embeddings: Floats = np.stack([one.embedding.vector for one in faces])
        best = model.head.best(embeddings, max(top, 2), model.calibration.temperature)
        found = identify(best, model.people, model.threshold, model.calibration, max(top, 2))
        answers = [
            told(prediction, model.calibration, one.quality, least, seen.scale)
            for one, prediction in zip(faces, found, strict=True)
        ]
        return tuple(
            NamedFace(one.face, one.quality, replace(answer, candidates=answer.candidates[:top]))
            for one, answer in zip(faces, _once(answers), strict=True)
        )


def _once(answers: Sequence[Prediction]) -> Iterator[Prediction]:
    """The answers for the faces of a photo, of which only the surest gives a person's name without doubt."""
    surest: dict[str, Prediction] = {}
    for answer in answers:
        if answer.person is not None:
            surest[answer.person] = max(surest.get(answer.person, answer), answer, key=lambda one: one.probability)
    for answer in answers:
        if answer.person is not None and surest[answer.person] is not answer:
            yield replace(answer, reason=Finding(AnswerKind.TWICE, (answer.person,)))
        else:
            yield answer


def as_list(given: PhotoLike | Iterable[PhotoLike]) -> list[PhotoLike]:
    """One photo or several, as a list; something that is neither is left for `named` to refuse."""
    if isinstance(given, str | os.PathLike | bytes | Image.Image | np.ndarray):
        return [given]
    return [*given] if isinstance(given, Iterable) else [given]


def is_path(photo: PhotoLike) -> TypeGuard[str | os.PathLike[str]]:
    """Whether a photo is given by the path of its file."""
    return isinstance(photo, str | os.PathLike)


def named(photos: Iterable[PhotoLike]) -> Iterator[tuple[str, PhotoLike]]:
    """Each photo with what its answer is called: its path, or "image 2" for the second that has none. Raises UsageError
    for something that is no photo."""
    number = 0
    for photo in photos:
        if is_path(photo):
            yield str(Path(photo)), photo
        else:
            number += 1
            name = f"image {number}"
            _check(name, photo)
            yield name, photo


def _check(name: str, photo: object) -> None:
    if isinstance(photo, bytes | Image.Image):
        return
    what = f"is of the type {type(photo).__name__}"
    if isinstance(photo, np.ndarray):
        if photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3 and photo.size:
            return
        what = f"is an array of shape {photo.shape} and type {photo.dtype}"
    raise UsageError(
        name,
        what,
        "Give a path, the bytes of a file, a PIL image, or an array of shape (height, width, 3) and type uint8, RGB.",
    )


def read(photo: PhotoLike, name: str, *, max_side: int = 1600, least_scale: float = LEAST_SCALE) -> Picture:
    """The picture of a photo, which errors call `name`; see `mien.vision.images.decode`. Raises PhotoError."""
    if isinstance(photo, bytes):
        return decode(photo, name, max_side=max_side, least_scale=least_scale)
    if isinstance(photo, Image.Image | np.ndarray):
        return picture_of(photo, name, max_side=max_side, least_scale=least_scale)
    return read_picture(Path(photo), max_side=max_side, least_scale=least_scale)
