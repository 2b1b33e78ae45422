"""What the routes of a server share: the album, the door, the turns in which work is done, and the figures."""

from __future__ import annotations

import asyncio
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
from mien.server.bodies import Body, Bounds, read
from mien.server.door import Door
from mien.server.metrics import Metrics
from mien.server.problems import Problem, later
from mien.server.resident import Resident
from mien.server.turns import Turns
from mien.text.access import Scope
from mien.types import Answer

Result = TypeVar("Result")


def _now() -> datetime:
    return datetime.now().astimezone()


@dataclass
class House:
    """One per server. `looking` are the turns of whoever looks at pictures, `writing` those of whoever changes the
    album, one at a time, and `reading` those of whoever reads in it. `closing` is set when the server is about to end:
    streams that have no end end then."""

    resident: Resident
    access: Access
    bounds: Bounds
    door: Door
    looking: Turns
    writing: Turns
    reading: Turns
    metrics: Metrics = field(default_factory=Metrics)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    told: str = ""
    """The version that the metrics name."""

    @classmethod
    def of(cls, resident: Resident, access: Access) -> House:
        """The house of an album, as its settings say."""
        server = resident.settings.server
        house = cls(
            resident,
            access,
            Bounds(server.max_megabytes << 20, server.max_pictures, server.seconds),
            Door(access.keys, server.per_minute, _now),
            Turns("looks", resident.workers, server.waiting),
            Turns("writes", 1, server.waiting),
            Turns("reads", 2, server.waiting),
        )
        house.metrics.workers.set(resident.workers)
        return house

    @property
    def seconds(self) -> float:
        """Seconds in which a request is to be answered."""
        return self.bounds.seconds

    async def body(self, request: Request, base64_fields: Sequence[str] = ("picture", "pictures")) -> Body:
        """The body of a request, within bounds. Raises Problem."""
        return await read(request, self.bounds, base64_fields)

    async def look(self, work: Callable[[bytes], Result], pictures: Sequence[bytes]) -> list[Result]:
        """What `work` makes of each picture, in worker threads. Raises Problem: 503 where the queue is full or the time
        is over."""
        try:
            self.looking.require_room(len(pictures))
        except Problem:
            self.metrics.turned_away.inc()
            raise
        each = [self.looking.take(partial(work, picture)) for picture in pictures]
        self.metrics.queue.set(self.looking.taken)
        try:
            return list(await self._in_time(asyncio.gather(*each)))
        finally:
            self.metrics.queue.set(self.looking.taken)

    async def answers(self, pictures: Sequence[bytes], top: int) -> list[Answer]:
        """Who is in each picture, by the model in use. Raises Problem, also where there is no model."""

        def answer(picture: bytes) -> Answer:
            found = self.resident.answer(picture, top)
            if found is None:
                raise no_model()
            return found

        if self.resident.recogniser is None:
            raise no_model()
        answers = await self.look(answer, pictures)
        self.metrics.count(answers)
        return answers

    async def change(self, request: Request, key: Key, work: Callable[[Album], Result]) -> Result:
        """What `work` makes of the album, after those who asked before. Raises what `work` raises, and Problem (503)
        where another run holds the album."""
        change = partial(self.resident.change, work, self.seconds / 2)
        done = await self.writing.run(change)
        await self.follow(looked=True)
        return done

    async def ask(self, work: Callable[[Album], Result]) -> Result:
        """What `work` reads in the album, in a thread."""
        return await self._in_time(self.reading.run(lambda: work(self.resident.album())))

    async def follow(self, looked: bool = False) -> None:
        """Goes over to another model, if another is in use by now."""
        before = self.told
        if not looked:
            await asyncio.to_thread(self.resident.refresh)
        recogniser = self.resident.recogniser
        version = recogniser.model.version if recogniser else ""
        if version != before:
            self.told = version
            self.metrics.model.info({"version": version})
            self.metrics.expect(recogniser.model.card.metrics if recogniser else {})
            self.metrics.people.set(len(recogniser.model.people) if recogniser else 0)
            if before:
                self.metrics.swaps.inc()

    async def _in_time(self, work: Awaitable[Result]) -> Result:
        try:
            async with asyncio.timeout(self.seconds):
                return await work
        except TimeoutError:
            raise later("too-slow", f"No answer was ready within {self.seconds:g} seconds.") from None

    def close(self) -> None:
        """Waits for what is being done, and closes everything."""
        for turns in (self.looking, self.writing, self.reading):
            turns.close()
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
        key = house_of(request).door.admit(request, self.scope)
        request.state.key = key.name
        return key
