from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from mien import Album, wiring
from mien.errors import AlbumError, FetchError, MissingExtraError, PhotoError, SourceError, StorageError
from mien.intake import Collected, SourceCollected
from mien.open_album import OpenAlbum, for_writing, read_settings
from mien.protocols import Silent, Sink, Source
from mien.records.history import FailedFetch, Fetch, History, SourceRun
from mien.records.ledger import Ledger
from mien.settings import SourceSettings
from mien.sources.common import Pages
from mien.stages.collect import FETCHERS, collect
from mien.storage import hidden_file
from mien.storage.layout import TRAINING, intake_of
from mien.text.fetching import FetchFault, SourceFault
from mien.text.photos import PhotoFault
from mien.types import Offer, Picture, Receipt

if TYPE_CHECKING:
    from conftest import Painted

TODAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def picture(seed: int, fmt: str = "JPEG") -> bytes:
    """A small picture, another for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, fmt)
    return buffer.getvalue()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def offer(person: str, name: str, stamp: str = "", location: str | None = None, licence: str = "") -> Offer:
    return Offer(location or f"{person}/{name}", person, name, stamp, licence)


class FakeSource:
    """Offers with the bytes of each; remembers what was fetched, and fails where it is told to."""

    def __init__(self, photos: Mapping[Offer, bytes] | None = None) -> None:
        self.photos = dict(photos or {})
        self.fetched: list[str] = []
        self.troubles: dict[str, Exception] = {}
        self.listing: dict[int, Exception] = {}
        self.slow: set[str] = set()
        self.peak = self._flying = 0
        self._lock = threading.Lock()

    def offers(self) -> Iterator[Offer | FetchError]:
        for number, one in enumerate(self.photos):
            if error := self.listing.get(number):
                if not isinstance(error, FetchError):
                    raise error
                yield error
            yield one

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        with self._lock:
            self.fetched.append(offer.location)
            self._flying += 1
            self.peak = max(self.peak, self._flying)
        try:
            if offer.location in self.slow:
                time.sleep(0.05)
            if error := self.troubles.get(offer.location):
                into.write(b"half of it")
                raise error
            data = self.photos[offer]
            stamp = offer.stamp or f'"{sha(data)[:8]}"'
            if since == stamp:
                return None
            into.write(b"a first attempt that broke off")
            into.restart()
            into.write(data[:100])
            into.write(data[100:])
            return Receipt(stamp, "allowed")
        finally:
            with self._lock:
                self._flying -= 1


class Desk:
    """An album, and sources to collect from; each time it is opened anew, as a command opens it."""

    def __init__(self, folder: Path) -> None:
        self.folder = Album.create(folder, "personal").folder
        self.layout, self.settings = read_settings(self.folder, {})
        self.notes: list[str] = []

    @contextlib.contextmanager
    def opened(self, day: date = TODAY, **settings: Any) -> Iterator[OpenAlbum]:
        """The album at noon of a day; `settings` go before its own."""
        now = NOON + (day - TODAY)
        chosen = self.settings.model_copy(update=settings)
        with for_writing(self.layout, chosen, wiring.tools, "collect", lambda: now, Notes(self.notes)) as album:
            yield album

    def collect(self, *sources: FakeSource, day: date = TODAY, dry_run: bool = False, **settings: Any) -> Collected:
        chosen = SourceSettings(**{"kind": "fake", "basis": "consent", "licence": "own work"} | settings)
        named = [(f"s{number}", chosen, opener(source)) for number, source in enumerate(sources)]
        return self.run(named, day, dry_run)

    def run(
        self,
        sources: list[tuple[str, SourceSettings, Callable[[], Source]]],
        day: date = TODAY,
        dry_run: bool = False,
    ) -> Collected:
        with self.opened(day, sources={name: settings for name, settings, _ in sources}) as album:
            return collect(album, {name: make_source for name, _, make_source in sources}, day, dry_run)

    def one(self, source: FakeSource, **settings: Any) -> SourceCollected:
        return self.collect(source, **settings).sources[0]

    def intake(self, day: date = TODAY) -> Path:
        return self.layout.shelf(intake_of(day))

    def tree(self) -> dict[str, str]:
        """Path -> hash of everything in the intakes, also what is hidden."""
        files = (file for folder in self.folder.glob("*-training-images") for file in folder.rglob("*"))
        return {file.relative_to(self.folder).as_posix(): sha(file.read_bytes()) for file in files if file.is_file()}

    def paths(self) -> list[str]:
        """What is in the intake of TODAY."""
        return sorted(path.removeprefix(f"{TODAY}-training-images/") for path in self.tree())

    @contextlib.contextmanager
    def history(self) -> Iterator[History]:
        with Ledger.for_reading(self.layout.ledger_file) as ledger:
            yield ledger.history

    def rows(self) -> list[Fetch]:
        """All fetches, also of what lay at a location once."""
        with closing(sqlite3.connect(self.layout.ledger_file)) as connection:
            photos = [row[0] for row in connection.execute("SELECT DISTINCT sha256 FROM fetches")]
        with self.history() as history:
            rows = [row for sha256 in photos for row in history.provenance(sha256)]
        return sorted(rows, key=lambda row: (row.source, row.location, row.sha256, row.person))

    def provenance(self, sha256: str) -> tuple[Fetch, ...]:
        with self.history() as history:
            return history.provenance(sha256)

    def failures(self, source: str = "s0") -> tuple[FailedFetch, ...]:
        with self.history() as history:
            return history.failures(source)

    def source_runs(self) -> dict[str, SourceRun]:
        with self.history() as history:
            return history.source_runs()


class Notes(Silent):
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def note(self, line: str) -> None:
        self._lines.append(line)


def opener(source: FakeSource) -> Callable[[], Source]:
    return lambda: source


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few photos are several transactions."""
    monkeypatch.setattr("mien.intake.GROUP", 7)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "album")


def some(number: int = 5, stamp: str = "") -> FakeSource:
    people = ("ann", "bob")
    return FakeSource({offer(people[i % 2], f"{i:02}.jpg", stamp): picture(i) for i in range(number)})


# What comes in


def test_a_token_in_an_address_stands_in_no_message(desk: Desk) -> None:
    def refuse() -> Source:
        raise SourceError("https://example.org/feed?token=SECRET", "is no feed", "Give the address of one.")

    settings = SourceSettings(kind="fake", basis="consent", licence="own work")
    (found,) = desk.run([("s", settings, refuse)]).sources
    assert str(found.error) == "https://example.org/feed?… is no feed. Give the address of one."
    assert "SECRET" not in "".join(desk.notes) + str(desk.source_runs())


