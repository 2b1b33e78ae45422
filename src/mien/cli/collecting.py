"""sources, collect, merge, daily, schedule, runs: photos arrive, and the model stays current."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import completing
from mien.cli.albums import Json, Strict
from mien.cli.console import (
    SHOWN,
    Reporter,
    entry,
    fit,
    paint,
    printable,
    say,
    say_json,
    say_more,
    table,
    tell,
    tell_error,
    widest,
)
from mien.cli.place import Engine, Scheduler, opened
from mien.errors import FetchError, PhotoError, SourceError, UsageError
from mien.storage.layout import intake_of, shown
from mien.text.shell import command
from mien.text.words import count, listed

if TYPE_CHECKING:
    from mien.intake import Collected, SourceCollected, Trouble
    from mien.pipeline.daily import Daily
    from mien.pipeline.import_from import Imported
    from mien.records.runs import Step
    from mien.stages.merge import Merged
    from mien.stages.sources import SourceStatus

NAMED = 3
"""Files named that a source offered in vain, of each kind; sources --all names all."""

RUNS = 20
"""Runs in the table of `runs`."""

_STYLES = {"done": "32", "failed": "31", "running": "33"}


def sources(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Name every file that was refused or could not be had.")] = False,
    as_json: Json = False,
) -> None:
    """Where photos come from, when each source last ran, what it brought, and what it offered in vain."""
    album = opened(context)
    found = album.sources()
    if as_json:
        say_json([one.to_json() for one in found])
    elif found:
        _print_sources(album.folder, found, every)
    else:
        _print_no_source(album.folder)


def collect(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="Only these sources; otherwise all.",
            show_default=False,
            autocompletion=completing.sources,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched, and fetch nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch what is new from the sources of mien.toml into <date>-training-images/<person>/."""
    with Reporter(notes=as_json) as progress:
        album = opened(context, progress)
        found = album.collect(names or (), dry_run)
    if as_json:
        say_json(found.to_json())
    elif not found.sources:
        _print_no_source(album.folder)
    else:
        _print_collected(found, album.folder)
        if found.photos:
            entry("next", f"{command(album.folder, 'merge')}, or daily for all that follows")
    if any(source.error for source in found.sources):
        raise typer.Exit(SourceError.exit_code)
    if not found.complete:
        raise typer.Exit(FetchError.exit_code)


