"""Queries as CompreFace's clients write them; each odd one was recorded from a published client."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mien.records.keys import Key
from mien.server.compreface.queries import Wanted, flag, parsed, subject_in, threshold, wanted, whole
from mien.server.problems import Problem
from mien.text.access import Scope


def key(scope: Scope = Scope.ADMIN) -> Key:
    return Key("desk", scope, datetime.now(UTC), None, None, None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {}),
        ("&limit=0&status=true", {"limit": "0", "status": "true"}),
        ("limit=&face_plugins=&subject=Ada", {"subject": "Ada"}),
        (
            "det_prob_threshold=0.9?face_plugins=age?status=true",
            {"det_prob_threshold": "0.9", "face_plugins": "age", "status": "true"},
        ),
        ("subject=Ada?det_prob_threshold=0.8", {"subject": "Ada", "det_prob_threshold": "0.8"}),
        ("subject=Ada%3Flimit=1", {"subject": "Ada?limit=1"}),
        ("subject=Zo%C3%AB+%26+Co&threshold=", {"subject": "Zoë & Co"}),
        ("subject=Zo%C3%AB%20&%20Co&det_prob_threshold=0.8", {"subject": "Zoë & Co", "det_prob_threshold": "0.8"}),
        ("subject=Ada&Co/1?&limit=2", {"subject": "Ada&Co/1?", "limit": "2"}),
        ("subject=Zo\u00c3\u00ab", {"subject": "Zoë"}),
        ("limit=1&limit=2&other=3&plain", {"limit": "1", "other": "3"}),
        ("subject=a=b", {"subject": "a=b"}),
    ],
)
def test_a_query_is_taken_apart(query: str, found: dict[str, str]) -> None:
    assert parsed(query) == found


@pytest.mark.parametrize("query", ["", "subject=", "&subject=&page=1", "page=1&&subject=", "subject=?limit=1"])
def test_everybody_is_meant_where_no_subject_is_named(query: str) -> None:
    assert subject_in(query) is None
    assert subject_in(f"{query}&subject=Ada") == "Ada"


@pytest.mark.parametrize(
    "query",
    ["subject=%20", "subject=+", "subject=%C2%A0", "subject=%09&size=1", "subject", "subject=&Co", "subject=&&Co"],
)
def test_a_subject_that_went_wrong_is_not_everybody(query: str) -> None:
    with pytest.raises(Problem) as caught:
        subject_in(query)
    assert caught.value.kind == "parameter"


def test_what_is_wanted() -> None:
    assert wanted({}, key()) == Wanted(0, 0.0, 1, False, False, False)
    asked = parsed(
        "limit=2&det_prob_threshold=0.8&prediction_count=3&face_plugins=Landmarks,calculator,age&status=True"
    )
    assert wanted(asked, key()) == Wanted(2, 0.8, 3, True, True, True)
    assert not wanted(asked, key(Scope.REVIEW)).embeddings
    assert wanted({"face_plugins": "undefined", "det_prob_threshold": "undefined", "limit": "null"}, key()) == wanted(
        {}, key()
    )


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "9" * 12, "٣"])
def test_a_limit_is_a_whole_number(text: str) -> None:
    with pytest.raises(Problem) as caught:
        whole({"limit": text}, "limit", 0)
    assert caught.value.kind == "parameter"


@pytest.mark.parametrize("text", ["2", "-0.1", "high", "1e400", "inf"])
def test_a_threshold_lies_between_nought_and_one(text: str) -> None:
    with pytest.raises(Problem):
        threshold({"det_prob_threshold": text})


def test_a_flag_is_true_in_any_language() -> None:
    assert flag({"status": "True"}, "status") and flag({"status": "1"}, "status")
    assert not flag({"status": "False"}, "status") and not flag({}, "status")
    with pytest.raises(Problem):
        flag({"status": "perhaps"}, "status")
    with pytest.raises(Problem):
        wanted({"prediction_count": "0"}, key())
