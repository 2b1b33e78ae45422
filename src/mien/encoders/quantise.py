"""A kept network in 8-bit numbers, its ranges taken from chips that it will really see. Needs the extra "int8"."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import MissingExtraError
from mien.storage.scratch import scratch_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 8
"""Chips run at a time while ranges are measured."""


class _Chips:
    """onnxruntime.quantization's `CalibrationDataReader`."""

    def __init__(self, chips: NDArray[np.uint8], batch: int) -> None:
        self._batches: Iterator[NDArray[np.uint8]] = (
            chips[start : start + batch] for start in range(0, len(chips), batch)
        )

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"rgb": batch}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's advice to preprocess networks, which these need not."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def in_eight_bits(network: bytes, chips: NDArray[np.uint8]) -> bytes:
    """The network, which takes "rgb" (N, side, side, 3) uint8, in int8 (QDQ): the ranges of its activations are those
    that `chips` (N, side, side, 3) reach. Raises MissingExtraError.

    The weights use 7 of their 8 bits. x86 without VNNI adds two products of bytes in 16 bits, which saturate: with all
    8 bits the error of an embedding (1 - cosine to float32) of dlib's ResNet grew tenfold there. With 7 the sums fit.
    """
    try:
        import onnx
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    except ImportError as error:
        raise MissingExtraError(
            "Quantising", "needs the extra int8, which is not installed", 'Install it: pip install "mien[int8]"'
        ) from error

    model = onnx.load_from_string(network)
    batch = BATCH if model.graph.input[0].type.tensor_type.shape.dim[0].dim_param else 1
    with scratch_folder() as scratch, _quiet():
        path = scratch / "int8.onnx"
        quantize_static(
            model,
            path,
            _Chips(chips, batch),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return path.read_bytes()
