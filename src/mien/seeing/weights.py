"""The weights inside the package: found, verified, described.

manifest.json beside them is the one place where their numbers, licences and origins stand. tools/build_weights.py
writes all of it.
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
    """What is known of one file: `sha256` (hex) and `bytes` (its length) verify it; the rest is for people.

    `input` names the tensor, its shape, type and colour order; `normalisation` what happens to the pixels, and where;
    `alignment` how a face must be cut or framed.
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
    """All shipped weights by file name. Raises DamagedModelError if the manifest is missing or unreadable."""
    try:
        entries = json.loads((_FOLDER / "manifest.json").read_text(encoding="utf-8"))
        return MappingProxyType({entry["file"]: WeightFile(**entry) for entry in entries})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedModelError(
            f"The list of mien's weights, manifest.json, cannot be read: {error}.", _REMEDY
        ) from error


def load(file: str) -> bytes:
    """The bytes of one of the manifest's files, exactly as they were built.

    Raises DamagedModelError naming the file if it is missing or not what it was; KeyError for a name not in the
    manifest.
    """
    expected = manifest()[file]
    try:
        data = (_FOLDER / file).read_bytes()
    except OSError as error:
        raise DamagedModelError(f"The weights {file} cannot be read: {error}.", _REMEDY) from error
    if hashlib.sha256(data).hexdigest() != expected.sha256:
        raise DamagedModelError(f"The weights {file} are damaged: the file is not the one that was shipped.", _REMEDY)
    return data