def test_photos_are_asked_for_each_time_also_in_the_evening_west_of_greenwich(desk: Desk) -> None:
    source = some(2)
    desk.collect(source, recheck_days=0, day=TODAY)
    asked = len(source.fetched)
    desk.collect(source, recheck_days=0, day=TODAY - timedelta(1))  # the day there is still yesterday's
    assert len(source.fetched) == 2 * asked


def test_photos_come_in_with_where_they_came_from(desk: Desk) -> None:
    source = FakeSource({offer("ann", "a.jpg", licence="CC0"): picture(1), offer("bob", "b.png"): picture(2, "PNG")})
    found = desk.one(source)
    assert (found.brought, found.photos, found.error, found.failed) == ((("ann", 1), ("bob", 1)), 2, None, ())
    intake = "2026-11-23-training-images"
    assert desk.tree() == {f"{intake}/ann/a.jpg": sha(picture(1)), f"{intake}/bob/b.png": sha(picture(2, "PNG"))}
    (first,) = desk.provenance(sha(picture(1)))
    stamp = f'"{sha(picture(1))[:8]}"'
    assert first == Fetch(
        source="s0",
        location="ann/a.jpg",
        person="ann",
        sha256=sha(picture(1)),
        phash=first.phash,
        bytes=len(picture(1)),
        stamp=stamp,
        licence="CC0",
        basis="consent",
        robots="allowed",
        fetched_at=NOON,
        checked_at=NOON,
        outcome="placed",
        path=f"{intake}/ann/a.jpg",
    )
    assert len(first.phash) == 16
    assert desk.provenance(sha(picture(2, "PNG")))[0].licence == "own work"
    run = desk.source_runs()["s0"]
    assert (run.brought, run.known, run.started, run.fault) == (2, 0, NOON, None)


def test_a_second_run_fetches_nothing(desk: Desk) -> None:
    source = some()
    desk.one(source)
    before, tree = desk.rows(), desk.tree()
    source.fetched.clear()
    found = desk.one(source)
    assert (source.fetched, found.known, found.photos) == ([], 5, 0)
    assert (desk.rows(), desk.tree()) == (before, tree)


def test_names_go_by_the_order_of_the_offers_however_they_arrive(desk: Desk) -> None:
    names = [offer("ann", "same.jpg", location=str(i)) for i in range(40)]
    source = FakeSource({one: picture(i) for i, one in enumerate(names)})
    source.slow = {"0", "17", "25"}
    desk.one(source)
    assert source.peak > 1
    for i in range(40):
        path = f"2026-11-23-training-images/ann/same{'' if i == 0 else f'-{i + 1}'}.jpg"
        assert desk.tree()[path] == sha(picture(i))


def test_names_that_are_one_on_other_systems_are_kept_apart(desk: Desk) -> None:
    names = ["É.jpg", "É.jpg".lower(), "E\u0301.jpg", "e.jpg", "E.JPG"]
    desk.one(FakeSource({offer("ann", name, location=str(i)): picture(i) for i, name in enumerate(names)}))
    assert desk.paths() == sorted(["ann/É.jpg", "ann/é-2.jpg", "ann/É-3.jpg", "ann/e.jpg", "ann/E-2.JPG"])


def test_a_file_that_is_there_is_never_overwritten(desk: Desk) -> None:
    folder = desk.intake() / "ann"
    folder.mkdir(parents=True)
    (folder / "A.jpg").write_bytes(b"somebody's")
    desk.one(FakeSource({offer("ann", "a.jpg"): picture(1)}))
    assert desk.paths() == ["ann/A.jpg", "ann/a-2.jpg"]
    assert (folder / "A.jpg").read_bytes() == b"somebody's"


def test_a_file_that_appears_meanwhile_is_not_overwritten(desk: Desk) -> None:
    folder = desk.intake() / "ann"
    source = FakeSource({offer("ann", "a.jpg"): picture(1), offer("ann", "b.jpg"): picture(2)})
    folder.mkdir(parents=True)
    real, calls = os.link, count()

    def link(old: Path, new: Path) -> None:
        if next(calls) == 0:
            Path(new).write_bytes(b"mine")
        real(old, new)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", link)
        desk.one(source)
    assert desk.paths() == ["ann/a-2.jpg", "ann/a.jpg", "ann/b.jpg"]
    assert (folder / "a.jpg").read_bytes() == b"mine"


def test_the_same_bytes_of_a_person_are_a_duplicate_whose_provenance_is_kept(desk: Desk) -> None:
    source = FakeSource(
        {
            offer("ann", "a.jpg"): picture(1),
            offer("ann", "again.jpg"): picture(1),
            offer("bob", "a.jpg"): picture(1),
        }
    )
    found = desk.one(source)
    assert (found.photos, found.duplicates) == (2, 1)
    assert desk.paths() == ["ann/a.jpg", "bob/a.jpg"]
    outcomes = {row.location: (row.outcome, row.path) for row in desk.provenance(sha(picture(1)))}
    assert outcomes["ann/again.jpg"] == ("duplicate", "2026-11-23-training-images/ann/a.jpg")
    assert desk.collect(FakeSource(), source, day=TODAY + timedelta(1)).sources[1].duplicates == 3


def test_what_lies_in_training_images_is_a_duplicate(desk: Desk) -> None:
    folder = desk.layout.training / "Zoë"
    folder.mkdir()
    (folder / "old.jpg").write_bytes(picture(1))
    with desk.opened() as album:
        album.sync([TRAINING])
    found = desk.one(FakeSource({offer("Zoe\u0308", "new.jpg"): picture(1)}))
    assert (found.photos, found.duplicates, desk.tree()) == (0, 1, {})
    assert desk.rows()[0].path == "training-images/Zoë/old.jpg"


def test_another_day_has_an_intake_of_its_own(desk: Desk) -> None:
    source = some(2)
    desk.one(source)
    source.photos[offer("ann", "00.jpg", location="later")] = picture(9)
    desk.collect(source, day=TODAY + timedelta(1))
    assert sorted(desk.tree()) == [
        "2026-11-23-training-images/ann/00.jpg",
        "2026-11-23-training-images/bob/01.jpg",
        "2026-11-24-training-images/ann/00.jpg",
    ]


# What is new


def test_a_photo_with_a_stamp_is_fetched_when_that_changes(desk: Desk) -> None:
    desk.one(FakeSource({offer("ann", "a.jpg", "1"): picture(1)}))
    source = FakeSource({offer("ann", "a.jpg", "1"): picture(1)})
    desk.collect(source, day=TODAY + timedelta(400))
    assert source.fetched == []
    touched = FakeSource({offer("ann", "a.jpg", "2"): picture(1)})
    found = desk.one(touched)
    assert (touched.fetched, found.known, found.photos) == (["ann/a.jpg"], 1, 0)
    assert [(row.stamp, row.outcome) for row in desk.rows()] == [("2", "placed")]
    changed = FakeSource({offer("ann", "a.jpg", "3"): picture(3)})
    assert desk.one(changed).photos == 1
    assert desk.paths() == ["ann/a-2.jpg", "ann/a.jpg"]
    assert len(desk.rows()) == 2  # what is known of the first stays
    with desk.history() as history:
        current = history.fetch("s0", "ann/a.jpg")
    assert current and current.sha256 == sha(picture(3))


