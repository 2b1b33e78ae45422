"""serve"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mien.cli.console import tell
from mien.cli.place import opened, place
from mien.errors import MissingExtraError, UsageError
from mien.text.access import Scope
from mien.text.shell import command

if TYPE_CHECKING:
    from mien.records.access import Access

FIRST_KEY: Final = "first"
"""The name of the key that a server without any makes."""


def serve(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Where to listen: 127.0.0.1 without it.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", min=0, max=65535, help="The port; 0: any that is free.")
    ] = None,
) -> None:
    """Answer over HTTP: who is in a picture. docs/serving.md says what can be asked."""
    album = opened(context)
    try:
        from mien.server.running import open_house
        from mien.server.running import serve as serve_house
    except ImportError as error:
        raise MissingExtraError(
            "The server",
            f"is not installed: {error.name} is missing",
            'Install it, in the checkout of mien: python -m pip install ".[server]"',
        ) from error

    given = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    settings = album.settings.server.model_copy(update=given)
    house = open_house(album.folder, place(context).eyes)
    make_first_key(house.access)

    def listening(address: str) -> None:
        model = house.resident.version
        tell(f"Listening at {address}, with {f'the model {model}' if model else 'no model yet'}. Ctrl-C ends it.")

    serve_house(house, settings, listening)


def make_first_key(access: Access) -> None:
    """Makes a key where there is none, and prints it, once; says so where none of those there may change the album."""
    now = datetime.now().astimezone()
    if keys := access.keys.all():
        if not any(key.scope is Scope.ADMIN and key.refused(now) is None for key in keys):
            tell(f"No key may change the album: {command(None, 'keys', 'add', 'NAME', '--scope', 'admin')} makes one.")
        return
    try:
        key = access.keys.add(FIRST_KEY, Scope.ADMIN, None, now)
    except UsageError:  # another server of the album began in this moment, and tells its key
        return
    tell(f"The first key, which may do everything. It is shown now and never again:\n\n    {key}\n")
    tell(f"{command(None, 'keys', 'add', 'NAME')} makes others, which may do less.")
