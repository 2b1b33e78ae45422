from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from mien import Album
from mien.errors import PhotoError, StorageError, UsageError
from mien.protocols import Silent
from mien.stages.annotate import LIST, SIDE, annotate, label, plan_copies
from mien.text.answers import AnswerKind
from mien.text.photos import PhotoFault
from mien.types import Answer, Candidate, Face, Finding, NamedFace, Photo, Prediction, Quality
from mien.vision import fonts
from mien.vision.drawing import DOUBTFUL, NAMED, TOO_POOR, UNKNOWN

if TYPE_CHECKING:
    from conftest import Painted
    from mien.types import Box


def named(box: Box, person: str | None, probability: float = 0.97, reason: Finding | None = None) -> NamedFace:
    face = Face(box, np.zeros((5, 2), np.float32), 0.9, "told")
    candidate = Candidate(person or "Ada", probability, 0.9)
    return NamedFace(face, Quality(1, 1, 1, 1, 1), Prediction(person, probability, 0.9, 0.8, (candidate,), reason))


def answer(file: Path, *faces: NamedFace, error: PhotoError | None = None) -> Answer:
    return Answer(str(file), "m", None if error else Photo("0" * 64, 100, 100, "PNG", "5a" * 8), faces, error)


def test_boxes_are_drawn_where_the_faces_are_and_the_photo_stays(tmp_path: Path) -> None:
    Image.new("RGB", (400, 300), "white").save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    faces = named((50, 40, 150, 140), "Ada"), named((250, 40, 350, 140), None)
    assert annotate(answer(tmp_path / "a.png", *faces), tmp_path / "a.png", tmp_path / "out/a.png.jpg")
    with Image.open(tmp_path / "out/a.png.jpg") as copy:
        assert (copy.format, copy.size) == ("JPEG", (400, 300))
        pixels = np.asarray(copy).astype(int)
    assert np.abs(pixels[90, 50] - NAMED).max() < 30
    assert np.abs(pixels[90, 250] - UNKNOWN).max() < 30
    assert pixels[90, 200].min() > 240 and pixels[90, 100].min() > 240
    assert (tmp_path / "a.png").read_bytes() == before


