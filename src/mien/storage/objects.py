"""What lies below a URL of object storage, at any URL that fsspec knows: s3://, gs://, az://, memory://.

Nothing here retries: the libraries below do, each with growing pauses. s3fs asks again up to five times where a server
is busy ("SlowDown") or a connection breaks, and botocore below it as often as AWS_MAX_ATTEMPTS says; gcsfs and adlfs
have their own rules. What is raised after that is an OSError in plain words, without anything secret: FileNotFoundError
for an object that is not there, PermissionError where the credentials do not allow it, FileExistsError, EILSEQ where
the library would take a key for another, or EIO with what the store said. A bucket that is missing is no object that is
missing: it is told as EIO.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mien.errors import MissingExtraError, StorageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Result = TypeVar("Result")

PACKAGES: Final[Mapping[str, str]] = {
    "s3": "'mien[s3]'",
    "s3a": "'mien[s3]'",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
}
"""What `pip install` is to be given for a protocol."""
DOCS: Final = "docs/photos-in-a-bucket.md"

PAGE: Final = 1000
"""Objects listed at once, the most that S3 gives."""
BLOCK: Final = 8 << 20
"""Bytes asked for at once: most photos come in one request."""
NO_BUCKET: Final = "its bucket does not exist"


@dataclass(frozen=True, slots=True)
class Object:
    """An object by its key below the URL. Its `stamp` is another whenever its bytes are: their MD5 or the ETag, or size
    and time where a store has neither."""

    key: str
    size: int
    stamp: str


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects below `url`, as `mien.text.buckets.require_bucket` gives it. A value: the connection is made where it
    is needed, once in each process. Every method raises OSError, and MissingExtraError where the protocol needs another
    package."""

    url: str

    def listed(self, below: str = "", but: str = "", most: int = PAGE) -> Iterator[Object]:
        """The objects whose keys begin with `below`, in order of their bytes, a page of `most` in memory at a time,
        without those in the folder `but`."""
        files, root = self._opened()
        start = f"{root}/"
        if hasattr(files, "call_s3"):
            found = s3_entries(files, start + below, most, start + but if but else "")
        else:
            found = _tree(files, root, below, start + but if but else "")
        with self._plainly():
            for key, entry in found:
                yield Object(key.removeprefix(start), int(entry.get("Size", entry.get("size")) or 0), stamp(entry))

    def inside(self, below: str) -> tuple[list[str], list[str]]:
        """The names of the folders, and of the objects, in the folder `below` ("" or ending in a slash), sorted. What
        lies deeper is not listed."""
        files, root = self._opened()
        start = f"{root}/{below}"
        folders, objects = list[str](), list[str]()
        with self._plainly():
            if hasattr(files, "call_s3"):
                bucket, _, prefix = start.partition("/")
                for page in _s3_pages(files, Bucket=bucket, Prefix=prefix, Delimiter="/"):
                    folders += (one["Prefix"].removeprefix(prefix) for one in page.get("CommonPrefixes", ()))
                    objects += (one["Key"].removeprefix(prefix) for one in page.get("Contents", ()))
            else:
                for one in entries(files, start.rstrip("/")):
                    name, slash, _ = str(one["name"]).removeprefix(start).partition("/")
                    (folders if slash or one["type"] == "directory" else objects).append(name)
        return sorted({one.rstrip("/") for one in folders}), sorted(filter(None, objects))

    def find(self, key: str) -> Object | None:
        """The object of a key, asked for by itself; None where there is none."""
        files, root = self._opened()
        try:
            with self._plainly():
                if hasattr(files, "call_s3"):
                    bucket, name, _ = files.split_path(_checked(files, f"{root}/{key}"))
                    entry = files.call_s3("head_object", Bucket=bucket, Key=name, **files.req_kw)
                    return Object(key, int(entry["ContentLength"]), stamp({**entry, "Size": entry["ContentLength"]}))
                entry = files.info(_checked(files, f"{root}/{key}"))
                return None if entry["type"] == "directory" else Object(key, int(entry["size"] or 0), stamp(entry))
        except FileNotFoundError:
            return None

    def read(self, key: str, size: int, start: int = 0) -> bytes:
        """At most `size` bytes of an object, from one place on."""
        files, root = self._opened()
        with self._plainly():
            path = _checked(files, f"{root}/{key}")
            return bytes(files.cat_file(path, start=start, end=start + size)) if size else b""

    def blocks(self, found: Object) -> Iterator[bytes]:
        """The bytes of an object, a block at a time."""
        return (self.read(found.key, min(BLOCK, found.size - at), at) for at in range(0, found.size, BLOCK))

    def holds(self, found: Object, data: bytes) -> bool:
        """Whether an object has these bytes; it is only read where its stamp does not say so."""
        if found.size != len(data):
            return False
        return _md5(found.stamp) == hashlib.md5(data, usedforsecurity=False).hexdigest() or (
            b"".join(self.blocks(found)) == data
        )

    def same(self, one: Object, other: Object) -> bool:
        """Whether two objects have the same bytes; they are only read where their stamps do not say so."""
        if one.size != other.size:
            return False
        return (bool(_md5(one.stamp)) and one.stamp == other.stamp) or all(
            mine == theirs for mine, theirs in zip(self.blocks(one), self.blocks(other), strict=True)
        )

    def put_new(self, key: str, data: bytes) -> bool:
        """Puts an object whole, and verifies it; False, and nothing done, where the key is taken. Where a store knows
        conditional writes, that holds against writers of every machine."""
        if self.find(key) is not None:
            return False
        with contextlib.suppress(FileExistsError):  # whose it is, is seen now: an answer may have been lost
            self._put(key, data, new=True)
        found = self.find(key)
        if found is None or not self.holds(found, data):
            if found is not None:
                return False
            raise OSError(errno.EIO, "what was written is not there")
        return True

    def put(self, key: str, data: bytes) -> None:
        """Puts an object whole, whatever had the key before."""
        self._put(key, data, new=False)

    def copy(self, key: str, target: str) -> bool:
        """Copies an object, within the store, and verifies the copy; False, and nothing done, where `target` is
        taken."""
        files, root = self._opened()
        source = self.find(key)
        if source is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if self.find(target) is not None:
            return False
        with self._plainly():
            if hasattr(files, "call_s3"):
                bucket, name, _ = files.split_path(_checked(files, f"{root}/{target}"))
                there = {"Bucket": bucket, "Key": files.split_path(f"{root}/{key}")[1]}
                files.call_s3("copy_object", Bucket=bucket, Key=name, CopySource=there)
            else:
                files.cp_file(f"{root}/{key}", _checked(files, f"{root}/{target}"))
        copied = self.find(target)
        if copied is None or not self.same(source, copied):
            raise OSError(errno.EIO, "the copy is not what was copied")
        return True

    def remove(self, key: str) -> None:
        """Deletes an object; no harm if it is gone."""
        files, root = self._opened()
        with contextlib.suppress(FileNotFoundError), self._plainly():
            files.rm_file(_checked(files, f"{root}/{key}"))

    def _put(self, key: str, data: bytes, new: bool) -> None:
        files, root = self._opened()
        try:
            with self._plainly():
                files.pipe_file(_checked(files, f"{root}/{key}"), data, mode="create" if new else "overwrite")
        except FileNotFoundError:
            raise OSError(errno.EIO, NO_BUCKET) from None
        except OSError as error:
            if not new or error.errno != errno.ENOSYS:
                raise
            self._put(key, data, new=False)  # a store without conditional writes; it was asked whether the key is free

    def _opened(self) -> tuple[AbstractFileSystem, str]:
        return _file_system(self.url, os.getpid())

    @contextlib.contextmanager
    def _plainly(self) -> Iterator[None]:
        """What a store raises, in plain words. Other stores than S3 say of a missing bucket what they do of objects."""
        try:
            try:
                yield
            except FileNotFoundError:
                files, root = self._opened()
                if not hasattr(files, "call_s3"):
                    _require_bucket(files, root.partition("/")[0])
                raise
        except foreign_errors() as error:
            raise plain(error) from None  # whose own words may hold keys and signed addresses


