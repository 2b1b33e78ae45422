"""The heads of models that were loaded: whom a face is most like, among a few people or a million.

Up to `mien.learning.search.LARGE` people the model's network scores a face against everybody. In a larger gallery the
version's index says who comes into question, and these are compared exactly; where there is none, or faiss is not here,
everybody is, which takes as many times longer as there are more people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mien.learning.best import blocks
from mien.learning.head import FittedHead, Ints, transformed
from mien.learning.openset import Ranked, ranked
from mien.learning.search import CANDIDATES, Index, drawn
from mien.types import Floats

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class Gallery(Protocol):
    """What a loaded model asks whom a face is like; any number of threads may."""

    @property
    def people(self) -> tuple[str, ...]: ...

    @property
    def dimensions(self) -> int:
        """Numbers in the embeddings that it scores."""
        ...

    @property
    def slow(self) -> bool:
        """Whether it compares a face with very many people, for want of an index or of faiss."""
        ...

    def scores(self, embeddings: Floats) -> Floats:
        """(N, P) float32 for (N, D) float32; see `mien.protocols.Head`."""
        ...

    def scores_of(self, embeddings: Floats, column: int) -> Floats:
        """(N,) float32 for one of the people."""
        ...

    def best(self, embeddings: Floats, top: int, temperature: float) -> Ranked:
        """The `top` best people for each of (N, D) float32 embeddings, fewer where there are fewer."""
        ...

    def without(self, columns: Sequence[int]) -> Gallery:
        """The same without the people of these numbers."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class OnnxHead:
    """The `Head` of a model's folder, which scores everybody."""

    people: tuple[str, ...]
    session: InferenceSession
    columns: tuple[int, ...] | None = None
    """Of the network's scores those that are of `people`; None for all."""

    @property
    def dimensions(self) -> int:
        return int(self.session.get_inputs()[0].shape[1])

    @property
    def slow(self) -> bool:
        return False

    def scores(self, embeddings: Floats) -> Floats:
        (found,) = self.session.run(["scores"], {"embedding": np.ascontiguousarray(embeddings, dtype=np.float32)})
        scores = np.asarray(found, dtype=np.float32)
        return scores if self.columns is None else scores[:, list(self.columns)]

    def scores_of(self, embeddings: Floats, column: int) -> Floats:
        return self.scores(embeddings)[:, column]

    def best(self, embeddings: Floats, top: int, temperature: float) -> Ranked:
        return ranked(self.scores(embeddings), temperature, top)

    def without(self, columns: Sequence[int]) -> OnnxHead:
        gone, before = {*columns}, self.columns or tuple(range(len(self.people)))
        left = [number for number in range(len(self.people)) if number not in gone]
        return OnnxHead(tuple(self.people[one] for one in left), self.session, tuple(before[one] for one in left))


@dataclass(frozen=True, eq=False)
class LargeHead:
    """The head of a model of very many people. `index` is None where everybody is to be compared."""

    people: tuple[str, ...]
    head: FittedHead
    index: Index | None

    @cached_property
    def _drawn(self) -> tuple[Ints, Floats]:
        """People who stand for all, (K,), and their prototypes (K, D)."""
        some = drawn(len(self.people))
        return some, self.head.vectors[some]

    @property
    def dimensions(self) -> int:
        return int(self.head.vectors.shape[1])

    @property
    def slow(self) -> bool:
        return self.index is None

    def scores(self, embeddings: Floats) -> Floats:
        return self.head.scores(embeddings)

    def scores_of(self, embeddings: Floats, column: int) -> Floats:
        return np.asarray(transformed(embeddings, self.head.transform) @ self.head.vectors[column])

    def best(self, embeddings: Floats, top: int, temperature: float) -> Ranked:
        """The `top` best people, of at most `CANDIDATES`. The sum is over these, and over all others as far as
        people drawn for them show: docs/benchmarks.md, "How learning and search grow with faces", says by how much a
        probability is off then."""
        if self.index is None or not len(embeddings):
            width = len(self.people)
            parts = [ranked(self.scores(embeddings[some]), temperature, top) for some in blocks(len(embeddings), width)]
            return (
                Ranked(*map(np.concatenate, zip(*parts, strict=True)))
                if parts
                else ranked(np.empty((0, width)), temperature, top)
            )
        faces = transformed(embeddings, self.head.transform)
        asked = self.index.candidates(faces, min(max(top, CANDIDATES), len(self.people)))
        asked.sort(axis=1)  # of equal scores the earlier person goes first
        scores = np.einsum("nd,nkd->nk", faces, self.head.vectors[asked]).astype(np.float64)
        scores[asked < 0] = -np.inf
        found = ranked(scores, temperature, top)
        rest = (faces @ self._drawn[1].T).astype(np.float64)
        share = np.exp((rest - found.scores[:, :1]) / temperature)
        for row, candidates in enumerate(asked):
            at = np.minimum(np.searchsorted(candidates, self._drawn[0]), len(candidates) - 1)
            share[row, candidates[at] == self._drawn[0]] = 0.0  # they are summed up already
        total = found.total + share.sum(axis=1) * len(self.people) / share.shape[1]
        return found._replace(total=total, columns=np.take_along_axis(asked, found.columns, axis=1))

    def without(self, columns: Sequence[int]) -> LargeHead:
        gone = np.asarray(columns, np.int64)
        kept = np.delete(np.arange(len(self.people)), gone)
        return LargeHead(
            tuple(self.people[one] for one in kept.tolist()),
            replace(self.head, vectors=self.head.vectors[kept]),
            self.index and self.index.without_rows(gone),
        )
