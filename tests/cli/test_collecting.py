"""sources, collect, merge, daily, schedule and runs."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import Album
from mien.cli.collecting import NAMED
from mien.cli.console import SHOWN
from mien.errors import StorageError
from mien.open_album import read_settings
from mien.pipeline.daily import COMMAND, Daily
from mien.records.ledger import Ledger
from mien.storage.lock import lock
from mien.text.findings import StepKind
from mien.types import Finding

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]


def table(name: str, folder: str = "drop", rest: str = 'basis = "consent"\nlicence = "own work"') -> str:
    return f'\n[sources.{json.dumps(name)}]\nkind = "folder"\npath = "../{folder}"\n{rest}\n'


def say(painted: Painted, text: str) -> None:
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(text)


@pytest.fixture
def drop(painted: Painted) -> Path:
    """A folder that is a source of the album, with three photos each of Ada and Bo."""
    folder = painted.folder.parent / "drop"
    for person in ("Ada", "Bo"):
        for number in (1, 2, 3):
            painted.paint(folder / person / f"{number}.png", person)
    say(painted, table("drop"))
    return folder


def rows(output: str) -> dict[str, str]:
    """The entries of an output by their label."""
    return {line[:12].strip(): line[12:] for line in output.splitlines() if line[:1].strip()}


# sources


def test_without_a_source_it_is_said_how_to_write_one(mien: Mien, painted: Painted) -> None:
    result = mien("-C", painted.folder, "sources")
    assert result.exit_code == 0 and rows(result.stdout)["sources"] == "none is configured"
    assert f"[sources.NAME] into {painted.folder / 'mien.toml'}" in rows(result.stdout)["next"]
    assert json.loads(mien("-C", painted.folder, "sources", "--json").stdout) == []
    assert not (painted.folder / ".mien").exists()


def test_sources_are_a_table_and_what_keeps_one_from_running_is_said(mien: Mien, painted: Painted, drop: Path) -> None:
    say(painted, table("photographers-of-2019", rest='basis = "consent"'))
    say(painted, table("over", rest='basis = "x"\nlicence = "y"\nuntil = 2020-12-31'))
    assert [line.split() for line in mien("-C", painted.folder, "sources").stdout.splitlines()[1:4]] == [
        ["drop", "folder", "never", "-", "0", "0", "own", "work"],
        ["photographers-of-2019", "folder", "never", "-", "0", "0", "missing"],
        ["over", "folder", "never", "-", "0", "0", "y"],
    ]
    mien("-C", painted.folder, "collect", "drop")
    lines = mien("-C", painted.folder, "sources").stdout.splitlines()
    assert lines[0].split() == ["source", "kind", "last", "run", "new", "photos", "failing", "licence"]
    assert len({line.index("folder") for line in lines[1:4]}) == 1, "columns stand below each other"
    assert lines[1].split()[4:] == ["6", "6", "0", "own", "work"]
    assert lines[4:] == [
        "photographers-of-2019 does not state its licence, so nothing is collected from it. "
        "Write what is missing, in your own words, at the source in mien.toml.",
        "over        is not collected any more: its photos might be used until 2020-12-31. "
        "Set until of the source in mien.toml to a later day, if that is agreed.",
    ]
    found = json.loads(mien("-C", painted.folder, "sources", "--json").stdout)
    assert [(one["name"], one["photos"], one["last"] is None) for one in found] == [
        ("drop", 6, False),
        ("photographers-of-2019", 0, True),
        ("over", 0, True),
    ]


def test_what_a_source_offers_in_vain_is_named_and_can_be_had_whole(mien: Mien, painted: Painted, drop: Path) -> None:
    for number in range(NAMED + 2):
        (drop / f"Ada/page-{number}.jpg").write_bytes(b"<!doctype html>%d" % number)
    done = mien("-C", painted.folder, "daily")
    every = f"mien -C {painted.folder} sources --all"
    assert done.exit_code == 0 and "6 new photos from 1 source; 5 files refused" in rows(done.stdout)["collect"]
    assert "            Ada/page-0.jpg is not a photo mien can read; it is a web page (HTML)\n" in done.stdout
    last = json.loads(mien("-C", painted.folder, "runs", "--json").stdout)[0]["run"]
    assert mien("-C", painted.folder, "runs", last).stdout == done.stdout
    brief = mien("-C", painted.folder, "sources").stdout
    assert "refused     drop: Ada/page-0.jpg is no photo\n" in brief and f"… and 2 more: {every}\n" in brief
    assert mien("-C", painted.folder, "sources", "--all").stdout.count("is no photo") == NAMED + 2
    assert rows(mien("-C", painted.folder, "status").stdout)["sources"] == f"5 refused, being no photo: {every}"
    told = json.loads(mien("-C", painted.folder, "sources", "--json").stdout)
    assert len(told[0]["refused"]) == NAMED + 2


# collect


def test_what_would_come_and_what_came(mien: Mien, painted: Painted, drop: Path) -> None:
    dry = mien("-C", painted.folder, "collect", "--dry-run")
    assert dry.exit_code == 0 and not list(painted.folder.glob("*-training-images"))
    assert dry.stdout.splitlines()[:2] == ["drop        6 new photos", "            Ada  Ada/1.png"]
    assert rows(dry.stdout)["in all"] == "6 new photos would come"
    result = mien("-C", painted.folder, "collect")
    (intake,) = painted.folder.glob("*-training-images")
    assert result.exit_code == 0 and result.stderr == ""
    assert rows(result.stdout) == {
        "drop": "6 new photos of 2 people",
        "in all": f"6 new photos came into {intake.name}",
        "next": f"mien -C {painted.folder} merge, or daily for all that follows",
    }
    assert rows(mien("-C", painted.folder, "collect").stdout) == {
        "drop": "0 new photos; 6 known",
        "in all": "0 new photos came",
    }


def test_a_source_that_cannot_be_read_is_15_and_the_others_are_collected(
    mien: Mien, painted: Painted, drop: Path
) -> None:
    say(painted, table("gone", "nowhere") + table("lawless", rest=""))
    result = mien("-C", painted.folder, "collect")
    assert result.exit_code == 15
    assert rows(result.stdout)["drop"] == "6 new photos of 2 people"
    assert "The source gone cannot find its folder" in rows(result.stdout)["gone"]
    assert "states no basis and no licence" in rows(result.stdout)["lawless"]
    assert "[sources.lawless]" in rows(result.stdout)["lawless"]


def test_photos_that_cannot_be_had_are_16_and_named(mien: Mien, painted: Painted, drop: Path) -> None:
    for number in range(SHOWN + 2):
        painted.paint(drop / f"con.{number}" / "1.png", "Ada")
    result = mien("-C", painted.folder, "collect")
    assert result.exit_code == 16
    assert "cannot be a person's name" in rows(result.stdout)["failed"]
    assert "            … and 2 more; --json has them all" in result.stdout.splitlines()
    told = json.loads(mien("-C", painted.folder, "collect", "--json").stdout)
    assert told["complete"] is False and len(told["sources"][0]["failed"]) == SHOWN + 2


def test_a_picture_of_two_people_is_told(mien: Mien, painted: Painted, drop: Path) -> None:
    (drop.parent / "other/Cy").mkdir(parents=True)
    (drop.parent / "other/Cy/x.png").write_bytes((drop / "Ada/1.png").read_bytes())
    say(painted, table("other", "other"))
    result = mien("-C", painted.folder, "collect")
    assert result.exit_code == 0
    assert rows(result.stdout)["look at"] == (
        "Cy/x.png lies under Cy and under Ada: one picture was given for several people"
    )


def test_what_is_no_photo_is_refused_and_that_is_no_failure(mien: Mien, painted: Painted, drop: Path) -> None:
    (drop / "Ada/page.jpg").write_bytes(b"<!doctype html>")
    result = mien("-C", painted.folder, "collect")
    assert result.exit_code == 0 and "page.jpg" in rows(result.stdout)["refused"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_cannot_drive_the_terminal(mien: Mien, painted: Painted, drop: Path) -> None:
    hostile = "\x1b[2J\x07"
    painted.paint(drop / f"A{hostile}" / f"1{hostile}.png", "Ada")
    painted.paint(drop / "Ada" / f"4{hostile}.png", "Ada")
    say(painted, table(f"so{hostile}urce", "nowhere"))
    for words in (["collect", "--dry-run"], ["collect"], ["sources"], ["daily"], ["runs"], ["sources", "--json"]):
        result = mien("-C", painted.folder, *words)
        assert all(line.isprintable() for line in result.stdout.splitlines()), words
        assert "\x1b" not in result.stderr and "\x07" not in result.stderr


def test_a_source_that_is_not_there_is_a_wrong_word(mien: Mien, painted: Painted, drop: Path) -> None:
    result = mien("-C", painted.folder, "collect", "nobody")
    assert result.exit_code == 2
    assert "mien.toml names no source nobody." in result.stderr and "It names drop." in result.stderr


# merge


def test_what_was_collected_is_merged(mien: Mien, painted: Painted, drop: Path) -> None:
    assert rows(mien("-C", painted.folder, "merge").stdout) == {"merged": "nothing waits"}
    painted.photo("Ada/1.png", "Stranger")
    mien("-C", painted.folder, "collect")
    (intake,) = painted.folder.glob("*-training-images")
    (intake / "Ada/notes.txt").write_text("?")
    result = mien("-C", painted.folder, "merge")
    assert result.exit_code == 0
    assert rows(result.stdout) == {
        "merged": "6 photos; 1 under another name, as theirs were taken",
        "left": f"{intake.name}/Ada/notes.txt is not a photo by its name."
        " If it is one, give it the ending of its format: .jpg, say",
        "next": f"mien -C {painted.folder} train",
    }
    assert (painted.training / "Ada/1-2.png").is_file()
    told = json.loads(mien("-C", painted.folder, "merge", "--json").stdout)
    assert told["moved"] == [] and [one["reason"] for one in told["left"]] == ["is not a photo by its name"]


def test_only_the_photos_of_a_day(mien: Mien, painted: Painted) -> None:
    for day in ("2026-11-23", "2026-11-24"):
        painted.paint(painted.folder / f"{day}-training-images/Ada/{day}.png", "Ada")
    assert rows(mien("-C", painted.folder, "merge", "--date", "2026-11-24").stdout)["merged"] == "1 photo"
    assert (painted.folder / "2026-11-23-training-images").is_dir()
    assert not (painted.folder / "2026-11-24-training-images").exists()
    assert rows(mien("-C", painted.folder, "merge", "--date", "2020-01-01").stdout) == {"merged": "nothing waits"}


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "24.11.2026", ""])
def test_a_wrong_date(mien: Mien, painted: Painted, day: str) -> None:
    result = mien("-C", painted.folder, "merge", "--date", day)
    assert result.exit_code == 2 and "is no date" in result.stderr and "2027-12-31" in result.stderr


# daily and runs


def test_a_day_in_lines(mien: Mien, painted: Painted, drop: Path) -> None:
    result = mien("-C", painted.folder, "daily")
    assert result.exit_code == 0
    found = rows(result.stdout)
    steps = ["expire", "collect", "align", "check", "merge", "train", "evaluate", "promote"]
    assert list(found) == ["run", *steps]
    version = Album(painted.folder).version
    assert found["promote"] == f"{version} is in use now"
    assert found["run"].endswith(" s") and "earlier process" not in found["run"]


def test_a_day_that_needs_a_human_is_14_and_says_for_what(mien: Mien, painted: Painted, drop: Path) -> None:
    mien("-C", painted.folder, "daily")
    painted.paint(drop / "Ada/odd.png", "Bo")
    result = mien("-C", painted.folder, "daily")
    assert result.exit_code == 14 and "Ada/odd.png: the face is Bo's" in rows(result.stdout)["for you"]
    told = json.loads(mien("-C", painted.folder, "daily", "--json").stdout)
    assert told["exit_code"] == 14 and told["needs_human"] and told["state"] == "done"


def test_a_day_that_fails_has_the_exit_code_of_its_error(mien: Mien, painted: Painted) -> None:
    result = mien("-C", painted.folder, "daily")
    assert result.exit_code == 4
    assert rows(result.stdout)["train"] == "there is no photo to learn from"
    listed = mien("-C", painted.folder, "runs").stdout.splitlines()
    assert listed[1].split()[2] == "failed" and listed[1].endswith("there is no photo to learn from")


def test_a_second_one_says_who_holds_the_album(mien: Mien, painted: Painted, drop: Path) -> None:
    with lock(read_settings(painted.folder, {})[0], "train"):
        for command in ("daily", "collect", "merge"):
            result = mien("-C", painted.folder, command)
            assert result.exit_code == 10 and 'in use by "train" (process ' in result.stderr
        assert mien("-C", painted.folder, "sources").exit_code == 0, "reading needs no lock"


def test_runs_are_a_table_and_one_is_told_in_full(mien: Mien, painted: Painted, drop: Path) -> None:
    assert rows(mien("-C", painted.folder, "runs").stdout) == {
        "runs": f"none yet; mien -C {painted.folder} daily makes one"
    }
    assert json.loads(mien("-C", painted.folder, "runs", "--json").stdout) == []
    first = mien("-C", painted.folder, "daily")
    mien("-C", painted.folder, "daily")
    head, second_line, first_line = mien("-C", painted.folder, "runs").stdout.splitlines()
    assert head.split() == ["run", "for", "state", "took", "new", "outcome"]
    assert first_line.split()[2] == "done" and " 6  " in first_line and first_line.endswith("is in use now")
    assert second_line.endswith("stays in use")
    name = first_line.split()[0]
    assert mien("-C", painted.folder, "runs", name).stdout == first.stdout
    assert json.loads(mien("-C", painted.folder, "runs", name, "--json").stdout)["run"] == name
    newest = json.loads(mien("-C", painted.folder, "runs", "--json").stdout)
    assert [one["state"] for one in newest] == ["done", "done"] and newest[1]["run"] == name


def test_a_run_that_was_killed_is_told_as_far_as_it_came(mien: Mien, painted: Painted, drop: Path) -> None:
    mien("-C", painted.folder, "collect")
    now = datetime.now(UTC)
    with Ledger.for_writing(painted.folder / ".mien/catalog-ledger.sqlite") as ledger:
        runs = ledger.runs
        run = runs.begin(COMMAND, now.astimezone().date(), now)
        runs.begin_step(run.id, "expire", now)
        runs.finish_step(run.id, "expire", now, "done", {"photos": 0}, [Finding(StepKind.NOTHING_EXPIRED)])
        runs.begin_step(run.id, "collect", now)
    told = rows(mien("-C", painted.folder, "runs", run.id).stdout)
    assert told["run"].endswith("not finished") and told["collect"] == "was not finished"
    (line,) = mien("-C", painted.folder, "runs").stdout.splitlines()[1:]
    assert line.split()[2:] == ["running", "-", "0", "not", "finished"]
    result = mien("-C", painted.folder, "daily")
    assert result.exit_code == 0 and rows(result.stdout)["run"].endswith(", begun by an earlier process")


def test_a_run_that_is_not_there(mien: Mien, painted: Painted) -> None:
    result = mien("-C", painted.folder, "runs", "x")
    assert result.exit_code == 2 and "The run x does not exist." in result.stderr


# schedule


def test_a_line_for_cron(mien: Mien, painted: Painted) -> None:
    result = mien("-C", painted.folder, "schedule", "--print", "cron", "--at", "4:05")
    assert result.exit_code == 0
    words = shlex.split(result.stdout)
    assert words[:5] == ["5", "4", "*", "*", "*"] and words[6:] == ["-C", str(painted.folder), "daily"]
    assert Path(words[5]).parent == Path(sys.executable).parent


def test_units_for_systemd(mien: Mien, painted: Painted) -> None:
    result = mien("-C", painted.folder, "schedule", "--print", "systemd", "--at", "23:00")
    assert result.exit_code == 0
    assert "OnCalendar=*-*-* 23:00:00" in result.stdout and f"-C {painted.folder} daily" in result.stdout
    assert result.stdout.splitlines()[-1] == "# then: systemctl --user enable --now mien-album.timer"


def test_wrong_words_for_a_schedule(mien: Mien, painted: Painted) -> None:
    for words, said in ((["--at", "25:00"], "25:00 is no time of day."), (["--print", "launchd"], "is not known")):
        result = mien("-C", painted.folder, "schedule", *words)
        assert result.exit_code == 2 and said in result.stderr and result.stdout == ""


def test_in_the_foreground_each_run_is_told_until_it_is_stopped(
    mien: Mien, painted: Painted, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_daily(album: Album, at: object, each: Callable[[Daily], None], failed: Callable[[Exception], None]) -> None:
        failed(StorageError("The disk", "is full", "Free some space."))
        each(album.daily())
        raise KeyboardInterrupt

    monkeypatch.setattr(Album, "run_daily", run_daily)
    result = mien("-C", painted.folder, "schedule", "--at", "03:30")
    assert result.exit_code == 130 and "Stopped." in result.stderr
    assert result.stderr.startswith("mien: The disk is full.\n      Free some space.\n")
    assert "The next run comes tomorrow." in result.stderr
    assert result.stdout.splitlines()[0] == f"Each day at 03:30, in {painted.folder}. Ctrl-C ends it."
    assert rows(result.stdout)["promote"].endswith("is in use now")


def test_a_long_run_is_told_in_minutes(mien: Mien, painted: Painted) -> None:
    now = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)
    (painted.folder / ".mien").mkdir()
    with Ledger.for_writing(painted.folder / ".mien/catalog-ledger.sqlite") as ledger:
        run = ledger.runs.begin(COMMAND, now.date(), now)
        ledger.runs.finish(run.id, now + timedelta(minutes=95), "failed")
    assert rows(mien("-C", painted.folder, "runs", run.id).stdout)["run"] == f"{run.id} for 2026-11-24, 95 min"
