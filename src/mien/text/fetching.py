"""What can be wrong with a photo that a source offers, and with a source as a whole.

The words are predicates that need no figures: a list, or the record of an old run, keeps the kind alone and still says
"1.jpg is not there any more".
"""

from __future__ import annotations

from collections.abc import Mapping

from mien.text.kinds import Kind
from mien.text.words import fill


class FetchFault(Kind):
    """Why a photo, or a part of a listing, could not be had. The words follow its address or path.

    None of them needs a human at once: the next run of `collect` asks for the photo again.
    """

    ADDRESS = (
        "address",
        "is at an address that mien does not go to",
        "Correct the address at the source. For one in your own network, set allow_private = true in mien.toml.",
    )
    HOST = (
        "host",
        "is at a host that the source does not list",
        "If the source's pictures lie there, add the host to hosts of the source in mien.toml.",
    )
    ROBOTS = (
        "robots",
        "is closed to mien by the site's robots.txt",
        "Ask whoever runs the site, or leave this part out of the source.",
    )
    GONE = ("gone", "is not there any more", "Take it out of the source, or give the new address.")
    REFUSED = ("refused", "was refused", "Ask whoever runs the site. For a bucket, check the credentials.")
    SERVER = (
        "server",
        "could not be had, as the server failed",
        "Collect again later; if it stays so, tell whoever runs the site.",
    )
    NETWORK = (
        "network",
        "could not be reached, or broke off",
        "Check the address and your network, and collect again.",
    )
    TIMEOUT = ("timeout", "did not come in time", "Collect again when the site is faster.")
    REDIRECTS = (
        "redirects",
        "leads to another address, which mien does not follow",
        "Look at it in a browser, and give the source the address where it ends.",
    )
    TOO_LARGE = (
        "too-large",
        "is larger than the source allows",
        "If that is right, raise max_megabytes or pages of the source in mien.toml.",
    )
    CHANGED = ("changed", "changed while it was read", "The next `mien collect` tries again.")
    UNREADABLE = ("unreadable", "cannot be read", "Correct it at the source, and check its permissions.")
    NOT_A_PICTURE = (
        "not-a-picture",
        "cannot be read as a picture on this computer",
        "Install the part that reads its format (for JPEG XL pillow-jxl-plugin), or save it as a JPEG.",
    )
    NOT_DECODED = (
        "not-decoded",
        "came, and could not be decoded on this computer just then",
        "Close other programs, or check the disk; the next `mien collect` tries again.",
    )
    PERSON = (
        "person",
        "does not say clearly whom it shows",
        "Correct the name at the source, or give it in the table people of the source in mien.toml.",
    )
    LATER = (
        "later",
        "is left for the next run, as the time for its source is over",
        "The next `mien collect` goes on there. More time: max_minutes of the source in mien.toml.",
    )
    TOO_LONG = (
        "too-long",
        "takes too long to read",
        "Tell whoever makes the page, or leave it out of the source.",
    )
    TOO_MUCH_MEMORY = (
        "too-much-memory",
        "takes too much memory to read",
        "Tell whoever makes the page, or leave it out of the source.",
    )
    SHORT_OF_MEMORY = (
        "short-of-memory",
        "was not read, as this computer is short of memory",
        "End other programs, and collect again.",
    )
    KILLED = (
        "killed",
        "was not read to its end, as the system or somebody ended the program that reads it",
        "Collect again; if it stays so, look whether this computer is short of memory.",
    )
    BREAKS_PARSER = (
        "breaks-parser",
        "breaks the program that reads it",
        "Tell whoever makes the page, or leave it out of the source.",
    )
    BROKEN = (
        "broken",
        "met an error in the program of its source",
        "Tell whoever wrote this kind of source.",
    )


REFUSED: Mapping[str, str] = {
    "empty": "is empty",
    "not-a-picture": "is no photo",
    "unsupported": "is of a kind that mien does not read",
    "missing-extra": "needs a part that is not installed",
    "bomb": "is too large, or takes too much work to decode",
    "truncated": "breaks off",
    "unreadable": "cannot be read",
}
"""Why something that a source offers was refused, by what sums its fault up (`mien.text.photos.Group`): of what was
refused long ago no more is known."""


class SourceFault(Kind):
    """Why nothing, or no more, was collected from a source. The words follow "The source club"."""

    UNSET = (
        "unset",
        "states no basis or no licence, so nothing is collected from it",
        "Write what is missing, in your own words, at the source in mien.toml.",
        True,
    )
    UNKNOWN_KIND = (
        "unknown-kind",
        "is of a kind that is not known",
        "Correct its kind in mien.toml, or install the package that brings the kind.",
        True,
    )
    OPTIONS = ("options", "is set up wrongly", "Collect from it again: the message names the key in mien.toml.", True)
    MISSING_EXTRA = (
        "missing-extra",
        "needs a package that is not installed",
        "Collect from it again: the message says how to install the package.",
        True,
    )
    UNLISTED = ("unlisted", "could not be listed", "Collect from it again: the message says why.", True)
    BROKEN = ("broken", "met an error in its own program", "Tell whoever wrote this kind of source.", True)
    OUT_OF_TIME = (
        "out of time",
        "was not read to its end, as its time was over; the next run goes on",
        "To give it more, raise max_minutes of the source, or max_hours, in mien.toml.",
    )
    NAME = (
        "name",
        "has the name that stands for what is added by hand",
        "Give it another name in mien.toml.",
        True,
    )
    OVER = (
        "over",
        "is not collected any more: the last day on which its photos might be used is over",
        "Set until of the source in mien.toml to a later day, if that is agreed.",
    )

    def say(self, figures: Mapping[str, object]) -> str:
        """Its words; of a source whose settings are at hand with what they say: the keys that are `missing`, or the
        last day `until` which its photos might be used."""
        if self is SourceFault.UNSET and "missing" in figures:
            return fill("does not state its {missing}, so nothing is collected from it", figures)
        if self is SourceFault.OVER and "until" in figures:
            return fill("is not collected any more: its photos might be used until {until}", figures)
        return super().say(figures)
