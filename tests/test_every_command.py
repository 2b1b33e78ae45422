"""Every command of the command line where something may not be read or written: what can be done is done, and the rest
is called what it is. The commands are those that the parser knows, so a new one is tried too."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from mien.cli import app
from mien.errors import StorageError

if TYPE_CHECKING:
    from conftest import Painted

READING = (
    "catalog",
    "check",
    "classify",
    "encoders",
    "encoders list",
    "evaluate",
    "find",
    "keys",
    "keys list",
    "keys log",
    "models",
    "models diff",
    "models list",
    "report",
    "runs",
    "schedule",
    "show",
    "sources",
    "status",
)
"""Commands that change nothing, so that they do on a read-only album what they do on any other."""


def _commands() -> Iterator[tuple[str, list[str]]]:
    """The name of each command, and the words that its arguments are called in its help, without those that may be left
    out."""

    def below(group: Any, before: str) -> Iterator[tuple[str, list[str]]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                if command.invoke_without_command:
                    yield f"{before}{name}", []
                yield from below(command, f"{before}{name} ")
            else:
                arguments = [one for one in command.params if one.param_type_name == "argument" and one.required]
                yield f"{before}{name}", [one.metavar for one in arguments]

    return below(typer.main.get_command(app), "")


COMMANDS = dict(_commands())


def _words(command: str, album: Path, outside: Path) -> list[object]:
    """The command with words that suit it."""
    version = sorted(path.name for path in (outside / "album/models").iterdir() if path.is_dir())
    words: dict[str, list[object]] = {
        "ALBUM": [album / "new", "--nested"],
        "PERSON": ["Ada"],
        "INTO": ["Bo"],
        "PHOTO": [outside / "people/Ada/new.png"],
        "PHOTO|PERSON": ["Ada", "Bo"],
        "PHOTO|FOLDER": [outside / "people"],
        "PERSON|PHOTO|FOLDER": ["Ada", outside / "people"],
        "PHOTOS": [outside / "people"],
        "FROM": [outside / "people/Ada/new.png"],
        "TO": [album / "copy.jpg"],
        "V": [version[0]],
        "V1": [version[0]],
        "V2": [version[-1]],
        "V...": [version[0]],
        "NAME": ["tiny"],
        "NAME...": ["tiny"],
        "NAME|FILE.toml": [outside / "tiny.toml"],
        "PLACE": [album / "copied/c.sqlite"],
        "DUMP|URL": [outside / "dump.sql"],
    }
    options = {
        "schedule": ["--print", "cron"],
        "report": ["--no-open"],
        "serve": ["--host", "192.0.2.1"],  # an address of no machine (RFC 5737), where it cannot listen
        "import": ["--from", "compreface"],
    }
    given = [word for each in COMMANDS[command] for word in words[each]]
    return ["-C", album, *command.split(), *options.get(command, []), *given]


@pytest.fixture
def two_models(three_people: Painted, tmp_path: Path) -> Painted:
    """An album with two models, and beside it photos of Ada in another folder."""
    three_people.open().train()
    three_people.photo("Ada/ada-4.png")
    three_people.open().train()
    three_people.paint(tmp_path / "people/Ada/new.png", "Ada")
    three_people.open().add_key("tiny")
    (tmp_path / "tiny.toml").write_text('name = "tiny"\n')
    one = "00000000-0000-0000-0000-000000000001"
    picture = (tmp_path / "people/Ada/new.png").read_bytes().hex()
    (tmp_path / "dump.sql").write_text(
        f"COPY public.embedding (id, subject_id, img_id) FROM stdin;\n{one}\t{one}\t{one}\n\\.\n"
        f"COPY public.img (id, content) FROM stdin;\n{one}\t\\\\x{picture}\n\\.\n"
        f"COPY public.subject (id, api_key, subject_name) FROM stdin;\n{one}\tkey\tAda\n\\.\n"
    )
    return three_people


@contextlib.contextmanager
def without(mode: int, *paths: Path) -> Iterator[None]:
    """While nobody has these permissions there."""
    before = [(path, path.stat().st_mode) for path in paths]
    for path, now in reversed(before):  # a folder after what is in it
        path.chmod(now & 0o777 & ~mode)
    try:
        yield
    finally:
        for path, now in before:
            path.chmod(now)


def _snapshot(folder: Path) -> dict[str, bytes]:
    """All files, but for what is remembered of photos that were asked about."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "catalog-asked.sqlite")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_on_a_read_only_album_what_reads_does_its_work_and_what_writes_says_why_it_cannot(
    two_models: Painted, tmp_path: Path, mien: Callable[..., Any], bound: None
) -> None:
    album, before = two_models.folder, _snapshot(two_models.folder)
    usual = {name: mien(*_words(name, album, tmp_path)) for name in READING}
    assert _snapshot(album) == before, "what reads writes nothing"
    with without(0o222, album, *sorted(album.rglob("*"))):
        for command in COMMANDS:
            result = mien(*_words(command, album, tmp_path))
            if command in READING:
                assert (result.exit_code, result.stdout) == (usual[command].exit_code, usual[command].stdout), command
            elif command == "doctor":
                assert "may not be written" in result.stdout, result.output
            elif not command.startswith("encoders "):
                assert result.exit_code == StorageError.exit_code, (command, result.output)
                assert "permission denied" in result.stderr and "Give yourself write access" in result.stderr, command
            assert "mistake in mien" not in result.output, (command, result.output)
        assert _snapshot(album) == before


