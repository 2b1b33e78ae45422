from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from mien.learning.figures import Share
from mien.report.charts import BOTTOM, LEFT, RIGHT, TOP, reliability_chart, roc_chart, score_chart, tpir_at
from mien.report.data import Bin, Histogram

EDGES = tuple(0.5 + 0.05 * i for i in range(11))
NUMBER = r"-?\d+(?:\.\d+)?"


def drawn(svg: str) -> ElementTree.Element:
    """The chart as XML, which is stricter than HTML; every coordinate of its lines must lie on the paper."""
    root = ElementTree.fromstring(svg)
    assert "nan" not in svg and "inf" not in svg
    for path in root.iter("path"):
        commands = re.findall(rf"([MLHV])({NUMBER})(?: ({NUMBER}))?", path.get("d", ""))
        for command, first, second in commands:
            x = None if command == "V" else float(first)
            y = float(first) if command == "V" else float(second) if second else None
            assert x is None or LEFT - 0.1 <= x <= RIGHT + 0.1
            assert y is None or TOP - 0.1 <= y <= BOTTOM + 0.1
    return root


def line(root: ElementTree.Element, kind: str) -> str:
    (found,) = (path.get("d", "") for path in root.iter("path") if path.get("class") == kind)
    return found


def test_scores_go_up_for_mated_and_down_for_non_mated() -> None:
    root = drawn(score_chart(Histogram(EDGES, (0,) * 8 + (30, 70), (40, 60) + (0,) * 8), 0.8))
    zero = float(re.findall(rf"V({NUMBER})z", line(root, "mated"))[0])
    assert all(float(y) < zero for y in re.findall(rf"V({NUMBER})H", line(root, "mated")))
    assert all(float(y) > zero for y in re.findall(rf"V({NUMBER})H", line(root, "non-mated")))
    told = root.findtext("desc") or ""
    assert "About 100\u00a0% of the mated and none of the non-mated probes reach the threshold of 0.800" in told


@pytest.mark.parametrize(
    ("mated", "non_mated", "threshold"),
    [
        ((5,) + (0,) * 9, (0,) * 10, 0.52),
        ((0,) * 10, (0,) * 9 + (1,), -1.0),
        ((1,) * 10, (10**6,) * 10, 2.0),
    ],
)
def test_any_histogram_can_be_drawn(mated: tuple[int, ...], non_mated: tuple[int, ...], threshold: float) -> None:
    drawn(score_chart(Histogram(EDGES, mated, non_mated), threshold))


def test_a_bin_that_the_threshold_cuts_counts_in_part() -> None:
    root = drawn(score_chart(Histogram((0.0, 1.0), (4,), (4,)), 0.75))
    assert "About 25.0\u00a0% of the mated" in (root.findtext("desc") or "")


def test_tpir_at_an_fpir_is_that_of_the_last_threshold_that_keeps_it() -> None:
    points = ((0.001, 0.8), (0.01, 0.9), (0.2, 0.95))
    assert [tpir_at(points, fpir) for fpir in (0.0, 0.001, 0.005, 0.01, 1.0)] == [0.0, 0.8, 0.8, 0.9, 0.95]


@pytest.mark.parametrize(
    "points", [((0.0, 0.5),), ((0.0, 0.97), (1.0, 1.0)), ((0.3, 0.2), (0.4, 0.3)), ((1e-7, 0.99), (0.02, 1.0))]
)
@pytest.mark.parametrize("own", [None, (0.0, 0.0), (0.01, 0.98), (1.0, 1.0)])
def test_any_curve_can_be_drawn(points: tuple[tuple[float, float], ...], own: tuple[float, float] | None) -> None:
    root = drawn(roc_chart(points, own))
    assert len(list(root.iter("circle"))) == (own is not None)


def test_the_curve_is_a_rising_staircase_and_stays_small() -> None:
    many = [(i / 20_000, 0.9 + 0.1 * i / 20_000) for i in range(20_001)]
    steps = line(drawn(roc_chart(many, None)), "curve")
    across = [float(x) for x in re.findall(rf"H({NUMBER})", steps)]
    up = [float(y) for y in re.findall(rf"V({NUMBER})", steps)]
    assert across == sorted(across) and up == sorted(up, reverse=True)
    assert up[-1] == TOP
    assert len(steps) < 6000


def test_a_dot_lies_where_its_answers_are_and_is_larger_for_more() -> None:
    root = drawn(reliability_chart((Bin(0.0, Share(0, 4)), Bin(0.5, Share(0, 0)), Bin(1.0, Share(400, 400)))))
    few, many = root.iter("circle")
    assert (few.get("cx"), few.get("cy")) == (f"{LEFT:.1f}", f"{BOTTOM:.1f}")
    assert (many.get("cx"), many.get("cy")) == (f"{RIGHT:.1f}", f"{TOP:.1f}")
    assert float(few.get("r", "")) < float(many.get("r", ""))
