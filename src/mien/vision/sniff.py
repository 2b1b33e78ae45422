"""What a file is, from its first bytes, and what its name promises. Nothing is decoded here."""

from __future__ import annotations

import os
from codecs import getincrementaldecoder
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

NameKind = Literal["photo", "unsupported", "ignored"]


@dataclass(frozen=True, slots=True)
class Looks:
    """What the first bytes say. `what` is the format mien decodes it by ("JPEG") when `kind` is "picture", else a
    description that completes "it is ..."; "unsupported" is a picture of a kind mien does not read."""

    kind: Literal["picture", "unsupported", "not-a-picture"]
    what: str


_PICTURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (8, b"WEBP", "WEBP"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),  # BigTIFF
    (0, b"MM\0+", "TIFF"),
    (0, b"\0\0\0\x0cjP  ", "JPEG2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG2000"),  # bare codestream
    *((0, f"P{digit}{space}".encode(), "PPM") for digit in "123456f" for space in "\n\r\t "),
    *((0, bytes((10, version, 1)), "PCX") for version in (0, 2, 3, 5)),
    (0, b"\x01\xda", "SGI"),
)
"""(offset, bytes, format). EPS, WMF and PDF are not here on purpose: reading them starts other programs."""

_OTHERS: tuple[tuple[int, bytes, Literal["unsupported", "not-a-picture"], str], ...] = (
    (8, b"CR\x02\0", "unsupported", "a camera's RAW file"),  # Canon CR2, else a TIFF; so these come first
    (0, b"FUJIFILMCCD-RAW", "unsupported", "a camera's RAW file"),
    (0, b"IIU\0", "unsupported", "a camera's RAW file"),  # Panasonic
    (0, b"IIR", "unsupported", "a camera's RAW file"),  # Olympus
    (0, b"MMOR", "unsupported", "a camera's RAW file"),
    (0, b"FOVb", "unsupported", "a camera's RAW file"),  # Sigma
    (0, b"\0MRM", "unsupported", "a camera's RAW file"),  # Minolta
    (0, b"\xff\x0a", "unsupported", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cJXL ", "unsupported", "a JPEG XL picture"),
    (0, b"8BPS", "unsupported", "a Photoshop document"),
    (0, b"%!PS", "unsupported", "a PostScript drawing"),
    (0, b"\xc5\xd0\xd3\xc6", "unsupported", "a PostScript drawing"),
    (0, b"\xd7\xcd\xc6\x9a", "unsupported", "a Windows drawing (WMF)"),
    (0, b"\0\0\x01\0", "unsupported", "an icon"),
    (0, b"DDS ", "unsupported", "a game texture (DDS)"),
    (0, b"SIMPLE  =", "unsupported", "a telescope's picture (FITS)"),
    (0, b"/* XPM", "unsupported", "an X11 icon (XPM)"),
    (0, b"\x59\xa6\x6a\x95", "unsupported", "a Sun raster picture"),
    (0, b"%PDF", "not-a-picture", "a PDF document"),
    (8, b"AVI ", "not-a-picture", "a video"),
    (0, b"\x1a\x45\xdf\xa3", "not-a-picture", "a video"),  # Matroska, WebM
    (0, b"\0\0\x01\xba", "not-a-picture", "a video"),  # MPEG
    (0, b"FLV\x01", "not-a-picture", "a video"),
    (0, b"\x30\x26\xb2\x75", "not-a-picture", "a video"),  # Windows Media
    (0, b"PK\x03\x04", "not-a-picture", "an archive (ZIP)"),
    (0, b"\x1f\x8b", "not-a-picture", "an archive (gzip)"),
)

_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


_PHOTO_SUFFIXES = _suffixes(
    "jpg jpeg jpe jfif mpo png apng gif webp bmp dib tif tiff avif avifs heic heics heif heifs hif jp2 j2k jpx jpf jpc"
    " j2c ppm pgm pbm pnm pfm tga pcx sgi rgb"
)
_RAW_SUFFIXES = _suffixes(
    "3fr arw cr2 cr3 crw dcr dng erf fff iiq k25 kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f"
)
_UNSUPPORTED_SUFFIXES = _RAW_SUFFIXES | _suffixes(
    "jxl psd psb svg eps ico dds mp4 m4v mov avi mkv webm mpg mpeg wmv asf 3gp 3g2 mts m2ts flv ogv"
)


def kind_of_name(name: str) -> NameKind:
    """What to do with a file of this name when a folder is walked: read it as a "photo", count it as "unsupported"
    (camera RAW, video, drawing), or pass it over: "ignored" (hidden files, Thumbs.db, sidecars, everything else).

    Only a first sieve: `sniff` has the last word on what a file is. Downloaders save "a.jpg?w=620" under that name, so
    what precedes a question mark may promise a photo too.
    """
    name = os.path.basename(name)  # noqa: PTH119 - walks ask this of every file, and a Path costs ten times as much
    suffixes = {os.path.splitext(part)[1].lower() for part in (name, name.partition("?")[0])}  # noqa: PTH122
    if name.startswith("."):
        return "ignored"
    if suffixes & _PHOTO_SUFFIXES:
        return "photo"
    return "unsupported" if suffixes & _UNSUPPORTED_SUFFIXES else "ignored"


def sniff(data: bytes, name: str) -> Looks:
    """What `data` is by its first bytes. `name` counts only where bytes cannot tell: most RAW files are TIFFs with a
    thumbnail inside, and TGA has no signature."""
    suffix = PurePath(name).suffix.lower()
    for offset, magic, kind, what in _OTHERS:
        if data.startswith(magic, offset):
            return Looks(kind, what)
    if data.startswith(b"ftyp", 4):
        return _boxed(data)
    for offset, magic, fmt in _PICTURES:
        if data.startswith(magic, offset):
            raw = fmt == "TIFF" and suffix in _RAW_SUFFIXES
            return Looks("unsupported", "a camera's RAW file") if raw else Looks("picture", fmt)
    if suffix == ".tga" and len(data) > 18 and not _is_text(data):
        return Looks("picture", "TGA")
    return _written(data)


def _boxed(data: bytes) -> Looks:
    """ISO 14496-12: the `ftyp` box names a major brand, then a version, then the brands it is compatible with."""
    end = min(int.from_bytes(data[:4], "big"), 256)
    major, compatible = data[8:12], frozenset(data[i : i + 4] for i in range(16, end, 4))
    for brands in (frozenset((major,)), compatible):
        if brands & _AVIF_BRANDS:
            return Looks("picture", "AVIF")
        if brands & _HEIF_BRANDS:
            return Looks("picture", "HEIF")
    return Looks("unsupported", "a camera's RAW file") if major == b"crx " else Looks("not-a-picture", "a video")


def _written(data: bytes) -> Looks:
    """Text of some sort, or nothing known."""
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return Looks("not-a-picture", "a web page (HTML)")
    if start.startswith((b"<svg", b"<?xml", b"<!--")) and b"<svg" in start:
        return Looks("unsupported", "a drawing (SVG)")
    if start.startswith(b"<?xml"):
        return Looks("not-a-picture", "an XML document")
    return Looks("not-a-picture", "text" if _is_text(data) else "of no kind mien knows")


def _is_text(data: bytes) -> bool:
    start = data[:1024]
    try:
        getincrementaldecoder("utf-8")().decode(start)  # incremental: the cut may fall inside a character
    except UnicodeDecodeError:
        return False
    return not any(byte < 9 or 13 < byte < 32 for byte in start)
