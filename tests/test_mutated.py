"""Two thousand damaged photos of every format: none kills or holds up a run, none fails but as what it is."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mien.engines import children

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Any]:
    """benchmarks/mutated.py, whose full form takes a million."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        children._end_all()  # those that are there do not find it
        yield importlib.import_module("mutated")
    children._end_all()


@pytest.fixture(scope="module")
def photos(benchmark: Any) -> dict[str, bytes]:
    made: dict[str, bytes] = benchmark.seeds(64)
    return made


def test_the_whole_photos_are_read(benchmark: Any, photos: dict[str, bytes]) -> None:
    outcomes = benchmark.tried(iter(photos.items()))
    assert {name: dict(counts) for name, counts in outcomes.counts.items()} == {name: {"picture": 1} for name in photos}


def test_damaged_ones_end_as_what_they_are(benchmark: Any, photos: dict[str, bytes]) -> None:
    outcomes = benchmark.tried(benchmark.mutated(photos, 2000, seed=11))
    assert outcomes.wrong == []
    assert sum(counts.total() for counts in outcomes.counts.values()) == 2000
    if sys.platform == "linux":
        assert benchmark.most_memory() < 1_000_000_000


def test_the_command_answers_for_each(benchmark: Any, photos: dict[str, bytes]) -> None:
    assert benchmark.through_the_command(list(benchmark.mutated(photos, 40, seed=12))) == []
