"""Requests that are sent again are carried out once."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from mien.errors import BusyError
from mien.records.replies import fingerprint

if TYPE_CHECKING:
    from conftest import Served

ONCE = {"Idempotency-Key": "3f2a-1"}


def test_the_same_again_is_answered_as_before(served: Served) -> None:
    before = len(served.painted.open().models())
    photo = served.photo("Freya")
    first = served.post("/v1/people/Freya/photos", files={"picture": photo}, headers=ONCE)
    again = served.post("/v1/people/Freya/photos", files={"picture": photo}, headers=ONCE)  # with another boundary
    assert (first.status_code, again.status_code) == (201, 201) and first.json() == again.json()
    assert "idempotent-replay" not in first.headers and again.headers["idempotent-replay"] == "true"
    assert len(served.painted.open().models()) == before + 1


def test_an_undo_that_is_sent_again_undoes_once(served: Served) -> None:
    for old, new in (("Ada", "Adele"), ("Bo", "Bob")):
        served.client.patch(f"/v1/people/{old}", headers=served.headers(), json={"name": new})
    first, again = (served.post("/v1/undo", headers=ONCE) for _ in range(2))
    assert first.json()["verb"] == "rename"
    assert [one.person for one in served.painted.open().people()] == ["Adele", "Bo", "Cy"]
    assert (again.status_code, again.json()["type"]) == (409, "urn:mien:problem:reply-gone"), "it had names in it"
    assert again.json()["answered"] == 200


def test_a_job_that_is_asked_for_again_is_the_same_job(untaught: Served) -> None:
    first = untaught.post("/v1/jobs", json={"verb": "align"}, headers=ONCE)
    again = untaught.post("/v1/jobs", json={"verb": "align"}, headers=ONCE)
    assert first.headers["location"] == again.headers["location"] == f"/v1/jobs/{first.json()['id']}"
    assert len(untaught.house.access.jobs.last()) == 1


def test_a_key_that_was_used_for_something_else_is_refused(served: Served) -> None:
    path, headers = "/v1/people/Freya/photos", served.headers() | ONCE
    assert served.post(path, files={"picture": served.photo("Freya")}, headers=ONCE).status_code == 201
    for answer in (
        served.post(path, files={"picture": served.photo("Ada")}, headers=ONCE),
        served.post("/v1/people/Ada/photos", files={"picture": served.photo("Freya")}, headers=ONCE),
        served.client.patch("/v1/people/Freya", headers=headers, json={"name": "Bob"}),
        served.client.delete("/v1/people/Freya", headers=headers),
    ):
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:mien:problem:key-used")
    assert [one.person for one in served.painted.open().people()] == ["Ada", "Bo", "Cy", "Freya"]


def test_what_failed_may_be_sent_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: Any, **__: Any) -> None:
        raise BusyError("The album", "is in use", "Wait.")

    with monkeypatch.context() as patch:
        patch.setattr(served.house.resident, "change", busy)
        assert served.post("/v1/rollback", headers=ONCE).status_code == 503
    assert served.post("/v1/rollback", headers=ONCE).status_code == 409  # there is none before
    served.client.patch("/v1/people/Ada", headers=served.headers(), json={"name": "Adele"})
    assert served.post("/v1/rollback", headers=ONCE).status_code == 200


def test_what_failed_after_it_was_done_is_not_done_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for old, new in (("Ada", "Adele"), ("Bo", "Bob")):
        served.client.patch(f"/v1/people/{old}", headers=served.headers(), json={"name": new})
    change = served.house.resident.change

    def mistake(*given: Any, **more: Any) -> None:
        change(*given, **more)
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(served.house.resident, "change", mistake)
        assert served.post("/v1/undo", headers=ONCE).status_code == 500
    again = served.post("/v1/undo", headers=ONCE)
    assert (again.status_code, again.json()["type"]) == (409, "urn:mien:problem:interrupted")
    assert [one.person for one in served.painted.open().people()] == ["Adele", "Bo", "Cy"]


def test_what_still_runs_or_was_interrupted_is_not_begun_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    replies, now = served.house.access.replies, datetime.now().astimezone()
    asked = fingerprint("POST", "/v1/rollback", "", "text/plain", b"")
    replies.begin("admin", "3f2a-1", asked, now)
    running = served.post("/v1/rollback", headers=ONCE)
    assert (running.status_code, running.json()["type"]) == (409, "urn:mien:problem:still-running")
    assert running.headers["retry-after"] == "1"
    monkeypatch.setattr(replies, "_lives", lambda _: False)
    interrupted = served.post("/v1/rollback", headers=ONCE)
    assert (interrupted.status_code, interrupted.json()["type"]) == (409, "urn:mien:problem:interrupted")


def test_photos_whose_coming_was_interrupted_come_when_they_are_sent_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies, photo = served.house.access.replies, served.photo("Freya")
    given: dict[str, Any] = {"content": photo, "headers": ONCE | {"content-type": "image/png"}}
    asked = fingerprint("POST", "/v1/people/Freya/photos", "", "image/png", photo)
    replies.begin("admin", "3f2a-1", asked, datetime.now().astimezone())
    assert served.post("/v1/people/Freya/photos", **given).status_code == 409
    with monkeypatch.context() as patch:
        patch.setattr(replies, "_lives", lambda _: False)
        assert served.post("/v1/people/Freya/photos", **given).status_code == 201
    assert served.post("/v1/people/Freya/photos", **given).headers["idempotent-replay"] == "true"


def test_a_reply_that_was_emptied_says_that_it_was_given(served: Served) -> None:
    headers = served.headers() | ONCE
    served.client.patch("/v1/people/Ada", headers=headers, json={"name": "Adele"})
    served.house.access.forget()
    again = served.client.patch("/v1/people/Ada", headers=headers, json={"name": "Adele"})
    assert (again.status_code, again.json()["type"], again.json()["answered"]) == (
        409,
        "urn:mien:problem:reply-gone",
        200,
    )


def test_each_key_has_requests_of_its_own_and_scopes_hold(served: Served) -> None:
    assert served.post("/v1/undo", "review", headers=ONCE).status_code == 403
    assert served.client.post("/v1/undo", headers=ONCE).status_code == 401
    for bad in ("", "x" * 201, "a b"):
        assert served.post("/v1/prune", headers={"Idempotency-Key": bad}).status_code == 422, bad
