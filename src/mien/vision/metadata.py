"""What a photo's file says of it besides its pixels, made ready for a JPEG copy: who took it, when and where, whose it
is, which colours its pixels mean.

EXIF is written anew from what can be read of it: the fields that describe the photo stay, upright and of the copy's
size; those that tell where something lies in the old file go, and so does its small preview. XMP stays as it is, but
for the orientation and for where faces are, as the copy may be turned. Of a Photoshop block IPTC stays, with the mark
and the address of whoever holds the copyright.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

SEGMENT: Final = 65_000
"""Bytes of a block that a JPEG can hold in one segment, with room for what names it."""

_ORIENTATION, _EXIF, _GPS = 0x0112, 0x8769, 0x8825
_WIDTH, _HEIGHT, _MAKER_NOTE = 0xA002, 0xA003, 0x927C
_DESCRIBE: Final = frozenset(
    {
        *(0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298),  # names, date, artist, copyright
        *(0x011A, 0x011B, 0x0128),  # resolution
        *(0x4746, 0x4749),  # rating
        *range(0x9C9B, 0x9CA0),  # what Windows writes: title, comment, author, keywords, subject
    }
)
"""The fields of a TIFF's first directory that are about the photo. All others are about the file: where its pixels are,
how they are packed."""
_OF_THE_FILE: Final = frozenset({_WIDTH, _HEIGHT, 0xA005, 0x9101, 0x9102})
"""The fields of EXIF's own directory that are not true of a copy."""

_IPTC, _OF_IPTC = 0x0404, (0x0404, 0x040A, 0x040B)
"""Photoshop's blocks: IPTC, whether the photo is copyrighted, and an address to ask."""
_TEXTS: Final = {"Description": 0x010E, "Author": 0x013B, "Copyright": 0x8298, "Title": 0x010D}
"""What a PNG may say in plain texts, and the field of EXIF for it."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Blocks as a JPEG holds them, b"" for what there is not: `exif` from its "Exif" on, `xmp` as a text, `iptc` as
    Photoshop's blocks, and the ICC `profile` of RGB pixels."""

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    profile: bytes = b""

    def options(self) -> dict[str, Any]:
        """What Pillow is to write beside the pixels of a JPEG."""
        iptc = b"Photoshop 3.0\0" + self.iptc
        extra = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc if self.iptc else b""
        given = {"exif": self.exif, "xmp": self.xmp, "extra": extra, "icc_profile": self.profile}
        return {name: block for name, block in given.items() if block}


NO_METADATA: Final = Metadata()


def metadata_of(image: Image.Image) -> Metadata:
    """What an image that is open says of itself. What is broken of it is left out."""
    profile = image.info.get("icc_profile")
    is_rgb = isinstance(profile, bytes) and profile[16:20] == b"RGB "  # ICC.1:2022, 7.2.6
    return Metadata(_exif(image), _xmp(image), _iptc(image), bytes(profile) if is_rgb and profile else b"")


def _exif(image: Image.Image) -> bytes:
    made = Image.Exif()
    with suppress(Exception):  # foreign code on bytes of strangers: what is broken is left out
        given = Image.Image.getexif(image)  # PNG's own decodes the picture
        made.update({tag: as_read(value) for tag, value in given.items() if tag in _DESCRIBE})
        for directory in (_EXIF, _GPS):
            given_there = given.get_ifd(directory).items()
            fields = {tag: as_read(value) for tag, value in given_there if tag not in _OF_THE_FILE}
            if fields:
                made.get_ifd(directory).update(fields)
    for name, tag in _TEXTS.items():
        text = image.info.get(name)
        if isinstance(text, str) and tag not in made:
            made[tag] = text.encode("utf-8", "replace")
    block = _written(made)
    if block is None:  # what a camera's maker writes for himself is often most of it
        made.get_ifd(_EXIF).pop(_MAKER_NOTE, None)
        block = _written(made)
    if block is None:
        first = Image.Exif()
        first.update({tag: value for tag, value in made.items() if tag in _DESCRIBE})
        block = _written(first)
    return block or b""


def as_read(value: Any) -> Any:
    """A value of EXIF that Pillow read, so that Pillow writes the same bytes again: it takes every text for Latin-1,
    and would write a question mark for a © or an accent."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value


def _written(exif: Image.Exif) -> bytes | None:
    """The fields as a JPEG has them, b"" for none; None where they are too many, or one is of a type that cannot be."""
    if not exif and not exif.get_ifd(_EXIF) and not exif.get_ifd(_GPS):
        return b""
    with suppress(Exception):
        exif[_ORIENTATION] = 1
        block = exif.tobytes()
        return block if len(block) <= SEGMENT else None
    return None


def _xmp(image: Image.Image) -> bytes:
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    block = found.encode("utf-8", "replace") if isinstance(found, str) else found
    if not isinstance(block, bytes) or len(block) > 16 * SEGMENT:
        return b""
    for pattern, instead in _UPRIGHT:
        block = pattern.sub(instead, block)
    return block.rstrip(b"\0") if len(block) <= SEGMENT else b""


_UPRIGHT: Final = (
    (re.compile(rb"(tiff:Orientation\s*=\s*[\"'])\d+"), rb"\g<1>1"),
    (re.compile(rb"(<tiff:Orientation>\s*)\d+"), rb"\g<1>1"),
    (re.compile(rb"<mwg-rs:Regions\b.*?</mwg-rs:Regions>", re.DOTALL), b""),
    (re.compile(rb"<xmp:Thumbnails\b.*?</xmp:Thumbnails>", re.DOTALL), b""),
)
"""What is not true of a copy, and what is put in its place."""


def _iptc(image: Image.Image) -> bytes:
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    with suppress(Exception):  # a TIFF may give its fields any type
        if isinstance(plain := tags.get(0x83BB), bytes):
            return _block(_IPTC, plain) if len(plain) < SEGMENT else b""
    photoshop = b"".join(
        bytes(data).removeprefix(b"Photoshop 3.0\0")
        for name, data in getattr(image, "applist", ())
        if name == "APP13" and bytes(data).startswith(b"Photoshop 3.0\0")
    )
    with suppress(Exception):
        photoshop = photoshop or bytes(tags.get(0x8649, b""))
    found = b"".join(_block(number, data) for number, data in _blocks(photoshop) if number in _OF_IPTC)
    return found if len(found) <= SEGMENT else b""


def _blocks(photoshop: bytes) -> Iterator[tuple[int, bytes]]:
    """The numbers and contents of Photoshop's blocks ("Adobe Photoshop File Formats", Image Resource Blocks)."""
    at = 0
    while photoshop[at : at + 4] == b"8BIM" and at + 12 <= len(photoshop):
        number = int.from_bytes(photoshop[at + 4 : at + 6], "big")
        name = photoshop[at + 6] + 1
        at += 6 + name + name % 2
        size = int.from_bytes(photoshop[at : at + 4], "big")
        yield number, photoshop[at + 4 : at + 4 + size]
        at += 4 + size + size % 2


def _block(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + b"\0" * (len(data) % 2)
