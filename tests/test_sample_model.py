"""examples/model: a model that works without an album, of nobody who exists, and of today's encoder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mien import classify
from mien.registry.folder import load_model
from mien.types import EncoderChoice
from mien.wiring import make_eyes

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "examples/model"
AGAIN = "run tools/make_sample_model.py again"


def test_it_is_small_and_holds_what_a_model_is() -> None:
    files = {file.name: file.stat().st_size for file in MODEL.iterdir()}
    assert set(files) == {"model.onnx", "labels.txt", "thresholds.json", "card.json"}
    assert sum(files.values()) < 1_000_000


def test_it_is_of_todays_encoder() -> None:
    card, eyes = load_model(MODEL).card.encoder, make_eyes(EncoderChoice())
    assert card.choice == EncoderChoice(views=eyes.views), AGAIN
    assert (card.id, card.weights_sha256) == (eyes.encoder_id, eyes.encoder.weights_sha256), AGAIN


def test_it_knows_the_rendered_people_and_nobody_else(sample: Path) -> None:
    """By the hashes of the photos that it was made of."""
    photos = {
        person.name: sorted(hashlib.sha256(photo.read_bytes()).hexdigest() for photo in person.iterdir())
        for person in (sample / "people").iterdir()
    }
    model = load_model(MODEL)
    assert model.card.photos == photos, AGAIN
    assert model.people == tuple(sorted(photos)) and model.enrolled_since_fit == 0


def test_it_names_them_and_not_strangers(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    known, stranger, nobody = classify(
        [sample / "people/Amara/01.jpg", sample / "strangers/Mia/01.jpg", sample / "no-face/01.jpg"], MODEL
    )
    assert [face.prediction.person for face in known.faces] == ["Amara"]
    assert [face.prediction.person for face in stranger.faces] == [None]
    assert nobody.faces == () and nobody.error is None


def test_the_readme_names_it() -> None:
    assert "--model examples/model" in (ROOT / "README.md").read_text("utf-8")
