"""Whether the server lives, and whether it can answer."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from mien.server.watched import UNTOLD
from mien.storage.layout import Layout

if TYPE_CHECKING:
    from conftest import Served


def test_it_is_ready_with_a_model(served: Served) -> None:
    assert served.client.get("/healthz").json() == {"status": "alive"}
    said = served.client.get("/readyz").json()
    assert said == {"status": "ready", "model": served.painted.open().version, "queue": 0}


def test_an_album_that_is_still_to_be_taught_is_ready(untaught: Served) -> None:
    answer = untaught.client.get("/readyz")
    assert (answer.status_code, answer.json()["model"]) == (200, None)


def test_it_is_not_ready_while_it_ends_and_still_answers_what_has_begun(served: Served) -> None:
    served.house.closing.set()
    answer = served.client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "closing")
    assert served.client.get("/healthz").status_code == 200
    assert served.post("/v1/classify", files={"picture": served.photo("Ada")}).status_code == 200


def test_a_model_that_cannot_be_had_is_told_while_the_one_before_answers(served: Served) -> None:
    resident = served.house.resident
    models = Layout.of(served.painted.folder, resident.settings).models_folder
    before, damaged = str(resident.version), "2030-01-01-001"
    shutil.copytree(models / before, models / damaged)
    (models / damaged / "model.onnx").write_bytes(b"damaged")
    (models / "current").write_text(f"{damaged}\n")
    resident.refresh()
    answer = served.client.get("/readyz")
    assert answer.status_code == 503 and answer.json()["status"] == "the model in use cannot be had"
    assert answer.json()["model"] == before
    found = served.post("/v1/classify", files={"picture": served.photo("Ada")})
    assert (found.status_code, found.json()["model"]) == (200, before)
    (models / "current").write_text(f"{before}\n")
    resident.refresh()
    assert served.client.get("/readyz").status_code == 200


def test_whoever_looks_after_it_needs_no_key_and_learns_no_name(served: Served) -> None:
    assert served.post("/v1/classify", files={"picture": served.photo("Ada")}).status_code == 200
    for path in UNTOLD:
        answer = served.client.get(path)
        assert answer.status_code == 200 and "Ada" not in answer.text and str(served.painted.folder) not in answer.text
