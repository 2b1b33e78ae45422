"""Which names people may have, and how names are compared: `mien.text.names`."""

from __future__ import annotations

import itertools
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import UsageError
from mien.text.names import (
    LONGEST_NAME,
    alike,
    alike_names,
    alike_pairs,
    folded,
    is_unicode,
    nfc,
    quoted_name,
    shortened,
    valid_person,
)

DECOMPOSED = unicodedata.normalize("NFD", "José")


@pytest.mark.parametrize(
    "name", ["José", "山田", "A_B", "a-b", "O'Neil & Søn, Jr", "❤", "محمد", "Concord", "com", "x.y", "علی‌رضا", "ක්‍රිස්"]
)
def test_people_may_have_names(name: str) -> None:
    assert valid_person(name) == unicodedata.normalize("NFC", name)


def test_a_name_is_kept_in_one_form() -> None:
    assert valid_person(DECOMPOSED) == nfc(DECOMPOSED) == "José"
    assert valid_person("x" * LONGEST_NAME) == "x" * LONGEST_NAME


# fmt: off
IMPOSSIBLE = [
    "", " ", ".", "..", "../x", "a/b", "a\\b", "a\0b", "a\nb", "a\u2028b", ".hidden", "dot.", "\u200b", "\u2800",
    "con", "NUL", "Aux.txt", "com1", "LPT9.x", "COM¹", "nul .x", "c:", "what?", "a*", "<b>", 'a"b', "a|b",
    "x" * 201, "é" * 101, "@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN", "lost+found", "FOUND.000", "caf\udce9",
    "DCIM", "100canon", "Thumbs", "\u202eada", "a\x9bb", "a\u2029", "@ea\u200bDir", "x\u00a0.",
]
# fmt: on


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a person's name") as caught:
        valid_person(name)
    str(caught.value).encode()  # fit to be shown, whatever the name


@given(st.text(max_size=20))
def test_a_name_is_bent_no_further_than_to_be_compared(name: str) -> None:
    try:
        valid = valid_person(name)
    except UsageError:
        return
    assert valid == nfc(name)
    assert valid_person(valid) == valid
    assert not set(valid) & set('/\\<>:"|?*\0') and valid == valid.strip() and not valid.startswith(".")


# fmt: off
INVISIBLE = [
    "\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u180b", "\u180e", "\u200b", "\u200c", "\u200d",
    "\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u2060", "\u2063", "\u2066", "\u2068", "\u2069", "\u206a",
    "\u3164", "\ufe00", "\ufe0f", "\ufeff", "\uffa0", "\ufff9", "\U0001d173", "\U000e0001", "\U000e0067", "\U000e0100",
    "\u200d\u200d\u200b",
]
# fmt: on


@pytest.mark.parametrize("letter", INVISIBLE)
def test_letters_that_nobody_sees_make_no_other_name(letter: str) -> None:
    for name in (f"{letter}Ada Lovelace", f"Ada{letter} Lovelace", f"Ada Love{letter}lace", f"Ada Lovelace{letter}"):
        assert nfc(name) == valid_person(name) == "Ada Lovelace"
    assert nfc(f"Jose{letter}\u0301") in ("José", "Jose\u0301"), "an accent may be seen apart"
    with pytest.raises(UsageError, match=r"nothing in it can be seen"):
        valid_person(letter)


@pytest.mark.parametrize(
    "space", [" ", "  ", "\u00a0", "\u2003", "\u2009", "\u202f", "\u3000", "\u205f", "\u2800", " \u200b ", "\u00a0 "]
)
def test_every_kind_and_run_of_spaces_is_a_space(space: str) -> None:
    assert nfc(f"{space}Ada{space}Lovelace{space}") == "Ada Lovelace"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("علی\u200cرضا", "علی\u200cرضا"),  # Ali Reza
        ("ක්\u200dරිස්", "ක්\u200dරිස්"),  # Kris
        ("علی\u200c\u200cرضا", "علی\u200cرضا"),
        ("علی\u200c", "علی"),
        ("علی \u200cرضا", "علی رضا"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("Ada\u200d", "Ada"),
        ("\u200b", "\u200b"),
        ("\u202eAda", "\u202eAda"),
    ],
)
def test_joiners_stay_where_they_are_seen(name: str, kept: str) -> None:
    assert nfc(name) == nfc(nfc(name)) == kept


@given(
    st.text(st.sampled_from(["a", "e", "\u0301", " ", "\u00a0", "ع", "ර", "👩", "\n", *INVISIBLE[:-1]]), max_size=12)
)
def test_the_form_of_a_name_has_itself_as_form(name: str) -> None:
    form = nfc(name)
    assert nfc(form) == form == nfc(unicodedata.normalize("NFD", name))
    assert form or not name


@pytest.mark.parametrize(
    ("one", "other"),
    [("a.JPG", "A.jpg"), ("José", DECOMPOSED), ("STRASSE", "straße"), ("É", "e\u0301"), ("ſ", "S")],
)
def test_names_that_may_be_one_file_are_equal_when_folded(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("a", "á"), ("a b", "ab"), ("山田", "山本")])
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
    assert quoted_name("\u202eJosé\u200b") == '"\\u202eJosé\\u200b"'
    assert json.loads(quoted_name("a\nb")) == "a\nb"


