"""One version of a service: what runs, and how many replicas of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from infra.stackfile.base import Count, FileModel, NotNegative, Positive, Text, one_of
from runtime.contract import cron, scaling
from runtime.contract import version as contract
from runtime.contract.version import EngineKind


class ScaleTarget(FileModel):
    """What the autoscaler keeps each replica at; exactly one."""

    qps: Positive | None = None
    """Requests per second and replica."""
    concurrency: Positive | None = None
    """Requests in flight per replica."""
    queue: Positive | None = None
    """Requests waiting per replica."""
    ttft_ms: Positive | None = None
    """Time to first token, milliseconds."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        one_of(self, "target", "qps", "concurrency", "queue", "ttft_ms")
        return self

    def contract(self) -> scaling.ScaleTarget:
        """The document that the autoscaler reads."""
        given = self.model_dump(by_alias=True, exclude_none=True)
        return next(scaling.ScaleTarget(metric=scaling.ScaleMetric(key), value=value) for key, value in given.items())


def _schedule(text: str) -> str:
    try:
        cron.parse(text)
    except cron.BadSchedule as bad:
        better = cron.five_fields(text)
        hint = f"did you mean {better}?" if better else "for example 0 8 * * 1-5, on weekdays at 8:00"
        raise PydanticCustomError(
            "schedule", "is no cron schedule: {reason}", {"reason": str(bad), "nearest": hint}
        ) from None
    return text


class CronJob(FileModel):
    """From its schedule on at least so many replicas, until another job of the version fires."""

    name: str = ""
    schedule: Annotated[Text, AfterValidator(_schedule)]
    """Five fields in UTC: minute, hour, day of month, month, day of week."""
    replicas: Annotated[int, Field(ge=0)]
    """0: nothing more than the bounds ask for."""

    def contract(self) -> scaling.CronJob:
        """The document that the autoscaler reads."""
        return scaling.CronJob(name=self.name, schedule=self.schedule, replicas=self.replicas)


class Replicas(FileModel):
    """Replica bounds. Inside them the live count belongs to the autoscaler and never appears in a diff."""

    min: Annotated[int, Field(ge=0)] = 1
    max: Count = 1
    """When absent: 1, min, or what the largest cron job asks for."""
    target: ScaleTarget | None = None
    idle_seconds: Positive = 600
    """With min 0: seconds without a request after which the last replica goes."""
    activation: Count = 1
    """Replicas that a request wakes at zero."""
    scale_up_seconds: NotNegative = 0
    """More replicas come when they were needed for so long."""
    scale_down_seconds: NotNegative = 300
    """The highest count that was needed in so long is kept."""
    cron: Annotated[tuple[CronJob, ...], Field(strict=False)] = ()

    @model_validator(mode="before")
    @classmethod
    def _max_follows(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "max" in data:
            return data
        jobs = data.get("cron") if isinstance(data.get("cron"), list) else []
        asked = [data.get("min"), *(job.get("replicas") for job in jobs or [] if isinstance(job, dict))]
        highest = max((each for each in asked if type(each) is int), default=1)
        return {**data, "max": highest} if highest > 1 else data

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise PydanticCustomError("bounds", f"min {self.min} is above max {self.max}")
        return self

    def bounds(self) -> contract.Bounds:
        """The document that the host reads."""
        return contract.Bounds(min=self.min, max=self.max)

    def scaling(self, by: Literal["gateway", "hpa", "keda"] = "gateway") -> scaling.Scaling:
        """The document that the autoscaler reads. `by`: the service's `autoscaler`."""
        return scaling.Scaling(
            target=self.target.contract() if self.target else None,
            up_seconds=self.scale_up_seconds,
            down_seconds=self.scale_down_seconds,
            idle_seconds=self.idle_seconds,
            activation=self.activation,
            cron=tuple(job.contract() for job in self.cron),
            by=by,
        )


class StorageMount(FileModel):
    """A mount of each replica."""

    mount_path: Annotated[str, Field(pattern=r"^/.+")]
    """An absolute path that is no system folder and overlaps no other mount."""
    source: Text
    """A path, `s3://bucket/prefix`, `git+https://host/repository@commit` or `empty://`."""
    read_only: bool = True


class Probe(FileModel):
    """One check. Exactly one of httpPath, tcpPort and command; all times in seconds."""

    http_path: Annotated[str, Field(pattern=r"^/")] | None = None
    tcp_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    command: tuple[Text, ...] | None = None
    initial_delay_seconds: Annotated[int, Field(ge=0)] = 15
    period_seconds: Count = 10
    timeout_seconds: Count = 1
    success_threshold: Count = 1
    failure_threshold: Count = 1

    @model_validator(mode="after")
    def _one(self) -> Self:
        one_of(self, "probe", "http_path", "tcp_port", "command")
        return self

    def contract(self) -> contract.Probe:
        """The document that the replica reads."""
        return contract.Probe(**self.model_dump())


def _with_time_to_start(probe: Probe | None) -> Probe | None:
    """A startup check without numbers waits 60 s and may fail 30 times, or no model would ever load."""
    if probe is None or any(name.endswith(("_seconds", "_threshold")) for name in probe.model_fields_set):
        return probe
    return probe.model_copy(update={"initial_delay_seconds": 60, "failure_threshold": 30})


class Probes(FileModel):
    """EAS's checks: startup gates the others, liveness restarts, readiness removes from traffic."""

    startup: Annotated[Probe | None, AfterValidator(_with_time_to_start)] = None
    liveness: Probe | None = None
    readiness: Probe | None = None


class Version(FileModel):
    """One version: what runs, and how many replicas of it."""

    model: Text | None = None
    """A catalog id, a path (`./model`, `/models/x`), `s3://bucket/prefix`, `hf://org/name[@revision]` or `modelscope://org/name[@revision]`."""
    engine: EngineKind | None = None
    """What generates; the method's own when absent: transformers for standard, vllm for vllm and bladellm."""
    context: Count | None = None
    """Tokens of prompt and answer together; the model's, or what fits, when absent."""
    concurrency: Count = 16
    """Sequences at once: sizes the KV cache and the engine."""
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the engine, camelCase."""
    adapters: dict[str, Text] = Field(default_factory=dict)
    """LoRA adapters: name to source."""
    replicas: Replicas = Replicas()
    storage: tuple[StorageMount, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of each replica. Values are text: quote numbers and booleans."""
    probes: Probes = Probes()
