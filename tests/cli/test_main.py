"""What all commands have in common: help, errors and their exit codes, signals, terminals."""

from __future__ import annotations

import errno
import inspect
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import Album, __version__, errors
from mien.errors import FetchError, MienError, PhotoError
from mien.text.fetching import FetchFault
from mien.text.photos import PhotoFault
from mien.text.shell import quoted

if TYPE_CHECKING:
    from conftest import Painted

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has neither these signals nor these devices")
MAIN = [sys.executable, "-m", "mien"]
BUG = """
import mien.cli, mien.album
def status(self):
    raise KeyError("what\\x1bever")
mien.album.Album.status = status
mien.cli.main()
"""


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """mien as a program of its own, its streams as text."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen([*MAIN, *map(str, arguments)], text=True, encoding="utf-8", **pipes)


def test_help_names_every_command_in_a_line(mien: Callable[..., Any]) -> None:
    result = mien("--help")
    assert result.exit_code == 0 and result.stderr == ""
    for command in ("init", "add", "align", "train", "evaluate", "classify", "status"):
        assert re.search(rf"^  {command} +[A-Z].*\.$", result.stdout, re.MULTILINE), command
    assert "..." not in result.stdout.partition("Commands:")[2], "a line was cut short"


def test_without_a_command_there_is_the_help(mien: Callable[..., Any]) -> None:
    result = mien()
    assert result.exit_code == 2
    assert "Commands:" in result.stderr and result.stdout == ""


def test_version(mien: Callable[..., Any]) -> None:
    result = mien("--version")
    assert (result.exit_code, result.stdout) == (0, f"mien {__version__}\n")


@pytest.mark.parametrize(
    ("words", "helps"),
    [
        (["clasify", "x.jpg"], "Did you mean 'classify'?"),
        (["classify", "--jsn", "x.jpg"], "--json"),
        (["classify"], "PHOTO|FOLDER"),
        (["classify", "--top", "0", "x.jpg"], "greater than or equal to 1"),
        (["-C"], "requires an argument"),
        (["evaluate", "x", "--face", "smallest"], "centre"),
    ],
)
def test_words_that_are_off_are_pointed_at(mien: Callable[..., Any], words: list[str], helps: str) -> None:
    result = mien(*words)
    assert result.exit_code == 2
    assert helps in result.stderr and result.stdout == ""


@pytest.mark.parametrize("command", [["status"], ["align"], ["train"], ["classify", "."], ["evaluate", "."]])
def test_what_is_no_album_is_said(mien: Callable[..., Any], tmp_path: Path, command: list[str]) -> None:
    for folder, problem in ((tmp_path, "is not an album"), (tmp_path / "nowhere", "does not exist")):
        result = mien("-C", folder, *command)
        assert result.exit_code == 3
        assert result.stderr.startswith(f"mien: {folder} {problem}") and f"mien init {quoted(folder)}" in result.stderr
    assert list(tmp_path.iterdir()) == []


CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, MienError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_is_two_lines_and_its_exit_code(
    mien: Callable[..., Any], album: Path, kind: type[MienError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Album) -> None:
        raise error

    is_photo = kind is PhotoError
    words = ("is off", "Mend it.", *((FetchFault.GONE,) if kind is FetchError else ()))
    error = PhotoError("A\x1b[2J file", PhotoFault.EMPTY) if is_photo else kind("A\x1b[2J file", *words)
    monkeypatch.setattr(Album, "status", fail)
    result = mien("-C", album, "status")
    assert result.exit_code == kind.exit_code
    what, remedy = ("is empty", PhotoFault.EMPTY.remedy) if is_photo else ("is off", "Mend it.")
    assert (result.stdout, result.stderr) == ("", f"mien: A\\x1b[2J file {what}.\n      {remedy}\n")


def test_a_full_disk_is_said(mien: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mien.storage.files.os.fsync", full)
    result = mien("init", tmp_path / "club")
    assert result.exit_code == 11
    assert "the disk is full" in result.stderr and "Free some space" in result.stderr


def test_a_setting_that_will_not_do_is_said(
    mien: Callable[..., Any], album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_VIEWS", "3")
    result = mien("-C", album, "status")
    assert result.exit_code == 2
    assert 'views = "3" in the environment will not do' in result.stderr


def test_ctrl_c_is_one_calm_line(mien: Callable[..., Any], album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Album) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Album, "status", stop)
    result = mien("-C", album, "status")
    assert result.exit_code == 130
    assert result.stderr.strip().splitlines() == [
        "Stopped. What was finished is kept; the same command goes on from there."
    ]


def test_an_interrupted_run_goes_on_where_it_stopped(
    mien: Callable[..., Any], three_people: Painted, tmp_path: Path
) -> None:
    def stop(photo: Path) -> None:
        if photo.name == "5.png":
            raise KeyboardInterrupt

    mien("-C", three_people.folder, "train")
    for number in range(8):
        three_people.paint(tmp_path / f"photos/{number}.png", "Ada")
    words = ("-C", three_people.folder, "classify", tmp_path / "photos", "--json")
    three_people.before_look = stop
    first = mien(*words)
    assert first.exit_code == 130
    assert len(first.stdout.splitlines()) == 5
    three_people.before_look = lambda _: None
    three_people.looked()
    again = mien(*words)
    assert again.exit_code == 0
    assert not {f"{number}.png" for number in range(5)} & set(three_people.looked()), "what was seen is remembered"
    assert again.stdout.startswith(first.stdout) and len(again.stdout.splitlines()) == 8


@posix
def test_a_signal_leaves_no_traceback(album: Path, sample: Path) -> None:
    with start("-C", album, "classify", sample / "people", "--json") as run:  # more than fits into a pipe
        assert run.stdout and run.stdout.readline()
        run.send_signal(signal.SIGINT)
        _, err = run.communicate()
    assert run.returncode == 130
    assert err.strip() == "Stopped. What was finished is kept; the same command goes on from there."


@posix
def test_a_reader_that_goes_away_is_no_error(album: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with start("-C", album, "status", stdout=writer) as run:
        os.close(writer)
        _, err = run.communicate()
    assert (run.returncode, err) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_results_that_cannot_be_kept_are_said(album: Path) -> None:
    with Path("/dev/full").open("w") as full:
        run = start("-C", album, "status", stdout=full)
        _, err = run.communicate()
    assert run.returncode == 11
    assert err.splitlines()[0] == "mien: standard output could not be written: the disk is full."
    assert len(err.splitlines()) == 2


def test_a_bug_is_a_short_line_and_not_a_traceback(album: Path) -> None:
    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", BUG, "-C", str(album), "status"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    short, long = run(), run(MIEN_DEBUG="1")
    assert (short.returncode, long.returncode) == (1, 1)
    assert short.stderr.startswith(f"mien: A mistake in mien {__version__} itself: KeyError: 'what\\x1bever'")
    assert "Please report it" in short.stderr and len(short.stderr.splitlines()) == 2
    assert "Traceback" not in short.stderr and "Traceback" in long.stderr


@posix
def test_the_bar_is_on_the_terminal_and_the_results_where_they_were_sent(
    album: Path, sample: Path, tmp_path: Path
) -> None:
    with (tmp_path / "answers").open("w") as file:
        screen, run = on_terminal(["-C", album, "classify", sample / "people/Amara", "--json"], stdout=file)
    assert run.returncode == 0
    assert "Classifying" in screen and "24/24" in screen and '"photo"' not in screen
    assert len((tmp_path / "answers").read_text().splitlines()) == 24


@posix
def test_answers_and_bar_share_a_terminal(album: Path, sample: Path) -> None:
    screen, run = on_terminal(["-C", album, "classify", sample / "people/Amara"])
    assert run.returncode == 0
    assert "Classifying" in screen and screen.count("Amara/0") == 9
    assert "\x1b[38;5;28mAmara" in screen
    assert "24 photos: 24 faces" in screen


@posix
def test_colours_are_left_out_where_they_are_not_wanted(album: Path) -> None:
    coloured, _ = on_terminal(["-C", album, "status"])
    plain, _ = on_terminal(["-C", album, "status"], NO_COLOR="1")
    assert "\x1b[" in coloured and "\x1b[" not in plain
    assert re.sub(r"\x1b\[[\d;]+m", "", coloured) == plain


def on_terminal(arguments: list[object], stdout: Any = None, **environment: str) -> tuple[str, subprocess.Popen[bytes]]:
    """Runs mien on a terminal (but for `stdout`, if given) and returns all that came to the screen."""
    import pty

    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    env |= {"TERM": "xterm-256color", "COLUMNS": "100", **environment}
    run = subprocess.Popen([*MAIN, *map(str, arguments)], env=env, stdin=theirs, stdout=stdout or theirs, stderr=theirs)
    os.close(theirs)
    screen = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # what Linux answers when the other end is closed
            break
        if not more:
            break
        screen += more
    os.close(ours)
    run.wait()
    return screen.decode(), run
