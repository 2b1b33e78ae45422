"""The page: `render` turns a `ReportData` into one HTML file that needs no script, no network and no other file.

Whoever reads it keeps an archive and is no statistician: every figure has a sentence that says what it means, and the
page begins with the answer and with what only a human can settle. Every section stands, even if there is nothing to
say. A photo archive's names and paths are hostile until `mien.report.text` has written them.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib import resources
from itertools import pairwise
from typing import Final, NamedTuple

from mien.learning.figures import Share
from mien.report.charts import reliability_chart, roc_chart, score_chart, tpir_at
from mien.report.data import Changes, ConfusedPair, Figures, Mistake, PersonRow, ReportData, difference
from mien.report.text import level, name, path, per_hundred, percent, points, score, shown
from mien.text.words import count

MOST_MISTAKES: Final = 50
"""Faces shown. Faces make the page large, and fifty show what goes wrong."""
MOST_ROWS = 200
MOST_PAIRS = 20
MOST_SUSPECTS = 100
MOST_NAMES = 30
"""Names in a sentence before it says how many more there are."""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Should anything hostile get through after all, the browser still runs nothing and asks nobody."""


class Section(NamedTuple):
    id: str
    title: str
    body: str


class FigureText(NamedTuple):
    """How a field of `Figures` is called and explained."""

    field: str
    title: str
    meaning: str


FIGURES = (
    FigureText("top1", "Top-1", "The right person comes first, whatever the score: can people be told apart?"),
    FigureText("top3", "Top-3", "The right person is among the first three candidates."),
    FigureText(
        "tpir_at_fpir_1",
        "TPIR at FPIR 1\u00a0%",
        "Known faces that get their own name when the threshold is set to name 1 of 100 strangers.",
    ),
    FigureText(
        "tpir_at_fpir_01", "TPIR at FPIR 0.1\u00a0%", "The same, set strictly: only 1 of 1,000 strangers gets a name."
    ),
    FigureText(
        "tpir",
        "TPIR at the model’s threshold",
        "Known faces that get their own name as <code>mien classify</code> runs.",
    ),
    FigureText(
        "fpir",
        "FPIR at the model’s threshold",
        "Strangers who get a name, anybody’s, as <code>mien classify</code> runs. Lower is better.",
    ),
)

WORDS = (
    ("person", "Whoever a face belongs to, by the name of their folder."),
    ("enrolled", "A person whose faces the model has learned."),
    ("probe", "The face being asked about."),
    ("mated, non-mated", "A mated probe is of somebody enrolled; a non-mated one is of a stranger."),
    ("masked", "To learn about strangers, a person’s name is covered: their own faces then ought to be unknown."),
    ("unknown", "The answer for a face that is like nobody enough."),
    ("score", "How alike a face and a person are, 1 at most. It is not a percentage: strangers reach high scores too."),
    ("threshold", "The score from which on a face gets a name."),
    ("TPIR", "True-positive identification rate: the share of mated probes that get the right name."),
    ("FPIR", "False-positive identification rate: the share of non-mated probes that get any name."),
    ("probability", "How sure the answer is, unknown being one of them. At 90\u00a0%, 9 in 10 are right."),
    ("95\u00a0% interval", "Where the true share lies, 19 times of 20. Few photos make it wide."),
    ("head", "The part of a model that is trained on your album; the encoder, which sees faces, stays as it is."),
)  # fmt: skip


def render(report: ReportData) -> str:
    """The page as HTML, the same text for the same `report`; write it as UTF-8. It holds faces and names."""
    sections = (
        Section("needs", "What needs a human", _needs(report)),
        Section("figures", "How good it is", _figures(report)),
        Section("charts", "Scores, threshold, probabilities", _charts(report)),
        Section("changes", "What changed since the last model", _changes(report.figures, report.changes)),
        Section("mistakes", "Faces answered wrongly", _mistakes(report)),
        Section("suspects", "Photos that may be filed under the wrong person", _suspects(report)),
        Section("pairs", "Most confused pairs", _pairs(report)),
        Section("people", "Person by person", _people(report)),
        Section("few", "People with too few photos", _few(report)),
        Section("training", "What it was trained on", _training(report)),
        Section("words", "Words", _words()),
    )
    contents = "".join(f'<li><a href="#{each.id}">{each.title}</a></li>' for each in sections)
    body = "".join(
        f'<section id="{each.id}" aria-labelledby="{each.id}-title"><h2 id="{each.id}-title">{each.title}</h2>'
        f"{each.body}</section>\n"
        for each in sections
    )
    style = (resources.files("mien.report") / "page.css").read_text("utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{shown(report.album)} · model {shown(report.version)} · mien</title>\n"
        f"<style>\n{style}</style>\n</head>\n<body>\n"
        f'{_header(report)}\n<nav aria-label="Contents"><ol>{contents}</ol></nav>\n<main>\n{body}</main>\n'
        "<footer><p><strong>This page contains personal data:</strong> names and faces. Keep it with the album, do not"
        " pass it on, and delete it when the album is deleted.</p><p>It needs no network: it loads nothing and sends"
        " nothing to anyone.</p></footer>\n</body>\n</html>\n"
    )


