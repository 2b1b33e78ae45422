"""URLs of buckets in object storage, as settings may name them."""

from __future__ import annotations

import re
from typing import Final

NO_BUCKETS: Final = (
    frozenset({"file", "local", "asynclocal", "dir", "data", "reference", "zip", "tar", "libarchive", "git"})
    | frozenset({"http", "https", "ftp", "github", "gist", "jupyter", "jlab"})
    | frozenset(
        {"cached", "blockcache", "filecache", "simplecache", "async_wrapper", "asyncwrapper", "generic", "dask"}
    )
)
"""Protocols of fsspec that are refused: those of this machine's disk, which is read within its limits; those of the
web, to which `mien.web` is the one way; and those that stand before another protocol."""


def require_bucket(url: str) -> str:
    """The URL of a bucket or of a folder in one, without a slash at its end. Raises ValueError for anything else, and
    for a URL that holds a password, a key or options: people copy and show it."""
    protocol, separator, path = url.partition("://")
    if not separator or not path.strip("/"):
        raise ValueError("it must be protocol://bucket/folder")
    if "::" in url or protocol.lower() in NO_BUCKETS:
        raise ValueError("its protocol is that of no bucket")
    if re.search(r"[@?#\\]", url) or not url.isprintable():
        raise ValueError("a password, key or option must not stand in it; they come from the environment")
    if any(part in ("", ".", "..") for part in path.rstrip("/").split("/")):
        raise ValueError("it must be the plain path of a folder")
    return url.rstrip("/")
