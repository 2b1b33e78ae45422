"""What tools/fit_defaults.py prints is a table for an encoder's description."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import numpy as np

from mien.types import Cosines

TOOL = Path(__file__).resolve().parents[2] / "tools/fit_defaults.py"


def run(folder: Path, people: int) -> subprocess.CompletedProcess[str]:
    random = np.random.default_rng(0)
    faces = np.repeat(random.normal(size=(people, 32)), 4, axis=0) + random.normal(size=(4 * people, 32))
    unit = np.asarray(faces / np.linalg.norm(faces, axis=1, keepdims=True), np.float32)
    np.savez(folder / "set.npz", emb=unit, person=np.repeat([f"person {n}" for n in range(people)], 4))
    return subprocess.run([sys.executable, TOOL, folder / "set.npz"], capture_output=True, text=True, check=False)


def test_it_prints_a_table_with_every_figure(tmp_path: Path) -> None:
    found = run(tmp_path, 12)
    assert found.returncode == 0
    table = tomllib.loads(found.stdout)["cosines"]
    assert set(table) == {field.name for field in fields(Cosines)} - {"normalised"} and len(table["curve"]) == 4
    assert "# Measured on 48 faces of 12 people" in found.stdout and "too few people for its bend" in found.stdout


def test_too_few_people_are_a_sentence(tmp_path: Path) -> None:
    found = run(tmp_path, 4)
    assert found.returncode == 1 and not found.stdout
    assert found.stderr == "Nothing was measured: 4 people with three photos or more, of 5 at least\n"
