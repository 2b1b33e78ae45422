from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mien import Album
from mien.engines import children
from mien.errors import StorageError
from mien.records.faces import Guess, GuessedFace
from mien.seeing.eyes import Eyes
from mien.stages.align import Aligned, align_person
from mien.storage.layout import TRAINING
from mien.testing import FakeDetector, FakeEncoder, FakeLandmarker
from mien.text.findings import FindingKind, StaleKind
from mien.text.photos import PhotoFault
from mien.types import Box, EncoderChoice, Face, Floats, Picture, Pixels
from mien.vision import decoding

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
    rows = {"photos": 5, "files": 5, "sightings": 5, "faces": 5, "chosen": 5, "chips": 5}
    assert three_people.counts() == rows
    with three_people.reading() as album:
        assert album.catalog.files.people(TRAINING) == {"Ada", "Cy"}
    assert set(three_people.chips()) == {"Ada/ada-2.png", "Ada/ada-3.png", *(f"Cy/{name}" for name in NINE[6:])}
    assert not (three_people.folder / "aligned-images/Bo").exists()


def test_another_encoder_looks_anew_and_the_first_one_is_remembered(three_people: Painted) -> None:
    three_people.open().align()
    three_people.looked()
    three_people.open(precision="int8").align()
    assert three_people.looked() == NINE
    assert three_people.open().align().enrolled == 9
    assert three_people.looked() == []


def test_what_two_encoders_chose_is_kept_side_by_side(three_people: Painted) -> None:
    """The fast encoder's detector does not see red here: of a photo of Bo and Ada it takes Bo for Ada."""
    three_people.photo("Ada/both.png", "Bo", "Ada", sides=(60, 70))
    for number in (1, 2, 3):
        (three_people.training / f"Ada/ada-{number}.png").unlink()
    for number in (4, 5):
        three_people.photo(f"Ada/{number}.png", "Stranger", "Ada", sides=(50, 70))

    def eyes(choice: EncoderChoice) -> Eyes:
        own = three_people.eyes(choice)
        return replace(own, detector=ColourBlind("fake-int8")) if choice.precision == "int8" else own

    def align(precision: str) -> Aligned:
        return Album(three_people.folder, eyes=eyes, precision=precision).align()

    def chosen() -> list[tuple[str, bytes]]:
        """By encoder the faces of its training set."""
        with closing(sqlite3.connect(three_people.folder / ".mien/catalog.sqlite")) as connection:
            query = "SELECT chosen.encoder, path, embedding FROM chosen JOIN faces ON faces.id = face ORDER BY 1, 2"
            return connection.execute(query).fetchall()

    assert align("fp32").enrolled == 9
    full = chosen()
    assert align("int8").enrolled == 9
    both = chosen()
    assert set(full) < set(both) and len(both) == 18
    three_people.looked()
    for precision, whose in (("fp32", "Ada"), ("int8", "Bo"), ("fp32", "Ada")):
        aligned = align(precision)
        assert (aligned.computed, three_people.looked(), aligned.enrolled) == (0, [], 9)
        assert three_people.whose_chip("Ada/both.png") == [whose], "chips follow the settings"
        assert chosen() == both
        assert Album(three_people.folder, eyes=eyes, precision=precision).status().stale == ()


# Whose face


