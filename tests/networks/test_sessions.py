from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien.errors import DamagedModelError
from mien.networks.sessions import open_session
from mien.storage import weights

NETWORK = weights.load("yunet_s.onnx")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_network_runs(threads: int) -> None:
    session = open_session(NETWORK, threads)
    assert session.get_providers() == ["CPUExecutionProvider"]
    (scores,) = session.run(["cls_32"], {"input": np.zeros((1, 3, 64, 96), np.float32)})
    assert scores.shape == (1, 6, 1)
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("data", [b"", b"no network", NETWORK[:-100], NETWORK[:1000]])
def test_what_is_no_network_is_refused_quietly(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        DamagedModelError, match=rf"{len(data):,} bytes cannot be run: .+\. If it came with mien, reins"
    ):
        open_session(data)
    assert capfd.readouterr() == ("", "")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, len(NETWORK) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_altered_networks_are_opened_or_refused_quietly(
    changes: list[tuple[int, int]], capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(NETWORK)
    for place, value in changes:
        data[place] = value
    with suppress(DamagedModelError):
        open_session(bytes(data))
    assert capfd.readouterr() == ("", "")
