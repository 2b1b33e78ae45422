"""What a photo from elsewhere is called in the album: `mien.storage.photo_names`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.storage.photo_names import _ENDINGS, photo_name
from mien.text.names import LONGEST_NAME
from mien.text.photos import FileType
from mien.vision.sniff import kind_of_name


@pytest.mark.parametrize(
    ("name", "fmt", "expected"),
    [
        ("a.jpg", "JPEG", "a.jpg"),
        ("IMG.JPEG", "JPEG", "IMG.JPEG"),
        ("a.png", "JPEG", "a.jpg"),
        ("J. Smith", "PNG", "J. Smith.png"),
        ("a.jpg?w=620", "JPEG", "a.jpg"),
        ("image?id=3", "JPEG", "image_id=3.jpg"),
        ("../../etc/passwd", "JPEG", "passwd.jpg"),
        ("..\\..\\boot.ini", "JPEG", "boot.ini.jpg"),
        ("C:\\a.jpg", "JPEG", "a.jpg"),
        ("C:a.jpg", "JPEG", "C_a.jpg"),
        ("con.jpg", "JPEG", "_con.jpg"),
        ("NUL", "GIF", "_NUL.gif"),
        (".htaccess", "JPEG", "htaccess.jpg"),
        (".jpg", "JPEG", "jpg.jpg"),
        ("a .jpg", "JPEG", "a.jpg"),
        ("a.mp4", "JPEG", "a.jpg"),
        ("...", "JPEG", "photo.jpg"),
        ("", "JPEG", "photo.jpg"),
        ("a/", "JPEG", "photo.jpg"),
        ("a\0b\n.jpg", "JPEG", "a_b_.jpg"),
        ("x.jpg\u202egnp.exe", "JPEG", "x.jpg_gnp.exe.jpg"),
        ("e\u0301.jpg", "JPEG", "é.jpg"),
    ],
)
def test_names_are_made_fit_for_every_system(name: str, fmt: str, expected: str) -> None:
    assert photo_name(name, fmt) == expected


@given(st.text(max_size=300), st.sampled_from(sorted(_ENDINGS)))
def test_every_name_is_fit(name: str, fmt: str) -> None:
    fit = photo_name(name, fmt)
    assert len(fit.encode()) <= LONGEST_NAME
    assert not set(fit) & set('/\\<>:"|?*\0') and not fit.startswith(".") and fit.isprintable()
    assert fit.rpartition(".")[2].lower() in _ENDINGS[fmt]
    assert photo_name(fit, fmt) == fit
    assert kind_of_name(fit) == "photo"


def test_every_format_has_an_ending() -> None:
    assert set(_ENDINGS) == {one.value for one in FileType if one.fault is None}
