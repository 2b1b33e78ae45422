"""Recognising, detecting and verifying over CompreFace's API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mien.album import Album
from mien.server.compreface import recognise as module

if TYPE_CHECKING:
    from conftest import Served

RECOGNISE = "/api/v1/recognition/recognize"
DETECT = "/api/v1/detection/detect"
VERIFY = "/api/v1/verification/verify"


def recognise(server: Served, query: str, *people: str, scope: str = "admin") -> list[dict[str, Any]]:
    answer = server.post(f"{RECOGNISE}{query}", scope, files={"file": server.photo(*people)})
    assert answer.status_code == 200, answer.text
    result = answer.json()["result"]
    assert isinstance(result, list)
    return result


def test_the_nearest_subjects_are_returned_known_or_not(standing: Served) -> None:
    ada, stranger = recognise(standing, "?face_plugins=undefined&det_prob_threshold=0.8", "Ada", "Stranger")
    assert ada["box"] == {"probability": 0.95, "x_max": 87, "y_max": 99, "x_min": 8, "y_min": 20}
    assert set(ada) == {"box", "subjects"} and len(ada["subjects"]) == len(stranger["subjects"]) == 1
    assert ada["subjects"][0]["subject"] == "Ada" and ada["subjects"][0]["similarity"] > 0.6
    assert stranger["subjects"][0]["similarity"] < 0.4
    every = recognise(standing, "?&prediction_count=10", "Ada")[0]["subjects"]
    assert every[0]["subject"] == "Ada" and len(every) == 3
    assert [one["similarity"] for one in every] == sorted((one["similarity"] for one in every), reverse=True)


def test_the_largest_faces_are_asked_for(standing: Served) -> None:
    photo = standing.painted.paint(standing.painted.folder.parent / "sizes.png", "Ada", "Bo", "Cy", sides=(60, 90, 80))
    files = {"file": photo.read_bytes()}
    names = [
        [
            face["subjects"][0]["subject"]
            for face in standing.post(f"{RECOGNISE}?limit={limit}", files=files).json()["result"]
        ]
        for limit in (0, 1, 2, 9)
    ]
    assert names == [["Ada", "Bo", "Cy"], ["Bo"], ["Bo", "Cy"], ["Ada", "Bo", "Cy"]]


def test_plugins_and_status_add_to_a_face(standing: Served) -> None:
    query = "?face_plugins=landmarks,calculator,age,gender,mask,pose&status=True"
    answer = standing.post(f"{RECOGNISE}{query}", files={"file": standing.photo("Ada")}).json()
    face = answer["result"][0]
    assert set(face) == {"box", "landmarks", "embedding", "subjects", "execution_time"}
    assert len(face["landmarks"]) == 5 and all(isinstance(value, int) for point in face["landmarks"] for value in point)
    assert len(face["embedding"]) == 128 and face["execution_time"]["detector"] > 0
    assert set(answer["plugins_versions"]) == {"detector", "calculator"}
    plain = recognise(standing, query, "Ada", scope="review")[0]
    assert "embedding" not in plain and "landmarks" in plain
    detected = standing.post(f"{DETECT}{query}", files={"file": standing.photo("Ada")}).json()["result"][0]
    assert set(detected) == set(face) - {"subjects"} and detected["embedding"] == face["embedding"]


def test_a_picture_without_a_face_has_a_code_of_its_own(standing: Served) -> None:
    for path in (RECOGNISE, DETECT, f"{RECOGNISE}?face_plugins=calculator"):
        answer = standing.post(path, files={"file": standing.photo()})
        assert (answer.status_code, answer.json()["code"]) == (400, 28)
        assert answer.json()["message"] == "No face is found in the given image"
    assert (
        standing.post(f"{DETECT}?det_prob_threshold=0.96", files={"file": standing.photo("Ada")}).json()["code"] == 28
    )
    for path in (RECOGNISE, DETECT):
        answer = standing.post(path, files={"file": b"<svg/>"})
        assert (answer.status_code, answer.json()["code"]) == (400, 21)


def test_nobody_is_near_where_nobody_is_enrolled(untaught: Served) -> None:
    assert [one["subjects"] for one in recognise(untaught, "?limit=0", "Ada", "Bo", scope="classify")] == [[], []]
    detected = untaught.post(DETECT, "classify", files={"file": untaught.photo("Ada", "Bo")}).json()
    assert len(detected["result"]) == 2


def test_two_pictures_are_compared(untaught: Served) -> None:
    def verify(source: bytes, target: bytes, query: str = "") -> Any:
        return untaught.post(f"{VERIFY}{query}", "classify", files={"source_image": source, "target_image": target})

    ada, group = untaught.photo("Ada"), untaught.photo("Bo", "Ada")
    (found,) = verify(ada, group, "?&status=true&face_plugins=landmarks").json()["result"]
    assert set(found) == {"source_image_face", "face_matches"}
    assert set(found["source_image_face"]) == {"box", "landmarks", "execution_time"}
    bo, same = found["face_matches"]
    assert bo["similarity"] < 0.5 < 0.6 < same["similarity"] and same["box"]["x_min"] == 100
    assert verify(group, ada).json()["code"] == 31
    assert verify(ada, untaught.photo()).json()["code"] == verify(untaught.photo(), ada).json()["code"] == 28
    assert untaught.post(VERIFY, files={"source_image": ada}).json()["code"] == 34
    assert verify(ada, b"no picture").json()["code"] == 21


def test_a_picture_is_compared_with_one_of_the_collection(standing: Served) -> None:
    image_id = standing.get("/api/v1/recognition/faces?subject=Ada").json()["faces"][0]["image_id"]
    path = f"/api/v1/recognition/faces/{image_id}/verify"
    same, other = standing.post(path, "classify", files={"file": standing.photo("Ada", "Bo")}).json()["result"]
    assert other["similarity"] < 0.5 < same["similarity"] and set(same) == {"box", "similarity"}


def test_embeddings_are_recognised_and_compared(standing: Served) -> None:
    faces = recognise(standing, "?face_plugins=calculator", "Ada", "Bo", "Stranger")
    vectors = [one["embedding"] for one in faces]
    found = standing.post("/api/v1/recognition/embeddings/recognize", "classify", json={"embeddings": vectors}).json()
    assert [one["similarities"] for one in found["result"]] == [one["subjects"] for one in faces]
    assert len(found["result"][0]["embedding"]) == 128
    image_id = standing.get("/api/v1/recognition/faces?subject=Bo").json()["faces"][0]["image_id"]
    stored = standing.post(
        f"/api/v1/recognition/embeddings/faces/{image_id}/verify", json={"embeddings": vectors}
    ).json()
    assert [one["similarity"] >= 0.5 for one in stored["result"]] == [True, False, False]
    assert stored["result"][0]["embedding"] == pytest.approx(vectors[1])
    body = {"source": vectors[0], "targets": vectors[1:] + vectors[:1]}
    compared = standing.post("/api/v1/verification/embeddings/verify", json=body).json()["result"]
    assert [one["similarity"] >= 0.5 for one in compared] == [True, False, False]


NO_EMBEDDINGS: tuple[Any, ...] = (
    {},
    [],
    {"embeddings": None},
    {"embeddings": []},
    {"embeddings": [[]]},
    {"embeddings": [[1.0] * 127]},
    {"embeddings": [[0.0] * 128]},
    {"embeddings": [[1.0] * 128, [1.0]]},
    {"embeddings": [["a"] * 128]},
    {"embeddings": [[1e300] * 128]},
    {"embeddings": {"a": 1}},
    {"embeddings": "text"},
    {"embeddings": [[1.0] * 128] * 1001},
)


def test_embeddings_that_are_none_are_refused(standing: Served) -> None:
    for body in NO_EMBEDDINGS:
        data = json.dumps(body).encode()
        answer = standing.post("/api/v1/recognition/embeddings/recognize", content=data)
        assert answer.status_code == 400 and answer.json()["code"] in (26, 33), answer.text


def test_embeddings_where_nobody_is_enrolled(untaught: Served) -> None:
    answer = untaught.post("/api/v1/recognition/embeddings/recognize", json={"embeddings": [[1.0] * 128]}).json()
    assert answer == {"result": [{"embedding": [1.0] * 128, "similarities": []}]}


@pytest.mark.parametrize("size", [4, 129])
def test_embeddings_have_as_many_numbers_as_those_of_the_encoder(untaught: Served, size: int) -> None:
    vector = [1.0] * size
    for path, body in (
        ("recognition/embeddings/recognize", {"embeddings": [vector]}),
        ("verification/embeddings/verify", {"source": vector, "targets": [vector]}),
        ("verification/embeddings/verify", {"source": [1.0] * 128, "targets": [vector]}),
    ):
        answer = untaught.post(f"/api/v1/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, 26) and "128 numbers" in answer.json()["message"]


def test_nothing_is_computed_between_requests(standing: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that serves all requests neither compares embeddings nor opens eyes."""
    threads: dict[str, set[str]] = {}

    def watched(name: str, what: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            threads.setdefault(name, set()).add(threading.current_thread().name.rsplit("_", 1)[0])
            return what(*given, **named)

        return call

    for name in ("identify", "pair", "similarities", "_embeddings"):
        monkeypatch.setattr(module, name, watched(name, getattr(module, name)))
    monkeypatch.setattr(Album, "eyes", watched("eyes", Album.eyes))
    vector = [1.0] * 128
    image_id = standing.get("/api/v1/recognition/faces?subject=Bo").json()["faces"][0]["image_id"]
    for path, body in (
        ("recognition/embeddings/recognize", {"embeddings": [vector]}),
        ("verification/embeddings/verify", {"source": vector, "targets": [vector]}),
        (f"recognition/embeddings/faces/{image_id}/verify", {"embeddings": [vector]}),
    ):
        assert standing.post(f"/api/v1/{path}", json=body).status_code == 200
    photo = {"file": standing.photo("Bo")}
    for path in ("detection/detect", f"recognition/faces/{image_id}/verify"):
        assert standing.post(f"/api/v1/{path}?status=true", files=photo).status_code == 200
    assert set(threads) == {"identify", "pair", "similarities", "_embeddings", "eyes"}
    assert set.union(*threads.values()) <= {"mien-reads", "mien-looks"}


def test_similarity_is_by_the_model_that_answered(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    recogniser = served.house.resident.recogniser
    assert recogniser is not None
    before, answer = recogniser.model, recogniser.answer
    run = before.card.run.model_copy(update={"version": "another"})
    card = before.card.model_copy(update={"run": run})
    flat = replace(before, card=card, calibration=replace(before.calibration, slope=0.0))

    def swapped(*given: Any) -> Any:
        recogniser.use(flat)
        return answer(*given)

    monkeypatch.setattr(recogniser, "answer", swapped)
    nearest = recognise(served, "", "Ada")[0]["subjects"][0]
    assert nearest == {"subject": "Ada", "similarity": 0.5}, "of a flat curve"


def test_odd_parameters_do_no_harm(standing: Served) -> None:
    for query in (
        "?&limit=0&det_prob_threshold=0.8&prediction_count=2&face_plugins=calculator,age,landmarks&status=true",
        "?det_prob_threshold=0.9?face_plugins=age?status=true",
        "?limit=0&threshold=&prediction_count=1&face_plugins=&status=false&detect_faces=true",
        "?limit=&status=&prediction_count=",
    ):
        assert recognise(standing, query, "Ada")[0]["subjects"][0]["subject"] == "Ada"
    for query in ("?limit=-1", "?prediction_count=0", "?det_prob_threshold=high", "?status=perhaps"):
        answer = standing.post(f"{RECOGNISE}{query}", files={"file": standing.photo("Ada")})
        assert (answer.status_code, answer.json()["code"]) == (400, 26)