def test_a_photo_filed_under_two_people_is_computed_once_and_gives_each_their_own_face(three_people: Painted) -> None:
    together = three_people.photo("Ada/both.png", "Bo", "Ada", sides=(100, 60))
    shutil.copy2(together, three_people.training / "Bo/both.png")
    aligned = three_people.open().align()
    assert three_people.looked() == sorted([*NINE, "both.png"])
    assert (aligned.photos, aligned.computed, aligned.enrolled) == (11, 10, 11)
    assert aligned.several == ("training-images/Ada/both.png", "training-images/Bo/both.png")
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
        assert (aligned.computed, aligned.enrolled) == (computed, 9)
        assert aligned.faceless == ("training-images/Ada/sky.png",)


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
        assert (path, error.fault) == ("training-images/Ada/broken.png", PhotoFault.EMPTY)
        assert str(error) == f"{broken} is empty. Fetch the photo again, or take the file out of the folder."
        assert aligned.enrolled == 9
    broken.rename(broken.with_name("renamed.png"))
    ((path, error),) = three_people.open().align().failures
    assert (path, three_people.looked()) == ("training-images/Ada/renamed.png", [])
    assert error.message == f"{broken.with_name('renamed.png')} is empty.", "it is named as it is now"
    three_people.photo("Ada/renamed.png")
    assert three_people.open().align().failures == ()


