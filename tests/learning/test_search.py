"""The index of a large gallery: what it finds, how it changes, and what it refuses to be read from."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest

from mien.learning.search import Index, build

PEOPLE = 4000


def gallery() -> np.ndarray:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(PEOPLE, 96)) * np.geomspace(1, 0.1, 96) + random.normal(size=96)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return gallery()


@pytest.fixture(scope="module")
def index(vectors: np.ndarray) -> Index:
    return build(vectors)


def probes(vectors: np.ndarray) -> np.ndarray:
    rows = vectors[::40] + 0.02 * np.random.default_rng(1).normal(size=(100, 96)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_the_best_is_among_the_candidates(index: Index, vectors: np.ndarray) -> None:
    faces = probes(vectors)
    best = (faces @ vectors.T).argmax(axis=1)
    found = index.candidates(faces, 100)
    assert np.mean((found == best[:, None]).any(axis=1)) >= 0.99
    assert ((found >= -1) & (found < PEOPLE)).all()


def test_the_same_people_give_the_same_bytes(index: Index, vectors: np.ndarray) -> None:
    assert build(vectors).to_bytes() == index.to_bytes()


def test_what_was_written_is_read_back(index: Index, vectors: np.ndarray) -> None:
    again = Index.of_bytes(index.to_bytes(), PEOPLE, 96)
    assert again.to_bytes() == index.to_bytes()
    np.testing.assert_array_equal(again.candidates(vectors[:5], 20), index.candidates(vectors[:5], 20))


def test_enrolling_adds_a_code_and_removing_takes_one_away(index: Index, vectors: np.ndarray) -> None:
    less = index.without_rows(np.array([7]))
    assert len(less) == PEOPLE - 1
    assert index.without_rows(np.array([7])).with_row(7, vectors[7]).to_bytes() == index.to_bytes()
    assert 6 in less.candidates(vectors[6:7], 20) and 7 in less.candidates(vectors[8:9], 20), "others keep their codes"


def arrays(index: Index) -> list[np.ndarray]:
    file = io.BytesIO(index.to_bytes())
    return [np.load(file, allow_pickle=False) for _ in range(6)]


def packed(parts: list[np.ndarray]) -> bytes:
    file = io.BytesIO()
    for part in parts:
        np.save(file, part, allow_pickle=part.dtype == object)
    return file.getvalue()


HOSTILE: dict[str, Callable[[list[np.ndarray]], list[np.ndarray]]] = {
    "nothing": lambda parts: parts[:0],
    "one missing": lambda parts: parts[:5],
    "one more": lambda parts: [*parts, parts[0]],
    "a list that is not there": lambda parts: [*parts[:4], np.full_like(parts[4], 1 << 30), parts[5]],
    "a list before the first": lambda parts: [*parts[:4], parts[4] - 1000, parts[5]],
    "too few people": lambda parts: [*parts[:4], parts[4][1:], parts[5][1:]],
    "codes of another size": lambda parts: [*parts[:5], parts[5][:, 1:]],
    "not a number": lambda parts: [parts[0] * np.nan, *parts[1:]],
    "other floats": lambda parts: [parts[0].astype(np.float64), *parts[1:]],
    "no lists": lambda parts: [*parts[:2], parts[2][:0], *parts[3:]],
    "objects": lambda parts: [np.array([{}], object), *parts[1:]],
}


@pytest.mark.parametrize("how", HOSTILE)
def test_nothing_else_is_taken_for_an_index(how: str, index: Index) -> None:
    with pytest.raises(ValueError):
        Index.of_bytes(packed(HOSTILE[how](arrays(index))), PEOPLE, 96)


@pytest.mark.parametrize("data", [b"", b"faiss", b"\x93NUMPY\x01\x00\xff\xff"])
def test_bytes_that_are_no_arrays(data: bytes) -> None:
    with pytest.raises(ValueError):
        Index.of_bytes(data, PEOPLE, 96)


def test_an_array_that_claims_to_be_huge_is_not_made(index: Index) -> None:
    file = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
    np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(ValueError):
        Index.of_bytes(file.getvalue() + index.to_bytes(), PEOPLE, 96)
