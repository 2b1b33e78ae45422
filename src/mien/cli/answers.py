"""classify: who is in these photos."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.console import SHOWN, Reporter, cells, csv_text, fit, json_text, paint, printable, say, tell, widest
from mien.cli.place import opened, place
from mien.errors import PhotoError, UsageError
from mien.text.answers import AnswerKind, LowQuality
from mien.text.words import chance, count, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mien.protocols import Progress
    from mien.text.kinds import Kind
    from mien.types import Answer, NamedFace

FACE_COLUMNS = (
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
)
CANDIDATE_COLUMNS = ("person", "probability", "score")
POOR = (AnswerKind.TOO_SMALL, AnswerKind.TOO_BLURRED)
"""Why a face cannot be recognised, whoever it is."""
FEW_POOR = 3
"""Such faces that have a line each in a photo; more are only counted."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With one of these in front a spreadsheet takes a cell for a formula, and runs it."""


def classify(
    context: typer.Context,
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO|FOLDER", help="Photos, or folders that hold some.")],
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many names to consider for each face.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs, a line a photo.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table, a row a face.")] = False,
    annotate: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Put copies with boxes and names into this folder.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A model instead of the album's current one.")
    ] = None,
) -> None:
    """Say who is in photos, or that nobody knows. An interrupted run over folders goes on where it stopped."""
    if as_json and as_csv:
        raise UsageError("--json and --csv", "exclude each other", "Give one of them.")
    seen: Counter[str] = Counter()
    with Reporter() as progress:
        for answer in _ask(context, photos, top, annotate, model, progress):
            if as_json:
                lines: Iterable[str] = [_json(answer)]
            elif as_csv:
                lines = [_csv([*([] if seen else [_header(top)]), *_rows(answer, top)])]
            else:
                lines = _text(answer)
            for line in lines:
                progress.say(line)
            seen.update(
                photos=1,
                faces=len(answer.faces),
                named=sum(face.prediction.person is not None for face in answer.faces),
                poor=sum(_reason(face) in POOR for face in answer.faces),
                learned=bool(answer.learned),
                faceless=answer.error is None and not answer.faces,
                unreadable=answer.error is not None,
            )
    plain = not (as_json or as_csv)
    summarise = say if plain else tell
    if seen["photos"] > 1:
        summarise(("\n" if plain else "") + _summary(seen))
    if annotate is not None:
        summarise(f"Annotated copies are in {printable(str(annotate))}")
    if plain and model is None and on_terminals() and (advice := opened(context).advice()):
        tell(f"\nThis model's encoder is the one that came with mien. {advice.line}")
    if seen["unreadable"]:
        raise typer.Exit(PhotoError.exit_code)


