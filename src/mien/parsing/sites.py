"""Pages of web sites read: HTML, in which CSS selectors say what is a picture, a name, a link."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain, islice, takewhile
from typing import Any, NamedTuple

import soupsieve
from bs4 import BeautifulSoup, Tag
from bs4.builder._htmlparser import BeautifulSoupHTMLParser
from bs4.element import NavigableString, PageElement
from bs4.exceptions import ParserRejectedMarkup

from mien.parsing.markup import addresses, closed, links, shortened, tidy
from mien.text.names import nfc

_ITEMS = frozenset({"li", "p", "tr", "td", "th", "dd", "dt"})
"""Elements that hold a name each, where several stand in one that names people."""
_BREAK = "\0"
"""Stands for a line break in a text; HTML has no such letter."""
_DEEPEST = 200
"""Elements between a picture and the element that names its person, at most."""
_MOST_NODES = 200
"""Texts and elements of a name that are read. A page of elements that never end has all of itself in each of them."""
_MOST_NAMED = 10
"""Names beside a picture that are told; two are too many already."""


class _Tags(Counter[str]):
    """What `BeautifulSoupHTMLParser` remembers of tags that need no end. It keeps them in a list, in which it searches
    at the end of each other element: 2 MB of small pictures took 20 seconds of a parser that needs three."""

    def append(self, tag: str) -> None:
        self[tag] += 1

    def remove(self, tag: str) -> None:
        self[tag] -= 1

    def __contains__(self, tag: object) -> bool:
        return self[str(tag)] > 0


@cache
def _quicken() -> None:
    """Makes bs4 remember those tags as `_Tags`, in this process."""
    begin = BeautifulSoupHTMLParser.__init__

    def begun(self: BeautifulSoupHTMLParser, *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        self.already_closed_empty_element = _Tags()  # type: ignore[assignment]

    BeautifulSoupHTMLParser.__init__ = begun  # type: ignore[method-assign]


class Selector(NamedTuple):
    """A CSS selector, and the attribute of the elements that is wanted; "" for the usual one."""

    css: str
    attribute: str

    @classmethod
    def parse(cls, text: str) -> Selector:
        """A selector as it is written in mien.toml: "CSS" or "CSS @attribute". Raises ValueError."""
        with_attribute = re.fullmatch(r"(.*\S)\s*@([\w-]+)", text, re.DOTALL)
        css, attribute = with_attribute.groups() if with_attribute else (text, "")
        try:
            soupsieve.compile(css)
        except (soupsieve.SelectorSyntaxError, NotImplementedError) as error:
            raise ValueError(f"{css!r} is no CSS selector") from error
        return cls(css, attribute)


def task(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """What the selectors find in `data`, a page in this `charset`: its `base`, the `links` by selector, and the
    `pictures`, each with the addresses that it may have and the place of its people in `people`, which holds the texts
    that name them by the form in which they are compared. Nothing for a page that is no HTML."""
    _quicken()
    try:
        soup = BeautifulSoup(
            closed(data), "html.parser", from_encoding=about["charset"], exclude_encodings=["punycode"]
        )
    except ParserRejectedMarkup:
        return {}, b""
    element = soup.find("base", href=True)
    found: dict[str, Any] = {
        "base": links([element.get("href")] if isinstance(element, Tag) else []),
        "links": [_links(soup, each) for each in about["links"]],
        "pictures": [],
        "people": [],
    }
    if about["pictures"]:
        named, places = _names(soup, Selector.parse(about["person"])), dict[int, int]()
        selector = Selector.parse(about["pictures"])
        for picture in soup.select(selector.css):
            people = _nearest(picture, named)
            place = places.setdefault(id(people), len(found["people"]))
            if place == len(found["people"]):
                found["people"].append({key: shortened(text) for key, text in islice(people.items(), _MOST_NAMED)})
            found["pictures"].append((_addresses(picture, selector.attribute), place))
    return found, b""


def _links(soup: BeautifulSoup, text: str) -> list[str]:
    if not text:
        return []
    css, attribute = Selector.parse(text)
    return links([element.get(attribute or "href") for element in soup.select(css)])


def _addresses(element: Tag, attribute: str) -> list[str]:
    """The addresses that the picture of an element may have, the best first. Those of a <picture> stand in it."""
    if attribute:
        return links([element.get(attribute)])
    inner = element.find_all(["source", "img"]) if element.name == "picture" else []
    return [url for each in (element, *inner) if isinstance(each, Tag) for url in addresses(each.get)]


def _names(soup: BeautifulSoup, selector: Selector) -> dict[int, dict[str, str]]:
    """The names of people in each element of a page that names any, itself or by an element in it: as texts, by the
    form in which they are compared. The keys are the identities (`id`) of elements."""
    names: dict[int, dict[str, str]] = {}
    for element in soup.select(selector.css):
        if person := _told(element, selector.attribute):
            form = nfc(shortened(tidy(person)))
            for node in _upwards(element):
                names.setdefault(id(node), {}).setdefault(form, person)
    return names


def _told(element: Tag, attribute: str) -> str:
    """The name that an element gives: its text, the description of an image, or the attribute asked for. Where the text
    is in several items, each is a line."""
    if attribute:
        value = element.get(attribute)  # a list for class and rel
        return tidy(value) if value is None or isinstance(value, str) else tidy(" ".join(value))
    return _lines(element) or tidy(element.get("alt")) or tidy(element.get("content"))


def _lines(element: Tag) -> str:
    """The text of an element: a line for each item of a list, cell and paragraph in it, for each link, if no letter is
    outside of links, and for each part between line breaks, if each has two words, as full names have."""
    nodes = list(islice(element.descendants, _MOST_NODES))
    texts = [(node, _inside(node, element)) for node in nodes if type(node) is NavigableString]
    linked = all("a" in inner.values() for text, inner in texts if any(map(str.isalnum, text)))
    apart = _ITEMS | {"a"} if linked else _ITEMS
    lines, last = [""], 0
    for node in nodes:
        if isinstance(node, Tag) and node.name == "br":
            lines[-1] += _BREAK
        elif type(node) is NavigableString:
            item = next((one for one, name in _inside(node, element).items() if name in apart), 0)
            if item != last:
                lines, last = [*lines, ""], item
            lines[-1] += f"{node} "
    return "\n".join(filter(None, map(_unbroken, lines)))


def _inside(node: PageElement, element: Tag) -> dict[int, str]:
    """The elements between a part of an element and that, the innermost first: their names by their identities."""
    return {id(each): each.name for each in takewhile(lambda each: each is not element, node.parents)}


def _unbroken(line: str) -> str:
    parts = [part for part in map(tidy, line.split(_BREAK)) if part]
    return ("\n" if all(" " in part for part in parts) else " ").join(parts)


_NOBODY: dict[str, str] = {}


def _nearest(element: Tag, names: Mapping[int, dict[str, str]]) -> dict[str, str]:
    """The names in the smallest part of the page that holds `element` and any."""
    return next((names[id(node)] for node in _upwards(element) if id(node) in names), _NOBODY)


def _upwards(element: Tag) -> Iterator[Tag]:
    return islice(chain([element], element.parents), _DEEPEST)
