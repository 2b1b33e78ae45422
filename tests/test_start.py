"""What `--help` and `classify` must not import, so that they start at once; each run in a fresh interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PEOPLE = Path(__file__).resolve().parent.parent / "examples/album/people"


def run(*arguments: str | Path) -> set[str]:
    """Run `python -m mien` with `arguments` and return the top-level names of everything it imported."""
    command = [sys.executable, "-X", "importtime", "-m", "mien", *map(str, arguments)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    assert result.returncode == 0, "\n".join(line for line in result.stderr.splitlines() if line not in lines)
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained album of two people with three photos each."""
    folder = tmp_path_factory.mktemp("start") / "album"
    run("init", folder, "--basis", "rendered people")
    for person in ("Amara", "Erik"):
        (folder / "training-images" / person).mkdir(parents=True)
        for photo in sorted((PEOPLE / person).iterdir())[:3]:
            shutil.copy(photo, folder / "training-images" / person)
    run("-C", folder, "train")
    return folder


def test_help_imports_no_library_that_computes() -> None:
    imported = run("--help")
    assert "typer" in imported  # the list is read rightly
    assert imported & {"numpy", "cv2", "onnxruntime", "sqlalchemy", "PIL", "scipy", "onnx"} == set()


def test_classify_imports_no_library_for_training(album: Path) -> None:
    imported = run("-C", album, "classify", PEOPLE / "Amara/20.jpg")
    assert {"numpy", "onnxruntime"} <= imported
    assert imported & {"sqlalchemy", "scipy", "onnx", "sklearn", "matplotlib", "pydantic_settings"} == set()
