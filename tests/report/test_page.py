"""The page is read the way a browser does, by a parser: what counts is what it would run, load and show."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest

from mien.learning.figures import Share
from mien.registry.card import FalseAlarms
from mien.report.data import (
    Bin,
    Changes,
    ConfusedPair,
    Figures,
    Guessed,
    HeadTried,
    Histogram,
    Mistake,
    PersonRow,
    Reliability,
    ReportData,
)
from mien.report.page import MOST_MISTAKES, MOST_SHOWN, render
from mien.text.findings import FindingKind
from mien.types import Finding
from mien.vision.images import encoded

NBSP = "\u00a0"
VOID = {"meta", "img", "wbr", "br", "hr", "link", "input"}
SECTIONS = (
    "What needs a human",
    "How good it is",
    "Scores, threshold, probabilities",
    "What changed since the last model",
    "Faces answered wrongly",
    "Photos that may lie under a wrong name",
    "Faces that were taken by guess",
    "Most confused pairs",
    "Names that strangers would get",
    "Person by person",
    "People with too few photos",
    "What it was trained on",
    "Words",
)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style><iframe src=//evil.example>",
    "&lt;already&gt;",
    "\u202egnp.exe\u2066",
    "\udcff broken \x00\x1b[31m\n",
    "👩\u200d👧 محمد 李小龍",
    "A" * 100_000,
)
NONE = Share(0, 0)
PHOTOS = [f"../../training-images/{name}" for name in ("Ada/x.jpg", "Bert/1.jpg", "Cleo/y.jpg", "Bert/2%20%23.jpg")]
"""Where the page links to, which lies in models/<version>."""


def full() -> ReportData:
    """A report in which every section has something to show."""
    jpeg = encoded(np.full((40, 30, 3), 128, np.uint8), "JPEG")
    return ReportData(
        album="Portraits",
        version="2026-11-24-002",
        created=datetime(2026, 11, 24, 14, 5, tzinfo=UTC),
        encoder="resnet fp32, 4 views",
        head="prototypes",
        heads=(HeadTried("prototypes", 0.05, True), HeadTried("softmax", 0.06, False)),
        people=3,
        photos=410,
        left_out=("Ada/y.jpg", "Bert/z.jpg"),
        figures=Figures(
            Share(398, 400), Share(400, 400), Share(396, 400), Share(380, 400), Share(394, 400), Share(4, 410)
        ),
        threshold=0.9405,
        fpir_asked=0.01,
        threshold_note="Chosen on this album.",
        reliability=Reliability(0.009, 0.0123, (Bin(0.02, NONE), Bin(0.7, Share(7, 11)), Bin(0.99, Share(380, 383)))),
        histogram=Histogram((0.8, 0.85, 0.9, 0.95, 1.0), (0, 1, 99, 300), (210, 180, 20, 0)),
        roc=((0.0, 0.9), (0.005, 0.97), (0.01, 0.985), (0.5, 0.995)),
        rows=(
            PersonRow("Ada", 200, Share(200, 200), Share(199, 200), Share(0, 200), 0),
            PersonRow("Bert", 7, Share(5, 7), Share(3, 7), Share(1, 7), 2),
            PersonRow("Cleo", 1, NONE, NONE, Share(0, 1), 0),
        ),
        minimum_photos=20,
        pairs=(
            ConfusedPair("Ada", "Cleo", 1, 0.93),
            ConfusedPair("Ada", "Bert", 4, 0.95, "Ada/x.jpg", "Bert/2 #.jpg"),
        ),
        false_alarms=(("Bert", FalseAlarms(masked=3, bystanders=0)), ("Ada", FalseAlarms(masked=1, bystanders=12))),
        bystanders=1234,
        mistakes=(Mistake(jpeg, "Bert", None, 0.91, "Bert/1.jpg"),),
        mistake_count=6,
        needs=(Finding(FindingKind.WRONG_NAME, ("Ada", "Bert"), ("Ada/x.jpg",), {"rival": 0.9, "own": 0.8}),),
        guesses=(Guessed("Cleo/y.jpg", "Cleo", "the left one of 2", 0),),
        changes=Changes(
            "2026-11-20-001",
            Figures(Share(360, 400), Share(399, 400), Share(390, 400), NONE, Share(394, 400), Share(0, 4000)),
            people_new=("Cleo",),
            people_left=0,
            photos_added=12,
            photos_removed=1,
        ),
        portraits={"Bert": "Bert/2 #.jpg"},
        faces={"Ada/x.jpg": jpeg, "Bert/2 #.jpg": jpeg},
    )


def bare() -> ReportData:
    """A report of a model about which nothing could be found out."""
    return replace(
        full(),
        heads=(),
        figures=Figures(NONE, NONE, NONE, NONE, NONE, NONE),
        reliability=Reliability(None, None, ()),
        histogram=Histogram((0.0, 1.0), (0,), (0,)),
        roc=(),
        rows=(),
        pairs=(),
        false_alarms=(),
        bystanders=0,
        mistakes=(),
        mistake_count=0,
        needs=(),
        guesses=(),
        changes=None,
    )


def hostile(text: str) -> ReportData:
    """`text` wherever a report holds any."""
    data = full()
    changes = data.changes
    assert changes is not None
    return replace(
        data,
        album=text,
        version=text,
        encoder=text,
        head=text,
        heads=(HeadTried(text, 1.0, True),),
        threshold_note=text,
        rows=tuple(replace(row, person=text) for row in data.rows),
        pairs=(ConfusedPair(text, text, 1, 0.9, text, text),),
        portraits={text: text},
        faces={text: data.mistakes[0].jpeg},
        false_alarms=((text, FalseAlarms(masked=1, bystanders=1)),),
        mistakes=(replace(data.mistakes[0], person=text, answer=text, photo=text),),
        needs=(Finding(FindingKind.WRONG_NAME, (text, text), (text,), {"rival": 0.9, "own": 0.8}),),
        guesses=(Guessed(text, text, "the right one of 2", 1),),
        changes=replace(changes, version=text, people_new=(text,)),
    )


class Page(HTMLParser):
    """What a browser would make of a page; fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self._texts: dict[str, list[str]] = {}
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)  # SVG's <path/>
        self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self._texts.setdefault(tag, []).append(data)

    def text(self, tag: str = "main") -> str:
        """What is read in all elements of this name: a line end in the source is a blank."""
        return re.sub(r"[ \n]+", " ", "".join(self._texts.get(tag, [])))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def rows_of(html: str, section: str) -> list[str]:
    """The body rows of the table of a section."""
    (part,) = re.findall(rf'<section id="{section}".*?</section>', html, re.DOTALL)
    return re.findall(r'<tr[^>]*><th scope="row">.*?</tr>', part, re.DOTALL)


