"""The benchmarks ask what the protocols say: checked on a tiny made-up folder, without looking at a photo."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def benchmarks() -> Iterator[Any]:
    """importlib.import_module where the benchmarks, which are scripts, find each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module


@pytest.fixture(scope="module")
def protocol(benchmarks: Any) -> Any:
    return benchmarks("protocol")


def person(folder: Path, name: str, photos: int) -> None:
    (folder / name).mkdir(parents=True)
    for number in reversed(range(photos)):  # the order on disk is not that of the names
        (folder / name / f"{number:02}.jpg").write_text(f"{name} {number}")


def test_the_first_ten_of_people_with_twenty_are_enrolled(protocol: Any, tmp_path: Path) -> None:
    for name, photos in (("Ben", 19), ("Ada", 20), ("Cem", 23)):
        person(tmp_path, name, photos)
    (tmp_path / "notes.txt").touch()
    found = protocol.split(tmp_path)
    assert found.people == ("Ada", "Cem")
    first = [f"{number:02}.jpg" for number in range(10)]
    assert [photo.parent.name for photo in found.enrolled] == ["Ada"] * 10 + ["Cem"] * 10
    assert [photo.name for photo in found.enrolled] == first * 2
    assert [photo.parent.name for photo in found.mated] == ["Ada"] * 10 + ["Cem"] * 13
    assert [photo.name for photo in found.mated[:2]] == ["10.jpg", "11.jpg"]
    assert {photo.parent.name for photo in found.strangers} == {"Ben"} and len(found.strangers) == 19


def test_photos_are_placed_under_their_person(protocol: Any, tmp_path: Path) -> None:
    person(tmp_path / "from", "Ada", 2)
    protocol.place((tmp_path / "from").glob("*/*"), tmp_path / "to")
    assert (tmp_path / "to/Ada/01.jpg").read_text() == "Ada 1"


def test_photos_are_copied_where_they_cannot_be_linked(
    protocol: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(protocol.os, "link", no_links)
    person(tmp_path / "from", "Ada", 1)
    protocol.place((tmp_path / "from").glob("*/*"), tmp_path / "to")
    assert (tmp_path / "to/Ada/00.jpg").read_text() == "Ada 0"


def test_pairs_and_their_folds(protocol: Any, tmp_path: Path) -> None:
    lines = ["2\t1", "Ada\t1\t4", "Ada\t1\tBen\t12", "Cem\t2\t3", "Ben\t2\tCem\t1"]
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    pairs = protocol.read_pairs(tmp_path / "pairs.txt", Path("lfw"))
    assert [(pair.same, pair.fold) for pair in pairs] == [(True, 0), (False, 0), (True, 1), (False, 1)]
    assert pairs[0][:2] == (Path("lfw/Ada/Ada_0001.jpg"), Path("lfw/Ada/Ada_0004.jpg"))
    assert pairs[1][:2] == (Path("lfw/Ada/Ada_0001.jpg"), Path("lfw/Ben/Ben_0012.jpg"))


@pytest.mark.parametrize("lines", [["1\t1", "Ada\t1\t4"], ["1\t1", "Ada\t1\t4", "Ada 1 Ben 12"]])
def test_pairs_that_are_not_as_promised(protocol: Any, tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "pairs.txt").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"pairs\.txt"):
        protocol.read_pairs(tmp_path / "pairs.txt", Path("lfw"))


