"""A photo seen in a process of its own, which may break down without harm.

That costs a second for the networks, and is done with photos that were being looked at when an earlier run was stopped:
one of them may have taken all memory, broken a network, or had it compute without end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from mien.engines.children import Apart, TaskEndedError
from mien.errors import PhotoError
from mien.seeing.eyes import Eyes
from mien.text.photos import PhotoFault
from mien.types import Embedding, EncoderChoice, Face, Photo, Quality, SeenFace, SeenPhoto

SECONDS = 600.0
"""Seconds of computing that a photo may take, its networks included: a crowd in 100 megapixels takes a tenth."""
MEMORY = 4_000_000_000
"""Bytes that it may take, its networks included: no photo takes a third of that."""

_ENDED = {"short of memory": PhotoFault.SHORT_OF_MEMORY, "killed": PhotoFault.KILLED}


MakeEyes = Callable[[EncoderChoice], Eyes]


class EyesApart:
    """Eyes in a process of their own, which `make` makes there, whose tools leave their `tracebacks` in a folder. A
    context manager: the process ends with it.

    `make` must be a function that another process can import; otherwise the photos are seen in this process.
    """

    def __init__(self, make: MakeEyes, choice: EncoderChoice, tracebacks: Path) -> None:
        self._about = {"make": _name_of(make), "choice": asdict(choice), "tracebacks": str(tracebacks)}
        self._process = Apart()
        self._here = partial(_made, make, choice, tracebacks)

    def see_file(self, file: Path) -> tuple[SeenPhoto | PhotoError, bool]:
        """What `Eyes.see_file` says of the photo, and whether the process lived to say it."""
        if self._about["make"]:
            about = {**self._about, "file": str(file)}
            try:
                said, _ = self._process.ask(f"{__name__}:task", about, seconds=SECONDS, memory=MEMORY)
            except TaskEndedError as error:
                return PhotoError(str(file), _ENDED.get(error.reason, PhotoFault.STOPS_MIEN)), False
            if "seen" in said:
                return _seen(said["seen"]), True
            if "fault" in said:
                return PhotoError.restored(str(file), said["fault"], said["figures"], said["sha256"]), True
        return self._here().see_file(file), True

    def end(self) -> None:
        """Ends the process, if there is one."""
        self._process.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def task(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """What the process is asked for: what the eyes that about["make"] names see in the photo at about["file"]. Nothing
    is said where the process cannot import such eyes."""
    try:
        eyes = _eyes(about["make"], json.dumps(about["choice"]), about["tracebacks"])
    except (ImportError, AttributeError):
        return {}, b""
    seen = eyes.see_file(Path(about["file"]))
    if isinstance(seen, PhotoError):
        fault, figures = seen.stored()
        return {"fault": fault, "figures": figures, "sha256": seen.sha256}, b""
    return {"seen": _as_json(seen)}, b""


def _name_of(make: MakeEyes) -> str:
    """ "module:function", "" for a function that no other process can import by that."""
    module, name = getattr(make, "__module__", ""), getattr(make, "__qualname__", "")
    found = getattr(sys.modules.get(module), name, None)
    return f"{module}:{name}" if found is make and module != "__main__" else ""


@lru_cache(1)
def _eyes(name: str, choice: str, tracebacks: str) -> Eyes:
    module, _, function = name.partition(":")
    make: MakeEyes = getattr(import_module(module), function)
    return _made(make, EncoderChoice(**json.loads(choice)), Path(tracebacks))


def _made(make: MakeEyes, choice: EncoderChoice, tracebacks: Path) -> Eyes:
    return replace(make(choice), tracebacks=tracebacks)


def _as_json(seen: SeenPhoto) -> dict[str, Any]:
    return {
        "photo": asdict(seen.photo),
        "scale": float(seen.scale),
        "faces": [
            {
                "box": [float(side) for side in one.face.box],
                "landmarks": one.face.landmarks.tolist(),
                "detector_score": float(one.face.detector_score),
                "detector": one.face.detector,
                "turn": one.face.turn,
                "quality": {name: float(value) for name, value in asdict(one.quality).items()},
                "embedding": one.embedding.vector.tolist(),
                "encoder": one.embedding.encoder_id,
            }
            for one in seen.faces
        ],
    }


def _seen(said: Mapping[str, Any]) -> SeenPhoto:
    faces = tuple(
        SeenFace(
            Face(
                tuple(one["box"]),
                np.array(one["landmarks"], np.float32),
                one["detector_score"],
                one["detector"],
                one["turn"],
            ),
            Quality(**one["quality"]),
            Embedding(np.array(one["embedding"], np.float32), one["encoder"]),
        )
        for one in said["faces"]
    )
    return SeenPhoto(Photo(**said["photo"]), faces, said["scale"])
