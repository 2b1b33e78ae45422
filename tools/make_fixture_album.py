"""Make tests/albums/schema-N: a small album of this version of mien, which every later version has to open.

    python tools/make_fixture_album.py [--to FOLDER]

Five days in the life of an album of sample people, who do not exist. FOLDER.json, beside it, is what this version says
of that album; tests/test_fixture_albums.py holds later versions to it. N is 1 and one more for each revision that
there is after the first of each database. Run this once when a revision is added, before the next is; the albums of
earlier versions stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from mien import Album
from mien.records import opening
from mien.records.ledger import KIND
from mien.records.runs import Step
from mien.records.schema import ACCESS_VERSION, CATALOG_VERSION, LEDGER_VERSION
from mien.types import Finding

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "examples/album"
ALBUMS = ROOT / "tests/albums"
SCHEMA = CATALOG_VERSION + LEDGER_VERSION + ACCESS_VERSION - 2
"""Of this version, all databases taken together."""
BASIS = "rendered people, who do not exist"
SIDE = 256
"""Pixels of a photo's longer side: enough for its face, and few bytes."""

SETTINGS = """
views = 1

[sources.drop]
kind = "folder"
path = "../drop"
basis = "rendered people, who do not exist"
licence = "CC0-1.0"
"""


def make(target: Path) -> None:
    """Makes the album at `target`, in place of the one there, and writes what it holds beside it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, drop, hand = (Path(temporary, name) for name in ("album", "drop", "hand"))
        Album.create(folder, BASIS, "dlib-resnet")
        with (folder / "mien.toml").open("a", encoding="utf-8") as file:
            file.write(SETTINGS)

        Album(folder).add_key("desk")
        album = _on(20, folder)  # by hand, and from a source without the loop
        album.add("Amara", [_photo(hand, "Amara", number) for number in (1, 2, 3, 4)])
        album.add("Erik", [_photo(hand, "Erik", number) for number in (1, 2, 3)])
        broken = _photo(hand, "Erik", 5)
        broken.write_bytes(broken.read_bytes()[:2000])
        album.add("Erik", broken)
        for number in (1, 2, 3):
            _photo(drop, "Ingrid", number)
        shutil.copy(drop / "Ingrid/01.jpg", drop / "Ingrid/again.jpg")
        shutil.copy(hand / "Amara/01.jpg", drop / "Ingrid/not Ingrid.jpg")
        (drop / "Ingrid/no photo.jpg").write_text("<html>")
        _photo(drop, "con", 1, of="Nora")  # a failure: Windows has no folder of this name
        album.collect()
        album.merge()
        album.remove("Ingrid", "not Ingrid.jpg", delete=True)  # the ledger goes on knowing whence it came
        album.train()

        album = _on(21, folder)
        album.add("Jun", [_photo(hand, "Jun", number) for number in (1, 2, 3)], enrol=True)

        album = _on(22, folder)
        _photo(drop, "Ingrid", 4)
        _photo(drop, "Erik", 9, of="Amara")  # which the loop holds back
        album.daily()

        _on(23, folder).remove("Jun")

        album = _on(24, folder)  # and it waits
        _photo(drop, "Amara", 6)
        album.collect()

        (folder / ".mien/lock").unlink()
        _take_out_this_machine(folder)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target)
    told = json.dumps(tell(target), indent=1, ensure_ascii=False)
    target.with_suffix(".json").write_text(told + "\n", encoding="utf-8", newline="\n")


def tell(folder: Path) -> dict[str, Any]:
    """What mien says of the album on the 25th, in kinds and figures: words may change, and this may not."""
    album = _on(25, folder)
    status = album.status()
    shelves = [folder / "training-images", *sorted(folder.glob("????-??-??-training-images"))]
    photos = [photo for shelf in shelves for photo in sorted(shelf.glob("*/*"))]
    return {
        "basis": status.basis,
        "people": {person.name: [person.photos, person.faces] for person in status.people},
        "photos": status.photos,
        "waiting": status.waiting,
        "unreadable": status.unreadable,
        "model": album.version,
        "models": {one.version: [one.how, one.people, one.photos, one.created] for one in album.models()},
        "runs": {one.run.id: [one.run.state, *map(_step, one.run.steps)] for one in album.runs()},
        "sources": {one.name: [one.photos, one.failing] for one in album.sources()},
        "check": list(map(_finding, album.check().findings)),
        "photos by path": {photo.relative_to(folder).as_posix(): _photo_told(album, photo) for photo in photos},
    }


def _step(step: Step) -> dict[str, Any]:
    return {"name": step.name, "figures": dict(step.figures), "findings": list(map(_finding, step.findings))}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": str(finding.kind),
        "people": list(finding.people),
        "photos": list(finding.photos),
        "figures": dict(finding.figures),
    }


def _photo_told(album: Album, photo: Path) -> dict[str, Any]:
    """What `show` says of a photo, but for the words and for where the album lies."""
    shown = album.show(photo)
    return {
        "sha256": shown.sha256,
        "filed": [one.person for one in shown.filed],
        "chips": dict(shown.chips),
        "faults": [str(seen.fault) for seen in shown.sightings if seen.fault],
        "faces of": [list(face.own_of) for seen in shown.sightings for face in seen.faces],
        "provenance": [fetch.to_json() for fetch in shown.fetches],
        "models": {version: list(people) for version, people in shown.models.items()},
    }


def _on(day: int, folder: Path) -> Album:
    """The album, as it is used on that day."""
    return Album(folder, clock=lambda: datetime(2026, 11, day, 9, 30, tzinfo=UTC))


def _photo(folder: Path, person: str, number: int, of: str = "") -> Path:
    """A small copy of a sample photo (`of` another, perhaps) in <folder>/<person>/."""
    file = folder / person / f"{number:02}.jpg"
    file.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(SAMPLE / "people" / (of or person) / file.name) as image:
        image.thumbnail((SIDE, SIDE))
        image.save(file, quality=85)
    return file


def _take_out_this_machine(folder: Path) -> None:
    """Rewrites what the ledger holds of the machine: where `add` took photos from, and where the loop ran. Those are
    true of a folder that is gone and of nobody else's machine, and the album is published."""
    file, hand = folder / ".mien/catalog-ledger.sqlite", (folder.parent / "hand").as_posix()
    with opening.for_writing(KIND, file) as database, database.transaction(write=True) as connection:
        connection.exec_driver_sql(
            "UPDATE fetches SET location = replace(location, ?, '/photos') WHERE source = 'hand'", (hand,)
        )
        connection.exec_driver_sql("UPDATE runs SET host = 'example', pid = 1")
    with closing(sqlite3.connect(file, isolation_level=None)) as plain:
        plain.execute("VACUUM")  # which leaves no page with what stood there before
    for seal in (folder / ".mien").glob("*.seal"):
        seal.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=ALBUMS / f"schema-{SCHEMA}", metavar="FOLDER")
    target: Path = parser.parse_args().to
    for name in [name for name in os.environ if name.upper().startswith("MIEN_")]:
        del os.environ[name]  # the album is made by the defaults, whatever this shell says
    make(target)
    files = [file for file in target.rglob("*") if file.is_file()]
    print(f"{target}: {len(files)} files, {sum(file.stat().st_size for file in files):,} bytes")


if __name__ == "__main__":
    main()
