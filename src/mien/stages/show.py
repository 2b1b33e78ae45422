"""show: everything that is known of a photo.

Goes in: a photo, in the album or not: it is known by its bytes. Comes out: a `Shown`. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import registry
from mien.errors import ModelError, PhotoError
from mien.records.catalog import Catalog, Filed, Sighting
from mien.registry import Card
from mien.storage.layout import Workspace, chip_keys
from mien.types import Photo
from mien.vision.images import file_sha256, read_picture

if TYPE_CHECKING:
    from mien.records.ledger import Fetch


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What is known of the photo in `file`. `known` says whether the catalog knows it at all.

    `photo` is None, and `error` says why, where it cannot be read. `filed` is where it lies in the album, `chips` the
    chips (keys below aligned-images) by those paths, `sightings` what each encoder saw in it, `fetches` how it came
    here. `models` are the versions that learned from it, oldest first, by the people whom they learned, `current` the
    version in use. `lookalikes` is where other files lie that look the same.
    """

    file: Path
    sha256: str
    bytes: int
    known: bool
    photo: Photo | None
    error: str | None
    filed: tuple[Filed, ...]
    chips: Mapping[str, str]
    sightings: tuple[Sighting, ...]
    fetches: tuple[Fetch, ...]
    current: str | None
    models: Mapping[str, tuple[str, ...]]
    lookalikes: tuple[Filed, ...]

    def whose(self, face: int) -> tuple[str, ...]:
        """The people whose own face in this photo is the one of this id."""
        return tuple(sorted({one.person for one in self.filed if one.chosen_face == face}))

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        photo = asdict(self.photo) if self.photo else dict.fromkeys(("width", "height", "format", "phash"))
        return {
            "file": str(self.file),
            "known": self.known,
            **photo,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "error": self.error,
            "filed": [asdict(one) | {"chip": self.chips.get(one.path)} for one in self.filed],
            "seen": [
                {
                    "encoder": seen.encoder_id,
                    "at": seen.seen_at,
                    "error": seen.error,
                    "faces": [
                        {
                            "box": [round(value, 1) for value in one.face.box],
                            "detector": one.face.detector,
                            "detector_score": round(one.face.detector_score, 4),
                            "quality": {name: round(value, 4) for name, value in asdict(one.quality).items()},
                            "own_of": list(self.whose(one.id)),
                        }
                        for one in seen.faces
                    ],
                }
                for seen in self.sightings
            ],
            "provenance": [fetch.to_json() for fetch in self.fetches],
            "current_model": self.current,
            "models": {version: list(people) for version, people in self.models.items()},
            "lookalikes": [asdict(one) for one in self.lookalikes],
        }


def show(workspace: Workspace, catalog: Catalog, provenance: Callable[[str], Sequence[Fetch]], photo: Path) -> Shown:
    """What is known of `photo`: the path of a file, also as training-images or the album has it ("Ada/1.jpg").
    `provenance` is the ledger's. Raises PhotoError if there is no such file, or it cannot be opened; StorageError and
    AlbumError."""
    file = _find(workspace, photo)
    sha256 = file_sha256(file)
    record = catalog.photo(sha256)
    seen, error = record.photo if record else None, None
    if seen is None:
        try:
            seen = read_picture(file).photo
        except PhotoError as failed:
            error = str(failed)
    filed = record.filed if record else ()
    keys = chip_keys(catalog.placements()) if any(one.chosen_face for one in filed) else {}
    chips = {one.path: keys[one.path] for one in filed if one.chosen_face and one.path in keys}  # or it just went
    cards = registry.cards(workspace.models).values()
    return Shown(
        file=file,
        sha256=sha256,
        bytes=file.stat().st_size,
        known=record is not None,
        photo=seen,
        error=error,
        filed=filed,
        chips={path: key for path, key in chips.items() if workspace.chip_file(key).is_file()},
        sightings=record.sightings if record else (),
        fetches=tuple(provenance(sha256)),
        current=_current(workspace.models),
        models={
            card.run.version: people for card in cards if isinstance(card, Card) and (people := _learned(card, sha256))
        },
        lookalikes=catalog.lookalikes(seen) if seen else (),
    )


def _find(workspace: Workspace, photo: Path) -> Path:
    """The file that is meant; `photo` itself if there is none."""
    places = (photo, workspace.photo_file(photo.as_posix()), workspace.waiting_file(photo.as_posix()))
    return next((place for place in places if place.is_file()), photo)


def _current(models: Path) -> str | None:
    try:
        return registry.current(models)
    except ModelError:
        return None


def _learned(card: Card, sha256: str) -> tuple[str, ...]:
    """The people of whom a model learned from this photo."""
    return tuple(sorted(person for person, photos in card.photos.items() if sha256 in photos))
