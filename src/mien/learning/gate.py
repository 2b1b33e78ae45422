"""The gate: whether a challenger takes the champion's place, and which version a rollback goes back to. Pure numpy.

Both models are asked about the same pictures by heads fitted without them. Three questions are put to the answers: are
known people recognised as well as before, are strangers left unnamed as well, and is nobody in particular worse off?
Each compares the two models picture by picture, so only pictures on which they differ count, and each is a paired
bootstrap: were the album's pictures drawn again, how often would the challenger not be worse?

The challenger is refused only where that is improbable. All questions together refuse a challenger that is as good as
the champion in at most about one case in twenty (`ALPHA`): each of the three has a third of it, and the people share
theirs by Holm's method. Of five to ten pictures, half of which change sides, a question may take up to four times its
third: the bootstrap knows no more than these few, and errs towards the model in use. Near-duplicates are one picture.
By fewer than `ENOUGH` pictures nothing is judged: a person who has no more is only reported.

Of everybody it is also asked by the pictures alone that the champion was made of. Otherwise whoever files many photos
of one person under another's name would be promoted for it: the challenger recognises all the new ones, and that
outweighs the old ones that it recognises no more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.05
"""Chance at most with which a challenger that is as good as the champion is refused."""

ENOUGH = 5
"""Pictures from which on a question is asked."""

TOLERATED = 0.002
"""Share of known people's pictures that may be lost without a word. Both thresholds are estimates, and where one falls
moves every picture near it, which drawing pictures again does not show; in an album of thousands even that would pass
for a difference. Below 500 pictures it comes to less than one and changes nothing."""

TOLERATED_STRANGERS = 0.1
"""The same of strangers, as a part of the FPIR asked for: 1.1 % named instead of 1.0 % is no difference."""

QUESTIONS = 3

How = Literal["promoted", "kept", "rolled back"]
"""What became of a version: put into use, not put into use, or put into use again in place of a later one."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Of N probes, whether champion (`before`) and challenger (`after`) answered well (N,) bool, and of which `picture`
    (N,) int each is: near-duplicates share a number."""

    before: NDArray[np.bool_]
    after: NDArray[np.bool_]
    picture: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Question:
    """Of `of` pictures, how many the champion (`before`) and the challenger (`after`) answered well, and how many only
    the one (`lost`) or only the other (`won`). `p` is the chance of the bootstrap, corrected so that it is to be
    compared with `ALPHA`; None where there are too few pictures to ask."""

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
    """The three questions, and what follows from them. `people` has everybody who was asked about, by name, and
    `earlier` those with enough pictures that the champion was made of, and others, by the former alone."""

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
    def reasons(self) -> tuple[str, ...]:
        """Why, in sentences: what got worse, or that nothing did."""
        found = []
        if self.overall.worse:
            found.append(
                f"Fewer pictures of known people get the right name: {_share(self.overall.after, self.overall.of)} of"
                f" {self.overall.of:,} instead of {_share(self.overall.before, self.overall.of)},"
                f" {_beyond(self.overall)}."
            )
        if self.strangers.worse:
            found.append(f"More strangers get a name: {self._named()}, {_beyond(self.strangers)}.")
        for people, which in ((self.people, ""), (self.earlier, " that were there before")):
            found += [
                f"{name} is recognised worse: on {person.after} of {_pictures(person.of)}{which} instead of"
                f" {person.before}, {_beyond(person)}."
                for name, person in sorted(people.items())
                if person.worse
            ]
        return tuple(found) or (self._no_worse(),)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is reported only: people with too few pictures to ask, of whom more were lost than won."""
        return tuple(
            f"{name} is recognised on {person.after} of {_pictures(person.of)} instead of {person.before}; that is too"
            " few pictures to judge by."
            for name, person in sorted(self.people.items())
            if person.p is None and person.lost > person.won
        )

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "promote": self.promote,
            "reasons": list(self.reasons),
            "remarks": list(self.remarks),
            "overall": self.overall.to_json(),
            "strangers": self.strangers.to_json(),
            "people": {name: person.to_json() for name, person in self.people.items()},
            "earlier": {name: person.to_json() for name, person in self.earlier.items()},
        }

    def _no_worse(self) -> str:
        if self.overall.p is None:
            return "There are too few pictures by which the two models could be compared."
        known = (
            f"{_share(self.overall.after, self.overall.of)} of {_pictures(self.overall.of)} of known people get the"
            f" right name instead of {_share(self.overall.before, self.overall.of)}"
        )
        strangers = f", {self._named()} of strangers get a name" if self.strangers.of else ""
        return f"Not worse beyond chance: {known}{strangers}, and no single person is recognised worse."

    def _named(self) -> str:
        named = (self.strangers.of - count for count in (self.strangers.after, self.strangers.before))
        return " instead of ".join(_share(count, self.strangers.of) for count in named)


