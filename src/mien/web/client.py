"""Fetches pages and pictures, politely and within bounds. Every hop of every attempt is judged anew: its scheme and
host, what robots.txt says, the host's pace, the address that is connected to.
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
from mien.text.fetching import FetchFault, SourceFault
from mien.types import Page, Receipt
from mien.web.addresses import GuardedBackend, Resolver, system_resolver
from mien.web.answers import TRANSIENT, Answer, Passing, border
from mien.web.bodies import Stamp, charset, length, part, pause
from mien.web.deadline import TOTAL, Deadline
from mien.web.pace import Pace
from mien.web.robots import LIMIT as ROBOTS_LIMIT
from mien.web.robots import TOKEN, Robots
from mien.web.urls import ascii_host, host, parse, shown

PAGE_LIMIT = 32 * 2**20
"""Bytes of a page, unpacked."""
PICTURE_LIMIT = 64 * 2**20
"""Bytes of a picture, unless the client is told otherwise."""
REDIRECTS = 5
"""Redirects that are followed one after the other, at most; RFC 9309, section 2.3.1.2 wants as many for robots.txt."""
BACKOFF = (0.5, 1.0, 2.0)
"""Seconds before the second, third and last attempt, at most. Chance takes off up to half of them, so that requests
which failed together do not come back together."""
CONNECT, READ = 10.0, 30.0
"""Seconds to connect, and to wait for the next bytes."""

GOOD = frozenset({200, 203})
"""200 OK, and what a proxy that changes answers may make of it (RFC 9110, section 15.3.4)."""
_MOVED = frozenset({301, 302, 303, 307, 308})
_TIMEOUTS = {"connect": CONNECT, "read": READ, "write": READ}
_PAGE = {"Accept-Encoding": "gzip"}
_PICTURE = {"Accept-Encoding": "identity"}  # so that the bytes have the length that was declared, and can be resumed

_UNANSWERED = frozenset({FetchFault.TIMEOUT, FetchFault.NETWORK})
"""Faults of a host that gave no answer, or not to its end."""

_Result = TypeVar("_Result")


class Client:
    """The web as one source may use it, a `protocols.Web`. Usable from several threads, over all of which its limits
    hold; close it, or use it as a context manager.

    It goes to `hosts` only (names or addresses without a port), at public addresses unless `allow_private`, with
    `per_host` requests to one at once, their starts `delay` seconds apart, or more where robots.txt says so; it takes
    pictures of `largest` bytes at most; `contact` joins its name in the user agent. A `key`, name and value of a
    header, goes along with each request, and to no other scheme, host and port than it was begun at; whoever was given
    one has leave to ask, and robots.txt, which is for strangers, is not read. From the time `ends` of the clock on it
    asks for nothing more, and what is under way breaks off: FetchError (LATER). Proxies and credentials that the
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
        ends: float = float("inf"),
        key: tuple[str, str] | None = None,
        resolve: Resolver = system_resolver,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._hosts = frozenset(_listed(name) for name in hosts)
        self._agent = _agent(contact)
        self._largest = largest
        self._sleep = sleep
        self._clock = clock
        self._ends = ends
        self._key = dict([key] if key else ())
        self._pace = Pace(per_host, delay, clock, sleep, ends)
        self._deadline = Deadline(clock, ends)
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
                self._expect(answer)
                body = b"".join(answer.bounded(PAGE_LIMIT))
                return Page(str(answer.url), body, charset(answer.headers))

        return self._patiently(start, attempt)

    def picture(self, url: str, into: Sink, since: str) -> Receipt | None:
        """Writes the bytes at `url` to `into`; None, and nothing written, where they are as `since` (an earlier
        receipt's stamp, "" for none) says. A transfer that broke off is resumed where the server vouches, by a strong
        ETag, that the picture is still the same. Raises FetchError, and whatever `into` raises."""
        start = parse(url)
        before = Stamp.read(since)
        begun = Stamp()  # of what `into` holds
        packed = False  # which counts other bytes than `into` has

        def attempt() -> Receipt | None:
            nonlocal begun, packed
            resuming = into.size > 0 and begun.strong and not packed
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
                        raise Passing(answer.error("does not give the rest of what it began", FetchFault.SERVER))
                    total = rest.total
                else:
                    total = self._whole(answer)
                    begun = answer.stamp
                    if resuming:
                        into.restart()
                    if begun and begun == before:  # a server that knows no conditions
                        return None
                if into.size + length(answer.headers) > self._largest:
                    raise answer.too_large(self._largest)
                packed = bool(answer.encodings)
                for chunk in answer.plain():
                    if into.size + len(chunk) > self._largest:
                        raise answer.too_large(self._largest)
                    into.write(chunk)
                if total is not None and into.size < total:
                    raise Passing(answer.error("gives only a part of itself", FetchFault.SERVER))
                return Receipt(str(begun), answer.robots)

        return self._patiently(start, attempt)

    def _patiently(self, url: httpx.URL, attempt: Callable[[], _Result]) -> _Result:
        """The result of `attempt`, which begins at `url` and is tried again while its error may pass by itself."""
        waits = iter(BACKOFF)
        while True:
            try:
                result = attempt()
            except Passing as passing:
                error, cause, wait, held = passing.error, passing.__cause__, next(waits, None), passing.held
            except FetchError as failed:
                error, cause, wait, held = failed, failed.__cause__, None, False
            else:
                self._pace.answered(ascii_host(url))
                return result
            if self._clock() >= self._ends and error.kind in _UNANSWERED:
                raise FetchError(shown(url), FetchFault.LATER.words, FetchFault.LATER.remedy, FetchFault.LATER)
            if error.kind in _UNANSWERED:
                self._pace.missed(ascii_host(url), error.kind)
            if wait is None:
                raise error from cause
            if not held:
                self._sleep(wait * random.uniform(0.5, 1.0))

    @contextmanager
    def _ask(self, start: httpx.URL, headers: Mapping[str, str], judge: Callable[[httpx.URL], str]) -> Iterator[Answer]:
        """The answer after all redirects. `judge` gives, for each hop, what `Receipt.robots` says of it, or raises
        FetchError."""
        url = start
        for _ in range(REDIRECTS + 1):
            if ascii_host(url) not in self._hosts:
                raise FetchError(
                    shown(url),
                    "is at a host that the source does not list",
                    f'If its pictures lie there, write hosts = ["{ascii_host(url)}"] at the source in mien.toml.',
                    FetchFault.HOST,
                )
            if self._key and (url.scheme, url.netloc) != (start.scheme, start.netloc):
                remedy = "Give the address that answers by itself."
                about, to = shown(start), shown(url.copy_with(raw_path=b"/"))
                raise FetchError(about, f"leads to {to}, to which the key is not sent", remedy, FetchFault.HOST)
            with self._exchange(url, headers, judge(url)) as answer:
                if answer.status not in _MOVED:
                    yield answer
                    return
                url = answer.target()
                answer.set_aside()
        raise FetchError(
            shown(start),
            f"leads from one address to the next, more than {REDIRECTS} times",
            FetchFault.REDIRECTS.remedy,
            FetchFault.REDIRECTS,
        )

    def _judge(self, url: httpx.URL) -> str:
        if self._key:
            return ""
        leave = self._robots.judge(url)
        if leave.delay:
            self._pace.slow(ascii_host(url), leave.delay)
        return leave.robots

    def _robots_txt(self, url: httpx.URL) -> bytes | None:
        def attempt() -> bytes | None:
            with self._ask(url, _PAGE, lambda _: "") as answer:
                if 400 <= answer.status < 500 and answer.status not in TRANSIENT:
                    answer.set_aside()
                    return None
                self._expect(answer)
                text = b""
                for chunk in answer.plain():
                    text += chunk
                    if len(text) >= ROBOTS_LIMIT:
                        break
                return text[:ROBOTS_LIMIT]

        return self._patiently(url, attempt)

    @contextmanager
    def _exchange(self, url: httpx.URL, headers: Mapping[str, str], robots: str) -> Iterator[Answer]:
        """One request and its answer, in the host's turn."""
        request = httpcore.Request(
            "GET",
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[
                ("Host", url.netloc.decode("ascii")),
                ("User-Agent", self._agent),
                ("Accept", "*/*"),
                *headers.items(),
                *self._key.items(),
            ],
            extensions={"timeout": _TIMEOUTS},
        )
        with self._pace.turn(ascii_host(url)), self._deadline.within(TOTAL):
            with border(url):
                response = self._pool.handle_request(request)
            try:
                yield Answer(url, response, robots)
            finally:
                with border(url):
                    response.close()

    def _whole(self, answer: Answer) -> int | None:
        """The size of the picture where the answer brings all of it as a part, which some servers do unasked; None for
        a usual answer. Raises FetchError, or Passing around one, where it is neither."""
        unasked = part(answer.headers) if answer.status == 206 else None
        if unasked is not None and unasked.start == 0 and unasked.total is not None:
            return unasked.total
        self._expect(answer)
        return None

    def _expect(self, answer: Answer) -> None:
        """Raises the error that the status of an answer means, unless it is a good one."""
        if answer.status in GOOD:
            return
        error = answer.refusal()
        if answer.status not in TRANSIENT:
            answer.set_aside()
            raise error
        asked = pause(answer.headers)
        if asked is not None:
            self._pace.hold(ascii_host(answer.url), asked)
        answer.set_aside()
        raise Passing(error, held=asked is not None)


def _listed(name: str) -> str:
    try:
        return host(name)
    except ValueError as error:
        remedy = "Write the host alone, without http:// and without a port: www.example.org."
        raise SourceError(shown(name), "is no host", remedy, SourceFault.OPTIONS) from error


def _agent(contact: str) -> str:
    """How mien names itself."""
    if not (contact.isascii() and contact.isprintable()):
        raise SourceError(
            f"contact = {contact!r}",
            "cannot be sent to a site",
            "Write a web or mail address in plain letters.",
            SourceFault.OPTIONS,
        )
    return f"{TOKEN}/{metadata.version('mien')}" + (f" (+{contact})" if contact else "")


@cache
def _tls() -> ssl.SSLContext:
    """Checks certificates by Mozilla's list. Reading it takes a tenth of a second, so it is read once."""
    return httpx.create_ssl_context(trust_env=False)
