"""What is said of who may ask a server: what keys allow, why one is refused, what becomes of a repeated request.

A key has the name of a desk or a program, which a human gives; no name of a person is asked for.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from mien.errors import UsageError
from mien.text.kinds import Kind
from mien.text.names import nfc, quoted_name
from mien.text.words import listed

LONGEST_KEY_NAME: Final = 40
"""Letters in the name of a key: it stands in tables, logs and figures by key."""


class Scope(StrEnum):
    """What a key allows; each scope allows what those before it do."""

    CLASSIFY = "classify"
    """To ask who is in a picture."""
    REVIEW = "review"
    """To read what the album holds as well: people, photos, models, runs."""
    ADMIN = "admin"
    """To change the album as well, and to be given embeddings, which are biometric data."""

    def allows(self, needed: Scope) -> bool:
        """Whether a key of this scope may do what needs another."""
        scopes = list(Scope)
        return scopes.index(self) >= scopes.index(needed)


def scope_of(word: str) -> Scope:
    """The scope of this name. Raises UsageError."""
    try:
        return Scope(word)
    except ValueError:
        what = "is no scope of a key"
        raise UsageError(quoted_name(word), what, f"Name {listed(list(Scope), 'or')}.") from None


class KeyKind(Kind):
    """Why a key is refused; the words complete "the key "."""

    UNKNOWN = ("unknown", "is none of this album's", "`mien keys add NAME` makes one.")
    REVOKED = ("revoked", "was revoked", "`mien keys add NAME` makes another.")
    EXPIRED = ("expired", "is past its last day", "`mien keys add NAME` makes another.")


class RepeatKind(Kind):
    """What became of a request that is repeated with its idempotency key, and has no reply; the words complete
    "the request with this idempotency key "."""

    RUNNING = ("running", "is still being carried out", "Ask again in a moment.")
    INTERRUPTED = (
        "interrupted",
        "was begun and interrupted, and nobody can say how far it came",
        "See what the album holds now, and ask for what is missing with another idempotency key.",
    )
    DIFFERENT = ("different", "asked for something else before", "Use a new idempotency key for a new request.")


def valid_key_name(name: str) -> str:
    """`name` in the form in which names are compared, if a key can be called so. Raises UsageError."""
    name = nfc(name)
    if not re.fullmatch(rf"[^\W_][\w.-]{{0,{LONGEST_KEY_NAME - 1}}}", name):
        raise UsageError(
            quoted_name(name),
            "cannot be the name of a key",
            f"Choose up to {LONGEST_KEY_NAME} letters, digits, dots, hyphens and underscores, such as front-desk.",
        )
    return name
