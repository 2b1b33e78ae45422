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

Two models may see with different encoders. Each is then fitted, scored and given its threshold in its own embeddings
and cosines, and only the answers meet: those to photos in which both encoders have a chosen face.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.learning.crossval import HeldOut, asked_about, held_out_among, pictures, split
from mien.learning.figures import SHARES, Share, counted
from mien.learning.gate import ENOUGH, Decision, PairedAnswers, decide, gone
from mien.learning.head import HeadOption, Ints, weights
from mien.learning.labels import find
from mien.learning.openset import choose_threshold, mislabelled, scale_for, usual_photos
from mien.open_album import OpenAlbum
from mien.registry.folder import Model
from mien.storage.layout import TRAINING, shown
from mien.text.kinds import Kind
from mien.text.models import GateKind, GoneKind, IncomparableKind
from mien.text.words import Figure
from mien.types import Cosines, Finding

if TYPE_CHECKING:  # naming people and photos needs no database
    from mien.records.faces import TrainingSet

Bools = NDArray[np.bool_]

COMMON = 0.9
"""Part of the champion's photos in which both encoders must have a chosen face. A champion that is made again without
many of its photos is weaker than the one in use, and that would speak for the challenger. This is a choice and no
measurement: an album that kept the faces of both encoders has nearly all of them, and another one has none."""


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model, the album as its encoder sees it, and what is true of that encoder's cosines."""

    model: Model
    faces: TrainingSet
    cosines: Cosines


@dataclass(frozen=True, slots=True)
class Incomparable:
    """Two models that cannot be asked the same, and why: a `reason` whose kind is of `IncomparableKind`."""

    reason: Finding


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

    `top1` are the shares of photos whose own person has the best score, the champion's and the challenger's.
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
    def remarks(self) -> tuple[Finding, ...]:
        """What does not decide but should be seen."""
        return (*self.decision.remarks, *self.mixed_up)

    @property
    def mixed_up(self) -> tuple[Finding, ...]:
        """Who is now taken for somebody new: it may be one person under two names."""
        return tuple(
            Finding(GateKind.TAKEN_FOR_NEWCOMER, (name, newcomer), figures={"photos": count})
            for (name, newcomer), count in self.taken_for_newcomers.items()
        )

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "champion": self.champion,
            "challenger": self.challenger,
            "decision": self.decision.to_json(),
            "remarks": [remark.to_json() for remark in self.remarks],
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


@dataclass(frozen=True, slots=True)
class Gone:
    """Whom, or what of whom, a challenger does not know any more though nobody removed it."""

    findings: tuple[Finding, ...]

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who is not known at all: such a challenger may not take the champion's place by itself."""
        lost = (GoneKind.PERSON, GoneKind.PERSON_UNSEEN)
        return tuple(finding.people[0] for finding in self.findings if finding.kind in lost)


def gone_since(album: OpenAlbum, champion: Model, challenger: Model) -> Gone:
    """What is gone since the champion was made, by what the two are made of. Whoever is removed is taken out of the
    champion at once, and so a photo that is gone from the challenger alone was removed by nobody."""
    before, after = _as_named_now(album, champion), challenger.card.photos
    places, findings = album.catalog.files.places(TRAINING), []
    for finding in gone(before, after):
        person = finding.people[0]
        if album.removal_of(person) is None:
            lost = set(before[person]) - set(after.get(person, ()))
            are_there = 2 * sum((person, photo) in places for photo in lost) > len(lost)
            findings.append(replace(finding, kind=_UNSEEN[finding.kind]) if are_there else finding)
    return Gone(tuple(findings))


_UNSEEN: Mapping[Kind, GoneKind] = {
    GoneKind.PERSON: GoneKind.PERSON_UNSEEN,
    GoneKind.PHOTOS: GoneKind.PHOTOS_UNSEEN,
}
"""What is said where the photos are there, and no face in them is seen any more: settings have changed."""


def _as_named_now(album: OpenAlbum, model: Model) -> dict[str, list[str]]:
    """The photos that a model was made of, by what their people are called now, and filed under them now."""
    found: dict[str, list[str]] = {}
    moved = album.ledger.corrections.filed_now()
    for name, photos in model.card.photos.items():
        now = album.ledger.people.called_now(name)
        for sha256 in photos:
            found.setdefault(moved.get((now, sha256), now), []).append(sha256)
    return found


