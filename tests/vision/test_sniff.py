"""What a file is by its first bytes, and what its name promises."""

from __future__ import annotations

import pytest

from mien.text.photos import FileType, PhotoFault
from mien.vision.sniff import kind_of_name, sniff


def _box(*brands: bytes) -> bytes:
    body = b"ftyp" + brands[0] + b"\0\0\0\0" + b"".join(brands[1:])
    return (len(body) + 4).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("data", "name", "file_type"),
    [
        (b"\xff\xd8\xff\xe0", "a.png", FileType.JPEG),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a.jpg", FileType.WEBP),
        (_box(b"avif", b"mif1"), "a", FileType.AVIF),
        (_box(b"mif1", b"avif", b"miaf"), "a", FileType.HEIF),
        (_box(b"XXXX", b"miaf", b"heic"), "a", FileType.HEIF),
        (_box(b"heic", b"mif1"), "a.jpg", FileType.HEIF),
        (_box(b"qt  "), "a.jpg", FileType.VIDEO),
        (_box(b"crx ", b"isom"), "a.CR3", FileType.RAW),
        (b"II*\0\x10\0\0\0CR\x02\0", "a.tif", FileType.RAW),
        (b"MM\0*\0\0\0\x08", "DSC_1.NEF", FileType.RAW),
        (b"MM\0*\0\0\0\x08", "scan.tif", FileType.TIFF),
        (b"P5\n# made by\n", "s1.pgm", FileType.PPM),
        (b"\0\0\x02" + bytes(30), "old.TGA", FileType.TGA),
        (b"%!PS-Adobe-3.0 EPSF", "a.jpg", FileType.POSTSCRIPT),
        (b"%PDF-1.7", "a.jpg", FileType.PDF),
        (b"\n <!DOCTYPE HTML><html>", "a.jpg", FileType.HTML),
        (b'<?xml version="1.0"?><svg>', "a.png", FileType.SVG),
        (b"<?xml version='1.0'?><x:xmpmeta>", "a.jpg", FileType.XML),
        ("404: not found, schöne Grüße".encode(), "a.jpg", FileType.TEXT),
        ("ü".encode() * 1000 + b"\0", "a.jpg", FileType.TEXT),
        (b" " + "ü".encode() * 1000, "a.jpg", FileType.TEXT),  # the cut falls inside a letter
        (b"\x93\x01\x02\0", "a.jpg", FileType.OTHER),
        (b"", "a.jpg", FileType.TEXT),
    ],
)
def test_sniff(data: bytes, name: str, file_type: FileType) -> None:
    assert sniff(data, name) is file_type


@pytest.mark.parametrize(
    ("file_type", "fault"),
    [
        (FileType.JPEG, None),
        (FileType.HEIF, None),
        (FileType.RAW, None),
        (FileType.JPEG_XL, None),
        (FileType.SVG, PhotoFault.UNSUPPORTED),
        (FileType.VIDEO, PhotoFault.NOT_A_PICTURE),
        (FileType.TEXT, PhotoFault.NOT_A_PICTURE),
    ],
)
def test_what_is_wrong_with_a_file_of_a_type(file_type: FileType, fault: PhotoFault | None) -> None:
    assert file_type.fault is fault


def test_a_box_of_brands_is_no_icon() -> None:
    brands = _box(b"heic", *[b"mif1"] * 60)
    assert brands.startswith(b"\0\0\1\0"), "as an icon does"
    assert sniff(brands, "a.heic") is FileType.HEIF


@pytest.mark.parametrize(
    "name",
    [
        *("a.jpg", "A.JPG", "x/y/b.JpEg", "c.heic", "d.HEIF", "e.tiff", "f.g.webp", "g.avif"),
        *("IMG_1.CR2", "a.nef", "b.dng", "g.jxl"),
        *("h.jpg?w=620", "i.png?fit=max&from=a.b", "who?.jpg", "who?/j.jpg"),
    ],
)
def test_photos(name: str) -> None:
    assert kind_of_name(name) == "photo"


@pytest.mark.parametrize("name", ["c.MOV", "d.mp4", "e.psd", "f.svg"])
def test_pictures_of_kinds_mien_does_not_read(name: str) -> None:
    assert kind_of_name(name) == "unsupported"


@pytest.mark.parametrize(
    "name",
    [
        "Thumbs.db",
        ".DS_Store",
        "._a.jpg",
        ".hidden.jpg",
        "a.jpg.xmp",
        "a.xmp",
        "a.json",
        "a.txt",
        "jpg",
        "a.jpg~",
        "a.jpg?/b.txt",
    ],
)
def test_ignored(name: str) -> None:
    assert kind_of_name(name) == "ignored"
