"""A database on a server, by a URL that may hold a password, which is never shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit


@dataclass(frozen=True, slots=True, repr=False)
class Server:
    """A database on a PostgreSQL server, by its URL: "postgresql://user@host/database", in any form that libpq knows.
    The URL may hold a password, which str() and repr() leave out."""

    url: str

    SCHEMES: ClassVar[tuple[str, ...]] = ("postgresql", "postgres")

    @classmethod
    def of(cls, url: str) -> Self:
        """The database of a URL. Raises ValueError for one that could not be shown without its password, or names no
        database; the message says nothing of the URL."""
        try:
            parts = urlsplit(url)
            settings = parse_qsl(parts.query, strict_parsing=bool(parts.query))
        except ValueError as error:
            raise ValueError("it must be postgresql://USER@HOST/DATABASE") from error
        is_quoted = not (parts.fragment or re.search("%(?![0-9A-Fa-f]{2})", url))
        if not is_quoted or parts.netloc.count("@") > 1 or "/" in parts.path[1:] or "@" in parts.path:
            raise ValueError(
                "it must be postgresql://USER@HOST/DATABASE, with # % @ / : of a password as %23 %25 %40 %2F %3A"
            )
        if not parts.path[1:] and "dbname" not in dict(settings):
            raise ValueError("it must name a database: postgresql://USER@HOST/DATABASE")
        return cls(url)

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        user, at, hosts = parts.netloc.rpartition("@")
        shown = [(key, value) for key, value in parse_qsl(parts.query) if "password" not in key.lower()]
        query = f"?{urlencode(shown, safe='/,')}" if shown else ""
        return f"{parts.scheme}://{user.partition(':')[0]}{at}{hosts}{parts.path}{query}"

    __repr__ = __str__

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords in the URL, as they are written there and as they are meant: texts that are never shown."""
        return passwords(self.url)

    def is_same_as(self, other: Server) -> bool:
        """Whether both are one database, for all that their URLs say: by whichever user."""
        return self._place == other._place

    @property
    def _place(self) -> tuple[str, str, dict[str, str]]:
        parts = urlsplit(self.url)
        settings = {
            key: value for key, value in parse_qsl(parts.query) if key in ("host", "port", "dbname", "hostaddr")
        }
        hosts = ",".join(one.lower().removesuffix(":5432") for one in parts.netloc.rpartition("@")[2].split(","))
        return hosts, parts.path, settings


def passwords(url: str) -> tuple[str, ...]:
    """The passwords in a URL, also those among its parameters, as they are written there and as they are meant: the
    longest first, as others may be part of it. Raises ValueError for a URL that cannot be read."""
    parts = urlsplit(url)
    written = [parts.netloc.rpartition("@")[0].partition(":")[2]]
    for one in parts.query.split("&"):
        key, _, value = one.partition("=")
        if "password" in unquote(key).lower():
            written.append(value)
    found = dict.fromkeys(form for one in written for form in (one, unquote(one)) if form)
    return tuple(sorted(found, key=len, reverse=True))