SOME = ("status", "check", "train", "daily", "classify", "models", "add", "remove")
"""Commands that between them open whatever an album holds."""

CLOSED: dict[str, tuple[str, Sequence[str]]] = {
    "a person": ("training-images/Bo", tuple(COMMANDS)),
    "the photos": ("training-images", SOME),
    "a person's chips": ("aligned-images/Bo", SOME),
    "what mien remembers": (".mien", tuple(COMMANDS)),
    "the catalog": (".mien/catalog.sqlite", SOME),
    "the ledger": (".mien/catalog-ledger.sqlite", SOME),
    "the models": ("models", tuple(COMMANDS)),
    "the model in use": ("models/2*-002", SOME),
    "its name": ("models/current", SOME),
    "the settings": ("mien.toml", SOME),
    "the album": ("", SOME),
}


@pytest.mark.parametrize("what", CLOSED)
def test_beside_something_that_may_not_be_read_nothing_breaks_and_nothing_is_taken_for_gone(
    two_models: Painted, tmp_path: Path, mien: Callable[..., Any], bound: None, what: str
) -> None:
    pattern, commands = CLOSED[what]
    album = two_models.folder
    given = [_words(command, album, tmp_path) for command in commands]
    with without(0o777, *(album.glob(pattern) if pattern else [album])):
        for command, words in zip(commands, given, strict=True):
            result = mien(*words)
            said = result.output
            assert "mistake in mien" not in said and "Traceback" not in said, (command, said)
            assert "no model yet" not in said and "is not an album" not in said, (command, said)
            assert result.exit_code in (0, 2, 3, 5, 6, 7, 11, 14, 18), (command, said)
            if result.exit_code == StorageError.exit_code:
                assert "permission" in said or "you may write" in said, (command, said)


def test_every_command_that_is_printed_can_be_pasted_into_a_shell(
    new_painted: Callable[[Path], Painted], tmp_path: Path, painted: Painted, mien: Callable[..., Any]
) -> None:
    """From an album whose path has blanks and signs that mean something to a shell."""
    folder = tmp_path / "My photos & 'more'; $HOME"
    folder.mkdir()
    said = [mien("init", folder / "new", "--basis", "personal").output]
    album = new_painted(folder / "album")
    for person in ("Ada", "Bo"):
        album.photo(f"{person}/1.png")
    new = album.paint(folder / "album/2026-11-20-training-images/Ada/2.png", "Ada")
    for words in (["status"], ["classify", new], ["merge"], ["train"], ["status"], ["remove", "Bo"], ["report", "-h"]):
        said.append(mien("-C", album.folder, *words).output)
    lines = [line[line.index("mien -C") :] for line in "\n".join(said).splitlines() if "mien -C" in line]
    printed = [line.partition("`")[0] for line in lines]  # some stand in backquotes
    assert len(printed) >= 7
    for line in printed:
        program, option, path, command, *_ = shlex.split(line)
        assert (program, option) == ("mien", "-C") and Path(path) in (album.folder, folder / "new"), line
        assert command.rstrip(",") in COMMANDS, line
