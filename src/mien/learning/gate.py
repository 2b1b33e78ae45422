"""The gate: whether a challenger takes the champion's place. Pure numpy.

Both models are asked about the same pictures by heads fitted without them. Three questions are put to the answers: are
known people recognised as well as before, are strangers left unnamed as well, and is nobody in particular worse off?
Each compares the two models picture by picture, so only pictures on which they differ count, and each is a paired
bootstrap: were the album's pictures drawn again, how often would the challenger not be worse?

The challenger is refused only where that is improbable. All questions together refuse a challenger that is as good as
the champion in at most about one case in twenty (`ALPHA`): each of the three has a third of it, and the people share
theirs by Holm's method. Of five to ten pictures, half of which change sides, a question may take up to four times its
third: the bootstrap knows no more than these few, and errs towards the model in use. Near-duplicates are one picture.
Fewer than `ENOUGH` pictures decide nothing: a person who has fewer is only reported.

Each person is also asked about by those pictures alone of which the champion was made. Otherwise many photos of one
person under another's name would get a challenger promoted: it recognises all the new ones, and they outweigh the old
ones that it recognises no more.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.text.models import GateKind, GoneKind
from mien.text.words import Figure
from mien.types import Finding

ALPHA = 0.05
"""The highest chance with which a challenger that is as good as the champion may be refused."""

ENOUGH = 5
"""The fewest pictures that decide a question."""

TOLERATED = 0.002
"""Share of known people's pictures that may be lost without a word. Both thresholds are estimates, and where one falls
moves every picture near it, which drawing pictures again does not show; in an album of thousands even that would pass
for a difference. Below 500 pictures it comes to less than one and changes nothing."""

TOLERATED_STRANGERS = 0.1
"""The same of strangers, as a part of the FPIR asked for: 1.1 % named instead of 1.0 % is no difference."""

QUESTIONS = 3
"""Known people as a whole, strangers, and people one by one."""


def gone(before: Mapping[str, Collection[str]], after: Mapping[str, Collection[str]]) -> tuple[Finding, ...]:
    """Whom a challenger, made of the photos `after`, does not know any more though the champion was made of photos of
    them (`before`, by person), and who has less than half of their photos left, and lost
    `ENOUGH` or more. Kinds are of `GoneKind`.

    A comparison cannot tell: it asks about people and photos that both models know. Somebody most of whose photos lie
    under another name now was renamed, and is not gone."""
    known = {photo for photos in after.values() for photo in photos}
    found = []
    for person, photos in sorted(before.items()):
        lost, left = sum(photo not in known for photo in photos), len(after.get(person, ()))
        figures: dict[str, Figure] = {"gone": lost, "photos": len(photos), "left": left}
        if not left and 2 * lost > len(photos):
            found.append(Finding(GoneKind.PERSON, (person,), figures=figures))
        elif 2 * left < len(photos) and lost >= ENOUGH:
            found.append(Finding(GoneKind.PHOTOS, (person,), figures=figures))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class PairedAnswers:
    """How champion and challenger answered the same N probes: `before` and `after` (N,) bool say whether well.
    `picture` (N,) int64 says which picture each probe is of: near-duplicates share a number."""

    before: NDArray[np.bool_]
    after: NDArray[np.bool_]
    picture: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Question:
    """A question about `of` pictures with its answer: the champion answered `before` of them well and the challenger
    `after`, the champion alone `lost` and the challenger alone `won`.

    `p` is the bootstrap's chance that the challenger is not worse, corrected for the number of questions, so that it is
    compared with `ALPHA`; None where there are too few pictures.
    """

    of: int
    before: int
    after: int
    lost: int
    won: int
    p: float | None

    @property
    def worse(self) -> bool:
        """Whether the challenger is worse beyond chance."""
        return self.p is not None and self.p <= ALPHA

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {name: getattr(self, name) for name in ("of", "before", "after", "lost", "won", "p", "worse")}


@dataclass(frozen=True, slots=True)
class Decision:
    """The three questions with their answers, and whether the challenger is promoted for them.

    `people` has everybody who was asked about, by name. `earlier` asks again about some of them, by those pictures
    alone of which the champion was made: about people who have enough of these, and newer pictures besides.
    """

    overall: Question
    strangers: Question
    people: dict[str, Question]
    earlier: dict[str, Question]

    @property
    def promote(self) -> bool:
        """Whether the challenger is worse in nothing."""
        everybody = (*self.people.values(), *self.earlier.values())
        return not any(question.worse for question in (self.overall, self.strangers, *everybody))

    @property
    def reasons(self) -> tuple[Finding, ...]:
        """Why: what got worse, or that nothing did. Kinds are of `GateKind`."""
        found = []
        if self.overall.worse:
            found.append(Finding(GateKind.FEWER_NAMED, figures=self._known() | {"p": self.overall.p}))
        if self.strangers.worse:
            named, named_before = self._strangers_named()
            shares = {"share": named, "share_before": named_before}
            figures = {**_counts(self.strangers), **shares, "p": self.strangers.p}
            found.append(Finding(GateKind.MORE_STRANGERS_NAMED, figures=figures))
        for people, kind in (
            (self.people, GateKind.PERSON_WORSE),
            (self.earlier, GateKind.PERSON_WORSE_ON_EARLIER),
        ):
            found += [
                Finding(kind, (name,), figures=_counts(person) | {"p": person.p})
                for name, person in sorted(people.items())
                if person.worse
            ]
        return tuple(found) or (self._not_worse(),)

    @property
    def remarks(self) -> tuple[Finding, ...]:
        """What is reported only: people with too few pictures to ask, of whom more were lost than won."""
        return tuple(
            Finding(GateKind.LOST_ON_TOO_FEW, (name,), figures=_counts(person))
            for name, person in sorted(self.people.items())
            if person.p is None and person.lost > person.won
        )

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "promote": self.promote,
            "reasons": [reason.to_json() for reason in self.reasons],
            "remarks": [remark.to_json() for remark in self.remarks],
            "overall": self.overall.to_json(),
            "strangers": self.strangers.to_json(),
            "people": {name: person.to_json() for name, person in self.people.items()},
            "earlier": {name: person.to_json() for name, person in self.earlier.items()},
        }

    def _not_worse(self) -> Finding:
        if self.overall.p is None:
            return Finding(GateKind.TOO_FEW_PICTURES, figures=_counts(self.overall))
        if not self.strangers.of:
            return Finding(GateKind.NOT_WORSE_WITHOUT_STRANGERS, figures=self._known())
        named, named_before = self._strangers_named()
        strangers = {"strangers_of": self.strangers.of, "strangers": named, "strangers_before": named_before}
        return Finding(GateKind.NOT_WORSE, figures=self._known() | strangers)

    def _known(self) -> dict[str, Figure]:
        """The figures of the first question, with shares."""
        asked = self.overall
        return {**_counts(asked), "share": asked.after / asked.of, "share_before": asked.before / asked.of}

    def _strangers_named(self) -> tuple[float, float]:
        """The shares of strangers that challenger and champion name."""
        asked = self.strangers
        return (asked.of - asked.after) / asked.of, (asked.of - asked.before) / asked.of


def decide(
    mated: PairedAnswers,
    person: ArrayLike,
    names: Sequence[str],
    earlier: ArrayLike,
    strangers: PairedAnswers,
    fpir: float,
) -> Decision:
    """Puts the three questions.

    `mated` are the answers to N probes of known people, good where the right name was given; `person` (N,) int says
    whose each probe is, an index of `names`, and `earlier` (N,) bool whether the champion was made of it. `strangers`
    are the answers to probes of people who are not enrolled, good where no name was given; both models were to name a
    share `fpir` of them.
    """
    owner, trusted = np.asarray(person, np.int64), np.asarray(earlier, bool)
    people, before = {}, {}
    order = np.argsort(owner, kind="stable")
    for mine in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1):
        if not len(mine):
            continue  # of no probes at all, split makes one empty part
        name, old = names[owner[mine[0]]], mine[trusted[mine]]
        people[name] = _question(mated, mine)
        if 0 < len(old) < len(mine):
            found = _question(mated, old)
            if found.p is not None:
                before[name] = found
    asked = [(where, name) for where in (people, before) for name, found in where.items() if found.p is not None]
    for (where, name), p in zip(asked, holm([where[name].p or 0.0 for where, name in asked]), strict=True):
        where[name] = replace(where[name], p=min(QUESTIONS * p, 1.0))
    return Decision(
        _corrected(_question(mated, order, TOLERATED)),
        _corrected(_question(strangers, np.arange(len(strangers.picture)), TOLERATED_STRANGERS * fpir)),
        people,
        before,
    )


def _question(answers: PairedAnswers, of: NDArray[np.int64], tolerated: float = 0.0) -> Question:
    """The question about the probes in the rows `of`, its chance not corrected. A picture is answered well if half of
    its copies are."""
    _, number = np.unique(answers.picture[of], return_inverse=True)
    copies = np.bincount(number)
    before, after = (
        2 * np.bincount(number, good[of], len(copies)) >= copies for good in (answers.before, answers.after)
    )
    pictures, lost, won = len(copies), int(np.sum(before & ~after)), int(np.sum(after & ~before))
    p = chance_not_worse(lost, won, pictures, tolerated) if pictures >= ENOUGH else None
    return Question(pictures, int(before.sum()), int(after.sum()), lost, won, p)


def _corrected(question: Question) -> Question:
    """The same question, its chance corrected for the number of `QUESTIONS`."""
    return question if question.p is None else replace(question, p=min(QUESTIONS * question.p, 1.0))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction (1979, "A simple sequentially rejective multiple test procedure") of the chances of several
    questions: the least is multiplied by their number, the next by one less and so on, and none falls below one before
    it."""
    chances = np.asarray(p, np.float64)
    order = np.argsort(chances, kind="stable")
    found = np.empty(len(chances))
    found[order] = np.maximum.accumulate(chances[order] * np.arange(len(chances), 0, -1))
    return [min(float(one), 1.0) for one in found]


def chance_not_worse(lost: int, won: int, of: int, tolerated: float = 0.0) -> float:
    """The share of all bootstrap samples (`of` pictures drawn with replacement from these `of`) in which the pictures
    lost outnumber those won by a share `tolerated` at most: small where the challenger is worse.

    It is computed, not drawn: a picture drawn is a loss with chance `lost` / `of`, a win with `won` / `of`, and the
    distribution of the sum of `of` of them is the `of`-th power of one's Fourier transform. Thus it needs no seed and
    has no least value, which a correction for hundreds of people would run into. The sum lies within -`of`..`of`, so
    that a circle of 2 `of` + 1 places holds it.
    """
    if not of:
        return 1.0
    one = np.zeros(2 * of + 1)
    one[[0, 1, -1]] = (of - lost - won) / of, lost / of, won / of
    total = np.fft.irfft(np.fft.rfft(one) ** of, len(one))
    allowed = math.floor(tolerated * of * (1 + 1e-12))
    return min(max(1.0 - float(total[allowed + 1 : of + 1].sum()), 0.0), 1.0)


def _counts(question: Question) -> dict[str, Figure]:
    return {name: getattr(question, name) for name in ("of", "before", "after", "lost", "won")}
