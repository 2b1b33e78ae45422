"""What Python prints of an answer."""

from __future__ import annotations

import numpy as np

from mien.errors import PhotoError
from mien.text.photos import PhotoFault
from mien.types import Answer, Face, NamedFace, Prediction, Quality


def face(person: str | None, probability: float) -> NamedFace:
    told = Face((1, 2, 30, 40), np.zeros((5, 2), np.float32), 0.9, "told")
    return NamedFace(told, Quality(80, 1, 1, 1, 1), Prediction(person, probability, 0.9, 0.8, ()))


def test_an_answer_is_a_line() -> None:
    answer = Answer("party.jpg", "m", None, (face("Ada", 0.981), face(None, 0.9), face("Bo", 1.0)), None)
    assert str(answer) == "party.jpg: Ada 98 %, unknown, Bo >99 %"
    assert repr([answer]) == "[<Answer party.jpg: Ada 98 %, unknown, Bo >99 %>]"
    assert str(Answer("sea.jpg", "m", None, (), None)) == "sea.jpg: no face"
    assert str(Answer("a.jpg", "m", None, (), PhotoError("a.jpg", PhotoFault.EMPTY))) == "a.jpg: is empty"
