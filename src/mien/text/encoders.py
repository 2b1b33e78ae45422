"""What is said of encoders."""

from __future__ import annotations

from mien.text.kinds import Kind


class Advice(Kind):
    """What another encoder would bring an album that uses the one which comes with mien. By docs/benchmarks.md."""

    ADD = (
        "add",
        "{better} gives more faces their right name, and takes a third of the time",
        "Add it: {how}",
    )
    TRAIN = (
        "train",
        "{better} gives more faces their right name, and takes a third of the time",
        "Use it: {how}",
    )
