"""A camera's RAW file is seen by the largest JPEG in it, turned as the file says, wherever the camera put it."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mien.errors import PhotoError
from mien.text.photos import FileType, PhotoFault, of_preview
from mien.vision import raw
from mien.vision.images import decode, metadata_in

SENSOR = np.random.default_rng(4).integers(0, 256, 40_000, np.uint8).tobytes()
"""What a sensor saw, compressed: any bytes."""
LOSSLESS = b"\xff\xd8\xff\xc3" + struct.pack(">HBHHB", 17, 8, 4000, 6000, 3) + bytes(9) + SENSOR + b"\xff\xd9"
"""A lossless JPEG, in which Canon and Adobe keep what the sensor saw."""


def jpeg(width: int, height: int, left: str = "red", **options: object) -> bytes:
    """A picture of which the left half is of a colour, the other blue."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste(left, (0, 0, width // 2, height))
    buffer = BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def tiff(orientation: int, *parts: bytes, order: str = "<") -> bytes:
    """A TIFF of one directory, which says the orientation, and then these parts."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HL", 42, 8)
    return head + struct.pack(order + "HHHLHHL", 1, 274, 3, 1, orientation, 0, 0) + b"".join(parts)


LARGE, SMALL = jpeg(900, 600), jpeg(160, 120, "green")
NEF = tiff(1, SMALL, SENSOR, LARGE, SENSOR, order=">")
FILES = {
    "a.NEF": NEF,
    "a.CR2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(20) + LARGE + SMALL + LOSSLESS,
    "a.dng": tiff(1, SMALL, LOSSLESS, jpeg(900, 600, progressive=True)),
    "a.ARW": tiff(1, LARGE, SENSOR, SMALL),
    "a.CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + b"\0\0\1\0CMT1" + tiff(1) + SMALL + LARGE + SENSOR,
    "a.RAF": b"FUJIFILMCCD-RAW 0201" + bytes(80) + LARGE + SENSOR,
    "a.orf": b"IIRO\x08\0\0\0" + bytes(6) + SMALL + SENSOR + LARGE,
    "a.rw2": b"IIU\0\x08\0\0\0" + bytes(6) + LARGE + SENSOR,
    "preview with a thumbnail.nef": tiff(1, jpeg(900, 600, exif=b"Exif\0\0" + tiff(1) + SMALL), SENSOR),
}


@pytest.mark.parametrize("name", FILES)
def test_the_largest_preview_is_the_photo(name: str) -> None:
    picture = decode(FILES[name], name)
    photo = picture.photo
    assert (photo.format, photo.width, photo.height) == ("raw", 900, 600)
    assert picture.pixels[300, 100, 0] > 200 and picture.pixels[300, 800, 2] > 200
    said = of_preview(photo.format, photo.width, photo.height)
    assert said == "its embedded preview was looked at, 900 x 600"
    assert of_preview("JPEG", 900, 600) == ""


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("own", [None, 1, 6])
def test_the_file_says_which_way_is_up_unless_the_preview_does(own: int | None, order: str) -> None:
    preview = jpeg(900, 600) if own is None else jpeg(900, 600, exif=oriented(own))
    upright = own == 1
    picture = decode(tiff(8, preview, order=order), "a.nef")
    assert (picture.photo.width, picture.photo.height) == ((900, 600) if upright else (600, 900))
    red = picture.pixels[-50, 300, 0] if own is None else picture.pixels[50, 300 if own == 6 else 100, 0]
    assert red > 200


def test_a_cr3_says_it_in_a_box() -> None:
    data = FILES["a.CR3"].replace(tiff(1), tiff(6))
    assert decode(data, "a.cr3").photo.height == 900
    assert decode(data.replace(b"CMT1", b"CMT9"), "a.cr3").photo.height == 600


@pytest.mark.parametrize(
    "data",
    [
        tiff(1, SENSOR),
        tiff(1, SMALL, SENSOR),
        tiff(1, LOSSLESS),
        tiff(1, LARGE[:-2]),
        tiff(1, LARGE[: len(LARGE) // 2], SENSOR[:9]),
        tiff(1, b"\xff\xd8\xff" * 30_000),
        tiff(1, b"\xff\xd8" + b"\xff\xe0\0\2" * 30_000),
    ],
)
def test_a_file_without_a_preview_of_a_use_is_refused(data: bytes) -> None:
    with pytest.raises(PhotoError) as caught:
        decode(data, "a.nef")
    assert caught.value.fault is PhotoFault.NO_PREVIEW
    assert caught.value.message == "a.nef is a camera's RAW file without a preview in which faces could be found."


def test_damage_is_survived() -> None:
    dice = np.random.default_rng(5)
    for _ in range(2000):
        data = bytearray(NEF[: 200 + len(SMALL)])
        for at in dice.integers(0, len(data), 6):
            data[at] = dice.choice((0, 1, 0xD8, 0xD9, 0xDA, 255, int(dice.integers(256))))
        raw.preview(bytes(data[: dice.integers(0, len(data))]))


def test_the_colours_are_those_of_the_preview() -> None:
    profile = bytes(16) + b"RGB " + bytes(200)
    assert metadata_in(tiff(1, jpeg(900, 600, icc_profile=profile)), "a.nef").profile == profile
    assert metadata_in(NEF, "a.nef").profile == b""


@pytest.mark.parametrize("kind", ["a.CR3", "a.NEF"])
def test_who_took_it_and_whose_it_is_stays(kind: str) -> None:
    """As in a file of a Canon EOS R6, whose previews say nothing of themselves."""
    said = oriented(6)
    said[0x013B], said[0x8298], said[0x0110], said[0x0132] = "Ada", "© Club".encode(), "EOS R6", "2021:05:12 12:21:21"
    tags = said.tobytes().removeprefix(b"Exif\0\0")
    head = b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + b"\0\0\1\0CMT1" if kind == "a.CR3" else b""
    file = head + tags + SMALL + LARGE + SENSOR
    kept = Image.Exif()
    kept.load(metadata_in(file, kind).exif)
    assert [kept[tag] for tag in (0x013B, 0x0110, 0x0132)] == ["Ada", "EOS R6", "2021:05:12 12:21:21"]
    assert kept[0x8298].encode("latin-1").decode() == "© Club", "as it was written, though Pillow reads Latin-1"
    assert decode(file, kind).pixels.shape == (900, 600, 3) and kept[0x0112] == 1, "a copy is upright"


@pytest.mark.parametrize("tags", [b"II*\0\x08\0\0\0\xff\xff", b"II*\0\xff\xff\xff\x7f", b"MM\0*"])
def test_tags_that_are_broken_are_left_out(tags: bytes) -> None:
    assert decode(tags + bytes(40) + LARGE, "a.nef").pixels.shape == (600, 900, 3)


def test_an_embedded_picture_of_a_plain_tiff_is_not_taken_for_the_photo() -> None:
    buffer = BytesIO()
    Image.new("RGB", (30, 20)).save(buffer, "TIFF")
    assert decode(buffer.getvalue() + LARGE, "a.tif").photo.format == FileType.TIFF
