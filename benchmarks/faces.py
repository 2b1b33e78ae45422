"""Whose face is chosen: how many photos of several faces get the right one, and what is said of those that do not.

    python benchmarks/faces.py [--data ../shared/data] [--cache FILE] [--encoder NAME] [--draws 50]

On photos of real people the face at the centre is the right one (LFW, whose pictures are cut around the named face), or
the one most like ten other photos of the person (`wild_multiface`, asked beside the first ten of `wild`). Then scenes
are planted, albums in which people are always together in some arrangement: a photo is put together of faces of
different people, the sample people's or those of LFW's training photos, drawn anew by a seed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from heads import Seen, cache_of, look
from mien.engines import threads as pool
from mien.learning.album_choice import Choice, choose_faces
from mien.learning.own_face import Alike, FolderFaces, Ground
from mien.seeing.eyes import Eyes
from mien.types import EncoderChoice, Floats, SeenPhoto
from mien.wiring import make_eyes
from protocol import DATA, FIRST, add_encoder, chosen, described, machine, split

SAMPLE = Path(__file__).resolve().parents[1] / "examples/album/people"
MOST = 6
"""Photos a folder of a scene."""

SCENES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "F always with M, M alone": {"F": ["FM"] * MOST, "M": ["M"] * MOST},
    "the same, and M alone once in F's folder": {"F": ["FM"] * MOST + ["M"], "M": ["M"] * MOST},
    "the same, of two photos each": {"F": ["FM"] * 2, "M": ["M"] * 2},
    "one photo of F and M, M alone": {"F": ["FM"], "M": ["M"] * MOST},
    "M sometimes with F, sometimes alone": {"F": ["FM"] * MOST, "M": ["FM"] * 3 + ["M"] * 2},
    "A with B, B with C, C alone": {"A": ["AB"] * MOST, "B": ["BC"] * MOST, "C": ["C"] * MOST},
    "three together, two of them alone": {"A": ["ABC"] * MOST, "B": ["B"] * MOST, "C": ["C"] * MOST},
    "an interviewer with A, B and C": {name: [f"{name}I"] * MOST for name in "ABC"},
    "strangers with A, another one each time": {"A": ["AS", "AT", "AU"], "B": ["B"] * 3},
    "two folders of W, others in one": {"W": ["WS", "WT", "WU", "WV"], "V": ["W"] * MOST},
    "F with M in both folders": {"F": ["FM"] * MOST, "M": ["FM"] * MOST},
    "three together, one alone": {"A": ["ABC"] * MOST, "B": ["ABC"] * MOST, "C": ["C"] * MOST},
    "one photo of two, nobody known": {"F": ["FM"]},
}
"""By what they show: folders of photos, each a string of people. V is a second folder of W."""

OTHERS = 5
"""People beside those of a scene, each with photos alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--cache", type=Path, help="an .npz file to keep the embeddings in")
    parser.add_argument("--draws", type=int, default=50, help="of each scene")
    add_encoder(parser)
    arguments = parser.parse_args()
    choice = chosen(arguments)
    eyes = make_eyes(choice)
    if eyes.encoder.cosines is None:
        parser.error(f"nobody measured the cosines of {choice.name}; tools/fit_defaults.py does")
    alike = Alike(eyes.encoder.cosines.curve)
    print(f"{machine()}\n{described(choice)}\n\nPhotos of several faces that get the right one")
    print(f"{'set':<36} {'photos':>7} {'largest':>8} {'own photos':>11} {'album':>7}  guessed, right")
    parts = split(arguments.data / "lfw")
    lfw = look(parts, "centre", cache_of(arguments.cache, "lfw", eyes.encoder_id), choice)
    first = {person: [lfw[file] for file in parts.enrolled if file.parent.name == person] for person in parts.people}
    print(compared("LFW, training photos", first, alike))
    everybody: dict[str, list[Seen]] = {}
    for file in sorted(lfw):
        everybody.setdefault(file.parent.name, []).append(lfw[file])
    print(compared("LFW, all", everybody, alike))
    print(compared("LFW, all of two photos or more", {n: m for n, m in everybody.items() if len(m) > 1}, alike))
    print(compared("wild and wild_multiface", together(arguments.data, choice), alike))
    samples = {folder.name: list(seen(sorted(folder.iterdir()), choice)) for folder in SAMPLE.iterdir()}
    for name, people in (("sample people", samples), ("people of LFW, training photos", first)):
        faces = {one: alone for one, some in sorted(people.items()) if len(alone := faces_alone(some)) >= MOST}
        print(f"\nScenes of {len(faces)} {name}, {arguments.draws} draws of each")
        print(f"{'':<44} {'right':>6} {'right, guessed':>15} {'wrong, guessed':>15} {'wrong':>6}")
        for scene, folders in SCENES.items():
            counts = Counter(planted(folders, faces, alike, seed) for seed in range(arguments.draws))
            figures = (counts[kind] for kind in ((True, False), (True, True), (False, True), (False, False)))
            print(f"{scene:<44} {{:>6}} {{:>15}} {{:>15}} {{:>6}}".format(*figures))


