"""An encoder of the user's own in an album of photos: compared, trained with, made of 8-bit numbers."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import Album
from mien.encoders import shelf
from mien.errors import EncoderError, EncoderMismatchError, NoFaceError
from mien.pipeline import encoders as module
from mien.registry.folder import load_model
from mien.stages import compare_encoders as stage
from mien.stages.compare import Compared
from mien.stages.compare_encoders import ComparedEncoders, EncoderRow
from mien.text.encoders import EncoderKind, QuantisedKind
from mien.text.findings import StaleKind
from mien.text.words import percent
from mien.types import Finding

if TYPE_CHECKING:
    from conftest import Own


def encoders_in(folder: Path) -> dict[str, int]:
    """How many faces the catalog remembers of each encoder, by the beginning of its id."""
    with closing(sqlite3.connect(folder / ".mien/catalog.sqlite")) as connection:
        rows = connection.execute("SELECT encoder, count(*) FROM faces GROUP BY encoder").fetchall()
    return {encoder.partition("-")[0]: count for encoder, count in rows}


def test_from_a_file_to_a_trained_album(own: Own, album: Path) -> None:
    """All that a user does: add, compare, train with it, ask, and go back."""
    chips = {file: file.read_bytes() for file in (album / "aligned-images").rglob("*.png")}
    compared = Album(album).compare_encoders(["mine"])
    assert [row.name for row in compared.rows] == ["dlib-resnet", "mine"]
    assert compared.rows[0].photos == 36 and compared.rows[1].photos in (35, 36)  # one may look like nobody to it
    assert compared.rows[1].dimensions == 128 and compared.rows[1].milliseconds > 0
    assert encoders_in(album) == {"dlib": 36, "mine": 36}
    assert {file: file.read_bytes() for file in (album / "aligned-images").rglob("*.png")} == chips
    assert len(Album(album).models()) == 1  # nothing else is written

    before = Album(album).models()[0].version
    learned = Album(album, encoder="mine").train()
    assert learned.aligned.computed == 0  # what comparing has seen is remembered
    assert learned.trained and learned.trained.own_cosines and learned.trained.own_cosines.people == 6
    model = load_model(album / "models" / learned.version)
    assert (model.card.encoder.name, model.card.encoder.views) == ("mine", 1)
    assert model.card.encoder.id.startswith("mine-fp32-")
    assert encoders_in(album) == {"dlib": 36, "mine": 36}

    photo = next((album / "training-images").rglob("*.jpg"))
    (answer,) = Album(album).classify(photo)  # the model says which encoder it needs, whatever mien.toml says
    assert answer.model == learned.version and len(answer.faces) == 1
    Album(album).rollback()
    (answer,) = Album(album).classify(photo)
    assert answer.model == before
    assert Album(album).train().aligned.computed == 0


def test_models_of_two_encoders_are_compared_on_the_same_photos(own: Own, album: Path) -> None:
    first = Album(album).models()[0].version
    second = Album(album, encoder="mine").train().version
    found = Album(album).difference(first, second)
    assert found.encoder[0] != found.encoder[1]
    assert isinstance(found.compared, Compared)


def test_without_the_encoder_its_model_says_what_to_do(own: Own, album: Path) -> None:
    Album(album, encoder="mine").train()
    shelf.remove("mine")
    with pytest.raises(EncoderError, match="The encoder mine is not on this machine"):
        list(Album(album).classify(next((album / "training-images").rglob("*.jpg"))))


def test_other_weights_under_the_same_name_are_another_encoder(own: Own, album: Path) -> None:
    Album(album, encoder="mine").train()
    own.add("resnet_int8.onnx")
    with pytest.raises(EncoderMismatchError):
        list(Album(album).classify(next((album / "training-images").rglob("*.jpg"))))


def test_what_cannot_be_compared_is_told_before_anything_is_seen(own: Own, album: Path) -> None:
    with pytest.raises(EncoderError, match="nothing to compare it with"):
        Album(album).compare_encoders(["dlib-resnet"])
    with pytest.raises(EncoderError, match="no-such is not on this machine"):
        Album(album).compare_encoders(["mine", "no-such"])
    assert encoders_in(album) == {"dlib": 36}


def test_a_licence_that_forbids_it_is_held_wherever_the_encoder_is_used(own: Own, album: Path) -> None:
    own.add(commercial=False)
    with pytest.raises(EncoderError, match="may not be used commercially"):
        Album(album, encoder="mine", commercial=True).train()
    Album(album, encoder="mine").train()
    with pytest.raises(EncoderError, match="may not be used commercially"):
        list(Album(album, commercial=True).classify(next((album / "training-images").rglob("*.jpg"))))


def test_which_encoder_an_album_has_can_be_written_down(album: Path) -> None:
    Album(album).use_encoder("mine")
    assert Album(album).settings.encoder == "mine"
    assert Album(album).settings.views == 1  # all else stays
    (album / "mien.toml").write_text('contact = """\nencoder = 1\n"""\n', "utf-8")
    with pytest.raises(Exception, match="could not be changed"):
        Album(album).use_encoder("other")


def test_an_album_measures_an_encoder_whose_cosines_nobody_did(own: Own, album: Path) -> None:
    measured = Album(album).measure_encoder("mine")
    low, high = measured.fpir
    assert (measured.people, measured.faces) == (6, 36)
    assert low < 0.01 < high  # so few people cannot be sure
    assert f"this album's 6 people and 36 photos: where 1 % of strangers is asked for, {percent(low)} to" in (
        measured.finding.why
    )
    assert 0.8 < measured.cosines.same_face < 1 and 0 < measured.cosines.mislabelled < 0.2
    for person in sorted((album / "training-images").iterdir())[3:]:
        shutil.rmtree(person)
    with pytest.raises(EncoderError, match="this album cannot show any: 3 people with three photos or more, of 5"):
        Album(album, encoder="mine").train()


# 8-bit numbers


def row(name: str, precision: str, milliseconds: float, like: EncoderRow) -> EncoderRow:
    return replace(like, name=name, precision=precision, milliseconds=milliseconds)


@pytest.mark.parametrize(
    ("kind", "milliseconds", "said"),
    [
        (EncoderKind.EVEN, 3.0, QuantisedKind.KEPT),
        (EncoderKind.BETTER, 3.0, QuantisedKind.KEPT),
        (EncoderKind.WORSE, 3.0, QuantisedKind.FELL),
        (EncoderKind.EVEN, 9.5, QuantisedKind.NO_FASTER),
    ],
)
def test_eight_bits_are_kept_if_nothing_is_lost_and_time_is_won(
    own: Own,
    album: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: EncoderKind,
    milliseconds: float,
    said: QuantisedKind,
) -> None:
    """The network is really made, and really seen with; only the verdict is the test's."""
    real = stage.compare_encoders

    def judged(seen: Any) -> ComparedEncoders:
        compared = real(seen)
        assert [one.choice.precision for one in seen] == ["fp32", "int8"]
        assert set(shelf.kept("mine").networks) == {"fp32"}  # nothing is kept before it is judged
        rows = (row("mine", "fp32", 10.0, compared.rows[0]), row("mine", "int8", milliseconds, compared.rows[1]))
        figures = compared.said[0].figures
        return ComparedEncoders(rows, (Finding(kind, figures={**figures, "part": milliseconds / 10}),))

    monkeypatch.setattr(module, "compare_encoders", judged)
    found = Album(album).quantise("mine")
    assert (found.said.kind, found.kept) == (said, said is QuantisedKind.KEPT)
    assert ("int8" in shelf.kept("mine").networks) == found.kept
    assert found.said.why
    if found.kept:
        with pytest.raises(EncoderError, match="has a network of 8-bit numbers"):  # other albums may use it
            Album(album).quantise("mine")
    if not found.kept:
        with pytest.raises(EncoderError, match="no network of the precision int8"):
            Album(album, encoder="mine", precision="int8").train()
    else:
        assert Album(album, encoder="mine", precision="int8").train().aligned.computed == 0


