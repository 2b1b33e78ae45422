from __future__ import annotations

import errno
import gc
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from mien import Album
from mien.errors import PhotoError, StorageError
from mien.records.catalog import Catalog
from mien.testing import fake_eyes
from mien.types import Picture
from mien.vision.images import read_picture

if TYPE_CHECKING:
    from conftest import Painted

NINE = [f"{person}-{number}.png" for person in ("ada", "bo", "cy") for number in (1, 2, 3)]


# Only what is new


def test_a_second_run_computes_nothing(three_people: Painted) -> None:
    first = three_people.open().align()
    assert three_people.looked() == NINE
    assert (first.people, first.photos, first.new, first.computed) == (3, 9, 9, 9)
    assert (first.faces, first.enrolled, first.chips_written) == (9, 9, 9)
    again = three_people.open().align()
    assert three_people.looked() == []
    assert again == replace(first, new=0, computed=0, chips_written=0)


def test_only_what_is_new_or_changed_is_computed(three_people: Painted) -> None:
    three_people.open().align()
    three_people.looked()
    three_people.photo("Ada/ada-4.png")
    three_people.photo("Bo/bo-2.png", "Bo", sides=(100,))
    aligned = three_people.open().align()
    assert three_people.looked() == ["ada-4.png", "bo-2.png"]
    assert (aligned.new, aligned.changed, aligned.computed, aligned.chips_written) == (1, 1, 2, 2)
    assert three_people.counts()["photos"] == 10, "the photo that bo-2.png was before has gone"


def test_a_touched_file_is_not_computed_again(three_people: Painted) -> None:
    three_people.open().align()
    three_people.looked()
    os.utime(three_people.training / "Ada/ada-1.png", (1, 1))
    aligned = three_people.open().align()
    assert three_people.looked() == []
    assert (aligned.changed, aligned.computed, aligned.chips_written) == (0, 0, 0)


def test_a_moved_or_renamed_photo_is_not_computed_again(three_people: Painted) -> None:
    three_people.open().align()
    three_people.looked()
    (three_people.training / "Ada/ada-1.png").rename(three_people.training / "Ada/portrait.png")
    (three_people.training / "Bo").rename(three_people.training / "Bob")
    aligned = three_people.open().align()
    assert three_people.looked() == []
    assert (aligned.new, aligned.moved, aligned.gone, aligned.enrolled) == (0, 4, 0, 9)
    assert set(three_people.chips()) == {"Ada/portrait.png", "Ada/ada-2.png", "Ada/ada-3.png"} | {
        f"{person}/{name}" for person, names in (("Bob", NINE[3:6]), ("Cy", NINE[6:])) for name in names
    }


def test_what_is_deleted_drops_out_with_all_that_was_seen_in_it(three_people: Painted) -> None:
    three_people.open().align()
    (three_people.training / "Ada/ada-1.png").unlink()
    shutil.rmtree(three_people.training / "Bo")
    aligned = three_people.open().align()
    assert (aligned.people, aligned.photos, aligned.gone, aligned.enrolled) == (2, 5, 4, 5)
    rows = {"people": 2, "photos": 5, "placements": 5, "sightings": 5, "faces": 5, "chips": 5}
    assert three_people.counts() == rows
    assert set(three_people.chips()) == {"Ada/ada-2.png", "Ada/ada-3.png", *(f"Cy/{name}" for name in NINE[6:])}
    assert not (three_people.folder / "aligned-images/Bo").exists()


def test_another_encoder_looks_anew_and_the_first_one_is_remembered(three_people: Painted) -> None:
    three_people.open().align()
    three_people.looked()
    three_people.open(precision="int8").align()
    assert three_people.looked() == NINE
    assert three_people.open().align().enrolled == 9
    assert three_people.looked() == []


# Whose face


def test_a_photo_filed_under_two_people_is_computed_once_and_gives_each_their_own_face(three_people: Painted) -> None:
    together = three_people.photo("Ada/both.png", "Bo", "Ada", sides=(100, 60))
    shutil.copy2(together, three_people.training / "Bo/both.png")
    aligned = three_people.open().align()
    assert three_people.looked() == sorted([*NINE, "both.png"])
    assert (aligned.photos, aligned.computed, aligned.enrolled) == (11, 10, 11)
    assert aligned.several == ("Ada/both.png", "Bo/both.png")
    assert three_people.whose_chip("Ada/both.png") == ["Ada"]
    assert three_people.whose_chip("Bo/both.png") == ["Bo"]


