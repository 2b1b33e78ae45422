"""Paths of what a store lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.storage.photo_store import file_at


@pytest.mark.parametrize("path", ["1.jpg", "a/b/1.jpg", "..jpg", "a\x07.jpg"])
def test_the_file_that_is_listed(path: str) -> None:
    assert file_at(Path("/album/Ada"), path) == Path("/album/Ada", path)


@pytest.mark.parametrize(
    "path", ["", "/", ".", "..", "/etc/passwd", "//etc/passwd", "../Bo/1.jpg", "a/../1.jpg", "a//1.jpg", "a/./1", "a/"]
)
def test_what_is_no_path_of_a_file_below(path: str) -> None:
    assert file_at(Path("/album/Ada"), path) is None
