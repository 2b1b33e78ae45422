"""What is printed to be typed can be typed: paths are quoted as this system's shell does."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.text.shell import command, quoted


@pytest.mark.skipif(os.name == "nt", reason="POSIX shells quote otherwise")
@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1))
def test_the_shell_reads_back_what_was_quoted(word: str) -> None:
    assert shlex.split(quoted(word)) == [word]


@pytest.mark.skipif(os.name == "nt", reason="POSIX shells quote otherwise")
@pytest.mark.parametrize("name", ["a b", "it's", "$HOME", "back`tick", 'quo"te', "plain", "José"])
def test_a_command_survives_a_real_shell(name: str) -> None:
    line = command(Path("x") / name, "train").replace("mien", "printf '%s\\n'", 1)
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines() == ["-C", f"x/{name}", "train"]


def test_what_needs_no_quotes_gets_none() -> None:
    assert command(Path("club"), "models", "promote", "2026-11-23-001") == "mien -C club models promote 2026-11-23-001"
    assert command(None, "init", "club") == "mien init club"
