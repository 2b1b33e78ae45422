from __future__ import annotations

from io import BytesIO
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.types import Pixels
from mien.vision.images import decode, read_picture
from mien.vision.phash import FLAT, NEAR, are_near, near_pairs, phash


def distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def photos(sample: Path, person: str) -> list[Path]:
    return sorted((sample / "people" / person).glob("*.jpg"))[:8]


@pytest.mark.parametrize(("scale", "quality"), [(1.0, 40), (0.5, 90), (0.3, 60), (2.0, 80)])
def test_a_resized_and_recompressed_copy_has_nearly_the_same_hash(sample: Path, scale: float, quality: int) -> None:
    for person in ("Amara", "Erik"):
        for file in photos(sample, person):
            original = read_picture(file)
            image = Image.fromarray(original.pixels)
            image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
            saved = BytesIO()
            image.save(saved, "JPEG", quality=quality)
            copy = decode(saved.getvalue(), "copy")
            assert distance(original.photo.phash, copy.photo.phash) <= NEAR, file


def test_different_photos_of_a_person_have_other_hashes(sample: Path) -> None:
    for person in ("Amara", "Erik"):
        hashes = [read_picture(file).photo.phash for file in photos(sample, person)]
        assert min(distance(*pair) for pair in combinations(hashes, 2)) > NEAR
        assert near_pairs(hashes).shape == (0, 2)


def test_a_photo_that_decodes_smaller_has_the_same_hash(sample: Path) -> None:
    pixels = read_picture(photos(sample, "Amara")[0]).pixels
    saved = BytesIO()
    Image.fromarray(pixels).resize((1536, 1920)).save(saved, "JPEG")
    whole, reduced = (decode(saved.getvalue(), "photo", max_side=side, least_scale=0) for side in (None, 480))
    assert reduced.scale == 0.25
    assert distance(whole.photo.phash, reduced.photo.phash) <= NEAR


def test_it_is_64_bits_of_which_half_are_set() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    text = phash(noise)
    assert len(text) == 16 and int(text, 16).bit_count() == 32


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 500, 3), (500, 1, 3)])
def test_any_size_has_a_hash(shape: tuple[int, int, int]) -> None:
    pixels: Pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    assert len(phash(pixels)) == 16


@pytest.mark.parametrize("grey", [0, 77, 255])
def test_where_there_is_nothing_to_see_nothing_is_a_copy(grey: int) -> None:
    blank = phash(np.full((60, 80, 3), grey, np.uint8))
    assert blank == FLAT
    assert near_pairs([blank, blank]).shape == (0, 2)


HASHES = st.lists(
    st.tuples(st.sampled_from([1 << 63, 0x0123456789ABCDEF, 2**64 - 1]), st.sets(st.integers(0, 63), max_size=5)),
    max_size=12,
)


@given(HASHES)
def test_all_near_pairs_are_found_and_no_others(made: list[tuple[int, set[int]]]) -> None:
    hashes = [f"{start ^ sum(1 << bit for bit in flipped):016x}" for start, flipped in made]
    expected = [
        [i, j]
        for i, j in combinations(range(len(hashes)), 2)
        if distance(hashes[i], hashes[j]) <= NEAR and FLAT not in (hashes[i], hashes[j])
    ]
    assert near_pairs(hashes).tolist() == expected


def test_many_hashes_are_not_compared_all_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    count = np.bitwise_count

    def counting(values: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> object:
        nonlocal compared
        compared += len(values)
        return count(values)

    monkeypatch.setattr(np, "bitwise_count", counting)
    number = 20_000
    values = np.random.default_rng(2).integers(1, 2**63, number, np.uint64)
    values[7] = values[5] ^ np.uint64(0b111)
    assert near_pairs([f"{int(value):016x}" for value in values]).tolist() == [[5, 7]]
    assert 0 < compared < number * 10


def test_near_is_near_however_it_is_asked() -> None:
    hashes = ["00000000000000ff", "00000000000000f8", "00000000000000f0", FLAT, "0000000000000001"]
    pairs = {(one, other) for one in range(5) for other in range(one) if are_near(hashes[one], hashes[other])}
    assert pairs == {(other, one) for one, other in near_pairs(hashes).tolist()} == {(1, 0), (2, 1)}
