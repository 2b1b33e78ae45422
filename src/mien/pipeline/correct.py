"""Corrections: photos go to another person, a person gets another name, two become one, and the last is undone.

A correction is written into the ledger with all its steps, then the files go, then names are changed, catalog and model
follow. So one that was killed is finished by the next command that writes (`resume`), and ends as if it had not been.
The album is open for writing, but for `plan_undo`.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mien.errors import EncoderError, MienError, ModelError, UsageError
from mien.open_album import OpenAlbum
from mien.pipeline.remove import is_mentioned, nobody
from mien.pipeline.use import put_into_use
from mien.records import access
from mien.records.corrections import UNDO_DAYS, Correction, Step
from mien.registry import versions
from mien.registry.card import ENROLLED_SINCE_FIT
from mien.stages.align import align_person, remove_stale_chips
from mien.stages.correct import (
    Targets,
    back,
    hindrance,
    person_of,
    sha256_of,
    steps_of_join,
    steps_of_rename,
    steps_of_set_aside,
    take,
)
from mien.stages.enrol import relearned, renamed
from mien.storage.layout import REMOVED, TRAINING, shown
from mien.storage.named import located
from mien.storage.walk import ShelfFile
from mien.text.corrections import CorrectionKind, UnlearnedKind
from mien.text.names import alike_names, quoted_name, valid_person
from mien.text.shell import command
from mien.text.words import Figure
from mien.types import Finding


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction did, or an undo did to the correction `verb`: `moved` are (was, now), paths relative to the
    album, of files, of whole folders for a rename, or of photos that were confirmed, which stay where they are.
    `people` are those who had them, or the name that was, and `person` whose they are now. `new` says that nobody was
    called so in the album, and `alike` who is nearly. `there` counts photos that lay under the person already, and
    `copies` those that went there and whose bytes the person had.

    `left_out` are those that an undo leaves where they are: photos that `mien remove` took out since.
    `version` is in use now, None for none, and `unlearned` says why it does not know of this. `older` versions know the
    name that was; `mentioned` are names that mien.toml, which is the user's, has and that are nobody's any more."""

    verb: str
    people: tuple[str, ...]
    person: str
    moved: tuple[tuple[str, str], ...]
    new: bool = False
    alike: tuple[str, ...] = ()
    there: int = 0
    copies: int = 0
    version: str | None = None
    unlearned: UnlearnedKind | None = None
    older: tuple[str, ...] = ()
    mentioned: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "verb": self.verb,
            "people": list(self.people),
            "person": self.person,
            "moved": [{"was": shown(was), "now": shown(now)} for was, now in self.moved],
            "new": self.new,
            "alike": list(self.alike),
            "there": self.there,
            "copies": self.copies,
            "version": self.version,
            "unlearned": str(self.unlearned) if self.unlearned else None,
            "older": list(self.older),
            "mentioned": list(self.mentioned),
            "left_out": [shown(path) for path in self.left_out],
        }


def move(album: OpenAlbum, photos: Sequence[Path], person: str) -> Corrected:
    """Files photos, each by its path, under `person` (NFC), who may be new; all of them or none. They go where they lay
    below the folder of whom they were filed under, on the same shelf. No source brings them back under that name.

    Raises UsageError for what is no photo of a person here, or no name, and as `OpenAlbum.require_training` does."""
    files, hashes, people = _look(album)
    is_new = person not in people
    if is_new:
        valid_person(person)
        if album.ledger.people.called_now(person) != person:
            raise nobody(album, person, people)
    paths = list(dict.fromkeys(located(album.layout, photo) for photo in photos))
    going, free = [path for path in paths if person_of(path) != person], Targets(album, person)
    targets = {path: free.of(path) for path in going}
    names = list(dict.fromkeys(map(person_of, going)))
    done = Corrected("move", tuple(names), person, tuple(targets.items()), there=len(paths) - len(going))
    if not going:
        return replace(done, version=_version(album))
    _require_not_removed(album, person)
    entry = album.entry()
    ids = album.ledger.people.enter([*names, person], entry.basis, entry.now, entry.until)
    known = {path: hashes.get(path) or sha256_of(album.layout, album.layout.file(path)) for path in going}
    steps = [Step(path, targets[path], ids[person_of(path)], ids[person], known[path]) for path in going]
    theirs = {hashes[path] for path, file in files.items() if file.person == person and path in hashes}
    correction = album.ledger.corrections.begin("move", entry.now, "", ids[person], steps, _version(album))
    unlearned = _carry_out(album, correction, files)
    return replace(
        done,
        new=is_new,
        alike=tuple(alike_names(person, people)) if is_new else (),
        copies=sum(sha256 in theirs for sha256 in known.values()),
        version=_version(album),
        unlearned=unlearned,
    )


