"""models, show, convert: which models there are and how they differ, what is known of a photo, other formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.albums import Json
from mien.cli.completing import versions
from mien.cli.console import SHOWN, Reporter, entry, paint, printable, say, say_json, say_more, table
from mien.cli.place import opened
from mien.errors import PhotoError
from mien.storage.layout import shown
from mien.text import words
from mien.text.findings import FindingKind
from mien.text.photos import of_preview
from mien.text.shell import command
from mien.text.words import between, bound, count, level, listed

if TYPE_CHECKING:
    from mien.learning.figures import Share
    from mien.pipeline.use import Dropped
    from mien.stages.compare import Difference
    from mien.stages.convert import Converted
    from mien.stages.models import Version
    from mien.stages.show import Shown

app = typer.Typer(no_args_is_help=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: Json = False) -> None:
    """List the models that there are, or compare them, or choose which is in use."""
    if context.invoked_subcommand is None:
        list_models(context, as_json)


@app.command(name="list", hidden=True)
def list_models(context: typer.Context, as_json: Json = False) -> None:
    """What `mien models` does by itself."""
    found = opened(context).models()
    if as_json:
        say_json([one.to_json() for one in found])
    elif found:
        _print_models(found)
    else:
        entry("models", "none yet; `mien train` makes one")


@app.command(name="diff", short_help="How two models differ, and on which photos.")
def diff(
    context: typer.Context,
    before: Annotated[
        str, typer.Argument(metavar="V1", help="A version, as `mien models` names it.", autocompletion=versions)
    ],
    after: Annotated[
        str,
        typer.Argument(
            metavar="V2",
            help="Another, usually later.",
            autocompletion=versions,
        ),
    ],
    as_json: Json = False,
) -> None:
    """People, photos and figures of two models side by side, and the photos that only one of them names rightly."""
    found = opened(context).difference(before, after)
    if as_json:
        say_json(found.to_json())
    else:
        _print_difference(found)


@app.command(name="promote", short_help="Put a model into use, whatever it is worth.")
def promote(
    context: typer.Context,
    version: Annotated[
        str, typer.Argument(metavar="V", help="A version, as `mien models` names it.", autocompletion=versions)
    ],
) -> None:
    """Put a model into use, whatever it is worth. One step; whoever has the old one open keeps it."""
    with Reporter() as progress:
        entry("model", f"{opened(context, progress).promote(version)} is in use")


@app.command(name="rollback", short_help="Go back to the model that was in use before.")
def rollback(context: typer.Context) -> None:
    """Go back to the model that was in use before. The daily run does not undo that by the same photos."""
    with Reporter() as progress:
        entry("model", f"{opened(context, progress).rollback()} is in use again")


@app.command(name="drop", short_help="Delete models.")
def drop(
    context: typer.Context,
    versions: Annotated[
        list[str],
        typer.Argument(metavar="V...", help="Versions, as `mien models` names them.", autocompletion=versions),
    ],
    as_json: Json = False,
) -> None:
    """Delete models with their pages. The one in use stays: put another into use first."""
    _print_dropped(opened(context).drop(versions), as_json)


@app.command(name="prune", short_help="Delete old models.")
def prune(
    context: typer.Context,
    keep: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="How many of the newest stay, instead of mien.toml's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Delete old models. The newest stay, the one in use, the one that a rollback goes back to, and the one whose page
    `mien report` shows. `mien daily` does the same."""
    _print_dropped(opened(context, keep=keep).prune(), as_json)


def _print_dropped(dropped: Dropped, as_json: bool) -> None:
    if as_json:
        say_json(dropped.to_json())
        return
    named = f": {_some(dropped.versions)}" if dropped.versions else ""
    entry("deleted", f"{count(len(dropped.versions), 'model')}{named}")
    entry("left", count(dropped.left, "model"))


