"""Everything that can go wrong, as one tree. Each message ends in its remedy; each class knows its exit code.

    MienError                    1   something mien did not foresee
      UsageError                 2   the command's words are off
      AlbumError                 3   not an album, or a damaged one
        EmptyAlbumError          4   no photo to learn from
        NoFaceError              5   photos, but no usable face in them
      PhotoError                 6   a photo cannot be read (also: the run finished, but some photos could not be)
      ModelError                 7   no model, or one that cannot be used
        DamagedModelError        8   a file of the model or of the weights is not what it was
        EncoderMismatchError     9   embeddings of two encoders were about to be compared
      BusyError                 10   another run holds the album
      StorageError              11   the disk is full, read-only, or unsuitable
        NetworkDriveError       12   the catalog cannot live on a network drive
      MissingExtraError         13   an optional part is not installed
      SourceError               15   a source is set up wrongly or cannot be read (also: a run finished without it)
      FetchError                16   a photo of a source could not be had (also: a run finished without some)
      ToolError                 17   a plug-in raised an error of its own
      EncoderError              18   an encoder cannot be had: its description, its files, its licence
      EngineError               19   the machines that were to look at photos cannot be reached, or are set up otherwise

14 is `mien check` or `mien daily` where something needs a human: an answer, not an error. 130 is Ctrl-C. The library
raises these; the command line translates them in one place. docs/errors.md has them by message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Self

from mien.text.fetching import FetchFault, SourceFault
from mien.text.photos import Group, PhotoFault
from mien.text.words import Figure

NEEDS_HUMAN = 14
"""Exit code of `mien check` and `mien daily` where something needs a human."""


class MienError(Exception):
    """`about` is the subject, a path or a name; `what` says what is wrong with it, so that the two make a sentence
    ("club", "is not an album"); `remedy` says what to do, a sentence or two. str() is all three."""

    exit_code: ClassVar[int] = 1

    def __init__(self, about: str, what: str, remedy: str) -> None:
        super().__init__(about, what, remedy)  # so that it survives pickling
        self.about, self.what, self.remedy = about, what, remedy

    @property
    def message(self) -> str:
        """What is wrong with what, a sentence."""
        return f"{self.about} {self.what}."

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


class UsageError(MienError):
    exit_code = 2


class AlbumError(MienError):
    exit_code = 3


class EmptyAlbumError(AlbumError):
    exit_code = 4


class NoFaceError(AlbumError):
    exit_code = 5


class PhotoError(MienError):
    """A photo that cannot be read: its `fault`, and the `figures` that fill the fault's words, plain JSON values.

    `about` is the path of the photo, or the name it has where there is no file. `sha256` is of the bytes that are
    faulty, "" where nobody knows: a disk or network may have given others than the file's.
    """

    exit_code = 6

    def __init__(
        self,
        about: str,
        fault: PhotoFault,
        figures: Mapping[str, Figure] = MappingProxyType({}),
        sha256: str = "",
    ) -> None:
        self.fault, self.figures, self.sha256 = fault, dict(figures), sha256
        super().__init__(about, fault.say(self.figures), fault.remedy)
        self.args = (about, fault, self.figures, sha256)  # what pickling and copying make it from again

    @classmethod
    def of_file(cls, about: str, error: OSError | ValueError) -> Self:
        """The error for a photo whose file the system did not open or read, for this reason. Python raises ValueError
        for a zero byte in a path."""
        if isinstance(error, FileNotFoundError):
            return cls(about, PhotoFault.NO_SUCH_FILE)
        if isinstance(error, PermissionError):
            return cls(about, PhotoFault.FORBIDDEN)
        return cls(about, PhotoFault.DISK, {"said": getattr(error, "strerror", None) or str(error)})

    @classmethod
    def restored(cls, about: str, fault: str, figures: str, sha256: str = "") -> Self:
        """The error that `stored` gave these for, of the photo that lies at `about` now. Raises ValueError, KeyError
        or TypeError where they are not what `stored` gives."""
        return cls(about, PhotoFault.of(fault), json.loads(figures), sha256)

    def stored(self) -> tuple[str, str]:
        """The word of the fault, and the figures as JSON: all but the path, which may change."""
        return self.fault.value, json.dumps(self.figures, sort_keys=True)

    @property
    def kind(self) -> Group:
        """One word that sums up: empty, not-a-picture, unsupported, missing-extra, bomb, truncated, tool or
        unreadable."""
        return self.fault.group

    def to_json(self) -> dict[str, str]:
        """The same for programs."""
        return {"kind": self.kind, "message": self.message, "remedy": self.remedy}


class ModelError(MienError):
    exit_code = 7


class DamagedModelError(ModelError):
    exit_code = 8


class EncoderMismatchError(ModelError):
    exit_code = 9


class BusyError(MienError):
    exit_code = 10


class StorageError(MienError):
    exit_code = 11


class NetworkDriveError(StorageError):
    exit_code = 12


class MissingExtraError(MienError):
    exit_code = 13


class SourceError(MienError):
    """A source is set up wrongly or cannot be listed. `kind` says so without particulars, for records of runs."""

    exit_code = 15

    def __init__(self, about: str, what: str, remedy: str, kind: SourceFault = SourceFault.UNLISTED) -> None:
        super().__init__(about, what, remedy)
        self.args = (about, what, remedy, kind)  # so that it survives pickling
        self.kind = SourceFault.of(kind)  # it may come from a program that checks no types


class FetchError(MienError):
    """A photo of a source, or a part of its listing, cannot be had. `kind` says why without particulars, for records
    of runs."""

    exit_code = 16

    def __init__(self, about: str, what: str, remedy: str, kind: FetchFault) -> None:
        super().__init__(about, what, remedy)
        self.args = (about, what, remedy, kind)  # so that it survives pickling
        self.kind = FetchFault.of(kind)


class ToolError(MienError):
    """A detector, landmarker, encoder, source or hook that mien did not bring raised something of its own. The message
    names the file with the traceback; see `mien.storage.tracebacks`."""

    exit_code = 17


class EncoderError(MienError):
    """An encoder cannot be had or used: its description is wrong, its files are not what they should be, or its licence
    does not allow it."""

    exit_code = 18


class EngineError(MienError):
    """Other processes were to work, and cannot be reached, or are set up otherwise than this one. What they did before
    is kept."""

    exit_code = 19
