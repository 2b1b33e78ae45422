"""Models, evaluation, sources and runs over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Served


def grown(served: Served) -> tuple[str, str]:
    """Two versions, the second in use."""
    first = served.painted.open().version or ""
    served.painted.photo("Ada/ada-9.png")
    second = served.painted.open().train().version
    served.house.resident.refresh()
    return first, second


def test_models_are_listed_compared_and_chosen(served: Served) -> None:
    first, second = grown(served)
    listed = served.get("/v1/models", "review").json()["models"]
    assert [(one["version"], one["in_use"]) for one in listed] == [(first, False), (second, True)]
    assert listed == [one.to_json() for one in served.painted.open().models()]
    assert served.get(f"/v1/models/{second}").json() == listed[1]
    found = served.get(f"/v1/models/{first}/difference/{second}", "review").json()
    assert found["version"] == [first, second] and len(found["added"]["Ada"]) == 1
    assert served.post(f"/v1/models/{first}/promote").json() == {"version": first}
    assert served.house.resident.version == first
    assert served.post("/v1/rollback").json() == {"version": second}
    assert served.post("/v1/models/2020-01-01-001/promote").status_code == 404
    assert served.post(f"/v1/models/{first}/promote", "review").status_code == 403


def test_models_go(served: Served) -> None:
    first, second = grown(served)
    delete, headers = served.client.delete, served.headers()
    refused = delete(f"/v1/models/{second}", headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:mien:problem:model")
    assert delete(f"/v1/models/{first}", headers=headers).json() == {"dropped": [first], "left": 1}
    assert delete(f"/v1/models/{first}", headers=headers).status_code == 404
    assert served.post("/v1/prune").json() == {"dropped": [], "left": 1}


def test_the_page_about_a_model_runs_nothing(served: Served) -> None:
    page = served.get("/v1/report", "review")
    assert page.headers["content-type"] == "text/html; charset=utf-8" and page.text.startswith("<!DOCTYPE html>")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ") and "sandbox" in policy and "script" not in policy
    assert served.get("/v1/report", "classify").status_code == 403


def test_an_album_without_a_model_has_no_page(untaught: Served) -> None:
    assert untaught.get("/v1/models").json() == {"models": []}
    refused = untaught.get("/v1/report")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:mien:problem:model")
    assert str(untaught.painted.folder) not in refused.text


def test_a_model_is_measured_as_the_command_line_does(served: Served) -> None:
    painted = served.painted
    probes = painted.folder.parent / "probes"
    for name in ("Ada/image 1.png", "Bo/image 2.png", "Freya/image 3.png"):
        painted.paint(probes / name, name.split("/")[0])
    files = [(file.parent.name, file.read_bytes()) for file in sorted(probes.rglob("*.png"))]
    found = served.post("/v1/evaluate?face=centre", "review", files=files)
    assert found.status_code == 200, found.text
    told = json.dumps(painted.open().evaluate(probes, "centre").to_json()).replace(f"{probes}/", "")
    assert found.json() == json.loads(told)
    assert found.json()["stranger_names"] == ["Freya"] and found.json()["mated"] == 0


def test_whom_a_picture_shows_is_said_or_nothing_is_measured(served: Served) -> None:
    photo = served.photo("Ada")
    assert served.post("/v1/evaluate", content=photo).json()["type"] == "urn:mien:problem:malformed"
    refused = served.post("/v1/evaluate", files={"../Ada": photo})
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:mien:problem:refused")
    assert served.post("/v1/evaluate", "classify", files={"Ada": photo}).status_code == 403


def test_sources_are_those_of_the_command_line(served: Served) -> None:
    with (served.painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write('\n[sources.drop]\nkind = "folder"\npath = "drop"\nbasis = "b"\nlicence = "l"\n')
    (served.painted.folder / "drop/Ada").mkdir(parents=True)
    (served.painted.folder / "drop/Ada/page.jpg").write_bytes(b"<html>")
    served.painted.open().collect()
    found = served.get("/v1/sources", "review").json()["sources"]
    assert found == [one.to_json() for one in served.painted.open().sources()]
    assert len(found[0]["refused"]) == 1


def test_runs_come_page_by_page(served: Served) -> None:
    for _ in range(3):
        served.painted.open().daily()
    every = [one.to_json() for one in served.painted.open().runs()]
    first = served.get("/v1/runs", "review", params={"limit": 2}).json()
    assert first["runs"] == every[:2]
    rest = served.get("/v1/runs", params={"limit": 2, "cursor": first["next"]}).json()
    assert rest == {"runs": every[2:], "next": None}
    assert served.get(f"/v1/runs/{every[1]['run']}").json() == every[1]
    assert served.get("/v1/runs/none").status_code == 404


@pytest.mark.parametrize("version", ["current", "..", "2026-01-01", "2026-01-01-001%0a"])
def test_what_is_no_version_is_refused(untaught: Served, version: str) -> None:
    assert untaught.get(f"/v1/models/{version}").status_code in (404, 422)
