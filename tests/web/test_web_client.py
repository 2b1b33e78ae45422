"""The client against servers on this machine that do as they are told, and names that mean what a resolver says."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import logging
import os
import pickle
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mien.errors import FetchError, SourceError
from mien.protocols import Web
from mien.text.fetching import FetchFault
from mien.types import Receipt
from mien.web.client import BACKOFF, PAGE_LIMIT, REDIRECTS, Client
from mien.web.deadline import TOTAL

BODY = bytes(range(256)) * 400
ETAG = '"v1"'


@dataclass
class Reply:
    """What a server answers: `declared` is the Content-Length if not that of `body` (-1: none); `reset`: it breaks the
    connection off."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    declared: int | None = None
    reset: bool = False


Answer = Reply | Callable[[Message], Reply]


class Server(ThreadingHTTPServer):
    """Answers each path with the replies given for it, in turn, and the last of them ever after."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, routes: dict[str, Sequence[Answer]], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes = routes
        self.asked: list[tuple[str, Message]] = []
        self.lock = threading.Lock()
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked if path != "/robots.txt"]

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients hang up."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - so it is called
        """Nothing."""

    def do_GET(self) -> None:
        server = self.server
        with server.lock:
            times = sum(path == self.path for path, _ in server.asked)
            server.asked.append((self.path, self.headers))
        answers = server.routes.get(self.path, [Reply(404)])
        answer = answers[min(times, len(answers) - 1)]
        reply = answer(self.headers) if callable(answer) else answer
        size = len(reply.body) if reply.declared is None else reply.declared
        length = {"Content-Length": str(size)} if size >= 0 else {"Connection": "close"}
        head = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
        head += [f"{name}: {value}" for name, value in (length | reply.headers).items()]
        self.wfile.write("\r\n".join([*head, "", ""]).encode("latin-1") + reply.body)
        if reply.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = reply.reset or size != len(reply.body)


class Sink:
    """`protocols.Sink` in memory."""

    def __init__(self, limit: int = 2**24) -> None:
        self.data = bytearray()
        self.limit = limit
        self.restarts = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def write(self, data: bytes) -> None:
        if self.size + len(data) > self.limit:
            raise FetchError("It", "is too large", "Raise the limit.", FetchFault.TOO_LARGE)
        self.data += data

    def restart(self) -> None:
        self.restarts += 1
        self.data.clear()


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """serve({path: reply, or replies}) starts a server; it lasts as long as the test."""
    with ExitStack() as stack:

        def start(routes: dict[str, Answer | Sequence[Answer]], tls: ssl.SSLContext | None = None) -> Server:
            several = {path: reply if isinstance(reply, Sequence) else [reply] for path, reply in routes.items()}
            server = stack.enter_context(Server(several, tls))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server

        yield start


def local(hosts: Sequence[str] = ("127.0.0.1",), **options: Any) -> Client:
    """A client for servers of this machine that never sleeps."""
    options.setdefault("allow_private", True)
    options.setdefault("sleep", lambda seconds: None)
    return Client(hosts, **options)


def failing(web: Web, url: str, kind: str, sink: Sink | None = None) -> FetchError:
    """The error that fetching `url` ends in."""
    with pytest.raises(FetchError) as caught:
        web.picture(url, sink or Sink(), "")
    assert type(caught.value) is FetchError
    assert caught.value.kind == kind
    assert caught.value.message.endswith(".")
    assert caught.value.remedy.endswith(".")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return caught.value


# --- what is asked, and what comes of it


def test_a_page_comes_with_its_address_and_charset(serve: Serve) -> None:
    page = Reply(200, "Müller".encode("latin-1"), {"Content-Type": "text/html; charset=ISO-8859-1"})
    server = serve({"/a": Reply(301, b"moved", {"Location": "b?x=1#y"}), "/b?x=1": page})
    with local(contact="https://example.org/who") as web:
        found = web.page(f"{server.url}/a#part")
    assert (found.url, found.body, found.charset) == (f"{server.url}/b?x=1", page.body, "ISO-8859-1")
    assert [path for path, _ in server.asked] == ["/robots.txt", "/a", "/b?x=1"]
    headers = server.asked[-1][1]
    assert headers["User-Agent"].startswith("mien/")
    assert headers["User-Agent"].endswith(" (+https://example.org/who)")
    assert headers["Host"] == server.url.removeprefix("http://")
    assert "Cookie" not in headers


def test_a_picture_is_written_as_it_is(serve: Serve) -> None:
    server = serve({"/a.jpg": Reply(200, BODY, {"ETag": ETAG})})
    sink = Sink()
    with local() as web:
        receipt = web.picture(f"{server.url}/a.jpg", sink, "")
    assert bytes(sink.data) == BODY
    assert receipt == Receipt('{"etag":"\\"v1\\""}', "no robots.txt")
    assert server.asked[-1][1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("headers", [{"ETag": ETAG}, {"ETag": "W/" + ETAG}, {"Last-Modified": "yesterday"}])
@pytest.mark.parametrize("knows_conditions", [True, False])
def test_a_picture_that_has_not_changed_is_not_fetched(
    serve: Serve, headers: dict[str, str], knows_conditions: bool
) -> None:
    def conditional(asked: Message) -> Reply:
        told = {"ETag": asked["If-None-Match"], "Last-Modified": asked["If-Modified-Since"]}
        same = all(told[name] == value for name, value in headers.items())
        return Reply(304, b"", headers) if same and knows_conditions else Reply(200, BODY, headers)

    server = serve({"/a.jpg": conditional})
    with local() as web:
        receipt = web.picture(f"{server.url}/a.jpg", Sink(), "")
        assert receipt is not None
        again = Sink()
        assert web.picture(f"{server.url}/a.jpg", again, receipt.stamp) is None
        assert again.size == 0
        changed = Sink()
        other = receipt.stamp.replace("v1", "v0").replace("yesterday", "long ago")
        assert web.picture(f"{server.url}/a.jpg", changed, other) == receipt
        assert bytes(changed.data) == BODY


def test_not_modified_is_no_answer_to_who_has_nothing(serve: Serve) -> None:
    server = serve({"/a.jpg": Reply(304)})
    with local() as web:
        failing(web, f"{server.url}/a.jpg", "server")


@pytest.mark.parametrize(
    ("status", "kind", "times"),
    [
        (404, "gone", 1),
        (410, "gone", 1),
        (401, "refused", 1),
        (403, "refused", 1),
        (416, "refused", 1),
        (429, "server", 4),
        (500, "server", 4),
        (503, "server", 4),
        (501, "server", 1),
        (204, "server", 1),
        (206, "server", 1),
        (300, "server", 1),
    ],
)
def test_what_a_status_means(serve: Serve, status: int, kind: str, times: int) -> None:
    server = serve({"/a.jpg": Reply(status)})
    with local() as web:
        error = failing(web, f"{server.url}/a.jpg", kind)
    assert f"HTTP {status}" in error.message
    assert f"{server.url}/a.jpg" in error.message
    assert server.paths == ["/a.jpg"] * times


# --- what may pass is tried again


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_fails_for_a_while_is_tried_again(serve: Serve, status: int) -> None:
    naps: list[float] = []
    server = serve({"/a.jpg": [Reply(status), Reply(status), Reply(status), Reply(200, BODY)]})
    sink = Sink()
    with local(sleep=naps.append) as web:
        assert web.picture(f"{server.url}/a.jpg", sink, "") is not None
    assert bytes(sink.data) == BODY
    assert len(naps) == len(BACKOFF)
    assert all(wait / 2 <= nap <= wait for nap, wait in zip(naps, BACKOFF, strict=True))


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_retry_after_is_waited_for_and_by_all(serve: Serve) -> None:
    clock = Clock()
    busy = Reply(429, b"", {"Retry-After": "40"})
    server = serve({"/a.jpg": [busy, Reply(200, BODY)], "/b.jpg": Reply(200, BODY)})
    with local(clock=clock, sleep=clock.sleep) as web:
        web.picture(f"{server.url}/a.jpg", Sink(), "")
        assert clock.now == pytest.approx(40)
        web.picture(f"{server.url}/b.jpg", Sink(), "")
    assert clock.now == pytest.approx(40)


def test_a_site_that_wants_to_be_left_alone_for_long_is(serve: Serve) -> None:
    clock = Clock()
    server = serve({"/a.jpg": Reply(503, b"", {"Retry-After": "3600"}), "/b.jpg": Reply(200, BODY)})
    with local(clock=clock, sleep=clock.sleep) as web:
        failing(web, f"{server.url}/a.jpg", "refused")
        failing(web, f"{server.url}/b.jpg", "refused")
    assert server.paths == ["/a.jpg"]
    assert clock.now == 0


def test_a_picture_that_breaks_off_is_resumed(serve: Serve) -> None:
    def rest(asked: Message) -> Reply:
        assert asked["If-Range"] == ETAG
        assert asked["If-None-Match"] is None
        start = int(asked["Range"].removeprefix("bytes=").removesuffix("-"))
        end = min(start + 30_000, len(BODY))
        where = {"ETag": ETAG, "Content-Range": f"bytes {start}-{end - 1}/{len(BODY)}"}
        return Reply(206, BODY[start:end], where)  # never more than a part

    first = Reply(200, BODY[:20_000], {"ETag": ETAG, "Last-Modified": "yesterday"}, len(BODY))
    server = serve({"/a.jpg": [first, rest]})
    sink = Sink()
    with local() as web:
        receipt = web.picture(f"{server.url}/a.jpg", sink, '{"etag":"old"}')
    assert receipt is not None
    assert bytes(sink.data) == BODY
    assert sink.restarts == 0
    assert [headers["Range"] for _, headers in server.asked[1:]] == [
        None,
        "bytes=20000-",
        "bytes=50000-",
        "bytes=80000-",
    ]


@pytest.mark.parametrize(
    "second",
    [
        Reply(200, BODY, {"ETag": '"v2"'}),
        Reply(206, BODY[5:], {"ETag": ETAG, "Content-Range": f"bytes 5-{len(BODY) - 1}/{len(BODY)}"}),
        Reply(206, BODY[20_000:], {"ETag": '"v2"', "Content-Range": f"bytes 20000-{len(BODY) - 1}/{len(BODY)}"}),
        Reply(206, BODY[20_000:], {"ETag": ETAG}),
        Reply(416),
    ],
)
def test_a_picture_that_cannot_be_resumed_begins_anew(serve: Serve, second: Reply) -> None:
    first = Reply(200, BODY[:20_000], {"ETag": ETAG}, len(BODY))
    server = serve({"/a.jpg": [first, second, Reply(200, BODY)]})
    sink = Sink()
    with local() as web:
        assert web.picture(f"{server.url}/a.jpg", sink, "") is not None
    assert bytes(sink.data) == BODY
    assert sink.restarts == 1


def test_nothing_is_left_of_a_picture_that_is_as_it_was_after_all(serve: Serve) -> None:
    server = serve({"/a.jpg": [Reply(200, BODY[:9], {"ETag": "W/" + ETAG}, len(BODY)), Reply(304)]})
    sink = Sink()
    with local() as web:
        assert web.picture(f"{server.url}/a.jpg", sink, '{"etag":"old"}') is None
    assert sink.size == 0


@pytest.mark.parametrize("headers", [{}, {"ETag": "W/" + ETAG}, {"Last-Modified": "yesterday"}])
def test_without_a_strong_etag_nothing_is_resumed(serve: Serve, headers: dict[str, str]) -> None:
    server = serve({"/a.jpg": [Reply(200, BODY[:9], headers, len(BODY), reset=True), Reply(200, BODY, headers)]})
    sink = Sink()
    with local() as web:
        assert web.picture(f"{server.url}/a.jpg", sink, "") is not None
    assert bytes(sink.data) == BODY
    assert "Range" not in server.asked[-1][1]


def test_a_picture_that_always_breaks_off_is_given_up(serve: Serve) -> None:
    server = serve({"/a.jpg": Reply(200, BODY, {}, len(BODY) + 1)})
    with local() as web:
        error = failing(web, f"{server.url}/a.jpg", "server")
    assert "breaks off before its end" in error.message
    assert len(server.paths) == len(BACKOFF) + 1


def test_more_than_was_declared_is_not_taken(serve: Serve) -> None:
    server = serve({"/a.jpg": Reply(200, BODY, {}, 1000)})
    sink = Sink()
    with local() as web:
        web.picture(f"{server.url}/a.jpg", sink, "")
    assert bytes(sink.data) == BODY[:1000]


# --- bounds


def test_what_declares_too_much_is_refused_before_it_is_read(serve: Serve) -> None:
    server = serve({"/a.jpg": Reply(200, BODY, {}, 2**21 + 1)})
    sink = Sink()
    with local(largest=2**21) as web:
        error = failing(web, f"{server.url}/a.jpg", "too-large", sink)
    assert "larger than 2 MB" in error.message
    assert sink.size == 0
    assert len(server.paths) == 1


def test_what_declares_nothing_is_bounded_too(serve: Serve) -> None:
    server = serve({"/a.jpg": Reply(200, bytes(200_000), {}, -1)})
    with local(largest=100_000) as web:
        sink = Sink()
        failing(web, f"{server.url}/a.jpg", "too-large", sink)
        assert sink.size <= 100_000
    with local() as web:
        failing(web, f"{server.url}/a.jpg", "too-large", Sink(100_000))
    assert len(server.paths) == 2


def test_a_page_is_bounded_as_it_is_and_unpacked(serve: Serve) -> None:
    bomb = gzip.compress(bytes(PAGE_LIMIT + 1))
    server = serve(
        {
            "/declared": Reply(200, b"", {}, PAGE_LIMIT + 1),
            "/bomb": Reply(200, bomb, {"Content-Encoding": "gzip"}),
            "/small": Reply(200, gzip.compress(b"text"), {"Content-Encoding": "GZIP"}),
            "/no-gzip": Reply(200, b"text", {"Content-Encoding": "gzip"}),
            "/br": Reply(200, b"text", {"Content-Encoding": "br"}),
        }
    )
    with local() as web:
        assert web.page(f"{server.url}/small").body == b"text"
        for path, kind in (("declared", "too-large"), ("bomb", "too-large"), ("no-gzip", "unreadable"), ("br",) * 2):
            with pytest.raises(FetchError) as caught:
                web.page(f"{server.url}/{path}")
            assert caught.value.kind == kind.replace("br", "unreadable")


@pytest.mark.parametrize("said", ["gzip", "X-GZIP", "utf-8, gzip"])
def test_a_picture_that_is_packed_unasked_is_unpacked(serve: Serve, said: str) -> None:
    server = serve({"/a.jpg": Reply(200, gzip.compress(BODY), {"Content-Encoding": said})})
    with local() as web:
        into = Sink()
        web.picture(f"{server.url}/a.jpg", into, "")
        assert bytes(into.data) == BODY


@pytest.mark.parametrize(
    "said", ["", "identity", "none", "binary", "utf-8", "aws-chunked", "UTF-8,aws-chunked", "jpeg"]
)
def test_an_encoding_that_is_none_changes_nothing(serve: Serve, said: str) -> None:
    server = serve(
        {"/a.jpg": Reply(200, BODY, {"Content-Encoding": said}), "/p": Reply(200, b"x", {"Content-Encoding": said})}
    )
    with local() as web:
        into = Sink()
        web.picture(f"{server.url}/a.jpg", into, "")
        assert bytes(into.data) == BODY
        assert web.page(f"{server.url}/p").body == b"x"


@pytest.mark.parametrize(("said", "named"), [("br", "br"), ("zstd", "zstd"), ("gzip, br", "br"), ("br, gzip", "gzip")])
def test_another_packing_is_refused_by_its_name(serve: Serve, said: str, named: str) -> None:
    server = serve({"/a.jpg": Reply(200, BODY, {"Content-Encoding": said})})
    with (
        local() as web,
        pytest.raises(FetchError, match=f"is packed by {named}") as caught,
    ):
        web.picture(f"{server.url}/a.jpg", Sink(), "")
    assert caught.value.kind == "unreadable"


def test_a_packed_bomb_is_bounded_unpacked(serve: Serve) -> None:
    server = serve({"/a.jpg": Reply(200, gzip.compress(bytes(200_000)), {"Content-Encoding": "gzip"})})
    with local(largest=100_000) as web:
        failing(web, f"{server.url}/a.jpg", "too-large", Sink(1 << 20))


def test_what_a_packed_transfer_began_is_begun_anew(serve: Serve) -> None:
    packed = gzip.compress(os.urandom(300_000))
    cut = Reply(200, packed[:200_000], {"Content-Encoding": "gzip", "ETag": '"1"'}, len(packed))
    server = serve({"/a.jpg": [cut, Reply(200, packed, {"Content-Encoding": "gzip", "ETag": '"1"'})]})
    with local() as web:
        into = Sink()
        web.picture(f"{server.url}/a.jpg", into, "")
        assert bytes(into.data) == gzip.decompress(packed)
    assert all("Range" not in headers for _, headers in server.asked)


def test_an_answer_that_a_proxy_made_of_another_is_as_good(serve: Serve) -> None:
    server = serve({"/a.jpg": Reply(203, BODY), "/p": Reply(203, b"x")})
    with local() as web:
        into = Sink()
        web.picture(f"{server.url}/a.jpg", into, "")
        assert bytes(into.data) == BODY
        assert web.page(f"{server.url}/p").body == b"x"


def test_all_of_a_picture_as_a_part_that_nobody_asked_for(serve: Serve) -> None:
    size = len(BODY)
    server = serve(
        {
            "/a.jpg": Reply(206, BODY, {"Content-Range": f"bytes 0-{size - 1}/{size}"}),
            "/b.jpg": Reply(206, BODY, {"Content-Range": f"bytes 5-{size + 4}/{size + 5}"}),
        }
    )
    with local() as web:
        into = Sink()
        web.picture(f"{server.url}/a.jpg", into, "")
        assert bytes(into.data) == BODY
        failing(web, f"{server.url}/b.jpg", "server")


@pytest.mark.parametrize("line", [b"X Frame Options: DENY", b"userdata not support", b"a\x00b: c"])
def test_malformed_headers_are_not_blamed_on_the_network(line: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    asked = connection.recv(65536)
                    if b"/robots.txt" in asked:
                        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    else:
                        head = b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
                        connection.sendall(head)

        threading.Thread(target=answer, daemon=True).start()
        with local() as web, pytest.raises(FetchError, match="the headers are malformed") as caught:
            web.picture(f"http://127.0.0.1:{listening.getsockname()[1]}/a.jpg", Sink(), "")
    assert caught.value.kind == "server"


def test_a_drip_ends_at_the_deadline(serve: Serve) -> None:
    now = [0.0]

    class Slow(Sink):
        def write(self, data: bytes) -> None:
            now[0] += TOTAL / 2
            super().write(data)

    server = serve({"/a.jpg": Reply(200, bytes(10 * 2**20))})
    with local(clock=lambda: now[0]) as web:
        failing(web, f"{server.url}/a.jpg", "timeout", Slow())
    assert len(server.paths) == 1


def test_nothing_is_asked_for_after_the_end_and_what_is_under_way_breaks_off(serve: Serve) -> None:
    now = [0.0]

    class Slow(Sink):
        def write(self, data: bytes) -> None:
            now[0] += 10
            super().write(data)

    server = serve({"/a.jpg": Reply(200, bytes(10 * 2**20)), "/b.jpg": Reply(200, BODY)})
    with local(clock=lambda: now[0], ends=25.0) as web:
        failing(web, f"{server.url}/a.jpg", "later", Slow())
        failing(web, f"{server.url}/b.jpg", "later")
    assert server.paths == ["/a.jpg"]


# --- redirects


def test_a_redirect_may_be_written_in_any_letters(serve: Serve) -> None:
    places = {"/1": "/my photo é.jpg".encode().decode("latin-1"), "/2": "/café.jpg", "/3": "../x/./y.jpg?a=b c#top"}
    replies = {path: Reply(302, b"", {"Location": to}) for path, to in places.items()}
    found = {"/my%20photo%20%C3%A9.jpg", "/caf%E9.jpg", "/x/y.jpg?a=b%20c"}
    server = serve({**replies, **{path: Reply(200, BODY) for path in found}})
    with local() as web:
        for path in places:
            web.picture(f"{server.url}{path}", Sink(), "")
    assert found <= set(server.paths)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(serve: Serve, status: int) -> None:
    hops: dict[str, Answer] = {f"/{n}": Reply(status, b"moved", {"Location": f"/{n + 1}"}) for n in range(REDIRECTS)}
    server = serve({**hops, f"/{REDIRECTS}": Reply(200, BODY)})
    sink = Sink()
    with local() as web:
        web.picture(f"{server.url}/0", sink, "")
    assert bytes(sink.data) == BODY


def test_redirects_end(serve: Serve) -> None:
    server = serve({"/a": Reply(302, b"", {"Location": "/b"}), "/b": Reply(302, b"", {"Location": "/a"})})
    with local() as web:
        failing(web, f"{server.url}/a", "redirects")
    assert len(server.paths) == REDIRECTS + 1


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("http://localhost:{port}/b", "host"),
        ("http://169.254.169.254/latest/meta-data/", "host"),
        ("http://2130706433:{port}/b", "host"),
        ("http://[::ffff:127.0.0.1]:{port}/b", "host"),
        ("//other.example/b", "host"),
        ("file:///etc/passwd", "address"),
        ("ftp://127.0.0.1/b", "address"),
        ("http://user:secret@127.0.0.1:{port}/b", "address"),
        ("http://127.0.0.1:0/b", "address"),
        ("http://[", "host"),
        ("/private/b", "robots"),
        (None, "redirects"),
    ],
)
def test_a_redirect_leads_to_no_forbidden_place(serve: Serve, location: str | None, kind: str) -> None:
    robots = Reply(200, b"User-agent: *\nDisallow: /private/")
    server = serve({"/robots.txt": robots, "/b": Reply(200, BODY), "/private/b": Reply(200, BODY)})
    where = {"Location": location.format(port=server.server_port)} if location else {}
    server.routes["/a"] = [Reply(302, b"", where)]
    with local() as web:
        error = failing(web, f"{server.url}/a", kind)
    assert "secret" not in str(error)
    assert server.paths == ["/a"]


# --- addresses


def lying(*answers: Sequence[str]) -> Callable[[str, int], Sequence[str]]:
    """A resolver that gives these answers in turn, whatever it is asked, and the last one ever after."""
    left = list(answers)
    return lambda host, port: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(
    "answer", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"], ["nonsense"]]
)
def test_a_name_that_means_this_machine_is_not_asked(serve: Serve, answer: list[str]) -> None:
    server = serve({"/a.jpg": Reply(200, BODY)})
    with local(["trap.example"], allow_private=False, resolve=lying(answer)) as web:
        error = failing(web, f"http://trap.example:{server.server_port}/a.jpg", "robots")
        assert "no public address" in error.message
        assert "allow_private" in error.remedy
    assert server.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_host_that_is_this_machine_is_not_asked_even_if_listed(serve: Serve, host: str) -> None:
    server = serve({"/a.jpg": Reply(200, BODY)})
    with local([host.strip("[]")], allow_private=False) as web:
        failing(web, f"http://{host}:{server.server_port}/a.jpg", "robots")
    assert server.asked == []


def test_every_connection_is_checked_anew(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public first, for robots.txt, and private then."""
    server = serve({"/a.jpg": Reply(200, BODY)})
    connected: list[str] = []
    real = httpcore.SyncBackend.connect_tcp

    def connect(self: httpcore.SyncBackend, host: str, *rest: Any) -> httpcore.NetworkStream:
        connected.append(host)
        return real(self, "127.0.0.1", *rest)  # where the public address is, in this test

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    server.routes["/robots.txt"] = [Reply(404, b"", {"Connection": "close"})]
    resolve = lying(["93.184.215.14"], ["10.0.0.1"])
    with local(["rebound.example"], allow_private=False, resolve=resolve) as web:
        error = failing(web, f"http://rebound.example:{server.server_port}/a.jpg", "address")
    assert "10.0.0.1" in error.message
    assert connected == ["93.184.215.14"]
    assert server.paths == []


