"""Pages that would keep a parser busy, or take all memory, cost themselves and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mien.engines import children
from mien.errors import FetchError
from mien.parsing import border
from mien.sources import feed, manifest, site
from mien.sources.lists import people_listed
from mien.testing import FakeWeb
from mien.text.fetching import FetchFault
from mien.types import Page
from mien.web.robots import Robots

HERE = "https://example.org"
ADA = '<h1>Ada</h1><figure><img src="/1.jpg"></figure>'
RSS = '<rss version="2.0"><channel><title>x</title><item>{}</item></channel></rss>'


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A page has two seconds at most, and a child that waits twenty times the half."""
    monkeypatch.setattr(border, "SECONDS", 0.5)
    yield
    children.end_all()


def of_site(page: str, **selectors: str) -> list[object]:
    web = FakeWeb({f"{HERE}/bad": page, f"{HERE}/good": ADA, f"{HERE}/": "<a href=/bad>1</a><a href=/good>2</a>"})
    options = {"url": f"{HERE}/", "list": "a", "person": "h1", "pictures": "figure img", **selectors}
    return list(site.open_source("club", options, web, Path()).offers())


def of_feed(page: str, **options: object) -> list[object]:
    web = FakeWeb({f"{HERE}/feed": Page(f"{HERE}/feed", page.encode(), None)})
    return list(feed.open_source("club", {"url": f"{HERE}/feed", **options}, web, Path()).offers())


@pytest.mark.usefixtures("soon")
def test_a_selector_that_goes_through_a_page_for_each_element_costs_that_page() -> None:
    said, good = of_site("<div><p>" * 4500, person="h1, div:has(~ div b)")
    assert isinstance(said, FetchError) and said.kind is FetchFault.TOO_LONG
    assert said.message == "The source club has a page that takes too long to read: https://example.org/bad."
    assert getattr(good, "person", "") == "Ada", "the next page is read all the same"


@pytest.mark.usefixtures("soon")
def test_an_author_that_keeps_a_regular_expression_busy_costs_the_feed() -> None:
    (said,) = of_feed(RSS.format(f"<author>{'a.' * 100_000}</author>"))
    assert isinstance(said, FetchError) and said.kind is FetchFault.TOO_LONG


@pytest.mark.usefixtures("soon")
def test_rules_that_go_on_for_ever_deny_everything_and_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    agents = "".join(f"User-agent: a{n}\n" for n in range(12_000))
    rules = Robots(lambda url: (agents + "Disallow: /x\n" * 12_000).encode())
    with pytest.raises(FetchError) as caught:
        rules.judge(httpx.URL(f"{HERE}/1.jpg"))
    assert caught.value.kind is FetchFault.ROBOTS and "has a robots.txt that takes too" in str(caught.value)
    monkeypatch.setattr("mien.web.robots.parsed", None)
    with pytest.raises(FetchError):
        rules.judge(httpx.URL(f"{HERE}/2.jpg"))


@pytest.mark.parametrize(
    "page",
    [
        "<h1>x" * 600,
        "<div>" * 8_000,
        f"<p {' '.join(f'a{n}=1' for n in range(30_000))}>",
        f"<h1>Ada</h1><img src='{'&a' * 100_000}'>",
        "<h1>" + "&lt;&amp" * 20_000 + "</h1>",
        "<h1>" + "\u0301\u0327" * 100_000 + "</h1><figure><img src=2.jpg></figure>",
        '<figure><img src="/p/1.jpg"><figcaption>Ada</figcaption></figure>' * 2_500,
    ],
    ids=["unclosed", "deep", "attributes", "references in an attribute", "references", "accents", "void"],
)
def test_what_is_only_large_is_read_soon(page: str) -> None:
    *_, good = of_site(page)
    assert getattr(good, "person", "") == "Ada"


@pytest.mark.parametrize(
    "text",
    [
        RSS.format("<a>" * 5_000),
        RSS.format(f"<author>Ada</author><description><![CDATA[{'<div>' * 5_000}]]></description>"),
        '{"version": "https://jsonfeed.org/version/1", "items": ' + "[" * 100_000,
        '{"version": ' * 100_000,
    ],
    ids=["deep", "deep text", "deep JSON", "deep objects"],
)
def test_depth_ends_in_an_answer(text: str) -> None:
    try:
        of_feed(text, content=True)
    except FetchError as error:
        raise AssertionError from error
    except Exception as error:
        assert "is no feed" in str(error)


def test_an_author_of_a_feed_is_not_repeated_for_each_of_its_entries() -> None:
    items = ",".join(['{"image": "1.jpg"}'] * 5_000)
    authors = f'[{{"name": "{"x" * 500_000}"}}]'
    text = f'{{"version": "https://jsonfeed.org/version/1", "authors": {authors}, "items": [{items}]}}'
    (said,) = of_feed(text)
    assert "more than 200 letters" in str(said)


def test_a_child_that_breaks_costs_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    for reason, fault in (("killed", FetchFault.KILLED), ("broke", FetchFault.BREAKS_PARSER)):

        def ended(*_: object, reason: str = reason, **__: object) -> None:
            raise children.TaskEndedError(reason)  # type: ignore[arg-type]

        monkeypatch.setattr(children, "ask", ended)
        (said,) = of_feed(RSS.format(""))
        assert isinstance(said, FetchError) and said.kind is fault and said.remedy == fault.remedy


@pytest.mark.parametrize(
    "line",
    ["\u0301\u0327" * 8_000, " y ".join(["a b"] * 5_000), "a, " * 20_000, '"' * 60_000, "a;" * 30_000, "[" * 60_000],
)
def test_odd_lines_of_a_table_are_read_soon(line: str) -> None:
    text = f"person,url\n{line},1.jpg\n" + f'{{"person": {line}\n' + "Ada,2.jpg\n"
    web = FakeWeb({f"{HERE}/m.csv": text})
    *_, good = manifest.open_source("club", {"url": f"{HERE}/m.csv"}, web, Path()).offers()
    assert getattr(good, "person", "") == "Ada"
    assert people_listed(line) == ()
