"""What several test files need: the sample people, a small album trained on some of them, and painted albums, on which
the whole job runs without a network in no time.

Tests name the types below as `from conftest import Painted` under TYPE_CHECKING; pytest hands them the objects.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from mien import Album
from mien.errors import PhotoError
from mien.seeing.eyes import Eyes, Views
from mien.testing import Colour, FakeDetector, FakeEncoder, FakeLandmarker, draw_photo
from mien.types import Box, SeenPhoto

PEOPLE = ("Amara", "Erik", "Ingrid", "Jun", "Luis", "Nora")
PHOTOS = 6
"""The first of each; tests may ask about the others."""


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """MIEN_* of the shell that runs the tests would change what they see."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith("MIEN_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_the_programs_under_test() -> None:
    """A shell that starts the tests in the background has them ignore it, and what they start inherits that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def sample() -> Path:
    """The sample album: people/<name>/NN.jpg, strangers/<name>/NN.jpg, groups/NN.jpg, no-face/NN.jpg."""
    return Path(__file__).resolve().parent.parent / "examples/album"


@pytest.fixture(scope="session")
def trained_album(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """An album of `PEOPLE` with `PHOTOS` photos each, trained with one view. For reading only: see `album`."""
    folder = tmp_path_factory.mktemp("trained") / "album"
    Album.create(folder, "rendered people, who do not exist")
    _with_one_view(folder)
    for person in PEOPLE:
        (folder / "training-images" / person).mkdir()
        for photo in sorted((sample / "people" / person).glob("*.jpg"))[:PHOTOS]:
            shutil.copy2(photo, folder / "training-images" / person)
    Album(folder).train()
    return folder


@pytest.fixture
def album(trained_album: Path, tmp_path: Path) -> Path:
    """A copy of `trained_album` that a test may change. Nothing in it is stale."""
    return shutil.copytree(trained_album, tmp_path / "album")


def _with_one_view(folder: Path) -> None:
    with (folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write("\nviews = 1\n")


# Painted albums: each person a colour

COLOURS: dict[str, Colour] = {
    "Ada": (200, 40, 40),
    "Bo": (40, 200, 40),
    "Cy": (40, 40, 200),
    "Stranger": (200, 200, 40),
}


@dataclass
class Painted:
    """An album folder with a painter, and a list of what was looked at in it."""

    folder: Path
    before_look: Callable[[Path], None] = lambda _: None
    seen: list[Path] = field(default_factory=list)

    def open(self, **settings: Any) -> Album:
        """The album, as a new command opens it."""
        return Album(self.folder, **settings)

    @property
    def training(self) -> Path:
        return self.folder / "training-images"

    def photo(self, path: str, *faces: str, sides: tuple[int, ...] = ()) -> Path:
        """Puts a photo into training-images, by default of the person whose folder it is in."""
        return self.paint(self.training / path, *(faces or (path.split("/")[0],)), sides=sides)

    def paint(self, file: Path, *faces: str, sides: tuple[int, ...] = ()) -> Path:
        """A photo of these people ("Ada" or a colour's name of COLOURS) from left to right, 80 pixels wide unless
        `sides` says otherwise. By the last two parts of its path it is one of its kind: its colours are a shade off."""
        shade = zlib.crc32("/".join(file.parts[-2:]).encode())
        squares: list[tuple[Colour, Box]] = []
        x = 8
        for person, side in zip(faces, sides or (80,) * len(faces), strict=True):
            red, green, blue = COLOURS[person]
            colour = (red + shade % 3, green + shade // 3 % 3, blue + shade // 9 % 3)
            squares.append((colour, (x, 20, x + side, 20 + side)))
            x += side + 12
        pixels = draw_photo(squares, max(240, x), 200)
        pixels[-1, :4, 0] = [shade >> at & 31 for at in (0, 8, 16, 24)]
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
        return file

    def looked(self) -> list[str]:
        """The names of the files looked at since the last call, sorted."""
        names = sorted(file.name for file in self.seen)
        self.seen.clear()
        return names

    def counts(self) -> dict[str, int]:
        """Rows of each table of the catalog."""
        tables = ("people", "photos", "placements", "sightings", "faces", "chips")
        with closing(sqlite3.connect(self.folder / ".mien/catalog.sqlite")) as connection:
            return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}

    def chips(self) -> dict[str, bytes]:
        """The files below aligned-images."""
        aligned = self.folder / "aligned-images"
        return {f.relative_to(aligned).as_posix(): f.read_bytes() for f in aligned.rglob("*") if f.is_file()}

    def whose_chip(self, key: str) -> list[str]:
        """The people who have the colour of the face on a chip."""
        with Image.open(self.folder / "aligned-images" / key) as image:
            pixel = np.asarray(image)[image.height * 5 // 8, image.width // 2].astype(int)
        return [name for name, colour in COLOURS.items() if np.abs(pixel - colour).max() <= 4]


@dataclass(frozen=True)
class WatchedEyes(Eyes):
    """Fake eyes that tell what they look at."""

    painted: Painted

    def look_at(self, file: Path) -> SeenPhoto | PhotoError:
        self.painted.before_look(file)
        self.painted.seen.append(file)
        return super().look_at(file)


@pytest.fixture
def painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Painted:
    """An empty album with one view, and everything that looks at photos faked."""
    Album.create(tmp_path / "album", "painted squares")
    _with_one_view(tmp_path / "album")
    found = Painted(tmp_path / "album")

    def make_eyes(precision: str, views: int) -> Eyes:
        encoder, fallback = FakeEncoder(f"fake-{precision}"), FakeDetector("fake-fallback")
        return WatchedEyes(FakeDetector(), fallback, FakeLandmarker(), encoder, cast("Views", views), found)

    monkeypatch.setattr("mien.wiring.make_eyes", make_eyes)
    return found


@pytest.fixture
def three_people(painted: Painted) -> Painted:
    """`painted`, with three photos each of Ada, Bo and Cy: Ada/ada-1.png and so on."""
    for person in ("Ada", "Bo", "Cy"):
        for number in (1, 2, 3):
            painted.photo(f"{person}/{person.lower()}-{number}.png")
    return painted


@pytest.fixture
def mien() -> Callable[..., Any]:
    """mien("-C", album, "status") runs the command line in this process: a result with exit_code, stdout and stderr."""
    from typer.testing import CliRunner

    from mien.cli import app

    def run(*arguments: object, typed: str | None = None) -> Any:
        return CliRunner().invoke(app, list(map(str, arguments)), input=typed, prog_name="mien", catch_exceptions=False)

    return run
