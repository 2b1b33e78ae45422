"""The daily loop, killed at five seeded points of three simulated days, and commands killed, or refused the disk, at
seeded file operations; benchmarks/chaos.py does fifty, and all."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def chaos(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("chaos")


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL")
def test_three_days_end_the_same_wherever_they_are_killed(sample: Path) -> None:
    words = [sys.executable, str(ROOT / "benchmarks/chaos.py"), "--photos", str(sample / "people"), "--runs", "5"]
    words += ["--seed", "20261124", "--days", "3", "--people", "5", "--no-verbs", "--recall"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # forks: this process has threads
    out = done.stdout
    assert done.returncode == 0, out + done.stderr
    assert out.count("killed at") == 5 and "killed at nothing" not in out, out


def test_a_difference_is_seen(chaos: Any) -> None:
    calm = {"files": {"a": "1", "b": "2"}, "faces": [(1,)]}
    assert chaos.differences(calm, calm) == []
    assert len(chaos.differences(calm, {"files": {"a": "1"}, "faces": [(1,), (2,)]})) == 2


def test_of_the_versions_the_one_in_use_can_be_compared_alone(chaos: Any, tmp_path: Path) -> None:
    verbs = importlib.import_module("chaos_verbs")

    def world(name: str, versions: dict[str, str], in_use: str) -> Any:
        """Versions, each with what its labels say, and the one in use."""
        made = verbs.World(tmp_path / name)
        for version, labels in versions.items():
            (made.album / "models" / version).mkdir(parents=True)
            (made.album / "models" / version / "card.json").write_text("{}")
            (made.album / "models" / version / "labels.txt").write_text(labels)
        (made.album / "models/current").write_text(f"{in_use}\n")
        return made

    calm = world("calm", {"2026-03-02-002": "Ada", "2026-03-02-003": "Bo"}, "2026-03-02-003")
    one_less = world("one less", {"2026-03-02-002": "Bo"}, "2026-03-02-002")
    other = world("other", {"2026-03-02-002": "Ada"}, "2026-03-02-002")
    of_calm, of_one_less, of_other = (verbs.outcome(each, in_use=True) for each in (calm, one_less, other))
    assert verbs.differences(of_calm, of_one_less) == []
    assert verbs.differences(of_calm, of_other) != []
    assert verbs.differences(verbs.outcome(calm), verbs.outcome(one_less)) != []


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no fork")
def test_commands_end_the_same_wherever_they_are_killed_or_the_disk_is_full() -> None:
    words = [sys.executable, str(ROOT / "benchmarks/chaos_verbs.py"), "--seed", "478", "--cases", "4", "--each", "5"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # forks: this process has threads
    assert done.returncode == 0 and "disturbed runs ended the same" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no fork")
def test_a_server_that_is_killed_loses_nothing_that_it_acknowledged() -> None:
    words = [sys.executable, str(ROOT / "benchmarks/chaos_serve.py"), "--seed", "1126", "--cases", "2", "--each", "2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # forks: this process has threads
    assert done.returncode == 0 and "4 kills of a server lost nothing" in done.stdout, done.stdout + done.stderr


def test_chaos_says_of_every_command_how_it_is_run(chaos: Any) -> None:
    verbs = importlib.import_module("chaos_verbs")
    assert verbs.verbs() == verbs.CASES.keys()
