"""Out of the album: what removing, unlearning, expiring and forgetting each do, in order.

Each may be repeated without harm. The album is open for writing.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mien.errors import (
    AlbumError,
    EncoderError,
    MienError,
    ModelError,
    NoFaceError,
    PhotoError,
    StorageError,
    UsageError,
)
from mien.open_album import OpenAlbum
from mien.pipeline.learn import enrol
from mien.pipeline.use import put_into_use
from mien.records import access, asked
from mien.registry import versions
from mien.registry.folder import Model
from mien.settings import text_of
from mien.stages.align import remove_chips_unknown, remove_stale_chips
from mien.stages.enrol import withdraw
from mien.stages.remove import Leaving, leaving, take_out
from mien.storage.files import entries, is_hollow, remove_empty, remove_file
from mien.storage.layout import TRAINING, Layout
from mien.storage.leftovers import sweep
from mien.storage.walk import has_photo, people_of
from mien.text.findings import RemovalKind
from mien.text.names import meant, nfc, quoted_name
from mien.text.words import Figure
from mien.types import Finding

LEAP = 366
"""Days without a run after which nobody's time is taken to be over: a clock that is years ahead would empty the album.
The run of another day believes it."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What `remove` took out: `files` where they lay, and where they are `now`, nothing if they were deleted; `missing`
    are those named that are not there. The model `version` is in use, None for none; `older` ones know the person.
    Where everything of a person was deleted, `dropped` are the versions that were, and `mentioned` says whether
    mien.toml, which is the user's, still has the name."""

    files: tuple[Path, ...]
    now: tuple[Path, ...]
    missing: tuple[Path, ...]
    version: str | None
    older: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    mentioned: bool = False

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "files": list(map(str, self.files)),
            "now": list(map(str, self.now)),
            "missing": list(map(str, self.missing)),
            "version": self.version,
            "older": list(self.older),
            "dropped": list(self.dropped),
            "mentioned": self.mentioned,
        }


def remove(
    album: OpenAlbum, person: str, photos: Sequence[Path] = (), delete: bool = False, may_return: bool = False
) -> Removed:
    """Takes `person` (NFC), or some photos, out of the album and out of the model in use. They may not come back until
    a human brings them; photos may if it is said that they `may_return`. Raises UsageError, and as
    `OpenAlbum.require_training` does.

    A person some of whose files cannot be looked at, or whose empty folder cannot be removed, leaves the model all the
    same; then StorageError is raised, and the removal is finished by the next command that writes and can do it."""
    album.require_training()
    model, removals = album.model(), album.ledger.removals
    plan = leaving(album.layout, person, photos, known=album.filed(person))
    known = person in album.catalog.files.people(TRAINING) or bool(model and person in model.people)
    if not plan.folders and not known and not _is_pending(album, person):
        raise nobody(album, person)
    if model and photos:  # or who stays could not be enrolled anew
        model.require_encoder(album.encoder)
    _enter(album, person)
    hashes = _hashes(album, plan) if photos and not may_return else []
    if photos:
        removals.remove_photos(person, hashes, album.clock())
    else:
        removals.begin(person, album.clock(), "deleted" if delete else "aside")
    photos_out = _photo_hashes(album, plan)
    album.ledger.corrections.doubt(person, photos_out)
    asked.forget(album.layout.asked_file, photos_out)
    places = take_out(album.layout, plan, delete)
    _forget_files(album, person, only_gone=not plan.closed)
    album.sync([TRAINING, *album.layout.intakes()])
    there = {file.sha256 for file in album.catalog.files.of_photos(hashes) if file.person == person}
    removals.bring_photos_back(person, there)  # a copy went, and the photo stays
    remove_stale_chips(album)
    if model and person in model.people:
        unlearn(album, model, person)
    if plan.closed:
        why = plan.closed[0]
        remedy = f"{why.remedy} Then the next command takes it out; the model in use does not know {person} any more."
        raise StorageError(why.about, why.what, remedy)
    if not photos:
        chips = album.layout.aligned / person
        remove_empty(chips)
        if hollow := next(filter(is_hollow, (*plan.folders, chips)), None):  # a full disk may refuse this too
            remedy = "Check the permissions of the folder in which it lies. Then the next command removes it."
            raise StorageError(str(hollow), "is empty and could not be removed", remedy)
        removals.finish(person)
    version = album.version
    older = tuple(one for one in versions.knowing(album.layout.models, person) if one != version)
    return Removed(plan.files, places, plan.missing, version, older)


