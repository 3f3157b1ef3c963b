"""What is in the cluster from the start: the name service, and a few volumes. Pure."""

from __future__ import annotations

from typing import Any

from tools.cluster.layout import NODE, Layout

VOLUMES = 8
"""Persistent volumes of 20 GiB that claims without a storage class get; a released one is not used again."""
STORAGE_CLASS = "inferform-test"
FIRST_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


def base(layout: Layout) -> list[tuple[str, dict[str, Any]]]:
    """Each object with the path it is posted to."""
    return [*_name_service(layout), *_storage(layout)]


def _name_service(layout: Layout) -> list[tuple[str, dict[str, Any]]]:
    """CoreDNS runs beside the kubelet, not in a pod: the service names its address."""
    meta = {"name": "kube-dns", "labels": {"k8s-app": "kube-dns"}}
    protocols = ("UDP", "TCP")
    ports = [{"name": f"dns-{protocol.lower()}", "port": 53, "protocol": protocol} for protocol in protocols]
    resources = ["endpoints", "services", "pods", "namespaces"]
    rules = [
        {"apiGroups": [""], "resources": resources, "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    rbac, name = "rbac.authorization.k8s.io", "system:coredns"
    return [
        (
            "/api/v1/namespaces/kube-system/services",
            {"metadata": meta, "spec": {"clusterIP": layout.dns, "ports": ports}},
        ),
        (
            "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices",
            {
                "metadata": {"name": "kube-dns", "labels": {"kubernetes.io/service-name": "kube-dns"}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": [layout.node], "conditions": {"ready": True}}],
                "ports": ports,
            },
        ),
        (f"/apis/{rbac}/v1/clusterroles", {"metadata": {"name": name}, "rules": rules}),
        (
            f"/apis/{rbac}/v1/clusterrolebindings",
            {
                "metadata": {"name": name},
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name},
                "subjects": [{"apiGroup": rbac, "kind": "User", "name": name}],
            },
        ),
    ]


def _storage(layout: Layout) -> list[tuple[str, dict[str, Any]]]:
    """A default class whose volumes are folders; `local` ones, so that fsGroup is respected."""
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    storage_class = {
        "metadata": {"name": STORAGE_CLASS, "annotations": default},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    volumes: list[tuple[str, dict[str, Any]]] = [
        (
            "/api/v1/persistentvolumes",
            {
                "metadata": {"name": f"volume-{number}"},
                "spec": {
                    "accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"],
                    "capacity": {"storage": "20Gi"},
                    "local": {"path": str(layout.volumes / str(number))},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
                    "storageClassName": STORAGE_CLASS,
                },
            },
        )
        for number in range(VOLUMES)
    ]
    return [("/apis/storage.k8s.io/v1/storageclasses", storage_class), *volumes]
