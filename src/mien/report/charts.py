"""The three charts of the page as inline SVG. Each has a title and a description for those who do not see it.

A chart is drawn 360 units wide, so that its letters keep their size on a phone. Colours come from the page's style
sheet, which has light and dark ones; mated and non-mated differ in place or shape as well as in colour. What a chart
says is made of numbers alone, so it is safe to print as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from mien.report.data import Bin, Histogram
from mien.report.filters import level, percent, score

WIDTH, HEIGHT = 360, 236
LEFT, RIGHT, TOP, BOTTOM = 42, 350, 20, 198
"""The plot, between its axes."""

NEAREST_FPIR, FURTHEST_FPIR = 1e-2, 1e-4
"""Where the FPIR axis may begin: it always shows 1 %, and below one in ten thousand nobody can say."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """Data between `low` and `high` onto units between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start)


def score_chart(histogram: Histogram, threshold: float) -> str:
    """Two histograms back to back, mated upwards and non-mated downwards, each as shares of its own kind."""
    up, down = _shares(histogram.mated), _shares(histogram.non_mated)
    used = [i for i, pair in enumerate(zip(up, down, strict=True)) if any(pair)]
    low, high = histogram.edges[used[0]], histogram.edges[used[-1] + 1]
    margin = 0.02 * (high - low)
    x = _Axis(min(low, threshold) - margin, max(high, threshold) + margin, LEFT, RIGHT)
    y = _Axis(-max(down) or -max(up) / 4, max(up) or max(down) / 4, BOTTOM, TOP)
    step = _nice(y.high - y.low, 6)
    ticks = [step * i for i in range(math.ceil(y.low / step), math.floor(y.high / step) + 1)]
    at = x(threshold)
    parts = [
        _y_ticks(y, ticks, lambda v: f"{100 * abs(v):.3g}"),
        _x_ticks(x, _round_numbers(x.low, x.high, 5), lambda v: f"{v:.2f}"),
        _bars(histogram.edges, up, x, y, "mated"),
        _bars(histogram.edges, [-share for share in down], x, y, "non-mated"),
        f'<path class="axis" d="M{LEFT} {y(0):.1f}H{RIGHT}"/>',
        f'<path class="threshold" d="M{at:.1f} {TOP}V{BOTTOM}"/>',
        _text(min(max(at, LEFT + 38), RIGHT - 38), TOP - 7, f"threshold {score(threshold)}", "middle", "strong"),
        _text(LEFT + 4, TOP + 12, f"mated: {sum(histogram.mated):,}", "start", "mated strong"),
        _text(RIGHT - 4, BOTTOM - 6, f"non-mated: {sum(histogram.non_mated):,}", "end", "non-mated strong"),
        _labels("score", "% of each kind"),
    ]
    above = [
        f"about {percent(share)}" if (share := _share_above(histogram.edges, counts, threshold)) else "none"
        for counts in (histogram.mated, histogram.non_mated)
    ]
    return _svg(
        "score-chart",
        "Scores of mated and non-mated probes",
        f"Two histograms of best scores between {score(low)} and {score(high)}. {above[0].capitalize()} of the mated"
        f" and {above[1]} of the non-mated probes reach the threshold of {score(threshold)}.",
        parts,
    )


def roc_chart(points: Sequence[tuple[float, float]], own: tuple[float, float] | None) -> str:
    """TPIR against FPIR, a staircase over a logarithmic axis; `own` is where the model's own threshold stands."""
    positive = [fpir for fpir, _ in points if fpir > 0]
    start = min(max(min(positive, default=NEAREST_FPIR), FURTHEST_FPIR), NEAREST_FPIR)
    start = 10.0 ** math.floor(math.log10(start) + 1e-9)
    decades = _Axis(math.log10(start), 0, LEFT, RIGHT)
    least = min([tpir_at(points, start), *([own[1]] if own else [])])
    y = _Axis(next(floor for floor in (0.95, 0.9, 0.8, 0.5, 0.0) if least >= floor), 1.0, BOTTOM, TOP)

    def x(fpir: float) -> float:
        return decades(math.log10(max(fpir, start)))

    stairs, height = [f"M{LEFT} {y(tpir_at(points, start)):.1f}"], tpir_at(points, start)
    column = -1
    for fpir, tpir in points:
        # A step a unit at most: thousands of strangers make no larger page.
        if fpir > start and tpir > height and (round(x(fpir)) > column or tpir == points[-1][1]):
            column, height = round(x(fpir)), tpir
            stairs.append(f"H{x(fpir):.1f}V{y(tpir):.1f}")
    powers = [10.0**e for e in range(round(math.log10(start)), 1)]
    parts = [
        _y_ticks(y, _round_numbers(y.low, y.high, 5), lambda v: f"{100 * v:.3g}"),
        "".join(f'<path class="grid" d="M{x(p):.1f} {TOP}V{BOTTOM}"/>' for p in powers),
        _x_ticks(x, powers, lambda p: f"{100 * p:g}"),
        f'<path class="curve" d="{"".join(stairs)}H{RIGHT}"/>',
        _labels("FPIR, % of strangers named (logarithmic)", "TPIR, %"),
    ]
    if own:
        at, high = x(own[0]), y(own[1])
        side, anchor = (9, "start") if at < WIDTH * 0.55 else (-9, "end")
        parts += [
            f'<circle class="own" cx="{at:.1f}" cy="{high:.1f}" r="4.5"/>',
            _text(at + side, high + 18, "own threshold", anchor, "strong"),
        ]
    told = ", ".join(f"{percent(tpir_at(points, p))} at FPIR {level(p)}" for p in powers)
    return _svg("roc-chart", "TPIR against FPIR", f"TPIR is {told}.", parts)


