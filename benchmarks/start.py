"""How soon a command answers, cold: CPU seconds, beside what mien aims at.

python benchmarks/start.py [--rounds N]

Each command is a fresh process on a small album of the sample people, which is made and trained first. CPU is user and
system time of the process and its threads, wall is what a user waits for; both are medians, the files already in the
system's cache and compiled, as after the first use. The last column names the large libraries that the command loaded.
Linux and macOS only.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from protocol import machine

SAMPLE = Path(__file__).parents[1] / "examples" / "album" / "people"
PEOPLE, PHOTOS = 4, 4
HEAVY = ("typer", "rich", "numpy", "cv2", "PIL", "pydantic", "onnxruntime", "sqlalchemy", "onnx")


class Start(NamedTuple):
    """A command as it is shown and as it is run for the nth time, and the CPU seconds it may take; None where nothing
    was promised."""

    shown: str
    words: Callable[[int], Sequence[str]]
    aim: float | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each command (default 5)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        album, photo = Path(folder, "album"), Path(folder, "one.jpg")
        new = sorted((SAMPLE / "Zane").glob("*.jpg"))  # a photo for each time, as none is learned twice
        make_album(album)
        shutil.copy(SAMPLE / "Amara" / "20.jpg", photo)
        print(f"{machine()}\n")
        print(f"{'command':<24} {'CPU s':>6} {'aim':>5} {'wall s':>7}  loads")
        for start in (
            Start("mien --help", lambda _: ["--help"], 0.3),
            Start("mien status", lambda _: ["-C", str(album), "status"], None),
            Start("mien classify one.jpg", lambda _: ["-C", str(album), "classify", str(photo)], 1.2),
            Start("mien add --enrol", lambda n: ["-C", str(album), "add", "--enrol", "New", str(new[n])], None),
        ):
            cpu, wall = seconds(start.words, rounds)
            libraries = ", ".join(loaded(start.words(rounds)))
            print(f"{start.shown:<24} {cpu:>6.2f} {start.aim or '-':>5} {wall:>7.2f}  {libraries}")
    return 0


def make_album(album: Path) -> None:
    """A trained album of a few photos each of a few sample people."""
    mien(["init", str(album), "--basis", "rendered people"])
    for person in sorted(SAMPLE.iterdir())[:PEOPLE]:
        folder = album / "training-images" / person.name
        folder.mkdir()
        for photo in sorted(person.glob("*.jpg"))[:PHOTOS]:
            shutil.copy(photo, folder)
    mien(["-C", str(album), "train"])


def seconds(words: Callable[[int], Sequence[str]], rounds: int) -> tuple[float, float]:
    """Median CPU and wall seconds of a command."""
    cpu, wall = [], []
    for number in range(rounds):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        mien(words(number))
        wall.append(time.monotonic() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(cpu), statistics.median(wall)


def loaded(words: Sequence[str]) -> list[str]:
    """Those of the large libraries that a command imports."""
    log = mien(words, "-X", "importtime")
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in log.splitlines() if "import time:" in line}
    return [name for name in HEAVY if name in names]


def mien(words: Sequence[str], *python: str) -> str:
    """Runs a command in a process of its own and returns its standard error."""
    command = [sys.executable, *python, "-m", "mien", *words]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8", env=environment)
    return done.stderr


if __name__ == "__main__":
    sys.exit(main())
