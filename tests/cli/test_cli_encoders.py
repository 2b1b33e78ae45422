"""encoders on the command line: listed, added, removed; what init, status and classify say of them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import Album
from mien.cli import answers
from mien.encoders.shelf import keep, kept, known
from mien.errors import EncoderError
from mien.pipeline.encoders import Quantised
from mien.text.encoders import QuantisedKind
from mien.types import Finding

if TYPE_CHECKING:
    from conftest import Own, TinyEncoder


def retail() -> None:
    """Puts something in the place of retail-0095."""
    keep(known()["retail-0095"], {"fp32": b"a network"})


def test_encoders_are_listed_without_an_album(mien: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    said = mien("encoders")
    assert said.exit_code == 0
    lines = said.stdout.splitlines()
    assert lines[1].split()[:3] == ["retail-0095", "no", "Apache-2.0"]
    assert "to add      mien encoders add retail-0095" in lines
    assert any("(you bring glintr100.onnx)" in line for line in lines)
    found = json.loads(mien("encoders", "--json").stdout)
    assert [one["name"] for one in found[:2]] == ["retail-0095", "dlib-resnet"]
    assert found[1]["here"] == "built in" and found[1]["cosines"] == "measured"
    assert mien("-C", tmp_path / "none", "encoders").exit_code == 3


def test_the_one_that_an_album_uses_is_marked(mien: Callable[..., Any], home: Path, album: Path) -> None:
    found = {one["name"]: one for one in json.loads(mien("-C", album, "encoders", "--json").stdout)}
    assert found["dlib-resnet"]["chosen"] and found["dlib-resnet"]["in_use"]
    assert not found["retail-0095"]["chosen"]
    assert "*           the album's model was made with it" in mien("-C", album, "encoders").stdout


def test_add_shows_asks_keeps_and_says_what_next(
    mien: Callable[..., Any], home: Path, tiny: Callable[..., TinyEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tiny(title="A tiny one", licence="CC-BY-NC-4.0", commercial=False, trained_on="noise", origin="here")
    monkeypatch.setattr("mien.cli.encoders.asked", lambda: True)
    assert mien("encoders", "add", one.toml, typed="n\n").exit_code == 130
    with pytest.raises(EncoderError):
        kept("tiny")
    said = mien("encoders", "add", one.toml, typed="y\n")
    assert said.exit_code == 0
    for line in (
        "encoder     tiny: A tiny one",
        "origin      here",
        "licence     CC-BY-NC-4.0",
        "commercial  not allowed",
        "trained on  noise",
        "files       tiny.onnx",
        f"added       tiny, in {home / 'tiny'}",
        "cosines     nobody measured them for this encoder, so each album measures its own people",
        "next        mien -C ALBUM train --encoder tiny",
    ):
        assert line in said.stdout
    removed = mien("encoders", "remove", "tiny")
    assert removed.exit_code == 0 and "cannot answer until it is added again" in removed.stdout
    assert mien("encoders", "remove", "tiny").exit_code == 18


def test_nobody_accepts_a_licence_unasked(
    mien: Callable[..., Any], home: Path, tiny: Callable[..., TinyEncoder]
) -> None:
    said = mien("encoders", "add", tiny().toml)
    assert said.exit_code == 2 and "Say --yes if you accept the licence." in said.stderr
    assert mien("encoders", "add", tiny().toml, "--json").exit_code == 2
    assert not home.exists()
    found = json.loads(mien("encoders", "add", tiny().toml, "--yes", "--json").stdout)
    assert found["encoder"] == "tiny" and not found["before"]
    assert found["networks"]["fp32"]["sha256"] == kept("tiny").network("fp32").sha256


def test_what_may_not_be_used_commercially_is_refused_before_it_is_asked_for(
    mien: Callable[..., Any], home: Path, tiny: Callable[..., TinyEncoder], tmp_path: Path
) -> None:
    Album.create(tmp_path / "album")
    with (tmp_path / "album/mien.toml").open("a") as file:
        file.write("\ncommercial = true\n")
    said = mien("-C", tmp_path / "album", "encoders", "add", "buffalo-l", "--from", "x.onnx", "--yes")
    assert said.exit_code == 18 and "non-commercial research only" in said.stderr and not said.stdout
    one = tiny()
    assert mien("-C", tmp_path / "album", "encoders", "add", one.toml, "--yes").exit_code == 0


def test_words_that_exclude_each_other_are_refused(mien: Callable[..., Any], home: Path) -> None:
    words = ("encoders", "add", "sface", "--from", "x", "--mirror", "https://example.org")
    assert mien(*words).exit_code == 2


# init, status, classify


def test_a_new_album_takes_the_best_encoder_that_is_there(mien: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    said = mien("init", tmp_path / "plain")
    assert "encoder     dlib-resnet; retail-0095 gives more faces" in said.stdout
    assert "Add it: mien encoders add retail-0095" in said.stdout
    assert tomllib.loads((tmp_path / "plain/mien.toml").read_text("utf-8"))["encoder"] == "dlib-resnet"
    retail()
    assert "encoder     retail-0095\n" in mien("init", tmp_path / "better").stdout
    assert tomllib.loads((tmp_path / "better/mien.toml").read_text("utf-8"))["encoder"] == "retail-0095"
    assert Album(tmp_path / "better").settings.encoder == "retail-0095"


def test_status_says_which_encoder_and_what_a_better_one_would_bring(
    mien: Callable[..., Any], home: Path, album: Path
) -> None:
    said = mien("-C", album, "status").stdout
    assert "encoder     dlib-resnet; retail-0095 gives more faces" in said and "mien encoders add retail-0095" in said
    found = json.loads(mien("-C", album, "status", "--json").stdout)
    assert found["encoder"] == "dlib-resnet" and "mien encoders add retail-0095" in found["advice"]
    retail()
    assert f"mien -C {album} train --encoder retail-0095" in mien("-C", album, "status").stdout


def test_classify_says_so_once_and_only_to_people(
    mien: Callable[..., Any], home: Path, album: Path, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = next((sample / "people/Erik").glob("*.jpg"))

    def classify(*words: str, terminal: bool = False) -> Any:
        with monkeypatch.context() as patch:
            if terminal:
                patch.setattr(answers, "on_terminals", lambda: True)
            return mien("-C", album, "classify", photo, *words)

    assert "retail-0095" not in classify().output
    assert "retail-0095" not in classify("--json", terminal=True).output
    first = classify(terminal=True)
    assert "Add it: mien encoders add retail-0095" in first.stderr and "retail-0095" not in first.stdout
    assert "retail-0095" not in classify(terminal=True).output
    assert Album(album).advice() is None


def test_an_album_that_cannot_be_written_to_is_not_advised(
    home: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "touch", forbidden)
    assert Album(album).advice() is None


def test_an_encoder_of_ones_own_is_measured_and_compared_in_an_album(
    mien: Callable[..., Any], own: Own, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only whether 8 bits are worth it here is the test's."""
    said = mien("-C", album, "encoders", "add", own.folder / "mine.toml", "--yes")
    assert said.exit_code == 0
    assert "measuring   nobody measured its cosines, so it looks at this album's photos" in said.stdout
    assert "they come from this album's 6 people and 36 photos: where 1 % of strangers" in said.stdout

    said = mien("-C", album, "encoders", "compare", "mine")
    assert said.exit_code == 0
    heading, dlib, mine, *rest = said.stdout.splitlines()
    assert heading.split()[0] == "encoder" and dlib.split()[0] == "dlib-resnet" and mine.split()[0] == "mine"
    assert dlib.endswith("22.4 MB") and "36 photos of the album, each asked about by a head" in said.stdout
    assert any(line.startswith(("mine", "Nothing here", "Stay with")) for line in rest)
    found = json.loads(mien("-C", album, "encoders", "compare", "mine", "--json").stdout)
    assert [one["name"] for one in found["encoders"]] == ["dlib-resnet", "mine"]

    compared = Album(album).compare_encoders(["mine"])
    figures = {**compared.said[0].figures, "part": 0.5}
    made = Quantised(True, Finding(QuantisedKind.KEPT, figures=figures), compared)
    monkeypatch.setattr(Album, "quantise", lambda self, name: made)
    said = mien("-C", album, "encoders", "quantise", "mine")
    assert said.exit_code == 0 and "takes 50.0 % of the time" in said.stdout
    assert 'to use it   write precision = "int8" into mien.toml and train' in said.stdout
    assert json.loads(mien("-C", album, "encoders", "quantise", "mine", "--json").stdout)["kept"]
