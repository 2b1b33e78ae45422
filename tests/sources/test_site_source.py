"""The source `site`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mien.errors import FetchError, SourceError
from mien.protocols import Source
from mien.sources.site import open_source
from mien.testing import FakeWeb, check_source
from mien.text.fetching import FetchFault
from mien.types import Offer, Page

HERE = "https://example.org"

LIST = """<ul><li><a href="/ada">Ada</a><li><a href="bo#top">Bo</a><li><a href="/ada">again</a></ul>
<a rel="next" href="/list2">more</a>"""
LIST2 = '<ul><li><a href="/cy">Cy</a></ul><a rel="next" href="/list">round</a>'
ADA = """<h1> Ada
 Lovelace </h1><figure><img src="/p/1.jpg"></figure>
<figure><img src="/p/2.jpg" srcset="/p/2s.jpg 320w, /p/2,l.jpg 1280w"></figure>
<a rel="next" href="/ada?page=2">next</a>"""
ADA2 = '<h1>Ada Lovelace</h1><figure><img src="/p/3.jpg"></figure><figure><img src="/p/1.jpg"></figure>'
BO = '<base href="/static/"><h1>Bo</h1><figure><img src="data:image/gif;base64,R0" data-src="bo.jpg"></figure>'
CY = '<h1>Cy</h1><figure><img src="http://other.org/cy.jpg"></figure>'
PAGES = {"list": LIST, "list2": LIST2, "ada": ADA, "ada?page=2": ADA2, "bo": BO, "cy": CY}
PEOPLE = {"list": "li a", "next": "a[rel=next]", "person": "h1", "pictures": "figure img"}


def site(texts: dict[str, Any], start: str, **options: object) -> Source:
    web = FakeWeb({f"{HERE}/{path}": text for path, text in texts.items()})
    return open_source("club", {"url": f"{HERE}/{start}", **options}, web, Path())


def told(source: Source) -> list[object]:
    """(path, person) of each offer, and what each error says."""
    return [
        each.message if isinstance(each, FetchError) else (each.location.removeprefix(f"{HERE}/"), each.person)
        for each in source.offers()
    ]


def test_keeps_the_promises() -> None:
    pages = {f"{HERE}/{path}": text for path, text in PAGES.items()}
    places = [f"{HERE}/{path}" for path in ("p/1.jpg", "p/2,l.jpg", "p/3.jpg", "static/bo.jpg")]
    web = FakeWeb(pages, {place: place.encode() for place in (*places, "http://other.org/cy.jpg")})
    check_source(lambda: open_source("club", {"url": f"{HERE}/list", **PEOPLE}, web, Path()))


@pytest.mark.parametrize(
    ("caption", "person", "people"),
    [
        ("<ul><li>Ada</li><li>Bo</li></ul>", "Ada Bo", ("Ada", "Bo")),
        ("<p>Ada</p> <p>Bo</p>", "Ada Bo", ("Ada", "Bo")),
        ("<a>Ada</a><a>Bo</a>", "Ada Bo", ("Ada", "Bo")),
        ("<a>Ada</a>, <a>Bo</a>", "Ada , Bo", ("Ada", "Bo")),
        ("Ada Lovelace<br>Bo Smith", "Ada Lovelace Bo Smith", ("Ada Lovelace", "Bo Smith")),
        ("Ada &amp; Bo", "Ada & Bo", ("Ada", "Bo")),
        ("<b>Ada</b> and <i>Bo</i>", "Ada and Bo", ("Ada", "Bo")),
        ("Ada<br>Lovelace", "Ada Lovelace", ()),
        ("<span>Ada</span> <span>Lovelace</span>", "Ada Lovelace", ()),
        ("<a>Ada</a> Lovelace <a>(1840)</a>", "Ada Lovelace (1840)", ()),
        ("<p>Ada<!-- and Bo --> Lovelace</p>", "Ada Lovelace", ()),
        ("O&#39;Neil &amp;amp", "O'Neil &amp", ("O'Neil", "amp")),
    ],
)
def test_a_caption_that_may_list_several_people_says_so(caption: str, person: str, people: tuple[str, ...]) -> None:
    page = f"<figure><img src=1.jpg><figcaption>{caption}</figcaption></figure>"
    (offer,) = site({"page": page}, "page", person="figcaption", pictures="img").offers()
    assert isinstance(offer, Offer) and offer.person.replace(" ,", " ,") == person and offer.listed == people


def test_one_picture_of_two_people_is_offered_for_both() -> None:
    page = "".join(f"<figure><img src=1.jpg><figcaption>{who}</figcaption></figure>" for who in ("Ada", "Bo", "Ada"))
    assert told(site({"page": page}, "page", person="figcaption", pictures="img")) == [
        ("1.jpg", "Ada"),
        ("1.jpg", "Bo"),
    ]


def test_names_equal_to_the_eye_are_one_name() -> None:
    page = "<div><img src=1.jpg><b>Ada Lovelace</b><b>Ada&nbsp;Love&shy;lace</b></div>"
    assert told(site({"page": page}, "page", person="b", pictures="img")) == [("1.jpg", "Ada Lovelace")]


def test_every_link_to_a_next_page_is_followed() -> None:
    links = '<a class="p" href="/1">1</a><a class="p" href="/2">2</a><a class="p" href="/3">3</a>'
    pages = {str(number): f"<h1>P{number}</h1><img src={number}.jpg>{links}" for number in (1, 2, 3)}
    found = told(site(pages, "1", person="h1", pictures="img", next="a.p"))
    assert found == [("1.jpg", "P1"), ("2.jpg", "P2"), ("3.jpg", "P3")]


def test_a_list_of_people_with_pages_that_go_round() -> None:
    assert told(site(PAGES, "list", **PEOPLE)) == [
        ("p/1.jpg", "Ada Lovelace"),
        ("p/2,l.jpg", "Ada Lovelace"),
        ("p/3.jpg", "Ada Lovelace"),
        ("static/bo.jpg", "Bo"),
        ("http://other.org/cy.jpg", "Cy"),
    ]


@pytest.mark.parametrize("read", [1, 3, 4, 5])
def test_a_site_goes_on_where_an_earlier_run_left_it(read: int) -> None:
    every = told(site(PAGES, "list", **PEOPLE))
    first: Any = site(PAGES, "list", **PEOPLE)
    offers = first.offers()
    page = [next(offers) for _ in range(read)][-1]
    again: Any = site(PAGES, "list", **PEOPLE)
    again.go_on(first.unread())
    found = told(again)
    assert sorted(map(str, found)) == sorted(map(str, every)), "nothing is lost"
    assert page.location.rpartition("/")[2] in str(found[:2]), "that page is the next one"


def test_each_page_is_asked_for_once() -> None:
    web = FakeWeb({f"{HERE}/{path}": text for path, text in PAGES.items()})
    list(open_source("club", {"url": f"{HERE}/list", **PEOPLE}, web, Path()).offers())
    assert sorted(web.asked) == sorted(f"{HERE}/{path}" for path in PAGES)


def test_a_page_that_fails_is_said_and_the_rest_goes_on() -> None:
    gone = FetchError("It", "timed out", "Try again.", FetchFault.TIMEOUT)
    found = told(site({**PAGES, "ada": gone}, "list", **PEOPLE))
    assert found == ["It timed out.", ("static/bo.jpg", "Bo"), ("http://other.org/cy.jpg", "Cy")]


def test_a_page_that_is_another_by_redirect_is_read_once() -> None:
    pages = {**PAGES, "bo": Page(f"{HERE}/ada", ADA.encode(), None)}
    found = told(site(pages, "list", **PEOPLE))
    assert len(found) == len(set(found)) == 4 and ("p/1.jpg", "Ada Lovelace") in found


def test_the_page_limit_is_said() -> None:
    found = told(site(PAGES, "list", **PEOPLE, pages=3))
    assert found[:-1] == [("p/1.jpg", "Ada Lovelace"), ("p/2,l.jpg", "Ada Lovelace"), ("p/3.jpg", "Ada Lovelace")]
    assert "goes on after 3 pages" in str(found[-1])


def test_one_page_with_captions() -> None:
    page = """<div><figure><a href="1-large.jpg"><img src=1.jpg></a><figcaption>Ada</figcaption></figure>
    <figure><a href="2-large.jpg"><img src=2.jpg></a><figcaption>Bo</figcaption></figure>
    <figure><a href="3-large.jpg"><img src=3.jpg></a></figure></div>"""
    *found, last = told(site({"g": page}, "g", person="figcaption", pictures="figure > a"))
    assert found == [("1-large.jpg", "Ada"), ("2-large.jpg", "Bo")]
    assert "names several people beside https://example.org/3-large.jpg" in str(last)


@pytest.mark.parametrize(
    ("person", "pictures", "page"),
    [
        ("img", "img", '<img src="a.jpg" alt="Ada"><img src="b.jpg" alt="Bo">'),
        ("img @title", "img", '<img src="a.jpg" title="Ada" alt="?"><img src="b.jpg" title="Bo">'),
        (
            "p@data-who",
            "p a@data-full",
            '<p data-who=Ada><a href=x data-full="a.jpg"></a></p><p data-who=Bo><a data-full="b.jpg"></a></p>',
        ),
        (
            "b",
            "source",
            "<div><b>Ada</b><source srcset='a.jpg 2x, s.jpg'></div><div><b>Bo</b><source srcset=b.jpg></div>",
        ),
    ],
)
def test_attributes(person: str, pictures: str, page: str) -> None:
    assert told(site({"g": page}, "g", person=person, pictures=pictures)) == [("a.jpg", "Ada"), ("b.jpg", "Bo")]


def test_the_charset_of_the_server_counts() -> None:
    page = Page(f"{HERE}/g", "<h1>Zoë</h1><img src=1.jpg>".encode("latin-1"), "iso-8859-1")
    assert told(site({"g": page}, "g", person="h1", pictures="img")) == [("1.jpg", "Zoë")]


def test_only_web_links() -> None:
    page = """<h1>Ada</h1><img src="javascript:x"><img src="file:///etc/passwd"><img src="ftp://example.org/1.jpg"><img>
    <img src="http://[::1/x.jpg"><a class=n href="javascript:next()">next</a>"""
    assert told(site({"g": page}, "g", person="h1", pictures="img", next=".n")) == []


def test_pictures_of_nobody_and_names_too_long_are_said() -> None:
    first = told(site({"g": "<h1> </h1><img src=1.jpg>"}, "g", person="h1", pictures="img"))
    second = told(site({"g": f"<h1>{'x' * 999}</h1><img src=1.jpg>"}, "g", person="h1", pictures="img"))
    assert "names nobody" in str(first) and "more than 200 letters" in str(second)


def test_hostile_pages_end() -> None:
    deep = "<div>" * 3000 + "<h1>Ada</h1><img src=1.jpg>"
    assert told(site({"g": deep}, "g", person="h1", pictures="img")) == [("1.jpg", "Ada")]
    srcset = f'<h1>Ada</h1><img srcset="{"a " * 50_000}" src=1.jpg>'
    assert told(site({"g": srcset}, "g", person="h1", pictures="img"))
    assert "more than 2 MB" in str(told(site({"g": "x" * (5 << 20)}, "g", person="h1", pictures="img")))


def test_no_answer_is_the_sources_failure() -> None:
    with pytest.raises(SourceError) as caught:
        list(site({}, "g", person="h1", pictures="img").offers())
    assert not isinstance(caught.value, FetchError)


def test_names_come_from_the_link() -> None:
    (offer,) = site({"g": "<h1>Ada</h1><img src='/x/Ada%20L.jpg?w=1'>"}, "g", person="h1", pictures="img").offers()
    assert offer == Offer(f"{HERE}/x/Ada%20L.jpg?w=1", "Ada", "Ada L.jpg")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"person": "h1"}, "pictures is missing"),
        ({"person": "h1", "pictures": "a["}, "pictures will not do: 'a\\[' is no CSS selector"),
        ({"person": "", "pictures": "a"}, "person will not do"),
        ({"person": "h1:nonsense", "pictures": "a"}, "person will not do"),
        ({"person": "h1", "pictures": "a", "pages": 0}, "pages will not do"),
    ],
)
def test_wrong_options(options: dict[str, object], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        site({}, "g", **options)


@pytest.mark.parametrize("markup", ["<![1<2]]>", "<!-- <![x<y", "<a " * 40_000, "<!--" * 40_000, "<![" * 40_000])
def test_odd_markup_ends_soon_and_in_an_answer(markup: str) -> None:
    """Python's parser gives up on some of it, and took minutes for some."""
    assert told(site({"g": f"<h1>Ada</h1><img src=1.jpg>{markup}"}, "g", person="h1", pictures="img"))


