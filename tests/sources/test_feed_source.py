"""The source `feed`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import FetchError, SourceError
from mien.protocols import Source
from mien.sources.feed import open_source
from mien.testing import FakeWeb, check_source
from mien.types import Offer, Page

HERE = "https://example.org"

RSS = """<?xml version="1.0"?>
<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>Club</title><link>https://example.org/</link>
<item><title>Portrait of Ada, 1840</title><dc:creator>Ada</dc:creator>
  <category>portrait</category><category>who: Ada</category>
  <enclosure url="https://example.org/ada/1.jpg" type="image/jpeg" length="1"/>
  <enclosure url="https://example.org/ada/talk.mp3" type="audio/mpeg" length="1"/>
  <media:content url="https://example.org/ada/2" medium="image"/>
  <description>&lt;p&gt;&lt;img src="3.jpg"&gt;&lt;script&gt;evil()&lt;/script&gt;&lt;/p&gt;</description></item>
<item><title>A landscape</title><dc:creator>Bo</dc:creator><category>who: Bo</category>
  <enclosure url="https://example.org/bo/1.png" length="1"/></item>
</channel></rss>"""

ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://example.org/club/"><title>Club</title>
<author><name>Ada</name></author><link rel="next" href="{next}"/>
<entry><title>One</title><link rel="enclosure" type="image/jpeg" href="{number}.jpg"/>
<link rel="license" href="https://creativecommons.org/licenses/by/4.0/"/></entry>
<entry><title>Two</title><author><name>Bo</name></author>
<link rel="enclosure" type="image/jpeg" href="bo{number}.jpg"/></entry>
</feed>"""


def json_feed(*items: object, **more: object) -> str:
    return json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": "Club", "items": items, **more})


def feed(site: dict[str, Any], **options: object) -> Source:
    web = FakeWeb({f"{HERE}/{path}": text for path, text in site.items()})
    return open_source("club", {"url": f"{HERE}/feed", **options}, web, Path())


def told(source: Source) -> list[object]:
    """(path, person) of each offer, and what each error says."""
    return [
        each.message if isinstance(each, FetchError) else (each.location.removeprefix(f"{HERE}/"), each.person)
        for each in source.offers()
    ]


def test_keeps_the_promises() -> None:
    pictures = {f"{HERE}/{path}": path.encode() for path in ("ada/1.jpg", "ada/2", "bo/1.png")}
    web = FakeWeb({f"{HERE}/feed": RSS}, pictures)
    check_source(lambda: open_source("club", {"url": f"{HERE}/feed"}, web, Path()))


def test_rss() -> None:
    assert told(feed({"feed": RSS})) == [("ada/1.jpg", "Ada"), ("ada/2", "Ada"), ("bo/1.png", "Bo")]


def test_pictures_in_the_text_only_if_asked_for() -> None:
    assert ("3.jpg", "Ada") in told(feed({"feed": RSS}, content=True))


def test_a_pattern_chooses_entries_and_categories() -> None:
    assert told(feed({"feed": RSS}, person="title", pattern="Portrait of {person}, *")) == [
        ("ada/1.jpg", "Ada"),
        ("ada/2", "Ada"),
    ]
    assert told(feed({"feed": RSS}, person="category", pattern="who: {person}"))[-1] == ("bo/1.png", "Bo")


def test_an_entry_that_names_several_is_not_guessed_at() -> None:
    first, second, last = told(feed({"feed": RSS}, person="category"))
    assert "names several people for https://example.org/ada/1.jpg" in str(first) and "several" in str(second)
    assert last == ("bo/1.png", "who: Bo")


ITEM = '<item>{}<enclosure url="/{}.jpg?a=1&amp;b=2" type="image/jpeg" length="1"/></item>'


def rss(*items: str, title: str = "Club") -> str:
    """A feed of entries, each with a picture of its own."""
    space = 'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/"'
    texts = "".join(ITEM.format(item, number) for number, item in enumerate(items, 1))
    head = f"<title>{title}</title><link>https://example.org/</link><description/>"
    return f'<?xml version="1.0"?><rss version="2.0" {space}><channel>{head}{texts}</channel></rss>'


@pytest.mark.parametrize(
    "authors",
    [
        "<dc:creator>Ada</dc:creator><dc:creator>Bo</dc:creator>",
        "<author>a@example.org (Ada)</author><dc:creator>Bo</dc:creator>",
        "<author>a@example.org (Ada)</author><author>b@example.org (Bo)</author>",
    ],
)
def test_an_entry_of_several_authors_is_not_guessed_at(authors: str) -> None:
    (said,) = told(feed({"feed": rss(authors)}))
    assert "names several people for https://example.org/1.jpg" in str(said) and "Ada and Bo" in str(said)


