"""Who was removed from the album, and which photos were: neither comes back until a human brings them.

A name is known here by two keyed hashes, of itself and of what all its spellings have in common. So somebody who was
forgotten, whose name stands nowhere any more, is still told from others when a source offers their photos. The salt
lies in the same file: whoever has the file can try names one by one, and cannot read any out of it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mien.records.database import Database, execute_many
from mien.records.people import People
from mien.records.schema import removals, salts
from mien.records.times import text_of
from mien.text.names import folded, nfc

How = Literal["aside", "deleted", "everywhere"]
"""What becomes of somebody's photos: set aside, or deleted; or everything of them is deleted."""

_PURPOSE: Final = "removals"
_ACCENTS = re.compile("[\u0300-\u036f]")


@dataclass(frozen=True, slots=True)
class Removal:
    """Somebody who was removed `at` some time; `name` is "" if they were forgotten, `key` the hash of it. `pending`
    says how, while it is not finished."""

    key: str
    name: str
    at: datetime
    pending: How | None = None

    @property
    def on(self) -> str:
        """The day, local time, as people write it."""
        return self.at.astimezone().date().isoformat()


class Removals:
    """The removals in an open ledger, as they were when it was opened or last written to. A name may be given in any
    Unicode form."""

    def __init__(self, ledger: Database, people: People) -> None:
        self._ledger, self._people = ledger, people
        self._salt = ""
        self._whole: dict[str, sa.Row[*tuple[object, ...]]] = {}
        self._forms: dict[str, str] = {}
        self._photos: dict[tuple[str, str], str] = {}
        self.read()

    def read(self) -> None:
        """Reads them again, as somebody else has written."""
        with self._ledger.transaction() as connection:
            self._salt = connection.scalar(sa.select(salts.c.salt).where(salts.c.purpose == _PURPOSE)) or ""
            rows = connection.execute(sa.select(removals).order_by(removals.c.at, removals.c.key)).all()
        self._whole = {row.key: row for row in rows if not row.photo}
        self._forms = {row.form: row.key for row in self._whole.values()}
        self._photos = {(row.form, row.photo): row.at for row in rows if row.photo}

    def __bool__(self) -> bool:
        """Whether anybody, or any photo, was ever removed and is still to stay out."""
        return bool(self._whole or self._photos)

    def people(self) -> tuple[Removal, ...]:
        """Everybody who was removed, the first one first; of one second, in the order of their names."""
        found = [(row.at, self._removal(row)) for row in self._whole.values()]
        return tuple(removal for _, removal in sorted(found, key=lambda one: (one[0], one[1].name)))

    def of(self, name: str) -> Removal | None:
        """When the person of this name was removed, or of a name that is another spelling of it."""
        if not self._whole:
            return None
        key = self._forms.get(self._hash(common_form(name)), "")
        return self.of_exactly(name) or (self._removal(self._whole[key]) if key else None)

    def of_exactly(self, name: str) -> Removal | None:
        """When the person of this very name was removed."""
        row = self._whole.get(self._hash(nfc(name)))
        return None if row is None else self._removal(row)

    def has_photo(self, name: str, sha256: str) -> bool:
        """Whether a photo was taken out of those of the person of this name."""
        return bool(self._photos) and any((form, sha256) in self._photos for form in self._forms_of(name))

    def _forms_of(self, name: str) -> list[str]:
        """The hashes of what is common to the spellings of each name that the person of this name has, or had."""
        return [self._hash(common_form(one)) for one in self._people.spellings(name)]

    def begin(self, name: str, now: datetime, how: How) -> None:
        """Remembers that a person, who must have been entered in `People`, is being removed."""
        self._write([self._row(name, "", now, how)])

    def cover(self, name: str) -> None:
        """Has a person who was removed, and is about to be forgotten, stay out under their earlier names too."""
        if removal := self.of_exactly(name):
            names = self._people.spellings(name)[1:]
            self._write([self._row(one, "", removal.at, None) for one in names])

    def finish(self, name: str) -> None:
        """Remembers that the removal of a person is done."""
        self._execute(sa.update(removals).where(removals.c.key == self._hash(nfc(name))).values(pending=None))

    def remove_photos(self, name: str, sha256s: Iterable[str], now: datetime) -> None:
        """Remembers that photos of a person, who must have been entered in `People`, were taken out."""
        self._write([self._row(name, sha256, now, None) for sha256 in sha256s])

    def bring_back(self, removal: Removal) -> None:
        """Lets somebody come in again who was removed."""
        self._execute(sa.delete(removals).where(removals.c.key == removal.key, removals.c.photo == ""))

    def bring_photos_back(self, name: str, sha256s: Collection[str]) -> None:
        """Lets these photos of a person come in again."""
        form = removals.c.form.in_(self._forms_of(name))
        self._execute(sa.delete(removals).where(form, removals.c.photo.in_(sha256s), removals.c.photo != ""))

    def photos_of(self, name: str, person: str) -> set[str]:
        """The SHA-256 of the photos that were taken out while the person with this id was called so."""
        query = sa.select(removals.c.photo).where(*self._taken_out(name, person))
        with self._ledger.transaction() as connection:
            return set(connection.scalars(query))

    def carry(self, name: str, person: str, other: str) -> None:
        """Has the photos that were taken out while the person with this id was called `name` stay out of those of
        `other`, as that person is called from now on."""
        query = sa.select(removals).where(*self._taken_out(name, person))
        with self._ledger.transaction() as connection:
            rows = connection.execute(query).all()
        self._write([self._row(other, row.photo, datetime.fromisoformat(row.at), None) for row in rows])
        self._execute(sa.delete(removals).where(*self._taken_out(name, person)))

    def _taken_out(self, name: str, person: str) -> tuple[sa.ColumnElement[bool], ...]:
        return removals.c.key == self._hash(nfc(name)), removals.c.person == person, removals.c.photo != ""

    def _removal(self, row: sa.Row[*tuple[object, ...]]) -> Removal:
        return Removal(row.key, self._people.name_of(row.person or ""), datetime.fromisoformat(row.at), row.pending)

    def _row(self, name: str, photo: str, now: datetime, pending: How | None) -> dict[str, object]:
        person = self._people.id_of(name)
        if not person:
            raise KeyError(name)  # nobody could say who it was, or finish what was begun
        self._need_salt()
        return {
            "key": self._hash(nfc(name)),
            "photo": photo,
            "form": self._hash(common_form(name)),
            "person": person,
            "at": text_of(now),
            "pending": pending,
        }

    def _write(self, rows: list[dict[str, object]]) -> None:
        row = insert(removals)
        again = {name: row.excluded[name] for name in ("person", "at", "pending")}
        with self._ledger.transaction(write=True) as connection:
            execute_many(connection, row.on_conflict_do_update(index_elements=["key", "photo"], set_=again), rows)
        self.read()

    def _execute(self, statement: sa.Executable) -> None:
        with self._ledger.transaction(write=True) as connection:
            connection.execute(statement)
        self.read()

    def _need_salt(self) -> None:
        if not self._salt:
            with self._ledger.transaction(write=True) as connection:
                connection.execute(insert(salts).values(purpose=_PURPOSE, salt=secrets.token_hex(16)))
            self.read()

    def _hash(self, text: str) -> str:
        key = bytes.fromhex(self._salt)
        return hashlib.blake2b(text.encode(errors="surrogatepass"), key=key, digest_size=16).hexdigest()


def common_form(name: str) -> str:
    """What all spellings of a name have in common: its words and numbers in the order of the alphabet, without letter
    case, accents and what stands between them. This form is part of the schema: only its hash is kept."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold()))
    kinds = {letter: unicodedata.category(letter) for letter in plain}
    seen = (letter for letter in plain if kinds[letter] != "Cf")  # which nobody sees
    words = "".join(letter if kinds[letter][0] in "LMN" else " " for letter in seen).split()
    return " ".join(sorted(words)) or folded(name)
