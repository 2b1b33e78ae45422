"""Every head on the same faces: what it brings, on what, at what cost.

    python benchmarks/heads.py [--data ../shared/data] [--cache FILE] [--photos 10 5] [--encoder NAME]

The protocols of benchmarks/accuracy.py, from embeddings: each photo is looked at once (minutes; kept in --cache, a file
for each set and encoder), then each head is fitted on everyone's first 10 or 5 photos. Beside the probes it prints what
training itself sees, the cross-validated cost of each head, and "chosen" marks the head that `mien train` takes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from figures import fpir_at
from mien.engines import threads as pool
from mien.learning import figures as metrics
from mien.learning.album_choice import choose_faces
from mien.learning.crossval import HeldOut, held_out, log_loss
from mien.learning.crossval import split as folds
from mien.learning.head import Fit, FittedHead, HeadOption, weights
from mien.learning.openset import fit_open_set, identify, scale_for
from mien.learning.own_face import Alike, FolderFaces
from mien.records.faces import TrainingSet
from mien.seeing.eyes import Eyes
from mien.stages.evaluate import Pick, pick_face
from mien.stages.train import choose_head
from mien.types import Cosines, EncoderChoice, Floats, SeenPhoto
from mien.wiring import HEADS, make_eyes
from protocol import DATA, Split, add_encoder, chosen, described, machine, split

SETS: tuple[tuple[str, Pick], ...] = (("lfw", "centre"), ("wild", "largest"))


class Seen(NamedTuple):
    """Of one photo: its hash, all its faces' embeddings (F, D), sides and qualities (F,), and the probe's number."""

    sha256: str
    embeddings: Floats
    sides: Floats
    quality: Floats
    probe: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--cache", type=Path, help="an .npz file to keep the embeddings in")
    parser.add_argument("--photos", type=int, nargs="+", default=[10, 5], help="photos a person to fit on")
    add_encoder(parser)
    arguments = parser.parse_args()
    choice = chosen(arguments)
    eyes = make_eyes(choice)
    cosines = eyes.encoder.cosines
    if cosines is None:
        parser.error(f"nobody measured the cosines of {choice.name}; tools/fit_defaults.py does")
    print(f"{machine()}\n{described(choice)}")
    for name, face in SETS:
        parts = split(arguments.data / name)
        seen = look(parts, face, cache_of(arguments.cache, name, eyes.encoder_id), choice)
        for photos in arguments.photos:
            compare(name, parts, seen, photos, cosines)


def cache_of(cache: Path | None, name: str, encoder: str) -> Path | None:
    """The file that keeps the embeddings of one set by one encoder."""
    return cache and cache.with_stem(f"{cache.stem}-{name}-{encoder}")


def look(parts: Split, face: Pick, cache: Path | None, choice: EncoderChoice) -> dict[Path, Seen]:
    """Every photo of a set, from the cache where it is there."""
    files = [*parts.enrolled, *parts.mated, *parts.strangers]
    if cache and cache.is_file():
        return dict(zip(files, kept(cache), strict=True))
    make = partial(make_eyes, choice)
    found = {file: _seen(seen, face) for file, seen in pool.run(files, make, Eyes.see_file, in_order=True)}
    if cache:
        keep(cache, list(found.values()))
    return found


def kept(cache: Path) -> Iterator[Seen]:
    """The photos of a cache. Each of its arrays is read once: every access to one reads all of it."""
    with np.load(cache, allow_pickle=False) as file:
        stored = {name: file[name] for name in file.files}
    ends = np.cumsum(stored["faces"])[:-1]
    columns = (np.split(stored[name], ends) for name in ("embeddings", "sides", "quality"))
    return map(Seen, stored["sha256"].tolist(), *columns, stored["probe"].tolist())


def keep(cache: Path, rows: list[Seen]) -> None:
    size = max(row.embeddings.shape[-1] for row in rows)
    np.savez(
        cache,
        sha256=np.array([row.sha256 for row in rows]),
        faces=np.array([len(row.embeddings) for row in rows]),
        embeddings=np.concatenate([row.embeddings.reshape(-1, size) for row in rows]),
        sides=np.concatenate([row.sides for row in rows]),
        quality=np.concatenate([row.quality for row in rows]),
        probe=np.array([row.probe for row in rows]),
    )


def _seen(seen: SeenPhoto | Exception, face: Pick) -> Seen:
    if isinstance(seen, Exception):
        raise seen
    chosen = pick_face(seen.photo, seen.faces, face)
    return Seen(
        seen.photo.sha256,
        np.array([one.embedding.vector for one in seen.faces], np.float32),
        np.array([one.quality.size for one in seen.faces], np.float32),
        np.array([one.quality.overall for one in seen.faces], np.float32),
        -1 if chosen is None else seen.faces.index(chosen),
    )


def compare(name: str, parts: Split, seen: dict[Path, Seen], photos: int, cosines: Cosines) -> None:
    """A table: a line a head."""
    faces = enrol(parts, seen, photos, cosines)
    people, weight = len(faces.people), weights(faces.overall)
    taken = choose_head(faces, weight, cosines, HEADS, "auto").option
    truth = np.array([parts.people.index(file.parent.name) for file in parts.mated])
    print(f"\n{name}, {photos} photos of {people} people; {len(parts.mated)} mated, {len(parts.strangers)} non-mated")
    print(
        f"{'head':<20} {'cost':>7} {'s':>6} {'top-1':>7} {'@ 1 %':>7} {'@ 0.1 %':>7} {'TPIR':>7} {'FPIR':>7} {'ECE':>6}"
    )
    for option in HEADS:
        if why := option.hindrance(len(faces.sha256), people):
            print(f"{option.name:<20} {why}")
            continue
        mark = " chosen" if option is taken else ""
        print(line(option, faces, weight, parts, seen, truth, cosines) + mark, flush=True)


def line(
    option: HeadOption,
    faces: TrainingSet,
    weight: Floats,
    parts: Split,
    seen: dict[Path, Seen],
    truth: np.ndarray,
    cosines: Cosines,
) -> str:
    people, fit, started = len(faces.people), option.fit_for(cosines), time.process_time()
    fold = folds(faces.sha256, faces.person, faces.embeddings, cosines)

    def judged(by: Fit) -> HeldOut:
        return held_out(by, faces.embeddings, faces.person, people, weight, fold)

    held = judged(fit)
    cost = float(log_loss(held, faces.person).mean())
    head = fit(faces.embeddings, faces.person, people, weight)
    seconds = time.process_time() - started
    plain = HEADS[0]
    scale = scale_for(
        option, plain, cosines, held.best_rival, lambda: judged(plain.fit_for(cosines)).best_rival, faces.person
    )
    threshold, calibration = fit_open_set(held, faces.person, people, 0.01, scale, cosines)
    mated, strangers = probes(head, seen, parts.mated), probes(head, seen, parts.strangers)
    right = (mated.argmax(axis=1) == truth) & np.isfinite(mated[:, 0])
    best, worst = mated.max(axis=1), strangers.max(axis=1)
    swept = [metrics.tpir_at_fpir(best, right, worst, fpir)[0] for fpir in (0.01, 0.001)]
    answers = identify(np.concatenate([mated, strangers]), faces.people, threshold, calibration, 1)
    sure = np.array([answer.probability for answer in answers])
    names = [*(faces.people[one] for one in truth), *([None] * len(strangers))]
    ok = np.array([answer.person == name for answer, name in zip(answers, names, strict=True)])
    halves = slice(0, len(mated)), slice(len(mated), None)
    ece = np.nanmean([metrics.expected_calibration_error(sure[half], ok[half]) for half in halves])
    own = metrics.tpir_at(best, right, threshold.value), fpir_at(worst, threshold.value)
    shares = "".join(f" {100 * value:>7.2f}" for value in (right.mean(), *swept, *own))
    return f"{option.name:<20} {cost:>7.4f} {seconds:>6.2f}{shares} {100 * ece:>6.2f}"


def enrol(parts: Split, seen: dict[Path, Seen], photos: int, cosines: Cosines) -> TrainingSet:
    """The faces that `mien align` would choose from everyone's first `photos`."""
    rows: list[tuple[int, str, Floats, float]] = []
    album = [[seen[file] for file in parts.enrolled if file.parent.name == name][:photos] for name in parts.people]
    folders = [FolderFaces([one.embeddings for one in mine], [one.sides for one in mine]) for mine in album]
    chosen = choose_faces(folders, Alike(cosines.curve))
    for number, (mine, choice) in enumerate(zip(album, chosen, strict=True)):
        for one, face in zip(mine, choice.faces, strict=True):
            if face is not None:
                rows.append((number, one.sha256, one.embeddings[face], float(one.quality[face])))
    rows.sort(key=lambda row: row[:2])
    return TrainingSet(
        people=parts.people,
        person=np.array([row[0] for row in rows], np.int64),
        sha256=tuple(row[1] for row in rows),
        embeddings=np.stack([row[2] for row in rows]),
        overall=np.array([row[3] for row in rows], np.float32),
    )


def probes(head: FittedHead, seen: dict[Path, Seen], files: tuple[Path, ...]) -> Floats:
    """(N, P) scores; -inf all along where no face was found."""
    scores = np.full((len(files), len(head.vectors)), -np.inf, np.float32)
    found = [i for i, file in enumerate(files) if seen[file].probe >= 0]
    scores[found] = head.scores(np.stack([seen[files[i]].embeddings[seen[files[i]].probe] for i in found]))
    return scores


if __name__ == "__main__":
    main()
