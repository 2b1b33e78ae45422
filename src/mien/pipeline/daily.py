"""The daily loop: the verbs in order, so that photos arrive and the model stays current.

    expire -> collect -> align -> check -> merge -> train -> evaluate -> promote

Each step may be repeated without harm, and what came of it is written down before the next begins. So a run that was
killed goes on at the step where it stopped, knowing what the earlier ones had found.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mien.errors import NEEDS_HUMAN, EncoderError, MienError, ModelError, PhotoError
from mien.open_album import OpenAlbum
from mien.pipeline.learn import collect, learn
from mien.pipeline.remove import LEAP, days_unseen, expire, is_anything_over
from mien.pipeline.use import history, keep_out, prune, put_into_use
from mien.records.runs import Run, Step
from mien.registry import versions
from mien.registry.folder import Model
from mien.registry.history import set_aside
from mien.stages.align import align, look
from mien.stages.check import CLOSED, check
from mien.stages.compare import Incomparable, compare, gone_since
from mien.stages.merge import merge
from mien.text.findings import OF_NAMES, ErrorKind, FindingKind, LeftOutKind, RemovalKind, RunNote, StepKind
from mien.text.words import Figure
from mien.types import Finding

COMMAND = "daily"
"""The name of these runs in the ledger."""

AFTER_SECONDS = 600
"""How long the command that is given the summary may take."""

HELD = frozenset(
    {
        FindingKind.SUSPECT,
        FindingKind.TWO_PEOPLE,
        FindingKind.TWO_GROUPS,
        FindingKind.MIXED,
        FindingKind.STRANGE,
        FindingKind.ONE_IN_TWO,
    }
)
"""Kinds whose photos had better not be merged before somebody has seen them."""

NAMED = 5
"""Files left out that a step names: what is wrong with them is much the same, and another command names all."""

Came = tuple[dict[str, Figure], list[Finding]]
"""What came of a step: figures that later steps go by, and what is to be said."""


@dataclass(frozen=True, slots=True)
class Daily:
    """A run of the daily loop as the ledger has it; `resumed` where another process had begun it. `error` is what ended
    it, in full, for whoever ran it: the ledger knows its kind alone."""

    run: Run
    resumed: bool = False
    error: MienError | None = field(default=None, compare=False)

    @property
    def needs_human(self) -> tuple[Finding, ...]:
        """What nobody but a human can put right."""
        return tuple(finding for step in self.run.steps for finding in step.needs_human)

    @property
    def exit_code(self) -> int:
        """That of the error which ended the run; else 14 where something needs a human; else 6 where a photo could not
        be read and the run was strict."""
        for step in self.run.steps:
            if code := step.figures.get("exit_code"):
                return int(code)
        if self.needs_human:
            return NEEDS_HUMAN
        return PhotoError.exit_code if any(step.figures.get("strict") for step in self.run.steps) else 0

    def figure(self, step: str, name: str) -> Figure:
        """A figure that a step left; None if it left none of this name."""
        found = self.run.step(step)
        return found.figures.get(name) if found else None

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        run = self.run
        return {
            "run": run.id,
            "day": run.date.isoformat(),
            "started": run.started.isoformat(),
            "ended": run.ended.isoformat() if run.ended else None,
            "state": run.state,
            "resumed": self.resumed,
            "exit_code": self.exit_code,
            "needs_human": [finding.line for finding in self.needs_human],
            "steps": [_step_json(step) for step in run.steps],
        }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "outcome": step.outcome,
        "seconds": (step.ended - step.started).total_seconds() if step.ended else None,
        "line": step.line,
        "needs_human": [finding.to_json() for finding in step.needs_human],
        "left_out": [finding.to_json() for finding in step.left_out],
        **step.figures,
    }


def daily(album: OpenAlbum, settled: Sequence[Finding] = ()) -> Daily:
    """The whole loop, or what is left of today's if it was killed; the album is open for writing, and `settled` is what
    was made as its removals say. Foreseen errors end the run and stand in it; any other leaves it to be resumed."""
    now, runs = album.clock(), album.ledger.runs
    run = runs.unfinished(COMMAND)
    if run and run.date != now.date():  # its photos wait where they were, and today's run takes them along
        runs.finish(run.id, now, "failed")
        run = None
    loop = _Loop(album, run or runs.begin(COMMAND, now.date(), now), settled)
    if run:
        runs.resume(run.id)
        album.progress.note(RunNote.GOES_ON.say({"run": run.id}))
    state: Literal["done", "failed"] = "done" if loop.run_all() else "failed"
    finished = Daily(runs.finish(loop.run, album.clock(), state), run is not None, loop.error)
    if album.settings.after_daily:
        loop.do("after", lambda: _tell(album, finished))
        finished = Daily(runs.finish(loop.run, album.clock(), state), run is not None, loop.error)
    return finished


_STDERR = 2
"""Where the command's own words go: standard output has the answer of mien, which may be JSON."""


