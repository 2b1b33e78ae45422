from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.compat.image_lists import category_of, image_lists, label_of, percentage

VECTORS = [
    ("/face/aligned-images-jpeg/alice/a.jpg", 43.075892, "training"),
    ("/face/aligned-images-jpeg/alice/b.jpg", 2.797955, "validation"),
    ("/face/aligned-images-jpeg/bob/a_nohash_1.jpg", 4.194126, "validation"),
    ("/face/aligned-images-jpeg/bob/a_nohash_2.jpg", 4.194126, "validation"),
    ("/data/alice/a.jpg", 2.062804, "validation"),
]


@pytest.mark.parametrize(("path", "per_cent", "category"), VECTORS)
def test_the_split_is_that_of_retrain(path: str, per_cent: float, category: str) -> None:
    assert round(percentage(path), 6) == per_cent
    assert category_of(path, 10, 10) == category


@given(st.text(), st.integers(0, 50), st.integers(0, 50))
def test_each_picture_is_in_one_set_by_its_path_alone(path: str, testing: int, validation: int) -> None:
    where = percentage(path.encode("utf-8", "ignore").decode())
    assert 0 <= where <= 100
    category = category_of(path.encode("utf-8", "ignore").decode(), testing, validation)
    bounds = {"validation": (0, validation), "testing": (validation, testing + validation)}
    low, high = bounds.get(category, (testing + validation, 100.1))
    assert low <= where < high


@pytest.mark.parametrize(
    ("folder", "label"),
    [("Ada Lovelace", "ada lovelace"), ("A_B--c", "a b c"), ("x.y", "x y"), ("José", "jos "), ("山田", " ")],
)
def test_the_label_is_that_of_retrain(folder: str, label: str) -> None:
    assert label_of(folder) == label


def fill(root: Path, *files: str) -> str:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"")
    return str(root)


def test_folders_are_listed_by_path_and_pictures_by_ending(tmp_path: Path) -> None:
    files = [f"{name}.{ending}" for ending in ("JPEG", "jpg", "png", "txt", "jpeg", "JPG") for name in "ba"]
    folder = fill(tmp_path, *[f"Zoe/{file}" for file in files], *[f"Ann/{n}.jpg" for n in range(20)], "Empty/note.txt")
    said: list[str] = []
    ann, zoe = image_lists(folder, 0, 0, said.append)
    assert (ann.label, ann.dir, len(ann.training)) == ("ann", "Ann", 20)
    assert zoe.training == tuple(f"{name}.{end}" for end in ("jpg", "jpeg", "JPG", "JPEG", "png") for name in "ab")
    assert said == [
        "Looking for images in 'Ann'",
        "Looking for images in 'Empty'",
        "No files found",
        "Looking for images in 'Zoe'",
        "WARNING: Folder has less than 20 images, which may cause issues.",
    ]


def test_folders_in_folders_are_looked_for_at_the_top(tmp_path: Path) -> None:
    folder = fill(tmp_path, "Ann/deep/1.jpg", "Ann/2.jpg", "Bo/Ann/3.jpg", "Bo/4.jpg")
    said: list[str] = []
    lists = image_lists(folder, 0, 0, said.append)
    assert [(one.dir, one.training) for one in lists] == [("Ann", ("2.jpg",)), ("Bo", ("4.jpg",))]
    assert said.count("Looking for images in 'Ann'") == 2 and said.count("No files found") == 1


def test_labels_that_would_be_one_are_the_folders_names(tmp_path: Path) -> None:
    folder = fill(tmp_path, "山田/1.jpg", "佐藤/1.jpg", "A_B/1.jpg", "a-b/1.jpg", "Cy/1.jpg")
    said: list[str] = []
    labels = {one.dir: one.label for one in image_lists(folder, 0, 0, said.append)}
    assert labels == {"山田": "山田", "佐藤": "佐藤", "A_B": "A_B", "a-b": "a-b", "Cy": "cy"}
    assert sum("keeps its name" in line for line in said) == 4


def test_a_folder_whose_name_is_a_pattern_is_a_folder(tmp_path: Path) -> None:
    folder = fill(tmp_path, "[ab]/1.jpg", "a*/2.jpg")
    assert [one.training for one in image_lists(folder, 0, 0, lambda _: None)] == [("1.jpg",), ("2.jpg",)]
