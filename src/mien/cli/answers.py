"""classify: who is in these photos."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.albums import Forget
from mien.cli.console import (
    Reporter,
    cells,
    columns_of,
    csv_text,
    fit,
    fitted,
    json_text,
    paint,
    printable,
    say,
    tell,
    widest,
)
from mien.cli.place import Engine, Scheduler, opened, place
from mien.errors import PhotoError, UsageError
from mien.text.answers import AnswerKind, LowQuality
from mien.text.photos import of_preview
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
FEW_NOBODY = 3
"""Faces that are like nobody, or too poor to tell, that have a line each in a photo; more are only counted."""
LIKELY = 0.05
"""The probability from which on it is said who else a face with a name may be."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With one of these in front a spreadsheet takes a cell for a formula, and runs it."""


def classify(
    context: typer.Context,
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO|FOLDER", help="Photos, or folders that hold some.")],
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Say the N likeliest names of each face; --json and --csv say 3.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs, a line a photo.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table, a row a face.")] = False,
    annotate: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Put copies with boxes and names into this folder.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Make a page that shows all photos, and who is in them."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A model instead of the album's current one.")
    ] = None,
    forget: Forget = False,
    least: Annotated[
        float,
        typer.Option(
            min=0,
            max=100,
            metavar="PERCENT",
            help='Only names that are so sure; others are "perhaps".',
            show_default=False,
        ),
    ] = 0,
    only_named: Annotated[
        bool, typer.Option("--only-named", help="Leave out faces without a name, and photos without such a face.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say all of every face: likeliest names, box, quality.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print the answers and nothing else.")] = False,
    engine: Engine = None,
    scheduler: Scheduler = None,
) -> None:
    """Say who is in photos, or that nobody knows. What was seen in them is remembered for some days, so that asking
    again is quick."""
    if as_json and as_csv:
        raise UsageError("--json and --csv", "exclude each other", "Give one of them.")
    seen: Counter[str] = Counter()
    view = View(top=bool(top) or verbose, all=verbose, only_named=only_named)
    top = top or TOP
    with Reporter(quiet=quiet) as progress:
        for answer in _ask(context, photos, top, annotate, sheet, model, least / 100, progress, forget):
            if as_json:
                lines: Iterable[str] = _json(answer, only_named)
            elif as_csv:
                rows = _rows(answer, top, only_named)
                rows[:0] = [] if seen else [[*_header(top)]]
                lines = [_csv(rows)] if rows else []
            else:
                lines = _text(answer, view)
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
    if not quiet:
        plain = not (as_json or as_csv)
        _sum_up(seen, annotate, sheet, plain)
        if plain and model is None and on_terminals() and (advice := opened(context).advice()):
            tell(f"\nThis model's encoder is the one that came with mien. {advice.line}", 0)
    if seen["unreadable"]:
        raise typer.Exit(PhotoError.exit_code)


TOP = 3
"""Names that are considered for each face where the command line does not say how many."""


@dataclass(frozen=True, slots=True)
class View:
    """What the text says of faces: of each the likeliest names where `top`, `all` of it, or `only_named` faces."""

    top: bool = False
    all: bool = False
    only_named: bool = False


def _sum_up(seen: Counter[str], annotate: Path | None, sheet: Path | None, plain: bool) -> None:
    """What is said at the end of a run, beside the answers if they are `plain` text."""
    told = say if plain else tell
    if seen["photos"] > 1:
        if plain:
            say()
        told(_summary(seen))
    if annotate is not None:
        told(f"Annotated copies are in {printable(str(annotate))}")
    if sheet is not None:
        kilobytes = sheet.stat().st_size / 1000
        size = f"{kilobytes / 1000:,.1f} MB" if kilobytes >= 1000 else f"{kilobytes:.0f} kB"
        told(f"The contact sheet is {printable(str(sheet))} ({size})")


