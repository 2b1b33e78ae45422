"""add --enrol, and classify with a model and no album."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import Album, classify
from mien.errors import ModelError, UsageError

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]


@pytest.fixture
def trained(taught: Painted) -> Painted:
    return taught


@pytest.fixture
def model(trained: Painted, tmp_path: Path) -> Path:
    """A model's folder and nothing else."""
    (folder,) = (entry for entry in (trained.folder / "models").iterdir() if entry.is_dir())
    return Path(shutil.copytree(folder, tmp_path / "model"))


def test_a_person_is_enrolled(mien: Mien, trained: Painted, tmp_path: Path) -> None:
    photo = trained.paint(tmp_path / "1.png", "Stranger")
    result = mien("-C", trained.folder, "add", "Bea", photo, "--enrol")
    version = (trained.folder / "models/current").read_text().strip()
    assert result.exit_code == 0 and version.endswith("-002")
    assert result.stdout.splitlines() == [
        "Added 1 photo to Bea.",
        f"model       {version} is in use and knows Bea by 1 photo; `mien -C {trained.folder} train` fits it to "
        "all again",
    ]
    found = json.loads(mien("-C", trained.folder, "classify", photo, "--json").stdout)
    assert [face["person"] for face in found["faces"]] == ["Bea"]
    status = mien("-C", trained.folder, "status").stdout
    assert "1 photo enrolled or removed since the last training" in status and status.count("stale ") == 1


def test_the_first_model_says_that_nobody_has_measured_it(mien: Mien, painted: Painted, tmp_path: Path) -> None:
    result = mien("-C", painted.folder, "add", "Ada", painted.paint(tmp_path / "1.png", "Ada"), "--enrol")
    version = (painted.folder / "models/current").read_text().strip()
    assert (result.exit_code, result.stdout.splitlines()[1]) == (
        0,
        f"model       {version} is in use and knows Ada by 1 photo; `mien -C {painted.folder} train` measures it, "
        "which nobody has yet",
    )
    status = mien("-C", painted.folder, "status").stdout
    assert "made by enrolling 1 photo" in status and "never measured" in status and "next " in status
    assert json.loads(mien("-C", painted.folder, "status", "--json").stdout)["model"]["trained"] is False


def test_a_guess_is_said_when_somebody_is_enrolled(mien: Mien, trained: Painted, tmp_path: Path) -> None:
    photo = trained.paint(tmp_path / "1.png", "Stranger", "Freya", sides=(90, 60))
    result = mien("-C", trained.folder, "add", "Bea", photo, "--enrol")
    assert result.exit_code == 0
    said = "of 2 faces it was guessed which is Bea's: the left one"
    assert said in " ".join(result.stdout.split()) and "Cut a photo to the face of Bea" in result.stdout
    known = trained.paint(tmp_path / "2.png", "Bo", "Freya", sides=(90, 60))
    sure = mien("-C", trained.folder, "add", "Cem", known, "--enrol")
    assert sure.exit_code == 0 and "guessed" not in sure.stdout, "the other one is Bo"


def test_what_cannot_be_enrolled_is_said(mien: Mien, three_people: Painted, tmp_path: Path) -> None:
    mien("-C", three_people.folder, "train")
    three_people.paint(tmp_path / "nobody.png")
    faceless = mien("-C", three_people.folder, "add", "Bea", tmp_path / "nobody.png", "--enrol")
    assert faceless.exit_code == 5 and "Bea has no photo in which a face was found." in faceless.stderr
    (tmp_path / "broken.jpg").write_bytes(b"text")
    broken = mien(
        "-C",
        three_people.folder,
        "add",
        "Bea",
        three_people.paint(tmp_path / "1.png", "Stranger"),
        tmp_path / "broken.jpg",
        "--enrol",
    )
    assert broken.exit_code == 6
    lines = broken.stdout.splitlines()
    assert len(lines) == 3 and lines[1].startswith("unreadable  ") and "broken.jpg is not a photo" in lines[1]
    assert "knows Bea by 1 photo" in lines[2]


def test_a_model_needs_no_album(
    mien: Mien, trained: Painted, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = trained.paint(tmp_path / "in/1.png", "Ada", "Stranger")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    result = mien("classify", "--model", model, photo.parent, "--json", "--annotate", tmp_path / "out")
    assert result.exit_code == 0 and not any(elsewhere.iterdir())
    assert [face["person"] for face in json.loads(result.stdout)["faces"]] == ["Ada", None]
    assert (tmp_path / "out/1.png.jpg").is_file()
    (answer,) = classify(photo, model, eyes=trained.eyes)
    assert [face.prediction.person for face in answer.faces] == ["Ada", None]


def test_an_album_that_is_named_must_be_one(mien: Mien, trained: Painted, model: Path, tmp_path: Path) -> None:
    photo = trained.paint(tmp_path / "1.png", "Ada")
    result = mien("-C", tmp_path / "nowhere", "classify", "--model", model, photo)
    assert result.exit_code == 3 and "nowhere does not exist" in result.stderr
    assert mien("-C", trained.folder, "classify", "--model", model, photo).exit_code == 0


def test_without_an_album_a_model_is_needed(mien: Mien, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = mien("classify", "x.jpg")
    assert result.exit_code == 3 and "is not an album" in result.stderr
    with pytest.raises(ModelError, match="holds no model"):
        classify(tmp_path, tmp_path / "no-model")


def test_a_wrong_question_is_answered_at_once(model: Path, trained: Painted) -> None:
    with pytest.raises(UsageError, match="top is 0"):
        classify(trained.training, model, top=0, eyes=trained.eyes)
    assert Album.is_at(trained.folder) and not Album.is_at(trained.training)
