"""Eyes that see a photo once, whichever process of theirs asks again: they remember it in the file that `FILE` names.

For runs that are killed and repeated, as `chaos.py` does: what happens to a run when it is killed does not hang on
whether its networks compute what they saw in the same photo anew.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path

from mien.errors import PhotoError
from mien.records.asked import AskedPhotos
from mien.seeing.eyes import Eyes
from mien.types import EncoderChoice, SeenPhoto
from mien.vision.images import decoder, file_sha256
from mien.wiring import make_eyes

FILE = "MIEN_CHAOS_SEEN"
"""The variable of the environment that names the file. Child processes have it too."""


@dataclass(frozen=True)
class Recalled(Eyes):
    """Eyes that look into `memory` first."""

    memory: AskedPhotos | None = field(default=None, kw_only=True)

    def see_file(self, file: Path) -> SeenPhoto | PhotoError:
        assert self.memory is not None
        try:
            sha256 = file_sha256(file)
        except PhotoError:
            return super().see_file(file)
        if known := self.memory.recall(sha256, self.encoder_id, str(file), decoder()):
            return known
        seen = super().see_file(file)
        if isinstance(seen, SeenPhoto):
            self.memory.keep(seen, self.encoder_id)
        return seen


def recalled(choice: EncoderChoice) -> Eyes:
    """The eyes that users have, with that memory."""
    eyes = make_eyes(choice)
    tools = {one.name: getattr(eyes, one.name) for one in fields(Eyes)}
    return Recalled(**tools, memory=AskedPhotos.open(Path(os.environ[FILE]), 30, 500))
