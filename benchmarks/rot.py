"""Is a number that rotted on the disk ever believed? Values in mien's own files are changed, and answers compared.

    python benchmarks/rot.py [--trials 300] [--first 0] [--seed 0]

An album of painted people, with a life behind it, is damaged in one place: a value in a table of the catalog or of the
ledger, a byte of any file of mien's, a field of a model's card, the name of the version in use.
Then status, check, train, classify and daily are run in it, and what it says then (who is in photos, who is in the
album, where photos came from, who was removed) is compared with what an album says that was not damaged. The answers
are the same, or a line tells of the damage; anything else is counted as believed, and the exit code is 1. So it is for
an error that mien did not foresee.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien import Album
from mien.errors import MienError
from mien.protocols import Silent
from mien.seeing.eyes import Eyes
from mien.testing import draw_photo, fake_eyes
from mien.types import EncoderChoice

COLOURS = {"Ada": (200, 40, 40), "Bo": (40, 200, 40), "Cy": (40, 40, 200), "Di": (200, 200, 40)}
REMOVED = "Di"
PHOTOS = 6
"""Of each person; one more is asked about, and another waits in the source."""

DATABASES = {"catalog": "catalog.sqlite", "ledger": "catalog-ledger.sqlite"}
VALUES: tuple[object, ...] = (None, -1, 0, 7, 2**62, -1.5, 1e300, float("inf"), "", "x", "../../x", "{}", "[1]", "2026")


@dataclass
class Told(Silent):
    """Everything that was said while work went on."""

    lines: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        self.lines.append(line)


def _eyes(choice: EncoderChoice) -> Eyes:
    return fake_eyes()


def _paint(file: Path, person: str, number: int) -> None:
    red, green, blue = COLOURS[person]
    colour = (red + number % 3, green + number // 3 % 3, blue + number // 9 % 3)
    pixels = draw_photo([(colour, (8, 20, 88, 100))], 240, 200)
    pixels[-1, :4, 0] = [number * 17 % 251, sum(person.encode()) % 251, number, 1]
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def _opened(folder: Path, told: Told | None = None) -> Album:
    return Album(folder, eyes=_eyes, progress=told, clock=lambda: datetime(2026, 3, 4, 3, 30, tzinfo=UTC))


def make(folder: Path) -> None:
    """An album in `folder`/album, its source in `folder`/drop, and photos to ask about in `folder`/asked."""
    album = Album.create(folder / "album", "painted", "dlib-resnet")
    with (album.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write('\nviews = 1\n[sources.drop]\nkind = "folder"\npath = "../drop"\nbasis = "consent"\n')
        file.write('licence = "own work"\n')
    for person in COLOURS:
        for number in range(PHOTOS):
            _paint(folder / "hand" / person / f"{number}.png", person, number)
        _opened(album.folder).add(person, folder / "hand" / person)
        _paint(folder / "asked" / f"{person}.png", person, PHOTOS)
    _paint(folder / "drop/Ada/first.png", "Ada", PHOTOS + 1)
    (folder / "drop/Ada/page.png").write_bytes(b"<html>no picture</html>")
    _opened(album.folder).train()
    _opened(album.folder).daily()
    _opened(album.folder).remove(REMOVED)
    _paint(folder / "drop/Bo/later.png", "Bo", PHOTOS + 2)


# What is damaged


@dataclass(frozen=True)
class Damage:
    """What was damaged: the kind ("catalog", "card"), and where and how."""

    kind: str
    what: str


def damage(album: Path, random_: random.Random, kind: str) -> Damage | None:
    """Damages one thing of a kind in an album; None where that cannot be."""
    return _KINDS[kind](album, random_)


def _value(name: str) -> Callable[[Path, random.Random], Damage | None]:
    """One value in any table of a database."""

    def change(album: Path, random_: random.Random) -> Damage | None:
        with closing(sqlite3.connect(album / ".mien" / DATABASES[name], isolation_level=None)) as database:
            tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
            table = random_.choice([one for (one,) in database.execute(tables)])
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            column = random_.choice(columns)
            rows = database.execute(f"SELECT * FROM {table}").fetchall()
            if not rows:
                return None
            row = random_.choice(rows)
            old = row[columns.index(column)]
            others = [one for each in rows if (one := each[columns.index(column)]) != old]
            new = _other(old, others, random_)
            database.execute("PRAGMA ignore_check_constraints = ON")
            same = " AND ".join(f"{one} IS ?" for one in columns)
            try:
                database.execute(f"UPDATE {table} SET {column} = {_placeholder(new)} WHERE {same}", (new, *row))
            except (sqlite3.Error, OverflowError):
                return None  # NOT NULL, a key that is there, a number that SQLite cannot hold
        return Damage(name, f"{table}.{column}: {_short(old)} -> {_short(new)}")

    return change


def _placeholder(value: object) -> str:
    return "CAST(? AS TEXT)" if isinstance(value, bytes) and value.startswith(b"\xff\xfe") else "?"


def _other(old: object, others: list[object], random_: random.Random) -> object:
    """Another value in the place of `old`: of another row, odd, or with a byte flipped."""
    choices: list[object] = [one for one in random_.sample(VALUES, 4) if one != old] + others[:1]
    if isinstance(old, bytes) and old:
        for _ in range(6):
            flipped = bytearray(old)
            flipped[random_.randrange(len(old))] ^= 1 << random_.randrange(8)
            choices.append(bytes(flipped))
        choices += [bytes(len(old)), np.full(len(old) // 4, np.nan, "<f4").tobytes(), old[:-4]]
    if isinstance(old, str):
        choices += [b"\xff\xfe" + old.encode(), old[:-1], old + "0"]
    if isinstance(old, int | float):
        choices += [old + 1, -old, old * 1000]
    return random_.choice([one for one in choices if one != old])


def _byte(pattern: str) -> Callable[[Path, random.Random], Damage | None]:
    """One byte of a file."""

    def change(album: Path, random_: random.Random) -> Damage | None:
        files = sorted(file for file in album.glob(pattern) if file.is_file() and file.stat().st_size)
        if not files:
            return None
        file = random_.choice(files)
        data = bytearray(file.read_bytes())
        at, bit = random_.randrange(len(data)), random_.randrange(8)
        data[at] ^= 1 << bit
        file.write_bytes(data)
        return Damage("byte", f"{file.relative_to(album)}: bit {bit} of byte {at:,} of {len(data):,}")

    return change


def _card(album: Path, random_: random.Random) -> Damage | None:
    """A field of a model's card or of its rule."""
    file = random_.choice(sorted(album.glob("models/*/*.json")))
    value = json.loads(file.read_bytes())
    part, path = value, ""
    while True:
        key = random_.choice(sorted(part) if isinstance(part, dict) else range(len(part)))
        path += f".{key}"
        if not isinstance(part[key], dict | list) or not part[key]:
            break
        part = part[key]
    old = part[key]
    part[key] = random_.choice([one for one in (*VALUES[:-1], "2026-01-01-001") if one != old])
    file.write_text(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return Damage("card", f"{file.relative_to(album)}{path}: {_short(old)} -> {_short(part[key])}")


def _pointer(album: Path, random_: random.Random) -> Damage | None:
    """The name of the version in use."""
    file = album / "models/current"
    there = sorted(entry.name for entry in album.glob("models/2*"))
    old = file.read_text().strip()
    new = random_.choice([one for one in ("", "x", "2026-01-01-001", "../..", "\0", old[:-1], *there) if one != old])
    file.write_text(new + "\n")
    return Damage("current", f"{old} -> {new!r}")


_KINDS: dict[str, Callable[[Path, random.Random], Damage | None]] = {
    "catalog": _value("catalog"),
    "ledger": _value("ledger"),
    "byte of the catalog": _byte(".mien/catalog.sqlite"),
    "byte of the ledger": _byte(".mien/catalog-ledger.sqlite"),
    "byte of a model": _byte("models/*/*.*"),
    "card": _card,
    "current": _pointer,
}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 40 else f"{text[:37]}..."


# What is said then


@dataclass
class Said:
    """What an album says: its answers, the lines that tell of something, and the mistakes of mien's."""

    answers: dict[str, Any] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)


