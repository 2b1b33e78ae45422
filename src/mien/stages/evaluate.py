"""evaluate: a model against photos whose people are known.

Goes in: photos with the names of the people they show, and a recogniser, which is asked as a user asks it. Comes out:
an `Evaluated`. The probe of a photo is one of its faces, chosen by a rule that does not know the name. People whom the
model does not know are strangers. A photo in which no face was found, or that cannot be read, is a miss if its person
is enrolled and an unnamed stranger if not.

What a guess would decide is set apart, said, and counted in figures of its own: photos that the model was made of, or
copies of them, of which the right answer is known to it; and photos under a name that is nearly somebody's, where the
answers speak for one person whose name was spelt wrongly.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Container, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from mien.errors import EncoderError, PhotoError, UsageError
from mien.learning.copies import FiledPhoto, Learned, LearnedPhotos
from mien.learning.figures import SHARES, Share, counted, counted_at_fpir, expected_calibration_error
from mien.open_album import OpenAlbum
from mien.recogniser import Recogniser
from mien.registry.folder import Model
from mien.storage.layout import TRAINING
from mien.text.answers import EvaluateKind
from mien.text.names import alike_names
from mien.text.words import listed
from mien.types import Answer, Box, Face, Finding, Floats, NamedFace, Photo

Pick = Literal["largest", "centre"]

MOST_RANKED = 100
"""Candidates that are asked for: figures are of the first three, and equals of these."""


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
    among them.

    `findings` are of `EvaluateKind`. `set_apart` probes are in none of these figures; `counting_all` are the same
    figures with them, under the names that they were given, None where there are none."""

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
    findings: tuple[Finding, ...] = ()
    set_apart: int = 0
    counting_all: Evaluated | None = None

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
            "findings": [finding.to_json() for finding in self.findings],
            "set_apart": self.set_apart,
            "counting_all": self.counting_all.to_json() if self.counting_all else None,
        }


class _Probe(NamedTuple):
    """What is kept of a probe and its answer, so that memory does not grow with the people."""

    photo: str
    person: str
    """The name that it was given."""
    best: float
    """The best score; -inf where no face was found."""
    first: str | None
    """Who has the best score, None where no face was found."""
    named: str | None
    """The name given, None for unknown."""
    rank: float
    """The place of the probe's own person among all, after those who score the same; infinity for a stranger and where
    no face was found."""
    probability: float
    """How sure the answer is; nan where no face was found."""
    faces: int
    """The faces that the photo shows."""
    learned: Learned | None
    """The photo that the model was made of, if it is this one or its copy."""
    error: PhotoError | None
    """Why it could not be read."""


def evaluate(
    album: OpenAlbum, recogniser: Recogniser, probes: Sequence[tuple[Path, str]], face: Pick = "largest"
) -> Evaluated:
    """Measures the recogniser's model on (photo, person) `probes`; `face` is the rule that chooses a face of a photo.
    Names are compared as they are, so give both in NFC. Raises UsageError for an unknown rule."""
    if face not in get_args(Pick):
        raise UsageError(face, "is no way to choose a face", f"Choose {listed(get_args(Pick), 'or')}.")
    model = recogniser.model
    learned = _learned(album, model)
    asked: list[_Probe] = []

    progress = album.progress
    progress.start("Evaluating", len(probes))
    with closing(
        recogniser.seen_answers((path for path, _ in probes), top=min(len(model.people), MOST_RANKED))
    ) as answers:
        for (path, person), (answer, embeddings) in zip(probes, answers, strict=True):
            progress.advance()
            if answer.error:
                progress.note(str(answer.error))
            asked.append(_probe(path, person, answer, face, learned, embeddings))
    progress.finish()

    likes, apart = _nearly_known(asked, model.people)
    kept = [probe for probe in asked if not (probe.learned or probe.person in apart)]
    found = _counted(model, face, kept)
    return replace(
        found,
        findings=(*_of_learned(asked, kept), *likes, *_of_several(kept, face)),
        set_apart=len(asked) - len(kept),
        counting_all=_counted(model, face, asked) if len(kept) < len(asked) else None,
    )


def _learned(album: OpenAlbum, model: Model) -> LearnedPhotos:
    """The photos that the model was made of, as its card lists them; where the catalog still knows their faces, their
    copies are known as well."""
    seen: dict[tuple[str, str], FiledPhoto] = {}
    cosines = None
    if album.has_catalog:
        shelf = album.catalog.faces.on([TRAINING], model.encoder_id)
        for file in shelf.files:
            if file.own >= 0:
                one = FiledPhoto(file.person, file.sha256, file.phash, shelf.embeddings[file.own], False)
                seen[file.person, file.sha256] = one
        with suppress(EncoderError):  # nobody knows which faces are of one picture
            cosines = album.cosines_of(model) if seen else None
    return LearnedPhotos(
        [
            seen.get((person, sha256)) or FiledPhoto(person, sha256, "", None, False)
            for person, photos in model.card.photos.items()
            for sha256 in photos
        ],
        cosines,
    )


