"""models: the versions of an album's model: what each was made of, how good it is, and how it came into use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mien.errors import MienError, ModelError
from mien.learning.figures import Share
from mien.registry import versions
from mien.registry.card import Card
from mien.storage.bucket_models import Models

_NOTHING = Share(0, 0)


@dataclass(frozen=True, slots=True)
class Version:
    """A version on disk, with the numbers of its people and photos; `created` is ISO 8601.

    `top1` and `tpir_at_fpir_1` were measured when it was trained. `how` says by which command it came into use last
    ("train", "daily", "enrol" ...), "kept" if `daily` kept it out of use since, "" if the history has nothing of it. If
    it is damaged, `damaged` says in which way, and nothing else is known of it.
    """

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


def models(folder: Models, promotions: Sequence[tuple[str, str]]) -> tuple[Version, ...]:
    """All versions in `folder`, oldest first; `promotions` says what became of each: (version, how), in order."""
    try:
        current = versions.current(folder)
    except ModelError:
        current = None
    how = dict(promotions)
    return tuple(
        _version(version, card, version == current, how.get(version, ""))
        for version, card in versions.load_cards(folder).items()
    )


def _version(version: str, card: Card | MienError, in_use: bool, how: str) -> Version:
    if isinstance(card, MienError):
        return Version(version, in_use, how, damaged=str(card))
    return Version(
        version=version,
        in_use=in_use,
        how=how,
        people=card.people,
        photos=sum(len(some) for some in card.photos.values()),
        head=card.head.name,
        created=card.run.created,
        top1=card.share("top1"),
        tpir_at_fpir_1=card.share("tpir_at_fpir_1"),
    )
