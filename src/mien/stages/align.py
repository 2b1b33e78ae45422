"""align: what is new on a shelf is seen; in training-images each person's own faces are chosen and their chips are cut.

Goes in: an album and the shelves. Comes out: the catalog and aligned-images brought up to date, and an `Aligned` that
says what was found. Only what is new or changed is computed, and every photo that is done is remembered at once, so a
run may be stopped anywhere. In an intake no face is chosen: that is done where the person's other photos can be asked,
after merging.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import PhotoError
from mien.learning.album_choice import alone, centre_of, settle, sure_of
from mien.learning.own_face import Alike, FolderFaces, Ground, Identity, pick, rule
from mien.open_album import OpenAlbum
from mien.protocols import Elsewhere
from mien.records.chips import DueChip
from mien.records.files import in_groups
from mien.seeing.apart import EyesApart
from mien.seeing.eyes import Eyes
from mien.seeing.tasks import CutChip, Photos, See
from mien.storage.files import make_folder, write_atomically
from mien.storage.layout import TRAINING, Shelf, chip_keys, shown
from mien.storage.leftovers import sweep
from mien.storage.walk import LeftOut
from mien.text.photos import PhotoFault
from mien.text.retries import is_of_the_photo
from mien.text.words import Figure
from mien.types import Finding, SeenPhoto
from mien.vision.images import decoder

MARKED = 16
"""Photos marked as being looked at by one transaction: as many more are looked at apart after a kill."""

STRANGERS = 500
"""People of the album, at most, who show how alike strangers are to an encoder of which nobody measured it."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """What an alignment found. `people` have a photo; `photos` counts files; `computed` the photos that were to be seen
    in this run; `faces` all faces in all photos, each photo once; `enrolled` the photos whose person's face is known,
    and `same` those that are another of the person's, byte for byte.

    `guesses` are the people of whom it is not certain which face is theirs. `faceless`, `several` and those of
    `failures` are paths in the album. The failures are all photos that cannot be
    read, also those that are known from earlier runs, and those on which a tool failed in this run.
    """

    people: int
    photos: int
    new: int
    changed: int
    moved: int
    gone: int
    computed: int
    faces: int
    enrolled: int
    chips_written: int
    skip_multi: bool
    guesses: tuple[Finding, ...]
    faceless: tuple[str, ...]
    several: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    failures: tuple[tuple[str, PhotoError], ...]
    same: int = 0

    def fails(self, strict: bool) -> bool:
        """Whether something could not be read that might be another time; if `strict`, whether anything could not."""
        return any(strict or not is_of_the_photo(error.fault) for _, error in self.failures)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        counts = ("people", "photos", "new", "changed", "moved", "gone", "computed", "faces", "enrolled", "same")
        return {
            **{name: getattr(self, name) for name in counts},
            "chips_written": self.chips_written,
            "guesses": [one.to_json() for one in self.guesses],
            "faceless": list(map(shown, self.faceless)),
            "several": list(map(shown, self.several)),
            "left_out": [one.to_json() for one in self.left_out],
            "unreadable": [{"photo": shown(path), "error": str(error)} for path, error in self.failures],
        }


def align(album: OpenAlbum, shelves: Sequence[Shelf]) -> Aligned:
    """Brings the catalog up to date with these shelves; the album is open for writing. Raises for training-images as
    `OpenAlbum.require_training` does."""
    if TRAINING in shelves:
        album.require_training()
    shelved, changes = album.sync(shelves)
    unseen = album.catalog.faces.unseen(shelves, album.encoder, decoder())
    by_tool = [one for one in _see(album, unseen) if one[1].fault is PhotoFault.TOOL]
    chips = 0
    if own_too := TRAINING in shelves:
        _choose(album)
        sweep(album.layout, thorough=True)
        chips, uncut = _cut_chips(album)
        by_tool += uncut
    seen = album.catalog.faces.on(shelves, album.encoder).files
    failures = [(one.path, one.error(album.layout.where(one.path))) for one in shelved.closed]
    failures += changes.unreadable
    failures += by_tool
    failures += [_failed(album, one.path, one.fault, one.figures) for one in seen if one.fault]
    return Aligned(
        people=len({file.person for file in shelved.files}),
        photos=len(shelved.files),
        new=changes.new,
        changed=changes.changed,
        moved=changes.moved,
        gone=changes.gone,
        computed=len(unseen),
        faces=album.catalog.faces.count(shelves, album.encoder),
        enrolled=sum(one.own >= 0 for one in seen),
        chips_written=chips,
        skip_multi=album.settings.skip_multi,
        guesses=tuple(one.finding for one in album.catalog.faces.guesses(album.encoder)) if own_too else (),
        faceless=tuple(one.path for one in seen if one.phash and not one.faces),
        several=tuple(one.path for one in seen if one.faces > 1),
        left_out=tuple(one for one in shelved.left_out if one not in shelved.closed),
        failures=tuple(failures),
        same=len(seen) - len({(one.person, one.sha256) for one in seen}),
    )


def look(album: OpenAlbum) -> tuple[tuple[str, PhotoError], ...]:
    """Sees what the album's encoder has not seen yet of training-images, and chooses each person's face; chips are left
    as they are. What could not be read comes back. The album is open for writing. Raises as `align` does."""
    album.require_training()
    album.sync([TRAINING])
    failures = _see(album, album.catalog.faces.unseen([TRAINING], album.encoder, decoder()))
    _choose(album)
    return tuple(failures)


def align_person(album: OpenAlbum, person: str, make_eyes: Callable[[], Eyes] | None = None) -> tuple[PhotoError, ...]:
    """Sees what is new of one person, whose photos the catalog knows, and chooses that person's faces. Chips are cut by
    the next `align`. What could not be read comes back. The album is open for writing; `make_eyes`, if given, are
    being opened already."""
    unseen = album.catalog.faces.unseen([TRAINING], album.encoder, decoder(), person)
    failures = _see(album, unseen, make_eyes)
    _choose_one(album, person)
    return tuple(error for _, error in failures)


def remove_stale_chips(album: OpenAlbum) -> None:
    """Removes the chips that are of no chosen face any more."""
    _remove_chips(album, album.catalog.chips.stale(_keys(album)))
    remove_chips_unknown(album)


def remove_chips_unknown(album: OpenAlbum) -> None:
    """Removes the chips of this machine that a catalog on a server does not know any more: another machine, whose disk
    has chips of its own, took out of the album whose they are. Raises StorageError."""
    if album.layout.server:
        for key in album.layout.chips() - album.catalog.chips.written_keys():
            album.layout.remove_chip(key)


def _see(
    album: OpenAlbum, unseen: Sequence[tuple[str, str]], make_eyes: Callable[[], Eyes] | None = None
) -> list[tuple[str, PhotoError]]:
    """Sees the photos (sha256, path) and remembers what was seen; what could not be seen comes back, by path.

    A photo on which a tool failed is not remembered: the next run sees it again. Photos that were being looked at when
    an earlier run was stopped come last, one by one and in a process of their own: one of them may have stopped it. So
    do those that have ended the engine's own processes in this run.
    """
    failures: list[tuple[str, PhotoError]] = []
    faces = album.catalog.faces
    engine, begun = album.engine, faces.begun()

    def keep(photo: tuple[str, str], seen: SeenPhoto | PhotoError | None, lived: bool = True) -> None:
        sha256, path = photo
        if seen is None or (isinstance(seen, SeenPhoto) and seen.photo.sha256 != sha256):
            album.catalog.files.doubt(path)
        if isinstance(seen, SeenPhoto):
            faces.record(seen, album.encoder)
        elif isinstance(seen, PhotoError):
            if seen.fault is not PhotoFault.TOOL:
                faces.record_fault(sha256, album.encoder, seen, decoder())
            album.progress.note(str(seen))
            failures.append((path, seen))
        if lived:
            faces.finish(sha256)
        album.progress.advance()

    album.progress.start("Looking at photos", len(unseen))
    fresh = [photo for photo in unseen if photo[0] not in begun]
    suspects = [photo for photo in unseen if photo[0] in begun]
    photos = Photos(album.folder, album.layout.photos)
    see = See(make_eyes or album.opening, photos)
    coming = fresh if isinstance(engine, Elsewhere) else _marked(album, fresh)  # what happens there stops nobody here
    for block in engine.run(see, coming, partial(_if_it_is_still, album), suspects.append):
        with faces.together():
            for photo, seen in block:
                keep(photo, seen)
    if suspects:
        faces.begin([sha256 for sha256, _ in suspects])
        with EyesApart(album.tools.eyes, album.settings.choice, album.layout.tracebacks) as apart:
            for photo in suspects:
                found, lived = photos.seen_in(photo[1], apart.see_file)
                keep(photo, _if_it_is_still(album, photo, found), lived)
    album.progress.finish()
    return failures


def _marked(album: OpenAlbum, photos: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The photos, each marked as being looked at before it comes."""
    for group in in_groups(photos, MARKED):
        album.catalog.faces.begin([sha256 for sha256, _ in group])
        yield from group


