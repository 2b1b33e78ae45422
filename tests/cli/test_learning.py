"""align, train, evaluate and report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from mien.cli.console import SHOWN
from mien.cli.learning import LISTED, NEEDS
from mien.errors import NEEDS_HUMAN
from mien.open_album import read_settings
from mien.registry import folder
from mien.registry.card import FalseAlarms
from mien.storage.lock import lock
from mien.testing import draw_photo

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]


def text(output: str) -> str:
    """An output with its columns closed up."""
    return "\n".join(" ".join(line.split()) for line in output.splitlines())


# align and train


def test_align_says_what_it_found_once(mien: Mien, three_people: Painted) -> None:
    three_people.photo("Ada/group.png", "Bo", "Ada")
    three_people.paint(three_people.training / "Bo/nobody.png")
    three_people.paint(three_people.training / "loose.png", "Ada")
    (three_people.training / "Cy/broken.jpg").write_bytes(b"text")
    result = mien("-C", three_people.folder, "align")
    assert result.exit_code == 0, "what is damaged is left out, and the others are seen"
    assert result.stderr == "", "the summary names the bad photos, so nothing else does"
    assert text(result.stdout) == (
        "photos 12 of 3 people: 12 new; 12 computed\n"
        "faces 11; the person's own in 10 photos; 10 chips written to aligned-images\n"
        "several 1 photo with several faces: the one that agrees with the person's other photos was taken\n"
        "no face Bo/nobody.png\n"
        "left out loose.png is not in a person's folder\n"
        "Put it into the folder of whom it shows.\n"
        "unreadable Cy/broken.jpg is not a photo mien can read; it is text\n"
        "Fetch the photo again, or take the file out of the folder."
    )


def test_a_damaged_photo_makes_an_exit_code_only_where_that_is_asked_for(
    mien: Mien, three_people: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    (three_people.training / "Cy/broken.jpg").write_bytes(b"text")
    for verb in ("align", "train", "daily"):
        assert mien("-C", three_people.folder, verb).exit_code == 0
        assert mien("-C", three_people.folder, verb, "--strict").exit_code == 6
    monkeypatch.setenv("MIEN_STRICT", "1")
    assert mien("-C", three_people.folder, "train").exit_code == 6
    assert mien("-C", three_people.folder, "train", "--no-strict").exit_code == 0


def test_a_second_run_computes_what_is_new(mien: Mien, three_people: Painted) -> None:
    mien("-C", three_people.folder, "align")
    again = mien("-C", three_people.folder, "align").stdout
    assert text(again).startswith("photos 9 of 3 people: nothing new; 0 computed\n")
    three_people.photo("Ada/more.png")
    (three_people.training / "Bo/bo-1.png").rename(three_people.training / "Bo/renamed.png")
    (three_people.training / "Cy/cy-1.png").unlink()
    again = mien("-C", three_people.folder, "align").stdout
    assert text(again).startswith("photos 9 of 3 people: 1 new, 1 moved or renamed, 1 gone; 1 computed\n")


def test_size_and_skip_multi_are_obeyed(mien: Mien, three_people: Painted) -> None:
    three_people.photo("Ada/group.png", "Bo", "Ada")
    result = mien("-C", three_people.folder, "align", "--size", 48, "--skip-multi")
    assert result.exit_code == 0 and "1 photo with several faces: left out" in text(result.stdout)
    chips = sorted((three_people.folder / "aligned-images").glob("*/*.png"))
    assert len(chips) == 9 and not any(chip.stem == "group" for chip in chips)
    for chip in chips:
        with Image.open(chip) as image:
            assert image.size == (48, 48)
    refused = mien("-C", three_people.folder, "align", "--size", 4)
    assert refused.exit_code == 2 and "16 to 1024 pixels" in refused.stderr


def test_long_lists_are_cut_and_json_has_them_whole(mien: Mien, three_people: Painted) -> None:
    for number in range(SHOWN + 3):
        three_people.paint(three_people.training / f"Ada/nobody-{number:02}.png")
    lines = mien("-C", three_people.folder, "align").stdout.splitlines()
    more = f"… and {SHOWN + 3 - LISTED} more: mien -C {three_people.folder} check --all"
    assert sum("nobody-" in line for line in lines) == LISTED and lines[-1].strip() == more
    result = mien("-C", three_people.folder, "align", "--json")
    assert len(json.loads(result.stdout)["faceless"]) == SHOWN + 3


def test_train_makes_a_model_and_only_if_it_would_be_another(mien: Mien, three_people: Painted) -> None:
    result = mien("-C", three_people.folder, "train")
    assert result.exit_code == 0 and result.stderr == ""
    said = text(result.stdout)
    version = (three_people.folder / "models/current").read_text().strip()
    assert f"\n\nmodel {version} is now in use: 3 people, 9 photos\n" in said
    assert "\nunknown below a score of 0." in said and "strangers" in said
    again = text(mien("-C", three_people.folder, "train").stdout)
    assert f"\n\nmodel {version} stays in use; nothing has changed since it was made\n" in again
    assert "needs you" not in again
    assert again.endswith("\nfew 3 people have fewer than 20 different photos with their face")


def test_train_ends_with_what_needs_a_human_and_no_headline_stands_alone(mien: Mien, painted: Painted) -> None:
    for person, colour in (("Ada", (200, 40, 40)), ("Bo", (40, 200, 40)), ("Cy", (40, 40, 200))):
        shades(painted.training / person, colour, 0, 8)
    shades(painted.training / "Bo", (200, 40, 40), 26, 27)
    shades(painted.training / "Cy", (200, 200, 40), 8, 15)
    shades(painted.training / "ada", (200, 40, 40), 8, 12)
    said = text(mien("-C", painted.folder, "train").stdout)
    (headline,) = [line for line in said.splitlines() if line.startswith("check ")]
    assert " surely; but 1 folder holds several people, " in headline
    assert headline.endswith(" look like somebody else's and 1 person may lie in two folders: see below")
    (doubted,) = [line for line in said.splitlines() if line.startswith("doubted ")]
    assert "Bo/26.png" in doubted and doubted.endswith(" photos did not count, being unlike the others of their person")
    _, _, needs = said.partition("\nneeds you ")
    assert "Bo/26.png: " in needs and "two groups of faces: 7 photos like these, and 8 photos of somebody else" in needs
    lines = needs.splitlines()
    assert lines[-2].endswith(" check") and lines[-1].startswith("few 4 people have fewer") and len(lines) <= NEEDS + 2
    assert f"\n{doubted}\n" in text(mien("-C", painted.folder, "status").stdout)
    told = json.loads(mien("-C", painted.folder, "train", "--json").stdout)
    kinds = {one["kind"] for one in told["needs_human"]}
    assert kinds >= {"two groups", "one in two"} and {one["kind"] for one in told["few"]} == {"few"}
    assert all(one["remedy"] for one in told["needs_human"])


def shades(folder: Path, colour: tuple[int, int, int], first: int, last: int) -> None:
    """Photos of one person which are different pictures: faces a little off the person's colour, each differently."""
    folder.mkdir(exist_ok=True)
    for number, offset in islice(enumerate(product((-8, 0, 8), repeat=3)), first, last):
        red, green, blue = (part + off for part, off in zip(colour, offset, strict=True))
        Image.fromarray(draw_photo([((red, green, blue), (8, 20, 88, 100))], 240, 200)).save(folder / f"{number}.png")


