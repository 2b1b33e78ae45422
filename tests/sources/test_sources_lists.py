"""A text that names several people is told from a name: `mien.sources.lists`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.sources.lists import people_listed


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("Ada and Bo", ("Ada", "Bo")),
        ("Ada & Bo", ("Ada", "Bo")),
        ("Ada&Bo", ("Ada", "Bo")),
        ("Ada; Bo;", ("Ada", "Bo")),
        ("Ada | Bo", ("Ada", "Bo")),
        ("Ada\nBo", ("Ada", "Bo")),
        ("Ada / Bo", ("Ada", "Bo")),
        ("Ada + Bo", ("Ada", "Bo")),
        ("Ada und Bo", ("Ada", "Bo")),
        ("Ada et Bo", ("Ada", "Bo")),
        ("Ada AND Bo", ("Ada", "Bo")),
        ("Ada, Bo and Cy", ("Ada", "Bo", "Cy")),
        ("Ada, Bo, and Cy", ("Ada", "Bo", "Cy")),
        ("Ada, Bo, Cy", ("Ada", "Bo", "Cy")),
        ("Ada Lovelace, Bo Smith", ("Ada Lovelace", "Bo Smith")),
        ("Smith, Will; Lovelace, Ada", ("Smith", "Will", "Lovelace", "Ada")),
        ("Ana García y Luis Pérez", ("Ana García", "Luis Pérez")),
        ("Ada\u00a0&\u00a0Bo", ("Ada", "Bo")),
        ("田中、山本", ("田中", "山本")),
    ],
)
def test_a_list_of_people(text: str, people: tuple[str, ...]) -> None:
    assert people_listed(text) == people


@pytest.mark.parametrize(
    "text",
    [
        "Ada",
        "Ada Lovelace",
        "Anderson",
        "Sandy Andy",
        "Martin Luther King, Jr.",
        "Ada Lovelace, PhD",
        "Henry, VIII",
        "Ada Lovelace, 1840",
        "Karl-Theodor von und zu Guttenberg",
        "José Ortega y Gasset",
        "Maria da Silva e Costa",
        "O'Neil",
        "Anne-Marie",
        "Etienne",
        "",
        "Ada;",
    ],
)
def test_one_person(text: str) -> None:
    assert people_listed(text) == people_listed(text, prose=False) == ()


def test_a_comma_between_single_words_is_a_list_for_readers_only() -> None:
    assert people_listed("Ada, Bo") == ("Ada", "Bo")
    assert people_listed("Smith, Will", prose=False) == people_listed("Lovelace, Ada King", prose=False) == ()
    assert people_listed("Ada Lovelace, Bo Smith", prose=False) == ("Ada Lovelace", "Bo Smith")


@given(st.text("AB ,;&\nandy1.", max_size=30), st.booleans())
def test_a_list_has_two_names_or_more_or_one_twice(text: str, prose: bool) -> None:
    found = people_listed(text, prose)
    assert all(name.strip() for name in found)
