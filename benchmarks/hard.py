"""Photos that are meant to break mien: odd formats, broken files, bombs, no face, many faces.

python benchmarks/hard.py [--encoder NAME] [--precision int8] [--views N]

Every file of the shared hard_* sets goes through one `mien align`, each set as if it were a person. Prints per set what
was found, and which faults refused how many files; whether a photo that was stored turned gives the same face; and how
many faces were found where the true number is known. Ends with exit code 1 if anything is not as it has to be.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from fnmatch import fnmatch
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mien.errors import PhotoError
from mien.open_album import read_settings
from mien.records.catalog import Catalog
from mien.records.ledger import Ledger
from mien.storage.layout import TRAINING, shown
from mien.types import EncoderChoice, Floats
from mien.wiring import make_eyes
from protocol import DATA, Run, add_encoder, chosen, described, link, machine, mien, settings_of

ORIENTATIONS = {
    "the portrait, EXIF 1 to 8": "hard_exif_face/face_orient_?.jpg",
    "Pillow's 128-pixel portrait, JPEG": "hard_formats/python-pillow__hopper_orientation_?.jpg",
    "the same, WebP": "hard_formats/python-pillow__hopper_orientation_?.webp",
    "a person seen from behind, EXIF 0 to 8": "hard_exif/recurser__Portrait_?.jpg",
}
"""Files that show the same picture upright, however they are stored, by title. The last have no face that could be
found."""

LEAST_IOU, LEAST_FACELESS = 0.9, 0.9
"""The least that the boxes of such files must agree; and the least share of hard_noface without a face."""


def least_cosine(choice: EncoderChoice) -> float:
    """The least that embeddings of such files must agree: they may be twice as far apart as copies are."""
    cosines = make_eyes(choice).encoder.cosines
    assert cosines is not None, "an encoder whose cosines nobody measured has no such limit"
    return 1 - 2 * (1 - cosines.same_face)


class Faces(NamedTuple):
    """The faces of one photo: `boxes` (N, 4) float32 in pixels of the upright photo, `embeddings` (N, 128) float32."""

    boxes: Floats
    embeddings: Floats


class Seen(NamedTuple):
    """The outcome of `mien align` for all sets. `files` are all files, as <set>/<file>; by these names `faces` has the
    faces of photos that show some, and `refused` the kind of PhotoError of those that could not be read. `faceless` are
    the photos without a face."""

    run: Run
    files: list[str]
    faces: dict[str, Faces]
    faceless: set[str]
    refused: dict[str, str]

    def of_set(self, name: str) -> Seen:
        """The same for one set."""

        def mine(path: str) -> bool:
            return path.startswith(f"{name}/")

        return Seen(
            self.run,
            [path for path in self.files if mine(path)],
            {path: faces for path, faces in self.faces.items() if mine(path)},
            {path for path in self.faceless if mine(path)},
            {path: kind for path, kind in self.refused.items() if mine(path)},
        )


def see(data: Path, album: Path, choice: EncoderChoice) -> Seen:
    """Makes an album of all the hard sets at `album`, aligns it by the command line, and reads its catalog."""
    files = [(folder.name, file) for folder in sorted(data.glob("hard_*")) for file in sorted(folder.rglob("*.*"))]
    for name, file in files:
        link(file, album / "training-images" / name / file.name)
    mien("init", album, "--basis", "measurement", quiet=True)
    run = mien("-C", album, "align", "--strict", "--json", settings=settings_of(choice), quiet=True)
    encoder = make_eyes(choice).encoder_id
    layout, _ = read_settings(album, {})
    faces = {}
    with (
        Ledger.for_reading(layout.ledger_file) as ledger,
        Catalog.for_reading(layout.catalog_file, ledger.people) as catalog,
    ):
        seen = catalog.faces.on([TRAINING], encoder).files
        for person in catalog.files.people(TRAINING):
            found = catalog.faces.faces_of(person, encoder)
            for number, path in enumerate(found.paths):
                rows = found.photo == number
                faces[shown(path)] = Faces(found.boxes[rows], found.embeddings[rows])
    refused = {shown(file.path): str(file.fault.group) for file in seen if file.fault}
    faceless = {shown(file.path) for file in seen if file.phash and not file.faces}
    return Seen(run, [f"{name}/{file.name}" for name, file in files], faces, faceless, refused)


def agreement(photos: list[Faces]) -> tuple[float, float]:
    """The least IoU and the least cosine of any two photos' largest faces. Raises ValueError for a photo without a
    face."""
    boxes, vectors = [], []
    for photo in photos:
        largest = int(np.argmax(np.prod(photo.boxes[:, 2:] - photo.boxes[:, :2], axis=1)))
        boxes.append(photo.boxes[largest])
        vectors.append(photo.embeddings[largest])
    return (
        min(overlap(one, other) for one, other in combinations(boxes, 2)),
        min(float(one @ other) for one, other in combinations(vectors, 2)),
    )


def overlap(one: Floats, other: Floats) -> float:
    """The intersection over union of two boxes (x0, y0, x1, y1)."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    return common / (float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - common)


