"""Tries to add the best encoder, and says in one line what came of it. scripts/install runs this:

    .venv/bin/python tools/first_encoder.py

Nothing else is ever fetched, and nothing at all where MIEN_NO_DOWNLOAD is set. It takes half a minute at most, and
never fails: without a network mien goes on with the encoder that it brings.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mien.encoders.shelf import BUILT_IN, PREFERRED, kept, known
from mien.errors import EncoderError
from mien.text.shell import quoted

LIMIT = 30.0
"""Seconds."""

NAME = PREFERRED[0]
ADD = ("-m", "mien", "encoders", "add", NAME, "--yes")


def first_encoder(environment: Mapping[str, str] = os.environ, words: Sequence[str] = ADD, limit: float = LIMIT) -> str:
    """The line to be said. `words` are those of the Python that adds the encoder."""
    program = os.path.relpath(Path(sys.executable).with_name("mien"))
    later = f"add it later: {quoted(program)} encoders add {NAME}"
    try:
        kept(NAME).network("fp32").read()
        return f"the encoder {NAME} is there"
    except EncoderError:
        pass
    if environment.get("MIEN_NO_DOWNLOAD"):
        return f"the encoder {NAME} was not fetched, as MIEN_NO_DOWNLOAD is set; {later}"
    try:
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"the encoder {NAME} did not come in {limit:g} seconds, so {BUILT_IN} is used; {later}"
    if done.returncode:
        why = next((line for line in done.stderr.splitlines() if line.startswith("mien: ")), "mien: it failed.")
        return f"the encoder {NAME} could not be added, so {BUILT_IN} is used; {later} ({why[6:].rstrip('.')})"
    one = known()[NAME]
    return f"added the encoder {NAME} ({one.licence}, {one.bytes / 1e6:.1f} MB), which new albums use from now on"


def main() -> None:
    print(f"mien: {first_encoder()}", file=sys.stderr)


if __name__ == "__main__":
    main()
