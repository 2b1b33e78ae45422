"""Who asks, and whether they may: keys, their scopes, and how often.

A key comes in the header `x-api-key`, or as `Authorization: Bearer`; DeepStack's clients send it in the form. It never
comes in an address, which proxies and browsers keep. Who sends wrong keys is slowed down by address.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import Request

from mien.records.access import Access
from mien.records.keys import Key
from mien.server.counted import CountedByAll
from mien.server.problems import Problem
from mien.text.access import KeyKind, Scope

Result = TypeVar("Result")

HEADER = "x-api-key"
IN_ADDRESS = frozenset({"key", "api_key", "apikey", "api-key", "x-api-key", "access_token", "token"})
"""Names under which a key in an address is refused."""

WRONG_PER_MINUTE = 20
"""Wrong keys that one address may send in a minute."""


class Door:
    """Keeps the door of a server. `per_minute` requests has each key, 0 for any number, at all servers of the album
    together where they share a database that can bear it. Wrong keys are counted by each server for itself, so that the
    address of nobody is written down. Keys are looked up in a thread: a database may be on another machine, and nobody
    else is to wait for it."""

    def __init__(self, access: Access, per_minute: int, clock: Callable[[], datetime]) -> None:
        self._keys, self._clock = access.keys, clock
        own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._each = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._by_key = SlidingWindowCounterRateLimiter(CountedByAll(access.hits)) if access.is_shared else own
        self._wrong, self._by_address = RateLimitItemPerMinute(WRONG_PER_MINUTE), own
        self._used: dict[str, datetime] = {}
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="mien-door")

    async def admit(self, request: Request, scope: Scope, secret: str | None = None, instead: str = "") -> Key:
        """The key by which a request may do what `scope` allows; `secret` is the key where no header has it, `instead`
        the name of the one that counts where there is none. Raises Problem: 401 without a key that holds, 403 where its
        scope is too small, 429 where it asks too often."""
        address = request.client.host if request.client else ""
        if IN_ADDRESS & {name.lower() for name in request.query_params}:
            remedy = f"Send it in the header {HEADER}, and make a new one: addresses are kept by proxies and browsers."
            raise Problem(HTTPStatus.BAD_REQUEST, "key-in-address", "The key stands in the address.", remedy)
        secret = secret if secret is not None else key_of(request)
        return await self._run(partial(self._admit, address, scope, secret, instead))

    def _admit(self, address: str, scope: Scope, secret: str, instead: str) -> Key:
        if not secret and not instead:
            what, remedy = "The request has no key.", f"Send one in the header {HEADER}; `mien keys add` makes them."
            raise _unauthorised("no-key", what, remedy)
        now = self._clock()
        found = self._keys.find(secret, now) if secret else self._keys.named(instead, now)
        if isinstance(found, KeyKind):  # whoever has a right one is let in, whatever comes from the same address
            _require_quiet(self._by_address, self._wrong, address)
            raise _unauthorised(f"key-{found.value}", f"The key {found.words}.", found.remedy)
        if self._each:
            _require_quiet(self._by_key, self._each, found.name)
        if not found.scope.allows(scope):
            what = f'The key "{found.name}" may {found.scope}, and this takes "{scope}".'
            raise Problem(
                HTTPStatus.FORBIDDEN, "scope", what, f"`mien keys add NAME --scope {scope}` makes such a key."
            )
        return found

    def require_few_wrong(self, request: Request) -> None:
        """Raises Problem (429) where too many wrong keys came from the address of a request, before its body is read in
        which its key is."""
        address = request.client.host if request.client else ""
        _require_quiet(self._by_address, self._wrong, address, spend=False)

    async def holds(self, key: Key) -> bool:
        """Whether a key that was admitted is still good."""

        def look() -> bool:
            now = self._keys.named(key.name, self._clock())
            return isinstance(now, Key) and now.created == key.created

        return await self._run(look)

    def remember(self, key: Key) -> None:
        """Remembers when a key was last used, in a thread: a request must not wait for a disk for that."""
        now = self._clock()
        minute = now.replace(second=0, microsecond=0)
        if self._used.get(key.name) != minute:
            self._used[key.name] = minute
            asyncio.get_running_loop().run_in_executor(None, self._keys.used, key.name, now)

    async def reads(self) -> None:
        """Reads what is known of keys, as for any request. Raises MienError where it cannot be read."""
        await self._run(lambda: self._keys.named("", self._clock()))

    def close(self) -> None:
        """Waits for who is being looked up."""
        self._threads.shutdown()

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _require_quiet(
    limiter: SlidingWindowCounterRateLimiter, limit: RateLimitItemPerMinute, who: str, spend: bool = True
) -> None:
    """Raises Problem (429) where `who` asked too often."""
    if limiter.hit(limit, who) if spend else limiter.test(limit, who):
        return
    seconds = max(1, round(limiter.get_window_stats(limit, who).reset_time - time.time() + 0.5))
    what = f"More than {limit.amount} requests came in a minute."
    headers = {"Retry-After": str(seconds)}
    raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-often", what, f"Ask again in {seconds} seconds.", headers=headers)


def key_of(request: Request) -> str:
    """The key in the headers of a request, "" if there is none."""
    given = request.headers.get(HEADER, "")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return given.strip() or (token.strip() if scheme.lower() == "bearer" else "")


def _unauthorised(kind: str, what: str, remedy: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, kind, what, remedy, headers={"WWW-Authenticate": "Bearer"})
