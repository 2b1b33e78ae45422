"""Objects in stores as gcsfs and adlfs show them, which differ from S3 in what they say of a missing bucket, in their
errors, their stamps, and in the names that they can take.

The store is a small file system of fsspec, kept in memory, that does what those two were seen to do.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.spec import AbstractFileSystem

from mien.errors import StorageError
from mien.storage import objects
from mien.storage.in_bucket import BucketPhotos
from mien.storage.objects import Object, Objects, asked, plain, stamp
from mien.storage.trying import try_bucket


class HttpError(Exception):
    """As gcsfs raises it for most answers: of no class that is the system's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message}, {code}")
        self.code = code


class ClientAuthenticationError(Exception):
    """As azure.core has it."""


class Store(AbstractFileSystem):  # type: ignore[misc]
    """A store of one bucket, "club". `error` is raised by whatever is asked."""

    protocol = "store"
    kept: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []
    error: ClassVar[Exception | None] = None
    denied: ClassVar[str] = ""

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        path = path.removeprefix("store://")
        before, _, fragment = path.partition("#")
        before, _, query = before.partition("?")
        return f"{before}{'#' * bool(fragment)}{fragment}{'?' * bool(query)}{query}"

    def split_path(self, path: str) -> tuple[str, str, str | None]:
        bucket, _, key = self._strip_protocol(path).partition("/")
        return bucket, key.partition("?versionid=")[0], None

    def _ask(self, what: str) -> str:
        path = "/".join(filter(None, self.split_path(what)[:2]))
        self.asked.append(path)
        if self.error and path != "club":
            raise self.error
        if path == self.denied:
            raise OSError(f"Forbidden: b/{path}/o\nno storage.objects.list")
        return path

    def _entry(self, path: str) -> dict[str, Any]:
        data = self.kept[path]
        md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
        return {"name": path, "size": len(data), "type": "file", "etag": f"CJ{id(data)}", "md5Hash": md5}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        path = self._ask(path)
        if path in self.kept:
            return [self._entry(path)]  # adlfs: not what lies in the folder of this name
        start = f"{path.strip(' ')}/"
        below = {one.removeprefix(start) for one in self.kept if one.startswith(start)}
        folders = {one.partition("/")[0] for one in below if "/" in one}
        if path != "club" and not any(one.startswith(f"{path}/") for one in self.kept):
            raise FileNotFoundError(f"https://store/b/{path}?sig=secret")
        # of a folder whose name ends with a space nothing, as adlfs does
        files = [self._entry(f"{start}{one}") for one in below if "/" not in one]
        return files + [{"name": f"{start}{one}", "type": "directory"} for one in folders]

    def find(self, path: str, prefix: str = "", detail: bool = False, **_: Any) -> Any:
        if not self._ask(path):
            raise FileNotFoundError("https://store/b//o")
        found = {one: self._entry(one) for one in self.kept if one.startswith(f"{path}/{prefix}")}
        return found if detail else [*found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        path = self._ask(path)
        if path == "club":
            return {"name": path, "size": 0, "type": "directory"}
        if path not in self.kept:
            raise FileNotFoundError(path)
        return self._entry(path)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        path = self._ask(path)
        if path not in self.kept:
            raise FileNotFoundError(f"https://store/download/{path}?alt=media")
        return self.kept[path][start:end]

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        path = self._ask(path)
        if not path.startswith("club/"):
            raise FileNotFoundError("https://store/upload")
        if mode == "create" and path in self.kept:
            raise FileExistsError("https://store/upload")
        self.kept[path] = value

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        self.kept[self._ask(path2)] = bytes(bytearray(self.kept[path1]))

    def rm_file(self, path: str) -> None:
        if self.kept.pop(self._ask(path), None) is None:
            raise FileNotFoundError(path)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    fsspec.register_implementation("store", Store, clobber=True)
    gcsfs = ModuleType("gcsfs.retry")
    gcsfs.HttpError, gcsfs.ChecksumError = HttpError, HttpError  # type: ignore[attr-defined]
    azure = ModuleType("azure.core.exceptions")
    azure.AzureError = ClientAuthenticationError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gcsfs.retry", gcsfs)
    monkeypatch.setitem(sys.modules, "azure.core.exceptions", azure)
    fresh: dict[str, Any] = {"kept": {}, "asked": [], "error": None, "denied": ""}
    for name, value in fresh.items():
        monkeypatch.setattr(Store, name, value)
    objects._file_system.cache_clear()
    yield Objects("store://club/photos")
    objects._file_system.cache_clear()


def keys(store: Objects, below: str = "") -> list[str]:
    return [one.key for one in store.listed(below)]


# What is there


def test_a_bucket_that_does_not_exist_is_no_empty_folder(store: Objects) -> None:
    assert keys(store) == [] and store.inside(".mien/") == ([], []), "an empty folder of one that is there"
    missing = Objects("store://gone/photos")
    for question in (lambda: keys(missing), lambda: missing.inside(".mien/"), lambda: missing.put_new("1.jpg", b"1")):
        with pytest.raises(OSError, match="its bucket does not exist") as caught:
            question()
        assert caught.value.errno == errno.EIO
    with pytest.raises(StorageError) as told:
        asked(lambda: missing.inside(""), "store://gone/photos")
    assert str(told.value).startswith("store://gone/photos cannot be reached: its bucket does not exist.")


def test_neither_is_what_it_would_hold_an_object_that_is_gone(store: Objects) -> None:
    gone = Objects("store://gone/photos")
    asked: list[Callable[[], object]] = [
        lambda: gone.find("Ada/1.jpg"),
        lambda: gone.read("Ada/1.jpg", 9),
        lambda: gone.copy("Ada/1.jpg", "Bo/1.jpg"),
        lambda: gone.remove("Ada/1.jpg"),
    ]
    for ask in asked:
        with pytest.raises(OSError, match="its bucket does not exist") as caught:
            ask()
        assert caught.value.errno == errno.EIO
    assert store.find("Ada/1.jpg") is None, "of one that exists it is"


def test_a_bucket_that_is_empty_is_one(store: Objects) -> None:
    whole = Objects("store://club")
    assert (keys(whole), whole.inside("")) == ([], ([], []))
    assert whole.put_new("Ada/1.jpg", b"photo") and keys(whole) == ["Ada/1.jpg"]


def test_what_is_not_there_is_asked_for_and_nothing_else_is_listed(store: Objects) -> None:
    store.put("Ada/1.jpg", b"photo")
    Store.asked.clear()
    assert store.inside(".mien/") == ([], [])
    assert Store.asked == ["club/photos/.mien", "club"]


def test_whoever_may_list_one_folder_alone_has_an_empty_one(store: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "denied", "club")
    assert keys(store) == []
    monkeypatch.setattr(Store, "denied", "club/photos")
    with pytest.raises(PermissionError, match=r"Forbidden: b/club/photos/o no storage\.objects\.list"):
        keys(store)


def test_a_folder_whose_name_ends_with_a_space_is_listed(store: Objects) -> None:
    for key in ("Ada/1.jpg", "Trail /1.jpg", "Trail /a/2.jpg"):
        assert store.put_new(key, b"photo")
    assert keys(store) == ["Ada/1.jpg", "Trail /1.jpg", "Trail /a/2.jpg"]
    assert store.inside("Trail /") == (["a"], ["1.jpg"])


def test_an_object_with_the_name_of_a_folder_hides_nothing(store: Objects) -> None:
    for key in ("Ada", "Ada/1.jpg", "Adam/2.jpg"):
        assert store.put_new(key, b"photo")
    assert keys(store) == ["Ada", "Ada/1.jpg", "Adam/2.jpg"]
    assert keys(store, "Ada/") == ["Ada/1.jpg"]
    assert store.inside("Ada/") == ([], ["1.jpg"])
    assert store.inside("Ada/1.jpg/") == ([], []), "a file is no folder"


# Stamps


def test_the_md5_of_a_store_says_whether_a_photo_is_as_it_was(store: Objects) -> None:
    assert store.put_new("Ada/1.jpg", b"one") and not store.put_new("Ada/1.jpg", b"two")
    before = store.find("Ada/1.jpg")
    assert before and before.stamp == hashlib.md5(b"one").hexdigest()
    assert before == next(iter(store.listed())), "listed as it is found"
    store.put("Ada/1.jpg", b"two")
    assert store.find("Ada/1.jpg") != before
    Store.asked.clear()
    assert store.copy("Ada/1.jpg", "Bo/1.jpg")
    mine, free = "club/photos/Ada/1.jpg", "club/photos/Bo/1.jpg"
    assert Store.asked == [mine, free, "club", free, free], "neither is read"


def test_an_etag_that_is_no_md5_is_a_stamp_and_equal_bytes_are_read() -> None:
    assert stamp({"etag": '"0x8D"', "size": 3}) == '"0x8D"'


def test_a_condition_that_the_key_is_free_holds_against_others(store: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    find, looks = Objects.find, []

    def late(self: Objects, key: str) -> Object | None:
        looks.append(key)
        return find(self, key) if len(looks) > 1 else None  # they write just after we looked

    Store.kept["club/photos/Ada/1.jpg"] = b"theirs"
    monkeypatch.setattr(Objects, "find", late)
    assert not store.put_new("Ada/1.jpg", b"mine")
    assert store.read("Ada/1.jpg", 10) == b"theirs" and len(looks) == 2


# Names


@pytest.mark.parametrize("key", ["Ada/mit Leerzeichen.jpg", "Bär/Ö.jpg", "Ada/nr#5.jpg", "Ada/50%.jpg", "Ada/wie?.jpg"])
def test_names_as_people_have_them(store: Objects, key: str) -> None:
    assert store.put_new(key, b"photo") and keys(store) == [key]
    assert store.read(key, 9) == b"photo" and store.copy(key, f"copies/{key}")
    store.remove(key)
    assert keys(store) == [f"copies/{key}"]


@pytest.mark.parametrize("key", ["Ada?", "Ada/1?", "Ada/1#", "Ada/a?b#c.jpg", "Ada/1.jpg?versionid=2.jpg"])
def test_a_name_that_the_library_takes_for_another_is_refused(store: Objects, key: str) -> None:
    other = "/".join(Store().split_path(f"club/photos/{key}")[:2])
    Store.kept.update({f"club/photos/{key}": b"theirs", other: b"another", "club/photos/Bo/2.jpg": b"2"})
    before = dict(Store.kept)
    for question in (
        lambda: store.find(key),
        lambda: store.read(key, 9),
        lambda: store.put_new(key, b"mine"),
        lambda: store.put(key, b"mine"),
        lambda: store.remove(key),
        lambda: store.copy("Bo/2.jpg", key),
    ):
        with pytest.raises(StorageError, match="has a name that cannot be used: ") as told:
            asked(question, f"{store.url}/{key}")
        assert told.value.remedy == "Give it another name."
    assert Store.kept == before


def test_a_folder_that_the_library_takes_for_another_closes_the_shelf(store: Objects, tmp_path: Path) -> None:
    Store.kept.update({"club/photos/Ada/1.jpg": b"1", "club/photos/Bo?/2.jpg": b"2", "club/photos/Bo/3.jpg": b"3"})
    photos = BucketPhotos(store, tmp_path, "training-images", lambda _: False)
    listing = photos.flat(tmp_path / "training-images")
    with pytest.raises(OSError, match=r"takes club/photos/Bo\? for club/photos/Bo"):
        list(listing or ())


# Errors


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (HttpError(401, "Invalid Credentials"), PermissionError, "Invalid Credentials, 401"),
        (HttpError(503, "busy"), OSError, "busy, 503"),
        (OSError("Forbidden: b/club/o\nno access"), PermissionError, "Forbidden: b/club/o no access"),
        (ClientAuthenticationError("Failed.\nRequestId:1\nThe MAC was SECRET"), PermissionError, "Failed"),
        (ClientAuthenticationError("Failed.\nErrorCode:AuthenticationFailed"), PermissionError, "Failed"),
        (FileNotFoundError("https://store/x?alt=media"), FileNotFoundError, "No such file or directory"),
    ],
)
def test_errors_of_libraries_are_plain_and_of_their_kind(
    store: Objects, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[OSError], said: str
) -> None:
    assert (type(plain(error)), plain(error).strerror) == (kind, said)
    monkeypatch.setattr(Store, "error", error)
    with pytest.raises(kind, match=said.partition(":")[0]) as caught:
        store.read("Ada/1.jpg", 9)
    assert "SECRET" not in str(caught.value)
    assert "secret" not in repr(try_bucket(store.url)).lower()


