"""docs/serving.md is walked: the move from CompreFace, with another address and another port, and nothing else changed.

The CompreFace that is left is a mien server: it speaks the same language."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Running

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/serving.md").read_text("utf-8")


def block(language: str) -> list[str]:
    return PAGE.split(f"```{language}\n")[1].split("```")[0].strip().splitlines()


def test_the_move_from_compreface(
    running: Running,
    pictures: tuple[Path, Path, Path],
    sample: Path,
    tmp_path: Path,
    serving: Callable[[list[str], Path], AbstractContextManager[Running]],
) -> None:
    amara, second, stranger = pictures
    for name, photo in (("Amara", amara), ("Erik", min((sample / "people/Erik").glob("*.jpg")))):
        running.ask("POST", f"/recognition/faces?subject={name}", files={"file": photo.read_bytes()})
    *lines, last = block("bash")
    for line in lines:
        line = line.replace("http://127.0.0.1:8000", running.address).replace("OLD-KEY", running.key)
        settings, words = re.fullmatch(r"((?:[A-Z_]+=\S+ )*)mien (.*)", line).groups()  # type: ignore[union-attr]
        command = [sys.executable, "-m", "mien", *shlex.split(words)]
        subprocess.run(
            ["env", "MIEN_VIEWS=1", *settings.split(), *command], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL
        )
    words = shlex.split(last.replace("--port 8001", "--port 0"))
    assert words[0] == "mien" and "http://127.0.0.1:8001" in "".join(block("yaml"))
    with serving([sys.executable, "-m", "mien", *words[1:]], tmp_path) as moved:
        query = "?face_plugins=undefined&det_prob_threshold=0.8"
        near = []
        for photo in (second, stranger):
            answer = moved.ask("POST", f"/recognition/recognize{query}", files={"file": photo.read_bytes()}).json()
            near.append(answer["result"][0]["subjects"][0])
    assert near[0]["subject"] == "Amara" and near[0]["similarity"] >= 0.6 and near[1]["similarity"] < 0.5


def test_what_the_page_says_of_scopes_and_settings_is_there() -> None:
    from mien.settings import ServerSettings
    from mien.text.access import Scope

    table = PAGE.split("## Settings")[1].split("## ")[0]
    told = re.findall(r"^\| `(\w+)` \| `(\d+)` \|", table, re.MULTILINE)
    assert told
    for key, default in told:
        assert ServerSettings.model_fields[key].default == int(default)
    assert re.findall(r"^\| `(\w+)` \| to ", PAGE, re.MULTILINE) == [one.value for one in Scope]
