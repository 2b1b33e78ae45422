from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.errors import AlbumError, FetchError, MissingExtraError, SourceError, StorageError
from mien.protocols import Silent, Sink, Source
from mien.records.catalog import Catalog
from mien.records.ledger import Fetch, Ledger
from mien.settings import SourceSettings
from mien.stages.align import find_changes
from mien.stages.collect import _ENDINGS, FETCHERS, Collected, SourceCollected, collect, file_name
from mien.storage.layout import Workspace
from mien.text.names import LONGEST_NAME
from mien.types import Offer, Receipt
from mien.vision import sniff

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
    """An album with its ledger and catalog, and sources to collect from."""

    def __init__(self, folder: Path) -> None:
        self.album = Workspace.create(folder, "personal")
        self.ledger = Ledger.open(self.album.local_catalog().with_name("ledger.sqlite"))
        self.catalog = Catalog.open(self.album.local_catalog())
        self.notes: list[str] = []

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
        clock = NOON + (day - TODAY)
        return collect(self.album, self.ledger, self.catalog, sources, day, lambda: clock, Notes(self.notes), dry_run)

    def one(self, source: FakeSource, **settings: Any) -> SourceCollected:
        return self.collect(source, **settings).sources[0]

    def tree(self) -> dict[str, str]:
        """Path -> hash of everything in the intakes, also what is hidden."""
        files = (file for folder in self.album.folder.glob("*-training-images") for file in folder.rglob("*"))
        return {
            file.relative_to(self.album.folder).as_posix(): sha(file.read_bytes()) for file in files if file.is_file()
        }

    def paths(self) -> list[str]:
        """What is in the intake of TODAY."""
        return sorted(path.removeprefix(f"{TODAY}-training-images/") for path in self.tree())

    def rows(self) -> list[Fetch]:
        return list(self.ledger._fetched())

    def close(self) -> None:
        self.ledger.close()
        self.catalog.close()


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
    monkeypatch.setattr("mien.stages.collect.GROUP", 7)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "album")
    yield desk
    desk.close()


def some(number: int = 5, stamp: str = "") -> FakeSource:
    people = ("ann", "bob")
    return FakeSource({offer(people[i % 2], f"{i:02}.jpg", stamp): picture(i) for i in range(number)})


# What comes in


def test_a_token_in_an_address_stands_in_no_message(desk: Desk) -> None:
    def refuse() -> Source:
        raise SourceError("https://example.org/feed?token=SECRET is no feed.", "Give the address of one.")

    settings = SourceSettings(kind="fake", basis="consent", licence="own work")
    (found,) = desk.run([("s", settings, refuse)]).sources
    assert found.error == "https://example.org/feed?… is no feed. Give the address of one."
    assert "SECRET" not in "".join(desk.notes) + str(desk.ledger.source_runs())


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
    (first,) = desk.ledger.provenance(sha(picture(1)))
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
    assert desk.ledger.provenance(sha(picture(2, "PNG")))[0].licence == "own work"
    run = desk.ledger.source_runs()["s0"]
    assert (run.brought, run.known, run.started, run.error) == (2, 0, NOON, None)


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
    folder = desk.album.intake(TODAY) / "ann"
    folder.mkdir(parents=True)
    (folder / "A.jpg").write_bytes(b"somebody's")
    desk.one(FakeSource({offer("ann", "a.jpg"): picture(1)}))
    assert desk.paths() == ["ann/A.jpg", "ann/a-2.jpg"]
    assert (folder / "A.jpg").read_bytes() == b"somebody's"


def test_a_file_that_appears_meanwhile_is_not_overwritten(desk: Desk) -> None:
    folder = desk.album.intake(TODAY) / "ann"
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
    outcomes = {row.location: (row.outcome, row.path) for row in desk.ledger.provenance(sha(picture(1)))}
    assert outcomes["ann/again.jpg"] == ("duplicate", "2026-11-23-training-images/ann/a.jpg")
    assert desk.collect(FakeSource(), source, day=TODAY + timedelta(1)).sources[1].duplicates == 3


