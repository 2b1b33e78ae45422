"""mien: a face classifier that keeps itself trained, and says when it does not know.

    from mien import Album

    album = Album.create("club", exist_ok=True)
    album.add("Ada", ["ada-1.jpg", "ada-2.jpg"])
    album.train()
    for answer in album.classify(["party.jpg"]):
        print(answer)  # party.jpg: Ada 98 %, unknown

Public names are imported when first used, so that `import mien` and `mien --help` cost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.album import Album
    from mien.asking import classify, convert
    from mien.encoders.adding import add_encoder, describe_encoder, remove_encoder
    from mien.encoders.listing import list_encoders
    from mien.errors import MienError
    from mien.settings import Settings
    from mien.types import (
        Answer,
        Box,
        By,
        Candidate,
        Embedding,
        Face,
        NamedFace,
        Photo,
        Picture,
        Prediction,
        Quality,
        SeenFace,
        SeenPhoto,
    )

__version__ = "0.1.0"

_HOMES = {
    "Album": "mien.album",
    "classify": "mien.asking",
    "convert": "mien.asking",
    "add_encoder": "mien.encoders.adding",
    "describe_encoder": "mien.encoders.adding",
    "remove_encoder": "mien.encoders.adding",
    "list_encoders": "mien.encoders.listing",
    "MienError": "mien.errors",
    "Settings": "mien.settings",
} | dict.fromkeys(
    (
        "Answer",
        "Box",
        "By",
        "Candidate",
        "Embedding",
        "Face",
        "NamedFace",
        "Photo",
        "Picture",
        "Prediction",
        "Quality",
        "SeenFace",
        "SeenPhoto",
    ),
    "mien.types",
)

__all__ = [
    "Album",
    "Answer",
    "Box",
    "By",
    "Candidate",
    "Embedding",
    "Face",
    "MienError",
    "NamedFace",
    "Photo",
    "Picture",
    "Prediction",
    "Quality",
    "SeenFace",
    "SeenPhoto",
    "Settings",
    "add_encoder",
    "classify",
    "convert",
    "describe_encoder",
    "list_encoders",
    "remove_encoder",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mien' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
