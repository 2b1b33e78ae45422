"""Two thousand damaged files of every format: each is read, or refused by name; benchmarks/mutated.py has a million."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def benchmark() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("mutated")


def test_whatever_is_damaged_is_read_or_refused(benchmark: Any) -> None:
    came = Counter(benchmark.outcome(data) for _, data in benchmark.mutated(range(2000), 1))
    assert not [each for each in came if each.startswith("WRONG")], came
    assert came["read"] > 300, came
    assert came.total() - came["read"] > 600, came
