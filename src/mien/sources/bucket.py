"""A bucket in object storage, at any URL that fsspec knows: s3://, gs://, az://, memory://."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from socket import gaierror
from typing import Any

from fsspec import AbstractFileSystem
from pydantic import Field, field_validator

from mien.errors import FetchError
from mien.protocols import Sink, Source, Web
from mien.sources.common import Options, fetch_error, file_name, offered, read_options, source_error
from mien.sources.lists import people_listed
from mien.sources.patterns import PERSONS_FOLDERS, PathPattern, names_file, path_pattern, person_in
from mien.storage.objects import BLOCK, foreign_errors, opened, plain, s3_entries, stamp
from mien.text.buckets import NO_BUCKETS
from mien.text.fetching import FetchFault, SourceFault
from mien.text.system_folders import is_of_systems
from mien.types import Offer, Receipt
from mien.vision.sniff import kind_of_name

SECRETS = frozenset(
    {"secret", "password", "account_key", "sas_token", "connection_string", "client_secret", "aws_secret_access_key"}
)
"""Options that must come from the environment: people copy and show mien.toml."""


class BucketOptions(Options):
    url: str = Field(description='The bucket and the folder in it, say "s3://club-photos/people".')
    pattern: PathPattern = Field(
        default="",
        description='Paths of photos in it, say "{person}/*.jpg"; {person} once, * any text in a part, ** any parts.',
    )
    options: dict[str, Any] = Field(
        default={},
        description='Options of fsspec for it, say { anon = true }; { env = "NAME" } takes a value from the '
        "environment, as secrets must.",
    )

    @field_validator("url")
    @classmethod
    def _a_bucket(cls, value: str) -> str:
        protocol, separator, path = value.partition("://")
        if not separator or not path.strip("/"):
            raise ValueError("it must be protocol://bucket")
        if "::" in value or protocol.lower() in NO_BUCKETS:
            raise ValueError(f"{protocol} is no bucket; for a disk there is the kind folder, for the web manifest")
        return value


def open_source(name: str, options: Mapping[str, object], web: Web, album: Path) -> Source:
    """A source that is a bucket. Raises SourceError, and MissingExtraError where what its protocol needs is not
    installed."""
    chosen = read_options(BucketOptions, name, options)
    told = {key: _from_environment(name, key, value) for key, value in chosen.options.items()}
    files, root = _file_system(name, chosen.url, told)
    pattern = path_pattern(chosen.pattern or PERSONS_FOLDERS)
    return _Bucket(name, files, root.rstrip("/"), pattern, names_file(chosen.pattern))


def _from_environment(name: str, key: str, value: object) -> object:
    """An option with each { env = "NAME" } in it replaced."""
    if isinstance(value, dict) and set(value) == {"env"}:
        variable = str(value["env"])
        if variable not in os.environ:
            what = f"needs {variable}, which is not set in the environment"
            raise source_error(name, what, f"Set it: options.{key} takes its value from there.", SourceFault.OPTIONS)
        return os.environ[variable]
    if isinstance(value, dict):
        return {inner: _from_environment(name, inner, each) for inner, each in value.items()}
    if key in SECRETS and isinstance(value, str):
        remedy = f'Write {key} = {{ env = "NAME" }} and set that variable.'
        what = f"has its {key} in mien.toml, where no secret belongs"
        raise source_error(name, what, remedy, SourceFault.OPTIONS)
    return value


def _file_system(name: str, url: str, options: Mapping[str, object]) -> tuple[AbstractFileSystem, str]:
    """fsspec's object for a bucket, and the path of `url` in it."""
    try:
        return opened(url, f"The source {name}", **options)
    except OSError as error:
        what = f"cannot be opened by fsspec: {error.strerror}"
        remedy = "Correct url or options in mien.toml, or the credentials."
        raise source_error(name, what, remedy, SourceFault.OPTIONS) from None


