import pickle
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from mien.seeing.encoders.resnet import ResNet
from numpy.typing import NDArray
from PIL import Image

from mien.protocols import Encoder
from mien.storage import weights
from mien.types import Floats

GOLDEN = Path(__file__).parent.parent.parent / "golden"
SHEET = np.asarray(Image.open(GOLDEN / "chips.png"))
CHIPS: NDArray[np.uint8] = SHEET.reshape(-1, 150, SHEET.shape[1] // 150, 150, 3).swapaxes(1, 2).reshape(-1, 150, 150, 3)
with np.load(GOLDEN / "resnet.npz", allow_pickle=False) as arrays:
    DLIB: Floats = arrays["embeddings"]

Precision = Literal["fp32", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")


@pytest.fixture(scope="module", params=[(precision, batch) for precision in PRECISIONS for batch in (1, 4)])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return ResNet(*request.param)


def test_embeddings_are_those_of_dlib() -> None:
    embeddings = ResNet().encode(CHIPS)
    assert embeddings.dtype == np.float32
    assert len(DLIB) == len(CHIPS) == 24
    np.testing.assert_allclose(embeddings, DLIB, rtol=0, atol=1e-5)


def test_eight_bits_are_nearly_as_good() -> None:
    embeddings = ResNet("int8").encode(CHIPS)
    norms = np.linalg.norm(embeddings, axis=1) * np.linalg.norm(DLIB, axis=1)
    assert ((embeddings * DLIB).sum(axis=1) / norms).min() > 0.997


def test_an_embedding_depends_on_its_chip_alone(encoder: Encoder) -> None:
    """To the bit: whatever stands before or behind it, and however many."""
    chip, others = CHIPS[:1], CHIPS[1:8]
    (alone,) = encoder.encode(chip)
    for position in (0, 3, 7):
        batch = np.concatenate([others[:position], chip, others[position:]])
        np.testing.assert_array_equal(encoder.encode(batch)[position], alone)
    np.testing.assert_array_equal(encoder.encode(np.repeat(chip, 3, axis=0)), [alone] * 3)


def test_no_chips_give_no_embeddings(encoder: Encoder) -> None:
    assert encoder.encode(CHIPS[:0]).shape == (0, 128)


def test_an_encoder_survives_pickling_as_its_settings(encoder: Encoder) -> None:
    before = encoder.encode(CHIPS[:1])
    data = pickle.dumps(encoder)
    assert len(data) < 200
    copy = pickle.loads(data)
    assert copy.id == encoder.id
    np.testing.assert_array_equal(copy.encode(CHIPS[:1]), before)


def test_the_id_names_precision_and_weights() -> None:
    assert ResNet().id == f"dlib-resnet-v1-fp32-{weights.manifest()['resnet.onnx'].sha256[:8]}"
    assert ResNet("int8").id == f"dlib-resnet-v1-int8-{weights.manifest()['resnet_int8.onnx'].sha256[:8]}"
    assert ResNet().size == 150