def _if_it_is_still(
    album: OpenAlbum, photo: tuple[str, str], seen: SeenPhoto | PhotoError
) -> SeenPhoto | PhotoError | None:
    """What was seen in the photo (sha256, path); None for an error of a file that holds another photo by now. Where it
    does not, and other bytes were faulty, those came of the disk or network, which is the error then."""
    if not isinstance(seen, PhotoError):
        return seen
    if not _is_still(album, photo[1], photo[0]):
        return None
    if seen.sha256 in ("", photo[0]):
        return seen
    return PhotoError(seen.about, PhotoFault.DISK, {"said": "it gave other bytes a moment later"})


def _is_still(album: OpenAlbum, path: str, sha256: str) -> bool:
    """Whether the file holds the photo of this hash. One that is gone, replaced or locked by now says nothing about the
    photo, which may lie elsewhere too; the next run will see."""
    try:
        return album.layout.photos.sha256(album.layout.file(path)) == sha256
    except PhotoError:
        return False


def _choose(album: OpenAlbum) -> None:
    """Chooses the faces of everybody whose photos have changed, and of everybody whose choice depends on others'."""
    faces, encoder = album.catalog.faces, album.encoder
    people = faces.to_choose_anew(encoder, _rule(album))
    if not people:
        return
    alike = _alike(album)
    if album.eyes().encoder.cosines is None:  # who is alike hangs on all of the album
        people = tuple(sorted(album.catalog.files.people(TRAINING)))
    asked: dict[str, list[Identity]] = {}
    for person in people:
        photos = _photos(album, person)
        own, identities = alone(photos.folder, alike)
        if own is None:
            asked[person] = identities
        else:
            _remember(album, person, photos, own, Ground.OWN, centre_of(photos.folder, own))
    known = faces.centres(encoder, [Ground.OWN], but=asked)
    settled = settle([*asked.values()], known, alike)
    known += sure_of(settled)
    for person, one in zip(asked, settled, strict=True):
        photos = _photos(album, person)
        own = pick(photos.folder, one.own, known, alike)
        _remember(album, person, photos, own, one.ground, (one.own.centre, one.own.photos))


