"""A replica's Prometheus metrics: what was asked, how fast it answered, what the engine is doing."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from runtime.contract import names
from runtime.replica.engines.base import Load

TTFT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
INTER_TOKEN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """One registry per replica, so that tests may run several in one process."""

    def __init__(self, service: str) -> None:
        self._registry = CollectorRegistry()
        self._service = service

        def counter(name: str, text: str) -> Counter:
            return Counter(name.removesuffix("_total"), text, ["service"], registry=self._registry).labels(service)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ["service"], registry=self._registry).labels(service)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, ["service"], registry=self._registry, buckets=buckets).labels(service)

        self.ttft = histogram(names.METRIC_TTFT, "Seconds from a request's arrival to its first token.", TTFT_BUCKETS)
        self.inter_token = histogram(
            names.METRIC_INTER_TOKEN, "Seconds between two steps of one answer.", INTER_TOKEN_BUCKETS
        )
        self.prompt_tokens = counter(names.METRIC_PROMPT_TOKENS, "Tokens of accepted prompts.")
        self.completion_tokens = counter(names.METRIC_COMPLETION_TOKENS, "Tokens sampled, end tokens included.")
        self._requests = Counter(
            names.METRIC_REQUESTS.removesuffix("_total"),
            "Requests by protocol and status code; 499 = the client left.",
            ["service", "protocol", "code"],
            registry=self._registry,
        )
        self._running = gauge(names.METRIC_RUNNING, "Sequences that generate now.")
        self._queue = gauge(names.METRIC_QUEUE, "Requests that wait for a place in the batch.")
        self._kv_use = gauge(names.METRIC_KV_USE, "Share of the KV cache in use, 0 to 1.")

    def answered(self, protocol: str, code: int) -> None:
        """Count one finished request."""
        self._requests.labels(self._service, protocol, str(code)).inc()

    def text(self, load: Load) -> bytes:
        """The exposition text, with the engine's load of this moment."""
        self._running.set(load.running)
        self._queue.set(load.queue)
        self._kv_use.set(load.kv_use)
        return generate_latest(self._registry)
