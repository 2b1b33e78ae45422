"""What scripts/install says of the best encoder, and what a release build brings along, with a made-up encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bundle_encoder
from bundle_encoder import bundle
from first_encoder import first_encoder
from mien.encoders import shelf
from mien.encoders.shelf import keep, kept, known
from mien.errors import EncoderError

if TYPE_CHECKING:
    from conftest import TinyEncoder


def test_an_encoder_goes_into_the_package_with_its_licence(
    tiny: Callable[..., TinyEncoder], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tiny(licence="Apache-2.0", title="A tiny one", origin="https://example.org/tiny", trained_on="noise")
    folder = bundle(str(one.toml), None, tmp_path / "package")
    assert sorted(file.name for file in folder.iterdir()) == ["LICENSE", "NOTICE", "encoder.json", "fp32.onnx"]
    assert [file.name for file in folder.parent.iterdir()] == ["tiny"] and not home.exists()
    assert "Apache License" in (folder / "LICENSE").read_text("utf-8")
    notice = (folder / "NOTICE").read_text("utf-8")
    assert "A tiny one" in notice and "https://example.org/tiny" in notice and "noise" in notice
    monkeypatch.setattr(shelf, "_bundled", lambda: folder.parent)
    assert kept("tiny").network("fp32").read()


@pytest.mark.parametrize(
    ("described", "what"),
    [
        ({"licence": "Apache-2.0", "commercial": False}, "may not be used commercially"),
        ({"licence": "MIT"}, "of which the text is not at hand"),
    ],
)
def test_what_may_not_go_along_does_not(
    tiny: Callable[..., TinyEncoder], tmp_path: Path, described: dict[str, object], what: str
) -> None:
    with pytest.raises(EncoderError, match=what):
        bundle(str(tiny(**described).toml), None, tmp_path / "package")
    assert not (tmp_path / "package").exists()


def test_it_goes_where_mien_looks() -> None:
    assert bundle_encoder.PACKAGE.resolve() == shelf._bundled().resolve()


def test_install_says_what_it_did(home: Path) -> None:
    assert "was not fetched, as MIEN_NO_DOWNLOAD is set; add it later: " in first_encoder({"MIEN_NO_DOWNLOAD": "1"})
    assert not home.exists()
    said = first_encoder({}, ("-c", ""))
    assert said == "added the encoder retail-0095 (Apache-2.0, 2.6 MB), which new albums use from now on"
    failing = "import sys; print('mien: No network.', file=sys.stderr); print('Wait.', file=sys.stderr); sys.exit(18)"
    said = first_encoder({}, ("-c", failing))
    assert said.startswith("the encoder retail-0095 could not be added, so dlib-resnet is used; add it later: ")
    assert said.endswith("mien encoders add retail-0095 (No network)") and "\n" not in said
    keep(known()["retail-0095"], {"fp32": b"a network"})
    assert first_encoder({}, ("-c", failing)) == "the encoder retail-0095 is there"


def test_install_does_not_wait_for_long(home: Path) -> None:
    said = first_encoder({}, ("-c", "import time; time.sleep(60)"), limit=0.2)
    assert "did not come in 0.2 seconds, so dlib-resnet is used; add it later: " in said