def test_the_answer_comes_first() -> None:
    page = Page(render(full()))
    assert "Names 98.5 of 100 known faces rightly, gives a name to 1.0 of 100 strangers." in page.text("header")
    assert f"96.8{NBSP}% to 99.3{NBSP}%, from 400 known faces" in page.text("header")


@pytest.mark.parametrize("report", [full(), bare()], ids=["full", "bare"])
def test_every_section_stands_and_the_contents_lead_to_it(report: ReportData) -> None:
    page = Page(render(report))
    titles = page.text("h2")
    assert titles == "".join(SECTIONS) == page.text("nav")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [link["href"] for link in page.all("a")]
    assert all(link[1:] in ids for link in links if link.startswith("#"))
    assert {link for link in links if not link.startswith("#")} == (set(PHOTOS) if report.needs else set())


def test_an_empty_report_says_so_in_sentences() -> None:
    html = render(bare())
    told = Page(html).text()
    for sentence in (
        "Nothing could be measured: that takes at least two photos of a person.",
        "No scores were counted.",
        "There were no strangers to measure with.",
        "No answer had a probability to check.",
        "This is the album’s first model",
        "No face was answered wrongly.",
        "No photo looks like somebody else’s",
        "No two people were confused.",
        "There was no stranger to try it on.",
        "Nobody was measured.",
        "Everybody has at least 20 photos.",
        "No other head was tried.",
    ):
        assert sentence in told
    assert "could not be measured" in Page(html).text("header")
    assert "nan" not in told.lower().split()
    assert "None" not in told


def test_without_strangers_it_says_only_what_is_known() -> None:
    figures = replace(full().figures, fpir=NONE)
    head = Page(render(replace(full(), figures=figures, roc=()))).text("header")
    assert "Names 98.5 of 100 known faces rightly; there was no stranger to try it on." in head


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_a_name_holds_the_page_stays_inert(text: str) -> None:
    html = render(hostile(text))
    html.encode("utf-8")
    page, plain = Page(html), Page(render(full()))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags}
    assert not page.all("script") + page.all("link") + page.all("iframe") + page.all("base")
    for _, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on") or key in ("style", "srcset", "xlink:href")]
        assert re.match(r"#|\.\./\.\./training-images/[\w.~/%-]+$", attributes.get("href", "#"))
        assert attributes.get("src", "data:image/jpeg;base64,").startswith("data:image/jpeg;base64,")
    assert not set(html) & set("\u202e\u2066\x00\x1b")
    assert len(html) < 100_000


def test_nothing_outside_is_named() -> None:
    html = render(full())
    assert not re.search(r"https?:|//[a-z]|url\(|@import", html)
    assert (
        '<meta http-equiv="Content-Security-Policy" content="'
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'\">" in html
    )


def test_a_hostile_name_is_shown_as_it_is() -> None:
    page = Page(render(hostile('<b>Ada</b> & "Co" \u202eevil')))
    assert '<b>Ada</b> & "Co" \\u202eevil' in page.text("h1")
    assert page.all("img")[0]["alt"].startswith('Face of <b>Ada</b> & "Co"')


def test_no_more_faces_than_fifty_and_no_more_people_than_two_hundred() -> None:
    data = full()
    people = tuple(replace(data.rows[1], person=f"Person {i:04}") for i in range(2000))
    report = replace(
        data,
        rows=people,
        mistakes=data.mistakes * 300,
        mistake_count=1234,
        pairs=tuple(ConfusedPair("a", f"{i:04}", i, 0.9) for i in range(900)),
        needs=data.needs * 5000,
        guesses=data.guesses * 5000,
        false_alarms=tuple((row.person, FalseAlarms(masked=9, bystanders=0)) for row in people[:777]),
        changes=replace(data.changes, people_new=tuple(row.person for row in people)) if data.changes else None,
    )
    html = render(report)
    page = Page(html)
    assert len(page.all("img")) == MOST_MISTAKES + 2 * MOST_SHOWN == 110, "of what may be misfiled the first, and Bert"
    assert len(rows_of(html, "people")) == len(rows_of(html, "few")) == 200
    assert len(rows_of(html, "pairs")) == 20
    assert len(rows_of(html, "suspects")) == 100
    assert len(rows_of(html, "guesses")) == 100
    assert len(rows_of(html, "alarms")) == 200
    told = page.text()
    for hidden in (
        "1,184 faces more",
        "1,800 people more",
        "577 people more",
        "880 pairs more",
        "4,900 findings more",
        "and 1,970 more",
    ):
        assert hidden in told
    assert len(html) < 400_000


def test_worst_people_first_and_whoever_was_not_asked_about_last() -> None:
    html = render(full())
    names = [re.findall(r"<bdi>(.*?)</bdi>", row)[0] for row in rows_of(html, "people")]
    assert names == ["Bert", "Ada", "Cleo"]
    assert "few photos" in rows_of(html, "people")[0] and "2 low-quality faces" in rows_of(html, "people")[0]
    assert [re.findall(r"<td>(\d+)</td>", row)[0] for row in rows_of(html, "few")] == ["1", "7"]
    assert "Bert" in rows_of(html, "pairs")[0]


def test_whose_names_strangers_would_get() -> None:
    html = render(full())
    rows = rows_of(html, "alarms")
    assert [Page(row).text("tr") for row in rows] == ["Bert30", "Ada112"]
    told = Page(html).text()
    assert "Masked faces, of 410" in told and "Bystanders, of 1,234" in told and "may be them" in told
    assert "No stranger would get the name of 1 other person." in told, "Cleo, who has no row"
    nobody = Page(render(replace(full(), false_alarms=()))).text()
    assert "No masked face and no bystander would get a name." in nobody


def test_a_change_is_called_one_only_beyond_doubt() -> None:
    rows = [Page(row).text("tr") for row in rows_of(render(full()), "changes")]
    assert "+9.5" in rows[0] and "better" in rows[0]
    assert "no clear change" in rows[1]
    assert rows[3].endswith("––")
    assert "worse" in rows[5]  # more strangers named than before: up is worse
    assert "Worse than the last model: FPIR at the model’s threshold." in Page(render(full())).text()


@pytest.mark.parametrize(
    ("left", "said"),
    [(0, "Nobody left the album."), (1, "1 person left the album."), (2300, "2,300 people left the album.")],
)
def test_people_who_left_are_counted_and_whoever_came_is_named(left: int, said: str) -> None:
    data = full()
    assert data.changes is not None
    told = Page(render(replace(data, changes=replace(data.changes, people_left=left)))).text()
    assert f"New: Cleo. {said} A change is called" in told
    nobody = Page(render(replace(data, changes=replace(data.changes, people_new=())))).text()
    assert "Nobody is new. Nobody left the album." in nobody


def test_a_share_too_small_to_be_told_from_nothing_reads_as_in_the_terminal() -> None:
    figures = replace(full().figures, tpir=Share(99_999, 100_000), fpir=Share(1, 100_000))
    page = Page(render(replace(full(), figures=figures, roc=((0.0, 0.0001), (1.0, 0.99999)))))
    assert "Names >99.9 of 100 known faces rightly, gives a name to <0.1 of 100 strangers." in page.text("header")
    assert f"TPIR is <0.1{NBSP}% at FPIR 1{NBSP}%" in page.text("desc")


