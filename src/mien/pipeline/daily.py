"""The daily loop: the verbs in order, so that photos arrive and the model stays current.

    expire -> collect -> align -> check -> merge -> train -> evaluate -> promote

Each step may be repeated without harm, and what came of it is written down before the next begins. So a run that was
killed goes on at the step where it stopped, knowing what the earlier ones had found.
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien import registry, wiring
from mien.errors import NEEDS_HUMAN, MienError, ModelError
from mien.learning.gate import set_aside
from mien.pipeline import learn as pipeline
from mien.registry import Model
from mien.storage.layout import Workspace
from mien.text.names import nfc
from mien.text.words import count

if TYPE_CHECKING:  # a stage that is not run is not imported either
    from mien.pipeline.learn import Clock
    from mien.protocols import Progress
    from mien.records.catalog import Catalog
    from mien.records.ledger import Ledger, Run, Step

Detail = dict[str, Any]
"""What a step says of itself, as JSON has it: a `line` for humans, a line for all that `needs_human`, and figures."""

COMMAND = "daily"
"""The name of these runs in the ledger."""

AFTER_SECONDS = 600
"""How long the command that is given the summary may take."""


@dataclass(frozen=True, slots=True)
class Daily:
    """A run of the daily loop as the ledger has it; `resumed` where another process had begun it."""

    run: Run
    resumed: bool = False

    @property
    def steps(self) -> dict[str, Detail]:
        """What each step that was begun said of itself, by name and in order."""
        return {step.name: dict(step.detail) for step in self.run.steps}

    @property
    def needs_human(self) -> tuple[str, ...]:
        """What nobody but a human can put right, a line each."""
        return tuple(line for step in self.run.steps for line in step.detail.get("needs_human", ()))

    @property
    def exit_code(self) -> int:
        """That of the error which ended the run; else 14 where something needs a human."""
        for step in self.run.steps:
            if "exit_code" in step.detail:
                return int(step.detail["exit_code"])
        return NEEDS_HUMAN if self.needs_human else 0

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
            "needs_human": list(self.needs_human),
            "steps": [_step_json(step) for step in run.steps],
        }


def _step_json(step: Step) -> Detail:
    seconds = (step.ended - step.started).total_seconds() if step.ended else None
    return {"name": step.name, "outcome": step.outcome, "seconds": seconds, **step.detail}


def daily(workspace: Workspace, catalog: Catalog, ledger: Ledger, clock: Clock, progress: Progress) -> Daily:
    """The whole loop, or what is left of today's if it was killed; the caller holds the lock. Foreseen errors end the
    run and stand in it; any other leaves it to be resumed."""
    now = clock()
    run = ledger.unfinished(COMMAND)
    if run and run.date != now.date():  # its photos wait where they were, and today's run takes them along
        ledger.finish_run(run.id, now, "failed")
        run = None
    loop = _Loop(workspace, catalog, ledger, clock, progress, run or ledger.begin_run(COMMAND, now.date(), now))
    if run:
        ledger.resume_run(run.id)
        progress.note(f"Going on with the run {run.id}, which was interrupted.")
    state: Literal["done", "failed"] = "done" if loop.run_all() else "failed"
    finished = Daily(ledger.finish_run(loop.run, clock(), state), run is not None)
    if workspace.settings.after_daily:
        loop.do("after", lambda: _tell(workspace.settings.after_daily, workspace.folder, finished))
        finished = Daily(ledger.finish_run(loop.run, clock(), state), run is not None)
    return finished


_STDERR = 2
"""Where the command's own words go: standard output has the answer of mien, which may be JSON."""


