"""evaluate: a model against photos whose people are known.

Goes in: photos with the names of the people they show, and a recogniser, which is asked as a user asks it. Comes out:
an `Evaluated`. The probe of a photo is one of its faces, chosen by a rule that does not know the name. People whom the
model does not know are strangers. Every photo counts: one in which no face was found, or that cannot be read, is a miss
if its person is enrolled and an unnamed stranger if not.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from mien.errors import PhotoError, UsageError
from mien.learning.figures import SHARES, Share, counted, counted_at_fpir, expected_calibration_error
from mien.open_album import OpenAlbum
from mien.recogniser import Recogniser
from mien.text.words import listed
from mien.types import Box, Face, NamedFace, Photo

Pick = Literal["largest", "centre"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A probe of `person` that was answered wrongly, with `answer` (None: unknown), at the model's own threshold.
    `score` is that of the best candidate, -inf where no face was found."""

    photo: str
    person: str
    answer: str | None
    score: float


@dataclass(frozen=True, slots=True)
class PersonResult:
    """What came of one person's probes: in `first` the right name scored best, in `named` it was given. For a stranger
    `first` counts nothing, and `named` counts the probes that got any name."""

    person: str
    known: bool
    first: Share
    named: Share


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation measured.

    Shares of mated probes: in `top1` and `top3` the right name is the best of all, or among the best three, whatever it
    scores; in `tpir` it is given at the model's own threshold, in `tpir_at_fpir_1` and `_01` at the threshold that
    names 1 % and 0.1 % of these very strangers. `fpir` is the share of the strangers who get a name at the model's own
    threshold. `ece_mated` and `ece_non_mated` are the calibration errors of the answers' probabilities over the probes
    in which a face was found, None where there is none. `no_face` counts the probes without a face, unreadable ones
    among them."""

    model: str
    face: Pick
    threshold: float
    top1: Share
    top3: Share
    tpir_at_fpir_1: Share
    tpir_at_fpir_01: Share
    tpir: Share
    fpir: Share
    ece_mated: float | None
    ece_non_mated: float | None
    no_face: int
    per_person: tuple[PersonResult, ...]
    people: tuple[str, ...]
    strangers: tuple[str, ...]
    mistakes: tuple[Mistake, ...]
    failures: tuple[tuple[str, PhotoError], ...]

    @property
    def ece(self) -> float | None:
        """The mean of both calibration errors, as the prior that a face is known is one half."""
        both = [error for error in (self.ece_mated, self.ece_non_mated) if error is not None]
        return sum(both) / len(both) if both else None

    def to_json(self) -> dict[str, Any]:
        """The report as `mien evaluate --json` prints it; fractions, null where there was nothing to count."""
        shares = {name: getattr(self, name) for name in SHARES}
        if not self.fpir.of:  # no threshold can be swept over nobody: null, not a figure that means something else
            shares |= dict.fromkeys(("tpir_at_fpir_1", "tpir_at_fpir_01"), Share(0, 0))
        return {
            "model": self.model,
            "face": self.face,
            "threshold": self.threshold,
            **{name: share.value for name, share in shares.items()},
            "ece": self.ece,
            "ece_mated": self.ece_mated,
            "ece_non_mated": self.ece_non_mated,
            "intervals": {name: list(share.interval) if share.of else None for name, share in shares.items()},
            "mated": self.top1.of,
            "non_mated": self.fpir.of,
            "no_face": self.no_face,
            "people": len(self.people),
            "strangers": len(self.strangers),
            "stranger_names": list(self.strangers),
            "per_person": [
                {
                    "person": one.person,
                    "known": one.known,
                    "probes": one.named.of,
                    "top1": one.first.value,
                    "named": one.named.value,
                }
                for one in self.per_person
            ],
            "mistakes": [
                asdict(one) | {"score": one.score if math.isfinite(one.score) else None} for one in self.mistakes
            ],
            "unreadable": [{"photo": photo, "kind": error.kind} for photo, error in self.failures],
        }


class _Probe(NamedTuple):
    """What is kept of a probe's answer, so that memory does not grow with the people."""

    best: float
    """The best score; -inf where no face was found."""
    named: str | None
    """The name given, None for unknown."""
    rank: float
    """The place of the probe's own person among all, after those who score the same; infinity for a stranger and where
    no face was found."""
    probability: float
    """How sure the answer is; nan where no face was found."""


