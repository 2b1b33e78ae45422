"""The daily loop, killed at five seeded points of three simulated days; benchmarks/chaos.py does fifty."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def chaos(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("chaos")


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL")
def test_three_days_end_the_same_wherever_they_are_killed(
    chaos: Any, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = chaos.chaos(tmp_path, sample / "people", runs=5, seed=20261124, days=3, people=5, per_day=3)
    out = capsys.readouterr().out
    assert bad == 0, out
    assert out.count("killed at") == 5 and "killed at nothing" not in out, out


def test_a_difference_is_seen(chaos: Any) -> None:
    calm = {"files": {"a": "1", "b": "2"}, "faces": [(1,)]}
    assert chaos.differences(calm, calm) == []
    assert len(chaos.differences(calm, {"files": {"a": "1"}, "faces": [(1,), (2,)]})) == 2