def on_terminals() -> bool:
    """Whether somebody reads both the results and what is said about the work."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def _ask(
    context: typer.Context, photos: list[Path], top: int, annotate: Path | None, model: Path | None, progress: Progress
) -> Iterator[Answer]:
    """The answers. A model that is named needs no album, so there must be one only if -C says so."""
    from mien import Album, classify

    here = place(context)
    if model is not None and here.named is None and not Album.is_at(here.folder):
        return classify(photos, model, top, annotate, eyes=here.eyes, progress=progress)
    return opened(context, progress).classify(photos, top, annotate, model)


def _summary(seen: Counter[str]) -> str:
    """The last line: how many photos there were, and what was in them."""
    line = f"{count(seen['photos'], 'photo')}: {count(seen['faces'], 'face')}"
    if seen["faces"]:
        line += f", {seen['named']:,} named, {seen['faces'] - seen['named']:,} unknown"
    if seen["poor"]:
        line += f" ({seen['poor']:,} too small or blurred to tell)"
    if seen["faceless"]:
        line += f"; {count(seen['faceless'], 'photo')} without a face"
    if seen["learned"]:
        line += f"; {count(seen['learned'], 'photo')} that the model learned from"
    if seen["unreadable"]:
        line += f"; {count(seen['unreadable'], 'photo')} unreadable"
    return line


def _text(answer: Answer) -> Iterator[str]:
    """A line for the photo and one for each face, in columns; faces of which nothing is to be said but that they are
    unknown are only counted, where they are many."""
    name = paint(printable(answer.path), "1")
    learned = f"; the model learned {listed(answer.learned)} from this photo" if answer.learned else ""
    if answer.error:
        what = f"unreadable: it {answer.error.what}. {answer.error.remedy}"
        yield f"{name}  {paint(printable(what), '31')}"
        return
    if not answer.faces:
        yield f"{name}  {paint(printable(f'no face found{learned}'), '2')}"
        return
    several = len(answer.faces) > 1
    yield f"{name}  {count(len(answer.faces), 'face')}{', left to right' if several else ''}{printable(learned)}"
    shown, folded = _folded(answer.faces)
    who = [face.prediction.person or "unknown" for _, face in shown]
    others = [_others(face) for _, face in shown]
    wide, wider = widest(who), max(map(cells, others), default=0)
    for (number, face), person, rest in zip(shown, who, others, strict=True):
        prediction = face.prediction
        x0, y0, x1, y1 = map(round, face.face.box)
        sure = chance(prediction.probability) if prediction.person or _by_chance(face) else "-"
        remarks = printable("; ".join(_remarks(face)))
        yield (
            f"  {number:>2}  {paint(fit(person, wide), '32' if prediction.person else '33')}  "
            f"{sure:>7}  {fit(rest, wider)}{'  ' if wider else ''}"
            + paint(f"box {x0},{y0} {x1},{y1}", "2")
            + (f"  {paint(remarks, '33')}" if remarks else "")
        )
    if folded:
        yield f"      {paint(_told_of(folded, bool(shown)), '33')}"


def _folded(faces: Sequence[NamedFace]) -> tuple[list[tuple[int, NamedFace]], list[NamedFace]]:
    """The faces with their numbers that have a line each, and those that are only counted: where they are more than
    `FEW_POOR` the poor ones, and where they are more than `SHOWN` all who are like nobody."""
    poor = [face for face in faces if _reason(face) in POOR]
    nobody = [face for face in faces if _reason(face) in (*POOR, AnswerKind.NOBODY)]
    folded = nobody if len(nobody) > SHOWN else poor if len(poor) > FEW_POOR else []
    hidden = set(map(id, folded))
    return [(number, face) for number, face in enumerate(faces, 1) if id(face) not in hidden], folded


def _told_of(folded: Sequence[NamedFace], others: bool) -> str:
    """How many faces have no line of their own, and why."""
    told = f"{'and ' if others else ''}{count(len(folded), 'unknown face')}"
    number = Counter(map(_reason, folded))
    whys = [f"{number[kind]:,} {kind} to tell" for kind in POOR if number[kind]]
    return f"{told}: {listed(whys)}" if whys else told


def _reason(face: NamedFace) -> Kind | None:
    reason = face.prediction.reason
    return reason.kind if reason else None


def _by_chance(face: NamedFace) -> bool:
    """Whether it is by the probabilities that a face is unknown."""
    prediction = face.prediction
    return _reason(face) not in POOR and prediction.score < prediction.threshold


def _remarks(face: NamedFace) -> Iterator[str]:
    """What is to be said of an answer, and of the face where it is poor."""
    reason = face.prediction.reason
    if reason and reason.kind != AnswerKind.NOBODY:
        yield reason.why
    quality = asdict(face.quality)
    for kind in LowQuality.in_quality(quality):
        if not (reason and reason.kind == f"too {kind}"):  # which says it already
            yield kind.say(quality)


def _others(face: NamedFace) -> str:
    """The candidates other than the answer, with their probabilities; "" where there are none, or they mean nothing as
    the face is too poor."""
    prediction = face.prediction
    if _reason(face) in POOR:
        return ""
    rest = [c for c in prediction.candidates if c.person != prediction.person]
    names = ", ".join(f"{fit(c.person, widest([c.person]))} {chance(c.probability)}" for c in rest)
    return f"{'then' if prediction.person is not None else 'nearest'} {names}" if names else ""


def _json(answer: Answer) -> str:
    return json_text(answer.to_json())


def _csv(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().removesuffix("\n")


def _harmless(cell: object) -> object:
    """The cell with a ' in front if it begins like a formula, so that no spreadsheet runs it: a photo may come from
    anybody, and so may its name. What could steer a terminal is escaped."""
    if not isinstance(cell, str):
        return cell
    return f"'{csv_text(cell)}" if cell.startswith(FORMULA) else csv_text(cell)


def _header(top: int) -> list[str]:
    """The names of the columns where the `top` best candidates are told of each face."""
    return [
        *FACE_COLUMNS,
        *(f"{column}_{rank}" for rank in range(1, top + 1) for column in CANDIDATE_COLUMNS),
        "error",
        "reason",
        "learned",
    ]


def _rows(answer: Answer, top: int) -> list[list[object]]:
    """A row a face; a photo without one has a single row that says so by being empty."""
    width, learned = len(_header(top)) - 3, ", ".join(answer.learned)
    if not answer.faces:
        return [[answer.path, *[""] * (width - 1), str(answer.error or ""), "", learned]]
    rows: list[list[object]] = []
    for number, face in enumerate((named.to_json() for named in answer.faces), 1):
        row = [answer.path, number, *face["box"], face["detector_score"], face["quality"]["overall"]]
        row += [face["person"] or "", face["probability"], face["score"], face["threshold"]]
        row += [one[column] for one in face["candidates"] for column in CANDIDATE_COLUMNS]
        rows.append([*row, *[""] * (width - len(row)), "", face["reason"] or "", learned])
    return rows