def test_a_command_is_run_with_the_given_settings_alone(
    protocol: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_VIEWS", "3")  # would be refused
    made = protocol.checked(protocol.mien("init", tmp_path / "album", "--basis", "test", quiet=True))
    assert made.code == 0 and str(tmp_path) in made.out and made.errors == ""
    assert made.seconds > 0
    if sys.platform != "win32":
        assert made.cpu > 0
        assert 10 < made.peak < 10_000  # megabytes, whatever unit the system counts in
    wrong = protocol.mien("-C", tmp_path / "album", "status", settings={"views": 3}, quiet=True)
    assert wrong.code == 2 and "views" in wrong.errors
    with pytest.raises(SystemExit, match="exit code 2"):
        protocol.checked(wrong)


def test_machine_names_the_processor_and_the_versions(protocol: Any) -> None:
    assert protocol.machine().startswith("CPU: ")
    assert "onnxruntime 1" in protocol.machine()


def test_figure_knows_whether_its_aim_is_met(benchmarks: Any) -> None:
    plain = benchmarks("accuracy").plain
    assert plain("top-1", 578, 579, (0.998, 1)).met  # 99.83 %
    assert not plain("top-1", 577, 579, (0.998, 1)).met  # 99.65 %
    assert not plain("FPIR", 74, 3587, (0.005, 0.02)).met and plain("FPIR", 18, 3587, (0.005, 0.02)).met
    assert plain("top-1", 0, 579).met
    assert "MISSED" in str(plain("top-1", 577, 579, (0.998, 1)))
    assert " - " in str(plain("top-1", 0, 0))


def test_figures_of_an_evaluation(benchmarks: Any) -> None:
    found: dict[str, Any] = {
        "mated": 4,
        "non_mated": 2,
        "no_face": 1,
        "top1": 0.75,
        "top3": 1.0,
        "tpir": 0.5,
        "fpir": 0.5,
    }
    found |= {"tpir_at_fpir_1": 0.25, "tpir_at_fpir_01": None, "ece": 0.02}
    found["intervals"] = {name: [0.125, 1.0] for name in found} | {"tpir_at_fpir_01": None}
    told = benchmarks("accuracy").figures("lfw", found, {("lfw", "calibration error (ECE)"): (0, 0.015)})
    assert "12.5 to 100.0" in str(told[0]), "the interval is that of the evaluation"
    assert "3.0 to  56.4" in str(told[-1]), "and Wilson's of a plain count"
    rows = {figure.name: (figure.hits, figure.of) for figure in told}
    assert rows == {
        "top-1": (3, 4),
        "top-3": (4, 4),
        "TPIR at FPIR 1 %": (1, 4),
        "TPIR at the model's own threshold": (2, 4),
        "FPIR at the model's own threshold": (1, 2),
        "calibration error (ECE)": (0, 0),
        "no face found": (1, 6),
    }
    assert "<= 1.5  MISSED" in str(told[-2])


def test_the_face_asked_about(benchmarks: Any) -> None:
    chosen_face = benchmarks("accuracy").chosen_face
    large, central = {"box": [0, 0, 60, 60]}, {"box": [90, 90, 110, 110]}
    answer = {"width": 200, "height": 200, "faces": [large, central]}
    assert chosen_face(answer, "largest") is large
    assert chosen_face(answer, "centre") is central
    assert chosen_face({"width": 200, "height": 200, "faces": []}, "centre") is None


def test_an_album_grows_by_each_photo_once(benchmarks: Any) -> None:
    photos = [Path(f"{number:04}.jpg") for number in range(1203)]
    first, rest, few, nothing = (step.photos for step in benchmarks("growth").steps(photos))
    assert [len(first), len(rest), len(few), len(nothing)] == [500, 693, 10, 0]
    assert sorted([*first, *rest, *few]) == photos


def test_made_photos_are_the_same_pictures_in_other_files(benchmarks: Any, tmp_path: Path, sample: Path) -> None:
    from mien.vision.images import read_picture

    count = len(list((sample / "people").glob("*/*.jpg"))) + 1
    photos = benchmarks("growth").made(count, tmp_path)
    assert len({photo.read_bytes() for photo in photos}) == count
    one, again = read_picture(photos[0]), read_picture(photos[-1])
    assert one.photo.sha256 != again.photo.sha256
    np.testing.assert_array_equal(one.pixels, again.pixels)


def test_overlap_and_agreement(benchmarks: Any) -> None:
    hard = benchmarks("hard")
    box = np.array([0, 0, 10, 10], np.float32)
    assert hard.overlap(box, box) == 1
    assert hard.overlap(box, box + 5) == pytest.approx(25 / 175)
    assert hard.overlap(box, box + 10) == 0
    one = hard.Faces(np.stack([box / 2, box]), np.eye(2, dtype=np.float32))  # the second is the largest
    other = hard.Faces(box[None], np.array([[0.6, 0.8]], np.float32))
    assert hard.agreement([one, other, one]) == (1, pytest.approx(0.8))


@pytest.mark.parametrize(
    ("name", "count"),
    [("exadel-inc__013_4.jpg", 4), ("exadel-inc__001_A.jpg", 1), ("davisking__2008_001009.jpg", None)],
)
def test_true_count_of_faces(benchmarks: Any, name: str, count: int | None) -> None:
    assert benchmarks("hard").true_count(f"hard_group/{name}") == count


def test_the_gates_stories_end_as_they_should(benchmarks: Any) -> None:
    gate = benchmarks("gate")
    ends = {}
    for name, tell in gate.STORIES.items():
        random = np.random.default_rng(1)
        album, known = tell(gate.made_up(12, 12, random), random)
        assert known.any() and len(known) == len(album.person)
        ends[name] = set(gate.outcome(album, known, "prototypes"))
    del ends["a stranger under a name"]  # either way is right
    *promoted, swapped, dealt = ends.values()
    assert promoted == [{"promoted"}] * 4
    assert "overall" in swapped and "overall" in dealt


@pytest.fixture(scope="module")
def few(benchmarks: Any) -> Any:
    """24 pictures of the sample people."""
    return benchmarks("loopback").sample_pictures(24)


@pytest.mark.parametrize("bare", [False, True])
def test_mien_and_the_plain_loop_bring_the_same(
    benchmarks: Any, few: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], bare: bool
) -> None:
    share = benchmarks("collect").pace(few, 2, 1, tmp_path, bare)
    assert len(capsys.readouterr().out.splitlines()) == 1  # the first round is not shown
    assert share > 0
    for brought in (tmp_path / "loop-2-1", tmp_path / "album-2-1/2026-11-23-training-images"):
        assert sorted(file.read_bytes() for file in brought.glob("*/*")) == sorted(data for _, data in few)


