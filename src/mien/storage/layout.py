"""Where things lie in an album; other rooms ask here for a path.

    album/
      mien.toml                          settings; its presence makes the folder an album
      training-images/<person>/**.jpg    the user's photos; mien adds when asked, and never changes or deletes
      <date>-training-images/<person>/   an intake: photos collected on that day, until they are merged
      removed-images/<person>/**         what `mien remove` took out of the album
      aligned-images/<person>/<photo>.png
      models/
      .mien/catalog.sqlite, catalog-ledger.sqlite, catalog-asked.sqlite, catalog-access.sqlite, *.seal, *.held,
            tracebacks/, lock, lock.json, advised

A *shelf* is a folder of the album in which photos lie by person: training-images, an intake, removed-images. A file's
path is relative to the album, with forward slashes, exactly as on disk; a person's name is the folder's in the form in
which names are compared (`mien.text.names`), so that José from a Mac (NFD) and José from elsewhere are one person.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, NewType

from mien.errors import AlbumError, StorageError
from mien.servers import Server
from mien.storage.bucket_models import BucketModels, Models
from mien.storage.files import entries, is_file, is_there, make_folder, remove_file, write_atomically
from mien.storage.free_names import FreeNames
from mien.storage.in_folder import IN_FOLDERS
from mien.storage.objects import Objects, store_error
from mien.storage.photo_store import PhotoStore
from mien.text.names import FILE_NAME, nfc, shortened
from mien.text.shell import command

if TYPE_CHECKING:  # settings load pydantic, which `mien --help` can do without
    from mien.settings import Settings

Shelf = NewType("Shelf", str)
"""The name of a shelf's folder in the album."""

TRAINING: Final = Shelf("training-images")
REMOVED: Final = Shelf("removed-images")
_ALIGNED, _MODELS, _MEMORY = "aligned-images", "models", ".mien"
_INTAKE_SUFFIX = "-training-images"


def intake_of(day: date) -> Shelf:
    """Where what is collected on `day` waits to be merged."""
    return Shelf(f"{day.isoformat()}{_INTAKE_SUFFIX}")


def day_of(shelf: str) -> date | None:
    """The day of an intake; None for a folder that is none."""
    with contextlib.suppress(ValueError):  # of a name that is no day
        day = date.fromisoformat(shelf.removesuffix(_INTAKE_SUFFIX))
        return day if intake_of(day) == shelf else None
    return None


def is_kept(name: str) -> bool:
    """Whether an album keeps the folder of this name, in any letter case, for itself."""
    folder = name.lower()
    return folder in (TRAINING, REMOVED, _ALIGNED, _MODELS, _MEMORY) or day_of(folder) is not None


def shelf_of(path: str) -> Shelf:
    """On which shelf the file at `path` lies."""
    return Shelf(path.partition("/")[0])


def shown(path: str) -> str:
    """A path as users read it: of a file in training-images it is the path in there ("Ada/1.jpg")."""
    return path.removeprefix(f"{TRAINING}/")


@dataclass(frozen=True, slots=True)
class OnServer:
    """A database of mien's on a PostgreSQL server: the `schema` of the server's database. A writer who holds the album
    gives its `lease`, by which every transaction proves that the album is still held: see `mien.records.postgres`."""

    server: Server
    schema: str
    lease: str = ""

    def __str__(self) -> str:
        return f"{self.server} ({self.schema})"


