"""Names of people and of files: the form in which they are compared, and whether they can be a folder's name."""

from __future__ import annotations

import json
import re
import unicodedata

from mien.errors import UsageError

FILE_NAME = "mien.toml"
"""The file with an album's settings, whose presence makes a folder an album."""

LONGEST_NAME = 200
"""Bytes of UTF-8 in a name that mien makes; file systems take 255, and an ending or a number may have to be added."""

_OF_SYSTEMS = re.compile(
    r"@eadir|@tmp|#recycle|#snapshot"  # Synology: small copies of the photos, bins, earlier states
    r"|@recycle|@recently-snapshot"  # QNAP
    r"|\$recycle\.bin|recycler|recycled|system volume information|found\.[0-9]{3}"  # Windows, and its disk check
    r"|__macosx|network trash folder|temporary items"  # macOS, in archives and on shares
    r"|lost\+found",  # each ext4 disk
    re.IGNORECASE,
)

_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)


def nfc(name: str) -> str:
    """The form in which names are compared."""
    return unicodedata.normalize("NFC", name)


def valid_person(name: str) -> str:
    """`name` in NFC, if it can be a folder's name on Linux, macOS and Windows alike: albums are carried about.

    Raises UsageError; a name is never bent into shape, as two people might become one.
    """
    name = nfc(name)
    if problem := _problem(name):
        raise UsageError(
            quoted_name(name), f"cannot be a person's name: {problem}", "Choose a name that a folder can have."
        )
    return name


def _problem(name: str) -> str | None:
    if not name.strip():
        return "it is empty"
    if bad := sorted({c for c in name if c in '/\\<>:"|?*'}):
        return f"{' '.join(bad)} cannot stand in a folder's name on every system"
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        return "there is a control character in it"
    if name.startswith("."):
        return "it begins with a dot, which hides a folder"
    if name != name.strip() or name.endswith("."):
        return "it begins or ends with a space, or ends with a dot"
    if is_of_systems(name) or _WINDOWS_DEVICE.fullmatch(name):
        return "it is reserved by some systems"
    if len(name.encode()) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} bytes"
    return None


def is_of_systems(name: str) -> bool:
    """Whether a file or folder of this name is never a person's and no photo: it is hidden, or systems put it beside
    photos, full of small copies or of what was deleted."""
    return name.startswith(".") or _OF_SYSTEMS.fullmatch(name) is not None


def folded(name: str) -> str:
    """Two names that are equal so folded may be one file on macOS or Windows."""
    return nfc(nfc(name).casefold())


def shortened(name: str) -> str:
    return name.encode()[:LONGEST_NAME].decode(errors="ignore")


def is_unicode(name: str) -> bool:
    """Whether it can be stored as text: Linux file names are bytes, and Python carries odd ones as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def quoted_name(name: str) -> str:
    return json.dumps(name, ensure_ascii=not is_unicode(name))
