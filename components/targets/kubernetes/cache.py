"""The volumes of `target.modelCache`: each model fetched once, by a Job, and read by every replica of it. Pure.

Replicas look into the volume first and would fetch the model there themselves, one at a time: the Job only comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from components.targets.kubernetes.manifest import SKIP_AWAIT, Manifest, labels, mebibytes, metadata
from components.targets.kubernetes.pods import (
    container_security,
    declared_environment,
    pod_security,
    process_environment,
    writable,
)
from infra.plan import ServicePlan, VersionPlan
from infra.stackfile.targets import ModelCache
from runtime.contract.cluster import CLAIM_FOLDER, REPLICA

PART = "model-cache"
TRIES = 6
FETCH_MEMORY, FETCH_MEMORY_LIMIT = "512Mi", "2Gi"


def cached(services: Sequence[ServicePlan]) -> dict[str, VersionPlan]:
    """A version of each model that has a volume, by the claim's name."""
    found: dict[str, VersionPlan] = {}
    for service in services:
        for version in service.versions:
            if version.template.model_cache and version.template.model:
                found.setdefault(version.template.model_cache, version)
    return dict(sorted(found.items()))


def cache_objects(
    namespace: str, declared: ModelCache, services: Sequence[ServicePlan]
) -> Iterator[tuple[str, list[Manifest]]]:
    """(claim, its objects) for every model."""
    for name, version in cached(services).items():
        yield name, [claim(namespace, name, declared), job(namespace, name, version)]


def claim(namespace: str, name: str, declared: ModelCache) -> Manifest:
    """The volume of one model. Not waited for: some are only made for the first pod that wants them."""
    spec: dict[str, object] = {
        "accessModes": [declared.access_mode],
        "resources": {"requests": {"storage": mebibytes(declared.size_gib)}},
    }
    if declared.storage_class:
        spec["storageClassName"] = declared.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(name, namespace, PART, annotations=SKIP_AWAIT),
        "spec": spec,
    }


def job(namespace: str, name: str, version: VersionPlan) -> Manifest:
    """Fetches the model into its volume; done at once where it is there."""
    template, model = version.template, version.template.model
    assert model is not None
    trusted = [*(["--pickle"] if template.trust.pickle else []), *(["--code"] if template.trust.remote_code else [])]
    volumes, mounts = writable()
    container = {
        "name": "fetch",
        "image": template.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "runtime.replica.sources", "fetch"],
        "args": [model.source, model.digest, CLAIM_FOLDER, *trusted],
        "env": [*declared_environment(template), *process_environment()],  # how to reach the source is in there
        "resources": {"requests": {"cpu": "100m", "memory": FETCH_MEMORY}, "limits": {"memory": FETCH_MEMORY_LIMIT}},
        "securityContext": container_security(),
        "volumeMounts": [*mounts, {"name": "model", "mountPath": CLAIM_FOLDER}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    pod = {
        "serviceAccountName": REPLICA,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "OnFailure",
        "securityContext": pod_security(),
        "containers": [container],
        "volumes": [*volumes, {"name": "model", "persistentVolumeClaim": {"claimName": name}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(name, namespace, PART, annotations=SKIP_AWAIT),
        "spec": {"backoffLimit": TRIES, "template": {"metadata": {"labels": labels(PART)}, "spec": pod}},
    }
