"""One command writes at a time: `mien.storage.lock`."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import pytest

from mien.errors import BusyError, StorageError
from mien.open_album import for_reading
from mien.protocols import Silent
from mien.settings import Settings
from mien.storage.layout import Layout, create_album
from mien.storage.lock import hold as hold_file
from mien.storage.lock import is_held, lock

HOLDER = """
import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn
from mien.settings import Settings
from mien.storage.layout import Layout
from mien.storage.lock import hold as hold_file
from mien.storage.lock import is_held, lock
with lock(Layout.of(Path(sys.argv[1]), Settings()), "mien train"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    create_album(tmp_path / "album", "personal")
    return Layout.of(tmp_path / "album", Settings())


def hold(layout: Layout) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(layout.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout and holder.stdout.readline() == "held\n"
    return holder


def test_a_second_run_is_told_who_holds_the_album(layout: Layout) -> None:
    with hold(layout) as holder:
        with pytest.raises(BusyError) as caught, lock(layout, "mien align"):
            pytest.fail("two runs at once")
        assert f'in use by "mien train" (process {holder.pid} on ' in str(caught.value)
        assert caught.value.about == str(layout.folder)
        assert holder.stdin
        holder.stdin.close()
        holder.wait()
        with lock(layout, "mien align"):
            pass


def test_the_lock_of_a_killed_run_is_gone_and_its_name_is_not_believed(layout: Layout) -> None:
    with hold(layout) as holder:
        holder.kill()
        holder.wait()
    card = layout.lock_file.with_suffix(".json")
    assert "mien train" in card.read_text()
    with lock(layout, "mien align"):
        with pytest.raises(BusyError, match="mien align"), lock(layout, "mien add"):
            pytest.fail("two runs at once")
        for written in ("{", "[]", "{}"):
            card.write_text(written)
            with pytest.raises(BusyError, match="another run of mien"), lock(layout, "mien add"):
                pytest.fail("two runs at once")
    assert not card.exists()
    with lock(layout, "mien add"):
        pass


def test_a_run_that_fails_lets_the_album_go(layout: Layout) -> None:
    with pytest.raises(KeyboardInterrupt), lock(layout, "mien train"):
        raise KeyboardInterrupt
    with lock(layout, "mien train"):
        pass


def test_a_read_only_album_is_refused_kindly(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with (
        pytest.raises(StorageError, match=r"could not be written: the disk is read-only. Use a folder that can be"),
        lock(layout, "train"),
    ):
        pass


def tools() -> NoReturn:
    pytest.fail("nobody asked for a tool")


def clock() -> datetime:
    pytest.fail("nobody asked for the time")


def test_whoever_reads_locks_nothing_and_waits_for_nobody(layout: Layout) -> None:
    with for_reading(layout, Settings(), tools, clock, Silent()) as album:
        assert album.catalog.files.on([]) == []
        assert album.ledger.history.promotions() == ()
    assert sorted(one.name for one in layout.folder.iterdir()) == ["mien.toml", "training-images"]
    with lock(layout, "mien train"):
        before = sorted(layout.folder.rglob("*"))
        with for_reading(layout, Settings(), tools, clock, Silent()) as album:
            assert album.catalog.files.on([]) == []
            assert sorted(layout.folder.rglob("*")) == before


def test_a_held_file_says_that_its_process_lives(tmp_path: Path) -> None:
    file = tmp_path / "a.held"
    assert not is_held(file)
    let_go = hold_file(file)
    assert is_held(file) and is_held(file)
    let_go()
    assert not is_held(file) and not file.exists()


def test_a_held_file_of_a_process_that_is_gone_goes(tmp_path: Path) -> None:
    file = tmp_path / "a.held"
    file.touch()
    assert not is_held(file) and not file.exists()


def test_a_held_file_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        hold_file(tmp_path / "file/a.held")
