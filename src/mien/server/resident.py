"""An album that is being served: its model in use, ready and current, and the album itself for whatever changes it.

The model is followed by its name in `models/current`, which one look a second costs nothing, so that a promotion by
another process is seen as one by this process is. Requests that have begun finish with the model that they began with.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mien.album import Album
from mien.engines.threads import single_opencv_thread, threads_for
from mien.errors import BusyError, MienError
from mien.recogniser import Recogniser, read
from mien.registry.versions import current, names
from mien.seeing.shared import shared_eyes
from mien.storage.layout import Layout
from mien.types import Answer, Cosines, SeenPhoto

if TYPE_CHECKING:
    from mien.errors import PhotoError
    from mien.open_album import EyesFor
    from mien.seeing.eyes import Eyes
    from mien.settings import Settings
    from mien.types import EncoderChoice

Result = TypeVar("Result")

LOOK_SECONDS, LOOK_SECONDS_BUCKET = 1.0, 5.0
"""How often the name of the model in use is looked at: in a folder, and in a bucket, where each look is a request."""
BUSY_PAUSE = 0.1
"""Seconds after which an album that another run holds is tried again."""


class Resident:
    """An album with its model in use open, for as many threads as there are. Raises MienError where the album, or the
    encoder, cannot be had; a model that cannot be had is told by `trouble`."""

    def __init__(self, folder: Path, make_eyes: EyesFor | None = None) -> None:
        self.folder, self._make_eyes = folder, make_eyes
        self.settings: Settings = Album(folder).settings
        self._models = Layout.of(folder, self.settings).models
        self.workers = threads_for(self.settings.workers)
        self._sets: dict[EncoderChoice, Eyes] = {}
        self._opening, self._following = threading.Lock(), threading.Lock()
        self._recogniser: Recogniser | None = None
        self._version: str | None = None
        self._looked = False
        self.trouble: MienError | None = None
        """Why the model in use could not be had when it was last looked for."""
        self.refresh()

    @property
    def look_seconds(self) -> float:
        """How often `refresh` is to be called."""
        return LOOK_SECONDS if isinstance(self._models, Path) else LOOK_SECONDS_BUCKET

    def album(self, **given: object) -> Album:
        """The album for one change, or one look; `given` are further arguments of `Album`. Photos are looked at here,
        whatever engine the album has for its jobs: one or two come at a time, and the eyes are open."""
        return Album(self.folder, eyes=self._eyes, engine="local", **given)  # type: ignore[arg-type]  # the caller's

    def _eyes(self, choice: EncoderChoice) -> Eyes:
        """Eyes for a choice, of which this process has one pool."""
        from mien.wiring import make_eyes

        with self._opening:
            if choice not in self._sets:
                self._sets[choice] = shared_eyes(partial(self._make_eyes or make_eyes, choice), self.workers)
            return self._sets[choice]

    @property
    def version(self) -> str | None:
        """The version that answers; None before the first."""
        recogniser = self._recogniser
        return recogniser.model.version if recogniser else None

    @property
    def recogniser(self) -> Recogniser | None:
        """The model in use, ready to answer; None where there is none. It keeps nothing of the photos."""
        return self._recogniser

    def refresh(self) -> bool:
        """Follows the model in use, if it is another by now; whether it was. What goes wrong is kept as `trouble`, and
        the model before goes on answering."""
        with self._following:
            try:
                return self._follow()
            except MienError as error:
                self.trouble = error
                return False

    def _follow(self) -> bool:
        wanted = current(self._models)
        if wanted == self._version and self._looked:
            self.trouble = None  # another one was damaged, and this one came back into use
            return False
        album = self.album()
        if wanted is None:
            self._recogniser = None  # and not closed: requests that have begun finish with it
        elif self._recogniser is None:
            self._recogniser = album.recogniser()
        else:
            self._recogniser.use(album.model())
        self._version, self._looked, self.trouble = wanted, True, None
        return True

    def eyes(self) -> Eyes:
        """The eyes with which the model in use was trained, or else those for which the album's settings ask. Raises
        EncoderError."""
        album = self.album()
        recogniser = self._recogniser
        return album.eyes(recogniser.model if recogniser else None)

    def see(self, data: bytes, name: str) -> SeenPhoto | PhotoError:
        """The faces in the bytes of a photo, with or without a model. Raises EncoderError."""
        eyes = self.eyes()
        with single_opencv_thread():
            return eyes.see_read(partial(read, data, name, least_scale=eyes.least_scale), name)

    def cosines(self) -> Cosines:
        """What is true of the cosines of `eyes`. Raises EncoderError where nobody measured them."""
        recogniser = self._recogniser
        return self.album().cosines(recogniser.model if recogniser else None)

    def answering(self, top: int) -> Callable[[bytes], Answer] | None:
        """Says who is in the bytes of a photo, by the model that is in use now; None where there is none."""
        recogniser = self._recogniser
        return recogniser.answering(top) if recogniser else None

    def change(self, work: Callable[[Album], Result], latest: float, **given: object) -> Result:
        """What `work` makes of the album, for which it waits while another run holds it, until the moment `latest` of
        `time.monotonic`; the model that is in use then answers the next request. `given` as for `album`. Raises
        BusyError and what `work` raises."""
        while True:
            try:
                try:
                    album = self.album(**given)
                    done = work(album)
                    with contextlib.suppress(MienError):  # another server may hold the album by now: the next tidies up
                        self._prune(album)
                    return done
                finally:
                    with contextlib.suppress(Exception):  # what was done is done; the next look follows the model
                        self.refresh()
            except BusyError:
                if time.monotonic() > latest:
                    raise
                time.sleep(BUSY_PAUSE)

    def _prune(self, album: Album) -> None:
        """Deletes old versions where they are many: each face that is posted makes one, and no night may tidy up."""
        keep = album.settings.keep
        if keep and len(names(self._models)) > 2 * keep:
            album.prune()

    def close(self) -> None:
        recogniser, self._recogniser = self._recogniser, None
        if recogniser:
            recogniser.close()
