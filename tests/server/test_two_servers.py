"""Two servers over one album, as processes: whatever is done at one holds at the other, and either may be killed."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from mien import Album
from mien.storage.layout import TRAINING

if TYPE_CHECKING:
    from conftest import Bucket, Painted, Scheduler
    from mien.servers import Server as OnServer

PROGRAM = (sys.executable, str(Path(__file__).with_name("painted_server.py")))
SECONDS = 60.0
"""For which something is waited that takes a few where nothing is wrong."""


def until(holds: Callable[[], Any], what: str) -> Any:
    """Waits until `holds` says something that is true, and returns that."""
    latest = time.monotonic() + SECONDS
    while time.monotonic() < latest:
        if found := holds():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} within {SECONDS:g} seconds")


@dataclass
class Server:
    """A server, and a client of it with the first key, or with another."""

    servers: Servers
    process: subprocess.Popen[str]
    address: str

    def ask(self, method: str, path: str, key: str = "", **given: Any) -> httpx.Response:
        headers = {"x-api-key": key or self.servers.key, **given.pop("headers", {})}
        # Reading the system's certificates takes as much of the processor as all else, and none is to be verified.
        return httpx.request(method, f"{self.address}{path}", headers=headers, timeout=SECONDS, verify=False, **given)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def version(self) -> str | None:
        """The version that answers."""
        said: str | None = httpx.get(f"{self.address}/readyz", timeout=SECONDS, verify=False).json()["model"]
        return said


class Servers:
    """Starts servers over a painted album."""

    def __init__(self, painted: Painted, stack: ExitStack) -> None:
        self.painted, self._stack = painted, stack
        self.key = ""

    def command(self, *words: str) -> str:
        """What a command of mien prints."""
        line = [*PROGRAM, "-C", str(self.painted.folder), *words]
        return subprocess.run(line, check=True, capture_output=True, text=True, timeout=SECONDS).stdout

    def start(self, number: int = 1, slow: str = "") -> list[Server]:
        """So many at once."""
        line = [*PROGRAM, "-C", str(self.painted.folder), "serve", "--port", "0"]
        environment = os.environ | ({"MIEN_TEST_SLOW": slow} if slow else {})
        processes = [subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=environment) for _ in range(number)]
        for process in processes:
            self._stack.callback(_close, process)
        return [self._listening(process) for process in processes]

    def _listening(self, process: subprocess.Popen[str]) -> Server:
        assert process.stderr
        said = []
        for line in process.stderr:
            said.append(line)
            self.key = found[0] if (found := re.search(r"mien_[\w-]{43}", line)) else self.key
            if found := re.search(r"http://\S+:\d+", line):
                reading = threading.Thread(target=process.stderr.read)
                reading.start()
                self._stack.callback(reading.join)
                self._stack.callback(_end, process)
                return Server(self, process, found[0])
        raise AssertionError("".join(said))


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def _close(process: subprocess.Popen[str]) -> None:
    _end(process)
    assert process.stderr
    process.stderr.close()


@pytest.fixture(params=["files", "server"])
def servers(three_people: Painted, request: pytest.FixtureRequest) -> Iterator[Servers]:
    """With the catalog in files, and on a PostgreSQL server."""
    if request.param == "server":
        settings = three_people.folder / "mien.toml"
        url = request.getfixturevalue("album_server").url
        settings.write_text(f'catalog = "{url}"\n{settings.read_text("utf-8")}', "utf-8")
    with ExitStack() as stack:
        yield Servers(three_people, stack)


@pytest.fixture
def two(servers: Servers) -> list[Server]:
    """Two servers that were started at once, over an album whose model knows three people."""
    servers.painted.open().train()
    return servers.start(2)


def test_two_that_begin_at_once_make_one_first_key_and_see_what_the_other_changes(
    servers: Servers, two: list[Server]
) -> None:
    one, other = two
    assert [each.ask("GET", "/v1/people").status_code for each in two] == [200, 200]
    before = one.version()
    assert before == other.version()

    photo = servers.painted.paint(servers.painted.folder.parent / "freya.png", "Freya").read_bytes()
    added = one.ask("POST", "/v1/people/Freya/photos", files={"photo": photo})
    assert added.status_code in (200, 201), added.text
    after = one.version()
    assert after != before
    until(lambda: other.version() == after, "the other follows the model")
    found = other.ask("POST", "/v1/classify", files={"picture": photo}).json()
    assert found["answers"][0]["faces"][0]["person"] == "Freya"

    servers.command("models", "promote", str(before))
    until(lambda: one.version() == before == other.version(), "both follow what the command line promotes")

    secret = servers.command("keys", "add", "desk", "--scope", "review").strip()
    assert [each.ask("GET", "/v1/people", secret).status_code for each in two] == [200, 200]
    servers.command("keys", "revoke", "desk")
    assert [each.ask("GET", "/v1/people", secret).status_code for each in two] == [401, 401]


def test_what_is_asked_of_both_at_once_is_done_once(servers: Servers, two: list[Server]) -> None:
    headers = {"idempotency-key": "once"}
    photo = servers.painted.paint(servers.painted.folder.parent / "freya.png", "Freya").read_bytes()

    def ask(server: Server) -> httpx.Response:
        while True:
            said = server.ask("POST", "/v1/people/Freya/photos", files={"photo": photo}, headers=headers)
            if said.status_code != 409:
                return said
            assert said.json()["type"] == "urn:mien:problem:still-running"
            time.sleep(0.05)

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(ask, two * 3))
    assert len({answer.text for answer in answers}) == 1
    assert sorted("idempotent-replay" in answer.headers for answer in answers) == [False] + [True] * 5
    changes = [event for event in Album(servers.painted.folder).log() if event.by.key]
    assert [(event.verb, event.by.key, event.outcome) for event in changes] == [("add", "first", "done")]


def test_a_job_of_one_is_listed_followed_and_cancelled_at_the_other(servers: Servers) -> None:
    one, other = servers.start(2, slow="1000")
    job = one.ask("POST", "/v1/jobs", json={"verb": "align"}).json()["id"]
    seen = until(lambda: other.ask("GET", f"/v1/jobs/{job}").json()["progress"], "the other knows how far it is")
    assert seen["done"] == 0
    until(lambda: other.ask("GET", f"/v1/jobs/{job}").json()["progress"]["of"] == 9, "and of how many steps")
    second = other.ask("POST", "/v1/jobs", json={"verb": "align"}).json()["id"]
    listed = other.ask("GET", "/v1/jobs").json()["jobs"]
    assert [(each["id"], each["state"]) for each in listed] == [(second, "waiting"), (job, "running")]
    assert other.ask("POST", f"/v1/jobs/{second}/cancel").json()["state"] == "cancelled"
    assert other.ask("POST", f"/v1/jobs/{job}/cancel").json()["cancel"] is True
    stream = other.ask("GET", f"/v1/jobs/{job}/events").text
    assert "event: end" in stream and '"state":"cancelled"' in stream


def test_one_that_is_killed_takes_nothing_with_it(servers: Servers) -> None:
    (slow,) = servers.start(slow="1000")
    job = slow.ask("POST", "/v1/jobs", json={"verb": "train"}).json()["id"]
    until(lambda: (slow.ask("GET", f"/v1/jobs/{job}").json()["progress"] or {}).get("of"), "the job is at work")
    (other,) = servers.start()
    waits = other.ask("POST", "/v1/jobs", json={"verb": "align"}).json()["id"]
    slow.kill()
    done = until(lambda: _over(other, job), "the other takes the job over")
    assert (done["state"], done["tries"]) == ("done", 2)
    until(lambda: other.version() == done["result"]["version"], "it answers by the model that it made")
    assert until(lambda: _over(other, waits), "and the next")["state"] == "done"

    (third,) = servers.start()
    photo = servers.painted.paint(servers.painted.folder.parent / "freya.png", "Freya").read_bytes()
    added = third.ask("POST", "/v1/people/Freya/photos", files={"photo": photo}, headers={"idempotency-key": "x"})
    third.kill()
    until(lambda: other.version() == added.headers["x-mien-model"], "what was answered holds")
    again = other.ask("POST", "/v1/people/Freya/photos", files={"photo": photo}, headers={"idempotency-key": "x"})
    assert again.text == added.text and again.headers["idempotent-replay"] == "true"


def test_many_machines_end_with_the_model_that_one_makes(
    new_painted: Callable[[Path], Painted],
    bucket: Bucket,
    album_server: OnServer,
    new_scheduler: Callable[[], AbstractContextManager[Scheduler]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Photos and models in a bucket, the catalog on a server, photos looked at by workers of Dask; a worker, whoever
    gave them their work, and a server are killed on the way."""
    near, far = (_with_source(new_painted(tmp_path / name / "album")) for name in ("near", "far"))
    settings = far.folder / "mien.toml"
    text = f'catalog = "{album_server.url}"\nphotos = "{bucket.url}/photos"\nmodels = "{bucket.url}/models"\n'
    settings.write_text(text + 'engine = "dask"\n' + settings.read_text("utf-8"), "utf-8")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))  # where workers find the eyes
    with ExitStack() as stack:
        one_machine, many = Servers(near, stack), Servers(far, stack)
        with monkeypatch.context() as slow:
            slow.setenv("MIEN_TEST_SLOW", "0.2")
            scheduler = stack.enter_context(new_scheduler())
            scheduler.start_worker()
        monkeypatch.setenv("MIEN_SCHEDULER", scheduler.address)

        for each in (one_machine, many):
            each.command("collect")
            each.command("merge")
        begun = subprocess.Popen([*PROGRAM, "-C", str(far.folder), "train"], stderr=subprocess.DEVNULL)
        until(lambda: _seen(far), "the workers bring the first faces")
        scheduler.processes[-1].kill()
        begun.kill()
        begun.wait()
        assert 0 < _seen(far) < 12, "it was in the middle"
        for each in (one_machine, many):
            each.command("align")
            each.command("train")
        assert _model(near) == _model(far, bucket)

        photo = near.paint(tmp_path / "freya.png", "Freya")
        photo = photo.rename(photo.with_name(f"{hashlib.sha256(photo.read_bytes()).hexdigest()[:16]}.png"))
        one, other = many.start(2)
        assert one.ask("POST", "/v1/people/Freya/photos", files={"photo": photo.read_bytes()}).status_code == 201
        one.kill()
        until(lambda: other.ask("GET", "/v1/people/Freya").json()["known"], "the other knows her")
        until(lambda: other.version() == _version(far, bucket), "and has the model")
        found = other.ask("POST", "/v1/classify", files={"picture": photo.read_bytes()}).json()
        assert [face["person"] for face in found["answers"][0]["faces"]] == ["Freya"]
        one_machine.command("add", "Freya", str(photo), "--enrol")
        assert _model(near) == _model(far, bucket)
        assert other.ask("DELETE", "/v1/people/Bo").status_code == 200
        one_machine.command("remove", "Bo")
        assert _model(near) == _model(far, bucket)

        for painted in (near, far):
            painted.paint(painted.folder / "source/Cy/cy-9.png", "Cy")
        assert all("is in use now" in each.command("daily") for each in (one_machine, many))
        assert _model(near) == _model(far, bucket)
        assert b"Cy" in _model(near)["labels.txt"] and b"Bo" not in _model(near)["labels.txt"]
        until(lambda: other.version() == _version(far, bucket), "the server follows the day's model")


