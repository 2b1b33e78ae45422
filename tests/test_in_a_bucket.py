"""An album whose photos and models lie in a bucket says and does what the same album in a folder does.

The bucket is one of moto's real S3 server, which the session starts once (`s3_server` of conftest).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest

from mien import Album
from mien.errors import UsageError
from mien.server.resident import Resident
from mien.settings import with_value
from mien.storage.objects import Objects

if TYPE_CHECKING:
    from conftest import Bucket, Painted

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Memory:
    """fsspec's memory as a bucket, which is quick."""

    url = "memory://club"

    def put(self, key: str, data: bytes) -> None:
        Objects(self.url).put(key, data)

    def md5s(self, below: str = "") -> dict[str, str]:
        objects = Objects(self.url)
        found = objects.listed(below)
        return {one.key: hashlib.md5(b"".join(objects.blocks(one))).hexdigest() for one in found}


def in_bucket(painted: Painted, bucket: Bucket | Memory) -> Painted:
    """The same album with its photos, and its models, in a bucket: what lay in training-images is put there."""
    for file in sorted(painted.training.rglob("*")):
        if file.is_file():
            bucket.put(f"photos/{file.relative_to(painted.training).as_posix()}", file.read_bytes())
    shutil.rmtree(painted.training)
    settings = painted.folder / "mien.toml"
    text = settings.read_text("utf-8")
    for name in ("photos", "models"):
        text = with_value(text, name, f"{bucket.url}/{name}")
    settings.write_text(text, "utf-8")
    return painted


def both(new_painted: Callable[[Path], Painted], bucket: Bucket | Memory, folder: Path) -> tuple[Painted, Painted]:
    """One album in a folder, and the same in a bucket."""
    albums = []
    for name in ("folder", "bucket"):
        painted = new_painted(folder / name / "album")
        for person in ("Ada", "Bo", "Cy"):
            for number in range(1, 4):
                painted.photo(f"{person}/{number}.png")
        painted.paint(painted.folder / "new.png", "Ada")
        painted.paint(painted.folder / "kept.png", "Cy")
        for person in ("Ada", "Gil"):
            painted.paint(painted.folder / f"source/{person}/7.png", "Ada" if person == "Ada" else "Freya")
        with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
            file.write('[sources.club]\nkind = "folder"\npath = "source"\nbasis = "consent"\nlicence = "own"\n')
        albums.append(painted)
    return albums[0], in_bucket(albums[1], bucket)


def said(painted: Painted, answer: Any) -> str:
    """An answer as JSON, without where the album lies and what time it was."""
    text = json.dumps(answer.to_json() if hasattr(answer, "to_json") else answer, default=str, sort_keys=True)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:+]+", "TIME", text.replace(str(painted.folder), "ALBUM"))


def photos(painted: Painted, bucket: Bucket | Memory | None) -> dict[str, str]:
    """The MD5 of each photo of an album, by its path in it."""
    if bucket:
        found = {key.removeprefix("photos/"): md5 for key, md5 in bucket.md5s("photos/").items()}
        return {
            one.removeprefix(".mien/") if one.startswith(".mien/") else f"training-images/{one}": md5
            for one, md5 in found.items()
            if not one.endswith("/.mien-folder")
        }
    tops = [one for one in painted.folder.iterdir() if one.name.endswith("-images") and one.name != "aligned-images"]
    return _md5s(painted.folder, *tops)


def models(painted: Painted, bucket: Bucket | Memory | None) -> dict[str, str]:
    """The MD5 of the files of the models, but for the pages."""
    if bucket:
        found = {key.removeprefix("models/"): md5 for key, md5 in bucket.md5s("models/").items()}
    else:
        found = _md5s(painted.folder / "models", painted.folder / "models")
    return {name: md5 for name, md5 in found.items() if not name.endswith(".html")}


def _md5s(start: Path, *tops: Path) -> dict[str, str]:
    files = [file for top in tops for file in top.rglob("*") if file.is_file()]
    return {one.relative_to(start).as_posix(): hashlib.md5(one.read_bytes()).hexdigest() for one in files}


Step = Callable[[Album, Path], Any]

