import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mien.seeing
from mien.errors import DamagedModelError
from mien.storage import weights

DATA = Path(mien.seeing.__file__).parent / "data"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the manifest and of one file, in place of the package's."""
    for name in ("manifest.json", "mmod.onnx"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    monkeypatch.setattr(weights, "_FOLDER", tmp_path)
    weights.manifest.cache_clear()
    yield tmp_path
    weights.manifest.cache_clear()


@pytest.mark.parametrize("file", weights.manifest())
def test_every_file_is_what_the_manifest_says(file: str) -> None:
    entry = weights.manifest()[file]
    assert len(weights.load(file)) == entry.bytes
    assert entry.file == file
    assert all([entry.origin, entry.input, entry.normalisation, entry.alignment, entry.description])


def test_nothing_is_shipped_that_the_manifest_does_not_know() -> None:
    there = {path.name for path in DATA.iterdir()} - {"encoders"}  # which a release build alone has: docs/releasing.md
    assert there == {*weights.manifest(), "manifest.json"}
    assert {entry.licence for entry in weights.manifest().values()} <= {"CC0-1.0", "BSD-3-Clause"}


def test_a_changed_byte_is_found(folder: Path) -> None:
    data = bytearray((folder / "mmod.onnx").read_bytes())
    data[1000] ^= 1
    (folder / "mmod.onnx").write_bytes(data)
    with pytest.raises(DamagedModelError, match=r"mmod\.onnx are damaged.* Reinstall mien"):
        weights.load("mmod.onnx")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "mmod.onnx").unlink()
    with pytest.raises(DamagedModelError, match=r"mmod\.onnx cannot be read.* Reinstall mien"):
        weights.load("mmod.onnx")


@pytest.mark.parametrize("text", ["", "[", "7", "[7]", '[{"file": "mmod.onnx"}]', '[{"name": "mmod.onnx"}]', None])
def test_an_unreadable_manifest_is_named(folder: Path, text: str | None) -> None:
    if text is None:
        (folder / "manifest.json").unlink()
    else:
        (folder / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(DamagedModelError, match=r"manifest\.json.* Reinstall mien"):
        weights.load("mmod.onnx")


def test_a_name_that_is_not_shipped_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        weights.load("shape_predictor_68_face_landmarks.dat")


def test_the_trees_are_plain_arrays() -> None:
    with np.load(io.BytesIO(weights.load("landmarks5.npz")), allow_pickle=False) as arrays:
        assert {name: (arrays[name].shape, arrays[name].dtype.name) for name in arrays.files} == {
            "init": ((5, 2), "float32"),
            "idx1": ((15, 500, 15), "uint16"),
            "idx2": ((15, 500, 15), "uint16"),
            "thresh": ((15, 500, 15), "float32"),
            "leaves": ((15, 500, 16, 10), "float32"),
            "anchor": ((15, 800), "uint8"),
            "deltas": ((15, 800, 2), "float32"),
        }


def test_the_manifest_is_written_as_its_readers_expect() -> None:
    text = (DATA / "manifest.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=2) + "\n"


def test_the_repository_never_holds_an_encoder_that_a_release_brings_along() -> None:
    root = DATA.parents[3]
    assert "/src/mien/seeing/data/encoders/" in (root / ".gitignore").read_text("utf-8").splitlines()
    if (root / ".git").exists():
        listed = ["git", "-C", str(root), "ls-files", "src/mien/seeing/data/encoders"]
        assert subprocess.run(listed, capture_output=True, text=True, check=True).stdout == ""
