"""The album folder on disk: the only room that knows where things lie.

    album/
      mien.toml                          settings; its presence makes the folder an album
      training-images/<person>/**.jpg    the user's photos; mien adds when asked, and never changes or deletes
      <date>-training-images/<person>/   an intake: photos collected on that day, until they are merged
      removed-images/<person>/**         what `mien remove` took out of training-images
      aligned-images/<person>/<photo>.png
      models/
      .mien/catalog.sqlite, journals/, lock, lock.json

A photo's path is relative to training-images (in an intake to the album), with forward slashes, exactly as on disk. A
person's name is the folder's in NFC, so that José from a Mac (NFD) and José from elsewhere are one person.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from operator import attrgetter
from pathlib import Path, PurePath, PureWindowsPath
from typing import NamedTuple

from mien.errors import AlbumError, BusyError, NetworkDriveError, PhotoError, StorageError, UsageError
from mien.settings import FILE_NAME, Settings, template
from mien.settings import load as load_settings
from mien.storage.files import make_folder, storage_error, write_atomically
from mien.text.names import BESIDE_PHOTOS, folded, is_unicode, nfc, quoted_name, shortened, valid_person
from mien.vision.sniff import kind_of_name

INTAKE_SUFFIX = "-training-images"
"""The name of an intake is its day and this: 2026-11-23-training-images."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A photo where it was put: `path` relative to training-images, or to the album if it waits in an intake, `person`
    in NFC, `size` in bytes."""

    path: str
    person: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is not learned from, or not merged, so that nothing is lost silently. `reason` completes "it is",
    or nearly; of a walk it is one of the constants below."""

    path: str
    reason: str


NO_PERSON = "not in a person's folder"
UNSUPPORTED = "of a kind that mien does not read"
NO_PHOTO = "not a photo by its name"
LINKED_PHOTO = "a link"
BROKEN_LINK = "a link to nothing"
LINKED_FOLDER = "a link to a folder"
NOT_UNICODE = "its name is not Unicode"
UNREADABLE = "cannot be opened"


@dataclass(frozen=True, slots=True)
class Training:
    """What lies in training-images, or in an intake: `people` (NFC, sorted, also those without a photo), `placements`
    sorted by path."""

    people: tuple[str, ...]
    placements: tuple[Placement, ...]
    left_out: tuple[LeftOut, ...]


class Mount(NamedTuple):
    """A mounted disk, in psutil's words."""

    mountpoint: str
    fstype: str
    opts: str


