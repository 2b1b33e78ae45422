"""The page about a model that was trained: its held-out scores and its figures become what the page shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.engines import threads
from mien.errors import PhotoError
from mien.learning.figures import BINS, Share, counted, tpir_at_fpir
from mien.open_album import OpenAlbum
from mien.records.faces import Guess
from mien.registry.card import Card, worst_first
from mien.report.data import (
    Bin,
    Changes,
    ConfusedPair,
    Figures,
    Guessed,
    HeadTried,
    Histogram,
    Mistake,
    PersonRow,
    Reliability,
    ReportData,
)
from mien.report.page import FACES_EACH, FIGURES, MOST_FACES, MOST_MISTAKES, MOST_PAIRS, MOST_SHOWN, TABLED, render
from mien.stages.train import Trained
from mien.storage.layout import TRAINING, shown
from mien.text.findings import OF_NAMES, place_of
from mien.types import Finding
from mien.vision.quality import POOR
from mien.vision.thumbnail import thumbnail

FPIRS = np.unique([*TABLED, 1.0, *np.geomspace(0.001, 1, 40)])
"""Where the curve of TPIR against FPIR is drawn: at the shares of its table, and between."""

SLICES = 40
"""Of the histogram of scores."""

Bools = NDArray[np.bool_]
Scores = NDArray[np.float64]


def make_page(
    album: OpenAlbum, trained: Trained, needs: tuple[Finding, ...], before: Card | None, version: str
) -> bytes:
    """The page about a model that will be `version`, as UTF-8; `needs` is what in the album needs a human, `before` the
    card of the model in use until now."""
    return render(report_data(album, trained, needs, before, version)).encode()


def report_data(
    album: OpenAlbum, trained: Trained, needs: tuple[Finding, ...], before: Card | None, version: str
) -> ReportData:
    """Everything that the page shows. The faces on it are cut from the photos of the album."""
    faces, held, measured, threshold = trained.faces, trained.held, trained.measured, trained.threshold
    names, places = faces.people, album.catalog.files.places(TRAINING)
    # Of each face: its score for its own person (-inf: the person has no other), the best for anybody else (-inf: there
    # is nobody else), whether it can be asked about as itself and masked, and whether the answers are right and wrong.
    own, rival = np.nan_to_num(held.own.astype(np.float64), nan=-np.inf), held.best_rival
    mated, masked, right = held.mated, np.isfinite(rival), held.right
    named, misnamed = right & (own >= threshold.value), masked & (rival >= threshold.value)

    def photo(row: int) -> tuple[str, str]:
        return names[faces.person[row]], faces.sha256[row]

    def path(row: int) -> str:
        return shown(places.get(photo(row), faces.sha256[row][:12]))

    def of_each(some: Bools) -> list[int]:
        found: list[int] = np.bincount(faces.person[some], minlength=len(names)).tolist()
        return found

    counts = map(of_each, (np.ones(len(own), bool), right, named, mated, misnamed, masked, faces.overall < POOR))
    rows = tuple(
        PersonRow(
            person,
            photos=photos,
            first=Share(first, asked),
            named=Share(called, asked),
            masked=Share(taken, strange),
            low_quality=poor,
        )
        for person, photos, first, called, asked, taken, strange, poor in zip(names, *counts, strict=True)
    )
    portraits = {person: path(row) for person, row in _portraits(names, faces.person, own).items()}
    pairs = _pairs(names, faces.person, held.rival, rival, mated & ~right, portraits, path)
    # Wrong names first, then people who were not recognised, each from the surest mistake on.
    top = np.maximum(own, rival)
    wrong = np.flatnonzero(mated & ~named)
    wrong = wrong[np.lexsort((-top[wrong], top[wrong] < threshold.value))]
    examples: list[int] = wrong[:MOST_MISTAKES].tolist()
    mistakes = []
    for row, jpeg in zip(examples, _faces(album, [photo(row) for row in examples]), strict=True):
        answer = None if top[row] < threshold.value else names[held.rival[row]]
        mistakes.append(Mistake(jpeg, names[faces.person[row]], answer, float(top[row]), path(row)))
    return ReportData(
        album=album.folder.name,
        version=version,
        created=trained.draft.created,
        encoder=trained.draft.encoder.id,
        head=trained.head,
        heads=tuple(HeadTried(name, cost, name == trained.head) for name, cost in trained.tried.items()),
        people=trained.people,
        photos=trained.photos,
        left_out=trained.left_out,
        figures=Figures(*(getattr(measured, name) for name in FIGURES)),
        threshold=threshold.value,
        fpir_asked=threshold.fpir,
        threshold_note=trained.note,
        reliability=Reliability(
            _number(measured.ece_mated),
            _number(measured.ece_non_mated),
            _bins(
                np.concatenate([measured.probability, measured.unknown]),
                np.concatenate([measured.correct, measured.refused]),
                np.concatenate([faces.person[mated], faces.person[masked]]),
            ),
        ),
        histogram=_histogram(own[mated], rival[masked]),
        roc=_curve(own[mated], right[mated], rival[masked]),
        rows=rows,
        minimum_photos=album.settings.minimum,
        false_alarms=worst_first(trained.draft.false_alarms),
        bystanders=trained.bystanders,
        pairs=pairs,
        mistakes=tuple(mistakes),
        mistake_count=len(wrong),
        guesses=tuple(map(_guessed, album.catalog.faces.guesses(album.encoder))),
        needs=needs,
        changes=_changes(trained, before) if before else None,
        portraits=portraits,
        faces=_pictures(album, needs, pairs, portraits),
    )


def _pictures(
    album: OpenAlbum, needs: Sequence[Finding], pairs: Sequence[ConfusedPair], portraits: Mapping[str, str]
) -> dict[str, bytes]:
    """The faces that the page shows beside what may lie under a wrong name, and beside pairs, by photo."""
    doubts: dict[str, None] = {}
    for finding in [one for one in needs if one.kind in OF_NAMES][:MOST_SHOWN]:
        doubts |= dict.fromkeys(finding.photos[:FACES_EACH])
        doubts |= dict.fromkeys(portraits[person] for person in finding.people[:2] if person in portraits)
    mixed = dict.fromkeys(photo for pair in pairs[:MOST_PAIRS] for photo in (pair.a_photo, pair.b_photo) if photo)
    wanted = {*[*doubts][:MOST_FACES], *[*mixed][:MOST_FACES]}
    files = [file for file in album.catalog.files.on([TRAINING]) if shown(file.path) in wanted]
    jpegs = _faces(album, [(file.person, file.sha256) for file in files])
    return {shown(file.path): jpeg for file, jpeg in zip(files, jpegs, strict=True) if jpeg}


def _portraits(names: tuple[str, ...], person: NDArray[np.int64], own: Scores) -> dict[str, int]:
    """The row of the face by which each person is known best: that with the highest score for them."""
    best = {number: int(row) for row in np.argsort(own) for number in (int(person[row]),)}
    return {names[number]: row for number, row in best.items()}


def _faces(album: OpenAlbum, photos: Sequence[tuple[str, str]]) -> list[bytes]:
    """For each (person, SHA-256) the thumbnail of the person's face, b"" if the photo is not there any more."""
    own = album.catalog.faces.own_faces(photos, album.encoder)

    def cut(_: None, photo: tuple[str, str]) -> bytes:
        if photo not in own:
            return b""
        path, face = own[photo]
        try:
            picture = album.layout.photos.picture(album.layout.file(path))
        except PhotoError:
            return b""
        return thumbnail(picture, face) if picture.photo.sha256 == photo[1] else b""

    return [jpeg for _, jpeg in threads.run(photos, lambda: None, cut, album.settings.workers, in_order=True)]


