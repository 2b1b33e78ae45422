"""Does every command end the same wherever it is killed, and wherever the disk is full?

    python benchmarks/chaos_verbs.py [--seed 0] [--verb NAME] [--cases N] [--each N] [--skip N]

Each command is run once undisturbed, which counts its file operations: files made, written, synced, named, moved and
deleted, folders made and removed, transactions committed. Then, for each operation, the same world is set up again, the
command is killed at that operation (or the disk refuses it as full), run again, and followed by `align`. The world must
then be that of the undisturbed run, nothing half-written may lie in it, and nobody who was removed everywhere may be
named in it. By chance so many `--cases` are taken, and `--each` of them at so many points; after `--each 200` another
run goes on with `--skip 200`.

People are painted squares, and the eyes that see them need no networks (`mien.testing`), so that a run takes a tenth of
a second. Every run is a fork of this process, which never runs mien itself, and imports what its forks imported, so
that the next ones need not.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import importlib
import io
import json
import os
import random
import shlex
import shutil
import signal
import sqlite3
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import typer
from PIL import Image

from mien import Album
from mien.cli import app
from mien.cli.place import Place
from mien.engines import child, children
from mien.networks.onnx_file import network, node, value_info
from mien.records import asked, database
from mien.records.access import Access
from mien.records.replies import Reply
from mien.registry import folder as folders
from mien.storage import files, hidden_file
from mien.testing import draw_photo, fake_eyes

COLOURS = {
    "Ada": (200, 40, 40),
    "Bo": (40, 200, 40),
    "Cy": (40, 40, 200),
    "Dee": (200, 200, 40),
    "Zephyrine": (40, 200, 200),
}
NOW = datetime(2026, 3, 2, 3, 30, tzinfo=UTC)
OPERATIONS = frozenset({"open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime", "os.chmod"})
"""Audit events (PEP 578) that may change a file."""
GONE = "Zephyrine"
"""Who is removed everywhere."""
_COMMAND = typer.main.get_command(app)


@dataclass(frozen=True)
class Case:
    """A command, by its `words` after `mien`, in which {album}, {world} and the like are places, in the world `start`.
    A command that undoes itself when it is run `once` more is not run again after a kill: the album must then be as
    before or as after."""

    words: str
    start: str = "trained"
    once: bool = False
    removes: bool = False
    """Whether `GONE` may be named nowhere afterwards."""
    in_use: bool = False
    """Whether of the versions the one in use alone is compared, whatever its number. A person whose time is over leaves
    the model in use by a version of its own, before the training of the same day makes the next. If the disk is full
    just then, the removal is finished later and that training makes the same model without the version between."""


CASES: dict[str, tuple[Case, ...] | str] = {
    "init": (Case("init {world}/new --basis b", "bare"),),
    "add": (
        Case("-C {album} add Dee {world}/photos/Dee"),
        Case("-C {album} add Dee {world}/photos/Dee --enrol"),
        Case("-C {album} add Ada {world}/photos/Ada", "bare"),
        Case("-C {album} add Ada {world}/photos/Ada --enrol", "bare"),
    ),
    "remove": (
        Case("-C {album} remove Ada"),
        Case("-C {album} remove Ada ada-1.png"),
        Case("-C {album} remove Ada --delete --yes"),
        Case("-C {album} remove Ada", "begun"),
        Case(f"-C {{album}} remove {GONE} --everywhere --yes", "messy", removes=True),
    ),
    "move": (
        Case("-C {album} move Ada/both.png Ada/ada-1.png Bo"),
        Case("-C {album} move '{album}/2026-03-02-training-images/Ada/from the drop 0.png' Dee", "collected"),
    ),
    "rename": (Case("-C {album} rename Ada Adele", "collected"),),
    "join": (Case("-C {album} join Ada Bo", "collected"),),
    "confirm": (Case("-C {album} confirm Ada/both.png Ada/ada-1.png"), Case("-C {album} confirm Ada Bo")),
    "undo": (
        Case("-C {album} undo", "moved", once=True),
        Case("-C {album} undo", "renamed", once=True),
        Case("-C {album} undo", "joined", once=True),
    ),
    "align": (Case("-C {album} align", "untrained"),),
    "train": (Case("-C {album} train", "untrained"), Case("-C {album} train", "grown")),
    "check": (Case("-C {album} check", "grown"),),
    "evaluate": (Case("-C {album} evaluate {world}/photos"),),
    "report": (Case("-C {album} report --no-open"),),
    "classify": (
        Case("-C {album} classify {world}/photos --annotate {world}/out"),
        Case("-C {album} classify {world}/photos --sheet {world}/out/sheet.html"),
        Case("-C {album} classify {world}/photos --csv"),
        Case("-C {album} classify {world}/photos --json"),
    ),
    "find": (
        Case("-C {album} find Ada {world}/photos --copy {world}/out"),
        Case("-C {album} find {world}/photos --link {world}/out"),
    ),
    "forget": (Case("-C {album} forget", "messy"),),
    "sources": (Case("-C {album} sources"),),
    "collect": (Case("-C {album} collect"),),
    "import": (Case("-C {album} import --from compreface {world}/dump.sql"),),
    "merge": (Case("-C {album} merge", "collected"),),
    "daily": (Case("-C {album} daily"), Case("-C {album} daily", "over", removes=True, in_use=True)),
    "serve": "answers until it is ended; benchmarks/chaos_serve.py kills it",
    "schedule": "runs daily again and again, in the same process",
    "runs": (Case("-C {album} runs"),),
    "show": (Case("-C {album} show {album}/training-images/Ada/ada-1.png"),),
    "doctor": (Case("-C {album} doctor"),),
    "status": (Case("-C {album} status"),),
    "convert": (Case("convert {world}/photos {world}/out --to jpg"),),
    "models": (Case("-C {album} models"),),
    "models diff": (Case("-C {album} models diff 2026-03-02-001 2026-03-02-002", "grown twice"),),
    "models promote": (Case("-C {album} models promote 2026-03-02-001", "grown twice"),),
    "models rollback": (Case("-C {album} models rollback", "grown twice", once=True),),
    "models drop": (Case("-C {album} models drop 2026-03-02-001", "grown twice"),),
    "models prune": (Case("-C {album} models prune --keep 1", "grown twice"),),
    "catalog": (Case("-C {album} catalog"),),
    "catalog copy": (Case("-C {album} catalog copy {album}/.mien/copy.sqlite", once=True),),
    "keys": (Case("-C {album} keys"),),
    "keys add": (Case("-C {album} keys add desk --scope review"),),
    "keys log": (Case("-C {album} keys log"),),
    "keys revoke": (Case("-C {album} keys revoke desk", "messy"),),
    "encoders": (Case("encoders"),),
    "encoders add": (
        Case("encoders add {world}/tiny/tiny.toml --yes"),
        Case("encoders add {world}/tiny/tiny.toml --from {world}/tiny --yes", "with an encoder"),
    ),
    "encoders remove": (Case("encoders remove tiny", "with an encoder"),),
    "encoders compare": (Case("-C {album} encoders compare tiny", "with an encoder"),),
    "encoders quantise": "keeps a network as `encoders add` does, and needs the extra int8",
}
"""How each command of the parser is run, or why it is not."""


def verbs() -> set[str]:
    """The commands of the parser; hidden ones are other names of some."""

    def below(command: Any, name: str) -> Iterator[str]:
        groups = getattr(command, "commands", {})
        if name and not command.hidden and (not groups or command.invoke_without_command):
            yield name
        for word, inner in groups.items():
            yield from below(inner, f"{name} {word}".strip())

    return set(below(_COMMAND, ""))


# Worlds


def paint(file: Path, *people: str, shade: int = 0) -> None:
    """A photo of these people, each photo of another shade."""
    squares = [
        ((red + shade % 5, green + shade // 5, blue), (8 + 92 * at, 20, 88 + 92 * at, 100))
        for at, (red, green, blue) in enumerate(COLOURS[person] for person in people)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_photo(squares, 280, 120)).save(file)
    os.utime(file, (1_700_000_000 + shade,) * 2)


def dump(file: Path, photos: Iterable[Path]) -> None:
    """A dump of CompreFace's database with these photos, each of whose folder it lies in."""
    tables = {"embedding": "id, subject_id, embedding, calculator, img_id", "img": "id, content"}
    rows: dict[str, list[str]] = {"embedding": [], "img": [], "subject": []}
    for number, photo in enumerate(photos):
        of = f"00000000-0000-0000-0000-{number:012d}"
        rows["embedding"].append(f"{of}\t{of}\t{{0.5}}\tfacenet\t{of}")
        rows["img"].append(f"{of}\t\\\\x{photo.read_bytes().hex()}")
        rows["subject"].append(f"{of}\tkey\t{photo.parent.name}")
    columns = {**tables, "subject": "id, api_key, subject_name"}
    copies = (
        f"COPY public.{table} ({columns[table]}) FROM stdin;\n" + "".join(f"{row}\n" for row in rows[table]) + "\\.\n"
        for table in rows
    )
    file.write_text("".join(copies), "utf-8")


