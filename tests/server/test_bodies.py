"""What a request may bring."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Painted, Served

MULTIPART = {"content-type": "multipart/form-data"}
JSON = {"content-type": "application/json"}


def kind(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, answer.json()["type"].removeprefix("urn:mien:problem:")


@pytest.mark.parametrize(
    ("content", "headers", "told"),
    [
        (b"", {}, (400, "empty")),
        (b"--x\r\n", MULTIPART, (400, "malformed")),
        (b"nothing", MULTIPART | {"content-type": "multipart/form-data; boundary=x"}, (400, "malformed")),
        (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
            {"content-type": "multipart/form-data; boundary=x"},
            (400, "no-picture"),
        ),
        (b"{", JSON, (400, "malformed")),
        (b"[" * 100_000, JSON, (400, "malformed")),
        (b"[]", JSON, (400, "malformed")),
        (b"{}", JSON, (400, "no-picture")),
        (b'{"pictures": ["%%%"]}', JSON, (400, "malformed")),
        (b'{"pictures": [1]}', JSON, (400, "malformed")),
        (b'{"pictures": {"a": 1}}', JSON, (400, "malformed")),
        (b"\xff\xfe", JSON, (400, "malformed")),
        (b"<svg/>", {"content-type": "image/svg+xml"}, (422, "unreadable-picture")),
        (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, (400, "no-picture")),
        (b"&" * 300_000, {"content-type": "application/x-www-form-urlencoded"}, (413, "too-large")),
        (b'{"a": [' + b"{}," * 100_000 + b"{}]}", JSON, (413, "too-large")),
    ],
)
def test_a_body_that_will_not_do_is_a_problem(
    untaught: Served, content: bytes, headers: dict[str, str], told: tuple[int, str]
) -> None:
    assert kind(untaught.post("/v1/detect", content=content, headers=headers)) == told


def test_a_body_is_so_large_and_no_larger(painted: Painted, serve: Any) -> None:
    (painted.folder / "mien.toml").write_text("[server]\nmax_megabytes = 1\nmax_pictures = 2\n")
    with serve(painted) as served:
        assert kind(served.post("/v1/detect", content=bytes(1 << 20) + b"x")) == (413, "too-large")

        def endless() -> Any:
            for _ in range(40):
                yield bytes(1 << 16)

        assert kind(served.post("/v1/detect", content=endless())) == (413, "too-large")
        three = [("picture", served.photo("Ada"))] * 3
        assert kind(served.post("/v1/detect", files=three)) == (413, "too-many")
        text = base64.b64encode(served.photo("Ada")).decode()
        assert kind(served.post("/v1/detect", json={"pictures": [text] * 3})) == (413, "too-many")
        assert served.house.bounds.held.bytes == 0


def test_bodies_are_bounded_together(untaught: Served) -> None:
    untaught.house.bounds.held.bytes = untaught.house.bounds.held.most
    answer = untaught.post("/v1/detect", content=untaught.photo("Ada"))
    assert kind(answer) == (503, "full") and answer.headers["retry-after"] == "1"
    assert untaught.house.bounds.held.bytes == untaught.house.bounds.held.most
    untaught.house.bounds.held.bytes = 0


def test_names_of_files_and_fields_mean_nothing(untaught: Served) -> None:
    files = {"../../etc/passwd": ("../../../x\x00.png", untaught.photo("Ada"), "text/html")}
    assert len(untaught.post("/v1/detect", files=files).json()["pictures"][0]["faces"]) == 1
