"""align, train, check, evaluate: from photos to a model, and how good it is."""

from __future__ import annotations

import contextlib
import enum
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.albums import FEW, Forget, Json, Strict, print_guesses
from mien.cli.completing import encoders
from mien.cli.console import SHOWN, Reporter, entry, printable, say, say_json
from mien.cli.corrections import confirming, mending
from mien.cli.place import Engine, Scheduler, opened
from mien.errors import NEEDS_HUMAN, ModelError, PhotoError
from mien.storage.layout import shown
from mien.text.findings import OF_NAMES, FindingKind
from mien.text.models import did_not_count
from mien.text.shell import command
from mien.text.words import between, bound, count, first_few, listed, percent, share

if TYPE_CHECKING:
    from mien.learning.figures import Share
    from mien.pipeline.learn import Learned
    from mien.stages.align import Aligned
    from mien.stages.check import Checked
    from mien.stages.evaluate import Evaluated
    from mien.stages.train import Trained
    from mien.types import Finding

NEEDS = 6
"""Lines about what needs a human that training ends with."""

LISTED = 5
"""Photos named for one reason by align and train, which are run again and again; check --all names all."""


class Face(enum.StrEnum):
    largest = "largest"
    centre = "centre"


def align(
    context: typer.Context,
    size: Annotated[
        int | None,
        typer.Option(metavar="PIXELS", help="Side of the pictures in aligned-images, instead of mien.toml's."),
    ] = None,
    skip_multi: Annotated[
        bool | None,
        typer.Option(
            "--skip-multi/--no-skip-multi", help="Leave out photos that show several faces, whatever mien.toml says."
        ),
    ] = None,
    strict: Strict = None,
    as_json: Json = False,
    engine: Engine = None,
    scheduler: Scheduler = None,
) -> None:
    """Find the faces, choose each person's own, and remember them; writes aligned-images/."""
    with Reporter(notes=as_json) as progress:
        album = opened(context, progress, chip_size=size, skip_multi=skip_multi, strict=strict)
        aligned = album.align()
    if as_json:
        say_json(aligned.to_json())
    else:
        _print_aligned(album.folder, aligned)
        print_guesses(aligned.guesses)
    if aligned.fails(album.settings.strict):
        raise typer.Exit(PhotoError.exit_code)


