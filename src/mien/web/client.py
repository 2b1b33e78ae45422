"""Fetches pages and pictures, politely and within bounds. Every hop of every attempt is judged anew: its scheme and
host, what robots.txt says, the host's pace, the address that is connected to.

What httpcore and what is below it raise becomes a FetchError at one border, `_border`; what the reader of a body raises
(a full disk, say) passes through as it is.
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from types import TracebackType
from typing import Self, TypeVar

import httpcore
import httpx

from mien.errors import FetchError, SourceError
from mien.protocols import Sink
from mien.types import Page, Receipt
from mien.web.addresses import ForbiddenAddress, GuardedBackend, Resolver, system_resolver
from mien.web.bodies import Stamp, charset, length, part, pause, unpacked
from mien.web.deadline import Deadline, OutOfTime
from mien.web.pace import Pace
from mien.web.robots import LIMIT as ROBOTS_LIMIT
from mien.web.robots import TOKEN, Robots
from mien.web.urls import SCHEMES, ascii_host, host, parse, shown

PAGE_LIMIT = 32 * 2**20
"""Bytes of a page, unpacked."""
PICTURE_LIMIT = 64 * 2**20
"""Bytes of a picture, unless the client is told otherwise."""
REDIRECTS = 5
"""Followed one after the other, at most; RFC 9309, section 2.3.1.2 wants as many for robots.txt."""
BACKOFF = (0.5, 1.0, 2.0)
"""Seconds before the second, third and last attempt, or down to half as many, by chance, so that those who failed
together do not come back together."""
CONNECT, READ, TOTAL = 10.0, 30.0, 300.0
"""Seconds to connect, to wait for the next bytes, and for one request with its answer."""

_MOVED = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""What may go away by itself."""
_ASIDE = 64 * 1024
"""Bytes of an unwanted body that are read to keep the connection; beyond, a new one is cheaper."""

_TIMEOUTS = {"connect": CONNECT, "read": READ, "write": READ}
_PAGE = {"Accept-Encoding": "gzip"}
_PICTURE = {"Accept-Encoding": "identity"}  # so that the bytes have the length that was declared, and can be resumed

_Result = TypeVar("_Result")


