from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from mien.errors import StorageError, UsageError
from mien.stages.convert import Converted, convert
from mien.text.photos import LeftAlone
from mien.vision.images import read_picture

GRADIENT = np.stack([*np.mgrid[0:60:1, 0:90:1], np.full((60, 90), 120)], axis=2).astype(np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def save(file: Path, mode: str = "RGB", **options: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(GRADIENT).convert(mode).save(file, **options)
    return file


def test_a_jpeg_becomes_a_png_without_loss(tmp_path: Path) -> None:
    photo, copy = save(tmp_path / "a.jpg", quality=80), tmp_path / "b.png"
    assert convert(photo, copy) == Converted(((photo, copy),), (), ())
    with Image.open(copy) as image:
        assert image.format == "PNG"
    np.testing.assert_array_equal(read_picture(copy).pixels, read_picture(photo).pixels)


def test_a_png_becomes_a_jpeg_of_the_quality_asked_for(tmp_path: Path) -> None:
    photo = save(tmp_path / "a.png")
    sizes = []
    for quality in (30, 92, 100):
        copy = tmp_path / f"{quality}.jpeg"
        convert(photo, copy, quality=quality)
        with Image.open(copy) as image:
            assert image.format == "JPEG"
        sizes.append(copy.stat().st_size)
    assert sizes == sorted(set(sizes))
    error = np.abs(read_picture(copy).pixels.astype(int) - GRADIENT)
    assert error.mean() < 2


def test_a_photo_is_set_upright_once(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = save(tmp_path / "a.jpg", exif=exif)
    convert(photo, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        assert image.size == (60, 90)
        assert 0x0112 not in image.getexif()
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png").pixels, read_picture(photo).pixels)


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_the_colour_profile_goes_along(tmp_path: Path, ending: str) -> None:
    photo = save(tmp_path / "a.tif", icc_profile=PROFILE)
    convert(photo, tmp_path / f"b{ending}")
    with Image.open(tmp_path / f"b{ending}") as image:
        assert image.info["icc_profile"] == PROFILE


def test_a_profile_of_other_channels_does_not(tmp_path: Path) -> None:
    press = bytearray(PROFILE)
    press[16:20] = b"CMYK"
    photo = save(tmp_path / "a.jpg", "CMYK", icc_profile=bytes(press))
    convert(photo, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        assert (image.mode, "icc_profile" in image.info) == ("RGB", False)
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png").pixels, read_picture(photo).pixels)


def test_transparent_parts_become_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (64, 20), (200, 0, 0, 0))
    image.paste((200, 0, 0, 255), (32, 0, 64, 20))
    image.save(tmp_path / "a.png")
    convert(tmp_path / "a.png", tmp_path / "b.jpg")
    pixels = read_picture(tmp_path / "b.jpg").pixels
    assert pixels[:, :24].min() == 255
    assert pixels[:, 40:, 1:].max() < 10


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 65535, 600).reshape(20, 30).astype(np.uint16)).save(tmp_path / "a.tif")
    convert(tmp_path / "a.tif", tmp_path / "b.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png").pixels, read_picture(tmp_path / "a.tif").pixels)


def test_a_folder_keeps_its_order_and_bad_files_stop_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "from", tmp_path / "to"
    names = ["a.png", "deep/er/b.png", "c.gif"]
    photos = [save(source / name) for name in names]
    save(source / "d.jpg")
    save(source / "d.png")
    (source / "e.png").write_bytes(b"<html>")
    converted = convert(source, target, to="jpg", workers=2)
    assert {copy.relative_to(target).as_posix() for _, copy in converted.converted} == {
        "a.jpg",
        "c.jpg",
        "d.jpg",
        "deep/er/b.jpg",
    }
    assert {photo for photo, _ in converted.converted} == {*photos, source / "d.png"}
    assert converted.skipped == ((source / "d.jpg", target / "d.jpg", LeftAlone.SAME_FORMAT),)
    (error,) = converted.failures
    assert error.message == f"{source / 'e.png'} is not a photo mien can read; it is a web page (HTML)."
    assert (error.kind, error.__traceback__) == ("not-a-picture", None), "a traceback would hold the file"
    assert not (target / "e.jpg").exists()
    assert {file.name for file in target.rglob("*") if file.is_file()} == {"a.jpg", "b.jpg", "c.jpg", "d.jpg"}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    photo, copy = save(tmp_path / "a.png"), tmp_path / "b.jpg"
    copy.write_bytes(b"mine")
    assert convert(photo, copy) == Converted((), ((photo, copy, LeftAlone.TAKEN),), ())
    assert copy.read_bytes() == b"mine"


def test_of_two_photos_for_one_name_the_first_has_it(tmp_path: Path) -> None:
    for name in ("a.gif", "A.png"):
        save(tmp_path / "from" / name)
    converted = convert(tmp_path / "from", tmp_path / "to", to=".JPEG")
    assert [(photo.name, copy.name) for photo, copy in converted.converted] == [("A.png", "A.jpg")]
    assert [(photo.name, why) for photo, _, why in converted.skipped] == [("a.gif", LeftAlone.TAKEN)]


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    assert len(convert(tmp_path, tmp_path, to="jpg").converted) == 1
    again = convert(tmp_path, tmp_path, to="jpg")
    assert again.converted == ()
    assert [(photo.name, why) for photo, _, why in again.skipped] == [
        ("a.jpg", LeftAlone.SAME_FORMAT),
        ("a.png", LeftAlone.TAKEN),
    ]


UNSAID = r"^The format to convert to is not said\. Name a file that ends in \.png or \.jpg, or use --to\.$"


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("b.gif", {}, UNSAID),
        ("b", {}, UNSAID),
        ("b", {"to": "gif"}, r"^gif is not a format to convert to\. Convert to png or jpeg\.$"),
        ("b.jpg", {"quality": 101}, r"^A JPEG's quality cannot be 101\. It is"),
        ("b.jpg", {"quality": 0}, r"^A JPEG's quality cannot be 0\. It is"),
    ],
)
def test_wrong_questions(tmp_path: Path, target: str, options: dict[str, Any], message: str) -> None:
    photo = save(tmp_path / "a.png")
    with pytest.raises(UsageError, match=message):
        convert(photo, tmp_path / target, **options)
    with pytest.raises(UsageError):
        convert(tmp_path, tmp_path / "b.jpg")
    with pytest.raises(UsageError, match="does not exist"):
        convert(tmp_path / "missing.png", tmp_path / "b.jpg")
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_a_copy_that_cannot_be_written(tmp_path: Path) -> None:
    photo = save(tmp_path / "a.png")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        convert(photo, tmp_path / "file", to="jpg")
    assert {file.name for file in tmp_path.iterdir()} == {"a.png", "file"}


def test_programs_get_the_same(tmp_path: Path) -> None:
    photo, copy = save(tmp_path / "a.png"), tmp_path / "b.jpg"
    told = json.loads(json.dumps(convert(photo, copy).to_json()))
    assert told == {"converted": [{"photo": str(photo), "copy": str(copy)}], "skipped": [], "failures": []}
    told = json.loads(json.dumps(convert(photo, copy).to_json()))
    assert told["skipped"] == [{"photo": str(photo), "copy": str(copy), "reason": "taken"}]
    photo.write_bytes(photo.read_bytes()[:-30])
    told = json.loads(json.dumps(convert(photo, tmp_path / "c.jpg").to_json()))
    assert [error["kind"] for error in told["failures"]] == ["truncated"]
