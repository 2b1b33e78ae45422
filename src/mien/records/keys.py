"""The keys by which a server knows who asks, each by a name that a human gave it.

A key is 256 random bits, and only its SHA-256 is kept. A plain hash is right for a key: slow, salted hashes are for
passwords, of which people choose so few that all can be tried, and nobody tries 2**256 keys. Nothing here can be made
up again: a row that is damaged is taken out, and its key is then unknown.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa

from mien.errors import BusyError, StorageError, UsageError
from mien.records.database import Database
from mien.records.schema import keys, replies
from mien.records.times import text_of, time_of
from mien.text.access import KeyKind, Scope, valid_key_name
from mien.text.names import folded, meant, nfc, quoted_name

PREFIX: Final = "mien_"
"""By which people, and programs that look for secrets in files, know a key when they see one."""
_LONGEST: Final = 200
"""Characters of what could be a key; what is longer is not even hashed."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key: its name and what it allows; `until` is the last day on which it is good, in the time of the album's
    machine; `last_used` is to the minute."""

    name: str
    scope: Scope
    created: datetime
    until: date | None
    revoked: datetime | None
    last_used: datetime | None

    def refused(self, now: datetime) -> KeyKind | None:
        """Why the key is not good; None for one that is. `now` is the local time."""
        if self.revoked is not None:
            return KeyKind.REVOKED
        return KeyKind.EXPIRED if self.until is not None and now.date() > self.until else None

    def to_json(self, now: datetime) -> dict[str, Any]:
        """The same for programs, with its `state`: "good", "revoked" or "expired"."""
        refused = self.refused(now)
        return {
            "name": self.name,
            "scope": self.scope.value,
            "state": refused.value if refused else "good",
            "created": text_of(self.created),
            "until": self.until.isoformat() if self.until else None,
            "revoked": text_of(self.revoked) if self.revoked else None,
            "last_used": text_of(self.last_used) if self.last_used else None,
        }


class Keys:
    """The keys in an open file, which other processes may change at any moment. `asking` gives the same file, opened
    once more, for `find` alone: who asks must not wait for a disk to which something is just being written."""

    def __init__(self, access: Database, asking: Callable[[], Database], writes: bool) -> None:
        self._access, self._asking, self._writes = access, asking, writes
        self._used: dict[str, str] = {}
        self._known: tuple[int, dict[str, Key]] = (-1, {})

    def all(self) -> tuple[Key, ...]:
        """Every key by name, also those that are revoked or expired."""
        with self._access.transaction() as connection:
            rows = connection.execute(sa.select(keys).order_by(keys.c.name)).all()
        return tuple(map(_key, rows))

    def add(self, name: str, scope: Scope, until: date | None, now: datetime) -> str:
        """Makes a key, and returns it: it is told once, and kept nowhere. The name may be that of a key that was
        revoked, whose place it takes. Raises UsageError for a name that is taken or cannot be one, and for a day that
        is over."""
        name = valid_key_name(name)
        if until is not None and until < now.date():
            raise UsageError(until.isoformat(), "is over", "Give a day that is still to come as --until.")
        secret = f"{PREFIX}{secrets.token_urlsafe(32)}"
        row = {"name": name, "sha256": _hash(secret), "scope": scope.value, "created": text_of(now)}
        with self._access.transaction(write=True) as connection:
            known = connection.execute(sa.select(keys)).all()
            if taken := next((one for one in known if folded(one.name) == folded(name) and not one.revoked), None):
                raise UsageError(
                    quoted_name(taken.name),
                    "is the name of a key already",
                    "Choose another name, or revoke that key first: `mien keys revoke NAME`.",
                )
            gone = [one.name for one in known if folded(one.name) == folded(name)]
            connection.execute(sa.delete(keys).where(keys.c.name.in_(gone)))
            connection.execute(sa.delete(replies).where(replies.c.key.in_(gone)))  # they were for whoever had that key
            connection.execute(sa.insert(keys).values(row | {"until": until.isoformat() if until else None}))
        return secret

    def revoke(self, name: str, now: datetime) -> Key:
        """Has a key be refused from now on; one that was revoked before stays as it is. Raises UsageError for a name
        that no key has."""
        known = [key.name for key in self.all()]
        if nfc(name) not in known:
            what, remedy = "is the name of no key", f"{meant(name, known)}`mien keys` names them all."
            raise UsageError(quoted_name(name), what, remedy)
        of = keys.c.name == nfc(name)
        with self._access.transaction(write=True) as connection:
            connection.execute(sa.update(keys).where(of, keys.c.revoked.is_(None)).values(revoked=text_of(now)))
            return _key(connection.execute(sa.select(keys).where(of)).one())

    def find(self, secret: str, now: datetime) -> Key | KeyKind:
        """The key that somebody shows, or why it is refused. What others have written is seen at once. The time that
        it takes tells nothing of a key: it is looked up by its hash, which nobody can choose."""
        if len(secret) > _LONGEST:
            return KeyKind.UNKNOWN
        shown = _hash(secret)
        for sha256, key in self._present().items():
            if hmac.compare_digest(sha256, shown):
                return key.refused(now) or key
        return KeyKind.UNKNOWN

    def named(self, name: str, now: datetime) -> Key | KeyKind:
        """The key of this name, or why it is refused, as quickly."""
        key = next((one for one in self._present().values() if one.name == name), None)
        return KeyKind.UNKNOWN if key is None else key.refused(now) or key

    def _present(self) -> dict[str, Key]:
        """The keys that there are now, by their hash."""
        asking = self._asking()
        changes = asking.changes()
        if self._known[0] != changes:  # a look at the rows takes as long as thirty at this number
            with asking.transaction() as connection:
                rows = connection.execute(sa.select(keys)).all()
            self._known = changes, {row.sha256: _key(row) for row in rows}
        return self._known[1]

    def used(self, name: str, now: datetime) -> None:
        """Remembers that a key was used, to the minute; in the same minute it writes nothing. Nor does it where that
        cannot be written, which is no reason not to answer whoever asks."""
        minute = text_of(now.replace(second=0, microsecond=0))
        if self._used.get(name) == minute or not self._writes:
            return
        self._used[name] = minute
        try:
            with self._access.transaction(write=True) as connection:
                connection.execute(sa.update(keys).where(keys.c.name == name).values(last_used=minute))
        except (BusyError, StorageError):
            return


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: sa.Row[*tuple[object, ...]]) -> Key:
    return Key(
        row.name,
        Scope(row.scope),
        datetime.fromisoformat(row.created),
        date.fromisoformat(row.until) if row.until else None,
        time_of(row.revoked),
        time_of(row.last_used),
    )
