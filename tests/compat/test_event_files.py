from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from mien.compat.event_files import PREFIX, EventFile, crc32c, remove_events
from mien.networks.onnx_file import fields


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


def events(file: Path) -> list[dict[int, Any]]:
    """The events of a file, as a reader of records finds them."""
    data, found, at = file.read_bytes(), list[dict[int, Any]](), 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        for start, size in ((at, 8), (at + 12, length)):
            (masked,) = struct.unpack_from("<I", data, start + size)
            turned = (masked - 0xA282EAD8) & 0xFFFFFFFF
            assert (turned >> 17 | turned << 15) & 0xFFFFFFFF == crc32c(data[start : start + size])
        found.append({number: value for number, _, value in fields(data[at + 12 : at + 12 + length])})
        at += 16 + length
    return found


def test_scalars_and_histograms_are_where_tensorboard_looks(tmp_path: Path) -> None:
    values = np.array([-1, 0.5, 0.5, 3], np.float32)
    with EventFile(tmp_path / "train") as file:
        file.add(7, {"accuracy_1": 0.25, "loss": 2.0}, {"weights": values})
    head, event = events(file.path)
    assert bytes(head[3]) == b"brain.Event:2" and struct.unpack("<d", head[1])[0] > 1.7e9
    assert event[2] == 7
    named = {}
    for _, _, value in fields(event[5]):
        parts = {number: part for number, _, part in fields(value)}
        named[bytes(parts[1]).decode()] = parts
    assert struct.unpack("<f", named["accuracy_1"][2])[0] == 0.25 and struct.unpack("<f", named["loss"][2])[0] == 2.0
    histogram = {number: bytes(part) for number, _, part in fields(named["weights"][5])}
    figures = [struct.unpack("<d", histogram[number])[0] for number in range(1, 6)]
    assert figures == [-1, 3, 4, 3, 10.5]
    limits, counts = (np.frombuffer(histogram[number], "<f8") for number in (6, 7))
    assert len(limits) == len(counts) == 30 and counts.sum() == 4 and limits[-1] == 3


def test_only_event_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with EventFile(tmp_path):
        pass
    remove_events(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
    assert not list(tmp_path.glob(f"{PREFIX}*"))
