"""confirm: a human says that what `check` doubts is right: photos show whom they lie under, or two people are two.

Goes in: photos of the album, or the names of two people. Comes out: what is confirmed. No file is touched; the ledger
remembers each photo by its bytes and its person, so that a photo that changes, or goes to somebody else, is doubted
anew.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import UsageError
from mien.open_album import OpenAlbum
from mien.records.corrections import Step
from mien.storage.layout import TRAINING, shown
from mien.storage.named import located, places
from mien.text.names import meant, nfc, quoted_name


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What was confirmed: `photos`, paths relative to the album, show the `people` under whom they lie; or, without
    photos, `people` are two. `there` counts what had been confirmed before."""

    photos: tuple[str, ...]
    people: tuple[str, ...]
    there: int = 0

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"photos": [shown(path) for path in self.photos], "people": list(self.people), "there": self.there}


def confirm(album: OpenAlbum, named: Sequence[Path]) -> Confirmed:
    """Remembers that photos, each named by its path or as mien writes it, lie under the right person, or that two
    people, named by their names, are two. All of them or none. Raises UsageError for anything else, PhotoError for a
    photo that cannot be read, and as `OpenAlbum.require_training` does."""
    album.require_training()
    people = album.walk([TRAINING, *album.layout.intakes()]).people
    if two := _two_people(album, named, people):
        return _apart(album, two)
    paths = list(dict.fromkeys(located(album.layout, photo) for photo in named))
    known = album.ledger.corrections.confirmed().photos
    whose = {path: nfc(path.split("/")[1]) for path in paths}
    hashes = {path: album.layout.photos.sha256(album.layout.file(path)) for path in paths}
    new = [path for path in paths if (whose[path], hashes[path]) not in known]
    if new:
        entry = album.entry()
        ids = album.ledger.people.enter(whose.values(), entry.basis, entry.now, entry.until)
        steps = [Step(path, path, ids[whose[path]], ids[whose[path]], hashes[path]) for path in new]
        album.ledger.corrections.begin("confirm", entry.now, "", steps[0].target, steps, None, "done")
    return Confirmed(tuple(paths), tuple(dict.fromkeys(whose.values())), len(paths) - len(new))


def _two_people(album: OpenAlbum, named: Sequence[Path], people: Collection[str]) -> tuple[str, str] | None:
    """The two people who are named; None where photos are. Raises UsageError for one person, or for more, and for
    a word beside a person that is no name and no photo."""
    names = [nfc(str(one)) for one in named]
    some = [name for name in names if name in people]
    if not some:
        return None
    for name, one in zip(names, named, strict=True):
        if name not in people and not any(map(album.layout.photos.is_there, places(album.layout, one))):
            what, remedy = (
                f"is nobody's name in {album.folder}",
                f"{meant(name, people)}`mien status` names all people.",
            )
            raise UsageError(quoted_name(name), what, remedy)
    if len(names) != 2 or len(set(some)) != 2:
        remedy = "Name photos in the folder, or two people who look like one and are two."
        raise UsageError(quoted_name(some[0]), "is a person, and no photo", remedy)
    return some[0], some[1]


def _apart(album: OpenAlbum, two: tuple[str, str]) -> Confirmed:
    known = frozenset(two) in album.ledger.corrections.confirmed().pairs
    if not known:
        entry = album.entry()
        ids = album.ledger.people.enter(two, entry.basis, entry.now, entry.until)
        person, target = (ids[name] for name in two)
        folder = f"{TRAINING}/{two[1]}"  # a step that names a path can be undone
        step = Step(folder, folder, person, target)
        album.ledger.corrections.begin("confirm", entry.now, person, target, [step], None, "done")
    return Confirmed((), two, int(known))
