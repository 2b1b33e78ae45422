"""A small pipeline of 2017: sample people, aligned, as JPEGs; trained once for all tests that only read."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from mien import Album
from mien.compat import align_dlib, label_image, png_to_jpeg, retrain
from mien.compat.bottlenecks import CARD
from mien.errors import PhotoError

PEOPLE, PHOTOS = ("Amara", "Erik", "Jun"), 9

Run = Callable[..., tuple[int, list[str], str]]


class Pipeline(NamedTuple):
    """Its folders and files, by the names that the pipeline's README used."""

    root: Path
    lines: tuple[str, ...]
    """What retrain printed."""

    @property
    def jpegs(self) -> Path:
        return self.root / "aligned-images-jpeg"

    @property
    def graph(self) -> Path:
        return self.root / "output_graph.pb"

    @property
    def labels(self) -> Path:
        return self.root / "output_labels.txt"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command's main: its exit code, the lines of its output, and its errors."""

    def run(main: Callable[[Sequence[str]], int], *words: object) -> tuple[int, list[str], str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err

    return run


@pytest.fixture(scope="module")
def trained_pipeline(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Pipeline:
    root = tmp_path_factory.mktemp("face")
    for person in PEOPLE:
        (root / "training-images" / person).mkdir(parents=True)
        for photo in sorted((sample / "people" / person).glob("*.jpg"))[:PHOTOS]:
            shutil.copy2(photo, root / "training-images" / person)
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(map(str, words))))
        words = [str(root / "training-images"), "align", "outerEyesAndNose", str(root / "aligned-images")]
        assert align_dlib.main(words) == 0
        words = ["--dir_from", str(root / "aligned-images"), "--dir_to", str(root / "aligned-images-jpeg")]
        assert png_to_jpeg.main([*words, "--minimum", str(PHOTOS)]) == 0
        lines.clear()
        assert retrain.main(flags(root, "--how_many_training_steps", 200)) == 0
    return Pipeline(root, tuple(lines))


def flags(root: Path, *more: object) -> list[str]:
    """The flags of the README for retrain.py, and more."""
    return [
        *("--image_dir", str(root / "aligned-images-jpeg")),
        *("--output_graph", str(root / "output_graph.pb")),
        *("--output_labels", str(root / "output_labels.txt")),
        *("--bottleneck_dir", str(root / "bottleneck")),
        *("--summaries_dir", str(root / "retrain_logs")),
        *map(str, more),
    ]


@pytest.fixture
def pipeline(trained_pipeline: Pipeline, tmp_path: Path) -> Pipeline:
    """A copy that a test may change, with what the cache knows of its pictures."""
    root = tmp_path / "face"
    shutil.copytree(trained_pipeline.root, root)
    return Pipeline(root, trained_pipeline.lines)


def test_a_run_says_what_retrain_said(trained_pipeline: Pipeline) -> None:
    lines = trained_pipeline.lines
    assert lines[:2] == (
        "Looking for images in 'Amara'",
        "WARNING: Folder has less than 20 images, which may cause issues.",
    )
    created = [line for line in lines if line.startswith("Creating bottleneck at ")]
    assert len(created) == len(PEOPLE) * PHOTOS and created[0].endswith(".jpg.txt")
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+"
    steps = [line for line in lines if ": Step " in line]
    assert re.fullmatch(rf"{stamp}: Step 0: Train accuracy = \d+\.\d%", steps[0])
    assert re.fullmatch(rf"{stamp}: Step 0: Cross entropy = \d\.\d{{6}}", steps[1])
    assert any(re.fullmatch(rf"{stamp}: Step 199: Train accuracy = 100\.0%", line) for line in steps)
    assert {int(re.search(r"Step (\d+)", line)[1]) for line in steps} == {*range(0, 200, 10), 199}  # type: ignore[index]
    assert any(line.startswith("Final test accuracy = ") or line.startswith("No images for testing") for line in lines)
    assert f"Save final result to : {trained_pipeline.graph}" in lines
    assert any("output_graph.pb is an ONNX network" in line for line in lines)


def test_labels_are_a_line_each(trained_pipeline: Pipeline) -> None:
    assert trained_pipeline.labels.read_text() == "amara\nerik\njun\n"


