"""Names of people in paths and texts, found by patterns such as "{person}/*.jpg"."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from mien.text.names import nfc

PERSONS_FOLDERS = "{person}/**"
"""The layout without a pattern: a folder a person, photos in it at any depth."""
_LONGEST_PATH = 1024
"""Letters in a path or text; a longer one matches no pattern."""


def path_pattern(text: str) -> re.Pattern[str]:
    """A pattern of paths, for `person_in`.

    `{person}`, once, is a name within one part of the path, as long as can be; `*` is any text within a part, or none;
    `**` as a whole part is any parts, or none. Every other letter stands for itself, in capitals or not. Raises
    ValueError for a `text` that is no such pattern.
    """
    *folders, file = nfc(text).split("/")
    run = "".join("(?:[^/]*/)*" if part == "**" else _run(part, "[^/]") + "/" for part in folders)
    return _compiled(text, run + ("(?:[^/]*/)*[^/]+" if file == "**" else _run(file, "[^/]")))


def _path_pattern_or_none(text: str) -> str:
    if text:
        path_pattern(text)
    return text


PathPattern = Annotated[str, AfterValidator(_path_pattern_or_none)]
"""An option that `path_pattern` understands, or "" for none."""


def text_pattern(text: str) -> re.Pattern[str]:
    """A pattern of texts, for `person_in`: as `path_pattern`, but a `/` is a letter like others. Raises ValueError."""
    return _compiled(text, _run(nfc(text), "."))


def person_in(pattern: re.Pattern[str], text: str) -> str | None:
    """The name in `text` at the place of `{person}` in a pattern of `path_pattern` or `text_pattern`; None for a text
    that the pattern does not match. Pattern, text and name are in the form in which names are compared."""
    found = pattern.fullmatch(nfc(text)) if len(text) <= _LONGEST_PATH else None
    return nfc(found["person"]) or None if found else None


def _compiled(text: str, run: str) -> re.Pattern[str]:
    if text.count("{person}") != 1:
        raise ValueError("it must say {person} once")
    return re.compile(run, re.IGNORECASE | re.DOTALL)


def names_file(text: str) -> bool:
    """Whether in a pattern of paths the name stands in the file's own, where people write who is in a photo."""
    return "{person}" in text.rpartition("/")[2]


def _run(text: str, letter: str) -> str:
    """The regular expression for a text with `*` and `{person}`, in which `letter` matches any letter.

    A star followed by text is an atomic group, as in `fnmatch`: its first way to match is the only one tried, which is
    enough, as a later star takes up the slack. So no name, however odd, can keep the search busy.
    """
    before, named, after = text.partition("{person}")
    if set("{}") & set(before + after):
        raise ValueError("{ and } only make {person}")
    if named and (before.endswith("*") or after.startswith("*")):
        raise ValueError("between * and {person} some text must stand, or nothing tells where the name begins and ends")
    if named:
        return _stars(before, letter, last=False) + f"(?P<person>{letter}+)" + _stars(after, letter, last=True)
    return _stars(text, letter, last=True)


def _stars(text: str, letter: str, last: bool) -> str:
    """The same for a text with `*` alone; `last` if nothing with a star follows it."""
    first, *rest = (re.escape(piece) for piece in re.split(r"\*+", text))
    lazy, end = (rest[:-1], rest[-1:]) if last else (rest, [])
    return first + "".join(f"(?>{letter}*?{piece})" for piece in lazy) + "".join(f"{letter}*{piece}" for piece in end)
