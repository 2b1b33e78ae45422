"""report: the page an evaluation becomes. `render(ReportData(...))` is one HTML file that needs nothing else."""

from mien.learning.figures import Share
from mien.report.build import FILE, write_report
from mien.report.data import (
    CROSS_VALIDATED,
    Bin,
    Changes,
    ConfusedPair,
    Figures,
    HeadTried,
    Histogram,
    Mistake,
    PersonRow,
    Reliability,
    ReportData,
    Suspect,
    difference,
)
from mien.report.page import MOST_MISTAKES, render
from mien.vision.thumbnail import thumbnail

__all__ = [
    "CROSS_VALIDATED",
    "FILE",
    "MOST_MISTAKES",
    "Bin",
    "Changes",
    "ConfusedPair",
    "Figures",
    "HeadTried",
    "Histogram",
    "Mistake",
    "PersonRow",
    "Reliability",
    "ReportData",
    "Share",
    "Suspect",
    "difference",
    "render",
    "thumbnail",
    "write_report",
]
