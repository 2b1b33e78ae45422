"""A model of very many people: its index is verified like every file, and it answers as without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.errors import DamagedModelError
from mien.learning import search
from mien.learning.head import FittedHead
from mien.learning.openset import Calibration, identify
from mien.registry import versions
from mien.registry.folder import Draft, Model, load_card, load_index, load_model, packed
from mien.registry.gallery import LargeHead
from mien.types import Floats

PEOPLE = 600
CALIBRATION = Calibration(40.0, 0.005)


@pytest.fixture
def many(draft: Callable[..., Draft], monkeypatch: pytest.MonkeyPatch) -> Draft:
    monkeypatch.setattr(search, "LARGE", PEOPLE - 10)
    random = np.random.default_rng(0)
    rows = random.normal(size=(PEOPLE, 72)) * np.geomspace(1, 0.1, 72) + random.normal(size=72)
    vectors: Floats = np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
    nothing = np.empty((0, 72), np.float32), np.empty(0, np.int64), 1.0, np.empty(0, np.bool_)
    people = tuple(f"person {number:04}" for number in range(PEOPLE))
    head = FittedHead(vectors, None, *nothing)
    return replace(draft(), people=people, head=head, photos={one: [] for one in people}, calibration=CALIBRATION)


def faces(many: Draft) -> np.ndarray:
    rows = many.head.vectors[::20] + 0.02 * np.random.default_rng(1).normal(size=(PEOPLE // 20, 72))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def written(models: Path, many: Draft) -> tuple[Path, Model]:
    folder = models / versions.write(models, many)
    return folder, load_model(folder)


def test_the_index_answers_as_a_look_at_everybody_does(tmp_path: Path, many: Draft) -> None:
    folder, model = written(tmp_path, many)
    assert isinstance(model.head, LargeHead) and not model.head.slow
    assert (folder / "search.npy").stat().st_size == load_card(folder).files["search.npy"].bytes
    rows, rule = faces(many), (model.people, model.threshold, CALIBRATION, 3)
    found = identify(model.head.best(rows, 3, CALIBRATION.temperature), *rule)
    expected = identify(many.head.scores(rows), *rule)
    assert [one.candidates[0].person for one in found] == [one.candidates[0].person for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-6)
        assert one.probability == pytest.approx(other.probability, abs=1e-4)
    np.testing.assert_allclose(model.head.scores(rows), many.head.scores(rows), atol=1e-6)
    np.testing.assert_allclose(model.head.scores_of(rows, 7), many.head.scores(rows)[:, 7], atol=1e-6)


def test_without_faiss_everybody_is_compared(tmp_path: Path, many: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, model = written(tmp_path, many)
    monkeypatch.setattr(search, "is_there", lambda: False)
    bare = load_model(folder)
    assert bare.head.slow
    rows = faces(many)
    found, expected = (one.head.best(rows, 2, 0.02) for one in (bare, model))
    np.testing.assert_array_equal(found.columns[:, 0], expected.columns[:, 0])
    assert bare.head.best(rows[:0], 2, 0.02).columns.shape == model.head.best(rows[:0], 2, 0.02).columns.shape == (0, 2)
    assert "search.npy" not in packed(replace(many, index=None), "2026-01-01-001")[1], "nor is an index built"


def test_somebody_who_was_removed_is_not_found(tmp_path: Path, many: Draft) -> None:
    _, model = written(tmp_path, many)
    rows, gone = many.head.vectors[[3, 50]], {model.people[3]}
    less = model.without(gone)
    found = identify(less.head.best(rows, 1, 0.02), less.people, model.threshold, CALIBRATION, 1)
    assert len(less.people) == PEOPLE - 1
    assert found[0].candidates[0].person not in gone
    assert found[1].candidates[0].person == model.people[50]


def test_an_index_that_is_known_is_written_as_it_is(tmp_path: Path, many: Draft) -> None:
    folder, model = written(tmp_path, many)
    index = load_index(folder, model)
    assert index is not None
    other = index.without_rows(np.array([0])).with_row(0, many.head.vectors[1])
    _, files = packed(replace(many, index=other), "2026-01-01-001")
    assert files["search.npy"] == other.to_bytes() != index.to_bytes()


@pytest.mark.parametrize("how", ["changed", "longer", "gone"])
def test_a_damaged_index_is_a_damaged_model(how: str, tmp_path: Path, many: Draft) -> None:
    folder, _ = written(tmp_path, many)
    file = folder / "search.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(bytes(data) if how == "changed" else bytes(data) + b"\0")
    with pytest.raises(DamagedModelError, match=r"search\.npy"):
        load_model(folder)
