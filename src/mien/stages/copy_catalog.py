"""copy_catalog: what is known of an album, its catalog, its ledger and who may ask a server, goes to another place:
from files to a PostgreSQL server, or back.

Goes in: the place, as mien.toml would name it. Comes out: how many rows each table has, all of which were compared.
Nothing is changed where they were.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mien.errors import AlbumError, UsageError
from mien.open_album import OpenAlbum
from mien.records.copying import CopiedTable, copy
from mien.servers import Server
from mien.settings import text_of, with_value
from mien.storage.disks import check_local
from mien.storage.files import write_atomically
from mien.storage.layout import Layout


@dataclass(frozen=True, slots=True)
class CopiedCatalog:
    """What was copied, and the `line` for mien.toml that says so, which holds no password; `used` says whether it
    stands there already."""

    tables: tuple[CopiedTable, ...]
    line: str
    used: bool

    @property
    def rows(self) -> int:
        """In all tables."""
        return sum(table.rows for table in self.tables)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"tables": [asdict(one) for one in self.tables], "equal": True, "line": self.line, "used": self.used}


def copy_catalog(album: OpenAlbum, to: Path | Server, use: bool = False) -> CopiedCatalog:
    """Copies the databases of an album to a place where there are none, and has mien.toml name it if it is to be put
    into `use`. Raises UsageError for a password that would stand in mien.toml, AlbumError where there is a catalog
    already, NetworkDriveError, StorageError and BusyError."""
    if use and isinstance(to, Server) and to.secrets:
        raise UsageError(
            "The password",
            "would stand in mien.toml, where others may read it",
            "Leave it out of the URL: put it into the file ~/.pgpass, or into the environment variable PGPASSWORD.",
        )
    target = Layout.of(album.folder, album.settings.model_copy(update={"catalog": to}))
    if target.server is None:
        check_local(target.catalog_file)
    tables = copy(_up_to_date(album), target)
    text = str(to) if isinstance(to, Server) else _named(album.folder, target.catalog_file)
    line = with_value("", "catalog", text).strip()
    if use:
        _use(album.layout.settings_file, text)
    return CopiedCatalog(tables, line, use)


def _up_to_date(album: OpenAlbum) -> Layout:
    """The album's layout, whose databases have the tables of this version and no damage."""
    _ = album.ledger, album.catalog
    return album.layout


def _named(folder: Path, file: Path) -> str:
    """A file as mien.toml names it: relative to the album where it lies in there."""
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)


def _use(file: Path, text: str) -> None:
    try:
        changed = with_value(text_of(file), "catalog", text)
    except ValueError as error:
        remedy = f"What was copied is complete. Write the line yourself: {with_value('', 'catalog', text).strip()}"
        raise AlbumError(str(file), "is written in a way that mien does not change", remedy) from error
    write_atomically(file, changed.encode())
