"""Commands that write to a bucket, stopped at each write in turn: nothing is lost, and the next run goes on.

The bucket is fsspec's memory. From the write on at which a command is stopped, the store takes no more of that process,
as if it had been killed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest

from mien import Album
from mien.errors import MienError
from mien.storage import in_bucket
from mien.storage.objects import Objects

if TYPE_CHECKING:
    from conftest import Painted

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
INTAKE = ".mien/2026-11-22-training-images"

Command = Callable[[Album, Path], Any]
COMMANDS: dict[str, Command] = {
    "add": lambda album, new: album.add("Ada", [new / "new/8.png", new / "new/9.png"]),
    "merge": lambda album, _: album.merge(),
    "move": lambda album, _: album.move(["Ada/1.png", "Ada/2.png"], "Bo"),
    "join": lambda album, _: album.join("Ada", "Bo"),
    "rename": lambda album, _: album.rename("Ada", "Zoe"),
    "remove": lambda album, _: album.remove("Ada"),
    "daily": lambda album, _: album.daily(),
}
"""Each may be repeated; what was begun is finished by whatever command writes next."""


class StoppedError(BaseException):
    pass


class Stopping:
    """Counts the writes of a store, and lets none through from the one on that is called `last`."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.writes = 0

    def __call__(self) -> None:
        if self.last is not None and self.writes >= self.last:
            raise StoppedError
        self.writes += 1


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stopping]:
    found = Stopping()
    for name in ("cp_file", "pipe_file", "rm_file"):
        real = getattr(fsspec.get_filesystem_class("memory"), name)

        def write(self: Any, *given: Any, real: Any = real, **options: Any) -> Any:
            found()
            return real(self, *given, **options)

        monkeypatch.setattr(fsspec.get_filesystem_class("memory"), name, write)
    yield found
    empty()


def empty() -> None:
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def begin(new_painted: Callable[[Path], Painted], folder: Path, with_intake: bool) -> Painted:
    empty()
    in_bucket._recent.cache_clear()
    painted = new_painted(folder / "album")
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write('photos = "memory://club"\n')
    where = {"Ada/1.png": "Ada", "Ada/2.png": "Ada", "Bo/1.png": "Bo"}
    if with_intake:
        where |= {f"{INTAKE}/Ada/1.png": "Ada", f"{INTAKE}/Bo/3.png": "Bo"}
    objects = Objects("memory://club")
    for key, person in where.items():
        objects.put(key, painted.paint(folder / "painted" / key, person).read_bytes())
    for number in (8, 9):
        painted.paint(folder / f"new/{number}.png", "Ada")
    painted.open(clock=lambda: NOON).align()
    return painted


def lying() -> dict[str, bytes]:
    objects = Objects("memory://club")
    return {one.key: objects.read(one.key, one.size) for one in objects.listed()}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_stopped_anywhere_goes_on(
    name: str, new_painted: Callable[[Path], Painted], stopping: Stopping, tmp_path: Path
) -> None:
    command, with_intake = COMMANDS[name], name in ("merge", "daily")
    painted = begin(new_painted, tmp_path / "whole", with_intake)
    before, stopping.writes = set(lying().values()), 0
    command(painted.open(clock=lambda: NOON), tmp_path / "whole")
    wanted, writes = lying(), stopping.writes
    assert writes
    for last in range(writes):
        folder = tmp_path / str(last)
        painted = begin(new_painted, folder, with_intake)
        stopping.writes, stopping.last = 0, last
        with contextlib.suppress(StoppedError):
            command(painted.open(clock=lambda: NOON), folder)
        assert before <= set(lying().values()), "each photo is still somewhere"
        stopping.last = None
        in_bucket._recent.cache_clear()  # another process goes on
        with contextlib.suppress(MienError):  # there may be nothing left to be done
            command(painted.open(clock=lambda: NOON), folder)
        painted.open(clock=lambda: NOON).align()
        assert lying() == wanted, last
