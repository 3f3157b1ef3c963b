"""What a replica reads at its start in a pod: from the template alone, so it never changes under one hash."""

from __future__ import annotations

from runtime.contract.cluster import CACHE, CLAIM_FOLDER, DATA, REPLICA_PORT, SETTINGS
from runtime.contract.replica import Listen, ReplicaSpec
from runtime.contract.version import VersionTemplate


def pod_spec(service: str, hash: str, template: VersionTemplate) -> ReplicaSpec:
    """The spec of every replica of a version; a replica's own name is its pod's."""
    return ReplicaSpec(
        service=service,
        replica="",
        hash=hash,
        template=template,
        listen=Listen(host="::", port=REPLICA_PORT),
        settings_file=SETTINGS,
        data_folder=DATA,
        cache_folder=CLAIM_FOLDER if template.model_cache else CACHE,
        uploads=False,  # each pod has a data folder of its own
    )
