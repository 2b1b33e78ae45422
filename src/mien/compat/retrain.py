"""mien-retrain: TensorFlow's retrain.py with an encoder of mien's in the place of Inception.

Goes in: a folder of pictures for each person. Comes out: an output graph, which is one ONNX network from a picture to a
probability for each label, the labels, a cache of bottlenecks, and event files for TensorBoard. Known are the flags of
all generations of retrain.py (TensorFlow's examples/image_retraining and Hub's, Apache-2.0), and their lines are said
as they were.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.compat.bottlenecks import Bottlenecks, suffix_of
from mien.compat.command import ends, say, warn
from mien.compat.distortions import Distortions
from mien.compat.event_files import EventFile, remove_events
from mien.compat.final_layer import FinalLayer, Labels
from mien.compat.image_lists import CATEGORIES, Category, ImageList, image_lists
from mien.compat.output_graph import FINAL, Graph, require_name, write
from mien.compat.pictures import bottlenecks_of, chip_of
from mien.encoders.shelf import Kept, best, kept, names
from mien.engines import threads
from mien.errors import PhotoError, UsageError
from mien.storage.files import make_folder, write_atomically
from mien.types import EncoderChoice, Floats, Pixels
from mien.wiring import eyes_with

if TYPE_CHECKING:
    from mien.seeing.eyes import Eyes

PROGRAM = "mien-retrain"

FAILED = 255
"""The exit code of retrain.py's -1."""

_FOREIGN = ("inception", "mobilenet", "http://", "https://")
"""How the networks begin that retrain.py knew: they are not faces', and mien's encoder stands in."""


def parser() -> argparse.ArgumentParser:
    """The flags of every generation of retrain.py, with their defaults, and mien's own at the end."""
    scratch = tempfile.gettempdir()
    found = argparse.ArgumentParser(prog=PROGRAM, description="Trains the final layer of a network for new labels.")
    add = found.add_argument
    # The first generation wrote "--flip_left_right=True".
    yes: dict[str, Any] = {"nargs": "?", "const": True, "default": False, "type": _truth, "metavar": "TRUE"}
    add("--image_dir", default="", help="Path to folders of labeled images.")
    add("--output_graph", default=f"{scratch}/output_graph.pb", help="Where to save the trained graph, as ONNX.")
    add("--intermediate_output_graphs_dir", default=f"{scratch}/intermediate_graph/", help="Where to save those.")
    add("--intermediate_store_frequency", type=int, default=0, help="Steps between intermediate graphs; 0: none.")
    add("--output_labels", default=f"{scratch}/output_labels.txt", help="Where to save the graph's labels.")
    add("--summaries_dir", default=f"{scratch}/retrain_logs", help="Where to save summaries for TensorBoard.")
    add("--how_many_training_steps", type=int, default=4000, help="How many training steps to run before ending.")
    add("--learning_rate", type=float, default=0.01, help="How large a learning rate to use when training.")
    add("--testing_percentage", type=int, default=10, help="What percentage of images to use as a test set.")
    add("--validation_percentage", type=int, default=10, help="What percentage to use as a validation set.")
    add("--eval_step_interval", type=int, default=10, help="How often to evaluate the training results.")
    add("--train_batch_size", type=int, default=100, help="How many images to train on at a time.")
    add("--test_batch_size", type=int, default=-1, help="How many images to test on; -1: all.")
    add("--validation_batch_size", type=int, default=100, help="How many images to validate on; -1: all.")
    add("--print_misclassified_test_images", help="Print all misclassified test images.", **yes)
    add("--model_dir", default="", help="Accepted; mien's encoders have a place of their own.")
    add("--bottleneck_dir", default=f"{scratch}/bottleneck", help="Where to cache bottlenecks as files.")
    add("--final_tensor_name", default=FINAL, help="The name of the graph's output.")
    add("--flip_left_right", help="Mirror half of the training images, by chance.", **yes)
    add("--random_crop", type=int, default=0, help="How much of a margin to crop off by chance, per cent.")
    add("--random_scale", type=int, default=0, help="How much to scale up by chance, per cent.")
    add("--random_brightness", type=int, default=0, help="How much to brighten or darken by chance, per cent.")
    add("--architecture", default="", help="An encoder of mien's; what retrain.py knew means the best one here.")
    add("--tfhub_module", default="", help="The same, as the last generation called it.")
    add("--saved_model_dir", default="", help="A folder for the graph and its labels as well.")
    add("--checkpoint_path", default="", help="Accepted; nothing is kept between runs but the bottlenecks.")
    add("--logging_verbosity", default="INFO", help="Accepted; all lines are said.")
    add("--random_seed", type=int, default=0, help="mien's own: the same seed gives the same graph.")
    add("--mien_album", default="", metavar="DIR", help="mien's own: also make an album of the pictures, and train it.")
    return found