def test_train_puts_a_model_into_use_that_the_gate_had_kept_out_and_says_so(mien: Mien, painted: Painted) -> None:
    for person, colour in (("Ada", (200, 40, 40)), ("Bo", (40, 200, 40)), ("Cy", (40, 40, 200))):
        shades(painted.training / person, colour, 0, 8)
    assert mien("-C", painted.folder, "daily").exit_code == 0
    champion = str(painted.open().version)
    shades(painted.training / "Ada", (200, 200, 40), 8, 26)  # somebody else's photos
    assert mien("-C", painted.folder, "daily").exit_code == NEEDS_HUMAN
    assert painted.open().version == champion, "the gate kept the challenger out"
    result = mien("-C", painted.folder, "train")
    challenger = str(painted.open().version)
    assert result.exit_code == 0 and challenger > champion
    said = f"model {challenger} is now in use instead of {champion}; it had been made of these photos before"
    assert f"\n\n{said}\nneeds you " in text(result.stdout)
    assert "8 photos like these, and 18 photos of somebody else" in text(result.stdout)
    assert "stays in use" not in result.stdout and "nothing has changed" not in result.stdout
    assert [(one.version, one.how, one.in_use) for one in painted.open().models()] == [
        (champion, "daily", False),
        (challenger, "train", True),
    ]
    again = text(mien("-C", painted.folder, "train").stdout)
    assert f"model {challenger} stays in use; nothing has changed since it was made\n" in again


