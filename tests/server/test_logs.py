"""No line of the log, and no figure, names a person, a key, a path or a picture."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from mien.server import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Served

NAMES = ("Zoë Wörther", "O'Neil; DROP", "名前", "a\nb", 'quote"d', "%s %d {x}", "../../etc/passwd", "x" * 300)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the server writes while a test runs."""
    written = io.StringIO()
    root, level = logging.getLogger(), logs.LOG.level
    kept = root.handlers
    logs.start(written)
    yield written
    root.handlers = kept
    logs.LOG.setLevel(level)
    logging.captureWarnings(False)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_request_is_a_line(served: Served, log: io.StringIO) -> None:
    answer = served.post("/v1/classify", "classify", files={"picture": served.photo("Ada")})
    (line,) = lines(log)
    assert line.pop("ms") >= 0 and line.pop("time")
    assert line == {
        "level": "info",
        "event": "request",
        "request": answer.headers["x-request-id"],
        "route": "/v1/classify",
        "method": "POST",
        "status": 200,
        "key": "classify",
    }


def test_nothing_is_said_of_whoever_looks_after_the_server(served: Served, log: io.StringIO) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert served.client.get(path).status_code == 200
    assert not log.getvalue()


def test_nothing_that_a_request_says_is_written_down(served_with: Callable[[str], Served], log: io.StringIO) -> None:
    served = served_with("\n[server]\ndeepstack = true\n")
    secret, count = "mien_" + "s3cret" * 7, 0
    for name in NAMES:
        sent = list(_asked_oddly(served, name, secret))
        assert all(answer.status_code < 500 for answer in sent)
        count += len(sent)
    _says_nothing(served, log.getvalue(), *NAMES, secret)
    assert sum(line["event"] == "request" for line in lines(log)) == count
    assert {line["event"] for line in lines(log)} == {"request", "python_multipart.multipart"}


def _asked_oddly(served: Served, name: str, secret: str) -> Iterator[Any]:
    client, admin, face = served.client, served.keys["admin"], "/v1/vision/face"
    photo = served.photo("Ada", "Stranger")
    yield client.get(f"/v1/people/{quote(name, safe='')}", params={"who": name})
    yield client.get("/", headers={"x-request-id": f"Ada {secret}", "host": "Ada.example", "user-agent": "Ada"})
    yield client.request("ADA", "/v1/classify")
    yield client.post("/v1/classify", params={"top": f"Ada {secret}", "least": "Ada"}, headers=served.headers())
    yield client.post("/v1/classify", params={"api_key": secret})
    yield client.post("/v1/classify", headers={"x-api-key": secret})
    yield client.post("/v1/classify", headers={"authorization": f"Bearer {secret}"})
    yield client.post("/v1/classify", headers={"x-api-key": admin[:-1]})
    yield served.post("/v1/classify", files={name: (name, photo)}, data={"who": name})
    yield served.post("/v1/classify", json={"picture": name})
    yield served.post("/v1/classify", content=photo, headers={"content-type": 'multipart/form-data; boundary="Ada"'})
    yield served.post("/v1/classify", content=b"%PDF Ada", headers={"content-type": "Ada/Ada"})
    yield client.post(f"{face}/register", data={"api_key": admin, "userid": name})
    yield client.post(f"{face}/register", data={"api_key": admin, "userid": name}, files={"image": b"no picture"})
    yield client.post(f"{face}/delete", data={"api_key": admin, "userid": name})


def test_a_mistake_tells_where_it_is_and_not_of_whom(
    served: Served, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message of an exception may hold anything: what was asked about, a row of a table."""

    def break_down(data: bytes) -> None:
        try:
            raise KeyError("Ada")
        except KeyError as error:
            raise ValueError("no place for Ada at /home/x/Ada.jpg") from error

    monkeypatch.setattr(served.house.resident, "answering", lambda top: break_down)
    answer = served.post("/v1/classify", files={"picture": served.photo("Bo")})
    assert answer.status_code == 500 and "Ada" not in answer.text and "ValueError" not in answer.text
    _says_nothing(served, log.getvalue(), "/home/x")
    told = "".join(str(line.get("traceback", "")) for line in lines(log))
    assert "ValueError" in told and "KeyError" in told and "test_logs.py" in told and "break_down" in told
    assert {line["request"] for line in lines(log) if "request" in line} == {answer.json()["request_id"]}


def test_what_other_libraries_say_is_cut_to_where_they_say_it(log: io.StringIO) -> None:
    other = logging.getLogger("uvicorn.error")
    other.warning("Invalid request from %s: %r", "Ada", b"GET /v1/people/Ada")
    other.error("Exception in ASGI application", exc_info=ValueError("Ada"))
    logging.getLogger("asyncio").error("Task exception was never retrieved: Ada")
    assert "Ada" not in log.getvalue()
    assert [line["event"] for line in lines(log)] == ["uvicorn.error", "uvicorn.error", "asyncio"]
    assert all(line["where"].startswith("test_logs:") for line in lines(log))
    assert lines(log)[0]["about"] == "Invalid request from %s: %r" and "about" not in lines(log)[2]


def _says_nothing(served: Served, written: str, *others: str) -> None:
    """Neither a name, nor a key, nor a path stands in what was written, nor in the figures."""
    figures = served.client.get("/metrics").text
    for text in (written, figures):
        for hidden in ("Ada", "Stranger", *others, str(served.painted.folder), ".jpg", ".png", *served.keys.values()):
            for form in (hidden, json.dumps(hidden)[1:-1]):
                assert form not in text, f"{form!r} in {text}"