def test_credentials_that_are_missing_when_a_store_is_opened(store: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("unable to connect to account for AccountKey=SECRET, which is malformed.")

    monkeypatch.setattr(Store, "__init__", refuse)
    Store.clear_instance_cache()
    with pytest.raises(StorageError) as caught:
        keys(store)
    assert "SECRET" not in repr(try_bucket(store.url)) and try_bucket(store.url).reading.startswith("ValueError")
    assert "SECRET" not in str(caught.value) and "the credentials in the environment" in caught.value.remedy


def test_what_a_library_logs_is_not_printed(store: Objects) -> None:
    keys(store)
    library = logging.getLogger(Store.__module__.partition(".")[0])
    assert any(isinstance(one, logging.NullHandler) for one in library.handlers)


def test_doctor_says_that_a_bucket_is_missing_and_not_that_it_is_empty(
    store: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = try_bucket(store.url)
    assert (tried.reading, tried.writing, tried.deleting) == ("", "", "")
    assert "FileNotFoundError" in try_bucket("store://gone/photos").reading

    def refuse(*_: Any, **__: Any) -> None:
        raise HttpError(403, "no")

    monkeypatch.setattr(Store, "pipe_file", refuse)
    tried = try_bucket(store.url)
    assert tried.writing.startswith("PermissionError 403") and tried.reading == "", "it may be read all the same"
