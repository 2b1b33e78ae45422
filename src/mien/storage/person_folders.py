"""The people's folders on a shelf, and how a file comes into one: under a name that nothing there has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mien.errors import AlbumError, StorageError
from mien.storage.free_names import FreeNames
from mien.storage.layout import Layout, Shelf
from mien.storage.leftovers import remove_unfinished
from mien.text.names import mistakable, nfc, valid_person


class PersonFolders:
    """The folders of the people on one shelf, each looked into once. The album is open for writing."""

    def __init__(self, layout: Layout, shelf: Shelf) -> None:
        """Looks who is on the shelf; there need not be one. Raises AlbumError if it cannot be opened."""
        self._layout, self._shelf = layout, shelf
        top = layout.shelf(shelf)
        self._people = frozenset(nfc(entry.name) for entry in _opened(layout.photos.folders, top))
        self._spelt = {key: person for person in sorted(self._people) for key in mistakable(person)}
        self._found: dict[str, tuple[Path, FreeNames]] = {}

    def namesake(self, person: str) -> str | None:
        """The other person who has the folder already that a new `person` would get on a disk which takes "ada" and
        "Ada" for one, or whose name looks the same; None if there is none. Whoever is asked about first has it."""
        others = [self._spelt.setdefault(key, person) for key in mistakable(person)]
        return None if person in self._people else next((other for other in others if other != person), None)

    def of(self, person: str) -> Path:
        """The person's folder, which need not be there yet. Raises UsageError for a new person whose name no folder can
        have, and AlbumError for a link or a folder that cannot be opened."""
        return self._look(person)[0]

    def move_in(self, person: str, file: Path, name: str, sync: bool = True) -> Path:
        """Moves `file` into the person's folder as `name`, or as "<stem>-2<ending>" and so on; where it lies then.
        Raises as `of` does, and StorageError; `sync` is that of `move_file`."""
        folder, names = self._look(person)
        photos = self._layout.photos
        photos.make_folder(folder)
        while not photos.move(file, target := folder / names.take(name), sync):
            pass  # somebody else took that name just now
        return target

    def _look(self, person: str) -> tuple[Path, FreeNames]:
        if person not in self._found:
            if person not in self._people:
                valid_person(person)
            folder = self._layout.person_folder(self._shelf, person)
            remove_unfinished(folder)  # of a move from another disk that was killed
            self._found[person] = (
                folder,
                FreeNames(entry.name for entry in _opened(self._layout.photos.entries, folder)),
            )
        return self._found[person]


def _opened(look: Callable[[Path], list[Path]], folder: Path) -> list[Path]:
    """What a look into a folder says. Raises AlbumError if it cannot be opened."""
    try:
        return look(folder)
    except StorageError as error:
        raise AlbumError(error.about, error.what, error.remedy) from error
