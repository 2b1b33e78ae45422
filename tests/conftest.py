"""What several test files need: the sample people, a small album trained on some of them, painted albums, on which the
whole job runs without a network in no time, and albums whose photos are short texts.

Tests name the types below as `from conftest import Painted` under TYPE_CHECKING; pytest hands them the objects.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from PIL import Image

from mien import Album, add_encoder, open_album, wiring
from mien.encoders.shelf import BUILT_IN
from mien.errors import PhotoError
from mien.learning.head import FittedHead
from mien.learning.openset import Calibration, choose_threshold
from mien.open_album import OpenAlbum, Tools, read_settings
from mien.protocols import Silent
from mien.records.catalog import Catalog
from mien.records.files import Changes, Drift, Entry
from mien.records.ledger import Ledger
from mien.registry.card import EncoderCard, HeadCard
from mien.registry.folder import Draft, Model
from mien.seeing.eyes import Eyes, Views
from mien.servers import Server
from mien.settings import Settings
from mien.storage import weights
from mien.storage.layout import TRAINING, Layout, OnServer, Place, Shelf, create_album
from mien.storage.walk import walk
from mien.testing import COSINES, Colour, FakeDetector, FakeEncoder, FakeLandmarker, draw_photo
from mien.types import Box, Embedding, EncoderChoice, Face, Floats, Photo, Quality, SeenFace, SeenPhoto

if TYPE_CHECKING:
    import httpx
    from starlette.testclient import TestClient

    from mien.server.house import House
    from postgres_server import PostgresServer

PEOPLE = ("Amara", "Erik", "Ingrid", "Jun", "Luis", "Nora")
PHOTOS = 6
"""The first of each; tests may ask about the others."""


@pytest.fixture(scope="session", autouse=True)
def _nothing_from_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MIEN_* of the shell that runs the tests would change what they see, and so would the encoders of whoever runs
    them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith("MIEN_")]:
            patch.delenv(name)
        patch.setenv("MIEN_HOME", str(tmp_path_factory.mktemp("home")))
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


# Buckets, on a server of S3


@dataclass(frozen=True)
class Bucket:
    """A bucket of its own for a test, and what lies in it."""

    url: str
    files: Any

    def put(self, key: str, data: bytes) -> None:
        self.files.call_s3("put_object", Bucket=self.name, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        return bytes(self.files.cat_file(f"{self.name}/{key}"))

    def remove(self, key: str) -> None:
        self.files.call_s3("delete_object", Bucket=self.name, Key=key)

    @property
    def name(self) -> str:
        return self.url.partition("://")[2]

    def md5s(self, below: str = "") -> dict[str, str]:
        """The MD5 of each object, by its key."""
        found = self.files.call_s3("list_objects_v2", Bucket=self.name, Prefix=below)
        return {one["Key"]: one["ETag"].strip('"') for one in found.get("Contents", ())}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server on a free port, which is started once."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    cast("Any", server)._server.server_close()


_buckets = count(1)


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, and an environment by which mien reaches it."""
    import fsspec

    from mien.storage import objects

    given = {"ACCESS_KEY_ID": "mien", "SECRET_ACCESS_KEY": "unchecked", "DEFAULT_REGION": "us-east-1"}
    for name, value in {**given, "ENDPOINT_URL": s3_server, "MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    objects._file_system.cache_clear()
    files = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    made = Bucket(f"s3://bucket-{next(_buckets)}", files)
    files.call_s3("create_bucket", Bucket=made.name)
    return made


# Painted albums: each person a colour

COLOURS: dict[str, Colour] = {
    "Ada": (200, 40, 40),
    "Bo": (40, 200, 40),
    "Cy": (40, 40, 200),
    "Stranger": (200, 200, 40),
    "Freya": (40, 200, 200),
    "Passer-by": (200, 40, 200),
}


def _local_time() -> datetime:
    return datetime.now().astimezone()


@dataclass
class Painted:
    """An album folder with a painter, and a list of what was looked at in it."""

    folder: Path
    before_look: Callable[[Path], None] = lambda _: None
    seen: list[Path] = field(default_factory=list)

    def open(self, **settings: Any) -> Album:
        """The album, as a new command opens it."""
        return Album(self.folder, eyes=self.eyes, **settings)

    def writing(self, **settings: Any) -> AbstractContextManager[OpenAlbum]:
        """The album, open for a verb that writes."""
        layout, known = read_settings(self.folder, settings)
        return open_album.for_writing(layout, known, self._tools, "test", _local_time, Silent())

    def reading(self, **settings: Any) -> AbstractContextManager[OpenAlbum]:
        """The album, open for a verb that reads."""
        layout, known = read_settings(self.folder, settings)
        return open_album.for_reading(layout, known, self._tools, _local_time, Silent())

    def _tools(self) -> Tools:
        return wiring.tools(self.eyes)

    def eyes(self, choice: EncoderChoice) -> Eyes:
        """Fake eyes that tell what they look at."""
        name = f"fake-{choice.precision}" if choice.name == BUILT_IN else f"{choice.name}-{choice.precision}"
        views = cast("Views", choice.views or 4)
        return WatchedEyes(FakeDetector(), FakeLandmarker(), FakeEncoder(name), views, self)

    def eyes_of(self, model: Model) -> Eyes:
        """Fake eyes as a model was made by."""
        return open_album.eyes_of(model, self.eyes)

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
        tables = ("photos", "files", "sightings", "faces", "chosen", "chips")
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

    def see_file(self, file: Path) -> SeenPhoto | PhotoError:
        self.painted.before_look(file)
        self.painted.seen.append(file)
        return super().see_file(file)


@pytest.fixture(scope="session")
def new_painted() -> Callable[[Path], Painted]:
    """Makes an empty album with one view, for eyes that see painted squares, in a folder that is not there yet."""

    def make(folder: Path) -> Painted:
        Album.create(folder, "painted squares")
        _with_one_view(folder)
        return Painted(folder)

    return make


@pytest.fixture
def painted(tmp_path: Path, new_painted: Callable[[Path], Painted]) -> Painted:
    """Such an album."""
    return new_painted(tmp_path / "album")


@pytest.fixture
def three_people(painted: Painted) -> Painted:
    """`painted`, with three photos each of Ada, Bo and Cy: Ada/ada-1.png and so on."""
    return _with_three_people(painted)


def _with_three_people(painted: Painted) -> Painted:
    for person in ("Ada", "Bo", "Cy"):
        for number in (1, 2, 3):
            painted.photo(f"{person}/{person.lower()}-{number}.png")
    return painted


@pytest.fixture
def taught(painted: Painted, _taught: Path) -> Painted:
    """`three_people` with a model."""
    return _copied(_taught, painted)


@pytest.fixture
def misfiled(painted: Painted, _misfiled: Path) -> Painted:
    """`three_people`, with a photo of Bo under Ada besides, and a model of that."""
    return _copied(_misfiled, painted)


@pytest.fixture(scope="session")
def _taught(tmp_path_factory: pytest.TempPathFactory, new_painted: Callable[[Path], Painted]) -> Path:
    painted = _with_three_people(new_painted(tmp_path_factory.mktemp("taught") / "album"))
    painted.open().train()
    return painted.folder


@pytest.fixture(scope="session")
def _misfiled(tmp_path_factory: pytest.TempPathFactory, new_painted: Callable[[Path], Painted]) -> Path:
    painted = _with_three_people(new_painted(tmp_path_factory.mktemp("misfiled") / "album"))
    painted.photo("Ada/wrong.png", "Bo")
    painted.open().train()
    return painted.folder


def _copied(album: Path, painted: Painted) -> Painted:
    """The painted album as a copy of another: training takes half a second."""
    shutil.copytree(album, painted.folder, dirs_exist_ok=True)
    return painted


# Permissions


@pytest.fixture
def bound() -> Iterator[None]:
    """Permissions bind the test as they bind anybody, also where root runs it: Linux lets root lay down what lifts them
    (capabilities 1 and 2 of capabilities(7)) and take it up again."""
    if os.name == "nt":
        pytest.skip("Windows has other permissions")
    if os.geteuid() != 0:
        yield
        return
    before = _capabilities()
    _set_capabilities([before[0] & ~0b110, *before[1:]])
    yield
    _set_capabilities(before)


_VERSION_3 = 0x20080522
"""Of the structures of capset(2): six 32-bit words, of which the first are the effective capabilities 0 to 31."""


def _capabilities() -> list[int]:
    words = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None).capget((ctypes.c_uint32 * 2)(_VERSION_3, 0), words):
        pytest.skip("root cannot lay down its privileges here")
    return list(words)


