"""Encoders come to this machine, and go: described, obtained, verified, made one network, kept.

Such an encoder is there for all albums of the user; see `mien.encoders.shelf`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.encoders import shelf
from mien.encoders.description import Description, read
from mien.encoders.obtain import Connect, Wanted, from_disk, obtained
from mien.encoders.shelf import BUILT_IN, Kept, Precision, kept, known
from mien.errors import EncoderError
from mien.protocols import Silent
from mien.text.words import listed

if TYPE_CHECKING:
    from mien.protocols import Progress


@dataclass(frozen=True, slots=True)
class AddedEncoder:
    """An encoder that is there now; `before`: it was there already, and nothing was done."""

    encoder: Kept
    before: bool

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        one = self.encoder
        return {
            "encoder": one.name,
            "before": self.before,
            "folder": str(one.folder) if one.folder else None,
            "networks": {
                precision: {"bytes": network.size, "sha256": network.sha256}
                for precision, network in one.networks.items()
            },
            "cosines": "measured" if one.description.cosines else "by album",
        }


def describe_encoder(encoder: str | os.PathLike[str]) -> Description:
    """The description of an encoder: of one that mien knows, by its name, or in the TOML file of this path. Raises
    EncoderError."""
    return wanted_encoder(encoder).description


def add_encoder(
    encoder: str | os.PathLike[str],
    files: str | os.PathLike[str] | None = None,
    mirror: str = "",
    *,
    commercial: bool = False,
    progress: Progress | None = None,
    connect: Connect | None = None,
) -> AddedEncoder:
    """Makes an encoder usable on this machine; to call it is to accept its licence.

    `encoder` is the name of one that mien knows, or the path of a TOML file that describes one. Its files come from
    `files`, a folder or the one file; else from below the address `mirror`; else from where the description says.
    `commercial`: refuse it if its licence does not allow commercial use. `connect` is for tests and special networks.

    Raises EncoderError, StorageError, BusyError and UsageError, and then nothing has changed.
    """
    wanted = wanted_encoder(encoder)
    description = wanted.description
    description.require_licence(commercial)
    if files is None and (there := _same(description)):
        return AddedEncoder(there, True)
    if not description.files:
        raise EncoderError(wanted.about, "names no files", "Name them in its description, as docs/encoders.md shows.")
    with shelf.at_work("encoders add") as place:
        data = network_of(wanted, place, files, mirror, progress or Silent(), connect)
        networks: dict[Precision, bytes] = {"fp32": data, **_quantised(description.name, data)}
        return AddedEncoder(shelf.keep(description, networks), False)


def remove_encoder(name: str) -> None:
    """Removes an encoder that the user added. Models made with it are kept, and cannot answer until it is added again.
    Raises EncoderError, StorageError and BusyError."""
    with shelf.at_work("encoders remove"):
        shelf.remove(name)


def network_of(
    wanted: Wanted,
    place: Path,
    files: str | os.PathLike[str] | None,
    mirror: str,
    progress: Progress,
    connect: Connect | None = None,
) -> bytes:
    """The network that is to be kept of a wanted encoder. Files that are fetched lie in the folder `place` while they
    come; all else as for `add_encoder`."""
    from mien.encoders.prepare import prepare

    if files is not None:
        found = from_disk(wanted, Path(files))
    else:
        found = obtained(wanted, place, progress, connect or _client(), mirror)
    return prepare(wanted.description, found, wanted.about)


def wanted_encoder(encoder: str | os.PathLike[str]) -> Wanted:
    """What is wanted by a name or by the path of a description. Raises EncoderError."""
    called = os.fspath(encoder)
    if called in known():
        return Wanted(known()[called], called)
    if not called.lower().endswith(".toml"):
        raise EncoderError(
            f"The encoder {called}",
            "is none that mien knows",
            f"mien knows {listed(sorted(known(), key=shelf.order))}. Another one is added by the path of a .toml file "
            "that describes it; docs/encoders.md shows how.",
        )
    description = read(Path(called))
    if description.name in known():
        raise EncoderError(
            f"The name {description.name} in {called}", "is that of an encoder that mien knows", "Give yours another."
        )
    return Wanted(description, called, Path(called).parent)


def _same(description: Description) -> Kept | None:
    """The encoder that is kept by just this description; None where there is none, or it is damaged. Files that are
    known by no hash may have changed since."""
    if description.name != BUILT_IN and not all(file.sha256 for file in description.files):
        return None
    with contextlib.suppress(EncoderError):
        there = kept(description.name)
        for network in there.networks.values():
            network.read()
        if there.description == description:
            return there
    return None


def _quantised(name: str, network: bytes) -> dict[Precision, bytes]:
    """The 8-bit network of this encoder, if one is kept that was made of just this network."""
    with contextlib.suppress(EncoderError):
        there = kept(name)
        if "int8" in there.networks and there.network("fp32").sha256 == hashlib.sha256(network).hexdigest():
            return {"int8": there.network("int8").read()}
    return {}


def _client() -> Connect:
    from mien.web.client import Client

    return Client
