"""Collecting from a whole site that misbehaves as sites do: what ought to arrive does, and nothing else, politely.

All of it is real but the people: the album's settings, the sources, HTTP through the loopback device, the ledger.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mien import Album
from mien.intake import GROUP, Collected
from mien.records.history import History
from mien.records.ledger import Ledger
from mien.web import client

ROOT = Path(__file__).resolve().parent.parent
DAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
PER_HOST = 3
KINDS = {
    "site": {"kind": "site", "url": "/people/1"},
    "RSS": {"kind": "feed", "url": "/feed.rss"},
    "JSON Feed": {"kind": "feed", "url": "/feed.json"},
    "CSV": {"kind": "manifest", "url": "/manifest.csv"},
    "JSON Lines": {"kind": "manifest", "url": "/manifest.jsonl"},
}
"""What a source of each kind that reaches the web begins at."""
REFUSED = {"html": "not-a-picture", "short": "truncated"}
FAILED = {
    "long": "server",
    "oversized": "too-large",
    "endless": "too-large",
    "circle": "redirects",
    "abroad": "host",
    "private": "robots",
}
"""As what the decoys of each kind are left out."""


class Killed(BaseException):
    """What no code may take for an error of its own."""


@pytest.fixture(scope="module")
def loopback() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("loopback")


@pytest.fixture(scope="module")
def pictures(loopback: Any) -> Any:
    return loopback.sample_pictures(120)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BACKOFF", (0.0, 0.0, 0.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Album.create(tmp_path / "album", "rendered people, who do not exist").folder


def configure(folder: Path, site: Any, selectors: dict[str, str], kind: str = "site", **options: object) -> None:
    """Makes `site` the one source of the album."""
    own = KINDS[kind] | {"url": site.url + KINDS[kind]["url"]} | (selectors if kind == "site" else {})
    common = {"basis": "consent", "licence": "CC0-1.0", "allow_private": True, "per_host": PER_HOST, "max_megabytes": 1}
    lines = [f"{key} = {json.dumps(value)}" for key, value in (common | own | options).items()]
    (folder / "mien.toml").write_text("\n".join(["[sources.site]", *lines]), encoding="utf-8")


def collect(folder: Path, days: int = 0) -> Collected:
    return Album(folder, clock=lambda: DAY + timedelta(days)).collect()


def placed(folder: Path) -> frozenset[tuple[str, str]]:
    """Persons and hashes of what lies in the intakes; none of it is there twice."""
    files = [
        (file.parent.name, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in folder.glob("*-training-images/**/*")
        if file.is_file()
    ]
    assert len(files) == len(set(files))
    return frozenset(files)


def remembered(folder: Path) -> frozenset[tuple[str, str]]:
    """Persons and hashes of the photos that the ledger says were brought, each of them where it says."""
    (file,) = folder.glob(".mien/*-ledger.sqlite")
    with Ledger.for_reading(file) as ledger:
        came = [ledger.history.fetch("site", location) for location in ledger.history.known("site")]
        photos = ledger.history.count("site")
    fetches = [fetch for fetch in came if fetch and fetch.outcome != "refused"]
    assert len({fetch.sha256 for fetch in fetches}) == photos, "nothing lay at a location before what lies there now"
    for fetch in fetches:
        assert hashlib.sha256((folder / fetch.path).read_bytes()).hexdigest() == fetch.sha256
    return frozenset((fetch.person, fetch.sha256) for fetch in fetches if fetch.outcome == "placed")


def troubles(collected: Collected, site: Any) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    """How often pictures of each kind were refused, and failed, as what."""
    (source,) = collected.sources
    refused, failed = (
        Counter((site.by_path[each.location.removeprefix(site.url)].kind, str(each.error.kind)) for each in some)
        for some in (source.refused, source.failed)
    )
    return refused, failed


def picture_requests(site: Any) -> set[str]:
    """The paths of the good pictures that were asked for."""
    return {entry.path for entry in site.entries if entry.kind not in FAILED and site.requests[entry.path]}


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"site"}))  # of which a thousand are collected below
def test_a_site_is_collected_completely_and_exactly_and_only_once(
    loopback: Any, pictures: Any, folder: Path, kind: str
) -> None:
    collected_thrice(loopback, pictures, folder, kind)


def test_a_thousand_pictures_are_collected_completely_and_exactly_and_only_once(loopback: Any, folder: Path) -> None:
    collected_thrice(loopback, loopback.sample_pictures(1000), folder, "site")


def collected_thrice(loopback: Any, pictures: Any, folder: Path, kind: str) -> None:
    """A site that misbehaves; the second time only what was no picture is asked for again, the third time whether
    all others changed."""
    with loopback.Site(pictures, decoys=2, wait=0.002) as site:
        configure(folder, site, loopback.SELECTORS, kind)
        first = collect(folder)
        (source,) = first.sources
        assert placed(folder) == remembered(folder) == site.expected
        assert len(site.expected) == source.photos == len(pictures)
        assert (source.error, source.over_since, source.duplicates, source.known, source.left) == (None, None, 0, 0, 0)
        assert troubles(first, site) == (
            dict.fromkeys(REFUSED.items(), 2),
            dict.fromkeys(FAILED.items(), 2),
        )
        assert site.pictures_sent == len(pictures) + 2 * len(REFUSED)
        assert_polite(site)

        site.forget()
        second = collect(folder, days=1)
        assert (second.photos, second.sources[0].known) == (0, len(pictures))
        assert troubles(second, site) == troubles(first, site)  # what was no picture may be one the next day
        assert site.pictures_sent == 2 * len(REFUSED)
        assert_polite(site)

        site.forget()
        configure(folder, site, loopback.SELECTORS, kind, recheck_days=0)
        third = collect(folder, days=2)
        assert (third.photos, third.sources[0].known) == (0, len(pictures))
        assert site.pictures_sent == 2 * len(REFUSED)
        assert len(picture_requests(site)) == len(pictures) + 2 * len(REFUSED)
        assert_polite(site)
        assert placed(folder) == remembered(folder) == site.expected


def assert_polite(site: Any) -> None:
    assert 1 <= site.busiest <= PER_HOST
    assert site.requests["/robots.txt"] == 1
    asked = set(site.requests)
    assert not any(path.startswith(("/private/", "/abroad/")) for path in asked)
    assert asked <= {"/robots.txt", *site.texts, *site.by_path}


def test_as_many_are_asked_at_once_as_may_be_and_never_more(
    loopback: Any, pictures: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep = time.sleep
    with loopback.Site(pictures[:30], share=1, decoys=0) as site:

        def until_it_is_full(_: float) -> None:
            for _ in range(400):
                if site.busiest >= PER_HOST:
                    break
                sleep(0.005)
            sleep(0.05)  # in which one too many would come

        monkeypatch.setattr(time, "sleep", until_it_is_full)  # so slow are slow answers
        configure(folder, site, loopback.SELECTORS, "CSV")
        assert collect(folder).complete
        assert site.busiest == PER_HOST


def test_the_pages_are_read_once_each(loopback: Any, pictures: Any, folder: Path) -> None:
    with loopback.Site(pictures, share=0, decoys=0) as site:
        configure(folder, site, loopback.SELECTORS)
        assert collect(folder).complete
        pages = {path: times for path, times in site.requests.items() if path.startswith(("/people/", "/person/"))}
        assert pages == {path: 1 for path in site.texts if path.startswith(("/people/", "/person/"))}
        assert len(pages) == 50


@pytest.mark.parametrize("photos", [1, 57, 115])
def test_what_was_remembered_before_a_run_broke_off_is_not_transferred_again(
    loopback: Any, pictures: Any, folder: Path, photos: int
) -> None:
    times = iter([DAY] * (3 + photos))  # of the event, of the day, of the start, and of each photo that is let in

    def clock() -> datetime:
        if (time := next(times, None)) is None:
            raise Killed
        return time

    with loopback.Site(pictures, decoys=0, wait=0.002) as site:
        configure(folder, site, loopback.SELECTORS)
        with pytest.raises(Killed):
            Album(folder, clock=clock).collect()
        before, known = placed(folder), remembered(folder)
        assert len(known) == photos
        assert known < before < site.expected and len(before - known) == 1
        site.forget()
        assert collect(folder).complete
        assert placed(folder) == remembered(folder) == site.expected
        assert site.pictures_sent == len(pictures) - photos


def test_a_run_killed_before_it_could_remember_fetches_few_photos_again(
    loopback: Any, pictures: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loopback.Site(pictures, decoys=0, wait=0.002) as site:
        configure(folder, site, loopback.SELECTORS)
        record, calls = History.record, []

        def killed(self: History, *what: Any) -> None:
            calls.append(what)
            if len(calls) > 1:
                raise Killed  # in the second group, and again where the run is cleaned up
            record(self, *what)

        with monkeypatch.context() as patch:
            patch.setattr(History, "record", killed)
            with pytest.raises(Killed):
                collect(folder)
        before, known = placed(folder), remembered(folder)
        assert len(known) == GROUP
        assert known < before < site.expected
        site.forget()
        assert collect(folder).complete
        assert placed(folder) == remembered(folder) == site.expected
        assert site.pictures_sent == len(pictures) - len(known)
