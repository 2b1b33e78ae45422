"""The server's log: one JSON object a line, without names of people, pictures, embeddings, keys or paths of requests.

A path may hold a name, so a request is told by its route ("/v1/people/{person}"). The message of an exception, or of
another library, may hold anything, so what is told of either is where in the program it came from.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

LOG = logging.getLogger("mien.server")

LONGEST_CHAIN = 8
"""Exceptions that are told, of those of which each caused the one before."""


class Lines(logging.Formatter):
    """A record as JSON: its time, level, event, and `figures`, a mapping that the record was given."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        if record.name == LOG.name:
            said |= {"event": record.getMessage(), **getattr(record, "figures", {})}
        else:
            said |= {"event": record.name, "where": f"{record.module}:{record.lineno}"}
            if record.name.startswith("uvicorn") and isinstance(record.msg, str):
                said["about"] = record.msg  # with its gaps, which hold what clients send
        if record.exc_info and (error := record.exc_info[1]):
            said["traceback"] = places(error)
        return json.dumps(said, ensure_ascii=False, default=str)


def places(error: BaseException) -> list[str]:
    """The kind of an exception and where it was raised, the innermost call last, then the same of what caused it."""
    told: list[str] = []
    each: BaseException | None = error
    for _ in range(LONGEST_CHAIN):
        if each is None:
            break
        told.append(type(each).__name__)
        for frame in traceback.extract_tb(each.__traceback__):
            told.append(f"  {'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}")
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return told


def tell(event: str, level: int = logging.INFO, mistake: Exception | None = None, **figures: object) -> None:
    """Writes a line about an event, with the traceback of a `mistake` in mien, if there is one."""
    LOG.log(level, event, exc_info=mistake, extra={"figures": figures})


def start(stream: TextIO | None = None) -> None:
    """Sends the log to standard error, or to `stream`, from now on; what other libraries warn of with it."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Lines())
    logging.getLogger().handlers = [handler]
    logging.captureWarnings(True)
    LOG.setLevel(logging.INFO)
