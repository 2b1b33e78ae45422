"""The site that collecting is tested and measured against does what it says."""

from __future__ import annotations

import csv
import hashlib
import importlib
import io
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import bs4
import feedparser
import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent

PICTURES = [(f"Person {number % 16}", b"\xff\xd8\xff" + number.to_bytes(2) * 400) for number in range(200)]


@pytest.fixture(scope="module")
def loopback() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("loopback")


@pytest.fixture(scope="module")
def web() -> Iterator[httpx.Client]:
    # What comes behind a declared length that is too short would be taken for the next answer of the connection.
    once = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(trust_env=False, timeout=10, limits=once) as client:
        yield client


def arrive(site: Any, web: httpx.Client) -> dict[str, set[tuple[str, str]]]:
    """What a patient client gets of each kind of picture: persons and hashes."""
    got: dict[str, set[tuple[str, str]]] = {}
    for entry in site.entries:
        if entry.kind in ("oversized", "endless", "circle", "long", "abroad", "private"):
            continue
        for _ in range(2):
            answer = web.get(site.url + entry.path, follow_redirects=True)
            if answer.status_code == 200:
                break
        got.setdefault(entry.kind, set()).add((entry.person, hashlib.sha256(answer.content).hexdigest()))
    return got


def test_the_site_knows_what_ought_to_arrive(loopback: Any, web: httpx.Client) -> None:
    with loopback.Site(PICTURES, share=0.05, decoys=2, wait=0.0) as site:
        got = arrive(site, web)
        assert {entry.kind for entry in site.entries} == {"", *loopback.MISCHIEF, *loopback.DECOYS}
        assert [len(got[kind]) for kind in loopback.MISCHIEF] == [10, 10, 10]
        assert got[""] | got["slow"] | got["failing"] | got["moved"] == site.expected
        assert len(site.expected) == len(PICTURES)
        assert not (got["html"] | got["short"]) & site.expected
        assert site.pictures_sent == len(PICTURES) + 4
        failing = next(entry for entry in site.entries if entry.kind == "failing")
        assert site.requests[failing.path] == 2
        assert site.transfers[failing.path] == 1


def test_the_same_seed_makes_the_same_site(loopback: Any) -> None:
    with loopback.Site(PICTURES) as site, loopback.Site(PICTURES) as same, loopback.Site(PICTURES, seed=1) as other:
        assert site.entries == same.entries != other.entries
        assert site.expected == other.expected


def test_each_decoy_misbehaves_as_it_should(loopback: Any, web: httpx.Client) -> None:
    with loopback.Site(PICTURES, decoys=1, oversize=200_000) as site:
        of = {entry.kind: entry for entry in site.entries}
        assert web.get(site.url + of["html"].path).content.startswith(b"<!doctype html>")
        short = web.get(site.url + of["short"].path).content
        assert of["short"].body.startswith(short)
        assert len(short) == len(of["short"].body) // 2
        with pytest.raises(httpx.RemoteProtocolError):
            web.get(site.url + of["long"].path)
        assert len(web.get(site.url + of["oversized"].path).content) == 200_000
        with pytest.raises(httpx.TooManyRedirects):
            web.get(site.url + of["circle"].path, follow_redirects=True)
        abroad = web.get(site.url + of["abroad"].path)
        assert (abroad.status_code, abroad.headers["Location"].split(":")[1]) == (302, "//localhost")
        with web.stream("GET", site.url + of["endless"].path) as answer:
            assert "Content-Length" not in answer.headers
            assert sum(len(chunk) for chunk, _ in zip(answer.iter_raw(65536), range(10), strict=False)) > 500_000
        assert of["private"].path.startswith("/private/")
        assert "Disallow: /private/" in web.get(f"{site.url}/robots.txt").text
        assert site.pictures_sent == 2


def test_what_is_known_is_not_sent_again(loopback: Any, web: httpx.Client) -> None:
    with loopback.Site(PICTURES, share=0, decoys=0) as site:
        url = site.url + site.entries[0].path
        first = web.get(url)
        again = web.get(url, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert site.pictures_sent == 1
        site.forget()
        assert (site.pictures_sent, site.busiest, len(site.starts)) == (0, 0, 0)


def test_the_pages_lead_to_every_picture_and_round_in_circles(loopback: Any, web: httpx.Client) -> None:
    with loopback.Site(PICTURES, wait=0.0) as site:
        left, seen, found = [site.start], set(), set()
        while left:
            url = left.pop()
            if url in seen:
                continue
            seen.add(url)
            answer = web.get(url, follow_redirects=True)
            if answer.status_code == 503:
                answer = web.get(url)
            page = bs4.BeautifulSoup(answer.content, "html.parser")
            name = page.select_one(loopback.SELECTORS["person"])
            assert name is not None
            links = page.select(f"{loopback.SELECTORS['list']}, {loopback.SELECTORS['next']}")
            left += [urljoin(url, str(link["href"])) for link in links]
            found |= {(name.text, str(image["src"])) for image in page.select(loopback.SELECTORS["pictures"])}
        assert len(seen) == 50
        assert found == {(entry.person, entry.path) for entry in site.entries}


def test_feeds_and_manifests_list_every_picture(loopback: Any, web: httpx.Client) -> None:
    def get(path: str) -> httpx.Response:
        answers = (web.get(site.url + path, follow_redirects=True) for _ in range(2))
        return next(answer for answer in answers if answer.status_code == 200)

    with loopback.Site(PICTURES) as site:
        listed = [(entry.person, site.url + entry.path) for entry in site.entries]
        rss = feedparser.parse(get("/feed.rss").content)
        assert [(item.author, item.enclosures[0].href) for item in rss.entries] == listed
        feed = get("/feed.json").json()
        assert [(item["authors"][0]["name"], item["attachments"][0]["url"]) for item in feed["items"]] == listed
        table = csv.DictReader(io.StringIO(get("/manifest.csv").text))
        assert [(row["person"], row["url"]) for row in table] == listed
        lines = map(json.loads, get("/manifest.jsonl").text.splitlines())
        assert [(row["person"], row["url"]) for row in lines] == listed


def test_the_site_counts_who_comes_at_once(loopback: Any, web: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(3)
    monkeypatch.setattr(time, "sleep", lambda seconds: together.wait(10))  # a slow answer waits until all are there
    with loopback.Site(PICTURES[:9], share=1, decoys=0, crawl_delay=3) as site:
        slow = [site.url + entry.path for entry in site.entries if entry.kind == "slow"]
        with ThreadPoolExecutor(3) as pool:
            assert [answer.status_code for answer in pool.map(web.get, slow)] == [200] * 3
        assert site.busiest == 3
        assert len(site.starts) == 3
        assert 0 <= site.closest < float("inf")
        assert "Crawl-delay: 3" in web.get(f"{site.url}/robots.txt").text


def test_one_after_the_other_is_never_counted_as_at_once(loopback: Any, web: httpx.Client) -> None:
    with loopback.Site(PICTURES, wait=0.0) as site:
        arrive(site, web)
        assert site.busiest == 1


def test_sample_pictures_are_all_different(loopback: Any) -> None:
    pictures = loopback.sample_pictures(400)  # there are 384
    assert len({data for _, data in pictures}) == 400
    assert len({name for name, _ in pictures}) == 16
    assert pictures[:20] == loopback.sample_pictures(20)