def _with_source(painted: Painted) -> Painted:
    """An album without photos, and a folder of them as its source."""
    for person in ("Ada", "Bo", "Cy"):
        for number in range(1, 5):
            painted.paint(painted.folder / f"source/{person}/{person.lower()}-{number}.png", person)
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write('[sources.club]\nkind = "folder"\npath = "source"\nbasis = "consent"\nlicence = "own"\n')
    return painted


def _seen(painted: Painted) -> int:
    """How many photos the catalog has seen."""
    with painted.reading() as album:
        return sum(bool(one.phash) for one in album.catalog.faces.on([TRAINING], album.encoder).files)


def _version(painted: Painted, bucket: Bucket | None) -> str:
    """The version in use."""
    return (_object(bucket, "current") if bucket else (painted.folder / "models/current").read_bytes()).decode().strip()


def _model(painted: Painted, bucket: Bucket | None = None) -> dict[str, bytes]:
    """The files of the model in use."""
    version = _version(painted, bucket)
    names = ("model.onnx", "labels.txt", "thresholds.json")
    if bucket:
        return {name: _object(bucket, f"{version}/{name}") for name in names}
    return {name: (painted.folder / "models" / version / name).read_bytes() for name in names}


def _object(bucket: Bucket, key: str) -> bytes:
    data: bytes = bucket.files.cat_file(f"{bucket.name}/models/{key}")
    return data


def _over(server: Server, job: str) -> Any:
    said = server.ask("GET", f"/v1/jobs/{job}").json()
    return said if said["ended"] else None