def test_skip_multi_leaves_out_photos_with_several_faces_until_it_is_taken_back(three_people: Painted) -> None:
    three_people.photo("Ada/both.png", "Bo", "Ada")
    assert three_people.open().align().enrolled == 10
    skipped = three_people.open(skip_multi=True).align()
    assert (skipped.skip_multi, skipped.computed, skipped.enrolled) == (True, 0, 9)
    assert "Ada/both.png" not in three_people.chips()
    back = three_people.open().align()
    assert (back.computed, back.enrolled, back.chips_written) == (0, 10, 1)
    assert "Ada/both.png" in three_people.chips()


def test_a_photo_without_a_face_is_named_and_not_looked_at_again(three_people: Painted) -> None:
    Image.new("RGB", (200, 100)).save(three_people.training / "Ada/sky.png")
    for computed in (10, 0):
        aligned = three_people.open().align()
        assert (aligned.computed, aligned.faceless, aligned.enrolled) == (computed, ("Ada/sky.png",), 9)


# Chips


def test_chips_carry_the_photos_names_and_the_size_that_was_asked_for(three_people: Painted) -> None:
    shutil.copy2(three_people.training / "Ada/ada-1.png", three_people.training / "Ada/ada-1.bmp.png")
    three_people.open().align()
    assert "Ada/ada-1.bmp.png" in three_people.chips()
    for size, written in ((96, 0), (64, 10), (64, 0), (96, 10)):
        assert three_people.open(chip_size=size).align().chips_written == written
        for key in three_people.chips():
            with Image.open(three_people.folder / "aligned-images" / key) as chip:
                assert (chip.size, chip.mode, chip.format) == ((size, size), "RGB", "PNG")
            assert three_people.whose_chip(key) == [key.split("/")[0]]


def test_a_chip_that_was_deleted_is_written_again_without_looking_anew(three_people: Painted) -> None:
    three_people.open().align()
    before = three_people.chips()
    shutil.rmtree(three_people.folder / "aligned-images/Ada")
    aligned = three_people.open().align()
    assert (aligned.computed, aligned.chips_written) == (0, 3)
    assert three_people.chips() == before


# Photos that cannot be read


def test_a_broken_photo_is_tried_once_and_reported_each_time(three_people: Painted) -> None:
    broken = three_people.training / "Ada/broken.png"
    broken.write_bytes(b"")
    for looks in (sorted([*NINE, "broken.png"]), []):
        aligned = three_people.open().align()
        assert three_people.looked() == looks
        ((path, error),) = aligned.failures
        assert path == "Ada/broken.png"
        assert error == f"{broken}: the file is empty. Fetch the photo again, or take the file out of the folder."
        assert aligned.enrolled == 9
    broken.rename(broken.with_name("renamed.png"))
    ((path, error),) = three_people.open().align().failures
    assert (path, three_people.looked()) == ("Ada/renamed.png", [])
    assert error.startswith(f"{broken.with_name('renamed.png')}: the file is empty."), "it is named as it is now"
    three_people.photo("Ada/renamed.png")
    assert three_people.open().align().failures == ()


