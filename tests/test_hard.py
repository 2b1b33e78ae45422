"""Photos that are meant to break mien do not: every file of the shared hard_* sets goes through one `mien align`."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mien.types import EncoderChoice

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared/data"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not (DATA / "hard_noface").is_dir(), reason="../shared/data is not there"),
]


@pytest.fixture(scope="module")
def hard() -> Iterator[Any]:
    """benchmarks/hard.py, which prints what these tests assert."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("hard")


@pytest.fixture(scope="module")
def seen(hard: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return hard.see(DATA, tmp_path_factory.mktemp("hard") / "album", EncoderChoice(views=1))


def test_no_traceback_and_an_exit_code_that_says_some_are_unreadable(seen: Any) -> None:
    assert "Traceback" not in seen.run.errors
    assert seen.run.code == 6


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("hard_formats/python-pillow__decompression_bomb.gif", "bomb"),
        ("hard_exif_face/face_truncated_5pct.jpg", "truncated"),
        ("hard_exif_face/face_truncated_60pct.jpg", "truncated"),
        ("hard_exif_face/not_an_image.jpg", "not-a-picture"),
        ("hard_formats/bigcat88__corrupted.heic", "unreadable"),
        ("hard_formats/exadel-inc__corrupted.png", "unreadable"),
        ("hard_formats/exadel-inc__empty.png", "not-a-picture"),
        ("hard_formats/exadel-inc__truncated.jpg", "truncated"),
        ("hard_formats/python-pillow__broken.png", "unreadable"),
        ("hard_formats/scikit-image__truncated.jpg", "truncated"),
    ],
)
def test_bomb_or_broken_file_is_refused_as_what_it_is(seen: Any, file: str, kind: str) -> None:
    assert seen.refused[file] == kind


def test_every_refused_file_is_named_and_counted(seen: Any) -> None:
    assert {one["photo"] for one in json.loads(seen.run.out)["unreadable"]} == set(seen.refused)
    assert all(Path(file).name in seen.run.errors for file in seen.refused)


def test_the_portrait_has_its_one_face_in_every_file_format(seen: Any) -> None:
    portrait = seen.of_set("hard_exif_face")
    assert len(portrait.faces) + len(portrait.refused) == len(portrait.files) == 21
    assert {len(found.boxes) for found in portrait.faces.values()} == {1}


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("hard_exif_face/face_orient_?.jpg", 8),
        ("hard_formats/python-pillow__hopper_orientation_?.jpg", 7),
        ("hard_formats/python-pillow__hopper_orientation_?.webp", 6),
    ],
)
def test_orientations_give_the_same_face(hard: Any, seen: Any, pattern: str, count: int) -> None:
    assert pattern in hard.ORIENTATIONS.values()
    found = [faces for path, faces in seen.faces.items() if hard.fnmatch(path, pattern)]
    iou, cosine = hard.agreement(found)
    assert len(found) == count
    assert iou >= 0.9
    assert cosine >= 0.98


def test_no_face_where_there_is_none(seen: Any) -> None:
    assert len(seen.of_set("hard_exif").faceless) == 9  # somebody seen from behind
    nobody = seen.of_set("hard_noface")
    assert len(nobody.faceless) >= 0.9 * len(nobody.files)


def test_faces_in_groups_are_found(hard: Any, seen: Any) -> None:
    group = seen.of_set("hard_group")
    assert set(group.faces) == set(group.files)
    known = [path for path in group.files if hard.true_count(path) is not None]
    assert len(known) == 9
    assert sum(len(group.faces[path].boxes) == hard.true_count(path) for path in known) >= 8
