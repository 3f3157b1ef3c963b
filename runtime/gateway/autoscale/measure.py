"""What the last seconds say about a version: rates and means out of samples. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

OBSERVE_SECONDS = 10.0
"""Rates and means are over so long: a burst of a second is no load, and a new load is seen in full after it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A version at one moment, all gateways together. Counters go on from sample to sample."""

    at: float  # seconds, monotonic
    in_flight: int = 0
    held: float = 0  # requests that wait for a replica of it
    wishes: int = 0  # counter: requests that another version served in its place
    requests: int = 0  # counter
    ttft_count: int = 0  # counter
    ttft_ms: float = 0  # counter, summed
    queue: int | None = None  # requests that wait inside its replicas; None: not asked


@dataclass(frozen=True, slots=True)
class Measures:
    """Of all replicas together, except the time."""

    qps: float
    concurrency: float  # in flight and held, mean
    queue: float | None  # mean; None: nobody was asked
    ttft_ms: float | None  # mean; None: no first byte was seen

    @property
    def quiet(self) -> bool:
        """Nothing was asked of it."""
        return not self.qps and not self.concurrency and not self.queue


def recent(samples: Sequence[Sample], sample: Sample) -> tuple[Sample, ...]:
    """The samples of the last OBSERVE_SECONDS, and the newest one before them: counters are differences."""
    start = sample.at - OBSERVE_SECONDS
    older = [each for each in samples if each.at <= start]
    return (*older[-1:], *(each for each in samples if each.at > start), sample)


def measure(samples: Sequence[Sample]) -> Measures:
    """Of samples as `recent` gives them. A time without samples, after a start, counts as quiet."""
    first, last = samples[0], samples[-1]
    inside = [each for each in samples if each.at > last.at - OBSERVE_SECONDS]
    queues = [each.queue for each in inside if each.queue is not None]
    answers = last.ttft_count - first.ttft_count
    return Measures(
        qps=(last.requests - first.requests) / max(OBSERVE_SECONDS, last.at - first.at),
        concurrency=sum(each.in_flight + each.held for each in inside) / len(inside),
        queue=sum(queues) / len(queues) if queues else None,
        ttft_ms=(last.ttft_ms - first.ttft_ms) / answers if answers else None,
    )


def asked_between(before: Sample, after: Sample) -> bool:
    """Whether anybody wanted anything of the version from one sample to the next."""
    counted = after.requests > before.requests or after.wishes > before.wishes
    return counted or after.in_flight > 0 or after.held > 0


def waiting(before: Sample | None, after: Sample) -> bool:
    """Whether requests would go to a replica of this version if there were one."""
    return after.held > 0 or (before is not None and after.wishes > before.wishes)
