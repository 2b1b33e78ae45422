"""What the server says of itself to Prometheus: figures alone, and nobody's name."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from mien.types import Answer

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


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

    def seen(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts a request."""
        self.requests.labels(route, method if method in _METHODS else "other", str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def count(self, answers: Iterable[Answer]) -> None:
        """Counts what was answered."""
        for answer in answers:
            self.pictures.labels("refused" if answer.error else "answered").inc()
            for one in answer.predictions:
                self.faces.labels("named" if one.person else "unknown").inc()

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)
