"""dlib's face recognition ResNet (29 convolutions, 128 numbers), run by ONNX Runtime."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from mien.seeing import weights
from mien.seeing.sessions import open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

    from mien.types import Floats

_FILES = {"fp32": "resnet.onnx", "int8": "resnet_int8.onnx"}


class ResNet:
    """An `Encoder`: "fp32" gives dlib's numbers; "int8" nearly the same, sooner, and is an encoder of its own.

    `batch` chips are run at a time, always exactly so many: best the number of chips that come together anyway (of 4 a
    tenth of the time is saved when full, and wasted many times over when not). The session is opened on first use and
    is not pickled: a worker that receives a ResNet opens its own.
    """

    size = 150

    def __init__(self, precision: Literal["fp32", "int8"] = "fp32", batch: int = 1) -> None:
        self._precision = precision
        self._batch = batch

    @property
    def id(self) -> str:
        return f"dlib-resnet-v1-{self._precision}-{self.weights_sha256[:8]}"

    @property
    def weights_sha256(self) -> str:
        return weights.manifest()[_FILES[self._precision]].sha256

    def encode(self, chips: NDArray[np.uint8]) -> Floats:
        """(N, 128) float32 for (N, 150, 150, 3) uint8 RGB; raw, as the network gives them (length about 1.5).

        The shape of a batch is fixed, its last filled up with black, so that an embedding depends on its chip alone, to
        the bit, and not on how many others there were.
        """
        rows = []
        for start in range(0, len(chips), self._batch):
            group = chips[start : start + self._batch]
            missing = self._batch - len(group)
            full = np.pad(group, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else np.ascontiguousarray(group)
            rows.append(self._session.run(None, {"rgb": full})[0][: len(group)])
        return np.concatenate([np.empty((0, 128), np.float32), *rows])

    @cached_property
    def _session(self) -> InferenceSession:
        return open_session(weights.load(_FILES[self._precision]))

    def __reduce__(self) -> tuple[type[ResNet], tuple[str, int]]:
        return ResNet, (self._precision, self._batch)
