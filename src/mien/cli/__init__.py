"""The command line. A command parses, calls `Album` once, and prints; everything else is elsewhere.

Nothing heavy is imported until a command runs, so that `mien --help` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mien import __version__
from mien.cli import (
    albums,
    answers,
    catalog,
    collecting,
    corrections,
    doctor,
    encoders,
    finding,
    keys,
    learning,
    models,
    serving,
)
from mien.cli.console import commands_for, of_the_system, tell, tell_error
from mien.cli.place import NAMED, Place, take_album_anywhere
from mien.errors import MienError, UsageError
from mien.text.names import is_unicode, quoted_name

INTERRUPTED = 130
BROKEN_PIPE = 141
"""What a shell reports for Ctrl-C, and for a program whose reader has gone."""


class Mien(TyperGroup):
    """Runs the commands; the one place where errors become exit codes (see mien.errors)."""

    words: list[str] | None = None

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        take_album_anywhere(self)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        self.words = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MienError as error:
            tell_error(error)
            raise typer.Exit(error.exit_code) from error
        except UnicodeEncodeError as error:
            odd = next((word for word in self.words or () if not is_unicode(word)), None)
            if odd is None or os.environ.get("MIEN_DEBUG"):
                raise
            tell_error(UsageError(quoted_name(odd), "is not Unicode", "Write it anew."))
            raise typer.Exit(UsageError.exit_code) from error
        except (KeyboardInterrupt, typer.Abort):
            tell("\nStopped. What was finished is kept; the same command goes on from there.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader of our output (head, less) has gone, which is its right
            raise typer.Exit(BROKEN_PIPE) from None
        except OSError as error:
            said = of_the_system(error)
            if said is None or os.environ.get("MIEN_DEBUG"):
                raise
            tell_error(said)
            raise typer.Exit(said.exit_code) from error


app = typer.Typer(
    name="mien",
    cls=Mien,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # rich's help costs as much time again as everything else in `mien --help`
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
        Path | None,
        typer.Option(
            "-C",
            "--album",
            metavar="ALBUM",
            help="The album to work in, instead of the one in which this folder lies.",
            show_default=False,
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    commands_for(None, None)
    context.meta[NAMED] = album
    context.obj = context.obj or Place()


app.command(name="init", short_help="Make an album.")(albums.init)
app.command(name="add", short_help="Copy photos in under a person.")(albums.add)
app.command(name="remove", short_help="Take a person or photos out, also out of the model.")(albums.remove)
app.command(name="move", short_help="File photos under the right person.")(corrections.move)
app.command(name="rename", short_help="Give a person another name.")(corrections.rename)
app.command(name="join", short_help="Make one person of two names.")(corrections.join)
app.command(name="confirm", short_help="Say that what check doubts is right.")(corrections.confirm)
app.command(name="undo", short_help="Undo the last move, rename, join or confirm.")(corrections.undo)
app.command(name="align", short_help="Find the faces and choose each person's own.")(learning.align)
app.command(name="train", short_help="Learn what is new and put the model into use.")(learning.train)
app.command(name="check", short_help="Say what in the album needs a human.")(learning.check)
app.command(name="evaluate", short_help="Measure the model on other photos.")(learning.evaluate)
app.command(name="report", short_help="Open the page about the current model.")(learning.report)
app.command(name="classify", short_help="Say who is in photos, or that nobody knows.")(answers.classify)
app.command(name="find", short_help="List the photos in which somebody is, or copy them.")(finding.find)
app.command(name="forget", short_help="Forget what was seen in photos asked about.")(finding.forget)
app.command(name="sources", short_help="Where photos come from, and what they brought.")(collecting.sources)
app.command(name="collect", short_help="Fetch what is new from the sources.")(collecting.collect)
app.command(name="import", short_help="Bring people over from CompreFace.")(collecting.import_)
app.command(name="merge", short_help="Move collected photos into training-images.")(collecting.merge)
app.command(name="daily", short_help="All of it, from collecting to a better model.")(collecting.daily)
app.command(name="schedule", short_help="Run daily every day.")(collecting.schedule)
app.command(name="runs", short_help="What each daily run did.")(collecting.runs)
app.add_typer(models.app, name="models", short_help="List, compare and choose models.")
app.add_typer(encoders.app, name="encoders", short_help="List, add and remove encoders.")
app.add_typer(catalog.app, name="catalog", short_help="Where the catalog lies; copy it to a server, or back.")
app.add_typer(keys.app, name="keys", short_help="List, make and revoke keys of the server.")
app.command(name="serve", short_help="Answer over HTTP: who is in a picture.")(serving.serve)
app.command(name="show", short_help="Everything that is known of a photo.")(models.show)
app.command(name="convert", short_help="PNG to JPEG and back.")(models.convert)
app.command(name="doctor", short_help="What is set up and reachable, and what is not.")(doctor.doctor)
app.command(name="status", short_help="What is in the album, and what is stale.")(albums.status)


def main() -> None:
    """What the program `mien` runs."""
    gc.set_threshold(100_000)  # what libraries make when they are loaded is no garbage: looking through it,
    atexit.register(gc.freeze)  # then and at the end, took a tenth of a second
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # Windows consoles, odd file names
    sys.excepthook = _report_bug
    typer.main.get_command(app)(prog_name="mien")  # app() itself would put typer's own hook in the place of ours


def _report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What is said of an error that nobody foresaw. Python then leaves with exit code 1."""
    if os.environ.get("MIEN_DEBUG"):
        sys.__excepthook__(kind, error, trace)
    else:
        tell_error(error)