def test_a_large_photo_gets_a_smaller_copy_with_the_box_in_its_place(tmp_path: Path) -> None:
    wide = 3 * SIDE
    Image.new("RGB", (wide, 300), "white").save(tmp_path / "a.png")
    found = answer(tmp_path / "a.png", named((wide / 2, 60, wide - 300, 240), "Ada"))
    assert annotate(found, tmp_path / "a.png", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as copy:
        assert copy.size == (SIDE, 100)
        green = np.abs(np.asarray(copy).astype(int) - NAMED).max(axis=2) < 30
    assert np.flatnonzero(green[50]).min() == pytest.approx(SIDE / 2, abs=6)


def test_what_cannot_be_read_gets_no_copy(tmp_path: Path) -> None:
    error = PhotoError("a.png", PhotoFault.EMPTY)
    assert not annotate(answer(tmp_path / "a.png", error=error), tmp_path / "a.png", tmp_path / "b.jpg")
    assert not annotate(answer(tmp_path / "gone.png"), tmp_path / "gone.png", tmp_path / "b.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_label_says_who_and_how_sure() -> None:
    assert label(named((0, 0, 1, 1), "Ada", 0.972)) == ("Ada", "97 %")
    assert label(named((0, 0, 1, 1), "Ada", 0.9999)) == ("Ada", ">99 %"), "nothing is certain"
    assert label(named((0, 0, 1, 1), None)) == ("unknown", "")
    reasons = (
        (Finding(AnswerKind.NOBODY), "unknown"),
        (Finding(AnswerKind.TOO_SMALL, figures={"size": 12}), "too small"),
        (Finding(AnswerKind.TOO_BLURRED), "too blurred"),
        (Finding(AnswerKind.BETWEEN, ("Ada", "Bo")), "Ada or Bo?"),
        (Finding(AnswerKind.NEARLY, ("Ada",)), "Ada?"),
    )
    for reason, words in reasons:
        assert label(named((0, 0, 1, 1), None, reason=reason)) == (words, "")
    assert label(named((0, 0, 1, 1), "Ada", 0.6, Finding(AnswerKind.BARELY, ("Ada",)))) == ("Ada", "60 %?")


def test_each_reason_has_its_colour(tmp_path: Path) -> None:
    Image.new("RGB", (400, 300), "white").save(tmp_path / "a.png")
    small, between = Finding(AnswerKind.TOO_SMALL, figures={"size": 12}), Finding(AnswerKind.BETWEEN, ("Ada", "Bo"))
    faces = named((50, 40, 150, 140), None, reason=small), named((250, 40, 350, 140), None, reason=between)
    assert annotate(answer(tmp_path / "a.png", *faces), tmp_path / "a.png", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as copy:
        pixels = np.asarray(copy).astype(int)
    assert np.abs(pixels[90, 50] - TOO_POOR).max() < 30
    assert np.abs(pixels[90, 250] - DOUBTFUL).max() < 45, "as JPEG shows it"


# What the photo's file says


ARTIST = "© Adélaïde"
"""As cameras write it, in UTF-8, which Pillow takes for Latin-1."""


def file_with_everything(tmp_path: Path, name: str, orientation: int = 1, mode: str = "RGB") -> Path:
    """A photo whose file tells who took it, where, and whose it is, in every way that its format knows."""
    exif = Image.Exif()
    exif.update({0x0112: orientation, 0x013B: ARTIST.encode(), 0x8298: "(c) Ada", 0x0111: 8})
    exif.get_ifd(0x8769).update({0x9003: "2026:05:01 10:00:00", 0xA002: 9999, 0x927C: b"maker"})
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="%d">kept</a></x:xmpmeta>' % orientation
    options: dict[str, Any] = {"exif": exif, "icc_profile": profile}
    if name.endswith(".jpg"):
        iptc = b"\x1c\x02\x74\x00\x07(c) Ada"
        thumbnail = b"8BIM\x04\x0c\0\0" + (4).to_bytes(4, "big") + b"jpeg"
        block = b"Photoshop 3.0\0" + thumbnail + b"8BIM\x04\x04\0\0" + len(iptc).to_bytes(4, "big") + iptc
        extra = b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block
        options |= {"xmp": xmp, "extra": extra}
    elif name.endswith(".webp"):
        options |= {"xmp": xmp}
    file = tmp_path / name
    Image.new(mode, (400, 300), "white").save(file, **options)
    return file


def loaded(file: Path) -> Image.Image:
    with Image.open(file) as image:
        image.load()
        return image


def copied(file: Path, tmp_path: Path, *faces: NamedFace) -> Image.Image:
    assert annotate(answer(file, *faces), file, tmp_path / "copy.jpg")
    return loaded(tmp_path / "copy.jpg")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_a_copy_tells_whose_the_photo_is_as_the_photo_does(tmp_path: Path, name: str) -> None:
    file = file_with_everything(tmp_path, name)
    copy = copied(file, tmp_path)
    exif = copy.getexif()
    assert (exif[0x013B].encode("latin-1").decode(), exif[0x8298]) == (ARTIST, "(c) Ada")
    assert 0xA002 not in exif.get_ifd(0x8769) and 0x0111 not in exif, "what is true of the old file alone"
    if not name.endswith(".tif"):  # where Pillow writes none of these
        assert exif.get_ifd(0x8769)[0x9003] == "2026:05:01 10:00:00"
        assert exif.get_ifd(0x8825)[2] == (52.0, 31.0, 12.0)
    assert copy.info["icc_profile"] == loaded(file).info["icc_profile"]
    if name.endswith((".jpg", ".webp")):
        assert b">kept<" in copy.info["xmp"]
    if name.endswith(".jpg"):
        assert copy.info["photoshop"] == {0x0404: b"\x1c\x02\x74\x00\x07(c) Ada"}, "and no preview of the old one"


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_copy_is_upright_and_says_so(tmp_path: Path, orientation: int) -> None:
    copy = copied(file_with_everything(tmp_path, "a.jpg", orientation), tmp_path)
    assert copy.size == ((300, 400) if orientation >= 5 else (400, 300))
    assert copy.getexif()[0x0112] == 1
    assert b'tiff:Orientation="1"' in copy.info["xmp"]


@pytest.mark.parametrize("mode", ["L", "CMYK", "I;16", "RGBA", "LA", "P"])
def test_a_copy_of_any_pixels_is_rgb_and_has_no_profile_of_others(tmp_path: Path, mode: str) -> None:
    file = tmp_path / "a.tif"
    grey = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.new(mode, (400, 300)).save(file, icc_profile=grey)
    copy = copied(file, tmp_path, named((50, 40, 150, 140), "Ada"))
    assert copy.mode == "RGB" and "icc_profile" not in copy.info


def test_what_is_too_much_or_broken_is_left_out_and_the_rest_stays(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x8298] = "(c) Ada"
    exif.get_ifd(0x8769)[0x9003] = "2026:05:01 10:00:00"
    exif.get_ifd(0x8769)[0x927C] = b"x" * 66_000
    Image.new("RGB", (40, 30)).save(tmp_path / "large.webp", exif=exif)
    kept = copied(tmp_path / "large.webp", tmp_path).getexif()
    assert kept[0x8298] == "(c) Ada" and list(kept.get_ifd(0x8769)) == [0x9003]
    Image.new("RGB", (40, 30)).save(tmp_path / "broken.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert not copied(tmp_path / "broken.jpg", tmp_path).getexif()


def test_photos_that_are_no_files_have_copies_too(tmp_path: Path) -> None:
    file = file_with_everything(tmp_path, "a.jpg", 6)
    for photo in (file.read_bytes(), loaded(file), np.zeros((40, 30, 3), np.uint8)):
        assert annotate(answer(file), photo, tmp_path / "copy.jpg")
        exif = loaded(tmp_path / "copy.jpg").getexif()
        assert exif.get(0x8298) == (None if isinstance(photo, np.ndarray) else "(c) Ada")


# Where the copies go


def test_every_photo_has_a_copy_of_its_own(tmp_path: Path) -> None:
    photos = ["x/a.jpg", "x/a.png", "x/a.png.jpg", "y/a.jpg", "y/A.JPG", "z/a-2.jpg", "z/b/a.jpg"]
    relative = ["a.jpg", "a.png", "a.png.jpg", "a.jpg", "A.JPG", "a-2.jpg", "b/a.jpg"]
    copies = plan_copies(tmp_path, [(Path(one), Path(other)) for one, other in zip(photos, relative, strict=True)])
    assert list(copies) == [Path(photo) for photo in photos]
    placed = [copy.relative_to(tmp_path).as_posix() for copy in copies.values()]
    assert placed == ["a.jpg", "a.png.jpg", "a.png-2.jpg", "a-2.jpg", "A-3.JPG", "a-2-2.jpg", "b/a.jpg"]
    assert len({name.casefold() for name in placed}) == len(placed)


def test_only_copies_are_ever_replaced(tmp_path: Path) -> None:
    photos = [(Path("in/a.jpg"), Path("a.jpg")), (Path("in/b.jpg"), Path("b.jpg"))]
    for copy in plan_copies(tmp_path / "out", photos).values():
        copy.write_bytes(b"a copy")
    assert len(plan_copies(tmp_path / "out", photos)) == 2, "an earlier run made them"
    (tmp_path / "out/c.jpg").write_bytes(b"the user's own")
    with pytest.raises(UsageError, match=r"c\.jpg is there already, and mien did not make it\. Name another folder\.$"):
        plan_copies(tmp_path / "out", [*photos, (Path("in/c.jpg"), Path("c.jpg"))])
    assert json.loads((tmp_path / "out" / LIST).read_bytes()) == ["a.jpg", "b.jpg"]
    (tmp_path / "out" / LIST).write_bytes(b"damaged")
    with pytest.raises(UsageError):
        plan_copies(tmp_path / "out", photos)


@pytest.mark.skipif(sys.platform != "linux", reason="only there can a name be any bytes")
@pytest.mark.parametrize("name", ["line\nbreak.jpg", "bytes\udcff.jpg", "naïve.jpg"])
def test_odd_names_are_known_again(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        (copy,) = plan_copies(tmp_path, [(Path("in", name), Path(name))]).values()
        copy.write_bytes(b"a copy")


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(StorageError):
        plan_copies(tmp_path / "out", [(Path("a.jpg"), Path("a.jpg"))])


def test_classify_never_draws_over_a_photo(taught: Painted, tmp_path: Path) -> None:
    with Image.open(taught.paint(tmp_path / "in/a.png", "Ada", "Stranger")) as image:
        image.save(tmp_path / "in/a.jpg", quality=95)
    (tmp_path / "in/a.png").unlink()
    before = (tmp_path / "in/a.jpg").read_bytes()
    for photos in (tmp_path / "in", tmp_path / "in/a.jpg"):
        with pytest.raises(UsageError, match="mien did not make it"):
            taught.open().classify(photos, annotate=tmp_path / "in")
    assert [file.name for file in (tmp_path / "in").iterdir()] == ["a.jpg"]
    for _ in range(2):
        (found,) = taught.open().classify(tmp_path / "in", annotate=tmp_path / "out")
        assert [face.prediction.person for face in found.faces] == ["Ada", None]
    assert (tmp_path / "in/a.jpg").read_bytes() == before
    assert (tmp_path / "out/a.jpg").is_file()


def test_a_folder_among_the_photos_holds_copies_that_nobody_asks_about(taught: Painted, tmp_path: Path) -> None:
    taught.paint(tmp_path / "in/a.png", "Ada")
    for _ in range(2):
        (found,) = taught.open().classify(tmp_path / "in", annotate=tmp_path / "in/named")
        assert found.path == str(tmp_path / "in/a.png")
    assert (tmp_path / "in/named/a.png.jpg").is_file()


@pytest.mark.parametrize(
    "target",
    [
        "training-images",
        "training-images/Ada/out",
        "2026-05-01-training-images/Ada",
        "removed-images",
        "aligned-images/Ada",
        "models",
        ".mien/out",
        "out/../training-images/Ada",
        "way in/Ada",
    ],
)
@pytest.mark.parametrize("other", [False, True])
def test_no_copy_lies_where_an_album_learns_from(
    three_people: Painted, tmp_path: Path, target: str, other: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the album that is used, and of any other above the folder, by relative paths and by links."""
    album = tmp_path / "other" if other else three_people.folder
    if other:
        Album.create(album, "consent")
    (album / "way in").symlink_to(album / "training-images", target_is_directory=True)
    monkeypatch.chdir(album)
    for folder in (album / target, Path(target), Path("..", album.name, target)):
        with pytest.raises(UsageError, match="keeps for itself"):
            plan_copies(folder, [(Path("a.jpg"), Path("a.jpg"))], three_people.folder)
    plan_copies(album / "out", [(Path("a.jpg"), Path("a.jpg"))], three_people.folder)


def test_photos_on_another_disk_are_an_albums_too(three_people: Painted, tmp_path: Path) -> None:
    (three_people.folder / "training-images").rename(tmp_path / "disk")
    (three_people.folder / "training-images").symlink_to(tmp_path / "disk", target_is_directory=True)
    with pytest.raises(UsageError, match="keeps for itself"):
        plan_copies(tmp_path / "disk/Ada", [(Path("a.jpg"), Path("a.jpg"))], three_people.folder)


def test_names_that_no_font_has_are_told_of_once(
    taught: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught.paint(tmp_path / "in/a.png", "Ada")
    monkeypatch.setattr(fonts, "_has", lambda file, letter: letter != "y")
    notes: list[str] = []
    heard = Silent()
    monkeypatch.setattr(Silent, "note", lambda _, text: notes.append(text))
    list(taught.open(progress=heard).classify(tmp_path / "in", annotate=tmp_path / "out"))
    assert [text for text in notes if "font" in text] == [
        "No font here has all letters of 1 name, such as Cy: boxes stand for them on the copies, beside the number of"
        " the face. Install a font that has them, such as Noto Sans."
    ]
