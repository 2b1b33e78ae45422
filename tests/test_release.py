"""What a release is made of: the wheel, the source archive, and the workflows that make them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import mien

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sysconfig.get_path("scripts"))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return folder


def sums(wheel: Path) -> dict[str, int]:
    """The checksums of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {file.filename: file.CRC for file in archive.infolist()}


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


def test_the_wheel_holds_all_of_mien_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package, bundled = ROOT / "src/mien", "mien/seeing/data/encoders/"
    kept = {
        f"mien/{file.relative_to(package).as_posix()}"
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {one for one in names ^ kept if not one.startswith(bundled)} == set()
    assert {"mien/py.typed", "mien/seeing/data/resnet.onnx"} <= names


def test_the_wheel_says_what_it_needs_and_what_it_may(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        about = f"mien-{mien.__version__}.dist-info"
        metadata = archive.read(f"{about}/METADATA").decode()
        names = set(archive.namelist())
    assert "License-Expression: Apache-2.0" in metadata
    assert {"int8", "s3", "scale", "server"} == set(re.findall(r"^Provides-Extra: (.+)$", metadata, re.MULTILINE))
    assert {f"{about}/licenses/LICENSE", f"{about}/licenses/NOTICE"} <= names


def test_the_source_archive_builds_the_same_wheel_and_holds_its_tests(dist: Path, wheel: Path, tmp_path: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert (source / "tests/test_release.py").is_file() and (source / "Dockerfile").is_file()
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "again")]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    assert sums(tmp_path / "again" / wheel.name) == sums(wheel)


def test_the_wheel_works_by_itself(wheel: Path, tmp_path: Path) -> None:
    """Laid into an environment of its own, as pip does; the image of containers is made by pip itself."""
    alone = tmp_path / "alone"
    venv.create(alone, symlinks=sys.platform != "win32")
    places = {"base": str(alone), "platbase": str(alone)}
    scheme = sysconfig.get_preferred_scheme("prefix")
    home, scripts = (Path(sysconfig.get_path(part, scheme, places)) for part in ("purelib", "scripts"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(home)
    # What mien needs, and no mien: in that environment it is editable.
    (home / "others.pth").write_text(sysconfig.get_path("purelib"))

    def said(*arguments: str) -> str:
        command, clean = [str(scripts / "python"), *arguments], {**os.environ}
        clean.pop("PYTHONPATH", None)
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=clean)
        return done.stdout.strip()

    assert said("-m", "mien", "--version") == f"mien {mien.__version__}"
    assert Path(said("-c", "import mien; print(mien.__file__)")).is_relative_to(home)


@pytest.mark.parametrize(
    "check",
    [["check-jsonschema", "--builtin-schema", "vendor.github-workflows"], ["zizmor", "--offline", "--quiet"]],
    ids=lambda check: check[0],
)
def test_nothing_is_wrong_with_the_workflows(check: list[str]) -> None:
    tool, *options = check
    command = [str(TOOLS / tool), *options, *map(str, WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert WORKFLOWS and done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_what_workflows_use_is_pinned_and_what_they_may_is_named(workflow: Path) -> None:
    text = workflow.read_text("utf-8")
    used = re.findall(r"uses: (.+)", text)
    assert used and [one for one in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []
    read = yaml.safe_load(text)
    assert read["permissions"] == {}, "none that a job does not ask for"
    for name, job in read["jobs"].items():
        assert job["permissions"] and job["timeout-minutes"], name


def test_a_release_makes_an_image_of_every_name() -> None:
    made = re.search(r"for name in (.+); do", (ROOT / ".github/workflows/release.yml").read_text("utf-8"))
    stages = re.findall(r"^FROM of-2017 AS (\S+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert made and made[1].split() == stages