def _set_capabilities(words: list[int]) -> None:
    if ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)(*words)):
        pytest.skip("root cannot lay down its privileges here")


# Models


@pytest.fixture(scope="session")
def draft() -> Callable[..., Draft]:
    """draft(("Ann", "Bo")) is a small model of these people that is to be written; any field may be given. No two are
    the same unless their `counts` are given."""
    number = count()

    def make(people: tuple[str, ...] = ("Ann", "José", "李小龙"), **other: Any) -> Draft:
        vectors = np.random.default_rng(len(people)).normal(size=(len(people), 128))
        unit = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
        nobody = np.empty((0, 128), np.float32), np.empty(0, np.int64)
        made: dict[str, Any] = {
            "head": FittedHead(unit, None, *nobody, share=1.0, counted=np.ones(len(people), bool)),
            "threshold": choose_threshold([0.91, 0.92, 0.93], [0, 1, 2], 3, 0.01, COSINES),
            "calibration": Calibration(250.0, 0.004),
            "encoder": EncoderCard(id="resnet-fp32-v4", precision="fp32", weights_sha256="ab" * 32, views=4),
            "chosen": HeadCard(name="prototypes", tried={"prototypes": 0.031, "nearest": 0.03}),
            "photos": {"Ann": ["2" * 64, "1" * 64], "José": ["3" * 64]},
            "counts": {"photos": 3, "made": next(number)},
            "metrics": {"top1": 1.0},
            "created": datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
        }
        return Draft(people=people, **(made | other))

    return make


