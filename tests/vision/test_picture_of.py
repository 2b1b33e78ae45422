"""Photos that somebody else has decoded: PIL images and arrays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import PhotoError
from mien.types import Picture, Pixels
from mien.vision import decoding
from mien.vision.images import decode, picture_of

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16")


@pytest.fixture
def scene() -> Pixels:
    """Four colours, 12 by 8 pixels."""
    pixels = np.zeros((8, 12, 3), np.uint8)
    pixels[:4, :6], pixels[:4, 6:], pixels[4:, :6] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    return pixels


def file_of(image: Image.Image, fmt: str = "PNG", orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = BytesIO()
    image.save(buffer, fmt, exif=exif)
    return buffer.getvalue()


def facts(picture: Picture) -> tuple[object, ...]:
    """Everything of a picture that does not depend on whether it had a file."""
    return picture.photo.width, picture.photo.height, picture.photo.phash, picture.scale, picture.pixels.tobytes()


@pytest.mark.parametrize("max_side", [1600, 5, 4, None])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_the_same_picture_as_its_file(scene: Pixels, orientation: int, max_side: int | None) -> None:
    data = file_of(Image.fromarray(scene), orientation=orientation)
    image = Image.open(BytesIO(data))
    found = picture_of(image, "image 1", max_side=max_side)
    assert facts(found) == facts(decode(data, "a.png", max_side=max_side))
    assert found.photo.format == "" and found.photo.sha256 != decode(data, "a.png").photo.sha256
    assert not found.pixels.flags.writeable


def test_an_array_is_taken_as_it_is(scene: Pixels) -> None:
    found = picture_of(scene, "image 1")
    assert (found.photo.width, found.photo.height, found.photo.format, found.scale) == (12, 8, "", 1.0)
    assert np.array_equal(found.pixels, scene)
    scene[0, 0] = 99
    assert found.pixels[0, 0, 0] == 250, "the picture is a copy"
    assert np.array_equal(picture_of(scene[::-1, ::-1, ::-1], "image 1").pixels, scene[::-1, ::-1, ::-1])


def test_equal_pixels_are_one_photo_and_others_are_not(scene: Pixels) -> None:
    photo = picture_of(scene, "image 1").photo
    assert picture_of(Image.fromarray(scene), "image 2").photo == photo
    assert picture_of(scene.reshape(12, 8, 3), "image 1").photo.sha256 != photo.sha256
    other = scene.copy()
    other[7, 11, 2] = 1
    assert picture_of(other, "image 1").photo.sha256 != photo.sha256


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = Image.new(mode, (6, 4))
    found = picture_of(image, "image 1")
    assert found.pixels.shape == (4, 6, 3) and found.pixels.dtype == np.uint8


def test_transparent_is_white() -> None:
    image = Image.new("RGBA", (3, 2), (10, 20, 30, 0))
    image.putpixel((0, 0), (10, 20, 30, 255))
    pixels = picture_of(image, "image 1").pixels
    assert (pixels[0, 0] == (10, 20, 30)).all()
    assert (pixels.reshape(-1, 3)[1:] == 255).all()


def test_the_bounds_are_those_of_files(scene: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_PIXELS", 12 * 8 - 1)
    for given in (scene, Image.fromarray(scene), Image.open(BytesIO(file_of(Image.fromarray(scene))))):
        with pytest.raises(PhotoError, match=r"^image 1 claims .* more than mien decodes") as caught:
            picture_of(given, "image 1")
        assert caught.value.kind == "bomb"
    with pytest.raises(PhotoError) as caught:
        picture_of(Image.new("RGB", (0, 5)), "image 1")
    assert caught.value.kind == "empty"


def test_an_image_whose_file_breaks_off_is_a_photo_error(sample: Path) -> None:
    data = (sample / "people/Nora/03.jpg").read_bytes()
    with pytest.raises(PhotoError, match=r"^image 3 is a JPEG file that breaks off") as caught:
        picture_of(Image.open(BytesIO(data[: len(data) // 2])), "image 3")
    assert caught.value.kind == "truncated"


def test_one_image_may_be_asked_about_in_several_threads() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), dtype=np.uint8)
    data = file_of(Image.fromarray(noise), "JPEG")
    expected = picture_of(Image.open(BytesIO(data)), "image 1").photo
    with ThreadPoolExecutor(4) as executor:
        for _ in range(3):
            image = Image.open(BytesIO(data))
            found = executor.map(lambda _, image=image: picture_of(image, "image 1").photo, range(4))
            assert set(found) == {expected}