def _tell(command: Sequence[str], album: Path, finished: Daily) -> Detail:
    """Gives the summary to the user's command, which runs in the album. That it fails changes nothing."""
    summary = json.dumps(finished.to_json(), ensure_ascii=False)
    try:
        done = subprocess.run(
            command, input=summary.encode(), check=False, timeout=AFTER_SECONDS, stdout=_STDERR, cwd=album
        )
    except OSError as error:
        problem = f"{command[0]} cannot be run: {error.strerror}."
    except subprocess.TimeoutExpired:
        problem = f"{command[0]} took longer than {AFTER_SECONDS // 60} minutes and was stopped."
    else:
        if not done.returncode:
            return {"line": f"{command[0]} has the summary"}
        problem = f"{command[0]} did not take the summary: it ended with exit code {done.returncode}."
    return {"line": problem, "needs_human": [f"{problem} Look at after_daily in mien.toml."]}


_KINDS = {
    "unreadable": "unreadable",
    "suspect": "whom the model takes for somebody else",
    "two people": "that came for two people",
    "not seen": "not looked at",
    "no face": "without a face",
    "several": "with several faces",
    "copy": "that look like another photo",
}
"""The kinds of finding of `mien.stages.intake`, as the summary counts them."""


class _Loop:
    """One run: its steps in order, each remembered as soon as it is done."""

    def __init__(
        self, workspace: Workspace, catalog: Catalog, ledger: Ledger, clock: Clock, progress: Progress, run: Run
    ) -> None:
        self._workspace, self._catalog, self._ledger = workspace, catalog, ledger
        self._clock, self._progress = clock, progress
        self.run, self._day = run.id, run.date
        self._done: dict[str, Detail] = {step.name: dict(step.detail) for step in run.steps if step.outcome == "done"}
        self._interrupted = {step.name for step in run.steps} - {*self._done}

    def run_all(self) -> bool:
        """Does what is left to do; False if a step could not be done."""
        steps: dict[str, Callable[[], Detail]] = {
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

    def do(self, name: str, work: Callable[[], Detail]) -> bool:
        """A step, unless an earlier process did it; False if a foreseen error ended it."""
        if name in self._done:
            return True
        self._ledger.begin_step(self.run, name, self._clock())
        try:
            detail = work()
        except MienError as error:
            failed = {"line": error.message, "needs_human": [str(error)], "exit_code": error.exit_code}
            self._ledger.finish_step(self.run, name, self._clock(), "failed", failed)
            return False
        self._ledger.finish_step(self.run, name, self._clock(), "done", detail)
        self._done[name] = detail
        return True

    def _expire(self) -> Detail:
        """Whoever may not be recognised any more leaves the album and every model, and what a source may not be used
        for any more leaves the album. The photos, which are the user's, are set aside."""
        settings, workspace = self._workspace.settings, self._workspace
        gone = 0
        people = {nfc(name) for name, person in settings.people.items() if person.until < self._day}
        sources = {name for name, source in settings.sources.items() if source.until and source.until < self._day}
        if people or sources:
            self._spare()
        for person in sorted(people):
            gone += self._take_out(person, [])
            for version in registry.that_know(workspace.models, person):
                registry.drop(workspace.models, version)
            self._ledger.forget_person(person)
        over: dict[str, set[str]] = defaultdict(set)  # what nobody but these filed under that person
        for fetch in (fetch for name in sources for fetch in self._ledger.photos_of(name)):
            ways = [one.source for one in self._ledger.provenance(fetch.sha256) if one.person == fetch.person]
            if fetch.outcome == "placed" and sources.issuperset(ways):  # a duplicate was in the album before
                over[fetch.person].add(fetch.sha256)
        by_person: dict[str, list[Path]] = defaultdict(list)
        for person, photos in over.items():
            for record in filter(None, map(self._catalog.photo, photos)):
                for filed in record.filed:
                    if filed.person == person:
                        place = workspace.waiting_file if filed.waiting else workspace.photo_file
                        by_person[person].append(place(filed.path))
        for person, files in sorted(by_person.items()):
            gone += self._take_out(person, sorted(files))
        self._forget(over)
        begun_before = "expire" in self._interrupted and bool(people or sources)
        if not gone and not begun_before:
            return {"line": "nothing has expired", "photos": 0}
        others = ", and perhaps others before this run was interrupted" if begun_before else ""
        line = f"{count(gone, 'photo')} set aside, whose time is over{others}"
        human = f"{line}: they lie in {workspace.removed}. Delete them if you may not keep them."
        return {"line": line, "photos": gone, "needs_human": [human]}

    def _forget(self, photos: Mapping[str, Collection[str]]) -> None:
        """Lets the model in use forget photos that are not in the album any more: a kill came before it had."""
        model = pipeline.in_use(self._workspace)
        for person in sorted(model.card.photos) if model else ():
            model = pipeline.in_use(self._workspace)
            if model and not {*photos.get(person, ())}.isdisjoint(model.card.photos.get(person, ())):
                pipeline.unlearn(
                    self._workspace, self._catalog, self._ledger, model, person, self._clock(), self._progress
                )

    def _spare(self) -> None:
        """Takes a model out of use that cannot be changed as it would have to be: a damaged one, or one of another
        encoder than is set now. The training of this very run makes another."""
        model = pipeline.in_use(self._workspace)
        if model is None or model.encoder_id != pipeline.eyes_as_set(self._workspace).encoder_id:
            registry.retire(self._workspace.models)

    def _take_out(self, person: str, files: Sequence[Path]) -> int:
        """Takes these files of a person out of the album, or all if none is named; how many there were."""
        model = pipeline.in_use(self._workspace)
        folders = (self._workspace.training, *(folder for _, folder in self._workspace.intakes()))
        there = any(nfc(entry.name) == person for folder in folders if folder.is_dir() for entry in folder.iterdir())
        if not there and not (model and person in model.people):
            return 0
        removed = pipeline.remove(
            self._workspace, self._catalog, self._ledger, person, files, False, self._clock(), self._progress
        )
        return len(removed.files)

    def _collect(self) -> Detail:
        names = list(self._workspace.settings.sources)
        if not names:
            return {"line": "no source is configured", "photos": 0}
        found = pipeline.collect(
            self._workspace, self._catalog, self._ledger, names, self._day, self._clock, self._progress
        )
        failed = sum(len(source.failed) for source in found.sources)
        refused = sum(len(source.refused) for source in found.sources)
        errors = [_about(source.source, source.error) for source in found.sources if source.error]
        line = _listed(
            f"{count(found.photos, 'new photo')} from {count(len(names), 'source')}",
            f"{count(len(errors), 'source')} failed" if errors else "",
            f"{count(refused, 'file')} refused" if refused else "",
            f"{count(failed, 'photo')} could not be had" if failed else "",
        )
        return {"line": line, "needs_human": errors, "photos": found.photos, "refused": refused, "failed": failed}

    def _align(self) -> Detail:
        from mien.stages.intake import look_at_intake

        looked = look_at_intake(
            self._workspace, self._catalog, lambda: pipeline.eyes_as_set(self._workspace), self._progress
        )
        unreadable = len(looked.failures)
        line = _listed(
            f"{count(looked.photos, 'photo')} waiting, {looked.computed:,} looked at"
            if looked.photos
            else "nothing waits",
            f"{unreadable:,} unreadable" if unreadable else "",
        )
        return {"line": line, "photos": looked.photos, "computed": looked.computed, "unreadable": unreadable}

    def _check(self) -> Detail:
        from mien.stages.intake import check_intake

        encoder_id = pipeline.eyes_as_set(self._workspace).encoder_id
        found = check_intake(self._workspace, self._catalog, encoder_id, pipeline.in_use(self._workspace))
        human = [finding for finding in found.findings if finding.needs_human]
        return {
            "line": "; ".join(f"{count:,} {_KINDS[kind]}" for kind, count in found.counts.items()) or "nothing odd",
            "needs_human": [f"{one.photo}: {one.why}. {one.remedy}" for one in human],
            "counts": found.counts,
            "held": sorted(found.held),
        }

    def _merge(self) -> Detail:
        from mien.stages.merge import merge

        merged = merge(self._workspace, self._catalog, hold=self._done["check"]["held"])
        line = _listed(
            f"{count(len(merged.moved), 'photo')} merged" if merged.moved else "nothing to merge",
            f"{count(len(merged.duplicates), 'duplicate')} dropped" if merged.duplicates else "",
            f"{len(merged.left):,} left in the intake" if merged.left else "",
        )
        counts = {"moved": len(merged.moved), "duplicates": len(merged.duplicates), "left": len(merged.left)}
        return {"line": line, **counts}

    def _train(self) -> Detail:
        aside = set_aside(pipeline.history(self._ledger))
        learned = pipeline.learn(self._workspace, self._catalog, self._clock(), self._progress, aside)
        model = registry.load_model(self._workspace.models / learned.version)
        sizes = [len(photos) for photos in model.card.photos.values()]
        few = sum(size < self._workspace.settings.minimum for size in sizes)
        made = "made" if learned.trained else "nothing new since"
        line = _listed(
            f"{made} {learned.version}: {count(len(sizes), 'person', 'people')}, {count(sum(sizes), 'photo')}",
            f"{few:,} of the people have fewer than {self._workspace.settings.minimum} photos" if few else "",
        )
        return {"line": line, "version": learned.version, "trained": learned.trained is not None}

    def _evaluate(self) -> Detail:
        from mien.stages.compare import Incomparable, compare

        version, champion = self._done["train"]["version"], pipeline.in_use(self._workspace)
        if champion is None:
            return {"line": f"{version} is the first that can be used", "promote": True}
        if champion.version == version:
            return {"line": f"{version} is in use already", "promote": False}
        if version in set_aside(pipeline.history(self._ledger)):
            line = f"{version} was set aside before, and would be made of these photos again"
            return {"line": line, "promote": False}
        challenger = registry.load_model(self._workspace.models / version)
        found = compare(self._catalog, champion, challenger, wiring.HEADS)
        if isinstance(found, Incomparable):
            if not _is_usable(champion):
                return {"line": f"{champion.version} cannot be used by this version of mien", "promote": True}
            choose = f"{found.reason} Try both, then choose: mien models promote {version}"
            return {"line": found.reason, "promote": False, "needs_human": [choose]}
        decision = found.decision
        human = [] if decision.promote else [_kept(version, champion.version, decision.reasons)]
        human += [f"{mixed} Are they one person?" for mixed in found.mixed_up]
        return {
            "line": " ".join((*decision.reasons, *found.remarks)),
            "promote": decision.promote,
            "needs_human": human,
            "compared": {
                "champion": found.champion,
                "overall": decision.overall.to_json(),
                "strangers": decision.strangers.to_json(),
                "newcomers": len(found.newcomers),
                "flips": len(found.flips),
                "doubted": found.doubted,
            },
        }

    def _promote(self) -> Detail:
        version, now = self._done["train"]["version"], self._clock()
        if self._done["evaluate"]["promote"]:
            pipeline.put_into_use(self._workspace, self._ledger, version, COMMAND, now)
            return {"line": f"{version} is in use now", "version": version}
        current = registry.current(self._workspace.models)
        if version != current and version not in set_aside(pipeline.history(self._ledger)):
            self._ledger.promoted(version, now, pipeline.KEPT, current)
        return {"line": f"{current} stays in use", "version": current}


def _kept(version: str, champion: str, reasons: Sequence[str]) -> str:
    return (
        f"The new model {version} was not put into use, {champion} stays. {' '.join(reasons)} Look at what came in; to"
        f" use it all the same: mien models promote {version}"
    )


def _is_usable(model: Model) -> bool:
    try:
        wiring.eyes_of(model)
    except ModelError:
        return False
    return True


def _about(source: str, error: str) -> str:
    """The error of a source with its name before it, once."""
    return f"{source}: {error.removeprefix(f'The source {source}').lstrip(': ')}"


def _listed(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
