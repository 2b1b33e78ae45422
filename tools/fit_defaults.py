"""Measures on a set what is true of an encoder's cosines, and prints it for the encoder's description.

    python tools/fit_defaults.py lfw.npz

The file holds `emb` (N, D) float32 unit embeddings made by the encoder with its default views, and `person` (N,) str.
Of everybody the first ten photos are used, so give them in order of file name, and nothing else, where others are to be
probes. `mien.learning.cosines` says how each figure comes about. LFW, which has 5,749 people and few photos of most,
is what the encoders that mien knows were measured on.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mien.learning.cosines import Measured, measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path)
    with np.load(parser.parse_args().embeddings, allow_pickle=False) as file:
        emb, person = file["emb"], file["person"]
    try:
        found = measure(emb, person)
    except ValueError as error:
        parser.exit(1, f"Nothing was measured: {error}\n")
    print(table(found))


def table(found: Measured) -> str:
    """A TOML table, and how sure it is as its comment."""
    low, high = found.fpir
    lines = [
        "[cosines]",
        f"# Measured on {found.faces:,} faces of {found.people:,} people by tools/fit_defaults.py; error of the curve"
        f" {found.error:.4f}{'' if found.bent else ', and too few people for its bend'}.",
        f"# 1 % of strangers asked for are {100 * low:.2g} to {100 * high:.2g} % in truth, as far as people decide it.",
        *(
            f"{key} = {list(value) if isinstance(value, tuple) else value}"
            for key, value in asdict(found.cosines).items()
            if value is not None  # what each album measures
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
