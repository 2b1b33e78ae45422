"""How often mien is right, by the protocols of the shared data: whole photos through the command line.

python benchmarks/accuracy.py [--sets lfw wild pairs] [--encoder NAME] [--misses]

Identification: of everyone with 20 or more photos the first 10 go into an album, `mien train` learns them, and `mien
evaluate` is asked about all the others; people with fewer are strangers. Verification: LFW's 3,000 pairs, by mien's own
eyes, the threshold cross-validated over the five folds. Prints each figure with its 95 % interval (that of `mien
evaluate`, by draws of people and strangers; Wilson's of a plain count) and the aim it has to reach, and ends with exit
code 1 if one is missed. All of it at four views takes seven minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from figures import verification_accuracy
from mien.cli.console import Reporter
from mien.engines import threads
from mien.learning.figures import wilson
from mien.seeing.eyes import Eyes
from mien.stages.evaluate import Pick, pick_face
from mien.types import EncoderChoice, Floats, SeenPhoto
from mien.wiring import make_eyes
from protocol import (
    DATA,
    Pair,
    add_encoder,
    checked,
    chosen,
    described,
    machine,
    mien,
    place,
    read_pairs,
    settings_of,
    split,
)

FACE: dict[str, Pick] = {"lfw": "centre", "wild": "largest"}
"""Which face of a photo is asked about: LFW's person is in the middle by its own rule, others anywhere."""

OWN_FPIR = "FPIR at the model's own threshold"
ECE = "calibration error (ECE)"

Aims = Mapping[tuple[str, str], tuple[float, float]]
"""By set and figure, between what it should lie."""

AIMS: Mapping[str, Aims] = {
    "dlib-resnet": {
        ("lfw", "top-1"): (0.998, 1),
        ("lfw", "TPIR at FPIR 1 %"): (0.995, 1),
        ("lfw", "TPIR at FPIR 0.1 %"): (0.975, 1),
        ("lfw", OWN_FPIR): (0.005, 0.02),
        ("wild", "top-1"): (0.976, 1),
        ("pairs", "same or different"): (0.99, 1),
    },
    "retail-0095": {
        ("lfw", "TPIR at FPIR 1 %"): (0.9965, 1),
        ("lfw", "TPIR at FPIR 0.1 %"): (0.995, 1),
        ("lfw", OWN_FPIR): (0.005, 0.02),
        ("lfw", ECE): (0, 0.015),
        ("wild", "top-1"): (0.993, 1),
        ("wild", ECE): (0, 0.015),
        ("pairs", "same or different"): (0.99, 1),
    },
}
"""The aims of each encoder; another one has none."""


@dataclass(frozen=True)
class Figure:
    """A share: `hits` of `of` with the 95 % `interval`; or another fraction `value`, of nothing. `aim` is between what
    it should lie, None if there is no aim."""

    name: str
    value: float | None
    aim: tuple[float, float] | None
    hits: int = 0
    of: int = 0
    interval: tuple[float, float] | None = None

    @property
    def met(self) -> bool:
        return self.aim is None or self.value is None or self.aim[0] <= self.value <= self.aim[1]

    def __str__(self) -> str:
        count = f"{self.hits:,} of {self.of:,}" if self.of else ""
        share = "      -" if self.value is None else f"{100 * self.value:7.2f}"
        about = " to ".join(f"{100 * end:5.1f}" for end in self.interval or ())
        aim = ""
        if self.aim:
            low, high = (f"{100 * end:g}" for end in self.aim)
            wanted = f">= {low}" if self.aim[1] == 1 else f"<= {high}" if self.aim[0] == 0 else f"{low} to {high}"
            aim = f"{wanted:>10}  {'met' if self.met else 'MISSED'}"
        return f"  {self.name:<34}{count:>16}{share}  {about:<14}{aim}"


@dataclass(frozen=True)
class Result:
    """What was measured on one set, a line about it, and the misses if they were asked for."""

    data: str
    about: str
    figures: list[Figure]
    misses: list[str]