def rename(album: OpenAlbum, person: str, name: str) -> Corrected:
    """Gives `person` (NFC) another name, which nobody has: on all shelves, in the ledger, in the model in use. What
    sources offer under the old name is the person's from now on. Raises UsageError, and as
    `OpenAlbum.require_training` does."""
    files, _, people = _look(album)
    name = valid_person(name)
    _require(album, person, people)
    if name == person:
        raise UsageError(quoted_name(person), "is called so already", "Give another name.")
    if name in people:
        joined = command(album.folder, "join", person, name)
        raise UsageError(quoted_name(name), "is somebody in this album already", f"If the two are one person: {joined}")
    steps_of_rename(album, person, name, ("", ""))  # before anything is written, whatever is in its way
    _require_not_removed(album, name)
    entry = album.entry()
    ids = album.ledger.people.enter([person], entry.basis, entry.now, entry.until)
    other = album.ledger.people.name_too(name, ids[person], entry.now)
    steps = steps_of_rename(album, person, name, (ids[person], ids[person]))
    correction = album.ledger.corrections.begin("rename", entry.now, other, ids[person], steps, _version(album))
    unlearned = _carry_out(album, correction, files)
    done = Corrected("rename", (person,), name, _moved(steps), unlearned=unlearned)
    return _with_old_name(album, done)


def join(album: OpenAlbum, person: str, target: str) -> Corrected:
    """Makes `person` and `target` (NFC), two names of one person, the person `target`: all files of the one go to the
    other, and what sources offer under the one name is the other's from now on. Raises UsageError, StorageError or
    PhotoError for what cannot be looked at, and as `OpenAlbum.require_training` does."""
    files, hashes, people = _look(album)
    _require(album, person, people)
    _require(album, target, people)
    if person == target:
        raise UsageError(quoted_name(person), "is one person already", "Name two.")
    _require_not_removed(album, target)
    entry = album.entry()
    ids = album.ledger.people.enter([person, target], entry.basis, entry.now, entry.until)
    steps = steps_of_join(album, person, target, (ids[person], ids[target]), hashes)
    if not steps:
        raise UsageError(quoted_name(person), "has an empty folder", "Remove the folder, if it is of no use.")
    theirs = {hashes[path] for path, file in files.items() if file.person == target and path in hashes}
    ends = ids[person], ids[target]
    correction = album.ledger.corrections.begin("join", entry.now, *ends, steps, _version(album))
    unlearned = _carry_out(album, correction, files)
    copies = sum(step.sha256 in theirs for step in steps)
    return _with_old_name(
        album, Corrected("join", (person,), target, _moved(steps), copies=copies, unlearned=unlearned)
    )


def _with_old_name(album: OpenAlbum, done: Corrected) -> Corrected:
    """What was done, with where the old name still stands."""
    (old,), version = done.people, _version(album)
    older = tuple(one for one in versions.knowing(album.layout.models, old) if one != version)
    return replace(done, version=version, older=older, mentioned=(old,) if is_mentioned(album, old) else ())


def plan_undo(album: OpenAlbum) -> Corrected:
    """What `undo` would do. Raises UsageError where there is nothing to undo, or something has changed since."""
    return _told(album, _undoable(album))


def undo(album: OpenAlbum) -> Corrected:
    """Undoes the last correction: files, names, the model in use. Photos of it that were removed since stay removed.
    Raises as `plan_undo` does."""
    files, *_ = _look(album)
    correction = _undoable(album)
    told = _told(album, correction)
    if correction.verb == "confirm":
        album.ledger.corrections.forget(correction)
        return told
    unlearned = _take_back(album, album.ledger.corrections.undo(correction), files)
    return replace(told, version=_version(album), unlearned=unlearned)


def resume(album: OpenAlbum) -> list[Finding]:
    """Finishes the correction that was interrupted, if one was. What there is to be said of that."""
    correction = album.ledger.corrections.pending()
    if correction is None:
        return []
    figures: dict[str, Figure] = {"verb": correction.verb, "photos": len(correction.steps)}
    is_undo = correction.state in ("undoing", "refiled")
    try:
        (_take_back if is_undo else _carry_out)(album, correction)
    except (MienError, OSError) as error:
        why = error.message.rstrip(".") if isinstance(error, MienError) else str(error)
        return [Finding(CorrectionKind.UNFINISHED, figures=figures | {"why": why})]
    kind = CorrectionKind.RENAMED if correction.verb == "rename" else CorrectionKind.FILED
    person = album.ledger.people.name_of(correction.target)
    return [Finding(CorrectionKind.UNDONE if is_undo else kind, (person,), figures=figures)]


def _carry_out(
    album: OpenAlbum, correction: Correction, before: Mapping[str, ShelfFile] = MappingProxyType({})
) -> UnlearnedKind | None:
    """Does what is left of a correction; why the model in use does not know of it, if so. `before` are the files of the
    album, if nothing was done yet: then, if the files cannot go, they come back, and the error is raised."""
    corrections = album.ledger.corrections
    if correction.state == "begun":
        still = {step.was for step in correction.steps if step.was in before and _is_still(album, before[step.was])}
        try:
            take(album.layout, correction.steps)
        except (MienError, OSError):
            if before:
                with contextlib.suppress(MienError, OSError):
                    take(album.layout, back(correction.steps))
                    corrections.forget(correction)
            raise
        correction = corrections.file(correction)
        album.catalog.files.move(_moves(album, correction.steps, before, still))
    album.sync([TRAINING, *album.layout.intakes()])
    _keep_out(album, correction)
    unlearned = _learn(album, correction)
    remove_stale_chips(album)
    _forget_answers(album, correction)
    corrections.finish(correction, _version(album))
    return unlearned


def _take_back(
    album: OpenAlbum, correction: Correction, before: Mapping[str, ShelfFile] = MappingProxyType({})
) -> UnlearnedKind | None:
    """Does what is left of the undoing of a correction, likewise."""
    corrections, removed = album.ledger.corrections, _removed_since(album, correction)
    kept = [step for step in correction.steps if step not in removed]
    steps = back(kept)
    if correction.state == "undoing":
        still = {step.was for step in steps if step.was in before and _is_still(album, before[step.was])}
        aside = [] if _went_as_one(correction) else _set_aside_since(album, correction)
        take(album.layout, [*steps, *aside])
        correction = corrections.file_back(correction)
        album.catalog.files.move(_moves(album, steps, before, still))
    album.sync([TRAINING, *album.layout.intakes()])
    if correction.verb == "move":
        for person, hashes in _photos_of(album, kept).items():
            album.ledger.removals.bring_photos_back(person, hashes)
    _keep_removed_out(album, correction, removed)
    unlearned = None
    was = correction.before
    if (
        not removed
        and was
        and _version(album) == correction.after != was
        and was in versions.names(album.layout.models)
    ):
        put_into_use(album, was, "undo")
        ids = (one for step in correction.steps for one in (step.person, step.target))
        _choose_again(album, [name for one in (*ids, correction.target) if (name := album.ledger.people.name_in(one))])
    else:
        unlearned = _learn(album, correction)
    remove_stale_chips(album)
    _forget_answers(album, correction)
    corrections.forget(correction)
    return unlearned


def _forget_answers(album: OpenAlbum, correction: Correction) -> None:
    """Has no server repeat an answer that calls somebody by a name that is another now."""
    if correction.verb != "move":
        access.forget(album.layout.access_at)


def _is_still(album: OpenAlbum, file: ShelfFile) -> bool:
    """Whether the system has not written a file since it was looked at."""
    return _ctime(album, file.path) == file.ctime_ns


def _ctime(album: OpenAlbum, path: str) -> int | None:
    return album.layout.photos.written(album.layout.file(path))