def test_only_listed_hosts_are_asked(serve: Serve) -> None:
    server = serve({"/a.jpg": Reply(200, BODY)})
    with local(["listed.example"], resolve=lying(["127.0.0.1"])) as web:
        web.picture(f"http://LISTED.example:{server.server_port}/a.jpg", Sink(), "")
        error = failing(web, f"http://sub.listed.example:{server.server_port}/a.jpg", "host")
        assert 'hosts = ["sub.listed.example"]' in error.remedy
        failing(web, f"http://listed.example.:{server.server_port}/a.jpg", "host")
    assert server.paths == ["/a.jpg"]
    assert server.asked[-1][1]["Host"] == f"listed.example:{server.server_port}"


def test_no_proxy_and_no_netrc_is_used(serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (tmp_path / "netrc").write_text("default login ada password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve({"/a.jpg": Reply(200, BODY)})
    with local() as web:
        web.picture(f"{server.url}/a.jpg", Sink(), "")
    assert "Authorization" not in server.asked[-1][1]


# --- robots


def test_robots_txt_is_obeyed_and_read_once(serve: Serve) -> None:
    rules = Reply(200, gzip.compress(b"User-agent: *\nDisallow: /b"), {"Content-Encoding": "gzip"})
    server = serve({"/robots.txt": rules, "/a": Reply(200, BODY), "/b": Reply(200, BODY)})
    with local() as web:
        receipt = web.picture(f"{server.url}/a", Sink(), "")
        failing(web, f"{server.url}/b", "robots")
        web.page(f"{server.url}/a")
    assert receipt is not None
    assert receipt.robots == "allowed"
    assert [path for path, _ in server.asked] == ["/robots.txt", "/a", "/a"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_without_robots_txt_all_is_allowed(serve: Serve, status: int) -> None:
    server = serve({"/robots.txt": Reply(status, b"none"), "/a": Reply(200, BODY)})
    with local() as web:
        receipt = web.picture(f"{server.url}/a", Sink(), "")
    assert receipt is not None
    assert receipt.robots == "no robots.txt"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(503),
        Reply(429),
        Reply(200, b"User", {}, 1000),
        Reply(302, b"", {"Location": "http://unlisted.example/robots.txt"}),
        Reply(302, b"", {"Location": "/robots.txt"}),
    ],
)
def test_a_robots_txt_that_cannot_be_read_denies_all(serve: Serve, reply: Reply) -> None:
    server = serve({"/robots.txt": reply, "/a": Reply(200, BODY)})
    with local() as web:
        failing(web, f"{server.url}/a", "robots")
    assert server.paths == []


def test_robots_txt_may_have_moved_and_is_read_to_its_limit(serve: Serve) -> None:
    rules = b"User-agent: *\nDisallow: /b\n" + b"#" * (600 * 1024) + b"\nDisallow: /a\n"
    moved = Reply(301, b"", {"Location": "/moved.txt"})
    server = serve({"/robots.txt": moved, "/moved.txt": Reply(200, rules), "/a": Reply(200, BODY)})
    with local() as web:
        web.picture(f"{server.url}/a", Sink(), "")
        failing(web, f"{server.url}/b", "robots")


def test_the_crawl_delay_is_kept(serve: Serve) -> None:
    clock = Clock()
    server = serve({"/robots.txt": Reply(200, b"User-agent: *\nCrawl-delay: 5"), "/a": Reply(200, BODY)})
    with local(clock=clock, sleep=clock.sleep) as web:
        for number in range(1, 4):
            web.picture(f"{server.url}/a", Sink(), "")
            assert clock.now == pytest.approx(5 * number)


# --- threads


def test_the_limit_per_host_holds_over_all_threads(serve: Serve) -> None:
    lock = threading.Lock()
    together = threading.Barrier(2)
    now = most = met = 0

    def count(asked: Message) -> Reply:
        nonlocal now, most, met
        with lock:
            now += 1
            most = max(most, now)
            wait = met < 2
            met += wait
        if wait:
            together.wait(10)  # two are there at once, or this test fails
        with lock:
            now -= 1
        return Reply(200, BODY)

    server = serve({f"/{number}": count for number in range(40)})
    sinks = [Sink() for _ in range(40)]
    with local(per_host=2) as web, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: web.picture(f"{server.url}/{number}", sinks[number], ""), range(40)))
    assert most == 2
    assert {hashlib.sha256(sink.data).hexdigest() for sink in sinks} == {hashlib.sha256(BODY).hexdigest()}
    assert [path for path, _ in server.asked].count("/robots.txt") == 1