def test_a_photo_without_a_stamp_is_asked_for_changes_after_some_days(desk: Desk) -> None:
    source = some(1)
    desk.one(source, recheck_days=3)
    for day in (0, 1, 2):
        desk.collect(source, day=TODAY + timedelta(day), recheck_days=3)
    assert source.fetched == ["ann/00.jpg"]
    found = desk.collect(source, day=TODAY + timedelta(3), recheck_days=3).sources[0]
    assert (source.fetched, found.known, found.photos) == (["ann/00.jpg"] * 2, 1, 0)
    assert desk.rows()[0].checked_at == NOON + timedelta(3)
    desk.collect(source, day=TODAY + timedelta(5), recheck_days=3)
    assert len(source.fetched) == 2
    desk.collect(source, day=TODAY + timedelta(5), recheck_days=0)
    assert len(source.fetched) == 3


def test_a_photo_that_the_source_files_under_another_name_is_that_persons(desk: Desk) -> None:
    desk.one(FakeSource({offer("ann", "a.jpg", "1", location="1"): picture(1)}))
    found = desk.one(FakeSource({offer("bob", "a.jpg", "1", location="1"): picture(1)}))
    assert found.brought == (("bob", 1),)
    assert desk.paths() == ["ann/a.jpg", "bob/a.jpg"]


def test_a_location_offered_twice_is_fetched_once(desk: Desk) -> None:
    source = FakeSource({offer("ann", "a.jpg", location="1"): picture(1), offer("bob", "b.jpg", location="1"): b""})
    desk.one(source)
    assert (source.fetched, desk.paths()) == (["1"], ["ann/a.jpg"])


def test_only_those_named_are_taken_and_under_the_album_s_names(desk: Desk) -> None:
    source = FakeSource({offer(name, "a.jpg"): picture(i) for i, name in enumerate(["e\u0301", "bob", "eve"])})
    found = desk.one(source, people={"é": "Émile", "bob": "bob"})
    assert (found.passed_over, desk.paths()) == (1, ["bob/a.jpg", "Émile/a.jpg"])
    assert source.fetched.count("eve/a.jpg") == 0


def test_who_may_be_recognised_no_longer_is_not_taken(desk: Desk) -> None:
    people = {"ann": {"until": "2026-11-22"}, "bob": {"until": TODAY}}
    desk.settings = desk.settings.model_validate({"people": people})
    found = desk.one(some(2))
    assert (found.passed_over, desk.paths()) == (1, ["bob/01.jpg"])


# What does not come in


def test_what_is_no_picture_is_refused(desk: Desk) -> None:
    html = b"<!doctype html><p>Not here" + b" " * 200
    source = FakeSource({offer("ann", "a.jpg", "1"): html, offer("ann", "b.jpg"): picture(1)[:150]})
    found = desk.one(source)
    assert [(one.location, one.error.kind) for one in found.refused] == [
        ("ann/a.jpg", "not-a-picture"),
        ("ann/b.jpg", "truncated"),
    ]
    assert desk.tree() == {}
    assert not desk.intake().exists()
    assert [(row.outcome, row.fault, row.path, row.phash) for row in desk.rows()] == [
        ("refused", PhotoFault.NOT_A_PICTURE, "", ""),
        ("refused", PhotoFault.BREAKS_OFF, "", ""),
    ]
    assert any("web page" in note for note in desk.notes)
    assert found.doubtful == 1, "a listing with stamps vouches for what it lists"
    assert not desk.collect(source).complete


def test_what_was_refused_is_a_photo_on_the_next_night(desk: Desk) -> None:
    """A login page, a body that breaks off or is empty, an error in JSON, served for a night; and the stamp of the
    photo, or of none."""
    answers = [b"<!doctype html><title>Login</title>", picture(1)[:150], b"", b'{"error": "rate limited"}']
    for stamp in ("", "1"):
        source = FakeSource({offer("ann", f"{i}{stamp}.jpg", stamp): data for i, data in enumerate(answers)})
        found = desk.collect(source)
        assert (len(found.sources[0].refused), found.photos, found.complete) == (4, 0, bool(stamp))
        for number, one in enumerate(list(source.photos)):
            source.photos[one] = picture(10 * number + len(stamp))
        found = desk.collect(source)
        assert (found.photos, found.sources[0].known, found.complete) == (4, 0, True)


def test_what_stays_no_picture_is_asked_for_less_and_less(desk: Desk) -> None:
    source = FakeSource({offer("ann", "a.jpg"): b"<!doctype html>"})
    asked = []
    for number in range(40):
        source.fetched.clear()
        found = desk.one(source, day=TODAY + timedelta(number))
        if source.fetched:
            asked.append(number)
            assert (len(found.refused), found.known) == (1, 0)
        else:
            assert (found.refused, found.known) == ((), 1)
    assert asked == [0, 1, 2, 4, 8, 16, 32]
    for number in range(9):
        source.fetched.clear()
        desk.one(source, day=TODAY + timedelta(200 + number), recheck_days=4)
        assert bool(source.fetched) is (number % 4 == 0), "recheck_days is the longest"


def test_what_mien_never_reads_is_not_asked_for_again(desk: Desk) -> None:
    drawing = b"<svg xmlns='http://www.w3.org/2000/svg'></svg>"
    source = FakeSource({offer("ann", "drawing.jpg"): drawing})
    found = desk.collect(source)
    assert (len(found.sources[0].refused), found.complete) == (1, True)
    source.fetched.clear()
    assert (desk.one(source).known, source.fetched) == (1, [])


@pytest.mark.parametrize("fault", [PhotoFault.SHORT_OF_MEMORY, PhotoFault.KILLED, PhotoFault.MISSING_EXTRA])
def test_what_this_computer_could_not_decode_is_asked_for_by_every_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, fault: PhotoFault
) -> None:
    def short(data: bytes, name: str) -> Picture:
        raise PhotoError(name, fault, {"file_type": "HEIF"})

    source = some(2, stamp="1")
    with monkeypatch.context() as without:
        without.setattr("mien.storage.hidden_file.decode", short)
        for _ in range(2):
            found = desk.collect(source)
            assert (found.complete, len(found.sources[0].failed), desk.rows()) == (False, 2, [])
        assert {failure.times for failure in desk.failures()} == {2}
    found = desk.collect(source)
    assert (found.photos, found.complete, desk.failures()) == (2, True, ())


