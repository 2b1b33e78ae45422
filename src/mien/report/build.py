"""From what training measured to what the page shows, and onto the disk as models/<version>/report.html."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.engines import threads as pool
from mien.errors import PhotoError
from mien.learning import figures as metrics
from mien.learning.figures import BINS, Share
from mien.learning.openset import mislabelled
from mien.records.catalog import Catalog
from mien.registry import Card
from mien.report.data import (
    CROSS_VALIDATED,
    Bin,
    Changes,
    ConfusedPair,
    Figures,
    HeadTried,
    Histogram,
    Mistake,
    PersonRow,
    Reliability,
    ReportData,
    Suspect,
)
from mien.report.page import MOST_MISTAKES, render
from mien.stages.train import Trained
from mien.storage.files import write_atomically
from mien.storage.layout import Workspace
from mien.types import Face
from mien.vision.images import read_picture
from mien.vision.quality import POOR
from mien.vision.thumbnail import thumbnail

FILE = "report.html"

FPIRS = np.unique([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, *np.geomspace(0.001, 1, 40)])
"""Where the curve of TPIR against FPIR is drawn: at the round shares of its table, and between."""

SLICES = 40
"""Of the histogram of scores."""


def write_report(workspace: Workspace, catalog: Catalog, trained: Trained, before: Card | None) -> Path:
    """Writes the page into the version's folder; `before` is the card of the model used until now. Raises
    StorageError."""
    file = workspace.models / trained.version / FILE
    write_atomically(file, render(report_data(workspace, catalog, trained, before)).encode())
    return file


def report_data(workspace: Workspace, catalog: Catalog, trained: Trained, before: Card | None) -> ReportData:
    """Everything that the page shows; the faces on it are cut from the photos of the album."""
    album, held, measured, threshold = trained.album, trained.held, trained.measured, trained.threshold
    own, rival = np.nan_to_num(held.own.astype(np.float64), nan=-np.inf), held.best_rival
    top = np.maximum(own, rival)
    mated, masked, right = held.mated, np.isfinite(rival), held.right
    named, called = right & (own >= threshold.value), rival >= threshold.value
    names, places = album.people, catalog.places()

    def photo(row: int) -> tuple[str, str]:
        return names[album.person[row]], album.sha256[row]

    def path(row: int) -> str:
        return places.get(photo(row), album.sha256[row][:12])

    # Wrong names first, then people who were not recognised, each from the surest mistake on.
    wrong = np.flatnonzero(mated & ~named)
    wrong = wrong[np.lexsort((-top[wrong], top[wrong] < threshold.value))]
    shown: list[int] = wrong[:MOST_MISTAKES].tolist()
    mistakes = []
    for row, jpeg in zip(shown, _faces(workspace, catalog, [photo(row) for row in shown]), strict=True):
        answer = None if top[row] < threshold.value else names[held.rival[row]]
        mistakes.append(Mistake(jpeg, names[album.person[row]], answer, float(top[row]), path(row)))
    doubted = np.flatnonzero(mislabelled(rival, held.own))
    doubted = doubted[np.argsort(own[doubted] - rival[doubted], kind="stable")]
    return ReportData(
        album=workspace.folder.name,
        version=trained.version,
        created=trained.created,
        encoder=trained.encoder.id,
        head=trained.head,
        heads=tuple(HeadTried(name, cost, name == trained.head) for name, cost in trained.tried.items()),
        people=trained.people,
        photos=trained.photos,
        left_out=trained.left_out,
        figures=Figures(
            measured.top1,
            measured.top3,
            measured.tpir_at_fpir_1,
            measured.tpir_at_fpir_01,
            measured.tpir,
            measured.fpir,
        ),
        how_measured=CROSS_VALIDATED,
        threshold=threshold.value,
        fpir_asked=threshold.fpir,
        threshold_note=threshold.note,
        reliability=Reliability(
            _number(measured.ece_mated),
            _number(measured.ece_non_mated),
            _bins(
                np.concatenate([measured.probability, measured.unknown]),
                np.concatenate([measured.correct, measured.refused]),
            ),
        ),
        histogram=_histogram(own[mated], rival[masked]),
        roc=tuple(
            (float(fpir), metrics.tpir_at_fpir(own[mated], right[mated], rival[masked], fpir)[0]) for fpir in FPIRS
        )
        if mated.any() and masked.any()
        else (),
        rows=tuple(
            PersonRow(
                name,
                int(mine.sum()),
                Share(int((right & mine).sum()), int((mated & mine).sum())),
                Share(int((named & mine).sum()), int((mated & mine).sum())),
                Share(int((called & masked & mine).sum()), int((masked & mine).sum())),
                int(((album.overall < POOR) & mine).sum()),
            )
            for number, name in enumerate(names)
            for mine in (album.person == number,)
        ),
        minimum_photos=workspace.settings.minimum,
        pairs=_pairs(names, album.person, held.rival, rival, mated & ~right),
        mistakes=tuple(mistakes),
        mistake_count=len(wrong),
        suspects=tuple(
            Suspect(path(row), names[album.person[row]], names[held.rival[row]]) for row in doubted.tolist()
        ),
        changes=_changes(trained, before) if before else None,
    )


def _faces(workspace: Workspace, catalog: Catalog, photos: Sequence[tuple[str, str]]) -> list[bytes]:
    """For each (person, SHA-256) the thumbnail of the person's face; nothing if the photo is not there any more."""

    def cut(_: None, wanted: tuple[str, tuple[str, Face] | None]) -> bytes:
        sha256, own = wanted
        if own is None:
            return b""
        path, face = own
        try:
            picture = read_picture(workspace.photo_file(path))
        except PhotoError:
            return b""
        return thumbnail(picture, face) if picture.photo.sha256 == sha256 else b""

    wanted = [(sha256, _own(catalog, person, sha256)) for person, sha256 in photos]
    return [jpeg for _, jpeg in pool.run(wanted, lambda: None, cut, workspace.settings.workers, in_order=True)]


