"""doctor"""

from __future__ import annotations

from typing import Final

import typer

from mien.cli.albums import Json
from mien.cli.console import entry, say_json
from mien.cli.place import opened, place
from mien.errors import MienError
from mien.text.doctor import State

_STYLES: Final = {State.OK: "32", State.WARNING: "33", State.PROBLEM: "31"}


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Say what of the album's set-up can be reached and is set up, and what to do where it is not."""
    try:
        found = opened(context).doctor()
    except MienError:  # of an album that is broken, which is what is to be said
        from datetime import datetime

        from mien import wiring
        from mien.stages.doctor import doctor as look

        here = place(context)
        found = look(
            here.folder, lambda: wiring.tools(here.eyes or wiring.make_eyes), lambda: datetime.now().astimezone()
        )
    if as_json:
        say_json(found.to_json())
    else:
        for check in found.checks:
            state = "" if check.state is State.OK else f"{check.state}: "
            entry(str(check.part), f"{state}{check.why}. {check.remedy}".rstrip(), _STYLES[check.state])
    if found.exit_code:
        raise typer.Exit(found.exit_code)
