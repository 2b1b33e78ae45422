"""compare encoders: what encoders are worth on an album's own photos.

Goes in: the album as each encoder sees it, and what training made of that. Comes out: a `ComparedEncoders`, a row an
encoder and a sentence that recommends. Every figure is cross-validated: each photo is asked about by a head that was
fitted without it. Nothing is written.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.learning.crossval import HeldOut
from mien.learning.figures import ModelFigures, threshold_at_fpir
from mien.records.faces import TrainingSet
from mien.seeing.eyes import Eyes
from mien.text.encoders import EncoderKind
from mien.text.words import Figure
from mien.types import EncoderChoice, Finding

FPIR = 0.01
"""Share of the masked faces that may get a name where two encoders' photos are compared one by one."""

ALPHA = 0.05
"""A difference counts if it is less likely than this between encoders that are equally good."""

FEWEST, FEWEST_PEOPLE = 20, 3
"""Photos and people below which nothing is recommended."""

ROUNDS = 9


@dataclass(frozen=True, slots=True, eq=False)
class SeenBy:
    """An album as one encoder sees it: the faces, held-out scores of the head that training chose (`head`) and what
    they come to, and the size of the encoder's network in bytes."""

    choice: EncoderChoice
    eyes: Eyes
    size: int
    faces: TrainingSet
    head: str
    held: HeldOut
    measured: ModelFigures


@dataclass(frozen=True, slots=True, eq=False)
class EncoderRow:
    """An encoder in numbers. `milliseconds` is the CPU time of the network alone for one face, all views, on this
    machine; `size` the bytes of its network."""

    name: str
    precision: str
    views: int
    dimensions: int
    size: int
    milliseconds: float
    head: str
    photos: int
    measured: ModelFigures

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        names = ("name", "precision", "views", "dimensions", "size", "milliseconds", "head", "photos")
        return {name: getattr(self, name) for name in names} | {"measured": self.measured.figures()}


@dataclass(frozen=True, slots=True, eq=False)
class ComparedEncoders:
    """A row for each encoder, that of the album first, and what is to be said of each of the others."""

    rows: tuple[EncoderRow, ...]
    said: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"encoders": [row.to_json() for row in self.rows], "said": [one.to_json() for one in self.said]}


def compare_encoders(seen: Sequence[SeenBy]) -> ComparedEncoders:
    """Compares the first, which is the album's, with each of the others."""
    rows = tuple(_row(one) for one in seen)
    said = tuple(_say(seen[0], other, rows[0], row) for other, row in zip(seen[1:], rows[1:], strict=True))
    return ComparedEncoders(rows, said)


def _row(one: SeenBy) -> EncoderRow:
    return EncoderRow(
        name=one.choice.name,
        precision=one.choice.precision,
        views=one.eyes.views,
        dimensions=one.eyes.encoder.dimensions,
        size=one.size,
        milliseconds=milliseconds(one.eyes),
        head=one.head,
        photos=len(one.faces.sha256),
        measured=one.measured,
    )


def milliseconds(eyes: Eyes) -> float:
    """CPU milliseconds that the encoder takes for a face: the median of some rounds, after one to warm up."""
    size = eyes.encoder.size
    chips = np.random.default_rng(0).integers(0, 256, (eyes.views, size, size, 3), np.uint8)
    spent = []
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        eyes.encoder.encode(chips)
        spent.append(1000 * (time.process_time() - started))
    return float(np.median(spent[1:]))


def _say(current: SeenBy, other: SeenBy, before: EncoderRow, after: EncoderRow) -> Finding:
    """Compares two encoders photo by photo, where both have seen the face: McNemar's test in its exact form, by which
    only photos count that one of them alone gets right (Q. McNemar, Psychometrika 12, 1947)."""
    old, new = _right(current), _right(other)
    common = sorted(old.keys() & new.keys())
    won = sum(new[one] and not old[one] for one in common)
    lost = sum(old[one] and not new[one] for one in common)
    p = mcnemar(won, lost)
    figures: dict[str, Figure] = {
        "name": _called(other),
        "current": _called(current),
        "won": won,
        "lost": lost,
        "of": len(common),
        "people": len(current.faces.people),
        "p": p,
        "part": after.milliseconds / before.milliseconds if before.milliseconds else 1.0,
    }
    if len(common) < FEWEST or len(current.faces.people) < FEWEST_PEOPLE:
        kind = EncoderKind.TOO_FEW
    elif p <= ALPHA:
        kind = EncoderKind.BETTER if won > lost else EncoderKind.WORSE
    else:
        kind = EncoderKind.FASTER if after.milliseconds < 0.8 * before.milliseconds else EncoderKind.EVEN
    return Finding(kind, figures=figures)


def _called(one: SeenBy) -> str:
    return one.choice.name if one.choice.precision == "fp32" else f"{one.choice.name} {one.choice.precision}"


def _right(one: SeenBy) -> dict[tuple[str, str], bool]:
    """For each (person, photo) that can be asked about, whether it gets its own name where `FPIR` of the masked faces
    get one."""
    held, faces = one.held, one.faces
    strangers = held.best_rival[np.isfinite(held.best_rival)]
    named = held.right & (held.own.astype(np.float64) >= threshold_at_fpir(strangers, FPIR))
    return {
        (faces.people[person], photo): bool(right)
        for person, photo, right, asked in zip(faces.person.tolist(), faces.sha256, named, held.mated, strict=True)
        if asked
    }


def mcnemar(won: int, lost: int) -> float:
    """The chance that won + lost tosses of a coin fall so unevenly, or more so; 1 where there is none."""
    tosses, fewer = won + lost, min(won, lost)
    tail = sum(math.comb(tosses, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / (1 << tosses))  # whole numbers, which may be larger than any float
