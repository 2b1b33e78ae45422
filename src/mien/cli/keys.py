"""keys: by which keys a server knows who asks; one is made, or revoked; and who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import completing
from mien.cli.albums import Json
from mien.cli.collecting import day_of
from mien.cli.console import Reporter, entry, fit, paint, printable, say, say_json, table, tell, widest
from mien.cli.place import opened
from mien.text.access import Scope
from mien.text.shell import command

if TYPE_CHECKING:
    from mien.records.events import Event
    from mien.records.keys import Key

app = typer.Typer(no_args_is_help=False, rich_markup_mode=None)

_STYLES = {"good": "32", "revoked": "31", "expired": "33"}


@app.callback(invoke_without_command=True)
def keys(context: typer.Context, as_json: Json = False) -> None:
    """List the keys by which the album's server knows who asks, make one, or revoke one; or tell who changed what."""
    if context.invoked_subcommand is None:
        list_keys(context, as_json)


@app.command(name="list", hidden=True)
def list_keys(context: typer.Context, as_json: Json = False) -> None:
    """What `mien keys` does by itself."""
    with Reporter() as progress:
        album = opened(context, progress)
        found = album.keys()
    now = datetime.now().astimezone()
    if as_json:
        say_json([key.to_json(now) for key in found])
    elif found:
        _print_keys(found, now)
    else:
        entry("keys", f"none yet; {command(album.folder, 'keys', 'add', 'NAME')} makes one")


@app.command(name="add", short_help="Make a key, and print it: it is shown this once.")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the desk or program that gets it: front-desk.")],
    scope: Annotated[
        Scope,
        typer.Option(metavar="classify|review|admin", help="What it allows; each allows what those before it do."),
    ] = Scope.CLASSIFY,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="The last day on which it is good.")] = None,
) -> None:
    """Make a key, and print it alone on standard output. Only its hash is kept, so it is shown this once. The scope
    classify allows asking who is in a picture; review also reading what the album holds; admin also changing it."""
    day = None if until is None else day_of(until)
    with Reporter() as progress:
        album = opened(context, progress)
        secret = album.add_key(name, scope.value, day)
    say(secret, whole=True)
    tell(f"The key {printable(name)} {_ALLOWS[scope]}{f', until {day}' if day else ''}.")
    tell(f"It is not shown again. If it is lost: {command(album.folder, 'keys', 'revoke', name)}")


_ALLOWS = {
    Scope.CLASSIFY: "may ask who is in a picture",
    Scope.REVIEW: "may ask who is in a picture and read what the album holds",
    Scope.ADMIN: "may ask, read and change everything",
}


@app.command(name="revoke", short_help="Refuse a key from now on.")
def revoke(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A key, as `mien keys` names it.", autocompletion=completing.keys)
    ],
) -> None:
    """Refuse a key from now on; a server that runs refuses the next request that shows it. Its name is free again."""
    with Reporter() as progress:
        key = opened(context, progress).revoke_key(name)
    assert key.revoked is not None
    entry("revoked", f"{key.name}, on {_local(key.revoked)}")


@app.command(name="log", short_help="Who changed what in the album, and when.")
def log(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many of the last changes.")] = 20,
    as_json: Json = False,
) -> None:
    """Who changed what in the album, and when, the last change last: by key of the server, or by the command line. A
    change that is not ended is being made, or was killed."""
    with Reporter() as progress:
        album = opened(context, progress)
        found = tuple(reversed(album.log(limit)))
    if as_json:
        say_json([event.to_json() for event in found])
    elif found:
        _print_log(found)
    else:
        entry("log", "nothing was changed yet")


def _print_log(found: tuple[Event, ...]) -> None:
    whose = [event.by.key or "-" for event in found]
    what = [f"{event.verb} {event.person}".rstrip() for event in found]
    rows = []
    for event, key, done in zip(found, whose, what, strict=True):
        outcome = event.outcome or "not ended"
        version = f", {event.version}" if event.version else ""
        told = f"{paint(outcome, _OUTCOMES[outcome])}{version}"
        rows.append([_local(event.at), fit(key, widest(whose)), fit(done, widest(what)), told])
    table(["when", "key", "what", "outcome"], rows)


_OUTCOMES = {"done": "32", "failed": "31", "interrupted": "33", "not ended": "33"}


def _print_keys(found: tuple[Key, ...], now: datetime) -> None:
    wide = widest(key.name for key in found)
    rows = []
    for key in found:
        refused = key.refused(now)
        state = refused.value if refused else "good"
        rows.append(
            [
                fit(key.name, wide),
                key.scope.value,
                paint(f"{state:<7}", _STYLES[state]),
                f"{key.until or '-'!s:<10}",
                _local(key.last_used) if key.last_used else "never",
            ]
        )
    table(["name", "scope", "state", "until", "last used"], rows)


def _local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M}"
