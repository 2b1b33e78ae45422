"""Models in a bucket whose listing is late, which another writes to, or which cannot be reached for a while.

The bucket is fsspec's memory, which is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from mien.errors import StorageError
from mien.registry import versions
from mien.registry.folder import CARD, Draft
from mien.storage.bucket_models import BucketModels
from mien.storage.layout import Layout
from mien.storage.leftovers import sweep
from mien.storage.objects import Object, Objects

Make = Callable[..., Draft]


@pytest.fixture
def models(tmp_path: Path) -> Iterator[BucketModels]:
    fsspec.filesystem("memory").store.clear()
    yield BucketModels(Objects("memory://club/models"), tmp_path / "copies", CARD)
    fsspec.filesystem("memory").store.clear()


def kept(models: BucketModels) -> dict[str, bytes]:
    return {one.key: b"".join(models.objects.blocks(one)) for one in models.objects.listed()}


def lists_without(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """From now on listings have no key that ends so."""
    listed = Objects.listed

    def late(self: Objects, below: str = "", but: str = "", most: int = 1000) -> Iterator[Object]:
        return (one for one in listed(self, below, but, most) if not one.key.endswith(ending))

    monkeypatch.setattr(Objects, "listed", late)


def test_a_version_that_no_listing_has_yet_is_not_written_over(
    models: BucketModels, draft: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = versions.write(models, draft(("Ada", "Bo")))
    versions.promote(models, first)
    before = kept(models)
    with monkeypatch.context() as late:
        lists_without(late, "")
        second = versions.write(models, draft(("Ada", "Cy")))
        third = versions.write(models, draft(("Bo", "Cy")))
    assert versions.names(models) == [first, second, third] == sorted({first, second, third})
    assert {key: data for key, data in kept(models).items() if key in before} == before


def test_a_day_that_only_the_version_in_use_tells_is_not_gone_back_behind(
    models: BucketModels, draft: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = draft(("Ada", "Bo")).created
    ahead = versions.write(models, draft(("Ada", "Bo"), created=now.replace(year=now.year + 1)))
    versions.promote(models, ahead)
    with monkeypatch.context() as late:
        lists_without(late, "")
        assert versions.write(models, draft(("Ada", "Cy"))) > ahead


def test_a_name_that_another_has_taken_is_given_up_without_harm(models: BucketModels) -> None:
    files = {"model.onnx": b"mine", CARD: b"{}"}
    assert models.write("2026-11-23-001", files)
    before = kept(models)
    assert not models.write("2026-11-23-001", {"model.onnx": b"theirs", CARD: b"[]"})
    assert kept(models) == before


def test_a_version_whose_card_is_not_listed_yet_is_finished(
    models: BucketModels, draft: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.write(models, draft(("Ada", "Bo")))
    before = kept(models)
    models.put("2026-11-23-007/model.onnx", b"half-written")
    with monkeypatch.context() as late:
        lists_without(late, CARD)
        versions.remove_unfinished(models)
    assert kept(models) == before


def test_a_version_that_cannot_be_read_just_now_is_not_taken_for_one_that_knows_a_person(
    models: BucketModels, draft: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = versions.write(models, draft(("Ada", "Bo"))), versions.write(models, draft(("Ada", "Cy")))
    with monkeypatch.context() as busy:
        busy.setattr(Objects, "blocks", lambda *_: (_ for _ in ()).throw(OSError(5, "Please reduce your request rate")))
        for version in (first, second):
            models.forget(version)
        assert versions.knowing(models, "Bo") == []
        with pytest.raises(StorageError, match="reduce"):
            versions.knowing(models, "Bo", damaged_too=True)
    assert versions.knowing(models, "Bo", damaged_too=True) == [first]
    models.put(f"{second}/labels.txt", b"\xff")
    models.forget(second)
    assert versions.knowing(models, "Bo", damaged_too=True) == [first, second]


def test_a_bucket_that_was_emptied_and_trained_again_is_not_answered_for_by_a_copy(
    models: BucketModels, draft: Make
) -> None:
    version = versions.write(models, draft(("Ada", "Bo")))
    assert versions.load(models, version).people == ("Ada", "Bo")
    elsewhere = replace(models, folder=models.folder.with_name("elsewhere"))
    elsewhere.drop(version)
    assert versions.write(elsewhere, draft(("Cy", "Dee"))) == version
    assert versions.knowing(models, "Cy") == [version] and versions.knowing(models, "Ada") == []
    assert versions.load(models, version).people == ("Cy", "Dee")
    (models.folder / "2026-11-23-009").mkdir()
    assert versions.names(models) == [version] and [one.name for one in models.folder.iterdir()] == [version]


def test_a_copy_is_of_one_bucket_and_goes_when_the_models_are_elsewhere(
    models: BucketModels, draft: Make, tmp_path: Path
) -> None:
    layouts = [Layout(tmp_path, tmp_path / ".mien/catalog.sqlite", models_url=f"memory://club/{one}") for one in "ab"]
    for layout, people in zip(layouts, (("Ada", "Bo"), ("Cy", "Dee")), strict=True):
        version = versions.write(layout.models, draft(people))
        assert versions.load(layout.models, version).people == people
    old = tmp_path / ".mien/models/2026-11-23-001"
    old.mkdir()
    sweep(layouts[1], thorough=False)
    assert [*(tmp_path / ".mien/models").iterdir()] == [layouts[1].models_folder]
    assert versions.people(layouts[1].models, version) == ("Cy", "Dee")
    sweep(Layout(tmp_path, tmp_path / ".mien/catalog.sqlite"), thorough=False)
    assert not (tmp_path / ".mien/models").exists()
