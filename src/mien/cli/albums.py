"""init, add, status: what an album is and what is in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.completing import encoders, people
from mien.cli.console import SHOWN, Reporter, entry, fit, paint, printable, say, say_json, say_more, widest
from mien.cli.place import Engine, Scheduler, opened
from mien.errors import PhotoError, UsageError
from mien.storage.layout import TRAINING, require_free, shown
from mien.text.models import did_not_count
from mien.text.names import quoted_name
from mien.text.shell import command
from mien.text.words import count, first_few, level, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mien import Album
    from mien.pipeline.remove import Removed
    from mien.records.removals import Removal
    from mien.stages.status import PersonStatus, Status
    from mien.types import Finding

DECLINED = 130
"""The exit code where a question was answered with no: as for Ctrl-C, by which it may be answered too."""

FEW = 4
"""Names in one line before the rest is only counted."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Forget = Annotated[
    bool, typer.Option("--forget", help="Remember nothing of these photos, and forget what is remembered.")
]
"""Of commands that ask about photos."""

Strict = Annotated[
    bool | None,
    typer.Option("--strict/--no-strict", help="Exit with 6 if a photo could not be read, whatever mien.toml says."),
]

PEOPLE = 40
"""People in the table of status; of more, those with the fewest photos."""


def init(
    folder: Annotated[Path, typer.Argument(metavar="ALBUM", help="Where the album is to be; the folder may exist.")],
    basis: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help='Why you may recognise these people: "consent", "contract", "personal", …'),
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Its encoder, one that mien encoders lists.",
            show_default="the best here",
            autocompletion=encoders,
        ),
    ] = "",
    nested: Annotated[bool, typer.Option("--nested", help="Make it even within another album.")] = False,
) -> None:
    """Make an album: a folder with mien.toml and training-images/<person>/."""
    from mien import Album
    from mien.encoders.listing import advice

    require_free(folder, nested)  # before anything is asked
    if basis is None:
        basis = "personal"
        if asked():
            say("Recognising people needs a lawful basis: consent, contract, legitimate interest, or personal.")
            basis = typer.prompt("Yours", default=basis)
    album = Album.create(folder, basis, encoder, nested=nested)
    entry("album", str(folder))
    entry("basis", album.settings.basis)
    _print_encoder(album.settings.encoder, advice(album.settings.encoder, folder))
    photos = Path("training-images", "<person>")
    entry("next", f"put photos into {folder / photos}, then: {command(folder, 'train')}")


def asked() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def require_yes(question: str, default: bool = False) -> None:
    """Asks, and ends the command where the answer is no."""
    if not typer.confirm(question, default=default):
        say("Nothing was done.")
        raise typer.Exit(DECLINED)


def add(
    context: typer.Context,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Whose photos these are.", autocompletion=people)],
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO|FOLDER", help="Photos, or folders of photos.")],
    enrol: Annotated[
        bool,
        typer.Option(
            "--enrol", help="Let the model in use know this person at once, without training; the first is begun."
        ),
    ] = False,
    engine: Engine = None,
    scheduler: Scheduler = None,
) -> None:
    """Copy photos in under a person. Yours stay where they are; nothing is overwritten."""
    with Reporter(notes=False) as progress:
        album = opened(context, progress)
        added = album.add(person, photos, enrol)
    if added.back:
        entry("back", f"{printable(person)}, who was removed on {added.back.on}, may come from sources again")
    known = f"; {added.known:,} {'was' if added.known == 1 else 'were'} there already" if added.known else ""
    say(f"Added {count(len(added.added), 'photo')} to {printable(person)}{known}.")
    for other in added.near[:FEW]:
        both = f"{quoted_name(person)} is new, and nearly the name of {quoted_name(other)}"
        join = command(album.folder, "join", person, other)
        entry("near name", f"{both}; if they are one person: {join}", "33")
    for error in added.failures:
        entry("not added", str(error), "33")
    for error in added.unreadable:
        entry("unreadable", str(error), "33")
    if model := added.enrolled:
        knows = f"{printable(person)} by {count(model.photos, 'photo')}"
        fits = "fits it to all again" if model.trained else "measures it, which nobody has yet"
        entry("model", f"{model.version} is in use and knows {knows}; `mien train` {fits}")
    print_guesses(added.guesses)
    if added.failures or added.unreadable:
        raise typer.Exit(PhotoError.exit_code)


