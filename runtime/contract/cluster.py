"""How a stack looks on Kubernetes: names, labels, keys and ports that infra and runtime must spell the same.

Note: docs/designs/kubernetes-target.md
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from runtime.contract.scaling import ScaleMetric

SCHEME = "kubernetes"
DOMAIN = "inferform.io"

# Labels: on every object of ours ------------------------------------------------------------------------------------
MANAGED_BY = {"app.kubernetes.io/managed-by": "inferform"}
PART = f"{DOMAIN}/part"
"""What an object is: one of the PART_* below."""
SERVICE = f"{DOMAIN}/service"
"""The service's name as in the stack file (a label value may hold `_`)."""
HASH = f"{DOMAIN}/hash"
STACK = f"{DOMAIN}/stack"
"""`project.stack` of the Pulumi stack, on the namespace's record: two stacks never share a namespace unnoticed."""

PART_VERSION = "version"  # ConfigMap: key VERSION_KEY; Deployment, Service and pods of a version too
PART_SPEC = "spec"  # ConfigMap: key SPEC_KEY
PART_ROUTE = "route"  # ConfigMap: key ROUTE_KEY
PART_GATEWAY = "gateway"  # everything of the gateway
PART_REPORT = "report"  # Lease of one gateway pod

# Keys ---------------------------------------------------------------------------------------------------------------
VERSION_KEY = "version.json"  # runtime.contract.desired.Version
SPEC_KEY = "spec.json"  # runtime.contract.replica.ReplicaSpec, but for the replica's name (its pod's)
ROUTE_KEY = "route.json"  # RouteTable
REPLICA_KEY = "_replica-key"
"""In the Secret of tokens: what a gateway shows replicas, in GATEWAY_HEADER, so that they trust its check of the
token. Names of services cannot begin with `_` followed by a hyphen."""

# Annotations of a gateway's Lease -----------------------------------------------------------------------------------
APPLIED = f"{DOMAIN}/applied"  # JSON, service -> generation
BUSY = f"{DOMAIN}/busy"  # JSON, [service/hash, ...] with requests in flight that no route names
CREATED = f"{DOMAIN}/created-by"  # on a namespace that we made: `project.stack`; without it, it is not ours to delete
POKED = f"{DOMAIN}/poked"
"""On pods: the kubelet looks at a pod's mounted ConfigMaps and Secrets at once when an annotation of it changes."""

# Names --------------------------------------------------------------------------------------------------------------
GATEWAY = "inferform-gateway"  # Deployment, Service, ServiceAccount, Role, RoleBinding, PodDisruptionBudget
REPLICA = "inferform-replica"  # ServiceAccount of replicas: no rights, no token mounted
TOKENS = "inferform-tokens"  # Secret: service -> desired.Token as JSON, and REPLICA_KEY
RECORD = "inferform"  # ConfigMap: what belongs to the whole namespace; key `epoch`
LEADER = "inferform-gateway-leader"  # Lease
METRICS = "inferform-metrics"
"""Service of the gateways' ports for autoscalers of the cluster: only where a service names hpa or keda."""

# Ports and paths ----------------------------------------------------------------------------------------------------
GATEWAY_PORT = 8080  # of the gateway's pods and Service, as in EAS: http://SERVICE.NAMESPACE:8080/api/predict/SERVICE
INTERNAL_PORT = 8081  # of the gateway's pods: what gateways tell each other, and metrics
METRICS_PORT = 8443  # of the gateway's pods: the external metrics API over TLS, where a service says hpa
SCALE_PATH = "/-/scale"  # of INTERNAL_PORT: ?service=S&version=HASH, {"value": number}, where a service says keda
METRICS_API = "external.metrics.k8s.io"
REPLICA_PORT = 8000
"""Of replicas. 8080 and 9090 belong to EAS's engine (eas-protocols.md, section 10)."""
ETC = "/etc/inferform"  # spec/spec.json, settings/ (tokens.json, route.json), key/replica-key
SETTINGS = f"{ETC}/settings"
TOKENS_FILE = "tokens.json"  # in SETTINGS: the service's entry of TOKENS
ROUTE_FILE = "route.json"  # in SETTINGS: the RouteTable, absent until there is one
REPLICA_KEY_FILE = f"{ETC}/key/replica-key"
KNOWLEDGE_KEY = "documents.tar.gz"  # of the ConfigMap `chat-knowledge`: the declared documents, packed
KNOWLEDGE_FILE = f"{ETC}/knowledge/{KNOWLEDGE_KEY}"
"""What a route's `knowledge.folder` says on a cluster. Absent where a service declares no documents."""
HOME = "/var/lib/inferform"
"""Of every pod: an empty volume that may be written, as /tmp may. All else of the file system is read-only."""
DATA = f"{HOME}/data"  # a ReplicaSpec's data_folder
CACHE = f"{HOME}/cache"  # its cache_folder
CLAIM_FOLDER = "/var/lib/inferform-models"  # its cache_folder with target.modelCache: the claim of the model
USER = 10001
"""User and group of the processes in pods, and of the image."""
TERMINATION_LOG_ENV = "INFERFORM_TERMINATION_LOG"
"""Names the file in which a process that gives up says why: `{"phase","reason"}`."""
GATEWAY_HEADER = "X-Inferform-Gateway"
"""Request of a gateway to a replica: the replica key. Removed from what clients send."""

