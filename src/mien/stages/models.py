"""models: the versions that there are, what each was made of and is worth, and how it came into use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien import registry
from mien.errors import DamagedModelError, ModelError
from mien.learning.figures import Share
from mien.registry import Card

_NOTHING = Share(0, 0)


@dataclass(frozen=True, slots=True)
class Version:
    """A model on disk: made of `photos` of `people`, `created` then, and worth what it measured when it was trained.
    `how` it came into use last ("train", "daily", "enrol", ...), "" if it never did; `damaged` says what is wrong with
    it, and then nothing else is known."""

    version: str
    in_use: bool
    how: str
    people: int = 0
    photos: int = 0
    head: str = ""
    created: str = ""
    top1: Share = _NOTHING
    tpir_at_fpir_1: Share = _NOTHING
    damaged: str = ""

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        plain = ("version", "in_use", "how", "people", "photos", "head", "created", "damaged")
        return {name: getattr(self, name) for name in plain} | {
            name: {"value": share.value, "of": share.of, "interval": list(share.interval) if share.of else None}
            for name, share in (("top1", self.top1), ("tpir_at_fpir_1", self.tpir_at_fpir_1))
        }


def models(folder: Path, promotions: Sequence[tuple[str, str]]) -> tuple[Version, ...]:
    """All versions in `folder`, oldest first; `promotions` are (version, how), in order."""
    try:
        current = registry.current(folder)
    except ModelError:
        current = None
    how = dict(promotions)
    return tuple(
        _version(version, card, version == current, how.get(version, ""))
        for version, card in registry.cards(folder).items()
    )


def _version(version: str, card: Card | DamagedModelError, in_use: bool, how: str) -> Version:
    if isinstance(card, DamagedModelError):
        return Version(version, in_use, how, damaged=str(card))

    def share(name: str) -> Share:
        return Share(card.counts.get(f"{name}_hits", 0), card.counts.get(f"{name}_of", 0))

    photos = sum(len(some) for some in card.photos.values())
    figures = share("top1"), share("tpir_at_fpir_1")
    return Version(version, in_use, how, card.people, photos, card.head.name, card.run.created, *figures)
