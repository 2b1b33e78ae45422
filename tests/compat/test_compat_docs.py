"""docs/compat.md is walked: its commands, with another root and fewer steps, and nothing else changed."""

from __future__ import annotations

import shlex
import shutil
import tomllib
from datetime import date
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/compat.md").read_text("utf-8")
COMMANDS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]


def lines_of(block: int, root: Path) -> list[str]:
    """The commands of one of the page's blocks, for pictures below `root`."""
    text = PAGE.split("```bash\n")[block + 1].split("```")[0]
    text = text.replace("/face", str(root)).replace("$(date +%Y-%m-%d)", date.today().isoformat())
    return text.replace("steps 2000", "steps 100").strip().splitlines()


def run(line: str) -> int:
    name, *words = shlex.split(line)
    module, _, function = COMMANDS[name].partition(":")
    code = getattr(import_module(module), function)(words)
    assert isinstance(code, int)
    return code


def test_every_command_of_the_page_can_be_called() -> None:
    named = {line.split("`")[3] for line in PAGE.splitlines() if line.startswith("| `")}
    assert named == {name for name in COMMANDS if name.startswith("mien-")}


def test_the_old_readme_once_and_daily(tmp_path: Path, sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for person in ("Amara", "Jun"):
        photos = sorted((sample / "people" / person).glob("*.jpg"))[:21]
        for number, photo in enumerate(photos):
            folder = "training-images" if number < 20 else f"{date.today()}-training-images"
            (tmp_path / folder / person).mkdir(parents=True, exist_ok=True)
            shutil.copy2(photo, tmp_path / folder / person)
    shutil.copy2(sample / "people/Jun/23.jpg", tmp_path / "party.jpg")
    for line in lines_of(0, tmp_path):
        assert run(line) == 0, line
    assert capsys.readouterr().out.splitlines()[-2].startswith("jun (score = ")
    for line in lines_of(1, tmp_path):
        assert run(line) == 0, line
    for person in ("Amara", "Jun"):
        for folder in ("training-images", "aligned-images", "aligned-images-jpeg"):
            assert len(list((tmp_path / folder / person).iterdir())) == 21
    assert not (tmp_path / f"{date.today()}-training-images").exists()
