from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.compat import label_image
from mien.compat.final_layer import FinalLayer
from mien.compat.output_graph import Graph, write
from mien.encoders.shelf import kept
from mien.errors import ModelError, UsageError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A graph of two labels, and these."""
    folder = tmp_path_factory.mktemp("graph")
    layer = FinalLayer(np.zeros((128, 2), np.float32), np.log(np.array([0.25, 0.75], np.float32)))
    (folder / "graph.pb").write_bytes(write(Graph(kept("dlib-resnet"), layer, "final_result")))
    (folder / "labels.txt").write_text("ada\n山田\n", "utf-8")
    return folder / "graph.pb", folder / "labels.txt"


def words(image: Path, graph: Path, labels: Path) -> list[str]:
    return ["--image", str(image), "--model", str(graph), "--labels", str(labels)]


def test_two_labels_are_two_lines(files: tuple[Path, Path], sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = sample / "no-face/01.jpg"
    assert label_image.main([*words(image, *files), "--input_layer=Mul"]) == 0
    assert capsys.readouterr().out == "山田 (score = 0.75000)\nada (score = 0.25000)\n"


def test_what_is_missing_or_foreign_is_said(
    files: tuple[Path, Path], sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph, labels = files
    image, other = sample / "no-face/01.jpg", tmp_path / "other"
    other.write_text("one\n")
    for given, code, said in (
        (words(tmp_path / "none.jpg", *files), UsageError.exit_code, "File does not exist"),
        (words(image, tmp_path / "none", labels), UsageError.exit_code, "does not exist"),
        (words(image, other, labels), ModelError.exit_code, "is no network that mien-retrain wrote"),
        (words(image, graph, other), ModelError.exit_code, "has 1 labels, where"),
    ):
        assert label_image.main(given) == code
        assert said in capsys.readouterr().err