def compare(album: OpenAlbum, champion: Model, challenger: Model) -> Compared | Incomparable:
    """Puts the same questions to both models, of which this version of mien can fit the heads."""
    faces = album.catalog.faces
    of_challenger = faces.training_set(challenger.encoder_id)
    same = champion.encoder_id == challenger.encoder_id
    of_champion = of_challenger if same else faces.training_set(champion.encoder_id)
    if same and not of_challenger.people:
        return Incomparable(Finding(IncomparableKind.NO_FACES, figures={"version": challenger.version}))
    cosines = album.cosines_of(challenger)
    found = compare_on(
        Contender(champion, of_champion, album.cosines_of(champion)),
        Contender(challenger, of_challenger, cosines),
        album.tools.heads,
        find(of_challenger.embeddings, of_challenger.person, len(of_challenger.people), cosines).wrong,
    )
    if isinstance(found, Incomparable) or not found.flips:
        return found
    places = album.catalog.files.places(TRAINING)
    flips = (replace(flip, photo=shown(places.get((flip.person, flip.sha256), ""))) for flip in found.flips)
    return replace(found, flips=tuple(flips))


def compare_on(
    champion: Contender, challenger: Contender, heads: Sequence[HeadOption], wrong: Bools | None = None
) -> Compared | Incomparable:
    """Puts the same questions to two models, whose `faces` are one object where their encoders are the same. Of the
    challenger's faces those `wrong` (N,), under somebody else's name, are neither learned nor asked about, but for
    those that the champion learned.

    Photos are matched by person and content. Folds and near-duplicates are those of the challenger's faces for both
    models: the same photos must be held out of both, or the answers could not be paired, and the challenger's encoder
    is the one that has seen all of today's album. Near-duplicates that the champion's encoder alone would notice may
    then stand in different folds. That flatters the champion, and the gate errs towards the model in use anyway.
    """
    known_heads = {name: head for head in heads for name in (head.name, *head.formerly)}
    for model in (champion.model, challenger.model):
        if model.card.head.name not in known_heads:
            figures = {"version": model.version, "head": model.card.head.name}
            return Incomparable(Finding(IncomparableKind.UNKNOWN_HEAD, figures=figures))
    if too_few := _too_few_in_common(champion, challenger):
        return Incomparable(too_few)
    old_head, new_head = (known_heads[one.model.card.head.name] for one in (champion, challenger))
    faces, fpir = challenger.faces, challenger.model.fpir
    photos, aside = _photos_of(faces, challenger.model), np.zeros(len(faces.person), bool) if wrong is None else wrong
    of_old, of_new = _learned(faces, champion.model, aside), photos & ~aside
    rows, view = _seen_through(champion.faces, faces)
    seen = np.zeros(len(of_new), bool)
    seen[rows] = True
    known, learned = _people_of(faces, of_old), _people_of(faces, of_new)
    both = learned & _people_of(faces, of_old & seen)
    picture = pictures(faces.person, faces.embeddings, challenger.cosines)
    fold = split(faces.sha256, faces.person, faces.embeddings, challenger.cosines)
    drawn = asked_about(faces.sha256, faces.person)
    old = _Asked.about(
        replace(champion, faces=view), fold[rows], of_old[rows], both, old_head, heads[0], fpir, drawn[rows]
    )
    old = old.placed(rows, len(of_new))
    new = _Asked.about(challenger, fold, of_new, both, new_head, heads[0], fpir, drawn)

    # What the champion has learned is asked about, though the challenger takes it for somebody else's: a stranger who
    # came with more photos than a person had would take the name.
    own = (of_new | (of_old & photos)) & both[faces.person] & drawn
    asked = own & seen
    doubted = asked & mislabelled(old.held.best_rival, old.held.own, champion.cosines)
    certain = asked & ~doubted
    mated = certain & old.held.mated & new.held.mated
    stranger = certain & np.isfinite(old.held.best_rival) & np.isfinite(new.held.best_rival)

    def answers(of: Bools, before: Bools, after: Bools) -> PairedAnswers:
        return PairedAnswers(before[of], after[of], picture[of])

    def share(good: Bools, of: Bools) -> Share:
        return counted(good[of], faces.person[of])

    if changed := _not_as_it_was(champion.model, share(old.held.right, asked & of_old & old.held.mated)):
        return Incomparable(changed)
    decision = decide(
        answers(mated, old.right, new.right),
        faces.person[mated],
        faces.people,
        of_old[mated],
        answers(stranger, ~old.called, ~new.called),
        fpir,
    )
    newcomer = learned & ~known
    recognised = new.names_among_all(challenger.model.threshold.value)
    return Compared(
        champion=champion.model.version,
        challenger=challenger.model.version,
        decision=decision,
        top1=(share(old.held.right, mated), share(new.held.right, mated)),
        flips=_flips(faces, old, new, mated),
        newcomers=tuple(faces.people[one] for one in np.flatnonzero(newcomer)),
        recognised=share(recognised, of_new & drawn & newcomer[faces.person] & new.held.mated),
        taken_for_newcomers=_taken_for(faces, new, own, newcomer),
        doubted=int(doubted.sum()) + int(np.sum(aside & seen & ~own)),
        unasked=int(np.sum(certain & ~mated)),
    )


