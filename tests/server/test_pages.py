"""What a browser is shown: the page about the API, and the way there."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from mien import __version__

if TYPE_CHECKING:
    from conftest import Served


class Page(HTMLParser):
    """The ids, links and tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("href", "src"):
                self.links.append(value or "")


def test_the_root_says_what_this_is_and_where_to_look(untaught: Served) -> None:
    said = untaught.client.get("/").json()
    assert said == {
        "name": "mien",
        "about": "Who is in a picture - or that nobody knows.",
        "version": __version__,
        "docs": "/v1/docs",
        "openapi": "/v1/openapi.json",
    }
    browser = untaught.client.get("/", headers={"accept": "text/html,*/*;q=0.8"}, follow_redirects=False)
    assert (browser.status_code, browser.headers["location"]) == (303, "/v1/docs")


def test_the_page_shows_every_call_and_needs_nothing_but_itself(untaught: Served) -> None:
    answer = untaught.client.get("/v1/docs")
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'") and "frame-ancestors 'none'" in policy
    page = Page(answer.text)
    api = untaught.client.get("/v1/openapi.json").json()
    for path in api["paths"]:
        assert f"<code>{path}</code>" in answer.text
    for name in api["components"]["schemas"]:
        assert f"shape-{name}" in page.ids
    assert not page.tags & {"script", "img", "link", "iframe", "form", "object"}
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        assert link == "/v1/openapi.json" or link.removeprefix("#") in page.ids, link
    assert not re.search(r"https?://(?!127\.0\.0\.1:8000)", answer.text) and "url(" not in answer.text
    assert "curl -H &#34;x-api-key: $KEY&#34; -F picture=@photo.jpg &#34;$MIEN/v1/classify&#34;" in answer.text


def test_neither_is_part_of_the_api(untaught: Served) -> None:
    assert not {"/", "/v1/docs"} & set(untaught.client.get("/v1/openapi.json").json()["paths"])
