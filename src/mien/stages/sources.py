"""sources: which are configured, when each last ran, and what it brought. Asks nobody."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from mien.intake import unfit, unstated
from mien.open_album import OpenAlbum
from mien.records.history import FailedFetch, Fetch, SourceRun
from mien.settings import SourceSettings
from mien.text.fetching import REFUSED, SourceFault
from mien.text.photos import PhotoFault
from mien.types import Finding


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source: its `settings`, its `last` run if there was one, how many `photos` of it are known, what was `refused`,
    as it is no photo, what could not be had when it was last tried (`failed`), and what keeps the source from running,
    if anything does."""

    name: str
    settings: SourceSettings
    last: SourceRun | None
    photos: int
    refused: tuple[Fetch, ...]
    failed: tuple[FailedFetch, ...]
    problem: Finding | None

    @property
    def failing(self) -> int:
        """How many could not be had."""
        return len(self.failed)

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
            "refused": [
                {"location": one.location, "person": one.person, "fault": one.fault, "why": why_refused(one)}
                for one in self.refused
            ],
            "failed": [
                {"location": one.location, "person": one.person, "kind": str(one.kind), "why": one.kind.words}
                for one in self.failed
            ],
            "problem": self.problem.to_json() if self.problem else None,
        }


def why_refused(fetch: Fetch) -> str:
    """Why what came was refused, in words that follow its location."""
    return REFUSED.get(PhotoFault.of(fetch.fault).group if fetch.fault in set(PhotoFault) else "", "is no photo")


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
            history.refused(name),
            history.failures(name),
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
