"""remembering: photos that are asked about are seen once, and known when they are asked about again.

Goes in: eyes and a photo. Comes out: what they see, or saw, in it, the same to the bit. A photo is told by its bytes,
which are read and hashed each time, so that one which has changed is seen anew, and a copy of another name is not.
Pixels without a file are looked at each time.

A photo is marked before it is looked at, and one whose mark a stopped run has left is looked at in a process of its
own: it may have stopped that run.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

from mien.errors import PhotoError, StorageError
from mien.recogniser import Looking, PhotoLike, is_path
from mien.records.asked import AskedPhotos
from mien.registry.folder import Model
from mien.seeing.apart import EyesApart
from mien.seeing.eyes import Eyes
from mien.text.answers import ClassifyNote
from mien.types import EncoderChoice, SeenPhoto
from mien.vision.decoding import MAX_BYTES, printable
from mien.vision.images import decoder, file_sha256


class Remembering:
    """A `mien.recogniser.Sight` that remembers.

    `opened` opens the photos that are remembered, None for none, when the first is asked about; it may raise
    StorageError. `apart` makes eyes in a process of their own. What is to be said is told to `note` in the end. Where
    nothing can be remembered, photos are looked at all the same.
    """

    def __init__(
        self,
        opened: Callable[[], AskedPhotos | None],
        apart: Callable[[EncoderChoice], EyesApart],
        note: Callable[[str], None],
    ) -> None:
        self._open, self._make_apart, self._note = opened, apart, note
        self._changing, self._alone = threading.Lock(), threading.Lock()
        self._asked: AskedPhotos | None = None
        self._begun: frozenset[str] = frozenset()
        self._apart: dict[EncoderChoice, EyesApart] = {}
        self._is_open = False
        self._photos = 0
        self._why = ""

    def see(self, eyes: Eyes, model: Model, photo: PhotoLike, name: str) -> SeenPhoto | PhotoError:
        looking = Looking()
        asked = self._remembered()
        sha256 = _sha256(photo) if asked else ""
        if not asked or not sha256:
            return looking.see(eyes, model, photo, name)
        try:
            if known := asked.recall(sha256, eyes.encoder_id, _called(photo, name), decoder()):
                return known
            asked.begin(sha256)
        except StorageError as error:
            self._lose(error)
            return looking.see(eyes, model, photo, name)
        lived = True
        if sha256 in self._begun and is_path(photo):
            with self._alone:
                seen, lived = self._eyes_apart(model.card.encoder.choice).see_file(Path(photo))
        else:
            try:
                seen = looking.see(eyes, model, photo, name)
            except BaseException:  # which the photo does not stop
                with contextlib.suppress(StorageError):
                    asked.finish(sha256)
                raise
        try:
            self._keep(asked, sha256, eyes.encoder_id, seen, lived)
        except StorageError as error:
            self._lose(error)
        return seen

    def close(self) -> None:
        with self._changing:
            asked, self._asked, self._is_open = self._asked, None, True
        for apart in self._apart.values():
            apart.end()
        if asked:
            asked.close()
            if asked.is_full:
                self._note(ClassifyNote.FULL.say({}))
        if self._why and self._photos > 1:
            self._note(ClassifyNote.NOT_REMEMBERED.say({"why": self._why}))
        self._why = ""

    def _remembered(self) -> AskedPhotos | None:
        with self._changing:
            self._photos += 1
            if not self._is_open:
                self._is_open = True
                try:
                    if opened := self._open():
                        self._asked, self._begun = opened, opened.begun()
                except StorageError as error:
                    self._why, self._asked = error.message, None
            return self._asked

    def _lose(self, error: StorageError) -> None:
        """Goes on without remembering."""
        with self._changing:
            self._why, self._asked = error.message, None

    def _keep(self, asked: AskedPhotos, sha256: str, encoder: str, seen: SeenPhoto | PhotoError, lived: bool) -> None:
        """Remembers what was seen in the photo of this hash; nothing where other bytes were looked at by now, or the
        fault is not known to be theirs."""
        if isinstance(seen, SeenPhoto) and seen.photo.sha256 == sha256:
            asked.keep(seen, encoder)
        elif isinstance(seen, PhotoError) and (seen.sha256 == sha256 or not lived):
            asked.keep_fault(sha256, encoder, seen, decoder(), lived)
        elif lived:
            asked.finish(sha256)

    def _eyes_apart(self, choice: EncoderChoice) -> EyesApart:
        if choice not in self._apart:
            self._apart[choice] = self._make_apart(choice)
        return self._apart[choice]


class Forgetting:
    """A `mien.recogniser.Sight` that keeps nothing of the photos that it is asked about, and forgets what is remembered
    of them. It raises StorageError where that cannot be done; `opened` is that of `Remembering`."""

    def __init__(self, opened: Callable[[], AskedPhotos | None]) -> None:
        self._open = opened
        self._changing = threading.Lock()
        self._asked: AskedPhotos | None = None
        self._is_open = False

    def see(self, eyes: Eyes, model: Model, photo: PhotoLike, name: str) -> SeenPhoto | PhotoError:
        with self._changing:
            if not self._is_open:
                self._asked, self._is_open = self._open(), True
        asked = self._asked
        sha256 = _sha256(photo) if asked else ""
        known = asked.recall(sha256, eyes.encoder_id, _called(photo, name), decoder()) if asked and sha256 else None
        if asked and sha256:
            asked.forget([sha256])
        return known or Looking().see(eyes, model, photo, name)

    def close(self) -> None:
        with self._changing:
            asked, self._asked, self._is_open = self._asked, None, True
        if asked:
            asked.close()


def _called(photo: PhotoLike, name: str) -> str:
    """What an error calls the photo."""
    return printable(Path(photo)) if is_path(photo) else name


def _sha256(photo: PhotoLike) -> str:
    """The hash of the photo's bytes; "" where they cannot be read or are too many, which looking at the photo will say,
    or there are none."""
    if isinstance(photo, bytes):
        return hashlib.sha256(photo).hexdigest()
    if is_path(photo):
        with contextlib.suppress(PhotoError, OSError, ValueError):
            if Path(photo).stat().st_size <= MAX_BYTES:
                return file_sha256(Path(photo))
    return ""
