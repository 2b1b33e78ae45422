from __future__ import annotations

import pytest

from mien.text.words import between, bound, chance, count, fill, level, listed, percent, share


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


@pytest.mark.parametrize(
    ("hits", "of", "said"),
    [
        (0, 0, "-"),
        (0, 37, "none"),
        (6, 6, "all"),
        (1, 3, "33 %"),
        (5, 6, "83 %"),
        (289, 292, "99.0 %"),
        (280, 292, "96 %"),
        (1, 200, "0.5 %"),
        (199, 200, "99.5 %"),
        (1, 5000, "<0.1 %"),
        (500, 900, "56 %"),
        (9000, 16000, "56.2 %"),
    ],
)
def test_a_counted_share_says_no_more_than_so_many_tries_can_show(hits: int, of: int, said: str) -> None:
    assert share(hits / of if of else None, of) == said


def test_a_counted_share_is_never_rounded_to_nothing_or_to_all() -> None:
    for of in range(2, 1500):
        assert share(1 / of, of) not in ("0 %", "0.0 %") and share((of - 1) / of, of) not in ("100 %", "100.0 %")


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.0, 1.0, "0 to 100 %"),
        (0.609, 1.0, "60 to 100 %"),
        (0.0, 0.0941, "0 to 9.5 %"),
        (0.97612, 0.98299, "97.6 to 98.3 %"),
        (0.301, 0.5, "30 to 50 %"),
    ],
)
def test_an_interval_is_rounded_outwards(low: float, high: float, said: str) -> None:
    assert between(low, high) == said


def test_what_was_asked_for_has_as_many_places_as_it_has() -> None:
    assert [level(0.01), level(0.0025), level(0.5), level(1)] == ["1 %", "0.25 %", "50 %", "100 %"]


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


def test_an_upper_bound_is_rounded_up() -> None:
    said = {
        0.0778: "8 %",
        0.05: "5 %",
        0.0119: "1.2 %",
        0.00299: "0.3 %",
        0.000291: "0.03 %",
        0.95: "95 %",
        1.0: "100 %",
    }
    assert {share: bound(share) for share in said} == said
