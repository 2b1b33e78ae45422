"""Which names people may have, and how names are compared: `mien.text.names`."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import UsageError
from mien.text.names import LONGEST_NAME, folded, is_unicode, nfc, quoted_name, shortened, valid_person

DECOMPOSED = unicodedata.normalize("NFD", "José")


@pytest.mark.parametrize(
    "name", ["José", "山田", "A_B", "a-b", "O'Neil & Søn, Jr", "❤️", "محمد", "Concord", "com", "x.y"]
)
def test_people_may_have_names(name: str) -> None:
    assert valid_person(name) == unicodedata.normalize("NFC", name)


def test_a_name_is_kept_in_one_form() -> None:
    assert valid_person(DECOMPOSED) == nfc(DECOMPOSED) == "José"
    assert valid_person("x" * LONGEST_NAME) == "x" * LONGEST_NAME


# fmt: off
IMPOSSIBLE = [
    "", " ", ".", "..", "../x", "a/b", "a\\b", "a\0b", "a\nb", "a\u2028b", ".hidden", "dot.", "space ", " space",
    "con", "NUL", "Aux.txt", "com1", "LPT9.x", "COM¹", "nul .x", "c:", "what?", "a*", "<b>", 'a"b', "a|b",
    "x" * 201, "é" * 101, "@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN", "lost+found", "FOUND.000", "caf\udce9",
]
# fmt: on


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a person's name") as caught:
        valid_person(name)
    str(caught.value).encode()  # fit to be shown, whatever the name


@given(st.text(max_size=20))
def test_a_name_is_never_bent_into_shape(name: str) -> None:
    try:
        valid = valid_person(name)
    except UsageError:
        return
    assert valid == unicodedata.normalize("NFC", name)
    assert valid_person(valid) == valid
    assert not set(valid) & set('/\\<>:"|?*\0') and valid == valid.strip() and not valid.startswith(".")


@pytest.mark.parametrize(
    ("one", "other"), [("a.JPG", "A.jpg"), ("José", DECOMPOSED), ("STRASSE", "straße"), ("É", "e\u0301"), ("ſ", "S")]
)
def test_names_that_may_be_one_file_are_equal_when_folded(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("a", "á"), ("a ", "a"), ("山田", "山本")])
def test_other_names_are_not(one: str, other: str) -> None:
    assert folded(one) != folded(other)


@given(st.text(max_size=20))
def test_folding_twice_changes_nothing(name: str) -> None:
    assert folded(folded(name)) == folded(name)
    assert folded(unicodedata.normalize("NFD", name)) == folded(name)


@given(st.text(max_size=300))
def test_a_shortened_name_is_the_beginning_of_it(name: str) -> None:
    short = shortened(name)
    assert name.startswith(short) and len(short.encode()) <= LONGEST_NAME
    assert short == name or len(short.encode()) > LONGEST_NAME - 4, "no more goes than must"


def test_what_is_not_unicode_is_known_and_can_be_shown() -> None:
    assert is_unicode("José") and not is_unicode("caf\udce9")
    assert quoted_name('say "José"') == '"say \\"José\\""'
    assert quoted_name("caf\udce9") == '"caf\\udce9"'
    assert json.loads(quoted_name("a\nb")) == "a\nb"
