"""Whether a text that names a person names several: "Ada and Bo", "Ada; Bo", "Ada Lovelace, Bo Smith"."""

from __future__ import annotations

import re
from functools import lru_cache

from mien.text.names import nfc

_BETWEEN = re.compile(
    r"\s*[;|；｜\n]\s*|\s*[&＆]\s*|\s+[+/]\s+|\s*[、/]\s*"
    r"|\s+(?:and|et|(?<!\bvon )und(?! zu\b))\s+",
    re.IGNORECASE,
)
"""What stands between two names and in none: "von und zu" is in one."""
_MAYBE_BETWEEN = re.compile(r"\s+(?:y|e|i|og|och|ja|en|ve|и|та)\s+", re.IGNORECASE)
"""Words for "and" that stand in names as well, before a second family name: Ortega y Gasset."""
_COMMA = re.compile(r"\s*[,，،]\s*")
_AFTER_A_NAME = re.compile(
    r"(?:jr|sr|jun|sen|junior|senior|[ivx]+|esq|ph\.? ?d|m\.? ?d|dr|prof|mba|m\.?a|b\.?a|m\.?sc|b\.?sc|.*\d.*)\.?",
    re.IGNORECASE,
)
"""What follows a comma and is no name of its own: a degree, a year."""


_LONGEST = 1000
"""Letters of a text in which names are looked for; no source may name anybody by more than 200."""


@lru_cache(4096)
def people_listed(text: str, prose: bool = True) -> tuple[str, ...]:
    """The names in a `text` that may be a list of several people; none if it can only be one person's.

    A comma alone is in "Ada, Bo" and in "Smith, Will", which nobody can tell apart: it makes a list of a text that is
    written for readers (`prose`), as of a feed; in a table, where family names come first as often, only between names
    that have two words each, or of three.
    """
    short = "\n".join(" ".join(line.split()) for line in text.split("\n"))  # no run of spaces keeps a search busy
    if len(short) > _LONGEST:
        return ()
    lines = "\n".join(map(nfc, short.split("\n")))
    parts = [part for part in _BETWEEN.split(lines.strip()) if part]
    several = len(parts) > 1
    found: list[str] = []
    for part in parts:
        names = [name for name in _COMMA.split(part) if name]
        named = names[:1] + [name for name in names[1:] if not _AFTER_A_NAME.fullmatch(name)]
        full = len(named) > 1 and all(" " in name for name in named)
        several |= full or len(named) > 2 or (prose and len(named) > 1)
        for name in named:
            words = [word for word in _MAYBE_BETWEEN.split(name) if word]
            listed = len(words) > 1 and (prose or several) and len({" " in word for word in words}) == 1
            several |= listed
            found += words if listed else [name]
    return tuple(dict.fromkeys(found)) if several else ()
