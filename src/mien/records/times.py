"""Times as the databases hold them: ISO 8601 in UTC, to the second."""

from __future__ import annotations

from datetime import UTC, datetime


def text_of(time: datetime) -> str:
    """`time`, which knows its zone."""
    return time.astimezone(UTC).isoformat(timespec="seconds")


def time_of(text: str | None) -> datetime | None:
    """The time that was written as `text`; None for none."""
    return None if text is None else datetime.fromisoformat(text)