@dataclass(frozen=True, slots=True)
class Workspace:
    """An album folder and its settings."""

    folder: Path
    settings: Settings

    @classmethod
    def create(cls, folder: Path, basis: str) -> Workspace:
        """Makes `folder` an album; what already lies in it stays. Raises AlbumError if it is one, and StorageError."""
        make_folder(folder / "training-images")
        if (folder / FILE_NAME).exists():
            raise AlbumError(f"{folder} is an album already.", "Use it as it is, or choose another folder.")
        write_atomically(folder / FILE_NAME, template(basis).encode())
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, overrides: Mapping[str, object] | None = None) -> Workspace:
        """The album in `folder`; `overrides` are the command's flags. Raises AlbumError and UsageError."""
        try:
            if not cls.is_at(folder):
                what = f"is not an album: there is no {FILE_NAME} in it" if folder.exists() else "does not exist"
                raise AlbumError(
                    f"{folder} {what}.", f'Name an album by -C ALBUM, or make this one: mien init "{folder}"'
                )
        except OSError as error:
            raise AlbumError(f"{folder} cannot be opened: {error.strerror}.", "Check its permissions.") from error
        return cls(folder.absolute(), load_settings(folder, overrides or {}))

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Whether `folder` is an album."""
        return (folder / FILE_NAME).is_file()

    @property
    def settings_file(self) -> Path:
        return self.folder / FILE_NAME

    @property
    def training(self) -> Path:
        return self.folder / "training-images"

    def intake(self, day: date) -> Path:
        """Where what is collected on `day` waits to be merged."""
        return self.folder / f"{day.isoformat()}{INTAKE_SUFFIX}"

    def intakes(self) -> list[tuple[date, Path]]:
        """The intakes there are, oldest first: real folders of exactly that name, no links. Raises AlbumError."""
        try:
            entries = list(os.scandir(self.folder))
        except OSError as error:
            raise AlbumError(f"{self.folder} cannot be opened: {error.strerror}.", "Check its permissions.") from error
        found: list[tuple[date, Path]] = []
        for entry in entries:
            with contextlib.suppress(ValueError):  # of a name that is no day
                day = date.fromisoformat(entry.name.removesuffix(INTAKE_SUFFIX))
                folder = self.intake(day)
                if entry.name == folder.name and entry.is_dir(follow_symlinks=False) and not _is_junction(entry):
                    found.append((day, folder))
        return sorted(found)

    @property
    def removed(self) -> Path:
        """Where photos go that were taken out of the album, by person."""
        return self.folder / "removed-images"

    @property
    def aligned(self) -> Path:
        return self.folder / "aligned-images"

    @property
    def models(self) -> Path:
        return self.folder / "models"

    @property
    def journals(self) -> Path:
        """Where interrupted commands leave what they had done."""
        return self.folder / ".mien" / "journals"

    @property
    def lock_file(self) -> Path:
        return self.folder / ".mien" / "lock"

    @property
    def catalog_file(self) -> Path:
        """The setting `catalog` (relative to the album), or .mien/catalog.sqlite."""
        chosen = self.settings.catalog
        return self.folder / (chosen.expanduser() if chosen else Path(".mien", "catalog.sqlite"))

    @property
    def ledger_file(self) -> Path:
        """Beside the catalog: .mien/catalog-ledger.sqlite."""
        return self.catalog_file.with_stem(f"{self.catalog_file.stem}-ledger")

    def local_catalog(self) -> Path:
        """`catalog_file`, after making sure that its folder exists and is on a disk of this machine.

        Raises NetworkDriveError and StorageError.
        """
        check_local(self.catalog_file)
        make_folder(self.catalog_file.parent)
        return self.catalog_file

    def walk_training(self) -> Training:
        """Everything in training-images, without opening a photo.

        Raises AlbumError if the folder is missing: a network drive that is not connected is not an album whose photos
        were all deleted.
        """
        if not self.training.is_dir():
            raise AlbumError(
                f"{self.training} is missing.", "Put it back (or connect its drive); for an empty album, create it."
            )
        return _walk(self.training)

    def walk_intakes(self) -> Training:
        """Everything that waits to be merged, without opening a photo. Here links to photos are left out too, and so
        is, by name, what is no photo: it is the user's to say what becomes of it."""
        walks = [_walk(folder, f"{folder.name}/", strict=True) for _, folder in self.intakes()]
        return Training(
            people=tuple(sorted({person for walk in walks for person in walk.people})),
            placements=tuple(placement for walk in walks for placement in walk.placements),
            left_out=tuple(one for walk in walks for one in walk.left_out),
        )

    def waiting_file(self, path: str) -> Path:
        """Where a photo of an intake lies."""
        return self.folder / path

    def photo_file(self, path: str) -> Path:
        """Where the photo of a placement lies."""
        return self.training / path

    def chip_file(self, key: str) -> Path:
        """Where the chip of a key of `chip_keys` lies."""
        return self.aligned / key

    def walk_aligned(self) -> frozenset[str]:
        """The keys of all chips on disk."""
        return frozenset(file.relative_to(self.aligned).as_posix() for file in self.aligned.glob("*/*.png"))

    def remove_chip(self, key: str) -> None:
        """Removes a chip, and its person's folder if that was the last. No harm if it is gone. Raises StorageError."""
        file = self.chip_file(key)
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(file, error) from error
        with contextlib.suppress(OSError):
            file.parent.rmdir()  # refused while there is something in it

    def add_photo(self, person: str, source: Path) -> Path | None:
        """Copies the photo at `source` in under `person`, byte for byte and with its time, and returns where it went.

        None if it is there already under the same name; another photo of that name stays, and this one becomes
        "<stem>-2". Raises UsageError for an impossible name or something that is no photo by its name, PhotoError if
        `source` cannot be read, StorageError if it cannot be written, AlbumError if the person's folder is a link.
        """
        name = valid_person(person)
        if kind_of_name(source.name) != "photo" or not is_unicode(source.name):
            raise UsageError(
                f"{quoted_name(str(source))} is not a photo by its name.", "Give files such as .jpg or .png."
            )
        try:
            if not source.is_file():
                raise PhotoError(f"{source} is not a file.", "Give the path of a photo.")
            data, stat = source.read_bytes(), source.stat()
        except OSError as error:
            raise PhotoError(f"{source} cannot be read: {error.strerror}.", "Check its permissions.") from error
        folder = self.person_folder(name)
        make_folder(folder)
        number, target = 1, folder / source.name
        while target.exists() or target.is_symlink():
            if _holds(target, data):
                return None
            number += 1
            target = folder / f"{source.stem}-{number}{source.suffix}"
        write_atomically(target, data)
        try:
            os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        except OSError as error:
            raise storage_error(target, error) from error
        return target

    def person_folder(self, name: str) -> Path:
        """The folder in training-images of the person of this NFC name as it is spelt on disk, or else as it should be.
        Raises AlbumError if it is a link, since nothing is written outside the album."""
        folder = self.training / name
        if not folder.is_dir() and self.training.is_dir():
            folder = min((entry for entry in self.training.iterdir() if nfc(entry.name) == name), default=folder)
        if folder.is_symlink():
            raise AlbumError(f"{folder} is a link.", "Put a real folder in its place.")
        return folder

    @contextlib.contextmanager
    def lock(self, command: str) -> Iterator[None]:
        """Holds the album for a command that writes. Raises BusyError, saying who holds it, and StorageError.

        The lock is the operating system's, so it ends with the process, however that ends. Who holds it stands in a
        file beside it (Windows lets nobody read the locked file itself), believed only while the lock is held.
        """
        import filelock  # 0.07 s, and `mien classify` locks nothing

        make_folder(self.lock_file.parent)
        lock = filelock.FileLock(self.lock_file)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise BusyError(
                f"{self.folder} is in use by {_holder(self._holder_file)}.", "Wait until that is done, then try again."
            ) from None
        except OSError as error:
            raise storage_error(self.lock_file, error) from error
        try:
            holder = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "command": command,
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            write_atomically(self._holder_file, json.dumps(holder).encode())
            yield
        finally:
            with contextlib.suppress(OSError):
                self._holder_file.unlink(missing_ok=True)
            lock.release()

    @property
    def _holder_file(self) -> Path:
        return self.lock_file.with_suffix(".json")


