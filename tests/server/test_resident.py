"""An album while it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Painted


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
