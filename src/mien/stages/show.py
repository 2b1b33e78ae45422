"""show: everything that is known of a photo.

Goes in: an album and a photo, in the album or not: it is known by its bytes. Comes out: a `Shown`. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mien.errors import ModelError, PhotoError, StorageError, UsageError
from mien.open_album import OpenAlbum
from mien.records import asked
from mien.records.faces import PhotoRecord, Sighting
from mien.records.files import FiledPhoto
from mien.records.history import HAND, Fetch
from mien.registry import versions
from mien.registry.card import Card
from mien.storage.files import is_file, is_there
from mien.storage.layout import TRAINING, chip_keys, shelf_of, shown
from mien.storage.named import places
from mien.storage.walk import people_of
from mien.text.findings import FindingKind, LeftOutKind
from mien.text.names import meant, nfc, quoted_name
from mien.text.photos import PhotoFault
from mien.types import Finding, Photo
from mien.vision.sniff import kind_of_name


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What is known of the photo in `file`. `known` says whether the catalog knows it at all.

    `photo` is None, and `error` says why, where it cannot be read. `filed` is where it lies in the album, `chips` the
    chips (keys below aligned-images) by those paths, `sightings` what each encoder saw in it, `fetches` how it came
    here, `moved` when it was filed under somebody else since, from whom, to whom. `models` are the versions that
    learned from it, oldest first, by the people whom they learned, `current` the version in use. `lookalikes` is where
    other files lie that look the same. `left_out` says why a file of the album teaches nothing, as `check` says it.
    `asked` says since when what was seen in it is remembered, as it was asked about; None where nothing is.
    """

    file: Path
    sha256: str
    bytes: int
    known: bool
    photo: Photo | None
    error: PhotoError | None
    filed: tuple[FiledPhoto, ...]
    chips: Mapping[str, str]
    sightings: tuple[Sighting, ...]
    fetches: tuple[Fetch, ...]
    moved: tuple[tuple[datetime, str, str], ...]
    current: str | None
    models: Mapping[str, tuple[str, ...]]
    lookalikes: tuple[FiledPhoto, ...]
    left_out: tuple[Finding, ...] = ()
    asked: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        photo = asdict(self.photo) if self.photo else dict.fromkeys(("width", "height", "format", "phash"))
        return {
            "file": str(self.file),
            "known": self.known,
            **photo,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "error": str(self.error) if self.error else None,
            "filed": [_filed_json(one) | self._origin(one) | {"chip": self.chips.get(one.path)} for one in self.filed],
            "seen": [_sighting_json(seen) for seen in self.sightings],
            "provenance": [fetch.to_json() for fetch in self.fetches],
            "moved": [{"at": at.isoformat(), "was": was, "now": now} for at, was, now in self.moved],
            "current_model": self.current,
            "models": {version: list(people) for version, people in self.models.items()},
            "lookalikes": [_filed_json(one) for one in self.lookalikes],
            "left_out": [finding.to_json() for finding in self.left_out],
            "asked": self.asked.isoformat() if self.asked else None,
        }

    def _origin(self, filed: FiledPhoto) -> dict[str, str | None]:
        """Where `mien add` took a file from, and when."""
        by_hand = [one for one in self.fetches if one.source == HAND and one.person == filed.person]
        last = max(by_hand, key=lambda one: one.fetched_at, default=None)
        return {"source": last.location if last else None, "added_at": last.fetched_at.isoformat() if last else None}


def _filed_json(filed: FiledPhoto) -> dict[str, Any]:
    return {"path": shown(filed.path), "person": filed.person, "waiting": shelf_of(filed.path) != TRAINING}


def _sighting_json(seen: Sighting) -> dict[str, Any]:
    return {
        "encoder": seen.encoder,
        "at": seen.seen_at,
        "error": f"{seen.fault.say(seen.figures)}. {seen.fault.remedy}" if seen.fault else None,
        "faces": [
            {
                "box": [round(value, 1) for value in one.face.box],
                "detector": one.face.detector,
                "detector_score": round(one.face.detector_score, 4),
                "quality": {name: round(value, 4) for name, value in asdict(one.quality).items()},
                "own_of": list(one.own_of),
                "guessed": list(one.guessed),
            }
            for one in seen.faces
        ],
    }


