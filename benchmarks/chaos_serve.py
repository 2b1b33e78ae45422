"""Does a server lose nothing that it acknowledged, wherever it is killed?

    python benchmarks/chaos_serve.py [--seed 0] [--case NAME] [--cases N] [--each N]

Each request that changes something is sent once undisturbed, which counts the file operations that the server does for
it (see chaos_verbs.py). Then, for each operation, the same album is set up again, a real server is started on it,
killed with SIGKILL at that operation, and started anew; the last point is the moment after the answer. What was
answered with 2xx must be there then, the album must be as before the request or as after it, and as after it once the
client has sent the request again with its idempotency key. By chance so many `--cases` are taken, and `--each` of them
at so many points.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from chaos_verbs import COLOURS, NOW, Steps, World, paint
from mien import Album
from mien.engines import child, children
from mien.records.access import Access
from mien.server import job as jobs
from mien.server import running
from mien.settings import ServerSettings
from mien.storage.layout import Layout
from mien.testing import fake_eyes
from mien.text.access import Scope
from mien.types import EncoderChoice

SECONDS = 300
"""For which a server, or a job, is waited for: far more than either takes."""


@dataclass(frozen=True)
class Case:
    """A request in the world `start`; `photo` is a file of the world that is its body. One that is done in `steps` may
    be done by half: sent again, it is finished. A `job` is over some time after it was acknowledged."""

    method: str
    path: str
    start: str = "trained"
    body: Any = None
    photo: str = ""
    steps: bool = False
    job: bool = False


CASES = {
    "add": Case("POST", "/v1/people/Dee/photos", "grown", photo="photos/Dee/new-0.png", steps=True),
    "rename": Case("PATCH", "/v1/people/Ada", "collected", {"name": "Adele"}),
    "join": Case("PATCH", "/v1/people/Ada", "collected", {"into": "Bo"}),
    "undo": Case("POST", "/v1/undo", "renamed"),
    "remove": Case("DELETE", "/v1/people/Ada"),
    "everywhere": Case("DELETE", "/v1/people/Zephyrine?everywhere=true", "messy"),
    "promote": Case("POST", "/v1/models/2026-03-02-001/promote", "grown twice"),
    "job": Case("POST", "/v1/jobs", "untrained", {"verb": "train"}, job=True),
}


def eyes(choice: EncoderChoice) -> Any:
    """Eyes that see painted squares, as those of chaos_verbs.py."""
    return fake_eyes(1, f"fake-{choice.name}-{choice.precision}")


class Reply(NamedTuple):
    status: int
    replayed: bool
    said: Any


class Served:
    """A server on the album of a world, in a process of its own; a context manager, at whose end it is killed."""

    def __init__(self, world: World, key: str) -> None:
        self._key = key
        told, saying = os.pipe()
        self._orders, self._order = os.pipe()
        self._told = told
        self.process = os.fork()
        if self.process == 0:
            try:
                _serve(world, saying, self._orders)
            finally:
                os._exit(70)
        os.close(saying)
        self._address = urlsplit(self._read())

    def _read(self) -> str:
        """A line that the server tells."""
        line = bytearray()
        while not line.endswith(b"\n"):
            if not (got := os.read(self._told, 1)):
                raise SystemExit(f"the server ended: {os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])}")
            line += got
        return line.decode().strip()

    def watch(self, fatal: int) -> None:
        """From now on operations are counted, and the server is killed at this one; 0: at none."""
        os.write(self._order, f"{fatal}\n".encode())
        os.kill(self.process, signal.SIGUSR1)
        self._read()

    def counted(self) -> int:
        """How many operations there were."""
        os.kill(self.process, signal.SIGUSR2)
        return int(self._read())

    def ask(self, method: str, path: str, body: bytes = b"", content_type: str = "", once: str = "") -> Reply | None:
        """The reply to a request; None where the server ended before."""
        assert self._address.hostname
        line = http.client.HTTPConnection(self._address.hostname, self._address.port or 0, timeout=SECONDS)
        headers = {"x-api-key": self._key} | ({"content-type": content_type} if content_type else {})
        headers |= {"idempotency-key": once} if once else {}
        try:
            line.request(method, path, body or None, headers)
            answer = line.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            line.close()
        return Reply(answer.status, "idempotent-replay" in answer.headers, json.loads(data or b"null"))

    def kill(self) -> None:
        """Ends the server as a power cut does, if it has not ended."""
        if self.process:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            self.process = 0
            for handle in (self._told, self._orders, self._order):
                os.close(handle)

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _serve(world: World, saying: int, orders: int) -> None:
    """What the process of a server does."""
    os.environ |= {"MIEN_HOME": str(world.folder / "home"), "MIEN_WORKERS": "1", "TMPDIR": str(world.folder / "tmp")}
    tempfile.tempdir = str(world.folder / "tmp")
    defaults: Any = Album.__init__.__kwdefaults__
    defaults["clock"] = lambda: NOW
    children.ask = lambda task, about, data=b"", **_: child._task(task)(about, data)  # type: ignore[assignment]
    steps = Steps(str(world.folder), None, False)
    steps.watch()

    def say(line: object) -> None:
        os.write(saying, f"{line}\n".encode())

    def armed(*_: object) -> None:
        steps.count, steps._fatal = 0, int(os.read(orders, 20)) or None
        say("armed")

    signal.signal(signal.SIGUSR1, armed)
    signal.signal(signal.SIGUSR2, lambda *_: say(steps.count))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    house = running.open_house(world.album, eyes)
    house.jobs.program = (sys.executable, __file__, "--job")
    running.serve(house, ServerSettings(port=0), say)


def _job() -> int:
    """What the process of a job does, which is not disturbed."""
    defaults: Any = Album.__init__.__kwdefaults__
    defaults["clock"] = lambda: NOW
    return jobs.main(eyes)


def send(served: Served, world: World, case: Case, once: str) -> Reply | None:
    """Sends the request of a case."""
    if case.photo:
        return served.ask(case.method, case.path, (world.folder / case.photo).read_bytes(), "image/png", once)
    body, kind = (json.dumps(case.body).encode(), "application/json") if case.body else (b"", "")
    return served.ask(case.method, case.path, body, kind, once)


def wait_for_jobs(served: Served) -> None:
    """Until all jobs are over, or the server is."""
    listed = served.ask("GET", "/v1/jobs")
    for each in listed.said["jobs"] if listed else ():
        _over(served, each["id"])


def _over(served: Served, name: str) -> None:
    latest = time.monotonic() + SECONDS
    while time.monotonic() < latest:
        found = served.ask("GET", f"/v1/jobs/{name}")
        if found is None or found.said["ended"]:
            return
        time.sleep(0.05)
    raise SystemExit(f"the job {name} did not end")


def state(served: Served, world: World) -> dict[str, Any]:
    """What the album is: its people, their photos, and whom the model in use sees in photos of each."""
    people = served.ask("GET", "/v1/people")
    models = served.ask("GET", "/v1/models")
    assert people and models
    found: dict[str, Any] = {"model": sum(one["in_use"] for one in models.said["models"])}
    for one in people.said["people"]:
        page = served.ask("GET", f"/v1/people/{one['person']}")
        assert page
        found[f"{one['person']} is known"] = one["known"]
        found[f"photos of {one['person']}"] = [photo["id"] for photo in page.said["page"]]
    if not found["model"]:
        return found
    for name in COLOURS:
        photo = world.folder.parent / f"{name}.png"
        if not photo.exists():
            paint(photo, name, shade=18)
        seen = served.ask("POST", "/v1/classify", photo.read_bytes(), "image/png")
        assert seen
        found[f"a face of {name}"] = [face["person"] for face in seen.said["answers"][0]["faces"]]
    return found


@contextmanager
def served(world: World, key: str) -> Iterator[Served]:
    """A server on the album as it is."""
    with Served(world, key) as one:
        yield one


def set_up(world: World, name: str) -> str:
    """Makes a world with a key, which comes out."""
    world.set_up(name)
    (world.album / ".mien").mkdir(mode=0o700, exist_ok=True)
    access_file = Layout.of(world.album, Album(world.album).settings).access_file
    access_file.unlink(missing_ok=True)
    with Access.for_writing(access_file) as access:
        return access.keys.add("chaos", Scope.ADMIN, None, datetime.now(UTC))


def calm(world: World, case: Case) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """How many operations a request takes, and what the album is before and after it."""
    key = set_up(world, case.start)
    with served(world, key) as one:
        before = state(one, world)
        one.watch(0)
        reply = send(one, world, case, "calm")
        if reply is None or reply.status >= 300:
            raise SystemExit(f"{case}: {reply}")
        wait_for_jobs(one)
        operations = one.counted()
    with served(world, key) as one:
        return operations, before, state(one, world)


def disturbed(world: World, case: Case, fatal: int, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is wrong after a kill at this operation."""
    key, wrong = set_up(world, case.start), []
    with served(world, key) as one:
        one.watch(fatal)
        reply = send(one, world, case, "once")
        if case.job:
            wait_for_jobs(one)
    acknowledged = reply is not None and reply.status < 300
    world.do("-C {album} align")  # what the next command that writes does first
    with served(world, key) as one:
        wait_for_jobs(one)
        found = state(one, world)
        if acknowledged and found != after:
            wrong.append(f"what was acknowledged is not there: {_differences(after, found)}")
        if not acknowledged and not _is_between(before, found, after, case.steps):
            wrong.append(f"the album is neither as before nor as after: {_differences(after, found)}")
        again = send(one, world, case, "once")
        wait_for_jobs(one)
        if again is None or (again.status >= 300 and (acknowledged or case.steps or again.status != 409)):
            wrong.append(f"sent again it was answered {again}")
        elif acknowledged and not again.replayed:
            wrong.append("sent again it was carried out again")
        if again is not None and again.status < 300 and (found := state(one, world)) != after:
            wrong.append(f"sent again it did not do what it does: {_differences(after, found)}")
    return wrong


