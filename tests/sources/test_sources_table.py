"""Tables of people and photos."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from mien.errors import FetchError, SourceError
from mien.sources.common import stamp_inside
from mien.sources.table import encoding_of, open_table, path_of, person_of, table_rows

Form = Literal["NFC", "NFD"]
FORMS: tuple[Form, Form] = ("NFC", "NFD")


def rows(text: str) -> list[object]:
    found = table_rows("club", "the table", io.StringIO(text), ("file", "url"), ("person",))
    return [each.message if isinstance(each, FetchError) else each for each in found]


def test_csv_rows_have_the_numbers_of_their_lines() -> None:
    assert rows('File ; "Person"\n\na.jpg;Ada\n"b;1.jpg";"Bo ""B"" Bo"\nc.jpg\n') == [
        (3, {"file": "a.jpg", "person": "Ada"}),
        (4, {"file": "b;1.jpg", "person": 'Bo "B" Bo'}),
        (5, {"file": "c.jpg"}),
    ]


def test_json_rows() -> None:
    assert rows('{"url": "a", "license": "CC0"}\n{"url": 5}\n') == [
        (1, {"url": "a", "licence": "CC0"}),
        (2, {"url": "5"}),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('a.jpg,"Ada', "The source club has a line that is no row of a CSV: line 2 of the table: "),
        ("a,b,c", "The source club has a line of 3 values for 2 columns: line 2 of the table."),
        ("\ufffd.jpg,Ada", "The source club has a line that is not UTF-8: line 2 of the table."),
        ("a" * 200_000 + ",Ada", "The source club has a line that is too long: line 2 of the table."),
        ('{"url": ', "The source club has a line that is no JSON object: line 2 of the table: "),
        ('{"url": ' + "[" * 60_000, "The source club has a line that is no JSON object: line 2 of the table: "),
    ],
)
def test_a_bad_line_costs_one_line(line: str, said: str) -> None:
    bad, good = rows(f"file,person\n{line}\nb.jpg,Bo\n")
    assert said in str(bad)
    assert good == (3, {"file": "b.jpg", "person": "Bo"})


def test_missing_columns_are_said() -> None:
    with pytest.raises(SourceError, match="The source club has a table without a column file or url: the table"):
        rows("person,path\nAda,1.jpg\n")


def test_a_column_that_stands_twice_is_said() -> None:
    for title in ("person", "Person", "license,licence", "name,name"):
        with pytest.raises(SourceError, match="has a table with two columns"):
            rows(f"file,person,{title}\na.jpg,Ada,Bo,Cy\n")
    assert rows("file,person,,,note,note\na.jpg,Ada\n") == [(2, {"file": "a.jpg", "person": "Ada"})]


def test_a_key_with_two_values_is_said() -> None:
    said, same = rows('{"url": "a", "person": "Ada", "Person": "Bo"}\n{"url": "a", "person": "Ada", "person": "Ada"}\n')
    assert said == "The source club has a line with two values for person: line 1 of the table."
    assert same == (2, {"url": "a", "person": "Ada"})


@pytest.mark.parametrize(
    ("value", "person", "people"),
    [
        ("Ada", "Ada", ()),
        ("Smith, Will", "Smith, Will", ()),
        ("Ada; Bo", "Ada; Bo", ("Ada", "Bo")),
        ("Ada and Bo", "Ada and Bo", ("Ada", "Bo")),
        (["Ada", "Bo"], "Ada, Bo", ("Ada", "Bo")),
        (["Ada"], "Ada", ()),
        (7, "", ()),
        (None, "", ()),
    ],
)
def test_whom_a_row_names(value: object, person: str, people: tuple[str, ...]) -> None:
    assert person_of({"person": value}) == (person, people)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_a_table_is_read_in_the_encoding_it_has(tmp_path: Path, encoding: str) -> None:
    body = "person\turl\r\nZoë\ta\r\n".encode(encoding)
    assert body.decode(encoding_of(body, "iso-8859-1")).splitlines()[1] == "Zoë\ta"
    if encoding != "latin-1":
        (tmp_path / "t").write_bytes(body)
        with open_table("s", tmp_path / "t") as text:
            assert text.read().splitlines()[1] == "Zoë\ta"
    assert encoding_of(b"\xff", "no such thing") == encoding_of(b"\xff", "zlib") == "utf-8-sig"


@pytest.mark.parametrize(("written", "told"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC"), ("NFD", "NFD")])
def test_a_path_is_found_however_its_accents_are_encoded(tmp_path: Path, written: Form, told: Form) -> None:
    file = tmp_path / unicodedata.normalize(written, "Zoë/süß 1.jpg")
    file.parent.mkdir()
    file.write_bytes(b"x")
    found = path_of(tmp_path, unicodedata.normalize(told, "Zoë/süß 1.jpg"))
    assert (tmp_path / found).samefile(file) and stamp_inside("a source", tmp_path, found)
    assert path_of(tmp_path, unicodedata.normalize(told, r"Zoë\süß 1.jpg")) == found
    assert stamp_inside("a source", tmp_path, path_of(tmp_path, "Zoë/süß 2.jpg")) is None


def test_of_two_files_that_differ_in_accents_alone_the_one_that_is_named_is_taken(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "é.jpg") for form in FORMS]
    for name in names:
        (tmp_path / name).write_text(name)
    if len(list(tmp_path.iterdir())) == 2:  # else the disk does not tell them apart
        assert [path_of(tmp_path, name) for name in names] == names


@pytest.mark.parametrize("value", [None, 5, ["a"], {"a": 1}, "", "\0", "é\0", "é" * 5000, "../é", "/é"])
def test_what_is_no_path_leads_nowhere(tmp_path: Path, value: object) -> None:
    assert stamp_inside("a source", tmp_path, path_of(tmp_path, value)) is None


def test_null_in_json_is_nothing() -> None:
    (row,) = rows('{"person": null, "name": 7, "url": "a", "path": null}')
    assert row == (1, {"name": "7", "url": "a"})
