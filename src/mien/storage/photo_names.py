"""What a photo from elsewhere is called in the album: a name that any system can give to a file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mien.errors import UsageError
from mien.text.names import LONGEST_NAME, nfc, valid_person
from mien.vision.sniff import RAW_ENDINGS, kind_of_name

_ENDINGS: Mapping[str, tuple[str, ...]] = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif", "mpo"),
    "PNG": ("png", "apng"),
    "GIF": ("gif",),
    "WEBP": ("webp",),
    "BMP": ("bmp", "dib"),
    "TIFF": ("tif", "tiff"),
    "AVIF": ("avif", "avifs"),
    "HEIF": ("heic", "heif", "heics", "heifs", "hif"),
    "JPEG2000": ("jp2", "j2k", "jpx", "jpf", "jpc", "j2c"),
    "PPM": ("ppm", "pgm", "pbm", "pnm", "pfm"),
    "PCX": ("pcx",),
    "SGI": ("sgi", "rgb"),
    "TGA": ("tga",),
    "jpeg xl": ("jxl",),
    "raw": RAW_ENDINGS,
}
"""How the name of a photo of each format may end; the first is what it gets else."""


def photo_name(name: str, fmt: str) -> str:
    """A name that any system can give to a file, and that says what is in it (`fmt` as in Photo), as near as can be to
    `name`, which may be hostile: of a path its last part."""
    last = re.split(r"[/\\]", nfc(name))[-1]
    if kind_of_name(last.partition("?")[0]) == "photo":
        last = last.partition("?")[0]  # "a.jpg?w=620"
    clean = "".join(each if each.isprintable() and each not in '<>:"|?*' else "_" for each in last).strip(" .")
    stem, _, ending = clean.rpartition(".")
    if not stem or ending.lower() not in _ENDINGS[fmt]:
        stem = stem if stem and kind_of_name(clean) != "ignored" else clean  # "a.png" that is none, but "J. Smith" is
        ending = _ENDINGS[fmt][0]
    room = LONGEST_NAME - len(ending) - len(".-99999999")
    stem = stem.encode()[:room].decode(errors="ignore").strip(" .") or "photo"
    try:
        return valid_person(f"{stem}.{ending}")  # what a folder can be called, a file can
    except UsageError:
        return f"_{stem}.{ending}"  # a device of Windows, "con.jpg"
