"""Fills docs/commands.md with what the commands say of themselves. Run it after changing a command or its options:

    .venv/bin/python tools/make_reference.py

The prose of that page is written by hand; between `<!-- help: NAME -->` and `<!-- end -->` stands the output of
`mien NAME --help` (of `mien --help` for the name mien). A test compares the two.
"""

from __future__ import annotations

import re
from pathlib import Path

import typer
from typer.testing import CliRunner

PAGE = Path(__file__).resolve().parent.parent / "docs/commands.md"
MARKED = re.compile(r"(<!-- help: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
TERMINAL = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
"""One width and no colours, wherever this runs."""


def commands(app: typer.Typer) -> list[str]:
    """The names of all commands of `app`, in the order in which its help lists them."""
    return list(typer.main.get_group(app).commands)


def help_text(app: typer.Typer, name: str) -> str:
    """What `mien NAME --help` prints, without the blanks that only fill its lines."""
    arguments = ["--help"] if name == "mien" else [name, "--help"]
    result = CliRunner().invoke(app, arguments, prog_name="mien", env=TERMINAL)
    if result.exit_code:
        raise LookupError(f"mien {' '.join(arguments)} failed: {result.output}")
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


def filled(page: str, app: typer.Typer) -> str:
    """`page` with the text between every pair of marks made anew."""
    return MARKED.sub(lambda found: f"{found[1]}```text\n{help_text(app, found[2])}\n```\n{found[3]}", page)


def main() -> None:
    from mien.cli import app

    PAGE.write_text(filled(PAGE.read_text("utf-8"), app), "utf-8")
    print(f"{PAGE.name}: {', '.join(commands(app))}")


if __name__ == "__main__":
    main()
