"""classify: photos in, names out.

Goes in: photos or folders of them, and a recogniser. Comes out: one `Answer` a photo, in the order given, as they are
ready. It knows no album: a model folder is enough.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from mien.errors import PhotoError, UsageError
from mien.protocols import Progress
from mien.recogniser import PhotoLike, Recogniser, is_path, named
from mien.storage.walk import photos_below
from mien.types import Answer


class Asked(NamedTuple):
    """A photo that is asked about. `name` is the path in its answer, `copy` the path of a copy of it in another
    folder; `error` says why it cannot be looked at, of a folder as well."""

    name: str
    photo: PhotoLike
    copy: Path
    error: PhotoError | None = None


def photos_of(given: Sequence[PhotoLike]) -> list[Asked]:
    """The photos that are given and all in the folders that are, in their order, each file once; `copy` is relative to
    the folder that was given. What could not be looked at comes after those beside which it was given. Raises
    UsageError for a path that is not there, something that is no photo, and if there is no photo at all."""
    if not given:
        raise UsageError("The list of photos", "is empty", "Name photos, or folders that hold some.")
    found: list[Asked] = []
    files: dict[Path, Path] = {}
    for are_paths, group in groupby(named(given), key=lambda one: is_path(one[1])):
        if are_paths:
            below = photos_below(Path(name) for name, _ in group)
            new = [one for one in below.photos if one[0] not in files]
            files.update(new)
            found += [Asked(str(file), file, relative) for file, relative in new]
            found += [Asked(error.about, error.about, Path(), error) for error in below.closed]
        else:
            found += [Asked(name, photo, Path(name)) for name, photo in group]
    return found


def classify(asked: Sequence[Asked], recogniser: Recogniser, top: int, progress: Progress) -> Generator[Answer]:
    """Answers with the `top` best candidates for each face. A photo that cannot be read is an answer with its error;
    everything else that goes wrong is raised, UsageError for a `top` below 1 at once."""
    version = recogniser.model.version
    fresh = recogniser.answers([one.photo for one in asked if not one.error], top)
    return _in_turn(asked, version, fresh, progress)


def _in_turn(asked: Sequence[Asked], version: str, fresh: Generator[Answer], progress: Progress) -> Generator[Answer]:
    """The `fresh` answers, and those for what cannot be looked at, in the order of the photos."""
    progress.start("Classifying", len(asked))
    with closing(fresh):
        for one in asked:
            answer = Answer(one.name, version, None, (), one.error) if one.error else next(fresh)
            progress.advance()
            yield answer
    progress.finish()
