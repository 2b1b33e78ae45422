"""A bucket, tried: one tiny object is written, listed, read and deleted again."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mien.storage.objects import entries, opened, plain, status_of
from mien.text.urls import told

FOLDER: Final = ".mien/doctor"
"""Where the object lies for a moment, below a bucket's prefix: hidden from the walk of people."""
_DATA: Final = b"mien doctor: an object that is removed again\n"


@dataclass(frozen=True, slots=True)
class TriedBucket:
    """What failed is given as the name of the error, "" where nothing did: `reading`, `writing` and `deleting`.
    `lists` says whether what was written was listed at once; `is_versioned` whether older versions are kept, None where
    nobody can tell; `ahead` is by how many seconds our clock is ahead of the bucket's, None likewise."""

    reading: str = ""
    writing: str = ""
    deleting: str = ""
    lists: bool = True
    milliseconds: float = 0.0
    is_versioned: bool | None = None
    ahead: float | None = None


def try_bucket(url: str) -> TriedBucket:
    """What is to be said of the bucket of any URL that fsspec knows. Raises MissingExtraError where the library for its
    kind is missing."""
    try:
        store, root = opened(url, url)
    except OSError as error:  # adlfs looks for credentials now, and says more by its kind than in plain words
        said = error.__context__
        return TriedBucket(reading=_told(said if isinstance(said, Exception) else error, url))
    folder = f"{root}/{FOLDER}"
    name = f"{folder}/{secrets.token_hex(8)}"
    began = time.perf_counter()
    try:
        store.pipe_file(name, _DATA)
    except Exception as error:
        return TriedBucket(writing=_told(error, url), reading=_list_only(store, root, url))
    reading, lists, ahead = "", True, None
    try:
        store.invalidate_cache()
        found = [one for one in store.ls(folder, detail=True) if one["name"].endswith(name.rpartition("/")[2])]
        lists = bool(found) and store.cat_file(name) == _DATA
        names = ("LastModified", "last_modified", "mtime")  # of S3, Azure, Google
        if made := next((found[0][one] for one in names if found and isinstance(found[0].get(one), datetime)), None):
            ahead = time.time() - made.timestamp()
    except Exception as error:
        reading = _told(error, url)
    deleting = ""
    try:
        store.rm_file(name)
    except Exception as error:
        deleting = _told(error, url)
    milliseconds = 1000 * (time.perf_counter() - began) / 4
    with contextlib.suppress(Exception):  # of a folder on a disk; a bucket has none
        store.rmdir(folder)
    return TriedBucket(reading, "", deleting, lists, milliseconds, _is_versioned(store, root), ahead)


def _list_only(store: Any, root: str, url: str) -> str:
    """Why a bucket that cannot be written cannot be listed either; "" where it can."""
    try:
        entries(store, f"{root}/{FOLDER}")
    except Exception as error:
        return _told(error, url)
    return ""


def _is_versioned(store: Any, root: str) -> bool | None:
    """Whether S3 keeps older versions of a bucket's objects; of other stores nobody can tell."""
    if "s3" not in store.protocol:
        return None
    with contextlib.suppress(Exception):
        return bool(store.call_s3("get_bucket_versioning", Bucket=root.split("/")[0]).get("Status") == "Enabled")
    return None


def _told(error: Exception, url: str) -> str:
    """The kind of an error, and its number: what libraries say besides may hold anything."""
    number = status_of(error) or getattr(error, "errno", None)
    response = getattr(error.__cause__, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    kind = type(found if isinstance(found := plain(error), PermissionError) else error).__name__
    return code or f"{kind}{f' {number}' if number else ''} at {told(url)}"