@lru_cache(8)
def _file_system(url: str, process: int) -> tuple[AbstractFileSystem, str]:
    """fsspec's object for a bucket, without a cache of listings, and the path of `url` in it; connections are not
    shared with a process of another number. Raises MissingExtraError, StorageError."""
    try:
        return opened(url, url)
    except OSError as error:
        remedy = f"Correct it in mien.toml, or the credentials in the environment: {DOCS}."
        raise StorageError(url, f"cannot be opened by fsspec: {error.strerror}", remedy) from None


def opened(url: str, about: str, **options: object) -> tuple[AbstractFileSystem, str]:
    """fsspec's object for a bucket, of these options, and the path of `url` in it; it is not shared, has no cache of
    listings, and its library prints nothing. Raises MissingExtraError, which speaks `about` whoever names the bucket,
    and OSError for a protocol, options or credentials that will not do."""
    import fsspec

    try:
        files, root = fsspec.url_to_fs(url, skip_instance_cache=True, use_listings_cache=False, **options)
    except ImportError as error:
        raise missing_package(about, url, error) from error
    except Exception as error:  # no such protocol, or option; some libraries look for credentials now
        raise plain(error) from None
    for module in (type(files).__module__, *(module for module, _ in _ERRORS)):
        _hush(module.partition(".")[0])
    return files, str(root).rstrip("/")


