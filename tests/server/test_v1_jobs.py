"""Long work over HTTP: asked for, followed, cancelled, taken over by the next server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from mien.errors import EmptyAlbumError
from mien.records.access import Access
from mien.server.app import make_app
from mien.server.house import House
from mien.server.job import INTERRUPTED
from mien.server.resident import Resident
from mien.storage.layout import Layout
from mien.storage.lock import lock

if TYPE_CHECKING:
    from conftest import Painted, Served

PROGRAM = (sys.executable, str(Path(__file__).with_name("painted_job.py")))


@pytest.fixture
def jobs(untaught: Served) -> Served:
    """A server over an album of three people without a model, whose jobs see painted squares."""
    for person in ("Ada", "Bo", "Cy"):
        for number in (1, 2, 3):
            untaught.painted.photo(f"{person}/{person.lower()}-{number}.png")
    untaught.house.jobs.program = PROGRAM
    return untaught


def events(served: Served, job: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a stream tells, to its end."""
    stream = served.get(f"/v1/jobs/{job}/events", "review")
    assert stream.headers["content-type"].startswith("text/event-stream")
    for block in stream.text.split("\n\n"):
        if block.strip():
            fields = dict(line.split(": ", 1) for line in block.strip().split("\n"))
            yield fields["event"], json.loads(fields["data"])


def ended(served: Served, job: str) -> dict[str, Any]:
    """A job once it is over."""
    *_, (event, said) = events(served, job)
    assert event == "end"
    return said


def test_a_job_is_asked_for_followed_and_its_model_answers(jobs: Served) -> None:
    asked = jobs.post("/v1/jobs", json={"verb": "train"})
    assert asked.status_code == 202 and asked.headers["location"] == f"/v1/jobs/{asked.json()['id']}"
    told = list(events(jobs, asked.json()["id"]))
    assert [event for event, _ in told[:-1]] == ["progress"] * (len(told) - 1)
    event, done = told[-1]
    assert (event, done["state"], done["code"], done["key"]) == ("end", "done", 0, "admin"), done
    assert done["result"]["version"] == jobs.painted.open().version == jobs.house.resident.version
    assert str(jobs.painted.folder) not in json.dumps(done)
    answer = jobs.post("/v1/classify", files={"picture": jobs.photo("Ada")}).json()
    assert answer["answers"][0]["faces"][0]["person"] == "Ada"
    assert jobs.get(f"/v1/jobs/{done['id']}").json() == done


def test_the_log_says_by_which_key_a_job_was_asked_for(jobs: Served) -> None:
    job = ended(jobs, jobs.post("/v1/jobs", json={"verb": "align"}).json()["id"])["id"]
    (event,) = jobs.painted.open().log()
    assert (event.verb, event.by.key, event.by.request, event.outcome) == ("align", "admin", job, "done")


