"""Verbs in order: what training, enrolling, removing, promoting and collecting each do before and after themselves.

Each may be repeated without harm. The caller holds the lock, and has catalog and ledger open.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import registry, wiring
from mien.errors import EmptyAlbumError, ModelError, NoFaceError, PhotoError, UsageError
from mien.learning.gate import previous
from mien.registry import Model
from mien.stages import train as train_stage
from mien.storage.layout import Workspace
from mien.vision.images import file_sha256

if TYPE_CHECKING:  # a stage that is not run is not imported either
    from mien.learning.gate import How
    from mien.protocols import Progress
    from mien.records.catalog import Catalog
    from mien.records.ledger import Ledger
    from mien.seeing.eyes import Eyes
    from mien.stages.align import Aligned
    from mien.stages.collect import Collected
    from mien.stages.enrol import Enrolled
    from mien.stages.train import Trained

Clock = Callable[[], datetime]
"""The local time, with its zone."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What training did: it aligned first; `trained` is None where `version` was made of the same photos before."""

    aligned: Aligned
    version: str
    trained: Trained | None

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        trained = self.trained.to_json() if self.trained else None
        return {"version": self.version, "trained": trained, "aligned": self.aligned.to_json()}


def align(workspace: Workspace, catalog: Catalog, progress: Progress) -> Aligned:
    """Looks at what is new, chooses each person's faces, writes their chips. Raises EmptyAlbumError."""
    from mien.stages.align import align

    aligned = align(workspace, catalog, lambda: eyes_as_set(workspace), progress)
    if not aligned.photos:  # only now, as the memory of photos that are gone had to go too
        raise EmptyAlbumError(
            f"There is no photo of a person in {workspace.training}.",
            "Put photos into a folder there for each person, or use `mien add PERSON PHOTO`.",
        )
    return aligned


def learn(
    workspace: Workspace, catalog: Catalog, now: datetime, progress: Progress, aside: Collection[str] = ()
) -> Learned:
    """Aligns, then makes a version of all faces, which is in use only when it is promoted; none where the one in use,
    the newest (a killed run made it) or one of those set `aside` would come out again."""
    from mien.report import FILE, write_report

    aligned = align(workspace, catalog, progress)
    current, settings = in_use(workspace), workspace.settings
    card = wiring.encoder_card(settings)
    there = registry.versions(workspace.models)
    newest = [one for one in there[-1:] if (workspace.models / one / FILE).is_file()]  # or it was killed before that
    for version in [*([current.version] if current else []), *newest, *(one for one in aside if one in there)]:
        with contextlib.suppress(ModelError):  # a damaged one is not what anybody wants again
            model = registry.load_model(workspace.models / version)
            if train_stage.is_current(model, catalog, card, settings.head, settings.fpir):
                return Learned(aligned, version, None)
    trained = train_stage.train(catalog, workspace.models, card, wiring.HEADS, settings.head, settings.fpir, now)
    trained = replace(trained, version=registry.settled(workspace.models, trained.version))
    write_report(workspace, catalog, trained, current.card if current else None)
    return Learned(aligned, trained.version, trained)


def in_use(workspace: Workspace) -> Model | None:
    """The model in use; None before the first, and for a damaged one, which training replaces."""
    try:
        version = registry.current(workspace.models)
        return registry.load_model(workspace.models / version) if version else None
    except ModelError:
        return None


def eyes_as_set(workspace: Workspace) -> Eyes:
    return wiring.make_eyes(workspace.settings.precision, workspace.settings.views)


@dataclass(frozen=True, slots=True)
class Removed:
    """What `remove` took out: `files` where they lay, and where they are `now`, nothing if they were deleted; `missing`
    are those named that are not there. The model `version` is in use, None for none; `older` ones know the person."""

    files: tuple[Path, ...]
    now: tuple[Path, ...]
    missing: tuple[Path, ...]
    version: str | None
    older: tuple[str, ...]


def enrol(
    workspace: Workspace,
    catalog: Catalog,
    ledger: Ledger,
    model: Model,
    person: str,
    eyes: Callable[[], Eyes],
    now: datetime,
    progress: Progress,
) -> tuple[tuple[PhotoError, ...], Enrolled]:
    """Lets the model in use know of `person` what the catalog does: what could not be read of the person's new photos,
    and the model that is in use then."""
    from mien.stages.align import align_person
    from mien.stages.enrol import enrol

    unreadable = align_person(workspace, catalog, model.encoder_id, person, eyes, progress)
    enrolled = enrol(catalog, workspace.models, model, wiring.enrolment(model), person, now)
    enrolled = replace(enrolled, version=registry.settled(workspace.models, enrolled.version))
    put_into_use(workspace, ledger, enrolled.version, "enrol", now)
    return unreadable, enrolled