def test_an_atom_entry_of_several_authors_is_not_guessed_at() -> None:
    atom = ATOM.format(number=1, next="feed").replace(
        "<name>Bo</name>", "<name>Bo</name></author><author><name>Cy</name>"
    )
    assert told(feed({"feed": atom}))[0] == ("club/1.jpg", "Ada")
    assert "Bo and Cy" in str(told(feed({"feed": atom}))[1])


def test_an_author_named_twice_is_one() -> None:
    authors = "<author>ada@example.org (Ada)</author><dc:creator>Ada\u200b</dc:creator>"
    assert told(feed({"feed": rss(authors)})) == [("1.jpg?a=1&b=2", "Ada")]


@pytest.mark.parametrize("text", ["Ada and Bo", "Ada &amp; Bo", "Ada, Bo", "Ada; Bo", "a@x.org (Ada), b@x.org (Bo)"])
def test_a_text_that_may_list_several_people_says_so(text: str) -> None:
    for kind, element in (("author", "dc:creator"), ("category", "category"), ("title", "title")):
        (offer,) = feed({"feed": rss(f"<{element}>{text}</{element}>")}, person=kind).offers()
        assert isinstance(offer, Offer) and len(offer.listed) == 2
    (offer,) = feed({"feed": rss(f"<title>By {text}!</title>")}, person="title", pattern="By {person}!").offers()
    assert isinstance(offer, Offer) and len(offer.listed) == 2


def test_one_picture_of_two_people_is_offered_for_both() -> None:
    entries = [{"image": "1.jpg", "authors": [{"name": name}]} for name in ("Ada", "Bo", "Ada")]
    assert told(feed({"feed": json_feed(*entries)})) == [("1.jpg", "Ada"), ("1.jpg", "Bo")]


NAMES = [
    ("Jean d&apos;Arc", "Jean d'Arc"),
    ("Ren&#233;", "René"),
    ("AT&amp;T Smith", "AT&T Smith"),
    ("x &amp;amp; y", "x &amp; y"),
    ("<![CDATA[Tom & Jo's]]>", "Tom & Jo's"),
    ("M\u00f6ller &#38; Co", "M\u00f6ller & Co"),
    ("<!-- - --> D&#8217;Arc", "D\u2019Arc"),
]
BREAKS = ["R&D", "A & B", "caf&eacute;", "x&nbsp;y", "<b>open", "&nothing;", "\x0b", "</nothing>"]


@pytest.mark.parametrize("broken", ["Club", *BREAKS])
@pytest.mark.parametrize(("element", "kind"), [("dc:creator", "author"), ("category", "category"), ("title", "title")])
def test_names_are_unescaped_once_however_broken_a_feed_is(broken: str, element: str, kind: str) -> None:
    items = [f"<{element}>{written}</{element}>" for written, _ in NAMES]
    if kind == "title":
        items = items[:2] + items[5:]  # a title is HTML as soon as it looks like it
        names = [name for _, name in NAMES[:2] + NAMES[5:]]
    else:
        names = [name for _, name in NAMES]
    found = told(feed({"feed": rss(*items, title=broken)}, person=kind))
    assert found == [(f"{number}.jpg?a=1&b=2", name) for number, name in enumerate(names, 1)]


def test_a_title_that_is_html_is_read_as_text() -> None:
    items = ("<title><![CDATA[<b>Ada</b> &eacute;]]></title>", "<title>&lt;i&gt;Bo&lt;/i&gt;</title>")
    assert told(feed({"feed": rss(*items)}, person="title")) == [("1.jpg?a=1&b=2", "Ada é"), ("2.jpg?a=1&b=2", "Bo")]


def test_what_is_wrong_with_one_name_does_not_spoil_the_next() -> None:
    items = ("<dc:creator>A & B&C</dc:creator>", "<dc:creator>caf&eacute; &x; &#233;</dc:creator>")
    assert told(feed({"feed": rss(*items)})) == [("1.jpg?a=1&b=2", "A & B&C"), ("2.jpg?a=1&b=2", "café &x; é")]


def test_a_key_of_json_with_two_values_is_not_guessed_at() -> None:
    item = '{"image": "1.jpg", "author": {"name": "Ada"%s}}'
    texts = [item % "", item % ', "name": "Bo"', item % ', "name": "Ada"', '{"image": "1.jpg", "image": "2.jpg"}']
    text = json_feed().replace("[]", f"[{', '.join(texts)}]")
    assert told(feed({"feed": text})) == [
        "The source club has 2 broken entries in https://example.org/feed.",
        ("1.jpg", "Ada"),
    ]


