"""What holds for every request."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from mien.errors import BusyError, StorageError

if TYPE_CHECKING:
    from conftest import Served


def told(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == answer.status_code and said["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, said["type"].removeprefix("urn:mien:problem:")


def test_what_is_not_there_is_a_problem(untaught: Served) -> None:
    assert told(untaught.client.get("/nothing")) == (404, "no-such-address")
    assert told(untaught.client.get("/v1/detect")) == (405, "method")
    assert told(untaught.post("/v1/classify?top=0", content=b"x")) == (422, "invalid")
    assert told(untaught.post("/v1/classify?least=nan", content=b"x")) == (422, "invalid")


def test_a_mistake_of_miens_tells_nothing_of_itself(
    untaught: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistake(*_: object, **__: object) -> None:
        raise RuntimeError(f"in {untaught.painted.folder}")

    monkeypatch.setattr(untaught.house.resident, "see", mistake)
    answer = untaught.post("/v1/detect", files={"picture": untaught.photo("Ada")})
    assert told(answer) == (500, "internal") and str(untaught.painted.folder) not in answer.text
    (record,) = [one for one in caplog.records if one.exc_info]
    assert record.figures["request"] == answer.headers["x-request-id"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (BusyError("{album}", 'is in use by "train"', "Wait."), 503, "busy"),
        (StorageError("{album}/training-images/Ada", "cannot be written: no space left", "Free some."), 507, "storage"),
    ],
)
def test_an_error_of_miens_names_no_path(
    untaught: Served, monkeypatch: pytest.MonkeyPatch, error: Any, status: int, kind: str
) -> None:
    folder = str(untaught.painted.folder)

    def fail(*_: object, **__: object) -> None:
        raise type(error)(error.about.format(album=folder), error.what, error.remedy)

    monkeypatch.setattr(untaught.house.resident, "see", fail)
    answer = untaught.post("/v1/detect", files={"picture": untaught.photo("Ada")})
    assert told(answer) == (status, kind) and folder not in answer.text
    assert (status != 503) or answer.headers["retry-after"] == "5"


def test_a_broken_mien_toml_costs_no_answer_of_the_model(served: Served) -> None:
    (served.painted.folder / "mien.toml").write_text("[[[")
    assert served.post("/v1/classify", files={"picture": served.photo("Ada")}).status_code == 200
    answer = served.post("/v1/detect", files={"picture": served.photo("Ada")})
    assert told(answer) == (503, "album") and str(served.painted.folder) not in answer.text


def test_a_model_that_cannot_be_had_is_told_and_the_one_before_goes_on(served: Served) -> None:
    version = served.house.resident.version
    (served.painted.folder / "models/current").write_text("2020-01-01-001\n")
    served.house.resident.refresh()
    assert served.client.get("/readyz").status_code == 503
    answer = served.post("/v1/classify", files={"picture": served.photo("Ada")})
    assert answer.json()["model"] == version
    (served.painted.folder / "models/current").write_text(f"{version}\n")
    served.house.resident.refresh()
    assert served.client.get("/readyz").json() == {"status": "ready", "model": version, "queue": 0}


def test_an_album_without_its_models_answers_nothing_and_lives(served: Served) -> None:
    shutil.rmtree(served.painted.folder / "models")
    served.house.resident.refresh()
    assert told(served.post("/v1/classify", files={"picture": served.photo("Ada")})) == (409, "no-model")
    assert served.client.get("/healthz").json() == {"status": "alive"}
    assert served.client.get("/readyz").json()["model"] is None
