"""What an album in a bucket makes of a store that refuses, is busy, breaks off, or lists late: nobody leaves the album
for that, and nothing is lost.

A proxy before moto's S3 server does what it is told to, request by request: there is no chance and no clock in it.
"""

from __future__ import annotations

import http.client
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from s3fs import S3FileSystem

from mien.errors import AlbumError, MienError, PhotoError, StorageError
from mien.storage import in_bucket, objects
from mien.storage.in_bucket import BucketPhotos
from mien.storage.layout import TRAINING, Layout, photos_at
from mien.storage.objects import Objects
from mien.storage.walk import people_of, walk
from mien.text.findings import LeftOutKind
from mien.text.photos import PhotoFault

if TYPE_CHECKING:
    from conftest import Bucket, Painted

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
Fault = Callable[[str, str], int]
"""For the method and path of a request the status that is answered; 0: what the server answers; -1: half of that."""


class Faulty:
    """A server before another one, which answers wrongly as `fault` says, and lists what was there when it was told to
    be `late`."""

    def __init__(self, behind: str) -> None:
        self.fault: Fault = lambda method, path: 0
        self.asked: list[str] = []
        self.frozen: list[bytes] | None = None
        faulty, (host, port) = self, behind.removeprefix("http://").split(":")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                faulty.asked.append(f"{self.command} {self.path}")
                status = faulty.fault(self.command, self.path)
                if status > 0:
                    body = {403: DENIED, 503: SLOW_DOWN}.get(status, b"<Error><Code>InternalError</Code></Error>")
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body if self.command != "HEAD" else b"")
                    return
                there = http.client.HTTPConnection(host, int(port))
                there.request(self.command, self.path, data, dict(self.headers))
                said = there.getresponse()
                body = said.read()
                if faulty.frozen is not None and self.command == "GET" and "list-type=2" in self.path:
                    body = faulty.late(self.path, body)
                self.send_response(said.status)
                for name, value in said.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                length = said.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body[: len(body) // 2] if status < 0 else body)
                if status < 0:
                    self.close_connection = True

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def late(self, path: str, body: bytes) -> bytes:
        """A listing as it was before."""
        prefix = parse_qs(urlsplit(path).query, keep_blank_values=True).get("prefix", [""])[0].encode()
        if b"delimiter" in path.encode():
            return body
        now = b"".join(one for one in self.frozen or () if one.partition(b"<Key>")[2].startswith(prefix))
        bare = re.sub(rb"<Contents>.*?</Contents>", b"", body, flags=re.DOTALL)
        return bare.replace(b"</ListBucketResult>", now + b"</ListBucketResult>")

    def freeze(self, bucket: Bucket) -> None:
        """From now on listings have what is there now."""
        self.frozen = [
            b"<Contents><Key>%s</Key><LastModified>2026-11-23T00:00:00.000Z</LastModified><ETag>&quot;%s&quot;</ETag>"
            b"<Size>%d</Size></Contents>" % (key.encode(), md5.encode(), len(bucket.get(key)))
            for key, md5 in bucket.md5s().items()
        ]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def faulty(bucket: Bucket, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """A proxy through which mien reaches the bucket, which asks again but once."""
    found = Faulty(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    monkeypatch.setattr(S3FileSystem, "retries", 2)
    objects._file_system.cache_clear()
    yield found
    found.close()
    objects._file_system.cache_clear()


@pytest.fixture
def club(
    new_painted: Callable[[Path], Painted],
    faulty: Faulty,
    bucket: Bucket,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Painted:
    """An album of Ada and Bo in a bucket, which the catalog knows: a file, or a server's where a test says so."""
    painted = new_painted(tmp_path / "album")
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(f'photos = "{bucket.url}/club"\n')
        if getattr(request, "param", "sqlite") == "postgresql":
            file.write(f'catalog = "{request.getfixturevalue("album_server").url}"\n')
    for person in ("Ada", "Bo"):
        for number in (1, 2):
            photo = painted.paint(tmp_path / f"{person}/{number}.png", person)
            bucket.put(f"club/{person}/{number}.png", photo.read_bytes())
    painted.open().align()
    painted.looked()
    faulty.asked.clear()
    return painted


either_catalog = pytest.mark.parametrize("club", ["sqlite", "postgresql"], indirect=True)


def people(painted: Painted) -> dict[str, int]:
    return {one.name: one.photos for one in painted.open().status().people}


def listing(status: int) -> Fault:
    return lambda method, path: status if method == "GET" and "list-type=2" in path else 0


def test_a_day_with_nothing_new_reads_no_photo(club: Painted, faulty: Faulty) -> None:
    done = club.open().align()
    assert (done.photos, done.computed, done.new, done.changed) == (4, 0, 0, 0)
    assert [one for one in faulty.asked if not ("list-type=2" in one and one.startswith("GET"))] == []


def test_who_is_there_takes_one_request(club: Painted, faulty: Faulty) -> None:
    with club.reading() as album:
        assert people_of(album.layout) == ["Ada", "Bo"]
    assert len(faulty.asked) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, LeftOutKind.UNREADABLE), (503, LeftOutKind.AWAY), (500, LeftOutKind.AWAY), (-1, LeftOutKind.AWAY)],
)
def test_a_listing_that_fails_closes_the_shelf(
    club: Painted, faulty: Faulty, bucket: Bucket, status: int, kind: LeftOutKind
) -> None:
    faulty.fault = lambda method, path: status if method == "GET" and "list-type=2" in path else 0
    with club.reading() as album:
        shelved = album.walk([TRAINING])
    assert [(one.path, one.kind) for one in shelved.left_out] == [(TRAINING, kind)]
    with pytest.raises((AlbumError, StorageError), match=bucket.url) as caught:
        club.open().align()
    assert caught.value.remedy.startswith(
        "Check the credentials" if status == 403 else "Check the address in mien.toml"
    )
    faulty.fault = lambda method, path: 0
    assert people(club) == {"Ada": 2, "Bo": 2}
    assert club.open().align().computed == 0, "nothing was forgotten"


def test_a_photo_that_cannot_be_read_just_now_is_told_and_stays(club: Painted, faulty: Faulty, bucket: Bucket) -> None:
    bucket.put("club/Ada/3.png", bucket.get("club/Bo/1.png")[:-1])
    faulty.fault = lambda method, path: 503 if method == "GET" and path.endswith("Ada/3.png") else 0
    failures = club.open().align().failures
    assert [(path, error.fault, error.about) for path, error in failures] == [
        (f"{TRAINING}/Ada/3.png", PhotoFault.DISK, f"{bucket.url}/club/Ada/3.png")
    ]
    assert people(club) == {"Ada": 3, "Bo": 2}


@either_catalog
def test_what_was_written_and_is_not_listed_yet_is_asked_for(
    club: Painted, faulty: Faulty, bucket: Bucket, tmp_path: Path
) -> None:
    faulty.freeze(bucket)
    new = club.paint(tmp_path / "new/3.png", "Ada")
    club.open().add("Ada", new)
    assert club.open().align().gone == 0
    assert people(club) == {"Ada": 3, "Bo": 2}, "its key is asked for by itself"
    club.open().move("Bo/1.png", "Ada")
    done = club.open().align()
    assert (done.gone, done.failures) == (0, ())
    assert people(club) == {"Ada": 4, "Bo": 1}


@either_catalog
def test_what_an_earlier_run_wrote_and_is_not_listed_yet_is_asked_for(
    club: Painted, faulty: Faulty, bucket: Bucket, tmp_path: Path
) -> None:
    faulty.freeze(bucket)
    club.open().add("Ada", club.paint(tmp_path / "new/3.png", "Ada"))
    club.open().align()
    in_bucket._recent.cache_clear()  # as in a process that begins
    assert club.open().align().gone == 0
    assert people(club) == {"Ada": 3, "Bo": 2}


@pytest.fixture
def late(club: Painted, faulty: Faulty, bucket: Bucket, tmp_path: Path) -> Painted:
    """The same album with a photo of Bo, and one of Cy who has no other, that an earlier run wrote and no listing
    has."""
    faulty.freeze(bucket)
    for person in ("Bo", "Cy"):
        club.open().add(person, club.paint(tmp_path / f"new/{person}.png", person))
    club.open().align()
    in_bucket._recent.cache_clear()  # as in a process that begins
    return club


@pytest.mark.parametrize("person", ["Bo", "Cy"])
@pytest.mark.parametrize("way", ["aside", "delete", "everywhere"])
def test_what_is_not_listed_yet_leaves_with_its_person(
    late: Painted, faulty: Faulty, bucket: Bucket, person: str, way: str
) -> None:
    done = late.open().remove(person, delete=way == "delete", everywhere=way == "everywhere")
    assert late.training / f"{person}/{person}.png" in done.files
    assert bucket.md5s(f"club/{person}/") == {}
    faulty.frozen = None
    assert late.open().align().people == 2
    assert people(late) == {"Ada": 2, "Bo" if person == "Cy" else "Cy": 3 if person == "Cy" else 1}


@pytest.mark.parametrize("person", ["Bo", "Cy"])
@pytest.mark.parametrize("verb", ["join", "rename"])
def test_what_is_not_listed_yet_goes_with_its_person(
    late: Painted, faulty: Faulty, bucket: Bucket, person: str, verb: str
) -> None:
    before = bucket.md5s("club/")
    getattr(late.open(), verb)(person, "Ada" if verb == "join" else "Dee")
    assert bucket.md5s(f"club/{person}/") == {} and sorted(bucket.md5s().values()) == sorted(before.values())
    faulty.frozen = None
    was = {"Ada": 2, "Bo": 3, "Cy": 1}
    went = was.pop(person)
    assert people(late) == was | ({"Ada": 2 + went} if verb == "join" else {"Dee": went})
    late.open().undo()
    assert bucket.md5s("club/") == before


@either_catalog
def test_what_was_deleted_and_is_still_listed_does_not_come_back(club: Painted, faulty: Faulty, bucket: Bucket) -> None:
    faulty.freeze(bucket)
    club.open().remove("Bo", delete=True)
    assert club.open().align().failures == ()
    assert [one.name for one in club.open().status().removed] == ["Bo"], "nobody is back"
    faulty.frozen = None
    assert people(club) == {"Ada": 2} and club.open().align().photos == 2


@either_catalog
def test_an_empty_listing_is_a_bucket_that_is_not_connected(club: Painted, faulty: Faulty, bucket: Bucket) -> None:
    faulty.frozen = []
    with pytest.raises(AlbumError, match="is empty, and was not"):
        club.open().align()
    faulty.frozen = None
    assert club.open().align().computed == 0


def test_a_copy_that_is_not_what_was_copied_deletes_nothing(club: Painted, faulty: Faulty, bucket: Bucket) -> None:
    before = bucket.md5s("club/")
    faulty.fault = lambda method, path: 500 if method == "HEAD" and path.endswith("Ada/2-2.png") and looks() else 0
    heads = iter([False, True, True, True, True])

    def looks() -> bool:
        return next(heads, False)

    with pytest.raises(StorageError):
        club.open().join("Bo", "Ada")
    assert set(before.values()) <= set(bucket.md5s("club/").values()), "each photo is still somewhere"
    faulty.fault = lambda method, path: 0
    club.open().align()
    assert sum(people(club).values()) == 4


def test_errors_say_what_is_wrong_and_no_secret(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="bucket does not exist"):
        next(Objects("s3://no-such-bucket-here/x").listed())
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    objects._file_system.cache_clear()
    with pytest.raises(PermissionError, match="credentials"):
        next(Objects(f"{bucket.url}/x").listed())
    said = objects.plain(OSError("https://me:pass@host/?X-Amz-Signature=abc&sig=12%3D is wrong")).strerror
    assert said and "pass" not in said and "abc" not in said and "12" not in said
    with pytest.raises(MienError, match="pip install gcsfs"):
        next(Objects("gs://club/x").listed())


KEYS = (
    ("Ada/1.jpg", None),
    ("Ada/a/b/2.jpg", None),
    ("Jose\u0301/1.jpg", None),
    ("Ada/1.JPG", LeftOutKind.ALIKE_NAMES),
    ("Ada/../3.jpg", LeftOutKind.NO_PATH),
    ("Ada//4.jpg", LeftOutKind.NO_PATH),
    ("Ada\\5.jpg", LeftOutKind.NO_PATH),
    ("Ada/6\x07.jpg", LeftOutKind.NO_PATH),
    ("/7.jpg", LeftOutKind.NO_PATH),
    ("8.jpg", LeftOutKind.NO_PERSON),
    ("DCIM/9.jpg", LeftOutKind.NO_PERSON),
    ("Ada/.hidden/10.jpg", "passed over"),
    (".mien/removed-images/Ada/11.jpg", "passed over"),
    ("zz/12.txt", "passed over"),
)


def test_keys_that_are_no_paths_are_left_out_and_told(bucket: Bucket, tmp_path: Path) -> None:
    for key, _ in KEYS:
        bucket.put(f"club/{key}", b"photo")
    layout = Layout(tmp_path, tmp_path / "catalog.sqlite", photos_at(tmp_path, f"{bucket.url}/club"))
    shelved = walk(layout, [TRAINING])
    taken = sorted(key for key, why in KEYS if why is None)
    left = [why for _, why in KEYS if isinstance(why, LeftOutKind)]
    assert sorted(one.kind for one in shelved.left_out) == sorted(left)
    assert {one.person for one in shelved.files} == {"Ada", "José"} and len(shelved.files) == len(taken)


@pytest.mark.parametrize(
    ("key", "way"), [("Bo//3.png", "aside"), ("Bo/{local}", "delete"), ("Bo/../Ada/1.png", "everywhere")]
)
def test_a_key_that_is_no_path_takes_no_other_file_with_it(
    club: Painted, bucket: Bucket, tmp_path: Path, key: str, way: str
) -> None:
    local = tmp_path / "notes.txt"
    local.write_text("mine", "utf-8")
    key = f"club/{key.format(local=local)}"
    bucket.put(key, b"stray")
    ada = bucket.md5s("club/Ada/")
    with pytest.raises(StorageError, match="key that no file could have"):
        club.open().remove("Bo", delete=way == "delete", everywhere=way == "everywhere")
    assert local.read_text("utf-8") == "mine" and bucket.md5s("club/Ada/") == ada
    assert list(bucket.md5s("club/Bo/")) == [key], "all other photos left"
    assert people(club) == {"Ada": 2}, "other commands go on"
    bucket.remove(key)
    club.open().align()
    assert [one.name for one in club.open().status().removed] == ["" if way == "everywhere" else "Bo"]


@pytest.mark.parametrize("verb", ["rename", "join"])
def test_nothing_is_renamed_where_a_key_is_no_path(club: Painted, bucket: Bucket, tmp_path: Path, verb: str) -> None:
    local = tmp_path / "notes.txt"
    local.write_text("mine", "utf-8")
    bucket.put(f"club/Bo/{local}", b"stray")
    before = bucket.md5s("club/")
    with pytest.raises(PhotoError, match="key that no file could have"):
        getattr(club.open(), verb)("Bo", "Ada" if verb == "join" else "Cy")
    assert local.exists() and bucket.md5s("club/") == before
    store = photos_at(club.folder, f"{bucket.url}/club")
    assert store.rename_folder(club.training / "Bo", club.training / "Cy")
    assert local.exists() and set(bucket.md5s("club/Bo/")) == {f"club/Bo/{local}"}
    with pytest.raises(StorageError, match="leads elsewhere"):
        store.remove(club.training / "Bo/../Ada/1.png")


def test_a_store_can_be_sent_to_another_process(bucket: Bucket, tmp_path: Path) -> None:
    import pickle

    bucket.put("club/Ada/1.jpg", b"photo")
    store = pickle.loads(pickle.dumps(photos_at(tmp_path, f"{bucket.url}/club")))
    assert isinstance(store, BucketPhotos)
    with store.as_file(tmp_path / TRAINING / "Ada/1.jpg") as file:
        assert file.read_bytes() == b"photo" == store.read(tmp_path / TRAINING / "Ada/1.jpg")
    assert not file.exists()


def test_a_store_that_is_busy_deletes_no_version_that_does_not_know_the_person(
    club: Painted, faulty: Faulty, bucket: Bucket, tmp_path: Path
) -> None:
    with (club.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(f'models = "{bucket.url}/models"\n')
    bucket.put("club/Cy/1.png", club.paint(tmp_path / "1.png", "Cy").read_bytes())
    club.open().train()
    without = str(club.open().remove("Bo").version)
    club.open().add("Dee", club.paint(tmp_path / "2.png", "Freya"), enrol=True)
    with_more = club.open().version
    for copy in [*(club.folder / ".mien").rglob(without)]:
        shutil.rmtree(copy)
    faulty.fault = lambda method, path: 503 if method == "GET" and f"{without}/labels.txt" in path else 0
    with pytest.raises(StorageError, match=without):
        club.open().remove("Bo", everywhere=True)
    faulty.fault = lambda method, path: 0
    album = club.open()
    album.align()
    assert [one.kind for one in album.settled] == ["finished"], "the removal was pending"
    assert [one.version for one in album.models()] == [without, with_more]
