"""What a server counts, for Prometheus. Labels are names of models, statuses and outcomes, never anything of a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

if TYPE_CHECKING:
    from nlp_lstm.serving.answers import Answer
    from nlp_lstm.serving.models import ServedModel

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
NO_MODEL = "-"
"""Stands for the model of a request for none."""


class ServerMetrics:
    """The counters of a server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter("nlp_lstm_requests", "Requests answered", ("model", "status"), registry=self.registry)
        self._seconds = Histogram(
            "nlp_lstm_request_seconds",
            "From a request's head to the end of its answer",
            ("model",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.texts = Counter("nlp_lstm_texts", "Texts answered", ("model", "outcome"), registry=self.registry)
        self.batch_texts = Histogram(
            "nlp_lstm_batch_texts", "Texts in a batch", ("model",), buckets=SIZES, registry=self.registry
        )
        self.batch_seconds = Histogram(
            "nlp_lstm_batch_seconds", "Time of a batch", ("model",), buckets=SECONDS, registry=self.registry
        )
        self.waiting_texts = Gauge("nlp_lstm_waiting_texts", "Texts that wait", ("model",), registry=self.registry)
        self.ready = Gauge("nlp_lstm_model_ready", "Whether the model is open", ("model",), registry=self.registry)

    def count_request(self, model: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(model, status).inc()
        self._seconds.labels(model).observe(seconds)

    def of_model(self, name: str) -> ModelMetrics:
        """Return the counters of a model."""
        return ModelMetrics(self, name)

    def page(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self.registry)


class ModelMetrics:
    """The counters of a model.

    Args:
        metrics: the server's.
        name: of the model.
    """

    def __init__(self, metrics: ServerMetrics, name: str) -> None:
        self._metrics = metrics
        self._name = name
        self._answered = metrics.texts.labels(name, "answered")
        self._refused = metrics.texts.labels(name, "error")
        self._batch_texts = metrics.batch_texts.labels(name)
        self._batch_seconds = metrics.batch_seconds.labels(name)

    def watch(self, model: ServedModel) -> None:
        """Show the state of a model whenever it is asked for."""
        self._metrics.waiting_texts.labels(self._name).set_function(lambda: model.batcher.num_waiting)
        self._metrics.ready.labels(self._name).set_function(lambda: model.is_ready)

    def count_batch(self, size: int, seconds: float) -> None:
        """Count a batch of so many texts."""
        self._batch_texts.observe(size)
        self._batch_seconds.observe(seconds)

    def count_answers(self, answers: Iterable[Answer]) -> None:
        """Count the answers to a request's texts."""
        for answer in answers:
            (self._answered if answer.status == 200 else self._refused).inc()
