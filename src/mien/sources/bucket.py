"""A bucket in object storage, at any URL that fsspec knows: s3://, gs://, az://, memory://."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
from fsspec import AbstractFileSystem
from pydantic import Field, field_validator

from mien.errors import FetchError, MissingExtraError, SourceError
from mien.protocols import Sink, Source, Web
from mien.sources import (
    PERSONS_FOLDERS,
    Options,
    PathPattern,
    fetch_error,
    file_name,
    offered,
    path_pattern,
    person_in,
    read_options,
    source_error,
)
from mien.text.names import BESIDE_PHOTOS
from mien.types import Offer, Receipt
from mien.vision.sniff import kind_of_name

NO_BUCKETS = (
    frozenset({"file", "local", "asynclocal", "dir", "data", "reference", "zip", "tar", "libarchive", "git"})
    | frozenset({"http", "https", "ftp", "github", "gist", "jupyter", "jlab"})
    | frozenset(
        {"cached", "blockcache", "filecache", "simplecache", "async_wrapper", "asyncwrapper", "generic", "dask"}
    )
)
"""Protocols of fsspec that are refused: of this machine's disk, for which `folder` minds its limits; of the web, to
which `mien.web` is the one way; and those that stand before another."""

SECRETS = frozenset(
    {"secret", "password", "account_key", "sas_token", "connection_string", "client_secret", "aws_secret_access_key"}
)
"""Options that stand in the environment and not in mien.toml, which people copy and show."""

_BLOCK = 8 << 20
"""Bytes asked for at once: most photos come in one request."""


class BucketOptions(Options):
    url: str = Field(description='The bucket and the folder in it, say "s3://club-photos/people".')
    pattern: PathPattern = Field(
        default="",
        description='Paths of photos in it, say "{person}/*.jpg"; {person} once, * any text in a part, ** any parts.',
    )
    options: dict[str, Any] = Field(
        default={},
        description='What fsspec is to be told, say { anon = true }; { env = "NAME" } takes a value from the '
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
    return _Bucket(name, files, root.rstrip("/"), path_pattern(chosen.pattern or PERSONS_FOLDERS))


def _from_environment(name: str, key: str, value: object) -> object:
    """An option with each { env = "NAME" } in it replaced."""
    if isinstance(value, dict) and set(value) == {"env"}:
        variable = str(value["env"])
        if variable not in os.environ:
            raise source_error(name, f"{variable} is not set in the environment", f"Set it: options.{key} needs it.")
        return os.environ[variable]
    if isinstance(value, dict):
        return {inner: _from_environment(name, inner, each) for inner, each in value.items()}
    if key in SECRETS and isinstance(value, str):
        remedy = f'Write {key} = {{ env = "NAME" }} and set that variable.'
        raise source_error(name, f"{key} is a secret and does not belong in mien.toml", remedy)
    return value


def _file_system(name: str, url: str, options: Mapping[str, object]) -> tuple[AbstractFileSystem, str]:
    """fsspec's object for a bucket, not shared and without a cache of listings, and the path of `url` in it."""
    protocol = url.partition("://")[0].lower()
    try:
        files, root = fsspec.url_to_fs(url, skip_instance_cache=True, use_listings_cache=False, **options)
    except ImportError as error:
        package = {"s3": "'mien[s3]'", "s3a": "'mien[s3]'", "gs": "gcsfs", "gcs": "gcsfs"}.get(protocol)
        remedy = f"python -m pip install {package}" if package else f"Install what fsspec needs for it: {error}"
        raise MissingExtraError(f"The source {name}: {protocol}:// needs a package that is missing.", remedy) from error
    except (ValueError, TypeError) as error:  # no such protocol; no such option
        raise source_error(name, f"fsspec cannot open it: {error}", "Correct url or options in mien.toml.") from error
    return files, root


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Keys are only ever names: `..` in one leads nowhere."""

    name: str
    files: AbstractFileSystem
    root: str
    pattern: re.Pattern[str]

    def offers(self) -> Iterator[Offer | FetchError]:
        """In the order in which S3 lists keys; elsewhere folder by folder, in order of name."""
        listing = _s3_keys(self.files, self.root) if hasattr(self.files, "call_s3") else self._tree()
        try:
            for found in listing:
                if isinstance(found, FetchError):
                    yield found
                elif offer := self._offer(*found):
                    yield offer
        except _foreign() as error:
            raise SourceError(*_said(self.name, self.root, error)) from error

    def _tree(self) -> Iterator[tuple[str, str] | FetchError]:
        """(key, stamp) of all that is there. No more is in memory than the listings of a folder and those above."""
        folders = [self.root]
        while folders:
            folder = folders.pop()
            try:
                entries = sorted(self.files.ls(folder, detail=True), key=lambda entry: str(entry["name"]))
            except _foreign() as error:
                if folder == self.root:
                    raise
                yield FetchError(*_said(self.name, folder, error), _kind(error))
                continue
            below = []
            for entry in entries:
                key = str(entry["name"]).rstrip("/")
                if not key.startswith(f"{folder}/"):
                    continue  # the folder itself, which some stores list in itself
                if entry["type"] == "directory":
                    below.append(key)
                else:
                    yield key, _stamp(entry)
            folders += reversed(below)

    def _offer(self, key: str, stamp: str) -> Offer | FetchError | None:
        path = key[len(self.root) + 1 :]
        if kind_of_name(path) != "photo" or any(part[:1] == "." or part in BESIDE_PHOTOS for part in path.split("/")):
            return None
        person = person_in(self.pattern, path)
        return offered(self.name, Offer(path, person, file_name(path), stamp)) if person else None

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        key = f"{self.root}/{offer.location}"
        info = self._ask(key, partial(self.files.info, key))
        stamp, size = _stamp(info), int(info["size"] or 0)
        if stamp == since:
            return None
        for start in range(0, size, _BLOCK):
            end = min(size, start + _BLOCK)
            into.write(self._ask(key, partial(self.files.cat_file, key, start=start, end=end)))
        if size > _BLOCK and _stamp(self._ask(key, partial(self.files.info, key))) != stamp:
            raise fetch_error(self.name, f"{key} changed while it was read", "It is tried again next time.", "changed")
        return Receipt(stamp)

    def _ask(self, key: str, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except _foreign() as error:
            raise FetchError(*_said(self.name, key, error), _kind(error)) from error


def _s3_keys(files: Any, root: str) -> Iterator[tuple[str, str]]:
    """(key, stamp) of every object below `root`, a request and no more memory than a thousand of them need; s3fs itself
    would collect a whole folder first."""
    bucket, prefix, _ = files.split_path(root)
    asked = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else "", **files.req_kw}
    page = files.call_s3("list_objects_v2", **asked)
    if not page.get("Contents"):
        raise FileNotFoundError(root)
    while True:
        for entry in page.get("Contents", ()):
            yield f"{bucket}/{entry['Key']}", _stamp(entry)
        if not page.get("IsTruncated"):
            return
        page = files.call_s3("list_objects_v2", **asked, ContinuationToken=page["NextContinuationToken"])


def _stamp(info: Mapping[str, Any]) -> str:
    """What changes with an object: its ETag; where a store has none its size and time, by whatever name it goes."""
    for key in ("ETag", "etag"):
        if info.get(key):
            return str(info[key])
    times = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
    time = next((info[key] for key in times if info.get(key) is not None), "")
    return f"{info.get('size')}-{time.timestamp() if isinstance(time, datetime) else time}"


def _foreign() -> tuple[type[Exception], ...]:
    """What fsspec and the libraries under it raise: errors of the system, and, of those that are loaded, their own."""
    own = (
        ("botocore.exceptions", "BotoCoreError"),
        ("aiohttp", "ClientError"),
        ("google.auth.exceptions", "GoogleAuthError"),
        ("azure.core.exceptions", "AzureError"),
    )
    loaded = [getattr(sys.modules[module], name) for module, name in own if module in sys.modules]
    return OSError, ValueError, RuntimeError, NotImplementedError, *loaded


def _said(name: str, where: str, error: Exception) -> tuple[str, str]:
    """Message and remedy for an error of a store."""
    if isinstance(error, FileNotFoundError):
        return f"The source {name}: there is nothing at {where}.", "Check url and pattern in mien.toml."
    if isinstance(error, PermissionError):
        return f"The source {name}: {where} may not be read.", "Check the credentials, and what they allow."
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return f"The source {name}: {where}: {reason}.", "Check url and options in mien.toml, and the network."


def _kind(error: Exception) -> str:
    """The kind of the FetchError that `error` becomes."""
    kinds = ((FileNotFoundError, "gone"), (PermissionError, "refused"), (TimeoutError, "timeout"))
    return next((kind for each, kind in kinds if isinstance(error, each)), "network")