def identification(data: Path, choice: EncoderChoice, work: Path, misses: bool) -> Result:
    """Trains and evaluates in the new folder `work`."""
    photos, name, album, probes = split(data), data.name, work / "album", work / "probes"
    settings = settings_of(choice)
    checked(mien("init", album, "--basis", "measurement", quiet=True))
    place(photos.enrolled, album / "training-images")
    place((*photos.mated, *photos.strangers), probes)
    trained = checked(mien("-C", album, "train", "--json", settings=settings))
    evaluated = checked(mien("-C", album, "evaluate", probes, "--face", FACE[name], "--json"), codes=(0, 6))
    found = json.loads(evaluated.out)
    apart = f", of which it sets {found['set_apart']} probes apart" if found["set_apart"] else ""
    found = found["counting_all"] or found  # the protocol leaves no probe out, copies of enrolled photos included
    if (found["mated"], found["non_mated"]) != (len(photos.mated), len(photos.strangers)):
        sys.exit(f"{name}: mien counted {found['mated']} mated and {found['non_mated']} other probes")
    return Result(
        name,
        f"{len(photos.people)} people enrolled with {len(photos.enrolled)} photos, face: {FACE[name]}; "
        f"trained in {trained.seconds:.0f} s, evaluated in {evaluated.seconds:.0f} s{apart}",
        figures(name, found, AIMS.get(choice.name, {})),
        missed(json.loads(trained.out)["version"], album, probes, photos.people, FACE[name]) if misses else [],
    )


def figures(name: str, found: Mapping[str, Any], aims: Aims) -> list[Figure]:
    """The rows of a report of `mien evaluate --json`."""
    mated, others = found["mated"], found["non_mated"]
    shares = {
        "top-1": ("top1", mated),
        "top-3": ("top3", mated),
        "TPIR at FPIR 1 %": ("tpir_at_fpir_1", mated),
        "TPIR at FPIR 0.1 %": ("tpir_at_fpir_01", mated),
        "TPIR at the model's own threshold": ("tpir", mated),
        OWN_FPIR: ("fpir", others),
    }
    rows = [
        Figure(title, found[key], aims.get((name, title)), round(found[key] * of), of, tuple(found["intervals"][key]))
        for title, (key, of) in shares.items()
        if found[key] is not None
    ]
    calibration = Figure(ECE, found["ece"], aims.get((name, ECE)))
    return [*rows, calibration, plain("no face found", found["no_face"], mated + others)]


def plain(name: str, hits: int, of: int, aim: tuple[float, float] | None = None) -> Figure:
    """A count with Wilson's interval."""
    return Figure(name, hits / of if of else None, aim, hits, of, wilson(hits, of))


def missed(version: str, album: Path, probes: Path, people: tuple[str, ...], face: Pick) -> list[str]:
    """A line for each mated probe whose first name is not the right one, at any score; `evaluate` counts them and
    `classify` says who they were taken for."""
    lines = []
    model = album / "models" / version
    asked = [probes / person for person in people]
    answers = checked(mien("-C", album, "classify", *asked, "--model", model, "--json"), codes=(0, 6)).out
    for answer in map(json.loads, answers.splitlines()):
        photo = Path(answer["photo"])
        chosen = chosen_face(answer, face)
        first = chosen["candidates"][0] if chosen else None
        if first is None or first["person"] != photo.parent.name:
            lines.append(f"{photo.parent.name}/{photo.name}: {first['person'] if first else 'no face'}")
    return lines


def chosen_face(answer: Mapping[str, Any], face: Pick) -> Mapping[str, Any] | None:
    """The face of a `classify` answer that `evaluate` asks about, see `mien.stages.evaluate.pick_face`."""

    def area(box: list[float]) -> float:
        return (box[2] - box[0]) * (box[3] - box[1])

    def off_centre(box: list[float]) -> float:
        return math.hypot(box[0] + box[2] - answer["width"] + 1, box[1] + box[3] - answer["height"] + 1)

    best = max if face == "largest" else min
    by = area if face == "largest" else off_centre
    found: Mapping[str, Any] | None = best(answer["faces"], key=lambda one: by(one["box"]), default=None)
    return found


