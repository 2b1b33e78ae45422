from __future__ import annotations

import csv
import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.compat import align_dlib
from mien.errors import DamagedModelError, NoFaceError, UsageError
from mien.seeing.landmarkers.trees import OwnTrees
from mien.types import EncoderChoice
from mien.vision.geometry import openface_chip
from mien.vision.images import read_picture
from mien.wiring import make_eyes


@pytest.fixture
def pictures(tmp_path: Path, sample: Path) -> Path:
    """Two people, a picture without a face, one with many, one that is broken."""
    for name in ("Amara/01.jpg", "Amara/02.jpg", "Erik/01.jpg"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(sample / "people" / name, tmp_path / "in" / name)
    shutil.copy2(sample / "no-face/01.jpg", tmp_path / "in/Erik/nobody.JPG")
    shutil.copy2(sample / "groups/01.jpg", tmp_path / "in/Erik/many.jpeg")
    (tmp_path / "in/Erik/broken.png").write_bytes(b"no picture")
    (tmp_path / "in/Erik/notes.txt").write_text("x")
    return tmp_path / "in"


def outputs(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def run(pictures: Path, *words: object, mode: str = "align", landmarks: str = "outerEyesAndNose") -> int:
    return align_dlib.main([str(pictures), mode, landmarks, str(pictures.parent / "out"), *map(str, words)])


def test_a_folder_is_aligned(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(pictures, "--size", 96) == 0
    said = capsys.readouterr()
    out = pictures.parent / "out"
    assert outputs(out) == ["Amara/01.png", "Amara/02.png", "Erik/01.png", "Erik/many.png"]
    assert sorted(said.out.splitlines()) == sorted(
        f"=== {pictures / name} ==="
        for name in (
            *("Amara/01.jpg", "Amara/02.jpg", "Erik/01.jpg"),
            *("Erik/broken.png", "Erik/many.jpeg", "Erik/nobody.JPG"),
        )
    )
    assert "broken.png" in said.err and "of 6 pictures 1 are without a face, and 1 cannot be read." in said.err
    eyes = make_eyes(EncoderChoice())
    picture = read_picture(pictures / "Amara/01.jpg")
    (seen,) = eyes.see(picture).faces
    with Image.open(out / "Amara/01.png") as image:
        assert np.array_equal(np.asarray(image), openface_chip(picture.pixels, eyes.points(picture, seen.face), 96))


def test_verbose_says_what_becomes_of_each(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(pictures, "--verbose") == 0
    assert capsys.readouterr().out.count("  + Writing aligned file to disk.") == 4
    before = {name: (pictures.parent / "out" / name).stat().st_mtime_ns for name in outputs(pictures.parent / "out")}
    assert align_dlib.main(["--verbose", str(pictures), "align", "outerEyesAndNose", str(pictures.parent / "out")]) == 0
    lines = capsys.readouterr().out
    assert lines.count("  + Already found, skipping.") == 4
    assert lines.count("  + Unable to align.") == 1 and lines.count("  + Unable to load.") == 1
    assert before == {name: (pictures.parent / "out" / name).stat().st_mtime_ns for name in before}


def test_many_faces_are_skipped_where_one_is_wanted(pictures: Path) -> None:
    run(pictures, "--skipMulti", "--size", 40)
    assert "Erik/many.png" not in outputs(pictures.parent / "out")
    with Image.open(pictures.parent / "out/Erik/01.png") as image:
        assert image.size == (40, 40)


def test_what_cannot_be_aligned_is_copied_from_elsewhere(
    pictures: Path, sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    funneled = pictures.parent / "funneled/Erik"
    funneled.mkdir(parents=True)
    shutil.copy2(sample / "people/Erik/05.jpg", funneled / "nobody.jpg")
    assert run(pictures, "--fallbackLfw", funneled.parent) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nFallbacks: 1"
    assert (pictures.parent / "out/Erik/nobody.jpg").read_bytes() == (funneled / "nobody.jpg").read_bytes()


def test_several_processes_share_a_folder(pictures: Path) -> None:
    context = multiprocessing.get_context("spawn")
    words = [str(pictures), "align", "outerEyesAndNose", str(pictures.parent / "out")]
    workers = [context.Process(target=align_dlib.main, args=(words,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert outputs(pictures.parent / "out") == ["Amara/01.png", "Amara/02.png", "Erik/01.png", "Erik/many.png"]


def test_pictures_of_one_name_are_told(pictures: Path, sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy2(sample / "people/Amara/03.jpg", pictures / "Amara/01.jpeg")
    run(pictures)
    assert "2 pictures are called Amara/01" in capsys.readouterr().err


# Predictors of the user's own


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """A predictor of 68 points that dlib trained on sample people in a second: the points are made up of five."""
    dlib = pytest.importorskip("dlib", reason="dlib-bin has no wheel for this machine")
    eyes, images, shapes = make_eyes(EncoderChoice()), list[Any](), list[Any]()
    weights = np.random.default_rng(0).dirichlet(np.ones(5), 68)
    for person in ("Amara", "Erik", "Jun", "Nora"):
        picture = read_picture(sample / "people" / person / "01.jpg")
        (face,) = eyes.find(picture)
        box = dlib.rectangle(*(round(at) for at in face.box))
        points = [dlib.point(round(x), round(y)) for x, y in weights @ eyes.points(picture, face)]
        images.append(np.ascontiguousarray(picture.pixels))
        shapes.append([dlib.full_object_detection(box, points)])
    options = dlib.shape_predictor_training_options()
    options.tree_depth, options.cascade_depth, options.num_trees_per_cascade_level = 3, 4, 20
    options.feature_pool_size, options.oversampling_amount, options.num_test_splits = 60, 5, 10
    file = tmp_path_factory.mktemp("predictor") / "68.dat"
    dlib.train_shape_predictor(images, shapes, options).save(str(file))
    return file


def test_the_points_are_dlibs_to_the_pixel(predictor: Path, sample: Path) -> None:
    dlib = pytest.importorskip("dlib", reason="dlib-bin has no wheel for this machine")
    theirs, ours = dlib.shape_predictor(str(predictor)), OwnTrees(predictor.read_bytes())
    assert ours.parts == 68
    random = np.random.default_rng(2)
    for person in ("Amara", "Kofi", "Mia"):
        file = next(iter(sorted(sample.glob(f"*/{person}/*2.jpg"))))
        pixels = np.asarray(Image.open(file).convert("RGB"))
        boxes = [(x, y, x + side, y + side) for x, y, side in random.integers(20, 200, (6, 3)).tolist()]
        found = ours.landmarks(pixels, boxes)
        for box, points in zip(boxes, found, strict=True):
            expected = [(part.x, part.y) for part in theirs(pixels, dlib.rectangle(*box)).parts()]
            assert np.array_equal(np.floor(points + 0.5), expected)


@pytest.mark.parametrize("landmarks", ["innerEyesAndBottomLip", "outerEyesAndNose"])
def test_a_predictor_of_68_points_aligns_to_either(pictures: Path, predictor: Path, landmarks: str) -> None:
    words = ["--dlibFacePredictor", str(predictor), str(pictures), "align", landmarks, str(pictures.parent / "out")]
    assert align_dlib.main(words) == 0
    assert "Amara/01.png" in outputs(pictures.parent / "out")


def test_without_a_predictor_the_inner_eyes_are_said_to_need_one(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(pictures, landmarks="innerEyesAndBottomLip") == UsageError.exit_code
    said = capsys.readouterr()
    assert not said.out and "needs 68 facial points, and mien brings five" in said.err
    assert "--dlibFacePredictor" in said.err and not (pictures.parent / "out").exists()


def test_a_file_that_is_no_predictor_is_refused(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = pictures.parent / "bad.dat"
    bad.write_bytes(b"\x01\x01no")
    words = ["--dlibFacePredictor", str(bad), str(pictures), "align", "outerEyesAndNose", str(pictures.parent / "out")]
    assert align_dlib.main(words) == DamagedModelError.exit_code
    assert "is not a dlib file that can be read" in capsys.readouterr().err


# computeMean


def test_the_mean_of_the_points_is_written(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(pictures), "computeMean", "--modelDir", str(pictures.parent / "mean")]
    assert align_dlib.main(words) == 0
    folder = pictures.parent / "mean"
    with (folder / "mean.csv").open() as file:
        mean = np.array(list(csv.reader(file)), np.float64)
    assert mean.shape == (5, 2) and (mean > 0).all() and (mean < 1).all()
    assert mean[0, 0] > mean[2, 0] and mean[4, 1] > mean[0, 1], "the left eye is on the right, the nose below"
    with Image.open(folder / "mean.png") as image:
        assert image.size == (800, 800)
    capsys.readouterr()
    assert align_dlib.main([*words, "--numImages", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{folder / name} exists. Backing up." for name in ("mean.csv", "std.csv")
    ]
    assert outputs(folder) == ["mean.csv", "mean.csv.bak", "mean.png", "std.csv", "std.csv.bak"]


def test_without_a_face_there_is_no_mean(tmp_path: Path, sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        align_dlib.main([str(sample / "no-face"), "computeMean", "--modelDir", str(tmp_path)]) == NoFaceError.exit_code
    )
    assert "has no picture with a face" in capsys.readouterr().err
    assert align_dlib.main([str(tmp_path / "none"), "computeMean"]) == UsageError.exit_code