def _of_learned(asked: Sequence[_Probe], kept: Sequence[_Probe]) -> Iterator[Finding]:
    """What is to be said of probes that the model was made of, and of their copies."""
    by_name: dict[tuple[str, str], list[str]] = {}
    same: list[str] = []
    copies: list[str] = []
    for probe in asked:
        if probe.learned:
            (same if probe.learned.same_file else copies).append(probe.photo)
            if probe.learned.photo.person != probe.person:
                by_name.setdefault((probe.person, str(probe.learned.photo.person)), []).append(probe.photo)
    if not kept and (same or copies):
        yield Finding(EvaluateKind.ALL_SEEN, figures={"photos": len(asked)})
    for kind, photos in ((EvaluateKind.TRAINED_ON, same), (EvaluateKind.COPIES, copies)):
        if photos:
            yield Finding(kind, photos=tuple(photos), figures={"photos": len(photos)})
    for people, photos in by_name.items():
        yield Finding(EvaluateKind.OTHER_NAME, people, tuple(photos), {"photos": len(photos)})


def _nearly_known(asked: Sequence[_Probe], people: Sequence[str]) -> tuple[list[Finding], set[str]]:
    """What is to be said of strangers whose name is nearly that of somebody known, and those of them who are set apart:
    half or more of their photos are most like that person, so that they may be one."""
    known = frozenset(people)
    first: dict[str, list[str | None]] = {}
    for probe in asked:
        if probe.person not in known:
            first.setdefault(probe.person, []).append(probe.first)
    findings: list[Finding] = []
    apart: set[str] = set()
    for person in sorted(first):
        for other in alike_names(person, people):
            photos, alike = len(first[person]), first[person].count(other)
            if 2 * alike >= photos:
                apart.add(person)
            kind = EvaluateKind.NEARLY_KNOWN if 2 * alike >= photos else EvaluateKind.NEARLY_KNOWN_STRANGER
            findings.append(Finding(kind, (person, other), figures={"photos": photos, "alike": alike}))
    return findings, apart


def _of_several(kept: Sequence[_Probe], face: Pick) -> Iterator[Finding]:
    """What is to be said of probes with several faces, of which a rule chose one."""
    several = tuple(probe.photo for probe in kept if probe.faces > 1)
    if several:
        kind = EvaluateKind.LARGEST if face == "largest" else EvaluateKind.CENTRE
        yield Finding(kind, photos=several, figures={"photos": len(several)})


def _counted(model: Model, face: Pick, probes: Sequence[_Probe]) -> Evaluated:
    """What these probes and their answers come to."""
    known = frozenset(model.people)
    people = [probe.person for probe in probes]
    number = {person: place for place, person in enumerate(sorted(set(people)))}
    whose = np.array([number[person] for person in people], np.int64)
    mated = np.array([person in known for person in people], bool)
    best = np.array([probe.best for probe in probes], np.float64)
    rank = np.array([probe.rank for probe in probes], np.float64)
    right, named = mated & (rank == 1), np.array([probe.named is not None for probe in probes], bool)

    def of_mated(hits: NDArray[np.bool_]) -> Share:
        return counted(hits[mated], whose[mated])

    def at_fpir(fpir: float) -> Share:
        return counted_at_fpir(best[mated], right[mated], whose[mated], best[~mated], whose[~mated], fpir)

    sure = np.array([probe.probability for probe in probes], np.float64)
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
        no_face=sum(probe.first is None for probe in probes),
        per_person=_per_person(people, known, right, named),
        people=tuple(sorted({person for person in people if person in known})),
        strangers=tuple(sorted({person for person in people if person not in known})),
        mistakes=tuple(
            Mistake(probe.photo, probe.person, probe.named, probe.best)
            for probe in probes
            if probe.named != (probe.person if probe.person in known else None)
        ),
        failures=tuple((probe.photo, probe.error) for probe in probes if probe.error),
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


def _probe(
    path: Path, person: str, answer: Answer, rule: Pick, learned: LearnedPhotos, embeddings: Sequence[Floats]
) -> _Probe:
    """What is kept of a photo of `person` and its answer, which ranks everybody."""
    photo = answer.photo
    shown = [(vector, _taken_for(one)) for vector, one in zip(embeddings, answer.faces, strict=True)]
    known = learned.find(photo.sha256, photo.phash, shown) if photo else None
    chosen = pick_face(photo, answer.faces, rule) if photo else None
    if chosen is None:
        return _Probe(str(path), person, -math.inf, None, None, math.inf, math.nan, 0, known, answer.error)
    said = chosen.prediction
    own = next((one.score for one in said.candidates if one.person == person), math.inf)
    return _Probe(
        photo=str(path),
        person=person,
        best=said.score,
        first=said.candidates[0].person,
        named=said.person,
        rank=bisect_right(said.candidates, -own, key=lambda one: -one.score) or math.inf,  # they come by falling score
        probability=said.probability,
        faces=len(answer.faces),
        learned=known,
        error=None,
    )


def _taken_for(face: NamedFace) -> str | None:
    """Who scores enough to be named, even if the face is too poor for it."""
    said = face.prediction
    return said.candidates[0].person if said.score >= said.threshold else None


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