def test_train_goes_forward_again_after_a_rollback_and_says_so(mien: Mien, three_people: Painted) -> None:
    first = json.loads(mien("-C", three_people.folder, "train", "--json").stdout)["version"]
    three_people.photo("Ada/ada-4.png")
    found = json.loads(mien("-C", three_people.folder, "train", "--json").stdout)
    assert (found["before"], found["trained"]["version"]) == (first, found["version"])
    mien("-C", three_people.folder, "models", "rollback")
    result = mien("-C", three_people.folder, "train")
    said = f"{found['version']} is now in use instead of {first}; it had been made of these photos before"
    assert f"\n\nmodel {said}\n" in text(result.stdout)
    (three_people.folder / "models/current").unlink()
    result = mien("-C", three_people.folder, "train")
    said = f"{found['version']} is now in use; it had been made of these photos before"
    assert f"\n\nmodel {said}\n" in text(result.stdout)


def test_train_for_programs(mien: Mien, three_people: Painted) -> None:
    result = mien("-C", three_people.folder, "train", "--json")
    found = json.loads(result.stdout)
    assert found["trained"]["version"] == found["version"] and found["trained"]["people"] == 3
    assert found["aligned"]["computed"] == 9
    assert json.loads(mien("-C", three_people.folder, "train", "--json").stdout)["trained"] is None


def test_one_person_with_one_photo_is_enough(mien: Mien, painted: Painted) -> None:
    painted.photo("Ada/1.png")
    result = mien("-C", painted.folder, "train")
    assert result.exit_code == 0
    assert "is now in use: 1 person, 1 photo\n" in result.stdout
    assert "nearest to the right person" not in result.stdout, "there is nobody to confuse with"


@pytest.mark.parametrize("verb", ["align", "train"])
def test_an_empty_album_is_said(mien: Mien, painted: Painted, verb: str) -> None:
    painted.paint(painted.training / "loose.png", "Ada")
    result = mien("-C", painted.folder, verb)
    assert result.exit_code == 4
    assert f"{painted.training} holds no photo of a person." in result.stderr
    assert f"`mien -C {painted.folder} add PERSON PHOTO`" in result.stderr


def test_an_album_without_a_face_is_said(mien: Mien, painted: Painted) -> None:
    painted.paint(painted.training / "Ada/nobody.png")
    result = mien("-C", painted.folder, "train")
    assert result.exit_code == 5
    assert f"{painted.folder} has no photo in which a face was found." in result.stderr