def test_a_run_that_fails_on_the_way_keeps_no_unjudged_network(
    own: Own, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(_: Any) -> ComparedEncoders:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "compare_encoders", stopped)
    with pytest.raises(KeyboardInterrupt):
        Album(album).quantise("mine")
    assert set(shelf.kept("mine").networks) == {"fp32"}


def test_the_built_in_encoder_is_not_quantised_and_a_small_album_cannot(own: Own, album: Path) -> None:
    with pytest.raises(EncoderError, match="came with mien as it is"):
        Album(album).quantise("dlib-resnet")
    for person in sorted((album / "training-images").iterdir())[2:]:
        shutil.rmtree(person)
    with pytest.raises(NoFaceError, match="at least 16"):
        Album(album).quantise("mine")


def test_status_answers_without_the_encoder(own: Own, album: Path) -> None:
    Album(album, encoder="mine").train()
    shelf.remove("mine")
    found = Album(album, encoder="mine").status()
    assert found.photos == 36 and found.model
    assert [finding.kind for finding in found.stale] == [StaleKind.NO_ENCODER]
    assert "the encoder mine is not on this machine" in found.stale[0].why


def test_a_person_goes_out_of_an_album_that_cannot_measure_its_encoder_any_more(own: Own, album: Path) -> None:
    """The model holds what was measured for it."""
    version = Album(album, encoder="mine").train().version
    assert load_model(album / "models" / version).card.cosines is not None
    people = sorted(person.name for person in (album / "training-images").iterdir())
    for person in people[:2]:
        Album(album, encoder="mine").remove(person)
    gone = next((album / "training-images" / people[2]).iterdir())
    removed = Album(album, encoder="mine").remove(people[2], [gone.name])
    assert removed.version and len(load_model(album / "models" / removed.version).card.photos[people[2]]) == 5
    Album(album, encoder="mine").check()


def test_the_daily_run_goes_on_where_the_champions_encoder_is_gone(own: Own, album: Path) -> None:
    Album(album, encoder="mine").train(keep_encoder=True)
    shelf.remove("mine")
    Album(album).use_encoder("dlib-resnet")
    Album(album).daily()
    assert load_model(album / "models" / str(Album(album).version)).card.encoder.name == "dlib-resnet"


def test_whoever_expires_is_not_named_where_the_encoder_is_gone(album: Path, home: Path) -> None:
    person = sorted((album / "training-images").iterdir())[0].name
    Album(album).use_encoder("retail-0095")  # which is not here
    with (album / "mien.toml").open("a") as file:
        file.write(f'[people."{person}"]\nuntil = 2020-01-01\n')
    Album(album).daily()
    assert Album(album).version is None or person not in load_model(album / "models" / str(Album(album).version)).people