def _flips(faces: TrainingSet, old: _Asked, new: _Asked, mated: Bools) -> tuple[Flip, ...]:
    """The `mated` photos (N,) that only one of two models names rightly."""
    found = []
    for row in np.flatnonzero(mated & (old.right != new.right)).tolist():
        won = bool(new.right[row])
        taken_for = (old if won else new).name(row, faces.people)
        found.append(Flip(faces.people[faces.person[row]], faces.sha256[row], won, taken_for))
    return tuple(found)


def _taken_for(faces: TrainingSet, new: _Asked, own: Bools, newcomer: Bools) -> dict[tuple[str, str], int]:
    """How many of the photos `own` (N,) of each person are taken for each `newcomer` (P,)."""
    score = np.where(newcomer[new.beside.rival], new.beside.best_rival, -np.inf)
    taken = own & (score > new.top) & (score >= new.threshold)
    pairs = Counter(zip(faces.person[taken].tolist(), new.beside.rival[taken].tolist(), strict=True))
    return {(faces.people[who], faces.people[whom]): count for (who, whom), count in sorted(pairs.items())}


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """The scores of the album's N faces by a model that was made again without each of them.

    In `held` the people whom both models know are the rivals, in `beside` the others whom this model knows;
    `threshold` is the score to be named among the former.
    """

    held: HeldOut
    beside: HeldOut
    threshold: float

    @classmethod
    def about(
        cls,
        contender: Contender,
        fold: Ints,
        photos: Bools,
        both: Bools,
        head: HeadOption,
        plain: HeadOption,
        fpir: float,
        drawn: Bools,
    ) -> _Asked:
        """Asks about the people (P,) whom `both` models know; of `photos` (N,) the model was made, and `drawn` (N,) are
        those that may be asked about. `plain` is the head whose scores are cosines to one mean a person."""
        faces, cosines = contender.faces, contender.cosines

        def ask(option: HeadOption, *sides: Bools) -> list[HeldOut]:
            given = faces.embeddings, faces.person, len(faces.people), weights(faces.overall)
            return held_out_among(option.fit_for(cosines), *given, fold, photos, *sides, asked=drawn)

        held, beside = ask(head, both, ~both)
        own = photos & both[faces.person] & drawn
        _, owner = np.unique(faces.person[own], return_inverse=True)
        if not len(owner):
            return cls(held, beside, np.inf)
        rival, people = held.best_rival[own], int(both.sum())
        of_each = usual_photos(np.unique(faces.person[photos & both[faces.person]], return_inverse=True)[1], people)
        scale = scale_for(head, plain, cosines, rival, lambda: ask(plain, both)[0].best_rival[own], owner)
        threshold = choose_threshold(rival, owner, people, fpir, cosines, held.own[own], scale, of_each)
        return cls(held, beside, threshold.value)

    def placed(self, rows: Ints, count: int) -> _Asked:
        """The same scores as those of the faces in `rows` among `count`."""
        return replace(self, held=self.held.placed(rows, count), beside=self.beside.placed(rows, count))

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

    def names_among_all(self, threshold: float) -> Bools:
        """(N,) whether a face gets its name at a `threshold` where all whom the model knows are its rivals."""
        rival = np.maximum(self.held.best_rival, self.beside.best_rival)
        return np.asarray((self.held.own > rival) & (self.held.own >= threshold))

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
            "incomparable": self.compared.reason.to_json() if isinstance(self.compared, Incomparable) else None,
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
        figures={name: (before.card.share(name), after.card.share(name)) for name in SHARES},
        compared=compared,
    )


