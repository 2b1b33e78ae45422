"""Names that are free on whatever system: `mien.storage.free_names`."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from mien.storage.free_names import FreeNames
from mien.text.names import LONGEST_NAME, folded

NAMES = st.lists(
    st.one_of(
        st.text("aAéE\u0301ß.-2", min_size=1, max_size=6),
        st.sampled_from(["a.jpg", "A.JPG", "a-2.jpg", "a-3.jpg", "José.png", "Jose\u0301.png", "STRASSE", "straße"]),
        st.integers(95, 130).map(lambda n: "é" * n + ".jpg"),
    ),
    max_size=20,
)


@given(NAMES, NAMES)
def test_names_never_meet_on_any_disk(there: list[str], wanted: list[str]) -> None:
    names = FreeNames(there)
    taken = [names.take(name) for name in wanted]
    assert len({folded(name) for name in taken}) == len(taken)
    assert not {folded(name) for name in taken} & {folded(name) for name in there}
    assert all(name in names for name in (*there, *taken))


@given(NAMES, NAMES)
def test_names_depend_on_nothing_but_what_was_there_and_what_was_asked_for(there: list[str], wanted: list[str]) -> None:
    one, other = FreeNames(there), FreeNames(there[::-1])
    assert [one.take(name) for name in wanted] == [other.take(name) for name in wanted]


@given(NAMES)
def test_a_name_that_is_free_is_taken_as_it_is(wanted: list[str]) -> None:
    names, before = FreeNames(), set[str]()
    for name in wanted:
        taken = names.take(name)
        assert (taken == name) == (folded(name) not in before)
        assert os.path.splitext(taken)[1] == os.path.splitext(name)[1]  # noqa: PTH122
        before.add(folded(taken))


def test_numbers_are_counted_on() -> None:
    names = FreeNames(["A.JPG"])
    assert [names.take("a.jpg") for _ in range(3)] == ["a-2.jpg", "a-3.jpg", "a-4.jpg"]
    assert names.take("A.jpg") == "A-5.jpg"
    assert [names.take("b") for _ in range(3)] == ["b", "b-2", "b-3"]


def test_a_number_that_is_taken_is_passed_over() -> None:
    names = FreeNames(["a.jpg", "A-2.jpg", "a-4.jpg"])
    assert [names.take("a.jpg") for _ in range(2)] == ["a-3.jpg", "a-5.jpg"]
    assert names.take("a-3.jpg") == "a-3-2.jpg"
    assert "a-3-2.JPG" in names and "a-6.jpg" not in names


def test_only_the_last_ending_stays_behind_the_number() -> None:
    names = FreeNames(["a.b.jpg", ".jpg"])
    assert [names.take("a.b.jpg"), names.take(".jpg")] == ["a.b-2.jpg", ".jpg-2"]


def test_the_longest_names_stay_within_what_a_disk_takes() -> None:
    names = FreeNames()
    long = "é" * 120 + ".jpg"
    taken = [names.take(long) for _ in range(3)]
    assert taken[0] == long
    assert all(len(name.encode()) <= LONGEST_NAME + len("-2.jpg") for name in taken[1:])
    assert [name[-6:] for name in taken] == ["éé.jpg", "-2.jpg", "-3.jpg"]


def test_two_long_names_that_begin_alike_do_not_meet() -> None:
    names = FreeNames()
    one, other = "é" * 110 + "x.jpg", "é" * 110 + "y.jpg"
    taken = [names.take(name) for name in (one, one, other, other)]
    assert taken == [one, f"{'é' * 100}-2.jpg", other, f"{'é' * 100}-3.jpg"]


def test_many_photos_of_one_name_are_named_in_no_time() -> None:
    names = FreeNames()
    assert [names.take("image.jpg") for _ in range(20000)][-1] == "image-20000.jpg"
