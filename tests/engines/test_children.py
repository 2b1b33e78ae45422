"""A task is held to its memory and its time, and when it dies it costs nothing but itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.engines import child, children
from mien.engines.children import TaskEndedError, ask

MEGABYTE = 1 << 20
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its memory")
UNIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")


# What the children of these tests do, called by name in the child


def double(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    return {"about": about, "pid": os.getpid()}, data + data


def take(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    return {"took": len(bytearray(about["bytes"]))}, b""


def spin(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    while True:
        pass


def die(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    os.kill(os.getpid(), about["signal"])
    raise AssertionError("still here")


def babble(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    print("from Python")
    os.write(1, b"from C")
    return {}, b""


def wait(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    threading.Event().wait()
    raise AssertionError("nothing to wait for")


def shrink(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    os.ftruncate(about["file"], 0)
    return {}, b""


def fill(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], memoryview]:
    given = child.room(about["bytes"])
    given[:] = bytes([about["value"]]) * about["bytes"]
    return {}, given


def fail(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    raise ValueError("of the task's")


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Children find this module, and none of them is left from another test."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    children.end_all()
    yield
    children.end_all()


def asked(task: str, data: bytes = b"", **about: Any) -> tuple[dict[str, Any], bytes]:
    said, given = ask(f"test_children:{task}", about, data, seconds=1)
    return said, bytes(given)


def filled(size: int, value: int) -> NDArray[np.uint8]:
    """Held as a picture is held, by an array that refers to what was given by a way of its own."""
    return np.frombuffer(ask("test_children:fill", {"bytes": size, "value": value}, seconds=9)[1], np.uint8)


def ended(task: str, **about: Any) -> TaskEndedError:
    with pytest.raises(TaskEndedError) as caught:
        asked(task, **about)
    return caught.value


def test_what_goes_in_comes_back() -> None:
    data = os.urandom(5 * MEGABYTE + 3)
    said, given = asked("double", data, path="Zo\udce9", number=3)
    assert said["about"] == {"path": "Zo\udce9", "number": 3}
    assert bytes(given) == data + data
    assert asked("double")[1] == b""


def test_a_child_that_was_started_early_is_the_one_that_is_asked() -> None:
    children.start_early("test_children")
    children.start_early("no such module")
    with children._children.borrow() as early:
        pid = early.start().pid
    assert [asked("double")[0]["pid"] for _ in range(2)] == [pid, pid]


def test_a_child_is_asked_again_and_is_another_process() -> None:
    first, second = (asked("double")[0]["pid"] for _ in range(2))
    assert first == second != os.getpid()


@pytest.mark.parametrize("size", [MEGABYTE, child.KEPT + 1])
def test_what_was_given_stays_as_long_as_somebody_holds_it(size: int) -> None:
    held = [filled(size, value) for value in (1, 2, 3)]
    assert bytes(filled(size // 2, 4)) == b"\4" * (size // 2)
    assert [bytes(given) for given in held] == [bytes([value]) * size for value in (1, 2, 3)]
    children.end_all()
    assert [bytes(given) for given in held] == [bytes([value]) * size for value in (1, 2, 3)]


def test_what_is_given_after_something_larger_and_something_smaller() -> None:
    sizes = (1, 70 * MEGABYTE, 5, MEGABYTE, 2 * MEGABYTE, 40 * MEGABYTE, 3)
    assert [bytes(filled(size, number)) == bytes([number]) * size for number, size in enumerate(sizes)] == [True] * 7


@LINUX
def test_what_is_held_no_more_is_given_back() -> None:
    one = children.Apart()
    try:
        view = one.ask("test_children:fill", {"bytes": 50 * MEGABYTE, "value": 1}, seconds=9, memory=10**9)[1]
        given, room = np.frombuffer(view, np.uint8), one._room
        del view
        assert room and not one.is_ready() and os.fstat(room.file).st_blocks * 512 >= len(given)
        del given
        assert one.is_ready() and not os.fstat(room.file).st_blocks
    finally:
        one.end()


@LINUX
def test_a_child_cannot_take_away_what_it_gave() -> None:
    one = children.Apart()
    try:
        given = one.ask("test_children:fill", {"bytes": MEGABYTE, "value": 1}, seconds=9, memory=10**9)[1]
        assert one._room
        with pytest.raises(TaskEndedError) as caught:
            one.ask("test_children:shrink", {"file": one._room.file}, seconds=9, memory=10**9)
        assert "PermissionError" in caught.value.said
        assert bytes(given) == b"\1" * MEGABYTE
    finally:
        one.end()


def test_threads_have_children_of_their_own() -> None:
    answers: list[tuple[bytes, bytes]] = []

    def work(number: int) -> None:
        for turn in range(20):
            data = f"{number} {turn}".encode() * 1000
            answers.append((data, bytes(asked("double", data)[1])))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 80
    assert all(given == data + data for data, given in answers)


@LINUX
def test_memory_is_bounded_and_the_child_goes_on() -> None:
    pid = asked("double")[0]["pid"]
    assert ended("take", bytes=2 * children.MEMORY).reason == "too much memory"
    assert asked("take", bytes=children.MEMORY // 2)[0] == {"took": children.MEMORY // 2}
    assert asked("double")[0]["pid"] == pid


@LINUX
def test_a_system_short_of_memory_is_told_apart() -> None:
    import resource

    code = "from mien.engines.children import *; ask('test_children:take', {'bytes': 300_000_000}, seconds=1)"
    limit = (250_000_000, 250_000_000)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, limit),
        capture_output=True,
        text=True,
    )
    assert "short of memory" in done.stderr


@UNIX
def test_time_is_counted_as_the_system_counts_it_for_its_limit() -> None:
    from mien.engines.child import _stopwatch

    computed = _stopwatch()
    first = computed()
    sum(range(3_000_000))
    assert computed() >= first
    signal.setitimer(signal.ITIMER_PROF, 0)


@UNIX
def test_time_is_bounded_and_another_child_goes_on() -> None:
    pid = asked("double")[0]["pid"]
    assert ended("spin").reason == "time"
    assert asked("double")[0]["pid"] != pid


def test_a_child_that_waits_for_ever_is_ended_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    pid = asked("double")[0]["pid"]
    monkeypatch.setattr(children, "PATIENCE", 0.3)
    assert ended("wait").reason == "hung"
    monkeypatch.setattr(children, "PATIENCE", 20)
    assert ask("test_children:double", {}, seconds=1)[0]["pid"] != pid


@UNIX
@pytest.mark.parametrize(("sent", "reason"), [("SIGKILL", "killed"), ("SIGSEGV", "broke"), ("SIGABRT", "broke")])
def test_a_child_that_dies_costs_its_task(sent: str, reason: str) -> None:
    assert ended("die", signal=int(getattr(signal, sent))).reason == reason
    assert asked("double", b"a")[1] == b"aa"


def test_a_task_that_raises() -> None:
    error = ended("fail")
    assert (error.reason, error.said) == ("broke", "ValueError: of the task's")
    assert ended("is not there").reason == "broke"
    assert asked("double", b"a")[1] == b"aa"


def test_a_library_that_prints_confuses_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    assert asked("babble") == ({}, b"")
    assert asked("double", b"a")[1] == b"aa"
    assert capfd.readouterr() == ("", "")


def test_an_exchange_that_was_broken_off_is_not_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pid = asked("double")[0]["pid"]

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(children, "_exchange", interrupted)
        asked("double", b"first")
    said, given = asked("double", b"second")
    assert bytes(given) == b"secondsecond"
    assert said["pid"] != pid


@UNIX
def test_children_end_with_their_parent() -> None:
    code = (
        "from mien.engines.children import *; print(ask('test_children:double', {}, seconds=1)[0]['pid'], flush=True)"
    )
    code += "; import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    pid = int(done.stdout)
    for _ in range(1000):
        try:
            if Path(f"/proc/{pid}/stat").read_text("ascii").split()[2] == "Z":
                return  # dead, and nobody has asked how it ended
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return
        threading.Event().wait(0.01)
    pytest.fail(f"{pid} goes on without its parent")


@LINUX
def test_a_fork_takes_nothing_away_from_its_parent() -> None:
    held = filled(child.KEPT + 1, 7)
    if not (forked := os.fork()):
        del held
        os._exit(0)
    os.waitpid(forked, 0)
    assert bytes(held) == b"\7" * (child.KEPT + 1)


@LINUX
def test_without_files_of_memory_pipes_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> int:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "memfd_create", none)
    one = children.Apart()
    try:
        assert bytes(one.ask("test_children:fill", {"bytes": 5, "value": 3}, seconds=9, memory=10**9)[1]) == b"\3" * 5
    finally:
        one.end()