def decide(
    mated: Answers, person: ArrayLike, names: Sequence[str], earlier: ArrayLike, strangers: Answers, fpir: float
) -> Decision:
    """Puts the three questions. `mated` are the answers to N probes of known people, good where the right name was
    given; `person` (N,) says whose each is, an index of `names`, and `earlier` (N,) bool whether the champion was made
    of it. `strangers` are the answers to probes of nobody enrolled, good where no name was given, by models that were
    to name a share `fpir`."""
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
        _third(_question(mated, order, TOLERATED)),
        _third(_question(strangers, np.arange(len(strangers.picture)), TOLERATED_STRANGERS * fpir)),
        people,
        before,
    )


def _question(answers: Answers, of: NDArray[np.int64], tolerated: float = 0.0) -> Question:
    """What the probes in the rows `of` say, uncorrected. A picture is answered well if half of its copies are."""
    _, number = np.unique(answers.picture[of], return_inverse=True)
    copies = np.bincount(number)
    before, after = (
        2 * np.bincount(number, good[of], len(copies)) >= copies for good in (answers.before, answers.after)
    )
    pictures, lost, won = len(copies), int(np.sum(before & ~after)), int(np.sum(after & ~before))
    p = chance_not_worse(lost, won, pictures, tolerated) if pictures >= ENOUGH else None
    return Question(pictures, int(before.sum()), int(after.sum()), lost, won, p)


def _third(question: Question) -> Question:
    """With its chance corrected for there being `QUESTIONS`."""
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


def previous(history: Iterable[tuple[str, How]], current: str) -> str | None:
    """The version that a rollback from `current` goes back to: the one in use before it, None if there was none.

    `history` says what became of versions, oldest first. A rollback takes back what was promoted after the version it
    went to, so that two in a row go back two steps and never forth again.
    """
    used, _ = _replayed(history)
    if current in used:
        used = used[: len(used) - used[::-1].index(current) - 1]
    return used[-1] if used else None


def set_aside(history: Iterable[tuple[str, How]]) -> tuple[str, ...]:
    """The versions that were kept or rolled back from and not put into use since, oldest first: what would be made the
    same as one of them need not be made, and must not be promoted, again."""
    return _replayed(history)[1]


def _replayed(history: Iterable[tuple[str, How]]) -> tuple[list[str], tuple[str, ...]]:
    """The versions in use one after the other, less those taken back, and those set aside."""
    used: list[str] = []
    seen: dict[str, int] = {}
    aside: dict[str, None] = {}
    for version, how in history:
        seen.setdefault(version, len(seen))
        if how == "kept":
            aside[version] = None
            continue
        # Whoever puts an older version into use, by whichever command, does not want the later ones back.
        later = [one for one in used if seen[one] > seen[version]]
        if how == "rolled back" and version in used:
            place = len(used) - used[::-1].index(version)
            later += used[place:]
            del used[place:]
        aside |= dict.fromkeys(later)
        aside.pop(version, None)
        if used[-1:] != [version]:
            used.append(version)
    return used, tuple(aside)


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %"


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"


def _beyond(question: Question) -> str:
    p = question.p or 0.0
    return f"beyond chance (p {'< 0.0001' if p < 0.0001 else f'= {p:.2g}'})"
