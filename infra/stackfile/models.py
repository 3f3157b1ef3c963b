"""What a user may write in a stack file: one frozen pydantic model per object, camelCase keys, no unknown keys.

The same models are the normalised form that the rest of the house reads: `infra.stackfile.load` moves the
single-version shorthand into `versions.main` and fills `traffic`, so a reader never meets the short forms.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from runtime.contract import replica as contract_replica
from runtime.contract import version as contract_version
from runtime.contract.version import EngineKind, Method

SERVICE_NAME = r"^[a-z0-9_]{3,63}$"
NAME = r"^[a-z][a-z0-9-]{0,30}$"
MAIN = "main"
"""The name of the version that the single-version shorthand declares."""

Percent = Annotated[int, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


def named(pattern: str) -> dict[str, JsonValue]:
    """JSON Schema of a mapping's keys. The names themselves are checked by `checks`, which can say what is nearest."""
    return {"propertyNames": {"pattern": pattern}}


class FileModel(BaseModel):
    """The base: strict types, camelCase keys, unknown keys refused, frozen, docstrings shown by editors."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )


def one_of(model: FileModel, kind: str, *names: str, optional: bool = False) -> None:
    """Raise unless exactly one (optional: at most one) of the fields is set."""
    keys = {type(model).model_fields[name].alias or name: getattr(model, name) for name in names}
    given = [key for key, value in keys.items() if value not in (None, ())]
    if len(given) == 1 or (optional and not given):
        return
    said = f"has {' and '.join(given)}" if given else "has none"
    raise PydanticCustomError(
        "one_of",
        "takes {amount} of {keys}, this {kind} {said}",
        {"amount": "at most one" if optional else "one", "keys": ", ".join(keys), "kind": kind, "said": said},
    )


# Targets -------------------------------------------------------------------------------------------------------------


class LocalGateway(FileModel):
    """Where the gateway of target local listens."""

    host: Text = "127.0.0.1"
    """The address to listen on."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8070
    """The TCP port; a busy one is an error of the plan that names who holds it."""


class LocalTarget(FileModel):
    """This machine."""

    kind: Literal["local"] = "local"
    gateway: LocalGateway = LocalGateway()
    state: Text | None = None
    """The host's folder, relative to the project; `.inferform/<stack>` when absent."""


class ClusterGateway(FileModel):
    """The gateway's Deployment."""

    replicas: Count = 2
    expose: Literal["clusterIP", "loadBalancer", "ingress", "gatewayApi"] = "clusterIP"


class ClusterKeys(FileModel):
    """What Kubernetes and EKS share."""

    context: Text | None = None
    """The kubeconfig's context."""
    kubeconfig: Text | None = None
    """A kubeconfig file; the usual search when absent."""
    namespace: Text | None = None
    """A namespace that exists is used, kept and never relabelled; one we created is deleted with the stack."""
    image: Text | None = None
    """The runtime's image, by digest."""
    gateway: ClusterGateway = ClusterGateway()
    render: Text | None = None
    """Write manifests into this folder and touch no cluster."""


class KubernetesTarget(ClusterKeys):
    """A Kubernetes cluster that exists."""

    kind: Literal["kubernetes"]


class EksTarget(ClusterKeys):
    """An EKS cluster whose GPU node groups are made for the resource groups."""

    kind: Literal["eks"]


Target = LocalTarget | KubernetesTarget | EksTarget
TARGETS: dict[str, type[LocalTarget] | type[KubernetesTarget] | type[EksTarget]] = {
    "local": LocalTarget,
    "kubernetes": KubernetesTarget,
    "eks": EksTarget,
}


# Resource groups and quotas ------------------------------------------------------------------------------------------


class Spot(FileModel):
    """Spot capacity with a limit."""

    max_per_hour: Positive
    """The highest price per hour and instance, in the currency of the instance type's price."""


class Nodes(FileModel):
    """How many nodes a group may have."""

    min: Annotated[int, Field(ge=0)] = 0
    max: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise PydanticCustomError("bounds", f"min {self.min} is above max {self.max}")
        return self


class ResourceGroup(FileModel):
    """A pool of nodes of given instance types, realised as a GPU node pool."""

    instance_types: Annotated[tuple[Text, ...], Field(min_length=1)]
    nodes: Nodes
    spot: Spot | None = None


class Quota(FileModel):
    """A cap over every declared version of the services that name it, at its maximum, plus the rollout's peak."""

    resource_group: Text | None = None
    """The group whose nodes the services use."""
    gpus: Annotated[int, Field(ge=0)] | None = None
    gpu_memory_gib: NotNegative | None = Field(default=None, alias="gpuMemoryGiB")
    cpus: NotNegative | None = None
    memory_gib: NotNegative | None = Field(default=None, alias="memoryGiB")
    usd_per_hour: NotNegative | None = None


# Versions ------------------------------------------------------------------------------------------------------------


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


class CronJob(FileModel):
    """Replicas at set times."""

    name: str = ""
    schedule: Text
    """A cron expression."""
    replicas: Annotated[int, Field(ge=0)]


