"""An album is the same whichever engine looked at its photos: here, on Dask's workers, on some that are lost, and on
both, one after the other."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
from PIL import Image

from mien import Album, wiring
from mien.errors import PhotoError
from mien.seeing.apart import EyesApart
from mien.seeing.eyes import Eyes
from mien.text.photos import PhotoFault
from mien.types import EncoderChoice, SeenPhoto
from mien.vision.images import decode

if TYPE_CHECKING:
    from conftest import Painted, Scheduler

BY_THE_WAY = {"id", "face", "own", "seen_at", "checksum", "person"}
"""Columns that say when something was seen, and in which order."""


def eyes_for(here: int) -> Callable[[EncoderChoice], Eyes]:
    """Eyes for painted photos that another process can be sent, and that end it, if it is not `here`, when they see
    deadly.png."""

    def eyes(choice: EncoderChoice) -> Eyes:
        from mien.testing import fake_eyes

        class Deadly(Eyes):
            def see_file(self, file: Path) -> Any:
                if file.name == "deadly.png" and os.getpid() != here:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().see_file(file)

        own = fake_eyes(1)
        return Deadly(own.detector, own.landmarker, own.encoder, own.views)

    return eyes


def content(album: Path) -> dict[str, list[str]]:
    """The rows of the catalog, but for what is `BY_THE_WAY`."""
    found: dict[str, list[str]] = {}
    with closing(sqlite3.connect(album / ".mien/catalog.sqlite")) as catalog:
        for (table,) in catalog.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = [row[1] for row in catalog.execute(f"PRAGMA table_info({table})")]
            wanted = ", ".join(f'"{one}"' for one in columns if one not in BY_THE_WAY and "time" not in one)
            if wanted and table != "sqlite_sequence":
                found[table] = sorted(map(repr, catalog.execute(f"SELECT {wanted} FROM {table}")))
    return found


def files(folder: Path, *names: str) -> dict[str, str]:
    """The files of these names below a folder, all where none is given, by what is in them."""
    return {
        one.relative_to(folder).as_posix(): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in sorted(folder.rglob("*"))
        if one.is_file() and (not names or one.name in names)
    }


@pytest.fixture
def twice(three_people: Painted, new_painted: Callable[[Path], Painted], tmp_path: Path) -> tuple[Path, Path]:
    """An album, and a copy of it, with a photo that is broken."""
    (three_people.training / "Bo/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    other = tmp_path / "other/album"
    shutil.copytree(three_people.folder, other)
    return three_people.folder, other


def test_an_album_is_the_same_on_dask_and_a_new_photo_alone_is_looked_at(
    twice: tuple[Path, Path], scheduler: Scheduler, painted: Painted
) -> None:
    here, there = twice
    eyes = eyes_for(os.getpid())
    local = Album(here, eyes=eyes)
    dask = Album(there, eyes=eyes, engine="dask", scheduler=scheduler.address)
    for album in (local, dask):
        learned = album.train()
        assert learned.aligned.computed == 10
        assert [path for path, _ in learned.aligned.failures] == ["training-images/Bo/broken.jpg"]
    assert content(here) == content(there)
    assert files(here / "aligned-images") == files(there / "aligned-images")
    wanted = ("model.onnx", "labels.txt", "thresholds.json")
    assert files(here / "models", *wanted) == files(there / "models", *wanted)
    assert len(files(here / "models", *wanted)) == 3
    for folder in twice:
        painted.paint(folder / "training-images/Cy/cy-9.png", "Cy")
    assert [album.align().computed for album in (local, dask)] == [1, 1]
    assert content(here) == content(there)
    assert "Ada" not in scheduler.logs, "logs name nobody"


class GivesUp:
    """An engine elsewhere that loses its processes on deadly.png."""

    def run(self, task: Any, items: Any, then: Any, give_up: Any) -> Any:
        for item in items:
            if "deadly" in str(item):
                give_up(item)
            else:
                yield [(item, then(item, task.do(task.open(), item)))]

    def places(self) -> int:
        return 1

    def ask(self, task: Any, item: Any) -> tuple[()]:
        return ()

    def close(self) -> None: ...


def test_a_photo_that_ends_workers_is_looked_at_apart(three_people: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    three_people.photo("Ada/deadly.png")
    monkeypatch.setattr(wiring, "open_engine", lambda settings: GivesUp())
    apart: list[str] = []
    seen = EyesApart.see_file

    def see_file(self: EyesApart, file: Path) -> tuple[SeenPhoto | PhotoError, bool]:
        apart.append(file.name)
        return seen(self, file)

    monkeypatch.setattr(EyesApart, "see_file", see_file)
    aligned = three_people.open().align()
    assert (aligned.computed, aligned.enrolled, apart) == (10, 10, ["deadly.png"])
    assert [error.fault for _, error in aligned.failures] == [PhotoFault.STOPS_MIEN], "its chip, which was given up"
    assert three_people.open().align().computed == 0


def test_photos_that_are_asked_about_get_the_same_answers(
    twice: tuple[Path, Path], scheduler: Scheduler, painted: Painted, tmp_path: Path
) -> None:
    eyes = eyes_for(os.getpid())
    here, _ = twice
    Album(here, eyes=eyes).train()
    photo = painted.paint(tmp_path / "asked/one.png", "Ada", "Stranger", "Bo")
    deadly = painted.paint(tmp_path / "asked/deadly.png", "Cy")
    broken = tmp_path / "asked/broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 and no more")
    pixels = np.asarray(Image.open(photo).convert("RGB"))
    asked: list[Any] = [photo, photo.read_bytes(), pixels, Image.fromarray(pixels), broken, deadly]
    albums = (Album(here, eyes=eyes), Album(here, eyes=eyes, engine="dask", scheduler=scheduler.address))
    answers = [[answer.to_json() for answer in album.classify(asked, forget=True)] for album in albums]
    assert answers[0] == answers[1]
    assert answers[0][0]["faces"][0]["person"] == "Ada"


def test_a_photo_that_lies_on_this_machine_alone_is_sent(painted: Painted, tmp_path: Path) -> None:
    from mien.seeing.elsewhere import EyesElsewhere
    from mien.seeing.tasks import EyesAs

    class Without:
        """An engine that has no files."""

        def ask(self, task: Any, item: Any) -> list[Any]:
            return [task.do(eyes(EncoderChoice()), item) if hasattr(item, "read") else None]

    eyes = eyes_for(os.getpid())
    photo = painted.paint(tmp_path / "one.png", "Ada")
    own = eyes(EncoderChoice())
    elsewhere: Any = EyesElsewhere.of(own, EyesAs(eyes, EncoderChoice()), Without())  # type: ignore[arg-type]
    seen, known = elsewhere.see_file(photo), own.see_file(photo)
    assert isinstance(seen, SeenPhoto) and isinstance(known, SeenPhoto)
    assert seen.photo == known.photo == decode(photo.read_bytes(), "x").photo
    assert np.array_equal(seen.faces[0].embedding.vector, known.faces[0].embedding.vector)


PROGRAM = """
import sys, time
from pathlib import Path
from mien import Album
from mien.testing import fake_eyes

def eyes(choice):
    from mien.testing import fake_eyes
    return fake_eyes(1)

class Slow:
    def __init__(self): self.done = 0
    def start(self, title, total): pass
    def note(self, line): pass
    def finish(self): pass
    def advance(self, steps=1):
        print("advanced", flush=True)
        time.sleep(0.2)

if __name__ == "__main__":
    print(Album(sys.argv[1], eyes=eyes, progress=Slow(), engine="dask", workers=2).align().computed, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_is_ended_leaves_no_worker_and_goes_on(three_people: Painted, tmp_path: Path, by: int) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    here = str(Path(__file__).resolve().parent.parent / "src")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([here, *filter(None, sys.path)])}
    words = [sys.executable, str(program), str(three_people.folder)]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout
    with process.stdout as said:
        assert [said.readline() for _ in range(2)] == [b"advanced\n"] * 2, "of two blocks, so that one is written"
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        process.send_signal(by)
        process.wait(60)
    gone, alive = psutil.wait_procs(workers, 60)
    assert gone and not alive
    computed = Album(three_people.folder, eyes=eyes_for(os.getpid())).align().computed
    assert 0 < computed < 9, "what was done is kept"