@dataclass(frozen=True, slots=True)
class _Bucket:
    """A bucket, listed from the folder `root` on. Keys are only ever names: `..` in one leads nowhere."""

    name: str
    files: AbstractFileSystem
    root: str
    pattern: re.Pattern[str]
    in_files: bool

    def offers(self) -> Iterator[Offer | FetchError]:
        """In the order in which S3 lists keys; elsewhere folder by folder, in order of name."""
        listing = _s3_keys(self.files, self.root) if hasattr(self.files, "call_s3") else self._tree()
        try:
            for found in listing:
                if isinstance(found, FetchError):
                    yield found
                elif offer := self._offer(*found):
                    yield offer
        except foreign_errors() as error:
            raise source_error(self.name, *_said(self.root, error), SourceFault.UNLISTED) from error

    def _tree(self) -> Iterator[tuple[str, str] | FetchError]:
        """(key, stamp) of every object, an error for a folder that cannot be listed. The listings of a folder and of
        those above it are all that is in memory at once."""
        folders = [self.root]
        while folders:
            folder = folders.pop()
            try:
                entries = sorted(self.files.ls(folder, detail=True), key=lambda entry: str(entry["name"]))
            except foreign_errors() as error:
                if folder == self.root:
                    raise
                yield fetch_error(self.name, *_said(folder, error), _fault(error))
                continue
            below = []
            for entry in entries:
                key = str(entry["name"]).rstrip("/")
                if not key.startswith(f"{folder}/"):
                    continue  # the folder itself, which some stores list in itself
                if entry["type"] == "directory":
                    below.append(key)
                else:
                    yield key, stamp(entry)
            folders += reversed(below)

    def _offer(self, key: str, stamp: str) -> Offer | FetchError | None:
        path = key[len(self.root) + 1 :]
        if kind_of_name(path) != "photo" or any(map(is_of_systems, path.split("/"))):
            return None
        person = person_in(self.pattern, path)
        if not person:
            return None
        several = people_listed(person, prose=False) if self.in_files else ()
        return offered(self.name, Offer(path, person, file_name(path), stamp, listed=several))

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        key = f"{self.root}/{offer.location}"
        info = self._ask(key, partial(self.files.info, key))
        found, size = stamp(info), int(info["size"] or 0)
        if found == since:
            return None
        for start in range(0, size, BLOCK):
            end = min(size, start + BLOCK)
            into.write(self._ask(key, partial(self.files.cat_file, key, start=start, end=end)))
        if size > BLOCK and stamp(self._ask(key, partial(self.files.info, key))) != found:
            what = f"has a photo that changed while it was read: {key}"
            raise fetch_error(self.name, what, FetchFault.CHANGED.remedy, FetchFault.CHANGED)
        return Receipt(found)

    def _ask(self, key: str, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except foreign_errors() as error:
            raise fetch_error(self.name, *_said(key, error), _fault(error)) from error


def _s3_keys(files: Any, root: str) -> Iterator[tuple[str, str]]:
    """(key, stamp) of every object below `root`."""
    found = s3_entries(files, f"{root}/")
    first = next(found, None)
    if first is None:
        raise FileNotFoundError(root)
    for key, entry in chain([first], found):
        yield key, stamp(entry)


def _said(where: str, error: Exception) -> tuple[str, str]:
    """For an error of a store what is wrong with the source, and the remedy. `where` is a key or folder."""
    if isinstance(error, FileNotFoundError):
        return f"has nothing at {where}", "Check url and pattern in mien.toml."
    told = plain(error)
    if isinstance(told, PermissionError):
        return f"may not read {where}", "Check the credentials, and what they allow."
    reason = told.strerror
    network = ", and the network" if _fault(error) in (FetchFault.NETWORK, FetchFault.TIMEOUT) else ""
    return f"cannot read {where}: {reason}", f"Check url and options in mien.toml{network}."


def _fault(error: Exception) -> FetchFault:
    """The kind of the FetchError that an error of a store becomes."""
    if isinstance(plain(error), PermissionError):
        return FetchFault.REFUSED
    match error:
        case FileNotFoundError():
            return FetchFault.GONE
        case TimeoutError():
            return FetchFault.TIMEOUT
        case ConnectionError() | gaierror():
            return FetchFault.NETWORK
    name = type(error).__name__  # of a library that need not be loaded: EndpointConnectionError, ClientConnectorError
    return FetchFault.NETWORK if any(word in name for word in ("Connect", "Endpoint", "Timeout")) else FetchFault.SERVER
