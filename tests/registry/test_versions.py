"""The versions: which there are, which is in use, and what a killed run leaves of them."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mien.errors import DamagedModelError, ModelError, StorageError
from mien.learning import openset
from mien.registry import versions
from mien.registry.folder import Draft, load_card, load_model
from mien.testing import COSINES

Write = Callable[..., str]
MODEL = ("model.onnx", "labels.txt", "thresholds.json", "card.json")
NEEDS_LINKS = pytest.mark.skipif(os.name == "nt", reason="Windows lets few users make links")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def write(draft: Callable[..., Draft]) -> Write:
    """write(models, ("Ann", "Bo")) writes a version with a page and returns its name."""

    def make(models: Path, *people: tuple[str, ...], **other: Any) -> str:
        return versions.write(models, draft(*people, **other), lambda version: f"<html>{version}".encode())

    return make


@pytest.fixture
def folder(models: Path, write: Write) -> Path:
    """That of a version."""
    return models / write(models)


def test_versions_count_up_and_sort_by_time(models: Path, write: Write) -> None:
    assert versions.names(models) == []
    days = [(2026, 11, 23), (2026, 11, 23), (2026, 12, 1), (2026, 11, 30)]
    written = [write(models, created=datetime(*day, tzinfo=UTC)) for day in days]
    # The clock was set back before the last one.
    assert written == ["2026-11-23-001", "2026-11-23-002", "2026-12-01-001", "2026-12-01-002"]
    assert versions.names(models) == written


def test_the_thousandth_model_of_a_day_comes_last(models: Path, write: Write) -> None:
    (models / "2026-11-23-999").mkdir(parents=True)
    assert write(models) == "2026-11-23-1000"
    assert versions.names(models) == ["2026-11-23-999", "2026-11-23-1000"]


def test_current_is_what_was_promoted(models: Path, write: Write) -> None:
    assert versions.current(models) is None
    first, second = write(models), write(models)
    assert versions.current(models) is None
    versions.promote(models, second)
    assert versions.current(models) == second
    versions.promote(models, first)  # rolling back
    assert versions.current(models) == first


@pytest.mark.parametrize("version", ["2026-01-01-001", "../elsewhere", "", "current"])
def test_what_is_no_version_cannot_be_promoted(models: Path, write: Write, version: str) -> None:
    write(models)
    with pytest.raises(ModelError, match="models holds no version"):
        versions.promote(models, version)


def test_a_damaged_model_does_not_become_current(models: Path, write: Write) -> None:
    good, bad = write(models), write(models)
    versions.promote(models, good)
    network = bytearray((models / bad / "model.onnx").read_bytes())
    network[500] ^= 16
    (models / bad / "model.onnx").write_bytes(network)
    with pytest.raises(DamagedModelError):
        versions.promote(models, bad)
    assert versions.current(models) == good


@pytest.mark.parametrize("text", [b"", b"../../etc", b"2026-11-23-001\n2026-11-23-002", b"\xff" * 8, b"x" * 65])
def test_a_garbled_current_is_refused(models: Path, write: Write, text: bytes) -> None:
    write(models)
    (models / "current").write_bytes(text)
    with pytest.raises(DamagedModelError, match="current"):
        versions.current(models)


def test_current_may_come_from_windows(folder: Path) -> None:
    (folder.parent / "current").write_bytes(f"{folder.name}\r\n".encode())
    assert versions.current(folder.parent) == folder.name


def test_a_current_version_that_was_deleted_is_named(folder: Path) -> None:
    versions.promote(folder.parent, folder.name)
    shutil.rmtree(folder)
    with pytest.raises(DamagedModelError, match=f"names {folder.name}, which is not there"):
        versions.current(folder.parent)


# Crashes


class PowerCut(BaseException):
    """Nothing runs after it, no clean-up either."""


def watch(patch: pytest.MonkeyPatch, models: Path, act: Callable[[int], None]) -> list[str]:
    """Has `act` called with the number of each step of writing, before it is taken; returns the steps so far."""
    steps: list[str] = []

    def watched(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "fsync" or models in (Path(args[0]), *Path(args[0]).parents):
                steps.append(name)
                act(len(steps))
            return step(*args, **kwargs)

        return call

    for name in ("replace", "rename", "fsync", "mkdir"):
        patch.setattr(os, name, watched(name, getattr(os, name)))
    patch.setattr(Path, "open", watched("open", Path.open))
    return steps


def renew(models: Path, write: Write) -> None:
    versions.promote(models, write(models, ("Ann", "Bo", "Cy")))


def number_of_steps(tmp_path: Path, write: Write) -> int:
    models = tmp_path / "rehearsal"
    renew(models, write)
    with pytest.MonkeyPatch.context() as patch:
        steps = watch(patch, models, lambda _: None)
        renew(models, write)
    assert {"replace", "rename", "fsync", "mkdir", "open"} <= set(steps)
    return len(steps)


def check_valid(models: Path, old: str, write: Write) -> None:
    """The current model is the old or the new one, every version loads and has its page, and the next run cleans up and
    succeeds."""
    for version in versions.names(models):
        load_model(models / version)
        assert (models / version / "report.html").read_bytes() == f"<html>{version}".encode()
    used = versions.current(models)
    assert used is not None
    people = load_model(models / used).people
    assert people == (("Ann", "José", "李小龙") if used == old else ("Ann", "Bo", "Cy"))
    renew(models, write)
    assert versions.current(models) == versions.names(models)[-1]
    assert {entry.name for entry in models.iterdir()} == {"current", *versions.names(models)}


def test_a_full_disk_at_any_step_leaves_the_old_model_or_the_new(tmp_path: Path, write: Write) -> None:
    for step in range(1, number_of_steps(tmp_path, write) + 1):
        models = tmp_path / f"full-{step}"
        versions.promote(models, old := write(models))

        def refuse(number: int, step: int = step) -> None:
            if number == step:
                raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.MonkeyPatch.context() as patch:
            watch(patch, models, refuse)
            try:
                renew(models, write)
            except (StorageError, DamagedModelError) as error:  # damaged: a file could not be opened for checking
                assert str(models) in error.message
        left = {entry.name for entry in models.iterdir()} - {"current", *versions.names(models)}
        assert left == set()
        check_valid(models, old, write)


def test_a_power_cut_at_any_step_leaves_the_old_model_or_the_new(tmp_path: Path, write: Write) -> None:
    for step in range(1, number_of_steps(tmp_path, write) + 1):
        models = tmp_path / f"cut-{step}"
        versions.promote(models, old := write(models))

        def cut(number: int, step: int = step) -> None:
            if number >= step:  # whatever tries to clean up fails as well
                raise PowerCut

        with pytest.MonkeyPatch.context() as patch:
            watch(patch, models, cut)
            patch.setattr(shutil, "rmtree", lambda *_, **__: None)
            patch.setattr(Path, "unlink", lambda *_, **__: None)
            with pytest.raises(PowerCut):
                renew(models, write)
        check_valid(models, old, write)


# What a killed run had made already


def test_a_version_that_a_killed_run_wrote_is_not_written_again(models: Path, draft: Callable[..., Draft]) -> None:
    made, later = {"counts": {"photos": 3}}, datetime(2026, 11, 24, tzinfo=UTC)
    first = versions.write(models, draft(**made))
    before = (models / first / "card.json").read_bytes()
    assert versions.write(models, draft(**made, created=later)) == first
    assert versions.names(models) == [first] and (models / first / "card.json").read_bytes() == before
    second = versions.write(models, draft(("Ann", "Bo"), **made))
    assert versions.names(models) == [first, second]
    third = versions.write(models, draft(**made, created=later))
    assert versions.names(models) == [first, second, third], "only the newest can be what a killed run made"


@pytest.mark.parametrize("file", ["model.onnx", "card.json", "report.html"])
def test_a_version_that_is_not_whole_is_written_again(models: Path, draft: Callable[..., Draft], file: str) -> None:
    made = {"counts": {"photos": 3}}
    first = versions.write(models, draft(**made), lambda version: b"page")
    (models / first / file).unlink()
    second = versions.write(models, draft(**made), lambda version: b"page")
    assert versions.names(models) == [first, second]
    assert {entry.name for entry in (models / second).iterdir()} == {*MODEL, "report.html"}


def test_for_a_version_without_a_page_none_is_missed(models: Path, draft: Callable[..., Draft]) -> None:
    made = {"counts": {"photos": 3}}
    first = versions.write(models, draft(**made), lambda version: b"page")
    assert versions.write(models, draft(**made)) == first


@NEEDS_LINKS
def test_leftovers_are_swept_and_nothing_else(models: Path, write: Write, tmp_path: Path) -> None:
    write(models)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "photo").touch()
    ours = [".mien-new-2026-11-22-003.tmp", ".mien-0123456789abcdef.tmp", ".mien-new-2026-11-22-004.tmp"]
    theirs = [".mien-mine.tmp", "new-2026-11-22-003", ".mien-new-2026-11-22-003.tmp.bak", "2026-old"]
    for name in (ours[0], *theirs):
        (models / name).mkdir()
        (models / name / "file").touch()
    (models / ours[1]).touch()
    (models / ours[2]).symlink_to(precious, target_is_directory=True)
    write(models)
    left = {entry.name for entry in models.iterdir()}
    assert not left & set(ours)
    assert set(theirs) <= left
    assert (precious / "photo").exists()


def test_a_file_in_the_way_is_an_error_of_mien(tmp_path: Path, write: Write) -> None:
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(StorageError):
        write(tmp_path / "models")


# Versions beside the one in use


def test_the_versions_that_know_somebody_are_found_and_damaged_ones_passed_over(models: Path, write: Write) -> None:
    first, second, third = write(models), write(models, ("Ann", "Eve")), write(models)
    (models / third / "labels.txt").write_bytes(b"\xff")
    assert versions.knowing(models, "José") == [first]
    assert versions.knowing(models, "Ann") == [first, second]


def test_versions_with_the_same_rule_are_told_from_those_fitted_otherwise(models: Path, write: Write) -> None:
    other = openset.choose_threshold([0.81, 0.82, 0.83], [0, 1, 2], 3, 0.01, COSINES)
    first, _, third = write(models), write(models, threshold=other), write(models, ("Ann", "Eve"))
    assert versions.of_same_training(models, load_model(models / third)) == [third, first]


def test_a_retired_model_stays_on_disk(models: Path, write: Write) -> None:
    version = write(models)
    versions.promote(models, version)
    for _ in range(2):
        versions.retire(models)
        assert versions.current(models) is None and versions.names(models) == [version]


def test_a_version_in_use_is_not_deleted(models: Path, write: Write) -> None:
    first, second = write(models), write(models)
    versions.promote(models, second)
    with pytest.raises(ModelError, match=f"{second} is in use"):
        versions.drop(models, second)
    versions.drop(models, first)
    assert versions.names(models) == [second] and {entry.name for entry in models.iterdir()} == {"current", second}


def test_a_list_has_every_version_and_what_is_wrong_with_it(models: Path, write: Write) -> None:
    first, second, third = write(models), write(models), write(models)
    text = (models / second / "card.json").read_text("utf-8")
    (models / second / "card.json").write_text(text.replace('"views": 4', '"views": 2'), "utf-8")
    found = versions.load_cards(models)
    assert list(found) == [first, second, third]
    assert isinstance(found[second], DamagedModelError)
    assert found[first] == load_card(models / first)
    assert versions.load_cards(models / "nothing") == {}
