"""The server's log: one JSON object a line, without names of people, pictures, embeddings, keys or paths of requests.

A path may hold a name, so a request is told by its route ("/v1/people/{person}").
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

LOG = logging.getLogger("mien.server")


class Lines(logging.Formatter):
    """A record as JSON: its time, level, message, and `figures`, a mapping that the record was given."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "figures", {}),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)


def tell(event: str, level: int = logging.INFO, mistake: Exception | None = None, **figures: object) -> None:
    """Writes a line about an event, with the traceback of a `mistake` in mien, if there is one."""
    LOG.log(level, event, exc_info=mistake, extra={"figures": figures})


def start(stream: TextIO | None = None) -> None:
    """Sends the log to standard error, or to `stream`, from now on; uvicorn's warnings with it."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Lines())
    for name, level in (("mien.server", logging.INFO), ("uvicorn.error", logging.WARNING)):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(level)