def show(
    context: typer.Context,
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo in the album, or a copy of one.")],
    as_json: Json = False,
) -> None:
    """Everything that is known of a photo: where it came from, by what right, whose faces it shows, what learned it."""
    album = opened(context)
    found = album.show(photo)
    if as_json:
        say_json(found.to_json())
    else:
        _print_shown(album.folder, found)


def convert(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="A photo, or a folder of photos.")],
    target: Annotated[Path, typer.Argument(metavar="TO", help="A .jpg or .png, or a folder.")],
    to: Annotated[str | None, typer.Option(metavar="jpeg|png", help="The format, where TO is a folder.")] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG.")] = 92,
    as_json: Json = False,
) -> None:
    """Convert PNG to JPEG and back, for those who need it; mien itself reads both. Nothing is overwritten."""
    from mien import convert as run

    with Reporter(notes=as_json) as progress:
        found = run(source, target, to, quality=quality, progress=progress)
    if as_json:
        say_json(found.to_json())
    else:
        _print_converted(found)
    if found.failures:
        raise typer.Exit(PhotoError.exit_code)


def _print_models(found: tuple[Version, ...]) -> None:
    rows = []
    for one in found:
        version = f"{paint('*', '32') if one.in_use else ' '} {one.version:<14}"
        if one.damaged:
            rows.append([version, paint(printable(one.damaged), "33")])
            continue
        figures = [f"{one.people:,}", f"{one.photos:,}", _share(one.top1), _share(one.tpir_at_fpir_1)]
        rows.append([version, *figures, _HOW.get(one.how, one.how)])
    table(
        ["  model", ">people", ">photos", f"{'right name first':<16}", f"{'TPIR at FPIR 1 %':<16}", "by"],
        rows,
    )
    entry("*", "in use; by: the command that put it into use")


_HOW = {"": "-", "kept": "kept out"}
"""What stands for how a version came into use where it never did."""


def _share(share: Share) -> str:
    """ "97 % of 88", "all of 88"."""
    return f"{words.share(share.value, share.of)} of {share.of:,}" if share.of else "-"


def _print_difference(found: Difference) -> None:
    before, after = found.version
    entry("models", f"{before} and {after}")
    for label, names in (("new people", found.people_added), ("gone people", found.people_removed)):
        if names:
            entry(label, _some(names))
    for label, photos in (("new photos", found.added), ("gone photos", found.removed)):
        if photos:
            entry(label, _some([f"{person} {len(some):,}" for person, some in photos.items()]))
    for label, (then, now) in (("encoder", found.encoder), ("head", found.head)):
        if then != now:
            entry(label, f"{then} -> {now}")
    entry("threshold", f"{found.threshold[0]:.3f} -> {found.threshold[1]:.3f} for an FPIR of {level(found.fpir[1])}")
    say()
    say("each on its own album, as it was measured when it was trained (95 % intervals)")
    for name, (was, is_now) in found.figures.items():
        if was.of or is_now.of:
            say(f"  {_TITLES.get(name, name):<24}  {_interval(was):<28}  {_interval(is_now)}")
    _print_compared(found)


_TITLES = {
    "top1": "right name first",
    "top3": "among the first three",
    "tpir_at_fpir_1": "TPIR at FPIR 1 %",
    "tpir_at_fpir_01": "TPIR at FPIR 0.1 %",
    "tpir": "named rightly",
    "fpir": "strangers named",
}


def _interval(share: Share) -> str:
    if not share.of:
        return "-"
    if not share.hits:
        from mien.learning.figures import most_of_none

        return f"{'none':>7} (at most {bound(most_of_none(share.of))})"
    return f"{words.share(share.value, share.of):>7} ({between(share.low, share.high)})"


def _print_compared(found: Difference) -> None:
    say()
    from mien.stages.compare import Incomparable

    compared = found.compared
    if compared is None or isinstance(compared, Incomparable):
        entry("compared", compared.reason.why if compared else "the album has no catalog any more", "33")
        return
    asked = compared.decision.overall.of
    say(f"both on the same {count(asked, 'picture')}, fitted without them" if asked else "both on the same pictures")
    for finding in (*compared.decision.reasons, *compared.remarks):
        entry("", finding.why)
    for label, won in (("lost", False), ("won", True)):
        flips = [flip for flip in compared.flips if flip.won is won]
        for number, flip in enumerate(flips[:SHOWN]):
            other = f"{flip.taken_for or 'unknown'} {'before' if won else 'now'}"
            entry("" if number else label, f"{flip.photo or flip.sha256}: {other}")
        say_more(len(flips))


