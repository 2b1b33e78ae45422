"""What is said of an album and of a run: the kinds of finding, why a file is left out, what a step did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mien.text.fetching import FetchFault, SourceFault
from mien.text.kinds import Kind
from mien.text.models import GateKind, GoneKind, IncomparableKind
from mien.text.photos import PhotoFault
from mien.text.retries import is_of_the_photo
from mien.text.words import count, listed

_CONNECT = "Connect the drive or share that it is on, or check the disk."
_KEPT = "What is known of it is kept until then."
_RIGHT = "If it is right, say so by `mien confirm`."
_ALL_RIGHT = "If all is right, say so by `mien confirm`."


class FindingKind(Kind):
    """What `check` finds, in the order in which it is told: what needs a human first.

    A human is needed where photos may teach a wrong name, or where something that was there cannot be looked at. What
    mien leaves out by itself, rightly, is told and remembered, and needs nobody: a file that is damaged, or no photo.
    """

    RECORDS_DAMAGED = (
        "records damaged",
        "{rows:record} of the ledger: damaged, and out of use",
        "Put a copy of the ledger from a backup in its place (`mien status` says which it is). It holds what cannot"
        " be seen again in the photos.",
        True,
    )
    CLOSED = ("closed", "cannot be opened", f"Check its permissions. {_KEPT}", True)
    AWAY = ("away", "cannot be reached ({said})", f"{_CONNECT} {_KEPT}", True)
    BROKEN_LINK = (
        "broken link",
        "is a link to nothing",
        f"Connect the drive to which it leads, or remove the link. {_KEPT}",
        True,
    )
    EMPTIED = (
        "emptied",
        "is empty, and was not",
        f"Connect its drive. {_KEPT} If it is to be empty, make a folder for a person in it.",
        True,
    )
    SUSPECT = (
        "suspect",
        "the face is {other}'s ({rival:.3f}) rather than {person}'s ({own:.3f})",
        f"Look at it: move the photo to the right person, or merge it all the same with `mien merge`. {_RIGHT}",
        True,
    )
    TWO_PEOPLE = (
        "two people",
        "the same picture under {number:person|people}",
        f"Leave the photo with the person it shows, and take it out of the other folder. {_RIGHT}",
        True,
    )
    WRONG_NAME = (
        "wrong name",
        "the face is more like {other} ({rival:.3f}) than like {person} ({own:.3f})",
        f"Look at it: move the photo to the right person, or join two names of one person (`mien join`). {_RIGHT}",
        True,
    )
    UNDECIDED = (
        "undecided",
        "of {faces} faces it was guessed which is {person}'s: {place}{likewise}",
        "Cut a photo to the face of {person}, or add one that shows nobody else, if another face may be the right one. "
        f"{_RIGHT}",
        True,
    )
    WRONG_NAMES = (
        "wrong names",
        "{photos:photo is|photos are} more like {other} ({rival:.3f}) than like {person} ({own:.3f})",
        f"Look at them: move them to {{other}}, or join two names of one person (`mien join`). {_ALL_RIGHT}",
        True,
    )
    TWO_GROUPS = (
        "two groups",
        "two groups of faces: {photos:photo} like these, and {others:photo} of somebody else",
        f"Look at both: move one of them to a person of its own. {_ALL_RIGHT}",
        True,
    )
    MIXED = (
        "mixed",
        "faces of {groups:person|people} among {photos:photo}, and none is in most of them",
        f"A folder is for one person: give each of them one, or take the folder away. {_ALL_RIGHT}",
        True,
    )
    ODD = (
        "odd",
        "unlike the other {others:photo} of {person}",
        f"Look at it: move the photo to the person it shows, or take it out of the folder. {_RIGHT}",
        True,
    )
    STRANGE = (
        "strange",
        "unlike {person}, by {others:other photo}",
        f"Look at it: move the photo to the person it shows, or merge it all the same with `mien merge`. {_RIGHT}",
        True,
    )
    ONE_IN_TWO = (
        "one in two",
        "{person} and {other} look like one person in two folders ({cosine:.3f})",
        "If they are one, join them. If they are two, say so by `mien confirm`.",
        True,
    )
    NOT_SEEN = ("not seen", "{photos:photo} not seen yet", "Run `mien align`, then check again.", True)
    NOT_CHOSEN = (
        "not chosen",
        "which face is theirs is to be chosen again",
        "Run `mien align`, then check again.",
        True,
    )
    FEW = (
        "few",
        "{different:,} of {minimum:,} photos with their face, copies counted once",
        "Add photos: other days, other light, from other sides.",
    )
    EMPTY = ("empty", "a folder without a photo", "Put photos into it, or take it away.")
    UNREADABLE = ("unreadable", "cannot be read", "Take it out of the folder.")
    LEFT_OUT = ("left out", "is left out", "Take it out of the folder.")
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
        "Nothing needs doing. Other photos would teach more.",
    )
    POOR = (
        "poor",
        "the face's quality is {quality:.2f}, below {least:g}",
        "Put a larger, sharper or more frontal picture in its place if there is one.",
    )

    def say(self, figures: Mapping[str, object]) -> str:
        """Its words; of a photo that cannot be read, or a file that is left out, those of its `reason`. Where a face
        was guessed its `number` from the left, 0 first, says which, and how many `others` there are likewise."""
        if self is FindingKind.UNDECIDED:
            number, faces, others = (int(str(figures.get(name, 0))) for name in ("number", "faces", "others"))
            likewise = f", and likewise in {count(others, 'other photo')}" if others else ""
            place = place_of(number, faces)
            return super().say({**figures, "place": place, "likewise": likewise})
        why = reason(figures)
        return why.say(figures) if why else super().say(figures)

    def advise(self, figures: Mapping[str, object]) -> str:
        """Its remedy, likewise."""
        why = reason(figures)
        return why.advise(figures) if why else super().advise(figures)

    def needs(self, figures: Mapping[str, object]) -> bool:
        """Whether a human is needed; for a photo that cannot be read where that need not be the photo's own fault."""
        why = reason(figures)
        return self.needs_human or (isinstance(why, PhotoFault) and not is_of_the_photo(why))


