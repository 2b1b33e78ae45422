"""An encoder that is a network on this machine, as `mien.encoders` describes and keeps it, run by ONNX Runtime."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mien.encoders.shelf import BUILT_IN, kept
from mien.networks.sessions import open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

    from mien.encoders.shelf import Kept, Precision
    from mien.types import Alignment, Cosines, Floats, LeastQuality


class NetworkEncoder:
    """An `Encoder` whose network takes chips as they are: "rgb" (N, size, size, 3) uint8.

    `batch` chips are run at a time, always exactly so many: best the number of chips that come together anyway (of 4 a
    tenth of the time is saved when full, and wasted many times over when not). A network that takes one chip at a time
    is given one. The session is opened on first use and is not pickled: a worker that receives an encoder opens its
    own.
    """

    def __init__(self, encoder: Kept, precision: Precision = "fp32", batch: int = 1, provider: str = "cpu") -> None:
        self._kept, self._precision, self._batch, self._provider = encoder, precision, batch, provider
        self._network = encoder.network(precision)

    @property
    def id(self) -> str:
        # The built-in encoder's is older than its name.
        name = "dlib-resnet-v1" if self._kept.name == BUILT_IN else self._kept.name
        return f"{name}-{self._precision}-{self.weights_sha256[:8]}"

    @property
    def size(self) -> int:
        return self._kept.description.side

    @property
    def dimensions(self) -> int:
        """Numbers in an embedding."""
        return self._kept.description.dimensions

    @property
    def alignment(self) -> Alignment:
        return self._kept.description.alignment

    @property
    def cosines(self) -> Cosines | None:
        return self._kept.description.cosines

    @property
    def least(self) -> LeastQuality:
        return self._kept.description.least

    @property
    def weights_sha256(self) -> str:
        return self._network.sha256

    def encode(self, chips: NDArray[np.uint8]) -> Floats:
        """(N, dimensions) float32 for (N, size, size, 3) uint8 RGB; raw, as the network gives them.

        The shape of a batch is fixed, its last filled up with black, so that an embedding depends on its chip alone, to
        the bit, and not on how many others there were.
        """
        rows = []
        for start in range(0, len(chips), self._at_once):
            group = chips[start : start + self._at_once]
            missing = self._at_once - len(group)
            full = np.pad(group, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else np.ascontiguousarray(group)
            rows.append(self._session.run(None, {"rgb": full})[0][: len(group)])
        return np.concatenate([np.empty((0, self.dimensions), np.float32), *rows])

    @cached_property
    def _session(self) -> InferenceSession:
        return open_session(self._network.read(), provider=self._provider)

    @cached_property
    def _at_once(self) -> int:
        """How many chips are run at a time."""
        length = self._session.get_inputs()[0].shape[0]
        return length if isinstance(length, int) else self._batch

    def __reduce__(self) -> tuple[object, tuple[str, Precision, int, str]]:
        return _again, (self._kept.name, self._precision, self._batch, self._provider)


def _again(name: str, precision: Precision, batch: int, provider: str) -> NetworkEncoder:
    return NetworkEncoder(kept(name), precision, batch, provider)