def show(album: OpenAlbum, photo: Path) -> Shown:
    """What is known of `photo`: the path of a file, also as training-images or the album has it ("Ada/1.jpg"). Raises
    PhotoError if there is no such file, or it cannot be opened; StorageError and AlbumError."""
    file, layout, catalog = _find(album, photo), album.layout, album.catalog
    photos = layout.photos
    sha256 = photos.sha256(file)
    record = catalog.faces.photo(sha256)
    seen, error = record.photo if record else None, None
    if seen is None:
        try:
            seen = photos.picture(file).photo
        except PhotoError as failed:
            error = failed
    filed = tuple(catalog.files.of_photos([sha256]))
    keys: Mapping[str, str] = {}
    if any(face.own_of for seen_by in (record.sightings if record else ()) for face in seen_by.faces):
        keys = chip_keys((one.path, one.person) for one in catalog.files.on([TRAINING]))
    chips = {one.path: keys[one.path] for one in filed if one.path in keys}
    cards = versions.load_cards(layout.models).values()
    return Shown(
        file=file,
        sha256=sha256,
        bytes=photos.size(file),
        known=record is not None,
        photo=seen,
        error=error,
        filed=filed,
        chips={path: key for path, key in chips.items() if is_file(layout.chip_file(key))},
        sightings=record.sightings if record else (),
        fetches=album.ledger.history.provenance(sha256),
        moved=album.ledger.corrections.of_photo(sha256),
        current=_current(album),
        models={
            card.run.version: people for card in cards if isinstance(card, Card) and (people := _learned(card, sha256))
        },
        lookalikes=tuple(catalog.files.of_photos(catalog.faces.lookalikes(seen))) if seen else (),
        left_out=tuple(_left_out(album, file, filed, record, error)),
        asked=asked.since(layout.asked_file, album.settings.remember_days, sha256),
    )


def _left_out(
    album: OpenAlbum, file: Path, filed: Sequence[FiledPhoto], record: PhotoRecord | None, error: PhotoError | None
) -> Iterator[Finding]:
    """Why the file teaches nothing."""
    try:
        path = album.layout.path(file.absolute())
    except ValueError:  # it does not lie in the album
        path = next((one.path for one in filed), "")
    if shelf_of(path) != TRAINING:
        return
    about = tuple(one.person for one in filed if one.path == path), (shown(path),)
    for one in album.walk([TRAINING]).left_out:
        if one.path == path:
            yield Finding(FindingKind.LEFT_OUT, *about, {**one.figures, "left_out": str(one.kind)})
            return
    if kind_of_name(file.name) != "photo":
        yield Finding(FindingKind.LEFT_OUT, *about, {"left_out": str(LeftOutKind.NO_PHOTO)})
        return
    if error:
        yield Finding(FindingKind.UNREADABLE, *about, {"fault": error.fault.value, **error.figures})
        return
    sighting = next((one for one in record.sightings if one.encoder == album.encoder), None) if record else None
    if sighting is None:
        yield Finding(FindingKind.NOT_SEEN, *about, {"photos": 1})
    elif sighting.fault:
        yield Finding(FindingKind.UNREADABLE, *about, {"fault": sighting.fault.value, **sighting.figures})
    elif not sighting.faces:
        yield Finding(FindingKind.NO_FACE, *about)
    elif len(sighting.faces) > 1 and album.settings.skip_multi:
        yield Finding(FindingKind.SEVERAL_LEFT_OUT, *about, {"faces": len(sighting.faces)})


def _find(album: OpenAlbum, photo: Path) -> Path:
    """The file that is meant; `photo` itself if there is none. Raises UsageError where a name of a person nearly is."""
    for place in places(album.layout, photo):
        try:
            if album.layout.photos.is_file(place):
                return place
            if album.layout.photos.is_link(place):
                raise PhotoError(str(place), PhotoFault.BROKEN_LINK)
        except StorageError:  # whoever reads it will be told
            return place
    if not photo.is_absolute() and not is_there(photo):
        person, people = nfc(photo.parts[0]) if photo.parts else "", people_of(album.layout)
        if photo.name == person and person in people:
            raise UsageError(quoted_name(person), "is a person, and no photo", f"Name a photo: {person}/1.jpg, say.")
        if person not in people and (hint := meant(person, people)):
            raise UsageError(quoted_name(str(photo)), "does not exist", hint.strip())
    return photo


def _current(album: OpenAlbum) -> str | None:
    try:
        return album.version
    except ModelError:
        return None


def _learned(card: Card, sha256: str) -> tuple[str, ...]:
    """The people of whom a model learned from this photo."""
    return tuple(sorted(person for person, photos in card.photos.items() if sha256 in photos))
