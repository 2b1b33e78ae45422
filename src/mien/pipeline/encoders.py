"""Encoders and an album: comparing them on its photos, and making one of 8 bits from its faces.

What each encoder sees is remembered side by side in the catalog: comparing again, or changing over afterwards, looks at
nothing twice. The album is open for writing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import EncoderError, NoFaceError, PhotoError
from mien.open_album import OpenAlbum
from mien.stages.align import look
from mien.stages.compare_encoders import ComparedEncoders, SeenBy, compare_encoders
from mien.stages.train import train
from mien.text.encoders import EncoderKind, QuantisedKind
from mien.text.shell import command
from mien.types import EncoderChoice, Finding

if TYPE_CHECKING:
    from mien.encoders.shelf import Kept
    from mien.learning.cosines import Measured
    from mien.seeing.eyes import Eyes


def compare(album: OpenAlbum, names: Sequence[str]) -> ComparedEncoders:
    """Compares the album's encoder with those of these names. Raises EncoderError for one that is not on this
    machine, EmptyAlbumError and NoFaceError."""
    choices = [
        album.settings.choice,
        *(EncoderChoice(name) for name in dict.fromkeys(names) if name != album.settings.encoder),
    ]
    if len(choices) == 1:
        raise EncoderError(
            f"The encoder {album.settings.encoder}",
            "is the album's own, and there is nothing to compare it with",
            f"Name another one: {command(None, 'encoders')} lists them.",
        )
    views = {choice: album.seen_by(choice) for choice in choices}
    for view in views.values():  # before anything takes time
        view.eyes()
    return compare_encoders([_seen_by(view, choice, _size(choice)) for choice, view in views.items()])


def measure(album: OpenAlbum, name: str) -> Measured:
    """What the album's people show of an encoder whose cosines nobody measured. Raises EncoderError."""
    view = album.seen_by(EncoderChoice(name))
    look(view)
    return view.measured


def _seen_by(view: OpenAlbum, choice: EncoderChoice, size: int) -> SeenBy:
    """What training makes of the album as this encoder sees it, whose network has `size` bytes."""
    look(view)
    trained = train(view)
    return SeenBy(choice, view.eyes(), size, trained.faces, trained.head, trained.held, trained.measured)


def _size(choice: EncoderChoice) -> int:
    from mien.encoders.shelf import kept

    return kept(choice.name).network(choice.precision).size


# 8-bit numbers

MOST_CHIPS, FEWEST_CHIPS = 128, 16
"""Faces by which the ranges of numbers are measured: at most so many, spread over the album, and at least so many."""

FASTER = 0.9
"""The part of the time that 8-bit numbers may take at most: they are not worth a second network otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """An encoder in 32 and in 8 bits, compared on the album's photos, and whether the second was `kept`."""

    kept: bool
    said: Finding
    compared: ComparedEncoders

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"kept": self.kept, "said": self.said.to_json(), **self.compared.to_json()}


def quantise(album: OpenAlbum, name: str, eyes_with: Callable[[Kept, EncoderChoice], Eyes]) -> Quantised:
    """Makes the encoder `name` of 8-bit numbers by the album's own faces, and keeps it for all albums if the figures of
    this one do not fall beyond chance and it is faster on this processor. Raises EncoderError, MissingExtraError,
    NoFaceError. `eyes_with` makes eyes with an encoder that is not kept yet."""
    from mien.encoders import shelf
    from mien.encoders.quantise import in_eight_bits

    encoder, before, after = shelf.kept(name), EncoderChoice(name), EncoderChoice(name, "int8")
    if encoder.folder is None:
        raise EncoderError(
            f"The encoder {name}",
            "came with mien as it is, and cannot be changed",
            "Set precision in mien.toml where it comes in 8 bits, too.",
        )
    if "int8" in encoder.networks:
        raise EncoderError(
            f"The encoder {name}",
            "has a network of 8-bit numbers, which models may have been made with",
            "To make another, remove the encoder and add it again: models made with the old one then need training.",
        )
    view = album.seen_by(before)
    look(view)
    full = encoder.network("fp32").read()
    eight = in_eight_bits(full, _chips(view))
    trial = replace(encoder, networks={**encoder.networks, "int8": shelf.network_of(eight)})
    tools = replace(album.tools, eyes=partial(eyes_with, trial))
    trying = album.seen_by(after, tools)
    compared = compare_encoders([_seen_by(view, before, len(full)), _seen_by(trying, after, len(eight))])
    if compared.said[0].kind == EncoderKind.WORSE:
        kind = QuantisedKind.FELL
    elif compared.rows[1].milliseconds > FASTER * compared.rows[0].milliseconds:
        kind = QuantisedKind.NO_FASTER
    else:
        kind = QuantisedKind.KEPT
        with shelf.at_work("mien encoders quantise"):
            shelf.keep(encoder.description, {"fp32": full, "int8": eight})
    return Quantised(kind is QuantisedKind.KEPT, Finding(kind, figures=dict(compared.said[0].figures)), compared)


def _chips(view: OpenAlbum) -> NDArray[np.uint8]:
    """(N, side, side, 3) uint8: chips of people's own faces, taken evenly from the album in the order of people."""

    faces, eyes = view.catalog.faces.training_set(view.encoder), view.eyes()
    photos = [(faces.people[person], photo) for person, photo in zip(faces.person.tolist(), faces.sha256, strict=True)]
    if len(photos) < FEWEST_CHIPS:
        raise NoFaceError(
            str(view.folder),
            f"shows {len(photos)} faces, and at least {FEWEST_CHIPS} are needed to measure the ranges of numbers",
            "Add photos, or use an album that has more.",
        )
    step = max(1, len(photos) // MOST_CHIPS)
    places = view.catalog.faces.own_faces(photos[::step][:MOST_CHIPS], view.encoder)
    view.progress.start("Cutting faces", len(places))
    chips = []
    for path, face in places.values():
        view.progress.advance()
        with contextlib.suppress(PhotoError):  # it was there a moment ago; others will do
            chips.append(eyes.encoder_chips(view.layout.photos.picture(view.layout.file(path)), face))
    view.progress.finish()
    return np.concatenate(chips)