def encoder(folder: Path) -> None:
    """The files of an encoder that can be added."""
    folder.mkdir()
    side, size = 16, 4
    weights = np.random.default_rng(7).standard_normal((3 * side * side, size)).astype(np.float32)
    nodes = [node("Flatten", ["image"], "flat", axis=1), node("MatMul", ["flat", "weights"], "embedding")]
    ports = [value_info("image", ["N", 3, side, side])], [value_info("embedding", ["N", size])]
    (folder / "tiny.onnx").write_bytes(network("tiny", nodes, {"weights": weights}, *ports))
    (folder / "tiny.toml").write_text(
        'name = "tiny"\nlicence = "CC0-1.0"\ncommercial = true\n'
        f'side = {side}\ntemplate = "arcface-112"\ndimensions = {size}\n[[files]]\nname = "tiny.onnx"\n',
        "utf-8",
    )


class World:
    """A folder in which an album, photos, and all else that commands touch lie, always at the same place; and how it
    was at some moments, by name."""

    def __init__(self, top: Path) -> None:
        self.folder, self._kept = top / "world", top / "kept"

    @property
    def album(self) -> Path:
        return self.folder / "album"

    def set_up(self, name: str) -> None:
        """Makes the world of this name, or as it was when it was first made."""
        shutil.rmtree(self.folder, ignore_errors=True)
        kept = self._kept / name
        if not kept.exists():
            _MADE[name](self)
            shutil.copytree(self.folder, kept, symlinks=True)
            return
        shutil.copytree(kept, self.folder, symlinks=True)

    def run(self, words: str, fatal: int | None = None, full: bool = False) -> Ended:
        """Runs a command in a process of its own, which is killed at this file operation, or is refused it as the disk
        is full."""
        told, saying = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(told)
            code = 70
            try:
                code = _child(self, words, fatal, full, saying)
            finally:
                os._exit(code)
        os.close(saying)
        with open(told, "rb") as pipe:  # noqa: PTH123 - of a handle
            said = pipe.read().decode()
        _, status = os.waitpid(process, 0)
        count, text, imported = json.loads(said) if said else (0, "", ())
        for name in imported:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        return Ended(os.waitstatus_to_exitcode(status), count, text)

    def do(self, *lines: str) -> None:
        """Commands that must end well."""
        for words in lines:
            if (ended := self.run(words)).code not in (0, 3, 14):
                raise SystemExit(f"mien {words}: {ended}")


