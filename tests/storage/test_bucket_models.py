"""Models in a bucket whose listing is late, which another writes to, or which cannot be reached for a while.

The bucket is fsspec's memory, which is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from mien.errors import StorageError
from mien.registry import versions
from mien.registry.folder import CARD, Draft
from mien.storage.bucket_models import BucketModels
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
