from __future__ import annotations

import pytest

from mien.text.words import chance, count, fill, listed, percent


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (None, "-"),
        (0.0, "0.0 %"),
        (1e-12, "<0.1 %"),
        (0.00099, "<0.1 %"),
        (0.001, "0.1 %"),
        (0.9931, "99.3 %"),
        (0.999, "99.9 %"),
        (0.99999, ">99.9 %"),
        (1.0, "100.0 %"),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(share: float | None, said: str) -> None:
    assert percent(share) == said


def test_a_probability_is_never_certain() -> None:
    assert (chance(0.0), chance(0.5), chance(1.0)) == ("<1 %", "50 %", ">99 %")


def test_count() -> None:
    assert [count(0, "face"), count(1, "face"), count(2300, "face"), count(2, "person", "people")] == [
        "0 faces",
        "1 face",
        "2,300 faces",
        "2 people",
    ]


def test_lists() -> None:
    assert [listed([]), listed(["Ada"]), listed(["Ada", "Bo"]), listed(["Ada", "Bo", "Cy"], "or")] == [
        "",
        "Ada",
        "Ada and Bo",
        "Ada, Bo or Cy",
    ]


@pytest.mark.parametrize(
    ("words", "figures", "said"),
    [
        ("{n:photo} of {p:person|people}", {"n": 1, "p": 2}, "1 photo of 2 people"),
        ("{n:new photo}", {"n": 2300}, "2,300 new photos"),
        ("{x:%}, {y:.2f}, {n:,}", {"x": 0.5, "y": 1, "n": 1234}, "50.0 %, 1.00, 1,234"),
        ("{x:g%}, {y:g%}, {one:g%}", {"x": 0.01, "y": 0.0025, "one": 1}, "1 %, 0.25 %, 100 %"),
        ("{x:p}, {y:p}, {z:p}", {"x": 0.00034, "y": 0.00009, "z": 0}, "p = 0.00034, p < 0.0001, p < 0.0001"),
        ("{names:or}", {"names": ("a", "b")}, "a or b"),
        ("{name} stays", {"name": "{n:photo}"}, "{n:photo} stays"),
        ("nothing", {"n": 1}, "nothing"),
    ],
)
def test_words_are_filled(words: str, figures: dict[str, object], said: str) -> None:
    assert fill(words, figures) == said


def test_a_missing_figure_is_an_error() -> None:
    with pytest.raises(KeyError):
        fill("{n:photo}", {})