def _moves(
    album: OpenAlbum, steps: Sequence[Step], before: Mapping[str, ShelfFile], still: Collection[str]
) -> Iterator[tuple[str, ShelfFile]]:
    """Where the files lie that steps have taken, so that they need not be hashed: by a move the system writes a file
    anew, and what lies in a folder that gets another name is as it was."""
    name_of = album.ledger.people.name_of
    for step in steps:
        person = name_of(step.target)
        if step.was in before:
            ctime = _ctime(album, step.now) if step.was in still else None
            yield step.was, replace(before[step.was], path=step.now, person=person, ctime_ns=ctime)
        else:
            for path, file in before.items():
                if path.startswith(f"{step.was}/"):
                    yield path, replace(file, path=f"{step.now}{path.removeprefix(step.was)}", person=person)


def _removed_since(album: OpenAlbum, correction: Correction) -> list[Step]:
    """The steps of a move or a join whose photo `mien remove` has taken out since, from where they had put it."""
    person, removals = album.ledger.people.name_of(correction.target), album.ledger.removals
    everything = correction.verb == "move" and removals.of_exactly(person) is not None
    return [
        step
        for step in correction.steps
        if step.sha256
        and (everything or removals.has_photo(person, step.sha256))
        and not album.layout.photos.is_there(album.layout.file(step.now))
        and sha256_of(album.layout, album.layout.file(step.was)) != step.sha256
    ]


def _set_aside_since(album: OpenAlbum, correction: Correction) -> list[Step]:
    """The steps that take back photos which `mien remove` has set aside since somebody got another name, while it is
    theirs."""
    people, target = album.ledger.people, correction.target
    if correction.verb != "rename" or correction.state not in ("done", "undoing"):
        return []
    old, new = people.name_in(correction.person), people.name_in(target)
    hashes = album.ledger.removals.photos_of(new, target)
    return steps_of_set_aside(album, new, old, (target, target), hashes)


def _went_as_one(correction: Correction) -> bool:
    """Whether the folder of what was set aside got the other name as a whole, and so goes back as a whole."""
    return any(step.now.count("/") == 1 and step.now.startswith(f"{REMOVED}/") for step in correction.steps)


def _keep_removed_out(album: OpenAlbum, correction: Correction, removed: Sequence[Step]) -> None:
    """Has no source bring back, under the name that was, what was removed under the other one; the files and names are
    those that were."""
    people, removals = album.ledger.people, album.ledger.removals
    if correction.verb == "rename":
        removals.carry(people.name_in(correction.person), correction.target, people.name_in(correction.target))
    if correction.verb == "join":
        for person, hashes in _photos_of(album, removed).items():
            removals.remove_photos(person, sorted(hashes), album.clock())


def _photos_of(album: OpenAlbum, steps: Iterable[Step]) -> dict[str, set[str]]:
    """The SHA-256 of the photos that these steps take, by whom they take them from."""
    found: dict[str, set[str]] = defaultdict(set)
    for step in steps:
        if step.sha256:
            found[album.ledger.people.name_of(step.person)].add(step.sha256)
    return found


def _keep_out(album: OpenAlbum, correction: Correction) -> None:
    """Has no source bring photos back under whom they were filed, and lets the person have them: a human says so."""
    removals, person = album.ledger.removals, album.ledger.people.name_of(correction.target)
    photos = _photos_of(album, correction.steps)
    if correction.verb == "move":
        for one, hashes in photos.items():
            kept = {file.sha256 for file in album.catalog.files.of_photos(hashes) if file.person == one}
            removals.remove_photos(one, sorted(hashes - kept), album.clock())
    if removals:
        removals.bring_photos_back(person, set[str]().union(*photos.values()))


def _choose_again(album: OpenAlbum, names: Iterable[str]) -> None:
    """Chooses the faces of people whose photos, or whose name, are others now, so that nothing of theirs is stale."""
    for name in dict.fromkeys(names):
        if name in album.catalog.files.people(TRAINING):
            align_person(album, name)


