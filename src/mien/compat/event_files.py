"""Event files, which TensorBoard reads: scalars and histograms by step.

A file is a sequence of records (github.com/tensorflow/tensorflow, tensorflow/core/lib/io/record_writer.h): the length
of the data in 8 bytes, a masked CRC-32C of these, the data, a masked CRC-32C of the data; all little-endian. The data
are messages of protobuf: Event and Summary as in tensorflow/core/util/event.proto and framework/summary.proto.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from mien.networks.onnx_file import FIXED64, field, varint
from mien.storage.files import created, make_folder, storage_error
from mien.types import Floats

PREFIX: Final = "events.out.tfevents."

BINS: Final = 30
"""Bins of a histogram."""

_VERSION = b"brain.Event:2"
_POLYNOMIAL = 0x82F63B78  # CRC-32C, Castagnoli's, reflected
_MASK = 0xA282EAD8


class EventFile:
    """An event file in `folder` that is being written. Raises StorageError where it cannot be."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self.path = folder / f"{PREFIX}{time.time():.0f}.mien.{os.getpid()}.{time.monotonic_ns()}"
        try:
            self._file = created(self.path)
        except OSError as error:
            raise storage_error(self.path, error) from error
        self._write(field(3, _VERSION.decode()))

    def add(self, step: int, scalars: Mapping[str, float], histograms: Mapping[str, Floats] | None = None) -> None:
        """The scalars and the values to be shown as histograms, each by its tag, of one step."""
        values = [field(1, tag) + field(2, float(value)) for tag, value in scalars.items()]
        values += [field(1, tag) + field(5, _histogram(array)) for tag, array in (histograms or {}).items()]
        summary = b"".join(field(1, value) for value in values)
        self._write(field(2, step) + field(5, summary))

    def _write(self, event: bytes) -> None:
        data = _double(1, time.time()) + event
        length = struct.pack("<Q", len(data))
        try:
            self._file.write(length + _masked(length) + data + _masked(data))
        except OSError as error:
            raise storage_error(self.path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def remove_events(folder: Path) -> None:
    """Removes the event files of an earlier run in `folder`, and nothing else."""
    for file in folder.glob(f"{PREFIX}*"):
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(file, error) from error


def _histogram(values: Floats) -> bytes:
    """A HistogramProto."""
    flat = np.asarray(values, np.float64).ravel()
    counts, edges = np.histogram(flat, BINS)
    figures = (flat.min(), flat.max(), flat.size, flat.sum(), (flat**2).sum())
    return (
        b"".join(_double(number, float(value)) for number, value in enumerate(figures, 1))
        + field(6, edges[1:].astype("<f8").tobytes())
        + field(7, counts.astype("<f8").tobytes())
    )


def _double(number: int, value: float) -> bytes:
    return varint(number << 3 | FIXED64) + struct.pack("<d", value)


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK) & 0xFFFF_FFFF)


def crc32c(data: bytes) -> int:
    """The CRC-32C of `data` (RFC 3720, appendix B.4)."""
    table, crc = _table(), 0xFFFF_FFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFF_FFFF


@cache
def _table() -> tuple[int, ...]:
    made = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (_POLYNOMIAL if number & 1 else 0)
        made.append(number)
    return tuple(made)
