"""Measures on LFW what a small album falls back on: `curve`, `slope` and `temperature` of an encoder's `Cosines`.

    python tools/fit_defaults.py lfw.npz

The file holds `emb` (N, D) float32 unit embeddings made by the encoder with the default views, and `person` (N,) str,
photos of a person in order of file name. People with three or more photos make galleries, of which at most the first
ten photos are used (what the protocol enrols, so that no mated probe is touched); people with one or two photos are
the strangers. What is printed belongs beside the encoder, as in `mien.seeing.encoders.resnet`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.learning import openset as gallery
from mien.learning.crossval import RIVALS
from mien.learning.heads.prototypes import prototypes
from mien.testing import COSINES
from mien.types import Floats

PEOPLE = (1, 2, 5, 10, 20, 50, 100)
PHOTOS = (1, 2, 3, 5, 10)
FPIRS = (
    0.5,
    0.3,
    0.1,
    0.03,
    0.01,
    0.003,
    0.001,
)  # down from 0.5, for that is how far up a small album's own curve is read
DRAWS = 200

Faces = list[Floats]
"""One (photos, D) array a person."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path)
    with np.load(parser.parse_args().embeddings, allow_pickle=False) as file:
        emb, person = file["emb"], file["person"]
    people = [emb[person == name] for name in np.unique(person)]
    strangers = np.concatenate([faces for faces in people if len(faces) < 3])
    enrolled = [faces[:10] for faces in people if len(faces) >= 3]
    print(f"# {len(strangers)} faces of strangers, galleries drawn from {len(enrolled)} people, {DRAWS} draws each")
    random = np.random.default_rng(0)
    fit_curve(enrolled, strangers, random)
    fit_calibration(enrolled, strangers, random)


def draws(enrolled: Faces, people: int, photos: int, random: np.random.Generator) -> Iterator[Faces]:
    """Galleries of `people` who have `photos` each; none if too few have (a draw must leave some out to vary)."""
    pool = [faces for faces in enrolled if len(faces) >= photos]
    if people <= 0.9 * len(pool):
        for _ in range(DRAWS):
            yield [pool[i] for i in random.choice(len(pool), people, replace=False)]


def fit_curve(enrolled: Faces, strangers: Floats, random: np.random.Generator) -> None:
    """Least squares over the mean thresholds of all sizes, photos and FPIRs; prints CURVE and how well it fits."""
    rows, measured = [], []
    for photos in PHOTOS:
        for people in PEOPLE:
            best = [(strangers @ mean_faces(g, photos).T).max(axis=1) for g in draws(enrolled, people, photos, random)]
            if not best:
                continue
            found = np.quantile(np.stack(best), 1 - np.array(FPIRS), axis=1).mean(axis=1)
            print(f"# {people:4d} people, {photos:2d} photos:", " ".join(f"{value:.4f}" for value in found))
            deviates = [gallery.normal_deviate(people, fpir) for fpir in FPIRS]
            rows += [(1.0, z, z * z, 1 / photos) for z in deviates]
            measured += list(found)
    curve, *_ = np.linalg.lstsq(np.array(rows), np.array(measured), rcond=None)
    error = np.abs(np.array(rows) @ curve - measured)
    print(f"# error: rms {np.sqrt(np.mean(error**2)):.4f}, largest {error.max():.4f}")
    print(f"CURVE = ({', '.join(f'{value:.5f}' for value in curve)})")


def fit_calibration(enrolled: Faces, strangers: Floats, random: np.random.Generator) -> None:
    """Medians over galleries of 100 people with 2 photos each, whose third to tenth photos are the mated probes.

    The threshold is the one at which 1 % of the strangers would be named; the prior is out of the way.
    """
    gallery.PRIOR_FACES = 0.0
    slopes, temperatures = [], []
    for drawn in draws(enrolled, 100, 3, random):
        vectors = mean_faces(drawn, 2)
        owner = np.repeat(np.arange(len(drawn)), [len(faces) - 2 for faces in drawn])
        probes = np.concatenate([faces[2:] for faces in drawn])
        rows, scores, unmated = np.arange(len(probes)), probes @ vectors.T, strangers @ vectors.T
        threshold = float(np.quantile(unmated.max(axis=1), 0.99))
        own = scores[rows, owner]
        scores[rows, owner] = -np.inf
        # Strangers join as people of their own, without an own score.
        calibration = gallery.calibrate(
            np.concatenate([own, np.full(len(strangers), np.nan)]),
            -np.sort(-np.concatenate([scores, unmated]), axis=1)[:, :RIVALS],
            np.concatenate([owner, len(drawn) + np.arange(len(strangers))]),
            threshold,
            COSINES,
        )
        slopes.append(calibration.slope)
        temperatures.append(calibration.temperature)
    for name, values in (("SLOPE", slopes), ("TEMPERATURE", temperatures)):
        low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
        print(f"{name} = {middle:.3g}  # {low:.3g} to {high:.3g} from draw to draw")


def mean_faces(drawn: Faces, photos: int) -> Floats:
    faces = np.concatenate([person[:photos] for person in drawn])
    owner, weight = np.repeat(np.arange(len(drawn)), photos), np.ones(len(faces), np.float32)
    return prototypes(COSINES)(faces, owner, len(drawn), weight).vectors


if __name__ == "__main__":
    main()
