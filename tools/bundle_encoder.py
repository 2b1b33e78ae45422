"""Puts an encoder into the package, for a release whose users need not fetch it. Needs a network, or the files:

    .venv/bin/python tools/bundle_encoder.py retail-0095 [--from PATH]

It writes src/mien/seeing/data/encoders/NAME/, as `mien encoders add` would keep it for a user, with the licence and a
notice beside it. The repository never holds that folder; a wheel that is built while it is there does. See
docs/releasing.md.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from mien.encoders.adding import network_of, wanted_encoder
from mien.encoders.description import Description
from mien.encoders.obtain import Connect
from mien.encoders.shelf import keep
from mien.errors import EncoderError
from mien.protocols import Silent

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src/mien/seeing/data/encoders"

LICENCES = {"Apache-2.0": ROOT / "LICENSE"}
"""Where the full text of a licence lies, which goes along with whatever is under it."""


def bundle(encoder: str, files: Path | None = None, package: Path = PACKAGE, *, connect: Connect | None = None) -> Path:
    """Puts an encoder into the folder `package`; returns its own folder there. `encoder` and `files` as for
    `mien.add_encoder`. Raises EncoderError also where the licence does not let mien's users do what mien's own does, or
    its text is not at hand."""
    wanted = wanted_encoder(encoder)
    description = wanted.description
    description.require_licence(True)
    if description.licence not in LICENCES:
        raise EncoderError(
            wanted.about,
            f"is under {description.licence}, of which the text is not at hand",
            "Enter in LICENCES of tools/bundle_encoder.py where the text lies.",
        )
    with tempfile.TemporaryDirectory() as coming:
        data = network_of(wanted, Path(coming), files, "", Silent(), connect)
    folder = keep(description, {"fp32": data}, package).folder
    assert folder is not None
    shutil.copyfile(LICENCES[description.licence], folder / "LICENSE")
    (folder / "NOTICE").write_text(notice(description), "utf-8")
    return folder


def notice(description: Description) -> str:
    """What stands beside a bundled encoder: whose it is, and what was done to it."""
    return f"""{description.title}

Origin:   {description.origin}
Licence:  {description.licence}, in full in the file LICENSE beside this one
Trained:  {description.trained_on or "on what is not known"}
Changed:  its files were made one ONNX file that takes chips as they are, by mien.encoders.prepare; nothing was trained
          further. Their SHA-256 stand in encoder.json.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("--from", dest="files", type=Path)
    given = parser.parse_args()
    try:
        print(f"{bundle(given.encoder, given.files)}: goes into the wheel that is built next")
    except EncoderError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