def true_count(path: str) -> int | None:
    """The number of faces that a sample of CompreFace shows: its name ends in the number, or in a letter for one
    person. None for other files, whose names do not tell."""
    match = re.search(r"/exadel-inc__\d+_(\d+|[A-Z])\.jpg$", path)
    if not match:
        return None
    return int(match[1]) if match[1].isdigit() else 1


def report(seen: Seen, least: float) -> list[str]:
    """Prints the tables; returns a line for each thing that is not as it has to be."""
    wrong = []
    if seen.run.code != PhotoError.exit_code or "Traceback" in seen.run.errors:
        wrong.append(
            f"mien align ended with exit code {seen.run.code}, not {PhotoError.exit_code}: some are unreadable"
        )
    print(f"{'set':<16}{'files':>7}{'passed over':>13}{'refused':>9}{'no face':>9}{'faces':>7}   refused as")
    for name in sorted({path.partition("/")[0] for path in seen.files}):
        own = seen.of_set(name)
        passed_over = len(own.files) - len(own.faces) - len(own.faceless) - len(own.refused)
        count = sum(len(found.boxes) for found in own.faces.values())
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(Counter(own.refused.values()).items()))
        counts = f"{len(own.files):>7}{passed_over:>13}{len(own.refused):>9}{len(own.faceless):>9}{count:>7}"
        print(f"{name:<16}{counts}   {kinds}")

    nobody = seen.of_set("hard_noface")
    share = len(nobody.faceless) / len(nobody.files)
    print(f"\nhard_noface without a face: {100 * share:.1f} % (at least {100 * LEAST_FACELESS:.0f})")
    if share < LEAST_FACELESS:
        wrong.append("faces were seen where there are none")

    print(f"\n{'the same picture, stored turned':<40}{'files':>6}{'least IoU':>11}{'least cosine':>14}")
    for title, pattern in ORIENTATIONS.items():
        files = [path for path in seen.files if fnmatch(path, pattern)]
        found = [seen.faces[path] for path in files if path in seen.faces]
        if not found:
            print(f"{title:<40}{len(files):>6}   no face in any of them")
        elif len(found) < len(files):
            wrong.append(f"{title}: a face in {len(found)} of {len(files)} files")
        else:
            iou, cosine = agreement(found)
            print(f"{title:<40}{len(files):>6}{iou:>11.3f}{cosine:>14.4f}")
            if iou < LEAST_IOU or cosine < least:
                wrong.append(f"{title}: the faces differ")

    print("\nfaces where the number is known (CompreFace's samples)")
    for path in seen.of_set("hard_group").files:
        truth, there = true_count(path), seen.faces.get(path)
        if truth is not None:
            print(f"  {Path(path).name:<28}{len(there.boxes) if there else 0} of {truth}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="the shared data (default: ../shared/data)")
    add_encoder(parser)
    arguments = parser.parse_args()
    if not (arguments.data / "hard_noface").is_dir():
        parser.error(f"{arguments.data} is not the shared data: it has no hard_noface")
    choice = chosen(arguments)
    print(f"{machine()}\n{described(choice)}\n", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        seen = see(arguments.data, Path(scratch, "album"), choice)
    wrong = report(seen, least_cosine(choice))
    print(f"\n{seen.run.seconds:.0f} s, at most {seen.run.peak:.0f} MB")
    for line in wrong:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
