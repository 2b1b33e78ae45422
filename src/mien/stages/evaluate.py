"""evaluate: a model against photos whose people are known.

Goes in: a folder of <person>/ photos and a model. Comes out: an `Evaluated`. The probe of a photo is chosen by a rule
that does not look at its label. Folders of people the model does not know are strangers. No photo is left out: one in
which no face was found, or that cannot be read, is a miss if its person is enrolled and an unnamed stranger if not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from mien.engines import threads as pool
from mien.errors import PhotoError, UsageError
from mien.learning import figures as metrics
from mien.learning.figures import SHARES, Share
from mien.learning.openset import identify
from mien.protocols import Progress
from mien.registry import Model
from mien.seeing.eyes import Eyes
from mien.types import Floats, SeenFace, SeenPhoto

Pick = Literal["largest", "centre"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A probe that was answered wrongly at the model's own threshold: named as `answer` (None: unknown)."""

    photo: str
    person: str
    answer: str | None
    score: float


@dataclass(frozen=True, slots=True)
class PersonResult:
    """One person's probes: how many, of these the right name first and the right name given; for a stranger `first` is
    empty and `named` counts those who got any name."""

    person: str
    known: bool
    first: Share
    named: Share


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation measured. Shares of mated probes: `top1`, `top3` whatever the score; `tpir` at the model's own
    threshold; `tpir_at_fpir_1` and `_01` at the threshold that lets 1 % and 0.1 % of these very strangers through.
    `fpir` is the share of the strangers that the model's own threshold named. `ece_mated` and `ece_non_mated` are the
    calibration errors of the answers' probabilities where a face was found, None where there is none."""

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
        return {
            "model": self.model,
            "face": self.face,
            "threshold": self.threshold,
            "top1": self.top1.value,
            "top3": self.top3.value,
            # Without strangers no threshold can be swept over them: null, not a figure that means something else.
            "tpir_at_fpir_1": self.tpir_at_fpir_1.value if self.fpir.of else None,
            "tpir_at_fpir_01": self.tpir_at_fpir_01.value if self.fpir.of else None,
            "tpir": self.tpir.value,
            "fpir": self.fpir.value,
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
    """How a probe was answered: its best score, whose (a column), at which place its own person came, those who score
    the same before it, and the answer's probability; -inf, -1, infinity and nan where there is nothing to say."""

    best: float
    first: int
    rank: float
    probability: float


def evaluate(
    probes: Sequence[tuple[Path, str]],
    model: Model,
    make_eyes: Callable[[], Eyes],
    face: Pick,
    workers: int,
    progress: Progress,
) -> Evaluated:
    """Measures `model` on (photo, person) `probes`; names are compared as they are, so give both in NFC. Raises
    UsageError for another rule of choosing a face."""
    if face not in get_args(Pick):
        raise UsageError(f"{face} is no way to choose a face.", f"Choose {' or '.join(get_args(Pick))}.")
    column = {person: number for number, person in enumerate(model.people)}
    failures: list[tuple[str, PhotoError]] = []
    answered: list[_Probe] = []
    missed = 0

    def look(eyes: Eyes, probe: tuple[Path, str]) -> SeenPhoto | PhotoError:
        return eyes.look_at(probe[0])

    progress.start("Evaluating", len(probes))
    for (path, person), seen in pool.run(probes, make_eyes, look, workers, in_order=True):
        progress.advance()
        if isinstance(seen, PhotoError):
            failures.append((str(path), seen))
            progress.note(str(seen))
        chosen = pick_face(seen, face) if isinstance(seen, SeenPhoto) else None
        missed += chosen is None
        scores = model.head.scores(chosen.embedding.vector[None])[0] if chosen else None
        answered.append(_probe(model, scores, column.get(person)))
    progress.finish()

    mated = np.array([person in column for _, person in probes], bool)
    best = np.array([probe.best for probe in answered], np.float64)
    rank = np.array([probe.rank for probe in answered], np.float64)
    right, named = mated & (rank == 1), best >= model.threshold.value

    def of_mated(hits: NDArray[np.bool_]) -> Share:
        return Share(int(hits[mated].sum()), int(mated.sum()))

    def at_fpir(fpir: float) -> Share:
        return of_mated(right & (best >= metrics.threshold_at_fpir(best[~mated], fpir)))

    sure = np.array([probe.probability for probe in answered], np.float64)
    correct = np.where(mated, right & named, ~named)

    def calibration_error(of: NDArray[np.bool_]) -> float | None:
        asked = of & np.isfinite(sure)
        return metrics.expected_calibration_error(sure[asked], correct[asked]) if asked.any() else None

    answers = [model.people[one.first] if is_named else None for one, is_named in zip(answered, named, strict=True)]
    return Evaluated(
        model=model.version,
        face=face,
        threshold=model.threshold.value,
        top1=of_mated(right),
        top3=of_mated(rank <= 3),
        tpir_at_fpir_1=at_fpir(0.01),
        tpir_at_fpir_01=at_fpir(0.001),
        tpir=of_mated(right & named),
        fpir=Share(int(named[~mated].sum()), int((~mated).sum())),
        ece_mated=calibration_error(mated),
        ece_non_mated=calibration_error(~mated),
        no_face=missed,
        per_person=_per_person([person for _, person in probes], column, right, named),
        people=tuple(sorted({person for _, person in probes if person in column})),
        strangers=tuple(sorted({person for _, person in probes if person not in column})),
        mistakes=tuple(
            Mistake(str(path), person, answer, probe.best)
            for (path, person), answer, probe in zip(probes, answers, answered, strict=True)
            if answer != (person if person in column else None)
        ),
        failures=tuple(failures),
    )


def _per_person(
    persons: Sequence[str], column: Mapping[str, int], right: NDArray[np.bool_], named: NDArray[np.bool_]
) -> tuple[PersonResult, ...]:
    """A result for each person among the probes, by name."""
    rows: dict[str, list[int]] = {}
    for row, person in enumerate(persons):
        rows.setdefault(person, []).append(row)
    results = []
    for person in sorted(rows):
        mine, known = np.array(rows[person]), person in column
        first = Share(int(right[mine].sum()), len(mine)) if known else Share(0, 0)
        given = right[mine] & named[mine] if known else named[mine]
        results.append(PersonResult(person, known, first, Share(int(given.sum()), len(mine))))
    return tuple(results)


def _probe(model: Model, scores: Floats | None, truth: int | None) -> _Probe:
    """What is kept of a probe's `scores` (P,), so that memory does not grow with the people; None if no face was found.
    `truth` is the column of its person."""
    if scores is None:
        return _Probe(-math.inf, -1, math.inf, math.nan)
    rank = math.inf if truth is None else int(np.sum(scores >= scores[truth]))
    (answer,) = identify(scores[None], model.people, model.threshold, model.calibration, 1)
    return _Probe(float(scores.max()), int(scores.argmax()), rank, answer.probability)


def pick_face(seen: SeenPhoto, face: Pick) -> SeenFace | None:
    """The probe of a photo, without looking at its label: the largest face, or the one nearest the middle."""
    if not seen.faces:
        return None
    if face == "largest":
        return max(seen.faces, key=lambda one: _area(one.face.box))
    middle = (seen.photo.width - 1) / 2, (seen.photo.height - 1) / 2

    def distance(one: SeenFace) -> float:
        x0, y0, x1, y1 = one.face.box
        return float(np.hypot((x0 + x1) / 2 - middle[0], (y0 + y1) / 2 - middle[1]))

    return min(seen.faces, key=distance)


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
