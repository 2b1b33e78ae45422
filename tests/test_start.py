"""What `--help` and `classify` must not import, so that they start at once; each run in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def imported_by(*arguments: str | Path) -> set[str]:
    """Runs `python -m mien` with `arguments` and returns the top-level names of everything that it imported."""
    command = [sys.executable, "-X", "importtime", "-m", "mien", *map(str, arguments)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    assert result.returncode == 0, "\n".join(line for line in result.stderr.splitlines() if line not in lines)
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


TRAINING = {"sqlalchemy", "onnx", "sklearn", "matplotlib", "pydantic_settings", "filelock", "psutil", "jinja2"}


def test_help_imports_no_library_but_that_of_the_command_line() -> None:
    imported = imported_by("--help")
    assert "typer" in imported  # the list is read rightly
    assert imported & (TRAINING | {"numpy", "cv2", "onnxruntime", "PIL", "pydantic", "rich"}) == set()


def test_classify_imports_no_library_for_training(trained_album: Path, sample: Path) -> None:
    imported = imported_by("-C", trained_album, "classify", sample / "people/Amara/20.jpg")
    assert {"numpy", "onnxruntime"} <= imported
    assert imported & (TRAINING | {"rich"}) == set()
