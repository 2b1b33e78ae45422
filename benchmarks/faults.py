"""Does a read that fails once leave anything behind? Each read of a small album's life fails in turn.

    python benchmarks/faults.py [--sample N] [--skip N] [--seed 0] [--photos FOLDER]

A life is: init, add, align, train, collect from a folder, merge, daily. The reads in the album's folder (not those in
the source's, and none that SQLite does itself) are counted in an undisturbed one: each file opened, each first read of
it, each folder listed, each look at a file, in this process and in the child processes that decode photos. Then, for
each of them (or for N in an order given by the seed, after those that are skipped), a life is lived in which this one
read fails, with EIO, EACCES or ENOMEM in turn. No verb may end in anything but an error of mien. What was not done is
then done again with nothing failing, and has to end as an undisturbed life does: the same files, rows and model. Prints
a table by verb and error; the exit code is 1 if any life ended otherwise.

On one core a life takes two seconds, and all of them three quarters of an hour: `--sample 200` is a fair answer, and
`--skip 200` goes on from there.
"""

from __future__ import annotations

import argparse
import builtins
import errno
import hashlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from mien import Album
from mien.engines import children
from mien.errors import MienError

NOW = datetime(2026, 3, 2, 3, 30, tzinfo=UTC)
ERRORS = (errno.EIO, errno.EACCES, errno.ENOMEM)
PEOPLE, PHOTOS = 3, 3
"""Of the sample people: a photo of each is added, the others come from the source."""
_PLACE, _LIVES, _WATCHING = "FAULTS_PLACE", "lives", "watching"
"""The variable by which child processes know the folder; in it that in which the lives lie, and a file that says what
to count, where, and what is to fail. A child reads it each time, so that it serves many lives: most of what a life
would cost is the start of its children."""
_LINE = 200
"""Bytes of a line of the log."""


class Read(NamedTuple):
    """One of the reads of a life: of which verb it was, and what was read how."""

    verb: str
    what: str


# Counting reads, and failing one


def install() -> None:
    """Has every read of this process counted from now on, while a log is named. What Python does itself, as opening and
    listing, is met where it is audited (PEP 578)."""
    sys.addaudithook(_audit)
    for module in (builtins, io):
        module.open = _opening(io.open)  # type: ignore[attr-defined]
    os.stat = _looking(os.stat)
    os.lstat = _looking(os.lstat)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("os.listdir", "os.scandir") or (event == "open" and _reads(arguments)):
        _count("list" if event != "open" else "open", arguments[0])


def _reads(arguments: tuple[Any, ...]) -> bool:
    """Whether a file is opened for reading alone."""
    flags = arguments[2] if isinstance(arguments[2], int) else 0
    return not flags & (os.O_WRONLY | os.O_RDWR)


def _looking(look: Callable[..., os.stat_result]) -> Any:
    def looked(path: Any, *rest: Any, **more: Any) -> os.stat_result:
        _count("look at", path)
        return look(path, *rest, **more)

    return looked


