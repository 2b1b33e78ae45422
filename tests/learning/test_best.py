"""The few best of very many, beside a table that is sorted as a whole."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import threadpoolctl  # type: ignore[import-untyped]

from mien.learning import best
from mien.learning.best import Among, best_of, blocks, with_each


@pytest.mark.parametrize("width", [1, 40, 1000])
@pytest.mark.parametrize("count", [1, 3])
def test_the_best_come_first_and_of_equals_the_earlier(width: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best, "SORTED", 100)
    scores = np.random.default_rng(0).integers(0, 30, (50, width)).astype(np.float32)  # with many equals
    scores[:5, ::2] = -np.inf
    count = min(count, width)
    found = best_of(scores, count)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(found.columns, expected)
    np.testing.assert_array_equal(found.values, np.take_along_axis(scores, expected, axis=1))


@pytest.mark.parametrize("columns", [1, 1000, 100_000, 10_000_000])
def test_blocks_hold_all_rows_once_and_little_at_a_time(columns: int) -> None:
    parts = blocks(1000, columns)
    assert [row for part in parts for row in range(1000)[part]] == list(range(1000))
    assert max(part.stop - part.start for part in parts) * columns <= best.MORE * max(best.BLOCK, columns)


def alike_people(people: int, faces: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of people who resemble each other in a few directions, faces of some of them, and whose."""
    random = np.random.default_rng(1)
    vectors = random.normal(size=(people, 8)) @ random.normal(size=(8, 32)) + random.normal(size=32)
    whose = random.integers(people, size=faces)
    rows = vectors[whose] + 0.3 * random.normal(size=(faces, 32))
    return (
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        rows / np.linalg.norm(rows, axis=1, keepdims=True),
        whose,
    )


@pytest.mark.parametrize("count", [1, 4])
def test_lists_find_nearly_what_all_products_find(count: int) -> None:
    vectors, rows, whose = alike_people(3000, 500)
    but = np.where(np.arange(500) % 2, whose, -1)
    every, listed = (Among(vectors, exact).nearest(rows, but, count) for exact in (True, False))
    assert np.mean(every.columns[:, 0] == listed.columns[:, 0]) > 0.95
    same = every.columns == listed.columns
    np.testing.assert_allclose(listed.values[same], every.values[same], atol=1e-12)
    assert (np.diff(listed.values, axis=1) <= 0).all(), "best first"
    assert not (listed.columns == but[:, None]).any() and not (every.columns == but[:, None]).any()


@pytest.mark.parametrize("exact", [True, False])
def test_where_there_is_nobody_else_nothing_is_found(exact: bool) -> None:
    vectors = np.eye(3)[:2]
    found = Among(vectors, exact).nearest(vectors, np.arange(2), 4)
    assert np.isfinite(found.values).sum(axis=1).tolist() == [1, 1]
    assert found.columns[:, 0].tolist() == [1, 0]
    assert (Among(vectors[:1], exact).nearest(vectors[:1], np.zeros(1, np.int64)).values == -np.inf).all()


@pytest.mark.parametrize("count", [1, 4])
def test_threads_find_what_one_finds(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, rows, whose = alike_people(3000, 500)
    monkeypatch.setattr(best, "AT_ONCE", 64)
    found = []
    for threads in (1, 4):
        monkeypatch.setattr(best, "THREADS", threads)
        found.append(Among(vectors, False).nearest(rows, whose, count))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_error_in_a_part_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        with_each(blocks(1000, 100_000), lambda part: 1 // (part.start == 0))


def test_products_have_all_cores_again_whoever_ends_last() -> None:
    def limits() -> list[int]:
        """Of libraries whose limit is the whole process's, numpy's above all."""
        found = threadpoolctl.threadpool_info()
        return [
            one["num_threads"] for one in found if one["user_api"] == "blas" and one.get("threading_layer") != "openmp"
        ]

    before, together = limits(), threading.Barrier(2)

    def work(part: slice) -> None:
        assert limits() == [1] * len(before)

    def run(_: int) -> None:
        together.wait(60)
        with_each(blocks(1000, 100_000), work)

    with ThreadPoolExecutor(2) as two:
        for _ in range(10):
            list(two.map(run, range(2)))
            assert limits() == before
