"""What a server answered to requests that carry an idempotency key, so that each is carried out once however often it
is sent.

A request is begun before anything is changed, and done once its reply is kept. Between the two its process may be
killed: then the request is interrupted, and nobody can say how far it came. A reply may hold names, so all of them are
emptied when somebody is forgotten; that a request was carried out is known all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from mien.records.database import Database
from mien.records.schema import replies
from mien.records.times import text_of
from mien.text.access import RepeatKind

HOURS: Final = 24
"""For which a reply is kept, as clients of other services expect."""
MOST_BYTES: Final = 64_000
"""Of a reply's body; of a longer one only its status is kept."""
MOST_REPLIES: Final = 20_000
"""That are kept, the newest: with bodies of a common size they take some 20 MB."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered: the `status` of HTTP, the content type, and the body. The body is None, and the type "", where
    it was too long to be kept, or somebody was forgotten since."""

    status: int
    type: str
    body: bytes | None


def fingerprint(*parts: str | bytes) -> str:
    """The SHA-256 of what is asked for, in parts such as the method, the path, the query and the fields of a form. A
    multipart body has another boundary each time that it is sent, so its fields are given and not its bytes."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "big") + data)
    return found.hexdigest()


class Replies:
    """The replies in an open file. `here` gives the id of this process, and `lives` says whether that of an id does."""

    def __init__(self, access: Database, here: Callable[[], str], lives: Callable[[str], bool]) -> None:
        self._access, self._here, self._lives = access, here, lives

    def begin(
        self, key: str, request: str, fingerprint: str, now: datetime, take_over: bool = False
    ) -> Reply | RepeatKind | None:
        """Begins a request of the key of this name with the idempotency key `request`. None says that it is to be
        carried out; whoever does so calls `finish`, or `drop` if nothing was changed. A `Reply` is what was answered
        before, and to be answered again; a kind says why there is none. Of several who begin the same request at once,
        in whatever process, one gets None.

        A request that was interrupted begins anew with `take_over`, for those that may be repeated without harm."""
        here, of = self._here(), _of(key, request)
        with self._access.transaction(write=True) as connection:
            _prune(connection, now)
            row = connection.execute(sa.select(replies).where(*of)).one_or_none()
            if row is None:
                asked = {"key": key, "request": _hash(request), "fingerprint": fingerprint, "at": text_of(now)}
                connection.execute(sa.insert(replies).values(**asked, holder=here, forgotten=False, type=""))
                return None
            if row.fingerprint not in ("", fingerprint):
                return RepeatKind.DIFFERENT
            if row.status is not None:
                return Reply(row.status, row.type, row.body)
            if self._lives(row.holder):
                return RepeatKind.RUNNING
            if not take_over:
                return RepeatKind.INTERRUPTED
            again = {"fingerprint": fingerprint, "holder": here, "forgotten": False}
            connection.execute(sa.update(replies).where(*of).values(again))
            return None

    def finish(self, key: str, request: str, reply: Reply) -> None:
        """Keeps the reply to a request that was begun."""
        with self._access.transaction(write=True) as connection:
            forgotten = connection.scalar(sa.select(replies.c.forgotten).where(*_of(key, request)))
            keeps = not forgotten and reply.body is not None and len(reply.body) <= MOST_BYTES
            values = {
                "status": reply.status,
                "type": reply.type if keeps else "",
                "body": reply.body if keeps else None,
            }
            connection.execute(sa.update(replies).where(*_of(key, request)).values(values))

    def interrupt(self, key: str, request: str) -> None:
        """Says of a request that was begun that nobody knows how far it came."""
        with self._access.transaction(write=True) as connection:
            begun = (*_of(key, request), replies.c.status.is_(None))
            connection.execute(sa.update(replies).where(*begun).values(holder=""))

    def drop(self, key: str, request: str) -> None:
        """Lets a request that was begun be sent again as a new one, since nothing was changed: the album was in use."""
        with self._access.transaction(write=True) as connection:
            connection.execute(sa.delete(replies).where(*_of(key, request), replies.c.status.is_(None)))


def empty(connection: sa.Connection) -> None:
    """Leaves no name in any reply, nor in those that are still to come of requests that were begun."""
    connection.execute(sa.update(replies).values(fingerprint="", type="", body=None, forgotten=True))


def _prune(connection: sa.Connection, now: datetime) -> None:
    day = timedelta(hours=HOURS)
    old = sa.or_(replies.c.at <= text_of(now - day), replies.c.at > text_of(now + day))  # later: the clock was wrong
    last = sa.select(sa.func.max(replies.c.id)).scalar_subquery()
    connection.execute(sa.delete(replies).where(sa.or_(old, replies.c.id <= last - MOST_REPLIES)))


def _of(key: str, request: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return replies.c.key == key, replies.c.request == _hash(request)


def _hash(request: str) -> str:
    return hashlib.sha256(request.encode("utf-8", "surrogatepass")).hexdigest()