def test_keys_of_json_without_a_value_are_none() -> None:
    item = {"title": None, "authors": None, "author": {"name": None}, "image": "1.jpg", "attachments": None}
    text = json_feed(item, next_url=None, authors=[{"name": "Ada", "url": None}], author=None)
    assert told(feed({"feed": text})) == [("1.jpg", "Ada")]


def test_atom_with_pages() -> None:
    pages = {"feed": ATOM.format(number=1, next="../p2"), "p2": ATOM.format(number=2, next="../feed")}
    assert told(feed(pages)) == [
        ("club/1.jpg", "Ada"),
        ("club/bo1.jpg", "Bo"),
        ("club/2.jpg", "Ada"),
        ("club/bo2.jpg", "Bo"),
    ]
    first = next(feed(pages).offers())
    assert first == Offer(f"{HERE}/club/1.jpg", "Ada", "1.jpg", licence="https://creativecommons.org/licenses/by/4.0/")


def test_a_feed_goes_on_where_an_earlier_run_left_it() -> None:
    def paged() -> tuple[Any, Iterator[Any]]:
        nexts = ["../p2", "../p3", "../p4", "../feed"]
        texts = [ATOM.format(number=number, next=after) for number, after in enumerate(nexts, 1)]
        source = feed(dict(zip(("feed", "p2", "p3", "p4"), texts, strict=True)))
        return source, source.offers()

    source, offers = paged()
    listed = [next(offers).location for _ in range(5)]  # the first of the third page
    unread = source.unread()
    assert unread == (f"{HERE}/feed", f"{HERE}/p3", f"{HERE}/p4") and listed[-1] == f"{HERE}/club/3.jpg"
    source, offers = paged()
    source.go_on(unread)
    assert [one.location.rpartition("/")[2] for one in offers if one.person == "Ada"] == [
        "1.jpg",
        "3.jpg",
        "4.jpg",
        "2.jpg",
    ]
    assert source.unread() == (f"{HERE}/feed",)
    source, offers = paged()
    source.go_on((f"{HERE}/another", *unread[1:]))
    assert [one.location.rpartition("/")[2] for one in offers if one.person == "Ada"][1] == "2.jpg"


def test_the_page_limit_is_said() -> None:
    pages = {"feed": ATOM.format(number=1, next="../p2"), "p2": ATOM.format(number=2, next="../p3")}
    assert "goes on after 2 pages" in str(told(feed(pages, pages=2))[-1])
    assert told(feed(pages, pages=3))[-1] == f"{HERE}/p3 is nowhere."
    last = told(feed({**pages, "p2": "<html><body>Sorry"}))[-1]
    assert last == f"The source club goes on at a page that is no feed: {HERE}/p2."


def test_json_feed() -> None:
    items = [
        {"title": "One", "authors": [{"name": "Ada"}], "attachments": [{"url": "1.jpg", "mime_type": "image/jpeg"}]},
        {"author": {"name": "Bo"}, "image": f"{HERE}/2.jpg", "content_html": '<p><img alt="" src="3.jpg">'},
        {"attachments": [{"url": "x.mp3", "mime_type": "audio/mpeg"}, {"url": "4.jpg", "mime_type": ""}]},
        {"attachments": [{"mime_type": "image/jpeg"}]},
        "nonsense",
    ]
    pages = {
        "feed": json_feed(*items, next_url=f"{HERE}/p2", authors=[{"name": "Cy"}]),
        "p2": "\ufeff" + json_feed({"tags": ["Ada"], "authors": [{"name": "Di"}], "image": "5.jpg"}),
    }
    assert told(feed(pages, content=True)) == [
        "The source club has 2 broken entries in https://example.org/feed.",
        ("1.jpg", "Ada"),
        ("2.jpg", "Bo"),
        ("3.jpg", "Bo"),
        ("4.jpg", "Cy"),
        ("5.jpg", "Di"),
    ]


@pytest.mark.parametrize(
    "href", ["javascript:x", "data:image/png;base64,AA", "file:///etc/passwd", "http://[::1/a.jpg"]
)
def test_only_web_links_are_offered(href: str) -> None:
    assert told(feed({"feed": json_feed({"image": href, "authors": [{"name": "Ada"}]})})) == []


def test_a_picture_without_a_name_is_said() -> None:
    (said,) = told(feed({"feed": json_feed({"image": "1.jpg"})}))
    assert "names nobody" in str(said)