def _header(report: ReportData) -> str:
    return (
        f'<header><p class="over">mien report · model {shown(report.version)} · {_time(report.created)}</p>'
        f"<h1>{name(report.album)}</h1>{_answer(report.figures)}</header>"
    )


def _answer(figures: Figures) -> str:
    """The headline: what `mien classify` will do to a hundred faces."""
    tpir, fpir = figures.tpir, figures.fpir
    if tpir.value is None:
        return '<p class="answer">How good it is could not be measured: too few photos.</p>'
    known = f"Names <b>{per_hundred(tpir.value)} of 100</b> known faces rightly"
    if fpir.value is None:
        return f'<p class="answer">{known}; there was no stranger to try it on.</p><p>{_within(tpir)} known faces.</p>'
    return (
        f'<p class="answer">{known}, gives a name to <b>{per_hundred(fpir.value)} of 100</b> strangers.</p>'
        f"<p>{_within(tpir)} known faces; {_within(fpir)} strangers. Ranges are 95\u00a0% intervals: the fewer photos,"
        " the wider.</p>"
    )


def _within(share: Share) -> str:
    return f"{_interval(share)}, from {share.of:,}"


def _needs(report: ReportData) -> str:
    """What a machine cannot settle, most rewarding first, each with the place on the page that shows it."""
    found: list[str] = []
    figures, changes = report.figures, report.changes
    if figures.tpir.value is None:
        found.append("Nothing could be measured: that takes at least two photos of a person.")
    if report.suspects:
        found.append(
            f'<a href="#suspects">{count(len(report.suspects), "photo")}</a> may be filed under the wrong person: look,'
            " and move those that are."
        )
    if figures.fpir.of and figures.fpir.low > report.fpir_asked:
        found.append(
            f'<a href="#figures">More strangers get a name</a> than the {level(report.fpir_asked)} you asked for'
            f" ({_interval(figures.fpir)}): do not rely on names without looking."
        )
    if changes and (
        worse := [each.title for each in FIGURES if _moved(changes.figures, figures, each.field) == "worse"]
    ):
        found.append(f'<a href="#changes">Worse than the last model</a>: {", ".join(worse)}.')
    if report.pairs:
        first = _pairs_in_order(report)[0]
        found.append(
            f'<a href="#pairs">{name(first.a)} and {name(first.b)}</a> are confused most. If they are one person under'
            " two names, put their photos together."
        )
    if hard := sum(row.named.of > 0 and 2 * row.named.hits < row.named.of for row in report.rows):
        found.append(
            f'<a href="#people">{count(hard, "person is", "people are")}</a> named rightly less than half of the time:'
            " add photos like those that fail."
        )
    if few := len(_with_few(report)):
        found.append(
            f'<a href="#few">{count(few, "person has", "people have")}</a> fewer than'
            f" {report.minimum_photos} photos: more would help most there."
        )
    if not found:
        return "<p>Nothing. The album shows no contradiction that a human would have to settle.</p>"
    return f'<ul class="needs">{"".join(f"<li>{each}</li>" for each in found)}</ul>'


def _figures(report: ReportData) -> str:
    rows = []
    for title, meaning, share in ((each.title, each.meaning, getattr(report.figures, each.field)) for each in FIGURES):
        rows.append(
            f'<tr><th scope="row">{title}<small>{meaning}</small></th><td><b>{percent(share.value)}</b></td>'
            f"<td>{_interval(share)}</td><td>{_hits(share)}</td></tr>"
        )
    strangers = report.figures.fpir.of
    coarse = (
        f" With {count(strangers, 'stranger')}, 0.1\u00a0% of them is less than one: that row lets none through."
        if 0 < strangers < 1000
        else ""
    )
    return (
        f"<p>{shown(report.how_measured, 1000)}{coarse}</p>"
        + _table("Figures", ("Figure", "Share", "95\u00a0% interval", "Counted"), rows)
        + f"<p>The threshold is <b>{score(report.threshold)}</b>, for an FPIR of {level(report.fpir_asked)}."
        f" {shown(report.threshold_note, 1000)}</p>"
    )


