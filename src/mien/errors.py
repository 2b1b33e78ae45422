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
        FetchError              16   a photo of a source could not be had (also: a run finished without some)

14 is `mien check` or `mien daily` where something needs a human: an answer, not an error. 130 is Ctrl-C. The library
raises these; the command line translates them in one place. docs/errors.md has them by message.
"""

from __future__ import annotations

from typing import ClassVar

NEEDS_HUMAN = 14
"""Exit code of `mien check` and `mien daily` where something needs a human."""


class MienError(Exception):
    """`about` is the subject, a path or a name; `what` says what is wrong with it, so that the two make a sentence
    ("club", "is not an album"); `remedy` says what to do, a sentence or two. str() is all three."""

    exit_code: ClassVar[int] = 1

    def __init__(self, about: str, what: str, remedy: str | None = None) -> None:
        super().__init__(*((about, what) if remedy is None else (about, what, remedy)))  # so that it survives pickling
        if remedy is None:  # the old form, message and remedy, until every room has the new one
            about, what, remedy = "", about.rstrip("."), what
        self.about, self.what, self.remedy = about, what, remedy

    @property
    def message(self) -> str:
        """What is wrong with what, a sentence."""
        return f"{self.about} {self.what}.".lstrip()

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
    """`kind` is one word for the summary: unreadable, truncated, bomb, unsupported, empty, not-a-picture or
    missing-extra."""

    exit_code = 6

    def __init__(self, message: str, remedy: str, kind: str = "unreadable") -> None:
        super().__init__(message, remedy)
        self.args = (message, remedy, kind)
        self.kind = kind


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
    exit_code = 15


class FetchError(SourceError):
    """`kind` is one word for the summary: address (not one that mien goes to), host, robots, gone, refused, server,
    network, timeout, redirects, too-large, changed, unreadable, not-a-picture or person."""

    exit_code = 16

    def __init__(self, message: str, remedy: str, kind: str = "network") -> None:
        super().__init__(message, remedy)
        self.args = (message, remedy, kind)
        self.kind = kind
