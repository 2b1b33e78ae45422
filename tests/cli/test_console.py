from __future__ import annotations

import json
import re
import unicodedata

import pytest

from mien.cli import console
from mien.cli.console import (
    Reporter,
    cells,
    csv_text,
    entry,
    fit,
    json_text,
    paint,
    printable,
    say,
    tell,
    widest,
)


def test_control_characters_are_shown_and_not_sent() -> None:
    assert printable("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\x0ac"


HOSTILE = (
    "a\x1b[2Jb",
    "\x9b2J",
    "\u202egpj.exe",
    "\u2067x",
    "\u2028",
    "\udcff",
    "\U000e0041",
    "\x7f",
    "\r",
    "\ufeff",
    "\t",
)
HARMLESS = ("Ada", "Zoe\u0301", "\u0644\u200c\u0627", "\U0001f469\u200d\U0001f680", "山田\u3000太郎", "C:\\users", '"')


def test_json_escapes_what_steers_a_terminal_and_stays_the_same() -> None:
    value = {text: [text] for text in (*HOSTILE, *HARMLESS, "two\nlines")}
    for indent in (None, 2):
        text = json_text(value, indent)
        assert json.loads(text) == value
        assert not any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in _without_joiners(text))
    assert all(json_text(text) == json.dumps(text, ensure_ascii=False) for text in HARMLESS)


def test_a_cell_of_a_table_escapes_the_same_and_can_be_read_back() -> None:
    def read_back(cell: str) -> str:
        units = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), cell)
        return units.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    for text in (*HOSTILE, *HARMLESS, "two\nlines", r"\u00e4", r"\\u202e", r"\u12", "\\"):
        cell = csv_text(text)
        assert read_back(cell) == text
        assert not any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in _without_joiners(cell))
    assert [*map(csv_text, HARMLESS)] == [*HARMLESS]


def _without_joiners(text: str) -> str:
    return text.replace("\u200c", "").replace("\u200d", "").replace("\n", "")


def test_no_line_steers_the_terminal_whoever_wrote_it(capsys: pytest.CaptureFixture[str]) -> None:
    for write in (say, tell):
        write("\x1b[32mgreen\x1b[0m \x1b[2J\x1b]0;title\x07 \x9b \u202e \nnext")
    out, err = capsys.readouterr()
    assert out == err == "\x1b[32mgreen\x1b[0m \\x1b[2J\\x1b]0;title\\x07 \\x9b \\u202e \nnext\n"


@pytest.mark.parametrize("name", ["Ada", "山田 太郎", "José", "Zoe\u0301", "", "x" * 300, "山" * 300, "a\x1bb"])
def test_a_cell_has_its_width_whatever_the_name(name: str) -> None:
    assert cells(fit(name, 12)) == 12
    assert widest([name, "Bo"]) <= console.LONGEST


def test_a_name_that_fits_is_whole() -> None:
    assert fit("Zoe\u0301", 4) == "Zoe\u0301 "
    assert fit("山田", 4) == "山田"
    assert fit("山田太郎", 5) == "山田…"
    assert widest([]) == 0


def test_there_is_no_colour_but_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert paint("text", "1") == "text"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert paint("text", "1") == "\x1b[1mtext\x1b[0m"
    monkeypatch.setenv("TERM", "dumb")
    assert paint("text", "1") == "text"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("text", "1") == "text"


def test_long_text_goes_on_below_itself_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "so many words " * 12
    entry("label", text)
    assert capsys.readouterr().out == f"label       {text}\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    entry("label", text)
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("label       so many") and len(rest) > 2
    assert all(line.startswith("            ") and len(line) <= 60 for line in rest)


def test_elsewhere_than_on_a_terminal_a_line_tells_every_ten_seconds_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr("mien.cli.console.time.monotonic", lambda: now)
    with Reporter() as progress:
        progress.start("Looking", 4000)
        for _ in range(100):
            now += 0.25
            progress.advance(4)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Looking: 160 of 4,000 (16.0/s, 4:00 left)",
        "Looking: 320 of 4,000 (16.0/s, 3:50 left)",
    ]


def test_notes_are_said_at_once_unless_a_summary_follows(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter().note("a\x1bb is broken")
    Reporter(notes=False).note("so is c")
    assert capsys.readouterr() == ("", "a\\x1bb is broken\n")


def test_long_waits_are_said_in_hours() -> None:
    assert [console._duration(seconds) for seconds in (0.4, 61, 3600 * 2 + 65)] == ["0:00", "1:01", "2:01:05"]