@pytest.fixture
def mien(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """mien("-C", album, "status") runs the command line in this process: a result with exit_code, stdout and stderr.
    Where the test has a painted album, it sees as that does."""
    from typer.testing import CliRunner

    from mien.cli import app
    from mien.cli.place import Place

    eyes = request.getfixturevalue("painted").eyes if "painted" in request.fixturenames else None

    def run(*arguments: object, typed: str | None = None) -> Any:
        words = list(map(str, arguments))
        return CliRunner().invoke(
            app, words, input=typed, prog_name="mien", catch_exceptions=False, obj=Place(eyes=eyes)
        )

    return run


# Dask


@dataclass
class Scheduler:
    """A scheduler of Dask in a process of its own, without photos of anybody in its logs; `start_worker` starts
    workers, which are called worker-1 and so on, each of which may do one thing at a time and offers a LAMP."""

    folder: Path
    address: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_worker(self) -> None:
        name = f"worker-{len(self.processes)}"
        words = [self.address, "--name", name, "--nthreads", "1", "--host", "127.0.0.1", "--resources", "LAMP=1"]
        self.processes.append(_dask("worker", self.folder, *words, "--no-dashboard", "--death-timeout", "60"))

    @property
    def logs(self) -> str:
        return "".join(file.read_text("utf-8", "replace") for file in self.folder.glob("*.log"))


def _dask(part: str, folder: Path, *words: str) -> subprocess.Popen[bytes]:
    here = str(Path(__file__).resolve().parent.parent / "src")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([here, *filter(None, sys.path)]),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        "DASK_TEMPORARY_DIRECTORY": str(folder),
    }
    number = len(list(folder.glob("*.log")))
    with (folder / f"{part}-{number}.log").open("wb") as log:
        command = [sys.executable, "-m", f"distributed.cli.dask_{part}", *words]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def _scheduler(folder: Path) -> Iterator[Scheduler]:
    words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(folder / "scheduler.json")]
    process = _dask("scheduler", folder, *words)
    while not (folder / "scheduler.json").is_file() or not (folder / "scheduler.json").stat().st_size:
        assert process.poll() is None, (folder / "scheduler-0.log").read_text("utf-8", "replace")
        time.sleep(0.05)
    found = Scheduler(folder, json.loads((folder / "scheduler.json").read_text("utf-8"))["address"], [process])
    try:
        found.start_worker()
        yield found
    finally:
        for one in reversed(found.processes):
            one.kill()  # what they have started ends by itself
            one.wait()


