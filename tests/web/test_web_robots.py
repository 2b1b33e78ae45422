from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from mien.errors import FetchError
from mien.text.fetching import FetchFault
from mien.web.robots import LONGEST_DELAY, Leave, Robots

SITE = "https://example.org"


def robots(text: str) -> Robots:
    return Robots(lambda url: text.encode())


def judge(rules: Robots, path: str) -> Leave:
    return rules.judge(httpx.URL(SITE + path))


def denied(rules: Robots, path: str) -> FetchError:
    with pytest.raises(FetchError) as caught:
        judge(rules, path)
    assert caught.value.kind == "robots"
    assert SITE + path in str(caught.value)
    return caught.value


def test_what_is_not_denied_is_allowed() -> None:
    rules = robots("User-agent: *\nDisallow: /private/\nAllow: /private/open/\n")
    assert judge(rules, "/a.jpg") == Leave("allowed", 0.0)
    assert judge(rules, "/private/open/a.jpg").robots == "allowed"
    denied(rules, "/private/a.jpg")


def test_rules_for_mien_go_before_those_for_all() -> None:
    rules = robots("User-agent: *\nDisallow: /\n\nUser-agent: Mien\nDisallow: /b\n")
    assert judge(rules, "/a").robots == "allowed"
    denied(rules, "/b")


def test_rules_for_others_are_not_for_mien() -> None:
    assert judge(robots("User-agent: mienbot\nUser-agent: amien\nDisallow: /\n"), "/a").robots == "allowed"


def test_patterns_and_queries_are_understood() -> None:
    rules = robots("\N{BYTE ORDER MARK}User-agent: *\nDisallow: /*?size=\nDisallow: /*.gif$\n")
    denied(rules, "/a.gif")
    assert judge(rules, "/a.gift").robots == "allowed"
    with pytest.raises(FetchError):
        judge(rules, "/a.jpg?size=1")


def test_a_site_without_a_robots_txt_denies_nothing() -> None:
    assert judge(Robots(lambda url: None), "/a") == Leave("no robots.txt", 0.0)
    assert judge(robots(""), "/a") == Leave("allowed", 0.0)
    assert judge(Robots(lambda url: b"\xff\xfe\x00<html>"), "/a").robots == "allowed"


def test_a_site_whose_rules_cannot_be_read_denies_everything() -> None:
    calls = []

    def broken(url: httpx.URL) -> bytes | None:
        calls.append(str(url))
        raise FetchError("The server", "is down", "Wait.", FetchFault.SERVER)

    rules = Robots(broken)
    assert "The server is down." in denied(rules, "/a").message
    assert denied(rules, "/b").remedy == "Wait."
    assert calls == [f"{SITE}/robots.txt"]


@pytest.mark.parametrize(
    ("lines", "delay"),
    [
        ("Crawl-delay: 2.5", 2.5),
        ("Request-rate: 1/5", 5.0),
        ("Request-rate: 10/1m", 6.0),
        ("Crawl-delay: 1\nRequest-rate: 1/5", 5.0),
        ("Crawl-delay: soon", 0.0),
        ("Crawl-delay: -1", 0.0),
        ("Crawl-delay: inf", 0.0),
    ],
)
def test_the_delay_is_what_the_site_asks_for(lines: str, delay: float) -> None:
    assert judge(robots(f"User-agent: *\n{lines}\n"), "/a").delay == delay


def test_a_site_that_wants_ages_between_requests_is_left_alone() -> None:
    error = denied(robots(f"User-agent: *\nCrawl-delay: {LONGEST_DELAY + 1}\n"), "/a")
    assert f"{LONGEST_DELAY + 1:.0f} seconds" in error.message


def test_each_site_is_asked_once_however_many_threads_come() -> None:
    asked: list[str] = []
    several = threading.Barrier(8)

    def fetch(url: httpx.URL) -> bytes:
        asked.append(str(url))
        return b"User-agent: *\nDisallow: /b\n"

    rules = Robots(fetch)

    def come(number: int) -> str:
        several.wait(10)
        return judge(rules, f"/a{number}?q").robots

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(come, range(8))) == ["allowed"] * 8
    assert asked == [f"{SITE}/robots.txt"]


@pytest.mark.parametrize("other", ["http://example.org", "https://example.org:8443", "https://www.example.org"])
def test_another_scheme_port_or_host_is_another_site(other: str) -> None:
    text: Callable[[httpx.URL], bytes] = lambda url: (  # noqa: E731
        b"User-agent: *\nDisallow: /" if str(url).startswith(SITE + "/") else b""
    )
    rules = Robots(text)
    denied(rules, "/a")
    assert rules.judge(httpx.URL(other + "/a")).robots == "allowed"