def _tell(album: OpenAlbum, finished: Daily) -> Came:
    """Gives the summary to the user's command, which runs in the album. That it fails changes nothing."""
    command = album.settings.after_daily
    summary = json.dumps(finished.to_json(), ensure_ascii=False).encode()
    about: dict[str, Figure] = {"program": command[0]}
    try:
        done = subprocess.run(
            command, input=summary, check=False, timeout=AFTER_SECONDS, stdout=_STDERR, cwd=album.folder
        )
    except OSError:
        return {}, [Finding(StepKind.NOT_STARTED, figures=about)]
    except subprocess.TimeoutExpired:
        return {}, [Finding(StepKind.TOO_LONG, figures=about | {"minutes": AFTER_SECONDS // 60})]
    if done.returncode:
        return {}, [Finding(StepKind.NOT_TOLD, figures=about | {"code": done.returncode})]
    return {}, [Finding(StepKind.TOLD, figures=about)]


class _Loop:
    """One run: its steps in order, each remembered as soon as it is done."""

    def __init__(self, album: OpenAlbum, run: Run, settled: Sequence[Finding]) -> None:
        self._album, self.run = album, run.id
        self.error: MienError | None = None
        self._settled = Counter[object](finding.kind for finding in settled)
        self._done: dict[str, Came] = {
            step.name: (dict(step.figures), list(step.findings)) for step in run.steps if step.outcome == "done"
        }
        self._interrupted = {step.name for step in run.steps} - self._done.keys()

    def run_all(self) -> bool:
        """Does what is left to do; False if a step could not be done."""
        steps: dict[str, Callable[[], Came]] = {
            "expire": self._expire,
            "collect": self._collect,
            "align": self._align,
            "check": self._check,
            "merge": self._merge,
            "train": self._train,
            "evaluate": self._evaluate,
            "promote": self._promote,
        }
        return all(self.do(name, work) for name, work in steps.items())

    def do(self, name: str, work: Callable[[], Came]) -> bool:
        """A step, unless an earlier process did it; False if a foreseen error ended it."""
        if name in self._done:
            return True
        album, runs = self._album, self._album.ledger.runs
        runs.begin_step(self.run, name, album.clock())
        try:
            figures, found = work()
        except MienError as error:
            self.error = error
            album.progress.note(str(error))  # the ledger remembers no sentence, which may hold a name
            kind = next(ErrorKind.of(each.__name__) for each in type(error).__mro__ if each.__name__ in set(ErrorKind))
            failed: dict[str, Figure] = {"exit_code": error.exit_code}
            runs.finish_step(self.run, name, album.clock(), "failed", failed, [Finding(kind)])
            return False
        runs.finish_step(self.run, name, album.clock(), "done", figures, found)
        self._done[name] = figures, found
        return True

    def _figure(self, step: str, name: str) -> Any:
        return self._done[step][0][name]

    def _expire(self) -> Came:
        days = days_unseen(self._album) if is_anything_over(self._album) else 0
        gone = expire(self._album) if days <= LEAP else 0
        found = [Finding(StepKind.EXPIRED, figures={"photos": gone})] if gone else []
        found += [Finding(StepKind.CLOCK_LEAPT, figures={"days": days})] if days > LEAP else []
        found += [one for kind, step in _SETTLED.items() for one in _counted(step, "people", self._settled[kind])]
        unfinished = sum(bool(removal.pending) for removal in self._album.ledger.removals.people())
        found += _counted(StepKind.REMOVAL_UNFINISHED, "people", unfinished)
        found += _counted(StepKind.FORGOTTEN, "rows", self._album.catalog.damage_found)
        found += _counted(StepKind.RECORDS_DAMAGED, "rows", self._album.ledger.damage_found)
        if "expire" in self._interrupted and is_anything_over(self._album):
            found.append(Finding(StepKind.EXPIRED_BEFORE))
        return {"photos": gone}, found or [Finding(StepKind.NOTHING_EXPIRED)]

    def _collect(self) -> Came:
        names = list(self._album.settings.sources)
        if not names:
            return {"photos": 0}, [Finding(StepKind.NO_SOURCE)]
        came = collect(self._album, names)
        failed = sum(len(source.failed) for source in came.sources)
        refused = sum(len(source.refused) for source in came.sources)
        errors = [source for source in came.sources if source.error]
        found = [Finding(StepKind.COLLECTED, figures={"photos": came.photos, "sources": len(names)})]
        found += _counted(StepKind.SOURCES_FAILED, "sources", len(errors))
        found += _counted(StepKind.SOURCES_UNFINISHED, "sources", sum(source.unfinished for source in came.sources))
        if removed := [photos for source in came.sources for _, _, photos in source.removed]:
            people = len({removal.key for source in came.sources for _, removal, _ in source.removed})
            found.append(Finding(StepKind.PEOPLE_REMOVED, figures={"photos": sum(removed), "people": people}))
        found += _counted(StepKind.PHOTOS_REMOVED, "photos", sum(source.removed_photos for source in came.sources))
        found += _counted(StepKind.REFUSED, "files", refused) + _counted(StepKind.NOT_HAD, "photos", failed)
        found += [Finding(one.error.kind, figures={"source": one.source}) for one in errors if one.error]
        troubles = [trouble for source in came.sources for trouble in (*source.refused, *source.failed)]
        found += [finding for trouble in troubles if (finding := trouble.finding)][:NAMED]
        return {"photos": came.photos, "refused": refused, "failed": failed, **self._strict(refused)}, found

    def _strict(self, unreadable: int) -> dict[str, Figure]:
        """What a step leaves where photos could not be read, by which `Daily.exit_code` goes."""
        return {"strict": True} if unreadable and self._album.settings.strict else {}

    def _align(self) -> Came:
        model = self._album.sound_model()
        if model and model.encoder_id != self._album.encoder:
            look(self._album)  # what waits is checked by what the album shows, which no encoder of today has seen yet
        looked = align(self._album, self._album.layout.intakes())
        figures = {"photos": looked.photos, "computed": looked.computed}
        found = [Finding(StepKind.WAITING if looked.photos else StepKind.NOTHING_WAITS, figures=figures)]
        found += _counted(StepKind.WAITING_UNREADABLE, "photos", len(looked.failures))
        return {**figures, "unreadable": len(looked.failures), **self._strict(len(looked.failures))}, found

    def _check(self) -> Came:
        checked = check(self._album, self._album.layout.intakes())
        counts: Counter[StepKind] = Counter()
        for finding in checked.findings:
            counts[_FOUND[finding.kind]] += int(finding.figures.get("photos") or 1)
        found = [Finding(kind, figures={"photos": number}) for kind, number in counts.items()]
        left_out = [one for one in checked.findings if one.kind in _LEFT_OUT and not one.needs_human]
        found += [finding for finding in checked.findings if finding.needs_human]
        found += [one for one in left_out if self._is_of_known(one)][:NAMED]
        return {"model": checked.model, "left_out": len(left_out)}, found or [Finding(StepKind.NOTHING_ODD)]

    def _is_of_known(self, finding: Finding) -> bool:
        """Whether the ledger knows whom it is of, so that the file's name goes when they are forgotten."""
        return bool(finding.people) and all(map(self._album.ledger.people.id_of, finding.people))

    def _merge(self) -> Came:
        held = [photo for finding in self._done["check"][1] if finding.kind in HELD for photo in finding.photos]
        merged = merge(self._album, hold=held)
        moved, dropped, left = len(merged.moved), len(merged.duplicates), len(merged.left)
        removed = sum(one.kind in (LeftOutKind.PERSON_REMOVED, LeftOutKind.PHOTO_REMOVED) for one in merged.left)
        found = [Finding(StepKind.MERGED if moved else StepKind.NOTHING_MERGED, figures={"photos": moved})]
        found += _counted(StepKind.DUPLICATES, "photos", dropped) + _counted(StepKind.LEFT, "photos", left - removed)
        found += _counted(StepKind.LEFT_REMOVED, "photos", removed)
        return {"moved": moved, "duplicates": dropped, "left": left}, found

    def _train(self) -> Came:
        learned = learn(self._album, set_aside(history(self._album)))
        model = versions.load(self._album.layout.models, learned.version)
        sizes, minimum = [len(photos) for photos in model.card.photos.values()], self._album.settings.minimum
        figures: dict[str, Figure] = {"version": learned.version, "people": len(sizes), "photos": sum(sizes)}
        found = [Finding(StepKind.MADE if learned.trained else StepKind.MADE_BEFORE, figures=figures)]
        if learned.aligned.guesses:
            found.append(Finding(StepKind.GUESSED, figures={"people": len(learned.aligned.guesses)}))
        if few := sum(size < minimum for size in sizes):
            found.append(Finding(StepKind.FEW_PHOTOS, figures={"people": few, "minimum": minimum}))
        daily_too = frozenset(CLOSED.values())
        for finding in learned.needs_human:  # of names once, and not on every day on which nothing came
            if finding.kind in daily_too or (learned.trained and finding.kind in OF_NAMES):
                found.append(finding)
        strict = self._strict(len(learned.aligned.failures))
        return {"version": learned.version, "trained": learned.trained is not None, **strict}, found

    def _evaluate(self) -> Came:
        version, champion = self._figure("train", "version"), self._album.sound_model()
        about: dict[str, Figure] = {"version": version}
        if champion is None:
            return {"promote": True}, [Finding(StepKind.FIRST, figures=about)]
        if champion.version == version:
            return {"promote": False}, [Finding(StepKind.IN_USE_ALREADY, figures=about)]
        if version in set_aside(history(self._album)):
            return {"promote": False}, [Finding(StepKind.SET_ASIDE, figures=about)]
        challenger = versions.load(self._album.layout.models, version)
        gone = gone_since(self._album, champion, challenger)
        about["champion"] = champion.version
        if gone.people:
            return {"promote": False}, [*gone.findings, Finding(StepKind.KEPT_OUT, figures=about)]
        if not _is_usable(self._album, champion):
            return {"promote": True}, [Finding(StepKind.UNUSABLE, figures={"version": champion.version})]
        found = compare(self._album, champion, challenger)
        if isinstance(found, Incomparable):
            return {"promote": False}, [found.reason, *gone.findings, Finding(StepKind.UNDECIDED, figures=about)]
        decision = found.decision
        figures: dict[str, Figure] = {
            "promote": decision.promote,
            "champion": found.champion,
            "newcomers": len(found.newcomers),
            "flips": len(found.flips),
            "doubted": found.doubted,
        }
        said = [*decision.reasons, *found.remarks, *gone.findings]
        return figures, said if decision.promote else [*said, Finding(StepKind.KEPT_OUT, figures=about)]

    def _promote(self) -> Came:
        version = self._figure("train", "version")
        if self._figure("evaluate", "promote"):
            put_into_use(self._album, version, COMMAND)
            found = [Finding(StepKind.PROMOTED, figures={"version": version})]
        else:
            keep_out(self._album, version)
            version = self._album.version
            found = [Finding(StepKind.STAYS, figures={"version": version})]
        if pruned := len(prune(self._album).versions):
            figures = {"versions": pruned, "keep": self._album.settings.keep}
            found.append(Finding(StepKind.PRUNED, figures=figures))
        return {"version": version, "pruned": pruned}, found


_SETTLED: Mapping[object, StepKind] = {
    RemovalKind.BACK: StepKind.BACK,
    RemovalKind.FINISHED: StepKind.REMOVAL_FINISHED,
}
"""How the summary counts what was made as the removals say: the ledger remembers no name of whoever was forgotten."""

_LEFT_OUT = frozenset({FindingKind.UNREADABLE, FindingKind.LEFT_OUT})
"""What stays in an intake, and needs nobody."""

_FOUND: Mapping[object, StepKind] = {
    **dict.fromkeys(CLOSED.values(), StepKind.FOUND_UNREADABLE),
    FindingKind.UNREADABLE: StepKind.FOUND_UNREADABLE,
    FindingKind.LEFT_OUT: StepKind.FOUND_LEFT_OUT,
    FindingKind.SUSPECT: StepKind.FOUND_SUSPECT,
    FindingKind.TWO_PEOPLE: StepKind.FOUND_TWO_PEOPLE,
    FindingKind.STRANGE: StepKind.FOUND_STRANGE,
    FindingKind.TWO_GROUPS: StepKind.FOUND_TWO_GROUPS,
    FindingKind.MIXED: StepKind.FOUND_TWO_GROUPS,
    FindingKind.ONE_IN_TWO: StepKind.FOUND_ONE_IN_TWO,
    FindingKind.NOT_SEEN: StepKind.FOUND_NOT_SEEN,
    FindingKind.NO_FACE: StepKind.FOUND_NO_FACE,
    FindingKind.SEVERAL: StepKind.FOUND_SEVERAL,
    FindingKind.SEVERAL_LEFT_OUT: StepKind.FOUND_SEVERAL,
    FindingKind.COPIES: StepKind.FOUND_COPIES,
}
"""How the summary counts what was found in an intake."""


def _counted(kind: StepKind, name: str, number: int) -> list[Finding]:
    """A finding that says how many there are; none where there are none."""
    return [Finding(kind, figures={name: number})] if number else []


def _is_usable(album: OpenAlbum, model: Model) -> bool:
    """Whether this version of mien can see as the model does, on this machine."""
    try:
        album.eyes_of(model)
    except (ModelError, EncoderError):
        return False
    return True
