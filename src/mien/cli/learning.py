"""align, train, evaluate: from photos to a model, and how good it is."""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.albums import Json
from mien.cli.console import Reporter, count, paint, percent, printable, say
from mien.errors import PhotoError

if TYPE_CHECKING:
    from mien.stages.align import Aligned
    from mien.stages.evaluate import Share
    from mien.stages.train import Trained

SHOWN = 10
"""Lines of one kind printed before the rest is only counted; --json has them all."""


class Face(enum.StrEnum):
    largest = "largest"
    centre = "centre"


def align(
    context: typer.Context,
    size: Annotated[
        int | None, typer.Option(help="Side of the pictures in aligned-images, pixels.", show_default="96")
    ] = None,
    skip_multi: Annotated[
        bool | None,
        typer.Option(
            "--skip-multi/--no-skip-multi", help="Leave out photos that show several faces.", show_default="no"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the faces, choose each person's own, and remember them; writes aligned-images/."""
    from mien import Album

    with Reporter() as progress:
        aligned = Album(context.obj, progress=progress, chip_size=size, skip_multi=skip_multi).align()
    if as_json:
        say(json.dumps(aligned.to_json(), ensure_ascii=False, indent=2))
    else:
        print_aligned(aligned)
    if aligned.failures:
        raise typer.Exit(PhotoError.exit_code)


def train(context: typer.Context, as_json: Json = False) -> None:
    """Do whatever of the above is missing, then make a model and put it into use."""
    from mien import Album

    with Reporter() as progress:
        learned = Album(context.obj, progress=progress).train()
    if as_json:
        say(json.dumps(learned.to_json(), ensure_ascii=False, indent=2))
    else:
        print_aligned(learned.aligned)
        say()
        if learned.trained:
            _print_trained(learned.trained)
        else:
            say(f"Nothing has changed since model {paint(learned.version, '1')} was made; it stays in use.")
    if learned.aligned.failures:
        raise typer.Exit(PhotoError.exit_code)


def _print_trained(trained: Trained) -> None:
    made_of = f"{count(trained.people, 'person', 'people')}, {count(trained.photos, 'photo')}"
    say(f"Model {paint(trained.version, '1')} is now in use: {made_of}.")
    if trained.self_top1 is not None:
        say(
            f"  {percent(trained.self_top1)} of its own photos, each left out in turn, are nearest to the right person."
        )
    say(f"  A face is unknown below a score of {trained.threshold.value:.3f}. {printable(trained.threshold.note)}")
    if trained.left_out:
        what = count(trained.left_out, "photo contradicts", "photos contradict")
        say(f"  {what} the person's others (a wrong label?) and did not count.")


def print_aligned(aligned: Aligned) -> None:
    """What one alignment found, in a few lines."""
    changes = [count(aligned.new, "new photo")] + [
        f"{number:,} {what}"
        for number, what in ((aligned.changed, "changed"), (aligned.moved, "moved or renamed"), (aligned.gone, "gone"))
        if number
    ]
    total = f"{count(aligned.people, 'person', 'people')}, {count(aligned.photos, 'photo')}"
    say(f"{total}: {', '.join(changes)}; computed {aligned.computed:,}.")
    chips = f"; {count(aligned.chips_written, 'chip')} written to aligned-images" if aligned.chips_written else ""
    say(f"{count(aligned.faces, 'face')} found, the person's own in {count(aligned.enrolled, 'photo')}{chips}.")
    _list("no face found", aligned.faceless)
    if aligned.several:
        what = "left out" if aligned.skip_multi else "the one that agrees with the person's other photos was taken"
        say(f"  {count(len(aligned.several), 'photo')} with several faces: {what}")
    _list("not learned from", [f"{path}: {reason}" for path, reason in aligned.left_out])
    _list("unreadable", [error for _, error in aligned.failures])


def _list(what: str, paths: Sequence[str]) -> None:
    for path in paths[:SHOWN]:
        say(f"  {paint(what, '33')}  {printable(path)}")
    if len(paths) > SHOWN:
        say(f"  … and {len(paths) - SHOWN:,} more: {what}")


def evaluate(
    context: typer.Context,
    photos: Annotated[
        Path, typer.Argument(metavar="PHOTOS", help="A folder of <person>/ photos that the model has not seen.")
    ],
    face: Annotated[
        Face, typer.Option(help="Which face of a photo is asked about; the label is not looked at.")
    ] = Face.largest,
    model: Annotated[Path | None, typer.Option(help="A model folder instead of the album's current model.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the current model on a folder of <person>/ photos; people it does not know are strangers."""
    from mien import Album

    with Reporter() as progress:
        found = Album(context.obj, progress=progress).evaluate(photos, face=face.value, model=model)
    if as_json:
        say(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
    else:
        say(
            f"Model {paint(found.model, '1')} on {count(found.top1.of, 'photo')} of "
            f"{count(len(found.people), 'person it knows', 'people it knows')} and {count(found.fpir.of, 'photo')} of "
            f"{count(len(found.strangers), 'stranger')}:"
        )
        say()
        _share("right name first (top 1)", found.top1)
        _share("right name in the first three", found.top3)
        _share("named rightly, above the threshold", found.tpir)
        if found.fpir.of:
            _share("strangers given a name (FPIR)", found.fpir)
            _share("TPIR at FPIR 1 % of these strangers", found.tpir_at_fpir_1)
            _share("TPIR at FPIR 0.1 % of these strangers", found.tpir_at_fpir_01)
        if found.no_face:
            say(f"  {count(found.no_face, 'photo')} without a face that was found; they count as misses")
        if found.strangers:
            names = ", ".join(found.strangers[:SHOWN]) + (", …" if len(found.strangers) > SHOWN else "")
            say(f"  strangers: {printable(names)}")
        if found.mistakes:
            say()
            say("  wrong at the model's threshold:")
        for mistake in found.mistakes[:SHOWN]:
            answer = printable(mistake.answer or "unknown")
            say(f"    {printable(mistake.photo)}: {printable(mistake.person)} was answered {answer}")
        if len(found.mistakes) > SHOWN:
            say(f"    … and {len(found.mistakes) - SHOWN:,} more")
    if found.failures:
        raise typer.Exit(PhotoError.exit_code)


def _share(what: str, share: Share) -> None:
    low, high = share.interval
    if share.of:
        interval = f"95 % interval {percent(low)} to {percent(high)}"
        say(f"  {what:<38} {percent(share.value, 2):>8}   {share.hits:,} of {share.of:,}, {interval}")
