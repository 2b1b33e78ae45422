"""Who is in pictures, over HTTP."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Served


def test_it_answers_as_the_command_line_does(served: Served) -> None:
    photo = served.photo("Ada", "Bo")
    (told,) = served.painted.open().classify(photo)
    answer = served.post("/v1/classify", "classify", files={"picture": photo})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"model": served.painted.open().version, "answers": [told.to_json() | {"photo": "image 1"}]}
    assert answer.headers["x-mien-model"] == served.painted.open().version


@pytest.mark.parametrize("how", ["form", "bytes", "json", "data"])
def test_a_picture_comes_in_any_form(served: Served, how: str) -> None:
    photo = served.photo("Ada")
    text = base64.b64encode(photo).decode()
    forms: dict[str, dict[str, Any]] = {
        "form": {"files": {"anything": photo}},
        "bytes": {"content": photo, "headers": {"content-type": "image/png"}},
        "json": {"json": {"pictures": [text]}},
        "data": {"json": {"picture": f"data:image/png;base64,{text}"}},
    }
    answer = served.post("/v1/classify", **forms[how])
    assert [face["person"] for face in answer.json()["answers"][0]["faces"]] == ["Ada"]


def test_one_bad_picture_among_good_ones_costs_itself_only(served: Served) -> None:
    files = [("picture", served.photo("Ada")), ("picture", b"no picture"), ("picture", served.photo("Cy"))]
    answers = served.post("/v1/classify", files=files).json()["answers"]
    assert [[face["person"] for face in one["faces"]] for one in answers] == [["Ada"], [], ["Cy"]]
    assert answers[1]["error"]["kind"] == "not-a-picture"
    assert answers[1]["error"]["message"].startswith("image 2 ")
    pictures = served.post("/v1/detect", files=files).json()["pictures"]
    assert pictures[1]["error"]["message"].startswith("image 2 ")
    refused = served.post("/v1/classify", files={"picture": b"no picture"})
    assert refused.status_code == 422 and refused.json()["type"] == "urn:mien:problem:unreadable-picture"


def test_faces_and_embeddings_need_no_model(untaught: Served) -> None:
    photo = untaught.photo("Ada", "Bo")
    faces = untaught.post("/v1/detect", "classify", files={"picture": photo}).json()["pictures"][0]["faces"]
    assert len(faces) == 2 and "embedding" not in faces[0]
    found = untaught.post("/v1/embed", files={"picture": photo}).json()
    assert len(found["pictures"][0]["faces"][0]["embedding"]) == 128
    assert untaught.post("/v1/embed", "review", files={"picture": photo}).status_code == 403
    refused = untaught.post("/v1/classify", files={"picture": photo})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:mien:problem:no-model")


def test_two_pictures_are_compared(untaught: Served) -> None:
    ada, again, bo = (
        untaught.painted.paint(untaught.painted.folder / f"{n}.png", who) for n, who in enumerate(("Ada", "Ada", "Bo"))
    )
    for other, same in ((again, True), (bo, False)):
        files = [("picture", ada.read_bytes()), ("picture", other.read_bytes())]
        found = untaught.post("/v1/verify", "classify", files=files).json()
        assert found["same"] is same and (found["probability"] > 0.5) is same
    assert untaught.post("/v1/verify", files={"picture": ada.read_bytes()}).status_code == 422


def test_a_promotion_by_another_process_is_followed(served: Served) -> None:
    first = served.painted.open().version
    served.painted.photo("Ada/ada-9.png")
    second = served.painted.open().train().version
    served.house.resident.refresh()
    answer = served.post("/v1/classify", files={"picture": served.photo("Ada")}).json()
    assert first != second == answer["model"]