@pytest.fixture(scope="session")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler with one worker; tests may start others."""
    with _scheduler(tmp_path_factory.mktemp("dask")) as found:
        yield found


@pytest.fixture
def new_scheduler(tmp_path: Path) -> Callable[[], AbstractContextManager[Scheduler]]:
    """Starts one of a test's own, whose worker has the environment of that moment."""
    folder = tmp_path / "dask"
    folder.mkdir()
    return lambda: _scheduler(folder)


# Albums whose photos are short texts

ENCODER = "resnet-v1-fp32"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RULE = "the leftmost"


class TextAlbum:
    """An album whose photos are short texts, with its catalog and its ledger open for writing. What an encoder sees in
    a text, it sees in it always."""

    def __init__(self, folder: Path, server: Server | None = None) -> None:
        create_album(folder, "personal")
        self.layout = Layout.of(folder, Settings(catalog=server))
        self.layout.catalog_file.parent.mkdir()
        self.until: dict[str, date] = {}
        self.hashed: list[str] = []
        self.open()

    def open(self) -> None:
        self.ledger = Ledger.for_writing(self.layout.ledger_at)
        self.catalog = Catalog.for_writing(self.layout.catalog_at, self.ledger.people)

    def close(self) -> None:
        self.catalog.close()
        self.ledger.close()

    def reopen(self) -> None:
        self.close()
        self.open()

    def put(self, path: str, content: str, time: int | None = None) -> Path:
        """Writes a photo, and sets its time in nanoseconds if one is given."""
        file = self.layout.file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        if time is not None:
            os.utime(file, ns=(time, time))
        return file

    def sync(self, *shelves: Shelf, hash_file: Callable[[str], str] | None = None, now: datetime = NOON) -> Changes:
        """Syncs these shelves, or training-images; `hashed` are the paths that were hashed then."""
        self.hashed = []
        entry = Entry("personal", self.until, now)
        return self.catalog.files.sync(walk(self.layout, shelves or [TRAINING]), hash_file or self.hash, entry)

    def drift(self, *shelves: Shelf) -> Drift:
        return self.catalog.files.drift(walk(self.layout, shelves or [TRAINING]))

    def hash(self, path: str) -> str:
        self.hashed.append(path)
        return hashlib.sha256(self.layout.file(path).read_bytes()).hexdigest()

    def record(self, content: str, faces: int = 1, encoder: str = ENCODER, size: int = 128) -> None:
        """Lets an encoder see the photo of this content."""
        assert self.catalog.faces.record(self.seen(content, faces, encoder, size), encoder)

    def choose(self, encoder: str = ENCODER, rule: str = RULE) -> None:
        """Chooses the leftmost face everywhere."""
        faces = self.catalog.faces
        for person in self.catalog.files.people(TRAINING):
            found = faces.faces_of(person, encoder)
            first = np.flatnonzero(np.diff(found.photo, prepend=-1))
            faces.choose(person, encoder, rule, {found.paths[found.photo[row]]: int(found.ids[row]) for row in first})

    @staticmethod
    def sha(content: str) -> str:
        return hashlib.sha256(content.encode()).hexdigest()

    @staticmethod
    def vector(content: str, number: int = 0, size: int = 128) -> Floats:
        """The embedding of a face, the first of which has the number 0."""
        drawn = np.random.default_rng([*content.encode(), number]).standard_normal(size, np.float32)
        return cast("Floats", drawn / np.linalg.norm(drawn))

    @classmethod
    def seen(
        cls, content: str, faces: int = 1, encoder: str = ENCODER, size: int = 128, phash: str | None = None
    ) -> SeenPhoto:
        """What an encoder sees in the photo of this content."""
        return SeenPhoto(
            Photo(cls.sha(content), 640, 480, "JPEG", cls.sha(content)[:16] if phash is None else phash),
            tuple(
                SeenFace(
                    Face((10.5 * n, 1, 20, 30), np.arange(10, dtype=np.float32).reshape(5, 2) + n, 0.75, "yunet", n),
                    Quality(90.5, 0.5, 0.25, 0.125, 0.0625 * (n + 1)),
                    Embedding(cls.vector(content, n, size), encoder),
                )
                for n in range(faces)
            ),
        )


@pytest.fixture(scope="session")
def new_text_album() -> Iterator[Callable[..., TextAlbum]]:
    """Makes a `TextAlbum` in a folder that is not there yet, with its catalog on a server if one is given."""
    made: list[TextAlbum] = []

    def make(folder: Path, server: Server | None = None) -> TextAlbum:
        made.append(TextAlbum(folder, server))
        return made[-1]

    yield make
    for one in made:
        one.close()