@cache
def _hush(library: str) -> None:
    """Has nothing printed of what a library logs: gcsfs and Azure's log pages, with addresses, of what they raise
    anyway, which are printed where there is no handler."""
    logging.getLogger(library).addHandler(logging.NullHandler())


def missing_package(about: str, url: str, error: ImportError) -> MissingExtraError:
    """What to tell somebody who named a `url` for whose protocol a package is missing."""
    protocol = url.partition("://")[0].lower()
    package = PACKAGES.get(protocol)
    remedy = f"python -m pip install {package}" if package else f"Install what fsspec needs for it: {error}"
    return MissingExtraError(about, f"needs a package that is not installed, for {protocol}://", remedy)


def store_error(about: str, error: OSError) -> StorageError:
    """What to tell somebody because of an `error` of `Objects`."""
    if isinstance(error, PermissionError):
        remedy = f"Check the credentials in the environment, and what they allow: {DOCS}."
        return StorageError(about, f"cannot be used: {error.strerror}", remedy)
    if error.errno == errno.EILSEQ:
        return StorageError(about, f"has a name that cannot be used: {error.strerror}", "Give it another name.")
    remedy = "Check the address in mien.toml, the region, and the network; then run the same command again."
    return StorageError(about, f"cannot be reached: {error.strerror or error}", remedy)


# What sources have in common with it


