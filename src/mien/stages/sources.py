"""sources: which are configured, when each last ran, and what it brought. Asks nobody."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from mien.records.ledger import Ledger, SourceRun
from mien.settings import SourceSettings


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source: its `settings`, its `last` run if there was one, how many `photos` of it are known, how many could not
    be had when they were last tried (`failing`), and what keeps it from running, "" if nothing."""

    name: str
    settings: SourceSettings
    last: SourceRun | None
    photos: int
    failing: int
    problem: str

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        last = asdict(self.last) if self.last else None
        if last:
            last |= {key: last[key].isoformat() for key in ("started", "ended")}
        return {
            "name": self.name,
            "kind": self.settings.kind,
            "basis": self.settings.basis,
            "licence": self.settings.licence,
            "until": self.settings.until.isoformat() if self.settings.until else None,
            "last": last,
            "photos": self.photos,
            "failing": self.failing,
            "problem": self.problem,
        }


def sources(configured: dict[str, SourceSettings], ledger: Ledger | None, today: date) -> tuple[SourceStatus, ...]:
    """All that are configured, in the order of mien.toml; `ledger` is None before the first run of any."""
    runs = ledger.source_runs() if ledger else {}
    return tuple(
        SourceStatus(
            name,
            settings,
            runs.get(name),
            len({fetch.sha256 for fetch in ledger.photos_of(name)}) if ledger else 0,
            len(ledger.failures(name)) if ledger else 0,
            _problem(settings, runs.get(name), today),
        )
        for name, settings in configured.items()
    )


def _problem(settings: SourceSettings, last: SourceRun | None, today: date) -> str:
    missing = [key for key in ("basis", "licence") if not getattr(settings, key)]
    if missing:
        return f"is not collected: {' and '.join(missing)} must be set in mien.toml"
    if settings.until and settings.until < today:
        return f"is not collected any more: its photos might be used until {settings.until}"
    if not last or not last.error:
        return ""
    return f"failed when it last ran: {last.error.removeprefix(f'The source {last.source}: ')}"