def remove_everywhere(album: OpenAlbum, person: str) -> Removed:
    """Deletes everything of `person` (NFC) in the album: photos, also those that were set aside, chips, what was seen
    in them, all versions that know the person, all that is remembered of photos that were only asked about, tracebacks,
    records, and the name. That the person was removed is kept, without the name. Raises UsageError if nothing is known
    of anybody of this name."""
    layout, removals = album.layout, album.ledger.removals
    plan = leaving(layout, person, everywhere=True, known=album.filed(person))
    if not plan.folders and not _is_known(album, person):
        raise nobody(album, person)
    _enter(album, person)
    removals.begin(person, album.clock(), "everywhere")
    take_out(layout, plan, delete=True)
    for folder in plan.folders:
        if layout.photos.is_there(folder):
            _forget_files(album, person)
            _take_out_of_use(album, person)
            remedy = str(plan.closed[0]) if plan.closed else "Check the permissions of it, and of the folders in it."
            raise StorageError(str(folder), "could not be emptied", remedy)
    sweep(layout, thorough=True)  # what a killed run left is of nobody knows whom
    album.sync([TRAINING, *layout.intakes()])
    remove_stale_chips(album)
    album.catalog.compact()
    _take_out_of_use(album, person)
    mentioned = any(is_mentioned(album, name) for name in album.ledger.people.spellings(person))
    dropped = forget(album, person)
    photos = tuple(file for file in plan.files if not file.is_relative_to(layout.aligned))
    return Removed(photos, (), (), album.version, (), dropped, mentioned)


def unlearn(album: OpenAlbum, model: Model, person: str) -> None:
    """Puts a model into use that knows of `person`, one of its people, what the catalog does; none if there would be
    nobody in it."""
    if person in album.catalog.files.people(TRAINING):
        with contextlib.suppress(NoFaceError):
            enrol(album, model, person, "remove")
            return
    if reduced := withdraw(album, model, person):
        put_into_use(album, reduced.version, "remove")
    else:
        versions.retire(album.layout.models)


def forget(album: OpenAlbum, person: str) -> tuple[str, ...]:
    """Lets no trace of the name `person` (NFC) stay in what mien wrote: in no version and no record. The photos must
    have left the album before, and the model in use must not know them. Whether the person is in photos that were only
    asked about nobody knows, so all of those are forgotten. The versions that were deleted, among them those of which
    nobody can say any more whom they know."""
    models, names = album.layout.models, album.ledger.people.spellings(person)
    dropped = sorted({version for name in names for version in versions.knowing(models, name, damaged_too=True)})
    for version in dropped:
        versions.drop(models, version)
    versions.remove_unfinished(models)
    asked.forget(album.layout.asked_file)
    access.forget(album.layout.access_at)
    for traceback in entries(album.layout.tracebacks):  # any may name a file of theirs
        remove_file(traceback)
    album.ledger.forget(person)
    return tuple(dropped)


def settle(album: OpenAlbum) -> list[Finding]:
    """Makes the album as its removals say: finishes those that were interrupted, also on another machine, lets in again
    whoever has photos in training-images, which a human has put there, and takes whoever was removed out of the model
    in use. What there is to be said of that."""
    removals = album.ledger.removals
    found = []
    for removal in removals.people():
        if removal.pending:
            try:
                if removal.pending == "everywhere":
                    remove_everywhere(album, removal.name)
                else:
                    remove(album, removal.name, delete=removal.pending == "deleted")
                found.append(Finding(RemovalKind.FINISHED, (removal.name,)))
            except (MienError, OSError) as error:
                why = error.message.rstrip(".") if isinstance(error, MienError) else str(error)
                figures: dict[str, Figure] = {"why": why}
                found.append(Finding(RemovalKind.UNFINISHED, (removal.name,), figures=figures))
    for person in _back(album):
        if (removal_of := removals.of_exactly(person)) and not removal_of.pending:
            removals.bring_back(removal_of)
            found.append(Finding(RemovalKind.BACK, (person,), figures={"on": removal_of.on}))
    remove_chips_unknown(album)
    return found + _unlearn_removed(album)