def test_what_lies_in_training_images_is_a_duplicate(desk: Desk) -> None:
    folder = desk.album.training / "Zoë"
    folder.mkdir()
    (folder / "old.jpg").write_bytes(picture(1))
    find_changes(desk.album, desk.catalog)
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
    current = desk.ledger.fetch("s0", "ann/a.jpg")
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
    settings = desk.album.settings.model_validate({"people": {"ann": {"until": "2026-11-22"}, "bob": {"until": TODAY}}})
    desk.album = replace(desk.album, settings=settings)
    found = desk.one(some(2))
    assert (found.passed_over, desk.paths()) == (1, ["bob/01.jpg"])


# What does not come in


def test_what_is_no_picture_is_refused_once(desk: Desk) -> None:
    html = b"<!doctype html><p>Not here" + b" " * 200
    source = FakeSource({offer("ann", "a.jpg", "1"): html, offer("ann", "b.jpg"): picture(1)[:150]})
    found = desk.one(source)
    assert [(one.location, one.kind) for one in found.refused] == [
        ("ann/a.jpg", "not-a-picture"),
        ("ann/b.jpg", "truncated"),
    ]
    assert desk.tree() == {}
    assert not desk.album.intake(TODAY).exists()
    assert [(row.outcome, row.reason, row.path, row.phash) for row in desk.rows()] == [
        ("refused", "not-a-picture", "", ""),
        ("refused", "truncated", "", ""),
    ]
    assert any("web page" in note for note in desk.notes)
    source.fetched.clear()
    found = desk.one(source)
    assert (source.fetched, found.known, found.refused) == ([], 2, ())


def test_what_fails_is_kept_in_mind_until_it_succeeds(desk: Desk) -> None:
    source = some(3)
    source.troubles["bob/01.jpg"] = FetchError("It is gone.", "Ask for it.", "gone")
    found = desk.one(source)
    assert (found.photos, [(one.location, one.kind) for one in found.failed]) == (2, [("bob/01.jpg", "gone")])
    desk.one(source)
    (failure,) = desk.ledger.failures("s0")
    assert (failure.person, failure.kind, failure.message, failure.times) == (
        "bob",
        "gone",
        "It is gone. Ask for it.",
        2,
    )
    source.troubles.clear()
    assert desk.collect(source).complete
    assert desk.ledger.failures("s0") == ()
    assert desk.paths() == ["ann/00.jpg", "ann/02.jpg", "bob/01.jpg"]


def test_a_photo_that_is_too_large_is_not_held(desk: Desk) -> None:
    class Flood(FakeSource):
        def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
            for _ in range(1000):
                into.write(bytes(1 << 19))
            raise AssertionError("nothing stopped it")

    found = desk.one(Flood({offer("ann", "a.jpg"): b""}), max_megabytes=1)
    assert [one.kind for one in found.failed] == ["too-large"]
    assert found.failed[0].message.startswith("ann/a.jpg is larger than 1 MB.")
    assert desk.tree() == {}


def test_a_part_of_the_listing_that_fails_is_told(desk: Desk) -> None:
    source = some(3)
    source.listing[1] = FetchError("Page 2 is gone.", "Look.", "gone")
    found = desk.one(source)
    assert (found.photos, [(one.location, one.kind) for one in found.failed]) == (3, [("", "gone")])
    assert desk.ledger.failures("s0") == ()


@pytest.mark.parametrize("error", [SourceError("It is shut.", "Open it."), MissingExtraError("No S3.", "pip")])
def test_a_source_that_fails_keeps_what_it_gave_and_does_not_stop_others(desk: Desk, error: Exception) -> None:
    bad, good = some(5), FakeSource({offer("eve", "e.jpg"): picture(99)})
    bad.listing[3] = error
    found = desk.collect(bad, good)
    assert [one.error for one in found.sources] == [str(error), None]
    assert ([one.photos for one in found.sources], found.complete) == ([3, 1], False)
    assert desk.ledger.source_runs()["s0"].error == str(error)


def test_a_source_that_cannot_be_opened_does_not_stop_others(desk: Desk) -> None:
    def shut() -> Source:
        raise SourceError("No such folder.", "Make it.")

    fine = SourceSettings(kind="fake", basis="consent", licence="own work")
    found = desk.run([("a", fine, shut), ("b", fine, opener(some(2)))])
    assert [(one.error, one.photos) for one in found.sources] == [("No such folder. Make it.", 0), (None, 2)]


