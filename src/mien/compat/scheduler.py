"""mien-scheduler: the pipeline's day, in its old folders, every day.

    fetch    <root>/<date>-training-images/<person>/    what the sources of <root>/mien.toml have new
    align    <root>/<date>-...  ->  its faces are found, and what looks wrong is held back
    move     <root>/training-images/<person>/           what is in order
             <root>/aligned-images/<person>/            its faces, 96 pixels a side
    check    who has at least 20 pictures
    convert  <root>/aligned-images-jpeg/<person>/       of whoever has

The first three are `mien daily`, which trains and measures a model of mien's as well; the root is an album of mien's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien import Album
from mien.compat import png_to_jpeg
from mien.compat.command import ends, say, warn
from mien.compat.move_image import ROOT
from mien.pipeline.schedule import time_of_day

if TYPE_CHECKING:
    from mien.pipeline.daily import Daily

PROGRAM = "mien-scheduler"


def parser() -> argparse.ArgumentParser:
    """The script had no flags."""
    found = argparse.ArgumentParser(prog=PROGRAM, description="Fetch, align, move, check and convert, every day.")
    found.add_argument("--root", default=ROOT, help=f"The folder of the pipeline's folders ({ROOT}).")
    found.add_argument("--at", default="00:00", metavar="HH:MM", help="When, in local time.")
    found.add_argument("--once", action="store_true", help="Now, and not every day.")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    flags = parser().parse_args(arguments)
    return ends(PROGRAM, lambda: _run(Path(flags.root), flags.at, flags.once))


def _run(root: Path, at: str, once: bool) -> int:
    when = time_of_day(at)
    if not Album.is_at(root):
        Album.create(root)
        warn(f"{PROGRAM}: {root} is an album of mien's now: {root / 'mien.toml'} is where its sources are named.")
    album = Album(root)
    if once:
        done = album.daily()
        return _rest(root, done) or done.exit_code
    say(f"Each day at {when:%H:%M}, in {root}. Ctrl-C ends it.")

    def day(done: Daily) -> None:
        if _rest(root, done):
            warn(f"{PROGRAM}: some pictures could not be converted; the next day tries them again.")

    album.run_daily(when, day, lambda error: warn(f"{PROGRAM}: {error}"))
    return 0


def _rest(root: Path, done: Daily) -> int:
    """What follows `mien daily`: its lines, the check and the conversion. Returns the exit code of these."""
    for step in done.run.steps:
        say(f"{step.name}: {step.line}")
    if not (root / "aligned-images").is_dir():
        return 0
    return png_to_jpeg.convert(root / "aligned-images", root / "aligned-images-jpeg")


if __name__ == "__main__":
    sys.exit(main())
