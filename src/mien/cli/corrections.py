"""move, rename, join, confirm, undo: photos that lie under the wrong person, and names that are wrong, or are not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.albums import Json, asked, require_yes
from mien.cli.completing import people
from mien.cli.console import SHOWN, entry, printable, say, say_json, say_more
from mien.cli.place import opened
from mien.storage.layout import TRAINING, shelf_of, shown
from mien.text.findings import DOUBTS, FindingKind
from mien.text.shell import command
from mien.text.words import count, listed

if TYPE_CHECKING:
    from mien import Album
    from mien.pipeline.correct import Corrected
    from mien.types import Finding


def move(
    context: typer.Context,
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO", help='Photos in the album, also as mien writes them: "Ada/1.jpg".')
    ],
    person: Annotated[
        str, typer.Argument(metavar="PERSON", help="Whom they show; may be new in the album.", autocompletion=people)
    ],
    as_json: Json = False,
) -> None:
    """File photos that lie under a wrong person under the right one. No source brings them back under the wrong one,
    and the model in use learns it at once."""
    album = opened(context)
    done = album.move(photos, person)
    if as_json:
        say_json(done.to_json())
        return
    who = printable(done.person)
    there = f"{done.there:,} {'lies' if done.there == 1 else 'lie'} under {who} already" if done.there else ""
    if not done.moved:
        say(f"Nothing to move: {there}.")
        return
    of = listed(map(printable, done.people))
    say(f"Moved {count(len(done.moved), 'photo')} from {of} to {who}{f'; {there}' if there else ''}.")
    _print_moved(done)
    if done.new:
        near = f"; did you mean {done.alike[0]}? Then: {command(album.folder, 'undo')}" if done.alike else ""
        entry("new", f"{done.person} was not in this album before{near}", "33")
    _print_done(album, done)


def rename(
    context: typer.Context,
    person: Annotated[
        str, typer.Argument(metavar="PERSON", help="Who is to be called otherwise.", autocompletion=people)
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name, which nobody in the album has.")],
    as_json: Json = False,
) -> None:
    """Give a person another name: folders, records, the model in use. What sources offer under the old name comes in
    under the new one."""
    album = opened(context)
    done = album.rename(person, name)
    if as_json:
        say_json(done.to_json())
        return
    say(f"{printable(done.people[0])} is called {printable(done.person)} now.")
    _print_done(album, done)


def join(
    context: typer.Context,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The name that is to go.", autocompletion=people)],
    into: Annotated[str, typer.Argument(metavar="INTO", help="The name that is to stay.", autocompletion=people)],
    as_json: Json = False,
) -> None:
    """Make one person of two names. What sources offer under the one name comes in under the other."""
    album = opened(context)
    done = album.join(person, into)
    if as_json:
        say_json(done.to_json())
        return
    say(
        f"{printable(done.people[0])} and {printable(done.person)} are one person now, called {printable(done.person)}."
    )
    entry("moved", count(len(done.moved), "file"))
    _print_done(album, done)


def confirm(
    context: typer.Context,
    named: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTO|PERSON",
            help='Photos in the album, also as mien writes them: "Ada/1.jpg"; or two people.',
            autocompletion=people,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Say that what check doubts is right: these photos show the person under whom they lie, or these two people are
    two. check doubts them no more."""
    album = opened(context)
    done = album.confirm(named)
    if as_json:
        say_json(done.to_json())
        return
    who = listed(map(printable, done.people))
    known = f"; {done.there:,} {'was' if done.there == 1 else 'were'} confirmed before" if done.there else ""
    if done.photos:
        say(f"Confirmed {count(len(done.photos), 'photo')} of {who}{known}.")
    else:
        say(f"{who} are two people{', as was confirmed before' if done.there else ''}.")
    entry("undo", command(album.folder, "undo"), "2")


