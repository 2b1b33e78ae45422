"""robots.txt read (RFC 9309): whether a URL may be fetched, and how far apart requests must be."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from protego import Protego

_AGES = 1e9
"""Seconds, more than anybody waits: stands for a pause that is no number."""


def task(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """What the robots.txt `data` says of a `url` to the `agent`: whether it is `allowed`, and the `delay`, seconds."""
    rules, agent = _rules(data), about["agent"]
    delay = rules.crawl_delay(agent) or 0.0
    if (rate := rules.request_rate(agent)) is not None:
        delay = max(delay, _AGES if rate.seconds > _AGES * rate.requests else rate.seconds / rate.requests)
    return {"allowed": bool(rules.can_fetch(about["url"], agent)), "delay": min(delay, _AGES)}, b""


@lru_cache(maxsize=8)
def _rules(text: bytes) -> Protego:
    """The rules, kept for the next URL of the site."""
    return Protego.parse(text.decode("utf-8-sig", "replace"))
