"""What CompreFace's clients write behind the question mark of an address, odd as it may be.

Their queries begin with "&", have parameters without a value, write True and undefined, do not encode names, and, in
JavaScript, glue one parameter to the value of another by a second question mark. Each of these was seen on the wire.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from starlette.requests import Request

from mien.records.keys import Key
from mien.server.compreface.errors import wrong_parameter
from mien.text.access import Scope

_GLUED: Final = re.compile(
    r"\?(?=(?:limit|det_prob_threshold|prediction_count|face_plugins|status|detect_faces|subject)=)"
)
"""A question mark by which another parameter is glued to a value: "?det_prob_threshold=0.9?face_plugins=age"."""

_UNSET: Final = frozenset({"", "undefined", "null", "none", "nan"})
"""What JavaScript and Python make of a number that was never set."""

_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"}) | _UNSET

MOST_CANDIDATES: Final = 1000
"""Subjects that are returned for a face at most, whatever `prediction_count` says."""


def query_of(request: Request) -> dict[str, str]:
    """The parameters of a request's address by name, of each the first that has a value; without a value there is
    none."""
    return parsed(request.scope["query_string"].decode("latin-1"))


def parsed(query: str) -> dict[str, str]:
    """The parameters in a query as it was sent. What follows an "&" and has no "=" belongs to the name of a subject
    that was not encoded: "subject=Tom & Co"."""
    found: dict[str, str] = {}
    last = ""
    for part in _parts(query):
        name, equals, value = part.partition("=")
        if not equals and part and last == "subject":
            found[last] += f"&{_plain(part)}"
            continue
        name, value = _plain(name).strip(), _plain(value)
        last = name if name not in found and value.strip() else ""
        if last:
            found[name] = value
    return found


def subject_of(request: Request) -> str | None:
    """Whose photos are asked for; None for everybody's. Raises Problem."""
    return subject_in(request.scope["query_string"].decode("latin-1"))


def subject_in(query: str) -> str | None:
    """The subject in a query as it was sent. Everybody is meant where there is none, or nothing at all behind
    "subject="; where something stands there that names nobody, a name went wrong. Raises Problem."""
    found = parsed(query).get("subject")
    parts = _parts(query) if found is None else []
    for number, part in enumerate(parts):
        name, equals, value = part.partition("=")
        if _plain(name).strip() == "subject":
            follows = [one for one in parts[number + 1 :] if one and "=" not in one]
            if value or not equals or follows:
                raise wrong_parameter(
                    "subject", _plain("&".join([value, *follows])), "a name, or nothing for everybody"
                )
    return found


def _parts(query: str) -> list[str]:
    return _GLUED.sub("&", query).split("&")


def _plain(text: str) -> str:
    """The text that was encoded for an address; bytes that were not are UTF-8, too."""
    return unquote_plus(text.encode("latin-1").decode("utf-8", "replace") if not text.isascii() else text)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of the faces in a picture: the largest `limit` of them (0: all) that the detector is at least
    `least` sure of, each with so many `candidates`, with `landmarks`, `embeddings`, and times and versions if the
    `status` is wanted."""

    limit: int
    least: float
    candidates: int
    landmarks: bool
    embeddings: bool
    status: bool


def wanted(query: Mapping[str, str], key: Key) -> Wanted:
    """What a query asks for. Embeddings are for the scope "admin", and left out for others; plugins that mien does not
    offer are passed over. Raises Problem."""
    plugins = {one.strip().lower() for one in query.get("face_plugins", "").split(",")}
    return Wanted(
        limit=whole(query, "limit", 0),
        least=threshold(query),
        candidates=min(whole(query, "prediction_count", 1, least=1), MOST_CANDIDATES),
        landmarks="landmarks" in plugins,
        embeddings="calculator" in plugins and key.scope.allows(Scope.ADMIN),
        status=flag(query, "status"),
    )


def threshold(query: Mapping[str, str]) -> float:
    """How sure the detector must be of a face; 0, which lets through all that it reports, where nothing is asked.
    Raises Problem."""
    text = query.get("det_prob_threshold", "").strip()
    if text.lower() in _UNSET:
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise wrong_parameter("det_prob_threshold", text, "a number from 0 to 1")
    return value


def whole(query: Mapping[str, str], name: str, default: int, least: int = 0) -> int:
    """A whole number of at least `least`. Raises Problem."""
    text = query.get(name, "").strip()
    if text.lower() in _UNSET:
        return default
    if not re.fullmatch(r"\+?[0-9]{1,9}", text) or int(text) < least:
        raise wrong_parameter(name, text, f"a whole number of at least {least}")
    return int(text)


def flag(query: Mapping[str, str], name: str) -> bool:
    """Whether a parameter is set to true, in the words of any language. Raises Problem."""
    text = query.get(name, "").strip().lower()
    if text in _TRUE:
        return True
    if text not in _FALSE:
        raise wrong_parameter(name, text, "true or false")
    return False
