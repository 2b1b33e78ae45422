"""The client collects a whole site that misbehaves, twice."""

from __future__ import annotations

import hashlib
import importlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mien.errors import FetchError
from mien.web.client import Client

ROOT = Path(__file__).resolve().parent.parent.parent

LIMIT = 100_000
PICTURES = [(f"Person {number % 8}", b"\xff\xd8\xff" + number.to_bytes(2) * 5000) for number in range(150)]
FATE = {
    "abroad": "host",
    "long": "server",
    "oversized": "too-large",
    "endless": "too-large",
    "circle": "redirects",
    "private": "robots",
}
"""The kind of error that each decoy ends in; "html" and "short" arrive, and are for those who look at pictures."""


class Sink:
    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def size(self) -> int:
        return len(self.data)

    def write(self, data: bytes) -> None:
        self.data += data

    def restart(self) -> None:
        self.data.clear()


@pytest.fixture(scope="module")
def loopback() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("loopback")


def test_everything_arrives_once_and_nothing_a_second_time(loopback: Any) -> None:
    with (
        loopback.Site(PICTURES, share=0.1, wait=0.001, oversize=LIMIT * 2) as site,
        Client(["127.0.0.1"], allow_private=True, per_host=3, largest=LIMIT, sleep=lambda seconds: None) as web,
        ThreadPoolExecutor(8) as pool,
    ):

        def fetch(entry: Any, stamp: str) -> tuple[str, tuple[str, str] | None, str]:
            """What came of it, the picture, and its stamp."""
            sink = Sink()
            try:
                receipt = web.picture(site.url + entry.path, sink, stamp)
            except FetchError as error:
                return error.kind, None, ""
            if receipt is None:
                return "same", None, stamp
            return "", (entry.person, hashlib.sha256(sink.data).hexdigest()), receipt.stamp

        first = list(pool.map(fetch, site.entries, [""] * len(site.entries)))
        arrived = {seen for entry, (_, seen, _) in zip(site.entries, first, strict=True) if entry.kind not in FATE}
        lies = {
            seen for entry, (_, seen, _) in zip(site.entries, first, strict=True) if entry.kind in ("html", "short")
        }
        assert arrived - lies == site.expected
        assert Counter(
            (entry.kind, fate) for entry, (fate, _, _) in zip(site.entries, first, strict=True) if fate
        ) == Counter(dict.fromkeys(FATE.items(), 2))
        assert site.pictures_sent == len(PICTURES) + 4
        assert site.busiest <= 3
        assert site.requests["/robots.txt"] == 1
        assert not any(path.startswith("/private/") for path in site.requests)

        site.forget()
        second = list(pool.map(fetch, site.entries, [stamp for _, _, stamp in first]))
        assert Counter(fate for fate, _, _ in second)["same"] == len(PICTURES) + 4
        assert site.pictures_sent == 0
        assert site.busiest <= 3
