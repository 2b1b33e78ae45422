"""Out of the album: what removing, unlearning, expiring and forgetting each do, in order.

Each may be repeated without harm. The album is open for writing.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.errors import EncoderError, NoFaceError, UsageError
from mien.open_album import OpenAlbum
from mien.pipeline.learn import enrol
from mien.pipeline.use import put_into_use
from mien.registry import versions
from mien.registry.folder import Model
from mien.stages.align import remove_stale_chips
from mien.stages.enrol import withdraw
from mien.stages.remove import leaving, take_out
from mien.storage.files import remove_file
from mien.storage.journals import forget as forget_in_journals
from mien.storage.layout import TRAINING
from mien.text.names import quoted_name


@dataclass(frozen=True, slots=True)
class Removed:
    """What `remove` took out: `files` where they lay, and where they are `now`, nothing if they were deleted; `missing`
    are those named that are not there. The model `version` is in use, None for none; `older` ones know the person."""

    files: tuple[Path, ...]
    now: tuple[Path, ...]
    missing: tuple[Path, ...]
    version: str | None
    older: tuple[str, ...]


def remove(album: OpenAlbum, person: str, photos: Sequence[Path] = (), delete: bool = False) -> Removed:
    """Takes `person` (NFC), or some photos, out of the album and out of the model in use. Raises UsageError."""
    model = album.model()
    plan = leaving(album.layout, person, photos)
    known = person in album.catalog.files.people(TRAINING) or bool(model and person in model.people)
    if not plan.folders and not known:
        raise UsageError(quoted_name(person), f"is nobody's name in {album.folder}", "`mien status` names all people.")
    if model and photos:  # or who stays could not be enrolled anew
        model.require_encoder(album.encoder)
    places = take_out(album.layout, plan, delete)
    album.sync([TRAINING, *album.layout.intakes()])
    remove_stale_chips(album)
    if model and person in model.people:
        unlearn(album, model, person)
    version = album.version
    older = tuple(one for one in versions.knowing(album.layout.models, person) if one != version)
    return Removed(plan.files, places, plan.missing, version, older)


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


def forget(album: OpenAlbum, person: str) -> None:
    """Lets no trace of the name `person` (NFC) stay in what mien wrote: in no version, journal or record. The photos
    must have left the album before."""
    for version in versions.knowing(album.layout.models, person):
        versions.drop(album.layout.models, version)
    forget_in_journals(album.layout.journals, person)
    for traceback in album.layout.tracebacks.glob("*"):  # any may name a file of theirs
        remove_file(traceback)
    album.ledger.people.forget(person)


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
        gone += _take_out(album, person)
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
    if not leaving(album.layout, person).folders and not (model and person in model.people):
        return 0
    return len(remove(album, person, files).files)


def _unlearn_photos(album: OpenAlbum, over: dict[str, set[str]]) -> None:
    """Lets the model in use forget photos that are not in the album any more: a kill came before it had."""
    for person, photos in sorted(over.items()):
        model = album.sound_model()
        if model and not photos.isdisjoint(model.card.photos.get(person, ())):
            unlearn(album, model, person)
