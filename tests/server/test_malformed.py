"""A thousand requests that nobody should send: each is answered with a problem, or cut off, and costs itself only."""

from __future__ import annotations

import io
import json
import random
import socket
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

SEED = 20261126
REQUESTS = 1000

PATHS = (
    *("/v1/classify", "/v1/detect", "/v1/verify", "/v1/embed"),
    *("/api/v1/recognition/recognize", "/api/v1/recognition/faces", "/v1/vision/face/recognize"),
    *("/v1/../../etc/passwd", "/v1/%2e%2e/%2e%2e/mien.toml", "//etc/passwd", "/v1/people/..%2f..%2fmien.toml"),
)
NAMES = ('a"b', "../../x", "a\x00b", "a\r\nX-Evil: 1", "ü" * 300, "", "picture", "file", "image", "CON", "x" * 5000)


QUERIES = (
    *("", "?top=-1", "?top=" + "9" * 400, "?least=nan", "?limit=x&&?=&%ff", "?" + "a=b&" * 2000),
    "?subject=../../x&det_prob_threshold=1e999",
)
METHODS = ["PUT", "GET", "TRACE", "X" * 300]
HEADERS = (
    [b"Upgrade: websocket", b"Connection: Upgrade"],
    [b"Expect: 100-continue"],
    [b"X-Long: " + b"z" * 40_000],
    [b"Range: bytes=0-"],
)
PART_HEADERS = (
    b"Content-Type: text/html\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"X: " + b"y" * 9000 + b"\r\n",
)


def png(width: int = 8, height: int = 8) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (9, 9, 9)).save(file, "PNG")
    return file.getvalue()


def bomb() -> bytes:
    """A PNG that says it is 60,000 x 60,000."""
    data = bytearray(png())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def pictures(random: random.Random) -> Iterator[bytes]:
    """Things that come as a picture and are none that anybody could use."""
    whole = png()
    while True:
        yield random.choice(
            [
                b"",
                whole[: random.randrange(1, len(whole))],
                bytes(random.randbytes(random.randrange(1, 3000))),
                b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
                b"%PDF-1.4\n" + whole,
                b"GIF89a" + b"\xff" * 40,
                b"<?php system($_GET['c']); ?>",
                b"PK\x03\x04" + whole,
                bomb(),
                b"\x00" * 4096,
            ]
        )


def form(random: random.Random, data: bytes) -> tuple[bytes, bytes]:
    """A multipart form and its content type, whole or not."""
    boundary = random.choice([b"x", b"--x", b"b" * 70, b"b" * 400, b'"q"', b""])
    said = random.choice([boundary, b"other", b""])
    name = random.choice(NAMES).encode()
    disposition = random.choice([b"form-data; ", b"", b"attachment; "])
    part = b'--%b\r\nContent-Disposition: %bname="%b"; filename="%b"\r\n' % (boundary, disposition, name, name)
    part += random.choice([b"", *PART_HEADERS]) + b"\r\n" + data + b"\r\n"
    body = part * random.choice([1, 1, 2, 40]) + random.choice([b"--%b--\r\n" % boundary, b""])
    end = random.choice([len(body), random.randrange(1, len(body))])
    return body[:end], b"multipart/form-data; boundary=%b" % said


def body(random: random.Random, picture: bytes) -> tuple[bytes, bytes]:
    """A body and its content type."""
    text = json.dumps({"pictures": [random.choice(["%%", 1, None, {}, [], "data:,", "QUJD"])]}).encode()
    file = json.dumps({"file": "../../etc/passwd", "picture": "QUJD" * 500}).encode()
    return random.choice(
        [
            form(random, picture),
            (picture, random.choice([b"image/png", b"application/octet-stream", b"", b"text/plain", b"\xff\xfe"])),
            (b'{"pictures":' + b"[" * random.choice([10, 100_000]), b"application/json"),
            (text, b"application/json"),
            (file, b"application/json"),
            (b"\xff\xfe{\x00", b"application/json; charset=utf-16"),
            (b"picture=" + b"%00" * 500, b"application/x-www-form-urlencoded"),
            (b"1e999999", b"application/json"),
        ]
    )


def request(random: random.Random, key: str, picture: bytes) -> bytes:
    """One request, from its first byte to its last."""
    content, kind = body(random, picture)
    length = random.choice([len(content)] * 6 + [len(content) + 5, max(0, len(content) - 3), -1, 10**30])
    path, method = random.choice(PATHS) + random.choice(QUERIES), random.choice(["POST"] * 8 + METHODS)
    head = [f"{method} {path} HTTP/1.1".encode(), b"Host: x", b"Content-Type: " + kind]
    if random.random() < 0.9:
        head.append(b"x-api-key: " + random.choice([key.encode()] * 6 + [b"", b"\xff", b"k" * 3000]))
    chunked = random.random() < 0.15
    if chunked:
        size = random.choice([b"%x" % len(content), b"ffffffffffffffff", b"-1", b"zz"])
        head.append(b"Transfer-Encoding: chunked")
        content = size + b"\r\n" + content + b"\r\n" + random.choice([b"0\r\n\r\n", b""])
    if not chunked or random.random() < 0.2:
        head.append(b"Content-Length: %d" % length)
    head += random.choice([[], [], *HEADERS])
    return b"\r\n".join(head) + random.choice([b"\r\n\r\n"] * 9 + [b"\n"]) + content


def answered(port: int, sent: bytes) -> bytes:
    """All that comes back, when no more is sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        parts = []
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                parts.append(part)
        except OSError:  # the answer came, and the connection was closed, before all was sent
            pass
    return b"".join(parts)


@pytest.mark.parametrize("share", range(4))
def test_a_thousand_malformed_requests(painted: Any, in_process: Callable[..., Any], share: int) -> None:
    (painted.folder / "mien.toml").write_text("[server]\nper_minute = 0\nseconds = 5\ndeepstack = true\n")
    chance = random.Random(SEED + share)
    each = pictures(chance)
    with in_process() as port:
        for number in range(REQUESTS // 4):
            sent = request(chance, in_process.key, next(each))  # type: ignore[attr-defined]
            reply = answered(port, sent)
            head, _, rest = reply.partition(b"\r\n\r\n")
            told = f"request {number} of share {share}: {sent[:300]!r} -> {reply[:300]!r}"
            if not head:  # cut off in the middle of what was promised, as its sender did
                continue
            status = int(head.split()[1])
            if head.startswith(b"HTTP/1.1 100"):
                continue
            assert status < 500 or status == 503, told
            assert str(painted.folder).encode() not in reply and b"Traceback" not in reply, told
            if status >= 400 and b"application/problem+json" in head:
                assert json.loads(rest.partition(b"HTTP/1.1")[0])["status"] == status, told
            else:
                assert status in (200, 201) or b"application/json" in head, told
        assert b'"alive"' in answered(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


def test_thousands_of_connections_that_say_nothing_keep_nobody_out(
    monkeypatch: pytest.MonkeyPatch, in_process: Callable[..., Any]
) -> None:
    from mien.server import running

    monkeypatch.setattr(running, "HEAD_SECONDS", 0.5)
    with in_process() as port:
        silent = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(400)]
        try:
            for one in silent[:200]:
                one.sendall(b"P")
            assert b'"alive"' in answered(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert silent[0].recv(1 << 16).startswith(b"HTTP/1.1 408")
        finally:
            for one in silent:
                one.close()