def test_what_was_refused_and_can_be_decoded_now_comes_in(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(data: bytes, name: str) -> Picture:
        raise PhotoError(name, PhotoFault.BREAKS_DECODER)

    source = some(2)
    with monkeypatch.context() as before:
        before.setattr("mien.storage.hidden_file.decode", break_down)
        assert len(desk.one(source).refused) == 2
    assert desk.one(source).photos == 2


def test_a_day_that_is_still_to_come_is_of_a_clock_that_was_wrong(desk: Desk) -> None:
    source = some(2)
    assert desk.one(source, day=TODAY + timedelta(3000)).photos == 2
    assert desk.one(source).known == 2
    assert len(source.fetched) == 4, "asked for again, and the same"
    assert desk.one(source).known == 2
    assert len(source.fetched) == 4


def test_what_fails_is_kept_in_mind_until_it_succeeds(desk: Desk) -> None:
    source = some(3)
    source.troubles["bob/01.jpg"] = FetchError("It", "is gone", "Ask for it.", FetchFault.GONE)
    found = desk.one(source)
    assert (found.photos, [(one.location, one.error.kind) for one in found.failed]) == (2, [("bob/01.jpg", "gone")])
    desk.one(source)
    assert str(found.failed[0].error) == "It is gone. Ask for it."
    (failure,) = desk.failures()
    assert (failure.person, failure.kind, failure.times) == ("bob", FetchFault.GONE, 2)
    source.troubles.clear()
    assert desk.collect(source).complete
    assert desk.failures() == ()
    assert desk.paths() == ["ann/00.jpg", "ann/02.jpg", "bob/01.jpg"]


def test_a_photo_that_is_too_large_is_not_held(desk: Desk) -> None:
    class Flood(FakeSource):
        def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
            for _ in range(1000):
                into.write(bytes(1 << 19))
            raise AssertionError("nothing stopped it")

    found = desk.one(Flood({offer("ann", "a.jpg"): b""}), max_megabytes=1)
    assert [one.error.kind for one in found.failed] == ["too-large"]
    assert found.failed[0].error.message == "ann/a.jpg is larger than 1 MB."
    assert desk.tree() == {}


def test_a_part_of_the_listing_that_fails_is_told(desk: Desk) -> None:
    source = some(3)
    source.listing[1] = FetchError("Page 2", "is gone", "Look.", FetchFault.GONE)
    found = desk.one(source)
    assert (found.photos, [(one.location, one.error.kind) for one in found.failed]) == (3, [("", "gone")])
    assert desk.failures() == ()


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (SourceError("It", "is shut", "Open it."), SourceFault.UNLISTED),
        (SourceError("It", "is odd", "Mend it.", SourceFault.OPTIONS), SourceFault.OPTIONS),
        (MissingExtraError("The source s0", "needs S3", "pip"), SourceFault.MISSING_EXTRA),
    ],
)
def test_a_source_that_fails_keeps_what_it_gave_and_does_not_stop_others(
    desk: Desk, error: Exception, fault: SourceFault
) -> None:
    bad, good = some(5), FakeSource({offer("eve", "e.jpg"): picture(99)})
    bad.listing[3] = error
    found = desk.collect(bad, good)
    assert [one.error and str(one.error) for one in found.sources] == [str(error), None]
    assert ([one.photos for one in found.sources], found.complete) == ([3, 1], False)
    assert desk.source_runs()["s0"].fault is fault


def test_a_source_that_cannot_be_opened_does_not_stop_others(desk: Desk) -> None:
    def shut() -> Source:
        raise SourceError("The folder", "is not there", "Make it.")

    fine = SourceSettings(kind="fake", basis="consent", licence="own work")
    found = desk.run([("a", fine, shut), ("b", fine, opener(some(2)))])
    first, second = found.sources
    assert (str(first.error), first.photos) == ("The folder is not there. Make it.", 0)
    assert (second.error, second.photos) == (None, 2)


def test_an_unfit_source_is_told_what_to_write_before_anything_is_fetched(desk: Desk) -> None:
    def never() -> Source:
        raise AssertionError("it was opened")

    without = SourceSettings(kind="fake", licence="own work")
    neither = SourceSettings(kind="fake")
    impossible = SourceSettings(kind="fake", basis="b", licence="l", people={"ann": "../ann"})
    found = desk.run([("good", SourceSettings(kind="f", basis="b", licence="l"), opener(some(1)))])
    found = desk.run([("club", without, never), ('my "own"', neither, never), ("x", impossible, never)])
    first, second, third = (str(one.error) for one in found.sources)
    assert first == (
        "The source club states no basis, so nothing is collected from it. "
        'Write below [sources.club] in mien.toml, in your own words: basis = "consent"'
    )
    assert (
        '[sources."my \\"own\\""] in mien.toml, in your own words: basis = "consent" and licence = "own work"' in second
    )
    assert "cannot be a person's name" in third
    faults = [one.error.kind for one in found.sources if one.error]
    assert faults == [SourceFault.UNSET, SourceFault.UNSET, SourceFault.OPTIONS]


def test_no_source_has_the_name_of_what_is_added_by_hand(desk: Desk) -> None:
    fine = SourceSettings(kind="fake", basis="consent", licence="own work")
    found = desk.run([("hand", fine, opener(some(1))), ("handy", fine, opener(some(2)))])
    first, second = found.sources
    assert first.error and first.error.kind is SourceFault.NAME
    assert str(first.error) == (
        "The source hand has the name that stands for what is added by hand. Give it another name in mien.toml."
    )
    assert (first.photos, second.photos) == (0, 2)


def test_an_expired_source_is_passed_over_and_that_is_said(desk: Desk) -> None:
    source = some(2)
    found = desk.one(source, until=TODAY - timedelta(1))
    assert (found.over_since, found.error, source.fetched) == (date(2026, 11, 22), None, [])
    assert any("2026-11-22" in note for note in desk.notes)
    assert desk.one(source, until=TODAY).photos == 2


def test_two_people_whom_a_disk_may_take_for_one_are_not_mixed(desk: Desk) -> None:
    source = FakeSource({offer("ada", "a.jpg"): picture(1), offer("Ada", "b.jpg"): picture(2)})
    found = desk.one(source)
    assert found.photos == 1
    assert [(one.error.kind, "ada" in one.error.what and "Ada" in one.error.what) for one in found.failed] == [
        (FetchFault.PERSON, True)
    ]


@pytest.mark.parametrize(
    "person",
    [
        *(
            "../bob",
            "..",
            "",
            " ",
            "a/b",
            "a\\b",
            "C:",
            "con",
            ".hidden",
            "x" * 300,
            "a\nb",
            "\udcff",
            "a\0b",
            "@eaDir",
        ),
        *("\u202eada", "\u200b", "a\x9bb", "DCIM", "#Recycle"),
    ],
)
def test_a_hostile_person_comes_to_nothing(desk: Desk, person: str) -> None:
    source = FakeSource({offer(person, "a.jpg"): picture(1), offer("bob", "b.jpg"): picture(2)})
    found = desk.one(source)
    assert (found.photos, len(found.failed), desk.paths()) == (1, 1, ["bob/b.jpg"])
    assert found.failed[0].error.kind == ("unreadable" if person == "\udcff" else "person")
    assert all(note.isprintable() for note in desk.notes)
    assert source.fetched == ["bob/b.jpg"]