# PostgreSQL


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real server, for whoever asks for it."""
    from postgres_server import PostgresServer  # with its driver, which few tests need

    with closing(PostgresServer()) as server:
        yield server


@pytest.fixture(scope="session")
def made_database(postgres_server: PostgresServer) -> str:
    """The name of a database with mien's schemas, all empty, of which others are made in no time."""
    from mien.records import access, catalog, ledger, opening

    name = postgres_server.new_database()
    server = Server.of(postgres_server.url(name))
    for kind in (catalog.KIND, ledger.KIND, access.KIND):
        opening.for_writing(kind, OnServer(server, f"mien_{kind.revisions}")).close()
    return name


@pytest.fixture
def album_server(postgres_server: PostgresServer) -> Server:
    """An empty database on it."""
    return Server.of(postgres_server.url(postgres_server.new_database()))


# Either kind of database


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of records run on both kinds of database: in SQLite files, and in a database of their own on a server. One
    that is about files says so by the mark `of_files`."""
    if "kept_in" in metafunc.fixturenames:
        about_files = metafunc.definition.get_closest_marker("of_files")
        metafunc.parametrize("kept_in", ["sqlite"] if about_files else ["sqlite", "postgresql"])


@pytest.fixture
def server(kept_in: str, request: pytest.FixtureRequest) -> Server | None:
    """The database on a server in which a test keeps what it keeps; None where it does so in files."""
    if kept_in == "sqlite":
        return None
    running: PostgresServer = request.getfixturevalue("postgres_server")
    return Server.of(running.url(running.new_database(request.getfixturevalue("made_database"))))


@pytest.fixture
def place_of(tmp_path: Path, server: Server | None) -> Callable[[str], Place]:
    """Where the database of a kind is: place_of("ledger")."""
    return lambda kind: OnServer(server, f"mien_{kind}") if server else tmp_path / f"{kind}.sqlite"


@pytest.fixture
def text_album(tmp_path: Path, server: Server | None, new_text_album: Callable[..., TextAlbum]) -> Iterator[TextAlbum]:
    """An album whose photos are short texts."""
    with closing(new_text_album(tmp_path / "album", server)) as made:
        yield made


# Encoders of a user's own

TINY_SIDE, TINY_SIZE = 16, 8


@dataclass
class TinyEncoder:
    """An encoder that multiplies the numbers of a chip by `weights`, as files in a folder: tiny.toml and tiny.onnx.
    `described` are further keys of its description; `batch` is how many pictures it takes at once, None for any
    number."""

    folder: Path
    described: dict[str, Any] = field(default_factory=dict)
    batch: int | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.weights = np.random.default_rng(7).standard_normal((TINY_SIDE**2 * 3, TINY_SIZE)).astype(np.float32)
        self.onnx.write_bytes(self.network())
        self.describe()

    @property
    def toml(self) -> Path:
        return self.folder / "tiny.toml"

    @property
    def onnx(self) -> Path:
        return self.folder / "tiny.onnx"

    def describe(self, *files: dict[str, Any], **others: Any) -> None:
        """Writes the description anew, of these files."""
        keys: dict[str, Any] = {
            "name": "tiny",
            "licence": "CC0-1.0",
            "commercial": True,
            "side": TINY_SIDE,
            "template": "arcface-112",
            "dimensions": TINY_SIZE,
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in (keys | self.described | others).items()]
        for file in files or ({"name": "tiny.onnx"},):
            lines += ["[[files]]", *[f"{key} = {json.dumps(value)}" for key, value in file.items()]]
        self.toml.write_text("\n".join(lines) + "\n", "utf-8")

    def network(self, kind: int = 1, names: tuple[str, str] = ("pixels", "out")) -> bytes:
        """An ONNX file: a picture of float32 (or another `kind` of number) to embeddings."""
        from onnx import TensorProto, helper, numpy_helper

        layout = self.described.get("layout", "nchw")
        shape = [3, TINY_SIDE, TINY_SIDE] if layout == "nchw" else [TINY_SIDE, TINY_SIDE, 3]
        image, out = names
        nodes = [
            helper.make_node("Cast", [image], ["cast"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["cast"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], [out]),
        ]
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(image, kind, [self.batch or "batch", *shape])],
            [helper.make_tensor_value_info(out, TensorProto.FLOAT, [self.batch or "batch", TINY_SIZE])],
            [numpy_helper.from_array(self.weights, "weights")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
        return cast("bytes", model.SerializeToString())

    def embed(self, chips: Any) -> Floats:
        """The embeddings of (N, side, side, 3) uint8 RGB chips, as numpy computes them."""
        values = chips[..., ::-1] if self.described.get("colour") == "bgr" else chips
        mean, scale = (np.asarray(self.described.get(key, empty)) for key, empty in (("mean", 0), ("scale", 1)))
        values = (values.astype(np.float64) - mean) / scale
        if self.described.get("layout", "nchw") == "nchw":
            values = values.transpose(0, 3, 1, 2)
        return cast("Floats", values.reshape(len(chips), -1) @ self.weights.astype(np.float64))


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., TinyEncoder]:
    """Makes a `TinyEncoder` in a folder of the test's own."""

    def make(batch: int | None = None, **described: Any) -> TinyEncoder:
        return TinyEncoder(tmp_path / "tiny", described, batch)

    return make


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the encoders of the test's own user are kept; it is not there yet."""
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home/encoders"