class _Passing(Exception):  # noqa: N818 - never seen outside this file
    """`error`, which may not happen again. `held`: the host's pace sees to the wait."""

    def __init__(self, error: FetchError, held: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.held = held


class Client:
    """`protocols.Web` for one source. Usable from several threads, over all of which its limits hold; close it, or use
    it as a context manager.

    It goes to `hosts` only (names or addresses without a port), at public addresses unless `allow_private`, with
    `per_host` requests to one at once, their starts `delay` seconds apart, or more where robots.txt says so; it takes
    pictures of `largest` bytes at most; `contact` joins its name in the user agent. Proxies and credentials that the
    environment or a .netrc file holds are not used. `resolve`, `clock` (seconds, monotonic), `sleep` and `tls` are for
    tests and special networks.

    Raises SourceError for a host or contact that cannot be one.
    """

    def __init__(
        self,
        hosts: Iterable[str],
        *,
        allow_private: bool = False,
        per_host: int = 4,
        delay: float = 0.0,
        largest: int = PICTURE_LIMIT,
        contact: str = "",
        resolve: Resolver = system_resolver,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._hosts = frozenset(_listed(name) for name in hosts)
        self._agent = _agent(contact)
        self._largest = largest
        self._sleep = sleep
        self._pace = Pace(per_host, delay, clock, sleep)
        self._deadline = Deadline(clock)
        self._robots = Robots(self._robots_txt)
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or _tls(),
            max_connections=None,  # the pace bounds them
            keepalive_expiry=15.0,
            network_backend=GuardedBackend(resolve, allow_private, self._deadline),
        )

    def close(self) -> None:
        """Closes all connections."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def page(self, url: str) -> Page:
        """The text at `url`, of at most PAGE_LIMIT bytes. Raises FetchError."""
        start = parse(url)

        def attempt() -> Page:
            with self._ask(start, _PAGE, self._judge) as answer:
                self._expect(answer, 200)
                body = b"".join(_bounded(answer, PAGE_LIMIT))
                return Page(str(answer.url), body, charset(answer.headers))

        return self._patiently(attempt)

    def picture(self, url: str, into: Sink, since: str) -> Receipt | None:
        """Writes the bytes at `url` to `into`; None, and nothing written, where they are as `since` (an earlier
        receipt's stamp, "" for none) says. A transfer that broke off is resumed where the server vouches, by a strong
        ETag, that the picture is still the same. Raises FetchError, and whatever `into` raises."""
        start = parse(url)
        before = Stamp.read(since)
        begun = Stamp()  # of what `into` holds

        def attempt() -> Receipt | None:
            nonlocal begun
            resuming = into.size > 0 and begun.strong
            if into.size and not resuming:
                into.restart()
            conditions = begun.rest(into.size) if resuming else before.unless_same()
            with self._ask(start, _PICTURE | conditions, self._judge) as answer:
                if answer.status == 304 and before and not resuming:
                    answer.set_aside()
                    return None
                if resuming and answer.status in (206, 416):
                    rest = part(answer.headers)
                    if (
                        answer.status == 416
                        or rest is None
                        or rest.start != into.size
                        or answer.stamp.etag != begun.etag
                    ):
                        begun = Stamp()
                        raise _Passing(answer.error("does not give the rest of what it began.", "server"))
                    total = rest.total
                else:
                    self._expect(answer, 200)
                    begun, total = answer.stamp, None
                    if resuming:
                        into.restart()
                    if begun and begun == before:  # a server that knows no conditions
                        return None
                if into.size + length(answer.headers) > self._largest:
                    raise answer.too_large(self._largest)
                for chunk in answer.chunks():
                    if into.size + len(chunk) > self._largest:
                        raise answer.too_large(self._largest)
                    into.write(chunk)
                if total is not None and into.size < total:
                    raise _Passing(answer.error("gives only a part of itself.", "server"))
                return Receipt(str(begun), answer.robots)

        return self._patiently(attempt)

    def _patiently(self, attempt: Callable[[], _Result]) -> _Result:
        """What `attempt` gives, tried again while what hinders it may pass."""
        for wait in BACKOFF:
            try:
                return attempt()
            except _Passing as passing:
                if not passing.held:
                    self._sleep(wait * random.uniform(0.5, 1.0))
        try:
            return attempt()
        except _Passing as passing:
            raise passing.error from passing.__cause__

    @contextmanager
    def _ask(
        self, start: httpx.URL, headers: Mapping[str, str], judge: Callable[[httpx.URL], str]
    ) -> Iterator[_Answer]:
        """The answer after all redirects. `judge` says, of each hop, by what leave it may be asked."""
        url = start
        for _ in range(REDIRECTS + 1):
            if ascii_host(url) not in self._hosts:
                raise FetchError(
                    f"{shown(url)} is at a host that the source does not list.",
                    f'If its pictures lie there, write hosts = ["{ascii_host(url)}"] at the source in mien.toml.',
                    "host",
                )
            leave = judge(url)
            with self._exchange(url, headers, leave) as answer:
                if answer.status not in _MOVED:
                    yield answer
                    return
                url = answer.target()
                answer.set_aside()
        raise FetchError(
            f"{shown(start)} leads from one address to the next, more than {REDIRECTS} times.",
            "Look at it in a browser, and give the source the address it ends at.",
            "redirects",
        )

    def _judge(self, url: httpx.URL) -> str:
        verdict = self._robots.judge(url)
        if verdict.delay:
            self._pace.slow(ascii_host(url), verdict.delay)
        return verdict.robots

    def _robots_txt(self, url: httpx.URL) -> bytes | None:
        def attempt() -> bytes | None:
            with self._ask(url, _PAGE, lambda _: "") as answer:
                if 400 <= answer.status < 500 and answer.status not in _AGAIN:
                    answer.set_aside()
                    return None
                self._expect(answer, 200)
                text = b""
                for chunk in answer.plain():
                    text += chunk
                    if len(text) >= ROBOTS_LIMIT:
                        break
                return text[:ROBOTS_LIMIT]

        return self._patiently(attempt)

    @contextmanager
    def _exchange(self, url: httpx.URL, headers: Mapping[str, str], leave: str) -> Iterator[_Answer]:
        """One request and its answer, in the host's turn."""
        request = httpcore.Request(
            "GET",
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[
                ("Host", url.netloc.decode("ascii")),
                ("User-Agent", self._agent),
                ("Accept", "*/*"),
                *headers.items(),
            ],
            extensions={"timeout": _TIMEOUTS},
        )
        with self._pace.turn(ascii_host(url)), self._deadline.within(TOTAL):
            with _border(url):
                response = self._pool.handle_request(request)
            try:
                yield _Answer(url, response, leave)
            finally:
                with _border(url):
                    response.close()

    def _expect(self, answer: _Answer, status: int) -> None:
        """Raises what any other status than this means."""
        if answer.status == status:
            return
        error = answer.refusal()
        if answer.status not in _AGAIN:
            answer.set_aside()
            raise error
        asked = pause(answer.headers)
        if asked is not None:
            self._pace.hold(ascii_host(answer.url), asked)
        answer.set_aside()
        raise _Passing(error, held=asked is not None)


class _Answer:
    """What came back: a status, headers, and a body that can be read once. `robots` is by what leave it was asked."""

    def __init__(self, url: httpx.URL, response: httpcore.Response, robots: str) -> None:
        self.url = url
        self.status = response.status
        self.headers = httpx.Headers(response.headers)
        self.robots = robots
        self._response = response

    @property
    def stamp(self) -> Stamp:
        return Stamp.of(self.headers)

    def chunks(self) -> Iterator[bytes]:
        """The body as it is. Raises FetchError where it is packed, which was not asked for."""
        if self.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise self.error("comes in an encoding that was not asked for.", "unreadable")
        return self._raw()

    def plain(self) -> Iterator[bytes]:
        """The body, unpacked if it is packed by gzip."""
        if self.headers.get("content-encoding", "").strip().lower() not in ("gzip", "x-gzip"):
            yield from self.chunks()
            return
        try:
            yield from unpacked(self._raw())
        except ValueError as error:
            raise self.error("says that it is packed by gzip, and is not.", "unreadable") from error

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
        """Where a redirect leads."""
        location = self.headers.get("location")
        if location is None:
            raise self.error("leads elsewhere without saying where.", "redirects")
        url = parse(location, self.url)
        if self.url.scheme == SCHEMES[1] and url.scheme != SCHEMES[1]:
            raise self.error(f"leads from https to http: {shown(url)}.", "redirects")
        return url

    def refusal(self) -> FetchError:
        """What its status means, which is none that was hoped for."""
        if self.status in _GONE:
            return FetchError(
                f"{shown(self.url)} is not there any more (HTTP {self.status}).",
                "Take it out of the source, or give the new address.",
                "gone",
            )
        if 400 <= self.status < 500 and self.status not in _AGAIN:
            return FetchError(
                f"{shown(self.url)} was refused (HTTP {self.status}).",
                "Ask whoever runs the site; mien sends no password.",
                "refused",
            )
        return self.error(f"cannot be had: the server answers HTTP {self.status}.", "server")

    def error(self, what: str, kind: str) -> FetchError:
        """`what`, said of its URL, for which the site is to blame."""
        return FetchError(
            f"{shown(self.url)} {what}", "Collect again later; if it stays so, tell whoever runs the site.", kind
        )

    def too_large(self, limit: int) -> FetchError:
        return FetchError(
            f"{shown(self.url)} is larger than {limit / 2**20:.0f} MB.",
            "For a photo, raise max_megabytes of the source, if that is right.",
            "too-large",
        )

    def _raw(self) -> Iterator[bytes]:
        with _border(self.url):
            yield from self._response.iter_stream()


def _bounded(answer: _Answer, limit: int) -> Iterator[bytes]:
    """The body, unpacked; FetchError beyond `limit` bytes of it."""
    if length(answer.headers) > limit:
        raise answer.too_large(limit)
    size = 0
    for chunk in answer.plain():
        size += len(chunk)
        if size > limit:
            raise answer.too_large(limit)
        yield chunk


@contextmanager
def _border(url: httpx.URL) -> Iterator[None]:
    """The one place where errors of the network libraries become mien's. Their own words stay out of the message: they
    may quote what was sent."""
    try:
        yield
    except ForbiddenAddress as error:
        raise FetchError(
            f"{shown(url)} was not asked for: its host is at {error.address}, which is no public address.",
            "If that is in your own network, write allow_private = true at the source in mien.toml.",
            "address",
        ) from error
    except OutOfTime as error:
        raise FetchError(
            f"{shown(url)} took longer than {TOTAL:.0f} seconds.", "Collect again when the site is faster.", "timeout"
        ) from error
    except httpcore.TimeoutException as error:
        raise _Passing(
            FetchError(f"{shown(url)} does not answer in time.", "Collect again when the site is faster.", "timeout")
        ) from error
    except (httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
        if isinstance(error.args[0] if error.args else None, ssl.SSLCertVerificationError):
            raise FetchError(
                f"{shown(url)} was not asked for: its server cannot prove, by its certificate, that it is that host.",
                "Tell whoever runs the site; mien never goes on without.",
                "network",
            ) from error
        raise _Passing(
            FetchError(
                f"{shown(url)} cannot be reached, or broke off.",
                "Check its address and your network, and collect again.",
                "network",
            )
        ) from error
    except (httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol, OSError, ValueError) as error:
        raise FetchError(f"{shown(url)} cannot be asked for.", "Check how it is written.", "network") from error


def _listed(name: str) -> str:
    try:
        return host(name)
    except ValueError as error:
        raise SourceError(
            f"{shown(name)} is no host.", "Write the host alone, without http:// and without a port: www.example.org."
        ) from error


def _agent(contact: str) -> str:
    """How mien names itself."""
    if not (contact.isascii() and contact.isprintable()):
        raise SourceError(
            f"contact = {contact!r} cannot be sent to a site.", "Write a web or mail address in plain letters."
        )
    return f"{TOKEN}/{metadata.version('mien')}" + (f" (+{contact})" if contact else "")


@cache
def _tls() -> ssl.SSLContext:
    """Checks certificates by Mozilla's list. Reading it takes a tenth of a second, so it is read once."""
    return httpx.create_ssl_context(trust_env=False)
