"""What mien's own objects say, on their way out of /v1: their shapes, and no path of the disk in them."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import Path as InPath
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from mien.registry.card import VERSION
from mien.server.bodies import whole
from mien.server.house import house_of
from mien.server.problems import Problem, placeless
from mien.server.v1.shapes import Shape, problems

Asked = TypeVar("Asked", bound=BaseModel)

PersonName = Annotated[str, InPath(min_length=1, max_length=200, description="The name, percent-encoded.")]
PhotoId = Annotated[
    str, InPath(pattern="^[0-9a-f]{64}$", min_length=64, max_length=64, description="The SHA-256 of the photo's bytes.")
]
VersionName = Annotated[
    str, InPath(pattern=f"^{VERSION}$", max_length=20, description="A version, as /v1/models names it.")
]

READING = (400, 401, 403, 409, 422, 429, 503)
"""How any route fails that reads something and takes parameters."""
CHANGING = (400, 401, 403, 408, 409, 413, 422, 429, 503, 507)
"""How any route fails that changes something."""


class FindingShape(Shape):
    """What mien has to say of people and photos: `kind` for programs, `why` and `remedy` for people. Photos are named
    as mien writes them."""

    kind: str
    photos: list[str]
    people: list[str]
    figures: dict[str, Any]
    why: str
    remedy: str
    needs_human: bool


class ErrorShape(Shape):
    """What was wrong with a picture of the request."""

    photo: str
    kind: str
    message: str
    remedy: str


class VersionInUse(Shape):
    """The model that is in use now; null for none."""

    version: str | None


def without_paths(value: Any, folder: Path) -> Any:
    """The same JSON value with no path of the disk in its texts: those of the album are relative to it."""
    if isinstance(value, str):
        return placeless(value, str(folder))
    if isinstance(value, dict):
        return {key: without_paths(one, folder) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_paths(one, folder) for one in value]
    return value


def about_json(model: type[BaseModel] | tuple[type[BaseModel], ...], *statuses: int) -> dict[str, Any]:
    """What FastAPI is told of a route whose body is JSON of this model, or of one of them."""
    some = model if isinstance(model, tuple) else (model,)
    schemas = [one.model_json_schema() for one in some]
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"openapi_extra": {"requestBody": body}, "responses": problems(*sorted({*CHANGING, *statuses}))}


async def said(request: Request, model: type[Asked]) -> Asked:
    """The JSON body of a request, within bounds. Raises Problem for one that is not of this model."""
    data = await whole(request, house_of(request).bounds)
    try:
        return model.model_validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "The body"
        what = f"{where} will not do: {first['msg']}."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", what) from None
