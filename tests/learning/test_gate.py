"""The gate: what is promoted, what is refused, and that the bootstrap is one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.learning.gate import (
    ALPHA,
    ENOUGH,
    Decision,
    PairedAnswers,
    chance_not_worse,
    decide,
    gone,
    holm,
)
from mien.text.models import GateKind
from mien.types import Finding

Bools = NDArray[np.bool_]


def answers(before: Sequence[bool] | Bools, after: Sequence[bool] | Bools) -> PairedAnswers:
    """Each probe a picture of its own."""
    return PairedAnswers(np.array(before, bool), np.array(after, bool), np.arange(len(before)))


NOBODY = answers([], [])


def said(findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(finding.why for finding in findings)


def decided(
    mated: PairedAnswers,
    person: Sequence[int] | NDArray[np.int64],
    strangers: PairedAnswers = NOBODY,
    new: Sequence[int] = (),
) -> Decision:
    """The decision about people called P0, P1..., all of whose photos but those in rows `new` the champion had."""
    names = [f"P{one}" for one in range(int(max(person, default=-1)) + 1)]
    earlier = ~np.isin(np.arange(len(person)), new)
    return decide(mated, np.asarray(person), names, earlier, strangers, 0.01)


# The bootstrap


@pytest.mark.parametrize("of", [1, 2, 3, 4])
def test_the_chance_is_the_share_of_all_samples_there_are(of: int) -> None:
    for lost in range(of + 1):
        for won in range(of - lost + 1):
            change = [1] * lost + [-1] * won + [0] * (of - lost - won)
            for tolerated in (0.0, 0.3):
                good = [sum(drawn) <= tolerated * of for drawn in product(change, repeat=of)]
                assert chance_not_worse(lost, won, of, tolerated) == pytest.approx(np.mean(good), abs=1e-12)


def test_the_chance_is_what_drawing_samples_finds() -> None:
    random = np.random.default_rng(0)
    change = np.array([1] * 14 + [-1] * 5 + [0] * 281)
    drawn = random.choice(change, (20_000, len(change))).sum(axis=1)
    assert chance_not_worse(14, 5, 300) == pytest.approx(float(np.mean(drawn <= 0)), abs=0.004)


def test_nothing_to_draw_from_says_nothing() -> None:
    assert chance_not_worse(0, 0, 0) == 1


@given(st.integers(1, 3000), st.data())
def test_the_chance_is_one_and_falls_with_every_loss(of: int, data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, of - 1))
    won = data.draw(st.integers(0, of - lost - 1))
    chance = chance_not_worse(lost, won, of)
    assert 0 <= chance <= 1
    assert chance_not_worse(lost + 1, won, of) <= chance + 1e-9
    assert chance_not_worse(lost, won + 1, of) >= chance - 1e-9
    assert chance_not_worse(lost, won, of, 0.01) >= chance - 1e-9


def test_a_hundred_thousand_pictures_are_no_matter() -> None:
    assert chance_not_worse(520, 400, 100_003) < 1e-4
    assert chance_not_worse(520, 400, 100_003, 0.002) > 0.99


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.5, 0.9]) == [1.0, 1.0]


# The decision


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=60), st.lists(st.booleans(), max_size=60))
def test_a_model_is_not_worse_than_itself(probes: list[tuple[bool, int]], strangers: list[bool]) -> None:
    good = [one for one, _ in probes]
    decision = decided(answers(good, good), [person for _, person in probes], answers(strangers, strangers))
    assert decision.promote
    assert decision.remarks == () and len(decision.reasons) == 1


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_an_answer_that_gets_better_never_turns_a_promotion_into_a_refusal(seed: int, stranger: bool) -> None:
    random = np.random.default_rng(seed)
    person = random.integers(0, 6, 80)
    table = random.random((4, 80)) < random.uniform(0.6, 1.0)
    new = np.flatnonzero(random.random(80) < 0.2)
    before = decided(answers(table[0], table[1]), person, answers(table[2], table[3]), new.tolist())
    worse = np.flatnonzero(~table[3 if stranger else 1])
    if not before.promote or not len(worse):
        return
    table[3 if stranger else 1, random.choice(worse)] = True
    assert decided(answers(table[0], table[1]), person, answers(table[2], table[3]), new.tolist()).promote


@pytest.mark.parametrize("others", [0, 1, 49, 500])
def test_whoever_loses_a_person_is_refused_among_however_many(others: int) -> None:
    person = np.repeat(np.arange(others + 1), ENOUGH)
    after = person != others
    decision = decided(answers(np.ones(len(person), bool), after), person)
    assert not decision.promote
    assert [name for name, question in decision.people.items() if question.worse] == [f"P{others}"]
    assert f"P{others} is recognised worse: on 0 of 5 pictures instead of 5" in " ".join(said(decision.reasons))


def test_a_person_with_few_pictures_is_only_reported() -> None:
    person = np.repeat(np.arange(200), [ENOUGH - 1, *[12] * 199])
    decision = decided(answers(np.ones(len(person), bool), person != 0), person)
    assert decision.promote and decision.people["P0"].p is None
    assert said(decision.remarks) == (
        "P0 is recognised on 0 of 4 pictures instead of 4; that is too few pictures to judge by.",
    )


def test_near_duplicates_are_one_picture() -> None:
    person = np.repeat([0, 1], [20, 200])
    picture = np.arange(220)
    picture[:20] = 0
    copies = PairedAnswers(np.ones(220, bool), person != 0, picture)
    decision = decided(copies, person)
    assert decision.promote and decision.people["P0"].of == 1
    assert decision.overall.of == 201 and decision.overall.lost == 1


def test_a_picture_is_answered_as_most_of_its_copies_are() -> None:
    before = PairedAnswers(np.array([True, True, False]), np.array([True, False, False]), np.zeros(3, np.int64))
    question = decided(before, [0, 0, 0]).overall
    assert (question.of, question.before, question.after, question.lost) == (1, 1, 0, 1)


def test_strangers_who_get_names_are_a_reason() -> None:
    before, after = np.ones(500, bool), np.ones(500, bool)
    before[:3], after[:12] = False, False
    decision = decided(answers([True] * 10, [True] * 10), [0] * 10, answers(before, after))
    assert decision.strangers.worse and not decision.promote and not decision.overall.worse
    (reason,) = decision.reasons
    assert (reason.kind, reason.people) == (GateKind.MORE_STRANGERS_NAMED, ())
    assert {name: reason.figures[name] for name in ("of", "before", "after", "won")} == {
        "of": 500,
        "before": 497,
        "after": 488,
        "won": 0,
    }
    assert reason.why == "More strangers get a name: 2.4 % instead of 0.6 %, beyond chance (p = 0.00034)."


def test_known_people_who_get_no_names_are_a_reason() -> None:
    person = np.repeat(np.arange(100), 10)
    after = np.arange(1000) % 50 != 0  # a picture of every fifth person
    decision = decided(answers(np.ones(1000, bool), after), person)
    assert decision.overall.worse and not any(one.worse for one in decision.people.values())
    assert decision.reasons[0].why.startswith(
        "Fewer pictures of known people get the right name: 98.0 % of 1,000 instead of all, beyond chance (p "
    )


def test_what_a_large_album_shows_but_nobody_would_notice_is_let_through() -> None:
    after = np.ones(20_000, bool)
    after[:30] = False
    person = np.arange(20_000) % 400
    assert chance_not_worse(30, 0, 20_000) < 1e-9
    decision = decided(answers(np.ones(20_000, bool), after), person, answers(after, after))
    assert decision.promote


def test_new_photos_do_not_make_up_for_the_old_ones_that_are_lost() -> None:
    """Twice as many photos of somebody else were filed under P0; the challenger has learned those."""
    person = np.repeat([0, 1, 2], [36, 40, 40])
    before, after = np.ones(116, bool), np.ones(116, bool)
    before[12:36], after[:12] = False, False
    decision = decided(answers(before, after), person, new=range(12, 36))
    assert not decision.promote and not decision.people["P0"].worse
    (reason,) = decision.reasons
    assert (reason.kind, reason.people) == (GateKind.PERSON_WORSE_ON_EARLIER, ("P0",))
    assert reason.needs_human and reason.remedy == "Look at what came in under this name."
    assert reason.why.startswith("P0 is recognised worse: on 0 of 12 pictures that were there before instead of 12, ")


@pytest.mark.parametrize("pictures", [0, 1, ENOUGH - 1])
def test_too_little_to_compare_by_promotes_and_says_so(pictures: int) -> None:
    all_lost = answers([True] * pictures, [False] * pictures)
    decision = decided(all_lost, range(pictures), all_lost)
    assert decision.promote and decision.overall.p is None and decision.strangers.p is None
    assert said(decision.reasons) == ("There are too few pictures by which the two models could be compared.",)
    assert len(decision.remarks) == pictures


def test_why_it_is_promoted_is_said_with_figures() -> None:
    decision = decided(answers([True] * 9 + [False], [True] * 10), [0] * 10, answers([True] * 100, [True] * 100))
    assert said(decision.reasons) == (
        "Not worse beyond chance: all of 10 pictures of known people get the right name (90 % before),"
        " none of the strangers get a name (none before), and no single person is recognised worse.",
    )


def test_where_there_are_no_strangers_none_are_spoken_of() -> None:
    decision = decided(answers([True] * 10, [True] * 10), [0] * 10)
    assert said(decision.reasons) == (
        "Not worse beyond chance: all of 10 pictures of known people get the right name (all before),"
        " and no single person is recognised worse.",
    )


def test_it_can_be_written_as_json() -> None:
    person = np.repeat([0, 1], [3, 10])
    found = decided(answers(np.ones(13, bool), person == 1), person, answers([True], [True])).to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [reason["kind"] for reason in found["reasons"]] == ["not worse"]
    assert [(remark["kind"], remark["people"]) for remark in found["remarks"]] == [
        ("person lost on too few pictures", ["P0"])
    ]
    assert found["promote"] and found["people"]["P0"]["p"] is None and found["people"]["P1"]["p"] == 1


# How often


def refused(worse: float, draws: int) -> float:
    """The share that is refused of challengers who lose and win pictures by chance, and a share `worse` beyond that, in
    albums of 20 people with 15 photos each."""
    person = np.repeat(np.arange(20), 15)
    count = 0
    for seed in range(draws):
        random = np.random.default_rng(seed)
        margin = random.normal(2, 1, 300)  # how clearly the photo shows the person, alike for both models
        before, after = (margin + random.normal(0, 0.2, 300) > 0 for _ in range(2))
        quiet = [np.abs(random.normal(0, 1, 300)) < 2.5 + random.normal(0, 0.1, 300) for _ in range(2)]
        lost = random.random(300) < worse
        count += not decided(answers(before, after & ~lost), person, answers(quiet[0], quiet[1])).promote
    return count / draws


def test_a_challenger_as_good_as_the_champion_is_refused_rarely() -> None:
    assert refused(0.0, 100) <= ALPHA


def test_a_worse_challenger_is_refused_mostly() -> None:
    assert refused(0.05, 40) >= 0.9
    assert refused(0.02, 40) >= 0.2


# What is gone

THEN = {"Ada": ["a1", "a2", "a3"], "Bo": [f"b{number}" for number in range(12)], "Cy": ["c1"]}


def told(after: dict[str, list[str]]) -> list[tuple[str, str, int]]:
    return [(finding.kind.name, finding.people[0], int(str(finding.figures["gone"]))) for finding in gone(THEN, after)]


def test_who_is_not_known_any_more_is_gone() -> None:
    assert told(THEN) == []
    assert told({"Ada": THEN["Ada"], "Bo": THEN["Bo"]}) == [("PERSON", "Cy", 1)]
    assert told({"Cy": ["c1"], "Di": ["d"]}) == [("PERSON", "Ada", 3), ("PERSON", "Bo", 12)]


def test_who_has_another_name_now_is_not_gone() -> None:
    assert told({"Ada Lovelace": THEN["Ada"], "Bo": THEN["Bo"], "Cy": ["c1"]}) == []
    assert told({"Bo": [*THEN["Bo"], *THEN["Ada"]], "Cy": ["c1"]}) == []
    assert told({"A.": ["a1"], "Bo": THEN["Bo"], "Cy": ["c1"]}) == [("PERSON", "Ada", 2)], "two of three are gone"


def test_whose_photos_fell_far_is_told() -> None:
    assert told(THEN | {"Bo": ["b0", "b1"]}) == [("PHOTOS", "Bo", 10)]
    assert told(THEN | {"Bo": THEN["Bo"][:6]}) == [], "half of them are left"
    assert told(THEN | {"Ada": ["a1"]}) == [], "too few to judge by"
    assert told(THEN | {"Bo": [f"new {number}" for number in range(12)]}) == [], "saved anew, all of them"
