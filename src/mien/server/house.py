"""What the routes of a server share: the album, the door, the turns in which work is done, and the figures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from starlette.requests import Request

from mien.album import Album
from mien.records.access import Access
from mien.records.keys import Key
from mien.server.bodies import Body, Bounds, Held, read
from mien.server.door import Door
from mien.server.jobs import Runner
from mien.server.metrics import Metrics
from mien.server.problems import Problem, later
from mien.server.resident import Resident
from mien.server.turns import Turns
from mien.text.access import Scope
from mien.types import Answer, By

Result = TypeVar("Result")


MOST_BODIES = 8
"""Requests of the largest size whose bodies are held at a time."""


def _now() -> datetime:
    return datetime.now().astimezone()


@dataclass
class House:
    """One per server. `looking` are the turns of whoever looks at pictures, `writing` those of whoever changes the
    album, one at a time, `reading` those of whoever reads in it, and `measuring` those of evaluations, which take long.
    `unknown` is what requests hold whose key is not known yet. `closing` is set when the server is about to end:
    streams that have no end end then."""

    resident: Resident
    access: Access
    bounds: Bounds
    door: Door
    looking: Turns
    writing: Turns
    reading: Turns
    measuring: Turns
    unknown: Held
    metrics: Metrics = field(default_factory=Metrics)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: int = 0
    """Streams of events that are being sent."""
    told: str = ""
    """The version that the metrics name."""
    jobs: Runner = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = Runner(self.access.jobs, self.resident.folder, self.follow)

    @classmethod
    def of(cls, resident: Resident, access: Access) -> House:
        """The house of an album, as its settings say."""
        server = resident.settings.server
        held = Held(MOST_BODIES * (server.max_megabytes << 20))
        house = cls(
            resident,
            access,
            Bounds(server.max_megabytes << 20, server.max_pictures, server.seconds, held),
            Door(access, server.per_minute, _now),
            Turns("looks", resident.workers, server.waiting),
            Turns("writes", 1, server.waiting),
            Turns("reads", 2, server.waiting),
            Turns("measures", 1, 1),
            Held(server.max_megabytes << 20),
        )
        house.metrics.workers.set(resident.workers)
        return house

    @property
    def seconds(self) -> float:
        """Seconds in which a request is to be answered."""
        return self.bounds.seconds

    async def body(
        self, request: Request, base64_fields: Sequence[str] = ("picture", "pictures"), bounds: Bounds | None = None
    ) -> Body:
        """The body of a request, within bounds. Raises Problem: 503 at once where nobody could look at it now."""
        self._require_room(1)
        return await read(request, bounds or self.bounds, base64_fields)

    def _require_room(self, pictures: int) -> None:
        try:
            self.looking.require_room(pictures)
        except Problem:
            self.metrics.turned_away.inc()
            raise

    async def look(self, work: Callable[[bytes], Result], pictures: Sequence[bytes]) -> list[Result]:
        """What `work` makes of each picture, in worker threads. Raises Problem: 503 where the queue is full or the time
        is over."""
        self._require_room(len(pictures))
        each = [self.looking.take(partial(work, picture)) for picture in pictures]
        self.metrics.queue.set(self.looking.taken)
        try:
            return list(await self.in_time(asyncio.gather(*each)))
        finally:
            self.metrics.queue.set(self.looking.taken)

    async def answers(self, pictures: Sequence[bytes], top: int) -> list[Answer]:
        """Who is in each picture, all by the model that is in use now. Raises Problem, also where there is none."""
        answer = self.resident.answering(top)
        if answer is None:
            raise no_model()
        answers = await self.look(answer, pictures)
        self.metrics.count(answers)
        return answers

    async def change(self, request: Request, key: Key, work: Callable[[Album], Result]) -> Result:
        """What `work` makes of the album, after those who asked before. Raises what `work` raises, and Problem (503)
        where another run holds the album."""
        latest = time.monotonic() + self.seconds / 2
        change = partial(self.resident.change, work, latest, by=By(key.name, id_of(request)))
        done = await self.writing.run(change)
        await self.follow(looked=True)
        return done

    async def ask(self, work: Callable[[Album], Result]) -> Result:
        """What `work` reads in the album, in a thread."""
        return await self.in_time(self.reading.run(lambda: work(self.resident.album())))

    async def follow(self, looked: bool = False) -> None:
        """Goes over to another model, if another is in use by now."""
        if not looked:
            await asyncio.to_thread(self.resident.refresh)
        before = self.told
        recogniser = self.resident.recogniser
        version = recogniser.model.version if recogniser else ""
        if version != before:
            self.told = version
            self.metrics.model.info({"version": version})
            self.metrics.expect(recogniser.model.card.metrics if recogniser else {})
            self.metrics.people.set(len(recogniser.model.people) if recogniser else 0)
            if before:
                self.metrics.swaps.inc()

    async def in_time(self, work: Awaitable[Result]) -> Result:
        """What comes of `work` within the seconds of a request. Raises Problem (503) where they are over."""
        try:
            async with asyncio.timeout(self.seconds):
                return await work
        except TimeoutError:
            raise later("too-slow", f"No answer was ready within {self.seconds:g} seconds.") from None

    def close(self) -> None:
        """Waits for what is being done, and closes everything."""
        for turns in (self.looking, self.writing, self.reading, self.measuring):
            turns.close()
        self.door.close()
        self.resident.close()
        self.access.close()


def no_model() -> Problem:
    """Nobody can be named yet."""
    what = "The album has no model yet."
    return Problem(HTTPStatus.CONFLICT, "no-model", what, "Add photos of people, then train.")


def house_of(request: Request) -> House:
    """The house of the server that got a request."""
    house: House = request.app.state.house
    return house


def id_of(request: Request) -> str:
    """The id of a request."""
    return str(request.state.id)


class Asks:
    """A dependency: the key by which a request may do what `scope` allows."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Key:
        before: Key | None = getattr(request.state, "admitted", None)
        if before is not None and before.scope.allows(self.scope):  # one request is counted once
            return before
        door = house_of(request).door
        key = await door.admit(request, self.scope)
        door.remember(key)
        request.state.key, request.state.admitted = key.name, key
        return key
