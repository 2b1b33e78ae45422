"""dlib's packed integers, millions at a time.

A control byte c, then c & 15 bytes of little-endian magnitude; c & 128 says negative (dlib/serialize.h).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.errors import DamagedModelError

Integers = NDArray[np.int32]

_LONGEST = 4  # bytes of magnitude; no integer of a shape predictor needs more
_BLOCK = 512  # bytes; 2048 blocks are walked at a time, which the processor's cache can hold
_CHUNK = 2048 * _BLOCK
_ROW = _BLOCK + _LONGEST + 1

_CONTROLS = np.arange(256)
_LENGTH = _CONTROLS & 15
_STEP = np.where(_CONTROLS & 0x7F <= _LONGEST, _LENGTH + 1, 0).astype(np.uint8)  # 0: no control byte
_MASK = (2 ** (8 * np.minimum(_LENGTH, _LONGEST).astype(np.int64)) - 1).astype(np.uint32)


def damaged(what: str, offset: int) -> DamagedModelError:
    """The error for a dlib file of whatever kind."""
    return DamagedModelError(
        "This",
        f"is not a dlib file that can be read: {what}, at byte {offset:,}",
        "Fetch the file again, and unpack it (.dat, not .dat.bz2).",
    )


def decode_integers(data: bytes) -> Integers:
    """All integers of a file that holds nothing else, (N,) int32. Raises DamagedModelError if it holds anything else.

    Each begins where the one before it ends; following that chain in Python would take many seconds. So the file is
    cut into blocks, and all blocks are walked at once, from every byte at which their first integer may begin: 0 to
    4, as the last of the block before may reach over. Then the blocks are chained: where the walk through one ends,
    that through the next begins.
    """
    raw = np.frombuffer(data + bytes(_LONGEST), np.uint8)
    magnitudes = np.ndarray(len(data) + 1, "<u4", raw.data, strides=(1,))  # the four bytes from any byte on
    raw = raw[: len(data)]
    decoded = [np.empty(0, np.int32)]
    begin = 0
    for chunk in range(0, len(raw), _CHUNK):
        starts, begin = _integers_in(raw[chunk : chunk + _CHUNK], begin - chunk)
        starts, begin = starts + chunk, begin + chunk
        controls = raw[starts]
        values = magnitudes[starts + 1] & _MASK[controls]
        if (values >= 2**31).any():
            raise damaged("no integer of common size", int(starts[(values >= 2**31).argmax()]))
        decoded.append(np.where(controls & 0x80, -values.astype(np.int32), values.astype(np.int32)))
        if begin < min(chunk + _CHUNK, len(raw)):
            raise damaged("no integer", begin)
    if begin != len(raw):
        raise damaged("the last integer is cut off", len(raw))
    return np.concatenate(decoded)


def _integers_in(chunk: NDArray[np.uint8], begin: int) -> tuple[NDArray[np.intp], int]:
    """Where the integers of `chunk` start, the first at `begin`; and where the walk over them ends.

    That is behind the chunk, or short of it at what is no integer.
    """
    blocks = -(-len(chunk) // _BLOCK)
    # A row for each block. A walk stops where the step is 0: in the columns behind the block, behind the chunk, or on
    # what is no control byte.
    steps = np.zeros((blocks, _ROW), np.uint8)
    padded = np.full(blocks * _BLOCK, 0xFF, np.uint8)
    padded[: len(chunk)] = chunk
    steps[:, :_BLOCK] = _STEP[padded].reshape(blocks, _BLOCK)
    rows = np.arange(blocks)[:, None] * _ROW

    ends = _walk(steps.ravel(), (rows + np.arange(_LONGEST + 1)).ravel()).reshape(blocks, -1) - rows
    begins = []
    for end in ends.tolist():
        begins.append(begin)
        begin = end[begin] - _BLOCK
        if begin < 0:
            break
    visited = np.zeros(steps.shape, np.bool_)
    _walk(steps.ravel(), rows[: len(begins), 0] + begins, visited.ravel())
    starts = np.flatnonzero(visited[:, :_BLOCK] & (steps[:, :_BLOCK] > 0))
    return starts, len(begins) * _BLOCK + begin


def _walk(
    steps: NDArray[np.uint8], positions: NDArray[np.intp], visited: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Where walks from `positions` stop, stepping by `steps`; all places on their way are marked in `visited`."""
    stops = np.empty_like(positions)
    walker = np.arange(len(positions))
    while len(walker):
        for _ in range(16):  # before looking who has stopped
            if visited is not None:
                visited[positions] = True
            positions = positions + steps[positions]
        stopped = steps[positions] == 0
        stops[walker[stopped]] = positions[stopped]
        walker, positions = walker[~stopped], positions[~stopped]
    return stops
