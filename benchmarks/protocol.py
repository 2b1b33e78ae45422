"""What the benchmarks share: the protocols, LFW's pairs, and mien's command line run as users do.

The protocols are those under which figures can be compared, so nothing here has a dial: no probe is edited or left
out, wrong labels included.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from mien.encoders.shelf import best, kept
from mien.settings import VIEWS
from mien.types import EncoderChoice

DATA = Path(__file__).resolve().parents[2] / "shared/data"
"""Photos of real people to measure on. They are not ours to give away, so they lie beside the project."""

ENOUGH, FIRST = 20, 10
"""Who has this many photos is enrolled, with this many of them."""


class Split(NamedTuple):
    """The photos of a set as the identification protocol divides them; every photo is in one of the three."""

    people: tuple[str, ...]
    enrolled: tuple[Path, ...]
    mated: tuple[Path, ...]
    strangers: tuple[Path, ...]


def split(folder: Path) -> Split:
    """Of everyone in `folder` with 20 or more photos the first 10 by file name are enrolled and the others mated
    probes; everyone else is a stranger."""
    people: list[str] = []
    enrolled: list[Path] = []
    mated: list[Path] = []
    strangers: list[Path] = []
    for person in sorted(path for path in folder.iterdir() if path.is_dir()):
        photos = sorted(person.iterdir())
        if len(photos) >= ENOUGH:
            people.append(person.name)
            enrolled += photos[:FIRST]
            mated += photos[FIRST:]
        else:
            strangers += photos
    return Split(tuple(people), tuple(enrolled), tuple(mated), tuple(strangers))


class Pair(NamedTuple):
    """Two photos of LFW, whether they show the same person, and the fold they belong to."""

    one: Path
    other: Path
    same: bool
    fold: int


def read_pairs(file: Path, photos: Path) -> list[Pair]:
    """LFW's list of pairs (`pairs.txt` of Huang et al. 2007): a line "folds pairs", then for each fold so many pairs of
    the same person (name, number, number) and as many of two (name, number, name, number); parted by tabs."""
    heading, *lines = file.read_text("utf-8").splitlines()
    folds, per_fold = (int(word) for word in heading.split())
    if len(lines) != 2 * folds * per_fold:
        raise ValueError(f"{file}: {len(lines)} pairs, and its first line promises {2 * folds * per_fold}")
    pairs = []
    for number, line in enumerate(lines):
        match line.split("\t"):
            case [person, one, other]:
                people, same = (person, person), True
            case [person, one, stranger, other]:
                people, same = (person, stranger), False
            case _:
                raise ValueError(f"{file}: not a pair: {line!r}")
        first, second = (
            photos / name / f"{name}_{int(n):04}.jpg" for name, n in zip(people, (one, other), strict=True)
        )
        pairs.append(Pair(first, second, same, number // (2 * per_fold)))
    return pairs


def place(photos: Iterable[Path], folder: Path) -> None:
    """Puts each photo into `folder` under its person."""
    for photo in photos:
        link(photo, folder / photo.parent.name / photo.name)


def link(photo: Path, target: Path) -> None:
    """Makes `target` a second name of the file `photo`, or a copy of it where the disk does not allow that."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(photo, target)
    except OSError:  # another disk, or one without links
        shutil.copy2(photo, target)


class Run(NamedTuple):
    """A finished command: `seconds` by the clock, `cpu` seconds of all its threads, `peak` megabytes of memory that it
    held at most (both nan on Windows)."""

    code: int
    out: str
    errors: str
    seconds: float
    cpu: float
    peak: float


def mien(*arguments: str | Path, settings: Mapping[str, object] | None = None, quiet: bool = False) -> Run:
    """Runs `mien` in a process of its own, with `settings` in the environment and no others from there.

    With `quiet` what it writes to standard error is kept instead of shown. The peak is that of the process or of this
    one at the time, whichever is greater (Linux counts from before `exec`), so measure memory from a small program.
    """
    environment = {
        name: value for name, value in os.environ.items() if name == "MIEN_HOME" or not name.upper().startswith("MIEN_")
    }
    environment |= {f"MIEN_{name.upper()}": str(value) for name, value in (settings or {}).items()}
    command = [sys.executable, "-m", "mien", *map(str, arguments)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=errors if quiet else None)
        cpu = peak = math.nan
        if sys.platform == "win32":
            code = process.wait()
        else:
            _, status, usage = os.wait4(process.pid, 0)  # of this child alone; getrusage mixes all there ever were
            code = process.returncode = os.waitstatus_to_exitcode(status)
            cpu = usage.ru_utime + usage.ru_stime
            peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        seconds = time.perf_counter() - started
        texts = []
        for file in (out, errors):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return Run(code, texts[0], texts[1], seconds, cpu, peak)


def checked(run: Run, codes: Iterable[int] = (0,)) -> Run:
    """The run, if it ended with one of `codes`; else the program ends, saying what mien said."""
    if run.code not in codes:
        sys.exit(f"mien ended with exit code {run.code}.\n{run.out}{run.errors}")
    return run


def add_encoder(parser: argparse.ArgumentParser) -> None:
    """The options that say which encoder is measured: the best one on this machine, if none is named."""
    parser.add_argument("--encoder", default=best().name, help="an encoder that `mien encoders` lists")
    parser.add_argument("--precision", choices=("fp32", "int8"), default="fp32")
    parser.add_argument("--views", type=int, choices=VIEWS, default=0, help="0: as many as pay with the encoder")


def chosen(arguments: argparse.Namespace) -> EncoderChoice:
    """The encoder that these options name, its views counted out."""
    views = arguments.views or kept(arguments.encoder).description.views
    return EncoderChoice(arguments.encoder, arguments.precision, views)


def settings_of(choice: EncoderChoice) -> dict[str, object]:
    """The settings by which mien uses this encoder."""
    return {"encoder": choice.name, "precision": choice.precision, "views": choice.views}


def described(choice: EncoderChoice) -> str:
    """The encoder as a benchmark's heading names it."""
    return f"encoder {choice.name}, precision {choice.precision}, views {choice.views}"


def machine() -> str:
    """What the figures depend on, in two lines: the processor, and the versions of what computes."""
    names = ("mien", "onnxruntime", "opencv-python-headless", "numpy", "pillow")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return f"CPU: {processor()}; {os.cpu_count()} cores\nPython {platform.python_version()}, {versions}"


def processor() -> str:
    """The CPU's name and those of its instruction sets that matter to a network."""
    known = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "i8mm")
    text = ""
    with contextlib.suppress(OSError):  # Linux alone has it
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = set((fields.get("flags") or fields.get("Features", "")).split())
    name = fields.get("model name") or platform.processor() or platform.machine()
    if not flags:
        return f"{name}; instruction sets not known"
    absent = "" if flags & {"avx512_vnni", "avx_vnni", "asimddp"} else ", without the 8-bit dot products of VNNI"
    return f"{name}; {' '.join(flag for flag in known if flag in flags) or 'none of ' + ' '.join(known)}{absent}"
