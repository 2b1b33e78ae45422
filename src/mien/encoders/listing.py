"""Which encoders there are: those on this machine, and those that mien knows and could add."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mien.encoders import shelf
from mien.encoders.description import Description
from mien.encoders.shelf import BUILT_IN, kept, known
from mien.errors import EncoderError, StorageError
from mien.text.encoders import Advice
from mien.text.shell import command
from mien.types import Finding

Here = Literal["built in", "added", "in the package", "damaged", "no"]


@dataclass(frozen=True, slots=True)
class ListedEncoder:
    """An encoder, and how it stands on this machine.

    `description` is None for one that the user added and that is damaged. `precisions` are those of its networks,
    together `bytes` large; of one that is not here `bytes` are those of its files, 0 if not known. `add` is the command
    that adds one that is not here, "" for others. `chosen`: the settings of the album name it; `in_use`: the album's
    model was made with it.
    """

    name: str
    description: Description | None
    here: Here
    precisions: tuple[str, ...]
    bytes: int
    add: str = ""
    folder: Path | None = None
    chosen: bool = False
    in_use: bool = False

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        keys = ("title", "licence", "commercial", "origin", "trained_on", "note", "side", "dimensions", "views")
        one = self.description
        described = {key: getattr(one, key, None) for key in keys}
        if one:
            described |= {
                "files": [{"name": file.name, "url": file.url} for file in one.files],
                "cosines": "measured" if one.cosines else "by album",
                "measured": one.measured,
            }
        return {
            "name": self.name,
            **described,
            "here": self.here,
            "precisions": list(self.precisions),
            "bytes": self.bytes,
            "add": self.add,
            "folder": str(self.folder) if self.folder else None,
            "chosen": self.chosen,
            "in_use": self.in_use,
        }


def list_encoders(chosen: str = "", in_use: str = "") -> tuple[ListedEncoder, ...]:
    """The encoders on this machine and those that mien knows, the preferred first, then by name. An album's settings
    name the one that is `chosen`, its model was made with the one `in_use`; "" for none."""
    return tuple(
        _listed(name, name == chosen, name == in_use) for name in sorted({*shelf.names(), *known()}, key=shelf.order)
    )


def _listed(name: str, chosen: bool, in_use: bool) -> ListedEncoder:
    here: Here = "no"
    try:
        one = kept(name)
    except EncoderError:
        description = known().get(name)
        if name in shelf.names():
            here = "damaged"
        size, add = (description.bytes, _add(description)) if description else (0, "")
        return ListedEncoder(name, description, here, (), size, add, None, chosen, in_use)
    here = "built in" if name == BUILT_IN else "added" if shelf.is_users(one) else "in the package"
    size = sum(network.size for network in one.networks.values())
    return ListedEncoder(name, one.description, here, (*one.networks,), size, "", one.folder, chosen, in_use)


def _add(description: Description) -> str:
    files = description.files
    brought = () if all(file.url for file in files) else ("--from", files[0].file_name)
    return command(None, "encoders", "add", description.name, *brought)


def advice(encoder: str, album: Path | None) -> Finding | None:
    """What a better encoder than this one would bring; None where there is none. `album` is the album that would use
    it, None where there is none."""
    better = shelf.PREFERRED[0]
    if encoder != BUILT_IN:
        return None
    try:
        shelf.kept(better)
    except EncoderError as error:
        if isinstance(error.__cause__, StorageError):  # it may be there
            return None
        return Finding(Advice.ADD, figures={"better": better, "how": command(None, "encoders", "add", better)})
    return Finding(Advice.TRAIN, figures={"better": better, "how": command(album, "train", "--encoder", better)})