def undo(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Undo the last move, rename, join or confirm; run again, the one before. A terminal is asked first."""
    album = opened(context)
    if dry_run or (asked() and not yes and not as_json):
        plan = album.undo(dry_run=True)
        if as_json:
            say_json(plan.to_json())
            return
        say(_what_undo_does(plan, "To undo:"))
        _print_moved(plan)
        if dry_run:
            return
        require_yes("Undo it?", default=True)
    done = album.undo()
    if as_json:
        say_json(done.to_json())
        return
    say(_what_undo_does(done, "Undone:"))
    _print_moved(done)
    if done.verb == "confirm":
        return
    if not done.unlearned:
        entry("model", f"{done.version} is in use" if done.version else "none is in use")
    else:
        _print_model(album, done)


def _what_undo_does(done: Corrected, start: str) -> str:
    old, now = listed(map(printable, done.people)), printable(done.person)
    if done.verb == "rename":
        return f"{start} the rename; {now} is {old} again."
    if done.verb == "confirm":
        photos = count(len(done.moved), "photo")
        return f"{start} the confirm; {f'{photos} of {old}' if done.moved else old} may be doubted again."
    files = count(len(done.moved), "file goes", "files go") if done.moved else "no file goes"
    return f"{start} the {done.verb}; {files} back from {now} to {old}."


def _print_moved(done: Corrected) -> None:
    """Where files lie now; a rename moves folders, and says so in its first line."""
    moved = () if done.verb == "rename" else done.moved
    for number, (was, now) in enumerate(moved[:SHOWN]):
        what, line = ("moved", f"{shown(was)} -> {shown(now)}") if was != now else ("photos", shown(was))
        entry("" if number else what, line)
    say_more(len(moved))
    for number, path in enumerate(done.left_out[:SHOWN]):
        entry("" if number else "left out", f"{shown(path)}, as it was removed since", "33")
    say_more(len(done.left_out))


def _print_done(album: Album, done: Corrected) -> None:
    """What came of a correction besides, and how it is undone."""
    if done.copies:
        are = "is a copy of one" if done.copies == 1 else "are copies of photos"
        entry("copies", f"{done.copies:,} {are} that {done.person} had; copies count once")
    if any(shelf_of(now) == TRAINING for _, now in done.moved):
        _print_model(album, done)
    else:
        entry("waiting", f"to be merged, as before: {command(album.folder, 'merge')}, or daily")
    if done.older:
        ends = " to ".join(dict.fromkeys((done.older[0], done.older[-1])))
        still = count(len(done.older), "version still says", "versions still say")
        entry("earlier", f"{still} {done.people[0]}: {ends}")
    if done.mentioned:
        entry("mien.toml", f"names {listed(done.mentioned)}: that goes on to hold for {done.person}", "33")
    entry("undo", command(album.folder, "undo"), "2")


def _print_model(album: Album, done: Corrected) -> None:
    if not done.version:
        entry("model", "none is in use")
    elif done.unlearned:
        entry("model", f"{done.version} does not know of it, as it {done.unlearned.words}", "33")
        entry("", f"{command(album.folder, 'train')} makes one that does", "33")
    else:
        measured = "" if done.verb == "rename" else f"; {command(album.folder, 'train')} measures it again"
        entry("model", f"{done.version} is in use and knows of it{measured}")


MOST = 12
"""Photos in a command that is printed; with more it would be no line any more that anybody reads."""


def mending(album: Path, finding: Finding) -> str:
    """The command that puts right what a finding says, if a human finds that it is so; "" where there is none."""
    people, photos = finding.people, finding.photos
    words: list[str] = []
    if finding.kind == FindingKind.ONE_IN_TWO:
        words = ["join", people[1], people[0]]
    elif len(photos) <= MOST and finding.kind in _MISFILED:
        words = ["move", *photos, people[1] if len(people) > 1 else "<person>"]
    return _line(album, words)


def confirming(album: Path, finding: Finding) -> str:
    """The command that says that what a finding doubts is right; "" where there is none."""
    if finding.kind == FindingKind.ONE_IN_TWO:
        return _line(album, ["confirm", *finding.people])
    is_short = finding.kind in DOUBTS and len(finding.photos) <= MOST
    return _line(album, ["confirm", *finding.photos]) if is_short else ""


def _line(album: Path, words: list[str]) -> str:
    if any(word.startswith("-") for word in words):
        words.insert(1, "--")
    return command(album, *words) if words else ""


_MISFILED = frozenset(
    {
        FindingKind.SUSPECT,
        FindingKind.WRONG_NAME,
        FindingKind.WRONG_NAMES,
        FindingKind.ODD,
        FindingKind.STRANGE,
        FindingKind.TWO_GROUPS,
    }
)
