"""The daily loop on painted albums: what a day does, what keeps a challenger out, what a kill leaves, what expires."""

from __future__ import annotations

import errno
import functools
import importlib
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from mien import Album, wiring
from mien.errors import AlbumError, BusyError, FetchError, ModelError, StorageError, UsageError
from mien.open_album import for_reading, for_writing, read_settings
from mien.pipeline import remove
from mien.protocols import Silent
from mien.records.history import History
from mien.records.ledger import Ledger
from mien.records.runs import Runs
from mien.registry import versions
from mien.registry.folder import load_model
from mien.report import build
from mien.stages import train as train_stage
from mien.stages.compare import Compared
from mien.stages.sources import why_refused
from mien.storage.layout import shelf_of
from mien.storage.lock import lock
from mien.testing import draw_photo
from mien.text.fetching import FetchFault
from mien.text.findings import StepKind

if TYPE_CHECKING:
    from typer.testing import Result

    from conftest import Painted
    from mien.pipeline.daily import Daily

STEPS = ("expire", "collect", "align", "check", "merge", "train", "evaluate", "promote")
FIRST = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)


class KilledError(BaseException):
    """The end of a process, as far as one test can tell: nobody catches it."""


@dataclass
class Club:
    """A painted album with a source, the folder `drop` beside it, and a clock that stands until it is set."""

    painted: Painted
    now: datetime = FIRST
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.painted.folder
        self.source("drop")

    @property
    def drop(self) -> Path:
        return self.folder.parent / "drop"

    def source(self, name: str, extra: str = "") -> Path:
        """A source in mien.toml, the folder of its name beside the album."""
        table = f'[sources.{name}]\nkind = "folder"\npath = "../{name}"\nbasis = "consent"\nlicence = "own work"'
        self.say(f"{table}\n{extra}")
        folder = self.folder.parent / name
        folder.mkdir(exist_ok=True)
        return folder

    def say(self, text: str) -> None:
        """Adds to mien.toml."""
        with (self.folder / "mien.toml").open("a", encoding="utf-8") as file:
            file.write(f"\n{text}\n")

    def say_first(self, text: str) -> None:
        """Adds to the top of mien.toml, above its tables."""
        file = self.folder / "mien.toml"
        file.write_text(f"{text}\n{file.read_text(encoding='utf-8')}", encoding="utf-8")

    def open(self) -> Album:
        return self.painted.open(clock=lambda: self.now)

    def arrive(self, *photos: str) -> None:
        """Photos come to the source: "Ada/1.png", or "Ada/1.png=Bo" for one that shows Bo."""
        for photo in photos:
            path, _, shows = photo.partition("=")
            self.painted.paint(self.drop / path, shows or path.split("/")[0])

    def day(self) -> Daily:
        """Another day, and its run."""
        self.now += timedelta(days=1)
        return self.open().daily()

    def in_use(self) -> str | None:
        return self.open().version

    def versions(self) -> list[str]:
        return versions.names(self.folder / "models")

    def ledger(self) -> Ledger:
        return Ledger.for_reading(self.folder / ".mien/catalog-ledger.sqlite")

    def files(self, *below: str) -> dict[str, bytes]:
        """Every file of the album but those of .mien; or those below these folders."""
        found = {file.relative_to(self.folder).as_posix(): file for file in self.folder.rglob("*") if file.is_file()}
        wanted = {name: file for name, file in found.items() if not name.startswith(".mien/")}
        return {name: file.read_bytes() for name, file in wanted.items() if not below or name.split("/")[0] in {*below}}


@pytest.fixture
def club(painted: Painted) -> Club:
    return Club(painted)


@pytest.fixture(scope="module")
def after_a_day(new_painted: Callable[[Path], Painted], tmp_path_factory: pytest.TempPathFactory) -> Club:
    """A club after its first day: three photos each of Ada, Bo and Cy. For copying only: see `grown`."""
    club = Club(new_painted(tmp_path_factory.mktemp("grown") / "album"))
    club.arrive(*(f"{person}/{number}.png" for person in ("Ada", "Bo", "Cy") for number in (1, 2, 3)))
    club.day()
    return club


@pytest.fixture
def grown(after_a_day: Club, club: Club) -> Club:
    """A copy of it."""
    for mine, theirs in ((club.folder, after_a_day.folder), (club.drop, after_a_day.drop)):
        shutil.rmtree(mine)
        shutil.copytree(theirs, mine)
    club.now = after_a_day.now
    return club


def lines(daily: Daily) -> dict[str, str]:
    return {step.name: step.line for step in daily.run.steps}


def told(daily: Daily) -> list[str]:
    """What needs a human, in words."""
    return [finding.line for finding in daily.needs_human]


def shades(file: Path, colour: tuple[int, int, int], count: int, first: int = 0) -> None:
    """Photos of one person which are different pictures: faces a little off the person's colour, each differently."""
    file.mkdir(parents=True, exist_ok=True)
    offsets = list(product((-8, 0, 8), repeat=3))[first : first + count]
    for number, offset in enumerate(offsets, first):
        red, green, blue = (part + off for part, off in zip(colour, offset, strict=True))
        Image.fromarray(draw_photo([((red, green, blue), (8, 20, 88, 100))], 240, 200)).save(file / f"{number:02}.png")


RED, GREEN, BLUE, YELLOW = (200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40)


# A day


