"""catalog: where what is known of an album lies, and copied to another place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.albums import Json
from mien.cli.console import Reporter, entry, fit, printable, say_json, table, tell, widest
from mien.cli.place import opened
from mien.text.shell import command
from mien.text.words import count

app = typer.Typer(no_args_is_help=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def catalog(context: typer.Context, as_json: Json = False) -> None:
    """Say where what is known of the album lies, or copy it to another place."""
    if context.invoked_subcommand is None:
        with Reporter() as progress:
            album = opened(context, progress)
        where = str(album.catalog)
        if as_json:
            say_json({"catalog": where, "server": not isinstance(album.catalog, Path)})
        else:
            entry("catalog", where)


@app.command(name="copy", short_help="Copy it to a PostgreSQL server, or back into a file.")
def copy(
    context: typer.Context,
    to: Annotated[
        str,
        typer.Argument(metavar="PLACE", help="postgresql://USER@HOST/DATABASE, or a file that is not there yet."),
    ],
    use: Annotated[bool, typer.Option("--use", help="Name it in mien.toml then, so that mien uses it.")] = False,
    as_json: Json = False,
) -> None:
    """Copy catalog, ledger and keys to where nothing of that is, and compare every row. End servers of this album
    before: what they are asked meanwhile is not copied. A copy that was stopped is not there, and can be made again."""
    with Reporter() as progress:
        album = opened(context, progress)
        was = str(album.catalog)
        done = album.copy_catalog(to, use)
    if as_json:
        say_json(done.to_json())
        return
    wide = widest(f"{one.database} {one.table}" for one in done.tables)
    rows = [[fit(f"{one.database} {one.table}", wide), f"{one.rows:>9,}", "equal"] for one in done.tables]
    table(["table", ">rows", "compared"], rows)
    entry("copied", f"{count(done.rows, 'row')}, all of them compared")
    status = command(album.folder, "status")
    if done.used:
        tell(f"mien.toml names it now. Remove {printable(was)} once {status} says that all is well:")
        tell("it is used no more, and people who are forgotten later would stay in it.")
    else:
        tell(f"To use it, put this line into mien.toml: {printable(done.line)}")
