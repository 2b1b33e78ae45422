"""The page about a model: `render` turns a `ReportData` into one HTML file that needs no script, no network and no
other file. Its words stand in templates/report.html; what is shown, and in which order, is decided here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

from mien.report.charts import reliability_chart, roc_chart, score_chart, tpir_at
from mien.report.data import Figures, PersonRow, ReportData, difference
from mien.report.environment import environment
from mien.text.findings import OF_NAMES, FindingKind

MOST_MISTAKES: Final = 50
"""Faces shown. Faces make the page large, and fifty show what goes wrong."""
MOST_ROWS: Final = 200
MOST_PAIRS: Final = 20
MOST_DOUBTS: Final = 100
TOLD_APART: Final = frozenset({FindingKind.FEW, FindingKind.UNDECIDED})
"""Kinds of findings that have a section of their own."""
MOST_SHOWN: Final = 30
"""Findings beside which faces are shown."""
MOST_FACES: Final = 60
"""Faces shown beside what may lie under a wrong name, and as many beside pairs."""
FACES_EACH: Final = 8
"""Of them beside one finding."""
MOST_NAMES: Final = 30
"""Names in a sentence before it says how many more there are."""

TABLED: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
"""The FPIRs for which a table says the TPIR."""

FIGURES: Final = tuple(Figures.__dataclass_fields__)
LOWER_IS_BETTER: Final = "fpir"

_One = TypeVar("_One")


class Shortened(NamedTuple, Generic[_One]):
    """The first of a list, how many more there are, and how many in `all`."""

    shown: Sequence[_One]
    hidden: int
    all: int


class Moved(NamedTuple):
    """How far a share moved since the last model, with the ends of the 95 % interval; "even" where it includes no
    change at all."""

    by: float
    low: float
    high: float
    verdict: Literal["better", "worse", "even"]


def render(report: ReportData) -> str:
    """The page as HTML, the same text for the same `report`; write it as UTF-8. It holds faces and names."""
    changes = report.changes
    change = {field: _moved(changes.figures, report.figures, field) for field in FIGURES} if changes else {}
    few = sorted((row for row in report.rows if row.photos < report.minimum_photos), key=lambda r: (r.photos, r.person))
    pairs = sorted(report.pairs, key=lambda pair: (-pair.count, -pair.mean_score, pair.a, pair.b))
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            change=change,
            worse=[field for field, moved in change.items() if moved and moved.verdict == "worse"],
            hard=sum(row.named.of > 0 and 2 * row.named.hits < row.named.of for row in report.rows),
            new=_first(changes.people_new if changes else (), MOST_NAMES),
            mistakes=_first(report.mistakes, MOST_MISTAKES, report.mistake_count),
            guesses=_first(report.guesses, MOST_DOUBTS),
            names=_first([one for one in report.needs if one.kind in OF_NAMES], MOST_DOUBTS),
            others=[one for one in report.needs if one.kind not in OF_NAMES | TOLD_APART],
            most_shown=MOST_SHOWN,
            faces_each=FACES_EACH,
            left_out=_first(report.left_out, MOST_NAMES),
            pairs=_first(pairs, MOST_PAIRS),
            alarms=_first(report.false_alarms, MOST_ROWS),
            people=_first(sorted(report.rows, key=_worst_first), MOST_ROWS),
            few=_first(few, MOST_ROWS),
            **_charts(report),
        )
    )


def _charts(report: ReportData) -> dict[str, Any]:
    """The drawings, "" where there is nothing to draw, and the numbers behind them."""
    histogram, roc = report.histogram, report.roc
    bins = [each for each in report.reliability.bins if each.right.of]
    slices = [
        (low, high, mated, non_mated)
        for (low, high), mated, non_mated in zip(
            pairwise(histogram.edges), histogram.mated, histogram.non_mated, strict=True
        )
        if mated or non_mated
    ]
    named, strangers = report.figures.tpir.value, report.figures.fpir.value
    own = (strangers, named) if named is not None and strangers is not None else None
    return {
        "charts": {
            "scores": score_chart(histogram, report.threshold) if slices else "",
            "roc": roc_chart(roc, own) if roc else "",
            "reliability": reliability_chart(bins) if bins else "",
        },
        "slices": slices,
        "curve": [(fpir, tpir_at(roc, fpir)) for fpir in TABLED],
        "bins": bins,
    }


def _first(every: Sequence[_One], most: int, of: int | None = None) -> Shortened[_One]:
    """The first `most` of `every`, of which there may be more (`of`) than are given."""
    total = len(every) if of is None else of
    return Shortened(every[:most], max(total - len(every[:most]), 0), total)


def _moved(before: Figures, after: Figures, field: str) -> Moved | None:
    """How far a figure moved; None where it was not measured twice."""
    moved = difference(getattr(before, field), getattr(after, field))
    if moved is None:
        return None
    by, low, high = moved
    if low <= 0 <= high:
        return Moved(by, low, high, "even")
    return Moved(by, low, high, "better" if (by > 0) != (field == LOWER_IS_BETTER) else "worse")


def _worst_first(row: PersonRow) -> tuple[float, float, int, str]:
    """Whoever had no probe comes last; of equals, whoever failed on more photos comes first."""
    named, first = row.named.value, row.first.value
    if named is None or first is None:
        return math.inf, math.inf, 0, row.person
    return named, first, row.named.hits - row.named.of, row.person
