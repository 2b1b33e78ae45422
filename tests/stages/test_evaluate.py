from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from PIL import Image

from mien.errors import ModelError, UsageError
from mien.learning.figures import Share
from mien.learning.openset import Calibration, ranked
from mien.protocols import Silent
from mien.recogniser import Recogniser
from mien.seeing.eyes import Eyes
from mien.stages.evaluate import Evaluated, Pick, evaluate, pick_face
from mien.testing import FakeEncoder
from mien.types import Embedding, Face, Photo, Quality, SeenFace, SeenPhoto

if TYPE_CHECKING:
    from conftest import Painted
    from mien.open_album import OpenAlbum
    from mien.registry.folder import Model
    from mien.types import Box


class Told:
    """Eyes that see in a file what its name says: "Ada 0.9 0.5" a face that scores so for the model's people."""

    encoder = FakeEncoder()

    def see_file(self, file: Path) -> SeenPhoto:
        scores = [float(part) for part in file.name.split()[1:]]
        faces = (seen((0.0, 0.0, 10.0, 10.0), scores),) if scores else ()
        return SeenPhoto(Photo("0" * 64, 100, 100, "PNG", "5a" * 8), faces)


def seen(box: Box, scores: list[float]) -> SeenFace:
    face = Face(box, np.zeros((5, 2), np.float32), 0.9, "told")
    return SeenFace(face, Quality(10.0, 1, 1, 1, 1), Embedding(np.array(scores, np.float32), "told"))


def model(people: tuple[str, ...], threshold: float) -> Model:
    """One whose scores are what it is given."""
    head = SimpleNamespace(
        scores_of=lambda scores, column: scores[:, column],
        best=lambda scores, top, temperature: ranked(scores, temperature, top),
    )
    known = SimpleNamespace(
        people=people,
        head=head,
        threshold=SimpleNamespace(value=threshold),
        calibration=Calibration(200.0, 0.004),
        version="told",
        card=SimpleNamespace(photos={}),
    )
    return cast("Model", known)


SILENT = cast("OpenAlbum", SimpleNamespace(progress=Silent(), has_catalog=False))
"""All that `evaluate` asks of an album without a catalog."""


def measured(threshold: float, *probes: str, people: tuple[str, ...] = ("Ada", "Bo", "Cy", "Dee")) -> Evaluated:
    """`probes` are "person score score score ...", one for each of `people`; none: no face is found."""
    files = [(Path(probe), probe.split()[0]) for probe in probes]
    eyes = cast("Eyes", Told())
    return evaluate(SILENT, Recogniser(model(people, threshold), lambda _: eyes, 2), files)


def test_shares_are_those_counted_by_hand() -> None:
    found = measured(
        0.8,
        "Ada .95 .1 .2 .3",  # right
        "Ada .85 .1 .2 .3",  # right, but less so than the second stranger
        "Ada .70 .1 .2 .3",  # right, but below the threshold
        "Bo  .90 .6 .2 .3",  # second, and named wrongly
        "Bo  .40 .1 .2 .3",  # fourth, and unknown
        "Bo",  # no face
        "Cy  .5 .5 .5 .1",  # shares the first place with two: counts as third
        "Eve .75 .1 .2 .3",  # unknown, as she should be
        "Eve .1 .2 .3 .90",  # named
        "Mallory",  # no face: an unnamed stranger
    )
    assert found.top1 == Share(3, 7)
    assert found.top3 == Share(5, 7)
    assert found.tpir == Share(2, 7)
    assert found.fpir == Share(1, 3)
    assert found.tpir_at_fpir_1 == found.tpir_at_fpir_01 == Share(1, 7), "no stranger in three may be named: above 0.90"
    assert (found.no_face, found.people, found.strangers) == (2, ("Ada", "Bo", "Cy"), ("Eve", "Mallory"))
    assert [(one.photo[:8], one.answer) for one in found.mistakes] == [
        ("Ada .70 ", None),
        ("Bo  .90 ", "Ada"),
        ("Bo  .40 ", None),
        ("Bo", None),
        ("Cy  .5 .", None),
        ("Eve .1 .", "Dee"),
    ]
    told = found.to_json()
    assert (told["top1"], told["top3"], told["tpir"], told["fpir"]) == (3 / 7, 5 / 7, 2 / 7, 1 / 3)
    assert (told["tpir_at_fpir_1"], told["tpir_at_fpir_01"]) == (1 / 7, 1 / 7)
    counts = ("mated", "non_mated", "no_face", "people", "strangers")
    assert [told[name] for name in counts] == [7, 3, 2, 3, 2]


