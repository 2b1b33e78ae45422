"""A job of an album of painted squares, in a process of its own: what `mien.server.job` is, with eyes without networks.

With MIEN_TEST_SLOW set the eyes take so many seconds for a photo.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from mien.encoders.shelf import BUILT_IN
from mien.server.job import main
from mien.testing import FakeDetector, fake_eyes
from mien.types import EncoderChoice


def eyes(choice: EncoderChoice) -> Any:
    """Eyes as the fixture `painted` has them."""
    name = f"fake-{choice.precision}" if choice.name == BUILT_IN else f"{choice.name}-{choice.precision}"
    return fake_eyes(1, name)


def slowly(detect: Any) -> Any:
    """A detector that takes its time."""

    def detected(*given: Any) -> Any:
        time.sleep(float(os.environ["MIEN_TEST_SLOW"]))
        return detect(*given)

    return detected


if __name__ == "__main__":
    if "MIEN_TEST_SLOW" in os.environ:
        FakeDetector.detect = slowly(FakeDetector.detect)  # type: ignore[method-assign]  # in this process alone
    sys.exit(main(eyes))
