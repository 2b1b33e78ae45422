from __future__ import annotations

import json
from pathlib import Path

import pytest

from mien import Album
from mien.stages.models import models


@pytest.fixture
def folder(album: Path) -> Path:
    """The models of an album that was trained twice on real faces."""
    (album / "training-images/Amara/01.jpg").unlink()
    Album(album).train()
    return album / "models"


def test_no_models(tmp_path: Path) -> None:
    assert models(tmp_path / "models", []) == ()


def test_what_each_was_made_of_and_is_worth(folder: Path) -> None:
    first, second = models(folder, [])
    assert (first.people, first.photos, first.in_use) == (6, 36, False)
    assert (second.people, second.photos, second.in_use) == (6, 35, True)
    assert first.version < second.version and first.created <= second.created and first.head
    assert (first.top1.of, second.top1.of) == (36, 35) and 0 < first.top1.hits <= 36
    told = json.loads(json.dumps(first.to_json()))
    low, high = told["top1"]["interval"]
    assert low <= told["top1"]["value"] <= high and told["damaged"] == "" and told["how"] == ""


def test_how_each_came_into_use_last(folder: Path) -> None:
    first, second = (one.version for one in models(folder, []))
    promotions = [(first, "train"), (second, "daily"), (first, "rollback"), ("2020-01-01-001", "train")]
    assert [one.how for one in models(folder, promotions)] == ["rollback", "daily"]


def test_a_damaged_one_is_listed_and_so_is_the_rest(folder: Path) -> None:
    first, second = models(folder, [])
    (folder / first.version / "card.json").write_text("{}")
    damaged, fine = models(folder, [(first.version, "train")])
    assert "card.json" in damaged.damaged and (damaged.people, damaged.photos) == (0, 0) and damaged.how == "train"
    assert fine == second
    assert json.loads(json.dumps(damaged.to_json()))["top1"] == {"value": None, "of": 0, "interval": None}


def test_which_is_in_use_need_not_be_known(folder: Path) -> None:
    (folder / "current").write_text("nonsense")
    assert [one.in_use for one in models(folder, [])] == [False, False]
