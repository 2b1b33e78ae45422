"""sources: which are configured, when each last ran, and what it brought. Asks nobody."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from mien.intake import unfit, unstated
from mien.open_album import OpenAlbum
from mien.records.history import SourceRun
from mien.settings import SourceSettings
from mien.text.fetching import SourceFault
from mien.types import Finding


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source: its `settings`, its `last` run if there was one, how many `photos` of it are known, how many could not
    be had when they were last tried (`failing`), and what keeps it from running, if anything does."""

    name: str
    settings: SourceSettings
    last: SourceRun | None
    photos: int
    failing: int
    problem: Finding | None

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
            "problem": self.problem.to_json() if self.problem else None,
        }


def sources(album: OpenAlbum) -> tuple[SourceStatus, ...]:
    """All that are configured, in the order of mien.toml."""
    history = album.ledger.history
    runs = history.source_runs()
    return tuple(
        SourceStatus(
            name,
            settings,
            runs.get(name),
            history.count(name),
            len(history.failures(name)),
            _problem(name, settings, runs.get(name), album.today),
        )
        for name, settings in album.settings.sources.items()
    )


def _problem(name: str, settings: SourceSettings, last: SourceRun | None, today: date) -> Finding | None:
    if error := unfit(name, settings):
        missing = unstated(settings)
        return Finding(error.kind, figures={"missing": " and ".join(missing)} if missing else {})
    if settings.until and settings.until < today:
        return Finding(SourceFault.OVER, figures={"until": settings.until.isoformat()})
    return Finding(last.fault) if last and last.fault else None
