"""people: who is in an album, and which photos of each."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Painted


def test_whoever_has_a_folder_or_is_known_is_listed(three_people: Painted) -> None:
    album = three_people.open()
    assert [(one.person, one.photos, one.basis, one.known) for one in album.people()] == [
        (name, 3, None, False) for name in ("Ada", "Bo", "Cy")
    ]
    album.train()
    for file in (three_people.training / "Ada").iterdir():
        file.unlink()
    (three_people.training / "Ada").rmdir()
    ada, bo, _ = three_people.open().people()
    assert (ada.person, ada.photos, ada.known) == ("Ada", 0, True)
    assert (bo.photos, bo.basis, bo.known) == (3, "painted squares", True) and bo.since is not None
    assert three_people.open().person("Freya") is None


def test_a_page_begins_after_a_name(three_people: Painted) -> None:
    album = three_people.open()
    assert [one.person for one in album.people(limit=2)] == ["Ada", "Bo"]
    assert [one.person for one in album.people("Bo", 2)] == ["Cy"]
    assert album.people("Cy") == ()


def test_two_spellings_are_one_person_and_their_last_day_is_told(painted: Painted) -> None:
    for form in ("NFC", "NFD"):
        painted.photo(f"{unicodedata.normalize(form, 'José')}/{form}.png", "Ada")
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write('\n[people."José"]\nuntil = 2040-01-31\n')
    (one,) = painted.open().people()
    assert (one.person, one.photos, one.until) == ("José", 2, date(2040, 1, 31))
    assert len(painted.open().photos_of(unicodedata.normalize("NFD", "José"))) == 2


def test_copies_are_one_photo(painted: Painted) -> None:
    first = painted.photo("Ada/1.png")
    (second := painted.training / "Ada/deep/2.png").parent.mkdir()
    second.write_bytes(first.read_bytes())
    for _ in range(2):  # before and after the catalog knows them
        (photo,) = painted.open().photos_of("Ada")
        assert photo.sha256 == hashlib.sha256(first.read_bytes()).hexdigest()
        assert set(photo.files) == {first, second}
        painted.open().align()
    assert painted.open().photo_ids() == {"Ada/1.png": photo.sha256, "Ada/deep/2.png": photo.sha256}
