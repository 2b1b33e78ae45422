"""docs/collecting.md: every example of a source is run against a stand-in, and every key is in its tables."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from mien.settings import Settings, SourceSettings
from mien.sources.bucket import BucketOptions
from mien.sources.feed import FeedOptions
from mien.sources.folder import FolderOptions
from mien.sources.manifest import ManifestOptions
from mien.sources.site import SiteOptions
from mien.testing import FakeWeb, check_source
from mien.types import Offer

PAGE = (Path(__file__).resolve().parent.parent / "docs/collecting.md").read_text("utf-8")
HERE = "https://example.org"
EXPECTED = {
    "drop": [("Ada", "1.jpg"), ("Bo", "2.jpg")],
    "archive": [("Ada_Lovelace", "Ada_Lovelace_1.jpg"), ("Bo", "Bo_2.JPG")],
    "wedding": [("Ada", "1.jpg"), ("Bo", "2.jpg")],
    "bucket": [("Ada", "1.jpg"), ("Bo", "2.jpg")],
    "import": [("Ada Lovelace", "1.jpg"), ("Bo", "1.jpg")],
    "museum": [("Ada", "1.jpg"), ("Bo", "2.jpg")],
    "news": [("Ada", "1.jpg"), ("Bo", "2.jpg")],
    "members": [("Ada", "1.jpg"), ("Ada", "2.jpg"), ("Bo", "3.jpg")],
    "board": [("Ada", "1.jpg"), ("Bo", "2.jpg")],
}
"""What each example brings from the stand-in below: persons and files."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


EXAMPLES = {name: table for text in blocks("toml") for name, table in tomllib.loads(text).get("sources", {}).items()}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the example of a bucket expects: an S3 server, and the environment that leads there."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (("S3", f"http://{host}:{port}"), ("KEY", "club"), ("SECRET", "x")):
        monkeypatch.setenv(f"CLUB_{name}", value)
    files = fsspec.filesystem(
        "s3", endpoint_url=f"http://{host}:{port}", key="club", secret="x", skip_instance_cache=True
    )
    files.call_s3("create_bucket", Bucket="club-photos")
    for key in ("people/Ada/1.jpg", "people/Bo/2.jpg"):
        files.call_s3("put_object", Bucket="club-photos", Key=key, Body=key.encode())
    yield
    server.stop()
    cast("Any", server)._server.server_close()


def photos(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())


def drop(beside: Path) -> dict[str, str]:
    photos(beside / "drop", "Ada/1.jpg", "Bo/trip/2.jpg")
    return {}


def archive(beside: Path) -> dict[str, str]:
    photos(beside / "archive", "2023/Ada_Lovelace_1.jpg", "2024/may/trip/Bo_2.JPG", "1999/Bo_1.jpg")
    return {}


def wedding(beside: Path) -> dict[str, str]:
    photos(beside / "wedding", "1.jpg", "2.jpg")
    (beside / "wedding/who.csv").write_text("file,person\n1.jpg,Ada\n2.jpg,Bo\n")
    return {}


def bucket(beside: Path) -> dict[str, str]:
    return {}


def by_hand(beside: Path) -> dict[str, str]:
    (beside / "import").mkdir()
    (beside / "import/manifest.csv").write_text(blocks("csv")[0])
    return {}


def museum(beside: Path) -> dict[str, str]:
    lines = [{"person": "Ada", "url": "1.jpg"}, {"person": "Bo", "url": "2.jpg"}]
    return {"portraits.jsonl": "\n".join(map(json.dumps, lines))}


def news(beside: Path) -> dict[str, str]:
    item = '<item><title>{}</title><enclosure url="https://example.org/{}.jpg" type="image/jpeg"/></item>'
    titles = ("Portrait of Ada, 1840", "Portrait of Bo, today", "Summer party")
    items = "".join(item.format(title, number) for number, title in enumerate(titles, 1))
    return {"portraits.xml": f'<rss version="2.0"><channel><title>Club</title>{items}</channel></rss>'}


def members(beside: Path) -> dict[str, str]:
    figure = "<figure><img src=/{}.jpg></figure>"
    return {
        "members": "<a href=/x>x</a><ul class=members><li><a href=/ada>Ada</a></ul><a rel=next href='?2'>more</a>",
        "members?2": "<ul class=members><li><a href=/bo>Bo</a></ul>",
        "ada": f"<h1>Ada</h1>{figure.format(1)}{figure.format(2)}<img src=logo.png>",
        "bo": f"<h1>Bo</h1>{figure.format(3)}",
    }


def board(beside: Path) -> dict[str, str]:
    figure = "<figure><a href={}.jpg><img src=small.jpg></a><figcaption>{}</figcaption></figure>"
    return {"board": figure.format(1, "Ada") + figure.format(2, "Bo")}


STAND_INS: dict[str, Callable[[Path], dict[str, str]]] = {
    "drop": drop,
    "archive": archive,
    "wedding": wedding,
    "bucket": bucket,
    "import": by_hand,
    "museum": museum,
    "news": news,
    "members": members,
    "board": board,
}
"""For each example what puts its files beside the album, and gives the pages of its site."""


def test_each_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(EXPECTED) == set(STAND_INS)
    assert {table["kind"] for table in EXAMPLES.values()} == {"folder", "bucket", "manifest", "feed", "site"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if EXAMPLES[name]["kind"] == "bucket":
        request.getfixturevalue("s3")
    settings = Settings.model_validate({"sources": {name: EXAMPLES[name]}}).sources[name]
    assert settings.basis and settings.licence, "without them it would not be collected"
    pages = {f"{HERE}/{path}": text for path, text in STAND_INS[name](tmp_path).items()}
    places = [f"{folder}{number}.jpg" for folder in ("", "ada/", "bo/") for number in (1, 2, 3)]
    web = FakeWeb(pages, {f"{HERE}/{place}": place.encode() for place in places})
    own = dict(settings.model_extra or {})

    def open_source() -> Any:
        return import_module(f"mien.sources.{settings.kind}").open_source(name, own, web, tmp_path / "album")

    (tmp_path / "album").mkdir()
    found = [(each.person, each.name) if isinstance(each, Offer) else each for each in open_source().offers()]
    assert found == EXPECTED[name]
    check_source(open_source)


def test_a_source_of_your_own() -> None:
    code, trial = blocks("python")
    exec(code + trial, {"__name__": "__example__"})


def keys(heading: str) -> list[str]:
    """The keys in the first table below a heading, with a few of them in one row or not."""
    table = PAGE.partition(f"# {heading}\n")[2].partition("| key |")[2].partition("\n\n")[0]
    return [key for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)]


@pytest.mark.parametrize(
    ("heading", "options"),
    [
        ("folder", FolderOptions),
        ("bucket", BucketOptions),
        ("manifest", ManifestOptions),
        ("feed", FeedOptions),
        ("site", SiteOptions),
        ("Keys of every source", SourceSettings),
    ],
)
def test_every_key_is_in_its_table(heading: str, options: Any) -> None:
    assert sorted(keys(heading)) == sorted(options.model_fields)
