"""Kinds own their words, and come back from the databases by their keys: `mien.text.findings`."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from mien import errors
from mien.text.fetching import FetchFault, SourceFault
from mien.text.findings import (
    ErrorKind,
    FindingKind,
    LeftOutKind,
    MemoryKind,
    RemovalKind,
    StaleKind,
    StepKind,
    kind_of,
)
from mien.text.kinds import Kind
from mien.text.models import GateKind, GoneKind, IncomparableKind, UseKind
from mien.text.words import fill

STORED: tuple[type[Kind], ...] = (
    FindingKind,
    StepKind,
    ErrorKind,
    GateKind,
    GoneKind,
    IncomparableKind,
    SourceFault,
    FetchFault,
)
"""Families of kinds that a ledger may hold as findings."""
OTHERS: tuple[type[Kind], ...] = (LeftOutKind, MemoryKind, StaleKind, RemovalKind, UseKind)


def figures(words: str) -> dict[str, object]:
    """Something for each figure that the words want."""
    specs = {name: spec or "" for _, name, spec, _ in Formatter().parse(words) if name}
    return {name: ("a", "b") if spec in ("and", "or") else 2 for name, spec in specs.items()}


@pytest.mark.parametrize("family", STORED)
def test_every_kind_that_is_stored_is_found_by_its_key(family: type[Kind]) -> None:
    for kind in family:
        found = kind_of(kind.key)
        assert found is kind
        assert (type(found), found.needs_human) == (family, kind.needs_human)


def test_no_kind_of_an_earlier_ledger_is_lost() -> None:
    """stored-kinds.txt has the keys that ledgers may hold: a new kind is added to it, and no line ever changed."""
    keys = (Path(__file__).parent / "stored-kinds.txt").read_text("utf-8").splitlines()
    assert keys and {kind_of(key).key for key in keys} == set(keys)
    assert {kind.key for family in STORED for kind in family} <= set(keys), "add the new ones"


def test_two_families_may_share_a_word_and_never_a_key() -> None:
    keys = [kind.key for family in (*STORED, *OTHERS) for kind in family]
    assert len(set(keys)) == len(keys)
    assert FindingKind.NOT_SEEN.value == StaleKind.NOT_SEEN.value, "the words are equal"
    assert kind_of("SourceFault.broken") is SourceFault.BROKEN
    assert kind_of("FetchFault.broken") is FetchFault.BROKEN


@pytest.mark.parametrize(
    "key", ["", "few", "FindingKind", "FindingKind.", "FindingKind.FEW", "Findingkind.few", "StepKind.few", "Kind.few"]
)
def test_a_key_that_is_not_known_is_an_error(key: str) -> None:
    with pytest.raises(KeyError, match=re.escape(repr(key))):
        kind_of(key)


@pytest.mark.parametrize("family", [*STORED, *OTHERS])
def test_every_kind_can_say_itself_and_what_to_do(family: type[Kind]) -> None:
    for kind in family:
        said = kind.say(figures(kind.words))
        told = fill(kind.remedy, figures(kind.remedy))
        assert said and not re.search(r"[{}]", said + told), kind.key
        assert "  " not in said + told, kind.key
        assert told or not kind.needs_human, f"{kind.key} leaves somebody helpless"


def test_what_needs_a_human_is_told_first() -> None:
    needs = [kind.needs_human for kind in FindingKind]
    assert needs == sorted(needs, reverse=True) and len(set(needs)) == 2


def test_whatever_ends_a_step_has_a_kind_of_its_own() -> None:
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.MienError)]
    assert {kind.value for kind in ErrorKind} == {one.__name__ for one in classes}
    assert all(kind.needs_human for kind in ErrorKind)


def test_why_something_is_left_out_completes_a_sentence() -> None:
    for kind in LeftOutKind:
        assert kind.words.split()[0] in ("is", "has", "cannot"), kind.key
