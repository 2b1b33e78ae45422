"""What the headers of an answer say of its body (stamp, length, part), and the unpacking of gzip."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import NamedTuple

_LONGEST_STAMP = 1000
"""Letters of a header that is remembered, and sent back."""
_PIECE = 64 * 1024
"""Bytes that are unpacked at once: gzip can make a thousand of one."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The headers by which a server tells one version of a picture from another: ETag and Last-Modified, "" for a
    header that it does not send."""

    etag: str = ""
    modified: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Stamp:
        return cls(_sendable(headers.get("etag", "")), _sendable(headers.get("last-modified", "")))

    @classmethod
    def read(cls, text: str) -> Stamp:
        """The stamp that `str` wrote; an empty one for anything else, which costs a transfer and no more."""
        try:
            return cls(**{key: _sendable(str(value)) for key, value in json.loads(text).items()})
        except (ValueError, TypeError, AttributeError):
            return cls()

    def __str__(self) -> str:
        said = {key: value for key, value in (("etag", self.etag), ("modified", self.modified)) if value}
        return json.dumps(said, separators=(",", ":")) if said else ""

    def __bool__(self) -> bool:
        return bool(self.etag or self.modified)

    @property
    def strong(self) -> bool:
        """Whether it vouches for every byte, so that a transfer can be resumed (RFC 9110, section 8.8.1)."""
        return self.etag.startswith('"')

    def unless_same(self) -> dict[str, str]:
        """Headers that ask for the picture only if it has changed."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in named.items() if value}

    def rest(self, start: int) -> dict[str, str]:
        """Headers that ask for the bytes from `start` on if it has not changed, and for all of them if it has."""
        return {"Range": f"bytes={start}-", "If-Range": self.etag}


def _sendable(value: str) -> str:
    """`value` if it can be sent back in a header, else ""."""
    return value if value.isascii() and value.isprintable() and len(value) <= _LONGEST_STAMP else ""


class Part(NamedTuple):
    """The part of a picture that an answer of status 206 brings: the place of its first byte, and the size of the whole
    picture, None if the server does not say it."""

    start: int
    total: int | None


def part(headers: Mapping[str, str]) -> Part | None:
    """The part that Content-Range names; None for a header that cannot be read."""
    found = re.fullmatch(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)", headers.get("content-range", "").strip())
    return Part(int(found[1]), None if found[2] == "*" else int(found[2])) if found else None


def length(headers: Mapping[str, str]) -> int:
    """The bytes that Content-Length declares; 0 if it is not there."""
    declared = headers.get("content-length", "")
    return int(declared) if re.fullmatch(r"\d{1,18}", declared) else 0


def charset(headers: Mapping[str, str]) -> str | None:
    """The charset in Content-Type, None if there is none."""
    found = re.search(r"""charset\s*=\s*["']?([\w.:+-]{1,40})""", headers.get("content-type", ""), re.IGNORECASE)
    return found[1] if found and found[1].lower() != "punycode" else None  # which is no charset, and takes forever


def pause(headers: Mapping[str, str]) -> float | None:
    """Seconds that Retry-After asks to wait, None without one. A date in it is counted from the server's Date."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", value):
        return float(value)
    if len(value) > 100:
        return None
    try:
        return max(0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))).total_seconds())
    except (TypeError, ValueError, OverflowError):  # the last of a time zone of a thousand years
        return None


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The unpacked bytes of `chunks`, one gzip stream, a piece at a time, so that whoever reads can stop in time. Bytes
    after the stream are passed over. Raises ValueError for chunks that are no gzip stream, or lack its end."""
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        for chunk in chunks:
            rest = chunk
            while rest and not inflater.eof:
                yield inflater.decompress(rest, _PIECE)
                rest = inflater.unconsumed_tail
        yield inflater.flush()
    except zlib.error as error:
        raise ValueError("not gzip") from error
    if not inflater.eof:
        raise ValueError("cut off")
