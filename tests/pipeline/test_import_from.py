"""Importing from CompreFace: from a dump of its database, and from one that is running (here a server on loopback that
answers as CompreFace does)."""

from __future__ import annotations

import gzip
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mien.errors import SourceError, UsageError
from mien.sources import compreface, compreface_dump

if TYPE_CHECKING:
    from conftest import Painted

    Mien = Callable[..., Any]

KEY = "11111111-2222-3333-4444-555555555555"
DEMO = "00000000-0000-0000-0000-000000000002"


def number(text: str) -> str:
    """An id that is always the same for a text."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, text))


@dataclass
class Face:
    """A face in CompreFace: of `subject`, and the bytes of the picture, None where it was not saved."""

    subject: str
    picture: bytes | None
    key: str = KEY

    @property
    def id(self) -> str:
        return number(f"{self.key} {self.subject} {self.picture!r}")


@pytest.fixture
def faces(painted: Painted, tmp_path: Path) -> list[Face]:
    """Two of Ada and one of Bo, in no order."""
    drawn = [(person, painted.paint(tmp_path / f"cf/{person}/{name}.png", person)) for person, name in PICTURES]
    return [Face(person, file.read_bytes()) for person, file in drawn]


PICTURES = (("Ada", "1"), ("Bo", "1"), ("Ada", "2"))


# A dump


def escaped(value: str) -> str:
    """A value as COPY writes it."""
    for plain, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(plain, written)
    return value


def table(name: str, columns: str, rows: Sequence[Sequence[str | None]]) -> str:
    lines = ("\t".join("\\N" if value is None else escaped(value) for value in row) for row in rows)
    return f"COPY public.{name} ({columns}) FROM stdin;\n" + "".join(f"{line}\n" for line in lines) + "\\.\n\n\n"


def sql(faces: Sequence[Face], names: dict[str, str] | None = None) -> str:
    """What pg_dump writes of a CompreFace with these faces; `names` are those of its services, by key."""
    services = {KEY: "door", DEMO: "Face Recognition Demo"} if names is None else names
    of = {(face.key, face.subject): number(f"subject {face.key} {face.subject}") for face in faces}
    demo = number("a famous face")
    subjects = [[one, key, subject] for (key, subject), one in of.items()]
    embeddings: list[list[str | None]] = [
        [face.id, of[face.key, face.subject], "{0.25,-0.5}", "facenet", None if face.picture is None else face.id]
        for face in faces
    ]
    pictures = [[face.id, f"\\x{face.picture.hex()}"] for face in faces if face.picture is not None]
    return (
        "--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n\n"
        "CREATE TABLE public.subject (\n    id uuid NOT NULL\n);\n\n"
        + table("app", "id, name, guid, api_key", [["0", "Demo", "g", "k"], ["1", "House", "g", "k"]])
        + table("databasechangelog", "id", [["COPY public.subject (id, api_key, subject_name) FROM stdin;"]])
        + table(
            "embedding",
            "id, subject_id, embedding, calculator, img_id",
            [*embeddings, [number("face"), demo, "{1}", "facenet", None]],
        )
        + table("img", "id, content", pictures)
        + table(
            "model",
            "id, name, guid, app_id, api_key, type, created_date",
            [[str(at), name, "g", "1", key, "R", None] for at, (key, name) in enumerate(services.items())],
        )
        + table("subject", "id, api_key, subject_name", [*subjects, [demo, DEMO, "Somebody Famous"]])
        + "ALTER TABLE ONLY public.subject ADD CONSTRAINT pk_subject PRIMARY KEY (id);\n"
    )


@pytest.fixture
def dump(tmp_path: Path, faces: list[Face]) -> Path:
    file = tmp_path / "dump.sql"
    file.write_text(sql(faces), "utf-8", newline="")
    return file


def there(painted: Painted) -> dict[str, int]:
    """How many photos each person has in training-images."""
    return {folder.name: len(list(folder.iterdir())) for folder in sorted(painted.training.iterdir())}


def test_subjects_come_with_their_pictures_once(painted: Painted, dump: Path, faces: list[Face]) -> None:
    found = painted.open().import_from(dump)
    assert dict(found.collected.brought) == {"Ada": 2, "Bo": 1} and not found.failed and found.unsaved == 0
    assert there(painted) == {"Ada": 2, "Bo": 1}
    (file,) = (painted.training / "Bo").iterdir()
    assert (file.name, file.read_bytes()) == (f"{faces[1].id}.png", faces[1].picture)
    (came,) = painted.open().show(file).fetches
    assert (came.source, came.location, came.person) == ("compreface", faces[1].id, "Bo")
    again = painted.open().import_from(dump)
    assert (again.collected.photos, again.collected.known) == (0, 3) and there(painted) == {"Ada": 2, "Bo": 1}
    assert painted.open().train().trained is not None
    assert sorted(path.name for path in painted.folder.glob("*-training-images")) == []


def test_a_dry_run_says_what_would_come(painted: Painted, dump: Path) -> None:
    found = painted.open().import_from(dump, dry_run=True)
    assert sorted(person for person, _ in found.collected.wanted) == ["Ada", "Ada", "Bo"] and found.merged is None
    assert there(painted) == {}


def test_what_was_not_saved_is_counted(painted: Painted, tmp_path: Path, faces: list[Face]) -> None:
    file = tmp_path / "dump.sql"
    file.write_text(sql([*faces, Face("Ada", None), Face("Cy", None)]), "utf-8")
    found = painted.open().import_from(file)
    assert (found.unsaved, found.collected.photos, found.failed) == (2, 3, ())
    file.write_text(sql([Face("Cy", None)]), "utf-8")
    with pytest.raises(SourceError, match="save none"):
        painted.open().import_from(file)


def test_names_that_will_not_do_are_told_and_nobody_is_merged(
    mien: Mien, painted: Painted, tmp_path: Path, faces: list[Face]
) -> None:
    painted.photo("Zoë/1.png", "Ada")
    odd = ("a/b", "..", "bo", "Zoe\u0308 ", "Tab\there", "ADA")
    pictures = {
        name: painted.paint(tmp_path / f"odd/{at}/x.png", "Cy").read_bytes() + bytes([at])
        for at, name in enumerate(odd)
    }
    file = tmp_path / "dump.sql"
    file.write_text(sql([*faces, *(Face(name, data) for name, data in pictures.items())]), "utf-8", newline="")
    found = painted.open().import_from(file)
    assert there(painted) == {"Ada": 2, "Bo": 1, "Zoë": 2}, "the name that is the same to the eye is hers"
    told = [str(one.error) for one in found.left_out]
    assert not found.failed and len(found.to_json()["left_out"]) == 5
    again = mien("-C", painted.folder, "import", "--from", "compreface", file)
    assert again.exit_code == 0 and "\nleft out " in again.stdout and "\nfailed " not in again.stdout
    assert len(told) == 5 and all("with 1 picture," in one for one in told)
    assert any(("bo" in one and '"Bo"' in one.replace("Bo,", '"Bo"')) or "not told from" in one for one in told)


def test_whoever_was_removed_stays_out(painted: Painted, dump: Path) -> None:
    painted.open().import_from(dump)
    painted.open().remove("Ada")
    found = painted.open().import_from(dump)
    ((person, _, photos),) = found.collected.removed
    assert (person, photos) == ("Ada", 2) and there(painted) == {"Bo": 1}
    painted.open().remove("Bo", everywhere=True)
    assert painted.open().import_from(dump).collected.photos == 0 and there(painted) == {}


def test_what_waits_from_elsewhere_goes_on_waiting(painted: Painted, dump: Path) -> None:
    with painted.reading() as album:
        waiting = painted.paint(painted.folder / f"{album.today}-training-images/Bo/hers.png", "Bo")
    painted.open().import_from(dump)
    assert waiting.is_file() and there(painted) == {"Ada": 2, "Bo": 1}


def test_a_packed_dump_is_read_and_a_bomb_is_not(
    painted: Painted, dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "dump.sql.gz"
    packed.write_bytes(gzip.compress(dump.read_bytes()))
    assert painted.open().import_from(packed).collected.photos == 3
    monkeypatch.setattr(compreface_dump, "FREE", 1000)
    packed.write_bytes(gzip.compress(bytes(10_000_000)))
    with pytest.raises(SourceError, match="times larger unpacked"):
        painted.open().import_from(packed)
    packed.write_bytes(gzip.compress(dump.read_bytes())[:-20])
    with pytest.raises(SourceError, match="cannot be unpacked"):
        painted.open().import_from(packed)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"PGDMP\x01\x0e", r"pg_restore -f dump\.sql"),
        (b"toc.dat\0\0\0", r"pg_restore"),
        ("-- dump".encode("utf-16"), r"PowerShell.*pg_dump"),
        (b"", r"no table embedding, img and no subject"),
        (b"hello\n", r"no table"),
        (b"INSERT INTO public.subject VALUES (1);\n", r"without --inserts"),
        (b"COPY public.face (id, face_name) FROM stdin;\n\\.\n", r"old CompreFace"),
        (b"COPY public.subject (id, api_key, subject_name) FROM stdin;\n\\.\n", r"no table embedding and no img"),
        (b"x" * 3_000_000, r"no table"),
    ],
    ids=lambda one: str(one)[:12],
)
def test_what_is_no_dump_is_told_with_a_remedy(painted: Painted, tmp_path: Path, data: bytes, told: str) -> None:
    file = tmp_path / "dump.sql"
    file.write_bytes(data)
    with pytest.raises(SourceError, match=f"(?s){told}"):
        painted.open().import_from(file)
    assert there(painted) == {}


def test_of_several_collections_one_is_named(painted: Painted, tmp_path: Path, faces: list[Face]) -> None:
    other = painted.paint(tmp_path / "cf/other.png", "Cy").read_bytes()
    file = tmp_path / "dump.sql"
    file.write_text(sql([*faces, Face("Cy", other, key="other-key")], {KEY: "door", "other-key": "desk"}), "utf-8")
    with pytest.raises(SourceError, match=r'(?s)several collections.*"desk" of House.*"door" of House') as raised:
        painted.open().import_from(file)
    assert KEY not in str(raised.value), "whoever has the key can change the collection"
    with pytest.raises(SourceError, match="no collection 'roof'"):
        painted.open().import_from(file, collection="roof")
    assert painted.open().import_from(file, collection="desk").collected.photos == 1
    assert painted.open().import_from(file, collection=KEY).collected.photos == 3


def test_odd_rows_cost_themselves_alone(painted: Painted, tmp_path: Path, faces: list[Face]) -> None:
    text = sql(faces)
    first, second, third = (face.picture for face in faces)
    assert first and second and third
    text = text.replace(f"\\x{first.hex()}", "\\x89504e4").replace(f"\\x{second.hex()}", "\\\\377\\\\330")
    file = tmp_path / "dump.sql"
    file.write_bytes(text.replace("\n", "\r\n").encode())  # as a terminal of docker's makes it
    found = painted.open().import_from(file)
    assert there(painted) == {"Ada": 1} and len(found.failed) == 2
    whole = sql(faces)
    file.write_text(whole[: whole.rindex("\\.")], "utf-8")
    assert any("ends in the middle" in str(one.error) for one in painted.open().import_from(file).failed)
    file.write_text(whole[: whole.index("\\x89504e")], "utf-8")
    with pytest.raises(SourceError, match="ends in the middle"):
        painted.open().import_from(file)


# One that is running


@dataclass
class Server:
    """A CompreFace with these faces; `odd` answers in its place where it has an answer, (status, headers, body)."""

    faces: list[Face]
    odd: Callable[[str], tuple[int, dict[str, str], bytes] | None] = lambda path: None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, key: str | None) -> tuple[int, dict[str, str], bytes]:
        self.asked.append((path, key))
        if odd := self.odd(path):
            return odd
        if key != KEY:
            return 401, {}, json.dumps({"message": "Unknown API key", "code": 10}).encode()
        parts = urlsplit(path)
        below = parts.path.removeprefix("/api/v1/recognition/")
        if below == "faces":
            query = parse_qs(parts.query)
            page, size = int(query["page"][0]), min(int(query["size"][0]), 2)
            some = self.faces[page * size : (page + 1) * size]
            body = {
                "faces": [{"image_id": face.id, "subject": face.subject} for face in some],
                "page_number": page,
                "page_size": size,
                "total_pages": -(-len(self.faces) // size),
                "total_elements": len(self.faces),
            }
            return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()
        face = next((face for face in self.faces if below == f"faces/{face.id}/img"), None)
        if face and face.picture:
            return 200, {"Content-Type": "image/jpeg"}, face.picture
        return 404, {}, json.dumps({"message": "Image not found", "code": 47}).encode()


@contextmanager
def running(server: Server) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = server.answer(self.path, self.headers.get("x-api-key"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.url = f"http://127.0.0.1:{http.server_port}"
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def test_a_running_one_gives_the_same_as_its_dump(painted: Painted, dump: Path, faces: list[Face]) -> None:
    with running(Server([*faces, Face("Cy", None)])) as server:
        found = painted.open().import_from(f"{server.url}/", key=KEY)
        assert dict(found.collected.brought) == {"Ada": 2, "Bo": 1} and (found.unsaved, found.failed) == (1, ())
        assert there(painted) == {"Ada": 2, "Bo": 1}
        assert {key for _, key in server.asked} == {KEY} and not any("robots" in path for path, _ in server.asked)
        assert painted.open().import_from(f"{server.url}/api/v1", key=KEY).collected.known == 3
    assert painted.open().import_from(dump).collected.known == 3, "by the same ids"


def test_a_key_is_needed_and_a_wrong_one_is_told(painted: Painted, faces: list[Face]) -> None:
    with running(Server(faces)) as server:
        with pytest.raises(UsageError, match="MIEN_COMPREFACE_KEY"):
            painted.open().import_from(server.url)
        with pytest.raises(UsageError, match="plain letters"):
            painted.open().import_from(server.url, key="a\nb")
        with pytest.raises(SourceError, match=r"(?s)HTTP 401.*recognition service"):
            painted.open().import_from(server.url, key="wrong")
        with pytest.raises(UsageError, match="dump alone"):
            painted.open().import_from(server.url, key=KEY, collection="door")
    with pytest.raises(UsageError, match=r"nowhere.* does not exist"):
        painted.open().import_from("nowhere.sql")
    for url in ("http://", "http://user:pass@127.0.0.1", "http://127.0.0.1/?x=1"):
        with pytest.raises(UsageError, match="HOST:PORT") as raised:
            painted.open().import_from(url, key=KEY)
        assert "pass" not in str(raised.value)


def test_a_listing_that_cannot_be_had_is_told_in_the_words_of_an_import(painted: Painted) -> None:
    with (
        running(Server([], lambda path: (404, {}, b""))) as server,
        pytest.raises(SourceError, match=r"(?s)does not know this key.*Check the address, and the key") as unknown,
    ):
        painted.open().import_from(server.url, key=KEY)
    assert "not there any more" not in str(unknown.value)
    with pytest.raises(SourceError, match="and import again") as closed:  # nobody listens there now
        painted.open().import_from(server.url, key=KEY)
    assert "collect" not in str(closed.value).casefold()


def test_a_picture_that_cannot_be_had_is_told_in_the_words_of_an_import(painted: Painted, faces: list[Face]) -> None:
    with running(Server(faces, lambda path: (501, {}, b"") if path.endswith("/img") else None)) as server:
        found = painted.open().import_from(server.url, key=KEY)
    told = [str(one.error) for one in found.failed]
    assert len(told) == 3 and all("Import again later" in one and "ollect" not in one for one in told)


def listing(*faces: tuple[str, str], pages: int = 1, total: int = 1) -> tuple[int, dict[str, str], bytes]:
    body = {"faces": [{"image_id": one, "subject": subject} for one, subject in faces]}
    return 200, {}, json.dumps({**body, "total_pages": pages, "total_elements": total}).encode()


def test_an_endless_listing_ends(painted: Painted, faces: list[Face], monkeypatch: pytest.MonkeyPatch) -> None:
    def the_same(path: str) -> tuple[int, dict[str, str], bytes] | None:
        return listing((faces[0].id, "Ada"), pages=10**9) if "page" in path else None

    with running(Server(faces, the_same)) as s:
        found = painted.open().import_from(s.url, key=KEY)
        assert len([path for path, _ in s.asked if "page" in path]) == 2 and there(painted) == {"Ada": 1}
        assert "without an end" in str(found.failed[0].error)
    monkeypatch.setattr(compreface, "MOST_PAGES", 5)

    def ever_new(path: str) -> tuple[int, dict[str, str], bytes] | None:
        return listing((number(path), "Ada"), pages=10**9) if "page" in path else None

    with running(Server(faces, ever_new)) as s:
        found = painted.open().import_from(s.url, key=KEY)
        assert len([path for path, _ in s.asked if "page" in path]) == 5
        assert "without an end" in str(found.failed[0].error) and found.unsaved == 5


def test_the_key_is_sent_to_no_other_address(painted: Painted, faces: list[Face]) -> None:
    def elsewhere(path: str) -> tuple[int, dict[str, str], bytes]:
        return 302, {"Location": f"{other.url}{path}"}, b""

    with running(Server(faces)) as other, running(Server(faces, elsewhere)) as server:
        with pytest.raises(SourceError, match="the key is not sent"):
            painted.open().import_from(server.url, key=KEY)
        assert other.asked == []


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b'{"faces": 3}', b'{"faces": [{"image_id": 1}]}', b"[" * 100_000, b'{"faces": [[]]}', b"\xff"],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_listing_is_told(painted: Painted, body: bytes) -> None:
    with (
        running(Server([], lambda path: (200, {}, body))) as server,
        pytest.raises(SourceError, match="else than a list of faces"),
    ):
        painted.open().import_from(server.url, key=KEY)


def test_an_id_that_is_a_path_is_not_asked_for(painted: Painted, faces: list[Face]) -> None:
    def odd(path: str) -> tuple[int, dict[str, str], bytes] | None:
        return listing(("../../../etc/passwd", "Ada"), (faces[1].id, "Bo"), total=3) if "page" in path else None

    with running(Server(faces, odd)) as server:
        found = painted.open().import_from(server.url, key=KEY)
        assert not any("passwd" in path for path, _ in server.asked) and there(painted) == {"Bo": 1}
        told = " ".join(str(one.error) for one in found.failed)
        assert "no UUID" in told and "says that it has 3 pictures, and listed 1" in told


def test_a_picture_that_is_none_costs_itself_alone(painted: Painted, faces: list[Face]) -> None:
    faces[0].picture = b"<svg/>"
    with running(Server(faces)) as server:
        found = painted.open().import_from(server.url, key=KEY)
    assert there(painted) == {"Ada": 1, "Bo": 1} and len(found.collected.refused) == 1


# The command


def test_the_command_says_what_came(
    mien: Mien, painted: Painted, dump: Path, faces: list[Face], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dry = mien("-C", painted.folder, "import", "--from", "compreface", dump, "--dry-run")
    assert dry.exit_code == 0 and "3 new photos" in dry.stdout and there(painted) == {}
    result = mien("-C", painted.folder, "import", "--from", "compreface", dump)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "came        3 new photos of 2 people",
        "            Ada  2 photos",
        "            Bo  1 photo",
        f"next        mien -C {painted.folder} train",
    ]
    found = json.loads(mien("-C", painted.folder, "import", "--from", "compreface", dump, "--json").stdout)
    assert (found["photos"], found["known"], found["unsaved"]) == (0, 3, 0)
    assert mien("-C", painted.folder, "import", "--from", "frigate", dump).exit_code == 2
    with running(Server([*faces, Face("Cy", None)])) as server:
        words = ("-C", painted.folder, "import", "--from", "compreface", server.url)
        missing = mien(*words)
        assert missing.exit_code == 2 and "--key-file" in missing.stderr
        monkeypatch.setenv("MIEN_COMPREFACE_KEY", KEY)
        assert "1 picture that CompreFace did not save" in mien(*words).stdout
        monkeypatch.delenv("MIEN_COMPREFACE_KEY")
        (tmp_path / "key").write_text(f"{KEY}\n")
        assert mien(*words, "--key-file", tmp_path / "key").exit_code == 0
        nowhere = mien(*words, "--key-file", tmp_path / "nowhere")
        assert nowhere.exit_code == 2 and "nowhere cannot be read" in nowhere.stderr
