"""mien-label-image: the three likeliest labels of a picture, by an output graph of mien-retrain.

Goes in: a picture, of a whole scene or of an aligned face; the graph; its labels. Comes out: three lines, the likeliest
label first, each with its probability. The graph always names somebody: `mien classify` says when it does not know.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mien.compat.command import ends, read, say
from mien.compat.output_graph import read as read_graph
from mien.compat.pictures import bottlenecks_of, chip_of
from mien.errors import ModelError, UsageError
from mien.storage.files import is_file
from mien.types import EncoderChoice
from mien.wiring import eyes_with

PROGRAM = "mien-label-image"

TOP = 3
"""Labels that are printed."""

LARGEST_GRAPH, LARGEST_LABELS = 1 << 31, 1 << 26
"""Bytes."""


def parser() -> argparse.ArgumentParser:
    """The flags of label_image.py; --graph is what TensorFlow's own called --model."""
    found = argparse.ArgumentParser(prog=PROGRAM, description="The three likeliest labels of a picture.")
    found.add_argument("--image", required=True, help="The picture.")
    found.add_argument("--model", "--graph", required=True, help="The output graph of mien-retrain.")
    found.add_argument("--labels", required=True, help="Its output labels.")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    flags, _ = parser().parse_known_args(arguments)  # TensorFlow's own had --input_layer and others
    return ends(PROGRAM, partial(_run, flags))


def _run(flags: argparse.Namespace) -> int:
    image = Path(flags.image)
    if not is_file(image):
        raise UsageError(f"File does not exist {image}: it", "cannot be looked at", "Name a picture that is there.")
    graph = read_graph(read(flags.model, LARGEST_GRAPH, _REMEDY), flags.model)
    lines = read(flags.labels, LARGEST_LABELS, _REMEDY).decode("utf-8", "replace").rstrip("\r\n").split("\n")
    labels = [line.rstrip() for line in lines]
    if len(labels) != len(graph.layer.biases):
        raise ModelError(
            flags.labels,
            f"has {len(labels)} labels, where {flags.model} knows {len(graph.layer.biases)}",
            "Name the two files that one run of mien-retrain wrote.",
        )
    eyes = eyes_with(graph.encoder, EncoderChoice(name=graph.encoder.name, views=1))
    (probabilities,) = graph.layer.probabilities(bottlenecks_of(eyes, chip_of(eyes, image)[None]))
    for label in np.argsort(probabilities)[::-1][:TOP].tolist():
        say(f"{labels[label]} (score = {probabilities[label]:.5f})")
    return 0


_REMEDY = "Name a file that mien-retrain wrote."


if __name__ == "__main__":
    sys.exit(main())
