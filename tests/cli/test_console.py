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


# On a terminal


@pytest.fixture(params=[60, 80, 120])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A terminal that is so wide."""
    monkeypatch.setattr(console, "columns_of", lambda _: request.param)
    return int(request.param)


def test_lines_end_between_words(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    text = "Somebody is nearly somebody else, who is in the album; of 93.1 % of them nobody knows why, " * 3
    say(text)
    entry("about", text, "33")
    tell(f"mien: {text}", 6)
    out, err = capsys.readouterr()
    for line in (*out.splitlines(), *err.splitlines()):
        assert cells(line) <= columns and set(line.split()) <= {*text.split(), "about", "mien:"}
        assert not line.endswith("93.1"), "a number and its unit are together"
    assert len(err.splitlines()) > 1 and all(line.startswith(" " * 6) for line in err.splitlines()[1:])


def test_what_is_for_programs_stays_whole(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    console.say_json({"words": "word " * 100})
    assert capsys.readouterr().out.splitlines()[1].strip() == f'"words": "{"word " * 100}"'


@pytest.mark.parametrize(
    "command", ["mien -C 'our club' train", "mien -C club models drop", "`mien add PERSON PHOTO`", "mien daily"]
)
def test_a_command_can_be_copied(columns: int, command: str) -> None:
    for before in range(columns):
        lines = console.broken(f"{'x' * before} : {command}", columns)
        assert any(command in line for line in lines), lines


def test_a_table_that_is_too_wide_is_told_row_by_row(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["* one", "7", "w" * 30, "x" * 20, "-"], ["  two", "damaged: it says so itself"]]
    console.table(["  name", ">photos", "width", "height", "note"], rows)
    lines = capsys.readouterr().out.splitlines()
    if columns < 80:
        assert lines[0] == "* one" and lines[1:3] == [f"    photos 7; width {'w' * 30}; height", f"      {'x' * 20}"]
        assert lines[3:] == ["  two", "    damaged: it says so itself"]
    else:
        assert lines[0].split() == ["name", "photos", "width", "height", "note"]
        assert lines[1] == f"* one        7  {'w' * 30}  {'x' * 20}  -"
        assert lines[2] == "  two   damaged: it says so itself"


def test_colours_can_be_read_on_dark_and_on_light_ground(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their contrast to black and to white, as WCAG 2.2 has it."""

    def linear(channel: int) -> float:
        share = channel / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    for code in console._ON_ANY_GROUND.values():
        number = int(code.rpartition(";")[2])
        steps = (0, 95, 135, 175, 215, 255)
        grey, (high, low) = [8 + 10 * (number - 232)] * 3, divmod(number - 16, 36)
        colour = grey if number >= 232 else [steps[high], steps[low // 6], steps[low % 6]]
        red, green, blue = map(linear, colour)
        light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        assert min(1.05 / (light + 0.05), (light + 0.05) / 0.05) >= 4, code
    monkeypatch.setattr(console, "_has_colour", lambda _: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert (
        paint("x", "33") == "\x1b[38;5;130mx\x1b[0m" and paint("x", "1") == "\x1b[1mx\x1b[0m" and paint("", "33") == ""
    )
    monkeypatch.setenv("TERM", "linux")
    monkeypatch.delenv("COLORTERM", raising=False)
    assert paint("x", "33") == "\x1b[33mx\x1b[0m"
