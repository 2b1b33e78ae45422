"""find, forget: the photos in which somebody is, and what is remembered of photos that were asked about."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.albums import Forget, Json
from mien.cli.completing import people
from mien.cli.console import SHOWN, Reporter, fit, json_text, paint, printable, say, say_json, tell, widest
from mien.cli.place import Engine, Scheduler, opened
from mien.errors import PhotoError, UsageError
from mien.text.names import nfc
from mien.text.words import chance, count, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.stages.find import Found


def find(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="PERSON|PHOTO|FOLDER",
            help="First names of people, none for all whom the model knows; then photos, or folders that hold some. "
            "Write a folder that is called like a person as ./NAME.",
            autocompletion=people,
        ),
    ],
    least: Annotated[
        float, typer.Option(min=0, max=100, metavar="PERCENT", help="Only where it is so sure.", show_default=False)
    ] = 0,
    copy: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Copy the photos there, into a folder per person.")
    ] = None,
    link: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Make links to the photos there, in a folder per person.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs, a line a photo.")] = False,
    model: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A model instead of the album's current one.")
    ] = None,
    forget: Forget = False,
    engine: Engine = None,
    scheduler: Scheduler = None,
) -> None:
    """List the photos in which somebody is, and how sure that is. Photos are only read, and no file is replaced."""
    if copy is not None and link is not None:
        raise UsageError("--copy and --link", "exclude each other", "Give one of them.")
    seen: Counter[str] = Counter()
    number: Counter[str] = Counter()
    with Reporter() as progress:
        album = opened(context, progress)
        known = album.known_people(model)
        names, photos = _parted(words, known)
        wide = widest(names or known)
        for found in album.find(names, photos, least / 100, copy, link, model, forget):
            if as_json and (found.people or found.error):
                progress.say(json_text(found.to_json()))
            elif not as_json:
                for line in _lines(found, 0 if len(names) == 1 else wide):
                    progress.say(line)
            number.update(one.person for one in found.people)
            seen.update(
                photos=1,
                found=bool(found.people),
                placed=len(found.placed),
                new=found.new,
                unreadable=found.error is not None,
            )
    for line in _summary(names, seen, number, copy, link):
        (tell if as_json else say)(line)
    if seen["unreadable"]:
        raise typer.Exit(PhotoError.exit_code)


def _parted(words: Sequence[str], known: Sequence[str]) -> tuple[list[str], list[Path]]:
    """The names and the photos of a command line: the words before the first that is no name and lies on the disk are
    names. Raises UsageError where no photo is named."""
    people = set(map(nfc, known))
    names: list[str] = []
    for place, word in enumerate(words):
        if nfc(word) not in people and Path(word).exists():
            return names, [Path(each) for each in words[place:]]
        names.append(word)
    last = words[-1]
    if Path(last).exists():  # as it is a name too, and nothing follows
        remedy = f"Write ./{last} if you mean the folder; or name photos after the name."
        raise UsageError(printable(last), "is a person's name, and no photo is named", remedy)
    if nfc(last) not in people:
        raise UsageError(printable(last), "does not exist, and is nobody's name", "Check the path, and the name.")
    raise UsageError("No photo", "is named", "Name photos after the names, or folders that hold some.")


def _lines(found: Found, wide: int) -> list[str]:
    """A line for each person who is in the photo; names have `wide` columns, none where one person is looked for."""
    if found.error:
        what = f"unreadable: it {found.error.what}. {found.error.remedy}"
        return [f"{printable(found.path)}  {paint(printable(what), '31')}"]
    lines = []
    for one in found.people:
        name = f"{paint(fit(one.person, wide), '32')}  " if wide else ""
        doubt = f"  {paint(printable(one.doubt), '33')}" if one.doubt else ""
        lines.append(f"{name}{chance(one.probability):>7}  {printable(found.path)}{doubt}")
    return lines


def _summary(
    names: Sequence[str], seen: Counter[str], number: Counter[str], copy: Path | None, link: Path | None
) -> list[str]:
    """What there was in all."""
    found = f"{seen['found']:,}" if seen["found"] else "none"
    of = f"{found} of {count(seen['photos'], 'photo')}"
    if len(names) == 1:
        line = f"{printable(nfc(names[0]))} is in {of}"
    else:
        most = [f"{printable(person)} in {times:,}" for person, times in number.most_common(SHOWN)]
        rest = [count(len(number) - SHOWN, "other")] if len(number) > SHOWN else []
        line = f"Found in {of}" + (f": {listed([*most, *rest])}" if most else "")
    if seen["unreadable"]:
        line += f"; {count(seen['unreadable'], 'photo')} unreadable"
    lines = [line]
    if target := copy or link:
        what = "copy" if copy else "link"
        made = count(seen["new"], what, "copies" if copy else "links")
        known = f", {seen['placed'] - seen['new']:,} were there already" if seen["placed"] > seen["new"] else ""
        lines.append(f"{made} made in {printable(str(target))}{known}")
    return lines


def forget(
    context: typer.Context,
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PHOTO|FOLDER", help="Only these photos, and those in these folders.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Forget what was seen in photos that mien was only asked about. They stay, and so do the album and its people."""
    album = opened(context)
    _require_photos(photos or ())
    done = album.forget(photos or ())
    if as_json:
        say_json(done.to_json())
        return
    left = f" {count(done.left, 'photo')} still remembered." if done.left else ""
    say(f"Forgotten: what was seen in {count(done.photos, 'photo')}.{left}" if done.photos else _nothing(left))


def _nothing(left: str) -> str:
    return f"Nothing was remembered of them.{left}" if left else "Nothing was remembered."


def _require_photos(photos: Sequence[Path]) -> None:
    """Raises UsageError for what is not there: somebody may think that a person is forgotten by this."""
    for photo in photos:
        if not photo.exists() and len(photo.parts) == 1:
            remedy = "Name a photo or a folder. To take a person out: `mien remove <person> --everywhere`."
            raise UsageError(printable(str(photo)), "does not exist", remedy)
