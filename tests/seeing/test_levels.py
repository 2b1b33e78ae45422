from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.seeing.eyes import Eyes
from mien.seeing.levels import OVERLAP, TILE, faces_of_all_sizes, one_each
from mien.types import Box, EncoderChoice, Face, Photo, Picture, Pixels, SeenFace, SeenPhoto
from mien.vision.images import read_picture
from mien.wiring import make_eyes


def face(box: Box, score: float = 0.9) -> Face:
    x0, y0, x1, y1 = box
    at = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.75), (0.65, 0.75)])
    return Face(box, (at * (x1 - x0, y1 - y0) + (x0, y0)).astype(np.float32), score, "scripted")


def white_squares(pixels: Pixels) -> list[Face]:
    """A detector of white squares of 16 pixels and more, which takes what is cut by a border for a whole one."""
    ink = (pixels.min(axis=2) > 127).astype(np.uint8)
    count, _, table, _ = cv2.connectedComponentsWithStats(ink)
    boxes = [(float(x), float(y), float(x + w), float(y + h)) for x, y, w, h, _ in table[1:count].tolist()]
    return [face(box) for box in boxes if min(box[2] - box[0], box[3] - box[1]) >= 16]


# Levels and tiles


@pytest.mark.parametrize("size", [(300, 200), (1500, 1000), (3000, 2500), (700, 6000), (9000, 400)])
def test_every_square_is_found_once_and_whole_wherever_it_lies(size: tuple[int, int]) -> None:
    width, height = size
    chance = np.random.default_rng(width)
    for _ in range(4):
        side = int(chance.integers(20, min(size) - 2))
        x, y = (int(chance.integers(1, length - side)) for length in size)
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[y : y + side, x : x + side] = 255
        (found,) = faces_of_all_sizes(white_squares, pixels, 1.0)
        assert found.box == pytest.approx((x, y, x + side, y + side), abs=max(3, side * 0.2))


def test_a_square_at_a_border_between_tiles_is_found_as_when_it_is_not() -> None:
    tile = (TILE * 2 - OVERLAP) // 2
    for side in (16, 40, OVERLAP - 2, OVERLAP + 40, 400):
        for x in range(tile - side - OVERLAP, tile + OVERLAP, 97):
            pixels = np.zeros((600, TILE * 2 - OVERLAP, 3), np.uint8)
            pixels[90 : 90 + side, x : x + side] = 255
            (found,) = faces_of_all_sizes(white_squares, pixels, 1.0)
            assert found.box == pytest.approx((x, 90, x + side, 90 + side), abs=max(3, side * 0.1)), (side, x)


def test_tiles_that_place_a_face_some_pixels_apart_do_not_both_leave_it_to_the_other() -> None:
    tile = (TILE * 2 - OVERLAP) // 2
    for apart in (-6.0, 6.0):

        def askew(pixels: Pixels, apart: float = apart) -> list[Face]:
            left = pixels[:, :1].any()  # the first tile, by the mark at its border
            return [
                face((x0 + (apart if left else -apart), y0, x1 + (apart if left else -apart), y1))
                for x0, y0, x1, y1 in (one.box for one in white_squares(pixels))
            ]

        for x in range(tile - 60, tile + 20, 3):
            pixels = np.zeros((600, TILE * 2 - OVERLAP, 3), np.uint8)
            pixels[90:130, x : x + 40] = 255
            pixels[:15, 0] = 255
            assert faces_of_all_sizes(askew, pixels, 1.0), (apart, x)


@pytest.mark.parametrize("size", [(250, 250), (1600, 1200), (6000, 4000), (24000, 4000), (3, 5000)])
def test_no_tile_is_larger_than_one_and_all_together_are_not_much_more_than_the_picture(size: tuple[int, int]) -> None:
    shown: list[tuple[int, ...]] = []

    def nothing(pixels: Pixels) -> list[Face]:
        shown.append(pixels.shape)
        return []

    width, height = size
    assert faces_of_all_sizes(nothing, np.zeros((height, width, 3), np.uint8), 0.4) == []
    assert max(max(shape) for shape in shown) <= TILE
    assert sum(h * w for h, w, _ in shown) <= 1.6 * 0.16 * width * height + 2 * 130 * 130


# One face each


def test_of_two_that_are_one_face_the_better_stays() -> None:
    whole, shifted = face((100, 100, 200, 200), 0.9), face((110, 105, 210, 205), 0.8)
    assert one_each([shifted, whole]) == [whole]