def _learn(album: OpenAlbum, correction: Correction) -> UnlearnedKind | None:
    """Lets the model in use know of a correction, or of its undoing, what ledger and catalog do; why it does not, if
    so: the next training learns it then."""
    model, people, models = album.sound_model(), album.ledger.people, album.layout.models
    if model is None:
        return UnlearnedKind.NO_MODEL
    if correction.verb == "rename":
        was, now = people.name_in(correction.person), people.name_in(correction.target)
        draft = renamed(album, model, was, now) if was in model.people else None
        if draft is not None:
            put_into_use(album, versions.twin(models, draft) or versions.write(models, draft), "rename")
        _choose_again(album, [now])
        return None
    ids = dict.fromkeys([*(one for step in correction.steps for one in (step.person, step.target)), correction.target])
    names = [name for one in ids if (name := people.name_in(one))]
    try:
        model.require_encoder(album.encoder)
    except (EncoderError, ModelError):
        return UnlearnedKind.OTHER_ENCODER
    _choose_again(album, names)
    draft = relearned(album, model, names)
    if draft is None:
        versions.retire(models)
    elif draft.counts[ENROLLED_SINCE_FIT] > model.enrolled_since_fit:  # or nothing has changed
        put_into_use(album, versions.write(models, draft), correction.verb)
    return None


def _look(album: OpenAlbum) -> tuple[dict[str, ShelfFile], dict[str, str], set[str]]:
    """The files of the album by path, once the catalog knows them; the SHA-256 of each; and whoever has a folder."""
    album.require_training()
    shelves = [TRAINING, *album.layout.intakes()]
    shelved, _ = album.sync(shelves)
    hashes = {file.path: file.sha256 for file in album.catalog.files.on(shelves)}
    return {file.path: file for file in shelved.files}, hashes, set(shelved.people)


def _version(album: OpenAlbum) -> str | None:
    """The version in use; None also for one that cannot be used."""
    with contextlib.suppress(ModelError):
        return album.version
    return None


def _require(album: OpenAlbum, person: str, people: Collection[str]) -> None:
    """Raises UsageError unless somebody in the album is called so."""
    if person not in people:
        raise nobody(album, person, people)


def _require_not_removed(album: OpenAlbum, person: str) -> None:
    """Raises UsageError for the name of somebody who was removed: no correction lets them in, nor its undoing."""
    if removal := album.ledger.removals.of_exactly(person):
        again = f"if they are to be here again, add them first: {command(album.folder, 'add', person, '<photo>')}"
        what = f"was removed from this album on {removal.on}"
        raise UsageError(quoted_name(person), what, f"Give another name; or, {again}")


def _moved(steps: Sequence[Step]) -> tuple[tuple[str, str], ...]:
    return tuple((step.was, step.now) for step in steps)


def _undoable(album: OpenAlbum) -> Correction:
    """The last correction, if it can be undone. Raises UsageError."""
    album.require_training()
    corrections, people = album.ledger.corrections, album.ledger.people
    correction = corrections.pending() or corrections.last()
    if correction is None or not correction.steps:
        what = f"has no correction of the last {UNDO_DAYS} days that could be undone"
        raise UsageError(str(album.folder), what, "`mien move`, `rename`, `join` and `confirm` are what can be.")
    if correction.state != "done" or correction.verb == "confirm":
        return correction
    name = people.name_in(correction.person)
    if name and people.name_of(correction.person) != people.name_of(correction.target):
        joined = command(album.folder, "join", name, people.name_of(correction.target))
        what, remedy = "has photos of their own again", f"If the two are one all the same: {joined}"
        raise UsageError(quoted_name(name), what, remedy)
    removed = _removed_since(album, correction)
    if error := hindrance(album.layout, [step for step in correction.steps if step not in removed]):
        raise error
    return correction


def _told(album: OpenAlbum, correction: Correction) -> Corrected:
    """What the undoing of a correction is."""
    people = album.ledger.people
    names = [people.name_in(correction.person)] if correction.person else []
    if correction.verb == "confirm":
        names = [people.name_of(one) for one in (correction.person, correction.target) if correction.person]
    names = names or [people.name_of(step.person) for step in correction.steps]
    had, target = tuple(dict.fromkeys(names)), people.name_of(correction.target)
    if correction.verb == "confirm":
        photos = [step for step in correction.steps if step.sha256]
        return Corrected(correction.verb, had, target, _moved(photos), version=_version(album))
    removed = _removed_since(album, correction)
    moved = _moved(back([step for step in correction.steps if step not in removed]))
    aside = (f"{TRAINING}/{step.was.partition('/')[2]}" for step in _set_aside_since(album, correction))
    left_out = (*(step.now for step in removed), *aside)
    return Corrected(correction.verb, had, target, moved, version=_version(album), left_out=left_out)
