from __future__ import annotations

import os
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest

from mien.errors import PhotoError, ToolError
from mien.storage import tracebacks
from mien.storage.leftovers import DAYS
from mien.storage.tracebacks import LONGEST, MOST, guarded, keep_traceback
from mien.testing import FakeDetector
from mien.text.photos import PhotoFault
from mien.text.words import count


class Hook:
    """A tool of somebody else."""

    def run(self, error: BaseException) -> None:
        raise error


def failed(error: BaseException, folder: Path | None, tool: object = None) -> ToolError:
    """What comes of a tool that raises `error`."""
    hook = Hook()
    with pytest.raises(ToolError) as caught, guarded("The hook x", tool or hook, folder):
        hook.run(error)
    return caught.value


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_the_message_names_the_file_which_only_its_owner_may_read(tmp_path: Path) -> None:
    error = failed(ValueError("two\nlines."), tmp_path / "kept")
    (file,) = (tmp_path / "kept").iterdir()
    assert error.message == f"The hook x failed (ValueError: two lines); its traceback is in {file}."
    assert (error.exit_code, error.remedy.split()[0]) == (17, "Report")
    text = file.read_text()
    assert text.startswith("Traceback") and "raise error" in text and text.endswith("two\nlines.\n")
    if os.name != "nt":
        assert (file.stat().st_mode & 0o777, (tmp_path / "kept").stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("error", [ValueError(), SystemExit(3), MemoryError(), AssertionError("no"), StopIteration()])
def test_whatever_is_raised_is_one_error(tmp_path: Path, error: BaseException) -> None:
    assert type(error).__name__ in failed(error, tmp_path).what


def test_ctrl_c_and_errors_of_mien_pass(tmp_path: Path) -> None:
    for error in (KeyboardInterrupt(), PhotoError("a.jpg", PhotoFault.EMPTY)):
        with pytest.raises(type(error)) as caught, guarded("The hook x", Hook(), tmp_path):
            Hook().run(error)
        assert caught.value is error
    assert list(tmp_path.iterdir()) == []


def test_miens_own_tools_are_not_excused(tmp_path: Path) -> None:
    for tool in (FakeDetector(), count):
        with pytest.raises(ValueError, match="a mistake"), guarded("The hook x", tool, tmp_path):
            raise ValueError("a mistake")
    for hook in (raised, partial(print), lambda: None):
        assert failed(ValueError("another's"), tmp_path, hook)


def test_long_words_are_cut_in_the_message_and_whole_in_the_file(tmp_path: Path) -> None:
    error = failed(ValueError("word " * 1000), tmp_path)
    assert len(error.what) < LONGEST + len(str(tmp_path)) + 100 and "…" in error.what
    assert "word " * 1000 in next(tmp_path.iterdir()).read_text()


def raised(text: str) -> ValueError:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_the_same_error_is_kept_once_and_of_others_the_newest(tmp_path: Path) -> None:
    assert len({keep_traceback(tmp_path, raised("the same")) for _ in range(3)}) == 1
    for number in range(MOST + 5):
        file = keep_traceback(tmp_path, raised(f"number {number}"))
        assert file is not None
        os.utime(file, (time.time() - 100 + number,) * 2)
    kept = {file.read_text().rpartition(" ")[2].strip() for file in tmp_path.iterdir()}
    assert len(kept) == MOST and {"same", str(MOST + 4)} < kept and "0" not in kept
    for file in tmp_path.iterdir():
        os.utime(file, (time.time() - DAYS * 86_400 - 60,) * 2)
    tracebacks.remove_old(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_where_the_album_takes_no_file_the_temporary_folder_does(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "file").write_bytes(b"where a folder should be")
    for folder in (None, tmp_path / "file"):
        file = keep_traceback(folder, raised("x"))
        assert file is not None and file.parent == temporary
    (temporary / "folder").mkdir()
    tempfile.tempdir = str(tmp_path / "file")
    assert keep_traceback(None, raised("x")) is None
    assert "its traceback could not be kept" in failed(raised("x"), None).message


def test_somebody_elses_file_of_that_name_is_not_taken_for_ours(temporary: Path) -> None:
    file = keep_traceback(None, raised("x"))
    assert file is not None
    text = file.read_bytes()
    file.write_bytes(b"forged")
    assert keep_traceback(None, raised("x")) == file and file.read_bytes() == text
    if os.name != "nt":
        (temporary / "precious").write_bytes(b"the user's own")
        file.unlink()
        file.symlink_to(temporary / "precious")
        assert keep_traceback(None, raised("x")) == file and file.read_bytes() == text
        assert (temporary / "precious").read_bytes() == b"the user's own"