def people_below(folder: Path) -> list[tuple[Path, str]]:
    """(photo, person) for the photos of any folder that is laid out like training-images, in order of path.

    Raises UsageError if there is no such folder or no such photo.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder.", "Give a folder with a folder of photos for each person.")
    found = [(folder / placement.path, placement.person) for placement in _walk(folder).placements]
    if not found:
        raise UsageError(f"There is no photo of a person in {folder}.", f"Put photos into {folder / '<person>'}.")
    return found


def _walk(top: Path, start: str = "", strict: bool = False) -> Training:
    """A person is a folder directly in `top`, with photos at any depth; hidden files and folders are passed over. Links
    to photos are followed, links to folders are not: so no walk is endless. `start` is put before each path. A `strict`
    walk follows no link at all and leaves out, rather than passes over, what is no photo by its name."""
    people: set[str] = set()
    placements: list[Placement] = []
    left_out: list[LeftOut] = []
    folders = [(top, start, "")]  # folder, its path with a slash behind it, person
    while folders:
        folder, prefix, person = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            left_out.append(LeftOut(prefix.rstrip("/"), UNREADABLE))
            continue
        for entry in entries:
            path = prefix + entry.name
            if entry.name.startswith(".") or entry.name in BESIDE_PHOTOS:
                continue
            if not is_unicode(entry.name):
                left_out.append(LeftOut(path.encode(errors="replace").decode(), NOT_UNICODE))
                continue
            try:
                if entry.is_dir():
                    if entry.is_symlink() or _is_junction(entry):
                        left_out.append(LeftOut(path, LINKED_FOLDER))
                        continue
                    below = person or nfc(entry.name)
                    people.add(below)
                    folders.append((Path(entry.path), f"{path}/", below))
                    continue
                kind = kind_of_name(entry.name)
                if strict and entry.is_symlink():
                    left_out.append(LeftOut(path, LINKED_PHOTO))
                elif kind == "unsupported":
                    left_out.append(LeftOut(path, UNSUPPORTED))
                elif kind == "ignored" and strict:
                    left_out.append(LeftOut(path, NO_PHOTO))
                elif kind == "photo" and not person:
                    left_out.append(LeftOut(path, NO_PERSON))
                elif kind == "photo":
                    stat = entry.stat()
                    placements.append(Placement(path, person, stat.st_size, stat.st_mtime_ns))
            except OSError:
                left_out.append(LeftOut(path, BROKEN_LINK if entry.is_symlink() else UNREADABLE))
    return Training(
        people=tuple(sorted(people)),
        placements=tuple(sorted(placements, key=attrgetter("path"))),
        left_out=tuple(sorted(left_out, key=attrgetter("path"))),
    )


def chip_keys(placements: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For each (path, person) the key of its chip: "<person>/<stem>.png", relative to aligned-images.

    Where photos of a person share a stem (in upper or lower case, in whatever sub-folders), the first in sorted order
    has it and the others carry their full name: "Ann/2019/a.jpg" and "Ann/a.jpg" have "Ann/a.png" and "Ann/a.jpg.png".
    The keys depend on the set of placements alone, and no two of a person are one file on any system.
    """
    photos_of: dict[str, list[str]] = {}
    for path, person in placements:
        photos_of.setdefault(person, []).append(path)
    keys: dict[str, str] = {}
    for person, paths in photos_of.items():
        taken: set[str] = set()
        later: list[str] = []
        for path in sorted(paths):
            name = f"{shortened(_stem(path))}.png"
            if folded(name) in taken:
                later.append(path)
            else:
                taken.add(folded(name))
                keys[path] = f"{person}/{name}"
        for path in later:
            full = shortened(path.partition("/")[2].replace("/", "-"))
            number, name = 1, f"{full}.png"
            while folded(name) in taken:
                number += 1
                name = f"{full}-{number}.png"
            taken.add(folded(name))
            keys[path] = f"{person}/{name}"
    return keys


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


