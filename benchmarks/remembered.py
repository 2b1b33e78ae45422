"""What asking again costs: `mien classify` of the same photos a second time, and after one more person was learned.

    python benchmarks/remembered.py [--photos DIR] [--also DIR] [--most 267] [--people 5]

Each command is a process of its own; counted is its CPU time with that of its children. An album learns the first
eight photos of some people in DIR/<person>/, and is asked about others in DIR and in the folder --also, as many as
--most says. Without DIR, sample people are taken. The answers of a run that remembers must be those of a fresh one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from mien.records.asked import remembered

SAMPLE = Path(__file__).parents[1] / "examples/album/people"
LEARNED = 8
"""Photos of each person that are learned from."""


class Run(NamedTuple):
    """What a command took, and what it said."""

    cpu: float
    """Seconds."""
    memory: int
    """Bytes, at the most, of the process itself."""
    said: str


def mien(*words: str | Path) -> Run:
    """Runs a command, which must end well; 6 says that a photo is unreadable."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        before = os.times()
        process = subprocess.Popen([sys.executable, "-m", "mien", *map(str, words)], stdout=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        after = os.times()
        if process.returncode not in (0, 6):
            raise SystemExit(f"mien {words}: {process.returncode}")
        said.seek(0)
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return Run(cpu, usage.ru_maxrss * 1024, said.read())


def photos_by_person(folder: Path) -> dict[str, list[Path]]:
    """The photos of each person, by name."""
    found = {one.name: sorted(file for file in one.iterdir() if file.is_file()) for one in sorted(folder.iterdir())}
    return {person: files for person, files in found.items() if len(files) > LEARNED}


def learn(album: Path, person: str, photos: list[Path]) -> None:
    folder = album / "training-images" / person
    folder.mkdir(parents=True)
    for photo in photos[:LEARNED]:
        shutil.copy(photo, folder)


def answers_of(said: str) -> list[object]:
    """The answers of a run."""
    return [json.loads(line) for line in said.splitlines()]


def measure(people: dict[str, list[Path]], also: list[Path], most: int, number: int, top: Path) -> None:
    album, asked = top / "album", top / "asked"
    others = [photo for files in people.values() for photo in files[LEARNED:]]
    asked.mkdir()
    for place, photo in enumerate([*also, *others][:most]):
        shutil.copy(photo, asked / f"{place:04}{photo.suffix}")
    mien("init", album, "--basis", "measuring")
    first, *more = list(people)[: number + 1]
    for person in more:
        learn(album, person, people[person])
    mien("-C", album, "train")
    words = ("-C", album, "classify", asked, "--json")
    runs = {"first": mien(*words), "again": mien(*words)}
    learn(album, first, people[first])
    mien("-C", album, "train")
    runs["after one more person"] = mien(*words)
    kept = remembered(album / ".mien/catalog-asked.sqlite")
    runs["the same with --forget"] = mien(*words, "--forget")
    fresh = Path(album / ".mien/catalog-asked.sqlite")
    assert remembered(fresh).photos == 0
    fresh.unlink()
    runs["afresh, --forget"] = mien(*words, "--forget")
    answers = [json.loads(line) for line in runs["first"].said.splitlines()]
    faces = sum(len(one["faces"]) for one in answers)
    print(f"{len(answers)} photos, {faces} faces\n")
    print(f"{'run':<24} {'CPU s':>8} {'of the first':>13} {'a photo, ms':>12} {'memory, MB':>11}")
    for name, run in runs.items():
        share = run.cpu / runs["first"].cpu
        each = 1000 * run.cpu / len(answers)
        print(f"{name:<24} {run.cpu:>8.2f} {share:>13.3f} {each:>12.1f} {run.memory / 1e6:>11.0f}")
    print(f"\non the disk: {kept.bytes / 1e6:.2f} MB, {kept.bytes / max(1, kept.photos):,.0f} bytes a photo")
    for one, other in (("first", "again"), ("after one more person", "afresh, --forget")):
        same = answers_of(runs[one].said) == answers_of(runs[other].said)
        print(f"the answers of {one!r} and {other!r} are {'the same' if same else 'NOT THE SAME'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SAMPLE)
    parser.add_argument("--also", type=Path)
    parser.add_argument("--most", type=int, default=267)
    parser.add_argument("--people", type=int, default=5)
    given = parser.parse_args()
    also = sorted(file for file in given.also.rglob("*") if file.is_file()) if given.also else []
    with tempfile.TemporaryDirectory() as folder:
        measure(photos_by_person(given.photos), also, given.most, given.people, Path(folder))


if __name__ == "__main__":
    main()
