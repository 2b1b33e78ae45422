"""What can be wrong with a photo of a source, and with a source, as kinds and in errors."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from mien.errors import FetchError, SourceError
from mien.text.fetching import FetchFault, SourceFault


@pytest.mark.parametrize("kind", [*FetchFault, *SourceFault], ids=repr)
def test_the_words_need_no_figures_and_the_remedy_is_a_sentence(kind: FetchFault | SourceFault) -> None:
    assert kind.say({}) == kind.words
    assert not kind.words.endswith(".") and kind.words[:1].islower()
    assert kind.remedy.endswith(".") and kind.remedy[:1].isupper()
    (found,) = (each for each in type(kind) if each == json.loads(json.dumps(kind)))
    assert found is kind, "a record that holds the word alone leads back to the kind"


ERRORS = [
    FetchError("1.jpg", "is gone", "Look.", FetchFault.GONE),
    SourceError("The source club", "is shut", "Open it.", SourceFault.OPTIONS),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_copying(error: FetchError | SourceError, copied: object) -> None:
    assert callable(copied)
    twin = copied(error)
    assert type(twin) is type(error) and str(twin) == str(error) and twin.args == error.args
    assert (twin.about, twin.what, twin.remedy) == (error.about, error.what, error.remedy)
    assert twin.kind is error.kind


def test_a_source_of_others_need_name_no_kind() -> None:
    error = SourceError("The source shoebox", "has no lid", "Find it.")
    assert str(error) == "The source shoebox has no lid. Find it." and error.kind is SourceFault.UNLISTED


def test_what_the_settings_say_is_told_where_they_are_at_hand() -> None:
    assert SourceFault.UNSET.say({"missing": "basis"}) == "does not state its basis, so nothing is collected from it"
    assert SourceFault.OVER.say({"until": "2026-11-23"}).endswith("its photos might be used until 2026-11-23")
    assert SourceFault.UNSET.say({"source": "club"}) == SourceFault.UNSET.words