def test_from_nothing_to_a_model_in_use(club: Club) -> None:
    club.arrive(*(f"{person}/{number}.png" for person in ("Ada", "Bo") for number in (1, 2)))
    done = club.day()
    assert done.exit_code == 0 and done.needs_human == () and not done.resumed
    assert done.run.state == "done" and done.run.date == date(2026, 11, 25)
    assert [(step.name, step.outcome) for step in done.run.steps] == [(name, "done") for name in STEPS]
    assert lines(done) == {
        "expire": "nothing has expired",
        "collect": "4 new photos from 1 source",
        "align": "4 photos waiting, 4 seen anew",
        "check": "2 like another photo",
        "merge": "4 photos merged",
        "train": "made 2026-11-25-001: 2 people, 4 photos; 2 people with fewer than 20 photos",
        "evaluate": "2026-11-25-001 is the first that can be used",
        "promote": "2026-11-25-001 is in use now",
    }
    assert club.in_use() == "2026-11-25-001"
    assert list(club.files("training-images")) and not list(club.folder.glob("*-training-images"))
    (answer,) = club.open().classify(club.drop / "Bo/1.png")
    assert [face.prediction.person for face in answer.faces] == ["Bo"]
    assert json.loads(json.dumps(done.to_json()))["steps"][1]["photos"] == 4


def test_a_day_with_nothing_new_computes_nothing(grown: Club) -> None:
    before, version = grown.files(), grown.in_use()
    done = grown.day()
    assert done.exit_code == 0 and grown.painted.looked() == []
    assert grown.files() == before and grown.in_use() == version
    assert lines(done)["train"].startswith(f"nothing new since {version}: 3 people, 9 photos")
    assert lines(done)["evaluate"] == f"{version} is in use already"
    assert lines(done)["promote"] == f"{version} stays in use"


def test_new_photos_make_a_challenger_that_takes_over(grown: Club) -> None:
    grown.arrive("Ada/4.png", "Bo/4.png")
    done = grown.day()
    assert done.exit_code == 0 and grown.painted.looked() == ["4.png", "4.png"]
    assert grown.versions() == ["2026-11-25-001", "2026-11-26-001"] and grown.in_use() == "2026-11-26-001"


def test_without_sources_the_album_itself_is_learned(three_people: Painted) -> None:
    done = three_people.open(clock=lambda: FIRST).daily()
    assert done.exit_code == 0 and lines(done)["collect"] == "no source is configured"
    assert lines(done)["align"] == "nothing waits" and lines(done)["merge"] == "nothing to merge"
    assert three_people.open().version == "2026-11-24-001"


def test_what_was_guessed_is_told(three_people: Painted) -> None:
    three_people.photo("Freya/both.png", "Freya", "Stranger", sides=(60, 90))
    done = three_people.open(clock=lambda: FIRST).daily()
    (told,) = [finding for step in done.run.steps for finding in step.findings if finding.kind is StepKind.GUESSED]
    assert told.figures == {"people": 1} and not told.needs_human
    assert told.line == "of 1 person it was guessed which face is theirs. See whose: `mien check`."


def test_without_a_photo_the_run_fails_and_says_what_to_do(club: Club) -> None:
    done = club.day()
    assert done.exit_code == 4 and done.run.state == "failed"
    assert [step.name for step in done.run.steps] == [*STEPS[: STEPS.index("train") + 1]]
    (line,) = told(done)
    assert "there is no photo to learn from" in line and "Put photos into training-images" in line
    assert not club.open().daily().resumed, "a run that failed has ended"


# What a human must see


def test_a_photo_of_somebody_else_is_held_back_and_named_each_day(grown: Club) -> None:
    grown.arrive("Ada/odd.png=Bo", "Ada/4.png")
    for _ in range(2):
        done = grown.day()
        assert done.exit_code == 14 and done.run.state == "done"
        odd = "2026-11-26-training-images/Ada/odd.png"
        assert all(line.startswith(f"{odd}: ") for line in told(done))
        assert "the face is Bo's" in told(done)[0] and "`mien merge`" in told(done)[0]
        assert [name for name in grown.files() if "2026-11-26-training-images" in name] == [odd]
        assert "1 whom the model takes for somebody else" in lines(done)["check"] and lines(done)["merge"].endswith(
            "1 left in the intake"
        )
    assert (grown.painted.training / "Ada/4.png").is_file()
    grown.open().merge()
    assert (grown.painted.training / "Ada/odd.png").is_file(), "a human may know better"


def test_files_that_are_refused_are_named_and_found_again(grown: Club) -> None:
    (grown.drop / "Ada/login.jpg").write_bytes(b"<html>Please log in</html>")
    (grown.drop / "Bo/half.png").write_bytes((grown.drop / "Bo/1.png").read_bytes()[:200])
    done = grown.day()
    assert done.exit_code == 0 and lines(done)["collect"] == "0 new photos from 1 source; 2 files refused"
    said = {finding.photos: finding.why for finding in done.run.step("collect").left_out}  # type: ignore[union-attr]
    assert list(said) == [("Ada/login.jpg",), ("Bo/half.png",)]
    assert said["Ada/login.jpg",].startswith("is not a photo mien can read; it is a web page")
    (last, *_) = grown.open().runs(1)
    assert last.run == done.run and len(done.to_json()["steps"][1]["left_out"]) == 2
    (source,) = grown.open().sources()
    assert [(one.location, why_refused(one)) for one in source.refused] == [
        ("Ada/login.jpg", "is no photo"),
        ("Bo/half.png", "breaks off"),
    ]
    assert [finding.why for finding in grown.open().status().refused] == ["2 refused, being no photo"]
    grown.open().remove("Ada", everywhere=True)
    assert b"login.jpg" not in (grown.folder / ".mien/catalog-ledger.sqlite").read_bytes()