def _truth(text: str) -> bool:
    return text.lower() in ("true", "t", "1", "yes", "y")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    flags, others = parser().parse_known_args(arguments)
    return ends(PROGRAM, partial(_run, flags, others))


def _run(flags: argparse.Namespace, others: Sequence[str]) -> int:
    if others:
        warn(f"{PROGRAM}: passed over, as retrain.py did: {' '.join(others)}")
    _require_sense(flags)
    if not flags.image_dir:
        warn("Must set flag --image_dir.")
        return FAILED
    if not Path(flags.image_dir).is_dir():
        warn(f"Image directory '{flags.image_dir}' not found.")
        return FAILED
    lists = image_lists(flags.image_dir, flags.testing_percentage, flags.validation_percentage, say)
    if not lists:
        warn(f"No valid folders of images found at {flags.image_dir}")
        return FAILED
    if len(lists) == 1:
        several = "multiple classes are needed for classification."
        warn(f"Only one valid folder of images found at {flags.image_dir} - {several}")
        return FAILED
    encoder = _encoder(flags)
    require_name(encoder, flags.final_tensor_name)
    training = _Training(flags, lists, encoder)
    code = training.run()
    if flags.mien_album:
        _make_album(Path(flags.mien_album), Path(flags.image_dir), lists, training.encoder.name)
    return code


def _require_sense(flags: argparse.Namespace) -> None:
    """Raises UsageError for numbers with which nothing can be done."""
    bounds = {
        "train_batch_size": (1, 1 << 20),
        "test_batch_size": (-1, 1 << 30),
        "validation_batch_size": (-1, 1 << 20),
        "learning_rate": (0, 1e6),
        "random_crop": (0, 1000),
        "random_scale": (0, 1000),
        "random_brightness": (0, 100),
        "random_seed": (0, 1 << 63),
    }
    for flag, (low, high) in bounds.items():
        value = getattr(flags, flag)
        if not low <= value <= high or (flag.endswith("batch_size") and value == 0):
            raise UsageError(f"--{flag} {value}", "makes no sense here", f"Give a number from {low} to {high:g}.")


def _encoder(flags: argparse.Namespace) -> Kept:
    """The encoder that the flags name. Raises EncoderError and UsageError."""
    wanted = flags.architecture or flags.tfhub_module
    if not wanted or wanted.startswith(_FOREIGN):
        chosen = best()
        if wanted or flags.model_dir:
            say(f"The network is mien's encoder {chosen.name}: {wanted or flags.model_dir} is not used.")
        return chosen
    if wanted not in names():
        raise UsageError(wanted, "is no encoder on this machine", f"Here there are: {', '.join(names())}.")
    return kept(wanted)


class _Set(NamedTuple):
    """The pictures of one category: `bottlenecks` (N, D), their `labels` (N,), their paths, and where the pictures of
    each label that has any stand."""

    bottlenecks: Floats
    labels: Labels
    paths: tuple[Path, ...]
    rows: tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, slots=True)
