"""What a server answers, and what it means where it is not the answer that was hoped for.

Errors of httpcore and of the libraries below it become a FetchError at one border, `border`. An error of whoever reads
a body (a full disk, say) passes through as it is.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpcore
import httpx

from mien.errors import FetchError
from mien.text.fetching import FetchFault
from mien.web.addresses import ForbiddenAddress
from mien.web.bodies import Stamp, length, unpacked
from mien.web.deadline import TOTAL, OutOfTime
from mien.web.urls import SCHEMES, parse, shown

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may go away by themselves."""

PACKINGS = frozenset(
    {"gzip", "x-gzip", "deflate", "br", "zstd", "dcb", "dcz", "compress", "x-compress", "pack200-gzip"}
)
"""The content codings that IANA lists, but for `identity`, which is none."""

_BY_GZIP = (("gzip",), ("x-gzip",))
_GONE = frozenset({404, 410})
_MALFORMED = ("illegal", "bad ", "conflicting", "can't parse", "unsupported")
"""What h11's errors say, in lower case, of a server that did answer, but badly."""
_OWN = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Errors of this machine, which has too many files open or too little memory for another connection."""
_ASIDE = 64 * 1024
"""Bytes of an unwanted body that are read to keep the connection; beyond, a new one is cheaper."""


class Passing(Exception):  # noqa: N818 - never seen outside this room
    """`error`, which may not happen again. `held`: the host's pace sees to the wait."""

    def __init__(self, error: FetchError, held: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.held = held


class Answer:
    """A status, headers, and a body that can be read once. `robots` is that of `Receipt`."""

    def __init__(self, url: httpx.URL, response: httpcore.Response, robots: str) -> None:
        self.url = url
        self.status = response.status
        self.headers = httpx.Headers(response.headers)
        self.robots = robots
        self._response = response

    @property
    def stamp(self) -> Stamp:
        return Stamp.of(self.headers)

    @property
    def encodings(self) -> tuple[str, ...]:
        """How the body is packed, the outermost last. What servers write there that is no packing counts for nothing:
        a charset, `none`, the framing of an upload."""
        named = (one.strip().lower() for one in self.headers.get("content-encoding", "").split(","))
        return tuple(one for one in named if one in PACKINGS)

    def plain(self) -> Iterator[bytes]:
        """The body, unpacked if it is packed by gzip. Raises FetchError for another packing, which was not asked
        for."""
        packings = self.encodings
        if not packings:
            yield from self._raw()
        elif packings in _BY_GZIP:
            try:
                yield from unpacked(self._raw())
            except ValueError as error:
                raise self.error("says that it is packed by gzip, and is not", FetchFault.UNREADABLE) from error
        else:
            raise self.error(f"is packed by {packings[-1]}, which was not asked for", FetchFault.UNREADABLE)

    def bounded(self, limit: int) -> Iterator[bytes]:
        """The same. Raises FetchError beyond `limit` bytes of the unpacked body."""
        if length(self.headers) > limit:
            raise self.too_large(limit)
        size = 0
        for chunk in self.plain():
            size += len(chunk)
            if size > limit:
                raise self.too_large(limit)
            yield chunk

    def set_aside(self) -> None:
        """Reads a short body to its end, so that the connection can be used again."""
        if length(self.headers) > _ASIDE:
            return
        size = 0
        for chunk in self._raw():
            size += len(chunk)
            if size > _ASIDE:
                return

    def target(self) -> httpx.URL:
        """The URL that a redirect leads to. Raises FetchError."""
        location = self._location()
        if location is None:
            raise self.error("leads elsewhere without saying where", FetchFault.REDIRECTS)
        url = parse(location, self.url)
        if self.url.scheme == SCHEMES[1] and url.scheme != SCHEMES[1]:
            raise self.error(f"leads from https to http: {shown(url)}", FetchFault.REDIRECTS)
        return url

    def _location(self) -> str | None:
        """The header, whose letters are UTF-8; bytes that are none are escaped as they are, as browsers do."""
        found = next((value for name, value in self.headers.raw if name.lower() == b"location"), None)
        if found is None:
            return None
        try:
            return found.decode()
        except UnicodeDecodeError:
            return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in found)

    def refusal(self) -> FetchError:
        """The error that its status means; the status is not the one that was hoped for."""
        if self.status in _GONE:
            return FetchError(
                shown(self.url),
                f"is not there any more (HTTP {self.status})",
                FetchFault.GONE.remedy,
                FetchFault.GONE,
            )
        if 400 <= self.status < 500 and self.status not in TRANSIENT:
            return FetchError(
                shown(self.url),
                f"was refused (HTTP {self.status})",
                "Ask whoever runs the site; mien sends no password.",
                FetchFault.REFUSED,
            )
        return self.error(f"cannot be had: the server answers HTTP {self.status}", FetchFault.SERVER)

    def error(self, what: str, kind: FetchFault) -> FetchError:
        """An error for which the site is to blame. The URL and `what` make a sentence."""
        return FetchError(
            shown(self.url), what, "Collect again later; if it stays so, tell whoever runs the site.", kind
        )

    def too_large(self, limit: int) -> FetchError:
        """The error of a body of more than `limit` bytes."""
        return FetchError(
            shown(self.url),
            f"is larger than {limit / 2**20:.0f} MB",
            "For a photo, raise max_megabytes of the source, if that is right.",
            FetchFault.TOO_LARGE,
        )

    def _raw(self) -> Iterator[bytes]:
        with border(self.url):
            yield from self._response.iter_stream()