Place = Path | OnServer
"""Where a database of mien's is."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The places in the album `folder` (absolute), whose catalog is at `catalog_file`; or on a `server`, and then that
    file is not there, and beside it lies what is local in any case. `lease` is as in `OnServer`."""

    folder: Path
    catalog_file: Path
    photos: PhotoStore = IN_FOLDERS
    """What reads and writes the photos, which lie in `folder` or in a bucket."""
    models_url: str = ""
    """The bucket in which the models are; "" where they are in `folder`."""
    server: Server | None = None
    lease: str = ""

    @classmethod
    def of(cls, folder: Path, settings: Settings) -> Layout:
        """The layout of an album: the setting `catalog` (relative to the album) names another place for that."""
        folder, chosen = folder.absolute(), settings.catalog
        photos, models = photos_at(folder, settings.photos), settings.models
        if isinstance(chosen, Server):
            return cls(folder, folder / _MEMORY / "catalog.sqlite", photos, models, chosen)
        catalog_file = folder / (chosen.expanduser() if chosen else Path(_MEMORY, "catalog.sqlite"))
        return cls(folder, catalog_file, photos, models)

    @property
    def catalog_at(self) -> Place:
        """Where the catalog is."""
        return OnServer(self.server, "mien_catalog", self.lease) if self.server else self.catalog_file

    @property
    def ledger_at(self) -> Place:
        """Where the ledger is: beside the catalog."""
        return OnServer(self.server, "mien_ledger", self.lease) if self.server else self.ledger_file

    @property
    def access_at(self) -> Place:
        """Where it is known who may ask a server, and what it was asked to do: beside the catalog. No lock of the album
        is needed for that, and no lease."""
        return OnServer(self.server, "mien_access") if self.server else self.access_file

    @property
    def settings_file(self) -> Path:
        return self.folder / FILE_NAME

    @property
    def ledger_file(self) -> Path:
        """Beside the catalog: .mien/catalog-ledger.sqlite."""
        return self.catalog_file.with_stem(f"{self.catalog_file.stem}-ledger")

    @property
    def asked_file(self) -> Path:
        """Beside the catalog, what is remembered of photos that were only asked about: .mien/catalog-asked.sqlite."""
        return self.catalog_file.with_stem(f"{self.catalog_file.stem}-asked")

    @property
    def access_file(self) -> Path:
        """Beside the catalog, who may ask a server, and what it was asked to do: .mien/catalog-access.sqlite."""
        return self.catalog_file.with_stem(f"{self.catalog_file.stem}-access")

    def shelf(self, shelf: Shelf) -> Path:
        """The folder of a shelf."""
        return self.folder / shelf

    @property
    def training(self) -> Path:
        return self.shelf(TRAINING)

    @property
    def removed(self) -> Path:
        """Where photos go that were taken out of the album, by person."""
        return self.shelf(REMOVED)

    @property
    def aligned(self) -> Path:
        return self.folder / _ALIGNED

    @property
    def models(self) -> Models:
        """Where the models are: the folder `models`, or a bucket."""
        if not self.models_url:
            return self.models_folder
        return BucketModels(Objects(self.models_url), self.models_folder, "card.json")

    @property
    def models_folder(self) -> Path:
        """The folder of the models, or of copies of some where they are in a bucket: of that bucket alone."""
        if not self.models_url:
            return self.folder / _MODELS
        return self.model_copies / hashlib.sha256(self.models_url.encode()).hexdigest()[:16]

    @property
    def model_copies(self) -> Path:
        """Where copies of models lie that are in a bucket, in a folder for each bucket."""
        return self.folder / _MEMORY / _MODELS

    @property
    def journals(self) -> Path:
        """Where earlier versions of mien left what an interrupted `classify` had answered, with names."""
        return self.folder / _MEMORY / "journals"

    @property
    def tracebacks(self) -> Path:
        """Where it is written down how somebody else's tool failed."""
        return self.folder / _MEMORY / "tracebacks"

    @property
    def advised_file(self) -> Path:
        """There once somebody was told of a better encoder."""
        return self.folder / _MEMORY / "advised"

    @property
    def lock_file(self) -> Path:
        return self.folder / _MEMORY / "lock"

    @property
    def lock_card(self) -> Path:
        """Where whoever holds the lock is named; there as long as it is held, and longer if that run was killed."""
        return self.lock_file.with_suffix(".json")

    def file(self, path: str) -> Path:
        """Where the file of an album's path lies."""
        return self.folder / path

    def path(self, file: Path) -> str:
        """The album's path of a file in it."""
        return file.relative_to(self.folder).as_posix()

    def folder_of(self, file: Path) -> Path:
        """The folder, on its shelf, of the person whose file this is."""
        return self.folder.joinpath(*file.relative_to(self.folder).parts[:2])

    def where(self, path: str) -> str:
        """Where the file of an album's path lies, as people are told: its path on the disk, or its URL."""
        return self.photos.where(self.file(path))

    def intakes(self) -> list[Shelf]:
        """The intakes that there are, oldest first: real folders of exactly that name, no links. Raises AlbumError."""
        try:
            found = [name for name in self.photos.shelves(self.folder) if day_of(name)]
        except OSError as error:
            where = self.photos.where(self.folder)
            remedy = "Check its permissions." if self.photos.in_folders else store_error(where, error).remedy
            raise AlbumError(where, f"cannot be opened: {error.strerror}", remedy) from error
        return sorted(map(Shelf, found))

    def require_training(self) -> Path:
        """training-images. Raises AlbumError if it is missing, as a network drive that is not connected is not an album
        whose photos were all deleted, and StorageError if nobody can tell."""
        if not self.photos.is_folder(self.training):
            raise AlbumError(
                str(self.training), "is missing", "Put it back (or connect its drive); for an empty album, create it."
            )
        return self.training

    def person_folder(self, shelf: Shelf, person: str) -> Path:
        """The folder on a shelf of the person of this name as it is spelt on disk, or else as it should be. Raises
        AlbumError if it is a link, since nothing is written outside the album, and StorageError if nobody can tell."""
        top = self.shelf(shelf)
        folder = top / person
        if not self.photos.is_folder(folder):
            same = [each for each in self.photos.entries(top) if nfc(each.name) == person]
            folder = min(filter(self.photos.is_folder, same), default=folder)
        for link in (folder, *(() if shelf == TRAINING else (top,))):  # training-images may be a link to another disk
            if self.photos.is_link(link):
                raise AlbumError(str(link), "is a link", "Put a real folder in its place.")
        return folder

    def chip_file(self, key: str) -> Path:
        """Where the chip of a key of `chip_keys` lies."""
        return self.aligned / key

    def chips(self) -> frozenset[str]:
        """The keys of all chips on disk. Raises StorageError if they cannot be listed."""
        files = (file for folder in entries(self.aligned) for file in entries(folder))
        return frozenset(file.relative_to(self.aligned).as_posix() for file in files if file.suffix == ".png")

    def remove_chip(self, key: str) -> None:
        """Removes a chip, and its person's folder if that was the last. No harm if it is gone. Raises StorageError."""
        file = self.chip_file(key)
        remove_file(file)
        with contextlib.suppress(OSError):
            file.parent.rmdir()  # refused while there is something in it


