"""An album while it is served."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from mien.errors import BusyError
from mien.server.resident import Resident

if TYPE_CHECKING:
    from conftest import Painted, Served


def test_many_photos_leave_no_more_models_than_the_album_keeps(three_people: Painted, serve: Any) -> None:
    (three_people.folder / "mien.toml").write_text("keep = 2\n")
    three_people.open().train()
    with serve(three_people) as served:
        for number in range(6):
            photo = three_people.paint(three_people.folder.parent / f"{number}.png", "Freya").read_bytes()
            answer = served.post("/v1/people/Freya/photos", files={"picture": photo})
            assert answer.status_code == 201, answer.text
        assert len(three_people.open().models()) <= 5
        (found,) = served.post("/v1/classify", files={"picture": photo}).json()["answers"]
    assert [face["person"] for face in found["faces"]] == ["Freya"]


def test_what_is_done_is_done_once_though_another_holds_the_album_when_old_models_are_to_go(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise BusyError("the album", "is in use by another run", "Wait until that is done, then try again.")

    monkeypatch.setattr(Resident, "_prune", busy)
    done: list[str] = []
    assert served.house.resident.change(lambda album: done.append("once"), latest=math.inf) is None
    assert done == ["once"]