def _choose_one(album: OpenAlbum, person: str) -> None:
    """Chooses the faces of one person, who asks what is known of the others; what that changes of theirs, and then
    perhaps of this choice, the next `_choose` says."""
    photos, alike = _photos(album, person), _alike(album)
    own, identities = alone(photos.folder, alike)
    if own is not None:
        _remember(album, person, photos, own, Ground.OWN, centre_of(photos.folder, own))
        return
    known = album.catalog.faces.centres(album.encoder, [Ground.OWN, Ground.ALBUM], but=[person])
    (settled,) = settle([identities], known, alike)
    own = pick(photos.folder, settled.own, known, alike)
    by = rule(album.encoder, album.settings.skip_multi, one_alone=True)
    _remember(album, person, photos, own, settled.ground, (settled.own.centre, settled.own.photos), by)


def _alike(album: OpenAlbum) -> Alike:
    cosines = album.eyes().encoder.cosines
    strangers = np.empty((0, 0), np.float32)
    return Alike.of(cosines, strangers if cosines else album.catalog.faces.strangers(album.encoder, STRANGERS))


@dataclass(frozen=True, slots=True, eq=False)
class _Photos:
    """The photos of a person that a face is chosen in, each once: their faces, the ids (F,) of these, and the paths at
    which each lies."""

    folder: FolderFaces
    ids: list[NDArray[np.int64]]
    paths: list[list[str]]