OWN = """
name = "mine"
licence = "CC0-1.0"
commercial = {commercial}
side = 150
layout = "nhwc"
template = "dlib"
dimensions = 128

[[files]]
name = "mine.onnx"
"""


class Own:
    """An encoder of the user's own: dlib's network, as somebody would bring it, without figures of its cosines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def add(self, weights_file: str = "resnet.onnx", commercial: bool = True) -> None:
        (self.folder / "mine.toml").write_text(OWN.format(commercial=str(commercial).lower()), "utf-8")
        (self.folder / "mine.onnx").write_bytes(weights.load(weights_file))
        add_encoder(self.folder / "mine.toml")


@pytest.fixture
def own(tmp_path: Path, home: Path) -> Own:
    """An encoder of the user's own that was added."""
    one = Own(tmp_path / "mine")
    one.add()
    return one


@dataclass
class Served:
    """A server over a painted album, and a client of it; `keys` by scope."""

    painted: Painted
    house: House
    client: TestClient
    keys: dict[str, str] = field(default_factory=dict)

    def headers(self, scope: str = "admin") -> dict[str, str]:
        return {"x-api-key": self.keys[scope]}

    def post(self, path: str, scope: str = "admin", **given: Any) -> Any:
        """The answer to a POST with a key of this scope."""
        return self.client.post(path, headers={**self.headers(scope), **given.pop("headers", {})}, **given)

    def get(self, path: str, scope: str = "admin", **given: Any) -> Any:
        return self.client.get(path, headers={**self.headers(scope), **given.pop("headers", {})}, **given)

    def photo(self, *faces: str) -> bytes:
        """The bytes of a photo of these people."""
        return self.painted.paint(self.painted.folder.parent / "asked.png", *faces).read_bytes()


@pytest.fixture
def served(taught: Painted) -> Iterator[Served]:
    """A server over an album of three people with a model."""
    with _serving(taught) as served:
        yield served


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, new_painted: Callable[[Path], Painted]) -> Iterator[Served]:
    """`served` for all tests of a file, which change nothing in the album."""
    painted = _with_three_people(new_painted(tmp_path_factory.mktemp("standing") / "album"))
    painted.open().train()
    with _serving(painted) as served:
        yield served


@pytest.fixture
def untaught(painted: Painted) -> Iterator[Served]:
    """A server over an album without anybody."""
    with _serving(painted) as served:
        yield served


@pytest.fixture
def serve() -> Callable[[Painted], AbstractContextManager[Served]]:
    """Serves a painted album, as its mien.toml says by now."""
    return _serving


@pytest.fixture
def served_with(taught: Painted) -> Iterator[Callable[[str], Served]]:
    """Serves an album of three people with a model, by more lines of its mien.toml."""
    with ExitStack() as stack:

        def serve(lines: str) -> Served:
            with (taught.folder / "mien.toml").open("a", encoding="utf-8") as file:
                file.write(lines)
            return stack.enter_context(_serving(taught))

        yield serve