_NETWORK = frozenset(
    """9p nfs nfs3 nfs4 cifs smb smb2 smb3 smbfs ncpfs afpfs afs coda webdav davfs davfs2 sshfs ceph ceph-fuse glusterfs
    lustre beegfs gpfs gfs2 ocfs2 orangefs pvfs2 s3fs rclone gcsfuse goofys juicefs mfs gvfsd-fuse curlftpfs""".split()  # noqa: SIM905
)
"""File systems, less the "fuse." of some, on which a catalog would come to harm (sqlite.org/wal.html: "All processes
using a database must be on the same host computer; WAL does not work over a network filesystem")."""


def check_local(path: PurePath, mounts: Sequence[Mount] | None = None) -> None:
    """Raises NetworkDriveError if a catalog at `path` would lie on a network drive; `mounts` are the disks, if known.

    9p is judged by the root: WSL mounts Windows drives by it, and SQLite's locks fail there, so it is refused. But
    where the root itself is 9p, the whole machine is a sandbox (gVisor, Kata) with one kernel behind all of it and no
    better disk to name. For that reason virtiofs, which shares a folder of one host with its guest, is allowed too.
    """
    if isinstance(path, Path):
        path = Path(os.path.realpath(path))  # a mapped Windows drive becomes its \\server\share
    mounts = _mounts() if mounts is None else mounts
    local = {"9p"} if any(mount.mountpoint == "/" and mount.fstype == "9p" for mount in mounts) else set[str]()
    mount = _mount_of(path, mounts)
    network = mount and (mount.fstype.removeprefix("fuse.") in _NETWORK - local or "remote" in mount.opts.split(","))
    if network or _is_unc(path):
        raise NetworkDriveError(
            f"{path} is on a network drive{f' ({mount.fstype})' if mount else ''}, where a catalog would be damaged.",
            'Put catalog = "/a/local/folder/catalog.sqlite" in mien.toml; the photos can stay where they are.',
        )


def _is_unc(path: PurePath) -> bool:
    """Whether it is a Windows path of a network share, in its short or its long form."""
    if not isinstance(path, PureWindowsPath):
        return False
    drive = path.drive.upper()
    return drive.startswith("\\\\?\\UNC\\") or (
        drive.startswith("\\\\") and not drive.startswith(("\\\\?\\", "\\\\.\\"))
    )


def _mount_of(path: PurePath, mounts: Sequence[Mount]) -> Mount | None:
    """The disk that `path` is on; of two mounted at one place, the later covers the other."""
    kind = type(path)
    depth = {i: len(kind(mount.mountpoint).parts) for i, mount in enumerate(mounts)}
    above = [i for i, mount in enumerate(mounts) if path.is_relative_to(kind(mount.mountpoint))]
    return mounts[max(above, key=lambda i: (depth[i], i))] if above else None


def _mounts() -> list[Mount]:
    import psutil  # type: ignore[import-untyped]  # 0.04 s, and only commands that write need it

    try:
        return [Mount(disk.mountpoint, disk.fstype, disk.opts) for disk in psutil.disk_partitions(all=True)]
    except OSError:
        return []  # a sandbox that hides its disks: nothing says that it is a network drive


def _holder(file: Path) -> str:
    """The process in the holder file, or less if it has not written that yet."""
    try:
        holder = json.loads(file.read_bytes())
        return f'"{holder["command"]}" (process {holder["pid"]} on {holder["host"]}, since {holder["since"]})'
    except (OSError, ValueError, KeyError, TypeError):
        return "another run of mien"


def _holds(file: Path, data: bytes) -> bool:
    try:
        return file.is_file() and file.stat().st_size == len(data) and file.read_bytes() == data
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror}.", "Check its permissions.") from error


def _is_junction(entry: os.DirEntry[str]) -> bool:
    """Whether it is Windows' older kind of link to a folder, which `is_symlink` does not see (but Python 3.12 can)."""
    test = getattr(entry, "is_junction", None)
    return bool(test and test())
