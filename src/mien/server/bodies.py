"""Pictures out of a request: a multipart form, the bytes of one picture, or JSON with base64; within bounds.

A body is read into memory and nowhere else, up to a limit that is checked while it comes; who sends too slowly is
turned away. Nothing in a request is believed: pictures are told by their bytes, and names of files are not looked at.
"""

from __future__ import annotations

import asyncio
import binascii
import json
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.datastructures import State, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from mien.server.problems import Problem, later

MOST_FIELDS = 64
"""Fields of a form that are no pictures."""
LONGEST_FIELD = 64 << 10
"""Bytes of one of them."""
LONGEST_FIELDS = 256 << 10
"""Bytes of a form that has no picture, as it is encoded for an address: to read it takes many times its size."""
MOST_JSON_PARTS = 200_000
"""Commas and brackets in a JSON text, each of which may stand for an object of a hundred bytes."""
APART = 1 << 20
"""Bytes from which on a body is read in a thread, so that nobody else waits for it."""


@dataclass
class Held:
    """How many bytes of bodies a server holds, of `most` that it may. One request adds to its own share while its body
    comes, which is given back when it is answered."""

    most: int
    bytes: int = 0

    def take(self, state: State, size: int) -> None:
        """Adds to what the request of this state holds. Raises Problem (503) where that would be too much."""
        if self.bytes + size > self.most:
            raise later("full", "The server holds as many pictures as it can.", seconds=1)
        self.bytes += size
        state.held = (self, getattr(state, "held", (self, 0))[1] + size)


def give_back(state: State) -> None:
    """Gives back what the request of this state holds of a `Held`."""
    held, size = getattr(state, "held", (None, 0))
    if held:
        held.bytes -= size
    state.held = (held, 0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one request may bring: `size` in bytes, `pictures`, and `seconds` to come in; and what all together may
    have brought that are not answered yet."""

    size: int
    pictures: int
    seconds: float
    held: Held


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture as it came: the `field` of the form that it was in ("" for a body that is the picture)."""

    field: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Body:
    """A request's pictures, in their order, and the other fields of its form."""

    pictures: tuple[Upload, ...]
    fields: Mapping[str, str] = field(default_factory=dict)

    def picture(self, *names: str) -> bytes:
        """The picture in the first of the fields `names` that there is; of a body that has one picture only, that one.
        Raises Problem where there is none."""
        for name in names:
            for upload in self.pictures:
                if upload.field == name:
                    return upload.data
        if len(self.pictures) == 1 and not self.pictures[0].field:
            return self.pictures[0].data
        raise missing(names[0] if names else "picture")


class _InMemory(MultiPartParser):
    """Parts of a form stay in memory, whose size is bounded already, and reach no disk."""

    spool_max_size = 1 << 40


def missing(name: str) -> Problem:
    """There is no picture in the field of this name."""
    return Problem(HTTPStatus.BAD_REQUEST, "no-picture", f'The request has no picture in "{name}".', "Send one.")


async def read(request: Request, bounds: Bounds, base64_fields: Collection[str] = ("picture", "pictures")) -> Body:
    """The body of a request. In JSON the `base64_fields` hold pictures, each a text or a list of texts; what else its
    object holds comes as text. Raises Problem."""
    data = await whole(request, bounds)
    if not data:
        raise Problem(HTTPStatus.BAD_REQUEST, "empty", "The request has no body.", "Send a picture.")
    content_type = request.headers.get("content-type", "")
    match content_type.partition(";")[0].strip().lower():
        case "multipart/form-data":
            if len(data) > APART:
                body = await asyncio.to_thread(asyncio.run, _form(request, data, bounds))
            else:
                body = await _form(request, data, bounds)
        case "application/x-www-form-urlencoded":
            if len(data) > LONGEST_FIELDS:
                what = "A form as it is encoded for an address holds no picture, and this one is too large."
                raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", what, "Send multipart/form-data.")
            body = await _form(request, data, bounds)
        case "application/json":
            if len(data) > APART:
                body = await asyncio.to_thread(lambda: _of_json(json_of(data), base64_fields))
            else:
                body = _of_json(json_of(data), base64_fields)
        case _:
            body = Body((Upload("", data),))
    if len(body.pictures) > bounds.pictures:
        what = f"The request has {len(body.pictures)} pictures, and {bounds.pictures} may come at once."
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-many", what, "Send them in several requests.")
    return body


async def whole(request: Request, bounds: Bounds) -> bytes:
    """The bytes of a body. Raises Problem where they are too many, or come too slowly."""
    if hasattr(request, "_body"):  # it was read before, for `mien.server.once`
        return bytes(request._body)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:19]) > bounds.size:
        raise _too_large(bounds)
    data = bytearray()
    try:
        async with asyncio.timeout(bounds.seconds):
            async for part in request.stream():
                bounds.held.take(request.state, len(part))
                data += part
                if len(data) > bounds.size:
                    raise _too_large(bounds)
    except TimeoutError:
        what = f"The request did not come within {bounds.seconds:g} seconds."
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "too-slow", what, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise Problem(HTTPStatus.BAD_REQUEST, "cut-off", "The request ended before its body did.") from None
    request.state.is_read = True
    return bytes(data)