def test_what_failed_for_want_of_an_extra_is_tried_again_and_then_counts(
    three_people: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_the_extra(path: Path) -> Picture:
        if path.name == "ada-3.png":
            raise PhotoError(f"{path}: reading HEIC needs a part.", "Install it.", "missing-extra")
        return read_picture(path)

    monkeypatch.setattr("mien.seeing.eyes.read_picture", without_the_extra)
    for _ in range(2):
        aligned = three_people.open().align()
        assert (aligned.enrolled, [path for path, _ in aligned.failures]) == (8, ["Ada/ada-3.png"])
        assert "ada-3.png" in three_people.looked()
    monkeypatch.setattr("mien.seeing.eyes.read_picture", read_picture)
    cured = three_people.open().align()
    assert (three_people.looked(), cured.failures, cured.enrolled) == (["ada-3.png"], (), 9)
    assert three_people.whose_chip("Ada/ada-3.png") == ["Ada"]


# Photos that change under its hands


def once(name: str, change: Callable[[Path], object]) -> Callable[[Path], None]:
    """Does `change` to the file of this name just before it is looked at, the first time."""
    done: list[Path] = []

    def before_look(file: Path) -> None:
        if file.name == name and not done:
            done.append(file)
            change(file)

    return before_look


@pytest.mark.parametrize("what", ["another photo", "a broken one", "nothing"])
def test_a_photo_that_changes_between_two_looks_is_settled_by_the_next_run(three_people: Painted, what: str) -> None:
    def change(file: Path) -> None:
        if what == "another photo":
            three_people.paint(file, "Ada", "Bo", sides=(110, 60))
        elif what == "a broken one":
            file.write_bytes(b"no photo")
        else:
            file.unlink()

    shutil.copy2(three_people.training / "Ada/ada-2.png", three_people.training / "Cy/x.png")  # the same photo twice
    three_people.before_look = once("ada-2.png", change)
    during = three_people.open().align()
    assert during.failures == (), "nothing was said about the photo, only about the file"
    after = three_people.open().align()
    assert [path for path, _ in after.failures] == (["Ada/ada-2.png"] if what == "a broken one" else [])
    assert three_people.whose_chip("Cy/x.png") == ["Ada"], "the copy elsewhere is seen all the same"
    assert ("Ada/ada-2.png" in three_people.chips()) == (what == "another photo")
    assert three_people.open().status().stale == ()
    assert three_people.open().align() == replace(after, new=0, changed=0, moved=0, gone=0, computed=0, chips_written=0)


def test_no_chip_is_cut_from_a_photo_that_is_not_the_one_that_was_seen(three_people: Painted) -> None:
    class Meddler:
        """Changes a photo after all were looked at."""

        def start(self, title: str, total: int | None) -> None:
            if title == "Writing chips":
                three_people.photo("Ada/ada-1.png", "Bo", sides=(40,))

        def advance(self, steps: int = 1) -> None: ...
        def note(self, line: str) -> None: ...
        def finish(self) -> None: ...

    assert Album(three_people.folder, progress=Meddler()).align().chips_written == 8
    assert "Ada/ada-1.png" not in three_people.chips()
    assert three_people.open().align().chips_written == 1
    assert three_people.whose_chip("Ada/ada-1.png") == ["Bo"]


# Killed, interrupted, out of space

STRUCK = """
import os, signal, sys, tempfile, threading
import mien.wiring
from mien import Album
from mien.testing import draw_photo, fake_eyes
from mien.vision.images import encoded

mien.wiring.make_eyes = lambda precision, views: fake_eyes(views)
folder, strike_at, strike_by = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

with tempfile.TemporaryDirectory() as elsewhere:  # imports what is imported late, so that no strike is spent on that
    warm = Album.create(os.path.join(elsewhere, "warm"))
    os.mkdir(warm.folder / "training-images/Ada")
    photo = encoded(draw_photo([((200, 40, 40), (10, 10, 80, 80))]), "PNG")
    (warm.folder / "training-images/Ada/a.png").write_bytes(photo)
    warm.train()

calls = 0
def count(frame, event, argument):
    global calls
    calls += 1
    if calls == strike_at:
        os.kill(os.getpid(), strike_by)

threading.setprofile(count)
sys.setprofile(count)
Album(folder).train()
sys.setprofile(None)
print(calls)
"""


def strike(folder: Path, at: int, by: int) -> subprocess.Popen[str]:
    """Trains `folder` in another process and sends that the signal `by` at its function call number `at`."""
    command = [sys.executable, "-c", STRUCK, str(folder), str(at), str(by)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def made(album: Painted) -> dict[str, object]:
    """Everything a run makes of the photos, times and ids aside."""
    models = album.folder / "models"
    model = models / (models / "current").read_text().strip()
    with Catalog.open(album.folder / ".mien/catalog.sqlite") as catalog:
        (encoder_id,) = _encoder_ids(album.folder)
        training = catalog.training_set(encoder_id)
    return {
        "people": training.people,
        "photos": list(zip(training.person.tolist(), training.sha256, strict=True)),
        "embeddings": training.embeddings.tobytes(),
        "counts": album.counts(),
        "chips": album.chips(),
        "model": {name: (model / name).read_bytes() for name in ("model.onnx", "labels.txt", "thresholds.json")},
        "leftovers": [str(file) for file in album.folder.rglob("*.tmp*")],
    }


def _encoder_ids(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / ".mien/catalog.sqlite")) as connection:
        return [name for (name,) in connection.execute("SELECT DISTINCT encoder_id FROM sightings")]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals like these")
def test_kill_9_and_ctrl_c_at_any_moment_lose_nothing_finished_and_break_nothing(
    three_people: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.wiring.make_eyes", lambda precision, views: fake_eyes(views))
    three_people.photo("Ada/both.png", "Bo", "Ada")
    (three_people.training / "Cy/broken.png").write_bytes(b"")

    def copied(name: str) -> Painted:
        return replace(three_people, folder=Path(shutil.copytree(three_people.folder, tmp_path / name)))

    undisturbed = copied("undisturbed")
    counting = strike(undisturbed.folder, 0, 0)
    out, err = counting.communicate(timeout=120)
    assert counting.returncode == 0, err
    calls = int(out)
    expected = made(undisturbed)
    assert expected["leftovers"] == []

    moments = np.random.default_rng(9).integers(1, int(calls * 0.95), 6).tolist()
    kinds = [signal.SIGKILL] * 5 + [signal.SIGINT]
    for pair in (slice(0, 2), slice(2, 4), slice(4, 6)):  # two at a time, as there are two cores
        runs = [(copied(f"{kind.name}-{at}"), at, kind) for at, kind in zip(moments[pair], kinds[pair], strict=True)]
        struck = [strike(album.folder, at, kind) for album, at, kind in runs]
        for (album, at, kind), run in zip(runs, struck, strict=True):
            _, err = run.communicate(timeout=120)
            assert run.returncode != 0, "it came too late to strike"
            if kind == signal.SIGINT:
                assert "KeyboardInterrupt" in err
            catalog = album.folder / ".mien/catalog.sqlite"
            finished = album.counts()["sightings"] if catalog.is_file() and _has_tables(catalog) else 0
            again = album.open().train()
            assert again.aligned.computed == 11 - finished, f"{kind.name} at call {at} of {calls}"
            assert made(album) == expected, f"{kind.name} at call {at} of {calls}"
            assert album.open().status().stale == ()


def _has_tables(catalog: Path) -> bool:
    with closing(sqlite3.connect(catalog)) as connection:
        return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def test_half_written_files_of_a_killed_run_are_swept_up_and_nothing_else(three_people: Painted) -> None:
    three_people.open().align()
    name = ".mien-0123456789abcdef.tmp"
    left = [three_people.folder / place / name for place in ("aligned-images/Ada", "training-images/Ada", ".mien")]
    kept = [three_people.folder / place for place in (f"training-images/Ada/x{name}", "training-images/Ada/notes.tmp")]
    for file in (*left, *kept):
        file.write_bytes(b"half")
    three_people.open().align()
    assert [file.exists() for file in (*left, *kept)] == [False] * 3 + [True] * 2


def refuse(number: int) -> Callable[[int], None]:
    def fsync(_: int) -> None:
        raise OSError(number, os.strerror(number))

    return fsync


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_is_full_or_read_only_when_chips_are_written(
    three_people: Painted, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    left = iter(range(3))

    def fsync(handle: int) -> None:
        if next(left, None) is None:
            refuse(number)(handle)

    with monkeypatch.context() as patch:
        patch.setattr("mien.storage.files.os.fsync", fsync)
        with pytest.raises(StorageError, match="full" if number == errno.ENOSPC else "read-only") as caught:
            three_people.open().align()
    assert str(three_people.folder) in caught.value.message
    assert not list(three_people.folder.rglob("*.tmp"))
    three_people.looked()
    aligned = three_people.open().align()
    assert (three_people.looked(), aligned.enrolled, len(three_people.chips())) == ([], 9, 9)


@pytest.mark.parametrize(
    ("pragma", "said"), [("max_page_count = {}", "the disk is full"), ("query_only = ON", "cannot be written")]
)
def test_a_catalog_that_cannot_grow_or_be_written(
    three_people: Painted, monkeypatch: pytest.MonkeyPatch, pragma: str, said: str
) -> None:
    """SQLite's own refusals, brought about by its own means."""
    three_people.photo("Ada/ada-0.png")
    with monkeypatch.context() as patch:
        pages = _limit_after(three_people, patch, pragma)
        with pytest.raises(StorageError, match=said):
            three_people.open().align()
    finished = three_people.counts()["sightings"]
    assert (0 < finished < 10) if pages else finished == 0
    three_people.looked()
    aligned = three_people.open().align()
    assert (len(three_people.looked()), aligned.enrolled) == (10 - finished, 10)


def _limit_after(album: Painted, patch: pytest.MonkeyPatch, pragma: str) -> int:
    """Makes the catalog, and then applies the pragma to each connection; returns how many pages it may have, if so."""
    (album.folder / ".mien").mkdir()
    with Catalog.open(album.folder / ".mien/catalog.sqlite") as catalog:
        pages = catalog._connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 1 if "{}" in pragma else 0
    prepare = Catalog._prepare

    def limited(self: Catalog) -> None:
        prepare(self)
        self._connection.exec_driver_sql(f"PRAGMA {pragma.format(pages)}")

    patch.setattr(Catalog, "_prepare", limited)
    return int(pages)


def pictures() -> int:
    """How many decoded photos are in memory."""
    return sum(isinstance(thing, Picture) for thing in gc.get_objects())


def test_memory_is_flat_in_the_number_of_photos(painted: Painted) -> None:
    for number in range(60):
        painted.photo(f"Ada/{number}.png")
    gc.collect()
    most, before = 0, pictures()

    def count(file: Path) -> None:
        nonlocal most
        if int(file.stem) % 10 == 0:
            most = max(most, pictures() - before)

    painted.before_look = count
    painted.open(workers=2).align()
    assert most <= 1, "a picture a worker, and one of the two is only about to open his"
    assert len(painted.looked()) == 60
