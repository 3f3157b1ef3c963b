"""How the autoscaler keeps a version's live count: what the stack file declares, as the autoscaler reads it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from runtime.contract.document import Document


class ScaleMetric(StrEnum):
    """What is kept near its target, per replica."""

    QPS = "qps"  # requests per second
    CONCURRENCY = "concurrency"  # requests in flight, held ones included
    QUEUE = "queue"  # requests waiting inside replicas
    TTFT_MS = "ttftMs"  # mean time to first token, milliseconds


class ScaleTarget(Document):
    """One metric and the value that each replica is kept at."""

    metric: ScaleMetric
    value: float = Field(gt=0)


class CronJob(Document):
    """From `schedule` on (five fields, UTC) at least so many replicas, until the next job of the version fires."""

    name: str = ""
    schedule: str
    replicas: int = Field(ge=0)


class Scaling(Document):
    """How a version scales between its bounds. Seconds."""

    target: ScaleTarget | None = None  # None: the count moves by cron, by hand and from and to zero alone
    up_seconds: float = 0  # a higher count must have been desired for so long
    down_seconds: float = 300  # the highest count desired in so long is kept (eas-service-spec.md 1.8)
    idle_seconds: float = 600  # min 0: without a request for so long the last replica goes
    activation: int = 1  # replicas that a request at zero wakes
    cron: tuple[CronJob, ...] = ()
    by: Literal["gateway", "hpa", "keda"] = "gateway"  # who owns the count; clusters alone know hpa and keda