def ask(folder: Path) -> Said:
    """Runs status, check, train, classify and daily in `folder`/album, and asks everything that can be asked."""
    said, told = Said(), Told()
    place = folder / "album"

    def run(name: str, work: Callable[[Album], Any]) -> None:
        try:
            said.answers[name] = work(_opened(place, told))
        except MienError as error:
            said.answers[name] = None
            said.told.append(str(error))
        except Exception as error:
            said.answers[name] = None
            where = traceback.extract_tb(error.__traceback__)[-1]
            said.mistakes.append(f"{name}: {error!r:.200} ({Path(where.filename).name}, line {where.lineno})")

    def status(album: Album) -> Any:
        found = album.status()
        said.told += [one.line for one in (*found.stale, *found.damage)]
        if found.damaged:
            said.told.append(str(found.damaged))
        return [[[one.name, one.photos] for one in found.people], [one.name for one in found.removed]]

    def check(album: Album) -> None:
        said.told += [finding.line for finding in album.check().findings]

    def train(album: Album) -> None:
        said.told += [finding.line for finding in album.train().needs_human]

    def classify(album: Album) -> Any:
        return {
            Path(answer.path).name: [(face.prediction.person, round(face.prediction.score, 4)) for face in answer.faces]
            for answer in album.classify(folder / "asked")
        }

    def daily(album: Album) -> Any:
        done = album.daily()
        said.told += [finding.line for finding in done.needs_human]
        return done.figure("collect", "photos")

    def shown(album: Album) -> Any:
        found = {}
        for photo in sorted(place.glob("training-images/*/*.png")):
            one = album.show(photo)
            fetches = [(fetch.source, fetch.licence, fetch.basis, fetch.person) for fetch in one.fetches]
            found[photo.name] = [fetches, [face.own_of for seen in one.sightings for face in seen.faces]]
        return found

    def listed(album: Album) -> Any:
        runs = [
            (one.run.date.isoformat(), one.run.state, [step.name for step in one.run.steps]) for one in album.runs()
        ]
        models = album.models()
        said.told += [one.damaged for one in models if one.damaged]
        return runs, [(one.how, one.people, one.photos) for one in models]

    for work in (status, check, classify, train, daily):
        run(work.__name__, work)
    for work in (status, classify, shown, listed):
        run(f"{work.__name__} in the end", work)
    said.told += told.lines
    return said