def reason(figures: Mapping[str, object]) -> Kind | None:
    """Why a photo cannot be read (the figure `fault`, a word of `PhotoFault`), or a file is left out (`left_out`, one
    of `LeftOutKind`); None where the figures name neither."""
    if "fault" in figures:
        return PhotoFault.of(str(figures["fault"]))
    return LeftOutKind.of(str(figures["left_out"])) if "left_out" in figures else None


def place_of(number: int, faces: int) -> str:
    """Which of several faces one is, counted from the left, 0 first."""
    if number in (0, faces - 1):
        side = "left" if number == 0 else "right"
        return f"the {side}{'' if faces == 2 else 'most'} one"
    return f"number {number + 1} from the left"


LACKING = frozenset(
    {
        FindingKind.FEW,
        FindingKind.EMPTY,
        FindingKind.UNREADABLE,
        FindingKind.LEFT_OUT,
        FindingKind.NO_FACE,
    }
)
"""What is left out or missing, and needs somebody where the album is to be `strict`."""

DOUBTS = frozenset(
    {
        FindingKind.SUSPECT,
        FindingKind.TWO_PEOPLE,
        FindingKind.WRONG_NAME,
        FindingKind.UNDECIDED,
        FindingKind.WRONG_NAMES,
        FindingKind.TWO_GROUPS,
        FindingKind.MIXED,
        FindingKind.ODD,
        FindingKind.STRANGE,
        FindingKind.ONE_IN_TWO,
    }
)
"""Doubts about who is who, which a human may judge to be unfounded."""

OF_NAMES = frozenset(
    {
        FindingKind.WRONG_NAME,
        FindingKind.WRONG_NAMES,
        FindingKind.TWO_GROUPS,
        FindingKind.MIXED,
        FindingKind.ODD,
        FindingKind.ONE_IN_TWO,
    }
)
"""What makes a model worse than its figures say: names under which somebody else's photos lie."""


