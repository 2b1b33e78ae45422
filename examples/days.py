"""Days in the life of an album, under a clock that is not the real one: photos arrive, and the model gets better.

Run it by scripts/demo --days 3. Each morning a photographer has put photos into a folder, some of them broken, one of
somebody else; `mien daily` fetches them, checks them, learns, and puts the new model into use if it is not worse. After
each day the model in use is measured on photos that it never gets, and on strangers.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from mien import Album

SAMPLE = Path(__file__).parent / "album"
TRAIN = 16
"""Photos of each person that arrive by and by; the other eight are for measuring."""
FIRST = datetime(2026, 3, 2, 3, 30, tzinfo=UTC)

MIEN_TOML = """
[sources.photographer]
kind = "folder"
path = "{drop}"
basis = "rendered people, who do not exist"
licence = "CC0-1.0"
"""


class Day(NamedTuple):
    """A line of the table."""

    day: str
    arrived: int
    held: int
    photos: int
    people: int
    right: str
    strangers: str
    model: str


def live(folder: Path, days: int) -> int:
    """Plays `days` days in the new folder `folder`; the exit code."""
    drop, probes = folder / "drop", folder / "probes"
    people = sorted(entry for entry in (SAMPLE / "people").iterdir() if entry.is_dir())
    strangers = sorted(entry for entry in (SAMPLE / "strangers").iterdir() if entry.is_dir())
    for person in people:
        _copy(sorted(person.glob("*.jpg"))[TRAIN:], probes / person.name)
    for stranger in strangers:
        _copy(sorted(stranger.glob("*.jpg")), probes / stranger.name)
    album = Album.create(folder / "album", "rendered people, who do not exist", "dlib-resnet")
    settings = album.folder / "mien.toml"
    settings.write_text(settings.read_text("utf-8") + MIEN_TOML.format(drop=drop.absolute().as_posix()), "utf-8")

    print("The people in these photos were rendered by a computer; none of them exists.\n")
    table: list[Day] = []
    for number in range(days):
        now = FIRST + timedelta(days=number)
        arrive(people, strangers, drop, number, days)
        _say(f"{now:%A, %d %B}: {_told(number, people)}")
        today = Album(album.folder, clock=lambda now=now: now)  # type: ignore[misc]
        daily = today.daily()
        print(f"$ mien -C {folder / 'album'} daily")
        for step in daily.run.steps:
            print(f"  {step.name:<9} {step.line}")
        for finding in daily.needs_human:
            print(f"  {'you':<9} {finding.line}")
        print(flush=True)
        if daily.run.state == "failed":
            return daily.exit_code
        found, status = today.evaluate(probes), today.status()
        table.append(
            Day(
                f"{now:%a %d %b}",
                int(daily.figure("collect", "photos") or 0),
                int(daily.figure("merge", "left") or 0),
                status.photos,
                len(status.people),
                f"{found.tpir.hits} of {8 * len(people)}",
                f"{found.fpir.hits} of {found.fpir.of}",
                found.model,
            )
        )
    _print(table)
    print()
    _say(
        "Held back are photos that wait in the intake until you have looked at them. The columns after that are"
        " measured on photos that the album never gets: how many photos of its people get the right name, and how"
        " many photos of strangers get anybody's."
    )
    program, place = _shown(Path(sys.executable).with_name("mien")), folder / "album"
    print(f"\nLook at    {place}{os.sep}, where each step has left what it made")
    print(f"Try next   {program} -C {place} runs     what each run did")
    print(f"           {program} -C {place} models   which models there are")
    print(f"           {program} -C {place} daily    a day on which nothing comes")
    return 0


def arrive(people: Sequence[Path], strangers: Sequence[Path], drop: Path, number: int, days: int) -> None:
    """What the photographer has put there by the morning of day `number`, the first being 0."""
    for rank, person in enumerate(people):
        since = number - (rank % 3 if days > 2 else 0)  # some are first photographed on the second or third day
        if since < 0:
            continue
        photos = sorted(person.glob("*.jpg"))[:TRAIN]
        upto = TRAIN if number == days - 1 else min(TRAIN, 3 + 5 * since)
        _copy(photos[:upto], drop / person.name)
    if number == 1:  # what a real folder has in it, too
        whole = sorted(people[0].glob("*.jpg"))[0].read_bytes()
        (drop / people[0].name / "cut off.jpg").write_bytes(whole[: len(whole) // 2])
        (drop / people[0].name / "a page.jpg").write_bytes(b"<html>404 not found</html>")
        shutil.copy2(sorted(people[3].glob("*.jpg"))[9], drop / people[0].name / "somebody else.jpg")


def _told(number: int, people: Sequence[Path]) -> str:
    """What there is to see on a day."""
    if number == 0:
        return "the first photos come, and the first model is made of them."
    if number == 1:
        return (
            "more photos come, and three files that should not have: a photo that is cut off, a web page called .jpg,"
            f" and a photo of {people[3].name} among {people[0].name}'s. The first two are refused. The third is held"
            f" back until you have looked at it, and so is the same picture under {people[3].name} if it came as well."
            " The new model is used if it is not worse than Monday's."
        )
    return "the rest comes, and the files of yesterday are not asked about again."


def _say(text: str) -> None:
    print(textwrap.fill(text, 78))


def _print(table: Sequence[Day]) -> None:
    heads = Day("day", "arrived", "held back", "photos", "people", "named rightly", "strangers named", "model")  # type: ignore[arg-type]
    rows = [[str(cell) for cell in row] for row in (heads, *table)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _copy(photos: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        if not (folder / photo.name).exists():
            shutil.copy2(photo, folder)