def check(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Name every photo, not only the first of each kind.")] = False,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Look at what was collected and is not merged yet, instead.")
    ] = False,
    strict: Annotated[
        bool | None,
        typer.Option("--strict/--no-strict", help="Exit with 14 also for what is left out and for few photos."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what in the album needs a human, as wrong names do, and what is left out: unreadable photos, other files.
    Looks at what align remembers."""
    album = opened(context, strict=strict)
    found = album.check(waiting)
    if as_json:
        say_json(found.to_json())
    else:
        _print_checked(album.folder, found, every, command(album.folder, "check", *["--waiting"] * waiting, "--all"))
    if found.needs_human or (album.settings.strict and found.lacks):
        raise typer.Exit(NEEDS_HUMAN)


def train(
    context: typer.Context,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="An encoder that mien encoders lists, from now on; mien.toml is changed.",
            autocompletion=encoders,
        ),
    ] = None,
    strict: Strict = None,
    as_json: Json = False,
    engine: Engine = None,
    scheduler: Scheduler = None,
) -> None:
    """Do whatever of the above is missing, then make a model and put it into use."""
    with Reporter(notes=as_json) as progress:
        album = opened(context, progress, encoder=encoder, strict=strict)
        learned = album.train(keep_encoder=encoder is not None)
    if as_json:
        say_json(learned.to_json())
    else:
        _print_aligned(album.folder, learned.aligned)
        say()
        if learned.trained:
            _print_trained(learned, learned.trained)
            entry("report", f"models/{learned.version}/report.html; `mien report` opens it")
        else:
            entry("model", _not_new(learned))
        _print_needs(album.folder, learned)
        _print_gone(album.folder, learned)
    if not learned.in_use:
        raise typer.Exit(NEEDS_HUMAN)
    if learned.aligned.fails(album.settings.strict):
        raise typer.Exit(PhotoError.exit_code)


def evaluate(
    context: typer.Context,
    photos: Annotated[
        Path, typer.Argument(metavar="PHOTOS", help="A folder of <person>/ photos that the model has not seen.")
    ],
    face: Annotated[
        Face, typer.Option(help="Which face of a photo is asked about; the label is not looked at.")
    ] = Face.largest,
    model: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A model instead of the album's current one.")
    ] = None,
    forget: Forget = False,
    as_json: Json = False,
    engine: Engine = None,
    scheduler: Scheduler = None,
) -> None:
    """Measure the current model on a folder of <person>/ photos; people it does not know are strangers."""
    with Reporter(notes=as_json or model is not None) as progress:  # of a model that is named there may be more to say
        found = opened(context, progress).evaluate(photos, face.value, model, forget)
    if as_json:
        say_json(found.to_json())
    else:
        _print_evaluated(found)
    if found.failures:
        raise typer.Exit(PhotoError.exit_code)


def _print_aligned(folder: Path, aligned: Aligned) -> None:
    changes = [
        f"{number:,} {what}"
        for number, what in (
            (aligned.new, "new"),
            (aligned.changed, "changed"),
            (aligned.moved, "moved or renamed"),
            (aligned.gone, "gone"),
        )
        if number
    ]
    people = count(aligned.people, "person", "people")
    entry(
        "photos",
        f"{aligned.photos:,} of {people}: {', '.join(changes or ['nothing new'])}; {aligned.computed:,} computed",
    )
    chips = f"; {count(aligned.chips_written, 'chip')} written to aligned-images" if aligned.chips_written else ""
    same = f", {aligned.same:,} of them the same file twice" if aligned.same else ""
    entry("faces", f"{aligned.faces:,}; the person's own in {count(aligned.enrolled, 'photo')}{same}{chips}")
    if aligned.several:
        what = "left out" if aligned.skip_multi else "the one that agrees with the person's other photos was taken"
        entry("several", f"{count(len(aligned.several), 'photo')} with several faces: {what}")
    every = command(folder, "check", "--all")
    _reasons("no face", [(shown(path), "") for path in aligned.faceless], every)
    _reasons("left out", [(f"{shown(one.path)} {one.reason}", one.kind.remedy) for one in aligned.left_out], every)
    _reasons("unreadable", [(f"{shown(path)} {error.what}", error.remedy) for path, error in aligned.failures], every)


def _reasons(what: str, rows: Sequence[tuple[str, str]], every: str) -> None:
    """The first lines of a kind, each remedy once behind them, and the command that tells all."""
    for number, (line, _) in enumerate(rows[:LISTED]):
        entry("" if number else what, line, "33")
    if len(rows) > LISTED:
        entry("", f"… and {len(rows) - LISTED:,} more: {every}", "33")
    for remedy in dict.fromkeys(remedy for _, remedy in rows[:LISTED] if remedy):
        entry("", remedy, "2")


def _not_new(learned: Learned) -> str:
    """What is said where the same model had been made before: by a daily run that kept it out, say."""
    if learned.version == learned.before:
        return f"{learned.version} stays in use; nothing has changed since it was made"
    if not learned.in_use:
        return f"{learned.version} had been made of these photos before, and is not in use"
    instead = f" instead of {learned.before}" if learned.before else ""
    return f"{learned.version} is now in use{instead}; it had been made of these photos before"


def _print_checked(album: Path, checked: Checked, every: bool, more: str) -> None:
    most = len(checked.findings) if every else SHOWN
    for _, group in groupby(checked.findings, key=lambda finding: (finding.kind, finding.needs_human)):
        findings = list(group)
        kind, human = findings[0].kind, findings[0].needs_human
        named = SHOWN if human else FEW
        lines = [f"{_first(one.about, len(one.about) if every else named)}{one.why}" for one in findings]
        _list(kind, lines, "33" if human else "", most, more)
        for remedy in dict.fromkeys(one.remedy for one in findings[:most]):
            entry("", remedy, "2")
        for one in findings[:most]:
            for line in filter(None, (mending(album, one), confirming(album, one))):
                entry("", line, "2")
    need = sum(finding.needs_human for finding in checked.findings)
    told = f"; {len(checked.findings) - need:,} told for information" if need < len(checked.findings) else ""
    what = count(need, "finding needs", "findings need") if need else "nothing needs"
    if checked.confirmed:
        told += f"; {count(checked.confirmed, 'doubt')} not told, as you confirmed that all is right"
    entry("check", f"{what} you{told}", "33" if need else "32")


def _first(names: Sequence[str], most: int = FEW) -> str:
    """What a line is about: the first few names."""
    return f"{first_few(names, most)}: " if names else ""


def _print_needs(album: Path, learned: Learned) -> None:
    """What in the album needs a human, in a few lines, and that people have too few photos, in one."""
    findings = sorted(learned.needs_human, key=lambda one: one.kind not in OF_NAMES)
    lines = [f"{_first(finding.about)}{finding.why}" for finding in findings]
    for number, line in enumerate(lines[:NEEDS]):
        entry("" if number else "needs you", line, "33")
    if lines:
        more = f"… and {len(lines) - NEEDS:,} more: " if len(lines) > NEEDS else "what to do: "
        entry("", f"{more}{command(album, 'check')}", "2")
    if few := learned.few:
        people = count(len(few), "person has", "people have")
        entry("few", f"{people} fewer than {few[0].figures['minimum']:,} different photos with their face")


def _but(findings: Sequence[Finding]) -> str:
    """What the headline of a model is not to be read without."""
    photos: Counter[object] = Counter()
    folders: dict[object, set[str]] = defaultdict(set)
    for finding in findings:
        photos[finding.kind] += len(finding.photos)
        folders[finding.kind].add(finding.people[0] if finding.people else "")
    mixed = folders[FindingKind.TWO_GROUPS] | folders[FindingKind.MIXED]
    wrong = photos[FindingKind.WRONG_NAME] + photos[FindingKind.WRONG_NAMES] + photos[FindingKind.ODD]
    twice = sum(finding.kind == FindingKind.ONE_IN_TWO for finding in findings)
    said = [
        *([count(len(mixed), "folder holds several people", "folders hold several people")] if mixed else []),
        *([count(wrong, "photo looks like somebody else's", "photos look like somebody else's")] if wrong else []),
        *([count(twice, "person may lie in two folders", "people may lie in two folders")] if twice else []),
    ]
    return listed(said) if said else ""


def _print_gone(album: Path, learned: Learned) -> None:
    """What the model in use knew and the album does not have any more, and what keeps the new one out of use."""
    _list("gone", [finding.line for finding in learned.gone], "31")
    if not learned.in_use:
        promote = command(album, "models", "promote", learned.version)
        entry("model", f"{learned.before} stays in use; to use {learned.version} all the same: {promote}", "31")


def _print_trained(learned: Learned, trained: Trained) -> None:
    version, needs = learned.version, learned.needs_human
    is_used = "is now in use" if learned.in_use else "is not in use"
    made_of = f"{count(trained.people, 'person', 'people')}, {count(trained.photos, 'photo')}"
    entry("model", f"{version} {is_used}: {made_of}", "1")
    measured = trained.measured
    if measured.top1.of:
        first, named = (share(one.value, one.of) for one in (measured.top1, measured.tpir))
        but = _but(needs)
        told = f"{first} of its photos get the right name first from a model without them, {named} surely"
        entry("check", f"{told}; but {but}: see below" if but else told, "33" if but else "")
    if measured.single:
        photos = count(
            measured.single, "photo is the only one of its person", "photos are the only ones of their people"
        )
        entry("single", f"{photos}, so it could not be checked whether they would be recognised", "33")
    if len(trained.tried) > 1:
        entry("head", f"{trained.head}, the best of {len(trained.tried)} by cross-validation")
    entry("unknown", f"below a score of {trained.threshold.value:.3f}. {trained.note}")
    if trained.own_cosines:
        entry("cosines", f"{trained.own_cosines.finding.why}. {trained.own_cosines.finding.remedy}", "33")
    if trained.left_out:
        entry("doubted", f"{_first(trained.left_out)}{did_not_count(len(trained.left_out))}", "33")


def _print_evaluated(found: Evaluated) -> None:
    entry("model", found.model, "1")
    _print_probes(found)
    for finding in found.findings:
        entry(finding.kind.split(",")[0], f"{finding.why}. {finding.remedy}", "33")
        if finding.photos:
            entry("", f"{', '.join(finding.photos[:FEW])}{', …' if len(finding.photos) > FEW else ''}", "2")
    say()
    measured = found.top1.of + found.fpir.of > 0
    if measured:
        _print_shares(found)
        say()
    if found.counting_all:
        apart = count(found.set_apart, "photo")
        told = f"the same, counting also the {apart} set apart" if measured else f"how well {apart} are remembered"
        entry("with them", told)
        say()
        _print_shares(found.counting_all)
        say()
    if found.no_face:
        entry("no face", f"found in {count(found.no_face, 'photo')}; they count as misses", "33")
    _list("wrong", [f"{one.photo}: {one.person} was answered {one.answer or 'unknown'}" for one in found.mistakes])
    _list("unreadable", [str(error) for _, error in found.failures])


def _print_probes(found: Evaluated) -> None:
    """How many photos of whom were asked about, and who were the strangers."""
    known = f"{found.top1.of:,} of {count(len(found.people), 'person', 'people')} it knows"
    if not found.top1.of:
        known = "none of people it knows"
    strangers = f"{found.fpir.of:,} of {count(len(found.strangers), 'stranger')}"
    names = ", ".join(found.strangers[:SHOWN]) + (", …" if len(found.strangers) > SHOWN else "")
    entry("photos", f"{known}, {strangers}" + (f": {names}" if names else ""))


def _print_shares(found: Evaluated) -> None:
    from mien.learning.figures import BINS

    say(f"  {'':<37} {'share':>7}  how many (95 % interval)")
    _share("right name first", found.top1)
    _share("right name among the first three", found.top3)
    _share("right name above the threshold (TPIR)", found.tpir)
    _share("strangers given a name (FPIR)", found.fpir)
    strangers = found.fpir.of
    if strangers >= 100:
        _share("TPIR where 1 % of them would get one", found.tpir_at_fpir_1)
    if strangers >= 1000:
        _share("TPIR where 0.1 % of them would", found.tpir_at_fpir_01)
    elif strangers:  # of whom 0.1 % is less than one
        _share("TPIR where none of them would", found.tpir_at_fpir_01)
    if found.ece is not None and found.top1.of + strangers >= BINS:  # fewer answers than slices of 0..1 say nothing
        say(f"  {'probabilities are off by (ECE)':<37} {percent(found.ece):>7}")


def _share(what: str, counted: Share) -> None:
    if not counted.of:
        say(f"  {what:<37} {'-':>7}")
        return
    if not counted.hits:
        from mien.learning.figures import most_of_none

        say(f"  {what:<37} {'none':>7}  0 of {counted.of:,} (at most {bound(most_of_none(counted.of))})")
        return
    many = f"{counted.hits:,} of {counted.of:,}"
    say(f"  {what:<37} {share(counted.value, counted.of):>7}  {many} ({between(counted.low, counted.high)})")


def _list(what: str, lines: Sequence[str], style: str = "33", most: int = SHOWN, every: str = "") -> None:
    for number, line in enumerate(lines[:most]):
        entry("" if number else what, line, style)
    if len(lines) > most:
        entry("", f"… and {len(lines) - most:,} more{f': {every}' if every else ''}", style)


def report(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Open the page that says how good the current model is, where it errs, and what needs a human."""
    album = opened(context)
    page = album.report()
    say(printable(str(page)))
    if page.parent.name != album.version:
        entry("note", f"{album.version}, in use, was made from it by enrolling or removing, and is not measured", "33")
    _print_false_alarms(page.parent)
    if show and sys.stdout.isatty():
        typer.launch(page.as_uri())


def _print_false_alarms(version: Path) -> None:
    """Whose names strangers would get, as the card in the folder of a version says: the first few people."""
    from mien.registry.card import worst_first
    from mien.registry.folder import load_card

    with contextlib.suppress(ModelError):  # the page can be read without
        card = load_card(version)
        found = worst_first(card.false_alarms)
        if not found:
            return
        (worst, first), *others = found
        masked, bystanders = card.share("fpir").of, card.counts.get("bystanders", 0)
        told = (
            f"the name of {worst} would go to {first.masked:,} of {count(masked, 'masked face')} and"
            f" {first.bystanders:,} of {count(bystanders, 'bystander')}, who may be them"
        )
        named = [f"{person} ({one.masked:,} and {one.bystanders:,})" for person, one in others[: FEW - 1]]
        rest = [count(len(others) - len(named), "person more", "people more")] if len(others) > len(named) else []
        entry("strangers", f"{told}; then comes {listed([*named, *rest])}" if others else told)