def test_what_failed_for_want_of_an_extra_is_tried_again_and_then_counts(
    three_people: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    heif, photo = pytest.importorskip("pillow_heif"), three_people.training / "Ada/ada-3.png"
    with Image.open(photo) as image:
        heif.from_pillow(image).save(photo, format="HEIF", quality=-1)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pi_heif.as_plugin", None)
        without.setattr(children, "ask", lambda task, about, data=b"", **_: decoding.task(about, data))
        for _ in range(2):
            aligned = three_people.open().align()
            ((path, error),) = aligned.failures
            assert (aligned.enrolled, path, error.kind) == (8, "training-images/Ada/ada-3.png", "missing-extra")
            assert "ada-3.png" in three_people.looked()
    cured = three_people.open().align()
    assert (three_people.looked(), cured.failures, cured.enrolled) == (["ada-3.png"], (), 9)
    assert three_people.whose_chip("Ada/ada-3.png") == ["Ada"]


# Tools that somebody else made, and that fail


def green(pixels: Pixels) -> bool:
    """Whether there is anything of Bo in a picture."""
    return bool((pixels[..., 1].astype(int) - pixels.max(axis=-1, where=[True, False, True], initial=0) > 100).any())


class ColourBlind(FakeDetector):
    """A detector that does not see red faces."""

    def detect(self, pixels: Pixels) -> list[Face]:
        return [face for face in super().detect(pixels) if not self._is_red(pixels, face)]

    def _is_red(self, pixels: Pixels, face: Face) -> bool:
        x0, y0, x1, y1 = face.box
        red, green, _ = pixels[round((y0 + y1) / 2), round((x0 + x1) / 2)].astype(int)
        return bool(red > green + 100)


class DetectorAfraidOfGreen(FakeDetector):
    def detect(self, pixels: Pixels) -> list[Face]:
        if green(pixels):
            raise ValueError("green")
        return super().detect(pixels)


class LandmarkerAfraidOfGreen(FakeLandmarker):
    def landmarks(self, pixels: Pixels, boxes: Sequence[Box]) -> Floats:
        if green(pixels):
            raise ValueError("green")
        return super().landmarks(pixels, boxes)


class EncoderAfraidOfGreen(FakeEncoder):
    def encode(self, chips: NDArray[np.uint8]) -> Floats:
        if green(chips):
            raise SystemExit("green")
        return super().encode(chips)


AFRAID: dict[str, Callable[[Eyes], Eyes]] = {
    "detector": lambda eyes: replace(eyes, detector=DetectorAfraidOfGreen()),
    "landmarker": lambda eyes: replace(eyes, landmarker=LandmarkerAfraidOfGreen()),
    "encoder": lambda eyes: replace(eyes, encoder=EncoderAfraidOfGreen(eyes.encoder.id)),
}


@pytest.mark.parametrize("tool", AFRAID)
def test_a_tool_that_fails_costs_its_photo_alone_and_the_photo_is_seen_again(three_people: Painted, tool: str) -> None:
    bo = [f"training-images/Bo/bo-{number}.png" for number in (1, 2, 3)]
    afraid = Album(three_people.folder, eyes=lambda *settings: AFRAID[tool](three_people.eyes(*settings)))
    for computed in (9, 3):
        aligned = afraid.align()
        assert (aligned.computed, aligned.enrolled, aligned.chips_written) == (computed, 6, 6 if computed == 9 else 0)
        assert sorted(path for path, _ in aligned.failures) == bo
        for path, error in aligned.failures:
            assert (error.fault, error.about) == (PhotoFault.TOOL, str(three_people.folder / path))
            assert error.message.startswith(f"{error.about} could not be seen. The {tool} fake-")
        (kept,) = (three_people.folder / ".mien/tracebacks").iterdir()
        assert kept.name in error.message and "green" in kept.read_text()
    three_people.looked()
    assert [finding.why for finding in afraid.status().stale] == ["3 photos not seen yet with the present settings"]
    cured = three_people.open().align()
    assert three_people.looked() == ["bo-1.png", "bo-2.png", "bo-3.png"]
    assert (cured.failures, cured.enrolled, cured.chips_written) == ((), 9, 3)


def test_a_landmarker_that_fails_when_chips_are_cut_costs_that_chip_alone(three_people: Painted) -> None:
    three_people.open().align()
    shutil.rmtree(three_people.folder / "aligned-images")
    afraid = Album(three_people.folder, eyes=lambda *settings: AFRAID["landmarker"](three_people.eyes(*settings)))
    aligned = afraid.align()
    assert (aligned.computed, aligned.enrolled, aligned.chips_written) == (0, 9, 6)
    assert sorted(path for path, _ in aligned.failures) == [f"training-images/Bo/bo-{n}.png" for n in (1, 2, 3)]
    assert {error.fault for _, error in aligned.failures} == {PhotoFault.TOOL}
    cured = three_people.open().align()
    assert (cured.failures, cured.chips_written) == ((), 3)


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
    assert [path for path, _ in after.failures] == (["training-images/Ada/ada-2.png"] if what == "a broken one" else [])
    assert three_people.whose_chip("Cy/x.png") == ["Ada"], "the copy elsewhere is seen all the same"
    assert ("Ada/ada-2.png" in three_people.chips()) == (what == "another photo")
    assert three_people.open().status().stale == ()
    again = three_people.open().align()
    assert [error.args for _, error in again.failures] == [error.args for _, error in after.failures]
    nothing = replace(after, new=0, changed=0, moved=0, gone=0, computed=0, chips_written=0)
    assert again == replace(nothing, failures=again.failures)


def test_no_chip_is_cut_from_a_photo_that_is_not_the_one_that_was_seen(three_people: Painted) -> None:
    class Meddler:
        """Changes a photo after all were looked at."""

        def start(self, title: str, total: int | None) -> None:
            if title == "Writing chips":
                three_people.photo("Ada/ada-1.png", "Bo", sides=(40,))

        def advance(self, steps: int = 1) -> None: ...
        def note(self, line: str) -> None: ...
        def finish(self) -> None: ...

    assert three_people.open(progress=Meddler()).align().chips_written == 8
    assert "Ada/ada-1.png" not in three_people.chips()
    assert three_people.open().align().chips_written == 1
    assert three_people.whose_chip("Ada/ada-1.png") == ["Bo"]


# Killed, interrupted, out of space

STRUCK = """
import json, os, sys, tempfile, threading, traceback
from mien import Album
from mien.testing import draw_photo, fake_eyes
from mien.vision.images import encoded

eyes = lambda choice: fake_eyes(choice.views or 4, f"fake-{choice.precision}")  # as those of Painted

with tempfile.TemporaryDirectory() as elsewhere:  # imports what is imported late, so that no strike is spent on that
    warm = Album(Album.create(os.path.join(elsewhere, "warm")).folder, eyes=eyes)
    os.mkdir(warm.folder / "training-images/Ada")
    photo = encoded(draw_photo([((200, 40, 40), (10, 10, 80, 80))]), "PNG")
    (warm.folder / "training-images/Ada/a.png").write_bytes(photo)
    warm.train()

def struck(folder, strike_at, strike_by):
    calls = 0
    def count(frame, event, argument):
        nonlocal calls
        calls += 1
        if calls == strike_at:
            os.kill(os.getpid(), strike_by)

    threading.setprofile(count)
    sys.setprofile(count)
    Album(folder, eyes=eyes).train()
    sys.setprofile(None)
    print(calls, flush=True)

for line in sys.stdin:  # each in a fork, so that one start of Python serves for all
    process = os.fork()
    if process == 0:
        try:
            struck(*json.loads(line))
            os._exit(0)
        except BaseException as error:
            print(type(error).__name__, flush=True)
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    print(f"ended with {code}", flush=True)
"""


class Striker:
    """Another process that trains albums, and is struck while it does."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", STRUCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def strike(self, folder: Path, at: int, by: int) -> list[str]:
        """Trains `folder` and sends the signal `by` at the call number `at`: what was said, and how it ended."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps([str(folder), at, by]), file=self._process.stdin, flush=True)
        said = list[str]()
        while not said or not said[-1].startswith("ended"):
            said.append(self._process.stdout.readline().strip())
            assert said[-1], "it ended altogether"
        return said

    def end(self) -> None:
        self._process.communicate(timeout=600)


def made(album: Painted) -> dict[str, object]:
    """Everything a run makes of the photos, times and ids aside."""
    models = album.folder / "models"
    model = models / (models / "current").read_text().strip()
    with album.reading() as opened:
        training = opened.catalog.faces.training_set(opened.encoder)
    return {
        "people": training.people,
        "photos": list(zip(training.person.tolist(), training.sha256, strict=True)),
        "embeddings": training.embeddings.tobytes(),
        "counts": album.counts(),
        "chips": album.chips(),
        "model": {name: (model / name).read_bytes() for name in ("model.onnx", "labels.txt", "thresholds.json")},
        "leftovers": [str(file) for file in album.folder.rglob("*.tmp*")],
    }


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals like these")
def test_kill_9_and_ctrl_c_at_any_moment_lose_nothing_finished_and_break_nothing(
    three_people: Painted, tmp_path: Path
) -> None:
    three_people.photo("Ada/both.png", "Bo", "Ada")
    (three_people.training / "Cy/broken.png").write_bytes(b"")

    def copied(name: str) -> Painted:
        return replace(three_people, folder=Path(shutil.copytree(three_people.folder, tmp_path / name)))

    striker = Striker()
    undisturbed = copied("undisturbed")
    counted, ended = striker.strike(undisturbed.folder, 0, 0)
    assert ended == "ended with 0", counted
    calls = int(counted)
    expected = made(undisturbed)
    assert expected["leftovers"] == []

    moments = np.random.default_rng(9).integers(1, int(calls * 0.95), 6).tolist()
    kinds = [signal.SIGKILL] * 5 + [signal.SIGINT]
    for at, kind in zip(moments, kinds, strict=True):
        album = copied(f"{kind.name}-{at}")
        said = striker.strike(album.folder, at, kind)
        assert said == (["KeyboardInterrupt", "ended with 1"] if kind == signal.SIGINT else ["ended with -9"])
        catalog = album.folder / ".mien/catalog.sqlite"
        finished = album.counts()["sightings"] if catalog.is_file() and _has_tables(catalog) else 0
        again = album.open().train()
        assert again.aligned.computed == 11 - finished, f"{kind.name} at call {at} of {calls}"
        assert made(album) == expected, f"{kind.name} at call {at} of {calls}"
        assert album.open().status().stale == ()
    striker.end()


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
def test_a_catalog_that_cannot_grow_or_be_written(three_people: Painted, pragma: str, said: str) -> None:
    """SQLite's own refusals, brought about by its own means."""
    three_people.photo("Ada/ada-0.png")
    with three_people.writing() as album:
        assert album.catalog.files.on([TRAINING]) == []
    with _on_the_catalog(three_people, pragma) as limited, pytest.raises(StorageError, match=said):
        three_people.open().align()
    finished = three_people.counts()["sightings"]
    assert (0 < finished < 10) if limited else finished == 0
    three_people.looked()
    aligned = three_people.open().align()
    assert (len(three_people.looked()), aligned.enrolled) == (10 - finished, 10)


@contextlib.contextmanager
def _on_the_catalog(album: Painted, pragma: str) -> Iterator[bool]:
    """Applies the pragma to each connection with the catalog, filled with a page more than it has, if it takes that;
    yields whether it does."""
    file, limited = album.folder / ".mien/catalog.sqlite", "{}" in pragma
    with closing(sqlite3.connect(file)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0] + 1

    def connected(connection: sqlite3.Connection, _: object) -> None:
        ((*_, name),) = connection.execute("PRAGMA database_list").fetchall()
        if name and Path(name).samefile(file):
            connection.execute(f"PRAGMA {pragma.format(pages)}")

    sa.event.listen(sa.Engine, "connect", connected)
    try:
        yield limited
    finally:
        sa.event.remove(sa.Engine, "connect", connected)


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


# Whose face, over the whole album


def always_together(album: Painted) -> None:
    """Freya's photos all show Bo as well, and he is the larger one."""
    for number in range(1, 5):
        album.photo(f"Freya/{number}.png", "Freya", "Bo", sides=(60, 90))


def test_who_is_always_beside_somebody_gets_her_own_face_by_his_photos(three_people: Painted) -> None:
    always_together(three_people)
    aligned = three_people.open().align()
    assert aligned.guesses == ()
    assert {three_people.whose_chip(f"Freya/{number}.png")[0] for number in range(1, 5)} == {"Freya"}
    assert three_people.open().status().stale == ()
    again = three_people.open().align()
    assert (again.computed, again.chips_written) == (0, 0)


def test_a_choice_changes_when_other_peoples_photos_come_and_go(three_people: Painted) -> None:
    always_together(three_people)
    away = three_people.folder / "away"
    (three_people.training / "Bo").rename(away)
    (guess,) = three_people.open().align().guesses
    assert (guess.kind, guess.people, len(guess.photos)) == (FindingKind.UNDECIDED, ("Freya",), 4)
    assert guess.figures["faces"] == 2 and guess.figures["others"] == 3
    for there in (True, False, True):
        away.rename(three_people.training / "Bo") if there else (three_people.training / "Bo").rename(away)
        assert len(three_people.open().align().guesses) == (not there)
        assert not there or three_people.whose_chip("Freya/1.png") == ["Freya"]


def choices(album: Painted) -> set[tuple[object, ...]]:
    """Of each photo the face that was chosen, on what ground, and the mean of its person's."""
    with closing(sqlite3.connect(album.folder / ".mien/catalog.sqlite")) as connection:
        query = "SELECT chosen.path, embedding, ground, rule, centre, photos FROM chosen JOIN faces ON faces.id = face"
        return set(connection.execute(f"{query} JOIN files USING (path) JOIN choices USING (person)"))


STEPS = [
    ("Freya/1.png", ("Freya", "Bo")),
    ("Freya/2.png", ("Bo", "Freya")),
    ("Bo/1.png", ("Bo", "Ada")),
    ("Bo/2.png", ("Ada", "Bo")),
    ("Ada/1.png", ("Ada",)),
    ("Ada/2.png", ("Ada", "Freya")),
    ("Cy/1.png", ("Cy", "Bo", "Stranger")),
]


@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.booleans()), min_size=1, max_size=6),
    st.sampled_from(["align", "enrol"]),
)
@settings(max_examples=20, deadline=None)
def test_what_came_bit_by_bit_is_chosen_as_what_came_at_once(
    new_painted: Callable[[Path], Painted], steps: list[tuple[tuple[str, tuple[str, ...]], bool]], how: str
) -> None:
    with TemporaryDirectory() as folder:
        album = new_painted(Path(folder, "album"))
        album.photo("Cy/0.png", "Cy")
        album.open().align()
        for (path, faces), comes in steps:
            if comes:
                album.photo(path, *faces)
            else:
                (album.training / path).unlink(missing_ok=True)
            if how == "align":
                album.open().align()
            elif comes:
                enrol(album, path.split("/")[0])
        album.open().align()
        bit_by_bit = choices(album)
        (album.folder / ".mien/catalog.sqlite").unlink()
        album.open().align()
        assert bit_by_bit == choices(album)