class LeftOutKind(Kind):
    """Why a file or folder of a shelf is not learned from, or not merged; the words complete "it "."""

    NO_PERSON = ("no person", "is not in a person's folder", "Put it into the folder of whom it shows.")
    UNSUPPORTED = (
        "unsupported",
        "is of a kind that mien does not read",
        "If it is a photo, save it as a JPEG and put that into the folder.",
    )
    NO_PHOTO = ("no photo", "is not a photo by its name", "If it is one, give it the ending of its format: .jpg, say.")
    ARCHIVE = ("archive", "is an archive, which may hold photos", "Unpack it there, and take the archive away.")
    SHORTCUT = ("shortcut", "is a shortcut, which only says where something is", "Put the photos themselves there.")
    LINKED_PHOTO = ("link", "is a link", "Put the photo itself in its place.")
    BROKEN_LINK = ("broken link", "is a link to nothing", "Connect the drive to which it leads, or remove the link.")
    LINKED_FOLDER = ("linked folder", "is a link to a folder", "Put the folder itself there, or its photos.")
    NOT_UNICODE = ("not unicode", "has a name that is not Unicode", "Rename it.")
    NO_PATH = ("no path", "has a key that no file could have as its path", "Copy it to a key like Ada/1.jpg.")
    ALIKE_NAMES = (
        "alike names",
        "has a key that differs from another one in letter case or Unicode form only",
        "Copy it to a key of its own, or remove it.",
    )
    UNREADABLE = ("unreadable", "cannot be opened", "Check its permissions.")
    AWAY = ("away", "cannot be reached ({said})", _CONNECT)
    EMPTIED = (
        "emptied",
        "is empty, and was not",
        "Connect its drive; if it is to be empty, make a folder for a person in it.",
    )
    HELD = ("held back", "is held back until you have looked at it")
    SAME_IN_LETTERS = (
        "same in letters",
        "is of {person}, and the album has {other}: they differ in letter case only, or look the same",
    )
    NO_FOLDER = ("no folder", "is of {person}, whose folder is a link or cannot be opened")
    NO_NAME = ("no name", "is of {person}, which cannot be a person's name")
    PERSON_REMOVED = (
        "person removed",
        "is of {person}, who was removed on {on}",
        "`mien add` brings a person back.",
    )
    PHOTO_REMOVED = (
        "photo removed",
        "is one that was taken out of the photos of {person} before",
        "`mien add` brings a photo back.",
    )


class LeftOutCount(Kind):
    """How many files are not learned from, by what is the matter with them: `check` names those in the album, `sources`
    those that sources offer."""

    UNREADABLE = ("unreadable", "{files:,} unreadable")
    NO_FACE = ("no face", "{files:,} without a face")
    SEVERAL = ("several", "{files:,} with several faces, as skip_multi is set")
    UNSUPPORTED = ("unsupported", "{files:,} of a kind that mien does not read")
    NO_PERSON = ("no person", "{files:,} in no person's folder")
    LINK = ("link", "{files:link to a folder|links to folders}")
    NOT_UNICODE = ("not unicode", "{files:,} with a name that is not Unicode")
    REFUSED = ("refused", "{files:,} refused, being no photo")
    NOT_HAD = ("not had", "{files:,} that could not be had")


class MemoryKind(Kind):
    """What is said when an album is opened whose memory is damaged."""

    ACCESS = (
        "access",
        "{rows:record} of keys and of what servers answered damaged, and gone",
        "`mien keys` names the keys that are left; make the others anew.",
        True,
    )

    CATALOG = (
        "catalog",
        "{rows:record} of the catalog damaged, and forgotten: what they said is seen in the photos again",
    )
    LEDGER = (
        "ledger",
        "{rows:record} of the ledger damaged, and out of use: {of}",
        "Put a copy of {file} from a backup in its place.",
        True,
    )


RECORDS = {
    "fetches": "where photos came from",
    "failures": "what could not be had",
    "source_runs": "how sources fared",
    "runs": "what runs did",
    "steps": "what runs did",
    "findings": "what runs found",
    "promotions": "which models were in use",
    "albums": "where the album lies",
    "corrections": "what was corrected",
    "moves": "what was corrected",
    "events": "who changed what",
}
"""What the ledger's tables say, by name."""


def of_records(tables: Iterable[str]) -> str:
    """What these tables of the ledger say, as a list."""
    return listed(dict.fromkeys(RECORDS.get(table, table) for table in sorted(tables)))


class StaleKind(Kind):
    """In what the catalog or the model in use is behind the album."""

    DAMAGED = ("damaged", "{rows:record} of the catalog damaged: what they said will be seen in the photos again")
    NOT_SEEN = ("not seen", "{photos:photo} not seen yet with the present settings")
    NOT_CHOSEN = ("not chosen", "{people:person|people} whose faces are to be chosen again")
    NEW = ("new", "{photos:photo} new in training-images, not seen yet")
    CHANGED = ("changed", "{photos:photo} changed since it was seen")
    GONE = ("gone", "{photos:photo} gone from training-images; the next run forgets it")
    OTHER_SETTINGS = (
        "other settings",
        "the model was made with another encoder, other settings of precision or views, or by another version of mien",
    )
    NO_ENCODER = (
        "no encoder",
        "the encoder {encoder} is not on this machine, or cannot be used: nothing can be seen or answered with it"
        " (`mien encoders`)",
    )
    OTHER_FPIR = ("other fpir", "the model's FPIR is {of_model:g}, the setting {set:g}")
    ENROLLED = (
        "enrolled",
        "{photos:photo} enrolled or removed since the last training, by which the model was measured",
    )
    NEVER_TRAINED = (
        "never trained",
        "the model was made by enrolling {photos:photo}, and how well it recognises was never measured: training does",
    )
    NOT_LEARNED = ("not learned", "{photos:photo} not in the model yet")
    UNSEEN = ("unseen", "{photos:photo} in the model in which no face counts with the present settings")
    LEFT_ALBUM = ("left album", "{photos:photo} in the model and no longer in the album")


