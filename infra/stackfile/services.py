"""One service: its versions, the traffic between them, and how it answers.

The same models are the normalised form that the rest of the house reads: `infra.stackfile.load` moves the
single-version shorthand into `versions.main` and fills `traffic`, so a reader never meets the short forms.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, JsonValue

from infra.stackfile.base import Count, FileModel, NotNegative, Positive, Text
from infra.stackfile.resources import Resources
from infra.stackfile.versions import Version
from runtime.contract import replica as contract_replica
from runtime.contract import version as contract_version
from runtime.contract.version import Method

SERVICE_NAME = r"^[a-z0-9_]{3,63}$"
NAME = r"^[a-z][a-z0-9-]{0,30}$"
"""Names of versions, groups and quotas."""
MAIN = "main"
"""The name of the version that the single-version shorthand declares."""

Percent = Annotated[int, Field(ge=0, le=100)]


def named(pattern: str) -> dict[str, JsonValue]:
    """JSON Schema of a mapping's keys. The names themselves are checked by `checks`, which can say what is nearest."""
    return {"propertyNames": {"pattern": pattern}}


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
    autoscaler: Literal["gateway", "hpa", "keda"] = "gateway"
    """Who moves the replica count between its bounds; hpa and keda need a cluster."""
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
