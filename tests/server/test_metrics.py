"""What the server says of itself to Prometheus."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from mien.album import Album
from mien.learning.drift import LEVELS, margin_quantiles, of_card
from mien.server.metrics import FEWEST_MARGINS, MARGINS, Metrics

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Served
    from mien.types import Answer


def samples(served: Served) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every figure by its name and labels."""
    answer = served.client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def figure(served: Served, name: str, **labels: str) -> float:
    return samples(served)[name, tuple(sorted(labels.items()))]


def test_faces_pictures_and_requests_are_counted(served: Served) -> None:
    files = [("picture", served.photo("Ada", "Stranger")), ("picture", b"no picture")]
    assert served.post("/v1/classify", files=files).status_code == 200
    assert figure(served, "mien_faces_total", answer="named") == figure(served, "mien_faces_total", answer="unknown")
    assert figure(served, "mien_pictures_total", outcome="answered") == 1
    assert figure(served, "mien_pictures_total", outcome="refused") == 1
    assert figure(served, "mien_requests_total", route="/v1/classify", method="POST", status="200") == 1
    assert figure(served, "mien_request_seconds_count", route="/v1/classify") == 1
    assert figure(served, "mien_model_info", version=str(served.painted.open().version)) == 1
    assert (figure(served, "mien_people"), figure(served, "mien_queue")) == (3, 0)


def test_whoever_asks_can_invent_no_label(served: Served) -> None:
    def ask_oddly(count: int) -> int:
        for number in range(count):
            served.client.request(f"ODD{number}", f"/v1/people/Ada-{number}")
            served.client.get(f"/nowhere/{number}", headers={"host": f"{number}.example", "x-request-id": str(number)})
            served.post(f"/v1/classify?top={number}&who=Ada-{number}", content=b"")
        return len(samples(served))

    assert ask_oddly(3) > 0
    before = len(samples(served))
    assert ask_oddly(20) == before


def named(answer: Answer, margins: np.ndarray) -> list[Answer]:
    """The answer again for each of the margins."""
    (face,) = answer.faces
    sure = face.prediction
    return [
        replace(answer, faces=(replace(face, prediction=replace(sure, score=sure.threshold + float(margin))),))
        for margin in margins
    ]


def test_scores_that_move_away_from_trainings_are_seen(served: Served) -> None:
    metrics, random = served.house.metrics, np.random.default_rng(0)
    trained, today = random.gamma(4, 0.05, 5000), random.gamma(4, 0.05, MARGINS)
    by_model = served.house.resident.answering(1)
    assert by_model is not None
    answer = by_model(served.photo("Ada"))
    assert math.isnan(figure(served, "mien_score_drift"))
    metrics.expect(margin_quantiles(trained))
    metrics.count(named(answer, today[: FEWEST_MARGINS - 1]))
    assert math.isnan(figure(served, "mien_score_drift")), "too few faces"
    metrics.count(named(answer, today))
    assert abs(figure(served, "mien_score_drift")) < 0.05
    metrics.expect(margin_quantiles(trained))  # somebody was enrolled
    metrics.count(named(answer, today * 0.5))
    assert figure(served, "mien_score_drift") > 0.3, "only the last faces count"
    metrics.expect(margin_quantiles(trained * 2))  # another model
    assert math.isnan(figure(served, "mien_score_drift"))


def test_training_writes_down_what_the_server_compares_with(trained_album: Path) -> None:
    card = Album(trained_album).model().card
    quantiles = of_card(card.metrics)
    assert len(quantiles) == len(LEVELS) and list(quantiles) == sorted(quantiles) and quantiles[0] >= 0
    version = Album(trained_album).recogniser()
    try:
        photos = sorted((trained_album / "training-images").rglob("*.jpg"))
        answers = [version.answer(photo.read_bytes(), 1) for photo in photos[::4]]
    finally:
        version.close()
    metrics = Metrics()
    metrics.expect(card.metrics)
    metrics.count(answers * FEWEST_MARGINS)
    assert metrics.drift() < 0, "what the model learned from scores higher than what was held out"
