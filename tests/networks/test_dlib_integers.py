import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import DamagedModelError
from mien.networks.dlib_integers import decode_integers


def packed(value: int) -> bytes:
    magnitude = abs(value).to_bytes((abs(value).bit_length() + 7) // 8, "little")
    return bytes([len(magnitude) | 0x80 * (value < 0)]) + magnitude


@given(st.lists(st.integers(1 - 2**31, 2**31 - 1)))
def test_integers_come_back(values: list[int]) -> None:
    assert decode_integers(b"".join(map(packed, values))).tolist() == values


@pytest.mark.parametrize("value", [0, 1, -2, 0x0101, 0x010203, -0x01020304, 0x7FFFFFFF])
def test_walks_that_never_meet_are_told_apart(value: int) -> None:
    """Runs of one integer keep walks from wrong bytes wrong for ever; and the file spans blocks and chunks."""
    values = [7, *[value] * 300_000, 9]
    np.testing.assert_array_equal(decode_integers(b"".join(map(packed, values))), values)


@pytest.mark.parametrize("length", [510, 511, 512, 513, 2**20 - 1, 2**20, 2**20 + 1])
def test_a_file_may_end_anywhere(length: int) -> None:
    data = packed(0x01020304) * (length // 5) + packed(0) * (length % 5)
    assert decode_integers(data).tolist() == [0x01020304] * (length // 5) + [0] * (length % 5)
    with pytest.raises(DamagedModelError, match=f"cut off, at byte {length + 1:,}"):
        decode_integers(data + b"\x03")


@given(st.lists(st.integers(1 - 2**31, 2**31 - 1), min_size=1), st.binary(max_size=3))
def test_what_is_no_integer_is_named_by_its_byte(values: list[int], rest: bytes) -> None:
    data = b"".join(map(packed, values))
    with pytest.raises(DamagedModelError, match=rf"no integer, at byte {len(data):,}\."):
        decode_integers(data + b"\x45" + rest)


def test_a_cut_integer_and_one_too_large_are_refused() -> None:
    with pytest.raises(DamagedModelError, match="cut off, at byte 4"):
        decode_integers(packed(1) + packed(0x010203)[:2])
    with pytest.raises(DamagedModelError, match="no integer of common size, at byte 2"):
        decode_integers(packed(1) + b"\x04\x00\x00\x00\x80")
