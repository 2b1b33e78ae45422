"""What type a file has, by its first bytes, and what its name promises. Nothing is decoded here."""

from __future__ import annotations

import os
from codecs import getincrementaldecoder
from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal

from mien.text.photos import FileType
from mien.vision.tiff import is_raw

NameKind = Literal["photo", "unsupported", "ignored"]
"""What a file's name promises, see `kind_of_name`."""

_SIGNATURES: tuple[tuple[int, bytes, FileType], ...] = (
    (8, b"CR\x02\0", FileType.RAW),  # Canon CR2, by the rest a TIFF; so it comes before TIFF
    (0, b"FUJIFILMCCD-RAW", FileType.RAW),
    (6, b"HEAPCCDR", FileType.RAW),  # Canon CRW
    (0, b"IIU\0", FileType.RAW),  # Panasonic
    (0, b"IIR", FileType.RAW),  # Olympus
    (0, b"MMOR", FileType.RAW),
    (0, b"FOVb", FileType.RAW),  # Sigma
    (0, b"\0MRM", FileType.RAW),  # Minolta
    (0, b"\xff\xd8\xff", FileType.JPEG),
    (0, b"\x89PNG\r\n\x1a\n", FileType.PNG),
    (0, b"GIF87a", FileType.GIF),
    (0, b"GIF89a", FileType.GIF),
    (8, b"WEBP", FileType.WEBP),
    (0, b"BM", FileType.BMP),
    (0, b"II*\0", FileType.TIFF),
    (0, b"MM\0*", FileType.TIFF),
    (0, b"II+\0", FileType.TIFF),  # BigTIFF
    (0, b"MM\0+", FileType.TIFF),
    (0, b"\0\0\0\x0cjP  ", FileType.JPEG2000),
    (0, b"\xff\x4f\xff\x51", FileType.JPEG2000),  # bare codestream
    *((0, f"P{digit}{space}".encode(), FileType.PPM) for digit in "123456f" for space in "\n\r\t "),
    *((0, bytes((10, version, 1)), FileType.PCX) for version in (0, 2, 3, 5)),
    (0, b"\x01\xda", FileType.SGI),
    (0, b"\xff\x0a", FileType.JPEG_XL),
    (0, b"\0\0\0\x0cJXL ", FileType.JPEG_XL),
    (0, b"8BPS", FileType.PHOTOSHOP),
    (0, b"%!PS", FileType.POSTSCRIPT),
    (0, b"\xc5\xd0\xd3\xc6", FileType.POSTSCRIPT),
    (0, b"\xd7\xcd\xc6\x9a", FileType.WMF),
    (0, b"\0\0\x01\0", FileType.ICON),
    (0, b"DDS ", FileType.DDS),
    (0, b"SIMPLE  =", FileType.FITS),
    (0, b"/* XPM", FileType.XPM),
    (0, b"\x59\xa6\x6a\x95", FileType.SUN_RASTER),
    (0, b"%PDF", FileType.PDF),
    (8, b"AVI ", FileType.VIDEO),
    (0, b"\x1a\x45\xdf\xa3", FileType.VIDEO),  # Matroska, WebM
    (0, b"\0\0\x01\xba", FileType.VIDEO),  # MPEG
    (0, b"FLV\x01", FileType.VIDEO),
    (0, b"\x30\x26\xb2\x75", FileType.VIDEO),  # Windows Media
    (0, b"PK\x03\x04", FileType.ZIP),
    (0, b"\x1f\x8b", FileType.GZIP),
    (0, b"Rar!\x1a\x07", FileType.OTHER_ARCHIVE),
    (0, b"7z\xbc\xaf\x27\x1c", FileType.OTHER_ARCHIVE),
    (257, b"ustar", FileType.OTHER_ARCHIVE),
    (0, b"L\0\0\0\x01\x14\x02\0", FileType.SHORTCUT),  # .lnk
    (0, b"[InternetShortcut]", FileType.SHORTCUT),  # .url
    (0, b"[Desktop Entry]", FileType.SHORTCUT),
    (0, b"bplist00", FileType.SHORTCUT),  # .webloc, and what else Apple keeps in such lists
)
"""(offset, bytes, type); the first that matches counts. mien never decodes EPS, WMF and PDF, because reading them
starts other programs."""

_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


