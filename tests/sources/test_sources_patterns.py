"""Names of people in paths and texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.sources.patterns import path_pattern, person_in, text_pattern


@pytest.mark.parametrize(
    ("pattern", "path", "person"),
    [
        ("{person}/*.jpg", "Ada/1.jpg", "Ada"),
        ("{person}/*.jpg", "Ada/1.JPG", "Ada"),
        ("{person}/*.jpg", "Ada/x/1.jpg", None),
        ("{person}/*.jpg", "1.jpg", None),
        ("{person}/**", "Ada/1.jpg", "Ada"),
        ("{person}/**", "Ada/x/y/1.jpg", "Ada"),
        ("{person}/**", "1.jpg", None),
        ("**/{person}/*", "Ada/1.jpg", "Ada"),
        ("**/{person}/*", "2024/spring/Ada/1.jpg", "Ada"),
        ("{person}_*.jpg", "Ada_Lovelace_0001.jpg", "Ada_Lovelace"),
        ("*_{person}_*.jpg", "a_b_c_d.jpg", "b_c"),
        ("20*/{person}-*-*.*", "2024/Ada-Bo-1-2.png", "Ada-Bo"),
        ("a.b/{person}/*", "axb/Ada/1.jpg", None),
        ("{person}", "Ada", "Ada"),
        ("{person}", "a/b", None),
    ],
)
def test_path_patterns(pattern: str, path: str, person: str | None) -> None:
    assert person_in(path_pattern(pattern), path) == person


@pytest.mark.parametrize(
    ("pattern", "text", "person"),
    [
        ("Portrait of {person}, *", "Portrait of Ada Lovelace, 1840", "Ada Lovelace"),
        ("*: {person}", "Photo: Ada/Bo", "Ada/Bo"),
        ("Portrait of {person}", "A landscape", None),
        ("Portrait of {person}", "Portrait\u00a0of Ada\u200b  Love\u00adlace ", "Ada Lovelace"),
        ("Zo\u00eb: {person}", "Zoe\u0308: Ada", "Ada"),
        ("{person}\u200b (*)", "Ada (1840)", "Ada"),
        ("{person}", "100%25 &amp;", "100%25 &amp;"),
    ],
)
def test_text_patterns(pattern: str, text: str, person: str | None) -> None:
    assert person_in(text_pattern(pattern), text) == person


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("*.jpg", "{person} once"),
        ("{person}/{person}", "{person} once"),
        ("{person}{person}", "only make"),
        ("{name}/{person}", "only make"),
        ("*{person}/x", "some text must stand"),
        ("{person}*", "some text must stand"),
    ],
)
def test_bad_patterns(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        path_pattern(pattern)


@given(
    st.lists(st.sampled_from(["*", "a", "b", "*a"]), max_size=5).map("".join),
    st.lists(st.sampled_from(["a", "b"]), max_size=8).map("".join),
)
def test_stars_match_what_they_should(stars: str, text: str) -> None:
    def matches(pattern: str, text: str) -> bool:
        if pattern[:1] == "*":
            return any(matches(pattern[1:], text[start:]) for start in range(len(text) + 1))
        return text[:1] == pattern[:1] and (not pattern or matches(pattern[1:], text[1:]))

    assert (person_in(path_pattern(f"x{stars}/{{person}}"), f"x{text}/Ada") == "Ada") == matches(stars, text)


def test_no_path_keeps_a_pattern_busy() -> None:
    """It would for longer than anybody waits, if every way to match were tried."""
    pattern = path_pattern("**/*a*a*a*a*a/**/b*b*_{person}_*a*a*a*b.jpg")
    for path in ("a" * 1000, "/".join("a" * 500), "b_" * 500, "a/" * 400 + "b" * 100, "a" * 100_000):
        assert person_in(pattern, path) is None