class _Training:
    """A run of retrain."""

    flags: argparse.Namespace
    lists: Sequence[ImageList]
    encoder: Kept

    def run(self) -> int:
        flags, random = self.flags, np.random.default_rng(self.flags.random_seed)
        distortions = Distortions(flags.flip_left_right, flags.random_crop, flags.random_scale, flags.random_brightness)
        sets, failures = self._cached()
        self._require_training(sets["training"])
        layer = FinalLayer.start(self.encoder.description.dimensions, len(self.lists), random)
        draw: Callable[[], tuple[Floats, Labels]]
        if distortions:
            draw = self._distorting(sets["training"], distortions, random)
        else:
            draw = partial(_drawn, sets["training"], flags.train_batch_size, random)
        layer = self._trained(layer, draw, sets["validation"], random)
        self._tell_final(layer, sets["testing"], random)
        _write_labels(Path(flags.output_labels), self.lists)
        self._save(layer, Path(flags.output_graph))
        if flags.saved_model_dir:
            self._save(layer, Path(flags.saved_model_dir) / "saved_model.onnx")
            _write_labels(Path(flags.saved_model_dir) / "labels.txt", self.lists)
        return PhotoError.exit_code if failures else 0

    def _require_training(self, training: _Set) -> None:
        """Raises UsageError where nobody has a picture to train on; of a label that has none it is said."""
        if not len(training.paths):
            raise UsageError(
                self.flags.image_dir,
                "has no picture for training: all are for testing and validation",
                "Lower --testing_percentage and --validation_percentage.",
            )
        for number, one in enumerate(self.lists):
            if number not in training.labels:
                say(f"WARNING: {one.label} has no picture for training, and will hardly be told.")

    # Bottlenecks

    def _cached(self) -> tuple[dict[Category, _Set], int]:
        """The sets, of whose pictures each bottleneck is in the cache, and how many pictures cannot be read."""
        flags = self.flags
        eyes = self._eyes()
        suffix = suffix_of(flags.architecture or flags.tfhub_module)
        cache = Bottlenecks.open(Path(flags.bottleneck_dir), suffix, eyes.encoder_id)
        pictures = [
            (category, number, Path(flags.image_dir) / one.dir / name)
            for number, one in enumerate(self.lists)
            for category in CATEGORIES
            for name in one.of(category)
        ]
        found: dict[Category, list[tuple[Floats, int, Path]]] = {category: [] for category in CATEGORIES}
        failures = made = 0
        size = self.encoder.description.dimensions

        def look(eyes: Eyes, item: tuple[Category, int, Path]) -> tuple[Floats | PhotoError, bool]:
            folder = self.lists[item[1]].dir
            try:
                there = cache.get(folder, item[2], size, say)
                return (there, False) if there is not None else (_bottleneck(eyes, chip_of(eyes, item[2])), True)
            except PhotoError as error:
                return error, False
            except OSError as error:
                return PhotoError.of_file(str(item[2]), error), False

        try:
            for number, ((category, label, path), (numbers, fresh)) in enumerate(
                threads.run(pictures, self._eyes, look, in_order=True), 1
            ):
                if isinstance(numbers, PhotoError):
                    failures += 1
                    warn(f"{PROGRAM}: {numbers}")
                    continue
                if fresh:
                    say(f"Creating bottleneck at {cache.file(self.lists[label].dir, path.name)}")
                    cache.put(self.lists[label].dir, path, numbers)
                    made += 1
                    if made % _SAVE_EVERY == 0:
                        cache.save()
                if number % 100 == 0:
                    say(f"{number} bottleneck files created.")
                found[category].append((numbers, label, path))
        finally:  # also where somebody ends the run: the next one goes on from there
            cache.keep_only((self.lists[label].dir, path.name) for _, label, path in pictures)
            cache.save()
        return {category: _set_of(rows, size, len(self.lists)) for category, rows in found.items()}, failures

    def _eyes(self) -> Eyes:
        return eyes_with(self.encoder, EncoderChoice(name=self.encoder.name, views=1))

    def _distorting(
        self, pictures: _Set, distortions: Distortions, random: np.random.Generator
    ) -> Callable[[], tuple[Floats, Labels]]:
        """What draws a batch of pictures that are distorted and seen anew. The chips are kept: they are small."""
        eyes, chips = self._eyes(), dict[Path, Pixels]()

        def draw() -> tuple[Floats, Labels]:
            rows = _rows(pictures, self.flags.train_batch_size, random)
            batch = []
            for path in (pictures.paths[row] for row in rows):
                if path not in chips:
                    chips[path] = chip_of(eyes, path)
                batch.append(distortions.of(chips[path], random))
            return bottlenecks_of(eyes, np.stack(batch)), pictures.labels[rows]

        return draw

    # Training

    def _trained(
        self,
        layer: FinalLayer,
        draw: Callable[[], tuple[Floats, Labels]],
        validation: _Set,
        random: np.random.Generator,
    ) -> FinalLayer:
        """The layer after all steps, which are told as retrain.py told them."""
        flags, summaries = self.flags, Path(self.flags.summaries_dir)
        with ExitStack() as stack:
            for name in ("train", "validation"):
                make_folder(summaries / name)
                remove_events(summaries / name)
            train, other = (stack.enter_context(EventFile(summaries / name)) for name in ("train", "validation"))
            for step in range(flags.how_many_training_steps):
                bottlenecks, labels = draw()
                layer = layer.stepped(bottlenecks, labels, flags.learning_rate)
                last = step + 1 == flags.how_many_training_steps
                if step % max(flags.eval_step_interval, 1) == 0 or last:
                    accuracy, entropy = _recorded(step, layer, bottlenecks, labels, train)
                    now = datetime.now()
                    say(f"{now}: Step {step}: Train accuracy = {accuracy * 100:.1f}%")
                    say(f"{now}: Step {step}: Cross entropy = {entropy:f}")
                    if len(validation.paths):
                        drawn = _drawn(validation, flags.validation_batch_size, random)
                        accuracy, _ = _recorded(step, layer, *drawn, other)
                        said = f"Validation accuracy = {accuracy * 100:.1f}% (N={len(drawn[1])})"
                        say(f"{datetime.now()}: Step {step}: {said}")
                if flags.intermediate_store_frequency > 0 and step and step % flags.intermediate_store_frequency == 0:
                    file = Path(flags.intermediate_output_graphs_dir) / f"intermediate_{step}.pb"
                    say(f"Save intermediate result to : {file}")
                    self._write_graph(layer, file)
        return layer

    def _tell_final(self, layer: FinalLayer, testing: _Set, random: np.random.Generator) -> None:
        if not len(testing.paths):
            say("No images for testing: how good the graph is on new ones cannot be said.")
            return
        rows = _rows(testing, self.flags.test_batch_size, random)
        bottlenecks, labels = testing.bottlenecks[rows], testing.labels[rows]
        say(f"Final test accuracy = {layer.accuracy(bottlenecks, labels) * 100:.1f}% (N={len(rows)})")
        if self.flags.print_misclassified_test_images:
            say("=== MISCLASSIFIED TEST IMAGES ===")
            for row, label in zip(rows, layer.predicted(bottlenecks), strict=True):
                if label != testing.labels[row]:
                    say(f"{testing.paths[row]!s:>70}  {self.lists[label].label}")

    def _save(self, layer: FinalLayer, file: Path) -> None:
        say(f"Save final result to : {file}")
        if file.suffix == ".pb":
            say(f"{file.name} is an ONNX network and no TensorFlow graph: mien-label-image and ONNX Runtime read it.")
        self._write_graph(layer, file)

    def _write_graph(self, layer: FinalLayer, file: Path) -> None:
        make_folder(file.absolute().parent)
        write_atomically(file, write(Graph(self.encoder, layer, self.flags.final_tensor_name)))


