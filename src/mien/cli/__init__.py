"""The command line. A command parses, calls `Album` once, and prints; everything else is elsewhere.

Nothing heavy is imported until a command runs, so that `mien --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mien import __version__
from mien.cli import albums, answers, learning
from mien.cli.console import paint, printable, tell
from mien.errors import MienError

INTERRUPTED = 130
BROKEN_PIPE = 141

app = typer.Typer(
    name="mien",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich's help costs as much time again as everything else in `mien --help`
    pretty_exceptions_enable=False,
    help="Who is in a picture - or that nobody knows. A face classifier that keeps itself trained.",
    epilog="The whole story: mien init a; cp -r photos/* a/training-images/; mien -C a train; mien -C a classify x.jpg",
)


def _version(asked: bool) -> None:
    if asked:
        print(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    album: Annotated[
        Path, typer.Option("-C", "--album", metavar="ALBUM", help="The album to work in.", show_default="this folder")
    ] = Path(),
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    context.obj = album


app.command(name="init")(albums.init)
app.command(name="add")(albums.add)
app.command(name="align")(learning.align)
app.command(name="train")(learning.train)
app.command(name="evaluate")(learning.evaluate)
app.command(name="classify")(answers.classify)
app.command(name="status")(albums.status)


def main() -> None:
    """Runs the command line; the one place where errors become exit codes (see mien.errors)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # Windows consoles, odd file names
    try:
        app()
    except MienError as error:
        tell(f"{paint('mien:', '31', sys.stderr)} {printable(error.message)}")
        tell(f"      {printable(error.remedy)}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        tell("\nStopped. What was finished is kept; the same command goes on from there.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output (head, less) has gone, which is its right
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)
