"""The first run of a network from elsewhere: in a child process, within bounds of memory and time.

The file was checked, so the network takes as much for every picture (`mien.networks.check`); how much that is, only a
run can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from mien.engines import children
from mien.engines.children import TaskEndedError
from mien.errors import DamagedModelError, EncoderError
from mien.networks.sessions import open_session
from mien.types import Floats

MEMORY: Final = 1 << 30
"""Bytes for what is computed, beside `COPIES` of the file. ArcFace's ResNet-100 takes 150 MB for two chips."""

COPIES: Final = 6
"""Of the weights: in the file, in the child's copy, in ONNX Runtime's, and there again while it rearranges them."""

SECONDS: Final = 120.0
"""Of computing. A vision transformer of 300 million weights takes 20 to be opened and to see four chips."""

_TAKE_ANOTHER: Final = "Take a smaller encoder, or another file of this one."


def tried(data: bytes, side: int, batch: int | str, dimensions: int, about: str) -> list[Floats]:
    """Embeddings (2, `dimensions`) of two chips, one grey and one of noise: each run alone, and, where the network
    takes more than one (`batch` is "N"), both together. Raises EncoderError about `about` where it does not run, or
    takes too much memory or time."""
    groups = [[0], [1]] if batch == 1 else [[0], [1], [0, 1]]
    memory = MEMORY + COPIES * len(data)
    try:
        asked = {"side": side, "groups": groups}
        said, given = children.ask("mien.encoders.trial:run", asked, data, seconds=SECONDS, memory=memory)
    except TaskEndedError as ended:
        raise EncoderError(about, _ended(ended, memory), _TAKE_ANOTHER) from ended
    if "fault" in said:
        raise EncoderError(about, str(said["fault"]), str(said["remedy"]))
    rows = sum(map(len, groups))
    if len(given) != 4 * rows * dimensions:
        raise EncoderError(
            about, f"gives 1 x {len(given) // 4 // rows} numbers for 1", "Correct dimensions in the description."
        )
    found = np.frombuffer(given, np.float32).reshape(rows, dimensions)
    return [found[:2], *([found[2:]] if rows > 2 else [])]


def _ended(ended: TaskEndedError, memory: int) -> str:
    match ended.reason:
        case "time":
            return f"takes more than {SECONDS:.0f} seconds for a few pictures"
        case "too much memory":
            return f"takes more than {memory / 1e9:.1f} GB of memory"
        case "short of memory":
            return "could not be tried: there is too little memory free"
        case _:
            return "breaks the program that runs it"


def run(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """A task of a child: the embeddings that the network in `data` makes of the chips, group by group."""
    from onnxruntime.capi import onnxruntime_pybind11_state as foreign

    side = about["side"]
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    chips = np.stack([np.full_like(noise, 128), noise])
    found = []
    try:
        session = open_session(data)
    except DamagedModelError as error:
        _require_memory(error.what)
        return {"fault": error.what, "remedy": "Take another file of this encoder."}, b""
    for group in about["groups"]:
        try:
            made = np.asarray(session.run(None, {"rgb": chips[group]})[0], np.float32)
        except (foreign.Fail, foreign.InvalidArgument, foreign.NotImplemented, foreign.RuntimeException) as error:
            said = " ".join(str(error).split()).rstrip(".")
            _require_memory(said)
            remedy = "Correct side and layout in the description, or export the encoder for one picture at a time."
            return {
                "fault": f"does not run on {len(group)} x {side} x {side} x 3 numbers: {said}",
                "remedy": remedy,
            }, b""
        if len(made.shape) != 2 or len(made) != len(group):
            shape = " x ".join(map(str, made.shape))
            remedy = "Correct dimensions in the description."
            return {"fault": f"gives {shape} numbers for {len(group)}", "remedy": remedy}, b""
        found.append(made)
    if len({made.shape[1] for made in found}) > 1:
        return {"fault": "gives embeddings of different lengths", "remedy": "Take another file of this encoder."}, b""
    return {}, np.concatenate(found).tobytes()


def _require_memory(said: str) -> None:
    """Raises MemoryError where ONNX Runtime says that it had too little, which it does in words alone."""
    if "allocate memory" in said or "bad_alloc" in said or "bad allocation" in said:
        raise MemoryError(said)
