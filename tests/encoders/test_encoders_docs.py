"""docs/encoders.md against the descriptions that there are, and those that it tells users to write."""

from __future__ import annotations

import re
from pathlib import Path

from mien.encoders.description import Description, EncoderFile, parse
from mien.encoders.shelf import known

PAGE = (Path(__file__).resolve().parents[2] / "docs/encoders.md").read_text("utf-8")


def test_the_description_to_begin_with_is_one() -> None:
    block = PAGE.partition("```toml\n")[2].partition("```")[0]
    assert parse(block, "the page").dimensions == 512
    assert len([line for line in block.splitlines() if line]) == 11  # ten keys and the head of a table


def test_every_key_is_explained() -> None:
    table = PAGE.partition("| key | what it says |")[2].partition("\n\n")[0]
    explained = set(re.findall(r"`\[*([a-z_0-9]+)\]*`", " ".join(row.split("|")[1] for row in table.splitlines()[2:])))
    assert explained == {*Description.model_fields, *EncoderFile.model_fields}


def test_every_known_encoder_is_listed_as_it_is() -> None:
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", PAGE.partition("### Figures")[0], re.MULTILINE))
    assert {*rows} == {*known()}
    for name, row in rows.items():
        licence, commercial, _, files, numbers = row.split(" | ")
        one = known()[name]
        assert (commercial, numbers) == ("yes" if one.commercial else "no", str(one.dimensions))
        assert licence == one.licence or " " in licence
        if one.bytes:
            assert files == f"{one.bytes / 1e6:.1f} MB"
        elif one.files and "export" not in files:
            assert f"`{one.files[0].name}`" in files
