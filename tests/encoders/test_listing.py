"""Which encoders there are, and what a better one would bring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mien import Album, add_encoder, list_encoders
from mien.encoders import shelf
from mien.encoders.description import Description
from mien.encoders.listing import advice
from mien.encoders.shelf import all_kept, best, keep, kept, known
from mien.errors import EncoderError

if TYPE_CHECKING:
    from conftest import TinyEncoder


def retail(folder: Path | None = None) -> None:
    """Puts something in the place of retail-0095."""
    keep(known()["retail-0095"], {"fp32": b"a network"}, folder)


def test_known_ones_are_listed_with_what_they_need(home: Path) -> None:
    found = {one.name: one for one in list_encoders()}
    assert [*found][:3] == ["retail-0095", "dlib-resnet", "adaface"] and {*found} == {*known()}
    assert found["dlib-resnet"].here == "built in" and found["dlib-resnet"].precisions == ("fp32", "int8")
    assert (found["retail-0095"].here, found["retail-0095"].bytes) == ("no", 2_564_055)
    assert found["retail-0095"].add == "mien encoders add retail-0095"
    assert found["auraface"].add == "mien encoders add auraface --from glintr100.onnx"
    assert not home.exists()


def test_a_users_own_is_listed_and_a_damaged_one_too(tiny: Callable[..., TinyEncoder], home: Path) -> None:
    add_encoder(tiny().toml)
    retail()
    listed = {one.name: one for one in list_encoders(chosen="tiny", in_use="dlib-resnet")}
    assert (listed["tiny"].here, listed["tiny"].chosen, listed["tiny"].in_use) == ("added", True, False)
    assert listed["dlib-resnet"].in_use and listed["retail-0095"].here == "added"
    for name in ("tiny", "retail-0095"):
        (home / name / "encoder.json").write_text("{}")
    listed = {one.name: one for one in list_encoders()}
    assert (listed["tiny"].here, listed["tiny"].description, listed["tiny"].add) == ("damaged", None, "")
    assert listed["retail-0095"].here == "damaged" and listed["retail-0095"].add == "mien encoders add retail-0095"
    assert [one.to_json()["here"] for one in list_encoders()][:2] == ["damaged", "built in"]
    assert [one.name for one in all_kept()] == ["dlib-resnet"]


def test_what_a_release_brings_along_is_there(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "_bundled", lambda: tmp_path / "package")
    retail(tmp_path / "package")
    assert next(iter(list_encoders())).here == "in the package"
    assert best().name == "retail-0095" and kept("retail-0095").network("fp32").read() == b"a network"
    retail()
    assert next(iter(list_encoders())).here == "added"  # which goes before


def test_the_best_one_is_taken_that_is_sound(home: Path) -> None:
    assert best().name == "dlib-resnet"
    retail()
    assert best().name == "retail-0095"
    (home / "retail-0095/encoder.json").write_text("{}")
    assert best().name == "dlib-resnet"
    with pytest.raises(EncoderError, match="is not what it was when it was added"):
        kept("retail-0095")


def test_advice_is_for_albums_with_the_built_in_encoder(home: Path) -> None:
    before, after = advice("dlib-resnet", Path("a b")), None
    retail()
    after = advice("dlib-resnet", Path("a b"))
    assert before and before.remedy == "Add it: mien encoders add retail-0095"
    assert after and after.remedy == "Use it: mien -C 'a b' train --encoder retail-0095"
    assert advice("retail-0095", None) is None and advice("tiny", None) is None


@pytest.mark.parametrize("one", known().values(), ids=known())
def test_every_entry_says_what_a_user_must_know(one: Description) -> None:
    assert one.title and one.licence and one.origin.startswith("https://")
    assert one.trained_on or one.note
    assert all(file.url.startswith("https://") for file in one.files if file.url)
    assert all(bool(file.url) == bool(file.sha256) == bool(file.bytes) for file in one.files)


def test_a_new_album_takes_the_encoder_that_is_named(home: Path, tmp_path: Path) -> None:
    assert Album.create(tmp_path / "one", "x", "dlib-resnet").settings.encoder == "dlib-resnet"
    with pytest.raises(EncoderError, match="is not on this machine"):
        Album.create(tmp_path / "two", "x", "retail-0095")
    assert not (tmp_path / "two").exists()


def test_a_kill_while_an_encoder_is_replaced_loses_nothing(tiny: Callable[..., TinyEncoder], home: Path) -> None:
    """Killed between the two renames, old and new both lie aside."""
    add_encoder(tiny().toml)
    before = kept("tiny").network("fp32").sha256
    (home / "tiny").rename(home / ".mien-old-tiny")
    with shelf.at_work("test"):
        pass
    assert kept("tiny").network("fp32").sha256 == before
    assert not (home / ".mien-old-tiny").exists()


def test_a_damaged_encoder_of_ones_own_is_added_again_by_its_description(
    tiny: Callable[..., TinyEncoder], home: Path
) -> None:
    add_encoder(tiny().toml)
    (home / "tiny/fp32.onnx").write_bytes(b"x")
    with pytest.raises(EncoderError, match=r"Add it again: mien encoders add tiny\.toml"):
        kept("tiny").network("fp32").read()


@pytest.mark.parametrize(
    "points", [[[1, 1]] * 5, [[1, 1], [2, 1], [3, 1], [1, 1], [3, 1]], [[0, 0], [400, 400]] * 2 + [[1, 9]]]
)
def test_a_template_must_be_a_face(tiny: Callable[..., TinyEncoder], home: Path, points: list[list[int]]) -> None:
    one = tiny(template=points)
    with pytest.raises(EncoderError, match="the points of its template must lie"):
        add_encoder(one.toml)
