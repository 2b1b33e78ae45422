"""dlib's face recognition ResNet (29 convolutions, 128 numbers), run by ONNX Runtime."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from mien.seeing import weights
from mien.seeing.sessions import open_session
from mien.types import Cosines

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

    from mien.types import Floats

_FILES = {"fp32": "resnet.onnx", "int8": "resnet_int8.onnx"}

CURVE = (0.8565, 0.03304, -0.00192, -0.01337)
"""What strangers score, measured on LFW (fp32, average of the default views) with 2,114 faces of people with one or two
photos against galleries of 1 to 100 of the 359 others, 200 draws for each of 33 sizes and numbers of photos: the
cosines of strangers to one prototype are nearly normal. Error over FPIRs of 0.5 to 0.001: rms 0.0014, at most 0.006.
`tools/fit_defaults.py`, which counts all galleries of all people, gives (0.8582, 0.03273, -0.00181, -0.01425)."""

SLOPE, TEMPERATURE = 236.0, 0.0041
"""The calibration measured in galleries of 100; from draw to draw 195 to 280, and up to 0.005. The tool gives 232 and
0.0045."""

MISLABELLED = 0.02
"""Faces with the right label agree 0.055 better with their own person than with another (median).

It is the same for every head, though the scores of a normalised one lie closer together (`mien.learning.head.Scale`).
Of 570 wrong labels planted among 3 to 5 photos each of 100 to 200 LFW people, `normalised` then finds 562 and doubts
32 right ones; with the margin in its own scale 567 and 50, as `prototypes` does (569 and 53). A doubt costs a human's
look. Where people have 8 photos or more, nothing differs.
"""

CONTRADICTED = 0.03
"""Chosen among 0.02, 0.03 and 0.04, and against rules in units of the person's own spread, on the training photos of
LFW and `wild` with 0, 10 and 25 % of the labels made wrong: on clean labels it changes nothing, and of the TPIR that
the plain mean loses to 10 % wrong labels it takes back 55 % with 4 photos a person, 80 % with 7."""

SAME_FACE = 0.99
"""A resized or recompressed copy of a picture is above."""

NEAR_DUPLICATE = 0.995
"""Among LFW's 4,416 photos two pairs of one person are above, both the same picture by their hashes, and 13 pairs of
different pictures between 0.99 and this; among the 531 photos of `wild`, which are from the web, 26 pairs are above:
copies, crops and moments of one scene, as far as they were looked at (5 pairs)."""

COSINES = Cosines(CURVE, SLOPE, TEMPERATURE, MISLABELLED, CONTRADICTED, SAME_FACE, NEAR_DUPLICATE)
"""What is true of the ResNet's cosines. Measured with "fp32"; "int8" embeds much the same (cosine above 0.997)."""


class ResNet:
    """An `Encoder`: "fp32" gives dlib's numbers; "int8" nearly the same, sooner, and is an encoder of its own.

    `batch` chips are run at a time, always exactly so many: best the number of chips that come together anyway (of 4 a
    tenth of the time is saved when full, and wasted many times over when not). The session is opened on first use and
    is not pickled: a worker that receives a ResNet opens its own.
    """

    size = 150
    cosines = COSINES

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