def s3_entries(files: Any, start: str, most: int = PAGE, but: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(path, entry) of every object whose path begins with `start`, with a request, and the memory, for `most` at
    once; s3fs itself would collect a whole folder first. The folder `but` is passed over, without its being listed."""
    bucket, _, prefix = start.partition("/")
    asked: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix} | ({"MaxKeys": most} if most != PAGE else {})
    passed_over = f"{but}/" if but else ""
    while True:
        jumped = False
        for page in _s3_pages(files, **asked):
            for entry in page.get("Contents", ()):
                path = f"{bucket}/{entry['Key']}"
                if passed_over and path.startswith(passed_over):
                    jumped = True
                    break
                yield path, entry
            if jumped:
                break
        if not jumped:
            return
        asked["StartAfter"] = f"{but.partition('/')[2]}0"  # "0" comes after "/"
        passed_over = ""


def _s3_pages(files: Any, **asked: object) -> Iterator[Mapping[str, Any]]:
    page = files.call_s3("list_objects_v2", **asked, **files.req_kw)
    while True:
        yield page
        if not page.get("IsTruncated"):
            return
        if not page.get("NextContinuationToken"):
            raise OSError(errno.EIO, "its listing breaks off")
        page = files.call_s3(
            "list_objects_v2", **asked, **files.req_kw, ContinuationToken=page["NextContinuationToken"]
        )


def _tree(files: AbstractFileSystem, root: str, below: str, but: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(path, entry) of every object whose path in `root` begins with `below`, folder by folder."""
    wanted = f"{root}/{below}"
    folders = [wanted.rpartition("/")[0]]
    while folders:
        inner = []
        for entry in entries(files, folders.pop()):
            path, is_folder = str(entry["name"]), entry["type"] == "directory"
            if but and f"{path}/".startswith(f"{but}/"):
                continue
            if is_folder and (path.startswith(wanted) or wanted.startswith(f"{path}/")):
                inner.append(path.rstrip("/"))
            elif not is_folder and path.startswith(wanted):
                yield path, entry
        folders += reversed(inner)


def entries(files: AbstractFileSystem, folder: str) -> list[Mapping[str, Any]]:
    """What lies in a folder, in order of name; nothing where there is no such folder. Raises FileNotFoundError where
    there is no such bucket, of which gcsfs and adlfs say the same as of a folder."""
    bucket = folder.partition("/")[0]
    try:
        listed = files.ls(_checked(files, folder), detail=True)
    except FileNotFoundError:
        _require_bucket(files, bucket)
        return []
    start = f"{folder}/"
    found = [one for one in listed if str(one["name"]).startswith(start) and one["name"] != start]
    if not found and folder != bucket and (folder.endswith(" ") or any(one["name"] == folder for one in listed)):
        # adlfs lists nothing in a folder whose name ends with a space, and an object that has the name of a folder in
        # the place of what lies in that; what it finds is right.
        parent, _, name = folder.rpartition("/")
        known = files.find(parent, prefix=name, detail=True)
        found = [one for path, one in known.items() if path.startswith(start) and path != start]
    return sorted(found, key=lambda entry: str(entry["name"]))


def _require_bucket(files: AbstractFileSystem, bucket: str) -> None:
    """Raises FileNotFoundError where there is no bucket of this name. That of fsspec's memory is "": its paths begin
    with a slash, and it has none."""
    for ask in (files.info, files.ls) if bucket else ():  # gcsfs takes an empty one about which it may not ask for none
        try:
            ask(bucket)
            return
        except FileNotFoundError:
            continue
        except foreign_errors() as error:
            if isinstance(plain(error), PermissionError):  # whoever may list a folder alone knows that there is one
                return
            raise
    if bucket:
        raise FileNotFoundError(errno.ENOENT, NO_BUCKET)


def _checked(files: AbstractFileSystem, path: str) -> str:
    """A path as the library of a store takes it. Raises OSError for one that it would take for another: adlfs reads
    "?" and "#" as parts of a URL, so that "Ada/1?" were "Ada/1", and s3fs cuts "?versionId=" off."""
    split = getattr(files, "split_path", None)
    taken = "/".join(split(path)[:2]) if split else str(files._strip_protocol(path))
    if taken.rstrip("/") != path.rstrip("/"):
        library = type(files).__module__.partition(".")[0]
        raise OSError(errno.EILSEQ, f"{library} takes {path} for {taken}")
    return path


def stamp(info: Mapping[str, Any]) -> str:
    """The stamp of an object: its MD5 where the store itself computes one, else its ETag, or where a store has neither
    its size and time, whatever the store calls them."""
    if hashed := info.get("md5Hash"):  # Google's: its ETag is another after a change of metadata alone
        return base64.b64decode(hashed).hex()
    for key in ("ETag", "etag"):
        if info.get(key):
            return str(info[key])
    times = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
    time = next((info[key] for key in times if info.get(key) is not None), "")
    return f"{info.get('size')}-{time.timestamp() if isinstance(time, datetime) else time}"


def _md5(stamp: str) -> str:
    """The MD5 that a stamp seems to be; "" for none. Of an object that came in parts, or is encrypted, it is none."""
    return found[1] if (found := re.fullmatch(r'"?([0-9a-f]{32})"?', stamp)) else ""


_ERRORS: Final = (
    ("botocore.exceptions", "BotoCoreError"),
    ("aiohttp", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("gcsfs.retry", "HttpError"),
    ("gcsfs.retry", "ChecksumError"),
    ("azure.core.exceptions", "AzureError"),
)


def foreign_errors() -> tuple[type[Exception], ...]:
    """The errors of a store: of the system, and of those libraries under fsspec that are loaded."""
    loaded = [getattr(sys.modules[module], name) for module, name in _ERRORS if module in sys.modules]
    return OSError, ValueError, RuntimeError, NotImplementedError, *loaded


_DENIED = (
    *("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"),
    *("DefaultCredentialsError", "RefreshError"),
    *("ClientAuthenticationError", "CredentialUnavailableError", "AzureSigningError"),
)
_SECRET = re.compile(r"(?i)(//[^/\s@]*@|(signature|token|secret|password|accountkey|credential|sig)=[^&\s]+)")


def plain(error: Exception) -> OSError:
    """An error of a store as one of the system's, in a few words without secrets."""
    own = (isinstance(error, OSError) and error.strerror) or str(error)
    own = re.split("RequestId:|ErrorCode:", own)[0]  # behind which Azure's say what the server made of the request
    said = _SECRET.sub("***", " ".join(own.split()))[:200].rstrip(".!") or type(error).__name__
    is_denied = isinstance(error, PermissionError) or type(error).__name__ in _DENIED or status_of(error) in (401, 403)
    if is_denied or said.startswith("Forbidden: "):  # as gcsfs says it
        return PermissionError(errno.EACCES, said)
    if isinstance(error, FileNotFoundError):
        if re.search("bucket does not exist|NoSuchBucket", said):
            return OSError(errno.EIO, said)
        return FileNotFoundError(errno.ENOENT, said if error.strerror else os.strerror(errno.ENOENT))
    if isinstance(error, OSError) and error.errno == errno.EILSEQ:
        return OSError(errno.EILSEQ, said)
    if isinstance(error, FileExistsError) or "pre-condition" in said:
        return FileExistsError(errno.EEXIST, said)
    if isinstance(error, NotImplementedError) or (isinstance(error, OSError) and error.errno == errno.ENOSYS):
        return OSError(errno.ENOSYS, said)
    return OSError(errno.EIO, said)


def status_of(error: Exception) -> int | None:
    """The HTTP status that an error of a library speaks of; None for none."""
    found = (getattr(error, name, None) for name in ("code", "status_code", "status"))
    return next((one for one in found if isinstance(one, int)), None)


def asked(question: Callable[[], Result], about: str) -> Result:
    """What `question` says of a store. Raises StorageError."""
    try:
        return question()
    except OSError as error:
        raise store_error(about, error) from error
