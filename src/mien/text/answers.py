"""What is said while photos are classified, and of a model that is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from mien.text.kinds import Kind


class ClassifyNote(Kind):
    """What `classify` has to say beside its answers."""

    NOT_REMEMBERED = ("not remembered", "{why} So these photos are not remembered: asking again takes as long.")
    FULL = (
        "full",
        "There is no room to remember more photos of this run: remember_megabytes in mien.toml says how much there is.",
    )
    NO_FONT = (
        "no font",
        "No font here has all letters of {people:name}, such as {person}: boxes stand for them on the copies, beside"
        " the number of the face. Install a font that has them, such as Noto Sans.",
    )


class AnswerKind(Kind):
    """Why a face is unknown, or else what makes its name doubtful (`BARELY`, `TWICE`)."""

    TOO_SMALL = ("too small", "too small to tell, {size:.0f} px")
    TOO_BLURRED = ("too blurred", "too blurred to tell")
    BETWEEN = ("between", "{person} or {other}")
    NEARLY = ("nearly", "perhaps {person}")
    NOBODY = ("nobody", "nobody known")
    BARELY = ("barely", "doubtful")
    TWICE = ("twice", "{person} is here twice")


class LowQuality(Kind):
    """What is low in the quality of a face: the `figure` of `mien.types.Quality` that is below `least`."""

    figure: str
    least: float

    def __new__(cls, word: str, words: str, figure: str, least: float) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.words, member.remedy, member.needs_human = words, "", False
        member.figure, member.least = figure, least
        return member

    SMALL = ("small", "small, {size:.0f} px", "size", 40)
    BLURRED = ("blurred", "blurred", "sharpness", 0.5)
    TURNED = ("turned", "turned", "pose", 0.7)
    BADLY_LIT = ("badly lit", "badly lit", "exposure", 0.7)

    @classmethod
    def in_quality(cls, figures: Mapping[str, float]) -> list[Self]:
        """What is low in a quality of these figures, by name."""
        return [kind for kind in cls if figures[kind.figure] < kind.least]


class EvaluateKind(Kind):
    """What `evaluate` has to say of the photos that it was given."""

    ALL_SEEN = (
        "all seen",
        "the model was made of all that it was asked about, so nothing was measured",
        "Give photos that it has not seen: of other days, say.",
        True,
    )
    TRAINED_ON = (
        "trained on",
        "{photos:photo} that the model was made of; an answer to them proves nothing, so they are set apart",
        "Give photos that it has not seen.",
    )
    COPIES = (
        "copies",
        "{photos:photo} with pictures that the model was made of, saved anew, set apart as well",
        "Give photos that it has not seen.",
    )
    OTHER_NAME = (
        "other name",
        "{photos:photo} under {person} here, which the model learned as {other}",
        "One of the two names is wrong: look at them.",
        True,
    )
    NEARLY_KNOWN = (
        "near name",
        "{person} is nearly the name of {other}, and {alike:,} of {photos:photo} are most like {other}; whether that is"
        " a stranger or a slip would be a guess, so they are set apart",
        "Rename the folder to {other} if they are one person.",
        True,
    )
    NEARLY_KNOWN_STRANGER = (
        "near name, stranger",
        "{person} is nearly the name of {other}, but {alike:,} of {photos:photo} are most like {other}, so they count"
        " as a stranger's",
        "Rename the folder to {other} if they are one person.",
        True,
    )
    LARGEST = (
        "several, largest",
        "{photos:photo} with several faces, of which the largest was asked about, whoever it is",
        "Ask about the one nearest the middle with --face centre, or cut the photos to the person.",
    )
    CENTRE = (
        "several, centre",
        "{photos:photo} with several faces, of which the one nearest the middle was asked about, whoever it is",
        "Cut the photos to the person if another one stands there.",
    )
