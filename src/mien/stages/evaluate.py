"""evaluate: a model against photos whose people are known.

Goes in: a folder of <person>/ photos and a model. Comes out: an `Evaluated`. The probe of a photo is chosen by a rule
that does not look at its label. Folders of people the model does not know are strangers. No photo is left out: one in
which no face was found, or that cannot be read, is a miss if its person is enrolled and an unnamed stranger if not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mien import metrics
from mien import workers as pool
from mien.errors import PhotoError
from mien.eyes import Eyes
from mien.protocols import Progress
from mien.registry import Model
from mien.types import Floats, SeenFace, SeenPhoto

Pick = Literal["largest", "centre"]


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`, as a fraction with its 95 % Wilson interval; `value` is None where there was nothing to count."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        return metrics.wilson(self.hits, self.of)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A probe that was answered wrongly at the model's own threshold: named as `answer` (None: unknown)."""

    photo: str
    person: str
    answer: str | None
    score: float


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation measured. Shares of mated probes: `top1`, `top3` whatever the score; `tpir` at the model's own
    threshold; `tpir_at_fpir_1` and `_01` at the threshold that lets 1 % and 0.1 % of these very strangers through.
    `fpir` is the share of the strangers that the model's own threshold named."""

    model: str
    face: Pick
    threshold: float
    top1: Share
    top3: Share
    tpir_at_fpir_1: Share
    tpir_at_fpir_01: Share
    tpir: Share
    fpir: Share
    no_face: int
    people: tuple[str, ...]
    strangers: tuple[str, ...]
    mistakes: tuple[Mistake, ...]
    failures: tuple[tuple[str, PhotoError], ...]

    def to_json(self) -> dict[str, Any]:
        """The report as `mien evaluate --json` prints it; fractions, null where there was nothing to count."""
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
            "mated": self.top1.of,
            "non_mated": self.fpir.of,
            "no_face": self.no_face,
            "people": len(self.people),
            "strangers": len(self.strangers),
            "stranger_names": list(self.strangers),
            "unreadable": [{"photo": photo, "kind": error.kind} for photo, error in self.failures],
        }


def evaluate(
    probes: Sequence[tuple[Path, str]],
    model: Model,
    make_eyes: Callable[[], Eyes],
    face: Pick,
    workers: int,
    progress: Progress,
) -> Evaluated:
    """Measures `model` on (photo, person) `probes`; names are compared as they are, so give both in NFC."""
    column = {person: number for number, person in enumerate(model.people)}
    blank: Floats = np.full(len(model.people), -np.inf, np.float32)

    def look(eyes: Eyes, probe: tuple[Path, str]) -> SeenPhoto | PhotoError:
        return eyes.look_at(probe[0])

    scores: list[Floats] = []
    failures: list[tuple[str, PhotoError]] = []
    missed = 0
    progress.start("Evaluating", len(probes))
    for (path, _), seen in pool.run(probes, make_eyes, look, workers, in_order=True):
        progress.advance()
        if isinstance(seen, PhotoError):
            failures.append((str(path), seen))
            progress.note(str(seen))
        chosen = pick_face(seen, face) if isinstance(seen, SeenPhoto) else None
        missed += chosen is None
        scores.append(blank if chosen is None else model.head.scores(chosen.embedding.vector[None])[0])
    progress.finish()

    table = np.stack(scores) if scores else np.empty((0, len(model.people)), np.float32)
    truth = np.array([column.get(person, -1) for _, person in probes], np.intp)
    mated, best = truth >= 0, table.max(axis=1, initial=-np.inf).astype(np.float64)
    first = table.argmax(axis=1) if len(model.people) else truth
    right = mated & (first == truth) & np.isfinite(best)
    strangers = Counter(person for _, person in probes if person not in column)

    def reached(threshold: float) -> Share:
        return Share(int(np.sum(right & (best >= threshold))), int(mated.sum()))

    threshold = model.threshold.value
    named = best >= threshold
    return Evaluated(
        model=model.version,
        face=face,
        threshold=threshold,
        top1=_within(table[mated], truth[mated], 1),
        top3=_within(table[mated], truth[mated], 3),
        tpir_at_fpir_1=reached(metrics.threshold_at_fpir(best[~mated], 0.01)),
        tpir_at_fpir_01=reached(metrics.threshold_at_fpir(best[~mated], 0.001)),
        tpir=reached(threshold),
        fpir=Share(int(np.sum(named & ~mated)), int(np.sum(~mated))),
        no_face=missed,
        people=tuple(sorted({person for _, person in probes if person in column})),
        strangers=tuple(sorted(strangers)),
        mistakes=tuple(
            Mistake(str(path), person, model.people[first[i]] if named[i] else None, float(best[i]))
            for i, (path, person) in enumerate(probes)
            if (mated[i] and not (right[i] and named[i])) or (not mated[i] and named[i])
        ),
        failures=tuple(failures),
    )


def _within(table: Floats, truth: np.ndarray[tuple[int], np.dtype[np.intp]], k: int) -> Share:
    share = metrics.top_k(table, truth, k)
    return Share(round(share * len(truth)) if len(truth) else 0, len(truth))


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
