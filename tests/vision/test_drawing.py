from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import ImageFont

from mien.vision import drawing
from mien.vision.drawing import NAMED, UNKNOWN, draw_names


@pytest.mark.parametrize("label", ["1 Ada 97 %", "2 José Ñandú", "3 山田 太郎", "4 " + "long name " * 40, ""])
def test_boxes_and_labels_are_drawn_on_a_copy(label: str) -> None:
    pixels = np.full((300, 400, 3), 200, np.uint8)
    drawn = draw_names(pixels, [(50.0, 60.0, 150.0, 180.0)], [label], [NAMED])
    assert drawn.shape == pixels.shape
    assert (pixels == 200).all()
    assert tuple(drawn[60, 100]) == NAMED
    assert (drawn[60:180, 100] != 200).any(axis=1).sum() < 20, "the face itself stays visible"


def test_strangers_have_another_colour_and_boxes_may_lie_outside() -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    drawn = draw_names(
        pixels, [(-20.0, 10.0, 60.0, 130.0), (500.0, 500.0, 600.0, 600.0)], ["1 unknown", "2"], [UNKNOWN, UNKNOWN]
    )
    assert tuple(drawn[60, 60]) == UNKNOWN


def test_a_name_is_drawn_in_a_font_of_its_script(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    real = ImageFont.truetype

    def named_fonts_are_missing(font: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(font, str):
            tried.append(font)
            raise OSError
        return real(font, *rest, **more)  # Pillow's own, which it carries in itself

    monkeypatch.setattr(ImageFont, "truetype", named_fonts_are_missing)
    drawing._font.cache_clear()
    for label, first in (("Ada", []), ("Жанна", ["DejaVuSans.ttf"]), ("山田", ["NotoSansCJK-Regular.ttc"])):
        tried.clear()
        draw_names(np.zeros((90, 90, 3), np.uint8), [(5.0, 5.0, 50.0, 50.0)], [label], [NAMED])
        assert tried[:1] == first
    drawing._font.cache_clear()


def test_nothing_to_draw_changes_nothing() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    assert (draw_names(pixels, [], [], []) == pixels).all()
