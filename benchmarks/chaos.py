"""Does the daily loop end the same wherever it is killed? Three simulated days, SIGKILL at random points, compared.

    python benchmarks/chaos.py [--runs 50] [--seed 0] [--photos FOLDER] [--days 3]

Then every command is killed at every file operation, as chaos_verbs.py says, which takes an hour; --no-verbs leaves it
out.

FOLDER holds a folder of photos for each person; the default are the sample people. An undisturbed run comes first. Then
each run is killed one to three times, either at a random file operation or after a random time, started again each
time, and at the end compared with the undisturbed one: photos, provenance, faces, models, and what is left lying about.
The exit code is 1 if any differs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import chaos_verbs
from mien import Album

FIRST = datetime(2026, 3, 2, 3, 30, tzinfo=UTC)
OPERATIONS = frozenset({"open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime"})
"""Audit events (PEP 578) that may change a file, counted to place a kill."""
DONE = "days done; file operations:"


class Plan(NamedTuple):
    """When to kill: at this file operation, or after so many seconds; never for neither."""

    operation: int | None = None
    seconds: float | None = None


def make(folder: Path, photos: Path, days: int, people: int, per_day: int) -> None:
    """A new album in `folder` whose source is the folder drop/, and what arrives in it on each day: also broken files,
    copies, somebody else's photo, and names that are taken already."""
    album = Album.create(folder / "album", "simulated", "dlib-resnet")
    with (album.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[sources.drop]\nkind = "folder"\npath = "{(folder / "drop").as_posix()}"\n')
        file.write('basis = "simulated"\nlicence = "CC0-1.0"\n')
    chosen = sorted(entry for entry in photos.iterdir() if entry.is_dir())[:people]
    for day in range(days):
        today = folder / "arrivals" / str(day)
        for rank, person in enumerate(chosen):
            if rank % days > day:
                continue  # some people come later
            some = sorted(entry for entry in person.iterdir() if entry.is_file())
            for number, photo in enumerate(some[day * per_day : (day + 1) * per_day]):
                target = today / person.name / f"day {day}" / (f"{number}{photo.suffix}" if rank % 2 else photo.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(photo, target)
        first = today / chosen[0].name
        whole = sorted(first.rglob("*.*"))[0].read_bytes()
        (first / "cut off.jpg").write_bytes(whole[: len(whole) // 2])
        (first / f"page {day}.jpg").write_bytes(b"<html>no picture</html>")
        (first / f"again {day}.jpg").write_bytes(whole)
        if day:
            strange = sorted(entry for entry in chosen[-1].iterdir() if entry.is_file())[-day]
            shutil.copyfile(strange, first / f"somebody else {day}.jpg")


def drive(folder: Path, days: int, plan: Plan) -> None:
    """Lives the days that are not over yet, in this process, which may be killed on the way."""
    operations = _Operations(plan.operation, str(folder / "album"))
    sys.addaudithook(operations)
    if plan.seconds is not None:
        threading.Timer(plan.seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
    done = {run.run.date for run in Album(folder / "album").runs(1000) if run.run.state == "done"}
    for day in range(days):
        now = FIRST + timedelta(days=day)
        if now.date() in done:
            continue
        for photo in sorted((folder / "arrivals" / str(day)).rglob("*.*")):
            target = folder / "drop" / photo.relative_to(folder / "arrivals" / str(day))
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                os.link(photo, target)
        album = Album(folder / "album", clock=lambda now=now: now, views=1, workers=2)  # type: ignore[misc]
        daily = album.daily()
        if daily.run.state != "done":
            raise SystemExit(f"day {day} failed: {[finding.line for finding in daily.needs_human]}")
    print(DONE, operations.count, flush=True)


class _Operations:
    """An audit hook that counts file operations in a folder, and kills this process at one of them."""

    def __init__(self, fatal: int | None, folder: str) -> None:
        self.count, self._fatal, self._folder = 0, fatal, folder

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in OPERATIONS and self._folder in str(arguments[0]):
            self.count += 1
            if self.count == self._fatal:
                os.kill(os.getpid(), signal.SIGKILL)


def run(folder: Path, days: int, plan: Plan) -> int | None:
    """Drives in a process of its own: the file operations it took, None if it was killed."""
    words = [sys.executable, __file__, "--drive", str(folder), "--days", str(days)]
    words += ["--operation", str(plan.operation)] if plan.operation is not None else []
    words += ["--seconds", str(plan.seconds)] if plan.seconds is not None else []
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGKILL:
        return None
    if done.returncode or DONE not in done.stdout:
        raise SystemExit(f"{folder}: {done.stdout}{done.stderr}")
    return int(done.stdout.rpartition(DONE)[2])


def outcome(folder: Path) -> dict[str, Any]:
    """What an album has come to, times aside."""
    import sqlite3

    album = folder / "album"

    def rows(query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(album / ".mien/catalog.sqlite")) as connection:
            connection.execute("ATTACH DATABASE ? AS ledger", [str(album / ".mien/catalog-ledger.sqlite")])
            return sorted(connection.execute(query).fetchall())

    files = {
        file.relative_to(album).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in album.rglob("*")
        if file.is_file()
        and ".mien" not in file.relative_to(album).parts[0]
        and file.name not in ("card.json", "report.html", "mien.toml")
    }
    return {
        "album": files,
        "pages": sorted(file.parent.name for file in album.glob("models/*/report.html")),
        "leftovers": sorted(file.name for file in album.rglob(".mien-*")),
        "faces": rows("SELECT sha256, encoder, number, hex(embedding) FROM faces"),
        "files": rows(
            "SELECT files.path, name, files.sha256, number FROM files JOIN people ON people.id = person"
            " LEFT JOIN chosen ON chosen.path = files.path LEFT JOIN faces ON faces.id = chosen.face"
        ),
        "fetches": rows(
            "SELECT source, location, name, sha256, outcome, path, licence FROM fetches"
            " JOIN people ON people.id = person"
        ),
        "promotions": rows("SELECT version, how FROM promotions"),
        "runs": rows("SELECT date, state FROM runs WHERE state != 'failed'"),
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """In what two outcomes differ."""
    found = []
    for key, value in one.items():
        if value != other[key]:
            mine, theirs = (set(part.items()) if isinstance(part, dict) else {*part} for part in (value, other[key]))
            found.append(f"{key}: missing {sorted(mine - theirs)[:3]}, too many {sorted(theirs - mine)[:3]}")
    return found


def chaos(folder: Path, photos: Path, runs: int, seed: int, days: int, people: int, per_day: int) -> int:
    """Prints a table; how many runs ended otherwise than the undisturbed one."""
    make(folder / "calm", photos, days, people, per_day)
    started = time.monotonic()
    operations = run(folder / "calm", days, Plan())
    assert operations is not None
    seconds = time.monotonic() - started
    wanted = outcome(folder / "calm")
    print(f"undisturbed: {len(wanted['album'])} files, {operations} file operations, {seconds:.1f} s")
    dice, bad = random.Random(seed), 0
    for number in range(runs):
        place = folder / f"run-{number}"
        make(place, photos, days, people, per_day)
        kills: list[str] = []
        for nth in range(dice.randint(1, 3)):
            by_time = nth > 0 and dice.random() < 0.7  # the first kill must not come too late on a quick machine
            plan = (
                Plan(seconds=dice.uniform(0, seconds))
                if by_time
                else Plan(operation=dice.randint(1, 9 * operations // 10))
            )
            if run(place, days, plan) is None:
                kills.append(f"{plan.seconds:.2f} s" if plan.seconds is not None else f"operation {plan.operation}")
        run(place, days, Plan())
        found = differences(wanted, outcome(place))
        bad += bool(found)
        print(
            f"run {number:>3}  killed at {', '.join(kills) or 'nothing'}: {found or 'the same'}",
            flush=True,
        )
        shutil.rmtree(place)
    print(f"{runs - bad} of {runs} runs ended the same")
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--per-day", type=int, default=3)
    parser.add_argument("--photos", type=Path, default=Path(__file__).parent.parent / "examples/album/people")
    parser.add_argument("--no-verbs", action="store_true")
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--operation", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        drive(given.drive, given.days, Plan(given.operation, given.seconds))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        bad = chaos(Path(folder), given.photos, given.runs, given.seed, given.days, given.people, given.per_day)
    if not given.no_verbs:
        with tempfile.TemporaryDirectory() as folder:
            bad += chaos_verbs.run(Path(folder), given.seed)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