def test_a_strict_run_says_by_its_exit_code_that_a_file_was_refused(grown: Club) -> None:
    (grown.drop / "Ada/login.jpg").write_bytes(b"<html>Please log in</html>")
    grown.say_first("strict = true")
    assert grown.day().exit_code == 6 and grown.open().runs(1)[0].exit_code == 6


def test_what_stays_in_an_intake_is_named_each_day_and_needs_nobody(grown: Club) -> None:
    intake = grown.folder / "2026-11-20-training-images/Ada"
    intake.mkdir(parents=True)
    (intake / "note.txt").write_text("of the shoot")
    for _ in range(2):
        done = grown.day()
        (left,) = done.run.step("check").left_out  # type: ignore[union-attr]
        assert left.line.startswith("2026-11-20-training-images/Ada/note.txt: is not a photo by its name. If it is one")
        assert lines(done)["check"] == "1 left out" and done.exit_code == 0


def test_a_source_that_fails_does_not_stop_the_others(grown: Club) -> None:
    grown.source("gone").rmdir()
    grown.arrive("Ada/4.png")
    done = grown.day()
    assert done.exit_code == 14 and lines(done)["collect"] == "1 new photo from 2 sources; 1 source failed"
    (line,) = told(done)
    assert line.startswith("The source gone could not be listed. ")
    assert grown.in_use() == "2026-11-26-001"