def test_a_srcset_without_end_is_read_soon() -> None:
    page = f"<h1>Ada</h1><img srcset='{'x' * 200_000}' src=1.jpg>"
    assert told(site({"g": page}, "g", person="h1", pictures="img"))


@pytest.mark.parametrize(
    "picture",
    [
        '<img src="data:image/gif;base64,R0" data-lazy-src="1.jpg">',
        '<img src="data:image/gif;base64,R0" data-original="1.jpg">',
        '<img src="small.jpg" data-lazy-srcset="small.jpg 100w, 1.jpg 900w 600h">',
        r'<img src="\1.jpg">',
        '<img src=" 1.jpg\n">',
        '<img src="https:1.jpg">',
        '<img src="//example.org/1.jpg">',
        '<img src="./x/../1.jpg#top">',
    ],
)
def test_a_picture_is_found_however_its_address_is_written(picture: str) -> None:
    assert told(site({"g": f"<h1>Ada</h1>{picture}"}, "g", person="h1", pictures="img")) == [("1.jpg", "Ada")]


def test_the_address_of_a_picture_element_stands_in_it() -> None:
    page = '<h1>Ada</h1><picture><source srcset="1.jpg 2x, s.jpg 1x"><img src="data:,"></picture>'
    assert told(site({"g": page}, "g", person="h1", pictures="picture")) == [("1.jpg", "Ada")]


def test_a_base_counts_wherever_it_stands_and_after_a_redirect() -> None:
    page = Page(f"{HERE}/moved/g", b"<h1>Ada</h1><img src=1.jpg>", None)
    assert told(site({"g": page}, "g", person="h1", pictures="img")) == [("moved/1.jpg", "Ada")]
    late = Page(f"{HERE}/moved/g", b"<h1>Ada</h1><img src=1.jpg><div><base target=x><base href=b/></div>", None)
    assert told(site({"g": late}, "g", person="h1", pictures="img")) == [("moved/b/1.jpg", "Ada")]
    wrong = Page(f"{HERE}/moved/g", b"<base href=data:x><h1>Ada</h1><img src=1.jpg>", None)
    assert told(site({"g": wrong}, "g", person="h1", pictures="img")) == [("moved/1.jpg", "Ada")]
