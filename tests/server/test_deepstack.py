"""DeepStack's and CodeProject.AI's five calls, as their clients make them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mien.text.access import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Served

FACE = "/v1/vision/face"
CALLS = ("", "/recognize", "/register", "/list", "/delete")
SIDES = {"x_min", "y_min", "x_max", "y_max"}


@pytest.fixture
def deep(served_with: Callable[[str], Served]) -> Served:
    return served_with("\n[server]\ndeepstack = true\n")


def ask(served: Served, call: str, scope: str = "admin", files: Any = None, **fields: object) -> Any:
    """The answer to a call with the key in its form."""
    return served.client.post(FACE + call, data={"api_key": served.keys[scope], **fields}, files=files)


def test_it_is_off_unless_asked_for(served: Served) -> None:
    for call in CALLS:
        answer = ask(served, call)
        assert answer.status_code == 404 and answer.headers["content-type"] == "application/problem+json"


def test_it_is_no_part_of_the_own_api(deep: Served) -> None:
    assert not any("vision" in path for path in deep.client.get("/v1/openapi.json").json()["paths"])


def test_faces_are_found(deep: Served) -> None:
    found = ask(deep, "", "classify", {"image": deep.photo("Ada", "Bo")}).json()
    assert found["success"] is True and found["duration"] >= 0
    assert [set(one) for one in found["predictions"]] == [SIDES | {"confidence"}] * 2
    assert all(type(one[side]) is int for one in found["predictions"] for side in SIDES)
    assert ask(deep, "", files={"image": deep.photo("Ada")}, min_confidence=1).json()["predictions"] == []


def test_faces_are_named_or_unknown(deep: Served) -> None:
    photo = deep.photo("Ada", "Freya")
    (told,) = deep.painted.open().classify(photo)
    ada, stranger = ask(deep, "/recognize", "classify", {"image": photo}).json()["predictions"]
    assert (ada["userid"], stranger["userid"], stranger["confidence"]) == ("Ada", "unknown", 0)
    assert ada["confidence"] == round(told.predictions[0].probability, 6)


@pytest.mark.parametrize(("least", "userid"), [(0.59, "Ada"), (0.61, "unknown"), ("", "Ada")])
def test_a_name_must_be_as_probable_as_is_asked(
    deep: Served, monkeypatch: pytest.MonkeyPatch, least: float | str, userid: str
) -> None:
    resident, photo = deep.house.resident, deep.photo("Ada")
    by_model = resident.answering(1)
    assert by_model is not None
    answer = by_model(photo)
    (face,) = answer.faces
    doubtful = replace(answer, faces=(replace(face, prediction=replace(face.prediction, probability=0.6)),))
    monkeypatch.setattr(resident, "answering", lambda top: lambda data: doubtful)
    (found,) = ask(deep, "/recognize", files={"image": photo}, min_confidence=least).json()["predictions"]
    assert (found["userid"], found["confidence"]) == (userid, 0.6 if userid == "Ada" else 0)


@pytest.mark.parametrize("call", ["", "/recognize"])
def test_a_picture_without_a_face_is_no_error(deep: Served, call: str) -> None:
    answer = ask(deep, call, "classify", {"image": deep.photo()})
    assert answer.status_code == 200
    assert answer.json() | {"duration": 0} == {
        "success": True,
        "predictions": [],
        "message": "No face found in image",
        "duration": 0,
    }


def test_who_is_registered_is_recognised_by_the_next_request(deep: Served) -> None:
    photo = deep.photo("Freya")
    first = ask(deep, "/register", files={"image": photo}, userid=" Zoë ")
    assert first.json() | {"duration": 0} == {"success": True, "message": "face added", "duration": 0}
    assert ask(deep, "/list", "review").json()["faces"] == ["Ada", "Bo", "Cy", "Zoë"]
    found = ask(deep, "/recognize", files={"image": deep.photo("Cy", "Freya")}).json()["predictions"]
    assert [one["userid"] for one in found] == ["Cy", "Zoë"]
    (file,) = (deep.painted.training / "Zoë").iterdir()
    assert file.read_bytes() == photo
    again = ask(deep, "/register", files={"image": photo}, userid="Zoë")
    assert again.json()["success"] is True and len([*(deep.painted.training / "Zoë").iterdir()]) == 1


def test_several_pictures_are_registered_at_once(deep: Served) -> None:
    paint = deep.painted.paint
    photos = [paint(deep.painted.folder.parent / f"{n}.png", "Freya").read_bytes() for n in range(3)]
    files = {f"image{number}": photo for number, photo in enumerate([*photos, deep.photo(), b"no picture"])}
    said = ask(deep, "/register", files=files, userid="Zoë").json()
    assert said["success"] is True
    assert said["message"] == "face added; no face was found in 2 of 5 pictures, which were left out"
    kept = {file.read_bytes() for file in (deep.painted.training / "Zoë").iterdir()}
    assert kept == set(photos)


def test_who_is_deleted_is_unknown_to_the_next_request(deep: Served) -> None:
    assert ask(deep, "/delete", userid="Ada").json()["success"] is True
    assert ask(deep, "/list").json()["faces"] == ["Bo", "Cy"]
    (found,) = ask(deep, "/recognize", files={"image": deep.photo("Ada")}).json()["predictions"]
    assert found["userid"] == "unknown"


@pytest.mark.parametrize(
    ("call", "pictures", "fields", "error"),
    [
        ("/register", ["none"], {"userid": "Zoë"}, "No face found in image"),
        ("/register", ["broken"], {"userid": "Zoë"}, "is not a photo mien can read"),
        ("/register", [], {"userid": "Zoë"}, 'has no picture in "image"'),
        ("/register", ["face"], {}, "has no userid"),
        ("/register", ["face"], {"userid": "../Zoë"}, "cannot be a person's name"),
        ("/register", ["face"], {"userid": "Unknown"}, "is what strangers are called"),
        ("/delete", [], {"userid": "Nobody"}, "Nobody"),
        ("/recognize", ["broken"], {}, "is not a photo mien can read"),
        ("/recognize", [], {}, 'has no picture in "image"'),
        ("/recognize", ["face"], {"min_confidence": "nan"}, "min_confidence is no number from 0 to 1"),
        ("", ["face"], {"min_confidence": "70"}, "min_confidence is no number from 0 to 1"),
    ],
)
def test_what_is_refused_says_why_and_keeps_nothing(
    deep: Served, call: str, pictures: list[str], fields: dict[str, str], error: str
) -> None:
    bytes_of = {"none": deep.photo(), "face": deep.photo("Freya"), "broken": b"no picture"}
    before = {*deep.painted.training.rglob("*")}
    answer = ask(deep, call, files=[("image", bytes_of[one]) for one in pictures], **fields)
    said = answer.json()
    assert answer.status_code == said["code"] == 400 and said["success"] is False and error in said["error"]
    assert {*deep.painted.training.rglob("*")} == before


def test_an_album_without_a_model_knows_nobody(deep: Served) -> None:
    for person in ("Ada", "Bo", "Cy"):
        assert ask(deep, "/delete", userid=person).json()["success"] is True
    assert ask(deep, "/list").json()["faces"] == []
    (found,) = ask(deep, "/recognize", files={"image": deep.photo("Ada")}).json()["predictions"]
    assert (found["userid"], found["confidence"]) == ("unknown", 0)


def test_a_key_is_asked_for_and_its_scope_held_to(deep: Served) -> None:
    photo = {"image": deep.photo("Ada")}
    for call in CALLS:
        for key in ({}, {"api_key": ""}, {"api_key": "mien_wrong"}):
            answer = deep.client.post(FACE + call, data=key, files=photo)
            assert answer.status_code == 401 and answer.json()["success"] is False
    assert deep.client.post(FACE + "/list").status_code == 401
    for call, scope in (("/list", "classify"), ("/register", "review"), ("/delete", "review")):
        assert ask(deep, call, scope, photo, userid="Ada").status_code == 403
    assert deep.post(FACE + "/recognize", "classify", files=photo).status_code == 200  # the key in the header
    address = f"{FACE}/recognize?api_key={deep.keys['admin']}"
    assert deep.client.post(address, files=photo).status_code == 400


def test_requests_without_a_key_count_as_sent_with_the_one_that_is_named(served_with: Callable[[str], Served]) -> None:
    open_ = served_with('\n[server]\ndeepstack = true\ndeepstack_key = "cameras"\n')
    keys, photo = open_.house.access.keys, {"image": open_.photo("Ada")}

    def recognize(**given: Any) -> int:
        return int(open_.client.post(FACE + "/recognize", files=photo, **given).status_code)

    assert recognize() == 401  # there is no such key yet
    keys.add("cameras", Scope.CLASSIFY, None, datetime.now(UTC))
    assert recognize() == recognize(data={"api_key": " "}) == 200
    assert open_.client.post(FACE + "/list").status_code == 403
    assert recognize(data={"api_key": "mien_wrong"}) == recognize(headers={"x-api-key": "mien_wrong"}) == 401
    for header in ({"origin": "https://elsewhere.example"}, {"sec-fetch-site": "cross-site"}):
        assert recognize(headers=header) == 401  # any page in a browser could send it
    keys.revoke("cameras", datetime.now(UTC))
    assert recognize() == 401


def double_take(served: Served, call: str, *form: tuple[str, Any]) -> Any:
    """A call as Double Take makes it by Node's form-data: everything in one multipart form, no key in a header."""
    files = [(name, ("photo.jpg", value, "image/jpeg") if name == "image" else (None, value)) for name, value in form]
    return served.client.post(FACE + call, files=files)


@pytest.mark.parametrize("detector", ["aiserver", "deepstack"])
def test_double_take_matches_trains_and_removes(served_with: Callable[[str], Served], detector: str) -> None:
    served = served_with('\n[server]\ndeepstack = true\ndeepstack_key = "admin"\n')
    key = [] if detector == "aiserver" else [("api_key", served.keys["admin"])]
    stranger, nobody = served.photo("Freya"), served.photo()

    def matches(picture: bytes) -> list[tuple[str, float]]:
        data = double_take(served, "/recognize", ("image", picture), *key).json()
        assert data["success"] is True
        names = [one["userid"] if one["userid"] else "unknown" for one in data["predictions"]]
        return [(name, 100 * one["confidence"]) for name, one in zip(names, data["predictions"], strict=True)]

    assert matches(stranger) == [("unknown", 0)] and matches(nobody) == []
    trained = double_take(served, "/register", ("image", stranger), ("userid", "freya"), *key)
    assert trained.status_code == 200 and trained.json()["success"] is True
    ((name, sure),) = matches(stranger)
    assert name == "freya" and sure >= 60
    assert double_take(served, "/delete", ("userid", "freya"), *key).json()["success"] is True
    assert matches(stranger) == [("unknown", 0)]
