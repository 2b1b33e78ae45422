"""A web site on this machine to collect from: pages, feeds and manifests of people's pictures, which misbehaves as
sites do, counts what it is asked, and knows what ought to arrive.

    with Site(sample_pictures()) as site:
        ...collect from site.url...
        assert site.busiest <= 4

Some pages and pictures are slow, some fail once, some have moved. Decoys stand among the pictures that must not
arrive: HTML as JPEG, a length that is too long or too short, a picture that is too large or never ends, one that leads
in circles, one that leads to another host, one that robots.txt denies. The last page of the list of people, and of each
person's pictures, leads back to the first.

(It would be called site.py, but Python has a module of that name.)
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from PIL import Image

SAMPLE = Path(__file__).resolve().parents[1] / "examples/album/people"

LISTED = 8
"""People on a page of the list."""
PARTS = 3
"""Pages of a person. With the 16 sample people there are 2 + 16 * 3 = 50 pages."""
MISCHIEF = ("slow", "failing", "moved")
"""What befalls pictures that arrive all the same."""
DECOYS = ("html", "long", "short", "oversized", "endless", "circle", "abroad", "private")
"""Pictures that must not arrive. "long" and "short" are about the length that is declared: the former breaks off.
"abroad" leads to `localhost`, a host that is not in `Site.url`."""
CHUNK = bytes(64 * 1024)

SELECTORS = {"list": "a.person", "person": "h1", "pictures": "img.photo", "next": "a[rel=next]"}
"""What a source of the kind "site" needs to know of the pages; it starts at `Site.start`."""


class Entry(NamedTuple):
    """A picture as it is listed: at `path`, of `person`; `kind` is one of MISCHIEF or DECOYS, or "" for none."""

    person: str
    path: str
    body: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class Text:
    """A page, feed or manifest."""

    body: bytes
    type: str
    kind: str = ""


class Site:
    """Serves `pictures` (person, bytes of a JPEG) at `url` while it is open. `share` of them are slow (by `wait`
    seconds), as many fail once, as many have moved; of each kind of decoy there are `decoys`. What misbehaves follows
    from `seed`. `oversize` is what an oversized picture declares, bytes; `crawl_delay` stands in robots.txt, seconds.
    """

    def __init__(
        self,
        pictures: Sequence[tuple[str, bytes]],
        *,
        share: float = 0.03,
        decoys: int = 2,
        seed: int = 0,
        wait: float = 0.02,
        oversize: int = 65 * 2**20,
        crawl_delay: float = 0,
    ) -> None:
        self.oversize = oversize
        self.wait = wait
        self.crawl_delay = crawl_delay
        chance = random.Random(seed)
        self.entries = _entries(pictures, share, decoys, chance)
        self.expected = frozenset(
            (entry.person, hashlib.sha256(entry.body).hexdigest()) for entry in self.entries if entry.kind not in DECOYS
        )
        self.by_path = {entry.path: entry for entry in self.entries}
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.start = f"{self.url}/people/1"
        self.texts = _pages(self.entries) | _feeds(self.url, self.entries)
        for kind in MISCHIEF if share else ():
            path = chance.choice([path for path, text in self.texts.items() if not text.kind and path != "/people/1"])
            self.texts[path] = Text(self.texts[path].body, self.texts[path].type, kind)
        self._lock = threading.Lock()
        self._now = 0
        self._failed: set[str] = set()
        self.forget()

    def forget(self) -> None:
        """Counts from nothing again; what was to fail once and has is not repeated."""
        self.requests: Counter[str] = Counter()
        """How often each path was asked for."""
        self.transfers: Counter[str] = Counter()
        """How often the bytes of each path, picture or page, were sent in full."""
        self.busiest = 0
        """Requests that were worked on at once, at most."""
        self.starts: list[float] = []
        """When each request came, seconds of a monotonic clock."""

    @property
    def pictures_sent(self) -> int:
        """Pictures that were sent in full."""
        return sum(times for path, times in self.transfers.items() if path.startswith("/pictures/"))

    @property
    def closest(self) -> float:
        """Seconds between the two requests that came closest after each other; infinite for fewer than two."""
        return min((later - at for at, later in pairwise(self.starts)), default=float("inf"))

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def enter(self, path: str) -> None:
        with self._lock:
            self.requests[path] += 1
            self._now += 1
            self.busiest = max(self.busiest, self._now)
            self.starts.append(time.monotonic())

    def leave(self) -> None:
        with self._lock:
            self._now -= 1

    def sent(self, path: str) -> None:
        with self._lock:
            self.transfers[path] += 1

    def fails(self, path: str) -> bool:
        """True the first time, for what fails once."""
        with self._lock:
            first = path not in self._failed
            self._failed.add(path)
            return first


def sample_pictures(count: int = 1000) -> list[tuple[str, bytes]]:
    """So many pictures of the sample people, the same each time, no two alike: beyond the 384 there are they come
    again, smaller."""
    people = sorted(folder for folder in SAMPLE.iterdir() if folder.is_dir())
    files = [file for shots in zip(*(sorted(folder.glob("*.jpg")) for folder in people), strict=True) for file in shots]

    def picture(number: int) -> tuple[str, bytes]:
        turn, index = divmod(number, len(files))
        with Image.open(files[index]) as image:
            side = round(min(image.size) * 0.85**turn)
            image.thumbnail((side, side))
            data = io.BytesIO()
            image.save(data, "JPEG", quality=85 - turn)
        return files[index].parent.name, data.getvalue()

    with ThreadPoolExecutor() as pool:
        return list(pool.map(picture, range(count)))


def _entries(
    pictures: Sequence[tuple[str, bytes]], share: float, decoys: int, chance: random.Random
) -> tuple[Entry, ...]:
    few = min(round(len(pictures) * share), len(pictures) // len(MISCHIEF))
    chosen = iter(chance.sample(range(len(pictures)), few * len(MISCHIEF)))
    kinds = {next(chosen): kind for kind in MISCHIEF for _ in range(few)}
    entries = [
        Entry(person, f"/pictures/{quote(person)}/{number:04}.jpg", body, kinds.get(number, ""))
        for number, (person, body) in enumerate(pictures)
    ]
    for kind in DECOYS:
        for number in range(decoys):
            person, body = chance.choice(pictures)
            folder = f"/private/{quote(person)}" if kind == "private" else f"/pictures/{quote(person)}"
            if kind == "html":
                body = b"<!doctype html><title>Not found</title>"
            decoy = Entry(person, f"{folder}/{kind}-{number}.jpg", body, kind)
            entries.insert(chance.randrange(len(entries) + 1), decoy)
    return tuple(entries)


def _pages(entries: Sequence[Entry]) -> dict[str, Text]:
    """Path -> page: of the list of people, and of each person."""
    of: dict[str, list[Entry]] = {}
    for entry in entries:
        of.setdefault(entry.person, []).append(entry)
    people = sorted(of)
    lists = [people[first : first + LISTED] for first in range(0, len(people), LISTED)]
    pages: dict[str, Text] = {}
    for number, names in enumerate(lists, 1):
        links = [f'<a class="person" href="/person/{people.index(name)}/1">{escape(name)}</a>' for name in names]
        pages[f"/people/{number}"] = _page("People", links, f"/people/{number % len(lists) + 1}")
    for index, name in enumerate(people):
        size = -(-len(of[name]) // PARTS)
        for number in range(1, PARTS + 1):
            shown = of[name][(number - 1) * size : number * size]
            images = [f'<img class="photo" src="{escape(entry.path)}" alt="">' for entry in shown]
            pages[f"/person/{index}/{number}"] = _page(name, images, f"/person/{index}/{number % PARTS + 1}")
    return pages


def _page(title: str, items: Sequence[str], following: str) -> Text:
    """`following` is where its link "next" leads; for the last page, back to the first."""
    listed = "\n".join(f"<li>{item}" for item in items)
    return Text(
        f"<!doctype html>\n<title>{escape(title)}</title>\n<h1>{escape(title)}</h1>\n<ul>\n{listed}\n</ul>\n"
        f'<a rel="next" href="{following}">next</a>\n'.encode(),
        "text/html; charset=utf-8",
    )


def _feeds(url: str, entries: Sequence[Entry]) -> dict[str, Text]:
    """Path -> the same pictures as RSS, JSON Feed, CSV and JSON Lines."""
    items = "".join(
        f"<item><title>{escape(entry.person)}</title><guid>{url}{entry.path}</guid>"
        f"<dc:creator>{escape(entry.person)}</dc:creator>"
        f'<enclosure url="{escape(url + entry.path)}" type="image/jpeg" length="0"/></item>\n'
        for entry in entries
    )
    rss = (
        '<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<channel><title>People</title><link>{url}</link><description>Photos</description>\n{items}</channel></rss>"
    )
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "People",
        "items": [
            {
                "id": entry.path,
                "title": entry.person,
                "authors": [{"name": entry.person}],
                "attachments": [{"url": url + entry.path, "mime_type": "image/jpeg"}],
            }
            for entry in entries
        ],
    }
    rows = [{"person": entry.person, "url": url + entry.path, "licence": "CC0-1.0"} for entry in entries]
    table = io.StringIO()
    writer = csv.DictWriter(table, ["person", "url", "licence"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return {
        "/feed.rss": Text(rss.encode(), "application/rss+xml"),
        "/feed.json": Text(json.dumps(feed).encode(), "application/feed+json"),
        "/manifest.csv": Text(table.getvalue().encode(), "text/csv; charset=utf-8"),
        "/manifest.jsonl": Text("\n".join(map(json.dumps, rows)).encode(), "application/jsonl"),
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, site: Site) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.site = site

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients hang up on what they do not want."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - so it is called
        """Nothing."""

    def do_GET(self) -> None:
        site = self.server.site
        path = self.path.partition("?")[0]
        site.enter(path)
        self._in_work = True
        try:
            if path == "/robots.txt":
                delay = f"Crawl-delay: {site.crawl_delay}\n" if site.crawl_delay else ""
                self._send(200, f"User-agent: *\n{delay}Disallow: /private/\n".encode(), {"Content-Type": "text/plain"})
            elif path in site.texts:
                text = site.texts[path]
                self._with_mischief(path, text.kind, text.body, text.type)
            elif path in site.by_path:
                self._picture(site.by_path[path])
            else:
                self._send(404, b"")
        finally:
            self._leave()

    def _picture(self, entry: Entry) -> None:
        ill: dict[str, Callable[[Entry], None]] = {
            "long": self._long,
            "short": self._short,
            "oversized": self._oversized,
            "endless": self._endless,
            "circle": self._circle,
            "abroad": self._abroad,
        }
        if entry.kind in ill:
            ill[entry.kind](entry)
        else:
            self._with_mischief(entry.path, entry.kind, entry.body, "image/jpeg")

    def _with_mischief(self, path: str, kind: str, body: bytes, of_type: str) -> None:
        site = self.server.site
        if kind == "failing" and site.fails(path):
            self._send(503, b"not now")
        elif kind == "moved" and not self.path.endswith("?moved"):
            self._send(302, b"", {"Location": f"{path}?moved"})
        else:
            if kind == "slow":
                time.sleep(site.wait)
            self._send_known(path, body, of_type)

    def _send_known(self, path: str, body: bytes, of_type: str, declared: int | None = None) -> None:
        """`body`, unless the client has it."""
        etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
        if self.headers.get("If-None-Match") == etag:
            self._send(304, b"", {"ETag": etag})
        else:
            self._send(200, body, {"Content-Type": of_type, "ETag": etag}, declared, counted=path)

    def _short(self, entry: Entry) -> None:
        self._send_known(entry.path, entry.body, "image/jpeg", len(entry.body) // 2)
        self.close_connection = True

    def _long(self, entry: Entry) -> None:
        self._send(200, entry.body, {"Content-Type": "image/jpeg"}, len(entry.body) + 1000)
        self.close_connection = True

    def _oversized(self, entry: Entry) -> None:
        self._start(200, {"Content-Type": "image/jpeg", "Content-Length": str(self.server.site.oversize)})
        self._pour(entry.body, self.server.site.oversize - len(entry.body))

    def _endless(self, entry: Entry) -> None:
        self._start(200, {"Content-Type": "image/jpeg", "Connection": "close"})
        self._pour(entry.body, 2**40)

    def _pour(self, first: bytes, size: int) -> None:
        self._leave()  # nobody waits for the end of this
        self.wfile.write(first)
        while size > 0:
            self.wfile.write(CHUNK[:size])
            size -= len(CHUNK)

    def _circle(self, entry: Entry) -> None:
        self._send(302, b"", {"Location": entry.path if "?" in self.path else f"{entry.path}?again"})

    def _abroad(self, entry: Entry) -> None:
        self._send(302, b"", {"Location": f"http://localhost:{self.server.server_port}/abroad{entry.path}"})

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        declared: int | None = None,
        counted: str = "",
    ) -> None:
        """An answer, of which `declared` is the Content-Length where it is not that of `body`; it counts as a transfer
        of the path `counted`. The request and the transfer count as done before the last byte is sent, as the client
        may well ask again, or ask for the counts, before this thread goes on."""
        size = len(body) if declared is None else declared
        answer = self._head(status, {"Content-Length": str(size), **(headers or {})}) + body
        end = len(answer) if size >= len(body) else len(answer) - len(body) + size  # where the client sees the end
        self.wfile.write(answer[: end - 1])
        self._leave()
        if counted:
            self.server.site.sent(counted)
        self.wfile.write(answer[end - 1 :])

    def _start(self, status: int, headers: dict[str, str]) -> None:
        self.wfile.write(self._head(status, headers))

    def _head(self, status: int, headers: dict[str, str]) -> bytes:
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            *(f"{key}: {value}" for key, value in headers.items()),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _leave(self) -> None:
        if self._in_work:
            self._in_work = False
            self.server.site.leave()