def test_the_threshold_at_an_fpir_lets_through_what_it_may() -> None:
    strangers = [f"Eve {0.5 + number / 1000:.3f} .1" for number in range(200)]  # 2 of them at 1 %, none at 0.1 %
    found = measured(0.9, "Ada .6985 .1", "Ada .6975 .1", "Ada .9 .1", "Ada .6965 .1", *strangers, people=("Ada", "Bo"))
    assert found.tpir_at_fpir_1 == Share(3, 4), "above the third best stranger, 0.697"
    assert found.tpir_at_fpir_01 == Share(1, 4), "above the best, 0.699"


def test_intervals_are_by_people_and_not_by_photos() -> None:
    """Half of the people are known on all of their photos, the others on none; one of five strangers is named on each,
    and whether she is among the strangers decides where the threshold lies."""
    people = ("Ada", "Bo", "Cy", "Dee", "Flo", "Gus")
    own = (["0"] * n + [".9" if n % 2 else ".1"] + ["0"] * (5 - n) for n in range(6))
    mated = [" ".join([person, *scores]) for person, scores in zip(people, own, strict=True)]
    rival = [f"{one} .2" for one in mated]  # of a seventh, who is nobody's name here
    strangers = ["Q0 .95 0 0 0 0 0 0", *(f"Q{n} .5 0 0 0 0 0 0" for n in range(1, 5))]
    found = measured(0.8, *rival * 20, *strangers * 20, people=(*people, "Hal"))
    assert (found.top1, found.fpir) == (Share(60, 120), Share(20, 100))
    assert found.top1.low < 0.2 and found.top1.high > 0.8, "Wilson's would be 41 to 59 %"
    assert found.fpir.low == 0 and found.fpir.high >= 0.6, "Wilson's would be 13 to 29 %"
    assert found.tpir_at_fpir_1 == Share(0, 120) and found.tpir_at_fpir_1.high >= 0.6, "Wilson's would be 0 to 3 %"
    assert found.to_json()["intervals"]["tpir_at_fpir_1"] == list(found.tpir_at_fpir_1.interval)


def test_without_strangers_or_without_acquaintances_there_is_nothing_to_say() -> None:
    told = measured(0.8, "Ada .9 .1", people=("Ada", "Bo")).to_json()
    assert (told["top1"], told["tpir"], told["fpir"], told["tpir_at_fpir_1"]) == (1.0, 1.0, None, None)
    assert told["intervals"]["tpir"] and told["intervals"]["tpir_at_fpir_1"] is None is told["intervals"]["fpir"]
    told = measured(0.8, "Eve .9 .1", people=("Ada", "Bo")).to_json()
    assert (told["top1"], told["tpir"], told["fpir"], told["tpir_at_fpir_1"]) == (None, None, 1.0, None)
    assert Share(0, 0).interval == (0.0, 1.0)


def test_probabilities_are_judged_and_every_person_has_a_row() -> None:
    sure = measured(0.8, "Ada 0.99 0.1 0.1 0.1", "Bo 0.1 0.99 0.1 0.1", "Zed 0.2 0.2 0.2 0.2")
    assert sure.ece_mated == pytest.approx(0, abs=1e-6)
    assert sure.ece_non_mated == pytest.approx(0, abs=1e-6)
    wrong = measured(0.8, "Ada 0.1 0.99 0.1 0.1", "Ada 0.99 0.1 0.1 0.1", "Zed 0.2 0.99 0.2 0.2", "Bo")
    assert wrong.ece_mated == pytest.approx(0.5, abs=1e-3), "of two answers that are both sure one is right"
    assert wrong.ece_non_mated == pytest.approx(1, abs=1e-3)
    found = wrong.to_json()
    assert found["ece"] == pytest.approx(0.75, abs=1e-3)
    assert found["per_person"] == [
        {"person": "Ada", "known": True, "probes": 2, "top1": 0.5, "named": 0.5},
        {"person": "Bo", "known": True, "probes": 1, "top1": 0.0, "named": 0.0},
        {"person": "Zed", "known": False, "probes": 1, "top1": None, "named": 1.0},
    ]
    assert found["intervals"]["top1"] == pytest.approx([*wrong.top1.interval])
    assert measured(0.8, "Zed 0.2 0.2 0.2 0.2").to_json()["ece_mated"] is None


def test_memory_does_not_grow_with_the_people_times_the_probes() -> None:
    people = tuple(f"P{number}" for number in range(2_000))
    scores = np.linspace(0, 0.5, len(people), dtype=np.float32)
    face = SeenFace(seen((0, 0, 9, 9), [1.0]).face, Quality(9, 1, 1, 1, 1), Embedding(scores, "told"))
    seen_photo = SeenPhoto(Photo("0" * 64, 10, 10, "PNG", "5a" * 8), (face,))
    eyes = SimpleNamespace(see_file=lambda _: seen_photo, encoder=FakeEncoder())
    probes = [(Path(f"{number}"), "P3") for number in range(300)]
    recogniser = Recogniser(model(people, 0.8), lambda _: cast("Eyes", eyes), 1)
    evaluate(SILENT, recogniser, probes[:1])  # imports what is imported late
    tracemalloc.start()
    try:
        evaluate(SILENT, recogniser, probes)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 300 * len(people) * 4 / 2, "not even half of the table of all scores"