def _is_between(before: dict[str, Any], found: dict[str, Any], after: dict[str, Any], steps: bool) -> bool:
    """Whether an album is as before or as after; where a request is done in `steps`, each part of it."""
    names = {*before, *found, *after}
    by_half = steps and all((found.get(name) or None) in (before.get(name), after.get(name)) for name in names)
    return by_half or found in (before, after)


def _differences(wanted: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (wanted.get(name), found.get(name))
        for name in sorted({*wanted, *found})
        if wanted.get(name) != found.get(name)
    }


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", choices=CASES, help="only this one")
    parser.add_argument("--cases", type=int, help="so many of them, by chance; otherwise all")
    parser.add_argument("--each", type=int, help="so many points of each, by chance; otherwise all")
    parser.add_argument("--job", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.job:
        return _job()
    chance, bad, number = random.Random(asked.seed), 0, 0
    names = [asked.case] if asked.case else sorted(CASES)
    names = sorted(chance.sample(names, min(asked.cases or len(names), len(names))))
    with tempfile.TemporaryDirectory() as top:
        world = World(Path(top))
        for name in names:
            case = CASES[name]
            operations, before, after = calm(world, case)
            if before == after:
                raise SystemExit(f"{name} changes nothing")
            points = range(1, operations + 2)
            some = sorted(chance.sample(points, min(asked.each or len(points), len(points))))
            wrong = 0
            for fatal in some:
                number += 1
                for what in disturbed(world, case, fatal, before, after):
                    wrong += 1
                    print(f"{name}, killed at {fatal} of {operations}: {what}", flush=True)
            bad += wrong
            print(f"{name}: {operations} operations, killed at {len(some)} points, {wrong} wrong", flush=True)
    print(f"{number} kills of a server lost nothing" if not bad else f"{bad} things are wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