def rot(trials: int, seed: int, kinds: tuple[str, ...] = tuple(_KINDS), first: int = 0) -> int:
    """Damages as often, and prints what came of it: how often a damage was believed, or met a mistake of mien's."""
    counts: Counter[tuple[str, str]] = Counter()
    bad = 0
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary, "whole")
        make(whole)
        calm = shutil.copytree(whole, Path(temporary, "calm"))
        expected, usual = (lambda said: (said.answers, set(said.told)))(ask(calm))
        for number in range(first, first + trials):
            folder = shutil.copytree(whole, Path(temporary, "damaged"))
            kind = kinds[number % len(kinds)]
            random_ = random.Random(f"{seed} {number}")
            found = next(filter(None, (damage(folder / "album", random_, kind) for _ in range(100))))
            said = ask(folder)
            differ = [name for name in expected if said.answers.get(name) != expected[name]]
            told = [line for line in said.told if line not in usual]
            outcome = "mistake" if said.mistakes else "same" if not differ else "told" if told else "believed"
            counts[kind, outcome] += 1
            if outcome in ("mistake", "believed"):
                bad += 1
                print(f"{number}: {found.what}: {outcome}: {said.mistakes or differ}")
                for name in differ[:2]:
                    print(f"    {name}: {str(said.answers.get(name))[:300]} instead of {str(expected[name])[:300]}")
            shutil.rmtree(folder)
    print(f"{'damaged':<22}{'same answers':>14}{'told':>8}{'believed':>10}{'mistake':>9}")
    for kind in kinds:
        numbers = [counts[kind, outcome] for outcome in ("same", "told", "believed", "mistake")]
        print(f"{kind:<22}{numbers[0]:>14}{numbers[1]:>8}{numbers[2]:>10}{numbers[3]:>9}")
    return bad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="the number of the first trial")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.exit(bool(rot(arguments.trials, arguments.seed, first=arguments.first)))


if __name__ == "__main__":
    main()
