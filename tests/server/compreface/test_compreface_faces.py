"""The faces of CompreFace's collection: the photos of the album."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Served

FACES = "/api/v1/recognition/faces"


def known(served: Served, *people: str) -> list[tuple[str, bool]]:
    """Who is nearest to each face of a photo of these people, and whether clients take that for a match."""
    answer = served.post("/api/v1/recognition/recognize", "classify", files={"file": served.photo(*people)})
    near = [one["subjects"][0] for one in answer.json()["result"]]
    return [(one["subject"], one["similarity"] >= 0.6) for one in near]


def listed(served: Served, query: str = "") -> list[dict[str, str]]:
    faces = served.get(f"{FACES}?size=100{query}").json()["faces"]
    assert isinstance(faces, list)
    return faces


def delete(served: Served, path: str) -> Any:
    return served.client.delete(f"{FACES}{path}", headers=served.headers())


@pytest.mark.parametrize("how", ["form", "json", "bytes"])
def test_a_face_is_recognised_by_the_next_request(served: Served, how: str) -> None:
    photo = served.photo("Freya")
    bodies: dict[str, dict[str, Any]] = {
        "form": {"files": {"file": ("image.jpg", photo)}},
        "json": {"json": {"file": base64.b64encode(photo).decode()}},
        "bytes": {"content": photo, "headers": {"content-type": "image/png"}},
    }
    added = served.post(f"{FACES}?subject=Freya+%26+Co&det_prob_threshold=0.8", **bodies[how])
    assert added.status_code == 201 and added.json()["subject"] == "Freya & Co", added.text
    assert known(served, "Freya", "Ada") == [("Freya & Co", True), ("Ada", True)]
    assert listed(served, "&subject=Freya%20%26%20Co") == [added.json()]
    again = served.post(f"{FACES}?subject=freya %26 co", files={"file": photo})
    assert (again.status_code, again.json()) == (201, added.json()), "a photo has one id, however often it is sent"


def test_the_first_face_of_an_empty_album(untaught: Served) -> None:
    assert untaught.post(f"{FACES}?subject=Ada", files={"file": untaught.photo("Ada")}).status_code == 201
    assert known(untaught, "Ada", "Bo") == [("Ada", True), ("Ada", False)]
    assert untaught.post(f"{FACES}?subject=Bo", files={"file": untaught.photo("Bo")}).status_code == 201
    assert known(untaught, "Ada", "Bo") == [("Ada", True), ("Bo", True)]


def kept(served: Served) -> list[Path]:
    """All that lies in the album, but for mien's own memory."""
    folder = served.painted.folder
    return sorted(one for one in folder.rglob("*") if ".mien" not in one.relative_to(folder).parts)


def test_a_photo_without_one_face_is_refused_before_anything_is_kept(standing: Served) -> None:
    before = kept(standing)
    for faces, code in (((), 28), (("Ada", "Bo"), 31)):
        refused = standing.post(f"{FACES}?subject=New", files={"file": standing.photo(*faces)})
        assert (refused.status_code, refused.json()["code"]) == (400, code)
    refused = standing.post(f"{FACES}?subject=New&det_prob_threshold=1", files={"file": standing.photo("Ada")})
    assert refused.json()["code"] == 28
    for data, code in ((b"no picture", 21), (b"\xff\xd8\xff", 21), (b"", 21)):
        refused = standing.post(f"{FACES}?subject=New", files={"file": data})
        assert (refused.status_code, refused.json()["code"]) == (400, code), refused.text
    assert kept(standing) == before


