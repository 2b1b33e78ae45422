"""What is said of an album and of a run: the kinds of finding, why a file is left out, what a step did."""

from __future__ import annotations

from mien.text.kinds import Kind


class FindingKind(Kind):
    """What `check` finds, in the order in which it is told: what needs a human first."""

    FEW = (
        "few",
        "{different:,} of {minimum:,} photos with their face, copies counted once",
        "Add photos: other days, other light, from other sides.",
        True,
    )
    UNREADABLE = ("unreadable", "cannot be read", "Check its permissions.", True)
    SUSPECT = (
        "suspect",
        "the face is {other}'s ({rival:.3f}) rather than {person}'s ({own:.3f})",
        "Look at it: move the photo to the right person, or merge it all the same with `mien merge`.",
        True,
    )
    TWO_PEOPLE = (
        "two people",
        "the same picture under {people_count:person|people}",
        "Leave the photo with the person it shows, and take it out of the other folder.",
        True,
    )
    WRONG_NAME = (
        "wrong name",
        "the face is more like {other} ({rival:.3f}) than like {person} ({own:.3f})",
        "Look at it: move the photo to the right person, or join two folders that are one person's.",
        True,
    )
    NOT_SEEN = ("not seen", "{photos_count:photo} not looked at yet", "Run `mien align`, then check again.", True)
    NOT_CHOSEN = (
        "not chosen",
        "which face is theirs is to be chosen again",
        "Run `mien align`, then check again.",
        True,
    )
    NO_FACE = (
        "no face",
        "no face was found",
        "It teaches nothing. Take it out, or put a larger picture of the face in its place.",
    )
    SEVERAL = (
        "several",
        "{faces:face}; the one most like the person's other photos is taken",
        "Cut the photo to the person's face if another one's may have been taken.",
    )
    SEVERAL_LEFT_OUT = (
        "several, left out",
        "{faces:face}; it is left out",
        "Cut the photo to the person's face, or set skip_multi = false.",
    )
    COPIES = (
        "copies",
        "{copies} copies of the same picture",
        "Nothing needs doing; they count once. Other photos would teach more.",
    )
    POOR = (
        "poor",
        "the face's quality is {quality:.2f}, below {least:g}",
        "Put a larger, sharper or more frontal picture in its place if there is one.",
    )