def test_a_second_run_takes_the_cache_and_gives_the_same_graph(pipeline: Pipeline, run: Run) -> None:
    before = pipeline.graph.read_bytes()
    words = flags(pipeline.root, "--how_many_training_steps", 200)
    card = json.loads((pipeline.root / "bottleneck" / CARD).read_text())
    code, lines, _ = run(retrain.main, *words)  # the copies of the pictures have other times
    assert code == 0 and len([line for line in lines if "Creating" in line]) == len(card)
    code, lines, _ = run(retrain.main, *words)
    assert code == 0 and not [line for line in lines if "Creating" in line]
    again = pipeline.graph.read_bytes()
    assert len(again) == len(before)
    run(retrain.main, *words)
    assert pipeline.graph.read_bytes() == again


def test_a_picture_that_was_replaced_and_a_person_who_is_gone(pipeline: Pipeline, run: Run) -> None:
    words = flags(pipeline.root, "--how_many_training_steps", 1)
    run(retrain.main, *words)
    amara, erik = pipeline.jpegs / "Amara", pipeline.jpegs / "Erik"
    replaced = next(iter(sorted(amara.iterdir())))
    replaced.write_bytes(next(iter(sorted(erik.iterdir()))).read_bytes())
    shutil.rmtree(pipeline.jpegs / "Jun")
    code, lines, _ = run(retrain.main, *words)
    made = [line for line in lines if "Creating" in line]
    assert code == 0 and len(made) == 1 and replaced.name in made[0]
    assert not (pipeline.root / "bottleneck/Jun").exists()
    assert pipeline.labels.read_text() == "amara\nerik\n"


def test_the_right_faces_get_the_highest_scores(trained_pipeline: Pipeline, run: Run, sample: Path) -> None:
    graph = ("--model", trained_pipeline.graph, "--labels", trained_pipeline.labels)
    for person in PEOPLE:
        for number in (20, 21):
            scene = sample / "people" / person / f"{number}.jpg"
            code, lines, _ = run(label_image.main, "--image", scene, *graph)
            assert code == 0 and lines[0].startswith(f"{person.lower()} (score = ")
            scores = [float(line.rpartition(" = ")[2].rstrip(")")) for line in lines]
            assert len(lines) == 3 and scores == sorted(scores, reverse=True)
            assert all(re.fullmatch(r"\w+ \(score = \d\.\d{5}\)", line) for line in lines)
    face = next(iter(sorted((trained_pipeline.jpegs / "Jun").iterdir())))
    code, lines, _ = run(label_image.main, "--image", face, "--graph", trained_pipeline.graph, *graph[2:])
    assert code == 0 and lines[0].startswith("jun")


def test_intermediate_graphs_and_other_places(pipeline: Pipeline, run: Run) -> None:
    more = ("--intermediate_store_frequency", 4, "--intermediate_output_graphs_dir", pipeline.root / "between")
    saved = pipeline.root / "saved"
    words = flags(pipeline.root, "--how_many_training_steps", 10, *more, "--saved_model_dir", saved)
    code, lines, _ = run(retrain.main, *words, "--final_tensor_name", "softmax")
    between = pipeline.root / "between"
    assert code == 0 and sorted(file.name for file in between.iterdir()) == ["intermediate_4.pb", "intermediate_8.pb"]
    assert f"Save intermediate result to : {between / 'intermediate_4.pb'}" in lines
    assert (saved / "saved_model.onnx").read_bytes() == pipeline.graph.read_bytes()
    assert b"softmax" in pipeline.graph.read_bytes()
    assert {folder.name for folder in (pipeline.root / "retrain_logs").iterdir()} == {"train", "validation"}


def test_distorted_pictures_are_trained_on(pipeline: Pipeline, run: Run) -> None:
    distortions = ("--flip_left_right", "--random_crop", 5, "--random_scale", 5, "--random_brightness", 5)
    words = flags(pipeline.root, "--how_many_training_steps", 3, "--train_batch_size", 5, *distortions)
    code, lines, _ = run(retrain.main, *words)
    assert code == 0 and sum("Train accuracy" in line for line in lines) == 2


def test_a_label_without_pictures_in_a_set_ends_nothing(pipeline: Pipeline, run: Run) -> None:
    words = flags(pipeline.root, "--how_many_training_steps", 2, "--print_misclassified_test_images")
    for validation, testing in ((0, 0), (100, 0), (0, 100), (3, 3)):
        sets = ("--validation_percentage", validation, "--testing_percentage", testing)
        code, lines, error = run(retrain.main, *words, *sets)
        if 100 in (validation, testing):
            assert code == 2 and "has no picture for training" in error
        else:
            assert code == 0
            assert any("Final test accuracy" in line or "No images for testing" in line for line in lines)


