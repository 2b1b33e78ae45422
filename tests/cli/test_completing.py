"""Tab in a shell: commands, options, people, models, sources and encoders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mien.cli import app

if TYPE_CHECKING:
    from conftest import Painted

Tab = Callable[..., list[str]]


@pytest.fixture
def tab(monkeypatch: pytest.MonkeyPatch) -> Tab:
    """What bash is told when Tab is pressed at the end of these words."""

    def pressed(*words: object) -> list[str]:
        line = ["mien", *map(str, words)]
        environment = {
            "_MIEN_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(word.replace(" ", r"\ ") for word in line),
            "COMP_CWORD": str(len(line) - 1),
        }
        result = CliRunner().invoke(app, [], prog_name="mien", env=environment)
        assert result.exit_code == 0 and result.stderr == "", result.stderr
        return result.stdout.split()

    return pressed


def test_commands_and_options_are_completed(tab: Tab) -> None:
    assert tab("cl") == ["classify"] and tab("models", "pro") == ["promote"]
    assert "--only-named" in tab("classify", "--o") and "--album" in tab("models", "drop", "--a")


def test_people_models_sources_and_encoders_are_completed(tab: Tab, three_people: Painted) -> None:
    folder = three_people.folder
    (folder / "models/2026-11-26-001").mkdir(parents=True)
    (folder / "models/2026-11-26-002").mkdir()
    with (folder / "mien.toml").open("a") as settings:
        settings.write('[sources.club]\nkind = "folder"\npath = "x"\nbasis = "x"\nlicence = "x"\n')
    assert tab("-C", folder, "remove", "") == ["Ada", "Bo", "Cy"]
    assert tab("-C", folder, "add", "A") == ["Ada"]
    assert tab("models", "promote", "-C", folder, "2026") == ["2026-11-26-002", "2026-11-26-001"]
    assert tab("-C", folder, "collect", "") == ["club"]
    assert tab("encoders", "add", "retail") == ["retail-0095"]


def test_people_are_completed_from_within_the_album(
    tab: Tab, three_people: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(three_people.training)
    assert tab("remove", "B") == ["Bo"]


def test_where_there_is_no_album_nothing_is_said(tab: Tab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["remove", ""], ["models", "promote", ""], ["collect", ""], ["-C", tmp_path / "no", "add", ""]):
        assert tab(*words) == []
    (tmp_path / "mien.toml").write_text("= broken")
    assert tab("collect", "") == []


def test_a_shell_is_told_how_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    for shell, has in (
        ("bash", "complete -o default -F"),
        ("zsh", "#compdef mien"),
        ("fish", "complete --command mien"),
    ):
        monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
        result = CliRunner().invoke(app, [], prog_name="mien", env={"_MIEN_COMPLETE": f"source_{shell}"})
        assert result.exit_code == 0 and has in result.stdout and result.stderr == ""
