"""The source `bucket`: S3 against a server in this process, everything else by fsspec's memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import fsspec
import pytest

from mien.errors import FetchError, MissingExtraError, SourceError
from mien.protocols import Source
from mien.sources import bucket
from mien.sources.bucket import open_source
from mien.testing import FakeSink, FakeWeb, check_source
from mien.text.buckets import NO_BUCKETS
from mien.text.fetching import FetchFault, SourceFault
from mien.types import Offer

Put = Callable[[str, bytes], None]


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dict[str, object], Put]]:
    """The options of the source, and what puts an object into its bucket "club"."""
    monkeypatch.setenv("CLUB_SECRET", "not checked")
    told = {"key": "club", "secret": {"env": "CLUB_SECRET"}, "client_kwargs": {"region_name": "us-east-1"}}
    files = fsspec.filesystem("s3", endpoint_url=s3_server, skip_instance_cache=True, **{**told, "secret": "x"})
    files.call_s3("create_bucket", Bucket="club")

    def put(key: str, data: bytes) -> None:
        files.call_s3("put_object", Bucket="club", Key=key, Body=data)

    yield {"options": {"endpoint_url": s3_server, **told}}, put
    files.rm("club", recursive=True)


@pytest.fixture
def memory() -> Iterator[Put]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield lambda key, data: files.pipe_file(f"/club/{key}", data)
    files.store.clear()


def open_bucket(url: str, **options: object) -> Source:
    return open_source("club", {"url": url, **options}, FakeWeb(), Path())


def told(source: Source) -> list[object]:
    """(location, person) of each offer, and what each error says."""
    return [each.message if isinstance(each, FetchError) else (each.location, each.person) for each in source.offers()]


TREE = (
    "people/Ada/1.jpg",
    "people/Ada/a/2.jpg",
    "people/Bo/1.PNG",
    "people/notes.txt",
    "people/x.jpg",
    "other/Cy/1.jpg",
)
HIDDEN = (
    "people/.trash/Ada/1.jpg",
    "people/Ada/.x.jpg",
    "people/Ada/@eaDir/1.jpg",
    "people/#recycle/1.jpg",
    "people/Ada/",
    "people/Ada//3.jpg",
)
FOUND = {("Ada/1.jpg", "Ada"), ("Ada/a/2.jpg", "Ada"), ("Bo/1.PNG", "Bo")}


def test_memory_keeps_the_promises(memory: Put) -> None:
    for key in TREE:
        memory(key, key.encode())
    check_source(lambda: open_bucket("memory://club/people"))


def test_s3_keeps_the_promises(s3: tuple[dict[str, object], Put]) -> None:
    options, put = s3
    for key in TREE:
        put(key, key.encode())
    check_source(lambda: open_bucket("s3://club/people", **options))


def test_a_tree_in_memory(memory: Put) -> None:
    for key in TREE:
        memory(key, key.encode())
    assert set(told(open_bucket("memory://club/people/"))) == FOUND
    assert told(open_bucket("memory://club", pattern="other/{person}/*")) == [("other/Cy/1.jpg", "Cy")]


def test_a_tree_in_s3(s3: tuple[dict[str, object], Put]) -> None:
    options, put = s3
    for key in TREE + HIDDEN:
        put(key, key.encode())
    assert set(told(open_bucket("s3://club/people", **options))) == {*FOUND, ("Ada//3.jpg", "Ada")}
    assert told(open_bucket("s3://club", pattern="other/{person}/*", **options)) == [("other/Cy/1.jpg", "Cy")]


def test_s3_is_listed_page_by_page(s3: tuple[dict[str, object], Put], monkeypatch: pytest.MonkeyPatch) -> None:
    options, put = s3
    for number in range(7):
        put(f"Ada/{number}.jpg", b"x")
    source = cast("Any", open_bucket("s3://club", **options))
    ask = source.files.call_s3
    pages = []

    def three_at_once(method: str, **arguments: object) -> Any:
        pages.append(ask(method, MaxKeys=3, **arguments))
        return pages[-1]

    monkeypatch.setattr(source.files, "call_s3", three_at_once)
    offers = source.offers()
    assert next(offers).location == "Ada/0.jpg" and len(pages) == 1
    assert [offer.name for offer in offers] == [f"{number}.jpg" for number in range(1, 7)] and len(pages) == 3


def test_a_large_photo_comes_in_blocks(s3: tuple[dict[str, object], Put], memory: Put, monkeypatch: Any) -> None:
    monkeypatch.setattr(bucket, "BLOCK", 1000)
    options, put = s3
    data = bytes(range(256)) * 10
    for place in (put, memory):
        place("Ada/1.jpg", data)
        place("Ada/empty.jpg", b"")
    for source in (open_bucket("s3://club", **options), open_bucket("memory://club")):
        one, empty = source.offers()
        assert isinstance(one, Offer) and isinstance(empty, Offer)
        receipt = source.fetch(one, sink := FakeSink(), "")
        assert sink.data == data and receipt and receipt.stamp == one.stamp
        assert source.fetch(empty, nothing := FakeSink(), "") and nothing.size == 0


def test_a_photo_that_changes_is_noticed(memory: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "BLOCK", 2)
    memory("Ada/1.jpg", b"before")
    source = open_bucket("memory://club")
    (old,) = source.offers()

    class Slow(FakeSink):
        def write(self, data: bytes) -> None:
            super().write(data)
            memory("Ada/1.jpg", b"after that")

    assert isinstance(old, Offer)
    with pytest.raises(FetchError, match="changed while it was read"):
        source.fetch(old, Slow(), "")
    (new,) = source.offers()
    assert isinstance(new, Offer) and new.stamp != old.stamp and source.fetch(new, FakeSink(), old.stamp)


def test_a_part_that_cannot_be_listed_is_said(memory: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in TREE:
        memory(key, b"x")
    source = cast("Any", open_bucket("memory://club/people"))
    list_folder = source.files.ls

    def ls(folder: str, detail: bool) -> Any:
        if folder.endswith("/a"):
            raise PermissionError(folder)
        return list_folder(folder, detail=detail)

    monkeypatch.setattr(source.files, "ls", ls)
    found = told(source)
    assert "The source club may not read /club/people/Ada/a." in found and ("Bo/1.PNG", "Bo") in found


@pytest.mark.parametrize("url", ["s3://club/nothing", "s3://no-such-bucket/people", "memory://nowhere"])
def test_nothing_there(s3: tuple[dict[str, object], Put], url: str) -> None:
    with pytest.raises(SourceError, match="The source club has nothing at"):
        list(open_bucket(url, **(s3[0] if url.startswith("s3") else {})).offers())


def test_a_photo_that_is_gone(s3: tuple[dict[str, object], Put]) -> None:
    with pytest.raises(FetchError, match=r"The source club has nothing at club/Ada/1.jpg") as caught:
        open_bucket("s3://club", **s3[0]).fetch(Offer("Ada/1.jpg", "Ada", "1.jpg"), FakeSink(), "")
    assert caught.value.kind is FetchFault.GONE


def test_no_server_and_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    once: dict[str, object] = {
        "endpoint_url": "http://127.0.0.1:9",
        "config_kwargs": {"retries": {"total_max_attempts": 1}, "connect_timeout": 1},
    }
    source = cast("Any", open_bucket("s3://club", options={**once, "anon": True}))
    monkeypatch.setattr(source.files, "retries", 1)
    with pytest.raises(SourceError, match="The source club cannot read club: "):
        list(source.offers())


def test_a_refusal_is_told_as_one_and_no_signature_is(memory: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    source = cast("Any", open_bucket("memory://club/people"))
    said = {"Forbidden: b/club/o": "may not read", "busy: https://host/?sig=hunter2": "cannot read"}
    for words, told in said.items():

        def refuse(*_: Any, words: str = words, **__: Any) -> None:
            raise OSError(words)  # as gcsfs does

        monkeypatch.setattr(source.files, "ls", refuse)
        with pytest.raises(SourceError, match=f"The source club {told} /club/people") as caught:
            list(source.offers())
        assert "hunter2" not in str(caught.value)


def test_credentials_that_a_library_misses_at_once_are_told_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise KeyError("no client_email beside AccountKey=SECRET")

    monkeypatch.setattr("fsspec.url_to_fs", refuse)
    with pytest.raises(SourceError, match=r"cannot be opened by fsspec: .*client_email") as caught:
        open_bucket("memory://club")
    assert "SECRET" not in str(caught.value) and "the credentials" in caught.value.remedy


@pytest.mark.parametrize("protocol", sorted(NO_BUCKETS))
def test_what_is_no_bucket_is_refused(protocol: str) -> None:
    with pytest.raises(SourceError, match=f"{protocol} is no bucket"):
        open_bucket(f"{protocol}://etc/passwd")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "simplecache::s3://club"}, "is no bucket"),
        ({"url": "zip://x::s3://club/a.zip"}, "is no bucket"),
        ({"url": "FILE://etc"}, "is no bucket"),
        ({"url": "/etc"}, "it must be protocol://bucket"),
        ({"url": "s3://"}, "it must be protocol://bucket"),
        ({"url": "nonsense://club"}, "The source club cannot be opened by fsspec: "),
        ({"url": "memory://club", "pattern": "*"}, "pattern will not do"),
        (
            {"url": "s3://club", "options": {"secret": "hunter2"}},
            "The source club has its secret in mien.toml, where no secret belongs",
        ),
        (
            {"url": "s3://club", "options": {"client_kwargs": {"aws_secret_access_key": "hunter2"}}},
            "The source club has its aws_secret_access_key in mien.toml, where",
        ),
        (
            {"url": "s3://club", "options": {"secret": {"env": "MIEN_TEST_NO_SUCH"}}},
            "The source club needs MIEN_TEST_NO_SUCH, which is not set",
        ),
        ({"url": "s3://club", "options": {"max_concurrency": 0}}, "cannot be opened by fsspec"),
        ({"url": "s3://club", "options": "anon"}, "options will not do"),
    ],
)
def test_wrong_options(options: dict[str, object], said: str) -> None:
    with pytest.raises(SourceError, match=said) as caught:
        open_source("club", options, FakeWeb(), Path())
    assert "hunter2" not in str(caught.value)
    assert caught.value.kind is SourceFault.OPTIONS


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(import_module("fsspec.registry")._registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[s3\]'"):
        open_bucket("s3://club")
