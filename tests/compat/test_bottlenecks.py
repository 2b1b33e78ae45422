from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.compat.bottlenecks import CARD, Bottlenecks, suffix_of

NUMBERS = np.array([0.1, -2.5, 1e-7], np.float32)


@pytest.mark.parametrize(
    ("module", "suffix"),
    [("", ""), ("mobilenet_1.0_224", "_mobilenet_1.0_224"), ("https://tfhub.dev/a\\b/1", "_https~tfhub.dev~a~b~1")],
)
def test_names_are_those_of_retrain(module: str, suffix: str) -> None:
    assert suffix_of(module) == suffix


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (tmp_path / "pictures/Ann").mkdir(parents=True)
    file = tmp_path / "pictures/Ann/1.jpg"
    file.write_bytes(b"one")
    return file


def opened(tmp_path: Path, encoder: str = "e1") -> Bottlenecks:
    return Bottlenecks.open(tmp_path / "cache", "_x", encoder)


def test_numbers_come_back_to_the_bit(tmp_path: Path, picture: Path) -> None:
    cache = opened(tmp_path)
    cache.put("Ann", picture, NUMBERS)
    cache.save()
    file = tmp_path / "cache/Ann/1.jpg_x.txt"
    assert [float(text) for text in file.read_text().split(",")] == NUMBERS.tolist()
    again = opened(tmp_path).get("Ann", picture, 3, print)
    assert again is not None and np.array_equal(again, NUMBERS) and again.dtype == np.float32


def test_numbers_of_other_bytes_or_of_another_encoder_are_not_believed(tmp_path: Path, picture: Path) -> None:
    cache = opened(tmp_path)
    cache.put("Ann", picture, NUMBERS)
    cache.save()
    assert opened(tmp_path, "e2").get("Ann", picture, 3, print) is None
    picture.write_bytes(b"another")
    assert opened(tmp_path).get("Ann", picture, 3, print) is None


@pytest.mark.parametrize("text", ["1,2,x", "", "1,2", "1,nan,3", "1,inf,3", "1,2,3,4"])
def test_what_is_no_row_of_numbers_is_made_again(tmp_path: Path, picture: Path, text: str) -> None:
    cache, said = opened(tmp_path), list[str]()
    cache.put("Ann", picture, NUMBERS)
    (tmp_path / "cache/Ann/1.jpg_x.txt").write_text(text)
    assert cache.get("Ann", picture, 3, said.append) is None
    assert said == ["Invalid float found, recreating bottleneck"]


@pytest.mark.parametrize("card", ["", "[1]", "{", '{"a": 3}', "null"])
def test_a_card_that_cannot_be_read_is_none(tmp_path: Path, picture: Path, card: str) -> None:
    cache = opened(tmp_path)
    cache.put("Ann", picture, NUMBERS)
    (tmp_path / "cache" / CARD).write_text(card)
    assert opened(tmp_path).get("Ann", picture, 3, print) is None


def test_files_of_pictures_that_are_gone_go_and_others_stay(tmp_path: Path, picture: Path) -> None:
    other = picture.with_name("2_b.jpg")
    other.write_bytes(b"two")
    cache = opened(tmp_path)
    for one in (picture, other):
        cache.put("Ann", one, NUMBERS)
    mine = tmp_path / "cache/Ann/mine.txt"
    mine.write_text("1,2")
    cache.keep_only([("Ann", "2_b.jpg")])
    assert sorted(file.name for file in mine.parent.iterdir()) == ["2_b.jpg_x.txt", "mine.txt"]
    cache.keep_only([])
    assert [file.name for file in mine.parent.iterdir()] == ["mine.txt"]


def test_a_card_leads_to_no_file_outside(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    cache = opened(tmp_path)
    cache.card["../precious.txt"] = ["e1", "1 2 3"]
    cache.keep_only([])
    assert precious.read_text() == "mine" and not cache.card
