"""A minute of load with swaps of the model: no request is lost, and memory stays flat (benchmarks/serve.py --load has
half an hour, without a rest between)."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_a_minute_of_load_loses_nothing_while_models_change(sample: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        serve = importlib.import_module("serve")
    folder, files = serve.album_of(sample / "people", tmp_path)
    found = serve.load(folder, [file.read_bytes() for file in files], seconds=60, swap_seconds=6, rest=0.2)
    assert set(found.statuses) == {200} and found.statuses[200] > 10
    assert found.swaps >= 2
    half = found.resident[len(found.resident) // 2 :]
    assert max(half) - half[0] < 100 << 20, "memory of the second half"
