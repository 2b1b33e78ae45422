"""What became of versions, replayed: what a rollback goes back to, and what is not made again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.registry.history import How, previous, set_aside

HISTORIES: list[tuple[str, str, str | None, str]] = [
    # versions with + promoted, - kept, < rolled back to; the current one; the one before it; those set aside
    ("", "a", None, ""),
    ("a+", "a", None, ""),
    ("a+ b+ c+", "c", "b", ""),
    ("a+ b- c+", "c", "a", "b"),
    ("a+ b+ c+ b<", "b", "a", "c"),
    ("a+ b+ c+ b< a<", "a", None, "cb"),
    ("a+ b+ a< c+", "c", "a", "b"),
    ("a+ b+ a< c+ a<", "a", None, "bc"),
    ("a+ b- b+", "b", "a", ""),  # a human promoted what the gate had kept
    ("a+ b+ a+", "a", "b", "b"),  # a human promoted the older one: a rollback by another name
    ("a+ b+ a+ b<", "b", "a", "a"),
    ("a+ b- c+ b+", "b", "c", "c"),
    ("a+ b+", "x", "b", ""),  # a model put there by hand
    ("b<", "b", None, ""),  # what came before was not written down
    ("a+ b+ c<", "c", "b", ""),
]


@pytest.mark.parametrize(("text", "current", "before", "aside"), HISTORIES)
def test_what_a_rollback_goes_back_to_and_what_is_not_made_again(
    text: str, current: str, before: str | None, aside: str
) -> None:
    kinds: dict[str, How] = {"+": "promoted", "-": "kept", "<": "rolled back"}
    history = [(one[0], kinds[one[1]]) for one in text.split()]
    assert previous(history, current) == before
    assert sorted(set_aside(history)) == sorted(aside)


@given(st.lists(st.sampled_from("+-"), max_size=12))
def test_rolling_back_again_and_again_ends_at_the_first(kinds: list[str]) -> None:
    history: list[tuple[str, How]] = [(str(n), "promoted" if k == "+" else "kept") for n, k in enumerate(kinds)]
    used = [version for version, how in history if how == "promoted"]
    current = used[-1] if used else None
    went = []
    while current is not None:
        went.append(current)
        current = previous(history, current)
        if current is not None:
            history.append((current, "rolled back"))
    assert went == used[::-1]
    assert set(set_aside(history)) == {version for version, _ in history} - set(used[:1])
