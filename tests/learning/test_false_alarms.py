"""False alarms by person: counted by hand, and in any number of parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mien.learning import best
from mien.learning.crossval import HeldOut
from mien.learning.false_alarms import count_bystanders, count_masked
from mien.learning.head import FittedHead
from mien.types import Floats


def head(people: int = 3, exemplars: int = 0) -> FittedHead:
    """A head by which each person is an axis."""
    axes = np.eye(people, dtype=np.float32)
    owner = np.arange(exemplars, dtype=np.int64) % people
    owner.sort()
    return FittedHead(axes, None, axes[owner], owner, 0.5 if exemplars else 1.0, np.ones(people, bool))


def test_masked_faces_are_counted_for_whom_they_would_be_taken() -> None:
    """Of five masked faces two reach the threshold for person 2, one of them just so; one has no rival at all."""
    rivals = np.array([[0.9, 0.1], [0.8, 0.7], [0.79, 0.2], [0.95, 0.9], [-np.inf, -np.inf]], np.float32)
    held = HeldOut(np.full(5, 0.9, np.float32), rivals, np.array([2, 2, 2, 0, -1]))
    assert count_masked(held, 4, float(np.float32(0.8))).tolist() == [1, 0, 2, 0]
    alone = HeldOut(np.full(2, 0.9, np.float32), np.empty((2, 0), np.float32), np.full(2, -1))
    assert count_masked(alone, 1, 0.8).tolist() == [0], "nobody else is there to be taken for"


def test_bystanders_are_counted_for_whom_they_would_be_taken() -> None:
    faces = np.array([[3, 0, 0.1], [0, 1, 0.9], [1, 1, 1], [0, 0, -1], [1, 0, 0]], np.float32)
    for parts in ([faces], [faces[:2], faces[2:2], faces[2:]]):
        named, seen = count_bystanders(head(), parts, 0.7)
        assert (named.tolist(), seen) == ([2, 1, 0], 5)
    assert count_bystanders(head(), [], 0.7)[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("exemplars", [0, 30])
def test_one_part_at_a_time_is_held_and_scored_in_bounds(exemplars: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many bystanders there are, and however large a part is."""
    monkeypatch.setattr(best, "BLOCK", 300)
    monkeypatch.setattr(best, "ROWS", 1)
    asked: list[int] = []
    scores = FittedHead.scores

    def watched(self: FittedHead, embeddings: Floats) -> Floats:
        asked.append(len(embeddings))
        return scores(self, embeddings)

    monkeypatch.setattr(FittedHead, "scores", watched)

    def parts() -> Iterator[Floats]:
        for number in range(20):
            assert sum(asked) == 101 * number, "a part was fetched before the last was done with"
            yield np.tile(np.eye(10, dtype=np.float32)[number % 10], (101, 1))

    named, seen = count_bystanders(head(10, exemplars), parts(), 0.9)
    assert (named.tolist(), seen) == ([202] * 10, 2020)
    assert max(asked) * max(10, exemplars) <= 300