@contextmanager
def border(url: httpx.URL) -> Iterator[None]:
    """The one place where errors of the network libraries become mien's: FetchError, or Passing around one. Their own
    words stay out of the message, as they may quote what was sent."""
    try:
        yield
    except ForbiddenAddress as error:
        raise FetchError(
            shown(url),
            f"was not asked for: its host is at {error.address}, which is no public address",
            "If that is in your own network, write allow_private = true at the source in mien.toml.",
            FetchFault.ADDRESS,
        ) from error
    except OutOfTime as error:
        raise FetchError(
            shown(url), f"took longer than {TOTAL:.0f} seconds", FetchFault.TIMEOUT.remedy, FetchFault.TIMEOUT
        ) from error
    except httpcore.TimeoutException as error:
        raise Passing(
            FetchError(shown(url), "does not answer in time", FetchFault.TIMEOUT.remedy, FetchFault.TIMEOUT)
        ) from error
    except (httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
        cause = error.args[0] if error.args else None
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise FetchError(
                shown(url),
                "was not asked for: its server cannot prove, by its certificate, that it is that host",
                "Tell whoever runs the site; mien never goes on without.",
                FetchFault.SERVER,
            ) from error
        if isinstance(cause, ssl.SSLError):
            raise Passing(
                FetchError(
                    shown(url),
                    "cannot be asked for: its server does not encrypt as it should (TLS)",
                    "Check whether it begins with http:// instead, or tell whoever runs the site.",
                    FetchFault.SERVER,
                )
            ) from error
        if isinstance(cause, OSError) and cause.errno in _OWN:
            raise Passing(
                FetchError(
                    shown(url),
                    f"was not asked for, as this computer has too little left: {cause.strerror}",
                    FetchFault.SHORT_OF_MEMORY.remedy,
                    FetchFault.SHORT_OF_MEMORY,
                )
            ) from error
        said = str(error).lower() if isinstance(error, httpcore.RemoteProtocolError) else ""
        if any(word in said for word in _MALFORMED):  # passing, as it may be the rest of an answer longer than it said
            raise Passing(
                FetchError(
                    shown(url),
                    "is answered, but not in HTTP as it should be: the headers are malformed",
                    FetchFault.SERVER.remedy,
                    FetchFault.SERVER,
                )
            ) from error
        if said:  # it was reached, and it closed
            raise Passing(
                FetchError(shown(url), "breaks off before its end", FetchFault.SERVER.remedy, FetchFault.SERVER)
            ) from error
        what = "cannot be reached" if isinstance(error, httpcore.ConnectError) else "breaks off"
        if isinstance(cause, socket.gaierror):
            what = "cannot be reached: nobody knows its host"
        raise Passing(FetchError(shown(url), what, FetchFault.NETWORK.remedy, FetchFault.NETWORK)) from error
    except OSError as error:
        raise FetchError(shown(url), "cannot be reached", FetchFault.NETWORK.remedy, FetchFault.NETWORK) from error
    except (httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol, ValueError) as error:
        raise FetchError(shown(url), "cannot be asked for", "Check how it is written.", FetchFault.ADDRESS) from error