# --- what goes wrong below


FOREIGN = (
    httpcore.ConnectError("x"),
    httpcore.ConnectTimeout("x"),
    httpcore.ReadError("x"),
    httpcore.ReadTimeout("x"),
    httpcore.WriteError("x"),
    httpcore.PoolTimeout("x"),
    httpcore.RemoteProtocolError("x"),
    httpcore.LocalProtocolError("x"),
    httpcore.ProxyError("x"),
    httpcore.UnsupportedProtocol("x"),
    OSError(5, "x"),
    ssl.SSLError("x"),
    ConnectionResetError("x"),
    UnicodeError("x"),
    ValueError("x"),
)


NETWORKS = (httpcore.ConnectError, httpcore.ReadError, httpcore.WriteError)


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["connect_tcp", "read"])
def test_no_foreign_error_leaks(serve: Serve, monkeypatch: pytest.MonkeyPatch, error: Exception, where: str) -> None:
    server = serve({"/robots.txt": Reply(404), "/a.jpg": Reply(200, BODY)})

    def fail(*_: Any) -> None:
        raise error

    with local() as web:
        web.picture(f"{server.url}/a.jpg", Sink(), "")  # robots.txt is known now
        web.close()
        owner = httpcore.SyncBackend if where == "connect_tcp" else type(_stream(server))
        monkeypatch.setattr(owner, where, fail)
        name = type(error).__name__
        kind = "timeout" if "Timeout" in name else "network" if isinstance(error, (*NETWORKS, OSError)) else "address"
        kind = "server" if name == "RemoteProtocolError" else kind
        found = failing(web, f"{server.url}/a.jpg?token=secret", kind)
    assert "secret" not in str(found)


