"""The server as a process: where it listens, how long it waits for slow clients, and how it ends.

uvicorn runs the application, in one process. What it leaves open is closed here: a connection that sends no whole head
of a request is cut off, there are so many connections and no more, and what is no HTTP gets a problem as an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.errors import StorageError, UsageError
from mien.open_album import open_access
from mien.protocols import Silent
from mien.server.app import make_app
from mien.server.house import House
from mien.server.logs import start as start_log
from mien.server.logs import tell
from mien.server.problems import Problem
from mien.server.resident import Resident
from mien.storage.layout import Layout
from mien.storage.scratch import sweep_scratch

if TYPE_CHECKING:
    from fastapi import FastAPI

    from mien.open_album import EyesFor
    from mien.settings import ServerSettings

HEAD_SECONDS = 10.0
"""Seconds in which the head of a request must have come."""
READ_SECONDS = 30.0
"""Seconds for which an answer waits for a client that does not read it."""
LONGEST_HEAD = 32 << 10
"""Bytes of it."""
MOST_CONNECTIONS = 1000
"""Connections at a time: each costs a file and some kilobytes."""
DRAIN_SECONDS = 30
"""Seconds for which requests that have begun may go on when the server ends."""
SMALL_BACKLOG = 512


class Bounded(H11Protocol):
    """HTTP/1.1 of uvicorn, with an end to heads that do not come, and problems for what is no HTTP."""

    _head: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(503, "full", "The server has as many connections as it takes.")
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self._goes_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._await_head()
        else:
            self._head_came()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._end()  # the rest of a body that nobody reads is not waited for
            return
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._await_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._goes_on()
        super().resume_writing()

    def _goes_on(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _end(self) -> None:
        """Ends the connection when what was written has gone out, and soon in any case."""
        self.transport.close()
        self.loop.call_later(READ_SECONDS, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "no-http", "The request is no HTTP that can be read.")

    def _await_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _head_came(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _too_slow(self) -> None:
        self._head = None
        self._refuse(408, "too-slow", f"No request came within {HEAD_SECONDS:g} seconds.")

    def _refuse(self, status: int, kind: str, what: str) -> None:
        """Answers outside any request, and ends the connection."""
        problem = Problem(status, kind, what)
        body = json.dumps(problem.to_json(secrets.token_hex(8))).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        with contextlib.suppress(h11.LocalProtocolError):  # an answer had begun
            reply = h11.Response(status_code=status, headers=headers)
            for event in (reply, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self._end()


class Server(uvicorn.Server):
    """uvicorn's server, which tells where it listens and when it begins to end."""

    def __init__(self, config: uvicorn.Config, house: House, listening: Callable[[str], None]) -> None:
        super().__init__(config)
        self._house, self._listening = house, listening

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the server, which is what they are for: the process then ends with 0. (uvicorn raises
        them once more at the end, which looks like a crash to whoever started it.)"""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            for server in self.servers:
                for socket in server.sockets:
                    self._listening(_url(socket.getsockname(), self.config.is_ssl))
                    return

    async def shutdown(self, sockets: Any = None) -> None:
        tell("closing", connections=len(self.server_state.connections))
        self._house.closing.set()
        await super().shutdown(sockets)


def open_house(folder: Path, make_eyes: EyesFor | None = None) -> House:
    """The house of the album in `folder`; `make_eyes` as for `Album`. Raises MienError where the album cannot be
    served."""
    sweep_scratch()
    resident = Resident(folder, make_eyes)
    return House.of(resident, open_access(Layout.of(folder, resident.settings), Silent(), writes=True))


def serve(house: House, settings: ServerSettings, listening: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM, then finishes what has begun. `listening` is told the address. Raises UsageError
    where that cannot be listened at, and StorageError for a certificate that cannot be read."""
    start_log()
    log, quiet = logging.getLogger("uvicorn.error"), _Quiet()
    _more_files()
    app = make_app(house)
    server = Server(_config(app, settings), house, listening)
    log.addFilter(quiet)
    try:
        with contextlib.suppress(SystemExit):  # of uvicorn, where it could not begin
            server.run()
    finally:
        log.removeFilter(quiet)
    if not server.started:
        where = f"[{settings.host}]" if ":" in settings.host else settings.host
        raise UsageError(f"{where}:{settings.port}", "cannot be listened at", _remedy(quiet.refused))


def _remedy(refused: OSError | None) -> str:
    """What to do about an address that the system refused to listen at."""
    if refused is None or refused.errno == errno.EADDRINUSE:
        return "Choose another --port, or end what listens there."
    if refused.errno in (errno.EACCES, errno.EPERM):
        return "Choose a --port from 1024 on: those below are for the system."
    # Also a name that is nobody's, and asyncio's error without a number where no address of several would do.
    return "Choose another --host: an address of this machine, or 0.0.0.0 for all that it has."


class _Quiet(logging.Filter):
    """Lets through of uvicorn's log what is news: not that a client sent no HTTP, nor that an answer finds nobody, as
    its client went away. An address that is refused is kept in `refused`, for the error that tells it."""

    refused: OSError | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, OSError):
            self.refused = record.msg
            return False
        error = record.exc_info[1] if record.exc_info else None
        return record.levelno >= logging.ERROR and not isinstance(error, h11.LocalProtocolError)


def _config(app: FastAPI, settings: ServerSettings) -> uvicorn.Config:
    certificate, key = settings.certificate, settings.certificate_key
    for file in (certificate, key):
        _require_readable(file)
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Bounded,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        backlog=SMALL_BACKLOG,
    )


def _require_readable(file: Path | None) -> None:
    if file is None:
        return
    try:
        file.open("rb").close()
    except OSError as error:
        raise StorageError(str(file), f"cannot be opened: {error.strerror}", "Check [server] in mien.toml.") from error


def _more_files() -> None:
    """Lets this process have as many files open as it may: each connection is one."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _url(address: Any, is_tls: bool) -> str:
    host, port = address[:2]
    return f"http{'s' if is_tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"