class RemovalKind(Kind):
    """What is said of people who were removed, when an album is opened."""

    FINISHED = ("finished", "the removal of {person}, which was interrupted, is finished")
    UNFINISHED = (
        "unfinished",
        "the removal of {person} was interrupted and cannot be finished: {why}",
        "The next command tries again.",
        True,
    )
    BACK = (
        "back",
        "{person}, who was removed on {on}, has photos in training-images again, and is learned from these",
    )
    UNLEARNED = (
        "unlearned",
        "the model in use knew {person}, who was removed on {on}: {version} does not, and is in use now",
    )


class RunNote(Kind):
    """What the daily loop has to say before its first step."""

    GOES_ON = ("goes on", "Going on with the run {run}, which was interrupted.")


class StepKind(Kind):
    """What a step of the daily run says of itself."""

    FORGOTTEN = ("forgotten", "{rows:record} of the catalog damaged, and seen again in the photos")
    RECORDS_DAMAGED = (
        "records damaged",
        "{rows:record} of the ledger damaged, and out of use",
        "Put a copy of the ledger from a backup in its place: `mien status` says which file it is.",
        True,
    )
    NOTHING_EXPIRED = ("nothing expired", "nothing has expired")
    EXPIRED = (
        "expired",
        "{photos:photo} set aside, whose time is over",
        "They lie in removed-images: delete them if you may not keep them.",
        True,
    )
    CLOCK_LEAPT = (
        "clock leapt",
        "nothing set aside although somebody's time is over: by this computer's clock the last run was {days:day} ago",
        "If the clock is wrong, set it right. If it is right, the run of the next day sets aside whose time is over.",
        True,
    )
    EXPIRED_BEFORE = (
        "expired before",
        "perhaps photos were set aside before this run was interrupted",
        "Look into removed-images: delete what you may not keep.",
        True,
    )
    BACK = ("back", "{people:removed person|removed people} back, with photos in training-images")
    REMOVAL_FINISHED = ("removal finished", "{people:removal} finished that had been interrupted")
    REMOVAL_UNFINISHED = (
        "removal unfinished",
        "{people:removal} that cannot be finished",
        "Remove the person again, with the same command: the message says what is in the way.",
        True,
    )
    NO_SOURCE = ("no source", "no source is configured")
    PEOPLE_REMOVED = ("people removed", "{photos:photo} of {people:removed person|removed people} passed over")
    PHOTOS_REMOVED = ("photos removed", "{photos:photo} passed over, taken out before")
    LEFT_REMOVED = ("left, removed", "{photos:,} left in the intake, as the person or the photo was removed")
    PRUNED = ("pruned", "{versions:older model} deleted, as keep = {keep} in mien.toml")
    COLLECTED = ("collected", "{photos:new photo} from {sources:source}")
    SOURCES_FAILED = ("sources failed", "{sources:source} failed")
    SOURCES_UNFINISHED = ("sources unfinished", "{sources:source} not read to the end, as the time was over")
    REFUSED = ("refused", "{files:file} refused")
    NOT_HAD = ("not had", "{photos:photo} could not be had")
    NOTHING_WAITS = ("nothing waits", "nothing waits")
    WAITING = ("waiting", "{photos:photo} waiting, {computed:,} seen anew")
    WAITING_UNREADABLE = ("waiting, unreadable", "{photos:,} unreadable")
    NOTHING_ODD = ("nothing odd", "nothing odd")
    FOUND_LEFT_OUT = ("found left out", "{photos:,} left out")
    FOUND_UNREADABLE = ("found unreadable", "{photos:,} unreadable")
    FOUND_SUSPECT = ("found suspect", "{photos:,} whom the model takes for somebody else")
    FOUND_TWO_PEOPLE = ("found two people", "{photos:,} that came for two people")
    FOUND_STRANGE = ("found strange", "{photos:,} unlike the person they came for")
    FOUND_TWO_GROUPS = ("found two groups", "{photos:,} of several people who came as one")
    FOUND_ONE_IN_TWO = ("found one in two", "{photos:,} of somebody who is there under another name")
    FOUND_NOT_SEEN = ("found not seen", "{photos:,} not seen yet")
    FOUND_NO_FACE = ("found no face", "{photos:,} without a face")
    FOUND_SEVERAL = ("found several", "{photos:,} with several faces")
    FOUND_COPIES = ("found copies", "{photos:,} like another photo")
    MERGED = ("merged", "{photos:photo} merged")
    NOTHING_MERGED = ("nothing merged", "nothing to merge")
    DUPLICATES = ("duplicates", "{photos:duplicate} dropped")
    LEFT = ("left", "{photos:,} left in the intake")
    MADE = ("made", "made {version}: {people:person|people}, {photos:photo}")
    MADE_BEFORE = ("made before", "nothing new since {version}: {people:person|people}, {photos:photo}")
    GUESSED = (
        "guessed",
        "of {people:person|people} it was guessed which face is theirs",
        "See whose: `mien check`.",
    )
    FEW_PHOTOS = ("few photos", "{people:person|people} with fewer than {minimum} photos")
    FIRST = ("first", "{version} is the first that can be used")
    IN_USE_ALREADY = ("in use already", "{version} is in use already")
    SET_ASIDE = ("set aside", "{version} was set aside before, and would be made of these photos again")
    UNUSABLE = ("unusable", "{version} cannot be used by this version of mien")
    UNDECIDED = (
        "undecided",
        "{version} and {champion}, which is in use, could not be compared",
        "Try both, then choose: `mien models promote {version}`",
        True,
    )
    KEPT_OUT = (
        "kept out",
        "the new model {version} was not put into use, {champion} stays",
        "Look at what came in; to use it all the same: `mien models promote {version}`",
        True,
    )
    PROMOTED = ("promoted", "{version} is in use now")
    STAYS = ("stays", "{version} stays in use")
    TOLD = ("told", "{program} has the summary")
    NOT_STARTED = ("not started", "{program} cannot be run", "Look at after_daily in mien.toml.", True)
    TOO_LONG = (
        "too long",
        "{program} took longer than {minutes} minutes and was stopped",
        "Look at after_daily in mien.toml.",
        True,
    )
    NOT_TOLD = (
        "not told",
        "{program} did not take the summary: it ended with exit code {code}",
        "Look at after_daily in mien.toml.",
        True,
    )