# Which face is asked about


def at(*boxes: Box) -> SeenPhoto:
    return SeenPhoto(Photo("0" * 64, 200, 100, "PNG", "5a" * 8), tuple(seen(box, [1.0]) for box in boxes))


@pytest.mark.parametrize(("face", "expected"), [("largest", 0), ("centre", 1)])
def test_the_probe_is_the_largest_face_or_the_one_nearest_the_middle(face: Pick, expected: int) -> None:
    photo = at((0, 0, 60, 60), (90, 40, 110, 60), (150, 0, 180, 30))
    assert pick_face(photo.photo, photo.faces, face) is photo.faces[expected]
    assert pick_face(photo.photo, (), face) is None


def test_which_face_is_asked_about_does_not_depend_on_the_label(taught: Painted, tmp_path: Path) -> None:
    for person in ("Ada", "Bo", "Nobody"):
        taught.paint(tmp_path / f"probes/{person}/x.png", "Ada", "Bo", sides=(60, 100))
    found = taught.open().evaluate(tmp_path / "probes")
    assert {(one.person, one.answer) for one in found.mistakes} == {("Ada", "Bo"), ("Nobody", "Bo")}
    assert (found.top1, found.fpir) == (Share(1, 2), Share(1, 1))


def test_the_face_in_the_middle_can_be_asked_about(taught: Painted, tmp_path: Path) -> None:
    taught.paint(tmp_path / "probes/Ada/x.png", "Bo", "Ada", "Bo", sides=(100, 60, 100))
    assert taught.open().evaluate(tmp_path / "probes").top1 == Share(0, 1)
    assert taught.open().evaluate(tmp_path / "probes", face="centre").top1 == Share(1, 1)


# Through the album


def test_photos_that_cannot_be_read_are_counted_and_named(taught: Painted, tmp_path: Path) -> None:
    taught.paint(tmp_path / "probes/Ada/x.png", "Ada", sides=(100,))
    for person in ("Ada", "Eve"):
        (tmp_path / f"probes/{person}").mkdir(exist_ok=True)
        (tmp_path / f"probes/{person}/broken.png").write_bytes(b"")
    found = taught.open().evaluate(tmp_path / "probes")
    assert (found.top1, found.fpir, found.no_face) == (Share(1, 2), Share(0, 1), 2)
    assert found.to_json()["unreadable"] == [
        {"photo": str(tmp_path / f"probes/{person}/broken.png"), "kind": "empty"} for person in ("Ada", "Eve")
    ]


def test_names_are_compared_in_one_form(three_people: Painted, tmp_path: Path) -> None:
    (three_people.training / "Ada").rename(three_people.training / "Jose\u0301")  # the accent is a character of its own
    three_people.open().train()
    three_people.paint(tmp_path / "probes/Jos\u00e9/x.png", "Ada", sides=(100,))
    found = three_people.open().evaluate(tmp_path / "probes")
    assert (found.top1, found.strangers) == (Share(1, 1), ())


def test_another_model_can_be_measured(three_people: Painted, tmp_path: Path) -> None:
    first = three_people.open().train()
    three_people.photo("Cy/cy-4.png")
    second = three_people.open().train()
    three_people.paint(tmp_path / "probes/Ada/x.png", "Ada")
    album = three_people.open()
    assert album.evaluate(tmp_path / "probes").model == second.version
    older = three_people.folder / "models" / first.version
    assert album.evaluate(tmp_path / "probes", model=older).model == first.version
    with pytest.raises(ModelError):
        album.evaluate(tmp_path / "probes", model=tmp_path)


def test_there_must_be_a_model_and_photos(three_people: Painted, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="train"):
        three_people.open().evaluate(tmp_path)
    three_people.open().train()
    with pytest.raises(UsageError):
        three_people.open().evaluate(tmp_path / "nowhere")
    three_people.paint(tmp_path / "probes/Ada/x.png", "Ada")
    with pytest.raises(UsageError, match="largest or centre"):
        three_people.open().evaluate(tmp_path / "probes", face=cast("Pick", "biggest"))


# What is set apart


def kinds(found: Evaluated) -> dict[str, tuple[tuple[str, ...], list[str]]]:
    """By kind whom a finding is about, and the names of its photos."""
    return {str(one.kind): (one.people, [Path(photo).name for photo in one.photos]) for one in found.findings}