def _some(names: tuple[str, ...] | list[str]) -> str:
    rest = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def _print_shown(album: Path, found: Shown) -> None:
    entry("photo", str(found.file))
    if found.photo:
        photo = found.photo
        size = f"{photo.width} x {photo.height} pixels, {photo.format}"
        entry("", f"{size}, {found.bytes:,} bytes, perceptual hash {photo.phash}")
        if of := of_preview(photo.format, photo.width, photo.height):
            entry("", of)
    else:
        entry("", f"{found.bytes:,} bytes")
        if not found.left_out:
            entry("unreadable", str(found.error or ""), "33")
    entry("sha256", found.sha256)
    if any(finding.kind == FindingKind.NOT_SEEN for finding in found.left_out):
        entry("known", "not yet: `mien align` looks at it", "33")
    elif not found.known and not found.fetches and not found.left_out:
        entry("known", "no: the album has no photo of these bytes, and no source brought one", "33")
    for number, one in enumerate(found.filed):
        chip = f"; chip {found.chips[one.path]}" if one.path in found.chips else ""
        entry("" if number else "filed", f"{shown(one.path)}, {one.person}{chip}")
    for number, fetch in enumerate(found.fetches):
        when = f"{fetch.fetched_at.astimezone():%Y-%m-%d %H:%M}"
        robots = f", robots.txt: {fetch.robots}" if fetch.robots else ""
        entry("" if number else "came from", f"{fetch.location} ({fetch.source}), {when}{robots}")
        licence = f"licence {fetch.licence}, " if fetch.licence else ""  # of what was added by hand nobody said one
        entry("", f"{licence}basis {fetch.basis}, {fetch.outcome}")
    for number, (at, was, now) in enumerate(found.moved):
        entry("" if number else "moved", f"from {was} to {now}, {at.astimezone():%Y-%m-%d %H:%M}")
    for sighting in found.sightings:
        saw = "unreadable" if sighting.fault else count(len(sighting.faces), "face")
        entry("seen by", f"{sighting.encoder}: {saw}")
        for face in sighting.faces:
            own = f", {listed(face.own_of)}'s own" if face.own_of else ""
            of_some = f" of {listed(face.guessed)}" if face.guessed != face.own_of else ""
            own += f", by guess{of_some}" if face.guessed else ""
            box = " ".join(f"{value:.0f}" for value in face.face.box)
            entry("", f"box {box}, score {face.face.detector_score:.2f}, quality {face.quality.overall:.2f}{own}")
    if found.asked:
        since = f"since {found.asked.astimezone():%Y-%m-%d %H:%M}, as it was asked about"
        entry("remembered", f"{since}; {command(album, 'forget', found.file)} drops it")
    for finding in (one for one in found.left_out if one.kind != FindingKind.NOT_SEEN):
        entry("left out", f"{finding.why}. {finding.remedy}", "33")
    if found.models:
        entry("learned by", _some([*found.models]) + (f"; in use is {found.current}" if found.current else ""))
    elif found.current:
        entry("learned by", f"no model; in use is {found.current}")
    for number, one in enumerate(found.lookalikes):
        entry("" if number else "looks like", f"{shown(one.path)}, {one.person}")


def _print_converted(found: Converted) -> None:
    entry("converted", count(len(found.converted), "photo"))
    for number, (photo, _, why) in enumerate(found.skipped[:SHOWN]):
        entry("" if number else "left alone", f"{photo}: {why.words}")
    say_more(len(found.skipped))
    for number, error in enumerate(found.failures):
        entry("" if number else "unreadable", str(error), "33")