def _opening(open_: Callable[..., Any]) -> Callable[..., Any]:
    def opened(file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        found = open_(file, mode, *rest, **more)
        if mode == "rb" and isinstance(found, io.BufferedReader) and _is_of_a_life(file):
            return _Reader(found.detach())
        return found

    return opened


class _Reader(io.BufferedReader):
    """A file of which the first read is counted."""

    _begun = False

    def _first(self) -> None:
        if not self._begun:
            self._begun = True
            _count("read", self.name)

    def read(self, *size: Any) -> bytes:
        self._first()
        return super().read(*size)

    def readinto(self, buffer: Any) -> int:
        self._first()
        return super().readinto(buffer)


def _is_of_a_life(path: Any) -> bool:
    place = os.environ.get(_PLACE)
    return bool(place) and isinstance(path, str | os.PathLike) and str(path).startswith(f"{place}/{_LIVES}/")


class Watching(NamedTuple):
    """What is counted at a moment: reads below `folder`, each by a line in `log`; the one of the number `fatal`, if
    any, fails with the `error`."""

    folder: str
    log: str
    fatal: int
    error: int


def _count(how: str, path: Any) -> None:
    """Counts a read by a line in the log, which this process shares with its children, and fails if it is the one."""
    if not _is_of_a_life(path):
        return
    watching = _watching()
    if watching is None or not str(path).startswith(watching.folder):
        return
    handle = os.open(watching.log, os.O_WRONLY | os.O_APPEND)
    try:
        line = f"{how} {os.path.relpath(path, watching.folder)}".encode()[: _LINE - 1]
        os.write(handle, line.ljust(_LINE - 1) + b"\n")
        number = os.lseek(handle, 0, os.SEEK_CUR) // _LINE
    finally:
        os.close(handle)
    if number == watching.fatal:
        raise OSError(watching.error, os.strerror(watching.error), str(path))


def _watching() -> Watching | None:
    """What is counted now; None for nothing."""
    try:
        handle = os.open(f"{os.environ[_PLACE]}/{_WATCHING}", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return Watching(*json.loads(os.read(handle, 10_000)))
    finally:
        os.close(handle)


@contextmanager
def watched(folder: Path, log: Path, fatal: int = 0, error: int = 0) -> Iterator[None]:
    """Counts the reads below a folder in `log`; the one of the number `fatal` fails."""
    log.touch()
    file = Path(os.environ[_PLACE], _WATCHING)
    file.write_text(json.dumps(Watching(str(folder), str(log), fatal, error)), "utf-8")
    try:
        yield
    finally:
        file.unlink()


# A life


def verbs(folder: Path, photos: Path) -> dict[str, Callable[[], object]]:
    """The verbs of a life in their order, each with an album opened anew."""
    people = sorted(entry for entry in photos.iterdir() if entry.is_dir())[:PEOPLE]

    def album() -> Album:
        return Album(folder / "album", clock=lambda: NOW, views=1, workers=1)

    def init() -> None:
        if not Album.is_at(folder / "album"):
            Album.create(folder / "album", "rendered people", "dlib-resnet")
        settings = folder / "album/mien.toml"
        if "[sources.drop]" not in settings.read_text("utf-8"):
            with settings.open("a", encoding="utf-8") as file:
                file.write(f'\n[sources.drop]\nkind = "folder"\npath = "{(folder / "drop").as_posix()}"\n')
                file.write('basis = "rendered people"\nlicence = "CC0-1.0"\n')

    def add() -> None:
        for person in people:
            album().add(person.name, [folder / "hand" / person.name / "0.jpg"])

    return {
        "init": init,
        "add": add,
        "align": lambda: album().align(),
        "train": lambda: album().train(),
        "collect": lambda: album().collect(),
        "merge": lambda: album().merge(),
        "daily": lambda: album().daily(),
    }


def lay_out(folder: Path, photos: Path) -> None:
    """What a life begins with: photos at hand, and some in the folder of the source."""
    for person in sorted(entry for entry in photos.iterdir() if entry.is_dir())[:PEOPLE]:
        for number, photo in enumerate(sorted(person.glob("*.jpg"))[:PHOTOS]):
            target = folder / ("drop" if number else "hand") / person.name / f"{number}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo, target)


def live(folder: Path, photos: Path, fatal: int = 0, error: int = 0) -> tuple[list[Read], list[str]]:
    """A life in which one read fails, then all of it again without: the reads of the first, and what ended in no error
    of mien's."""
    lay_out(folder, photos)
    log, reads, bad = folder / "reads", list[Read](), list[str]()
    with watched(folder / "album", log, fatal, error):
        for name, verb in verbs(folder, photos).items():
            try:
                verb()
            except MienError:
                pass
            except OSError as failed:  # of a `mien.toml` that this file itself reads or writes
                if "faults.py" not in traceback.extract_tb(failed.__traceback__)[-1].filename and name != "init":
                    bad.append(f"{name}: {type(failed).__name__}: {failed}")
            except Exception as failed:
                bad.append(f"{name}: {type(failed).__name__}: {failed}")
            lines = log.read_text("utf-8", "replace").splitlines()
            reads += [Read(name, line.strip()) for line in lines[len(reads) :]]
    for name, verb in verbs(folder, photos).items():
        try:
            verb()
        except Exception as failed:
            bad.append(f"{name} again: {type(failed).__name__}: {failed}")
    verbs(folder, photos)["train"]()
    return reads, bad


def outcome(folder: Path) -> dict[str, Any]:
    """What a life has come to, but for times, names of versions and ids."""
    import sqlite3

    album = folder / "album"

    def rows(query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(album / ".mien/catalog.sqlite")) as connection:
            connection.execute("ATTACH DATABASE ? AS ledger", [str(album / ".mien/catalog-ledger.sqlite")])
            return sorted(connection.execute(query).fetchall())

    version = (album / "models/current").read_text("utf-8").strip()
    kept = {"training-images", "aligned-images", "removed-images"}
    return {
        "files": {
            file.relative_to(album).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(album.rglob("*"))
            if file.is_file() and (file.relative_to(album).parts[0] in kept or "-training-images" in str(file))
        },
        "model": {
            name: hashlib.sha256((album / "models" / version / name).read_bytes()).hexdigest()
            for name in ("model.onnx", "labels.txt", "thresholds.json")
        },
        "leftovers": sorted(file.name for file in album.rglob(".mien-*")),
        "faces": rows("SELECT sha256, encoder, number, hex(embedding) FROM faces"),
        "sightings": rows("SELECT sha256, encoder, fault FROM sightings"),
        "begun": rows("SELECT sha256 FROM begun"),
        "chosen": rows(
            "SELECT files.path, name, files.sha256, number FROM files JOIN people ON people.id = person"
            " LEFT JOIN chosen ON chosen.path = files.path LEFT JOIN faces ON faces.id = chosen.face"
        ),
        "fetches": rows(
            "SELECT source, replace(location, rtrim(location, replace(location, '/', '')), ''), name, sha256, outcome,"
            " path FROM fetches JOIN people ON people.id = person"
        ),
        "failures": rows("SELECT source, location, kind FROM failures"),
    }


def faults(folder: Path, photos: Path, sample: int | None, seed: int, skip: int = 0) -> int:
    """Lives all these lives below `folder`, prints what came of them, and returns how many ended otherwise."""
    os.environ[_PLACE], folder = str(folder), folder / _LIVES
    reads, bad = live(folder / "calm", photos)
    assert not bad, bad
    calm = outcome(folder / "calm")
    print(f"{len(reads)} reads: {dict(Counter(read.verb for read in reads))}", flush=True)
    order = random.Random(seed).sample(range(1, len(reads) + 1), len(reads))
    numbers = sorted(order[skip:][:sample])
    table: Counter[tuple[str, str, bool]] = Counter()
    for number in numbers:
        error = ERRORS[number % len(ERRORS)]
        place = folder / f"life-{number}"
        lived, bad = live(place, photos, number, error)
        read = lived[number - 1] if number <= len(lived) else reads[number - 1]
        if not bad:
            ended = outcome(place)
            bad = [f"other {name}" for name in calm if calm[name] != ended[name]]
        table[read.verb, errno.errorcode[error], not bad] += 1
        if bad:
            print(f"{number}: {errno.errorcode[error]} at {read.verb}: {read.what}: {'; '.join(bad)}", flush=True)
        shutil.rmtree(place)
    print("| verb | " + " | ".join(errno.errorcode[error] for error in ERRORS) + " |\n|---|---|---|---|")
    for verb in dict.fromkeys(read.verb for read in reads):
        cells = ((verb, errno.errorcode[error]) for error in ERRORS)
        print(
            f"| {verb} | "
            + " | ".join(f"{table[*one, True]} of {table[*one, True] + table[*one, False]}" for one in cells)
            + " |"
        )
    return sum(count for (_, _, same), count in table.items() if not same)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--sample", type=int, help="so many reads, and not all")
    parser.add_argument("--skip", type=int, default=0, help="so many reads of the order first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--photos", type=Path, default=root / "examples/album/people", help="a folder for each person")
    given = parser.parse_args()
    prepare()
    with tempfile.TemporaryDirectory() as folder:
        return 1 if faults(Path(folder).resolve(), given.photos, given.sample, given.seed, given.skip) else 0


def prepare() -> None:
    """Has this process and its children count their reads."""
    here = str(Path(__file__).resolve().parent)
    children._START = children._START.replace(
        "from mien.engines", f"sys.path.append({here!r}); import faults; faults.install(); from mien.engines"
    )
    install()


if __name__ == "__main__":
    raise SystemExit(main())