def _charts(report: ReportData) -> str:
    return f"{_scores(report)}{_roc(report)}{_reliability(report)}"


def _scores(report: ReportData) -> str:
    histogram = report.histogram
    about = (
        "Each face’s best score: of people the model knows upwards, of strangers downwards. What lies right of the"
        " threshold gets a name. The less the two overlap, the better."
    )
    if not sum(histogram.mated) + sum(histogram.non_mated):
        return _chart("Known faces and strangers", about, "No scores were counted.", "")
    rows = [
        f'<tr><th scope="row">{score(low)} to {score(high)}</th><td>{mated:,}</td><td>{non_mated:,}</td></tr>'
        for (low, high), mated, non_mated in zip(
            pairwise(histogram.edges), histogram.mated, histogram.non_mated, strict=True
        )
        if mated or non_mated
    ]
    table = _table("Scores, counted", ("Score", "Mated", "Non-mated"), rows)
    return _chart("Known faces and strangers", about, score_chart(histogram, report.threshold), table)


def _roc(report: ReportData) -> str:
    title = "What strictness costs"
    about = (
        "TPIR is the share of known faces named rightly, FPIR the share of strangers named at all. A stricter threshold"
        " moves left: fewer strangers named, and fewer known faces too. Higher is better."
    )
    if not report.roc:
        return _chart(title, about, "There were no strangers to measure with.", "")
    named, strangers = report.figures.tpir.value, report.figures.fpir.value
    own = (strangers, named) if named is not None and strangers is not None else None
    rows = [
        f'<tr><th scope="row">{level(fpir)}</th><td>{percent(tpir_at(report.roc, fpir))}</td></tr>'
        for fpir in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    ]
    return _chart(title, about, roc_chart(report.roc, own), _table("TPIR by FPIR", ("FPIR", "TPIR"), rows))


def _reliability(report: ReportData) -> str:
    title, found = "Can its probabilities be believed?", report.reliability
    about = (
        "Answers grouped by the probability given (across) and how often they were right (up). Honest probabilities lie"
        " on the diagonal; above it the model is too modest, below too sure. A larger dot stands for more answers, a"
        " line for its 95\u00a0% interval."
    )
    bins = [each for each in found.bins if each.right.of]
    if not bins:
        return _chart(title, about, "No answer had a probability to check.", "")
    about += (
        f" The mean gap (ECE) is {percent(found.ece_mated)} for known faces and {percent(found.ece_non_mated)} for"
        " strangers."
    )
    rows = [
        f'<tr><th scope="row">{percent(each.probability)}</th><td>{percent(each.right.value)}</td>'
        f"<td>{_interval(each.right)}</td><td>{each.right.of:,}</td></tr>"
        for each in bins
    ]
    table = _table("Reliability", ("Probability", "Right", "95\u00a0% interval", "Answers"), rows)
    return _chart(title, about, reliability_chart(bins), table)


def _chart(title: str, about: str, drawing: str, table: str) -> str:
    body = f"{drawing}<details><summary>The same as numbers</summary>{table}</details>" if table else _empty(drawing)
    caption = f"<figcaption><h3>{title}</h3><p>{about}</p></figcaption>"
    return f'<figure class="chart-card">{caption}{body}</figure>'


def _changes(figures: Figures, changes: Changes | None) -> str:
    if changes is None:
        return _empty("This is the album’s first model: there is nothing to compare it with.")
    verdicts = {"better": "▲ better", "worse": "▼ worse", "": "no clear change"}
    rows = []
    for field, title, _ in FIGURES:
        before, after = getattr(changes.figures, field), getattr(figures, field)
        moved, verdict = difference(before, after), _moved(changes.figures, figures, field)
        by = f"{points(moved[0])} <small>{points(moved[1])} to {points(moved[2])}</small>" if moved else "–"
        rows.append(
            f'<tr><th scope="row">{title}</th><td>{percent(before.value)}</td><td>{percent(after.value)}</td>'
            f'<td>{by}</td><td class="{verdict or "even"}">{verdicts[verdict] if moved else "–"}</td></tr>'
        )
    return (
        f"<p>Compared with model {shown(changes.version)}: {count(changes.photos_added, 'photo')} added,"
        f" {count(changes.photos_removed, 'photo')} removed.</p><ul>"
        f"<li>{_named('New', changes.people_new)}</li><li>{_named('Gone', changes.people_gone)}</li></ul>"
        "<p>A change is called better or worse only if its 95\u00a0% interval leaves no doubt. Each model was measured"
        " on its own album, so part of a change may be the photos’.</p>"
        + _table("Figures then and now", ("Figure", "Last", "Now", "Points", "Verdict"), rows)
    )


