"""What is said of corrections: photos that went to another person, people who got another name."""

from __future__ import annotations

from mien.text.kinds import Kind


class CorrectionKind(Kind):
    """What is said, when an album is opened, of a correction that was interrupted."""

    FILED = ("filed", "`mien {verb}` was interrupted, and is finished: {photos:file} of {person} now")
    RENAMED = ("renamed", "`mien rename` was interrupted, and is finished: the name is {person} now")
    UNDONE = ("undone", "`mien undo` was interrupted, and is finished: the last `mien {verb}` is undone")
    UNFINISHED = (
        "correction unfinished",
        "`mien {verb}` was interrupted and cannot be finished: {why}",
        "The next command tries again. `mien undo` takes it back instead.",
        True,
    )


class UnlearnedKind(Kind):
    """Why the model in use does not know of a correction; the words complete "it "."""

    NO_MODEL = ("no model", "is not there yet")
    OTHER_ENCODER = ("other encoder", "was made with another encoder than the album has now")
