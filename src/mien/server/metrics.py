"""What the server says of itself to Prometheus: figures alone, and nobody's name.

No label has more values than the server has routes, methods, statuses and outcomes: whoever asks can invent none.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

from mien.learning.drift import drift, of_card
from mien.types import Answer

# A second series for each figure, of which nothing is read.
disable_created_metrics()  # type: ignore[no-untyped-call]

MARGINS = 1000
"""Faces that got a name, of which the drift is that: with so many, chance alone moves it by 0.043 at most in 95 of 100
cases."""
FEWEST_MARGINS = 100
"""Fewer say nothing: chance would move the drift by more than 0.136."""

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def method_name(method: str) -> str:
    """An HTTP method as the log and the figures have it; "other" for one that a client made up."""
    return method if method in _METHODS else "other"


class Metrics:
    """Counters of one server; any thread of the event loop's may count."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter("mien_requests", "Requests.", ("route", "method", "status"), registry=registry)
        self.seconds = Histogram(
            "mien_request_seconds", "Seconds a request.", ("route",), buckets=_SECONDS, registry=registry
        )
        self.pictures = Counter("mien_pictures", "Pictures looked at.", ("outcome",), registry=registry)
        self.faces = Counter("mien_faces", "Faces answered.", ("answer",), registry=registry)
        self.turned_away = Counter("mien_turned_away", "Requests that met a full queue.", registry=registry)
        self.queue = Gauge("mien_queue", "Pictures that are looked at or wait.", registry=registry)
        self.workers = Gauge("mien_workers", "Threads that look at pictures.", registry=registry)
        self.swaps = Counter("mien_model_swaps", "Models that took another's place.", registry=registry)
        self.people = Gauge("mien_people", "People whom the model in use knows.", registry=registry)
        self.model = Info("mien_model", "The model in use.", registry=registry)
        self._quantiles: tuple[float, ...] = ()
        self._margins: deque[float] = deque(maxlen=MARGINS)
        gauge = Gauge(
            "mien_score_drift",
            "How far the scores of the last faces with names have moved from training's, -1 to 1; above 0: lower.",
            registry=registry,
        )
        gauge.set_function(self.drift)

    def expect(self, metrics: Mapping[str, float]) -> None:
        """The drift is from now on that from these figures of a card. Whoever is enrolled makes a new version with the
        figures of the one before: then the faces that were named stay counted."""
        quantiles = of_card(metrics)
        if quantiles != self._quantiles:
            self._quantiles = quantiles
            self._margins.clear()

    def drift(self) -> float:
        """See `mien.learning.drift`; nan where training measured nothing, or too few faces have been named since."""
        if not self._quantiles or len(self._margins) < FEWEST_MARGINS:
            return math.nan
        return drift([*self._margins], self._quantiles)

    def seen(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts a request."""
        self.requests.labels(route, method_name(method), str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def count(self, answers: Iterable[Answer]) -> None:
        """Counts what was answered."""
        for answer in answers:
            self.pictures.labels("refused" if answer.error else "answered").inc()
            for one in answer.predictions:
                self.faces.labels("named" if one.person else "unknown").inc()
                if one.person:
                    self._margins.append(one.score - one.threshold)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)
