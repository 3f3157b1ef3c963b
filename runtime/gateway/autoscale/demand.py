"""How many replicas does a metric ask for? EAS's formula, and what it needs for metrics that are no amounts. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runtime.contract.scaling import ScaleMetric, ScaleTarget
from runtime.gateway.autoscale.measure import OBSERVE_SECONDS, Measures

TOLERANCE = 0.1
"""No action while the metric is this near its target."""
MOST_GROWTH = 2.0
"""Times do not fall in proportion to replicas: one step multiplies them by this at the most."""
SETTLE_SECONDS = 2 * OBSERVE_SECONDS
"""After replicas came or went, times still tell of how it was before."""
_ROUNDING = 1e-9
_UNITS = {
    ScaleMetric.QPS: "requests per second",
    ScaleMetric.CONCURRENCY: "requests at once",
    ScaleMetric.QUEUE: "requests in the queue",
    ScaleMetric.TTFT_MS: "ms to the first token",
}


@dataclass(frozen=True, slots=True)
class Demand:
    """A number of replicas, not yet within bounds, and why."""

    replicas: int
    reason: str


def demand(target: ScaleTarget, seen: Measures, *, live: int, ready: int, settled: float) -> Demand:
    """What `target` asks for; the first rule that matches wins. `settled`: seconds since `ready` changed.

    1. Nothing is asked of the version: no replica.
    2. The metric is not known (no answer yet, or replicas have just come or gone for a time): as it is.
    3. Within TOLERANCE of the target on `live` replicas: as it is.
    4. qps, concurrency, queue: the amount of all replicas together divided by the target, rounded up, which is
       EAS's ceil(current x value / threshold). Replicas that are not ready yet change nothing about it, so one that
       never gets ready does not make it ask for more.
    5. ttftMs above the target: as many times the ready replicas as it is too long, at most MOST_GROWTH times.
    6. queue and ttftMs below it: one fewer. Both are near zero on any number of replicas that suffices, so they say
       that there are enough, not how many would be.
    """
    if seen.quiet:
        return Demand(0, "nothing is asked of it")
    if target.metric is ScaleMetric.TTFT_MS:
        return _by_time(target, seen.ttft_ms, live=live, ready=ready, settled=settled)
    amounts = {ScaleMetric.QPS: seen.qps, ScaleMetric.CONCURRENCY: seen.concurrency, ScaleMetric.QUEUE: seen.queue}
    amount = amounts[target.metric]
    if amount is None:
        return Demand(live, f"no replica told its {target.metric.value}")
    reason = f"{amount:.3g} {_UNITS[target.metric]}, target {target.value:g} per replica"
    if abs(amount - live * target.value) <= TOLERANCE * live * target.value:
        return Demand(live, reason)
    wanted = math.ceil(amount / target.value - _ROUNDING)
    if target.metric is ScaleMetric.QUEUE and wanted < live:
        wanted = live - 1
    return Demand(wanted, reason)


def _by_time(target: ScaleTarget, mean: float | None, *, live: int, ready: int, settled: float) -> Demand:
    if mean is None or not ready or settled < SETTLE_SECONDS:
        return Demand(live, "waits for times of the replicas that serve now")
    ratio = mean / target.value
    reason = f"{mean:.3g} {_UNITS[target.metric]}, target {target.value:g}"
    if abs(ratio - 1) <= TOLERANCE:
        return Demand(live, reason)
    if ratio > 1:
        return Demand(max(live, math.ceil(ready * min(ratio, MOST_GROWTH) - _ROUNDING)), reason)
    return Demand(live - 1, reason)
