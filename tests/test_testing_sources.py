"""The fakes of sources keep the promises of `mien.protocols`, and the check notices who does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import pytest

from mien.errors import FetchError
from mien.testing import FakeSink, FakeSource, FakeWeb, check_source
from mien.text.fetching import FetchFault
from mien.types import Offer, Page, Receipt

if TYPE_CHECKING:
    from mien.protocols import Sink, Source, Web

GONE = FetchError("It", "is gone", "Nothing needs doing.", FetchFault.GONE)
PHOTOS: dict[str, tuple[str, bytes | FetchError]] = {
    "ada/1.jpg": ("Ada", b"one"),
    "bo/1.jpg": ("Bo", b"two"),
    "?": ("", GONE),
}


@pytest.mark.parametrize("stamps", [True, False])
def test_the_fake_source_keeps_the_promises(stamps: bool) -> None:
    check_source(lambda: FakeSource(PHOTOS, stamps))


def test_the_fake_source_fails_where_it_is_told_to() -> None:
    source = FakeSource({"a.jpg": ("Ada", GONE)})
    (offer,) = source.offers()
    assert isinstance(offer, Offer)
    with pytest.raises(FetchError, match="gone"):
        source.fetch(offer, FakeSink(), "")


def test_the_fake_web_is_what_it_was_given() -> None:
    page = Page("https://example.org/b", b"moved", "utf-8")
    web = FakeWeb(
        {"https://example.org/": "text", "https://example.org/a": page}, {"https://example.org/p": b"picture"}
    )
    assert web.page("https://example.org/") == Page("https://example.org/", b"text", None)
    assert web.page("https://example.org/a") is page
    receipt = web.picture("https://example.org/p", sink := FakeSink(), "")
    assert sink.data == b"picture" and receipt and receipt.robots == "allowed"
    assert web.picture("https://example.org/p", sink, receipt.stamp) is None
    with pytest.raises(FetchError, match="is nowhere"):
        web.page("https://example.org/p")
    assert [url.removeprefix("https://example.org/") for url in web.asked] == ["", "a", "p", "p", "p"]


def test_the_fake_sink_is_bounded_and_forgets() -> None:
    sink = FakeSink(3)
    sink.write(b"abc")
    with pytest.raises(FetchError, match="too large"):
        sink.write(b"d")
    sink.restart()
    assert (sink.size, sink.data) == (0, b"")


class Spoilt(FakeSource):
    """What each wrong source below derives from."""

    def __init__(self) -> None:
        super().__init__(PHOTOS)


class Empty(Spoilt):
    def offers(self) -> Iterator[Offer | FetchError]:
        yield GONE


class Twice(Spoilt):
    def offers(self) -> Iterator[Offer | FetchError]:
        yield from [*super().offers(), *super().offers()]


class Nameless(Spoilt):
    def offers(self) -> Iterator[Offer | FetchError]:
        return (replace(each, person=" ") if isinstance(each, Offer) else each for each in super().offers())


class WithPaths(Spoilt):
    def offers(self) -> Iterator[Offer | FetchError]:
        return (replace(each, name="../x.jpg") if isinstance(each, Offer) else each for each in super().offers())


class Raw(Spoilt):
    def offers(self) -> Iterator[Offer | FetchError]:
        yield from super().offers()
        yield "a.jpg"  # type: ignore[misc]


class Shuffled(Spoilt):
    turns = count()

    def offers(self) -> Iterator[Offer | FetchError]:
        both = list(super().offers())
        yield from both if next(self.turns) % 2 else both[::-1]


class OtherStamps(Spoilt):
    def offers(self) -> Iterator[Offer | FetchError]:
        return (replace(each, stamp="1") if isinstance(each, Offer) else each for each in super().offers())


class AlwaysNew(Spoilt):
    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        return super().fetch(offer, into, "")


class NeverNew(Spoilt):
    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        return None


class WithoutBytes(Spoilt):
    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        return super().fetch(offer, FakeSink(), since)


class Talkative(Spoilt):
    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        into.write(b"x")
        return super().fetch(offer, into, since)


class HasAnything(Spoilt):
    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        if offer.location in PHOTOS:
            return super().fetch(offer, into, since)
        into.write(b"x")
        return Receipt("")


class Rewording(Spoilt):
    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        try:
            return super().fetch(offer, into, since)
        except FetchError as error:
            raise FetchError(error.about, error.what, error.remedy, FetchFault.NETWORK) from error


class Moody(Spoilt):
    moods = count()

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        receipt = super().fetch(offer, into, since)
        if receipt and offer.location == "bo/1.jpg":
            into.write(str(next(self.moods)).encode())
        return receipt


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Empty, "offers nothing"),
        (Twice, "offered twice"),
        (Nameless, "something empty"),
        (WithPaths, "a path and not a name"),
        (Raw, "neither an Offer nor"),
        (Shuffled, "something else"),
        (OtherStamps, "would come daily"),
        (AlwaysNew, "its own stamp"),
        (NeverNew, "a Receipt is due"),
        (WithoutBytes, "has no bytes"),
        (Talkative, "nothing has changed"),
        (HasAnything, "does not have gives"),
        (Rewording, "as it is"),
        (Moody, "other bytes"),
    ],
)
def test_a_source_that_breaks_a_promise_is_noticed(source: type[Spoilt], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_source(source)


if TYPE_CHECKING:  # the fakes are what they say they are
    _source: Source = FakeSource({})
    _web: Web = FakeWeb()
    _sink: Sink = FakeSink()