def _too_large(bounds: Bounds) -> Problem:
    what = f"The request is larger than {bounds.size >> 20} MB."
    remedy = "Send smaller pictures, or fewer at once; max_megabytes of [server] in mien.toml allows more."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", what, remedy, headers={"Connection": "close"})


async def _form(request: Request, data: bytes, bounds: Bounds) -> Body:
    async def stream() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(data), 1 << 16):
            yield data[start : start + (1 << 16)]
        yield b""

    multipart = "multipart" in request.headers.get("content-type", "").lower()
    parts = _InMemory(
        request.headers, stream(), max_files=bounds.pictures + 1, max_fields=MOST_FIELDS, max_part_size=LONGEST_FIELD
    )
    fields_only = FormParser(request.headers, stream(), max_fields=MOST_FIELDS, max_part_size=LONGEST_FIELD)
    pictures, fields = [], {}
    try:
        form = await (parts.parse() if multipart else fields_only.parse())
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                pictures.append(Upload(name, value.file.read()))
            else:
                fields[name] = value
    except MultiPartException as error:
        raise _malformed(error.message.rstrip(".")) from None
    except Exception as error:  # what python-multipart raises of a malformed form is many things
        raise _malformed(type(error).__name__) from None
    finally:
        for file in parts._files_to_close_on_error:  # also of a form that ends in the middle of one
            file.close()
    return Body(tuple(pictures), fields)


def _malformed(why: str) -> Problem:
    remedy = "multipart/form-data needs a boundary in its Content-Type, and a name for each part."
    return Problem(HTTPStatus.BAD_REQUEST, "malformed", f"The form cannot be read: {why}.", remedy)


def json_of(data: bytes) -> Any:
    """What a JSON text says. Raises Problem."""
    if sum(map(data.count, (b",", b"[", b"{"))) > MOST_JSON_PARTS:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", "The JSON has too many parts.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed", "The body is no JSON.") from None


def _of_json(said: object, base64_fields: Collection[str]) -> Body:
    if not isinstance(said, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed", "The body is no JSON object.")
    pictures = []
    for name in base64_fields:
        value = said.get(name)
        for text in value if isinstance(value, list) else [] if value is None else [value]:
            pictures.append(Upload(name, _of_base64(name, text)))
    fields = {name: _as_text(value) for name, value in said.items() if name not in base64_fields}
    return Body(tuple(pictures), fields)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _of_base64(name: str, text: object) -> bytes:
    """The bytes that a base64 text stands for, which may begin as a data: URL does."""
    if isinstance(text, str):
        if text.startswith("data:"):
            text = text.partition(",")[2]
        try:
            return binascii.a2b_base64(text.encode("ascii").translate(None, b" \t\r\n"), strict_mode=True)
        except ValueError:
            pass
    raise Problem(HTTPStatus.BAD_REQUEST, "malformed", f'"{name}" is no base64.', "Send the picture's bytes in base64.")
