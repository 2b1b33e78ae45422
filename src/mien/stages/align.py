"""align: what is new in training-images is looked at, each person's own faces are chosen, and their chips are cut.

Goes in: an album and its catalog. Comes out: the catalog and aligned-images brought up to date, and an `Aligned` that
says what was found. Only what is new or changed is computed, and every photo that is done is remembered at once, so a
run may be stopped anywhere. Knows no detector and no encoder by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mien.engines import threads as pool
from mien.errors import PhotoError
from mien.learning.own_face import choose_faces, rule
from mien.looking import CURABLE, look_at
from mien.protocols import Progress
from mien.records.catalog import Catalog, Changes, DueChip, PersonFaces
from mien.seeing.eyes import Eyes
from mien.storage.files import HALF_WRITTEN, make_folder, storage_error, write_atomically
from mien.storage.layout import UNREADABLE, Training, Workspace, chip_keys
from mien.vision.images import encoded, file_sha256, read_picture


@dataclass(frozen=True, slots=True)
class Aligned:
    """What an alignment found. `photos` counts files; `computed` the photos that were looked at in this run; `faces`
    all faces in all photos; `enrolled` the photos whose person's face is known. `failures` are (path, error) of all
    photos that cannot be read, also those that are known from earlier runs."""

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
    faceless: tuple[str, ...]
    several: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    failures: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "people": self.people,
            "photos": self.photos,
            "new": self.new,
            "changed": self.changed,
            "moved": self.moved,
            "gone": self.gone,
            "computed": self.computed,
            "faces": self.faces,
            "enrolled": self.enrolled,
            "chips_written": self.chips_written,
            "faceless": list(self.faceless),
            "several": list(self.several),
            "left_out": [{"photo": path, "reason": reason} for path, reason in self.left_out],
            "unreadable": [{"photo": path, "error": error} for path, error in self.failures],
        }


def align(workspace: Workspace, catalog: Catalog, make_eyes: Callable[[], Eyes], progress: Progress) -> Aligned:
    """Brings the album up to date with its photos; the caller holds the lock."""
    settings, encoder_id = workspace.settings, make_eyes().encoder_id
    training, changes = find_changes(workspace, catalog)
    unseen = catalog.unseen(encoder_id, CURABLE)
    look_at(unseen, workspace.photo_file, catalog, make_eyes, settings.workers, progress)
    _choose(catalog, encoder_id, settings.skip_multi, catalog.to_choose(rule(encoder_id, settings.skip_multi)))
    _sweep(workspace)
    chips = _cut_chips(workspace, catalog, make_eyes, progress)
    summary = catalog.summary(encoder_id)
    left_out = [(one.path, one.reason) for one in training.left_out if one.reason != UNREADABLE]
    closed = [one.path for one in training.left_out if one.reason == UNREADABLE]
    failures = [(path, f"{workspace.photo_file(path)}: {UNREADABLE}. Check its permissions.") for path in closed]
    failures += changes.unreadable
    failures += [(one.path, f"{workspace.photo_file(one.path)}: {one.error}") for one in summary.failures]
    return Aligned(
        people=len(training.people),
        photos=len(training.placements),
        new=changes.new,
        changed=changes.changed,
        moved=changes.moved,
        gone=changes.removed,
        computed=len(unseen),
        faces=summary.faces,
        enrolled=sum(person.enrolled for person in summary.people),
        chips_written=chips,
        skip_multi=settings.skip_multi,
        faceless=summary.faceless,
        several=summary.several,
        left_out=tuple(left_out),
        failures=tuple(failures),
    )


def align_person(
    workspace: Workspace,
    catalog: Catalog,
    encoder_id: str,
    person: str,
    make_eyes: Callable[[], Eyes],
    progress: Progress,
) -> tuple[PhotoError, ...]:
    """Looks at what is new of one person, whose photos the catalog knows, and chooses that person's faces. Chips are
    cut by the next `align`. What could not be read comes back. The caller holds the lock."""
    unseen = catalog.unseen(encoder_id, CURABLE, person)
    failures = look_at(unseen, workspace.photo_file, catalog, make_eyes, workspace.settings.workers, progress)
    _choose(catalog, encoder_id, workspace.settings.skip_multi, [person])
    return failures


def remove_stale_chips(workspace: Workspace, catalog: Catalog) -> dict[str, str]:
    """Removes the chips that are of no chosen face any more; the keys of all placements come back."""
    keys = chip_keys(catalog.placements())
    stale = catalog.stale_chips(keys)
    for key in stale:
        workspace.remove_chip(key)
    catalog.forget_chips(stale)
    return keys


def find_changes(
    workspace: Workspace, catalog: Catalog, sources: Mapping[Path, str] | None = None
) -> tuple[Training, Changes]:
    """Makes the catalog know which photos there are; `sources` says where new ones (files of the album) came from."""
    training = workspace.walk_training()
    came_from = {file.relative_to(workspace.training).as_posix(): source for file, source in (sources or {}).items()}
    changes = catalog.sync(
        training,
        lambda path: file_sha256(workspace.photo_file(path)),
        basis=workspace.settings.basis,
        sources=came_from,
    )
    return training, changes


def _choose(catalog: Catalog, encoder_id: str, skip_multi: bool, people: Sequence[str]) -> None:
    """Chooses each person's face in each of their photos."""
    by = rule(encoder_id, skip_multi)
    for person in people:
        found = catalog.faces_of(person, encoder_id)
        photos = [rows[:0] if skip_multi and len(rows) > 1 else rows for rows in _by_photo(found)]
        sides = np.sqrt((found.boxes[:, 2:] - found.boxes[:, :2]).clip(0).prod(axis=1))
        picked = choose_faces([found.embeddings[rows] for rows in photos], [sides[rows] for rows in photos])
        chosen = zip(found.paths, photos, picked, strict=True)
        catalog.choose(person, by, {path: None if n is None else int(found.ids[rows[n]]) for path, rows, n in chosen})


