"""What need not be a photo's own fault is tried again, and a photo that stops mien does so once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mien import Album
from mien.engines import children
from mien.errors import PhotoError
from mien.seeing.apart import EyesApart
from mien.seeing.eyes import Eyes
from mien.seeing.memory import is_want_of_memory
from mien.storage.layout import TRAINING
from mien.testing import FakeDetector, FakeEncoder, FakeLandmarker
from mien.text.photos import PhotoFault
from mien.types import EncoderChoice, Face, Pixels, SeenPhoto
from mien.vision import images

if TYPE_CHECKING:
    from conftest import Painted

UNIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")
SIGNAL = "SIGNAL_OF_RED_PHOTOS"


class Deadly(FakeDetector):
    """A detector that a red photo stops, with all of its process."""

    def detect(self, pixels: Pixels) -> list[Face]:
        number = int(os.environ.get(SIGNAL, 0))
        if number and (pixels[..., 0].astype(int) - pixels[..., 1] > 100).any():
            os.kill(os.getpid(), number)
        return super().detect(pixels)


def deadly_eyes(choice: EncoderChoice) -> Eyes:
    return Eyes(Deadly(), FakeLandmarker(), FakeEncoder(), 1)


def stopped(folder: Path) -> int:
    """Aligns in another process, and says what it ended with."""
    code = f"import sys; from {__name__} import deadly_eyes as eyes; from mien import Album; "
    code += "Album(sys.argv[1], eyes=eyes, workers=2).align()"
    path = os.pathsep.join(filter(None, sys.path))
    run = subprocess.run([sys.executable, "-c", code, folder], env={**os.environ, "PYTHONPATH": path}, check=False)
    return run.returncode


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes find this module."""
    here = Path(__file__)
    monkeypatch.syspath_prepend(str(here.parents[__name__.count(".")]))


def marked(painted: Painted) -> int:
    with painted.reading() as album:
        return len(album.catalog.faces.begun())