def evaluate(
    album: OpenAlbum, recogniser: Recogniser, probes: Sequence[tuple[Path, str]], face: Pick = "largest"
) -> Evaluated:
    """Measures the recogniser's model on (photo, person) `probes`; `face` is the rule that chooses a face of a photo.
    Names are compared as they are, so give both in NFC. Raises UsageError for an unknown rule."""
    if face not in get_args(Pick):
        raise UsageError(face, "is no way to choose a face", f"Choose {listed(get_args(Pick), 'or')}.")
    model = recogniser.model
    known = frozenset(model.people)
    failures: list[tuple[str, PhotoError]] = []
    answered: list[_Probe] = []
    missed = 0

    progress = album.progress
    progress.start("Evaluating", len(probes))
    with closing(recogniser.answers((path for path, _ in probes), top=len(model.people))) as answers:
        for (path, person), answer in zip(probes, answers, strict=True):
            progress.advance()
            if answer.error:
                failures.append((str(path), answer.error))
                progress.note(str(answer.error))
            chosen = pick_face(answer.photo, answer.faces, face) if answer.photo else None
            missed += chosen is None
            answered.append(_probe(chosen, person))
    progress.finish()

    number = {person: place for place, person in enumerate(sorted({person for _, person in probes}))}
    whose = np.array([number[person] for _, person in probes], np.int64)
    mated = np.array([person in known for _, person in probes], bool)
    best = np.array([probe.best for probe in answered], np.float64)
    rank = np.array([probe.rank for probe in answered], np.float64)
    right, named = mated & (rank == 1), np.array([probe.named is not None for probe in answered], bool)

    def of_mated(hits: NDArray[np.bool_]) -> Share:
        return counted(hits[mated], whose[mated])

    def at_fpir(fpir: float) -> Share:
        return counted_at_fpir(best[mated], right[mated], whose[mated], best[~mated], whose[~mated], fpir)

    sure = np.array([probe.probability for probe in answered], np.float64)
    correct = np.where(mated, right & named, ~named)

    def calibration_error(of: NDArray[np.bool_]) -> float | None:
        asked = of & np.isfinite(sure)
        return expected_calibration_error(sure[asked], correct[asked]) if asked.any() else None

    return Evaluated(
        model=model.version,
        face=face,
        threshold=model.threshold.value,
        top1=of_mated(right),
        top3=of_mated(rank <= 3),
        tpir_at_fpir_1=at_fpir(0.01),
        tpir_at_fpir_01=at_fpir(0.001),
        tpir=of_mated(right & named),
        fpir=counted(named[~mated], whose[~mated]),
        ece_mated=calibration_error(mated),
        ece_non_mated=calibration_error(~mated),
        no_face=missed,
        per_person=_per_person([person for _, person in probes], known, right, named),
        people=tuple(sorted({person for _, person in probes if person in known})),
        strangers=tuple(sorted({person for _, person in probes if person not in known})),
        mistakes=tuple(
            Mistake(str(path), person, probe.named, probe.best)
            for (path, person), probe in zip(probes, answered, strict=True)
            if probe.named != (person if person in known else None)
        ),
        failures=tuple(failures),
    )


def _per_person(
    persons: Sequence[str], enrolled: Container[str], right: NDArray[np.bool_], named: NDArray[np.bool_]
) -> tuple[PersonResult, ...]:
    """A result for each person among the probes, in the order of their names. Of each probe there are its person,
    whether the right name came first, and whether a name was given."""
    rows: dict[str, list[int]] = {}
    for row, person in enumerate(persons):
        rows.setdefault(person, []).append(row)
    results = []
    for person in sorted(rows):
        mine, known = np.array(rows[person]), person in enrolled
        first = Share(int(right[mine].sum()), len(mine)) if known else Share(0, 0)
        given = right[mine] & named[mine] if known else named[mine]
        results.append(PersonResult(person, known, first, Share(int(given.sum()), len(mine))))
    return tuple(results)


def _probe(face: NamedFace | None, person: str) -> _Probe:
    """What is kept of a probe of `person`: of the answer for its face, which ranks everybody; None if none was
    found."""
    if face is None:
        return _Probe(-math.inf, None, math.inf, math.nan)
    answer = face.prediction
    own = next((one.score for one in answer.candidates if one.person == person), math.inf)
    rank = sum(one.score >= own for one in answer.candidates) or math.inf
    return _Probe(answer.score, answer.person, rank, answer.probability)


class _WithFace(Protocol):
    @property
    def face(self) -> Face: ...


Located = TypeVar("Located", bound=_WithFace)


def pick_face(photo: Photo, faces: Sequence[Located], face: Pick) -> Located | None:
    """The probe of a photo, chosen without its label: the largest of its faces, or the one nearest to the middle; None
    where there is none."""
    if not faces:
        return None
    if face == "largest":
        return max(faces, key=lambda one: _area(one.face.box))
    middle = (photo.width - 1) / 2, (photo.height - 1) / 2

    def distance(one: Located) -> float:
        x0, y0, x1, y1 = one.face.box
        return float(np.hypot((x0 + x1) / 2 - middle[0], (y0 + y1) / 2 - middle[1]))

    return min(faces, key=distance)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