def test_a_misbehaving_site_is_collected_exactly(
    benchmarks: Any, few: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.web import client

    monkeypatch.setattr(client, "BACKOFF", (0.0, 0.0, 0.0))
    benchmarks("collect").exactness(few, tmp_path)
    *runs, left_out = capsys.readouterr().out.splitlines()
    assert [line.split()[-6:-1] for line in runs] == [
        ["24", "0", "4", "12", "28"],
        ["0", "24", "4", "12", "4"],
        ["0", "24", "4", "12", "4"],
    ]
    assert left_out.count(" as ") == 8 and "2 private as robots" in left_out


def test_collecting_notices_what_should_not_be(benchmarks: Any, tmp_path: Path) -> None:
    collect = benchmarks("collect")
    person(tmp_path, "Ada", 2)
    assert len(collect.arrived(tmp_path)) == 2
    (tmp_path / "Ada/again.jpg").write_text("Ada 1")
    with pytest.raises(SystemExit, match="twice"):
        collect.arrived(tmp_path)
    with pytest.raises(SystemExit, match="all arrived"):
        collect.check("all arrived", False)


def test_scenes_of_faces_are_planted_and_judged(benchmarks: Any) -> None:
    faces, rng = benchmarks("faces"), np.random.default_rng(0)
    centres = rng.normal(size=(10, 64))
    made = centres[:, None] + 0.3 * rng.normal(size=(10, 8, 64))
    people = dict(
        zip("abcdefghij", (made / np.linalg.norm(made, axis=2, keepdims=True)).astype(np.float32), strict=True)
    )
    alike = faces.Alike((0.0, 0.14, 0.0, 0.0))
    judged = {name: faces.planted(scene, people, alike, 0) for name, scene in faces.SCENES.items()}
    assert [said for _, said in judged.values()] == [False] * 10 + [True] * 3
    assert all(right for right, said in judged.values() if not said)
    assert faces.planted({"F": ["FM"], "M": ["M"]}, people, alike, 1) == (True, False)


def test_embeddings_of_any_size_come_back_from_the_cache_and_each_array_is_read_once(
    benchmarks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads, random = benchmarks("heads"), np.random.default_rng(0)
    rows = [
        heads.Seen(f"{n:064x}", *(random.random(shape).astype(np.float32) for shape in ((n, 256), n, n)), n - 1)
        for n in (2, 1, 3)
    ]
    nobody = heads.Seen("f" * 64, *(np.array([], np.float32) for _ in range(3)), -1)
    heads.keep(tmp_path / "cache.npz", [rows[0], nobody, *rows[1:]])
    read: list[str] = []
    get = np.lib.npyio.NpzFile.__getitem__

    def counted(file: Any, name: str) -> Any:
        read.append(name)
        return get(file, name)

    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", counted)
    found = list(heads.kept(tmp_path / "cache.npz"))
    assert len(read) == len(set(read)) == 6
    assert found.pop(1).embeddings.shape == (0, 256)
    for one, other in zip(found, rows, strict=True):
        assert (one.sha256, one.probe) == (other.sha256, other.probe)
        for part in ("embeddings", "sides", "quality"):
            np.testing.assert_array_equal(getattr(one, part), getattr(other, part))


def test_wrong_labels_are_planted_and_those_of_the_set_set_apart(
    benchmarks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.testing import COSINES

    labels, rng = benchmarks("labels"), np.random.default_rng(0)
    people, each = 9, 10
    monkeypatch.setattr(labels, "DOZEN", 4)

    def around(rows: Any, spread: float) -> Any:
        noise = rng.normal(size=(len(rows), 256))
        rows = rows + spread * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    person = np.repeat(np.arange(people), each)
    embeddings = around(around(np.eye(256)[np.zeros(people, np.int64)], 0.46)[person], 0.2)
    embeddings[0] = around(np.eye(256)[:1], 0.46)  # a photo under a wrong name before anything is planted
    names = tuple(f"Ada {number}" for number in range(people))
    faces = labels.Faces(embeddings, person, [f"{number}.jpg" for number in range(len(person))], names)
    odd = np.arange(len(person)) == 0
    drawn = [labels.draw(faces, odd, np.random.default_rng(seed)) for seed in range(5)]
    assert all(len(one.people) == 6 and 0 not in one.probes for one in drawn)
    assert any(0 in one.rows for one in drawn)
    for story, plant in labels.PHOTOS.items():
        told = labels.photo_line(story, plant, 0.05, faces, odd, COSINES, 5).split("%", 1)[1]
        planted, recall, precision, filed, clean, _, after = told.replace("%", "").split()[:7]
        assert int(planted) >= 5 and (recall, precision) == ("100.0", "100.0"), "what the set has wrong is not false"
        assert float(filed) < 100 and clean == after == "100.00", "but by its labels"
    for story, doubled in labels.FOLDERS.items():
        told = labels.folder_line(story, doubled, 0.05, faces, odd, COSINES, 5)
        assert told.split()[-4:] == ["100.0", "%", "100.0", "%"]


def test_faces_of_made_people_are_learned_and_found(benchmarks: Any, tmp_path: Path) -> None:
    from mien.testing import COSINES

    growth, random = benchmarks("growth_faces"), np.random.default_rng(0)
    whose = np.repeat(np.arange(30), 4)
    real = growth.unit(growth.unit(random.normal(size=(30, 32)))[whose] + 0.05 * random.normal(size=(120, 32)))
    people = growth.People(real, whose)
    sizes = [60, 120]
    folders = [tmp_path / str(size) for size in sizes]
    for folder in folders:
        folder.mkdir()
    learned = [growth.learn(people, size, COSINES, folder) for size, folder in zip(sizes, folders, strict=True)]
    sought = [growth.seek(people, size, COSINES) for size in sizes]
    assert learned[1]["people"] == 12 and learned[1]["asked"] == 120
    assert all(row["ms"]["mien"]["known"] == 1 and row["off"] < 1e-9 for row in sought)
    assert {"labels", "fit", "MB", "disk MB"} <= growth.slopes(sizes, learned).keys()
    assert "ms, numpy" in growth.slopes(sizes, sought)
    assert growth.slope([(10, 5.0), (100, 50.0)]) == pytest.approx(1)