_AGAIN = "Run `mien daily` again; what it prints then says more."


class ErrorKind(Kind):
    """Why a step could not be done, by the class of its error (`mien.errors`)."""

    ALBUM = ("AlbumError", "something in the album is not as it should be", _AGAIN, True)
    EMPTY = ("EmptyAlbumError", "there is no photo to learn from", "Put photos into training-images.", True)
    NO_FACE = ("NoFaceError", "no photo shows a face that could be learned", "Add photos that show faces.", True)
    PHOTO = ("PhotoError", "a photo could not be read", _AGAIN, True)
    MODEL = ("ModelError", "a model cannot be used", _AGAIN, True)
    DAMAGED = ("DamagedModelError", "a file of a model is not what it was", "Make a new one: `mien train`", True)
    ENCODER = ("EncoderMismatchError", "the model was made with another encoder", "Make a new one: `mien train`", True)
    NO_ENCODER = (
        "EncoderError",
        "the encoder that is set cannot be had or used",
        "See what there is: `mien encoders`. " + _AGAIN,
        True,
    )
    BUSY = ("BusyError", "another run was at work in the album", "Run `mien daily` again.", True)
    STORAGE = (
        "StorageError",
        "the disk is full, read-only, away, or forbids to read or write",
        "Free some space, connect it, or give yourself access. " + _AGAIN,
        True,
    )
    NETWORK_DRIVE = ("NetworkDriveError", "the catalog cannot live on a network drive", _AGAIN, True)
    EXTRA = ("MissingExtraError", "a part that is needed is not installed", _AGAIN, True)
    SOURCE = ("SourceError", "a source could not be read", _AGAIN, True)
    FETCH = ("FetchError", "a photo could not be had", _AGAIN, True)
    ENGINE = ("EngineError", "the processes that were to look at photos could not do so", _AGAIN, True)
    TOOL = ("ToolError", "a part that mien did not bring has failed", _AGAIN, True)
    USAGE = ("UsageError", "a setting or a word of the command is off", _AGAIN, True)
    OTHER = ("MienError", "something went wrong that mien did not foresee", _AGAIN, True)


def kind_of(key: str) -> Kind:
    """The kind of a finding by its `Kind.key`. Raises KeyError for one that this version of mien does not know."""
    family, _, word = key.partition(".")
    for kinds in (FindingKind, StepKind, ErrorKind, GateKind, GoneKind, IncomparableKind, SourceFault, FetchFault):
        if kinds.__name__ == family and word in set(kinds):
            return kinds.of(word)
    raise KeyError(key)
