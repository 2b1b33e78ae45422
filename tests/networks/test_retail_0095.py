"""Intel's face-reidentification-retail-0095, converted, against the embeddings that Intel's own runtime gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from mien.networks.openvino import to_onnx
from mien.seeing.sessions import open_session

ENCODERS = Path(__file__).resolve().parents[3] / "shared/data/encoders"
NAME = "face-reidentification-retail-0095"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not ENCODERS.is_dir(), reason="../shared/data/encoders is not on this machine"),
]


def converted() -> bytes:
    return to_onnx((ENCODERS / f"{NAME}.xml").read_bytes(), (ENCODERS / f"{NAME}.bin").read_bytes(), NAME)


def test_embeddings_are_those_of_openvino_one_by_one_and_together() -> None:
    reference = np.load(ENCODERS / "retail-0095-reference.npz")
    bgr = np.ascontiguousarray(reference["chips"][..., ::-1].transpose(0, 3, 1, 2), np.float32)
    session = open_session(converted())
    (together,) = session.run(["embedding"], {"image": bgr})
    alone = np.concatenate([session.run(["embedding"], {"image": bgr[[face]]})[0] for face in range(len(bgr))])
    wanted = reference["embeddings"]
    assert together.shape == wanted.shape == (12, 256) and together.dtype == np.float32
    # Embeddings are some 16.4 long. Measured: 3.8e-6, which is 2.2e-7 of that; together and alone the same to the bit.
    np.testing.assert_allclose(together, wanted, rtol=0, atol=1e-5)
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-5)
    assert session.run(["embedding"], {"image": bgr[:0]})[0].shape == (0, 256)


def test_the_file_is_one_that_onnx_would_write_and_always_the_same() -> None:
    data = converted()
    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert model.SerializeToString(deterministic=True) == data == converted()