class Replicas(FileModel):
    """Replica bounds. Inside them the live count belongs to the autoscaler and never appears in a diff."""

    min: Annotated[int, Field(ge=0)] = 1
    max: Count = 1
    target: ScaleTarget | None = None
    idle_seconds: Positive = 600
    """With min 0: seconds without a request after which the last replica goes."""
    cron: tuple[CronJob, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _max_follows_min(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("min"), int) and "max" not in data:
            return {**data, "max": max(1, data["min"])}
        return data

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise PydanticCustomError("bounds", f"min {self.min} is above max {self.max}")
        return self

    def bounds(self) -> contract_version.Bounds:
        """The document that the host reads."""
        return contract_version.Bounds(min=self.min, max=self.max)


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

    def contract(self) -> contract_version.Probe:
        """The document that the replica reads."""
        return contract_version.Probe(**self.model_dump())


class Probes(FileModel):
    """EAS's checks: startup gates the others, liveness restarts, readiness removes from traffic."""

    startup: Probe | None = None
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


# Services ------------------------------------------------------------------------------------------------------------


class Resources(FileModel):
    """Where replicas run. `public` (or none of instanceTypes, group and quota): the instance type is chosen."""

    instance_types: tuple[Text, ...] = ()
    """Public instance types in the order in which they are tried."""
    spot: Spot | None = None
    group: Text | None = None
    """A resource group of this file."""
    quota: Text | None = None
    """A quota of this file."""
    cpus: Positive | None = None
    """CPU cores per replica; the plan's choice when absent."""
    memory_gib: Positive | None = Field(default=None, alias="memoryGiB")
    gpus: Annotated[int, Field(ge=0)] | None = None
    gpu_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _public(cls, data: Any) -> Any:
        if data == "public":
            return {}
        if isinstance(data, str):
            raise PydanticCustomError(
                "resources",
                "is not a kind of resources",
                {"nearest": "public, {group: NAME}, {quota: NAME} or {instanceTypes: [...]}"},
            )
        return data

    @model_validator(mode="after")
    def _one(self) -> Self:
        one_of(self, "object", "instance_types", "group", "quota", optional=True)
        return self

    @property
    def kind(self) -> Literal["public", "group", "quota"]:
        """Which of EAS's three kinds of resources this is."""
        return "group" if self.group else "quota" if self.quota else "public"


class Timeouts(FileModel):
    """Seconds that each phase of a rollout may take."""

    schedule: Positive = 600
    image: Positive = 900
    weights: Positive = 1800
    engine: Positive = 900
    first_token: Positive = 120


class Rollout(FileModel):
    """How versions are replaced."""

    strategy: Literal["auto", "surge", "recreate"] = "auto"
    surge: Count = 1
    """Extra replicas while a new version comes up."""
    timeouts: Timeouts = Timeouts()


class Limits(FileModel):
    """Limits of the service; 0 = off."""

    qps: NotNegative = 0
    """Requests per second of the whole service, else 429."""
    qps_per_replica: NotNegative = 0
    concurrency: Annotated[int, Field(ge=0)] = 0
    """Requests in flight of the whole service."""
    queue: Annotated[int, Field(ge=0)] = 64
    """Requests that wait in one replica, else 450."""
    request_seconds: NotNegative = 600
    """408 after it."""
    hold_seconds: NotNegative = 60
    """How long a request waits for a replica, then 503."""
    body_mib: NotNegative = Field(default=64, alias="bodyMiB")
    """413 above it."""

    def contract(self) -> contract_replica.Limits:
        """The document that gateway and replica read."""
        return contract_replica.Limits(**self.model_dump())


class Wire(FileModel):
    """The two open choices of the ChatLLM wire."""

    stream_mode: Literal["cumulative", "delta"] = "cumulative"
    v1_reply: Literal["text", "json_string"] = "text"

    def contract(self) -> contract_replica.Wire:
        """The document that gateway and replica read."""
        return contract_replica.Wire(**self.model_dump())


class Knowledge(FileModel):
    """The service's declared knowledge base."""

    documents: Text
    """A folder of documents, relative to the project."""


class Trust(FileModel):
    """What is refused unless it is said here."""

    pickle: bool = False
    """Weights that are Python pickles."""
    remote_code: bool = False
    """Python code that comes with the model."""

    def contract(self) -> contract_version.Trust:
        """The document that the replica reads."""
        return contract_version.Trust(**self.model_dump())


class Service(FileModel):
    """One service: a name, one endpoint `/api/predict/<name>`, one token; one or more versions."""

    SHORTHAND: ClassVar[tuple[str, ...]] = (
        *(field.alias or name for name, field in Version.model_fields.items()),
        "eas",
    )
    """Keys that may stand on a service instead of `versions`: its single version's, or an EAS service.json."""

    method: Method = Method.STANDARD
    """Fixes the protocols: standard (ChatLLM and OpenAI's /v1), vllm, bladellm, process."""
    resources: Resources = Resources()
    versions: dict[str, Version] = Field(default_factory=dict, json_schema_extra=named(NAME))
    """Versions by name; for a single version named `main` its keys may stand on the service itself."""
    traffic: dict[str, Percent] = Field(default_factory=dict)
    """Percent per version, 100 together; may be absent with one version."""
    rollout: Rollout = Rollout()
    limits: Limits = Limits()
    auth: Literal["token", "none"] = "token"
    token_rotation: Count = 1
    """A higher number makes a new token; the old one works for tokenOverlapSeconds more."""
    token_overlap_seconds: NotNegative = 600
    wire: Wire = Wire()
    webui: bool = False
    """The chat page at the service's URL (EAS's enable_webservice)."""
    knowledge: Knowledge | None = None
    stopped: bool = False
    """No replicas, 503 at once; `inferform stop` and `start` edit this key."""
    trust: Trust = Trust()
    extra: dict[str, Any] = Field(default_factory=dict)
    """Fields of an imported EAS service that have no meaning here; kept for `inferform export-eas`."""