def import_(
    context: typer.Context,
    origin: Annotated[
        str, typer.Argument(metavar="DUMP|URL", help="A dump of its database as SQL, or the address of a running one.")
    ],
    program: Annotated[
        str, typer.Option("--from", metavar="PROGRAM", help="Which program the people come from: compreface.")
    ],
    collection: Annotated[
        str,
        typer.Option(
            metavar="NAME|KEY", help="Of a dump with several collections, this one.", show_default="the only one"
        ),
    ] = "",
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            help="A file that holds the key of the running one, instead of MIEN_COMPREFACE_KEY.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Bring people and their pictures over from CompreFace. What came before is passed over; nothing is overwritten."""
    if program.lower() != "compreface":
        raise UsageError(f"--from {program}", "is not known", "Say --from compreface.")
    key = os.environ.get("MIEN_COMPREFACE_KEY", "") if key_file is None else _key_in(key_file)
    with Reporter(notes=False) as progress:
        album = opened(context, progress)
        found = album.import_from(origin, key=key.strip(), collection=collection, dry_run=dry_run)
    if as_json:
        say_json(found.to_json())
    else:
        _print_imported(found, album.folder, dry_run)
    if found.failed or found.left or found.collected.unfinished:
        raise typer.Exit(FetchError.exit_code)


LONGEST_KEY_FILE = 4096
"""Bytes of a file that holds a key."""


def _key_in(file: Path) -> str:
    """The key in a file. Raises UsageError."""
    try:
        with file.open("rb") as opened_file:
            return opened_file.read(LONGEST_KEY_FILE).decode()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(str(file), f"cannot be read: {why}", "Write the key into it, and nothing else.") from error


def merge(
    context: typer.Context,
    day: Annotated[
        str | None,
        typer.Option("--date", metavar="DATE", help="Only the photos collected on that day; otherwise all."),
    ] = None,
    strict: Strict = None,
    as_json: Json = False,
) -> None:
    """Move collected photos into training-images. Nothing is overwritten; copies are dropped; what does not fit
    stays."""
    album = opened(context, strict=strict)
    merged = album.merge(None if day is None else day_of(day))
    if as_json:
        say_json(merged.to_json())
    else:
        _print_merged(merged)
        if merged.moved:
            entry("next", command(album.folder, "train"))
    if merged.fails(album.settings.strict):
        raise typer.Exit(PhotoError.exit_code)


def daily(
    context: typer.Context,
    strict: Strict = None,
    as_json: Json = False,
    engine: Engine = None,
    scheduler: Scheduler = None,
) -> None:
    """Collect, align, check, merge, train, evaluate, and promote the new model if it is no worse. For every day."""
    with Reporter(notes=False) as progress:
        album = opened(context, progress, strict=strict)
        done = album.daily()
    if as_json:
        say_json(done.to_json())
    else:
        print_daily(album.folder, done)
    if done.exit_code:
        raise typer.Exit(done.exit_code)


def schedule(
    context: typer.Context,
    at: Annotated[str, typer.Option(metavar="HH:MM", help="When, in local time.")] = "03:30",
    printed: Annotated[
        str | None,
        typer.Option("--print", metavar="systemd|cron", help="Print what the system's own scheduler needs, and leave."),
    ] = None,
) -> None:
    """Run daily every day, in the foreground until it is stopped; a missed day is caught up once."""
    from mien.pipeline.schedule import cron_line, systemd_units, time_of_day

    when, album = time_of_day(at), opened(context)
    match printed:
        case None:
            say(f"Each day at {when:%H:%M}, in {printable(str(album.folder))}. Ctrl-C ends it.")
            album.run_daily(when, partial(print_daily, album.folder), _told_for_today)
        case "cron":
            say(cron_line(_program(), album.folder, when), whole=True)
        case "systemd":
            units = systemd_units(_program(), album.folder, when)
            for unit in units:
                say(f"# ~/.config/systemd/user/{unit.name}\n{unit.text}", whole=True)
            say(f"# then: systemctl --user enable --now {units[1].name}")
        case _:
            raise UsageError(f"--print {printed}", "is not known", "Say --print systemd or --print cron.")


def _told_for_today(error: Exception) -> None:
    """A day on which there could be no run: why, and that the next day has one."""
    tell_error(error)
    tell("      The next run comes tomorrow.")


def runs(
    context: typer.Context,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="One run, in full.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """What each daily run did, how long it took, what it brought and why it failed."""
    album = opened(context)
    if run is not None:
        done = album.run(run)
        if as_json:
            say_json(done.to_json())
        else:
            print_daily(album.folder, done)
        return
    found = album.runs(RUNS)
    if as_json:
        say_json([done.to_json() for done in found])
    elif found:
        _print_runs(found)
    else:
        entry("runs", f"none yet; {command(album.folder, 'daily')} makes one")


def print_daily(folder: Path, done: Daily) -> None:
    """The summary of a run in the album that lies in `folder`."""
    run = done.run
    took = _span((run.ended - run.started).total_seconds()) if run.ended else "not finished"
    entry("run", f"{run.id} for {run.date}, {took}{', begun by an earlier process' if done.resumed else ''}")
    for step in run.steps:
        entry(step.name, step.line or "was not finished", "" if step.outcome == "done" else "31")
        _print_left_out(folder, step)
    if done.error:
        entry("", str(done.error), "31")
    for number, finding in enumerate(done.needs_human):
        entry("" if number else "for you", finding.line, "33")


def _print_left_out(folder: Path, step: Step) -> None:
    """The first of the files that a step left out, why, and what names the others."""
    for finding in step.left_out:
        entry("", f"{', '.join(finding.about)} {finding.why}", "33")
    if step.name == "collect":
        left, more = _number(step, "refused") + _number(step, "failed"), command(folder, "sources", "--all")
    else:
        left, more = _number(step, "left_out"), command(folder, "check", "--waiting")
    if left > len(step.left_out):
        entry("", f"{'… and ' if step.left_out else ''}{left - len(step.left_out):,} more: {more}", "33")


def _number(step: Step, figure: str) -> int:
    return int(step.figures.get(figure) or 0)


def _print_sources(folder: Path, found: tuple[SourceStatus, ...], every: bool) -> None:
    from mien.stages.sources import why_refused

    rows = []
    for one in found:
        last = f"{one.last.started.astimezone():%Y-%m-%d %H:%M}" if one.last else f"{'never':<16}"
        figures = [f"{one.last.brought:,}" if one.last else "-", f"{one.photos:,}", f"{one.failing:,}"]
        name, kind = (fit(text, widest([text])) for text in (one.name, one.settings.kind))
        rows.append([name, kind, last, *figures, printable(one.settings.licence) or paint("missing", "33")])
    table(["source", "kind", "last run", ">new", ">photos", ">failing", "licence"], rows)
    for one in found:
        if one.problem:
            entry(one.name, f"{one.problem.why}. {one.problem.remedy}", "33")
    for one in found:
        _print_named(
            one.name, "refused", [f"{each.location} {why_refused(each)}" for each in one.refused], folder, every
        )
        _print_named(one.name, "failing", [f"{each.location} {each.kind.words}" for each in one.failed], folder, every)


def _print_no_source(folder: Path) -> None:
    entry("sources", "none is configured")
    entry("next", f"write a table [sources.NAME] into {folder / 'mien.toml'}; docs/collecting.md has examples")


def _print_named(source: str, what: str, lines: Sequence[str], folder: Path, every: bool) -> None:
    """The files of a source that were refused, or could not be had: the first few, or all."""
    most = len(lines) if every else NAMED
    for number, line in enumerate(lines[:most]):
        entry("" if number else what, line if number else f"{source}: {line}", "33")
    if len(lines) > most:
        entry("", f"… and {len(lines) - most:,} more: {command(folder, 'sources', '--all')}", "33")


def _print_collected(found: Collected, folder: Path) -> None:
    verb = "would come" if found.dry_run else "came"
    for source in found.sources:
        if source.error:
            entry(source.source, str(source.error), "31")
        elif source.over_since:
            entry(source.source, f"passed over: its photos might be used until {source.over_since}", "33")
        else:
            entry(source.source, _fared(source, found.dry_run))
        for person, removal, photos in source.removed[:SHOWN]:
            entry("passed over", f"{count(photos, 'photo')} of {person}, who was removed on {removal.on}", "33")
            entry("", f"{command(folder, 'add', person, 'PHOTO')} brings that person back", "33")
        say_more(len(source.removed))
        people = source.wanted if found.dry_run else ()
        for person, location in people[:SHOWN]:
            say(f"{'':<12}{printable(person)}  {printable(location)}")
        say_more(len(people))
        _print_shared(source)
        _print_troubles("refused", source.refused)
        if source.doubtful:
            entry("", "it may be a picture another time: the next run of collect or daily asks for it again", "33")
        _print_troubles("failed", source.failed)
    total = sum(len(source.wanted) for source in found.sources) if found.dry_run else found.photos
    where = f" into {intake_of(found.day)}" if found.photos else ""
    entry("in all", f"{count(total, 'new photo')} {verb}{where}")


def _print_imported(found: Imported, folder: Path, dry_run: bool) -> None:
    source = found.collected
    entry("would come" if dry_run else "came", _fared(source, dry_run))
    people = Counter(person for person, _ in source.wanted) if dry_run else dict(source.brought)
    for person, photos in sorted(people.items())[:SHOWN]:
        say(f"{'':<12}{printable(person)}  {count(photos, 'photo')}")
    say_more(len(people))
    if found.unsaved:
        what = f"{count(found.unsaved, 'picture')} that CompreFace did not save"
        entry("not saved", f"{what}: its embeddings are of another encoder, and of no use here", "33")
    for person, removal, photos in source.removed[:SHOWN]:
        entry("passed over", f"{count(photos, 'photo')} of {person}, who was removed on {removal.on}", "33")
        entry("", f"{command(folder, 'add', person, 'PHOTO')} brings that person back", "33")
    say_more(len(source.removed))
    _print_shared(source)
    _print_troubles("refused", source.refused)
    _print_troubles("left out", found.left_out)
    _print_troubles("failed", source.failed)
    if found.left:
        check = command(folder, "check", "--waiting")
        entry("waiting", f"{count(found.left, 'photo')} could not be put in: {check}", "33")
    if source.photos:
        entry("next", command(folder, "train"))


def _fared(source: SourceCollected, dry_run: bool) -> str:
    parts = [count(len(source.wanted) if dry_run else source.photos, "new photo")]
    if len(source.brought) > 1:
        parts[0] += f" of {len(source.brought):,} people"
    for number, what in (
        (source.known, "known"),
        (source.duplicates, "had already"),
        (source.passed_over, "of other people passed over"),
        (source.removed_photos, "passed over, as they were taken out before"),
        (source.left, f"left for the next run, as the {'time is over' if source.unfinished else 'limit is reached'}"),
    ):
        if number:
            parts.append(f"{number:,} {what}")
    if source.unfinished:
        parts.append("not read to its end, as its time was over: the next run goes on")
    return "; ".join(parts)


def _print_shared(source: SourceCollected) -> None:
    for number, (location, person, others) in enumerate(source.shared[:SHOWN]):
        what = f"{location} lies under {person} and under {listed(others)}: one picture was given for several people"
        entry("" if number else "look at", what, "33")
    say_more(len(source.shared))


def _print_troubles(label: str, troubles: tuple[Trouble, ...]) -> None:
    for number, trouble in enumerate(troubles[:SHOWN]):
        entry("" if number else label, str(trouble.error), "33")
    say_more(len(troubles))


def _print_merged(merged: Merged) -> None:
    if not merged.days:
        entry("merged", "nothing waits")
        return
    parts = [count(len(merged.moved), "photo")]
    if renamed := sum(move.renamed for move in merged.moved):
        parts.append(f"{renamed:,} under another name, as theirs were taken")
    if merged.duplicates:
        parts.append(f"{count(len(merged.duplicates), 'duplicate')} dropped")
    entry("merged", "; ".join(parts))
    for number, one in enumerate(merged.left[:SHOWN]):
        entry("" if number else "left", f"{shown(one.path)} {one.reason}. {one.kind.remedy}".rstrip(" ."), "33")
    say_more(len(merged.left))


def _print_runs(found: tuple[Daily, ...]) -> None:
    rows = []
    for done in found:
        run = done.run
        took = _span((run.ended - run.started).total_seconds()) if run.ended else "-"
        photos = int(done.figure("collect", "photos") or 0)
        telling = next((step for step in run.steps if step.outcome == "failed"), run.step("promote"))
        outcome = telling.line if telling else "not finished"
        state = paint(f"{run.state:<7}", _STYLES[run.state])
        rows.append([run.id, f"{run.date}", state, took, f"{photos:,}", printable(outcome)])
    table(["run", "for", "state", ">took", ">new", "outcome"], rows)


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def day_of(text: str) -> date:
    """The day that is written as 2027-12-31. Raises UsageError."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise UsageError(text, "is no date", "Write it as 2027-12-31.") from None


def _program() -> Path:
    """The `mien` beside the Python that runs, which is the one that the system's scheduler can find."""
    program = Path(sys.executable).with_name("mien.exe" if sys.platform == "win32" else "mien")
    if not program.is_file():
        tell(f"{program} is missing, so check the command in what follows.")
    return program
