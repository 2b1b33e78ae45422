"""What a file is by its first bytes, and what its name promises."""

from __future__ import annotations

import pytest

from mien.vision.sniff import Looks, kind_of_name, sniff


def _box(*brands: bytes) -> bytes:
    body = b"ftyp" + brands[0] + b"\0\0\0\0" + b"".join(brands[1:])
    return (len(body) + 4).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("data", "name", "looks"),
    [
        (b"\xff\xd8\xff\xe0", "a.png", Looks("picture", "JPEG")),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a.jpg", Looks("picture", "WEBP")),
        (_box(b"avif", b"mif1"), "a", Looks("picture", "AVIF")),
        (_box(b"mif1", b"avif", b"miaf"), "a", Looks("picture", "HEIF")),
        (_box(b"XXXX", b"miaf", b"heic"), "a", Looks("picture", "HEIF")),
        (_box(b"heic", b"mif1"), "a.jpg", Looks("picture", "HEIF")),
        (_box(b"qt  "), "a.jpg", Looks("not-a-picture", "a video")),
        (_box(b"crx ", b"isom"), "a.CR3", Looks("unsupported", "a camera's RAW file")),
        (b"II*\0\x10\0\0\0CR\x02\0", "a.tif", Looks("unsupported", "a camera's RAW file")),
        (b"MM\0*\0\0\0\x08", "DSC_1.NEF", Looks("unsupported", "a camera's RAW file")),
        (b"MM\0*\0\0\0\x08", "scan.tif", Looks("picture", "TIFF")),
        (b"P5\n# made by\n", "s1.pgm", Looks("picture", "PPM")),
        (b"\0\0\x02" + bytes(30), "old.TGA", Looks("picture", "TGA")),
        (b"%!PS-Adobe-3.0 EPSF", "a.jpg", Looks("unsupported", "a PostScript drawing")),
        (b"%PDF-1.7", "a.jpg", Looks("not-a-picture", "a PDF document")),
        (b"\n <!DOCTYPE HTML><html>", "a.jpg", Looks("not-a-picture", "a web page (HTML)")),
        (b'<?xml version="1.0"?><svg>', "a.png", Looks("unsupported", "a drawing (SVG)")),
        (b"<?xml version='1.0'?><x:xmpmeta>", "a.jpg", Looks("not-a-picture", "an XML document")),
        ("404: not found, schöne Grüße".encode(), "a.jpg", Looks("not-a-picture", "text")),
        ("ü".encode() * 1000 + b"\0", "a.jpg", Looks("not-a-picture", "text")),
        (b" " + "ü".encode() * 1000, "a.jpg", Looks("not-a-picture", "text")),  # the cut falls inside a letter
        (b"\x93\x01\x02\0", "a.jpg", Looks("not-a-picture", "of no kind mien knows")),
        (b"", "a.jpg", Looks("not-a-picture", "text")),
    ],
)
def test_sniff(data: bytes, name: str, looks: Looks) -> None:
    assert sniff(data, name) == looks


@pytest.mark.parametrize(
    "name",
    [
        *("a.jpg", "A.JPG", "x/y/b.JpEg", "c.heic", "d.HEIF", "e.tiff", "f.g.webp", "g.avif"),
        *("h.jpg?w=620", "i.png?fit=max&from=a.b", "who?.jpg", "who?/j.jpg"),
    ],
)
def test_photos(name: str) -> None:
    assert kind_of_name(name) == "photo"


@pytest.mark.parametrize("name", ["IMG_1.CR2", "a.nef", "b.dng", "c.MOV", "d.mp4", "e.psd", "f.svg", "g.jxl"])
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