def test_what_is_missing_is_named(standing: Served) -> None:
    photo = standing.photo("Ada")
    for answer, code in (
        (standing.post(FACES, files={"file": photo}), 33),
        (standing.post(f"{FACES}?subject=", files={"file": photo}), 33),
        (standing.post(f"{FACES}?subject=Ada", files={"image": photo}), 34),
        (standing.post(f"{FACES}?subject=Ada", json={"image": "x"}), 34),
        (standing.post(f"{FACES}?subject=Ada"), 34),
        (standing.post(f"{FACES}?subject=Ada", json={"file": "not base64!"}), 36),
        (standing.post(f"{FACES}?subject=Ada", content=photo, headers={"content-type": "multipart/form-data"}), 36),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text


def test_faces_come_in_pages(standing: Served) -> None:
    whole = standing.get(FACES).json()
    assert whole["page_number"] == 0 and whole["page_size"] == 20
    assert (whole["total_pages"], whole["total_elements"], len(whole["faces"])) == (1, 9, 9)
    pages = [standing.get(f"{FACES}?page={page}&size=4").json() for page in range(4)]
    assert [len(one["faces"]) for one in pages] == [4, 4, 1, 0] and pages[0]["total_pages"] == 3
    assert [face for one in pages for face in one["faces"]] == whole["faces"]
    assert len({one["image_id"] for one in whole["faces"]}) == 9
    assert {one["subject"] for one in listed(standing, "&subject=Ada")} == {"Ada"}
    assert listed(standing, "&subject=Nobody") == [] and len(listed(standing, "&subject=")) == 9
    assert standing.get(f"{FACES}?size=0").json()["code"] == standing.get(f"{FACES}?page=-1").json()["code"] == 26


def test_a_copy_of_a_photo_has_no_id_of_its_own(served: Served) -> None:
    (first, *_) = sorted((served.painted.training / "Ada").iterdir())
    (first.parent / "copy.png").write_bytes(first.read_bytes())
    served.painted.open().align()
    assert len(listed(served, "&subject=Ada")) == 3
    image_id = listed(served, "&subject=Ada")[0]["image_id"]
    assert delete(served, f"/{image_id}").status_code == 200
    assert len(list((served.painted.training / "Ada").iterdir())) == 2, "both copies went"


def test_a_picture_is_fetched(standing: Served) -> None:
    (first, *_) = sorted((standing.painted.training / "Ada").iterdir())
    image_id = listed(standing, "&subject=Ada")[0]["image_id"]
    answer = standing.get(f"{FACES}/{image_id}/img", "review")
    assert answer.content == first.read_bytes() and answer.headers["content-type"] == "image/png"
    in_address = standing.client.get(f"/api/v1/static/{standing.keys['admin']}/images/{image_id}")
    assert in_address.status_code == 404 and "key_in_path" in in_address.json()["message"]


def test_a_key_in_an_address_is_for_whoever_asks_for_it(served: Served) -> None:
    with (served.painted.folder / "mien.toml").open("a") as file:
        file.write("\n[server]\nkey_in_path = true\n")
    served.house.resident.settings = served.painted.open().settings
    image_id = listed(served)[0]["image_id"]
    assert served.client.get(f"/api/v1/static/{served.keys['review']}/images/{image_id}").status_code == 200
    wrong = served.client.get(f"/api/v1/static/wrong/images/{image_id}")
    assert (wrong.status_code, wrong.json()["code"]) == (404, 10)
    small = served.client.get(f"/api/v1/static/{served.keys['classify']}/images/{image_id}")
    assert (small.status_code, small.json()["code"]) == (403, 1)


def test_photos_are_deleted_for_good(served: Served) -> None:
    first, second, third = (one["image_id"] for one in listed(served, "&subject=Ada"))
    gone = delete(served, f"/{first}")
    assert gone.json() == {"image_id": first, "subject": "Ada"}
    again = delete(served, f"/{first}")
    assert (again.status_code, again.json()["code"]) == (404, 11)
    several = served.post(f"{FACES}/delete", json=[second.upper(), "nobody's", third])
    assert several.json() == [{"image_id": one, "subject": "Ada"} for one in (second, third)]
    assert not (served.painted.folder / "removed-images").exists()
    assert "Ada" not in served.get("/api/v1/recognition/subjects").json()["subjects"]
    assert known(served, "Ada")[0][1] is False
    assert served.post(f"{FACES}/delete", json=[]).json() == []
    assert served.post(f"{FACES}/delete", json={"ids": []}).json()["code"] == 26


def test_photos_of_a_subject_are_deleted(served: Served) -> None:
    assert delete(served, "?subject=ada").json() == {"deleted": 3}
    assert delete(served, "?subject=Ada").json() == {"deleted": 0}
    assert {one["subject"] for one in listed(served)} == {"Bo", "Cy"}
    assert delete(served, "?subject=").json() == {"deleted": 6}
    assert listed(served) == []


def test_what_was_put_there_by_hand_is_listed_and_deleted(served: Served) -> None:
    for person in ("Hand", "Foot"):
        (served.painted.training / person).mkdir()
        (served.painted.training / person / "1.png").write_bytes(served.photo("Freya"))
    (hand,) = listed(served, "&subject=Hand")
    assert served.get(f"{FACES}/{hand['image_id']}/img").content == served.photo("Freya")
    assert hand["image_id"] != listed(served, "&subject=Foot")[0]["image_id"], "an id is of one person"
    assert delete(served, "?subject=Hand").json() == {"deleted": 1}
    assert not (served.painted.training / "Hand").exists() and listed(served, "&subject=Hand") == []
    assert len(listed(served, "&subject=Foot")) == 1


def test_a_blank_subject_is_not_everybody(standing: Served) -> None:
    for query in ("?subject=%20", "?subject=+", "?subject= & Co", "?subject"):
        for answer in (delete(standing, query), standing.get(f"{FACES}{query}")):
            assert (answer.status_code, answer.json()["code"]) == (400, 26), answer.text
    assert len(listed(standing)) == 9


def test_a_deleted_photo_may_be_added_again(served: Served) -> None:
    photo = served.get(f"{FACES}/{listed(served, '&subject=Ada')[0]['image_id']}/img").content
    delete(served, "?subject=Ada")
    assert served.post(f"{FACES}?subject=Ada", files={"file": photo}).status_code == 201
    assert known(served, "Ada") == [("Ada", True)] and len(listed(served, "&subject=Ada")) == 1


def test_an_id_that_is_none_is_not_found(standing: Served) -> None:
    photo = {"file": standing.photo("Ada")}
    for image_id in ("nobody", "%2e%2e%2f", "6730105f-da1f-5cff-9445-9436ba68cdb1/x", "%00"):
        for answer in (
            delete(standing, f"/{image_id}"),
            standing.get(f"{FACES}/{image_id}/img"),
            standing.post(f"{FACES}/{image_id}/verify", files=photo),
        ):
            assert answer.status_code in (404, 405) and set(answer.json()) == {"message", "code"}