def _moved(before: Figures, after: Figures, field: str) -> str:
    """ "better", "worse", or "" where the interval includes no change at all."""
    moved = difference(getattr(before, field), getattr(after, field))
    if moved is None or moved[1] <= 0 <= moved[2]:
        return ""
    return "better" if (moved[0] > 0) != (field == "fpir") else "worse"


def _named(title: str, people: Sequence[str]) -> str:
    if not people:
        return f"{title}: nobody."
    more = f" and {len(people) - MOST_NAMES:,} more" if len(people) > MOST_NAMES else ""
    return f"{title}: {', '.join(name(each) for each in people[:MOST_NAMES])}{more}."


def _mistakes(report: ReportData) -> str:
    if not report.mistakes:
        return _empty("No face was answered wrongly.")
    faces = report.mistakes[:MOST_MISTAKES]
    hidden = _more(report.mistake_count - len(faces), "face")
    return (
        "<p>Faces of people it knows that got another name, or none. Profiles, half-hidden and blurred faces are to be"
        f" expected here; a face that is plainly somebody else’s is a wrong label.{hidden}</p>"
        f'<ul class="faces">{"".join(_face(each) for each in faces)}</ul>'
    )


def _face(mistake: Mistake) -> str:
    answer, said = ("unknown",) * 2 if mistake.answer is None else (name(mistake.answer), shown(mistake.answer))
    picture = '<span class="faceless">no picture</span>'
    if mistake.jpeg:
        jpeg = base64.b64encode(mistake.jpeg).decode("ascii")
        alt = f"Face of {shown(mistake.person)}, answered {said}"
        picture = f'<img src="data:image/jpeg;base64,{jpeg}" width="112" height="112" alt="{alt}">'
    return (
        f"<li><figure>{picture}<figcaption><b>{name(mistake.person)}</b>"
        f"<span>answered {answer}, score {score(mistake.score)}</span>{path(mistake.photo)}</figcaption></figure></li>"
    )


def _suspects(report: ReportData) -> str:
    if not report.suspects:
        return _empty("No photo looks more like somebody else than like the person it is filed under.")
    rows = [
        f'<tr><th scope="row">{path(each.photo)}</th><td class="words">{name(each.person)}</td>'
        f'<td class="words">{name(each.more_like)}</td></tr>'
        for each in report.suspects[:MOST_SUSPECTS]
    ]
    return (
        "<p>Each is much more like somebody else. Move it if the label is wrong; leave it if it is right, a bad picture"
        f" of the right person does little harm.{_more(len(report.suspects) - len(rows), 'photo')}</p>"
        + _table("Doubtful labels", ("Photo", "Filed under", "More like"), rows)
    )


def _pairs(report: ReportData) -> str:
    if not report.pairs:
        return _empty("No two people were confused.")
    pairs = _pairs_in_order(report)
    rows = [
        f'<tr><th scope="row">{name(each.a)} and {name(each.b)}</th><td>{each.count:,}</td>'
        f"<td>{score(each.mean_score)}</td></tr>"
        for each in pairs[:MOST_PAIRS]
    ]
    return (
        "<p>Faces of one that were most like the other, whether or not they reached the threshold. Siblings and twins"
        f" belong here; so does one person under two names.{_more(len(pairs) - len(rows), 'pair')}</p>"
        + _table("Confused pairs", ("Pair", "Faces", "Mean score"), rows)
    )


def _pairs_in_order(report: ReportData) -> list[ConfusedPair]:
    return sorted(report.pairs, key=lambda pair: (-pair.count, -pair.mean_score, pair.a, pair.b))