def _stream(server: Server) -> httpcore.NetworkStream:
    stream = httpcore.SyncBackend().connect_tcp("127.0.0.1", server.server_port)
    stream.close()
    return stream


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00\xff nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
        b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe[\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_a_server_that_talks_nonsense_is_an_ordinary_error(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    asked = connection.recv(65536)
                    robots = asked.startswith(b"GET /robots.txt")
                    none = b"HTTP/1.1 404 None\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    connection.sendall(none if robots else said)

        threading.Thread(target=talk, daemon=True).start()
        with local() as web, pytest.raises(FetchError) as caught:
            web.picture(f"http://127.0.0.1:{listener.getsockname()[1]}/a.jpg", Sink(), "")
        assert type(caught.value) is FetchError
        assert caught.value.kind in ("network", "server", "host", "address")
        listener.shutdown(socket.SHUT_RDWR)


def test_a_full_disk_is_not_the_networks_fault(serve: Serve) -> None:
    class Full(Sink):
        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    server = serve({"/a.jpg": Reply(200, BODY)})
    with local() as web:
        with pytest.raises(OSError, match="No space left"):
            web.picture(f"{server.url}/a.jpg", Full(), "")
        assert web.picture(f"{server.url}/a.jpg", Sink(), "") is not None  # and the host's turn has ended
    assert len(server.paths) == 2


def test_nobody_there_is_an_ordinary_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with local() as web:
        failing(web, f"http://127.0.0.1:{port}/a.jpg", "robots")


def test_nothing_is_logged_that_tells_what_was_asked(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve({"/a.jpg?token=secret": [Reply(503), Reply(200, BODY)]})
    with caplog.at_level(logging.INFO), local() as web:
        web.picture(f"{server.url}/a.jpg?token=secret", Sink(), "")
    assert caplog.records == []


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of pictures.example, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pictures.example")])
    begin = datetime.datetime(2020, 1, 1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, begin, datetime.datetime(2200, 1, 1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("pictures.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "pictures.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def secure(serve: Serve, certificate: Path) -> Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return serve(
        {"/a.jpg": Reply(200, BODY), "/down": Reply(302, b"", {"Location": "http://pictures.example/"})}, context
    )


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: Server) -> None:
    with local() as web:
        error = failing(web, f"{secure.url}/a.jpg", "robots")
    assert "certificate" in error.message
    assert secure.asked == []


def test_the_certificate_must_be_of_the_host_that_was_named(secure: Server, certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    with local(["pictures.example", "other.example"], resolve=lying(["127.0.0.1"]), tls=trusting) as web:
        sink = Sink()
        web.picture(f"https://pictures.example:{secure.server_port}/a.jpg", sink, "")
        assert bytes(sink.data) == BODY
        error = failing(web, f"https://other.example:{secure.server_port}/a.jpg", "robots")
        assert "certificate" in error.message
        failing(web, f"https://pictures.example:{secure.server_port}/down", "redirects")


# --- how it is set up


@pytest.mark.parametrize("host", ["", "http://example.org", "example.org:80", "ada:secret@example.org"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(SourceError) as caught:
        Client([host])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("contact", ["Müller", "a\r\nHost: evil"])
def test_a_contact_that_cannot_be_sent_is_refused(contact: str) -> None:
    with pytest.raises(SourceError):
        Client(["example.org"], contact=contact)