def photos_at(folder: Path, url: str) -> PhotoStore:
    """What reads and writes the photos of the album in `folder` (absolute), which lie in a bucket where `url` names
    one."""
    if not url:
        return IN_FOLDERS
    from mien.storage.in_bucket import BucketPhotos

    return BucketPhotos(Objects(url), folder, TRAINING, _is_shelf)


def _is_shelf(name: str) -> bool:
    return name == REMOVED or day_of(name) is not None


def require_free(folder: Path, nested: bool = False) -> None:
    """Raises AlbumError where `folder` is an album, or lies in one and is not to be `nested`."""
    if is_album(folder):
        raise AlbumError(
            str(folder),
            "is an album already",
            f"Use it as it is: {command(folder, 'status')}; in Python: Album({json.dumps(str(folder))}). Or choose"
            " another folder.",
        )
    if not nested and (around := album_around(folder)):
        raise AlbumError(
            str(folder),
            f"would lie in an album, {around}",
            f"Use that one: {command(around, 'status')}. Or choose a folder outside, or insist:"
            f" {command(None, 'init', folder, '--nested')}",
        )


def create_album(folder: Path, basis: str, encoder: str = "", nested: bool = False) -> None:
    """Makes `folder` an album; what already lies in it stays. `encoder` is named in its settings. Whatever stops it
    leaves an album or none: mien.toml, which makes the album, comes last and whole, and folders that were made for it
    go again where it cannot be written. Raises AlbumError as `require_free` does, UsageError for what an album could
    not be opened with, and StorageError."""
    require_free(folder, nested)
    from mien.settings import checked_template

    text = checked_template(folder, basis, encoder)  # before anything is made
    missing = [one for one in (folder / TRAINING, folder, *folder.parents) if not is_there(one)]
    try:
        make_folder(folder / TRAINING)
        write_atomically(folder / FILE_NAME, text.encode())
    except BaseException:
        for made in missing if not os.path.lexists(folder / FILE_NAME) else ():
            with contextlib.suppress(OSError):
                made.rmdir()  # refused while there is something in it
        raise


