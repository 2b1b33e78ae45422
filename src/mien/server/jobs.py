"""Long work that a server was asked for, one job after the other, each in a child process of its own.

What a job needs of memory, and how it ends, is no affair of the server's. A job whose server ends is interrupted, and
waits for the next server; each verb goes on where it was stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from mien.errors import MienError
from mien.records.jobs import Job, Jobs, Outcome
from mien.server.logs import tell

LOOK_SECONDS: Final = 5.0
"""How often is looked for jobs that other processes asked for, or left."""
TELL_SECONDS: Final = 1.0
"""How often other servers are told how far the job is that runs here."""
CANCEL_SECONDS: Final = 1.0
"""How often is looked whether somebody else wants the job to end."""
GRACE_SECONDS: Final = 10.0
"""Seconds in which a job that is to end may do so by itself."""
LONGEST: Final = 64 << 20
"""Bytes of a line that a job says: its result is one."""
CHILD: tuple[str, ...] = (sys.executable, "-P", "-m", "mien.server.job")
INTERRUPTED: Final = 130


def now() -> datetime:
    """The local time."""
    return datetime.now().astimezone()


@dataclass
class Progress:
    """How far a job is: `done` steps `of` so many, None where nobody knows; `waiting` says for what it waits, "" for
    nothing."""

    job: str
    step: str = ""
    done: int = 0
    of: int | None = None
    waiting: str = ""
    began: float = field(default_factory=time.monotonic)

    def take(self, said: dict[str, Any]) -> None:
        """What the job says of itself."""
        if "waiting" in said:
            self.waiting = said["waiting"]
            return
        step, done = said["step"], said["done"]
        if step != self.step or done < self.done:
            self.began = time.monotonic()
        self.step, self.done, self.of, self.waiting = step, done, said["of"], ""

    def to_json(self) -> dict[str, Any]:
        """The same for programs: `rate` in steps a second, `eta` in seconds, each None where nobody can tell, and once
        a step is done."""
        seconds = time.monotonic() - self.began
        rate = self.done / seconds if self.done and seconds > 0 and self.done != self.of else None
        left = (self.of - self.done) / rate if self.of and rate else None
        return {
            "step": self.step,
            "done": self.done,
            "of": self.of,
            "rate": round(rate, 3) if rate else None,
            "eta": round(left, 1) if left is not None else None,
            "waiting": self.waiting,
        }


class Runner:
    """Carries out the `jobs` of the album in `folder`; `follow` is called after each, as another model may be in use.
    It belongs to one event loop. `program` is what a job is run by."""

    def __init__(self, jobs: Jobs, folder: Path, follow: Callable[[], Awaitable[None]]) -> None:
        self._jobs, self._folder, self._follow = jobs, folder, follow
        self.program: tuple[str, ...] = CHILD
        self.progress: Progress | None = None
        """Of the job that runs here; None where none does."""
        self._asked, self._changed, self._cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def wake(self) -> None:
        """There is a new job, or one is to be cancelled."""
        self._asked.set()
        self._cancelled.set()

    async def changed(self, closing: asyncio.Event, seconds: float) -> None:
        """Waits until something about the jobs changes, or the server closes, for so long at most."""
        waits = [asyncio.create_task(event.wait()) for event in (self._changed, closing)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def run(self) -> None:
        """Carries out jobs until it is cancelled."""
        while True:
            try:
                await asyncio.to_thread(self._jobs.take_over, now())
                while job := await asyncio.to_thread(self._jobs.start_next, now()):
                    self._asked.clear()
                    try:
                        await self._carry_out(job)
                    except asyncio.CancelledError:  # the server ends: the next one goes on, and this start is not held
                        await asyncio.shield(asyncio.to_thread(self._jobs.give_back, job.id))  # against the job
                        raise
                    except Exception as error:
                        tell(
                            "job", logging.ERROR, job=job.id, verb=job.verb, state="failed", error=type(error).__name__
                        )
                        gone = {"message": "The job could not be carried out.", "remedy": "The server's log says why."}
                        code = MienError.exit_code
                        await asyncio.to_thread(self._jobs.finish, job.id, now(), "failed", code, {"error": gone})
                        self._touch()
            except Exception as error:  # the next look may go better: a disk that is full is not full for ever
                tell("jobs-stopped", logging.ERROR, error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()
            self._asked.clear()

    async def _carry_out(self, job: Job) -> None:
        """Runs a job to its end, and writes down what came of it; interrupted, it leaves it to the next server."""
        self.progress = Progress(job.id)
        self._touch()
        tell("job", job=job.id, verb=job.verb, state="running", tries=job.tries)
        process = await asyncio.create_subprocess_exec(
            *self.program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=LONGEST,
            start_new_session=True,  # Ctrl-C in the server's terminal is told to the job by the server
        )
        beside = [
            asyncio.create_task(self._end_when_asked(job, process)),
            asyncio.create_task(self._tell_others(self.progress)),
        ]
        try:
            last = await self._listen(job, process)
            await process.wait()
        finally:
            for task in beside:
                task.cancel()
            await _end(process)
            self.progress = None
        code = int(last.get("code", INTERRUPTED if process.returncode is None else process.returncode))
        result, outcome = last.get("result"), await self._outcome(job, last)
        if outcome == "failed" and result is None:
            gone = {"message": "The process of the job ended before the job did.", "remedy": "Ask for it again."}
            result = {"error": last.get("error", gone)}
        if job.verb == "daily" and isinstance(result, dict) and (name := result.get("run")):
            await asyncio.to_thread(self._jobs.is_run, job.id, name)
        await asyncio.to_thread(self._jobs.finish, job.id, now(), outcome, code, result)
        tell("job", job=job.id, verb=job.verb, state=outcome, code=code)
        with contextlib.suppress(Exception):  # it is looked at again in a second
            await self._follow()
        self._touch()

    async def _listen(self, job: Job, process: asyncio.subprocess.Process) -> dict[str, Any]:
        """Tells the process what to do, and follows what it says; its last word, {} where it ended without."""
        assert process.stdin and process.stdout and self.progress
        by = {"key": job.key, "request": job.id}
        asked = {"folder": str(self._folder), "verb": job.verb, "options": dict(job.options), "by": by}
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        async for said in _lines(process.stdout):
            if "code" in said:
                return said
            self.progress.take(said)
            self._touch()
        return {}

    async def _outcome(self, job: Job, last: dict[str, Any]) -> Outcome:
        if "result" in last:
            result = last["result"]
            return "failed" if job.verb == "daily" and result.get("state") == "failed" else "done"
        asked = await asyncio.to_thread(self._jobs.job, job.id)
        return "cancelled" if asked and asked.cancel and "error" not in last else "failed"

    async def _end_when_asked(self, job: Job, process: asyncio.subprocess.Process) -> None:
        """Ends the process once somebody wants the job cancelled."""
        while True:
            asked = await asyncio.to_thread(self._jobs.job, job.id)
            if asked is None or asked.cancel:
                await _end(process)
                return
            self._cancelled.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await self._cancelled.wait()

    async def _tell_others(self, progress: Progress) -> None:
        """Has the other servers of the album know how far the job is."""
        told: dict[str, Any] = {}
        while True:
            now_at = progress.to_json()
            if now_at["step"] and now_at != told:
                told = now_at
                with contextlib.suppress(MienError):  # it is news for a second
                    await asyncio.to_thread(self._jobs.tell, progress.job, told)
            await asyncio.sleep(TELL_SECONDS)

    def _touch(self) -> None:
        """Wakes whoever waits for a change."""
        self._changed.set()
        self._changed = asyncio.Event()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """What a job says; a line that was cut off by its end is none."""
    async for line in stream:
        with contextlib.suppress(ValueError):
            yield json.loads(line)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Has a process end as by Ctrl-C, or kills it where it does not; what it finished is kept."""
    if process.returncode is not None:
        return
    assert process.stdin
    with contextlib.suppress(OSError):
        process.stdin.write(b"cancel\n")
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