def _back(album: OpenAlbum) -> list[str]:
    """Those who were removed and have a photo in training-images."""
    people = sorted({nfc(entry.name) for entry in _folders_in(album.layout)})
    there = (person for person in people if album.ledger.removals.of_exactly(person))
    return [person for person in there if has_photo(album.layout, person)]


def _folders_in(layout: Layout) -> list[Path]:
    try:
        return layout.photos.folders(layout.training)
    except StorageError:  # a drive that is not connected
        return []


def _unlearn_removed(album: OpenAlbum) -> list[Finding]:
    """Takes whoever was removed out of the model in use, which somebody has put there by other means than mien's."""
    found = []
    model = album.sound_model() if album.ledger.removals.people() else None
    for person in album.removed_among(model.people) if model else ():
        removal, before = album.removal_of(person), album.sound_model()
        if removal and not removal.pending and before:
            unlearn(album, before, person)
            figures: dict[str, Figure] = {"on": removal.on, "version": album.version or "none"}
            found.append(Finding(RemovalKind.UNLEARNED, (person,), figures=figures))
    return found


def _forget_files(album: OpenAlbum, person: str, only_gone: bool = False) -> None:
    """Lets the catalog not know any more where photos of the person lie: of those in a folder that nobody can look
    into, or of those that are gone. It must not take training-images that they leave empty for a drive that is away."""
    files = [file for file in album.catalog.files.on([TRAINING, *album.layout.intakes()]) if file.person == person]
    album.catalog.files.drop([file.path for file in files if not (only_gone and _may_be_there(album, file.path))])


def _may_be_there(album: OpenAlbum, path: str) -> bool:
    """Whether a file is there, or nobody can tell."""
    try:
        return album.layout.photos.is_there(album.layout.file(path))
    except StorageError:
        return True


def _is_pending(album: OpenAlbum, person: str) -> bool:
    removal = album.ledger.removals.of_exactly(person)
    return bool(removal and removal.pending)


def _is_known(album: OpenAlbum, person: str) -> bool:
    """Whether anything of the person is left in what mien wrote, or was deleted before. Who is called otherwise now is
    to be called so."""
    ledger = album.ledger
    return ledger.people.called_now(person) == person and bool(
        ledger.people.id_of(person)
        or ledger.removals.of_exactly(person)
        or versions.knowing(album.layout.models, person)
    )


def is_mentioned(album: OpenAlbum, person: str) -> bool:
    """Whether mien.toml has the name as a word of its own."""
    try:
        text = nfc(text_of(album.layout.settings_file))
    except (OSError, UnicodeDecodeError, AlbumError):
        return False
    return re.search(rf"(?<!\w){re.escape(person)}(?!\w)", text) is not None


def nobody(album: OpenAlbum, person: str, people: Collection[str] | None = None) -> UsageError:
    """What to tell somebody who named a person whom the album, with these `people`, does not have."""
    now = album.ledger.people.called_now(person)
    known = people_of(album.layout) if people is None else people
    told = f"{person} is called {now} now. " if now != person else meant(person, known)
    about, what = quoted_name(person), f"is nobody's name in {album.folder}"
    return UsageError(about, what, f"{told}`mien status` names all people.")


def _enter(album: OpenAlbum, person: str) -> None:
    """Gives the person an id if there is none: the catalog need not have been aligned yet."""
    entry = album.entry()
    album.ledger.people.enter([person], entry.basis, entry.now, entry.until)


def _hashes(album: OpenAlbum, plan: Leaving) -> list[str]:
    """The photos among the files; what cannot be read has none."""
    hashes = []
    for file in plan.files:
        with contextlib.suppress(PhotoError):
            hashes.append(album.layout.photos.sha256(file))
    return hashes


def _photo_hashes(album: OpenAlbum, plan: Leaving) -> set[str]:
    """The photos among the files, also those that the catalog does not know yet."""
    on = album.catalog.files.on([TRAINING, *album.layout.intakes()])
    known = {album.layout.file(file.path): file.sha256 for file in on}
    new = replace(plan, files=tuple(file for file in plan.files if file not in known))
    return {known[file] for file in plan.files if file in known} | set(_hashes(album, new))