def enrol(album: Painted, person: str) -> tuple[Guess, ...]:
    """What `mien add --enrol` does of an alignment; what is guessed of the person then."""
    with album.writing() as opened:
        opened.sync([TRAINING])
        align_person(opened, person)
        return opened.catalog.faces.guesses(opened.encoder, person)


def test_one_person_is_chosen_for_beside_what_is_known_and_the_album_has_the_last_word(three_people: Painted) -> None:
    three_people.open().align()
    always_together(three_people)
    assert enrol(three_people, "Freya") == ()
    shown = three_people.open().show(three_people.training / "Freya/1.png")
    assert [face.own_of for face in shown.sightings[0].faces] == [("Freya",), ()]
    (stale,) = three_people.open().status().stale
    assert (stale.kind, stale.figures) == (StaleKind.NOT_CHOSEN, {"people": 1}), "the next align chooses for all"
    assert three_people.open().align().guesses == ()
    assert three_people.whose_chip("Freya/1.png") == ["Freya"]
    assert three_people.open().status().stale == ()


def test_somebody_whose_own_photos_decide_is_enrolled_for_good(three_people: Painted) -> None:
    three_people.open().align()
    three_people.photo("Ada/both.png", "Bo", "Ada", sides=(90, 60))
    assert enrol(three_people, "Ada") == () and three_people.open().status().stale == ()


