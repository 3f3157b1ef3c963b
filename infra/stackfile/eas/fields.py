"""Every documented field of an EAS service.json: its type, and what becomes of it.

One row per field; the first that matches a path wins. `*` is one key or place, a final `**` is everything below. A path
without a row is an unknown field: kept and reported. `to` names the stack-file key that the field becomes, `why` says
what a kept field lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from infra.stackfile.errors import Location


class Kind(StrEnum):
    """What a value must be; ANY is not looked at."""

    INT = "a whole number"
    NUMBER = "a number"
    BOOL = "true or false"
    TEXT = "text"
    ANY = "anything"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. Neither `to` nor `why`: part of something that is reported as a whole."""

    path: str
    kind: Kind = Kind.ANY
    to: str = ""
    why: str = ""
    secret: bool = False

    def matches(self, path: Location) -> bool:
        """Is this the row of a path?"""
        pattern = split(self.path)
        return fits(pattern[:-1], path[: len(pattern) - 1]) if pattern[-1] == "**" else fits(pattern, path)


GRACE = "eas.termination_grace_period"
"""One literal key of `metadata`, with a dot."""


@cache
def split(path: str) -> tuple[str, ...]:
    """A pattern's words; the grace period's key is one word."""
    return tuple(word.replace("\0", ".") for word in path.replace(GRACE, GRACE.replace(".", "\0")).split("."))


def fits(pattern: Sequence[str], path: Location) -> bool:
    """Is every part of the path the pattern's word?"""
    if len(pattern) != len(path):
        return False
    for word, part in zip(pattern, path, strict=True):  # hundreds of rows are asked about each field of a file
        if word != "*" and word != part and word != str(part):
            return False
    return True


INT, NUMBER, BOOL, TEXT = Kind.INT, Kind.NUMBER, Kind.BOOL, Kind.TEXT
ALIBABA = "has no meaning outside Alibaba Cloud"
NO_IMAGE = "the runtime's own image serves the model; kept for the export"
PROBE = ["startup_check", "liveness_check", "readiness_check"]
TIMINGS = ["initial_delay_seconds", "period_seconds", "timeout_seconds", "success_threshold", "failure_threshold"]


def probe_rows() -> list[Field]:
    """The rows of the three checks of the container that takes traffic."""
    rows = []
    for check in PROBE:
        base, key = f"containers.0.{check}", f"probes.{check.removesuffix('_check')}"
        rows += [
            Field(f"{base}.http_get.path", TEXT, to=f"{key}.httpPath"),
            Field(f"{base}.http_get.port", INT, why="a check asks the replica's own port"),
            Field(f"{base}.http_get.scheme", TEXT, why="a check speaks HTTP"),
            Field(f"{base}.tcp_socket.port", INT, to=f"{key}.tcpPort"),
            Field(f"{base}.exec.command.**", to=f"{key}.command"),
            *(Field(f"{base}.{timing}", INT, to=key) for timing in TIMINGS),
        ]
    return rows


