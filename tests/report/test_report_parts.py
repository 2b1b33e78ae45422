"""The small parts of the report: shares and their differences, words and numbers, thumbnails."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from PIL import Image

from mien.learning.figures import Share
from mien.report.data import difference
from mien.report.environment import environment
from mien.report.filters import LONGEST, level, per_hundred, percent, points, score
from mien.text.words import count
from mien.types import Face, Photo, Picture, Pixels
from mien.vision.geometry import turn_points
from mien.vision.thumbnail import SIDE, thumbnail

NBSP = "\u00a0"


def written(template: str, text: str) -> str:
    """What a template writes of `text`."""
    macros = '{% from "macros.html" import name, path %}'
    return environment().from_string(macros + template).render(text=text)


def test_a_share_of_nothing_has_no_value_and_could_be_anything() -> None:
    assert Share(0, 0).value is None
    assert (Share(0, 0).low, Share(0, 0).high) == (0.0, 1.0)


def test_the_difference_of_two_shares_is_newcombes() -> None:
    """His table II, case (a): 56/70 against 48/80, method 10."""
    found = difference(Share(48, 80), Share(56, 70))
    assert found is not None
    assert np.round(found, 4).tolist() == [0.2, 0.0524, 0.3339]
    assert difference(Share(0, 0), Share(1, 2)) is None is difference(Share(1, 2), Share(0, 0))


@given(st.integers(1, 500), st.integers(1, 500), st.data())
def test_a_difference_lies_in_its_interval_and_turns_round(m: int, n: int, data: st.DataObject) -> None:
    a, b = Share(data.draw(st.integers(0, m)), m), Share(data.draw(st.integers(0, n)), n)
    there, back = difference(a, b), difference(b, a)
    assert there is not None and back is not None
    assert there[1] <= there[0] <= there[2]
    assert there == pytest.approx((-back[0], -back[2], -back[1]), abs=1e-12)


@pytest.mark.parametrize(
    ("share", "written"),
    [(0.993, "99.3"), (0.0, "0"), (1.0, "100"), (0.0004, "<0.1"), (0.9996, ">99.9"), (0.5, "50.0")],
)
def test_only_nothing_is_0_and_only_all_is_100(share: float, written: str) -> None:
    assert (percent(share), per_hundred(share)) == (f"{written}{NBSP}%", written)


def test_numbers_have_sensible_digits() -> None:
    assert (percent(None), percent(math.nan), score(-math.inf)) == ("–", "–", "–")
    assert (level(0.01), level(0.001)) == (f"1{NBSP}%", f"0.1{NBSP}%")
    assert [points(x) for x in (0.004, -0.012, -0.0001, 0.0)] == ["+0.4", "−1.2", "0.0", "0.0"]
    assert (score(0.94051), score(-0.2)) == ("0.941", "−0.200")
    assert (count(1, "photo"), count(2300, "person", "people")) == ("1 photo", "2,300 people")


def test_long_texts_are_cut_where_it_hurts_least() -> None:
    assert written("{{ text | shown }}", "x" * 1000) == "x" * (LONGEST - 1) + "…"
    path = written("{{ path(text) }}", "a/" * 1000 + "end.jpg")
    assert path.startswith('<bdi class="path">…a/<wbr>a/') and path.endswith("a/<wbr>end.jpg</bdi>")
    assert len(path.replace("<wbr>", "")) == 240 + len('<bdi class="path"></bdi>')
    assert written("{{ text | shown }}", "x" * LONGEST) == "x" * LONGEST


def test_joiners_and_marks_that_languages_need_stay() -> None:
    for text in ("👩\u200d👧", "می\u200cخواهم", "\u200fאבג", "e\u0301"):
        assert written("{{ name(text) }}", text) == f"<bdi>{text}</bdi>"


@pytest.mark.parametrize("template", ["{{ text | shown }}", "{{ text }}", "{{ text ~ text }}", "{{ [text] | join }}"])
@given(st.text(st.characters()))
def test_any_text_becomes_one_that_utf8_can_hold_and_html_cannot_misread(template: str, text: str) -> None:
    """Even where a template has forgotten every filter."""
    html = written(template, text)
    html.encode("utf-8")
    assert not set(html) & set("<>\"'\n\x00\u202e")


def test_what_a_template_misspells_is_an_error() -> None:
    for template in ("{{ txet }}", "{{ text.missing }}", "{% if txet %}{% endif %}", "{{ text | nofilter }}"):
        with pytest.raises(Exception, match=r"txet|missing|nofilter"):
            written(template, "x")


def test_a_later_page_has_the_frame_of_the_first() -> None:
    page = environment().from_string(
        '{% extends "base.html" %}{% block title %}{{ text }}{% endblock %}{% block header %}<h1>{{ text }}</h1>'
        "{% endblock %}{% block main %}<p>{{ text }}</p>{% endblock %}"
    )
    html = page.render(text="<Ada>")
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">') and html.endswith("</html>\n")
    for part in ("<title>&lt;Ada&gt; · mien</title>", "<h1>&lt;Ada&gt;</h1>", "Content-Security-Policy", "--mated:"):
        assert part in html
    with pytest.raises(Exception, match=r"[Rr]equired block"):
        environment().from_string('{% extends "base.html" %}').render()


def seen(pixels: Pixels, landmarks: ArrayLike, scale: float = 1.0) -> tuple[Picture, Face]:
    """A picture with a face in it, its landmarks in pixels of a photo that is 1 / `scale` times as large."""
    photo = Photo("0" * 64, round(pixels.shape[1] / scale), round(pixels.shape[0] / scale), "JPEG", "0" * 16)
    face = Face((0.0, 0.0, 1.0, 1.0), np.asarray(landmarks, np.float32) / np.float32(scale), 0.9, "yunet")
    return Picture(photo, pixels, scale), face


FRONTAL = np.array([(80, 80), (120, 80), (100, 100), (85, 120), (115, 120)])
PROFILE = np.array([(100, 80), (104, 80), (125, 100), (102, 120), (106, 120)])


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("landmarks", [FRONTAL, PROFILE])
def test_a_thumbnail_shows_what_is_square_as_a_square(landmarks: ArrayLike, scale: float) -> None:
    """Also in a profile, of which a chip that brings eyes and nose to their places makes a smear."""
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[80:120, 85:125, 0] = 200
    with Image.open(io.BytesIO(thumbnail(*seen(pixels, landmarks, scale)))) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (SIDE, SIDE), "RGB")
        assert not image.getexif()
        red = np.asarray(image)[..., 0] > 100
    narrow, wide = np.linalg.eigvalsh(np.cov(np.nonzero(red)))  # of a square, however it is turned, both side^2 / 12
    assert narrow == pytest.approx(wide, rel=0.05)
    assert wide * 12 == pytest.approx(red.sum(), rel=0.05)
    assert red.sum() > (SIDE / 4) ** 2


def test_a_thumbnail_is_upright_and_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    noise[:70] = (200, 0, 0)  # above the eyes
    upright, turned = seen(noise, FRONTAL), seen(np.rot90(noise).copy(), turn_points(FRONTAL, 1, 200, 200))
    for picture, face in (upright, turned):
        jpeg = thumbnail(picture, face)
        assert len(jpeg) < 12_000
        with Image.open(io.BytesIO(jpeg)) as image:
            red, green, blue = np.asarray(image)[:8].reshape(-1, 3).mean(axis=0)
        assert red > 150 and max(green, blue) < 50