@contextmanager
def _serving(painted: Painted) -> Iterator[Served]:
    from starlette.testclient import TestClient  # the server's packages are asked for by its own tests alone

    from mien.records.access import Access
    from mien.server.app import make_app
    from mien.server.house import House
    from mien.server.resident import Resident
    from mien.text.access import Scope

    resident = Resident(painted.folder, painted.eyes)
    (painted.folder / ".mien").mkdir(exist_ok=True)
    access = Access.for_writing(Layout.of(painted.folder, resident.settings).access_file)
    keys = {scope: access.keys.add(scope.value, scope, None, datetime.now(UTC)) for scope in Scope}
    house = House.of(resident, access)
    with TestClient(make_app(house), raise_server_exceptions=False) as client:
        yield Served(painted, house, client, {scope.value: key for scope, key in keys.items()})


class InProcess:
    """A server of uvicorn's in a thread of this process, over a painted album; `addresses` are whose requests came."""

    def __init__(self, painted: Painted) -> None:
        self._painted = painted
        self.addresses: set[str] = set()
        self.key = ""

    @contextmanager
    def __call__(self) -> Iterator[int]:
        from mien.records.access import Access
        from mien.server import running
        from mien.server.app import make_app
        from mien.server.house import House
        from mien.server.resident import Resident
        from mien.text.access import Scope

        resident = Resident(self._painted.folder, self._painted.eyes)
        file = Layout.of(self._painted.folder, resident.settings).access_file
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        house = House.of(resident, Access.for_writing(file))
        self.key = house.access.keys.add("desk", Scope.ADMIN, None, datetime.now(UTC))
        app = make_app(house)
        self.addresses.clear()

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                self.addresses.add(scope["client"][0])
            await app(scope, receive, send)

        config = running._config(watched, resident.settings.server.model_copy(update={"port": 0}))  # type: ignore[arg-type]
        port: list[int] = []
        ready = Event()

        def listening(address: str) -> None:
            port.append(int(address.rsplit(":", 1)[1]))
            ready.set()

        server = running.Server(config, house, listening)
        thread = Thread(target=server.run)
        thread.start()
        assert ready.wait(60)
        try:
            yield port[0]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def in_process(painted: Painted) -> InProcess:
    return InProcess(painted)


# A server as a process


@dataclass(frozen=True)
class Running:
    """A `mien serve` process over an album, at an address, with a key for everything."""

    address: str
    key: str

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """The answer of CompreFace's API."""
        import httpx

        headers, url = {"x-api-key": self.key}, f"{self.address}/api/v1{path}"
        # Reading the system's certificates takes as much of the processor as all else, and none is to be verified.
        return httpx.request(method, url, headers=headers, timeout=300, verify=False, **given)


@contextlib.contextmanager
def _start(command: list[str], folder: Path) -> Iterator[Running]:
    """Starts `mien serve`, and waits until it listens; it ends after this."""
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    said, key, address = [], "", ""
    try:
        for line in process.stderr:
            said.append(line)
            key = line.strip() if line.startswith("    ") else key
            if line.startswith("Listening at "):
                address = line.split()[2].rstrip(",")
                break
        assert key and address, "".join(said)
        log = threading.Thread(target=process.stderr.read)  # or it would fill the pipe
        log.start()
        yield Running(address, key)
    finally:
        process.terminate()
        process.wait(timeout=300)
        if address:
            log.join()
        process.stderr.close()


@pytest.fixture(scope="session")
def serving() -> Callable[[list[str], Path], contextlib.AbstractContextManager[Running]]:
    """Starts a `mien serve` by its command line, in a folder."""
    return _start


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One over an album in which nobody is yet."""
    folder = tmp_path_factory.mktemp("served")
    subprocess.run([sys.executable, "-m", "mien", "init", "album"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with (folder / "album/mien.toml").open("a") as file:
        file.write("\nviews = 1\n\n[server]\nkey_in_path = true\nper_minute = 0\n")
    with _start([sys.executable, "-m", "mien", "-C", "album", "serve", "--port", "0"], folder) as one:
        yield one


@pytest.fixture(scope="module")
def pictures(sample: Path) -> tuple[Path, Path, Path]:
    """Two of one person, and one of a stranger."""
    first, second = sorted((sample / "people/Amara").glob("*.jpg"))[:2]
    return first, second, min((sample / "strangers").rglob("*.jpg"))
