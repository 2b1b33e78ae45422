"""A fault of the disk at each look and each read, once: nothing breaks down, and the next run makes the album what an
undisturbed run would have made it."""

from __future__ import annotations

import errno
import io
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien.storage.layout import TRAINING

if TYPE_CHECKING:
    from conftest import Painted

TRIED = 14
"""Of the some hundred looks and reads of a daily run, chosen by a seed; of 298 in all 90 were tried once."""

CODES = (errno.EIO, errno.EACCES, errno.ENOMEM, errno.ESTALE)
CALLS = ((os, "stat"), (os, "lstat"), (os, "scandir"), (os, "listdir"), (io, "open"), (os, "open"))


@contextmanager
def disturbed(folder: Path, at: int = -1, code: int = errno.EIO) -> Iterator[list[str]]:
    """While the look or read number `at` (from 0) of something in `folder` fails. What was looked at comes out."""
    seen: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for module, name in CALLS:
            patch.setattr(module, name, _counting(getattr(module, name), str(folder), seen, at, code))
        yield seen


def _counting(call: Callable[..., Any], folder: str, seen: list[str], at: int, code: int) -> Callable[..., Any]:
    def counted(path: Any = ".", *given: Any, **named: Any) -> Any:
        if isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(folder):
            seen.append(os.fspath(path))
            if len(seen) - 1 == at:
                raise OSError(code, os.strerror(code), path)
        return call(path, *given, **named)

    return counted


def _state(album: Painted) -> tuple[object, ...]:
    """What an album has come to, but for what hangs on the time."""
    with album.reading() as opened:
        model = opened.model()
        assert model
        waiting = [path.name for path in opened.folder.glob("2*-training-images")]
        files = [(file.path, file.sha256) for file in opened.catalog.files.on([TRAINING])]
        return model.people, {one: sorted(some) for one, some in model.card.photos.items()}, files, waiting


def _copy(album: Painted, folder: Path) -> Painted:
    return type(album)(shutil.copytree(album.folder, folder))


@pytest.mark.parametrize("seed", [26])
def test_a_fault_at_a_look_or_a_read_costs_a_run_at_most(
    taught: Painted, tmp_path: Path, seed: int, mien: Callable[..., Any], painted: Painted
) -> None:
    taught.photo("Ada/ada-4.png")
    taught.paint(taught.folder / "2026-11-20-training-images/Bo/waits.png", "Bo")
    undisturbed = _copy(taught, tmp_path / "undisturbed")
    with disturbed(undisturbed.folder) as looks:
        undisturbed.open().daily()
    wanted, chance = _state(undisturbed), random.Random(seed)
    for at in sorted(chance.sample(range(len(looks)), TRIED)):
        album, code = _copy(taught, tmp_path / f"at-{at}"), chance.choice(CODES)
        what = f"{errno.errorcode[code]} at {at}, {looks[at]}"
        with disturbed(album.folder, at, code):
            result = mien("-C", album.folder, "daily")
        assert "mistake in mien" not in result.output, (what, result.output)
        assert result.exit_code in (0, 3, 6, 8, 11, 14), (what, result.output)
        album.open().daily()
        assert _state(album) == wanted, what
        shutil.rmtree(album.folder)
