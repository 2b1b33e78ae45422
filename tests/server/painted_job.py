"""A job of an album of painted squares, in a process of its own: what `mien.server.job` is, with eyes without networks.

With MIEN_TEST_SLOW set they take so many seconds for a photo.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from typing import Any

from mien.encoders.shelf import BUILT_IN
from mien.server.job import main
from mien.testing import FakeDetector, fake_eyes
from mien.types import EncoderChoice


class SlowDetector(FakeDetector):
    """A detector that takes its time."""

    def detect(self, *given: Any) -> Any:
        time.sleep(float(os.environ["MIEN_TEST_SLOW"]))
        return super().detect(*given)


def eyes(choice: EncoderChoice) -> Any:
    """Eyes as the fixture `painted` has them."""
    name = f"fake-{choice.precision}" if choice.name == BUILT_IN else f"{choice.name}-{choice.precision}"
    found = fake_eyes(1, name)
    return replace(found, detector=SlowDetector()) if "MIEN_TEST_SLOW" in os.environ else found


if __name__ == "__main__":
    sys.exit(main(eyes))
