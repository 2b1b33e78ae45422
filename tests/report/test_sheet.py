"""The contact sheet: everything is on it, nothing hostile gets through, and it is whole or not there."""

from __future__ import annotations

import os
import re
import stat
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from mien import Album
from mien.errors import PhotoError, StorageError, UsageError
from mien.report.sheet import GENERATOR, SIDE, Sheet
from mien.text.answers import AnswerKind
from mien.text.photos import PhotoFault
from mien.types import Answer, Box, Candidate, Face, Finding, NamedFace, Photo, Prediction, Quality

HOSTILE = "<script>alert(1)</script>\"'&\u202e"


def face(person: str | None, box: Box = (40, 40, 80, 90), reason: Finding | None = None) -> NamedFace:
    found = Face(box, np.zeros((5, 2), np.float32), 0.9, "told")
    prediction = Prediction(person, 0.97, 0.9, 0.8, (Candidate(person or "Ada", 0.97, 0.9),), reason)
    return NamedFace(found, Quality(40, 1, 1, 1, 1), prediction)


def photo(folder: Path, name: str, *faces: NamedFace, size: tuple[int, int] = (400, 300)) -> Answer:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "teal").save(folder / name, "PNG")
    return Answer(str(folder / name), "m1", Photo("0" * 64, *size, "PNG", "5a" * 8), faces, None)


def sheet(target: Path, *answers: Answer) -> str:
    with Sheet(target, "m1") as made:
        for answer in answers:
            made.add(answer, answer.path)
        size = made.finish()
    assert target.stat().st_size == size
    return target.read_text("utf-8")


class _Page(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, name: str) -> list[str]:
        return [attrs[name] for each, attrs in self.tags if each == tag and name in attrs]


def test_a_sheet_shows_who_is_where_and_what_could_not_be_read(tmp_path: Path) -> None:
    small, nearly = Finding(AnswerKind.TOO_SMALL, figures={"size": 12}), Finding(AnswerKind.NEARLY, ("Bo",))
    broken = Answer(str(tmp_path / "broken.jpg"), "m1", None, (), PhotoError("broken.jpg", PhotoFault.EMPTY))
    text = sheet(
        tmp_path / "out/sheet.html",
        photo(tmp_path, "a.png", face("Ada"), face("Bo", (120, 40, 160, 90)), face(None, (240, 40, 280, 90))),
        photo(tmp_path, "b.png", face("Ada"), face(None, (120, 40, 140, 60), small), size=(300, 400)),
        photo(tmp_path, "c.png", face(None, reason=nearly)),
        photo(tmp_path, "d.png"),
        broken,
    )
    page = _Page(text)
    said = " ".join(page.text.split())
    assert "Who is in 5 photos" in said and "6 faces, 3 of them named: 2 people. 1 photo could not be read." in said
    for chip in ("all 5", "in doubt 1", "strangers 1", "no face 1", "not readable 1", "Ada 2", "Bo 1"):
        assert chip in said
    assert "1 Ada 97 %" in said and "2 Bo 97 %" in said and "Bo?" in said, "who is where"
    assert "1 too small" in said and "1 unknown" in said and "no face found" in said
    assert "It is empty." in said, "and why"
    groups = [attrs["class"].split() for tag, attrs in page.tags if tag == "li" and "class" in attrs]
    assert ["p0", "p1", "nobody"] in groups and ["p0"] in groups and ["unreadable"] in groups
    assert "#p0:target ~ main .cards > li:not(.p0) { display: none; }" in text, "filtered without any script"
    assert set(re.findall(r'href="#([^"]*)"', text)) <= set(page.all("i", "id"))
    assert max(map(int, page.all("img", "width") + page.all("img", "height"))) == SIDE


