"""Photos of an album as users name them: by a path, or as mien writes them ("Ada/1.jpg")."""

from __future__ import annotations

from pathlib import Path

from mien.errors import PhotoError, UsageError
from mien.storage.files import is_there
from mien.storage.layout import REMOVED, TRAINING, Layout, shelf_of
from mien.text.names import is_unicode, quoted_name
from mien.text.photos import PhotoFault
from mien.text.shell import command


def places(layout: Layout, photo: Path) -> tuple[Path, ...]:
    """Where a photo may lie that is named by its path, by its path in training-images, or by its path in the album."""
    return photo, layout.training / photo, layout.folder / photo


def located(layout: Layout, photo: Path) -> str:
    """The album's path of a file of a person on a shelf, named in one of these ways. Raises UsageError for anything
    else."""
    there = layout.photos.is_there
    found = [path for place in places(layout, photo) if there(place) and (path := _path(layout, place))]
    if not found:
        if there(photo) or is_there(photo):
            add = command(layout.folder, "add", "<person>", photo)
            raise UsageError(str(photo), "lies outside the folders of this album's people", f"To put it in: {add}")
        raise UsageError(str(photo), "is not there", "`mien check` and `mien status` say what lies where.")
    path = text_path(found[0])
    if layout.photos.is_folder(layout.file(path)):
        remedy = (
            "Name photos in it. A whole person is given to another by `mien join`, or another name by `mien rename`."
        )
        raise UsageError(str(photo), "is a folder", remedy)
    if shelf_of(path) == REMOVED:
        add = command(layout.folder, "add", "<person>", layout.file(path))
        raise UsageError(str(photo), "was taken out of the album", f"To put it in again: {add}")
    return path


def _path(layout: Layout, place: Path) -> str | None:
    """The album's path of what lies in, or is, a person's folder on a shelf; None for all else. Where folders above it
    are links, that of where they lead."""
    photos = layout.photos
    real = photos.real(place.parent) / place.name
    for shelf in (TRAINING, *layout.intakes(), REMOVED):
        top = photos.real(layout.shelf(shelf))
        if real.is_relative_to(top) and len(real.relative_to(top).parts) > (0 if photos.is_folder(place) else 1):
            return f"{shelf}/{real.relative_to(top).as_posix()}"
    return None


def text_path(path: str) -> str:
    """`path`, which is to be kept as text. Raises PhotoError where it is none."""
    if not is_unicode(path):
        raise PhotoError(quoted_name(path), PhotoFault.NAME)
    return path
