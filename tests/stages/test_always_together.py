"""Two people who are always together, with the real tools: sample people, who do not exist, beside each other."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from mien import Album


def beside(left: Path, right: Path, to: Path) -> None:
    """Both in one picture, the right one a little larger."""
    with Image.open(left) as one, Image.open(right) as other:
        pictures = [
            picture.convert("RGB").resize((picture.width * height // picture.height, height))
            for picture, height in ((one, 400), (other, 480))
        ]
    both = Image.new("RGB", (sum(picture.width for picture in pictures), 480), (110, 110, 110))
    both.paste(pictures[0], (0, 80))
    both.paste(pictures[1], (pictures[0].width, 0))
    to.parent.mkdir(parents=True, exist_ok=True)
    both.save(to, quality=93)


def test_she_gets_her_own_face_by_his_photos(sample: Path, tmp_path: Path) -> None:
    people = sample / "people"
    Album.create(tmp_path / "album", "rendered people", "dlib-resnet")
    training = tmp_path / "album/training-images"
    for number in range(1, 5):
        freya, his = people / f"Freya/{number:02}.jpg", people / f"Marco/{number + 6:02}.jpg"
        beside(freya, his, training / f"Freya/{number:02}.jpg")
        (training / "Marco").mkdir(exist_ok=True)
        shutil.copy(people / f"Marco/{number:02}.jpg", training / "Marco")
    album = Album(tmp_path / "album", views=1)
    learned = album.train()
    assert learned.aligned.guesses == () and len(learned.aligned.several) == 4
    for name in ("Freya", "Marco"):
        answers = album.classify([people / f"{name}/{number}.jpg" for number in (13, 14, 15)])
        assert [face.prediction.person for answer in answers for face in answer.faces] == [name] * 3
    shutil.rmtree(training / "Marco")
    (guess,) = album.align().guesses
    assert guess.people == ("Freya",) and len(guess.photos) == 4
