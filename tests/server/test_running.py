"""The server as a process on loopback: how it begins, whom it waits for, how it ends."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from mien import Album
from mien.server import running


@dataclass
class Process:
    """A `mien serve` and what it said."""

    process: subprocess.Popen[str]
    address: str
    key: str
    said: list[str]

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=60)


@contextmanager
def served(album: Path, *words: str) -> Iterator[Process]:
    """`mien serve` at any free port."""
    line = [sys.executable, "-m", "mien", "-C", str(album), "serve", "--port", "0", *words]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said: list[str] = []
    address = key = ""
    for text in process.stderr:
        said.append(text)
        if found := re.search(r"mien_[\w-]{43}", text):
            key = found[0]
        if found := re.search(r"https?://\S+:\d+", text):
            address = found[0]
            break
    reading = threading.Thread(target=lambda: said.extend(process.stderr or ()))
    reading.start()
    try:
        yield Process(process, address, key, said)
    finally:
        process.kill()
        process.wait()
        reading.join()
        assert process.stdout is not None
        assert process.stdout.read() == "", "standard output is for programs"
        process.stdout.close()
        process.stderr.close()


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An album without anybody."""
    return Album.create(tmp_path_factory.mktemp("served") / "album").folder


@pytest.fixture(scope="module")
def server(album: Path) -> Iterator[Process]:
    with served(album) as process:
        yield process


def test_the_first_key_is_shown_once(tmp_path: Path) -> None:
    folder = Album.create(tmp_path / "album").folder
    with served(folder) as first:
        assert first.key and any("never again" in text for text in first.said)
        assert httpx.get(f"{first.address}/healthz").json() == {"status": "alive"}
        assert first.end(signal.SIGINT) == 0
    with served(folder) as second:
        assert not second.key
    assert first.key not in "".join(second.said)


def test_an_address_that_is_taken_is_told(server: Process, album: Path) -> None:
    line = [sys.executable, "-m", "mien", "-C", str(album), "serve", "--port", str(server.port)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and "cannot be listened at" in ended.stderr and "Traceback" not in ended.stderr
    assert "--port" in ended.stderr and '"event": "uvicorn' not in ended.stderr, "told once, in mien's words"


def test_an_address_of_another_machine_is_told(album: Path) -> None:
    line = [sys.executable, "-m", "mien", "-C", str(album), "serve", "--host", "192.0.2.1", "--port", "0"]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and "192.0.2.1:0 cannot be listened at" in ended.stderr
    assert "another --host" in ended.stderr and '"event": "uvicorn' not in ended.stderr


def test_a_refused_address_names_what_to_change() -> None:
    for number, remedy in ((errno.EADDRINUSE, "another --port"), (errno.EACCES, "1024"), (None, "another --host")):
        assert remedy in running._remedy(OSError(number, "refused"))


def test_what_is_no_http_is_a_problem(server: Process) -> None:
    for data in (
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"GET /z\xc3\xb6 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"b" * 70_000,
    ):
        with server.connected() as connection:
            connection.sendall(data)
            reply = b"".join(iter(lambda c=connection: c.recv(1 << 16), b""))  # type: ignore[misc]
        head, _, body = reply.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400") and b"application/problem+json" in head
        assert json.loads(body)["type"] == "urn:mien:problem:no-http"


def test_whoever_sends_no_whole_head_is_cut_off(monkeypatch: pytest.MonkeyPatch, in_process: Any) -> None:
    monkeypatch.setattr(running, "HEAD_SECONDS", 0.05)
    with in_process() as port, socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost:")
        reply = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert reply.startswith(b"HTTP/1.1 408") and b"urn:mien:problem:too-slow" in reply


def test_there_are_so_many_connections_and_no_more(monkeypatch: pytest.MonkeyPatch, in_process: Any) -> None:
    monkeypatch.setattr(running, "MOST_CONNECTIONS", 3)
    with in_process() as port:
        held = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(3)]
        for one in held:
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert one.recv(1 << 16).startswith(b"HTTP/1.1 200")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as another:
            reply = b"".join(iter(lambda: another.recv(1 << 16), b""))
        assert reply.startswith(b"HTTP/1.1 503") and b"urn:mien:problem:full" in reply
        for one in held:
            one.close()


def test_a_body_that_does_not_come_is_not_waited_for(painted: Any, in_process: Any) -> None:
    (painted.folder / "mien.toml").write_text("[server]\nseconds = 1\n")
    with in_process() as port, socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        head = f"POST /v1/detect HTTP/1.1\r\nHost: x\r\nx-api-key: {in_process.key}\r\nContent-Length: 9\r\n\r\n"
        connection.sendall(head.encode() + b"abc")
        reply = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert reply.startswith(b"HTTP/1.1 408") and b"urn:mien:problem:too-slow" in reply


def test_a_request_that_has_begun_is_answered_when_the_server_ends(tmp_path: Path) -> None:
    folder = Album.create(tmp_path / "album").folder
    with served(folder) as one:
        with one.connected() as connection:
            head = f"POST /v1/detect HTTP/1.1\r\nHost: x\r\nx-api-key: {one.key}\r\nContent-Length: 9\r\n\r\n"
            connection.sendall(head.encode() + b"half")
            while httpx.get(f"{one.address}/readyz", verify=False).status_code != 200:
                pass
            one.process.send_signal(signal.SIGTERM)
            while not any('"closing"' in text for text in one.said):
                assert one.process.poll() is None
            connection.sendall(b" more")
            reply = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        assert reply.startswith(b"HTTP/1.1 422") and b"unreadable-picture" in reply
        assert one.process.wait(timeout=60) == 0


def test_it_speaks_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    line = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    made = subprocess.run([*line, "-keyout", str(key), "-out", str(certificate)], capture_output=True)
    assert made.returncode == 0, made.stderr
    folder = Album.create(tmp_path / "album").folder
    settings = folder / "mien.toml"
    lines = f"[server]\ncertificate = '{certificate}'\ncertificate_key = '{key}'\n"
    settings.write_text(lines)
    with served(folder) as one:
        assert one.address.startswith("https://")
        trusted = ssl.create_default_context(cafile=str(certificate))
        trusted.check_hostname = False
        assert httpx.get(f"{one.address}/healthz", verify=trusted).status_code == 200
    settings.write_text(lines.replace("certificate.pem", "missing.pem"))
    again = [sys.executable, "-m", "mien", "-C", str(folder), "serve", "--port", "0"]
    ended = subprocess.run(again, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 11 and "missing.pem" in ended.stderr and "Traceback" not in ended.stderr


def test_a_body_that_nobody_reads_is_not_waited_for(in_process: Any) -> None:
    with in_process() as port, socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        reply = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert reply.startswith(b"HTTP/1.1 200")


def test_only_a_proxy_that_is_named_is_believed(painted: Any, in_process: Any) -> None:
    for trusted, seen in (("[]", {"127.0.0.1"}), ('["127.0.0.1"]', {"203.0.113.7"})):
        (painted.folder / "mien.toml").write_text(f"[server]\ntrusted_proxies = {trusted}\n")
        with in_process() as port:
            httpx.get(f"http://127.0.0.1:{port}/v1/nothing", headers={"x-forwarded-for": "203.0.113.7"})
        assert in_process.addresses == seen


def test_the_command_line_does_not_wait_for_the_servers_packages() -> None:
    program = "import sys, mien.cli; print({'fastapi', 'uvicorn', 'starlette'} & {*sys.modules})"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ))
    assert ended.stdout.strip() == "set()"