@UNIX
@pytest.mark.usefixtures("importable")
def test_a_photo_that_kills_mien_costs_one_run_and_itself(
    three_people: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (2, 3):
        (three_people.training / f"Ada/ada-{number}.png").unlink()
    monkeypatch.setenv(SIGNAL, str(int(signal.SIGKILL)))
    assert stopped(three_people.folder) == -signal.SIGKILL
    assert marked(three_people)
    album = Album(three_people.folder, eyes=deadly_eyes, workers=2)
    aligned = album.align()
    assert (aligned.enrolled, aligned.computed > 0) == (6, True)
    assert [(path, error.fault) for path, error in aligned.failures] == [
        ("training-images/Ada/ada-1.png", PhotoFault.KILLED)
    ]
    assert marked(three_people) == 1, "the next run tries it apart again"
    monkeypatch.delenv(SIGNAL)
    mended = album.align()
    assert (mended.enrolled, mended.computed, mended.failures, marked(three_people)) == (7, 1, (), 0)


@UNIX
@pytest.mark.usefixtures("importable")
def test_a_photo_that_breaks_mien_down_twice_is_left_out(
    three_people: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (2, 3):
        (three_people.training / f"Ada/ada-{number}.png").unlink()
    with three_people.writing() as opened:  # a run was stopped
        opened.sync([TRAINING])
        opened.catalog.faces.begin([one.sha256 for one in opened.catalog.files.on([TRAINING]) if one.person == "Ada"])
    monkeypatch.setenv(SIGNAL, str(int(signal.SIGABRT)))
    album = Album(three_people.folder, eyes=deadly_eyes, workers=2)
    for computed in (7, 1, 0):
        aligned = album.align()
        assert (aligned.enrolled, aligned.computed) == (6, computed)
        assert [(path, error.fault) for path, error in aligned.failures] == [
            ("training-images/Ada/ada-1.png", PhotoFault.STOPS_MIEN)
        ]


@UNIX
@pytest.mark.usefixtures("importable")
def test_what_is_seen_apart_is_what_is_seen_here(three_people: Painted, tmp_path: Path) -> None:
    file = three_people.photo("Ada/both.png", "Ada", "Bo")
    here = deadly_eyes(EncoderChoice()).see_file(file)
    broken = tmp_path / "broken.png"
    broken.write_bytes(file.read_bytes()[:-40])
    with EyesApart(deadly_eyes, EncoderChoice(), tmp_path) as apart:
        there, lived = apart.see_file(file)
        assert isinstance(here, SeenPhoto) and isinstance(there, SeenPhoto) and lived
        assert (there.photo, there.scale) == (here.photo, here.scale)
        assert len(there.faces) == 2
        for one, other in zip(here.faces, there.faces, strict=True):
            assert (one.face.box, one.face.detector, one.face.turn) == (
                other.face.box,
                other.face.detector,
                other.face.turn,
            )
            assert one.quality == other.quality
            np.testing.assert_array_equal(one.face.landmarks, other.face.landmarks)
            np.testing.assert_array_equal(one.embedding.vector, other.embedding.vector)
        error, lived = apart.see_file(broken)
        assert isinstance(error, PhotoError) and lived
        assert (error.fault, error.sha256) == (PhotoFault.BREAKS_OFF, images.file_sha256(broken))


def test_eyes_that_no_other_process_can_make_look_here(three_people: Painted, tmp_path: Path) -> None:
    file = three_people.training / "Ada/ada-1.png"
    for make in (three_people.eyes, lambda choice: deadly_eyes(choice)):
        with EyesApart(make, EncoderChoice(), tmp_path) as apart:
            seen, lived = apart.see_file(file)
        assert isinstance(seen, SeenPhoto) and lived


def test_nothing_is_marked_after_a_run_that_was_not_stopped(three_people: Painted) -> None:
    (three_people.training / "Ada/cut.png").write_bytes((three_people.training / "Ada/ada-1.png").read_bytes()[:-40])
    three_people.open().align()
    assert marked(three_people) == 0


class ShortOnce(FakeDetector):
    """A detector for which memory is short the first time that it sees red."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        object.__setattr__(self, "errors", [error])

    def detect(self, pixels: Pixels) -> list[Face]:
        errors: list[Exception] = self.__dict__["errors"]
        if errors and (pixels[..., 0].astype(int) - pixels[..., 1] > 100).any():
            raise errors.pop()
        return super().detect(pixels)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("Failed to allocate memory for requested buffer of size 9")], ids=repr
)
def test_a_photo_for_which_memory_was_short_is_seen_by_the_next_run(
    three_people: Painted, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(ShortOnce, "__module__", "mien.seeing")  # else it is somebody else's, and at fault itself
    detector = ShortOnce(error)
    album = Album(
        three_people.folder, eyes=lambda choice: Eyes(detector, FakeLandmarker(), FakeEncoder(), 1), workers=1
    )
    aligned = album.align()
    assert [failure.fault for _, failure in aligned.failures] == [PhotoFault.SHORT_OF_MEMORY]
    assert (aligned.enrolled, album.align().enrolled) == (8, 9)


def test_what_libraries_say_of_want_of_memory() -> None:
    assert is_want_of_memory(MemoryError("anything"))
    assert is_want_of_memory(RuntimeError("OpenCV(4.10) alloc.cpp: error: (-4:Insufficient memory) Failed to ..."))
    assert is_want_of_memory(RuntimeError("[ONNXRuntimeError] : 1 : FAIL : std::bad_alloc"))
    assert not is_want_of_memory(RuntimeError("shapes do not match"))


# What a disk or a network gave once


def test_bytes_that_a_disk_gave_once_are_not_believed_to_be_the_photos(
    three_people: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []

    def cut_once(task: str, about: Mapping[str, Any], *rest: bytes, **limits: Any) -> Any:
        if about.get("path", "").endswith("ada-1.png") and not given:
            given.append(about["path"])
            return {"fault": "breaks off", "figures": '{"file_type": "PNG", "said": "end"}', "sha256": "0" * 64}, b""
        return ask(task, about, *rest, **limits)

    ask = children.ask
    monkeypatch.setattr("mien.vision.images.children.ask", cut_once)
    aligned = three_people.open().align()
    assert [(path, error.fault) for path, error in aligned.failures] == [
        ("training-images/Ada/ada-1.png", PhotoFault.DISK)
    ]
    again = three_people.open().align()
    assert (again.enrolled, again.failures) == (9, ())


def test_a_hash_of_bytes_that_a_disk_gave_once_is_found_out(
    three_people: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_sha256 = images.file_sha256
    with monkeypatch.context() as once:
        once.setattr(
            "mien.vision.images.file_sha256",
            lambda path: "0" * 64 if path.name == "ada-1.png" else file_sha256(path),
        )
        assert three_people.open().align().enrolled == 8
    again = three_people.open().align()
    assert (again.enrolled, again.changed, again.failures) == (9, 1, ())