def remove(
    workspace: Workspace,
    catalog: Catalog,
    ledger: Ledger,
    person: str,
    photos: Sequence[Path],
    delete: bool,
    now: datetime,
    progress: Progress,
) -> Removed:
    """Takes `person` (NFC), or some photos, out of the album and out of the model in use. Raises UsageError."""
    from mien.stages.align import find_changes, remove_stale_chips
    from mien.stages.remove import leaving, take_out

    version = registry.current(workspace.models)
    model = registry.load_model(workspace.models / version) if version else None
    plan = leaving(workspace, person, photos)
    if not plan.folders and person not in catalog.people() and not (model and person in model.people):
        raise UsageError(f"Nobody in {workspace.folder} is called {person}.", "`mien status` names all people.")
    if model and photos:
        model.require_encoder(eyes_as_set(workspace).encoder_id)  # or who stays could not be enrolled anew
    places = take_out(workspace, plan, delete)
    catalog.sync_intakes(workspace.walk_intakes(), lambda path: file_sha256(workspace.waiting_file(path)))
    find_changes(workspace, catalog)
    remove_stale_chips(workspace, catalog)
    if model and person in model.people:
        unlearn(workspace, catalog, ledger, model, person, now, progress)
    version = registry.current(workspace.models)
    older = tuple(one for one in registry.that_know(workspace.models, person) if one != version)
    return Removed(plan.files, places, plan.missing, version, older)


def unlearn(
    workspace: Workspace,
    catalog: Catalog,
    ledger: Ledger,
    model: Model,
    person: str,
    now: datetime,
    progress: Progress,
) -> None:
    """Puts a model into use that knows of `person`, one of its people, what the catalog does; none if there would be
    nobody in it."""
    from mien.stages.enrol import withdraw

    if person in catalog.people():
        with contextlib.suppress(NoFaceError):
            enrol(workspace, catalog, ledger, model, person, lambda: eyes_as_set(workspace), now, progress)
            return
    reduced = withdraw(workspace.models, model, person, now)
    if reduced:
        version = registry.settled(workspace.models, reduced.version)
        put_into_use(workspace, ledger, version, "remove", now)
    else:
        registry.retire(workspace.models)


def put_into_use(workspace: Workspace, ledger: Ledger, version: str, how: str, now: datetime) -> None:
    """Promotes a version in one step, and writes down `how` it came into use. Repeated, it does nothing more.

    The ledger comes first: a kill between the two is mended when the command is run again, while nobody would notice
    that a model in use is not in the ledger."""
    before = None
    with contextlib.suppress(ModelError):  # a damaged one is none
        before = registry.current(workspace.models)

    def record() -> None:
        last = ledger.promotions()
        if how == "rollback" or not last or last[0].version != version or last[0].how == KEPT:
            ledger.promoted(version, now, how, before)

    registry.promote(workspace.models, version, record)


KEPT = "kept"
"""How the ledger calls a challenger that was not good enough."""

_HOW: Mapping[str, How] = {KEPT: "kept", "rollback": "rolled back"}


def history(ledger: Ledger) -> list[tuple[str, How]]:
    """What became of each version, oldest first, as `mien.learning.gate` reads it."""
    return [(one.version, _HOW.get(one.how, "promoted")) for one in reversed(ledger.promotions())]


def one_before(workspace: Workspace, ledger: Ledger) -> str:
    """The version that a rollback goes back to. Raises ModelError if there is none."""
    current, there = registry.current(workspace.models), registry.versions(workspace.models)
    version = previous([one for one in history(ledger) if one[0] in there], current) if current else None
    if version is None:
        raise ModelError(
            "There is no earlier model to go back to.", "`mien models` lists those there are; promote one by its name."
        )
    return version


def collect(
    workspace: Workspace,
    catalog: Catalog,
    ledger: Ledger,
    names: Sequence[str],
    day: date,
    clock: Clock,
    progress: Progress,
    dry_run: bool = False,
) -> Collected:
    """Fetches what is new in the sources of these names into the intake of `day`."""
    from mien.stages.collect import collect

    settings = workspace.settings
    chosen = {name: settings.sources[name] for name in names}
    with ExitStack() as connections:
        openers = wiring.source_openers(chosen, settings.contact, workspace.folder, connections)
        sources = [(name, chosen[name], openers[name]) for name in names]
        return collect(workspace, ledger, catalog, sources, day, clock, progress, dry_run)