@pytest.mark.parametrize("text", ["<html><body>Not found", "", "{}", '{"version": "x"}', "[" * 100_000])
def test_no_feed(text: str) -> None:
    with pytest.raises(SourceError, match=f"The source club begins at a page that is no feed: {HERE}/feed."):
        list(feed({"feed": text}).offers())


def test_no_answer_is_the_sources_failure() -> None:
    with pytest.raises(SourceError) as caught:
        list(feed({}).offers())
    assert not isinstance(caught.value, FetchError)


def test_entity_bombs_do_not_go_off() -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE rss [<!ENTITY l0 "lol"><!ENTITY x SYSTEM "file:///etc/passwd">{levels}]>'
    text = RSS.replace("<rss", bomb + "<rss").replace("<dc:creator>Ada", "<dc:creator>Ada&l11;&x;")
    found = told(feed({"feed": text}))
    assert len(found) == 3 and ("bo/1.png", "Bo") in found
    assert all(len(str(each)) < 500 and "root:" not in str(each) for each in found)


def test_an_encoding_that_is_none_does_no_harm() -> None:
    for charset in ("punycode", "undefined", "zlib", "no such thing\r\nx: y"):
        page = Page(f"{HERE}/feed", RSS.encode(), charset)
        try:
            found = told(feed({"feed": page}))
        except SourceError as error:
            assert "is no feed" in str(error)
        else:
            assert len(found) == 3


@settings(deadline=None)
@given(st.data())
def test_no_garbage_breaks_more_than_the_feed(data: st.DataObject) -> None:
    body = bytearray(ATOM.format(number=1, next="p2").encode())
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=10))
    try:
        for each in feed({"feed": Page(f"{HERE}/feed", bytes(body), None)}).offers():
            assert isinstance(each, FetchError) or (each.person and each.name)
    except SourceError:
        pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "feed.xml"}, "url will not do: it must begin with http"),
        ({"person": "body"}, "person will not do"),
        ({"pattern": "Ada"}, "pattern will not do"),
        ({"pages": 0}, "pages will not do"),
        ({"regex": "x"}, "regex is no key of this kind of source"),
    ],
)
def test_wrong_options(options: dict[str, object], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        feed({}, **options)


def test_addresses_are_relative_to_the_base_of_their_element() -> None:
    text = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:media="http://search.yahoo.com/mrss/" xml:base="/a/">
    <title>x</title><entry xml:base="b/"><author><name>Ada</name></author>
    <link rel="enclosure" type="image/jpeg" href="1.jpg"/><media:content url="2.jpg" medium="image" xml:base="c/"/>
    <media:group xml:base="/d/"><media:content url="3.jpg" medium="image"/></media:group>
    <content type="html" xml:base="e/">&lt;img src="4.jpg"&gt;</content></entry>
    <entry><author><name>Ada</name></author><media:content url="5.jpg" medium="image"/></entry></feed>"""
    found = told(feed({"feed": text}, content=True))
    assert found == [(path, "Ada") for path in ("a/b/1.jpg", "a/b/c/2.jpg", "d/3.jpg", "a/b/e/4.jpg", "a/5.jpg")]


def test_texts_of_a_json_feed_are_relative_to_their_item() -> None:
    item = {"url": "/news/1/", "image": "1.jpg", "content_html": "<img src=2.jpg>", "authors": [{"name": "Ada"}]}
    assert told(feed({"feed": json_feed(item)}, content=True)) == [("1.jpg", "Ada"), ("news/1/2.jpg", "Ada")]


@pytest.mark.parametrize(
    "more",
    [
        {"authors": {"name": "Ada"}},
        {"authors": ["Ada"]},
        {"author": "Ada"},
        {"authors": [None, {"name": None}, {"name": "Ada", "url": 5}]},
        {"authors": [{"name": "Ada"}], "title": 7, "tags": None, "attachments": None},
        {"authors": [{"name": "Ada"}], "tags": "one", "summary": ["x"], "attachments": []},
        {"authors": [{"name": "Ada"}], "image": ["1.jpg"]},
        {"authors": [{"name": "Ada"}], "image": {"url": "1.jpg"}},
        {"authors": [{"name": "Ada"}], "image": None, "attachments": {"url": "1.jpg", "mime_type": None}},
        {"authors": [{"name": "Ada"}], "image": None, "attachments": ["1.jpg"]},
    ],
)
def test_a_json_feed_may_be_written_loosely(more: dict[str, Any]) -> None:
    text = json_feed({"image": "1.jpg", **more})
    assert told(feed({"feed": text})) == [("1.jpg", "Ada")]
    assert told(feed({"feed": Page(f"{HERE}/feed", text.encode("utf-16"), None)})) == [("1.jpg", "Ada")]
