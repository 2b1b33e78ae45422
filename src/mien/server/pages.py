"""What a browser is shown of the server: the page that says what can be asked, and the way there.

The page is made of the OpenAPI itself, so that it cannot say anything else. It loads nothing, runs nothing and needs no
key: it holds what anybody can read in mien's source.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from mien import __version__
from mien.report.environment import environment

DOCS = "/v1/docs"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

router = APIRouter(include_in_schema=False)


@router.get("/")
async def root(request: Request) -> Response:
    """What this is, and where to look; a browser is sent there."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(DOCS, 303)
    said: dict[str, Any] = request.app.openapi()["info"]
    return JSONResponse(
        {"name": "mien", "about": said["summary"], "version": __version__, "docs": DOCS, "openapi": "/v1/openapi.json"}
    )


@router.get(DOCS)
async def docs(request: Request) -> Response:
    """The page, which is made once: anybody may ask for it."""
    kept = request.app.state
    if not hasattr(kept, "docs"):
        kept.docs = environment().get_template("api.html").render(page_of(request.app.openapi()))
    return HTMLResponse(kept.docs, headers={"content-security-policy": POLICY})


def page_of(api: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of an OpenAPI."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            groups.setdefault(tag, []).append(_call(path, method.upper(), operation))
    shapes = {name: _fields(shape) for name, shape in sorted(api.get("components", {}).get("schemas", {}).items())}
    return {"info": api["info"], "groups": groups, "shapes": shapes}


def _call(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {})
    failing = {status: one["description"] for status, one in operation["responses"].items() if status >= "400"}
    answers = [one for status, one in operation["responses"].items() if status < "400"]
    types = {kind: content.get("schema", {}) for one in answers for kind, content in one.get("content", {}).items()}
    return {
        "id": f"{method}{path}".translate(str.maketrans("/{}", "-__")).lower(),
        "path": path,
        "method": method,
        "about": " ".join(operation.get("description", operation.get("summary", "")).split()),
        "parameters": [
            {
                "name": one["name"],
                "where": one["in"],
                "type": _type(one.get("schema", {})),
                "about": one.get("description", ""),
                "needed": one.get("required", False),
                "default": one.get("schema", {}).get("default"),
            }
            for one in operation.get("parameters", [])
        ],
        "body": {kind: _type(content.get("schema", {})) for kind, content in body.items()},
        "answers": {kind: _type(schema) for kind, schema in types.items()},
        "failing": failing,
        "example": _example(path, method, body, is_open=not operation.get("security", True)),
    }


def _example(path: str, method: str, body: dict[str, Any], is_open: bool) -> str:
    parts = ["curl", *(["-X", method] if method not in ("GET", "POST") else [])]
    parts += [] if is_open else ['-H "x-api-key: $KEY"']
    if "multipart/form-data" in body:
        for name, schema in body["multipart/form-data"]["schema"].get("properties", {}).items():
            parts += [f"-F {name}=@photo.jpg"] * schema.get("minItems", 1)
    elif "application/json" in body:
        parts += ["--json '{…}'"]
    elif method == "POST":
        parts += ["-X POST"]
    return " ".join([*parts, f'"$MIEN{path}"'])


def _fields(shape: dict[str, Any]) -> dict[str, Any]:
    fields = {
        name: {"type": _type(one), "about": one.get("description", "")}
        for name, one in shape.get("properties", {}).items()
    }
    return {"about": " ".join(shape.get("description", "").split()), "fields": fields}


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if reference := schema.get("$ref"):
        return str(reference).rpartition("/")[2]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[several]))
    if "enum" in schema:
        return " or ".join(f'"{one}"' for one in schema["enum"])
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema.get('items', {}))}"
        case "string" if schema.get("format") == "binary":
            return "file"
        case "string" if schema.get("contentEncoding") == "base64":
            return "base64"
        case "object" if schema.get("properties"):
            return ", ".join(f"{name}: {_type(one)}" for name, one in schema["properties"].items())
        case "integer" | "number" as kind if "minimum" in schema and "maximum" in schema:
            return f"{kind}, {schema['minimum']:g} to {schema['maximum']:g}"
        case None:
            return "anything"
        case kind:
            return str(kind)