_METRICS = {
    ScaleMetric.QPS: "qps",
    ScaleMetric.CONCURRENCY: "concurrency",
    ScaleMetric.QUEUE: "queue",
    ScaleMetric.TTFT_MS: "ttft_ms",
}


@dataclass(frozen=True)
class ClusterAddress:
    """Where a stack lives: a namespace of the cluster that a kubeconfig's context names; empty: the current one."""

    namespace: str
    context: str = ""
    kubeconfig: str = ""

    def __str__(self) -> str:
        """`kubernetes://CONTEXT/NAMESPACE`, with `?kubeconfig=PATH` where one is named: the `state` of resources."""
        query = f"?{urlencode({'kubeconfig': self.kubeconfig})}" if self.kubeconfig else ""
        return f"{SCHEME}://{quote(self.context, safe='')}/{self.namespace}{query}"

    @property
    def identity(self) -> tuple[str, str]:
        """What makes it another place: a kubeconfig file may move."""
        return self.context, self.namespace


def is_cluster(state: str) -> bool:
    """Is this `state` of a resource a cluster's, not a local host's folder?"""
    return state.startswith(f"{SCHEME}://")


def parse_address(text: str) -> ClusterAddress:
    """Read `kubernetes://CONTEXT/NAMESPACE[?kubeconfig=PATH]`. Raises ValueError."""
    parts = urlsplit(text)
    namespace = parts.path.strip("/")
    if parts.scheme != SCHEME or not namespace or "/" in namespace:
        raise ValueError(f"{text!r} is not of the form {SCHEME}://CONTEXT/NAMESPACE")
    # netloc, not hostname: that would fold the context's case.
    [kubeconfig] = parse_qs(parts.query).get("kubeconfig", [""])
    return ClusterAddress(namespace=namespace, context=unquote(parts.netloc), kubeconfig=kubeconfig)


def object_name(*parts: str, limit: int = 52) -> str:
    """A name for objects from a service's and other names: letters, digits, hyphens, a letter first, at most `limit`.

    `_` becomes `-`, as in EAS's own names. A name that is cut, or that had to be given a letter, ends in six hex digits
    of its SHA-256, so names stay different (services have no hyphens). 52: a Deployment's pods add 11 to it.
    """
    plain = "-".join(parts).replace("_", "-")
    name = plain if plain[:1].isalpha() else f"s-{plain}"
    name = name.strip("-")
    if name == plain and len(name) <= limit:
        return name
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:6]
    return f"{name[: limit - 7].rstrip('-')}-{digest}"


def version_name(service: str, hash: str) -> str:
    """Of a version's Deployment, headless Service, ConfigMap and PodDisruptionBudget: `chat-3f2a9c01d4`."""
    return object_name(service, hash)


def spec_name(service: str, hash: str) -> str:
    """Of the ConfigMap with the spec of a version's replicas."""
    return f"{version_name(service, hash)}-spec"


def priority_class_name(namespace: str, quota: str) -> str:
    """Of a quota's PriorityClass, an object of the whole cluster: its pods are what the ResourceQuota counts."""
    return object_name("inferform", namespace, quota, limit=63)


def metric_name(metric: ScaleMetric) -> str:
    """What an HPA calls a metric: `inferform_ttft_ms`."""
    return f"inferform_{_METRICS[metric]}"


def knowledge_name(service: str) -> str:
    """Of the ConfigMap with a service's declared documents."""
    return object_name(service, "knowledge")


def route_name(service: str) -> str:
    """Of a service's route ConfigMap."""
    return object_name(service, "route")
