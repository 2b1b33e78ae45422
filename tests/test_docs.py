"""The documentation says what is there: every command, every error, every module, and no place of anybody's machine."""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from mien import errors
from mien.cli import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *(ROOT / name for name in ("README.md", "CHANGELOG.md", "NOTICE"))])
HOSTS = {
    "127.0.0.1",
    "github.com",
    "www.apache.org",
    "creativecommons.org",
    "keepachangelog.com",
    "semver.org",
    "example.org",
    "distributed.dask.org",
    "jobqueue.dask.org",
    "kubernetes.dask.org",
    "helm.dask.org",
    "filesystem-spec.readthedocs.io",
}
"""Hosts the documentation may link to: never a package registry's, as which one is used is the user's affair."""

reference: dict[str, Any] = runpy.run_path(str(ROOT / "tools/make_reference.py"))
COMMANDS: list[str] = reference["commands"](app)


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_there_are_commands() -> None:
    assert {"init", "add", "align", "train", "evaluate", "classify", "status"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_has_its_section_and_an_example(command: str) -> None:
    text = page("docs/commands.md")
    assert f"\n## mien {command}\n" in text, f"docs/commands.md has no section '## mien {command}'"
    assert f"<!-- help: {command} -->\n" in text, f"docs/commands.md has no place for 'mien {command} --help'"
    assert re.search(rf"\bmien (-C \S+ )?{command}\b", page("README.md")), f"README.md does not show 'mien {command}'"


def test_no_section_is_about_nothing() -> None:
    assert set(re.findall(r"^## mien (\S+)$", page("docs/commands.md"), re.MULTILINE)) == set(COMMANDS)


def test_reference_is_what_help_says() -> None:
    text = page("docs/commands.md")
    assert text == reference["filled"](text, app), "run tools/make_reference.py"


def test_reference_is_made_anew() -> None:
    text = "before\n<!-- help: mien -->\nold\n<!-- end -->\nafter\n"
    made = reference["filled"](text, app)
    assert made.startswith("before\n<!-- help: mien -->\n```text\nUsage: mien ")
    assert made.endswith("\n```\n<!-- end -->\nafter\n") and "old\n" not in made


def test_every_error_is_listed_with_its_exit_code() -> None:
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.MienError)]
    listed = re.findall(r"^\| (\d+) \| `(\w+Error)` \|", page("docs/errors.md"), re.MULTILINE)
    assert sorted(listed) == sorted((str(each.exit_code), each.__name__) for each in classes)


def test_every_message_quoted_is_one_that_mien_says() -> None:
    said = "\n".join(file.read_text("utf-8") for file in [*(ROOT / "src").rglob("*.py"), ROOT / "scripts/install"])
    quoted = re.findall(r"\*\*(.+?)\*\*", page("docs/errors.md").replace("\n  ", " "))
    fragments = [fragment.strip() for each in quoted for fragment in each.split("...")]
    assert len(fragments) > 30
    assert [fragment for fragment in fragments if fragment not in said] == []


def tree(text: str) -> set[str]:
    """The modules in the file tree of docs/architecture.md: four blanks a level, each line starts with a name."""
    found: set[str] = set()
    folders: list[str] = []
    block = re.search(r"```text\nsrc/mien/\n(.*?)```", text, re.DOTALL)
    assert block, "docs/architecture.md has no file tree that starts with src/mien/"
    for line in block[1].splitlines():
        name = line.split()[0]
        del folders[(len(line) - len(line.lstrip())) // 4 - 1 :]
        if name.endswith("/"):
            folders.append(name)
        else:
            found.add("".join([*folders, name]))
    return found


def test_tree_is_read_rightly() -> None:
    text = "```text\nsrc/mien/\n    types.py  words\n    a/        room\n        b.py  x\n    c.py      y\n```"
    assert tree(text) == {"types.py", "a/b.py", "c.py"}


def test_every_module_is_in_the_file_tree() -> None:
    package = ROOT / "src/mien"
    written = {file.relative_to(package).as_posix() for file in package.rglob("*.py") if file.stat().st_size}
    drawn = tree(page("docs/architecture.md"))
    assert drawn == written, f"not drawn: {sorted(written - drawn)}; not there: {sorted(drawn - written)}"


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_page_names_nobodys_machine_and_no_registry(file: Path) -> None:
    text = file.read_text("utf-8")
    assert set(re.findall(r"https?://([\w.-]+)", text)) <= HOSTS
    assert re.findall(r"(?<![\w.~/:-])/(?:home|root|tmp|work|mnt|opt|Users)\b\S*", text) == []


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", file.read_text("utf-8"))
    assert [target for target in targets if not (file.parent / target).exists()] == []