def _by_photo(found: PersonFaces) -> Sequence[np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """For each photo the rows of its faces."""
    edges = np.searchsorted(found.photo, np.arange(len(found.paths) + 1))
    return [np.arange(start, end) for start, end in pairwise(edges)]


def _sweep(workspace: Workspace) -> None:
    """Removes the half-written files of killed runs; the lock is held, so nobody is writing them now."""
    for folder in ("aligned-images/*", "training-images/*", ".mien"):
        for leftover in workspace.folder.glob(f"{folder}/{HALF_WRITTEN}"):
            try:
                leftover.unlink(missing_ok=True)
            except OSError as error:
                raise storage_error(leftover, error) from error


def _cut_chips(workspace: Workspace, catalog: Catalog, make_eyes: Callable[[], Eyes], progress: Progress) -> int:
    """Removes the chips that are of no chosen face any more and writes those that are missing; how many it wrote."""
    keys = remove_stale_chips(workspace, catalog)

    def cut(eyes: Eyes, due: DueChip) -> bool:
        try:
            picture = read_picture(workspace.photo_file(due.path))
        except PhotoError:
            return False  # it was readable a moment ago; the next run will see what became of it
        if picture.photo.sha256 != due.sha256:
            return False  # and here, too: the face is not in this one
        file = workspace.chip_file(due.key)
        make_folder(file.parent)
        write_atomically(file, encoded(eyes.chip(picture, due.face, size), "PNG"))
        return True

    size = workspace.settings.chip_size
    due = list(catalog.chips_due(keys, size, workspace.walk_aligned()))
    written = 0
    progress.start("Writing chips", len(due))
    for chip, done in pool.run(due, make_eyes, cut, workspace.settings.workers):
        if done:
            catalog.chip_written(chip.path, chip.key, chip.face_id, size)
            written += 1
        progress.advance()
    progress.finish()
    return written