def verification(data: Path, choice: EncoderChoice) -> Result:
    """LFW's pairs, the face nearest the centre, by the cosine of two embeddings."""
    started = time.perf_counter()
    pairs = read_pairs(data / "lfw_pairs.txt", data / "lfw")
    vectors = embedded(pairs, choice)
    scores = [
        -math.inf if one is None or other is None else float(one @ other)
        for one, other in ((vectors[pair.one], vectors[pair.other]) for pair in pairs)
    ]
    same, folds = [pair.same for pair in pairs], [pair.fold for pair in pairs]
    aims = AIMS.get(choice.name, {})
    hits = round(verification_accuracy(scores, same, folds) * len(pairs))
    rows = [
        plain("same or different", hits, len(pairs), aims.get(("pairs", "same or different"))),
        plain("pairs with a photo without a face", int(np.sum(np.isneginf(scores))), len(pairs)),
    ]
    about = f"LFW's pairs in {len(set(folds))} folds, {len(vectors):,} photos; {time.perf_counter() - started:.0f} s"
    return Result("pairs", about, rows, [])


def embedded(pairs: list[Pair], choice: EncoderChoice) -> dict[Path, Floats | None]:
    """Each photo's face nearest the centre as mien sees it; None where it finds none."""

    def look(eyes: Eyes, photo: Path) -> Floats | None:
        seen = eyes.see_file(photo)
        face = pick_face(seen.photo, seen.faces, "centre") if isinstance(seen, SeenPhoto) else None
        return None if face is None else face.embedding.vector

    photos = sorted({photo for pair in pairs for photo in (pair.one, pair.other)})
    vectors = {}
    with Reporter() as progress:
        progress.start("Looking at pairs", len(photos))
        for photo, vector in threads.run(photos, partial(make_eyes, choice), look):
            vectors[photo] = vector
            progress.advance()
    return vectors


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="the shared data (default: ../shared/data)")
    parser.add_argument("--sets", nargs="+", choices=("lfw", "wild", "pairs"), default=["lfw", "wild", "pairs"])
    add_encoder(parser)
    parser.add_argument("--misses", action="store_true", help="also list every probe whose first name was wrong")
    parser.add_argument("--work", type=Path, help="a new folder for the albums, kept afterwards")
    parser.add_argument("--json", type=Path, help="also write the figures into this file")
    arguments = parser.parse_args()
    if not (arguments.data / "lfw_pairs.txt").exists():
        parser.error(f"{arguments.data} is not the shared data: it has no lfw_pairs.txt")
    if arguments.work and arguments.work.exists():
        parser.error(f"{arguments.work} exists; name a new folder")

    choice = chosen(arguments)
    print(f"{machine()}\n{described(choice)}", flush=True)
    results = []
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.sets:
            work = (arguments.work or Path(scratch)) / name
            if name == "pairs":
                result = verification(arguments.data, choice)
            else:
                result = identification(arguments.data / name, choice, work, arguments.misses)
            results.append(result)
            print(f"\n{result.data}: {result.about}")
            print(f"  {'':<34}{'':>16}{'%':>7}  {'95 % interval':<14}{'aim':>7}")
            print(*result.figures, sep="\n", flush=True)
            if result.misses:
                print(f"  {len(result.misses)} misses:", *result.misses, sep="\n    ", flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s in all")
    if arguments.json:
        report = {"machine": machine(), **settings_of(choice), "results": [asdict(result) for result in results]}
        arguments.json.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return 0 if all(figure.met for result in results for figure in result.figures) else 1


if __name__ == "__main__":
    sys.exit(main())