def _people(report: ReportData) -> str:
    if not report.rows:
        return _empty("Nobody was measured.")
    people = sorted(report.rows, key=_worst_first)
    rows = [
        f'<tr><th scope="row">{name(row.person)}{_flags(row, report.minimum_photos)}</th><td>{row.photos:,}</td>'
        f"<td>{_hits(row.first)}</td><td>{_hits(row.named)}</td><td>{_hits(row.masked)}</td></tr>"
        for row in people[:MOST_ROWS]
    ]
    return (
        "<p>Worst first. <b>Right at rank 1</b>: their faces for which they came first. <b>Named rightly</b>: above the"
        " threshold too. <b>Named when masked</b>: their faces that got somebody else’s name while their own was"
        f" covered, as a stranger’s would.{_more(len(people) - len(rows), 'person', 'people')}</p>"
        + _table("People", ("Person", "Photos", "Right at rank 1", "Named rightly", "Named when masked"), rows)
    )


def _worst_first(row: PersonRow) -> tuple[float, float, int, str]:
    """Whoever had no probe comes last; of equals, who failed on more photos comes first."""
    named, first = row.named.value, row.first.value
    if named is None or first is None:
        return math.inf, math.inf, 0, row.person
    return named, first, row.named.hits - row.named.of, row.person


def _flags(row: PersonRow, minimum: int) -> str:
    flags = ["few photos"] if row.photos < minimum else []
    if row.low_quality:
        flags.append(count(row.low_quality, "low-quality face"))
    return "".join(f'<small class="flag">{flag}</small>' for flag in flags)


def _few(report: ReportData) -> str:
    few = _with_few(report)
    if not few:
        return _empty(f"Everybody has at least {count(report.minimum_photos, 'photo')}.")
    rows = [f'<tr><th scope="row">{name(row.person)}</th><td>{row.photos:,}</td></tr>' for row in few[:MOST_ROWS]]
    return (
        f"<p>Fewer than {report.minimum_photos} photos make names less reliable, and the figures above rough. Add some"
        f" from other days and angles.{_more(len(few) - len(rows), 'person', 'people')}</p>"
        + _table("People with too few photos", ("Person", f"Photos, of {report.minimum_photos}"), rows)
    )


def _with_few(report: ReportData) -> list[PersonRow]:
    few = (row for row in report.rows if row.photos < report.minimum_photos)
    return sorted(few, key=lambda row: (row.photos, row.person))


def _training(report: ReportData) -> str:
    facts = (
        ("Model", shown(report.version)),
        ("Made", _time(report.created)),
        ("Last model", shown(report.changes.version) if report.changes else "none"),
        ("People", f"{report.people:,}"),
        ("Photos", f"{report.photos:,}"),
        ("Not learned from", f"{count(report.left_out, 'photo')}, contradicted by the person’s others"),
        ("Encoder", shown(report.encoder)),
        ("Head", shown(report.head)),
    )
    listed = "".join(f"<div><dt>{term}</dt><dd>{value}</dd></div>" for term, value in facts)
    if not report.heads:
        return f'<dl class="facts">{listed}</dl>{_empty("No other head was tried.")}'
    rows = [
        f'<tr{" class=chosen" if head.chosen else ""}><th scope="row">{shown(head.name)}</th><td>{head.loss:.4f}</td>'
        f'<td class="words">{"✓ chosen" if head.chosen else ""}</td></tr>'
        for head in report.heads
    ]
    return (
        f'<dl class="facts">{listed}</dl><p>The head is chosen by cross-validation on this album. The loss is lower the'
        " better; where heads are as good as equal, the simpler one is taken.</p>"
        + _table("Heads tried", ("Head", "Cross-validated loss", "Choice"), rows)
    )


def _words() -> str:
    return f'<dl class="glossary">{"".join(f"<dt>{word}</dt><dd>{meaning}</dd>" for word, meaning in WORDS)}</dl>'


def _table(caption: str, columns: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _empty(sentence: str) -> str:
    return f'<p class="empty">{sentence}</p>'


def _more(hidden: int, noun: str, plural: str | None = None) -> str:
    return f" <b>{count(hidden, noun, plural)} more</b> not shown." if hidden > 0 else ""


def _interval(share: Share) -> str:
    return f"{percent(share.low)} to {percent(share.high)}" if share.of else "–"


def _hits(share: Share) -> str:
    return f"{share.hits:,} of {share.of:,}" if share.of else "–"


def _time(moment: datetime) -> str:
    return f'<time datetime="{moment.isoformat()}">{moment:%Y-%m-%d %H:%M %Z}</time>'