_SAVE_EVERY = 500
"""Bottlenecks after which the card is written, so that a run that is killed has little to do again."""


def _bottleneck(eyes: Eyes, chip: Pixels) -> Floats:
    (numbers,) = bottlenecks_of(eyes, chip[None])
    return np.asarray(numbers, np.float32)


def _set_of(rows: Sequence[tuple[Floats, int, Path]], size: int, labels: int) -> _Set:
    own = np.array([label for _, label, _ in rows], np.int64)
    numbers = np.stack([one for one, _, _ in rows]) if rows else np.empty((0, size), np.float32)
    by_label = (np.flatnonzero(own == label) for label in range(labels))
    return _Set(numbers, own, tuple(path for _, _, path in rows), tuple(each for each in by_label if len(each)))


def _rows(pictures: _Set, how_many: int, random: np.random.Generator) -> NDArray[np.int64]:
    """The rows of so many pictures: of each a label by chance, and one of its pictures. All of them if -1.

    A label that has no picture in this set is never drawn (retrain.py divided by 0)."""
    if how_many < 0:
        return np.arange(len(pictures.paths))
    drawn = random.integers(0, len(pictures.rows), how_many)
    return np.array([pictures.rows[label][random.integers(0, len(pictures.rows[label]))] for label in drawn], np.int64)


def _drawn(pictures: _Set, how_many: int, random: np.random.Generator) -> tuple[Floats, Labels]:
    rows = _rows(pictures, how_many, random)
    return pictures.bottlenecks[rows], pictures.labels[rows]


def _recorded(
    step: int, layer: FinalLayer, bottlenecks: Floats, labels: Labels, events: EventFile
) -> tuple[float, float]:
    """The accuracy and the cross entropy of a layer on a batch, which TensorBoard gets to see."""
    accuracy, entropy = layer.accuracy(bottlenecks, labels), layer.cross_entropy(bottlenecks, labels)
    if not np.isfinite(layer.weights).all():
        raise UsageError("--learning_rate", "is too large: the weights are no numbers any more", "Lower it.")
    layers = {"weights": layer.weights, "biases": layer.biases}
    scalars = {"accuracy_1": accuracy, "cross_entropy_1": entropy}
    for name, values in layers.items():
        where = f"final_training_ops/{name}/summaries"
        figures = {"mean": values.mean(), "stddev_1": values.std(), "max": values.max(), "min": values.min()}
        scalars |= {f"{where}/{key}": float(value) for key, value in figures.items()}
    histograms = {f"final_training_ops/{name}/summaries/histogram": values for name, values in layers.items()}
    events.add(step, scalars, histograms)
    return accuracy, entropy


def _write_labels(file: Path, lists: Sequence[ImageList]) -> None:
    make_folder(file.absolute().parent)
    write_atomically(file, "".join(f"{one.label}\n" for one in lists).encode())


# The album


def _make_album(folder: Path, image_dir: Path, lists: Sequence[ImageList], encoder: str) -> None:
    """An album of the same pictures, with a model that also says when it does not know somebody."""
    from mien import Album

    album = Album(folder) if Album.is_at(folder) else Album.create(folder, encoder=encoder)
    for one in lists:
        added = album.add(one.dir, image_dir / one.dir)
        say(f"{folder}: {len(added.added)} pictures of {one.dir} added")
    learned = album.train()
    say(f"{folder}: model {learned.version or album.version} is in use; mien -C {folder} classify PHOTO asks it")


if __name__ == "__main__":
    sys.exit(main())