def test_names_equal_to_the_eye_are_one_name(desk: Desk) -> None:
    spelt = [
        "Ada Lovelace",
        "Ada\u200b Lovelace",
        "\u200eAda Lovelace",
        "Ada Love\u00adlace",
        "Ada\u00a0 Lovelace\ufeff",
    ]
    photos = {offer(name, f"{number}.jpg"): picture(number) for number, name in enumerate(spelt)}
    assert desk.one(FakeSource(photos)).brought == (("Ada Lovelace", 5),)
    assert {path.partition("/")[0] for path in desk.paths()} == {"Ada Lovelace"}
    table = {"Bo\u200b  Smith": " Bo Smith"}
    assert desk.one(FakeSource({offer("\u2068Bo Smith\u2069", "b.jpg"): picture(9)}), people=table).photos == 1
    assert "Bo Smith/b.jpg" in desk.paths()


def test_a_folder_that_is_spelt_otherwise_is_found(desk: Desk) -> None:
    folder = desk.intake() / "\u200eAda  Lovelace"
    folder.mkdir(parents=True)
    desk.one(FakeSource({offer("Ada Lovelace", "a.jpg"): picture(1)}))
    assert [path.name for path in desk.intake().iterdir()] == [folder.name] and (folder / "a.jpg").is_file()


def test_a_picture_offered_for_two_people_is_filed_under_the_first_and_said(desk: Desk) -> None:
    source = FakeSource({offer(who, "a.jpg", location="1"): picture(1) for who in ("Ada", "Bo", "Ada\u200b")})
    for _ in range(2):
        found = desk.one(source)
        (failed,) = found.failed
        assert (failed.location, failed.error.kind) == ("1", FetchFault.PERSON)
        assert "1 is offered as a photo of Ada and as one of Bo; it is filed under Ada alone" in str(failed.error)
        assert f"mien -C {desk.folder} add Bo PHOTO" in failed.error.remedy
    assert desk.paths() == ["Ada/a.jpg"]


def test_a_picture_of_two_people_comes_for_whoever_is_to_be_taken(desk: Desk) -> None:
    source = FakeSource({offer(who, "a.jpg", location="1"): picture(1) for who in ("Ada", "Bo")})
    found = desk.one(source, people={"Bo": "Bo"})
    assert (found.brought, found.passed_over, found.failed) == ((("Bo", 1),), 1, ())


def test_a_picture_that_other_people_have_is_filed_under_both_and_said(desk: Desk) -> None:
    first = FakeSource({offer("Ada", "a.jpg"): picture(1), offer("Ada", "b.jpg"): picture(2)})
    second = FakeSource({offer("Bo", "c.jpg"): picture(1), offer("Bo", "d.jpg"): picture(3)})
    ones = desk.collect(first, second).sources
    assert [one.shared for one in ones] == [(), (("Bo/c.jpg", "Bo", ("Ada",)),)]
    third = FakeSource({offer("Cy", "e.jpg"): picture(1)})
    (found,) = desk.run([("s3", SourceSettings(kind="fake", basis="x", licence="x"), opener(third))]).sources
    assert found.shared == (("Cy/e.jpg", "Cy", ("Ada", "Bo")),)
    assert found.to_json()["shared"] == [{"location": "Cy/e.jpg", "person": "Cy", "others": ["Ada", "Bo"]}]
    (desk.intake() / "Ada/a.jpg").unlink()
    fourth = FakeSource({offer("Di", "f.jpg"): picture(1)})
    (found,) = desk.run([("s4", SourceSettings(kind="fake", basis="x", licence="x"), opener(fourth))]).sources
    assert found.shared == (("Di/f.jpg", "Di", ("Bo", "Cy")),)


def test_a_picture_that_is_another_persons_on_another_day_is_filed_under_both_and_said(desk: Desk) -> None:
    desk.one(FakeSource({offer("Ada", "a.jpg", location="1"): picture(1)}))
    found = desk.one(FakeSource({offer("Bo", "a.jpg", location="1"): picture(1)}), day=TODAY + timedelta(1))
    assert (found.brought, found.shared) == ((("Bo", 1),), (("1", "Bo", ("Ada",)),))


def test_a_text_that_may_list_several_people_is_not_guessed_at(desk: Desk) -> None:
    two = Offer("1", "Tom & Jo", "a.jpg", listed=("Tom", "Jo"))
    source = FakeSource({two: picture(1), offer("Ada", "b.jpg"): picture(2)})
    found = desk.one(source)
    assert found.brought == (("Ada", 1),)
    (failed,) = found.failed
    assert str(failed.error).startswith(
        '1 seems to be of several people: Tom and Jo. If "Tom & Jo" is one name, say so'
    )
    assert len(desk.one(source, people={"Tom": "Tom"}).failed) == 1
    assert desk.one(source, people={"Cy": "Cy"}).passed_over == 2
    assert desk.one(source, people={"Tom & Jo": "The Duo"}).brought == (("The Duo", 1),)


def test_a_photo_is_called_after_what_it_is(desk: Desk) -> None:
    desk.one(FakeSource({offer("ann", "photo.png"): picture(1), offer("ann", "index.php?id=7"): picture(2, "PNG")}))
    assert desk.paths() == ["ann/index.php_id=7.png", "ann/photo.jpg"]


