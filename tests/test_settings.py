from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mien.errors import AlbumError, UsageError
from mien.settings import VIEWS, Settings, load, template, with_value

NOTHING: Mapping[str, str] = {}


def loaded(
    folder: Path, text: str, flags: Mapping[str, object] = NOTHING, environment: Mapping[str, str] = NOTHING
) -> Settings:
    (folder / "mien.toml").write_text(text, encoding="utf-8")
    return load(folder, flags, environment)


def test_an_album_without_a_file_has_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, {}, {}) == Settings()


def test_file_before_default_environment_before_file_flag_before_environment(tmp_path: Path) -> None:
    text = 'precision = "int8"\nviews = 1\nworkers = 1\n'
    settings = loaded(tmp_path, text, {"workers": 3, "views": None}, {"MIEN_VIEWS": "2", "MIEN_WORKERS": "2"})
    assert (settings.precision, settings.views, settings.workers, settings.fpir) == ("int8", 2, 3, 0.01)


LAYERS = st.fixed_dictionaries({}, optional={"views": st.sampled_from(VIEWS), "minimum": st.integers(1, 99)})


@settings(deadline=None)
@given(LAYERS, LAYERS, LAYERS)
def test_each_key_comes_from_the_last_layer_that_has_it(
    tmp_path_factory: pytest.TempPathFactory, file: dict[str, int], environment: dict[str, int], flags: dict[str, int]
) -> None:
    text = "\n".join(f"{key} = {value}" for key, value in file.items())
    variables = {f"MIEN_{key.upper()}": str(value) for key, value in environment.items()}
    settings = loaded(tmp_path_factory.mktemp("album"), text, flags, variables)
    merged = Settings().model_dump() | file | environment | flags
    assert settings.model_dump() == merged


def test_a_value_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().views = 1


def test_a_byte_order_mark_is_tolerated(tmp_path: Path) -> None:
    (tmp_path / "mien.toml").write_bytes(b"\xef\xbb\xbfviews = 2\r\n")
    assert load(tmp_path, {}, {}).views == 2


def test_a_catalog_path_may_be_a_windows_one_in_single_quotes(tmp_path: Path) -> None:
    assert loaded(tmp_path, "catalog = 'C:\\Users\\ann\\c.sqlite'").catalog == Path("C:\\Users\\ann\\c.sqlite")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('precison = "int8"', ["precison in ", "mien.toml is no setting.", "Did you mean precision?", "views"]),
        ("chip-size = 96", ["Did you mean chip_size?"]),
        ("zzzzzz = 1", ["zzzzzz in ", "mien.toml is no setting. The settings are basis, encoder, precision"]),
        ('precision = "fp16"', ['precision = "fp16" in ', "mien.toml will not do: input should be 'fp32' or 'int8'."]),
        ("views = 3", ["views = 3", "one of 0, 1, 2, 4"]),
        ("views = true", ["views = true", "a number is needed"]),
        ('views = "many"', ["views", "valid integer"]),
        ("workers = -1", ["workers = -1", "0 to 1024"]),
        ("fpir = 0", ["fpir", "greater than 0"]),
        ("fpir = 0.6", ["fpir", "less than or equal to 0.5"]),
        ("fpir = nan", ["fpir"]),
        ("chip_size = 15", ["chip_size", "16 to 1024 pixels"]),
        ("minimum = 0", ["minimum"]),
        ('catalog = ""', ["catalog", "path of a file"]),
        ('basis = "  "', ["basis"]),
        ("[views]\nx = 1", ["views"]),
        ("views = maybe", ["mien.toml", "cannot be read", "line 1"]),
        ('catalog = "C:\\Users"', ["Windows path in single"]),
        ("views = 1\nviews = 2", ["cannot be read"]),
    ],
)
def test_a_wrong_file_is_named_with_what_is_allowed(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(AlbumError) as caught:
        loaded(tmp_path, text)
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "mien.toml").write_bytes("views = 1".encode("utf-16"))
    with pytest.raises(AlbumError, match=r"mien\.toml is not UTF-8"):
        load(tmp_path, {}, {})


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "mien.toml").mkdir()
    with pytest.raises(AlbumError, match=r"mien\.toml cannot be read"):
        load(tmp_path, {}, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# " + "x" * (1 << 20), "has more than 1 MB"),
        ("views = " + "[" * 100_000, "has lists in lists without end"),
    ],
)
def test_a_file_that_would_take_too_much_is_not_read(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "mien.toml").write_text(text)
    with pytest.raises(AlbumError, match=says):
        load(tmp_path, {}, {})


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mien.toml")
    with pytest.raises(AlbumError, match="is not a file"):
        load(tmp_path, {}, {})


