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
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from mien import Album
from recalled import FILE, recalled

FIRST = datetime(2026, 3, 2, 3, 30, tzinfo=UTC)
OPERATIONS = frozenset({"open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime"})
"""Audit events (PEP 578) that may change a file, counted to place a kill."""


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


def drive(folder: Path, days: int, plan: Plan) -> int:
    """Lives the days that are not over yet, in this process, which may be killed on the way: the file operations it
    took."""
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
        eyes = recalled if FILE in os.environ else None
        album = Album(folder / "album", eyes=eyes, clock=lambda now=now: now, views=1, workers=2)  # type: ignore[misc]
        daily = album.daily()
        if daily.run.state != "done":
            raise SystemExit(f"day {day} failed: {[finding.line for finding in daily.needs_human]}")
    return operations.count


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
    """Drives in a fork of this process, which never drives itself: the file operations it took, None if it was
    killed."""
    told, saying = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.close(told)
            os.write(saying, str(drive(folder, days, plan)).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(saying)
    with open(told, "rb") as pipe:  # noqa: PTH123 - of a handle
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code == -signal.SIGKILL:
        return None
    if code or not said:
        raise SystemExit(f"{folder}: it ended with {code}")
    return int(said)


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


def chaos(
    folder: Path, photos: Path, runs: int, seed: int, days: int, people: int, per_day: int, recall: bool = False
) -> int:
    """Prints a table; how many runs ended otherwise than the undisturbed one. With `recall` what that one saw in the
    photos is not computed again by the others."""
    make(folder / "calm", photos, days, people, per_day)
    if recall:
        os.environ[FILE] = str(folder / "seen.sqlite")
        here = str(Path(__file__).parent)  # where the process finds the eyes in which a photo is seen apart
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
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


def _import_all() -> None:
    """Imports what each run needs, so that its forks have it."""
    for module in ("pipeline.daily", "pipeline.learn", "records.catalog", "records.ledger", "report.build"):
        importlib.import_module(f"mien.{module}")
    for stage in ("align", "check", "collect", "compare", "merge", "train"):
        importlib.import_module(f"mien.stages.{stage}")
    importlib.import_module("onnxruntime")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--per-day", type=int, default=3)
    parser.add_argument("--photos", type=Path, default=Path(__file__).parent.parent / "examples/album/people")
    parser.add_argument("--no-verbs", action="store_true")
    parser.add_argument("--recall", action="store_true", help="see each photo once, and not again in each run")
    given = parser.parse_args()
    _import_all()
    with tempfile.TemporaryDirectory() as folder:
        about = (given.runs, given.seed, given.days, given.people, given.per_day, given.recall)
        bad = chaos(Path(folder), given.photos, *about)
    if not given.no_verbs:
        import chaos_verbs

        with tempfile.TemporaryDirectory() as folder:
            bad += chaos_verbs.run(Path(folder), given.seed)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