def test_what_retrain_refused_ends_in_minus_one(tmp_path: Path, run: Run) -> None:
    assert run(retrain.main)[::2] == (255, "Must set flag --image_dir.\n")
    code, _, error = run(retrain.main, "--image_dir", tmp_path / "none")
    assert (code, error) == (255, f"Image directory '{tmp_path / 'none'}' not found.\n")
    (tmp_path / "Ann").mkdir()
    code, _, error = run(retrain.main, "--image_dir", tmp_path)
    assert code == 255 and error.startswith(f"No valid folders of images found at {tmp_path}")
    (tmp_path / "Ann/1.jpg").write_bytes(b"")
    code, _, error = run(retrain.main, "--image_dir", tmp_path)
    assert code == 255
    assert error.endswith(
        f"Only one valid folder of images found at {tmp_path} - multiple classes are needed for classification.\n"
    )


def test_flags_that_nobody_knows_are_passed_over(pipeline: Pipeline, run: Run) -> None:
    words = flags(pipeline.root, "--how_many_training_steps", 1, "--gpu", "--tf_serving=3")
    code, lines, error = run(retrain.main, *words, "--architecture", "mobilenet_1.0_224", "--model_dir", "/nowhere")
    assert code == 0 and "passed over, as retrain.py did: --gpu --tf_serving=3" in error
    assert any("The network is mien's encoder dlib-resnet: mobilenet_1.0_224 is not used." in line for line in lines)
    assert list((pipeline.root / "bottleneck/Amara").glob("*.jpg_mobilenet_1.0_224.txt"))
    code, _, error = run(retrain.main, *words, "--architecture", "arcface")
    assert code == 2 and "arcface is no encoder on this machine." in error


def test_a_broken_picture_is_left_out_and_told(pipeline: Pipeline, run: Run) -> None:
    (pipeline.jpegs / "Erik/broken.jpg").write_bytes(b"no picture")
    code, lines, error = run(retrain.main, *flags(pipeline.root, "--how_many_training_steps", 1))
    assert code == PhotoError.exit_code and "broken.jpg" in error
    assert any(line.startswith("Save final result") for line in lines)


def test_an_album_is_made_of_the_pictures(pipeline: Pipeline, run: Run) -> None:
    folder = pipeline.root / "album"
    words = flags(pipeline.root, "--how_many_training_steps", 1, "--mien_album", folder)
    pictures = pipeline.root / "training-images"
    code, lines, _ = run(retrain.main, "--image_dir", pictures, *words[2:])
    assert code == 0 and any("is in use" in line for line in lines)
    found = Album(folder).status()
    assert {person.name for person in found.people} == set(PEOPLE) and Album(folder).version


@pytest.mark.parametrize(
    "words",
    [
        ("--train_batch_size", 0),
        ("--test_batch_size", 0),
        ("--learning_rate", "nan"),
        ("--random_seed", -1),
        ("--random_scale", -50),
        ("--random_crop", 1_000_000),
        ("--final_tensor_name", "embedding"),
        ("--final_tensor_name", ""),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(
    trained_pipeline: Pipeline, tmp_path: Path, run: Run, words: tuple[object, ...]
) -> None:
    given = ("--image_dir", trained_pipeline.jpegs, "--bottleneck_dir", tmp_path / "cache", *words)
    code, _, error = run(retrain.main, *given)
    assert code == 2 and error.startswith("mien-retrain: --") and not list(tmp_path.iterdir())


def test_the_flags_of_the_first_generation(pipeline: Pipeline, run: Run) -> None:
    words = flags(pipeline.root, "--how_many_training_steps", 1, "--train_batch_size", 2, "--flip_left_right=True")
    assert run(retrain.main, *words, "--print_misclassified_test_images=False")[0] == 0


def test_a_folder_whose_name_is_no_text_gets_a_label(pipeline: Pipeline, run: Run) -> None:
    try:
        shutil.copytree(pipeline.jpegs / "Jun", pipeline.jpegs / "\udcff")
    except OSError:
        pytest.skip("this disk has no such names")
    assert run(retrain.main, *flags(pipeline.root, "--how_many_training_steps", 1))[0] == 0
    assert pipeline.labels.read_text() == "amara\nerik\njun\n\\xff\n"


def test_a_run_that_is_stopped_keeps_what_it_has(pipeline: Pipeline, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(pipeline.root / "bottleneck")
    words, made = flags(pipeline.root, "--how_many_training_steps", 1), list[str]()

    def stopped(line: str) -> None:
        made.append(line)
        if sum("Creating" in one for one in made) > 9:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(retrain, "say", stopped)
        assert run(retrain.main, *words)[0] == 130
    code, lines, _ = run(retrain.main, *words)
    assert code == 0 and 0 < sum("Creating" in line for line in lines) <= len(PEOPLE) * PHOTOS - 9
