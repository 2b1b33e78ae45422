"""The environment in which mien's pages are rendered: the templates of this package, with their filters.

Whatever a template prints is made inert (`mien.report.filters.inert`) and escaped. A name that a template misspells is
an error. No file is read but those of the package.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from mien.report import filters
from mien.text.words import count

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment() -> Environment:
    """The one environment of this process. Templates extend base.html, which has the style sheet."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("mien.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=filters.inert,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.filters |= {
        "shown": filters.shown,
        "number": filters.number,
        "percent": filters.percent,
        "at_most": filters.at_most,
        "per_hundred": filters.per_hundred,
        "level": filters.level,
        "points": filters.points,
        "score": filters.score,
        "base64": filters.base64_of,
        "photo_link": filters.photo_link,
    }
    files = resources.files("mien.report")
    made.globals |= {"count": count, "style": (files / "page.css").read_text("utf-8")}
    made.globals |= {"style_of_sheets": (files / "sheet.css").read_text("utf-8")}
    return made