def test_a_wrong_variable_or_flag_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'^views = "3" in the environment will not do: '):
        load(tmp_path, {}, {"MIEN_VIEWS": "3"})
    with pytest.raises(UsageError, match=r"^views = 3 on the command line will not do: "):
        load(tmp_path, {"views": 3}, {"MIEN_VIEWS": "1"})
    with pytest.raises(UsageError, match=r"^vews on the command line is no setting\. Did you mean views"):
        load(tmp_path, {"vews": 3}, {})


def test_a_variable_that_is_no_setting_is_left_alone_unless_it_looks_like_one(tmp_path: Path) -> None:
    assert load(tmp_path, {}, {"MIEN_PORT": "tcp://10.0.0.1:80", "MIEN_ALBUM": "x", "PATH": "/bin"}) == Settings()
    with pytest.raises(
        UsageError, match=r"^MIEN_PRECISON in the environment is no setting\. Did you mean MIEN_PRECISION"
    ):
        load(tmp_path, {}, {"MIEN_PRECISON": "int8"})


@settings(deadline=None)
@given(st.text().filter(lambda text: text.strip()))
def test_the_template_says_the_basis_whatever_it_is(basis: str) -> None:
    assert tomllib.loads(template(basis)) == {"basis": basis.encode("utf-8", "replace").decode()}


def test_the_template_survives_an_undecodable_command_line() -> None:
    assert tomllib.loads(template("caf\udce9")) == {"basis": "caf?"}


def test_every_commented_line_of_the_template_is_its_default(tmp_path: Path) -> None:
    text = template("personal").replace("\n# catalog", "\n## catalog").partition("# [")[0]
    lines = [line.removeprefix("# ") for line in text.splitlines() if " = " in line and not line.startswith("## ")]
    plain = [key for key in Settings.model_fields if key not in ("catalog", "server", "sources", "people")]
    assert [line.split(" = ")[0] for line in lines] == plain
    assert loaded(tmp_path, "\n".join(lines)) == Settings()


def test_the_tables_of_the_template_can_be_uncommented_as_they_are(tmp_path: Path) -> None:
    tables = "[" + template("personal").partition("# [")[2].replace("\n# ", "\n").replace("\nWh", "\n# Wh")
    settings = loaded(tmp_path, tables)
    assert settings.sources["club"].model_extra == {"path": "/where/the/photographers/put/them"}
    assert settings.server.port == 8000
    assert settings.sources["club"].licence == "own work"
    assert settings.people["Ada Example"].until == date(2027, 12, 31)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sources.a]\npath = 'x'", r"^sources.a.kind in .*mien.toml is missing\. kind: The kind of source: "),
        (
            "[sources.a]\nkind = 'folder'\nlimit = 0",
            "^sources.a.limit = 0 in .*mien.toml will not do: .* limit: New photos taken",
        ),
        (
            "[people.b]\nuntl = 2027-01-01\nuntil = 2027-01-01",
            r"^people.b.untl in .*mien.toml is no setting\. .* \[people.NAME\] are until\.",
        ),
        (
            '[people."Ada"]\nuntil = 2027-01-01\n[people."Ada\u200b"]\nuntil = 2028-01-01',
            r'^people = .* in .*mien.toml will not do: "Ada" and "Ada\\u200b" are one name\. people: ',
        ),
        (
            "[sources.a]\nkind = 'folder'\npeople = { 'Ada' = 'A', ' Ada' = 'B' }",
            r'^sources.a.people = .* will not do: "Ada" and " Ada" are one name',
        ),
        ("sources = 3", "^sources = 3 in .*mien.toml will not do: .* docs/collecting.md"),
    ],
)
def test_a_mistake_in_a_table_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AlbumError, match=message):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", 'encoder = "new"\n\n'),
        ('# encoder = "old"\n', 'encoder = "new"\n'),
        ('basis = "x"\nencoder="old" # mine\n', 'basis = "x"\nencoder = "new"  # mine\n'),
        ('basis = "x"\r\nencoder = "old"\r\n', 'basis = "x"\r\nencoder = "new"\r\n'),
        ('# [of my own]\nencoder = "old"\n', '# [of my own]\nencoder = "new"\n'),
        ('# encoder = "a"\nencoder = "b"\n', '# encoder = "a"\nencoder = "new"\n'),
        (
            'basis = "x"\n[sources.a]\nkind = "folder"\n',
            'basis = "x"\nencoder = "new"\n\n[sources.a]\nkind = "folder"\n',
        ),
    ],
)
def test_one_setting_can_be_changed_and_all_else_stays(text: str, changed: str) -> None:
    assert with_value(text, "encoder", "new") == changed


def test_the_template_can_be_changed() -> None:
    changed = tomllib.loads(with_value(template("personal"), "encoder", 'a "b"'))
    assert changed == {"basis": "personal", "encoder": 'a "b"'}


def test_a_text_that_hides_its_settings_is_not_changed() -> None:
    with pytest.raises(ValueError, match="encoder"):
        with_value('contact = """\nencoder = 1\n"""\n', "encoder", "new")
