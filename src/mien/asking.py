"""Photos that are asked about: who is in them, or in which of them somebody is; with copies, links and a page.

Without an album, `classify` is all there is: the folder of a model is enough. `Album.classify` and `Album.find` ask
here, with the recogniser of their album, which may remember what it sees.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mien import open_album
from mien.errors import PhotoError, UsageError
from mien.open_album import EyesFor
from mien.protocols import Silent

if TYPE_CHECKING:
    from mien.protocols import Progress
    from mien.recogniser import PhotoLike, Recogniser
    from mien.report.sheet import Sheet
    from mien.stages.classify import Asked
    from mien.stages.convert import Converted
    from mien.stages.find import Found
    from mien.types import Answer

StrPath = str | os.PathLike[str]
"""Wherever a path is wanted, a string will do."""

DECODER = "mien.vision.decoding"
"""The module that reads photos, in a child process, which is started early by whoever will need it."""


def classify(
    photos: PhotoLike | Iterable[PhotoLike],
    model: StrPath,
    top: int = 3,
    annotate: StrPath | None = None,
    sheet: StrPath | None = None,
    *,
    least: float = 0,
    eyes: EyesFor | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> Iterator[Answer]:
    """`Album.classify` where there is no album: the folder `model` is enough. Nothing is remembered of what it sees.
    `eyes` as for an `Album`."""
    from mien import wiring
    from mien.recogniser import Recogniser
    from mien.registry.folder import load_model

    expect(photos)
    eyes_of = partial(open_album.eyes_of, make=eyes or wiring.make_eyes)
    recogniser = Recogniser(load_model(Path(model)), eyes_of, workers)
    return answers(photos, recogniser, top, annotate, sheet, progress or Silent(), None, least)


def convert(
    source: StrPath,
    target: StrPath,
    to: str | None = None,
    quality: int = 92,
    *,
    workers: int = 0,
    progress: Progress | None = None,
) -> Converted:
    """Converts a photo, or a folder of them, between PNG and JPEG; see `mien.stages.convert`."""
    from mien.stages.convert import convert

    return convert(Path(source), Path(target), to, quality, workers, progress)


def expect(photos: PhotoLike | Iterable[PhotoLike]) -> None:
    """Starts what decodes photos, which takes about as long as opening the model, unless they are decoded already."""
    from mien.engines.children import start_early

    first = photos[:1] if isinstance(photos, list) else [photos]
    if first and isinstance(first[0], (str, bytes, os.PathLike)):
        start_early(DECODER)


def answers(
    photos: PhotoLike | Iterable[PhotoLike],
    recogniser: Recogniser,
    top: int,
    annotate: StrPath | None,
    sheet: StrPath | None,
    progress: Progress,
    album: Path | None,
    least: float,
) -> Iterator[Answer]:
    """Checks the question, then answers; see `Album.classify`. `album` is the folder of the album that asks."""
    from mien.recogniser import as_list, is_path
    from mien.stages.annotate import is_earlier_copy, plan_copies
    from mien.stages.classify import classify as classify_each
    from mien.stages.classify import photos_of

    given = as_list(photos)
    asked = photos_of(given)
    if annotate is not None:  # into a folder among the photos: nobody asks about copies of an earlier run
        paths = [Path(photo) for photo in given if is_path(photo)]
        is_copy = is_earlier_copy(Path(annotate))
        asked = [one for one in asked if Path(one.name) in paths or not is_copy(Path(one.name))]
    each = classify_each(asked, recogniser, top, progress)
    named = [(Path(one.name), one.copy) for one in asked if not one.error]
    copies = plan_copies(Path(annotate), named, album) if annotate is not None else {}
    if copies:
        _tell_of_fonts(recogniser.model.people, progress)
    page = None
    if sheet is not None:
        from mien.report.sheet import Sheet

        page = Sheet(Path(sheet), recogniser.model.version, album)
    return _shown(each, asked, copies, page, recogniser, progress, least)


def found(
    people: str | Iterable[str],
    photos: PhotoLike | Iterable[PhotoLike],
    recogniser: Recogniser,
    least: float,
    copy: StrPath | None,
    link: StrPath | None,
    progress: Progress,
) -> Iterator[Found]:
    """Checks the question, then answers; see `Album.find`."""
    from mien.recogniser import as_list
    from mien.stages.classify import photos_of
    from mien.stages.find import Places, find, wanted

    if copy is not None and link is not None:
        raise UsageError("A copy and a link", "exclude each other", "Ask for one of them.")
    asked = photos_of(as_list(photos))
    looked_for = wanted([people] if isinstance(people, str) else people, recogniser.model.people)
    target = copy if copy is not None else link
    places = None
    if target is not None:
        places = Places(Path(target), "link" if copy is None else "copy", looked_for)
        asked = [one for one in asked if not places.holds(one.photo)]
    given = [(one.name, one.photo, one.error) for one in asked]
    return _closing(recogniser, find(given, recogniser, looked_for, least, places, progress))


def _closing(recogniser: Recogniser, found: Generator[Found]) -> Iterator[Found]:
    """What is found; the recogniser is closed in the end."""
    with recogniser, closing(found):
        yield from found


def _tell_of_fonts(people: Sequence[str], progress: Progress) -> None:
    """Notes whose names cannot be written on copies."""
    from mien.text.answers import ClassifyNote
    from mien.vision.fonts import can_write

    unwritten = [person for person in people if not can_write(person)]
    if unwritten:
        progress.note(ClassifyNote.NO_FONT.say({"people": len(unwritten), "person": unwritten[0]}))


def _shown(
    answers: Generator[Answer],
    asked: Sequence[Asked],
    copies: Mapping[Path, Path],
    page: Sheet | None,
    recogniser: Recogniser,
    progress: Progress,
    least: float,
) -> Iterator[Answer]:
    """The answers, with names that are at `least` so sure, each after its copy is written where there is to be one; the
    page, if there is to be one, comes after the last. The recogniser is closed in the end."""
    from mien.stages.annotate import annotate

    with recogniser, closing(answers), page or contextlib.nullcontext():
        for one, found in zip(asked, answers, strict=True):
            answer = found.at_least(least)
            if copies and not one.error:
                try:
                    annotate(answer, one.photo, copies[Path(one.name)])
                except PhotoError as error:
                    progress.note(str(error))
            if page:
                page.add(answer, one.photo)
            yield answer
        if page:
            page.finish()