def _take_out_of_use(album: OpenAlbum, person: str) -> None:
    """Lets the model in use not know `person` any more, whatever state it is in."""
    try:
        model = album.model()
    except ModelError:  # nobody can say whom it knows
        versions.retire(album.layout.models)
        return
    if model and person in model.people:
        unlearn(album, model, person)


def expire(album: OpenAlbum) -> int:
    """Whoever may not be recognised any more leaves the album and every model, and what a source may not be used for
    any more leaves the album: how many photos did. The photos, which are the user's, are set aside.

    What came in by hand after the last day is the user's own decision, and stays.
    """
    people = _expired_people(album)
    sources = [name for name, one in album.settings.sources.items() if one.until and one.until < album.today]
    photos = album.ledger.history.only_from(sources) if sources else []
    if people or photos:
        _spare(album)
    gone = 0
    for person in people:
        try:
            gone += _take_out(album, person)
        except StorageError as error:  # the removal is begun, and the model does not know the person any more
            if not _is_pending(album, person):
                raise
            album.progress.note(str(error))
            continue
        _enter(album, person)
        album.ledger.removals.begin(person, album.clock(), "aside")  # also of whom there was nothing to take out
        forget(album, person)
    over: dict[str, set[str]] = defaultdict(set)
    for person, sha256 in photos:
        over[person].add(sha256)
    files: dict[str, list[Path]] = defaultdict(list)
    for file in album.catalog.files.of_photos({sha256 for _, sha256 in photos}):
        if file.sha256 in over[file.person]:
            files[file.person].append(album.layout.file(file.path))
    for person, some in sorted(files.items()):
        gone += _take_out(album, person, sorted(some))
    _unlearn_photos(album, over)
    album.ledger.history.expire(sources)
    return gone


def days_unseen(album: OpenAlbum) -> int:
    """Days between today and the last run of the daily loop on another day, by the order in which runs began; 0 if
    there is none, or it lies ahead."""
    before = next((run.date for run in album.ledger.runs.last() if run.date != album.today), album.today)
    return max(0, (album.today - before).days)


def is_anything_over(album: OpenAlbum) -> bool:
    """Whether mien.toml names a person or a source whose last day is over."""
    ends = [*album.until.values(), *(source.until for source in album.settings.sources.values())]
    return any(end and end < album.today for end in ends)


def _expired_people(album: OpenAlbum) -> list[str]:
    """Those whose last day is over. Whoever came in when it was over already, and was known to be, did so by a decision
    of the user's, and stays."""
    model = album.sound_model()
    found = []
    for name, until in sorted(album.until.items()):
        if until >= album.today:
            continue
        person = album.ledger.people.person(name)
        is_decided = person and person.until == until and person.since.astimezone().date() > until
        if not is_decided and (person or (model and name in model.people)):
            found.append(name)
    return found


def _spare(album: OpenAlbum) -> None:
    """Takes a model out of use that cannot be changed as it would have to be: a damaged one, or one of another encoder
    than is set now, or of one that cannot be had. The training of this very run makes another, if one can be made."""
    model = album.sound_model()
    try:
        can_be_changed = model is not None and model.encoder_id == album.encoder
    except EncoderError:
        can_be_changed = False
    if not can_be_changed:
        versions.retire(album.layout.models)


def _take_out(album: OpenAlbum, person: str, files: Sequence[Path] = ()) -> int:
    """Takes these files of a person out of the album, or all if none is named; how many there were."""
    model = album.sound_model()
    if not leaving(album.layout, person, known=album.filed(person)).folders and not (model and person in model.people):
        return 0
    return len(remove(album, person, files, may_return=True).files)  # from another source, or when the day is put off


def _unlearn_photos(album: OpenAlbum, over: dict[str, set[str]]) -> None:
    """Lets the model in use forget photos that are not in the album any more: a kill came before it had."""
    for person, photos in sorted(over.items()):
        model = album.sound_model()
        if model and not photos.isdisjoint(model.card.photos.get(person, ())):
            unlearn(album, model, person)
