"""What do engines cost: photos a second, CPU and memory with threads and with Dask, and with how many workers?

    python benchmarks/engines.py [--photos 96] [--workers 1 2 4]

The photos of `examples/album` are aligned from nothing, each time in a new process: by local threads, one for each of
the `--workers`, and by as many workers of Dask, which are started for it. Start-up is the time until the first photo is
seen, less what a photo takes then. Efficiency is photos a second over those of one worker of the same engine, by as
many as can run: workers, or cores where there are fewer. CPU is that of all processes, start included, and memory is
what they have of their own (USS) at most. The catalogs of all runs have to say the same.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]

from mien import Album
from mien.engines.threads import usable_cores

PEOPLE = Path(__file__).resolve().parent.parent / "examples/album/people"
EVERY = 0.2
"""Seconds between two looks at the memory."""
PROGRAM = """
import sys, time
from mien import Album

class Told:
    def start(self, title, total): self.title, self.done = title, 0
    def advance(self, steps=1):
        if self.title.startswith("Looking"): print("seen", time.time(), flush=True)
    def note(self, line): pass
    def finish(self): pass

if __name__ == "__main__":
    Album(sys.argv[1], progress=Told(), engine=sys.argv[2], workers=int(sys.argv[3])).align()
"""


class Cost(NamedTuple):
    """Seconds until the first photo, photos a second from then on, seconds in all, seconds of CPU, and bytes."""

    start: float
    rate: float
    seconds: float
    cpu: float
    memory: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=96)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    asked = parser.parse_args()
    found, seen = dict[tuple[str, int], Cost](), set[str]()
    print(f"{asked.photos} photos, {usable_cores()} cores, load before {os.getloadavg()[0]:.1f}\n")
    print("| engine | workers | start, s | photos/s | efficiency | CPU/photo, s | memory, MB | in all, s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory(prefix="mien-engines-") as folder:
        for engine, workers in product(("local", "dask"), asked.workers):
            album = make_album(Path(folder, f"{engine}-{workers}"), asked.photos)
            cost = found[engine, workers] = measured(album, engine, workers)
            seen.add(content(album))
            one = found[engine, asked.workers[0]].rate / asked.workers[0]
            print(
                f"| {engine} | {workers} | {cost.start:.1f} | {cost.rate:.2f}"
                f" | {cost.rate / (one * min(workers, usable_cores())):.0%} | {cost.cpu / asked.photos:.3f}"
                f" | {cost.memory / 1e6:.0f} | {cost.seconds:.1f} |",
                flush=True,
            )
    assert len(seen) == 1, "the catalogs differ"
    print("\nall catalogs say the same")


def make_album(folder: Path, photos: int) -> Path:
    Album.create(folder, "rendered people, who do not exist")
    for photo in sorted(PEOPLE.glob("*/*.jpg"))[:photos]:
        person = folder / "training-images" / photo.parent.name
        person.mkdir(exist_ok=True)
        shutil.copy2(photo, person)
    return folder


def measured(album: Path, engine: str, workers: int) -> Cost:
    program = album.with_suffix(".py")
    program.write_text(PROGRAM)
    begin = time.time()
    before = os.times()
    with subprocess.Popen(
        [sys.executable, str(program), str(album), engine, str(workers)], stdout=subprocess.PIPE
    ) as run:
        assert run.stdout
        memory, cpu = 0, dict[int, float]()
        os.set_blocking(run.stdout.fileno(), False)
        said = b""
        while run.poll() is None:
            said += run.stdout.read() or b""
            memory = max(memory, look(run.pid, cpu))
            time.sleep(EVERY)
        said += run.stdout.read() or b""
    end = time.time()
    times = [float(line.split()[1]) for line in said.decode().splitlines()]
    assert run.returncode == 0 and times, said
    spent = os.times()
    used = spent.children_user + spent.children_system - before.children_user - before.children_system
    rate = (len(times) - 1) / max(times[-1] - times[0], 1e-9)
    return Cost(times[0] - begin - workers / rate, rate, end - begin, max(used, sum(cpu.values())), memory)


def look(process: int, cpu: dict[int, float]) -> int:
    """The memory that the process and its children have of their own; their seconds of CPU so far go into `cpu`."""
    memory = 0
    try:
        root = psutil.Process(process)
        for one in [root, *root.children(recursive=True)]:
            try:
                memory += one.memory_full_info().uss
                times = one.cpu_times()
                cpu[one.pid] = times.user + times.system
            except psutil.Error:
                continue
    except psutil.Error:
        pass
    return memory


def content(album: Path) -> str:
    """A hash of what the catalog says of the photos."""
    query = (
        "SELECT sha256, number, x0, y0, x1, y1, landmarks, detector_score, embedding FROM faces ORDER BY sha256, number"
    )
    with closing(sqlite3.connect(album / ".mien/catalog.sqlite")) as catalog:
        return hashlib.sha256(repr(catalog.execute(query).fetchall()).encode()).hexdigest()


if __name__ == "__main__":
    main()
