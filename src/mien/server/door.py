"""Who asks, and whether they may: keys, their scopes, and how often.

A key comes in the header `x-api-key`, or as `Authorization: Bearer`; DeepStack's clients send it in the form. It never
comes in an address, which proxies and browsers keep. Who sends wrong keys is slowed down by address.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import Request

from mien.records.keys import Key, Keys
from mien.server.problems import Problem
from mien.text.access import KeyKind, Scope

HEADER = "x-api-key"
IN_ADDRESS = frozenset({"key", "api_key", "apikey", "api-key", "x-api-key", "access_token", "token"})
"""Names under which a key in an address is refused."""

WRONG_PER_MINUTE = 20
"""Wrong keys that one address may send in a minute."""


class Door:
    """Keeps the door of a server. `per_minute` requests has each key, 0 for any number."""

    def __init__(self, keys: Keys, per_minute: int, clock: Callable[[], datetime]) -> None:
        self._keys, self._clock = keys, clock
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._each = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._used: dict[str, datetime] = {}
        self._wrong = RateLimitItemPerMinute(WRONG_PER_MINUTE)

    def admit(self, request: Request, scope: Scope, secret: str | None = None, instead: str = "") -> Key:
        """The key by which a request may do what `scope` allows; `secret` is the key where no header has it, `instead`
        the name of the one that counts where there is none. Raises Problem: 401 without a key that holds, 403 where its
        scope is too small, 429 where it asks too often."""
        address = request.client.host if request.client else ""
        if IN_ADDRESS & {name.lower() for name in request.query_params}:
            remedy = f"Send it in the header {HEADER}, and make a new one: addresses are kept by proxies and browsers."
            raise Problem(HTTPStatus.BAD_REQUEST, "key-in-address", "The key stands in the address.", remedy)
        secret = secret if secret is not None else key_of(request)
        if not secret and not instead:
            what, remedy = "The request has no key.", f"Send one in the header {HEADER}; `mien keys add` makes them."
            raise _unauthorised("no-key", what, remedy)
        now = self._clock()
        found = self._keys.find(secret, now) if secret else self._keys.named(instead, now)
        if isinstance(found, KeyKind):  # whoever has a right one is let in, whatever comes from the same address
            self._require_quiet(self._wrong, f"wrong {address}")
            raise _unauthorised(f"key-{found.value}", f"The key {found.words}.", found.remedy)
        if self._each:
            self._require_quiet(self._each, f"key {found.name}")
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
        self._require_quiet(self._wrong, f"wrong {address}", spend=False)

    def remember(self, key: Key) -> None:
        """Remembers when a key was last used, in a thread: a request must not wait for a disk for that."""
        now = self._clock()
        minute = now.replace(second=0, microsecond=0)
        if self._used.get(key.name) != minute:
            self._used[key.name] = minute
            asyncio.get_running_loop().run_in_executor(None, self._keys.used, key.name, now)

    def _require_quiet(self, limit: RateLimitItemPerMinute, who: str, spend: bool = True) -> None:
        if self._limiter.hit(limit, who) if spend else self._limiter.test(limit, who):
            return
        seconds = max(1, round(self._limiter.get_window_stats(limit, who).reset_time - time.time() + 0.5))
        what = f"More than {limit.amount} requests came in a minute."
        headers = {"Retry-After": str(seconds)}
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS, "too-often", what, f"Ask again in {seconds} seconds.", headers=headers
        )


def key_of(request: Request) -> str:
    """The key in the headers of a request, "" if there is none."""
    given = request.headers.get(HEADER, "")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return given.strip() or (token.strip() if scheme.lower() == "bearer" else "")


def _unauthorised(kind: str, what: str, remedy: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, kind, what, remedy, headers={"WWW-Authenticate": "Bearer"})
