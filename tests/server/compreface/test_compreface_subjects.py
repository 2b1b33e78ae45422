"""Subjects over CompreFace's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Served

SUBJECTS = "/api/v1/recognition/subjects"


def subjects(served: Served) -> list[str]:
    found = served.get(SUBJECTS).json()["subjects"]
    assert isinstance(found, list)
    return found


def test_subjects_are_listed_and_added(served: Served) -> None:
    assert subjects(served) == ["Ada", "Bo", "Cy"]
    added = served.post(SUBJECTS, json={"subject": "Zoë & Co", "extra": 1})
    assert (added.status_code, added.json()) == (201, {"subject": "Zoë & Co"})
    assert subjects(served) == ["Ada", "Bo", "Cy", "Zoë & Co"]
    for again in ("Zoë & Co", "ZOË & CO", "Zoe\u0308 & Co"):
        refused = served.post(SUBJECTS, json={"subject": again})
        assert (refused.status_code, refused.json()["code"]) == (400, 43)


NO_NAMES = ("../up", "a/b", ".hidden", "..", "a\nb", "a\0b", "CON", "x" * 500, "a\\b", " . ")


def test_a_name_that_no_folder_can_have_is_refused(standing: Served) -> None:
    before = sorted(one.name for one in standing.painted.training.rglob("*"))
    for name in NO_NAMES:
        for answer in (
            standing.post(SUBJECTS, json={"subject": name}),
            standing.client.put(f"{SUBJECTS}/Ada", json={"subject": name}, headers=standing.headers()),
            standing.post("/api/v1/recognition/faces", params={"subject": name}, files={"file": standing.photo("Ada")}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (400, 26), answer.text
            assert str(standing.painted.folder) not in answer.text
    assert sorted(one.name for one in standing.painted.training.rglob("*")) == before


def test_a_body_without_a_subject_is_refused(standing: Served) -> None:
    for body in (b"", b"{", b"[]", b'{"subject": 5}', b'{"subject": ""}', b'{"subject": null}', b"{}"):
        answer = standing.post(SUBJECTS, content=body)
        assert answer.status_code == 400 and answer.json()["code"] in (26, 33, 36)


def put(served: Served, old: str, new: str) -> Any:
    return served.client.put(f"{SUBJECTS}/{old}", json={"subject": new, "api_endpoint": old}, headers=served.headers())


def test_a_subject_is_renamed_and_known_by_the_new_name(served: Served) -> None:
    ids = [one["image_id"] for one in served.get("/api/v1/recognition/faces?subject=Ada").json()["faces"]]
    assert put(served, "Ada", "Zoë").json() == {"updated": True}
    assert put(served, "Zo%C3%AB", "Zoë").json() == {"updated": True}
    assert subjects(served) == ["Bo", "Cy", "Zoë"]
    found = served.get("/api/v1/recognition/faces?subject=Zo%C3%AB").json()["faces"]
    assert [one["image_id"] for one in found] == ids and {one["subject"] for one in found} == {"Zoë"}
    seen = served.post("/api/v1/recognition/recognize", files={"file": served.photo("Ada")}).json()
    assert seen["result"][0]["subjects"][0]["subject"] == "Zoë"
    added = served.post("/api/v1/recognition/faces?subject=Ada", files={"file": served.photo("Ada")})
    assert added.json()["subject"] == "Zoë", "what comes under the old name is hers"


def test_a_name_that_somebody_has_joins_the_two(served: Served) -> None:
    assert put(served, "Ada", "Bo").json() == {"updated": True}
    assert subjects(served) == ["Bo", "Cy"]
    assert served.get("/api/v1/recognition/faces?subject=Bo").json()["total_elements"] == 6
    served.post(SUBJECTS, json={"subject": "Empty"})
    assert put(served, "Empty", "Cy").json() == {"updated": True}
    assert subjects(served) == ["Bo", "Cy"]


def test_letter_case_is_changed_and_makes_nobody_new(served: Served) -> None:
    assert put(served, "Bo", "ada").json() == {"updated": True}
    assert subjects(served) == ["Ada", "Cy"]
    assert served.get("/api/v1/recognition/faces?subject=Ada").json()["total_elements"] == 6
    assert put(served, "cy", "CY").json() == {"updated": True} and subjects(served) == ["Ada", "CY"]


def test_a_name_that_two_have_in_other_letter_case_is_of_nobody(served: Served) -> None:
    for name in ("Kofi", "kofi"):
        served.painted.paint(served.painted.training / name / "1.png", "Freya")
    faces = "/api/v1/recognition/faces?subject"
    for answer in (
        served.post(f"{faces}=KOFI", files={"file": served.photo("Freya")}),
        served.post(SUBJECTS, json={"subject": "KOFI"}),
        served.client.delete(f"{faces}=KOFI", headers=served.headers()),
        served.client.delete(f"{SUBJECTS}/KOFI", headers=served.headers()),
        put(served, "Bo", "KOFI"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, 26), answer.text
        assert "Kofi, kofi" in answer.json()["message"]
    assert subjects(served) == ["Ada", "Bo", "Cy", "Kofi", "kofi"]
    added = served.post(f"{faces}=kofi", files={"file": served.photo("Freya")})
    assert added.json()["subject"] == "kofi", "the exact name is clear"


def test_a_subject_without_a_photo_is_renamed_and_removed(served: Served) -> None:
    served.post(SUBJECTS, json={"subject": "Empty"})
    assert put(served, "Empty", "Void").json() == {"updated": True}
    assert "Void" in subjects(served)
    assert served.client.delete(f"{SUBJECTS}/Void", headers=served.headers()).json() == {"subject": "Void"}
    assert "Void" not in subjects(served)


def test_everything_of_a_subject_goes(served: Served) -> None:
    gone = served.client.delete(f"{SUBJECTS}/Ada", headers=served.headers())
    assert gone.json() == {"subject": "Ada"} and subjects(served) == ["Bo", "Cy"]
    names = [str(one) for one in served.painted.folder.rglob("*")]
    assert not any("Ada" in name for name in names), "neither photos nor chips, and nothing was set aside"
    seen = served.post("/api/v1/recognition/recognize", files={"file": served.photo("Ada")}).json()["result"][0]
    assert seen["subjects"][0]["subject"] != "Ada" and seen["subjects"][0]["similarity"] < 0.5
    labels = [one.read_text() for one in served.painted.folder.rglob("labels.txt")]
    assert labels and not any("Ada" in one for one in labels), "no version knows her"
    again = served.client.delete(f"{SUBJECTS}/Ada", headers=served.headers())
    assert (again.status_code, again.json()["code"]) == (404, 42)


def test_what_was_set_aside_goes_too(served: Served) -> None:
    served.painted.open().remove("Ada")
    assert (served.painted.folder / "removed-images" / "Ada").exists() and "Ada" not in subjects(served)
    gone = served.client.delete(f"{SUBJECTS}/Ada", headers=served.headers())
    assert (gone.status_code, gone.json()) == (200, {"subject": "Ada"})
    assert not any("Ada" in str(name) for name in served.painted.folder.rglob("*"))
    again = served.client.delete(f"{SUBJECTS}/Ada", headers=served.headers())
    assert (again.status_code, again.json()["code"]) == (404, 42)


def test_whoever_was_removed_comes_back_by_a_key(served: Served) -> None:
    served.client.delete(f"{SUBJECTS}/Ada", headers=served.headers())
    assert served.post(SUBJECTS, json={"subject": "Ada"}).status_code == 201
    assert served.post("/api/v1/recognition/faces?subject=Ada", files={"file": served.photo("Ada")}).status_code == 201
    seen = served.post("/api/v1/recognition/recognize", files={"file": served.photo("Ada")}).json()["result"][0]
    assert seen["subjects"][0]["subject"] == "Ada" and seen["subjects"][0]["similarity"] > 0.6
    assert served.painted.open().status().removed == ()


def test_the_name_of_somebody_who_was_removed_may_be_given_again(served: Served) -> None:
    served.client.delete(f"{SUBJECTS}/Ada", headers=served.headers())
    assert put(served, "Bo", "Ada").json() == {"updated": True} and subjects(served) == ["Ada", "Cy"]


def test_all_subjects_go_at_once(served: Served) -> None:
    assert served.client.delete(SUBJECTS, headers=served.headers()).json() == {"deleted": 3}
    assert subjects(served) == []
    seen = served.post("/api/v1/recognition/recognize", files={"file": served.photo("Ada", "Bo")})
    assert [one["subjects"] for one in seen.json()["result"]] == [[], []]


def test_nobody_is_not_found(standing: Served) -> None:
    for path in ("nobody", "a%2Fb", "a/b", "..%2f..", "%00", "x" * 3000):
        for answer in (
            standing.client.delete(f"{SUBJECTS}/{path}", headers=standing.headers()),
            put(standing, path, "New"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, 42), answer.text
    assert subjects(standing) == ["Ada", "Bo", "Cy"]


def test_a_name_that_is_missing_is_not_everybody(standing: Served) -> None:
    answer = standing.client.delete(f"{SUBJECTS}/", headers=standing.headers())
    assert (answer.status_code, answer.json()["code"]) == (400, 33) and len(subjects(standing)) == 3