def _own(catalog: Catalog, person: str, sha256: str) -> tuple[str, Face] | None:
    """Where a photo of the person lies, and the face in it that was chosen."""
    record = catalog.photo(sha256)
    if record is None:
        return None
    faces = {one.id: one.face for seen in record.sightings for one in seen.faces}
    filed = ((at.path, faces[at.chosen_face]) for at in record.filed if at.person == person and at.chosen_face in faces)
    return next(filed, None)


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _bins(probability: NDArray[np.float64], correct: NDArray[np.bool_]) -> tuple[Bin, ...]:
    number = np.minimum((probability * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(float(probability[mine].mean()), Share(int(correct[mine].sum()), int(mine.sum())))
        for one in range(BINS)
        for mine in (number == one,)
        if mine.any()
    )


def _histogram(mated: NDArray[np.float64], non_mated: NDArray[np.float64]) -> Histogram:
    scores = np.concatenate([mated, non_mated])
    if not len(scores):
        return Histogram((0.0, 1.0), (0,), (0,))
    low, high = float(scores.min()), float(scores.max())
    edges = np.linspace(low, max(high, low + 0.01), SLICES + 1)
    counts = [tuple(int(n) for n in np.histogram(some, edges)[0]) for some in (mated, non_mated)]
    return Histogram(tuple(map(float, edges)), counts[0], counts[1])


def _pairs(
    names: tuple[str, ...],
    person: NDArray[np.int64],
    rival: NDArray[np.int64],
    score: NDArray[np.float64],
    wrong: NDArray[np.bool_],
) -> tuple[ConfusedPair, ...]:
    """The pairs of people most often taken for each other."""
    seen: Counter[tuple[int, int]] = Counter()
    total: Counter[tuple[int, int]] = Counter()
    for row in np.flatnonzero(wrong):
        pair = (min(person[row], rival[row]), max(person[row], rival[row]))
        seen[pair] += 1
        total[pair] += score[row]
    ranked = sorted(seen, key=lambda pair: (-seen[pair], pair))
    return tuple(ConfusedPair(names[a], names[b], seen[a, b], float(total[a, b] / seen[a, b])) for a, b in ranked)


def _changes(trained: Trained, before: Card) -> Changes:
    now = {(trained.album.people[p], sha) for p, sha in zip(trained.album.person, trained.album.sha256, strict=True)}
    then = {(person, photo) for person, photos in before.photos.items() for photo in photos}
    people_now, people_then = {person for person, _ in now}, {person for person, _ in then}

    def share(name: str) -> Share:
        return Share(before.counts.get(f"{name}_hits", 0), before.counts.get(f"{name}_of", 0))

    return Changes(
        version=before.run.version,
        figures=Figures(*(share(name) for name in Figures.__dataclass_fields__)),
        people_new=tuple(sorted(people_now - people_then)),
        people_gone=tuple(sorted(people_then - people_now)),
        photos_added=len(now - then),
        photos_removed=len(then - now),
    )