_RAW = "dng 3fr arw cr2 cr3 crw dcr erf fff iiq k25 kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f"
RAW_ENDINGS = tuple(_RAW.split())
"""How the names of cameras' RAW files end, in lower case."""
_RAW_SUFFIXES = _suffixes(_RAW)
_PHOTO_SUFFIXES = _RAW_SUFFIXES | _suffixes(
    "jpg jpeg jpe jfif mpo png apng gif webp bmp dib tif tiff avif avifs heic heics heif heifs hif jp2 j2k jpx jpf jpc"
    " j2c jxl ppm pgm pbm pnm pfm tga pcx sgi rgb"
)
_UNSUPPORTED_SUFFIXES = _suffixes(
    "psd psb svg eps ico dds mp4 m4v mov avi mkv webm mpg mpeg wmv asf 3gp 3g2 mts m2ts flv ogv"
)


_CONTAINERS: Mapping[str, FileType] = {
    ".zip": FileType.ZIP,
    **dict.fromkeys(_suffixes("gz tgz"), FileType.GZIP),
    **dict.fromkeys(_suffixes("7z rar tar"), FileType.OTHER_ARCHIVE),
    **dict.fromkeys(_suffixes("lnk url webloc desktop"), FileType.SHORTCUT),
}


def container_of_name(name: str) -> FileType | None:
    """What a file of this name is instead of photos, where people have it for photos: an archive, or a shortcut."""
    return None if name.startswith(".") else _CONTAINERS.get(os.path.splitext(name)[1].lower())  # noqa: PTH122


def kind_of_name(name: str) -> NameKind:
    """What a walk through a folder does with a file of this name: it reads a "photo", counts an "unsupported" one
    (video, drawing), and passes over one that is "ignored" (hidden files, Thumbs.db, sidecars, anything
    else).

    `sniff` has the last word on what a file is. Downloaders save files under names such as "a.jpg?w=620", so what
    precedes a question mark may promise a photo too.
    """
    name = os.path.basename(name)  # noqa: PTH119 - walks ask this of every file, and a Path costs ten times as much
    suffixes = {os.path.splitext(part)[1].lower() for part in (name, name.partition("?")[0])}  # noqa: PTH122
    if name.startswith("."):
        return "ignored"
    if suffixes & _PHOTO_SUFFIXES:
        return "photo"
    return "unsupported" if suffixes & _UNSUPPORTED_SUFFIXES else "ignored"


def sniff(data: bytes, name: str) -> FileType:
    """The type of the file that begins with `data`. `name` counts only where bytes cannot tell: most RAW files are
    TIFFs with a thumbnail inside, whose directories may lie further on, and TGA has no signature."""
    suffix = PurePath(name).suffix.lower()
    if data.startswith(b"ftyp", 4):
        return _type_by_brand(data)
    found = next((kind for offset, magic, kind in _SIGNATURES if data.startswith(magic, offset)), None)
    if found is FileType.TIFF and (suffix in _RAW_SUFFIXES or is_raw(data)):
        return FileType.RAW
    if found:
        return found
    if suffix == ".tga" and len(data) > 18 and not _is_text(data):
        return FileType.TGA
    return _type_of_text(data)


def _type_by_brand(data: bytes) -> FileType:
    """The type of a file that begins with an `ftyp` box, which names a major brand, a version, and the brands that the
    file is compatible with (ISO 14496-12)."""
    end = min(int.from_bytes(data[:4], "big"), 256)
    major, compatible = data[8:12], frozenset(data[i : i + 4] for i in range(16, end, 4))
    for brands in (frozenset((major,)), compatible):
        if brands & _AVIF_BRANDS:
            return FileType.AVIF
        if brands & _HEIF_BRANDS:
            return FileType.HEIF
    return FileType.RAW if major == b"crx " else FileType.VIDEO


def _type_of_text(data: bytes) -> FileType:
    """The kind of text that the file holds; OTHER if it holds none."""
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return FileType.HTML
    if start.startswith((b"<svg", b"<?xml", b"<!--")) and b"<svg" in start:
        return FileType.SVG
    if start.startswith(b"<?xml"):
        return FileType.XML
    return FileType.TEXT if _is_text(data) else FileType.OTHER


def _is_text(data: bytes) -> bool:
    """Whether the file begins with UTF-8 text."""
    start = data[:1024]
    try:
        getincrementaldecoder("utf-8")().decode(start)  # incremental: the cut may fall inside a character
    except UnicodeDecodeError:
        return False
    return not any(byte < 9 or 13 < byte < 32 for byte in start)
