"""mien-move-image: what came today goes to what is there, person by person.

    <root>/<date>-training-images/<person>/  ->  <root>/training-images/<person>/
    <root>/<date>-aligned-images/<person>/   ->  <root>/aligned-images/<person>/

A file whose name is taken gets the next free one ("1-2.png"), unless the same bytes are there already. The folders of
the day go when they are empty. (The script left such files where they were, and then removed the folder with them.)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

from mien.compat.command import ends, say
from mien.errors import UsageError
from mien.storage.files import entries, is_folder, make_folder, move_file, remove_empty, remove_file, same_bytes
from mien.storage.free_names import FreeNames

PROGRAM = "mien-move-image"

ROOT: Final = "/face"
"""Where the pipeline's folders lay."""

FOLDERS: Final = ("training-images", "aligned-images")


def parser() -> argparse.ArgumentParser:
    """The script had no flags: its root was written into it."""
    found = argparse.ArgumentParser(prog=PROGRAM, description="What came today goes to what is there.")
    found.add_argument("--root", default=ROOT, help=f"The folder of the pipeline's folders ({ROOT}).")
    found.add_argument("--date", default="", metavar="YYYY-MM-DD", help="The day (today).")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    flags = parser().parse_args(arguments)
    return ends(PROGRAM, lambda: _run(Path(flags.root), flags.date))


def _run(root: Path, day: str) -> int:
    try:
        found = date.fromisoformat(day) if day else date.today()
    except ValueError as error:
        raise UsageError(f"--date {day}", "is no date", "Give one as 2026-11-26.") from error
    if not is_folder(root):
        raise UsageError(str(root), "is no folder", "Name the folder of the pipeline's folders with --root.")
    for folder in FOLDERS:
        move(root / f"{found.isoformat()}-{folder}", root / folder)
    return 0


def move(source: Path, target: Path) -> None:
    """Moves what lies in the folders of people below `source` into those below `target`; nothing where `source` is not
    there. Raises StorageError."""
    if not is_folder(source):
        return
    for person in sorted(entries(source)):
        if person.name.startswith(".") or not is_folder(person) or person.is_symlink():
            continue
        there = target / person.name
        make_folder(there)
        if there.samefile(person):  # by a link: what came is there
            continue
        names = FreeNames(one.name for one in entries(there))
        for file in sorted(entries(person)):
            if not file.name.startswith(".") and file.is_file() and not file.is_symlink():
                _move(file, there, names)
        remove_empty(person)
    remove_empty(source)


def _move(file: Path, there: Path, names: FreeNames) -> None:
    taken = there / file.name
    # (Of a link nobody says that the bytes are there: it may lead to the very file that is to be moved.)
    if taken.is_file() and not taken.is_symlink() and same_bytes(file, taken):
        remove_file(file)
        return
    while not move_file(file, new := there / names.take(file.name)):
        continue  # somebody else took the name in between
    say(str(file))
    say(str(new))


if __name__ == "__main__":
    sys.exit(main())
