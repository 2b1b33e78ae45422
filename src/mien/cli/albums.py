"""init, add, status: what an album is and what is in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.console import Reporter, count, paint, percent, printable, say
from mien.errors import PhotoError

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def init(
    folder: Annotated[Path, typer.Argument(metavar="ALBUM", help="Where the album is to be; the folder may exist.")],
    basis: Annotated[
        str | None,
        typer.Option(help='Why you may recognise these people: "personal", "consent", "contract", … in your words.'),
    ] = None,
) -> None:
    """Make an album: a folder with mien.toml and training-images/<person>/."""
    from mien import Album

    if basis is None:
        basis = "personal"
        if sys.stdin.isatty():
            say("Recognising people needs a lawful basis: consent, contract, legitimate interest, or personal.")
            basis = typer.prompt("Yours", default=basis)
    album = Album.create(folder, basis)
    say(f'Made the album {printable(str(folder))} (basis: "{printable(album.settings.basis)}").')
    training = printable(str(album.folder / "training-images"))
    say(f"Now put photos into {training}/<person>/ and run:  mien -C {printable(str(folder))} train")


def add(
    context: typer.Context,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Whose photos these are.")],
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos, or folders of photos.")],
) -> None:
    """Copy photos in under a person. Yours stay where they are; nothing is overwritten."""
    from mien import Album

    added = Album(context.obj).add(person, photos)
    say(
        f"Added {count(len(added.added), 'photo')} to {printable(person)}"
        + (f"; {added.known:,} {'was' if added.known == 1 else 'were'} there already" if added.known else "")
        + "."
    )
    for error in added.failures:
        say(f"  {paint('not added', '33')}  {printable(str(error))}")
    if added.failures:
        raise typer.Exit(PhotoError.exit_code)


def status(context: typer.Context, as_json: Json = False) -> None:
    """People, photos, faces, the current model, and what is stale."""
    from mien import Album

    with Reporter(quiet=as_json) as progress:
        found = Album(context.obj, progress=progress).status()
    if as_json:
        say(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
        return
    holds = f"{count(len(found.people), 'person', 'people')}, {count(found.photos, 'photo')}"
    say(f"{printable(str(found.folder))}: {holds} (basis: {printable(found.basis)})")
    width = max((len(p.name) for p in found.people), default=0)
    shown = found.people if len(found.people) <= 40 else sorted(found.people, key=lambda p: p.photos)[:20]
    if shown:
        say()
        say(f"  {'person':<{width}}  photos  faces")
    for p in shown:
        few = paint(f"  fewer than {found.minimum}", "33") if p.photos < found.minimum else ""
        say(f"  {printable(p.name):<{width}}  {p.photos:>6}  {p.faces:>5}{few}")
    if len(shown) < len(found.people):
        say(f"  … and {len(found.people) - len(shown):,} people with more photos")
    say()
    if found.model is None:
        say("model    none yet")
    else:
        m = found.model
        say(
            f"model    {m.version}: {count(m.people, 'person', 'people')}, {count(m.photos, 'photo')}, "
            f"unknown below score {m.threshold:.3f} (FPIR {percent(m.fpir, 1)})"
        )
    for line in found.stale:
        say(f"stale    {paint(printable(line), '33')}")
    if found.stale or found.model is None:
        say(f"next     {printable(found.next_step)}")
    else:
        say(f"         {paint('up to date', '32')}")