def test_a_sheet_links_to_its_photos_and_asks_nobody_for_anything(tmp_path: Path) -> None:
    page = _Page(sheet(tmp_path / "out/sheet.html", photo(tmp_path / "in é#?%", "a b.png", face("Ada"))))
    (link,) = [href for href in page.all("a", "href") if not href.startswith("#")]
    assert (tmp_path / "out" / unquote(link)).resolve() == (tmp_path / "in é#?%/a b.png").resolve()
    assert re.fullmatch(r"[A-Za-z0-9_.~/%-]+", link)
    assert all(src.startswith("data:image/jpeg;base64,") for src in page.all("img", "src"))
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    (policy,) = [attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not re.search(r"url\(|@import|https?://", (tmp_path / "out/sheet.html").read_text("utf-8"))


def test_hostile_names_are_shown_and_do_nothing(tmp_path: Path) -> None:
    names = [HOSTILE, "</style><b>", "a" * 300, "\x1b[31m", "عائشة"]
    answers = [photo(tmp_path, f"{number}.png", face(name)) for number, name in enumerate(names)]
    if sys.platform == "linux":
        answers += [photo(tmp_path, name, face("Ada")) for name in ('<b>".png', "\udcff.png", "new\nline.png")]
    text = sheet(tmp_path / "sheet.html", *answers)
    page = _Page(text)
    assert "script" not in {tag for tag, _ in page.tags} and text.count("<b>") == 0
    assert "<script>alert(1)</script>" in page.text, "as text"
    assert "\u202e" not in text and "\x1b" not in text
    assert text.count("<style>") == text.count("</style>") == 2


def test_photos_that_are_no_files_and_those_that_are_gone_are_on_it_too(tmp_path: Path) -> None:
    gone = photo(tmp_path, "gone.png", face("Ada"))
    (tmp_path / "gone.png").unlink()
    with Sheet(tmp_path / "sheet.html", "m1") as made:
        made.add(gone, gone.path)
        pixels = np.zeros((300, 400, 3), np.uint8)
        made.add(Answer("image 1", "m1", gone.photo, gone.faces, None, ("Ada",)), pixels)
        made.finish()
    page = _Page((tmp_path / "sheet.html").read_text("utf-8"))
    assert len(page.all("img", "src")) == 1 and "no picture" in page.text
    assert len([href for href in page.all("a", "href") if not href.startswith("#")]) == 1
    assert "the model learned from this photo" in page.text


def test_badges_cover_no_face_in_a_crowd(tmp_path: Path) -> None:
    crowd = [face("Ada", (x, y, x + 18, y + 22)) for y in range(10, 180, 30) for x in range(10, 280, 30)]
    page = _Page(sheet(tmp_path / "sheet.html", photo(tmp_path, "a.png", *crowd)))
    rects = [attrs for tag, attrs in page.tags if tag == "rect"]

    def box(attrs: dict[str, str]) -> tuple[float, ...]:
        x, y, width, height = (float(attrs[side]) for side in ("x", "y", "width", "height"))
        return x, y, x + width, y + height

    faces = [box(one) for one in rects if "class" not in one]
    assert len(faces) == len(crowd)
    for one in (box(one) for one in rects if one.get("class") == "badge"):
        assert not any(
            one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3] for other in faces
        )


# Where it is written


def test_a_sheet_is_whole_or_not_there_and_its_owners_alone(tmp_path: Path) -> None:
    answer = photo(tmp_path, "a.png", face("Ada"))
    before = sheet(tmp_path / "out/sheet.html", answer)
    if os.name != "nt":
        assert stat.S_IMODE((tmp_path / "out/sheet.html").stat().st_mode) == 0o600
    with pytest.raises(KeyboardInterrupt), Sheet(tmp_path / "out/sheet.html", "m1") as made:
        made.add(answer, answer.path)
        raise KeyboardInterrupt
    assert (tmp_path / "out/sheet.html").read_text("utf-8") == before
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["sheet.html"], "nothing is left beside it"
    assert "Who is in 2 photos" in sheet(tmp_path / "out/sheet.html", answer, answer), "it is replaced"


def test_nothing_but_a_sheet_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "own.html").write_text("<title>my page</title>")
    for name, what in (("own.html", "is there already"), ("a.jpg", "does not end in .html"), (".", "is a folder")):
        with pytest.raises(UsageError, match=re.escape(what)):
            Sheet(tmp_path / name, "m1")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        Sheet(tmp_path / "file/sheet.html", "m1")
    assert GENERATOR not in (tmp_path / "own.html").read_text()


def test_no_sheet_lies_in_a_folder_of_an_album(tmp_path: Path) -> None:
    Album.create(tmp_path / "club", "consent")
    for place in ("training-images/Ada", "2026-05-01-training-images", "models"):
        with pytest.raises(UsageError, match="keeps for itself"):
            Sheet(tmp_path / "club" / place / "sheet.html", "m1")
    Sheet(tmp_path / "club/sheet.html", "m1").__exit__(None, None, None)
