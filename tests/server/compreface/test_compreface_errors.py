"""Who may ask what over CompreFace's API, and how it says no."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

from mien.text.access import Scope

if TYPE_CHECKING:
    from conftest import Served

V1 = "/api/v1"
ID = "00000000-0000-0000-0000-000000000000"

NEEDED = [
    ("POST", "/recognition/recognize", Scope.CLASSIFY),
    ("POST", "/detection/detect", Scope.CLASSIFY),
    ("POST", "/verification/verify", Scope.CLASSIFY),
    ("POST", f"/recognition/faces/{ID}/verify", Scope.CLASSIFY),
    ("POST", "/recognition/embeddings/recognize", Scope.CLASSIFY),
    ("POST", f"/recognition/embeddings/faces/{ID}/verify", Scope.CLASSIFY),
    ("POST", "/verification/embeddings/verify", Scope.CLASSIFY),
    ("GET", "/recognition/subjects", Scope.REVIEW),
    ("GET", "/recognition/faces", Scope.REVIEW),
    ("GET", f"/recognition/faces/{ID}/img", Scope.REVIEW),
    ("POST", "/recognition/subjects", Scope.ADMIN),
    ("PUT", "/recognition/subjects/Ada", Scope.ADMIN),
    ("DELETE", "/recognition/subjects/Nobody", Scope.ADMIN),
    ("DELETE", "/recognition/subjects", Scope.ADMIN),
    ("POST", "/recognition/faces?subject=Ada", Scope.ADMIN),
    ("DELETE", "/recognition/faces?subject=Nobody", Scope.ADMIN),
    ("DELETE", f"/recognition/faces/{ID}", Scope.ADMIN),
    ("POST", "/recognition/faces/delete", Scope.ADMIN),
]


def ask(server: Served, method: str, path: str, key: str | None) -> Any:
    return server.client.request(method, f"{V1}{path}", headers={"x-api-key": key} if key else {})


def test_each_call_needs_its_scope(untaught: Served) -> None:
    for method, path, scope in NEEDED:
        for one in Scope:
            answer = ask(untaught, method, path, untaught.keys[one.value])
            if one.allows(scope):
                assert answer.status_code != 403, answer.text
            else:
                assert (answer.status_code, answer.json()["code"]) == (403, 1)
        missing = ask(untaught, method, path, None)
        assert (missing.status_code, missing.json()["code"]) == (400, 20)
    wrong = ask(untaught, method, path, "wrong")
    assert (wrong.status_code, wrong.json()["code"]) == (404, 10)


def test_a_key_that_does_not_hold_is_unknown(standing: Served) -> None:
    now = datetime.now(UTC)
    keys = standing.house.access.keys
    old = keys.add("old", Scope.ADMIN, (now - timedelta(days=3)).date(), now - timedelta(days=9))
    gone = keys.add("gone", Scope.ADMIN, None, now)
    keys.revoke("gone", now)
    for key in (old, gone):
        answer = ask(standing, "GET", "/recognition/subjects", key)
        assert (answer.status_code, answer.json()["code"]) == (404, 10)


def test_a_key_in_the_address_is_refused(standing: Served) -> None:
    answer = ask(standing, "GET", f"/recognition/subjects?api_key={standing.keys['admin']}", None)
    assert (answer.status_code, answer.json()["code"]) == (400, 26)
    assert standing.keys["admin"] not in answer.text


def test_every_answer_is_json(standing: Served) -> None:
    paths = ("", "/", "/nope", "/recognition", "/recognition/faces/a/b/c")
    for path, method in product(paths, ("GET", "PATCH", "DELETE", "OPTIONS")):
        answer = ask(standing, method, path, standing.keys["admin"])
        assert answer.status_code in (404, 405) and set(answer.json()) == {"message", "code"}


def test_a_body_that_is_too_large_is_refused(standing: Served) -> None:
    data = b"\0" * ((standing.house.bounds.size) + 1)
    answer = standing.post(f"{V1}/recognition/recognize", files={"file": data})
    assert answer.status_code == 413 and answer.json()["code"] == 0


def test_malformed_bodies_are_said_to_be(standing: Served) -> None:
    chance = random.Random(14)
    types = [
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/json",
        "text/plain",
        "",
        "image/png",
    ]
    photo = standing.photo("Ada")
    bodies = [
        b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\n",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../a.jpg"\r\n\r\nabc\r\n--x--\r\n',
        b'{"file": ' + b"[" * 5000,
        b'{"file": {"a": 1}}',
        b'{"source_image": "AAAA", "target_image": "AAAA"}',
        photo[:200],
        bytes(chance.randrange(256) for _ in range(300)),
    ]
    changing = [one for one in NEEDED if one[0] == "DELETE"]
    for method, path, _ in (one for one in NEEDED if one not in changing):
        for content in bodies:
            headers = {"content-type": chance.choice(types), **standing.headers()}
            answer = standing.client.request(method, f"{V1}{path}", content=content, headers=headers)
            if answer.status_code >= 300:
                assert 400 <= answer.status_code < 500 and set(answer.json()) == {"message", "code"}, answer.text
                assert str(standing.painted.folder) not in answer.text
