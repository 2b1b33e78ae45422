"""The README is run as it stands: its shell story and its Python, with sample photos in the place of yours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
STORY = re.search(r"## The whole story\n\n((?:    .+\n)+)", README)
PYTHON = re.search(r"```python\n(.+?)```", README, re.DOTALL)
BASH = shutil.which("bash")


@pytest.fixture
def desk(tmp_path: Path, sample: Path) -> Path:
    """A folder in which the README's files lie: photos/<person>/, more-photos/<person>/, ada-1.jpg, ada-2.jpg,
    party.jpg."""
    for person in ("Amara", "Erik"):
        shots = sorted((sample / "people" / person).glob("*.jpg"))
        for folder, chosen in (("photos", shots[:3]), ("more-photos", shots[-1:])):
            (tmp_path / folder / person).mkdir(parents=True)
            for photo in chosen:
                shutil.copy(photo, tmp_path / folder / person)
    for number in (1, 2):
        shutil.copy(sample / f"people/Amara/0{number}.jpg", tmp_path / f"ada-{number}.jpg")
    shutil.copy(sample / "groups/05.jpg", tmp_path / "party.jpg")
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    """What `command` prints, the mien of this Python being on the path; it must succeed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "MIEN_VIEWS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(os.name == "nt" or BASH is None, reason="the story is written for a shell of Linux or macOS")
def test_the_shell_story_runs_as_written(desk: Path) -> None:
    assert STORY and BASH
    output = run([BASH, "-e", "-c", STORY[1]], desk)
    assert "is now in use: 2 people, 6 photos" in output
    assert "2 of 2 people it knows" in output
    assert "party.jpg  4 faces, left to right" in output
    assert output.splitlines()[-1] == "stale       nothing"
    assert (desk / "out/party.jpg").is_file()


def test_the_python_runs_as_written_and_runs_twice(desk: Path) -> None:
    assert PYTHON
    for time in ("first", "second"):
        output = run([sys.executable, "-c", PYTHON[1]], desk)
        assert re.fullmatch(r"party\.jpg: (Ada >?\d+ %|unknown)(, (Ada >?\d+ %|unknown)){3}\n", output), (time, output)


def test_the_docstring_of_the_package_tells_the_same() -> None:
    import mien

    assert PYTHON and mien.__doc__
    assert "\n".join(line.strip() for line in PYTHON[1].splitlines()) in "\n".join(
        line.strip() for line in mien.__doc__.splitlines()
    )


def test_scripts_and_picture_are_there() -> None:
    for script in re.findall(r"\bscripts/\w+", README):
        assert (ROOT / script).is_file(), script
    assert (ROOT / "docs/demo.jpg").stat().st_size < 120_000