class Ended(NamedTuple):
    code: int
    operations: int
    said: str


def _bare(world: World) -> None:
    for person in COLOURS:
        for number in range(3):
            paint(world.folder / "photos" / person / f"new-{number}.png", person, shade=20 + number)
    encoder(world.folder / "tiny")
    dump(world.folder / "dump.sql", sorted(world.folder.glob("photos/*/new-0.png")))
    for name in ("home", "tmp", "drop"):
        (world.folder / name).mkdir()
    world.do("init {album} --basis b")
    with (world.album / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[sources.drop]\nkind = "folder"\npath = "{world.folder / "drop"}"\nbasis = "b"\nlicence = "l"\n')


def _untrained(world: World) -> None:
    world.set_up("bare")
    for person in ("Ada", "Bo", "Cy", GONE):
        for number in range(3):
            paint(world.album / "training-images" / person / f"{person.lower()}-{number}.png", person, shade=number)
    paint(world.album / "training-images" / "Ada" / "both.png", "Ada", "Bo", shade=4)


def _trained(world: World) -> None:
    world.set_up("untrained")
    world.do("-C {album} train")
    for person in ("Ada", "Dee"):
        for number in range(2):
            paint(world.folder / "drop" / person / f"from the drop {number}.png", person, shade=10 + number)
    (world.folder / "drop" / "Ada" / "page.jpg").write_bytes(b"<html>")


def _begun(world: World) -> None:
    """One person, and a model that no training made."""
    world.set_up("bare")
    world.do("-C {album} add Ada {world}/photos/Ada --enrol")


def _grown(world: World) -> None:
    world.set_up("trained")
    paint(world.album / "training-images" / "Ada" / "more.png", "Ada", shade=7)
    (world.album / "training-images" / "Cy" / "cy-1.png").unlink()


def _grown_twice(world: World) -> None:
    world.set_up("grown")
    world.do("-C {album} train", "-C {album} add Dee {world}/photos/Dee --enrol")


def _messy(world: World) -> None:
    """`GONE` is named wherever mien may name somebody, also where a killed run did."""
    world.set_up("trained")
    world.do(f"-C {{album}} remove {GONE} {GONE.lower()}-1.png")
    paint(world.folder / "drop" / GONE / "1.png", GONE, shade=12)
    world.do("-C {album} collect")
    world.do("-C {album} classify {world}/photos --json")
    world.do("-C {album} keys add desk")
    with Access.for_writing(world.album / ".mien/catalog-access.sqlite") as access:  # a server named them
        access.replies.begin("desk", "1", GONE, NOW)
        access.replies.finish("desk", "1", Reply(200, "text/plain", GONE.encode()))
    (world.album / ".mien/journals").mkdir()
    (world.album / ".mien/journals/classify-0123456789abcdef.jsonl").write_text(GONE, "utf-8")  # earlier versions'
    for place in (world.album, world.album / "models" / "2026-03-02-001", world.album / "training-images" / "Ada"):
        (place / ".mien-0123456789abcdef.tmp").write_text(GONE, "utf-8")


def _over(world: World) -> None:
    """The time of `GONE` is over."""
    world.set_up("trained")
    file = world.album / "mien.toml"
    file.write_text(f"{file.read_text('utf-8')}\n[people.{GONE}]\nuntil = 2026-03-01\n", "utf-8")


def _collected(world: World) -> None:
    world.set_up("trained")
    world.do("-C {album} collect")


def _moved(world: World) -> None:
    world.set_up("collected")
    world.do("-C {album} move Ada/both.png Ada/ada-1.png Bo")


def _renamed(world: World) -> None:
    world.set_up("collected")
    world.do("-C {album} rename Ada Adele")


def _joined(world: World) -> None:
    world.set_up("collected")
    world.do("-C {album} join Ada Bo")


def _with_an_encoder(world: World) -> None:
    world.set_up("trained")
    world.do("encoders add {world}/tiny/tiny.toml --yes")


_MADE: dict[str, Callable[[World], None]] = {
    "bare": _bare,
    "untrained": _untrained,
    "trained": _trained,
    "begun": _begun,
    "grown": _grown,
    "grown twice": _grown_twice,
    "messy": _messy,
    "over": _over,
    "collected": _collected,
    "moved": _moved,
    "renamed": _renamed,
    "joined": _joined,
    "with an encoder": _with_an_encoder,
}


# A command in a process of its own


def _child(world: World, words: str, fatal: int | None, full: bool, saying: int) -> int:
    """The exit code of a command. How many operations it did, what it said, and what it imported, goes into the
    pipe."""
    known = set(sys.modules)
    os.environ |= {"MIEN_HOME": str(world.folder / "home"), "MIEN_WORKERS": "1", "TMPDIR": str(world.folder / "tmp")}
    tempfile.tempdir = str(world.folder / "tmp")
    os.chdir(world.folder)
    defaults: Any = Album.__init__.__kwdefaults__
    defaults["clock"] = lambda: NOW
    children.ask = lambda task, about, data=b"", **_: child._task(task)(about, data)  # type: ignore[assignment]
    children.start_early = lambda module: None
    steps = Steps(str(world.folder), fatal, full)
    steps.watch()
    out = io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            places = [one.format(world=world.folder, album=world.album) for one in shlex.split(words)]
            eyes = Place(eyes=lambda choice: fake_eyes(1, f"fake-{choice.name}-{choice.precision}"))
            left = _COMMAND.main(places, prog_name="mien", standalone_mode=False, obj=eyes)
            code = left if isinstance(left, int) else 0
        except BaseException as error:
            traceback.print_exc(file=out)
            code = getattr(error, "exit_code", 1)
    steps.done = True
    imported = sorted(sys.modules.keys() - known)
    os.write(saying, json.dumps((steps.count, out.getvalue()[-4000:], imported)).encode())
    return code


class Steps:
    """Counts the operations of this process that may change a file below `top`; at the `fatal` one it ends the process,
    or lets the operation fail as on a `full` disk."""

    def __init__(self, top: str, fatal: int | None, full: bool) -> None:
        self.count, self.done = 0, False
        self._top, self._fatal, self._full = top, fatal, full

    def watch(self) -> None:
        """From now on."""
        sys.addaudithook(self._audit)
        fsync, transaction, created = os.fsync, database.Database.transaction, files.created

        def synced(handle: int) -> None:
            self.step()
            fsync(handle)

        @contextlib.contextmanager
        def committed(one: Any, write: bool = False) -> Iterator[Any]:
            with transaction(one, write) as connection:
                yield connection
                if write:
                    self.step(sqlite=True)
            if write and not self._full:
                self.step()

        def halved(*arguments: Any) -> Any:
            return _Halved(created(*arguments), self)

        remembering = asked.AskedPhotos._transaction

        @contextlib.contextmanager
        def remembered(*arguments: Any, **how: Any) -> Iterator[Any]:
            with remembering(*arguments, **how) as connection:
                yield connection
                self.step(sqlite=True)
            if not self._full:
                self.step()

        for owner, name, watched in (
            (os, "fsync", synced),
            (database.Database, "transaction", committed),
            (files, "created", halved),
            (hidden_file, "created", halved),
            (asked.AskedPhotos, "_transaction", remembered),
        ):
            setattr(owner, name, watched)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in OPERATIONS or self.done or not isinstance(arguments[0], str | os.PathLike):
            return
        if event == "open" and not _writes(*arguments[1:3]):
            return
        if os.fspath(arguments[0]).startswith(self._top):
            self.step()

    def step(self, half: Callable[[], object] = lambda: None, sqlite: bool = False) -> None:
        """One operation; `half` does as much of it as a kill may leave."""
        self.count += 1
        if self.count != self._fatal:
            return
        half()
        if not self._full:
            os.kill(os.getpid(), signal.SIGKILL)
        if sqlite:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _writes(mode: str | None, flags: int) -> bool:
    return bool(mode and set(mode) & set("wax+")) or bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


class _Halved:
    """A file of which a kill leaves half of what was being written."""

    def __init__(self, file: Any, steps: Steps) -> None:
        self._file, self._steps = file, steps

    def write(self, data: Any) -> int:
        self._steps.step(lambda: (self._file.write(data[: len(data) // 2]), self._file.flush()))
        return int(self._file.write(data))

    def __enter__(self) -> _Halved:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


# What came of it


_TABLES = {
    "people": "SELECT name FROM people",
    "files": "SELECT files.path, name, files.sha256 FROM files JOIN people ON people.id = person",
    "faces": "SELECT sha256, encoder, number, hex(embedding) FROM faces",
    "fetches": "SELECT source, location, name, sha256, outcome, path FROM fetches JOIN people ON people.id = person",
    "removals": "SELECT pending FROM removals",
    "corrections": "SELECT verb, state, was, now FROM corrections JOIN moves ON corrections.id = correction",
}


_TABLES_OF_ACCESS = {
    "keys": "SELECT name, scope, until, revoked IS NULL FROM keys",
    "replies": "SELECT key, status, body FROM replies",
}


def outcome(world: World, in_use: bool = False) -> dict[str, set[Any]]:
    """What the world has come to, times aside; of the versions all, or the one `in_use` without its number."""
    found: dict[str, set[Any]] = {"files": set(), "rows": set(), "models": set(), "leftovers": set()}
    models = world.album / "models"
    current = models / "current"
    version = current.read_text("utf-8").strip() if in_use and current.exists() else "none"
    for file in sorted(one for one in world.folder.rglob("*") if not one.is_dir() or one.is_symlink()):
        path = file.relative_to(world.folder).as_posix()
        if in_use and file.is_relative_to(models):
            if not file.is_relative_to(models / version):
                continue
            path = path.replace(version, "in use")
        if (file.name.startswith(".mien-") and file.name != ".mien-copies") or path.startswith("tmp/mien"):
            found["leftovers"].add(path)
        elif file.name in (folders.CARD, folders.REPORT):
            found["models"].add(("/".join(path.split("/")[-2:]), _card(file)))
        elif (
            file.suffix != ".seal"  # which is of the bytes of a database
            and ".sqlite" not in file.name
            and file.name not in ("lock", ".lock", "lock.json")
            and not path.startswith("tmp/")
        ):
            found["files"].add((path, hashlib.sha256(file.read_bytes()).hexdigest()[:12]))
    access = world.album / ".mien/catalog-access.sqlite"
    if access.exists():
        with closing(sqlite3.connect(access)) as connection:
            for name, query in _TABLES_OF_ACCESS.items():
                with contextlib.suppress(sqlite3.OperationalError):  # killed before there were any
                    found["rows"].update((name, *row) for row in connection.execute(query))
    catalog = world.album / ".mien/catalog.sqlite"
    if catalog.exists():
        with closing(sqlite3.connect(catalog)) as connection:
            connection.execute("ATTACH DATABASE ? AS ledger", [str(catalog.with_name("catalog-ledger.sqlite"))])
            for name, query in _TABLES.items():
                with contextlib.suppress(sqlite3.OperationalError):  # no such table in this schema
                    found["rows"].update((name, *row) for row in connection.execute(query))
    return found


def _card(file: Path) -> str:
    """The hash of a card without what differs from run to run; a page is only there."""
    if file.name == folders.REPORT:
        return ""
    card = json.loads(file.read_bytes())
    return hashlib.sha256(json.dumps({**card, "run": None}, sort_keys=True).encode()).hexdigest()[:12]


def differences(wanted: dict[str, set[Any]], found: dict[str, set[Any]]) -> list[str]:
    """In what two outcomes differ."""
    return [
        f"{key}: missing {sorted(map(str, wanted[key] - found[key]))[:2]},"
        f" too many {sorted(map(str, found[key] - wanted[key]))[:2]}"
        for key in wanted
        if wanted[key] != found[key]
    ]


def named(world: World) -> list[str]:
    """Where `GONE` is still named in what mien wrote: in names of files, and in their bytes."""
    name = GONE.encode()
    found = []
    for file in [*world.album.rglob("*"), *(world.folder / "tmp").rglob("*")]:
        mine = file.name == "mien.toml" or "removed-images" in file.parts  # the user's, and kept for the user
        if not mine and (GONE.lower() in str(file).lower() or (file.is_file() and name in file.read_bytes())):
            found.append(file.relative_to(world.folder).as_posix())
    return found


# All of it


class Point(NamedTuple):
    """Where a case is disturbed: at this operation, by a kill or by a full disk."""

    verb: str
    case: Case
    operation: int
    full: bool


class Chaos:
    """The worlds below `top`, and what each case comes to if it is not disturbed."""

    def __init__(self, top: Path) -> None:
        self.world = World(top)
        self._before: dict[Case, dict[str, set[Any]]] = {}
        self._after: dict[Case, dict[str, set[Any]]] = {}

    def points(self, verb: str, cases: Iterable[Case]) -> list[Point]:
        """Every point at which these cases of a command can be disturbed; they are run undisturbed for this."""
        found = []
        for case in cases:
            self.world.set_up(case.start)
            ended = self.world.run(case.words)
            if ended.code not in (0, 3, 6, 14):
                raise SystemExit(f"mien {case.words}: {ended}")
            self._settle()
            self._after[case] = outcome(self.world, case.in_use)
            if left := [*self._after[case]["leftovers"], *(named(self.world) if case.removes else ())]:
                raise SystemExit(f"mien {case.words} leaves {left}, undisturbed")
            if case.once:
                self.world.set_up(case.start)
                self._settle()
                self._before[case] = outcome(self.world, case.in_use)
            found += [Point(verb, case, at, full) for at in range(1, ended.operations + 1) for full in (False, True)]
        return found

    def disturbed(self, point: Point) -> list[str]:
        """What is wrong after a command was disturbed at a point, and run again."""
        case = point.case
        self.world.set_up(case.start)
        ended = self.world.run(case.words, point.operation, point.full)
        if ended.code == 1 or "Traceback" in ended.said:
            return [f"a mistake in mien: {ended.said[-300:]}"]
        if not point.full and ended.code != -signal.SIGKILL:
            return [f"was not killed: {ended}"]
        if not case.once:
            again = self.world.run(case.words)
            if again.code == 1 or "Traceback" in again.said:
                return [f"run again, a mistake in mien: {again.said[-300:]}"]
        self._settle()
        found = outcome(self.world, case.in_use)
        wrong = differences(self._after[case], found)
        if case.once and wrong:
            wrong = differences(self._before[case], found)
        return wrong + ([f"{GONE} is named in {one}" for one in named(self.world)] if case.removes else [])

    def _settle(self) -> None:
        """The next command that writes."""
        if self.world.album.is_dir():
            self.world.run("-C {album} align")
        if any((self.world.folder / "home").rglob("*")):
            self.world.run("encoders remove none")


def run(
    top: Path, seed: int, cases: int | None = None, each: int | None = None, only: str | None = None, skip: int = 0
) -> int:
    """Prints a line for each command; at how many points one did not end as if it had not been disturbed. By chance so
    many of the `cases` are tried, and `each` at so many points after those that are skipped; None for all."""
    if verbs() != CASES.keys():
        raise SystemExit(f"say in CASES how to run {sorted(verbs() ^ CASES.keys())}")
    chaos, dice = Chaos(top), random.Random(seed)
    bad = tried = number = 0
    every = [(verb, case) for verb, some in CASES.items() for case in some if isinstance(case, Case)]
    every = [one for one in every if only in (None, one[0])]
    chosen = every if cases is None else dice.sample(every, min(cases, len(every)))
    for verb, case in chosen:
        points = chaos.points(verb, [case])
        mine = dice.sample(points, len(points))[skip:][:each]
        wrong = [(point, what) for point in mine if (what := chaos.disturbed(point))]
        bad, tried, number = bad + len(wrong), tried + len(mine), number + len(points)
        print(f"{case.words:<64} {len(points):>4} points, {len(mine):>4} tried, {len(wrong)} wrong", flush=True)
        for point, what in wrong:
            how = "full disk" if point.full else "killed"
            print(f"    {how} at {point.operation} of mien {point.case.words} ({point.case.start}): {what}", flush=True)
    print(f"{tried - bad} of {tried} disturbed runs ended the same, of {number} points")
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int)
    parser.add_argument("--each", type=int)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--verb")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return 1 if run(Path(folder), given.seed, given.cases, given.each, given.verb, given.skip) else 0


if __name__ == "__main__":
    sys.exit(main())
