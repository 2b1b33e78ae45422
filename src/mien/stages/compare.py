"""compare: whether a challenger may take the champion's place, and how any two models differ.

Goes in: two models, and a catalog that has the embeddings of their photos. Comes out: a `Compared`, whose decision says
why, or an `Incomparable`; putting a version into use is the caller's decision. Nothing is written.

A model is made again from its recipe: the head its card names, fitted on the photos its card lists. Both are, for each
fifth of the album, without that fifth, and then asked about it: every photo of the challenger, as itself and, its
person masked, as a stranger. Photos that have left the album since have left both, so nobody's removal speaks for or
against either.

Like is compared with like. Questions are put of the people that both know, and only those are rivals: somebody new
makes the task harder (one more to be taken for, and a threshold that rises with it), and that must not keep the
challenger out. Both get the threshold that their own held-out scores of these people give, at the challenger's FPIR.
Photos that the champion finds far more like somebody else than like the person filed under count for nothing: their
label is doubted, and whoever answers "rightly" may be the one that is wrong. It is the champion who doubts, because it
is trusted and the challenger could excuse its mistakes by doubting; a photo so doubted cannot have been lost, for the
champion had it wrong. Of new people it is told how well they are recognised, and whose photos are now taken for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.learning.crossval import HeldOut, held_out_among, pictures, split
from mien.learning.figures import SHARES, Share
from mien.learning.gate import Answers, Decision, decide
from mien.learning.head import Fit, Ints, weights
from mien.learning.openset import Scale, choose_threshold, mislabelled
from mien.registry import Model

if TYPE_CHECKING:  # naming people and photos needs no database
    from mien.records.catalog import Catalog, TrainingSet

Bools = NDArray[np.bool_]


class Recipe(Protocol):
    """How a head is made; see `mien.stages.train.HeadOption`."""

    @property
    def name(self) -> str: ...
    @property
    def fit(self) -> Fit: ...
    @property
    def scale(self) -> Scale: ...


@dataclass(frozen=True, slots=True)
class Incomparable:
    """Two models that cannot be asked the same, and `reason`, a sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Flip:
    """A photo that only one of the models gives its `person`: the challenger, if it is `won`. `taken_for` is the name
    that the other gives, None for unknown. `photo` is its path in training-images, "" where none was asked for."""

    person: str
    sha256: str
    won: bool
    taken_for: str | None
    photo: str = ""

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Compared:
    """How two models answered the same questions, and what the gate makes of it.

    `top1` are the shares of photos whose own person comes first, champion's and challenger's, whatever the threshold.
    `newcomers` are people whom the champion does not know, `recognised` the share of their photos that the challenger
    names rightly at the threshold it has, and `taken_for_newcomers` counts photos by (whose, for whom taken). `doubted`
    photos were left out for their labels, `unasked` because one of the models had no other photo of the person.
    """

    champion: str
    challenger: str
    decision: Decision
    top1: tuple[Share, Share]
    flips: tuple[Flip, ...]
    newcomers: tuple[str, ...]
    recognised: Share
    taken_for_newcomers: dict[tuple[str, str], int]
    doubted: int
    unasked: int

    @property
    def remarks(self) -> tuple[str, ...]:
        """What does not decide but should be seen, in sentences."""
        return (*self.decision.remarks, *self.mixed_up)

    @property
    def mixed_up(self) -> tuple[str, ...]:
        """Who is now taken for somebody new, in sentences: it may be one person under two names."""
        return tuple(
            f"{name} is taken for {newcomer}, who is new, on {count} {'photo' if count == 1 else 'photos'}."
            for (name, newcomer), count in self.taken_for_newcomers.items()
        )

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "champion": self.champion,
            "challenger": self.challenger,
            "decision": self.decision.to_json(),
            "remarks": list(self.remarks),
            "top1": [_share(share) for share in self.top1],
            "flips": [flip.to_json() for flip in self.flips],
            "newcomers": list(self.newcomers),
            "recognised": _share(self.recognised),
            "taken_for_newcomers": [
                {"person": name, "taken_for": newcomer, "photos": count}
                for (name, newcomer), count in self.taken_for_newcomers.items()
            ],
            "doubted": self.doubted,
            "unasked": self.unasked,
        }