def _guessed(guess: Guess) -> Guessed:
    first = guess.photos[0]
    place = f"{place_of(first.number, first.faces)} of {first.faces}"
    return Guessed(shown(first.path), guess.person, place, len(guess.photos) - 1)


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _bins(probability: Scores, correct: Bools, person: NDArray[np.int64]) -> tuple[Bin, ...]:
    """Answers, each to a face of a person, by their probability, in `BINS` equal slices; a slice without an answer is
    left out."""
    number = np.minimum((probability * BINS).astype(int), BINS - 1)
    slices = (number == one for one in np.unique(number))
    return tuple(Bin(float(probability[mine].mean()), counted(correct[mine], person[mine])) for mine in slices)


def _curve(own: Scores, right: Bools, non_mated: Scores) -> tuple[tuple[float, float], ...]:
    """(FPIR, TPIR) at `FPIRS`, from the scores of mated probes, whether the right person came first for them, and the
    best scores of non-mated ones."""
    if not len(own) or not len(non_mated):
        return ()
    return tuple((float(fpir), tpir_at_fpir(own, right, non_mated, fpir)[0]) for fpir in FPIRS)


def _histogram(mated: Scores, non_mated: Scores) -> Histogram:
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
    score: Scores,
    wrong: Bools,
    portraits: Mapping[str, str],
    path: Callable[[int], str],
) -> tuple[ConfusedPair, ...]:
    """The pairs of people who were taken for each other, most often first."""
    seen: Counter[tuple[int, int]] = Counter()
    total: Counter[tuple[int, int]] = Counter()
    likest: dict[tuple[int, int], int] = {}  # of somebody's faces that most like another person
    for row in map(int, np.flatnonzero(wrong)):
        pair = (min(person[row], rival[row]), max(person[row], rival[row]))
        seen[pair] += 1
        total[pair] += score[row]
        one = (int(person[row]), int(rival[row]))
        likest[one] = max(likest.get(one, row), row, key=score.__getitem__)

    def photo(one: int, other: int) -> str:
        return path(likest[one, other]) if (one, other) in likest else portraits.get(names[one], "")

    ranked = sorted(seen, key=lambda pair: (-seen[pair], pair))
    return tuple(
        ConfusedPair(names[a], names[b], seen[a, b], float(total[a, b] / seen[a, b]), photo(a, b), photo(b, a))
        for a, b in ranked
    )


def _changes(trained: Trained, before: Card) -> Changes:
    faces = trained.faces
    now = {(faces.people[person], photo) for person, photo in zip(faces.person, faces.sha256, strict=True)}
    then = {(person, photo) for person, photos in before.photos.items() for photo in photos}
    people_now, people_then = {person for person, _ in now}, {person for person, _ in then}
    return Changes(
        version=before.run.version,
        figures=Figures(*(before.share(name) for name in FIGURES)),
        people_new=tuple(sorted(people_now - people_then)),
        people_left=len(people_then - people_now),
        photos_added=len(now - then),
        photos_removed=len(then - now),
    )
