"""How learning and search grow with faces: time, memory and disk of 1,000 to 1,000,000 faces, with their slopes.

python benchmarks/growth_faces.py --cache FILE [--sizes 1000 10000 100000 1000000] [--only learn|search]

The faces are of people who do not exist, with the spread of real embeddings: of LFW's, by dlib-resnet, from the cache
of benchmarks/heads.py. A person is the mean of all, 0.6 times how a real person differs from it, and 0.57 times how two
others differ; a photo adds what photos of real people differ from these people's means by, twice over. Each size is a
process of its own, so that its peak memory is its own.

Learning: N faces of N / 10 people, one in 200 under a wrong name. Wrong labels are looked for, a head is chosen, fitted
and measured, and the version written and read. Search: a gallery of N people, probes of 500 of them and of 500
strangers, one after the other on one core, beside plain numpy and plain faiss (a flat index, and one of lists).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from heads import kept
from mien.encoders.shelf import known
from mien.learning import search
from mien.learning.head import FittedHead
from mien.learning.labels import find
from mien.records.faces import TrainingSet
from mien.registry.card import EncoderCard, HeadCard
from mien.registry.folder import Draft, load_model, packed, write_folder
from mien.registry.gallery import LargeHead
from mien.stages.train import fit
from mien.types import Cosines, Floats
from mien.wiring import HEADS
from protocol import DATA, machine, split

Random = np.random.Generator
SIZES = (1_000, 10_000, 100_000, 1_000_000)
EACH, WRONG, PROBES, SECONDS = 10, 200, 500, 20.0
"""Photos a person; one in so many under a wrong name; probes; the longest that a peer is timed."""


class People:
    """People who are made from real ones: their `faces` (N, D) and `whose` (N,) each is."""

    def __init__(self, faces: Floats, whose: np.ndarray) -> None:
        order = np.argsort(whose, kind="stable")
        faces, whose = faces[order], np.unique(whose[order], return_inverse=True)[1]
        photos = np.bincount(whose)
        sums = np.add.reduceat(faces, np.cumsum(photos) - photos, axis=0)
        self._means = unit(sums)
        self._middle = self._means.mean(axis=0)
        off = (faces - (sums / photos[:, None])[whose]) * np.sqrt(photos / np.maximum(photos - 1, 1))[whose, None]
        self._off = off[photos[whose] > 1]

    def drawn(self, count: int, random: Random) -> Floats:
        """(count, D) their centres."""
        one, two, three = random.integers(len(self._means), size=(3, count))
        apart = self._means[two] - self._means[three]
        return unit(self._middle + 0.6 * (self._means[one] - self._middle) + 0.57 * apart)

    def photos(self, centres: Floats, random: Random, noise: float = 1.0) -> Floats:
        """A photo of each."""
        one, two = random.integers(len(self._off), size=(2, len(centres)))
        return unit(centres + noise * (0.75 * self._off[one] + 0.66 * self._off[two]))


def unit(rows: np.ndarray) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def real(cache: Path, data: Path) -> People:
    """Those of LFW."""
    parts = split(data / "lfw")
    files = [*parts.enrolled, *parts.mated, *parts.strangers]
    rows = [(file.parent.name, row) for file, row in zip(files, kept(cache), strict=True) if row.probe >= 0]
    return People(np.array([row.embeddings[row.probe] for _, row in rows]), np.array([name for name, _ in rows]))


class Taken(dict[str, Any]):
    """What each step took: seconds of the wall and of the processor."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self[name] = [round(time.perf_counter() - wall, 2), round(time.process_time() - cpu, 2)]

    def done(self) -> dict[str, Any]:
        return {**self, "MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}


def learn(people: People, size: int, cosines: Cosines, folder: Path) -> dict[str, Any]:
    """What learning from so many faces takes."""
    random, taken, count = np.random.default_rng(0), Taken(), max(size // EACH, 2)
    whose = np.concatenate([np.arange(count), random.integers(count, size=size - count)])
    centres = people.drawn(count, random)
    faces = np.concatenate([people.photos(centres[whose[at : at + 100_000]], random) for at in range(0, size, 100_000)])
    filed = whose.copy()
    wrong = random.choice(np.arange(count, size), size // WRONG, replace=False)
    filed[wrong] = random.integers(count, size=len(wrong))
    sha256 = np.array([hashlib.sha256(b"%d" % number).hexdigest() for number in range(size)])
    order = np.lexsort((sha256, filed))
    every = TrainingSet(
        tuple(f"person {number:07}" for number in range(count)),
        filed[order],
        tuple(sha256[order].tolist()),
        faces[order],
        random.random(size).astype(np.float32),
    )
    planted = (filed != whose)[order]
    del faces, whose, filed, order, sha256
    with taken.step("labels"):
        found = find(every.embeddings, every.person, count, cosines).wrong
    with taken.step("fit"):
        fitted = fit(every, cosines, HEADS, "auto", 0.01)
    photos: dict[str, list[str]] = defaultdict(list)
    for number, photo in zip(every.person.tolist(), every.sha256, strict=True):
        photos[every.people[number]].append(photo)
    draft = Draft(
        people=every.people,
        head=fitted.head,
        threshold=fitted.threshold,
        calibration=fitted.calibration,
        encoder=EncoderCard(id="made", precision="fp32", weights_sha256="0" * 64, views=1),
        chosen=HeadCard(name=fitted.option.name, tried=fitted.tried),
        photos=photos,
        counts=fitted.measured.counts(),
        metrics=fitted.measured.figures(),
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )
    with taken.step("write"):
        _, files = packed(draft, "2026-01-01-001")
        write_folder(folder / "model", files)
    disk = sum(map(len, files.values()))
    del files, draft, photos
    with taken.step("load"):
        load_model(folder / "model")
    return {
        **taken.done(),
        "disk MB": round(disk / 1e6, 1),
        "people": count,
        "wrong found": f"{int(np.sum(found & planted))} of {int(planted.sum())}",
        "others": int(np.sum(found & ~planted)),
        "asked": fitted.asked or size,
        "fpir": [fitted.measured.fpir.value, *fitted.measured.fpir.interval],
        "tpir": fitted.measured.tpir.value,
    }


def seek(people: People, size: int, cosines: Cosines) -> dict[str, Any]:
    """What search among so many people takes."""
    import faiss

    random, taken = np.random.default_rng(0), Taken()
    gallery = np.concatenate(
        [people.photos(people.drawn(min(size, 100_000), random), random, 0.5) for _ in range(0, size, 100_000)]
    )[:size]
    enrolled, strangers = gallery[random.integers(size, size=PROBES)], people.drawn(PROBES, random)
    probes = np.concatenate([people.photos(enrolled, random), people.photos(strangers, random)])
    best = np.full(len(probes), -2.0, np.float32)
    column = np.zeros(len(probes), np.int64)
    for at in range(0, size, 10_000):
        scores = probes @ gallery[at : at + 10_000].T
        first = scores.argmax(axis=1)
        higher = scores[np.arange(len(probes)), first] > best
        best[higher], column[higher] = scores[higher, first[higher]], first[higher] + at
    with taken.step("build"):
        index = search.build(gallery) if size > search.LARGE else None
    names = tuple(map(str, range(size)))
    nothing = np.empty((0, gallery.shape[1]), np.float32), np.empty(0, np.int64), 1.0, np.empty(0, np.bool_)
    head = LargeHead(names, FittedHead(gallery, None, *nothing), index)
    temperature = cosines.temperature
    if index is not None:
        with taken.step("open"):
            head.best(probes[:1], 1, temperature)
        with taken.step("enrol"):
            index.with_row(7, gallery[7])
    milliseconds = {"mien": each(lambda face: head.best(face, 3, temperature).columns[0, 0], probes, column)}
    milliseconds["numpy"] = each(lambda face: int((gallery @ face[0]).argmax()), probes, column)
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(gallery.shape[1])
    flat.add(gallery)
    milliseconds["faiss, flat"] = each(lambda face: flat.search(face, 1)[1][0, 0], probes, column)
    lists = max(int(size**0.5), 1)
    dimensions = gallery.shape[1]
    listed = faiss.IndexIVFFlat(faiss.IndexFlatIP(dimensions), dimensions, lists, faiss.METRIC_INNER_PRODUCT)
    with taken.step("build, faiss lists"):
        listed.train(gallery[: 64 * lists])
        listed.add(gallery)
    listed.nprobe = max(int(search.LOOKED_INTO * lists), 1)
    milliseconds["faiss, lists"] = each(lambda face: listed.search(face, 1)[1][0, 0], probes, column)
    off = 0.0
    for some in (slice(at, at + 4) for at in (*range(0, 40, 4), *range(PROBES, PROBES + 40, 4))):
        slow = LargeHead(names, head.head, None).best(probes[some], 1, temperature)
        quick = head.best(probes[some], 1, temperature)
        same = slow.columns[:, 0] == quick.columns[:, 0]  # another person's share is another one
        off = max(off, float(np.abs(1 / slow.total - 1 / quick.total)[same].max(initial=0.0)))
    disk = round(len(index.to_bytes()) / 1e6, 1) if index else 0.0
    return {**taken.done(), "disk MB": disk, "off": off, "ms": milliseconds}


def each(ask: Callable[[Floats], int], probes: Floats, best: np.ndarray) -> dict[str, float]:
    """Median and 99th percentile of milliseconds of the processor a probe, and how often the best was found, of people
    in the gallery and of strangers; of as many probes as there is time for, of both kinds in turn."""
    order = np.arange(len(probes)).reshape(2, -1).T.ravel()
    took, right, began = [], [], time.perf_counter()
    for row in order.tolist():
        start = time.thread_time()
        found = ask(probes[row : row + 1])
        took.append(1000 * (time.thread_time() - start))
        right.append(found == best[row])
        if time.perf_counter() - began > SECONDS and len(took) % 2 == 0 and len(took) >= 20:
            break
    return {
        "median": round(float(np.median(took)), 3),
        "p99": round(float(np.quantile(took, 0.99)), 3),
        "known": float(np.mean(right[::2])),
        "strangers": float(np.mean(right[1::2])),
        "probes": len(took),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="the shared data (default: ../shared/data)")
    parser.add_argument("--cache", type=Path, required=True, help="the .npz file of LFW that benchmarks/heads.py keeps")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--only", choices=("learn", "search"))
    parser.add_argument("--one", action="store_true", help="one size, in this process, as JSON")
    arguments = parser.parse_args()
    if arguments.one:
        people, size = real(arguments.cache, arguments.data), arguments.sizes[0]
        cosines = known()["dlib-resnet"].cosines
        assert cosines is not None
        with tempfile.TemporaryDirectory() as folder:
            learning = arguments.only == "learn"
            print(json.dumps(learn(people, size, cosines, Path(folder)) if learning else seek(people, size, cosines)))
        return 0
    print(f"{machine()}\nload {os.getloadavg()[0]:.1f}")
    for what in ("learn", "search"):
        if arguments.only in (None, what):
            table(what, arguments)
    return 0


def table(what: str, arguments: argparse.Namespace) -> None:
    """A line a size as it comes, then the slopes."""
    rows: list[dict[str, Any]] = []
    for size in arguments.sizes:
        given = ["--cache", arguments.cache, "--data", arguments.data, "--only", what, "--sizes", size, "--one"]
        run = subprocess.run([sys.executable, __file__, *map(str, given)], stdout=subprocess.PIPE, check=True)
        rows.append(json.loads(run.stdout.splitlines()[-1]))
        print(f"{what} {size:,}: {json.dumps(rows[-1])}", flush=True)
    for name, exponent in slopes(list(arguments.sizes), rows).items() if len(rows) > 1 else ():
        print(f"slope of {name}: {exponent:.2f}")


def slopes(sizes: list[int], rows: list[dict[str, Any]]) -> dict[str, float]:
    """The exponents with which seconds of the processor, memory, disk and milliseconds grow."""
    found = {}
    for name, first in rows[-1].items():
        of_size = [(size, row[name]) for size, row in zip(sizes, rows, strict=True) if name in row]
        if isinstance(first, dict):
            for one in first:
                found[f"{name}, {one}"] = slope([(size, value[one]["median"]) for size, value in of_size])
        elif name.endswith("MB"):
            found[name] = slope(of_size)
        elif isinstance(first, list) and len(first) == 2:
            found[name] = slope([(size, value[1]) for size, value in of_size])
    return found


def slope(values: list[tuple[int, float]]) -> float:
    """By least squares of the logarithms."""
    sizes, found = np.array(values, float).T
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(found, 1e-3)), 1)[0]) if len(values) > 1 else float("nan")


if __name__ == "__main__":
    sys.exit(main())