def tpir_at(points: Sequence[tuple[float, float]], fpir: float) -> float:
    """The TPIR of the last of `points` (FPIR, TPIR, rising) that names no more than a share `fpir` of strangers."""
    return max((tpir for named, tpir in points if named <= fpir), default=0.0)


def reliability_chart(bins: Sequence[Bin]) -> str:
    """How often answers were right against how sure they were: a dot for each of `bins` that has answers, as large as
    they are many, with its 95 % interval."""
    x, y = _Axis(0, 1, LEFT, RIGHT), _Axis(0, 1, BOTTOM, TOP)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    most = max(each.right.of for each in bins)
    dots = []
    for each in bins:
        if each.right.of:
            at, right = x(each.probability), y(each.right.hits / each.right.of)
            radius = 2.8 + 4.2 * math.sqrt(each.right.of / most)  # the area is what the eye compares
            dots.append(
                f'<path class="whisker" d="M{at:.1f} {y(each.right.low):.1f}V{y(each.right.high):.1f}"/>'
                f'<circle class="dot" cx="{at:.1f}" cy="{right:.1f}" r="{radius:.1f}"/>'
            )
    parts = [
        _y_ticks(y, ticks, lambda v: f"{100 * v:g}"),
        _x_ticks(x, ticks, lambda v: f"{100 * v:g}"),
        f'<path class="ideal" d="M{LEFT} {BOTTOM}L{RIGHT} {TOP}"/>',
        *dots,
        _labels("probability given, %", "right, %"),
    ]
    largest = max(bins, key=lambda each: each.right.of)
    return _svg(
        "reliability-chart",
        "Reliability of the probabilities",
        f"{len(dots)} groups of answers by their probability; on the diagonal they are right as often as they say. The"
        f" largest group is {percent(largest.probability)} sure and right {percent(largest.right.value)} of the time.",
        parts,
    )


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [number / total if total else 0.0 for number in counts]


def _share_above(edges: Sequence[float], counts: Sequence[int], threshold: float) -> float | None:
    """Roughly: a bin that the threshold cuts counts in proportion."""
    if not sum(counts):
        return None
    parts = (
        number * min(max((high - threshold) / (high - low), 0.0), 1.0)
        for (low, high), number in zip(pairwise(edges), counts, strict=True)
    )
    return sum(parts) / sum(counts)


def _bars(edges: Sequence[float], heights: Sequence[float], x: _Axis, y: _Axis, kind: str) -> str:
    """Bars as one path: hundreds of rectangles would say no more."""
    steps = "".join(
        f"M{x(low):.1f} {y(0):.1f}V{y(height):.1f}H{x(high):.1f}V{y(0):.1f}z"
        for (low, high), height in zip(pairwise(edges), heights, strict=True)
        if height
    )
    return f'<path class="{kind}" d="{steps}"/>'


def _nice(span: float, most: int) -> float:
    """The smallest step of 1, 2 or 5 times a power of ten that cuts `span` into at most `most` parts."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(power * step for step in (1, 2, 5, 10) if power * step * most >= span)


def _round_numbers(low: float, high: float, most: int) -> list[float]:
    step = _nice(high - low, most)
    return [step * i for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _x_ticks(x: Callable[[float], float], values: Iterable[float], write: Callable[[float], str]) -> str:
    ticks = (_text(x(value), BOTTOM + 14, write(value), "middle") for value in values)
    return f'<path class="axis" d="M{LEFT} {BOTTOM}H{RIGHT}"/>{"".join(ticks)}'


def _y_ticks(y: _Axis, values: Iterable[float], write: Callable[[float], str]) -> str:
    return "".join(
        f'<path class="grid" d="M{LEFT} {y(value):.1f}H{RIGHT}"/>{_text(LEFT - 5, y(value) + 3.5, write(value), "end")}'
        for value in values
    )


def _labels(below: str, beside: str) -> str:
    return _text((LEFT + RIGHT) / 2, HEIGHT - 7, below, "middle") + (
        f'<text transform="translate(11 {(TOP + BOTTOM) / 2:.0f}) rotate(-90)" text-anchor="middle">{beside}</text>'
    )


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    named = f" class={kind!r}" if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(text)}</text>'


def _svg(name: str, title: str, description: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )
