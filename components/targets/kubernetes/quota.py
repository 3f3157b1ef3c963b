"""A quota where Kubernetes can hold a namespace to it: a ResourceQuota over the pods of one PriorityClass. Pure."""

from __future__ import annotations

from components.targets.kubernetes.manifest import SKIP_AWAIT, Manifest, amount, mebibytes, metadata
from infra.stackfile import Quota
from runtime.contract.cluster import object_name, priority_class_name

PART = "quota"


def quota_objects(namespace: str, name: str, quota: Quota) -> list[Manifest]:
    """The class that marks its pods, and the ResourceQuota that counts them; nothing to count: the class alone."""
    hard: dict[str, str] = {}
    if quota.gpus is not None:
        hard["requests.nvidia.com/gpu"] = str(quota.gpus)
    if quota.cpus is not None:
        hard["requests.cpu"] = amount(quota.cpus)
    if quota.memory_gib is not None:
        hard["requests.memory"] = mebibytes(quota.memory_gib)
    marks = priority_class_name(namespace, name)
    made: list[Manifest] = [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": metadata(marks, "", PART),
            "value": 0,
            "preemptionPolicy": "Never",
            "globalDefault": False,
            "description": f"Marks the pods of quota {name} in namespace {namespace}; it gives no priority.",
        }
    ]
    if hard:
        scope = {"scopeName": "PriorityClass", "operator": "In", "values": [marks]}
        made.append(
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": metadata(object_name(name), namespace, PART, annotations=SKIP_AWAIT),
                "spec": {"hard": hard, "scopeSelector": {"matchExpressions": [scope]}},
            }
        )
    return made
