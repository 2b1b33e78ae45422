"""Which versions are kept: dropping and pruning them, whenever that is killed, and what must never be dropped."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien.errors import ModelError
from mien.registry import versions
from mien.registry.folder import load_model

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]


def there(painted: Painted) -> list[str]:
    return versions.names(painted.folder / "models")


def numbers(painted: Painted) -> list[int]:
    return [int(version[11:]) for version in there(painted)]


def train(painted: Painted, times: int) -> None:
    """So many versions, each of a photo more."""
    for _ in range(times):
        painted.photo(f"Ada/more-{len(list(painted.training.rglob('*.png')))}.png")
        painted.open().train()


@pytest.fixture(scope="module")
def _six(tmp_path_factory: pytest.TempPathFactory, new_painted: Callable[[Path], Painted], _taught: Path) -> Path:
    painted = new_painted(tmp_path_factory.mktemp("six") / "album")
    shutil.copytree(_taught, painted.folder, dirs_exist_ok=True)
    train(painted, 5)
    return painted.folder


@pytest.fixture
def six(painted: Painted, _six: Path) -> Painted:
    """Three people with six versions."""
    shutil.copytree(_six, painted.folder, dirs_exist_ok=True)
    return painted


# drop


def test_a_version_goes_with_its_page_and_the_others_stay(six: Painted) -> None:
    kept = {version: load_model(six.folder / "models" / version).card for version in there(six)}
    chosen = [there(six)[1], there(six)[3]]
    dropped = six.open().drop(chosen[::-1])
    assert (dropped.versions, dropped.left, numbers(six)) == (tuple(chosen), 4, [1, 3, 5, 6])
    assert {version: load_model(six.folder / "models" / version).card for version in there(six)} == {
        version: card for version, card in kept.items() if version not in chosen
    }
    assert [one.version for one in six.open().models()] == there(six)
    assert six.open().drop(there(six)[0]).left == 3, "one alone need not be in a list"


def test_nothing_is_dropped_where_one_cannot_be(six: Painted) -> None:
    first, *_, last = there(six)
    for words, said in (
        ([first, last], f"The model {last} is in use"),
        ([first, "2026-01-01-001"], "holds no version '2026-01-01-001'"),
        ([first, "../../training-images"], "holds no version"),
    ):
        with pytest.raises(ModelError, match=said):
            six.open().drop(words)
        assert len(there(six)) == 6


def test_no_version_gets_the_name_of_one_that_was_dropped(six: Painted) -> None:
    """The history would take the one for the other: a version that was set aside would be promoted no more."""
    six.open().rollback()
    assert six.open().drop(there(six)[-1]).left == 5
    train(six, 1)
    assert numbers(six) == [1, 2, 3, 4, 5, 7]
    six.open().drop(there(six)[0])
    train(six, 1)
    assert numbers(six)[-1] == 8


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", ["os.rename", "os.unlink", "os.rmdir", "os.replace"])
@pytest.mark.parametrize("survived", [0, 1, 2])
def test_killed_while_it_drops_each_version_is_whole_or_gone(six: Painted, step: str, survived: int) -> None:
    chosen, left = there(six)[:3], survived
    real = getattr(os, step.partition(".")[2])

    def kill(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return real(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, kill)
        with contextlib.suppress(Killed):
            six.open().drop(chosen)
    for version in there(six):
        load_model(six.folder / "models" / version)
    six.open().drop([version for version in chosen if version in there(six)])
    assert numbers(six) == [4, 5, 6]
    train(six, 1)
    assert not list((six.folder / "models").glob(".mien-*")), "what a kill left is cleared away"


def test_dropping_is_told(mien: Mien, six: Painted) -> None:
    first, second, *_, last = there(six)
    result = mien("-C", six.folder, "models", "drop", first)
    assert result.exit_code == 0 and result.stdout.splitlines() == [
        f"deleted     1 model: {first}",
        "left        5 models",
    ]
    told = json.loads(mien("-C", six.folder, "models", "drop", second, "--json").stdout)
    assert told == {"dropped": [second], "left": 4}
    refused = mien("-C", six.folder, "models", "drop", last)
    assert refused.exit_code == 7 and "is in use" in refused.stderr and "promote" in refused.stderr


# prune


def test_the_newest_stay(six: Painted) -> None:
    dropped = six.open(keep=3).prune()
    assert numbers(six) == [4, 5, 6] and len(dropped.versions) == 3 and dropped.left == 3


def test_by_default_nothing_goes_from_a_young_album(six: Painted) -> None:
    assert six.open().prune().versions == () and six.open(keep=0).prune().versions == ()
    assert len(there(six)) == 6


def test_the_one_in_use_and_the_one_before_stay_however_old(six: Painted) -> None:
    for _ in range(4):
        six.open().rollback()
    six.open(keep=1).prune()
    assert numbers(six) == [1, 2, 6], "a rollback goes back from 2 to 1"
    assert six.open().rollback().endswith("-001")


def test_the_one_whose_page_is_shown_stays(six: Painted) -> None:
    for number in range(4):
        photo = six.paint(six.folder.parent / f"{number}.png", "Stranger")
        six.open().add("Dee", [photo], enrol=True)
    assert numbers(six) == list(range(1, 11))
    page = six.open().report()
    six.open(keep=1).prune()
    assert numbers(six) == [6, 9, 10] and six.open().report() == page


def test_the_daily_run_prunes_and_says_so(six: Painted) -> None:
    with (six.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write("keep = 2\n")
    six.photo("Ada/for today.png")
    done = six.open().daily()
    promoted = done.run.step("promote")
    assert promoted and promoted.line.endswith("older models deleted, as keep = 2 in mien.toml")
    assert len(there(six)) <= 3 and promoted.figures["pruned"] == 7 - len(there(six))
    again = six.open().daily().run.step("promote")
    assert again and again.figures["pruned"] == 0


def test_pruning_is_told(mien: Mien, six: Painted) -> None:
    told = json.loads(mien("-C", six.folder, "models", "prune", "--keep", 4, "--json").stdout)
    assert told["left"] == 4 and len(told["dropped"]) == 2
    assert mien("-C", six.folder, "models", "prune").stdout.split() == ["deleted", "0", "models", "left", "4", "models"]


def test_a_copy_of_an_album_is_pruned_alike(six: Painted, tmp_path: Path) -> None:
    copy = replace(six, folder=shutil.copytree(six.folder, tmp_path / "copy"))
    assert six.open(keep=2).prune() == copy.open(keep=2).prune()