FIELDS: tuple[Field, ...] = (
    # 1.2 metadata: general
    Field("metadata.name", TEXT, to="the service's name"),
    Field("metadata.instance", INT, to="replicas"),
    Field("metadata.workspace_id", why=ALIBABA),
    Field("metadata.cpu", INT, to="resources.cpus"),
    Field("metadata.memory", INT, to="resources.memoryGiB"),
    Field("metadata.gpu", INT, to="resources.gpus"),
    Field("metadata.gpu_memory", INT, why="a share of a GPU is given as gpuFraction"),
    Field("metadata.gpu_core_percentage", INT, to="resources.gpuFraction"),
    Field("metadata.qos", TEXT, why="CPUs are never shared beyond what a replica asks for"),
    Field("metadata.resource", TEXT, to="resources.group"),
    Field("metadata.quota_id", TEXT, to="resources.quota"),
    Field("metadata.cuda", TEXT, why=ALIBABA),
    Field("metadata.rdma", INT, why="RDMA networks are not set up"),
    Field("metadata.enable_grpc", BOOL, why="gRPC is not forwarded"),
    Field("metadata.enable_webservice", BOOL, to="webui"),
    Field("metadata.type", TEXT, why="it is served as a plain service"),
    Field("metadata.group", TEXT, why="service groups are not built; versions and traffic do canaries"),
    Field("metadata.disk", why="the size of the system disk is not set"),
    Field("metadata.shm_size", INT, why="the size of /dev/shm is not set"),
    # 1.3 metadata: advanced
    Field("metadata.rpc.keepalive", INT, to="limits.requestSeconds"),
    Field("metadata.rpc.max_queue_size", INT, to="limits.queue"),
    Field("metadata.rpc.rate_limit", NUMBER, to="limits.qpsPerReplica"),
    Field("metadata.rpc.io_threads", INT, why="replicas have no thread pools"),
    Field(
        "metadata.rpc.worker_threads", INT, why="replicas have no thread pools; concurrency bounds what runs at once"
    ),
    Field("metadata.rpc.batching", BOOL, why="engines batch by themselves"),
    Field("metadata.rpc.max_batch_size", INT, why="engines batch by themselves"),
    Field("metadata.rpc.max_batch_timeout", INT, why="engines batch by themselves"),
    Field("metadata.rpc.enable_sigterm", BOOL, why="a replica that is to end always gets SIGTERM"),
    Field("metadata.rolling_strategy.max_surge", to="rollout.surge"),
    Field("metadata.rolling_strategy.max_unavailable", why="the old version serves until the new one has answered"),
    Field(f"metadata.{GRACE}", INT, why="a replica that ends finishes what runs for at most 30 s"),
    Field("metadata.scheduling.spread.policy", TEXT, why="how replicas spread over nodes is not set"),
    Field("metadata.resource_rebalancing", BOOL, why="replicas are not moved between resources"),
    Field("metadata.workload_type", TEXT, why="there are no elastic jobs"),
    Field("metadata.resource_burstable", BOOL, why="there is no overflow from a group to public resources"),
    # 1.4 cloud
    Field("cloud.computing.instances.**", to="resources.instanceTypes"),
    Field("cloud.computing.disable_spot_protection_period", BOOL, why=ALIBABA),
    Field("cloud.networking.**", why="networks of a cloud account are not set up"),
    # 1.5 containers: the first takes traffic
    Field("containers.0.image", TEXT, why=NO_IMAGE),
    Field("containers.0.env.**", to="env"),
    Field("containers.0.command.**", to="method, model and engineArgs"),
    Field("containers.0.script", TEXT, to="method, model and engineArgs"),
    Field("containers.0.args.**", to="method, model and engineArgs"),
    Field("containers.0.port", INT, why="replicas listen where the host says"),
    Field("containers.0.prepare.**", why="nothing is installed before a replica starts"),
    *probe_rows(),
    Field("containers.0.resources.**", why="sizes are given in metadata"),
    Field("containers.*.**", why="side containers are not run"),
    # 1.6 networking
    Field("networking.gateway", TEXT, why="the service answers at Inferform's own gateway"),
    Field("networking.gateway_policy.rate_limit.enable", BOOL, to="limits.qps"),
    Field("networking.gateway_policy.rate_limit.limit", NUMBER, to="limits.qps"),
    Field("networking.gateway_policy.concurrency_limit.enable", BOOL, to="limits.concurrency"),
    Field("networking.gateway_policy.concurrency_limit.limit", INT, to="limits.concurrency"),
    Field("networking.nlb.**", why="load balancers of a cloud account are not set up"),
    # 1.7 storage: each mount is reported by itself
    Field("storage.**"),
    # 1.8 autoscaler
    Field("autoscaler.min", INT, to="replicas.min"),
    Field("autoscaler.max", INT, to="replicas.max"),
    Field("autoscaler.scaleStrategies.**", to="replicas.target"),
    Field("autoscaler.behavior.scaleUp.stabilizationWindowSeconds", INT, to="replicas.scaleUpSeconds"),
    Field("autoscaler.behavior.scaleDown.stabilizationWindowSeconds", INT, to="replicas.scaleDownSeconds"),
    Field("autoscaler.behavior.onZero.scaleDownGracePeriodSeconds", INT, to="replicas.idleSeconds"),
    Field("autoscaler.behavior.onZero.scaleUpActivationReplicas", INT, to="replicas.activation"),
    Field("autoscaler.behavior.**", why="the autoscaler has no such window"),
    Field("autoscaler.scaleJobs.**", to="replicas.cron (in UTC, within max)"),
    Field("autoscaler.excludeDates.**", why="days cannot be left out of a schedule"),
    # 1.1 and 1.9: the rest of the top level
    Field("dockerAuth", TEXT, secret=True),
    Field("token", TEXT, secret=True),
    Field("metrics.**", why="custom metrics are not collected"),
    Field("labels.**", why="services have no labels"),
    Field("features.eas.aliyun.com/extra-ephemeral-storage", TEXT, why="the size of the system disk is not set"),
    Field("features.eas.aliyun.com/gpu-driver-version", TEXT, why="the driver is the node's"),
    Field("unit.size", INT, why="a replica is one machine"),
    Field("aimaster.**", why=ALIBABA),
    Field("sinker.**", why="there is no log of requests yet"),
    Field("confidential.**", why=ALIBABA),
    Field("runtime.enable_crash_block", BOOL, why="a crashed replica is started again; its log stays"),
    Field("queue.**", why="asynchronous queues are not built"),
    *(
        Field(name, TEXT, why="processors are not run: a service needs a container")
        for name in [
            "model_path",
            "oss_endpoint",
            "model_entry",
            "processor",
            "processor_path",
            "processor_entry",
            "processor_mainclass",
            "processor_type",
            "warm_up_data_path",
        ]
    ),
    Field("model_config.**", why="processors are not run: a service needs a container"),
)


def field_of(path: Location) -> Field | None:
    """The row of a path; None for a field that nobody documents."""
    if path[:1] == ("features",):
        return next((row for row in FIELDS if row.path == ".".join(map(str, path))), None)
    return next((row for row in FIELDS if row.matches(path)), None)


def on_the_way(path: Location) -> bool:
    """Does a row stand below this path? Then it is an object."""
    words = tuple(map(str, path))
    return any(
        len(pattern := split(row.path)) > len(words) + (pattern[-1] == "**")
        and all(a in ("*", b) for a, b in zip(pattern, words, strict=False))
        for row in FIELDS
    )