def _too_few_in_common(champion: Contender, challenger: Contender) -> Finding | None:
    """Why two models with different encoders cannot be compared, if too few of the champion's photos that the album
    still has show a face to both."""
    if champion.faces is challenger.faces:
        return None
    made_of = {(person, photo) for person, some in champion.model.card.photos.items() for photo in some}
    before, after = (made_of.intersection(_photos(one.faces)) for one in (champion, challenger))
    photos, common = len(before | after), len(before & after)
    if common and common >= COMMON * photos:
        return None
    figures: dict[str, Figure] = {
        "before": champion.model.version,
        "encoder_before": champion.model.encoder_id,
        "after": challenger.model.version,
        "encoder": challenger.model.encoder_id,
        "common": common,
        "photos": photos,
    }
    return Finding(IncomparableKind.OTHER_ENCODER, figures=figures)


def _not_as_it_was(champion: Model, now: Share) -> Finding | None:
    """Why no answer counts, if the champion, made again, fails on its own photos more often than it did when it was
    trained, beyond chance: not the model has changed since then, but what is known of its photos."""
    then = champion.card.share("top1")
    if champion.enrolled_since_fit or min(then.of, now.of) < ENOUGH or now.high >= then.low:
        return None
    figures: dict[str, Figure] = {
        "version": champion.version,
        "share": then.value,
        "share_now": now.value,
        "of": now.of,
    }
    return Finding(IncomparableKind.NOT_AS_IT_WAS, figures=figures)


def _photos(faces: TrainingSet) -> Iterator[tuple[str, str]]:
    """For each row of an album whose photo of what content it is."""
    return ((faces.people[person], photo) for person, photo in zip(faces.person.tolist(), faces.sha256, strict=True))


def _seen_through(other: TrainingSet, faces: TrainingSet) -> tuple[Ints, TrainingSet]:
    """The rows (M,) of `faces` of which `other`, the same album as another encoder sees it, has a face as well; and
    these M with the embeddings and qualities of `other`."""
    place = {photo: row for row, photo in enumerate(_photos(other))}
    pairs = [(row, place[photo]) for row, photo in enumerate(_photos(faces)) if photo in place]
    rows, theirs = np.array(pairs, np.int64).reshape(-1, 2).T
    view = replace(
        other,
        people=faces.people,
        person=faces.person[rows],
        sha256=tuple(faces.sha256[row] for row in rows),
        embeddings=other.embeddings[theirs],
        overall=other.overall[theirs],
    )
    return rows, view


def _learned(faces: TrainingSet, model: Model, wrong: Bools) -> Bools:
    """(N,) the faces from which the model learned: those of its photos that are not `wrong`, or were not found to be
    when it was made."""
    left_out = {(person, photo) for person, photos in model.card.left_out.items() for photo in photos}
    pairs = zip(faces.person, faces.sha256, strict=True)
    counted = np.array([(faces.people[person], photo) not in left_out for person, photo in pairs], bool)
    return _photos_of(faces, model) & (counted | ~wrong)


def _photos_of(faces: TrainingSet, model: Model) -> Bools:
    """(N,) which faces of the album the model was made of."""
    made_of = {(person, photo) for person, some in model.card.photos.items() for photo in some}
    return np.array([photo in made_of for photo in _photos(faces)], bool)


def _people_of(faces: TrainingSet, photos: Bools) -> Bools:
    """(P,) who is in these photos (N,) of the album."""
    return np.asarray(np.bincount(faces.person[photos], minlength=len(faces.people)) > 0)


def _missing(there: Mapping[str, Sequence[str]], here: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The photos `here` that are not `there`, by person."""
    found = {person: tuple(sorted({*photos} - {*there.get(person, ())})) for person, photos in sorted(here.items())}
    return {person: photos for person, photos in found.items() if photos}


def _share(share: Share) -> dict[str, Any]:
    return {"hits": share.hits, "of": share.of, "value": share.value, "low": share.low, "high": share.high}
