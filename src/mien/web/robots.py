"""What a site allows, by its robots.txt (RFC 9309), read once in a client's life.

A site without one (4xx) allows everything. A site whose robots.txt cannot be read (a failing server, a redirect to a
host that is not listed) allows nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import httpx

from mien.errors import FetchError
from mien.parsing.border import UnparsedError, parsed
from mien.text.fetching import FetchFault
from mien.web.urls import shown

TOKEN = "mien"
"""The name by which the rules for mien alone call it."""
LIMIT = 500 * 1024
"""Bytes of a robots.txt that are read; the rest is passed over (RFC 9309, section 2.5)."""
LONGEST_DELAY = 60.0
"""Seconds between two requests that a site may ask for; one that asks for more does not want to be collected from."""


class Leave(NamedTuple):
    """The leave to fetch a URL: `robots` says why ("allowed", or "no robots.txt"), and `delay` how many seconds apart
    the requests to its site must be."""

    robots: str
    delay: float


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of one site: its robots.txt (None for a site without one); or `unknown`, the error that kept it from
    being read."""

    text: bytes | None = None
    unknown: FetchError | None = None


class _Site:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rules: _Rules | None = None


class Robots:
    """The rules of all sites, each asked once. `fetch` gives the bytes at a URL, None if the site says that there are
    none, and raises FetchError."""

    def __init__(self, fetch: Callable[[httpx.URL], bytes | None]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._sites: dict[tuple[str, bytes, int | None], _Site] = {}

    def judge(self, url: httpx.URL) -> Leave:
        """The leave to fetch `url`. Raises FetchError (ROBOTS) if there is none."""
        rules = self._rules(url)
        if rules.unknown is not None and rules.unknown.kind is FetchFault.LATER:
            raise rules.unknown
        if rules.unknown is not None:
            raise FetchError(
                shown(url),
                "was not asked for, as the site's robots.txt could not be read: "
                f"{rules.unknown.about} {rules.unknown.what}",
                rules.unknown.remedy,
                FetchFault.ROBOTS,
            ) from rules.unknown
        if rules.text is None:
            return Leave("no robots.txt", 0.0)
        try:
            said = parsed("rules:task", {"url": str(url), "agent": TOKEN}, rules.text)
        except UnparsedError as error:
            what, remedy = f"has a robots.txt that {error.fault.words}", error.fault.remedy
            site = self._sites[_key(url)]
            site.rules = _Rules(unknown=FetchError(shown(url.copy_with(raw_path=b"/")), what, remedy, error.fault))
            return self.judge(url)
        if not said["allowed"]:
            raise FetchError(
                shown(url),
                "may not be fetched: the site's robots.txt denies it",
                FetchFault.ROBOTS.remedy,
                FetchFault.ROBOTS,
            )
        delay = float(said["delay"])
        if delay > LONGEST_DELAY:
            raise FetchError(
                shown(url),
                f"was not asked for: the site's robots.txt wants {delay:.0f} seconds between requests",
                "Ask whoever runs the site for another way to its photos.",
                FetchFault.ROBOTS,
            )
        return Leave("allowed", delay)

    def _rules(self, url: httpx.URL) -> _Rules:
        with self._lock:
            site = self._sites.setdefault(_key(url), _Site())
        with site.lock:  # the first to come reads them, and the others wait for it
            if site.rules is None:
                site.rules = self._read(url)
            return site.rules

    def _read(self, url: httpx.URL) -> _Rules:
        try:
            text = self._fetch(url.copy_with(raw_path=b"/robots.txt"))
        except FetchError as error:
            return _Rules(unknown=error)
        return _Rules(text)


def _key(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port