def test_half_a_face_is_no_second_face() -> None:
    whole, half = face((100, 100, 200, 200), 0.9), face((100, 100, 145, 200), 0.7)
    assert one_each([half, whole]) == [whole]


def test_a_small_face_beside_a_large_one_or_before_it_stays() -> None:
    near, behind, beside = face((0, 0, 400, 400)), face((350, 10, 390, 50), 0.8), face((380, 200, 480, 300), 0.7)
    assert one_each([near, behind, beside]) == [near, behind, beside]


# The same answer whatever else is in the photo


@pytest.fixture(scope="module")
def eyes() -> Eyes:
    return make_eyes(EncoderChoice(views=1))


@pytest.fixture(scope="module")
def person(sample: Path) -> Callable[[int, int], Pixels]:
    """person(number, side) is a portrait whose face is that large."""
    files = sorted((sample / "people").glob("*/02.jpg"))

    @cache
    def whole(number: int) -> tuple[Pixels, float]:
        pixels = read_picture(files[number % len(files)]).pixels
        (seen,) = make_eyes(EncoderChoice(views=1)).see(picture(pixels)).faces
        return pixels, seen.quality.size

    def portrait(number: int, side: int) -> Pixels:
        pixels, size = whole(number)
        scale = side / size
        kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=kind), np.uint8)

    return portrait


def picture(pixels: Pixels, scale: float = 1.0) -> Picture:
    height, width = pixels.shape[:2]
    return Picture(Photo("0" * 64, round(width / scale), round(height / scale), "PNG", "5a" * 8), pixels, scale)


def paste(scene: Pixels, portrait: Pixels, x: int, y: int) -> None:
    """Puts a portrait into a scene, as much of it as there is room for."""
    part = portrait[: scene.shape[0] - y, : scene.shape[1] - x]
    scene[y : y + part.shape[0], x : x + part.shape[1]] = part


def small(faces: tuple[SeenFace, ...], most: float = 120) -> list[SeenFace]:
    return [one for one in faces if one.quality.size < most]


def boxes_agree(some: list[SeenFace], others: list[SeenFace]) -> bool:
    return len(some) == len(others) and all(
        np.allclose(one.face.box, other.face.box, atol=2) for one, other in zip(some, others, strict=True)
    )


CROWD = 8


@pytest.mark.parametrize("size", [(2400, 1600), (900, 3600)])
def test_near_faces_in_any_corner_cost_no_face_in_the_crowd(
    eyes: Eyes, person: Callable[[int, int], Pixels], size: tuple[int, int]
) -> None:
    width, height = size
    scene = np.random.default_rng(1).normal(128, 12, (height, width, 3)).clip(0, 255).astype(np.uint8)
    for number in range(CROWD):
        along = 40 + number * 90
        x, y = (width // 2 - 360 + along, height // 2) if width > height else (width // 2, height // 2 - 360 + along)
        paste(scene, person(number, 44), x, y)
    alone = small(eyes.see(picture(scene)).faces)
    assert len(alone) == CROWD
    near = person(3, 240)
    for corners in ([(0, 0)], [(0, height - near.shape[0]), (width - near.shape[1], 0)]):
        crowded = scene.copy()
        for x, y in corners:
            paste(crowded, near, x, y)
        seen = eyes.see(picture(crowded)).faces
        assert boxes_agree(small(seen), alone)
        assert len(seen) == CROWD + len(corners)


@pytest.mark.parametrize("megapixels", [12, 48])
def test_a_face_of_60_pixels_is_found_in_large_photos_stored_any_way(
    eyes: Eyes, person: Callable[[int, int], Pixels], tmp_path: Path, megapixels: int
) -> None:
    width, height = round((megapixels * 1.5e6) ** 0.5), round((megapixels / 1.5e-6) ** 0.5)
    scene = np.full((height, width, 3), (120, 130, 140), np.uint8)
    for number in range(4):
        paste(scene, person(number, 60), width // 2 + 200 * number, height // 2 + 30 * number)
    paste(scene, person(3, 800), 0, 0)
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(scene)))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter clockwise sets it upright
    stored.save(tmp_path / "photo.jpg", exif=exif, quality=92)
    seen = eyes.see_file(tmp_path / "photo.jpg")
    assert isinstance(seen, SeenPhoto)
    assert (seen.photo.width, len(seen.faces), len(small(seen.faces))) == (width, 5, 4)
