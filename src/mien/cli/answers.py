"""classify: who is in these photos."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.albums import Json
from mien.cli.console import Reporter, count, paint, percent, printable, say, tell
from mien.errors import PhotoError, UsageError

if TYPE_CHECKING:
    from mien.answers import Answer, NamedFace


def classify(
    context: typer.Context,
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO|FOLDER...", help="Photos, or folders that hold some.")],
    top: Annotated[int, typer.Option(min=1, help="How many names to consider for each face.")] = 3,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table, a row a face.")] = False,
    annotate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Put copies with boxes and names into this folder.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A model folder instead of the album's current model.")] = None,
) -> None:
    """Say who is in photos, or that it does not know. An interrupted run over folders goes on where it stopped."""
    from mien import Album

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other.", "Give one of them.")
    plain = not (as_json or as_csv)
    bar = not plain or not sys.stdout.isatty()  # on a terminal the answers themselves show how far it is
    table = csv.writer(sys.stdout) if as_csv else None
    photo_count = faces = named = faceless = unreadable = 0
    with Reporter(quiet=not bar) as progress:
        for answer in Album(context.obj, progress=progress).classify(photos, top=top, annotate=annotate, model=model):
            if table:
                if not photo_count:
                    table.writerow(_header(top))
                table.writerows(_rows(answer, top))
                sys.stdout.flush()
            elif as_json:
                from mien.answers import to_json

                say(json.dumps(to_json(answer), ensure_ascii=False))
            else:
                _print(answer)
            photo_count += 1
            faces += len(answer.faces)
            named += sum(face.prediction.person is not None for face in answer.faces)
            unreadable += answer.error is not None
            faceless += answer.error is None and not answer.faces
    if photo_count > 1:
        line = f"{count(photo_count, 'photo')}: {count(faces, 'face')}, {named:,} named, {faces - named:,} unknown"
        line += f"; {count(faceless, 'photo')} without a face" if faceless else ""
        line += f"; {count(unreadable, 'photo')} unreadable" if unreadable else ""
        (say if plain else tell)(("\n" if plain else "") + line)
    if annotate is not None:
        (say if plain else tell)(f"Annotated copies are in {printable(str(annotate))}")
    if unreadable:
        raise typer.Exit(PhotoError.exit_code)


def _print(answer: Answer) -> None:
    name = paint(printable(answer.path), "1")
    if answer.error:
        say(f"{name}  {paint(printable(f'unreadable: {answer.error}'), '31')}")
    elif not answer.faces:
        say(f"{name}  {paint('no face found', '2')}")
    else:
        say(f"{name}  {count(len(answer.faces), 'face')}{', left to right' if len(answer.faces) > 1 else ''}")
        for number, face in enumerate(answer.faces, 1):
            say(_line(number, face))


def _line(number: int, face: NamedFace) -> str:
    prediction = face.prediction
    who = prediction.person if prediction.person is not None else "unknown"
    head = paint(f"{printable(who):<20}", "32" if prediction.person is not None else "33")
    others = [c for c in prediction.candidates if c.person != prediction.person]
    rest = ", ".join(f"{printable(c.person)} {percent(c.probability)}" for c in others)
    if rest:
        rest = ("then " if prediction.person is not None else "nearest ") + rest
    x0, y0, x1, y1 = face.face.box
    return f"  {number:>2}  {head} {percent(prediction.probability):>7}   {rest}   " + paint(
        f"box {x0:.0f},{y0:.0f} to {x1:.0f},{y1:.0f}", "2"
    )


def _header(top: int) -> list[str]:
    fixed = [
        "photo",
        "face",
        "x0",
        "y0",
        "x1",
        "y1",
        "detector_score",
        "quality",
        "person",
        "probability",
        "score",
        "threshold",
    ]
    return [*fixed, *(f"{what}_{k}" for k in range(1, top + 1) for what in ("person", "probability", "score")), "error"]


def _rows(answer: Answer, top: int) -> list[list[object]]:
    """A row a face; a photo without one has a single row that says so by being empty."""
    width = len(_header(top))
    if not answer.faces:
        return [[answer.path, *[""] * (width - 2), str(answer.error or "")]]
    rows: list[list[object]] = []
    for number, face in enumerate(answer.faces, 1):
        p = face.prediction
        row: list[object] = [answer.path, number, *(round(v, 1) for v in face.face.box)]
        row += [
            round(face.face.detector_score, 4),
            round(face.quality.overall, 4),
            p.person if p.person is not None else "",
        ]
        row += [round(p.probability, 6), round(p.score, 6), round(p.threshold, 6)]
        for c in p.candidates:
            row += [c.person, round(c.probability, 6), round(c.score, 6)]
        rows.append([*row, *[""] * (width - len(row))])
    return rows