def test_what_may_be_misfiled_and_confused_pairs_are_shown_with_links() -> None:
    html = render(full())
    (suspect,), pairs = rows_of(html, "suspects"), rows_of(html, "pairs")
    face = '<a class="face" href="../../training-images/{}"><img src="data:image/jpeg;base64,'
    assert face.format("Ada/x.jpg") in suspect and face.format("Bert/2%20%23.jpg") in suspect, "the photo, and Bert"
    assert face.format("Ada/x.jpg") in pairs[0] and face.format("Bert/2%20%23.jpg") in pairs[0]
    assert "<img" not in pairs[1], "of whom there is no picture"
    figures = {"rival": 0.9, "own": 0.8, "photos": 20}
    many = Finding(FindingKind.WRONG_NAMES, ("Ada", "Bert"), ("Ada/x.jpg",) * 20, figures)
    (row,) = rows_of(render(replace(full(), needs=(many,))), "suspects")
    assert row.count("<img") == 8 + 1 and "and 16 more" in row


def test_no_stranger_in_few_is_not_called_none_in_all() -> None:
    figures = replace(full().figures, fpir=Share(0, 37))
    html = render(replace(full(), figures=figures))
    page = Page(html)
    assert "gives a name to none of 37 strangers." in page.text("header")
    assert f"at most 8{NBSP}% at 95{NBSP}% confidence, from 37 strangers" in page.text("header")
    (row,) = [row for row in rows_of(html, "figures") if "FPIR at the model" in row]
    assert "<b>none</b>" in row and f"at most 8{NBSP}%" in row and "0 of 37" in row
    assert not re.search(rf"\b0{NBSP}%", page.text("header") + row)


def test_what_needs_a_human_names_each_matter() -> None:
    figures = replace(full().figures, fpir=Share(40, 410))
    told = Page(render(replace(full(), figures=figures))).text()
    for matter in (
        "Of 1 person it was guessed which face is theirs",
        "Ada/x.jpg: the face is more like Bert (0.900) than like Ada (0.800).",
        f"More strangers get a name than the 1{NBSP}% you asked for",
        "Ada and Bert are confused most",
        "1 person is named rightly less than half of the time",
        "2 people have fewer than 20 photos",
    ):
        assert matter in told


def test_an_album_in_order_needs_nobody() -> None:
    report = replace(full(), rows=full().rows[:1], needs=(), guesses=(), pairs=(), changes=None)
    assert "Nothing. The album shows no contradiction" in Page(render(report)).text()


def test_a_face_whose_picture_is_gone_is_still_told() -> None:
    report = replace(full(), mistakes=(replace(full().mistakes[0], jpeg=b""),), faces={})
    page = Page(render(report))
    assert not page.all("img")
    assert "no picture" in page.text() and "Bert/1.jpg" in page.text()


def test_the_same_report_gives_the_same_page_whatever_the_order_of_people() -> None:
    data = full()
    assert render(data) == render(full())
    assert render(data) == render(replace(data, rows=data.rows[::-1], pairs=data.pairs[::-1]))


def test_it_can_be_read_without_seeing_it() -> None:
    page = Page(render(full()))
    assert page.all("html") == [{"lang": "en"}]
    assert all(heading.get("scope") in ("row", "col") for heading in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(picture["alt"] for picture in page.all("img"))
    ids = {attributes.get("id") for _, attributes in page.tags}
    drawings = page.all("svg")
    assert len(drawings) == 3 == len(page.all("details"))  # a chart, and the same as numbers
    assert all(set(each["aria-labelledby"].split()) <= ids and each["role"] == "img" for each in drawings)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_it_says_that_it_holds_personal_data() -> None:
    assert "personal data" in Page(render(bare())).text("footer")


def luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance of "#rrggbb"."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def test_letters_stand_out_in_light_dark_and_print() -> None:
    """WCAG AA: 4.5 to 1 for text, 3 to 1 for what a chart draws."""
    css = (resources.files("mien.report") / "page.css").read_text("utf-8")
    themes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)
    ]
    assert len(themes) == 3
    for theme in themes:
        for ground in (theme["page"], theme["card"]):
            for ink in ("text", "soft", "link", "good", "bad", "mated", "non-mated"):
                assert contrast(theme[ink], ground) >= 4.5, (ink, theme)
        assert contrast(theme["text"], theme["flag"]) >= 4.5
