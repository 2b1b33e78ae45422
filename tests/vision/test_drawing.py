from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from mien.types import Box
from mien.vision import drawing, fonts
from mien.vision.drawing import NAMED, UNKNOWN, Mark, draw_names, letters
from mien.vision.labels import Place, place, whole


def ada(box: Box, label: str = "Ada") -> Mark:
    return Mark(box, label, NAMED, "97 %")


@pytest.mark.parametrize("label", ["Ada", "José Ñandú", "山田 太郎", "عائشة", "long name " * 40, "two\nlines\x1b", ""])
def test_boxes_and_labels_are_drawn_on_a_copy(label: str) -> None:
    pixels = np.full((300, 400, 3), 200, np.uint8)
    drawn = draw_names(pixels, [ada((50.0, 60.0, 150.0, 180.0), label)])
    assert drawn.shape[1] == 400 and drawn.shape[0] >= 300, "a name too long for the picture stands below it, cut"
    assert (pixels == 200).all()
    assert tuple(drawn[60, 100]) == NAMED
    assert (drawn[60:180, 100] != 200).any(axis=1).sum() < 20, "the face itself stays visible"
    assert not np.array_equal(drawn, draw_names(pixels, [ada((50.0, 60.0, 150.0, 180.0), "?")]))


def test_strangers_have_another_colour_and_boxes_may_lie_outside() -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    marks = [
        Mark(box, "unknown", UNKNOWN, is_name=False) for box in ((-20.0, 10.0, 60.0, 130.0), (500.0, 500.0, 600, 600))
    ]
    assert tuple(draw_names(pixels, marks)[60, 60]) == UNKNOWN


def test_nothing_to_draw_changes_nothing() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    assert (draw_names(pixels, []) == pixels).all()


def test_in_a_crowd_numbers_stand_for_names_and_a_legend_says_whose() -> None:
    pixels = np.full((200, 400, 3), 200, np.uint8)
    crowd = [
        ada((x, y, x + 20.0, y + 24.0), "A name with many letters") for y in (20.0, 80.0) for x in range(10, 390, 40)
    ]
    drawn = draw_names(pixels, crowd)
    assert drawn.shape[0] > 260, "a legend of all names"
    strangers = draw_names(pixels, [Mark(one.box, "unknown", UNKNOWN, is_name=False) for one in crowd])
    assert 200 < strangers.shape[0] < 240, "one line for all who are nobody"


@pytest.mark.parametrize(
    ("side", "face", "low", "high"), [(300, 60, 11, 14), (6000, 2000, 100, 150), (6000, 90, 60, 70)]
)
def test_letters_fit_the_photo_and_its_faces(side: int, face: int, low: int, high: int) -> None:
    assert low <= letters((side, side // 2), [(0, 0, face, face)]) <= high


def test_numbers_are_put_together() -> None:
    assert drawing._ranges([1, 2, 4, 5, 6, 9]) == "1, 2, 4-6, 9"


# Where labels go

SIDES = st.integers(1, 400)
BOXES = st.tuples(*(st.floats(-80, 480) for _ in range(4))).map(
    lambda four: (min(four[0], four[2]), min(four[1], four[3]), max(four[0], four[2]), max(four[1], four[3]))
)
SIZES = st.tuples(st.integers(1, 150), st.integers(1, 30))


def shared(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two rectangles share a pixel."""
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])


@settings(max_examples=50, deadline=None)
@given(st.tuples(SIDES, SIDES), st.lists(st.tuples(BOXES, SIZES, SIZES), max_size=25), st.randoms())
def test_a_label_covers_no_face_and_no_other_label_or_it_has_no_place(
    size: tuple[int, int], faces: list[tuple[Box, tuple[int, int], tuple[int, int]]], chance: Any
) -> None:
    boxes = [box for box, _, _ in faces]
    order = chance.sample(range(len(faces)), len(faces))
    places = place(size, boxes, [one for _, one, _ in faces], [other for _, _, other in faces], order)
    found = [(number, one) for number, one in enumerate(places) if one is not None]
    for number, one in found:
        assert one.x0 >= 0 and one.y0 >= 0 and one.x1 <= size[0] and one.y1 <= size[1], "all of it is in the picture"
        assert (one.x1 - one.x0, one.y1 - one.y0) == faces[number][2 if one.short else 1]
        assert not any(shared(one, whole(box, size)) for box in boxes)
        assert not any(shared(one, other) for at, other in found if at != number)


def test_a_label_stands_below_its_face_where_there_is_room_and_else_beside_it() -> None:
    free = place((300, 300), [(100, 100, 149, 149)], [(60, 20)], [(10, 20)], [0])
    assert free == [Place(100, 150, 160, 170)]
    low = place((300, 160), [(100, 100, 149, 149)], [(60, 20)], [(10, 20)], [0])
    assert low == [Place(100, 80, 160, 100)]
    wide = place((300, 160), [(100, 0, 149, 159)], [(60, 20)], [(10, 20)], [0])
    assert wide == [Place(150, 140, 210, 160)]


def test_without_room_for_a_name_its_number_is_put_where_there_is_some_and_else_nothing() -> None:
    full = [(0, 0, 99, 99), (100, 0, 199, 99), (0, 100, 199, 199)]
    places = place((230, 200), full, [(60, 20)] * 3, [(15, 20)] * 3, [0, 1, 2])
    assert [one is not None and one.short for one in places] == [False, True, True]
    assert place((200, 200), full, [(60, 20)] * 3, [(10, 20)] * 3, [0, 1, 2]) == [None] * 3


def test_a_number_further_away_is_said_to_be_apart() -> None:
    inner = (100, 100, 119, 119)
    around = [(80, 80, 139, 99), (80, 120, 139, 139), (80, 100, 99, 119), (120, 100, 139, 119)]
    places = place((300, 300), [inner, *around], [(60, 20)] * 5, [(10, 16)] * 5, [0, 1, 2, 3, 4])
    assert places[0] is not None and places[0].short and places[0].apart


# Fonts


def test_a_name_is_drawn_in_a_font_that_has_its_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fonts "latin" and "wide" have the letters of these ranges, as if they were installed."""
    letters_of = {"": range(0x80), "latin": range(0x250), "wide": range(0x4E00, 0xA000)}
    monkeypatch.setattr(fonts, "_files", lambda: ("latin", "", "wide"))
    monkeypatch.setattr(fonts, "_has", lambda file, letter: ord(letter) in letters_of[file])
    asked: list[str] = []
    real = fonts._font

    def font(file: str, height: int) -> Any:
        asked.append(file)
        return real("", height)

    monkeypatch.setattr(fonts, "_font", font)
    for text, used in (
        ("Ada", ["latin"]),
        ("José", ["latin"]),
        ("山田 太郎", ["wide"]),
        ("Ada 山田", ["latin", "wide"]),
    ):
        asked.clear()
        fonts.runs(text, 20)
        assert asked == used
    assert fonts.can_write("José 山田") and not fonts.can_write("Жанна")


def test_without_any_font_of_the_system_names_are_drawn_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_folders", list)
    fonts._files.cache_clear()
    try:
        assert fonts._files() == ("",)
        (run,) = fonts.runs("山田", 20)
        assert isinstance(run.font, ImageFont.FreeTypeFont) and run.width > 0
    finally:
        fonts._files.cache_clear()