def on_terminals() -> bool:
    """Whether somebody reads both the results and what is said about the work."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def _ask(
    context: typer.Context,
    photos: list[Path],
    top: int,
    annotate: Path | None,
    sheet: Path | None,
    model: Path | None,
    least: float,
    progress: Progress,
    forget: bool,
) -> Iterator[Answer]:
    """The answers. A model that is named needs no album, so there must be one only if -C says so."""
    from mien import Album, classify

    here = place(context)
    if model is not None and here.named is None and not Album.is_at(here.folder):
        return classify(photos, model, top, annotate, sheet, least=least, eyes=here.eyes, progress=progress)
    return opened(context, progress).classify(photos, top, annotate, model, forget, sheet, least)


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


def _text(answer: Answer, view: View = View()) -> Iterator[str]:
    """A line for the photo and one for each face, in columns; unknown faces of which there is nothing to be said are
    only counted, where they are many."""
    named = sum(face.prediction.person is not None for face in answer.faces)
    if view.only_named and not named and not answer.error:
        return
    name = paint(printable(answer.path), "1")
    learned = f"; the model learned {listed(answer.learned)} from this photo" if answer.learned else ""
    if answer.photo and (of := of_preview(answer.photo.format, answer.photo.width, answer.photo.height)):
        learned += f"; {of}"
    if answer.error:
        what = f"unreadable: it {answer.error.what}. {answer.error.remedy}"
        yield fitted(f"{name}  {paint(printable(what), '31')}", hanging=6)
        return
    if not answer.faces:
        yield fitted(f"{name}  {paint(printable(f'no face found{learned}'), '2')}", hanging=6)
        return
    many = f"{count(len(answer.faces), 'face')}{', left to right' if len(answer.faces) > 1 else ''}"
    if view.only_named and named < len(answer.faces):
        many += f", {named:,} named"
    yield fitted(f"{name}  {many}{printable(learned)}", hanging=6)
    shown, folded = _folded(answer.faces, view)
    yield from _faces(shown, view)
    if folded:
        yield f"      {paint(_told_of(folded, bool(shown)), '33')}"


def _faces(shown: Sequence[tuple[int, NamedFace]], view: View) -> Iterator[str]:
    """A line for each face; where the terminal is too narrow for one of them, what is said beside a name goes on below
    it."""
    wide = widest(face.prediction.person or "unknown" for _, face in shown)
    others = [_others(face, view.top) for _, face in shown]
    wider = max(map(cells, others), default=0)
    heads, tails = [], []
    for (number, face), rest in zip(shown, others, strict=True):
        prediction = face.prediction
        sure = chance(prediction.probability) if prediction.person or _by_chance(face) else "-"
        who = paint(fit(prediction.person or "unknown", wide), "32" if prediction.person else "33")
        heads.append(f"  {number:>2}  {who}  {sure:>5}")
        box = "box {:.0f},{:.0f} {:.0f},{:.0f}".format(*face.face.box) if view.all else ""
        remarks = printable("; ".join(_remarks(face, view.all)))
        columns = [fit(rest, wider) if wider else "", paint(box, "2"), paint(remarks, "33")]
        tails.append("  ".join(column for column in columns if column).rstrip())
    screen = columns_of(sys.stdout)
    fits = not screen or all(6 + wide + 9 + cells(tail) <= screen for tail in tails)
    for head, tail, rest in zip(heads, tails, others, strict=True):
        if fits or not tail:
            yield f"{head}  {tail}".rstrip()
        else:  # without the blanks that make columns
            yield fitted(f"{head}  {rest}{'  ' if rest else ''}{tail[len(fit(rest, wider)) :].lstrip()}", hanging=8)


def _folded(faces: Sequence[NamedFace], view: View) -> tuple[list[tuple[int, NamedFace]], list[NamedFace]]:
    """The faces with their numbers that have a line each, and those that are only counted: where they are more than
    `FEW_NOBODY` those who are like nobody or too poor to tell."""
    numbered = list(enumerate(faces, 1))
    if view.only_named:
        return [(number, face) for number, face in numbered if face.prediction.person is not None], []
    nobody = [face for face in faces if _reason(face) in (*POOR, AnswerKind.NOBODY)]
    folded = nobody if len(nobody) > FEW_NOBODY and not view.all else []
    hidden = set(map(id, folded))
    return [(number, face) for number, face in numbered if id(face) not in hidden], folded


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


def _remarks(face: NamedFace, all_of_it: bool) -> Iterator[str]:
    """What is to be said of an answer, and of the face where it is poor: of one that is like nobody only where
    `all_of_it` is to be said."""
    reason = face.prediction.reason
    if reason and reason.kind != AnswerKind.NOBODY:
        likely = {one.person: chance(one.probability) for one in face.prediction.candidates}
        sure = [likely[person] for person in reason.people if person in likely and face.prediction.person is None]
        yield f"{reason.why} ({listed(sure)})" if sure else reason.why
    if _reason(face) == AnswerKind.NOBODY and not all_of_it:
        return
    quality = asdict(face.quality)
    for kind in LowQuality.in_quality(quality):
        if not (reason and reason.kind == f"too {kind}"):  # which says it already
            yield kind.say(quality)


def _others(face: NamedFace, top: bool) -> str:
    """The candidates other than the answer, with their probabilities: all with `top`, otherwise those whom a face with
    a name may well be instead. "" where there are none, or they mean nothing as the face is too poor."""
    prediction = face.prediction
    if _reason(face) in POOR:
        return ""
    rest = [one for one in prediction.candidates if one.person != prediction.person]
    if not top:
        rest = [one for one in rest if one.probability >= LIKELY and prediction.person is not None]
    names = ", ".join(f"{fit(c.person, widest([c.person]))} {chance(c.probability)}" for c in rest)
    return f"{'then' if prediction.person is not None else 'nearest'} {names}" if names else ""


def _json(answer: Answer, only_named: bool) -> Iterator[str]:
    if only_named and not answer.error:
        answer = replace(answer, faces=tuple(one for one in answer.faces if one.prediction.person is not None))
        if not answer.faces:
            return
    yield json_text(answer.to_json())


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


def _rows(answer: Answer, top: int, only_named: bool) -> list[list[object]]:
    """A row a face, or only of those that are named; a photo without one has a single row that says so by being empty,
    or none."""
    width, learned = len(_header(top)) - 3, ", ".join(answer.learned)
    if not answer.faces:
        if only_named and not answer.error:
            return []
        return [[answer.path, *[""] * (width - 1), str(answer.error or ""), "", learned]]
    rows: list[list[object]] = []
    for number, face in enumerate((named.to_json() for named in answer.faces), 1):
        if only_named and face["person"] is None:
            continue
        row = [answer.path, number, *face["box"], face["detector_score"], face["quality"]["overall"]]
        row += [face["person"] or "", face["probability"], face["score"], face["threshold"]]
        row += [one[column] for one in face["candidates"] for column in CANDIDATE_COLUMNS]
        rows.append([*row, *[""] * (width - len(row)), "", face["reason"] or "", learned])
    return rows