def faces_alone(photos: Sequence[Seen]) -> list[Floats]:
    """The faces of photos that show one."""
    return [one.embeddings[0] for one in photos if len(one.embeddings) == 1]


def seen(files: Sequence[Path], choice: EncoderChoice) -> Iterator[Seen]:
    """What is in photos whose own face is not known."""
    for _, photo in pool.run(files, partial(make_eyes, choice), Eyes.see_file, in_order=True):
        if isinstance(photo, SeenPhoto):
            yield Seen(
                photo.photo.sha256,
                np.array([one.embedding.vector for one in photo.faces], np.float32),
                np.array([one.quality.size for one in photo.faces], np.float32),
                np.array([one.quality.overall for one in photo.faces], np.float32),
                -1,
            )


def together(data: Path, choice: EncoderChoice) -> dict[str, list[Seen]]:
    """By person the first photos of `wild` and those of `wild_multiface`; in the latter the own face is the one most
    like the largest ones of the next photos of `wild`."""
    found = {}
    for folder in sorted((data / "wild_multiface").iterdir()):
        alone = [*seen(sorted((data / "wild" / folder.name).iterdir())[: 2 * FIRST], choice)]
        next_ones = [one.embeddings[int(np.argmax(one.sides))] for one in alone[FIRST:] if len(one.embeddings)]
        mean = np.mean(next_ones, axis=0)
        crowds = [one for one in seen(sorted(folder.iterdir()), choice) if len(one.embeddings) > 1]
        found[folder.name] = [one for one in alone[:FIRST] if len(one.embeddings) == 1]
        found[folder.name] += [one._replace(probe=int(np.argmax(one.embeddings @ mean))) for one in crowds]
    return found


def compared(name: str, people: Mapping[str, Sequence[Seen]], alike: Alike) -> str:
    """A line: photos of several faces, and in how many the largest is right, the one that is chosen by the person's own
    photos, and by the album; and of those of people who were guessed, in how many the guess is right."""
    album = [FolderFaces([one.embeddings for one in some], [one.sides for one in some]) for some in people.values()]
    by_album = choose_faces(album, alike)
    alone = [choose_faces([folder], alike)[0] for folder in album]
    sizes = [[int(np.argmax(one)) if len(one) else None for one in folder.sizes] for folder in album]

    def right(choices: Sequence[Choice], grounds: Sequence[Ground]) -> tuple[int, int]:
        hits = [
            face == one.probe
            for photos, choice, made in zip(people.values(), choices, by_album, strict=True)
            for one, face in zip(photos, choice.faces, strict=True)
            if made.ground in grounds and len(one.embeddings) > 1
        ]
        return sum(hits), len(hits)

    largest = [Choice(faces, Ground.OWN) for faces in sizes]
    (a, number), (b, _), (c, _) = (right(choices, [*Ground]) for choices in (largest, alone, by_album))
    hits, of = right(by_album, [Ground.GUESS])
    return f"{name:<36} {number:>7} {a:>8} {b:>11} {c:>7}  {hits} of {of}"


def planted(
    scene: Mapping[str, Sequence[str]], faces: Mapping[str, Sequence[Floats]], alike: Alike, seed: int
) -> tuple[bool, bool]:
    """Whether everybody of a scene gets their own face in each photo that shows it, and whether anything is said to be
    a guess. Faces of a person come again in another photo only when all have come; sizes are drawn at random."""
    rng = np.random.default_rng(seed)
    letters = sorted(set("".join(photo for photos in scene.values() for photo in photos)))
    names = rng.choice([*faces], len(letters) + OTHERS, replace=False).tolist()
    draws = {
        letter: iter(np.tile(rng.permutation(len(faces[name])), 9))
        for letter, name in zip(letters, names, strict=False)
    }
    person = dict(zip(letters, names, strict=False))
    album, truth = [], []
    for owner, photos in scene.items():
        shown = ["".join(rng.permutation([*photo])) for photo in photos]
        rows = [np.stack([faces[person[one]][next(draws[one])] for one in photo]) for photo in shown]
        album.append(FolderFaces(rows, [rng.uniform(60, 120, len(photo)) for photo in shown]))
        truth.append([photo.find("W" if owner == "V" else owner) for photo in shown])
    for name in names[len(letters) :]:
        album.append(FolderFaces([face[None] for face in faces[name][:MOST]], [np.array([90.0])] * MOST))
    choices = choose_faces(album, alike)[: len(scene)]
    owns = zip(choices, truth, strict=True)
    right = all(own in (-1, face) for one, own_ones in owns for face, own in zip(one.faces, own_ones, strict=True))
    return right, any(choice.ground is Ground.GUESS for choice in choices)


if __name__ == "__main__":
    main()
