"""A large PNG, TIFF or HEIC comes in bands, and is the same picture."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from mien.errors import PhotoError
from mien.text.photos import FileType, PhotoFault
from mien.vision import bands, decoding, images
from mien.vision.decoding import decoded

SLOPE = np.linspace(0, 180, 301)[:, None, None] + np.linspace(0, 40, 211)[None, :, None] + [0, 10, 30]
SCENE = Image.fromarray(np.clip(SLOPE + np.random.default_rng(0).normal(0, 9, (301, 211, 3)), 0, 255).astype(np.uint8))
CLEAR = SCENE.copy()
CLEAR.putalpha(SCENE.convert("L"))
UNSEEN = SCENE.copy()
UNSEEN.putalpha(3)

FILES: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
    "png": (SCENE, "PNG", {}),
    "png grey": (SCENE.convert("L"), "PNG", {}),
    "png alpha": (CLEAR, "PNG", {}),
    "png grey alpha": (CLEAR.convert("LA"), "PNG", {}),
    "png palette": (SCENE.quantize(64), "PNG", {}),
    "png unseen": (UNSEEN, "PNG", {}),
    "bmp": (SCENE, "BMP", {}),
    "bmp grey": (SCENE.convert("L").convert("RGB"), "BMP", {}),
    "ppm": (SCENE, "PPM", {}),
    "pgm": (SCENE.convert("L"), "PPM", {}),
    "tiff": (SCENE, "TIFF", {"tiffinfo": {278: 7}}),
    "tiff in one strip": (SCENE, "TIFF", {"tiffinfo": {278: 301}}),
    "tiff lzw": (SCENE, "TIFF", {"compression": "tiff_lzw", "tiffinfo": {278: 7}}),
    "tiff predictor": (SCENE, "TIFF", {"compression": "tiff_deflate", "tiffinfo": {278: 7, 317: 2}}),
    "tiff jpeg": (SCENE, "TIFF", {"compression": "jpeg", "quality": 95, "tiffinfo": {278: 16}}),
    "tiff grey": (SCENE.convert("L"), "TIFF", {"compression": "packbits", "tiffinfo": {278: 7}}),
    "tiff alpha": (CLEAR, "TIFF", {"compression": "tiff_lzw", "tiffinfo": {278: 7}}),
    "heic": (SCENE, "HEIF", {}),
    "heic grey": (SCENE.convert("L"), "HEIF", {}),
    "heic alpha": (CLEAR, "HEIF", {}),
}


def file_of(name: str) -> bytes:
    picture, fmt, options = FILES[name]
    buffer = BytesIO()
    if fmt == "HEIF":
        pillow_heif.from_pillow(picture).save(buffer)
        return buffer.getvalue()
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(buffer, fmt, exif=exif, **options) if fmt == "PNG" else picture.save(buffer, fmt, **options)
    return buffer.getvalue()


def deep(compression: int, rows: int) -> bytes:
    """A TIFF of 16 bits a channel in strips of so many rows."""
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_ROWSPERSTRIP, rows]
    return cv2.imencode(".tiff", np.asarray(SCENE).astype(np.uint16)[..., ::-1] * 257, options)[1].tobytes()


DEEP = {"tiff of 16 bits in one strip": (1, 301), "tiff of 16 bits": (1, 7), "tiff of 16 bits lzw": (5, 7)}


@pytest.mark.parametrize("name", [*FILES, *DEEP])
def test_the_same_in_bands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = deep(*DEEP[name]) if name in DEEP else file_of(name)
    whole = decoded(data, "a", 100, 0.3)
    used: list[object] = []
    real = bands.reduced

    def reduced(*arguments: Any) -> Any:
        found = real(*arguments)
        used.append(found is not None)
        return found

    monkeypatch.setattr(bands, "reduced", reduced)
    monkeypatch.setattr(bands, "_BAND", 211 * 20)
    monkeypatch.setattr(decoding, "SHARE", 1000)
    banded = decoded(data, "a", 100, 0.3)
    assert set(used) == {True}
    assert banded.pixels.shape == whole.pixels.shape
    assert banded[1:] == whole[1:]
    assert np.abs(banded.pixels.astype(int) - whole.pixels).max() <= 1


@pytest.mark.parametrize("fmt", ["AVIF", "GIF", "TGA", "JPEG2000"])
def test_others_come_whole(fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = BytesIO()
    (SCENE.quantize(9) if fmt == "GIF" else SCENE).save(buffer, fmt)
    data, name = buffer.getvalue(), f"a.{fmt.lower()}"
    whole = decoded(data, name, 100, 0.3)
    monkeypatch.setattr(decoding, "SHARE", 1000)
    assert np.array_equal(decoded(data, name, 100, 0.3).pixels, whole.pixels)


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": True}])
def test_a_large_webp(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = BytesIO()
    SCENE.save(buffer, "WEBP", **(options if "exif" not in options else {"exif": exif}))
    whole = decoded(buffer.getvalue(), "a", 100, 0.5)
    monkeypatch.setattr(decoding, "SHARE", 1000)
    large = decoded(buffer.getvalue(), "a", 100, 0.5)
    assert large[1:] == whole[1:]
    rows, columns, _ = large.pixels.shape  # OpenCV leaves out half a pixel
    assert (whole.pixels.shape[0] - rows, whole.pixels.shape[1] - columns) == (1, 1)
    assert (
        np.abs(large.pixels.astype(int) - whole.pixels[:rows, :columns]).mean() < 6
    )  # colours of half the height and width
    with pytest.raises(decoding.LargeError):
        decoded(buffer.getvalue(), "a", 100, 0.5, 1000)


def test_a_webp_for_which_there_is_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "SHARE", 1000)
    monkeypatch.setattr(decoding, "MEMORY", 2000)
    pictures: tuple[tuple[Image.Image, dict[str, Any]], ...] = (
        (CLEAR, {}),
        (SCENE, {"save_all": True, "append_images": [SCENE.rotate(90)]}),
    )
    for picture, options in pictures:
        buffer = BytesIO()
        picture.save(buffer, "WEBP", **options)
        with pytest.raises(PhotoError) as caught:
            decoded(buffer.getvalue(), "a", 100, 0.5)
        assert caught.value.fault is PhotoFault.TOO_MUCH_MEMORY


@pytest.mark.parametrize("name", ["png", "tiff lzw"])
def test_damage_is_found_in_bands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = file_of(name)
    monkeypatch.setattr(bands, "_BAND", 211 * 20)
    monkeypatch.setattr(decoding, "SHARE", 1000)
    middle = len(data) // 2
    for broken in (data[:middle], data[:middle] + bytes(2000) + data[middle + 2000 :]):
        with pytest.raises(PhotoError) as caught:
            decoded(broken, "a", 100, 0.3)
        assert caught.value.fault in (PhotoFault.DAMAGED, PhotoFault.BREAKS_OFF)


def test_a_file_larger_than_its_share_is_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = images._asked

    def noted(task: str, about: Any, data: bytes, size: int, memory: int) -> Any:
        asked.append(memory)
        return real(task, about, data, size, memory)

    monkeypatch.setattr(images, "_asked", noted)
    (tmp_path / "a.png").write_bytes(file_of("png"))
    assert images.read_picture(tmp_path / "a.png").photo.width == 301
    monkeypatch.setattr(decoding, "SHARE", len(file_of("png")))
    assert images.read_picture(tmp_path / "a.png").photo.width == 301
    assert asked == [256_000_000, decoding.MEMORY]


@pytest.mark.parametrize(
    ("mode", "subsampling", "bytes_a_pixel"), [("RGB", 2, 3), ("RGB", 1, 4), ("RGB", 0, 6), ("L", 0, 2)]
)
def test_what_a_progressive_jpeg_is_expected_to_take(mode: str, subsampling: int, bytes_a_pixel: int) -> None:
    buffer = BytesIO()
    SCENE.convert(mode).save(buffer, "JPEG", progressive=True, subsampling=subsampling)
    assert decoding._coefficients(decoding._Jpeg(BytesIO(buffer.getvalue()))) == bytes_a_pixel


def test_a_jpeg_that_would_take_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = BytesIO()
    SCENE.save(buffer, "JPEG", progressive=True, subsampling=0)
    data = buffer.getvalue()
    monkeypatch.setattr(decoding, "MEMORY", len(data) + 9 * 301 * 211)
    assert decoded(data, "a", None, 1).scale == 1
    monkeypatch.setattr(decoding, "MEMORY", len(data) + 9 * 301 * 211 - 1)
    with pytest.raises(PhotoError) as caught:
        decoded(data, "a", None, 1)
    assert caught.value.fault is PhotoFault.TOO_MUCH_MEMORY


@pytest.mark.parametrize("said", ["Pixel allocation failed: Out of memory", "Memory allocation error: Security limit"])
def test_a_decoder_that_has_too_little_memory_calls_no_photo_damaged(said: str) -> None:
    found = decoding._translated("a", FileType.AVIF, RuntimeError(said))
    assert found.fault is PhotoFault.TOO_MUCH_MEMORY