def print_guesses(guesses: Sequence[Finding]) -> None:
    """Whose face was taken by guess, and what to do about it."""
    for number, one in enumerate(guesses[:SHOWN]):
        first = one.photos[0]
        entry("" if number else "guessed", f"{first}{' …' if len(one.photos) > 1 else ''}: {one.why}", "33")
        entry("", one.remedy, "2")
    if len(guesses) > SHOWN:
        entry("", f"… and {count(len(guesses) - SHOWN, 'person', 'people')} more", "33")


def remove(
    context: typer.Context,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Who is to leave the album.", autocompletion=people)],
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PHOTO]...",
            help='Only these photos of that person: "1.jpg", or as mien writes them, "Ada/1.jpg".',
            show_default=False,
        ),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the photos instead of setting them aside.")] = False,
    everywhere: Annotated[
        bool,
        typer.Option(
            "--everywhere",
            help="Delete all that the album holds of the person: photos, also those set aside, models and their pages, "
            "what is remembered of photos asked about, records, the name.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Take a person, or some photos of theirs, out of the album and out of the model in use. No training is needed.
    They do not come back until somebody adds them again."""
    album = opened(context)
    if (delete or everywhere) and not yes:
        files = count(len(album.files_of(person, photos or (), everywhere)), "file")
        what = f"{files} of {person}, and all else that is of them here," if everywhere else f"{files} of {person}"
        if not asked():
            raise UsageError(what, "would be deleted", "Say --yes to have that done.")
        require_yes(f"Delete {printable(what.rstrip(','))} for good?")
    removed = album.remove(person, photos or (), delete, everywhere)
    if as_json:
        say_json(removed.to_json())
    else:
        _print_removed(album, person, removed, "Deleted" if delete or everywhere else "Set aside")
        if everywhere:
            _print_out_of_reach(album, person, removed)
    if removed.missing:
        raise typer.Exit(UsageError.exit_code)


def _print_removed(album: Album, person: str, removed: Removed, done: str) -> None:
    say(f"{done} {count(len(removed.files), 'file')} of {printable(person)}.")
    if removed.now:
        entry("now in", str(album.folder / "removed-images"))
    for photo in removed.missing:
        entry("not there", str(photo), "33")
    entry("model", f"{removed.version} is in use" if removed.version else "none is in use")
    if removed.older:
        one = len(removed.older) == 1
        still = f"{'is' if one else 'are'} still on disk, and still {'knows' if one else 'know'} {printable(person)}"
        entry("earlier", f"{first_few(removed.older, FEW)} {still}", "33")
        which = "It is" if one else "They are" if len(removed.older) <= FEW else "Each is"
        some = removed.older if len(removed.older) <= FEW else ["<model>"]
        entry("", f"{which} deleted by {command(album.folder, 'models', 'drop', *some)}", "33")


def _print_out_of_reach(album: Album, person: str, removed: Removed) -> None:
    """What went with a person of whom everything was deleted, and what mien cannot reach."""
    if removed.dropped:
        entry(
            "models", f"{count(len(removed.dropped), 'version')} deleted, pages too: {first_few(removed.dropped, FEW)}"
        )
    if removed.version:
        entry("", f"{command(album.folder, 'train')} makes a new page, and measures without the person")
    if removed.mentioned:
        entry("mien.toml", f"still names {printable(person)}: take that out yourself", "33")
    entry(
        "not reached",
        "photos of others that show the person or carry the name; copies that you made: of photos, of the album, of "
        "its models, by --annotate, --sheet, find and convert; backups",
        "33",
    )


def status(context: typer.Context, as_json: Json = False) -> None:
    """People, photos, faces, the current model, and what is stale."""
    found = opened(context).status()
    if as_json:
        say_json(found.to_json() | {"next_step": _next_step(found)})
        return
    if found.people:
        _print_people(found)
    photos = f"{found.photos:,} of {count(len(found.people) - found.empty, 'person', 'people')}"
    if found.empty:
        photos += f"; {count(found.empty, 'folder')} without a photo"
    entry("album", str(found.folder))
    entry("basis", found.basis)
    _print_encoder(found.encoder, found.advice)
    entry("photos", photos)
    if found.left_out:
        entry("left out", f"{_counts(found.left_out)}: {command(found.folder, 'check')}", "33")
    if found.refused:
        entry("sources", f"{_counts(found.refused)}: {command(found.folder, 'sources', '--all')}", "33")
    if found.waiting:
        how = f"{command(found.folder, 'merge')}, or daily"
        entry("waiting", f"{count(found.waiting, 'photo')} collected and not merged yet: {how}", "33")
    if found.remembered.photos:
        megabytes = f"{max(found.remembered.bytes / 1e6, 0.1):.1f} MB"
        what = f"what was seen in {count(found.remembered.photos, 'photo')} only asked about, {megabytes}"
        entry("remembered", f"{what}; {command(found.folder, 'forget')} drops it")
    for number, one in enumerate(found.closed[:SHOWN]):
        entry("" if number else "closed", f"{shown(one.path)} {one.reason}. {one.kind.remedy}", "31")
    say_more(len(found.closed))
    if found.damaged:
        entry("model", str(found.damaged), "31")
    elif found.model:
        m = found.model
        made_of = f"{count(m.people, 'person', 'people')}, {count(m.photos, 'photo')}"
        entry("model", f"{m.version}: {made_of}; unknown below a score of {m.threshold:.3f} (FPIR {level(m.fpir)})")
        if m.left_out:
            entry("doubted", f"{first_few(m.left_out, FEW)}: {did_not_count(len(m.left_out))}", "33")
    else:
        entry("model", "none")
    if found.removed:
        entry("removed", f"{_who(found.removed)}; nobody brings them back but `mien add`")
    for finding in found.damage:
        entry("ledger", finding.line, "31")
    for number, finding in enumerate(found.stale):
        entry("" if number else "stale", finding.why, "33")
    if next_step := _next_step(found):
        entry("next", next_step)
    else:
        entry("stale", "nothing", "32")


def _counts(findings: Sequence[Finding]) -> str:
    return ", ".join(finding.why for finding in findings)


def _who(removed: tuple[Removal, ...]) -> str:
    """Those who were removed, the last ones by name."""
    named = [f"{printable(one.name)} ({one.on})" for one in removed if one.name][-SHOWN:]
    rest = len(removed) - len(named)
    return listed([*named, *([count(rest, "other")] if rest else [])]) if named else count(rest, "person", "people")


def _print_encoder(encoder: str, advice: Finding | None) -> None:
    """Which encoder an album uses, and what a better one would bring, in one line."""
    entry("encoder", f"{encoder}; {advice.line}" if advice else encoder)


def _next_step(found: Status) -> str | None:
    """What to do about the album as it stands; None if nothing."""
    if not found.photos:
        return f"put photos into {found.folder / TRAINING / '<person>'}"
    return command(found.folder, "train") if found.stale or not found.model else None


def _print_people(found: Status) -> None:
    shown: Iterable[PersonStatus] = found.people
    if len(found.people) > PEOPLE:
        shown = sorted(found.people, key=lambda one: one.photos)[:PEOPLE]
    width = max(widest(one.name for one in shown), len("person"))
    say(f"{'person':<{width}}  photos  faces")
    for one in shown:
        few = f"  fewer than {found.minimum}" if one.photos else "  no photo"
        few = paint(few, "33") if one.photos < found.minimum else ""
        say(f"{fit(one.name, width)}  {one.photos:>6,}  {one.faces:>5,}{few}")
    if len(found.people) > PEOPLE:
        say(f"… and {len(found.people) - PEOPLE:,} people with as many photos or more")
    say()
