"""Make examples/model: a model of the sample people, who do not exist, for `mien classify --model examples/model`.

    python tools/make_sample_model.py [--to FOLDER]

Trains an album of examples/album/people as `mien train` does by default, and keeps of the new version what a model is:
its four files, without the report. Run it again whenever the encoder or the heads change; tests/test_sample_model.py
says when that is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from mien import Album
from mien.registry.folder import CARD, LABELS, NETWORK, THRESHOLDS, load_model

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
BASIS = "rendered people, who do not exist"


def make(people: Path, target: Path) -> None:
    """Trains on the folders of photos in `people` and puts the model into `target`, in place of the one there."""
    with tempfile.TemporaryDirectory() as folder:
        album = Album.create(Path(folder, "album"), BASIS, "dlib-resnet")
        for person in sorted(people.iterdir()):
            album.add(person.name, person)
        version = album.train().version
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in (NETWORK, LABELS, THRESHOLDS, CARD):
            shutil.copy(album.folder / "models" / version / name, target / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=EXAMPLES / "model", metavar="FOLDER")
    target: Path = parser.parse_args().to
    for name in [name for name in os.environ if name.upper().startswith("MIEN_")]:
        del os.environ[name]  # the sample is made by the defaults, whatever this shell says
    make(EXAMPLES / "album" / "people", target)
    model = load_model(target)
    size = sum(file.stat().st_size for file in target.iterdir())
    print(
        f"{target}: {len(model.people)} people, head {model.card.head.name}, encoder {model.encoder_id}, {size:,} bytes"
    )


if __name__ == "__main__":
    main()