def test_nothing_is_written_through_links(desk: Desk, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    intake = desk.intake()
    intake.symlink_to(outside, target_is_directory=True)
    with pytest.raises(AlbumError, match="is a link"):
        desk.one(some(1))
    intake.unlink()
    intake.mkdir()
    (intake / "ann").symlink_to(outside, target_is_directory=True)
    with pytest.raises(AlbumError, match="is a link"):
        desk.one(some(1))
    assert list(outside.iterdir()) == []


# How much


def test_no_more_than_the_limit_comes_in_and_nothing_is_fetched_for_nothing(desk: Desk) -> None:
    photos = {offer("ann", f"{i:02}.jpg"): picture(i // 2) for i in range(20)}  # every other is a duplicate
    source = FakeSource(photos)
    found = desk.one(source, limit=4)
    assert (found.photos, found.duplicates, found.left) == (4, 3, 13)
    assert sorted(source.fetched) == [f"ann/{i:02}.jpg" for i in range(7)]
    found = desk.one(source, limit=4)
    assert (found.photos, found.known) == (4, 7)
    assert desk.one(source, limit=4).left == 0
    assert sorted(source.fetched) == sorted(one.location for one in photos)


def test_a_limit_that_is_just_enough_leaves_nothing(desk: Desk) -> None:
    assert desk.one(some(4), limit=4).left == 0


def test_a_dry_run_says_what_it_would_fetch_and_writes_nothing(desk: Desk) -> None:
    source = some(5)
    desk.one(source, limit=1)
    source.fetched.clear()
    source.photos[offer("../x", "x.jpg")] = b""
    before = desk.rows(), desk.tree(), desk.source_runs()
    day = TODAY + timedelta(1)
    found = desk.collect(source, day=day, dry_run=True, limit=3)
    assert found.dry_run and source.fetched == []
    (one,) = found.sources
    assert one.wanted == (("bob", "bob/01.jpg"), ("ann", "ann/02.jpg"), ("bob", "bob/03.jpg"))
    assert (one.left, one.known, one.photos, len(one.failed)) == (1, 1, 0, 1)
    assert (desk.rows(), desk.tree(), desk.source_runs()) == before
    assert desk.failures() == ()
    assert not desk.intake(day).exists()


def test_as_many_are_fetched_at_once_as_a_host_allows(desk: Desk) -> None:
    class Crowd(FakeSource):
        def __init__(self, photos: Mapping[Offer, bytes], together: int) -> None:
            super().__init__(photos)
            self._gate = threading.Barrier(together)

        def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
            self._gate.wait(10)  # passes only if so many are here together
            return super().fetch(offer, into, since)

    desk.one(Crowd({offer("ann", f"{i}.jpg"): picture(i) for i in range(FETCHERS)}, FETCHERS))
    photos = {offer("bob", f"{i}.jpg"): picture(i) for i in range(FETCHERS + 4)}
    assert desk.collect(FakeSource(), Crowd(photos, FETCHERS + 4), per_host=FETCHERS + 4).photos == FETCHERS + 4


def test_it_is_told_to_programs(desk: Desk) -> None:
    source = some(2)
    source.troubles["bob/01.jpg"] = FetchError("It", "is gone", "Ask.", FetchFault.GONE)
    assert desk.collect(source).to_json() == {
        "day": "2026-11-23",
        "dry_run": False,
        "photos": 1,
        "complete": False,
        "sources": [
            {
                "source": "s0",
                "brought": {"ann": 1},
                "photos": 1,
                "duplicates": 0,
                "known": 0,
                "refused": [],
                "doubtful": 0,
                "failed": [{"location": "bob/01.jpg", "kind": "gone", "message": "It is gone. Ask."}],
                "passed_over": 0,
                "removed": [],
                "removed_photos": 0,
                "shared": [],
                "left": 0,
                "unfinished": False,
                "wanted": [],
                "over_since": None,
                "error": None,
            }
        ],
    }


# What somebody else's source may do

PLUGIN = """
from pathlib import Path
from mien.errors import FetchError
from mien.types import Offer, Receipt

class Odd:
    def __init__(self, name, options, web, album):
        self.options = options
        self.fail("open")

    def fail(self, place):
        if self.options["fails"] == place:
            raise {"ValueError": ValueError, "SystemExit": SystemExit}[self.options["error"]]("so it goes")

    def offers(self):
        yield Offer("1", "Ada", "1.png", "a stamp")
        self.fail("offers")
        yield Offer("2", "Ada", "2.png", "a stamp")

    def fetch(self, offer, into, since):
        if offer.location == "1":
            self.fail("fetch")
        into.write(Path(self.options["photo"]).read_bytes() + offer.location.encode())
        return Receipt(offer.stamp)
"""


@pytest.fixture
def plugged(painted: Painted, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Painted]:
    """An album with a source from a package that somebody else made, which fails in a place with an error, and after it
    a source of mien's own with one photo."""
    package = painted.folder.parent / "package"
    (package / "odd-1.0.dist-info").mkdir(parents=True)
    (package / "odd-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    (package / "odd-1.0.dist-info/entry_points.txt").write_text("[mien.sources]\nodd = odd_source:Odd\n")
    (package / "odd_source.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(package)
    monkeypatch.delitem(sys.modules, "odd_source", raising=False)
    photo = painted.paint(painted.folder.parent / "drop/Bo/1.png", "Bo")

    def make(fails: str, error: str) -> Painted:
        rest = 'basis = "consent"\nlicence = "own work"\n'
        own = f'kind = "odd"\nphoto = "{photo.as_posix()}"\nfails = "{fails}"\nerror = "{error}"\n'
        with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
            file.write(f'[sources.odd]\n{own}{rest}[sources.drop]\nkind = "folder"\npath = "../drop"\n{rest}')
        return painted

    return make


@pytest.mark.parametrize("error", ["ValueError", "SystemExit"])
@pytest.mark.parametrize(("fails", "brought"), [("open", 0), ("offers", 1), ("fetch", 1), ("nowhere", 2)])
def test_a_source_that_raises_anything_ends_only_its_own_part(
    plugged: Callable[[str, str], Painted], fails: str, brought: int, error: str
) -> None:
    painted = plugged(fails, error)
    found = painted.open().collect()
    odd, own = found.sources
    assert (odd.photos, own.photos, own.error, own.failed) == (brought, 1, None, ())
    tracebacks = list((painted.folder / ".mien/tracebacks").glob("*"))
    if fails == "nowhere":
        assert (odd.error, odd.failed, tracebacks) == (None, (), [])
        return
    (file,) = tracebacks
    assert f"{error}: so it goes" in file.read_text() and "odd_source.py" in file.read_text()
    said = f"failed ({error}: so it goes); its traceback is in {file}."
    if fails == "fetch":
        assert odd.error is None
        (trouble,) = odd.failed
        assert (trouble.location, trouble.error.kind) == ("1", FetchFault.BROKEN)
        assert trouble.error.message == f"1 could not be fetched: the source odd {said}"
    else:
        assert odd.failed == () and odd.error
        assert (odd.error.kind, odd.error.message) == (SourceFault.BROKEN, f"The source odd {said}")
        assert odd.error.remedy == "Report it to whoever made that tool, with the traceback."
    with Ledger.for_reading(painted.folder / ".mien/catalog-ledger.sqlite") as ledger:
        assert ledger.history.source_runs()["odd"].fault is (odd.error.kind if odd.error else None)


@pytest.mark.parametrize("given", [None, "a.jpg", Offer("a.jpg", 7, "a.jpg"), {}], ids=str)  # type: ignore[arg-type]
def test_a_source_that_lists_what_is_no_offer_has_failed(desk: Desk, given: object) -> None:
    class Odd(FakeSource):
        def offers(self) -> Iterator[Any]:
            yield from super().offers()
            yield given

    found = desk.collect(Odd({offer("ann", "a.jpg"): picture(1)}), some(2))
    odd, good = found.sources
    assert (odd.photos, good.photos, good.error) == (1, 2, None)
    assert odd.error and odd.error.kind is SourceFault.BROKEN
    assert "failed (TypeError: " in odd.error.what and "where Offer of texts is due" in odd.error.what


@pytest.mark.parametrize("given", ["", Receipt(3), Receipt("\udcff"), offer("a", "b")], ids=ascii)  # type: ignore[arg-type]
def test_a_receipt_that_is_none_fails_its_photo(desk: Desk, given: Any) -> None:
    class Odd(FakeSource):
        def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
            receipt = super().fetch(offer, into, since)
            return given if offer.location == "ann/00.jpg" else receipt

    found = desk.one(Odd(some(3).photos))
    assert (found.photos, found.error) == (2, None)
    assert [(one.location, one.error.kind) for one in found.failed] == [("ann/00.jpg", FetchFault.BROKEN)]


def test_an_error_of_a_kind_that_there_is_not_is_an_error_of_its_source(desk: Desk) -> None:
    class Odd(FakeSource):
        def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
            raise FetchError("It", "is odd", "Look.", "odd")  # type: ignore[arg-type]

    found = desk.one(Odd({offer("ann", "a.jpg"): b""}))
    assert [one.error.kind for one in found.failed] == [FetchFault.BROKEN]
    assert [failure.kind for failure in desk.failures()] == [FetchFault.BROKEN]


# What breaks


class Killed(BaseException):
    """What no code may catch: the end of the process, as far as a test can have it."""


CALLS = ("created", "fsync", "link", "unlink", "mkdir", "record")
"""What touches the disk."""


def fill_disk(patch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """Makes the call of that number fail."""
    calls = count()

    def before() -> None:
        if next(calls) == number:
            if name == "record":
                raise StorageError("ledger.sqlite", "cannot grow: the disk is full", "Free some space.")
            raise OSError(errno.ENOSPC, "No space left on device")

    intercept(patch, name, before)


def die() -> None:
    raise Killed


def kill(patch: pytest.MonkeyPatch, number: int) -> None:
    """After so many calls nothing happens any more."""
    calls = count()

    def before() -> None:
        if next(calls) >= number:
            raise Killed

    for name in CALLS:
        intercept(patch, name, before)


def intercept(patch: pytest.MonkeyPatch, name: str, before: Callable[[], None]) -> None:
    owner: Any = {"record": History, "link": os, "fsync": os, "created": hidden_file}.get(name, Path)
    real = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        before()
        return real(*args, **kwargs)

    patch.setattr(owner, name, call)


def mixed() -> FakeSource:
    """Names that collide, duplicates, and what is no picture."""
    photos = {offer("ann" if i % 3 else "bob", "same.jpg", location=str(i)): picture(i % 25) for i in range(32)}
    photos[offer("ann", "page.jpg")] = b"<html>"
    return FakeSource(photos)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], list[Fetch]]:
    desk = Desk(tmp_path_factory.mktemp("undisturbed") / "album")
    desk.one(mixed())
    return desk.tree(), desk.rows()


@pytest.mark.parametrize("number", [*range(5), 8, 20, 27, 31])
@pytest.mark.parametrize("name", CALLS)
def test_a_disk_that_is_full_at_any_moment_costs_nothing(
    desk: Desk, undisturbed: tuple[dict[str, str], list[Fetch]], name: str, number: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fill_disk(patch, name, number)
        with contextlib.suppress(StorageError):
            desk.one(mixed())
    desk.one(mixed())
    assert (desk.tree(), desk.rows()) == undisturbed


@pytest.mark.parametrize("number", [*range(14), *range(14, 152, 8)])
def test_a_run_that_was_killed_anywhere_ends_like_one_that_was_not(
    desk: Desk, undisturbed: tuple[dict[str, str], list[Fetch]], number: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
        kill(patch, number)
        desk.one(mixed())
        pytest.fail("there are fewer calls than that")
    desk.one(mixed())
    assert (desk.tree(), desk.rows()) == undisturbed


@pytest.mark.parametrize("day", [0, 1])
@pytest.mark.parametrize("number", [0, 5, 24, 25, 31])
def test_a_source_that_breaks_off_is_gone_on_with(
    desk: Desk, undisturbed: tuple[dict[str, str], list[Fetch]], number: int, day: int
) -> None:
    source = mixed()
    source.listing[number] = SourceError("It", "broke off", "Try again.")
    assert desk.one(source).error
    desk.collect(mixed(), day=TODAY + timedelta(day))
    tree, rows = undisturbed
    if day == 0:
        assert (desk.tree(), desk.rows()) == (tree, rows)
    assert sorted(desk.tree().values()) == sorted(tree.values())
    assert [(row.location, row.sha256, row.outcome) for row in desk.rows()] == [
        (row.location, row.sha256, row.outcome) for row in rows
    ]


def test_what_a_killed_run_had_placed_is_not_placed_again_on_the_next_day(desk: Desk) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        intercept(patch, "record", die)
        desk.one(some(4))
    placed = desk.tree()
    assert len(placed) == 4 and desk.rows() == []
    found = desk.collect(some(6), day=TODAY + timedelta(1))
    assert found.photos == 6
    assert placed.items() <= desk.tree().items() and len(desk.tree()) == 6
    assert {row.path for row in desk.rows()} == set(desk.tree())


def test_what_a_killed_run_was_fetching_is_removed(desk: Desk) -> None:
    folder = desk.intake(TODAY - timedelta(9))
    folder.mkdir()
    (folder / ".mien-0123456789abcdef.tmp").write_bytes(b"half")
    desk.collect()
    assert not folder.exists()


def test_a_full_disk_is_not_held_against_the_source(desk: Desk) -> None:
    class Careless(FakeSource):
        """Takes every OSError for its own, as an adapter of files does."""

        def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
            try:
                return super().fetch(offer, into, since)
            except OSError as error:
                raise FetchError("It", "cannot be read", "Look.", FetchFault.UNREADABLE) from error

    class Full(BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def created(path: Path) -> Any:
        path.touch()
        return Full()

    with pytest.MonkeyPatch.context() as patch, pytest.raises(StorageError, match="disk is full"):
        patch.setattr(hidden_file, "created", created)
        desk.one(Careless({offer("ann", "a.jpg"): picture(1)}))
    assert desk.tree() == {}
    assert desk.failures() == ()


def test_a_failing_source_leaves_no_hidden_file(desk: Desk) -> None:
    source = some(30)
    no = FetchError("It", "is not to be had", "No.", FetchFault.REFUSED)
    source.troubles = {location.location: no for location in list(source.photos)[::2]}
    source.troubles["bob/15.jpg"] = SourceError("The whole of it", "is gone", "Look.")
    found = desk.one(source)
    assert found.error
    assert not list(desk.folder.rglob(".mien-*.tmp"))
    assert set(desk.tree()) == {row.path for row in desk.rows()}


# The end


class Watch:
    """Seconds that pass with each photo that is fetched."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow(FakeSource):
    """Each photo takes so many minutes."""

    def __init__(self, photos: Mapping[Offer, bytes], watch: Watch, minutes: float) -> None:
        super().__init__(photos)
        self.watch, self.minutes = watch, minutes

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        with self._lock:
            self.watch.now += self.minutes * 60
        return super().fetch(offer, into, since)


def until_done(desk: Desk, sources: Mapping[str, FakeSource], watch: Watch, days: int) -> Iterator[Collected]:
    """What each day brings, of sources with an hour each and three in all."""
    chosen = SourceSettings(kind="fake", basis="consent", licence="own work", max_minutes=60)
    for number in range(days):
        day = TODAY + timedelta(days=number)
        with desk.opened(day, sources=dict.fromkeys(sources, chosen), max_hours=3) as album:
            yield collect(album, {name: opener(source) for name, source in sources.items()}, day, clock=watch)


def test_a_source_has_an_end_and_goes_on_the_next_day(desk: Desk) -> None:
    watch = Watch()
    source = Slow({offer("Ada", f"{n}.jpg"): picture(n) for n in range(10)}, watch, 15)
    first, second, third, last = (day.sources[0] for day in until_done(desk, {"a": source}, watch, 4))
    assert first.unfinished and 4 <= first.photos < 10 and not first.failed and first.error is None
    assert third.known == 10 or second.photos + first.photos < 10
    assert sum(day.photos for day in (first, second, third, last)) == 10 and not last.unfinished
    assert len(source.fetched) == 10, "none is fetched twice"
    with desk.opened() as album:
        assert album.ledger.history.failures("a") == ()


class Leaves(Slow):
    """A source whose listing has a page for each photo, each of which takes minutes to read."""

    def __init__(self, photos: Mapping[Offer, bytes], watch: Watch, minutes: float) -> None:
        super().__init__(photos, watch, 0)
        self.a_page = minutes
        self.pages = Pages()
        self.read: list[str] = []

    def offers(self) -> Iterator[Offer | FetchError]:
        of = {one.location: one for one in self.photos}
        every = list(of)
        self.pages.begin(every[0])
        visited = set[str]()
        while (page := self.pages.next()) is not None:
            if page not in visited:
                visited.add(page)
                self.read.append(page)
                self.watch.now += self.a_page * 60
                self.pages.add(every[every.index(page) + 1 :][:1])
                yield of[page]

    def unread(self) -> tuple[str, ...]:
        return self.pages.unread()

    def go_on(self, unread: Sequence[str]) -> None:
        self.pages.go_on(unread)


def test_a_listing_that_outlasts_the_time_is_read_in_full_over_days(desk: Desk) -> None:
    watch = Watch()
    source = Leaves({offer("Ada", f"{n:02}.jpg"): picture(n) for n in range(12)}, watch, 12)
    # Four days are enough where each photo is fetched as soon as its page is read, which threads need not do.
    days = [day.sources[0] for day in until_done(desk, {"a": source}, watch, 8)]
    assert sum(day.photos for day in days) == 12 and all(day.unfinished for day in days[:2])
    begun = [number for number, page in enumerate(source.read) if page == "Ada/00.jpg"]
    first, second = source.read[: begun[1]], source.read[begun[1] : begun[2]]
    # At the latest with the page that was being read when the time was over; with an earlier one where a thread had not
    # begun with its photo by then.
    came = source.fetched[: days[0].photos]
    assert second[1] == next(page for page in first if page not in came), (
        "the page of the first photo that did not come"
    )
    with desk.opened() as album:
        assert album.ledger.history.failures("a") == ()


def test_a_listing_that_begins_elsewhere_now_is_read_from_its_beginning(desk: Desk) -> None:
    watch = Watch()
    source = Leaves({offer("Ada", f"{n:02}.jpg"): picture(n) for n in range(12)}, watch, 12)
    (day,) = until_done(desk, {"a": source}, watch, 1)
    assert day.sources[0].unfinished
    other = Leaves({offer("Ada", f"new {n}.jpg"): picture(50 + n) for n in range(3)}, watch, 1)
    (day,) = until_done(desk, {"a": other}, watch, 1)
    assert other.read == [f"Ada/new {n}.jpg" for n in range(3)] and not day.sources[0].unfinished
    with desk.opened() as album:
        assert album.ledger.history.unread("a") == ()


def test_whoever_is_forgotten_is_in_no_page_that_is_unread(desk: Desk) -> None:
    watch = Watch()
    source = Leaves({offer("Ada", f"{n:02}.jpg"): picture(n) for n in range(12)}, watch, 12)
    list(until_done(desk, {"a": source}, watch, 1))
    with desk.opened() as album:
        assert album.ledger.history.unread("a")
        album.ledger.forget("Ada")
        assert album.ledger.history.unread("a") == ()


def test_photos_that_fail_slowly_do_not_stand_before_the_others_for_ever(desk: Desk) -> None:
    watch = Watch()
    source = Slow({offer("Ada", f"{n}.jpg"): picture(n) for n in range(16)}, watch, 15)
    slow = FetchError("It", "drips", "Wait.", FetchFault.TIMEOUT)
    source.troubles = {f"Ada/{n}.jpg": slow for n in range(12)}
    days = [day.sources[0] for day in until_done(desk, {"a": source}, watch, 6)]
    assert sum(day.photos for day in days) == 4


def test_sources_that_were_not_reached_come_first_the_next_day(desk: Desk) -> None:
    watch = Watch()
    photos = {offer("Ada", f"{n}.jpg"): picture(n) for n in range(50)}
    sources = {name: Slow(photos, watch, 15) for name in ("a", "b", "c", "d", "e")}
    first, second = until_done(desk, sources, watch, 2)
    assert [one.source for one in first.sources] == list(sources), "they are told in the order of mien.toml"
    reached = {name for name, source in sources.items() if source.fetched}
    assert all(one.unfinished for one in first.sources) and second
    assert reached == set(sources)


def test_what_the_web_leaves_for_the_next_run_is_no_failure(desk: Desk) -> None:
    source = some(4)
    source.troubles = {location: FetchError("It", "is late", "Wait.", FetchFault.LATER) for location in ("bob/01.jpg",)}
    found = desk.one(source)
    assert found.unfinished and found.left == 1 and not found.failed
    source.listing = {1: FetchError("It", "is late", "Wait.", FetchFault.LATER)}
    found = desk.one(source)
    assert found.unfinished and not found.failed
    with desk.opened() as album:
        assert album.ledger.history.source_runs()["s0"].fault is SourceFault.OUT_OF_TIME
