"""Who may ask, and how often."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mien.server.door import WRONG_PER_MINUTE
from mien.text.access import Scope

if TYPE_CHECKING:
    from conftest import Served

ROUTES = [("/v1/detect", Scope.CLASSIFY), ("/v1/embed", Scope.ADMIN)]


def asked(served: Served, headers: dict[str, str], path: str = "/v1/detect", **given: Any) -> Any:
    return served.client.post(path, headers=headers, files={"picture": served.photo("Ada")}, **given)


def kind(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:mien:problem:")


def test_nobody_asks_without_a_key(untaught: Served) -> None:
    answer = asked(untaught, {})
    assert kind(answer) == (401, "no-key") and answer.headers["www-authenticate"] == "Bearer"
    assert kind(asked(untaught, {"x-api-key": "mien_" + "a" * 43})) == (401, "key-unknown")
    assert kind(asked(untaught, {"x-api-key": "a" * 10_000})) == (401, "key-unknown")
    assert kind(asked(untaught, {"authorization": "Basic abc"})) == (401, "no-key")


def test_a_key_comes_as_a_header_or_as_a_bearer(untaught: Served) -> None:
    assert asked(untaught, {"X-API-Key": untaught.keys["classify"]}).status_code == 200
    assert asked(untaught, {"authorization": f"bearer {untaught.keys['classify']}"}).status_code == 200


@pytest.mark.parametrize("name", ["key", "api_key", "X-API-KEY", "token", "access_token"])
def test_a_key_in_the_address_is_refused(untaught: Served, name: str) -> None:
    answer = asked(untaught, untaught.headers(), params={name: untaught.keys["admin"]})
    assert kind(answer) == (400, "key-in-address") and untaught.keys["admin"] not in answer.text


@pytest.mark.parametrize(("path", "needed"), ROUTES)
def test_a_scope_allows_what_those_before_it_do(untaught: Served, path: str, needed: Scope) -> None:
    for scope in Scope:
        answer = asked(untaught, untaught.headers(scope.value), path)
        assert answer.status_code == (200 if scope.allows(needed) else 403)
        if answer.status_code == 403:
            assert kind(answer) == (403, "scope") and f"--scope {needed}" in answer.json()["detail"]


def test_a_revoked_and_an_expired_key_are_refused_at_once(untaught: Served) -> None:
    keys, now = untaught.house.access.keys, datetime.now(UTC)
    desk = keys.add("desk", Scope.CLASSIFY, None, now)
    yesterday = keys.add("intern", Scope.CLASSIFY, date(2020, 1, 2), datetime(2020, 1, 1, tzinfo=UTC))
    assert asked(untaught, {"x-api-key": desk}).status_code == 200
    keys.revoke("desk", now + timedelta(seconds=1))
    assert kind(asked(untaught, {"x-api-key": desk})) == (401, "key-revoked")
    assert kind(asked(untaught, {"x-api-key": yesterday})) == (401, "key-expired")


def test_each_key_asks_so_often_and_no_oftener(three_people: Any, serve: Any) -> None:
    (three_people.folder / "mien.toml").write_text("[server]\nper_minute = 3\n")
    with serve(three_people) as served:
        for _ in range(3):
            assert asked(served, served.headers("classify")).status_code == 200
        answer = asked(served, served.headers("classify"))
        assert kind(answer) == (429, "too-often") and 1 <= int(answer.headers["retry-after"]) <= 61
        assert asked(served, served.headers("review")).status_code == 200, "another key has its own"
        for _ in range(2):
            assert kind(asked(served, served.headers("review"), "/v1/embed")) == (403, "scope")
        assert kind(asked(served, served.headers("review"), "/v1/embed")) == (429, "too-often")


def test_who_sends_wrong_keys_is_slowed_down(untaught: Served) -> None:
    for _ in range(WRONG_PER_MINUTE):
        assert kind(asked(untaught, {"x-api-key": "wrong"})) == (401, "key-unknown")
    assert kind(asked(untaught, {"x-api-key": "wrong"})) == (429, "too-often")
    assert asked(untaught, untaught.headers()).status_code == 200, "who shares the address is not locked out"


def test_it_is_remembered_when_a_key_was_used(untaught: Served) -> None:
    asked(untaught, untaught.headers("review"))
    untaught.client.close()
    for _ in range(200):
        (used,) = [key for key in untaught.house.access.keys.all() if key.name == "review"]
        if used.last_used:
            return
        import time

        time.sleep(0.01)
    pytest.fail("it is not")


def test_no_other_site_may_ask_from_a_browser(untaught: Served) -> None:
    headers = {"origin": "https://example.org", "access-control-request-method": "POST"}
    answer = untaught.client.options("/v1/classify", headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control")] and answer.status_code == 405
