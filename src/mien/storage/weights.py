"""The weights of mien's networks, which lie inside the package: read, verified, described.

manifest.json beside them is the only place where their sizes, hashes, licences and origins stand.
tools/build_weights.py writes the weights and the manifest.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from mien.errors import DamagedModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = resources.files("mien.seeing") / "data"
_REMEDY = "Reinstall mien."


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of weights. `sha256` (hex) and `bytes` (its length) verify the file; the rest is for people.

    `input` names the tensor, its shape, type and colour order; `normalisation` says what happens to the pixels, and
    where; `alignment` how a face must be cut or framed.
    """

    file: str
    sha256: str
    bytes: int
    licence: str
    origin: str
    input: str
    normalisation: str
    alignment: str
    description: str


@cache
def manifest() -> Mapping[str, WeightFile]:
    """All shipped weights, by the name of their file. Raises DamagedModelError if manifest.json cannot be read."""
    try:
        entries = json.loads((_FOLDER / "manifest.json").read_text(encoding="utf-8"))
        return MappingProxyType({entry["file"]: WeightFile(**entry) for entry in entries})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedModelError(
            "The list of mien's weights, manifest.json,", f"cannot be read: {error}", _REMEDY
        ) from error


def load(file: str) -> bytes:
    """The bytes of a file of the manifest, verified: exactly those that were shipped.

    Raises DamagedModelError naming the file if it is missing or was changed, and KeyError if the manifest has no file
    of this name.
    """
    expected = manifest()[file]
    try:
        data = (_FOLDER / file).read_bytes()
    except OSError as error:
        raise DamagedModelError(f"The weights {file}", f"cannot be read: {error}", _REMEDY) from error
    if hashlib.sha256(data).hexdigest() != expected.sha256:
        raise DamagedModelError(f"The weights {file}", "are damaged: the file is another than was shipped", _REMEDY)
    return data
