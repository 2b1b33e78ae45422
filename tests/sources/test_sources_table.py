"""Tables of people and photos."""

from __future__ import annotations

import io

import pytest

from mien.errors import FetchError, SourceError
from mien.sources.table import person_of, table_rows


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
        (2, {"url": 5}),
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