def test_photos_that_the_model_was_made_of_prove_nothing(taught: Painted, tmp_path: Path) -> None:
    probes = tmp_path / "probes"
    shutil.copytree(taught.training / "Ada", probes / "Ada")
    with Image.open(taught.training / "Bo/bo-1.png") as image:
        (probes / "Bo").mkdir()
        image.resize((120, 100)).save(probes / "Bo/small.png")
    taught.paint(probes / "Bo/new.png", "Cy", sides=(100,))
    found = taught.open().evaluate(probes)
    assert found.top1 == Share(0, 1) and found.set_apart == 4, "the honest figure is that of the new photo"
    assert kinds(found) == {"trained on": ((), ["ada-1.png", "ada-2.png", "ada-3.png"]), "copies": ((), ["small.png"])}
    assert [Path(one.photo).name for one in found.mistakes] == ["new.png"]
    told = found.to_json()
    assert (told["top1"], told["mated"], told["set_apart"]) == (0.0, 1, 4)
    assert (told["counting_all"]["top1"], told["counting_all"]["mated"]) == (0.8, 5)
    assert told["counting_all"]["counting_all"] is None
    assert [one["kind"] for one in told["findings"]] == ["trained on", "copies"]


def test_where_nothing_is_new_nothing_is_measured(taught: Painted) -> None:
    found = taught.open().evaluate(taught.training)
    assert [str(one.kind) for one in found.findings] == ["all seen", "trained on"]
    told = found.to_json()
    assert (told["top1"], told["tpir"], told["mated"], told["people"]) == (None, None, 0, 0)
    assert told["counting_all"]["top1"] == 1.0


def test_without_a_catalog_the_same_files_are_known_still(taught: Painted) -> None:
    for file in (taught.folder / ".mien").glob("catalog.sqlite*"):
        file.unlink()
    assert taught.open().evaluate(taught.training).set_apart == 9


def test_a_learned_photo_under_another_name_is_told(taught: Painted, tmp_path: Path) -> None:
    (tmp_path / "probes/Bo").mkdir(parents=True)
    shutil.copy2(taught.training / "Ada/ada-1.png", tmp_path / "probes/Bo")
    found = taught.open().evaluate(tmp_path / "probes")
    assert kinds(found)["other name"] == (("Bo", "Ada"), ["ada-1.png"])
    assert any(one.needs_human for one in found.findings)


def test_a_name_that_is_nearly_known_is_no_strangers_by_guess() -> None:
    people = ("Will Smith", "Ada")
    probes = ["Will Smiht .9 .1", "Will Smiht .95 .1", "Will Smiht .1 .9", "Eve .1 .2"]
    files = [(Path(probe), "Eve" if probe.startswith("Eve") else "Will Smiht") for probe in probes]
    found = evaluate(SILENT, Recogniser(model(people, 0.8), lambda _: cast("Eyes", ToldLast()), 1), files)
    assert (found.strangers, found.fpir, found.set_apart) == (("Eve",), Share(0, 1), 3)
    (finding,) = found.findings
    assert finding.kind == "near name" and finding.people == ("Will Smiht", "Will Smith") and finding.needs_human
    assert "2 of 3 photos are most like Will Smith" in finding.why and finding.remedy == (
        "Rename the folder to Will Smith if they are one person."
    )
    assert found.counting_all is not None
    assert found.counting_all.fpir == Share(3, 4) and found.counting_all.strangers == ("Eve", "Will Smiht")


def test_a_stranger_whose_name_is_nearly_known_but_not_the_face_counts_and_is_told() -> None:
    people = ("Will Smith", "Ada")
    files = [(Path("Will Smiht .1 .9"), "Will Smiht"), (Path("Will Smiht .1 .3"), "Will Smiht")]
    found = evaluate(SILENT, Recogniser(model(people, 0.8), lambda _: cast("Eyes", ToldLast()), 1), files)
    assert (found.fpir, found.set_apart, found.counting_all) == (Share(1, 2), 0, None)
    assert [str(one.kind) for one in found.findings] == ["near name, stranger"]


class ToldLast(Told):
    """The same for names of two words: the scores are the last two words."""

    def see_file(self, file: Path) -> SeenPhoto:
        return super().see_file(Path("X " + " ".join(file.name.split()[-2:])))


@pytest.mark.parametrize(("face", "kind"), [("largest", "several, largest"), ("centre", "several, centre")])
def test_a_face_that_was_chosen_among_several_is_told(taught: Painted, tmp_path: Path, face: Pick, kind: str) -> None:
    taught.paint(tmp_path / "probes/Ada/x.png", "Ada", "Bo", sides=(60, 100))
    taught.paint(tmp_path / "probes/Ada/y.png", "Ada", sides=(100,))
    found = taught.open().evaluate(tmp_path / "probes", face=face)
    assert kinds(found) == {kind: ((), ["x.png"])}
