"""The number that an autoscaler of the cluster divides by its target: of all replicas of a version together. Pure."""

from __future__ import annotations

from runtime.contract.scaling import ScaleMetric, Scaling
from runtime.gateway.autoscale.measure import Measures


def total(scaling: Scaling, seen: Measures, *, ready: int, waiting: bool) -> float | None:
    """The first rule that matches wins; None: not known, so that the count stays as it is.

    1. No target: there is no number.
    2. Requests wait and no replica is ready: what `activation` replicas are for, or what was counted if that is more.
    3. Nothing is asked of the version: 0.
    4. qps, concurrency, queue: the amount.
    5. ttftMs: the mean time as often as there are ready replicas, for it will be divided by them.
    """
    if scaling.target is None:
        return None
    target = scaling.target
    amounts = {ScaleMetric.QPS: seen.qps, ScaleMetric.CONCURRENCY: seen.concurrency, ScaleMetric.QUEUE: seen.queue}
    if waiting and not ready:
        return max(target.value * scaling.activation, amounts.get(target.metric) or 0.0)
    if seen.quiet:
        return 0.0
    if target.metric is ScaleMetric.TTFT_MS:
        return None if seen.ttft_ms is None else seen.ttft_ms * ready
    return amounts[target.metric]