def is_album(folder: Path) -> bool:
    """Whether `folder` is an album. Raises StorageError if nobody can tell."""
    return is_file(folder / FILE_NAME)


def require_album(folder: Path) -> None:
    """Raises AlbumError unless `folder` is an album, and StorageError if nobody can tell."""
    if is_album(folder):
        return
    here = folder.absolute()
    if around := album_around(here):
        what = f"is not an album; it lies in one, {around}"
        raise AlbumError(str(here), what, f"Name that album: {command(around, 'status')}")
    what = f"is not an album: there is no {FILE_NAME} in it" if is_there(folder) else "does not exist"
    make = command(None, "init", folder)
    raise AlbumError(str(here), what, f"Name an album by -C ALBUM, or make this one: {make}")


def album_around(folder: Path) -> Path | None:
    """The nearest album of whomever in which `folder` lies, whatever links lead there; None where there is none.
    `folder` itself does not count."""
    return next(_albums_above(Path(os.path.realpath(folder))), None)


def own_album_around(folder: Path) -> Path | None:
    """The nearest album in which `folder` lies that may be taken for the one that is meant, without its being named.

    The search ends at the user's home folder, and nobody else's album is found: its mien.toml may name programs to
    run. A folder that is reached through a link lies where the link is too, where it lies in no album otherwise.
    """
    named = os.environ.get("PWD", "")  # how the shell came here: by a link in an album to another disk, say
    for here in (os.path.realpath(folder), named if named and _is_same(named, folder) else ""):
        found = next(_albums_above(Path(here), Path.home()), None) if here else None
        if found:
            return found if _is_mine(found / FILE_NAME) else None
    return None


def _albums_above(folder: Path, end: Path | None = None) -> Iterator[Path]:
    """The albums among the folders above this one, the nearest first, not higher than `end` if that is among them. In
    what mien keeps for itself there is none."""
    if folder == end:
        return
    for above in folder.parents:
        with contextlib.suppress(StorageError):  # what cannot be looked at is no album of ours
            if _MEMORY not in above.parts and is_album(above):
                yield above
        if above == end:
            return


def _is_same(one: str, other: Path) -> bool:
    try:
        return Path(one).samefile(other)
    except (OSError, ValueError):
        return False


def _is_mine(file: Path) -> bool:
    """Whether the file is the user's or the administrator's. Windows has no such question to ask."""
    if os.name == "nt":
        return True
    try:
        return file.stat().st_uid in (os.geteuid(), 0)
    except OSError:
        return False


def is_inside(file: Path, folder: Path) -> bool:
    """Whether `file` lies below `folder`, whatever links lead there."""
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))


def chip_keys(files: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For each (path, person) of training-images the key of its chip: "<person>/<stem>.png", relative to
    aligned-images.

    Where photos of a person share a stem (in upper or lower case, in whatever sub-folders), the first in sorted order
    has it and the others carry their full name: "Ann/2019/a.jpg" and "Ann/a.jpg" have "Ann/a.png" and "Ann/a.jpg.png".
    The keys depend on the set of files alone, and no two of a person are one file on any system.
    """
    photos_of: dict[str, list[str]] = {}
    for path, person in files:
        photos_of.setdefault(person, []).append(path)
    keys: dict[str, str] = {}
    for person, paths in photos_of.items():
        names = FreeNames()
        later: list[str] = []
        for path in sorted(paths):
            name = f"{shortened(_stem(path))}.png"
            if name in names:
                later.append(path)
            else:
                keys[path] = f"{person}/{names.take(name)}"
        for path in later:
            full = shortened(shown(path).partition("/")[2].replace("/", "-"))
            keys[path] = f"{person}/{names.take(f'{full}.png')}"
    return keys


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]