def test_a_source_whose_time_is_over_is_said_and_goes_on_the_next_day(
    grown: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown.arrive("Ada/4.png")

    def late(*_: object) -> None:
        raise FetchError("Ada/4.png", "is late", "Wait.", FetchFault.LATER)

    with monkeypatch.context() as patch:
        patch.setattr("mien.sources.folder.read_below", late)
        done = grown.day()
    assert done.exit_code == 0 and done.run.step("promote"), "what came before is learned all the same"
    said = "0 new photos from 1 source; 1 source not read to the end, as the time was over"
    assert lines(done)["collect"] == said
    assert lines(grown.day())["collect"] == "1 new photo from 1 source"


def test_what_cannot_be_had_or_is_no_photo_is_counted(grown: Club) -> None:
    (grown.drop / "Ada/page.jpg").write_bytes(b"<html>")
    (grown.drop / "con").mkdir()
    grown.arrive("con/1.png=Ada")
    done = grown.day()
    assert done.exit_code == 0
    assert lines(done)["collect"] == "0 new photos from 1 source; 1 file refused; 1 photo could not be had"


def test_findings_are_told_in_words(grown: Club) -> None:
    grown.painted.paint(grown.drop / "Ada/nobody.png")
    grown.painted.paint(grown.drop / "Ada/two.png", "Ada", "Stranger")
    grown.arrive("Ada/4.png")
    done = grown.day()
    assert lines(done)["check"] == "1 without a face; 1 with several faces; 1 like another photo"


def test_who_holds_the_album_is_said(grown: Club) -> None:
    layout, _ = read_settings(grown.folder, {})
    with lock(layout, "train"), pytest.raises(BusyError, match='in use by "train"'):
        grown.day()
    assert len(grown.open().runs()) == 1, "no run was begun"


# The gate


@pytest.fixture
def kept(painted: Painted) -> Iterator[tuple[Club, str]]:
    """A club whose second model, taught that a stranger is Ada, was kept out, and that model's version."""
    club = Club(painted)
    for person, colour in (("Ada", RED), ("Bo", GREEN), ("Cy", BLUE)):
        shades(painted.training / person, colour, 8)
    assert club.day().exit_code == 0
    shades(painted.training / "Ada", YELLOW, 18, first=8)  # by hand, so nobody held them back
    done = club.day()
    version = club.versions()[-1]
    assert done.exit_code == 14 and done.run.state == "done"
    assert done.figure("evaluate", "promote") is False
    groups, *reasons, line = told(done)
    assert "two groups of faces: 8 photos like these, and 18 photos of somebody else" in groups
    assert f"{version} was not put into use" in line and f"mien models promote {version}" in line
    assert reasons and all("beyond chance" in reason for reason in reasons)
    assert done.run.steps[-1].line == "2026-11-25-001 stays in use"
    yield club, version


def test_a_worse_challenger_is_kept_and_not_made_again(kept: tuple[Club, str]) -> None:
    club, version = kept
    assert club.in_use() == "2026-11-25-001"
    before = club.files()
    for _ in range(2):
        done = club.day()
        assert done.exit_code == 0 and done.needs_human == ()
        assert lines(done)["train"].startswith(f"nothing new since {version}")
        assert lines(done)["evaluate"] == f"{version} was set aside before, and would be made of these photos again"
        assert club.files() == before
    with closing(club.ledger()) as ledger:
        assert [(one.version, one.how) for one in ledger.history.promotions()] == [
            (version, "kept"),
            ("2026-11-25-001", "daily"),
        ]


def test_promoting_by_hand_overrules_the_gate(kept: tuple[Club, str]) -> None:
    club, version = kept
    club.open().promote(version)
    done = club.day()
    assert done.exit_code == 0 and club.in_use() == version
    assert lines(done)["evaluate"] == f"{version} is in use already"
    assert club.open().rollback() == "2026-11-25-001"


def test_when_the_wrong_photos_are_gone_the_next_challenger_passes(kept: tuple[Club, str]) -> None:
    club, version = kept
    for number in range(8, 26):
        (club.painted.training / f"Ada/{number:02}.png").unlink()
    assert club.day().exit_code == 0 and club.in_use() == "2026-11-25-001", "the same photos as the model in use"
    shades(club.painted.training / "Ada", RED, 4, first=8)
    assert club.day().exit_code == 0
    assert club.in_use() == club.versions()[-1] != version


def test_kept_and_promoted_models_can_be_compared(kept: tuple[Club, str]) -> None:
    club, version = kept
    found = club.open().difference("2026-11-25-001", version)
    assert isinstance(found.compared, Compared) and not found.compared.decision.promote
    assert found.people_added == () and {name: len(some) for name, some in found.added.items()} == {"Ada": 18}
    assert json.loads(json.dumps(found.to_json()))["compared"]["decision"]["promote"] is False
    how = {one.version: (one.how, one.in_use) for one in club.open().models()}
    assert how == {"2026-11-25-001": ("daily", True), version: ("kept", False)}


# Back again


def test_a_rollback_is_not_undone_by_the_same_photos(grown: Club) -> None:
    grown.arrive("Ada/4.png")
    grown.day()
    assert grown.open().rollback() == grown.in_use() == "2026-11-25-001"
    for _ in range(2):
        done = grown.day()
        assert done.exit_code == 0 and grown.in_use() == "2026-11-25-001"
        assert "set aside before" in lines(done)["evaluate"]
    assert grown.versions() == ["2026-11-25-001", "2026-11-26-001"]
    grown.arrive("Ada/5.png")
    assert grown.day().exit_code == 0
    assert grown.in_use() == "2026-11-29-001", "new photos do make a challenger"


def test_two_rollbacks_go_back_two_steps(grown: Club) -> None:
    for number in (4, 5):
        grown.arrive(f"Ada/{number}.png")
        grown.day()
    assert grown.in_use() == "2026-11-27-001"
    assert grown.open().rollback() == "2026-11-26-001"
    assert grown.open().rollback() == "2026-11-25-001"
    with pytest.raises(ModelError, match="no earlier model"):
        grown.open().rollback()
    assert grown.day().exit_code == 0 and grown.in_use() == "2026-11-25-001"


def test_a_rollback_passes_over_models_that_are_gone(grown: Club) -> None:
    """As after the expiry of a person whom only the one in between knew."""
    for number in (4, 5):
        grown.arrive(f"Ada/{number}.png")
        grown.day()
    shutil.rmtree(grown.folder / "models/2026-11-26-001")
    assert grown.open().rollback() == "2026-11-25-001"


def test_no_model_to_go_back_to(painted: Painted) -> None:
    with pytest.raises(ModelError, match="no earlier model"):
        painted.open().rollback()
    with pytest.raises(ModelError, match="no version '2026-01-01-001'"):
        painted.open().promote("2026-01-01-001")
    assert painted.open().models() == ()


# A kill

Kill = Callable[[pytest.MonkeyPatch], None]


def once(patch: pytest.MonkeyPatch, owner: Any, name: str, after: bool = False, at: object = None) -> None:
    """The next call of `owner.name` (with `at` among its arguments) kills, before or after it has done its work."""
    real = getattr(owner, name)

    def deadly(*arguments: Any, **named: Any) -> Any:
        if at is not None and at not in arguments:
            return real(*arguments, **named)
        if after:
            real(*arguments, **named)
        raise KilledError

    patch.setattr(owner, name, deadly)


def second_day(club: Club) -> None:
    """What happens on the day that is disturbed: something of everything."""
    club.arrive("Ada/4.png", "Bo/4.png", "Cy/1.png", "Ada/odd.png=Bo")
    club.painted.paint(club.drop / "Dee/1.png", "Stranger")
    club.painted.paint(club.drop / "Dee/2.png", "Stranger")
    club.say(f"[people.Cy]\nuntil = {club.now.date()}")


def fetched(club: Club) -> list[tuple[Any, ...]]:
    """Everything that is known of how photos came; a stamp has the file's time, which is another each time."""
    with closing(sqlite3.connect(club.folder / ".mien/catalog-ledger.sqlite")) as connection:
        columns = "source, location, name, sha256, current, bytes, licence, fetches.basis, outcome, path, fault"
        query = f"SELECT {columns}, fetched_at, checked_at FROM fetches JOIN people ON people.id = person"
        return sorted(connection.execute(query).fetchall())


def state(club: Club) -> dict[str, Any]:
    """Everything that must be the same in the end."""
    club.painted.folder = club.folder
    with closing(club.ledger()) as ledger:
        promotions = [(one.version, one.how, one.before) for one in ledger.history.promotions()]
        last, *_ = ledger.runs.last()
    return {
        "files": club.files(),
        "counts": club.painted.counts(),
        "fetches": fetched(club),
        "promotions": promotions,
        "steps": [(step.name, step.outcome) for step in last.steps],
        "leftovers": [file.name for file in club.folder.rglob(".mien-*")],
    }


CALM: dict[str, Any] = {}
"""How an undisturbed second day ends; it is the same for all tests, and had once."""


@pytest.fixture
def twins(grown: Club) -> tuple[Club, dict[str, Any]]:
    """A club before its second day, and how an undisturbed one ends that day."""
    second_day(grown)
    if not CALM:
        before = grown.folder.with_name("before")
        shutil.copytree(grown.folder, before)
        assert grown.day().exit_code == 14
        CALM.update(state(grown))
        shutil.rmtree(grown.folder)
        before.rename(grown.folder)
        grown.now -= timedelta(days=1)
        grown.painted.looked()
    return grown, CALM


KILLS: dict[str, tuple[Any, str, bool, object]] = {
    **{f"when {step} has begun": (Runs, "begin_step", True, step) for step in ("expire", "merge")},
    **{f"before {step} is written down": (Runs, "finish_step", False, step) for step in STEPS},
    "before the run is begun": (Runs, "begin", False, None),
    "when the run has begun": (Runs, "begin", True, None),
    "before the run is ended": (Runs, "finish", False, None),
    "with the expired photos out": (versions, "drop", False, None),
    "with the expired model dropped": (versions, "drop", True, None),
    "with the expired person's reduced model": (remove, "put_into_use", False, None),
    "before a model is promoted": (versions, "promote", False, None),
    "with a model promoted": (versions, "promote", True, None),
    "with the promotion written down": (History, "promoted", True, None),
    "before the challenger is trained": (train_stage, "train", False, None),
    "with the challenger trained": (train_stage, "train", True, None),
    "with the challenger's page made": (build, "make_page", True, None),
}


@pytest.mark.parametrize("where", KILLS)
def test_killed_it_goes_on_where_it_stopped(
    twins: tuple[Club, dict[str, Any]], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    club, calm = twins
    owner, name, after, at = KILLS[where]
    club.now += timedelta(days=1)
    with monkeypatch.context() as patch:
        once(patch, owner, name, after, at)
        with pytest.raises(KilledError):
            club.open().daily()
    begun = [one.name for one in _steps(club) if one.outcome == "done"]
    begins: list[str] = []
    real = Runs.begin_step

    def noted(runs: Runs, run: str, name: str, now: datetime) -> None:
        begins.append(name)
        real(runs, run, name, now)

    monkeypatch.setattr(Runs, "begin_step", noted)
    done = club.open().daily()
    assert done.resumed is (where != "before the run is begun")
    assert begins == [step for step in STEPS if step not in begun], "nothing is done twice"
    assert done.exit_code == 14
    assert state(club) == calm


def _steps(club: Club) -> tuple[Any, ...]:
    with closing(club.ledger()) as ledger:
        last, *_ = ledger.runs.last()
    return last.steps if last.state == "running" else ()


def test_killed_between_two_photos_what_was_seen_is_remembered(
    twins: tuple[Club, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    club, calm = twins
    club.now += timedelta(days=1)
    monkeypatch.setenv("MIEN_WORKERS", "1")

    def kill(file: Path) -> None:
        if len(club.painted.seen) == 4:
            raise KilledError

    club.painted.before_look = kill
    with pytest.raises(KilledError):
        club.open().daily()
    seen = club.painted.looked()
    club.painted.before_look = lambda _: None
    assert club.open().daily().resumed
    again = club.painted.looked()
    assert len(seen) == 4 and 1 <= len(again) <= 2, "the last, and perhaps one that was being written down"
    assert state(club) == calm


def test_killed_while_what_has_expired_is_taken_out_a_human_is_still_told(
    grown: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown.say(f"[people.Cy]\nuntil = {grown.now.date()}")
    with monkeypatch.context() as patch:
        once(patch, Runs, "finish_step", at="expire")
        with pytest.raises(KilledError):
            grown.day()
    done = grown.open().daily()
    assert done.resumed and done.exit_code == 14
    assert lines(done)["expire"] == "perhaps photos were set aside before this run was interrupted"
    assert "removed-images" in told(done)[0]


def test_a_run_that_nobody_resumed_is_closed_and_its_photos_are_taken_along(
    grown: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown.arrive("Ada/4.png")
    with monkeypatch.context() as patch:
        once(patch, Runs, "begin_step", at="merge")
        with pytest.raises(KilledError):
            grown.day()
    done = grown.day()
    assert not done.resumed and done.exit_code == 0
    assert lines(done)["collect"] == "0 new photos from 1 source" and lines(done)["merge"] == "1 photo merged"
    today, yesterday, _ = grown.open().runs()
    assert (today.run.state, yesterday.run.state) == ("done", "failed")
    assert (today.run.date - yesterday.run.date).days == 1 and yesterday.run.steps[-1].name == "check"
    assert not list(grown.folder.glob("*-training-images")) and grown.in_use() == "2026-11-27-001"


def test_an_error_that_is_foreseen_ends_the_run_and_the_next_one_is_a_new_one(
    grown: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("The disk", "is full", "Free some space.")

    grown.arrive("Ada/4.png")
    with monkeypatch.context() as patch:
        patch.setattr(train_stage, "train", full)
        failed = grown.day()
    assert failed.exit_code == 11 and told(failed)[0].startswith("the disk is full")
    assert (failed.run.state, failed.run.steps[-1].name) == ("failed", "train")
    again = grown.open().daily()
    assert again.exit_code == 0 and not again.resumed and again.run.id != failed.run.id
    assert grown.in_use() == "2026-11-26-001"


# Expiry


def test_a_person_whose_time_is_over_leaves_everything(grown: Club) -> None:
    grown.arrive("Ada/4.png", "Cy/4.png")
    grown.day()
    grown.arrive("Cy/5.png", "Cy/odd.png=Ada")
    assert grown.day().exit_code == 14  # odd.png waits
    grown.say(f'[people."Cy"]\nuntil = {grown.now.date()}')
    assert grown.open().daily().exit_code == 14, "the day itself is still one on which Cy may be recognised"
    assert "training-images/Cy/1.png" in grown.files()
    grown.arrive("Cy/6.png")
    done = grown.day()
    assert done.exit_code == 14 and lines(done)["expire"] == "6 photos set aside, whose time is over"
    assert "removed-images" in told(done)[0]
    cy = {name for name in grown.files() if "/Cy/" in name}
    assert cy == {f"removed-images/Cy/{name}.png" for name in (1, 2, 3, 4, 5, "odd")}
    for version in grown.versions():
        assert "Cy" not in load_model(grown.folder / "models" / version).people
    assert grown.versions() and [one.name for one in grown.open().status().people] == ["Ada", "Bo"]
    assert grown.painted.counts()["photos"] == 7
    assert grown.in_use() == grown.versions()[-1]
    (answer,) = grown.open().classify(grown.drop / "Cy/1.png")
    assert [face.prediction.person for face in answer.faces] == [None]
    again = grown.day()
    assert again.exit_code == 0 and lines(again)["expire"] == "nothing has expired"
    assert lines(again)["collect"] == "0 new photos from 1 source", "nor is Cy collected again"


@pytest.mark.parametrize("shelf", ["training-images", "aligned-images"])
def test_a_folder_that_cannot_be_removed_yet_goes_with_the_next_command(
    grown: Club, monkeypatch: pytest.MonkeyPatch, shelf: str
) -> None:
    grown.say(f'[people."Cy"]\nuntil = {grown.now.date()}')
    remove_folder = os.rmdir

    def full(path: str, **more: Any) -> None:
        if Path(path).name == "Cy" and Path(path).parent.name == shelf:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as a disk that writes what it deletes
        remove_folder(path, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", full)
        done = grown.day()
    assert done.exit_code == 14 and "1 removal that cannot be finished" in lines(done)["expire"]
    assert "Cy" not in load_model(grown.folder / "models" / str(grown.in_use())).people
    assert lines(grown.day())["expire"] == "1 removal finished that had been interrupted"
    assert not (grown.folder / shelf / "Cy").exists()
    with closing(grown.ledger()) as ledger:
        assert not ledger.people.id_of("Cy")


def test_a_clock_that_is_years_ahead_removes_nobody_on_its_first_day(grown: Club) -> None:
    grown.say(f'[people."Cy"]\nuntil = {grown.now.date() + timedelta(days=700)}')
    right, there = grown.now, {name for name in grown.files() if "/Cy/" in name}
    grown.now += timedelta(days=1000)
    done = grown.open().daily()
    assert done.exit_code == 14 and "the last run was 1,000 days ago" in lines(done)["expire"]
    assert {name for name in grown.files() if "/Cy/" in name} == there
    grown.now = right + timedelta(days=1)  # somebody has set it right
    assert lines(grown.open().daily())["expire"] == "nothing has expired"
    grown.now += timedelta(days=1000)
    assert "the last run was" in lines(grown.open().daily())["expire"], "the first such run proves nothing"
    assert "set aside, whose time is over" in lines(grown.day())["expire"], "it was right"
    assert not {name for name in grown.files() if name.startswith("training-images/Cy/")}


def test_with_the_last_person_the_last_model_goes(club: Club) -> None:
    club.arrive("Ada/1.png", "Ada/2.png")
    club.day()
    club.say(f"[people.Ada]\nuntil = {club.now.date()}")
    done = club.day()
    assert done.exit_code == 4 and "no photo to learn from" in told(done)[-1]
    assert club.in_use() is None and club.versions() == []


def test_a_source_whose_time_is_over_takes_what_only_it_brought(grown: Club) -> None:
    lent = grown.source("lent", f"until = {grown.now.date() + timedelta(days=1)}")
    grown.painted.paint(lent / "Ada/lent.png", "Ada")
    shutil.copy(grown.drop / "Ada/1.png", lent / "Ada/copy.png")
    (lent / "Bo").mkdir()
    shutil.copy(grown.painted.paint(grown.drop / "Bo/both.png", "Bo"), lent / "Bo")
    assert grown.day().exit_code == 0
    assert "training-images/Ada/lent.png" in grown.files()
    done = grown.day()
    assert done.exit_code == 14 and lines(done)["expire"] == "1 photo set aside, whose time is over"
    assert [name for name in grown.files() if name.startswith("removed-images")] == ["removed-images/Ada/lent.png"]
    assert {"training-images/Ada/1.png", "training-images/Bo/both.png"} <= grown.files().keys()
    lent_photo = lent / "Ada/lent.png"
    assert not grown.open().show(lent_photo).filed
    current = grown.in_use()
    assert current is not None and current not in grown.open().show(lent_photo).models
    assert grown.day().exit_code == 0


@pytest.fixture
def lent(grown: Club) -> tuple[Club, Path]:
    """A club on the eve of the expiry of a source that has brought one photo of Ada, and that photo."""
    folder = grown.source("lent", f"until = {grown.now.date() + timedelta(days=1)}")
    grown.painted.paint(folder / "Ada/lent.png", "Ada")
    grown.day()
    return grown, grown.painted.training / "Ada/lent.png"


def taught(club: Club) -> set[str]:
    """The photos that the model in use was made of."""
    model = load_model(club.folder / "models" / str(club.in_use()))
    return {photo for photos in model.card.photos.values() for photo in photos}


def test_of_a_photo_that_was_taken_out_by_hand_nothing_else_goes(lent: tuple[Club, Path]) -> None:
    club, photo = lent
    sha256 = club.open().show(photo).sha256
    assert sha256 in taught(club)
    photo.unlink()
    done = club.day()
    assert done.exit_code == 0 and lines(done)["expire"] == "nothing has expired"
    assert not (club.folder / "removed-images").exists()
    assert {f"training-images/Ada/{number}.png" for number in (1, 2, 3)} <= club.files().keys()
    assert sha256 not in taught(club)


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        ("mien.pipeline.remove", "take_out", True),
        ("mien.open_album", "OpenAlbum.sync", True),
        ("mien.stages.enrol", "enrol", True),
        ("mien.pipeline.learn", "put_into_use", False),
    ],
)
def test_killed_while_a_source_expires_nothing_else_goes_and_the_model_forgets(
    lent: tuple[Club, Path], owner: str, name: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    club, photo = lent
    sha256 = club.open().show(photo).sha256
    with monkeypatch.context() as patch:
        *within, name = name.split(".")
        once(patch, functools.reduce(getattr, within, importlib.import_module(owner)), name, after)
        with pytest.raises(KilledError):
            club.day()
    done = club.open().daily()
    assert done.resumed and done.exit_code == 14
    assert list(club.files("removed-images")) == ["removed-images/Ada/lent.png"]
    assert {f"training-images/Ada/{number}.png" for number in (1, 2, 3)} <= club.files().keys()
    assert sha256 not in taught(club)
    assert club.versions() == ["2026-11-25-001", "2026-11-26-001", "2026-11-27-001", "2026-11-27-002"]


# The command that is told


def test_a_command_gets_the_summary(grown: Club, capfd: pytest.CaptureFixture[str]) -> None:
    to = grown.folder.parent / "summary.json"
    script = f"import sys; open({str(to)!r}, 'wb').write(sys.stdin.buffer.read()); print('told')"
    grown.say_first(f"after_daily = {json.dumps([sys.executable, '-c', script])}")
    done = grown.day()
    assert done.exit_code == 0 and done.run.steps[-1].name == "after"
    assert lines(done)["after"] == f"{sys.executable} has the summary"
    told = json.loads(to.read_bytes())
    assert (told["exit_code"], told["state"], told["run"]) == (0, "done", done.run.id)
    assert [step["name"] for step in told["steps"]] == [*STEPS]
    assert capfd.readouterr().out == "", "what it prints is no part of mien's answer"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ([sys.executable, "-c", "raise SystemExit(3)"], "ended with exit code 3"),
        (["./no-such"], "./no-such cannot be run"),
    ],
)
def test_a_command_that_fails_changes_nothing_else(grown: Club, command: list[str], why: str) -> None:
    grown.say_first(f"after_daily = {json.dumps(command)}")
    grown.arrive("Ada/4.png")
    done = grown.day()
    assert done.exit_code == 14 and done.run.state == "done" and grown.in_use() == "2026-11-26-001"
    (line,) = told(done)
    assert why in line and line.endswith("Look at after_daily in mien.toml.")


# What the album tells


def test_runs_are_told_newest_first_and_one_by_name(grown: Club) -> None:
    grown.day()
    newest, first = grown.open().runs()
    assert newest.run.started > first.run.started and grown.open().run(first.run.id) == first
    assert len(grown.open().runs(limit=1)) == 1
    with pytest.raises(UsageError, match="The run x does not exist"):
        grown.open().run("x")


def test_an_album_that_has_not_run_has_no_runs(painted: Painted) -> None:
    assert painted.open().runs() == () and not (painted.folder / ".mien").exists()
    with pytest.raises(UsageError, match="The run x does not exist"):
        painted.open().run("x")


def test_what_is_known_of_a_collected_photo(grown: Club) -> None:
    shown = grown.open().show("Ada/1.png")
    (fetch,) = shown.fetches
    assert (fetch.source, fetch.location, fetch.licence, fetch.basis) == ("drop", "Ada/1.png", "own work", "consent")
    assert list(shown.models) == ["2026-11-25-001"]


def test_an_unknown_source_is_named_with_those_there_are(grown: Club) -> None:
    with pytest.raises(UsageError, match=r"names no source nobody.*It names drop"):
        grown.open().collect(["drop", "nobody"])


def test_the_loop_needs_its_training_folder(grown: Club) -> None:
    grown.painted.training.rename(grown.folder / "elsewhere")
    assert grown.day().exit_code == AlbumError.exit_code


def test_the_schedule_runs_a_missed_day_at_once_and_reads_the_settings_anew(
    grown: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown.now += timedelta(days=3)
    found: list[Daily] = []

    def stop(done: Daily) -> None:
        found.append(done)
        raise KeyboardInterrupt

    album = grown.open()
    grown.source("gone").rmdir()
    with pytest.raises(KeyboardInterrupt):
        album.run_daily(FIRST.time(), stop)
    assert found[0].exit_code == 14 and grown.open().runs()[0] == found[0]


def test_a_run_of_the_future_holds_nothing_back(grown: Club) -> None:
    today = grown.now
    grown.now += timedelta(days=3650)
    grown.arrive("Ada/5.png")
    grown.open().daily()
    grown.now = today + timedelta(days=2)
    ran: list[Daily] = []

    def stop(done: Daily) -> None:
        ran.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # a day was missed since the last run that is believed
        grown.open().run_daily(FIRST.time(), stop)
    assert ran[0].run.date == grown.now.date()


def test_a_schedule_begins_though_nothing_can_be_read_yet(grown: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Exception] = []
    monkeypatch.setattr("mien.pipeline.schedule.forever", lambda *_, **__: None)

    def away(album: Album) -> None:
        raise StorageError("The disk", "is away", "Wait.")

    monkeypatch.setattr(Album, "runs", away)
    grown.open().run_daily(FIRST.time(), lambda done: None, told.append)
    assert [type(error) for error in told] == [StorageError]
    with pytest.raises(StorageError):
        grown.open().run_daily(FIRST.time(), lambda done: None)


# What a review found


def test_an_expired_source_takes_nothing_that_the_user_had_or_filed_elsewhere(club: Club) -> None:
    club.say("until = 2026-12-01")  # the table of the source is the last
    own = club.painted.photo("Ada/own.png")
    (club.drop / "Ada").mkdir()
    shutil.copy2(own, club.drop / "Ada/x.png")
    club.arrive("Ada/theirs.png", "Bo/1.png")
    club.open().align()
    club.day()
    filed = club.open().add("Bo", [club.drop / "Ada/theirs.png"])
    assert filed.added
    club.now = FIRST + timedelta(days=60)
    done = club.day()
    assert done.run.state == "done"
    assert own.is_file(), "it was in the album before"
    assert (club.painted.training / "Bo/theirs.png").is_file(), "the user filed it there"
    assert not (club.painted.training / "Ada/theirs.png").exists()


@pytest.mark.parametrize("harm", ["damaged", "precision"])
def test_expiry_is_carried_out_though_the_model_in_use_cannot_be_changed(grown: Club, harm: str) -> None:
    if harm == "damaged":
        version = grown.in_use()
        assert version
        (grown.folder / "models" / version / "model.onnx").write_bytes(b"x")
    else:
        grown.say_first('precision = "int8"')
    grown.say('[people."Ada"]\nuntil = 2020-01-01')
    done = grown.day()
    assert done.run.state == "done", lines(done)
    current = grown.in_use()
    assert current
    assert load_model(grown.folder / "models" / current).people == ("Bo", "Cy")
    assert {name for _, _, name, *_ in fetched(grown)} == {"Bo", "Cy"}, "and the name is forgotten"


def test_what_waited_is_forgotten_with_the_person(grown: Club) -> None:
    photo = grown.painted.paint(grown.folder / "2026-01-01-training-images/Ada/9.png", "Ada")
    layout, settings = read_settings(grown.folder, {})
    with for_writing(layout, settings, wiring.tools, "test", lambda: grown.now, Silent()) as album:
        album.sync(layout.intakes())
        assert [file.path for file in album.catalog.files.on(layout.intakes())] == [layout.path(photo)]
    grown.open().remove("Ada", delete=True)
    with for_reading(layout, settings, wiring.tools, lambda: grown.now, Silent()) as album:
        assert album.catalog.files.on([shelf_of(layout.path(photo))]) == []


def test_a_photo_that_flips_is_told_by_its_place(grown: Club) -> None:
    first = grown.in_use()
    assert first
    shades(grown.painted.training / "Ada", (170, 100, 40), 12)  # Ada in another light
    second = grown.open().train().version
    found = grown.open().difference(first, second).compared
    assert isinstance(found, Compared) and found.flips
    assert all((grown.painted.training / flip.photo).is_file() for flip in found.flips)
    assert {flip.photo.split("/")[0] for flip in found.flips} <= {flip.person for flip in found.flips}


# Who is gone


def test_a_challenger_that_lost_somebody_whom_nobody_removed_is_kept_out(grown: Club) -> None:
    """attacks/13-unreadable-folder-is-a-deleted-person, where nobody can tell: the folder is simply not there."""
    version = grown.in_use()
    (grown.folder / "training-images/Cy").rename(grown.folder.parent / "away")
    done = grown.day()
    assert done.exit_code == 14 and grown.in_use() == version and len(grown.versions()) == 2
    gone, kept = told(done)
    assert "Cy is not known any more: 3 photos of 3 gone" in gone and "mien remove" in gone
    assert f"mien models promote {grown.versions()[-1]}" in kept
    (grown.folder.parent / "away").rename(grown.folder / "training-images/Cy")
    assert grown.day().exit_code == 0 and grown.in_use() == version, "it is made of the same photos again"


def test_photos_in_which_no_face_is_seen_any_more_are_not_called_gone(grown: Club) -> None:
    for number in (1, 2, 3):
        grown.painted.photo(f"Dee/{number}.png", "Bo", "Passer-by", sides=(60, 70 + number))
    album = grown.open()
    album.train()
    learned = grown.painted.open(clock=lambda: grown.now, skip_multi=True).train()
    assert not learned.in_use and [finding.kind for finding in learned.gone] == ["person unseen"]
    assert learned.gone[0].why == (
        "Dee is not known any more: the photos are in the album, and with the present settings no face is found in 3"
        " of 3."
    )


@pytest.mark.parametrize("meant", ["promoted", "removed", "renamed"])
def test_who_is_gone_with_somebodys_knowledge_keeps_nothing_out(grown: Club, meant: str) -> None:
    folder = grown.folder / "training-images/Cy"
    if meant == "renamed":
        folder.rename(folder.with_name("Cyrus"))
    else:
        shutil.rmtree(folder)
    if meant == "promoted":
        assert grown.day().exit_code == 14
        grown.open().promote(grown.versions()[-1])
    if meant == "removed":
        grown.open().remove("Cy")
    grown.arrive("Ada/4.png")
    done = grown.day()
    assert told(done) == [] and grown.in_use() == grown.versions()[-1]
    known = load_model(grown.folder / "models" / str(grown.in_use())).people
    assert known == (("Ada", "Bo", "Cyrus") if meant == "renamed" else ("Ada", "Bo"))


def test_training_does_not_lose_somebody_either(three_people: Painted, mien: Callable[..., Result]) -> None:
    for number in range(4, 13):
        three_people.photo(f"Bo/bo-{number}.png")
    three_people.open().train()
    first = three_people.open().version
    shutil.rmtree(three_people.training / "Cy")
    for _ in range(2):
        done = mien("-C", three_people.folder, "train")
        assert done.exit_code == 14 and three_people.open().version == first
        assert "Cy is not known any more" in done.stdout and "models promote" in done.stdout
    three_people.open().remove("Cy")
    for number in range(3, 13):
        (three_people.training / f"Bo/bo-{number}.png").unlink()
    done = mien("-C", three_people.folder, "train")
    assert done.exit_code == 0 and three_people.open().version != first
    assert "Bo is learned from 2 photos instead of 12" in done.stdout