STEPS: dict[str, Step] = {
    "train": lambda album, _: album.train(),
    "status": lambda album, _: album.status(),
    "check": lambda album, _: album.check(),
    "people": lambda album, _: [one.to_json() for one in album.people()],
    "photos": lambda album, _: [[one.sha256, one.bytes, *one.files] for one in album.photos_of("Ada")],
    "stored": lambda album, _: [one.path for one in album.stored_photos()],
    "show": lambda album, _: album.show("Ada/1.png"),
    "bytes": lambda album, _: album.photo_bytes("Ada/1.png").hex(),
    "add": lambda album, new: [album.add("Ada", [new]).added, album.add("Ada", [new]).known],
    "add, enrolled": lambda album, new: album.add("Dee", [new], enrol=True).added,
    "add somebody without a photo": lambda album, _: [album.add_person("Eve"), album.person("Eve").to_json()],  # type: ignore[union-attr]
    "move": lambda album, _: album.move("Ada/1.png", "Bo"),
    "move to somebody new": lambda album, _: album.move("training-images/Bo/2.png", "Fay"),
    "undo": lambda album, _: album.undo(),
    "rename": lambda album, _: album.rename("Cy", "Zoe"),
    "rename back": lambda album, _: album.undo(),
    "join": lambda album, _: album.join("Bo", "Ada"),
    "join undone": lambda album, _: album.undo(),
    "confirm": lambda album, _: album.confirm(["Bo/1.png"]),
    "remove a photo": lambda album, _: album.remove("Ada", ["2.png"]),
    "remove a person": lambda album, _: album.remove("Cy"),
    "restore": lambda album, _: album.add("Cy", [album.folder / "kept.png"]).known,
    "delete": lambda album, _: album.remove("Cy", delete=True),
    "align": lambda album, _: album.align(),
    "train again": lambda album, _: album.train(),
    "daily, with a source": lambda album, _: album.daily(),
    "models": lambda album, _: [one.to_json() for one in album.models()],
    "rollback": lambda album, _: album.rollback(),
    "everything of somebody": lambda album, _: album.remove("Bo", everywhere=True),
    "status at last": lambda album, _: album.status(),
}


IN_S3 = ("train", "add, enrolled", "move", "undo", "daily, with a source", "status", "everything of somebody")
"""What is done on a real server, too, where each step takes its requests."""


def compare(albums: tuple[Painted, Painted], bucket: Bucket | Memory, names: Iterable[str]) -> None:
    for number, name in enumerate(names):
        step, now = STEPS[name], NOON + timedelta(minutes=number)  # what happened at one time has no order
        answers = [said(one, step(one.open(clock=lambda now=now: now), one.folder / "new.png")) for one in albums]
        assert answers[0] == answers[1], name
        assert photos(albums[0], None) == photos(albums[1], bucket), name
        assert models(albums[0], None) == models(albums[1], bucket), name
    assert not albums[1].training.exists(), "nothing comes to lie on this machine"


def test_the_same_steps_have_the_same_answers_photos_and_models(
    new_painted: Callable[[Path], Painted], tmp_path: Path
) -> None:
    store = fsspec.filesystem("memory")
    store.store.clear()
    try:
        compare(both(new_painted, Memory(), tmp_path), Memory(), STEPS)
    finally:
        store.store.clear()


def test_so_they_do_on_a_server_of_s3(new_painted: Callable[[Path], Painted], bucket: Bucket, tmp_path: Path) -> None:
    compare(both(new_painted, bucket, tmp_path), bucket, IN_S3)


def test_a_promotion_on_another_machine_is_followed(
    new_painted: Callable[[Path], Painted], bucket: Bucket, tmp_path: Path
) -> None:
    """Two albums that share the bucket of their models stand for two machines."""
    _, mine = both(new_painted, bucket, tmp_path)
    mine.open().train()
    first = mine.open().version
    other = tmp_path / "other"
    shutil.copytree(mine.folder, other)
    shutil.rmtree(other / ".mien/models")
    resident = Resident(other, mine.eyes)
    assert resident.version == first and resident.look_seconds > 1
    mine.open().add("Dee", mine.folder / "new.png", enrol=True)
    assert resident.refresh() and resident.version == mine.open().version != first
    (copy,) = (other / ".mien/models").glob(f"*/{first}/model.onnx")
    copy.write_bytes(b"damaged")
    assert Album(other).models(), "a card is read all the same"
    mine.open().promote(str(first))
    assert resident.refresh() and resident.version == first, "a damaged copy is fetched again"
    assert resident.trouble is None
    resident.close()


@pytest.mark.parametrize(
    "url",
    ["club", "s3://", "file:///photos", "https://host/x", "s3://key:secret@club", "s3://club?sig=1", "s3://a/../b"],
)
def test_an_address_that_is_no_bucket_or_holds_a_secret_is_refused_and_not_shown(
    new_painted: Callable[[Path], Painted], tmp_path: Path, url: str
) -> None:
    painted = new_painted(tmp_path / "album")
    for name in ("photos", "models"):
        with pytest.raises(UsageError) as caught:
            painted.open(**{name: url})
        assert "secret" not in str(caught.value) and "sig=" not in str(caught.value)
