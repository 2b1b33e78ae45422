"""The first key of a server, and what is said where no key may change the album."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.album import Album
from mien.cli.serving import make_first_key


def told(album: Album, capsys: pytest.CaptureFixture[str]) -> str:
    with album.access() as access:
        make_first_key(access)
    said = capsys.readouterr()
    return said.out + said.err


def test_a_key_is_made_where_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    album = Album.create(tmp_path / "club")
    assert "The first key" in told(album, capsys)
    assert told(album, capsys) == ""


@pytest.mark.parametrize("scope", ["classify", "review", "revoked"])
def test_where_no_key_may_change_the_album_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scope: str
) -> None:
    album = Album.create(tmp_path / "club")
    album.add_key("desk", "admin" if scope == "revoked" else scope)
    if scope == "revoked":
        album.revoke_key("desk")
    assert told(album, capsys) == "No key may change the album: mien keys add NAME --scope admin makes one.\n"
    album.add_key("boss", "admin")
    assert told(album, capsys) == ""