def compare(catalog: Catalog, champion: Model, challenger: Model, heads: Sequence[Recipe]) -> Compared | Incomparable:
    """Puts the same questions to both models; `heads` are those that this version of mien can fit."""
    if champion.encoder_id != challenger.encoder_id:
        return Incomparable(
            f"{champion.version} sees with the encoder {champion.encoder_id} and {challenger.version} with"
            f" {challenger.encoder_id}, so they cannot be asked about the same embeddings."
        )
    found = compare_on(catalog.training_set(challenger.encoder_id), champion, challenger, heads)
    if isinstance(found, Incomparable) or not found.flips:
        return found
    places = catalog.places()
    flips = (replace(flip, photo=places.get((flip.person, flip.sha256), "")) for flip in found.flips)
    return replace(found, flips=tuple(flips))


def compare_on(
    album: TrainingSet, champion: Model, challenger: Model, heads: Sequence[Recipe]
) -> Compared | Incomparable:
    """The same for an album as the encoder of both sees it."""
    recipes = {recipe.name: recipe for recipe in heads}
    for model in (champion, challenger):
        if model.card.head.name not in recipes:
            return Incomparable(
                f"{model.version} has a head that this version of mien cannot fit: {model.card.head.name}."
            )
    of_old, of_new = _photos_of(album, champion), _photos_of(album, challenger)
    people = len(album.people)
    known, learned = (np.bincount(album.person[of], minlength=people) > 0 for of in (of_old, of_new))
    both = known & learned
    picture = pictures(album.person, album.embeddings)
    fold = split(album.sha256, album.person, album.embeddings)
    old, new = (
        _Asked.about(album, fold, photos, both, recipes[model.card.head.name], challenger.fpir)
        for model, photos in ((champion, of_old), (challenger, of_new))
    )

    asked = of_new & both[album.person]
    doubted = asked & mislabelled(old.held.best_rival, old.held.own)
    certain = asked & ~doubted
    mated = certain & old.held.mated & new.held.mated
    stranger = certain & np.isfinite(old.held.best_rival) & np.isfinite(new.held.best_rival)

    def answers(of: Bools, before: Bools, after: Bools) -> Answers:
        return Answers(before[of], after[of], picture[of])

    decision = decide(
        answers(mated, old.right, new.right),
        album.person[mated],
        album.people,
        of_old[mated],
        answers(stranger, ~old.called, ~new.called),
        challenger.fpir,
    )
    newcomer = new.beside.best_rival
    taken = asked & (newcomer > new.top) & (newcomer >= new.threshold)
    lost_to = Counter(zip(album.person[taken].tolist(), new.beside.rival[taken].tolist(), strict=True))
    fresh = of_new & ~known[album.person] & new.held.mated
    recognised = (new.held.own > np.maximum(new.held.best_rival, newcomer)) & (
        new.held.own >= challenger.threshold.value
    )
    return Compared(
        champion=champion.version,
        challenger=challenger.version,
        decision=decision,
        top1=(_counted(old.held.right, mated), _counted(new.held.right, mated)),
        flips=tuple(
            Flip(
                album.people[album.person[row]], album.sha256[row], bool(new.right[row]), other.name(row, album.people)
            )
            for row in np.flatnonzero(mated & (old.right != new.right)).tolist()
            for other in ((old if new.right[row] else new),)
        ),
        newcomers=tuple(album.people[one] for one in np.flatnonzero(learned & ~known)),
        recognised=_counted(recognised, fresh),
        taken_for_newcomers={
            (album.people[who], album.people[whom]): count for (who, whom), count in sorted(lost_to.items())
        },
        doubted=int(doubted.sum()),
        unasked=int(np.sum(certain & ~mated)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What a model, made again without them, says of the album's faces. `held` has the people that both models know for
    rivals, `beside` all others whom this one knows; `threshold` is that for the former."""

    held: HeldOut
    beside: HeldOut
    threshold: float

    @classmethod
    def about(cls, album: TrainingSet, fold: Ints, photos: Bools, both: Bools, recipe: Recipe, fpir: float) -> _Asked:
        """`photos` (N,) are the model's own; people that `both` (P,) models know are asked about."""
        held, beside = held_out_among(
            recipe.fit,
            album.embeddings,
            album.person,
            len(album.people),
            weights(album.overall),
            fold,
            photos,
            both,
            ~both,
        )
        own = photos & both[album.person]
        _, owner = np.unique(album.person[own], return_inverse=True)
        if not len(owner):
            return cls(held, beside, np.inf)
        threshold = choose_threshold(held.best_rival[own], owner, int(both.sum()), fpir, held.own[own], recipe.scale)
        return cls(held, beside, threshold.value)

    @property
    def top(self) -> NDArray[np.float64]:
        """(N,) the best score among the people that both know."""
        return np.maximum(np.nan_to_num(self.held.own.astype(np.float64), nan=-np.inf), self.held.best_rival)

    @property
    def right(self) -> Bools:
        """(N,) whether the face got its name."""
        return self.held.right & (self.top >= self.threshold)

    @property
    def called(self) -> Bools:
        """(N,) whether the masked face got any name."""
        return self.held.best_rival >= self.threshold

    def name(self, row: int, people: Sequence[str]) -> str | None:
        """Whom the face, which did not get its own name, is taken for."""
        return people[self.held.rival[row]] if self.called[row] else None


@dataclass(frozen=True, slots=True)
class Difference:
    """How model `after` differs from `before`: versions, encoder ids, heads, thresholds as (before, after); `added` and
    `removed` are photos by person, also of `people_added` and `people_removed`; `figures` are what each measured when
    it was trained, each on its own album. `compared` has how they answer the same, where they can be asked."""

    version: tuple[str, str]
    encoder: tuple[str, str]
    head: tuple[str, str]
    threshold: tuple[float, float]
    fpir: tuple[float, float]
    people_added: tuple[str, ...]
    people_removed: tuple[str, ...]
    added: dict[str, tuple[str, ...]]
    removed: dict[str, tuple[str, ...]]
    figures: dict[str, tuple[Share, Share]]
    compared: Compared | Incomparable | None

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        pairs = ("version", "encoder", "head", "threshold", "fpir", "people_added", "people_removed")
        return {name: list(getattr(self, name)) for name in pairs} | {
            "added": {person: list(photos) for person, photos in self.added.items()},
            "removed": {person: list(photos) for person, photos in self.removed.items()},
            "figures": {name: [_share(share) for share in shares] for name, shares in self.figures.items()},
            "compared": self.compared.to_json() if isinstance(self.compared, Compared) else None,
            "incomparable": self.compared.reason if isinstance(self.compared, Incomparable) else None,
        }


def difference(before: Model, after: Model, compared: Compared | Incomparable | None = None) -> Difference:
    """What two models' cards say, side by side."""
    then, now = before.card.photos, after.card.photos
    return Difference(
        version=(before.version, after.version),
        encoder=(before.encoder_id, after.encoder_id),
        head=(before.card.head.name, after.card.head.name),
        threshold=(before.threshold.value, after.threshold.value),
        fpir=(before.fpir, after.fpir),
        people_added=tuple(sorted(now.keys() - then.keys())),
        people_removed=tuple(sorted(then.keys() - now.keys())),
        added=_missing(then, now),
        removed=_missing(now, then),
        figures={name: (_figure(before, name), _figure(after, name)) for name in SHARES},
        compared=compared,
    )


def _photos_of(album: TrainingSet, model: Model) -> Bools:
    """(N,) which faces of the album the model was made of."""
    photos = {(person, photo) for person, some in model.card.photos.items() for photo in some}
    placed = zip(album.person.tolist(), album.sha256, strict=True)
    return np.array([(album.people[person], photo) in photos for person, photo in placed], bool)


def _missing(there: Mapping[str, Sequence[str]], here: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The photos `here` that are not `there`, by person."""
    found = {person: tuple(sorted({*photos} - {*there.get(person, ())})) for person, photos in sorted(here.items())}
    return {person: photos for person, photos in found.items() if photos}


def _figure(model: Model, name: str) -> Share:
    counts = model.card.counts
    return Share(counts.get(f"{name}_hits", 0), counts.get(f"{name}_of", 0))


def _counted(good: Bools, of: Bools) -> Share:
    return Share(int(np.sum(good & of)), int(of.sum()))


def _share(share: Share) -> dict[str, Any]:
    return {"hits": share.hits, "of": share.of, "value": share.value, "low": share.low, "high": share.high}
