"""Which photos of an album are copies of one picture. Pure arithmetic.

Two photos look alike if they are the same bytes or if their perceptual hashes are near (`mien.vision.phash`). That does
not make them copies: a camera on a stand takes many different people in front of one wall, and a group photo lies with
each of its people. So the faces have a say. What looks alike is the same picture if the face of the person under whom
it is filed is the same, too, or if there is no face in either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.learning.head import Ints
from mien.types import Cosines, Floats
from mien.vision.phash import FLAT, near_pairs, near_to, numbers


@dataclass(frozen=True, slots=True, eq=False)
class FiledPhoto:
    """A photo under a person, as far as it takes to tell its copies.

    `phash` is its perceptual hash, "" where nobody has seen the photo yet. `face` (D,) is the unit embedding of the
    person's own face in it, None where there is none or nobody knows which it is; `faceless` says that there is no face
    at all. Photos of the same bytes have the same `phash`.
    """

    person: str | int
    sha256: str
    phash: str
    face: Floats | None
    faceless: bool

    @property
    def look(self) -> str:
        """What photos have in common that look exactly alike. The hash of an empty picture, and that of one which was
        not seen yet, say nothing: only the same bytes are alike then."""
        return self.sha256 if self.phash in ("", FLAT) else self.phash


class Copies:
    """Many photos, of which each can be asked for its copies, and all of them for their pictures.

    The time goes with how many photos look alike: hashes are compared once each, faces by arrays and only among photos
    that look alike.
    """

    def __init__(self, photos: Sequence[FiledPhoto], cosines: Cosines) -> None:
        """All faces are by one encoder, whose `cosines` say from which one on two are the same face."""
        self._least = cosines.same_face
        self._look = [photo.look for photo in photos]
        self._person: Ints = np.unique([photo.person for photo in photos], return_inverse=True)[1]
        self._content: Ints = np.unique([photo.sha256 for photo in photos], return_inverse=True)[1]
        self._faced = np.array([photo.face is not None for photo in photos], bool)
        self._faceless = np.array([photo.faceless for photo in photos], bool)
        faces = [photo.face for photo in photos if photo.face is not None]
        self._face = np.zeros((len(photos), len(faces[0]) if faces else 0), np.float32)
        self._face[self._faced] = faces if faces else 0
        self._alike = _alike(self._look)

    def of(self, number: int) -> Ints:
        """(K,) the other photos that are the same picture as that of this number: first those of the same bytes, then
        the others, each by number.

        Of one person, the same bytes are the same picture whatever is known of the faces.
        """
        others = self._others(number)
        exact: NDArray[np.bool_] = self._content[others] == self._content[number]
        same = self._same_face(number, others) | (self._faceless[others] & self._faceless[number])
        same |= exact & (self._person[others] == self._person[number])
        others, exact = others[same], exact[same]
        return np.asarray(others[np.argsort(~exact, kind="stable")], np.int64)

    def pictures(self) -> Ints:
        """(N,) for each photo the first one that is the same picture as it, or as a copy of it, and so on.

        A photo in which no face was found is the same picture as one that looks alike and has one: a small copy may be
        too small for its face to be found. One of whose faces none was chosen stands alone.
        """
        first = np.full(len(self._look), -1)
        for start in range(len(first)):
            if first[start] >= 0:
                continue
            first[start] = start
            waiting = [start]
            while waiting:
                number = waiting.pop()
                others = self._others(number)
                others = others[first[others] < 0]
                if len(others):
                    others = others[self._may_be_one(number, others)]
                    first[others] = start
                    waiting += others.tolist()
        return first

    def _others(self, number: int) -> Ints:
        others = self._alike[self._look[number]]
        return np.asarray(others[others != number], np.int64)

    def _same_face(self, number: int, others: Ints) -> NDArray[np.bool_]:
        """(K,) whether the person's own face in each of the `others` is known and the same."""
        if not self._faced[number]:
            return np.zeros(len(others), bool)
        return np.asarray(self._faced[others] & (self._face[others] @ self._face[number] >= self._least))

    def _may_be_one(self, number: int, others: Ints) -> NDArray[np.bool_]:
        """(K,) whether each of the `others`, which look alike, is the same picture as far as faces can tell."""
        known = self._faced | self._faceless
        same = self._same_face(number, others) | self._faceless[others] | self._faceless[number]
        return np.asarray(known[number] & known[others] & same)


class Learned(NamedTuple):
    """A photo that was learned from, and whether another one is the same file, or else a copy of its picture."""

    photo: FiledPhoto
    same_file: bool


class LearnedPhotos:
    """The photos that a model was made of, by which a photo from elsewhere is told to be one of them or a copy."""

    def __init__(self, photos: Sequence[FiledPhoto], cosines: Cosines | None) -> None:
        """All faces are by one encoder, whose `cosines` say which are the same; None: nothing is known of the photos
        but their content, and copies are not told."""
        self._by_content = {photo.sha256: photo for photo in reversed(photos)}
        self._faced = [photo for photo in photos if cosines and photo.face is not None]
        self._least = cosines.same_face if cosines else 1.0
        self._hash = numbers([photo.phash or FLAT for photo in self._faced])
        faces = [photo.face for photo in self._faced if photo.face is not None]
        self._face = np.stack(faces) if faces else np.empty((0, 0), np.float32)

    def find(self, sha256: str, phash: str, faces: Sequence[tuple[Floats, str | None]]) -> Learned | None:
        """The photo that was learned from and is the same as another one, which shows these `faces`: each its unit
        embedding (D,) and whom the model takes it for, None for nobody. None if there is no such photo.

        A copy looks alike and shows the learned face, or no face, as it may be too small to be found. The face of a
        small copy is less like the learned one than `Cosines.same_face` asks; it is taken for the same person, and like
        no other learned face as much.
        """
        if sha256 in self._by_content:
            return Learned(self._by_content[sha256], True)
        near = np.flatnonzero(near_to(phash, self._hash)).tolist()
        if near and not faces:
            return Learned(self._faced[near[0]], False)
        for face, person in faces if near else ():
            cosine = self._face @ face
            for row in near:
                is_nearest = self._faced[row].person == person and cosine[row] == cosine.max()
                if is_nearest or cosine[row] >= self._least:
                    return Learned(self._faced[row], False)
        return None


def _alike(looks: Sequence[str]) -> dict[str, Ints]:
    """For each look the photos (K,) that have it or one near it, by number."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, look in enumerate(looks):
        numbers[look].append(number)
    near = {look: [look] for look in numbers}
    hashes = [look for look in numbers if len(look) == len(FLAT)]
    for one, other in near_pairs(hashes):
        near[hashes[one]].append(hashes[other])
        near[hashes[other]].append(hashes[one])
    return {look: np.sort(np.concatenate([numbers[other] for other in some])) for look, some in near.items()}