def test_an_unfit_source_is_told_what_to_write_before_anything_is_fetched(desk: Desk) -> None:
    def never() -> Source:
        raise AssertionError("it was opened")

    without = SourceSettings(kind="fake", licence="own work")
    neither = SourceSettings(kind="fake")
    impossible = SourceSettings(kind="fake", basis="b", licence="l", people={"ann": "../ann"})
    found = desk.run([("good", SourceSettings(kind="f", basis="b", licence="l"), opener(some(1)))])
    found = desk.run([("club", without, never), ('my "own"', neither, never), ("x", impossible, never)])
    first, second, third = (one.error or "" for one in found.sources)
    assert first == (
        "The source club states no basis, so nothing is collected from it. "
        'Write below [sources.club] in mien.toml, in your own words: basis = "consent"'
    )
    assert (
        '[sources."my \\"own\\""] in mien.toml, in your own words: basis = "consent" and licence = "own work"' in second
    )
    assert "cannot be a person's name" in third


def test_an_expired_source_is_passed_over_and_that_is_said(desk: Desk) -> None:
    source = some(2)
    found = desk.one(source, until=TODAY - timedelta(1))
    assert (found.skipped, found.error, source.fetched) == ("its photos might be used until 2026-11-22", None, [])
    assert any("2026-11-22" in note for note in desk.notes)
    assert desk.one(source, until=TODAY).photos == 2


def test_two_people_whom_a_disk_may_take_for_one_are_not_mixed(desk: Desk) -> None:
    source = FakeSource({offer("ada", "a.jpg"): picture(1), offer("Ada", "b.jpg"): picture(2)})
    found = desk.one(source)
    assert found.photos == 1
    assert [(one.kind, "ada" in one.message and "Ada" in one.message) for one in found.failed] == [("person", True)]


@pytest.mark.parametrize(
    "person",
    ["../bob", "..", "", " ", "a/b", "a\\b", "C:", "con", ".hidden", "x" * 300, "a\nb", "\udcff", "a\0b", "@eaDir"],
)
def test_a_hostile_person_comes_to_nothing(desk: Desk, person: str) -> None:
    source = FakeSource({offer(person, "a.jpg"): picture(1), offer("bob", "b.jpg"): picture(2)})
    found = desk.one(source)
    assert (found.photos, len(found.failed), desk.paths()) == (1, 1, ["bob/b.jpg"])
    assert found.failed[0].kind == ("unreadable" if person == "\udcff" else "person")
    assert all(note.isprintable() for note in desk.notes)
    assert source.fetched == ["bob/b.jpg"]


@pytest.mark.parametrize(
    ("name", "fmt", "expected"),
    [
        ("a.jpg", "JPEG", "a.jpg"),
        ("IMG.JPEG", "JPEG", "IMG.JPEG"),
        ("a.png", "JPEG", "a.jpg"),
        ("J. Smith", "PNG", "J. Smith.png"),
        ("a.jpg?w=620", "JPEG", "a.jpg"),
        ("image?id=3", "JPEG", "image_id=3.jpg"),
        ("../../etc/passwd", "JPEG", "passwd.jpg"),
        ("..\\..\\boot.ini", "JPEG", "boot.ini.jpg"),
        ("C:\\a.jpg", "JPEG", "a.jpg"),
        ("C:a.jpg", "JPEG", "C_a.jpg"),
        ("con.jpg", "JPEG", "_con.jpg"),
        ("NUL", "GIF", "_NUL.gif"),
        (".htaccess", "JPEG", "htaccess.jpg"),
        (".jpg", "JPEG", "jpg.jpg"),
        ("a .jpg", "JPEG", "a.jpg"),
        ("a.mp4", "JPEG", "a.jpg"),
        ("...", "JPEG", "photo.jpg"),
        ("", "JPEG", "photo.jpg"),
        ("a/", "JPEG", "photo.jpg"),
        ("a\0b\n.jpg", "JPEG", "a_b_.jpg"),
        ("x.jpg\u202egnp.exe", "JPEG", "x.jpg_gnp.exe.jpg"),
        ("e\u0301.jpg", "JPEG", "é.jpg"),
    ],
)
def test_names_are_made_fit_for_every_system(name: str, fmt: str, expected: str) -> None:
    assert file_name(name, fmt) == expected


