"""A gateway's way to its cluster: as the pod that it runs in, or as a person's kubeconfig says."""

from __future__ import annotations

import os
import socket

from runtime.gateway.cluster.source import ClusterSource, Me
from runtime.gateway.gateway import Gateway
from runtime.kubeapi import KubeClient, KubeProblem, from_kubeconfig, in_cluster


async def follow_cluster(
    gateway: Gateway, namespace: str, internal: socket.socket, metrics: socket.socket | None
) -> None:
    """Watch, report and, if it is this one's turn, lead until cancelled. Raises OSError without any access."""
    try:
        access = await (in_cluster() if "KUBERNETES_SERVICE_HOST" in os.environ else from_kubeconfig())
        async with KubeClient(access) as kube:
            me = Me(gateway.name, os.environ.get("POD_UID", ""))
            await ClusterSource(gateway, kube, namespace, me, internal, metrics=metrics).run()
    except KubeProblem as problem:
        raise ConnectionError(str(problem)) from problem