@pytest.mark.parametrize("words", [["align"], ["train"], ["add", "Ada", "training-images"]])
def test_two_runs_do_not_write_one_album(
    mien: Mien, three_people: Painted, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(three_people.folder)
    layout, _ = read_settings(three_people.folder, {})
    with lock(layout, "train"):
        result = mien(*words)
    assert result.exit_code == 10
    assert "is in use by" in result.stderr and "Wait until that is done" in result.stderr


def test_a_network_drive_is_refused(mien: Mien, three_people: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    disks = [SimpleNamespace(mountpoint=place, fstype="nfs4", opts="rw") for place in ("/", "C:\\")]
    monkeypatch.setattr("psutil.disk_partitions", lambda **_: disks)
    result = mien("-C", three_people.folder, "train")
    assert result.exit_code == 12
    assert "is on a network drive (nfs4)" in result.stderr and "catalog =" in result.stderr


# evaluate


@pytest.fixture
def probes(three_people: Painted, tmp_path: Path, mien: Mien) -> Path:
    """Three photos of Ada, one of them showing Bo larger, one of Cy, and one of a stranger; three_people is trained."""
    mien("-C", three_people.folder, "train")
    folder = tmp_path / "probes"
    for number in (1, 2):
        three_people.paint(folder / f"Ada/{number}.png", "Ada", sides=(100,))
    three_people.paint(folder / "Ada/3.png", "Bo", "Ada", "Bo", sides=(90, 60, 20))
    three_people.paint(folder / "Cy/1.png", "Cy", sides=(100,))
    three_people.paint(folder / "Dee/1.png", "Stranger")
    return folder


def test_evaluate_measures_and_lists(mien: Mien, three_people: Painted, probes: Path) -> None:
    result = mien("-C", three_people.folder, "evaluate", probes)
    assert result.exit_code == 0 and result.stderr == ""
    said = text(result.stdout)
    assert "photos 4 of 2 people it knows, 1 of 1 stranger: Dee\n" in said
    assert "right name first 75 % 3 of 4 (30 to 100 %)\n" in said
    assert "strangers given a name (FPIR) none 0 of 1 (at most 95 %)" in said
    assert "TPIR where none of them would" in said and "TPIR where 0.1 %" not in said, "of one stranger there is none"
    assert f"wrong {probes / 'Ada/3.png'}: Ada was answered Bo" in said


def test_the_face_in_the_middle_may_be_asked_about(mien: Mien, three_people: Painted, probes: Path) -> None:
    result = mien("-C", three_people.folder, "evaluate", probes, "--face", "centre", "--json")
    found = json.loads(result.stdout)
    assert found["face"] == "centre" and found["top1"] == 1.0


def test_evaluate_for_programs(mien: Mien, three_people: Painted, probes: Path) -> None:
    found = json.loads(mien("-C", three_people.folder, "evaluate", probes, "--json").stdout)
    promised = {
        "top1": 0.75,
        "top3": 1.0,
        "tpir_at_fpir_1": 0.75,
        "tpir_at_fpir_01": 0.75,
        "tpir": 0.75,
        "fpir": 0.0,
        "mated": 4,
        "non_mated": 1,
        "no_face": 0,
        "people": 2,
        "strangers": 1,
    }
    assert {key: found.get(key) for key in promised} == promised
    assert found["stranger_names"] == ["Dee"]
    assert [one["answer"] for one in found["mistakes"]] == ["Bo"]


def test_misses_and_unreadable_photos_are_counted_and_named_once(
    mien: Mien, three_people: Painted, probes: Path
) -> None:
    three_people.paint(probes / "Cy/nobody.png")
    (probes / "Cy/broken.jpg").write_bytes(b"")
    result = mien("-C", three_people.folder, "evaluate", probes)
    assert result.exit_code == 6 and result.stderr == ""
    assert "no face found in 2 photos; they count as misses" in text(result.stdout)
    assert result.stdout.count("broken.jpg is empty.") == 1
    found = json.loads(mien("-C", three_people.folder, "evaluate", probes, "--json").stdout)
    assert [one["score"] for one in found["mistakes"] if one["answer"] is None] == [None, None]


def test_what_proves_nothing_is_told_and_counted_apart(mien: Mien, three_people: Painted, probes: Path) -> None:
    shutil.copy2(three_people.training / "Cy/cy-1.png", probes / "Cy")
    said = text(mien("-C", three_people.folder, "evaluate", probes).stdout)
    assert "trained on 1 photo that the model was made of; an answer to them proves nothing" in said
    assert "right name first 75 % 3 of 4 (" in said and "right name first 80 % 4 of 5 (" in said
    assert "with them the same, counting also the 1 photo set apart\n" in said
    assert "several 1 photo with several faces, of which the largest was asked about" in said
    said = text(mien("-C", three_people.folder, "evaluate", three_people.training).stdout)
    assert "all seen the model was made of all that it was asked about, so nothing was measured." in said
    before, _, after = said.partition("with them how well 9 photos are remembered\n")
    assert "right name" not in before and "right name first all 9 of 9" in after


def test_only_strangers_or_none_can_be_measured_too(mien: Mien, three_people: Painted, probes: Path) -> None:
    (probes / "Dee").rename(probes.parent / "Dee")
    said = text(mien("-C", three_people.folder, "evaluate", probes).stdout)
    assert "0 of 0 strangers\n" in said and "strangers given a name (FPIR) -\n" in said and "TPIR where" not in said
    strangers = probes.parent / "strangers"
    strangers.mkdir()
    (probes.parent / "Dee").rename(strangers / "Dee")
    said = text(mien("-C", three_people.folder, "evaluate", strangers).stdout)
    assert "photos none of people it knows, 1 of 1 stranger: Dee\n" in said and "right name first -\n" in said


def test_what_cannot_be_measured_is_said(mien: Mien, three_people: Painted, painted: Painted, probes: Path) -> None:
    empty = probes.parent / "empty"
    empty.mkdir()
    for given, code, problem in (
        (probes / "Ada/1.png", 2, "is not a folder"),
        (empty, 2, "holds no photo in a person's folder"),
    ):
        result = mien("-C", three_people.folder, "evaluate", given)
        assert result.exit_code == code and problem in result.stderr
    result = mien("-C", three_people.folder, "evaluate", probes, "--model", empty / "none")
    assert result.exit_code == 7 and "none holds no model." in result.stderr


# report


def test_report_says_where_the_page_is_and_whose_name_strangers_would_get(mien: Mien, three_people: Painted) -> None:
    three_people.photo("Bo/two.png", "Bo", "Ada")
    three_people.photo("Bo/three.png", "Bo", "Ada", "Cy")
    version = json.loads(mien("-C", three_people.folder, "train", "--json").stdout)["version"]
    result = mien("-C", three_people.folder, "report", "--no-open")
    assert (result.exit_code, result.stderr) == (0, "")
    page, told = text(result.stdout).splitlines()
    assert page == str(three_people.folder / "models" / version / "report.html")
    first = "strangers the name of Ada would go to 0 of 11 masked faces and 2 of 3 bystanders, who may be them"
    assert told == f"{first}; then comes Cy (0 and 1)"


def test_report_names_the_worst_few(mien: Mien, three_people: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    mien("-C", three_people.folder, "train")
    assert len(mien("-C", three_people.folder, "report", "--no-open").stdout.splitlines()) == 1, "nobody has any"
    some = {f"P{number}": FalseAlarms(masked=9 - number, bystanders=0) for number in range(6)}
    read = folder.load_card
    monkeypatch.setattr(folder, "load_card", lambda one: read(one).model_copy(update={"false_alarms": some}))
    said = text(mien("-C", three_people.folder, "report", "--no-open").stdout)
    assert "P0 would go to 9 of 9 masked faces and 0 of 0 bystanders, who may be them; then comes P1 (8 and 0)," in said
    assert said.endswith("P3 (6 and 0) and 2 people more")