def test_a_single_photo_of_two_faces_is_a_guess_until_another_photo_tells(three_people: Painted) -> None:
    three_people.photo("Freya/both.png", "Freya", "Stranger", sides=(60, 90))
    (guess,) = enrol(three_people, "Freya")
    assert guess == Guess("Freya", (GuessedFace("training-images/Freya/both.png", 1, 2),))
    (told,) = three_people.open().align().guesses
    assert told == guess.finding and told.needs_human
    shown = three_people.open().show(three_people.training / "Freya/both.png")
    assert [(face.own_of, face.guessed) for face in shown.sightings[0].faces] == [((), ()), (("Freya",), ("Freya",))]
    shutil.copy2(three_people.training / "Freya/both.png", three_people.training / "Freya/again.png")
    (told,) = three_people.open().align().guesses
    assert told.figures["others"] == 1, "a copy tells nothing"
    three_people.photo("Freya/alone.png")
    assert three_people.open().align().guesses == ()
    assert three_people.whose_chip("Freya/both.png") == three_people.whose_chip("Freya/again.png") == ["Freya"]
    shown = three_people.open().show(three_people.training / "Freya/both.png")
    assert [face.guessed for face in shown.sightings[0].faces] == [(), ()]


def test_an_encoder_that_nobody_measured_asks_the_album_how_alike_strangers_are(three_people: Painted) -> None:
    always_together(three_people)

    def eyes(choice: EncoderChoice) -> Eyes:
        own = three_people.eyes(choice)
        return replace(own, encoder=replace(cast("FakeEncoder", own.encoder), cosines=None))

    assert len(Album(three_people.folder, eyes=eyes).align().guesses) == 1, "of four people nobody can tell"
    three_people.photo("Stranger/1.png")
    assert Album(three_people.folder, eyes=eyes).align().guesses == ()
    assert three_people.whose_chip("Freya/1.png") == ["Freya"]