# fmt: off
ALIKE = [
    ("Will Smith", "will smith"), ("WILL SMITH", "Will Smith"), ("will_smith", "Will Smith"),
    ("WillSmith", "WILL SMITH"), ("O'Brien", "O’Brien"), ("O'Brien", "OBrien"), ("Jean-Luc", "Jean Luc"),
    ("J. R. Smith", "JR Smith"), ("Al", "AL"), ("Müller", "Muller"), ("Müller", "Mueller"), ("Jörg", "Joerg"),
    ("Groß", "Gross"), ("Sørensen", "Sorensen"), ("Øystein", "Oeystein"), ("Łukasz", "Lukasz"), ("Håkon", "Haakon"),
    ("José", DECOMPOSED + "s"), ("Zoë", "Zoe"), ("Smith, Will", "Will Smith"), ("Smith Will", "Will Smith"),
    ("Li, Wu", "Wu Li"), ("Lovelase, Ada", "Ada Lovelace"), ("Amara", "Amarra"), ("Amara", "Amra"), ("Amara", "Amera"),
    ("Amara", "Aamra"), ("Ada Lovelace", "Ada Lvoelaec"), ("Adda Lovelace", "Ada Lovelase"), ("Аda", "Ada"),
    ("ΑDA", "Ada"), ("Ａｄａ", "Ada"), ("Ade", "Аdе"), ("АННА", "Анна"), ("Ёлкин", "Елкин"), ("Bob Br0wn", "Bob Brown"),
    ("AIan", "Alan"), ("Al1ce", "Alice"), ("Twin", "Twins"), ("Lady", "Ladies"), ("Boss", "Bosses"),
    ("Friend of Ada", "Friends of Ada"), ("Anna  Lee", "AnnaLee"), ("John F. Kennedy", "John Kennedy"),
    ("Person 1", "Person 01"), ("Person 1", "Person1"), ("Person 1", "Persn 1"), ("Ann Lee (2)", "Anne Lee 2"),
    ("İpek", "Ipek"), ("Παύλος", "Παυλος"), ("김철수", "김 철수"), ("John Smith Jr", "John Smith jr."),
]
NOT_ALIKE = [
    ("Ada", "Bo"), ("Ada", "Ida"), ("Ann", "Ian"), ("Erik", "Erin"), ("Amara", "Tamaro"), ("Person 1", "Person 2"),
    ("Person 1", "Person 11"), ("Person1", "Person2"), ("Person 1", "Person"), ("Family A", "Family B"),
    ("Team", "Team A"), ("Room 3a", "Room 3b"), ("Anna K.", "Anna S."), ("Anna K", "Anna"),
    ("John B. Smith", "John C. Smith"), ("Elizabeth I", "Elizabeth II"), ("John Smith", "John Smith Jr"),
    ("John Smith jun.", "John Smith sen."), ("Mr Smith", "Mrs Smith"), ("Grandma Lee", "Grandpa Lee"),
    ("grandmother", "grandfather"), ("Ada Lovelace", "Ada Byron"), ("रवि", "रवा"), ("❤️", "☺"), ("山田", "山本"),
    ("Marco Alberto", "Roberto Marco"), ("Ada", "Ada"), ("José", DECOMPOSED), ("", "x"),
    ("2019-05-01 Ada", "2019-05-02 Ada"), ("Ada", "A"), ("S", "Ss"), ("Group α", "Group β"),
]
# fmt: on


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_may_be_one_by_a_mistake_of_writing(one: str, other: str) -> None:
    assert alike(one, other) and alike(other, one)
    assert alike_pairs([one, other, "Someone Else"]) == [(min(one, other), max(one, other))]


@pytest.mark.parametrize(("one", "other"), NOT_ALIKE)
def test_other_names_are_of_two_people(one: str, other: str) -> None:
    assert not alike(one, other) and not alike(other, one)


def test_the_nearest_name_comes_first() -> None:
    others = ["Will Smithson", "Bo", "Wil Smiht", "Will Smit", "WILL SMITH", "Smith, Will", "Will Smith"]
    assert alike_names("Will Smith", others) == ["WILL SMITH", "Smith, Will", "Will Smit"]
    assert alike_names("Ada", others) == []


@given(st.text("abAB é.", min_size=5, max_size=12), st.data())
def test_a_name_with_a_letter_mistyped_is_alike(name: str, data: st.DataObject) -> None:
    name = "xy" + name + "zxyz"
    at = data.draw(st.integers(0, len(name)))
    slip = data.draw(st.sampled_from(["q", "w"]))
    assert alike(name, name[:at] + slip + name[at:]) or " " in (name + "  ")[at - 1 : at + 1] or "." in name
    assert not alike(name, name)


@given(st.lists(st.text("abA ,1é", max_size=13), max_size=8, unique=True))
def test_pairs_are_all_that_are_alike(names: list[str]) -> None:
    two = itertools.combinations(sorted(names), 2)
    assert sorted(alike_pairs(names)) == sorted(pair for pair in two if alike(*pair))


@given(st.text(max_size=12), st.text(max_size=12))
def test_being_alike_is_mutual(one: str, other: str) -> None:
    assert alike(one, other) == alike(other, one) == bool(alike_names(one, [other])) == bool(alike_pairs([one, other]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Ada Lovelase", "Did you mean Ada Lovelace? "),
        ("ada lovelace", "Did you mean Ada Lovelace? "),
        ("Lovelace Ada", "Did you mean Ada Lovelace? "),
        ("Ada", "Did you mean Ada Lovelace? "),
        ("Zoe", "Did you mean Zoë? "),
        ("Jürgen Muller", "Did you mean Jürgen Müller? "),
        ("Grace", ""),
        ("", ""),
    ],
)
def test_who_was_meant_is_asked(name: str, said: str) -> None:
    from mien.text.names import meant

    assert meant(name, ["Ada Lovelace", "Zoë", "Jürgen Müller", "Bo"]) == said