@given(st.text(max_size=300), st.sampled_from(sorted(_ENDINGS)))
def test_every_name_is_fit(name: str, fmt: str) -> None:
    fit = file_name(name, fmt)
    assert len(fit.encode()) <= LONGEST_NAME
    assert not set(fit) & set('/\\<>:"|?*\0') and not fit.startswith(".") and fit.isprintable()
    assert fit.rpartition(".")[2].lower() in _ENDINGS[fmt]
    assert file_name(fit, fmt) == fit
    assert sniff.kind_of_name(fit) == "photo"


def test_every_format_has_an_ending() -> None:
    assert set(_ENDINGS) == {fmt for _, _, fmt in sniff._PICTURES} | {"AVIF", "HEIF", "TGA"}


def test_a_photo_is_called_after_what_it_is(desk: Desk) -> None:
    desk.one(FakeSource({offer("ann", "photo.png"): picture(1), offer("ann", "index.php?id=7"): picture(2, "PNG")}))
    assert desk.paths() == ["ann/index.php_id=7.png", "ann/photo.jpg"]


def test_nothing_is_written_through_links(desk: Desk, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    intake = desk.album.intake(TODAY)
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
    before = desk.rows(), desk.tree(), desk.ledger.source_runs()
    day = TODAY + timedelta(1)
    found = desk.collect(source, day=day, dry_run=True, limit=3)
    assert found.dry_run and source.fetched == []
    (one,) = found.sources
    assert one.wanted == (("bob", "bob/01.jpg"), ("ann", "ann/02.jpg"), ("bob", "bob/03.jpg"))
    assert (one.left, one.known, one.photos, len(one.failed)) == (1, 1, 0, 1)
    assert (desk.rows(), desk.tree(), desk.ledger.source_runs()) == before
    assert desk.ledger.failures("s0") == ()
    assert not desk.album.intake(day).exists()


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
    source.troubles["bob/01.jpg"] = FetchError("Gone.", "Ask.", "gone")
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
                "failed": [{"location": "bob/01.jpg", "kind": "gone", "message": "Gone. Ask."}],
                "passed_over": 0,
                "left": 0,
                "wanted": [],
                "skipped": None,
                "error": None,
            }
        ],
    }


# What breaks


class Killed(BaseException):
    """What no code may catch: the end of the process, as far as a test can have it."""


CALLS = ("open", "fsync", "link", "unlink", "mkdir", "record")
"""What touches the disk."""


def fill_disk(patch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """Makes the call of that number fail."""
    calls = count()

    def before() -> None:
        if next(calls) == number:
            if name == "record":
                raise StorageError("ledger.sqlite cannot grow: the disk is full.", "Free some space.")
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
    owner: Any = {"record": Ledger, "link": os, "fsync": os}.get(name, Path)
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
    result = desk.tree(), desk.rows()
    desk.close()
    return result


@pytest.mark.parametrize("number", [0, 1, 2, 7, 19, 26, 30])
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


@pytest.mark.parametrize("number", [*range(8), *range(8, 150, 8)])
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
    source.listing[number] = SourceError("It broke off.", "Try again.")
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
    folder = desk.album.intake(TODAY - timedelta(9))
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
                raise FetchError("Cannot be read.", "Look.", "unreadable") from error

    class Full(BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    real = Path.open

    def opened(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        file = real(path, mode, *args, **kwargs)
        if mode != "xb+":
            return file
        file.close()
        return Full()

    with pytest.MonkeyPatch.context() as patch, pytest.raises(StorageError, match="disk is full"):
        patch.setattr(Path, "open", opened)
        desk.one(Careless({offer("ann", "a.jpg"): picture(1)}))
    assert desk.tree() == {}
    assert desk.ledger.failures("s0") == ()


def test_a_failing_source_leaves_no_hidden_file(desk: Desk) -> None:
    source = some(30)
    source.troubles = {location.location: FetchError("No.", "No.") for location in list(source.photos)[::2]}
    source.troubles["bob/15.jpg"] = SourceError("The whole of it is gone.", "Look.")
    found = desk.one(source)
    assert found.error
    assert not list(desk.album.folder.rglob(".mien-*.tmp"))
    assert set(desk.tree()) == {row.path for row in desk.rows()}
