"""People and their photos over HTTP."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Served


def names(served: Served) -> list[str]:
    return [one["person"] for one in served.get("/v1/people", "review").json()["people"]]


def ids(served: Served, person: str) -> list[str]:
    return [one["id"] for one in served.get(f"/v1/people/{person}", "review").json()["page"]]


def who(served: Served, *faces: str) -> list[str | None]:
    answer = served.post("/v1/classify", "classify", files={"picture": served.photo(*faces)}).json()
    return [face["person"] for face in answer["answers"][0]["faces"]]


def test_people_come_page_by_page(served: Served) -> None:
    first = served.get("/v1/people", "review", params={"limit": 2}).json()
    assert [one["person"] for one in first["people"]] == ["Ada", "Bo"]
    ada = first["people"][0]
    assert (ada["photos"], ada["basis"], ada["until"], ada["known"]) == (3, "painted squares", None, True)
    second = served.get("/v1/people", params={"limit": 2, "cursor": first["next"]}).json()
    assert [one["person"] for one in second["people"]] == ["Cy"] and second["next"] is None
    assert served.get("/v1/people", "classify").status_code == 403


def test_a_cursor_is_a_place_in_its_own_list(served: Served) -> None:
    made_up = (b'["photos","Ada"]', b'["people","\\ud800"]', b'["people",1]', b"[]", b"x")
    for cursor in (*(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in made_up), "AAAA", "no_cursor", "W"):
        refused = served.get("/v1/people", params={"cursor": cursor})
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:mien:problem:cursor")


def test_photos_are_known_by_their_bytes_and_by_no_path(served: Served) -> None:
    page = served.get("/v1/people/Ada", "review", params={"limit": 2})
    photos = page.json()["page"]
    files = {
        hashlib.sha256(file.read_bytes()).hexdigest(): file for file in (served.painted.training / "Ada").iterdir()
    }
    assert [one["id"] for one in photos] == sorted(files)[:2] and str(served.painted.folder) not in page.text
    rest = served.get("/v1/people/Ada", params={"limit": 2, "cursor": page.json()["next"]}).json()
    assert [one["id"] for one in rest["page"]] == sorted(files)[2:] and rest["next"] is None
    shown = served.get(f"/v1/people/Ada/photos/{photos[0]['id']}", "review")
    assert shown.content == files[photos[0]["id"]].read_bytes()
    assert shown.headers["content-type"] == "image/png" and "sandbox" in shown.headers["content-security-policy"]
    assert served.get(f"/v1/people/Bo/photos/{photos[0]['id']}").status_code == 404
    assert served.get(f"/v1/people/Ada/photos/{photos[0]['id']}", "classify").status_code == 403


def test_a_photo_that_nobody_has_looked_at_has_an_id_too(untaught: Served) -> None:
    file = untaught.painted.photo("Ada/new.png")
    assert ids(untaught, "Ada") == [hashlib.sha256(file.read_bytes()).hexdigest()]
    file.write_bytes(b"other bytes")
    assert untaught.get(f"/v1/people/Ada/photos/{'0' * 64}").status_code == 404


@pytest.mark.parametrize("how", ["form", "bytes", "json"])
def test_whoever_comes_in_is_known_by_the_next_request(served: Served, how: str) -> None:
    assert who(served, "Freya") == [None]
    photo = served.photo("Freya")
    forms: dict[str, dict[str, Any]] = {
        "form": {"files": {"picture": photo}},
        "bytes": {"content": photo, "headers": {"content-type": "image/png"}},
        "json": {"json": {"picture": base64.b64encode(photo).decode()}},
    }
    came = served.post("/v1/people/Freya/photos", **forms[how])
    assert came.status_code == 201, came.text
    said, sha256 = came.json(), hashlib.sha256(photo).hexdigest()
    assert said["photos"] == [{"photo": "image 1", "id": sha256, "faces": 1}]
    assert (said["known"], said["enrolled"], said["version"]) == (0, 1, served.painted.open().version)
    assert who(served, "Freya") == ["Freya"] and ids(served, "Freya") == [sha256]
    again = served.post("/v1/people/Freya/photos", **forms[how])
    assert (again.status_code, again.json()["known"], len(ids(served, "Freya"))) == (200, 1, 1)


def test_a_photo_may_come_in_and_teach_nothing_yet(served: Served) -> None:
    before = served.painted.open().version
    said = served.post("/v1/people/Freya/photos?enrol=false", files={"picture": served.photo("Freya")}).json()
    assert (said["enrolled"], said["version"]) == (None, before) and who(served, "Freya") == [None]
    assert served.get("/v1/people/Freya").json()["known"] is False


def test_what_is_no_picture_does_not_come_in(served: Served) -> None:
    files = [("picture", b"no picture"), ("picture", served.photo("Freya"))]
    said = served.post("/v1/people/Freya/photos", files=files).json()
    assert [one["photo"] for one in said["refused"]] == ["image 1"] and len(ids(served, "Freya")) == 1
    refused = served.post("/v1/people/Gil/photos", files={"picture": b"no picture"})
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:mien:problem:unreadable-picture")
    assert "Gil" not in names(served)


def test_a_picture_without_a_face_does_not_come_in(served: Served) -> None:
    refused = served.post("/v1/people/Gil/photos", files={"picture": served.photo()})
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:mien:problem:no-face")
    assert "Gil" not in names(served)
    assert not (served.painted.training / "Gil").exists()
    files = [("picture", served.photo("Freya")), ("picture", served.photo()), ("picture", b"no picture")]
    said = served.post("/v1/people/Freya/photos", files=files).json()
    told = [(one["photo"], one["kind"], one["message"][:8]) for one in said["refused"]]
    assert told == [("image 2", "no-face", "image 2 "), ("image 3", "not-a-picture", "image 3 ")]
    assert [one["photo"] for one in said["photos"]] == ["image 1"] and said["known"] == 0
    assert len(ids(served, "Freya")) == 1


def test_a_photo_that_came_over_http_says_by_which_key(served: Served) -> None:
    photo = served.photo("Freya")
    assert served.post("/v1/people/Freya/photos", files={"picture": photo}).status_code == 201
    (file,) = (served.painted.training / "Freya").iterdir()
    told = [(one.location, one.source) for one in served.painted.open().show(file).fetches]
    assert told == [(f"server:admin/{file.name}", "hand")]
    assert served.post("/v1/people/Freya/photos", files={"picture": photo}).status_code == 200
    assert len(served.painted.open().show(file).fetches) == 1


@pytest.mark.parametrize("name", ["..", "%2Fetc", "a%2F..%2Fb", "a%5Cb", ".hidden", "CON", "a%00b", "%20", "x" * 201])
def test_a_name_that_would_be_a_path_is_nobodys(served: Served, name: str) -> None:
    answer = served.post(f"/v1/people/{name}/photos", files={"picture": served.photo("Ada")})
    assert answer.status_code in (404, 422) and answer.headers["content-type"] == "application/problem+json"
    assert names(served) == ["Ada", "Bo", "Cy"]


def test_names_are_compared_as_mien_does(served: Served) -> None:
    served.post("/v1/people/Jose%CC%81/photos", files={"picture": served.photo("Freya")})
    assert served.get("/v1/people/Jos%C3%A9").json()["person"] == "José"


def test_a_person_is_renamed_joined_and_the_last_undone(served: Served) -> None:
    renamed = served.client.patch("/v1/people/Ada", headers=served.headers(), json={"name": "Adele"})
    assert renamed.status_code == 200, renamed.text
    assert (renamed.json()["verb"], renamed.json()["person"]) == ("rename", "Adele")
    assert who(served, "Ada") == ["Adele"] and names(served) == ["Adele", "Bo", "Cy"]
    joined = served.client.patch("/v1/people/Adele", headers=served.headers(), json={"into": "Bo"})
    assert len(joined.json()["moved"]) == 3 and names(served) == ["Bo", "Cy"]
    assert served.post("/v1/undo?dry_run=true").json()["verb"] == "join" and names(served) == ["Bo", "Cy"]
    assert served.post("/v1/undo").json()["verb"] == "join"
    assert served.post("/v1/undo").json()["verb"] == "rename" and names(served) == ["Ada", "Bo", "Cy"]
    assert served.post("/v1/undo").status_code == 422


@pytest.mark.parametrize("body", [{}, {"name": "A", "into": "B"}, {"name": ""}, {"name": 1}, {"other": "A"}, [], "x"])
def test_a_renaming_says_one_thing(served: Served, body: object) -> None:
    refused = served.client.patch("/v1/people/Ada", headers=served.headers(), json=body)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:mien:problem:invalid")


def test_nobody_is_not_found(served: Served) -> None:
    client, headers = served.client, served.headers()
    for answer in (
        served.get("/v1/people/Nobody"),
        client.delete("/v1/people/Nobody", headers=headers),
        client.delete("/v1/people/Nobody?everywhere=true", headers=headers),
        client.patch("/v1/people/Nobody", headers=headers, json={"name": "A"}),
        client.delete(f"/v1/people/Nobody/photos/{'0' * 64}", headers=headers),
    ):
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:mien:problem:no-person")


def test_a_photo_goes_to_another_person(served: Served) -> None:
    photo = ids(served, "Ada")[0]
    path = f"/v1/people/Ada/photos/{photo}"
    moved = served.client.patch(path, headers=served.headers(), json={"person": "Bo"})
    assert moved.status_code == 200, moved.text
    assert photo in ids(served, "Bo") and photo not in ids(served, "Ada")
    assert served.client.patch(path, headers=served.headers(), json={"person": "Bo"}).status_code == 404


def test_photos_and_people_leave(served: Served) -> None:
    client, headers = served.client, served.headers()
    photo = ids(served, "Ada")[0]
    gone = client.delete(f"/v1/people/Ada/photos/{photo}", headers=headers)
    assert (gone.json()["files"], gone.json()["kept"]) == (1, 1) and len(ids(served, "Ada")) == 2
    assert str(served.painted.folder) not in gone.text
    away = client.delete("/v1/people/Ada", headers=headers).json()
    assert (away["person"], away["files"]) == ("Ada", 2) and who(served, "Ada") == [None]
    everywhere = client.delete("/v1/people/Ada?everywhere=true", headers=headers)
    assert everywhere.status_code == 200 and everywhere.json()["dropped"]
    assert names(served) == ["Bo", "Cy"]
    assert not list((served.painted.folder / "removed-images").rglob("*.png"))


def test_what_needs_a_human_is_told_with_ids(served: Served) -> None:
    file = served.painted.photo("Ada/ada-4.png", "Bo")
    served.painted.open().align()
    found = served.get("/v1/check", "review").json()
    assert found["needs_human"] and ["Ada/ada-4.png"] in [one["photos"] for one in found["findings"]]
    assert found["ids"]["Ada/ada-4.png"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_waits_is_checked_apart(served: Served) -> None:
    intake = served.painted.folder / "2026-03-02-training-images" / "Bo"
    served.painted.paint(intake / "another.png", "Ada")
    served.painted.open().daily()
    for asked, waiting in (("/v1/check", False), ("/v1/check?waiting=true", True)):
        found = served.get(asked, "review").json()
        told = served.painted.open().check(waiting=waiting).to_json()
        assert found == told | {"ids": found["ids"]}
        assert (found["photos"], found["needs_human"]) == ((1, True) if waiting else (9, False)), found


def test_no_file_is_left_of_what_came(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert served.post("/v1/people/Freya/photos", files={"picture": served.photo("Freya")}).status_code == 201
    assert not list(scratch.iterdir())


def test_the_first_photo_of_an_album_is_known_by_the_next_request(untaught: Served) -> None:
    photo = untaught.painted.paint(untaught.painted.folder.parent / "freya.png", "Freya").read_bytes()
    came = untaught.post("/v1/people/Freya/photos", files={"picture": photo})
    assert came.status_code == 201, came.text
    assert came.json()["version"] == untaught.house.resident.version is not None
    assert who(untaught, "Freya") == ["Freya"] and who(untaught, "Ada") == [None]