def _photos(album: OpenAlbum, person: str) -> _Photos:
    found = album.catalog.faces.faces_of(person, album.encoder)
    edges = np.searchsorted(found.photo, np.arange(len(found.paths) + 1)).tolist()
    sides = np.sqrt((found.boxes[:, 2:] - found.boxes[:, :2]).clip(0).prod(axis=1))
    rows: dict[str, slice] = {}
    paths: dict[str, list[str]] = defaultdict(list)
    for number in sorted(range(len(found.paths)), key=lambda one: found.sha256[one]):
        if not (album.settings.skip_multi and edges[number + 1] - edges[number] > 1):
            rows[found.sha256[number]] = slice(edges[number], edges[number + 1])
            paths[found.sha256[number]].append(found.paths[number])
    folder = FolderFaces([found.embeddings[one] for one in rows.values()], [sides[one] for one in rows.values()])
    return _Photos(folder, [found.ids[one] for one in rows.values()], [*paths.values()])


def _remember(
    album: OpenAlbum,
    person: str,
    photos: _Photos,
    own: Sequence[int | None],
    ground: Ground,
    centre: tuple[NDArray[np.float64], int] | None,
    by: str | None = None,
) -> None:
    chosen = {
        path: None if face is None else int(ids[face])
        for ids, paths, face in zip(photos.ids, photos.paths, own, strict=True)
        for path in paths
    }
    album.catalog.faces.choose(person, album.encoder, by or _rule(album), chosen, ground, centre)


def _rule(album: OpenAlbum) -> str:
    return rule(album.encoder, album.settings.skip_multi)


def _failed(album: OpenAlbum, path: str, fault: PhotoFault, figures: Mapping[str, Figure]) -> tuple[str, PhotoError]:
    """A photo that cannot be read, and why."""
    return path, PhotoError(album.layout.where(path), fault, figures)


def _keys(album: OpenAlbum) -> dict[str, str]:
    """The key of each training photo's chip, by path."""
    return chip_keys((file.path, file.person) for file in album.catalog.files.on([TRAINING]))


def _remove_chips(album: OpenAlbum, keys: Sequence[str]) -> None:
    for key in keys:
        album.layout.remove_chip(key)
    album.catalog.chips.forget(keys)


def _cut_chips(album: OpenAlbum) -> tuple[int, list[tuple[str, PhotoError]]]:
    """Removes the chips that are of no chosen face any more and writes those that are missing: how many it wrote, and
    of which photos a tool failed to cut one."""
    keys, chips, size = _keys(album), album.catalog.chips, album.settings.chip_size
    _remove_chips(album, chips.stale(keys, album.encoder))
    remove_chips_unknown(album)
    written, failures = 0, list[tuple[str, PhotoError]]()

    def write(due: DueChip, png: bytes | PhotoError | None) -> bool | PhotoError:
        if png is None:  # it was another photo, or readable, a moment ago; the next run will see what became of it
            return False
        if isinstance(png, bytes):
            file = album.layout.chip_file(due.key)
            make_folder(file.parent)
            write_atomically(file, png)
            return True
        return png

    def give_up(due: DueChip) -> None:
        failures.append((due.path, PhotoError(album.layout.where(due.path), PhotoFault.STOPS_MIEN)))

    due = list(chips.due(keys, album.encoder, size, album.layout.chips()))
    album.progress.start("Writing chips", len(due))
    for block in album.engine.run(
        CutChip(album.opening, Photos(album.folder, album.layout.photos), size), due, write, give_up
    ):
        with chips.together():
            for chip, done in block:
                if isinstance(done, PhotoError):
                    album.progress.note(str(done))
                    failures.append((chip.path, done))
                elif done:
                    chips.written(chip, size)
                    written += 1
                album.progress.advance()
    album.progress.finish()
    return written, failures