def test_a_stream_ends_when_its_key_is_revoked(jobs: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.server.v1.jobs.LOOK_SECONDS", 0.05)
    with lock(Layout.of(jobs.painted.folder, jobs.house.resident.settings), "somebody else"):
        job = jobs.post("/v1/jobs", json={"verb": "align"}).json()["id"]
        told: list[tuple[str, dict[str, Any]]] = []
        listener = threading.Thread(target=lambda: told.extend(events(jobs, job)))
        listener.start()
        while not jobs.house.listeners:
            time.sleep(0.01)
        jobs.house.access.keys.revoke("review", datetime.now(UTC))
        listener.join(60)
        assert not listener.is_alive() and "end" not in [event for event, _ in told]
    assert jobs.get(f"/v1/jobs/{job}/events", "review").status_code == 401


def test_so_many_listen_and_no_more(jobs: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.server.v1.jobs.MOST_LISTENERS", 1)
    with lock(Layout.of(jobs.painted.folder, jobs.house.resident.settings), "somebody else"):
        job = jobs.post("/v1/jobs", json={"verb": "align"}).json()["id"]
        listener = threading.Thread(target=lambda: list(events(jobs, job)))
        listener.start()
        while not jobs.house.listeners:
            time.sleep(0.01)
        refused = jobs.get(f"/v1/jobs/{job}/events", "review")
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:mien:problem:full")
    listener.join(60)
    assert jobs.house.listeners == 0
    assert ended(jobs, job)["state"] == "done"


def test_daily_is_a_run_of_the_ledger(jobs: Served) -> None:
    done = ended(jobs, jobs.post("/v1/jobs", json={"verb": "daily"}).json()["id"])
    (run,) = jobs.get("/v1/runs", "review").json()["runs"]
    assert done["state"] == "done" and done["run"] == run["run"] == done["result"]["run"]
    assert jobs.get(f"/v1/runs/{run['run']}").json() == run
    assert [step["name"] for step in run["steps"]][:3] == ["expire", "collect", "align"]


def test_jobs_are_one_after_the_other_and_listed(jobs: Served) -> None:
    with lock(Layout.of(jobs.painted.folder, jobs.house.resident.settings), "somebody else"):
        first = jobs.post("/v1/jobs", json={"verb": "align"}).json()["id"]
        second = jobs.post("/v1/jobs", json={"verb": "collect", "dry_run": True}).json()["id"]
        for _ in range(600):
            progress = jobs.get(f"/v1/jobs/{first}").json()["progress"]
            if progress and progress["waiting"]:
                break
            time.sleep(0.1)
        assert progress["waiting"] == "the album is in use by another run"
        page = jobs.get("/v1/jobs", "review", params={"limit": 1}).json()
        assert [one["id"] for one in page["jobs"]] == [second] and page["jobs"][0]["state"] == "waiting"
        assert "result" not in page["jobs"][0]
        rest = jobs.get("/v1/jobs", params={"cursor": page["next"]}).json()
        assert [one["id"] for one in rest["jobs"]] == [first] and rest["next"] is None
    assert ended(jobs, first)["state"] == "done"
    assert ended(jobs, second)["result"]["dry_run"] is True


def test_a_job_that_waits_is_cancelled_at_once_and_one_that_runs_is_interrupted(
    jobs: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_TEST_SLOW", "1000")
    running = jobs.post("/v1/jobs", json={"verb": "align"}).json()["id"]
    waiting = jobs.post("/v1/jobs", json={"verb": "align"}).json()["id"]
    assert jobs.post(f"/v1/jobs/{waiting}/cancel").json()["state"] == "cancelled"
    for _ in range(600):
        progress = jobs.get(f"/v1/jobs/{running}").json()["progress"]
        if progress and progress["of"]:
            break
        time.sleep(0.1)
    assert jobs.post(f"/v1/jobs/{running}/cancel").json()["cancel"] is True
    assert ended(jobs, running)["state"] == "cancelled"
    monkeypatch.delenv("MIEN_TEST_SLOW")
    assert ended(jobs, jobs.post("/v1/jobs", json={"verb": "align"}).json()["id"])["result"]["faces"] == 9


def test_a_job_that_fails_says_why_and_one_that_is_killed_fails_alone(jobs: Served) -> None:
    for folder in jobs.painted.training.iterdir():
        for file in folder.iterdir():
            file.unlink()
    failed = ended(jobs, jobs.post("/v1/jobs", json={"verb": "train"}).json()["id"])
    assert (failed["state"], failed["code"], failed["result"]) == ("failed", EmptyAlbumError.exit_code, None)
    assert failed["error"]["message"].startswith("training-images ") and failed["error"]["remedy"]
    kill = f"import os, signal; os.kill(os.getpid(), {int(signal.SIGKILL)})"
    jobs.house.jobs.program = (sys.executable, "-c", kill)
    killed = ended(jobs, jobs.post("/v1/jobs", json={"verb": "train"}).json()["id"])
    assert (killed["state"], killed["code"]) == ("failed", -signal.SIGKILL)
    assert jobs.get("/v1/people").status_code == 200


def test_a_stream_ends_when_the_server_does_and_the_job_goes_on_in_the_next(
    jobs: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_TEST_SLOW", "1000")
    job = jobs.post("/v1/jobs", json={"verb": "align"}).json()["id"]
    told: list[tuple[str, dict[str, Any]]] = []
    listener = threading.Thread(target=lambda: told.extend(events(jobs, job)))
    listener.start()
    for _ in range(600):
        progress = jobs.get(f"/v1/jobs/{job}").json()["progress"]
        if progress and progress["of"]:
            break
        time.sleep(0.1)
    assert jobs.client.portal
    jobs.client.portal.call(jobs.house.closing.set)
    listener.join(60)
    assert told and "end" not in [event for event, _ in told]
    jobs.house.jobs.program = PROGRAM
    jobs.client.__exit__()
    monkeypatch.delenv("MIEN_TEST_SLOW")
    house = House.of(Resident(jobs.painted.folder, jobs.painted.eyes), Access.for_writing(jobs.house.access._place))
    house.jobs.program = PROGRAM
    with TestClient(make_app(house)) as client:
        done = ended(replace(jobs, house=house, client=client), job)
    assert (done["state"], done["tries"], done["result"]["faces"]) == ("done", 1, 9)


def test_a_job_ends_with_its_server(painted: Painted) -> None:
    painted.photo("Ada/ada-1.png")
    asked = json.dumps({"folder": str(painted.folder), "verb": "align", "options": {}, "by": {}}) + "\n"
    slow = os.environ | {"MIEN_TEST_SLOW": "1000"}
    with subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=slow) as job:
        assert job.stdin and job.stdout
        job.stdin.write(asked)
        job.stdin.flush()
        assert json.loads(job.stdout.readline())["done"] == 0
        job.stdin.close()
        assert job.wait(60) == INTERRUPTED


@pytest.mark.parametrize(
    "body",
    [{}, {"verb": "remove"}, {"verb": "align", "x": 1}, {"verb": "collect", "dry_run": "yes"}, {"verb": ["train"]}, 1],
)
def test_what_is_no_job_is_refused(untaught: Served, body: object) -> None:
    refused = untaught.post("/v1/jobs", json=body)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:mien:problem:invalid")
    unknown = untaught.post("/v1/jobs", json={"verb": "collect", "sources": ["nowhere"]})
    assert (unknown.status_code, unknown.json()["type"]) == (422, "urn:mien:problem:no-source")
    assert untaught.post("/v1/jobs", "review", json={"verb": "align"}).status_code == 403
    assert untaught.get(f"/v1/jobs/{'0' * 16}").status_code == 404
    assert untaught.post(f"/v1/jobs/{'0' * 16}/cancel").status_code == 404
    assert untaught.get(f"/v1/jobs/{'0' * 16}/events").status_code == 404
