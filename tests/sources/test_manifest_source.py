"""The source `manifest`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mien.errors import FetchError, SourceError
from mien.protocols import Source
from mien.sources.manifest import open_source
from mien.testing import FakeSink, FakeWeb, check_source
from mien.types import Offer, Page

HERE = "https://example.org"


def on_disk(album: Path, text: str, web: FakeWeb | None = None) -> Source:
    (album / "import").mkdir(exist_ok=True)
    (album / "import/all.csv").write_text(text, "utf-8")
    return open_source("club", {"file": "import/all.csv"}, web or FakeWeb(), album)


def offers(source: Source) -> list[Offer]:
    return [each for each in source.offers() if isinstance(each, Offer)]


def errors(source: Source) -> list[str]:
    return [each.message for each in source.offers() if isinstance(each, FetchError)]


def test_keeps_the_promises(tmp_path: Path) -> None:
    (tmp_path / "import").mkdir()
    (tmp_path / "import/1.jpg").write_bytes(b"one")
    web = FakeWeb(
        {f"{HERE}/m": "person,url\nAda,1.jpg\nBo,2.jpg\n,3.jpg\n"}, {f"{HERE}/{n}.jpg": b"x" * n for n in (1, 2)}
    )
    check_source(lambda: open_source("club", {"url": f"{HERE}/m"}, web, tmp_path))
    check_source(lambda: on_disk(tmp_path, f"person,url,path\nAda,,1.jpg\nBo,{HERE}/2.jpg\n", web))


def test_csv_on_disk(tmp_path: Path) -> None:
    source = on_disk(tmp_path, f"person,url,path,licence,name\nAda,{HERE}/a%20b.jpg#x,,CC0,\nBo,,in/2.jpg,,bo.jpg\n")
    (tmp_path / "import/in").mkdir()
    (tmp_path / "import/in/2.jpg").write_bytes(b"two")
    first, second = offers(source)
    assert first == Offer(f"{HERE}/a%20b.jpg", "Ada", "a b.jpg", "", "CC0")
    assert (second.location, second.person, second.name) == ("in/2.jpg", "Bo", "bo.jpg") and second.stamp
    source.fetch(second, sink := FakeSink(), "")
    assert sink.data == b"two"


def test_json_lines_at_a_url() -> None:
    lines = [
        {"person": "Ada", "url": "a.jpg"},
        {"person": "Bo", "url": "http://other.org/b.jpg", "license": "CC-BY-4.0"},
    ]
    body = "\n".join(map(json.dumps, lines)).encode()
    web = FakeWeb({f"{HERE}/m": Page(f"{HERE}/moved/m", body, None)})
    assert offers(open_source("club", {"url": f"{HERE}/m"}, web, Path())) == [
        Offer(f"{HERE}/moved/a.jpg", "Ada", "a.jpg"),
        Offer("http://other.org/b.jpg", "Bo", "b.jpg", "", "CC-BY-4.0"),
    ]


def test_bad_lines_are_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    source = on_disk(
        tmp_path,
        f"person,url,path\nAda,file:///etc/passwd\nAda,,/etc/passwd\nAda,,../mien.toml\n,{HERE}/1.jpg\n"
        f"Ada,{HERE}/2.jpg\nBo,{HERE}/2.jpg\nAda,relative.jpg\nAda\n{'x' * 300},{HERE}/3.jpg\nBo,{HERE}/4.jpg\n",
    )
    (tmp_path / "mien.toml").write_text("")
    assert [offer.name for offer in offers(source)] == ["2.jpg", "4.jpg"]
    said = errors(source)
    expected = [
        "no web address",
        "not in",
        "not in",
        "names nobody",
        "second time",
        "no web address",
        "not in",
        "letters",
    ]
    assert len(said) == len(expected) and all(what in each for what, each in zip(expected, said, strict=True))
    assert "line 2 of " in said[0] and "line 7 of " in said[4]


def test_a_manifest_on_the_web_names_nothing_on_disk(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"x")
    web = FakeWeb({f"{HERE}/m": f"person,url,path\nAda,,1.jpg\nAda,,{tmp_path}/1.jpg\n"})
    source = open_source("club", {"url": f"{HERE}/m"}, web, tmp_path)
    assert offers(source) == [] and ["gives no url" in each for each in errors(source)] == [True, True]
    with pytest.raises(FetchError):
        source.fetch(Offer(f"{tmp_path}/1.jpg", "Ada", "1.jpg"), FakeSink(), "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "either file or url"),
        ({"file": "a", "url": HERE}, "either file or url"),
        ({"url": "ftp://example.org/m"}, "must begin with http"),
        ({"file": 3}, "file will not do"),
    ],
)
def test_wrong_options(options: dict[str, object], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        open_source("club", options, FakeWeb(), Path())


def test_a_manifest_that_cannot_be_had(tmp_path: Path) -> None:
    for options in ({"file": "none.csv"}, {"url": f"{HERE}/none"}):
        with pytest.raises(SourceError) as caught:
            list(open_source("club", options, FakeWeb(), tmp_path).offers())
        assert not isinstance(caught.value, FetchError)


def test_a_large_manifest_is_read_line_by_line(tmp_path: Path) -> None:
    source = on_disk(tmp_path, "person,url\n" + "".join(f"Ada,{HERE}/{n}.jpg\n" for n in range(3_000)))
    found = source.offers()
    assert next(found) == Offer(f"{HERE}/0.jpg", "Ada", "0.jpg")
    assert sum(1 for _ in found) == 2_999


def test_two_values_of_which_one_would_be_dropped_are_said(tmp_path: Path) -> None:
    (tmp_path / "import").mkdir()
    (tmp_path / "import/1.jpg").write_bytes(b"one")
    source = on_disk(tmp_path, f"person,url,path\nAda,{HERE}/1.jpg,1.jpg\nAda and Bo,{HERE}/2.jpg,\n")
    said, offer = source.offers()
    assert isinstance(said, FetchError) and "gives both a url and a path in line 2 of " in said.message
    assert isinstance(offer, Offer) and offer.listed == ("Ada", "Bo")
