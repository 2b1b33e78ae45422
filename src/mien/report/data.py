"""What the page about a model shows, and nothing else: frozen values.

Shares and probabilities are fractions in 0..1, scores are cosines; photos are named by their path below
training-images. Names and paths may hold anything that a file system allows: the page makes them harmless.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mien.learning.figures import Share
from mien.registry.card import FalseAlarms
from mien.types import Finding


@dataclass(frozen=True, slots=True)
class Figures:
    """How good a model is, in six shares. `tpir` and `fpir` are at the model's own threshold, `tpir_at_fpir_1` and
    `_01` at the thresholds that let 1 % and 0.1 % of the measured strangers through. `fpir` is of strangers, the others
    are of mated probes."""

    top1: Share
    top3: Share
    tpir_at_fpir_1: Share
    tpir_at_fpir_01: Share
    tpir: Share
    fpir: Share


@dataclass(frozen=True, slots=True)
class HeadTried:
    """A head that training compared, by its cross-validated loss (lower is better)."""

    name: str
    loss: float
    chosen: bool


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same probability: its mean, and how many of them were right."""

    probability: float
    right: Share


@dataclass(frozen=True, slots=True)
class Reliability:
    """Whether probabilities can be believed: the calibration error (None: nothing to count) on mated and on non-mated
    probes, and the curve of both."""

    ece_mated: float | None
    ece_non_mated: float | None
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Best scores, counted between N + 1 rising `edges`: N counts of mated and of non-mated probes."""

    edges: tuple[float, ...]
    mated: tuple[int, ...]
    non_mated: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PersonRow:
    """How one person fares. `first` and `named` are of this person's probes: the right name at rank 1, and above the
    threshold too; `masked` is of this person's faces with the name masked: those that got somebody else's name.
    `low_quality` counts photos whose face is too poor to be trusted."""

    person: str
    photos: int
    first: Share
    named: Share
    masked: Share
    low_quality: int


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """`count` faces of one of two people that scored highest for the other, `mean_score` on average. `a_photo` and
    `b_photo` are a photo of each, where there is one the face that is most like the other's; "" for none."""

    a: str
    b: str
    count: int
    mean_score: float
    a_photo: str = ""
    b_photo: str = ""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A face of `person` answered as `answer` (None: unknown). `jpeg` as `mien.vision.thumbnail` makes it, empty
    where the photo is gone; `score` is the best candidate's."""

    jpeg: bytes
    person: str
    answer: str | None
    score: float
    photo: str


@dataclass(frozen=True, slots=True)
class Guessed:
    """A photo in which it was guessed that the face at `place` (in words) is that of `person`, and how many `others` of
    the person there are likewise."""

    photo: str
    person: str
    place: str
    others: int


@dataclass(frozen=True, slots=True)
class Changes:
    """The last model, `version`, its figures, and how the album differs from the one that it was made of. People who
    left are only counted: whoever wants to be forgotten stands in no page of a later model."""

    version: str
    figures: Figures
    people_new: tuple[str, ...]
    people_left: int
    photos_added: int
    photos_removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """A model and how good it is.

    `left_out` are those of the `photos` that were not learned from, as they are unlike their person's others.
    `fpir_asked` is the FPIR that the threshold was chosen for, `threshold_note` says how. `roc` holds (FPIR, TPIR) by
    rising FPIR. `rows` has everybody, in any order; whoever has fewer than `minimum_photos` is listed again. `mistakes`
    need hold no more than the page shows, the surest mistake first; `mistake_count` is how many there were. `guesses`
    has a line a person, and `needs` is what else nobody but a human can put right, as `mien check` says it.
    `false_alarms` has everybody whose name a stranger would get, worst first, and `bystanders` is how many faces in the
    photos are nobody's own. `changes` is None for an album's first model. `portraits` has a photo in which somebody is
    seen well, by person, and `faces` the JPEGs of the faces in photos that the page names, as `mien.vision.thumbnail`
    makes them, by photo; both have as many as are worth showing.
    """

    album: str
    version: str
    created: datetime
    encoder: str
    head: str
    heads: tuple[HeadTried, ...]
    people: int
    photos: int
    left_out: tuple[str, ...]
    figures: Figures
    threshold: float
    fpir_asked: float
    threshold_note: str
    reliability: Reliability
    histogram: Histogram
    roc: tuple[tuple[float, float], ...]
    rows: tuple[PersonRow, ...]
    minimum_photos: int
    pairs: tuple[ConfusedPair, ...]
    false_alarms: tuple[tuple[str, FalseAlarms], ...]
    bystanders: int
    mistakes: tuple[Mistake, ...]
    mistake_count: int
    guesses: tuple[Guessed, ...]
    needs: tuple[Finding, ...]
    changes: Changes | None
    portraits: Mapping[str, str] = field(default_factory=dict)
    faces: Mapping[str, bytes] = field(default_factory=dict)


def difference(before: Share, after: Share) -> tuple[float, float, float] | None:
    """How far a share moved, and the 95 % interval of that: (after - before, low, high); None if either is empty.

    Newcombe (1998), method 10, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I: the intervals of
    the two shares combined, there Wilson's and here those of `Share`. It takes the two samples for independent; two
    trainings share most photos, which makes the interval wider than it need be.
    """
    if before.value is None or after.value is None:
        return None
    moved = after.value - before.value
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return moved, moved - down, moved + up
