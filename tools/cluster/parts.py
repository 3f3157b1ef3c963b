"""The programs of a cluster: command lines, and how each says that it is ready. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.cluster.layout import NODE, Layout
from tools.cluster.tls import kubeconfig_of

STAGES = (
    ("etcd", "containerd"),
    ("apiserver",),
    ("controller-manager", "scheduler", "kubelet", "kube-proxy", "coredns"),
)
"""What starts together, and only after the stage before is ready."""
FAKE = "kwok"
"""Runs when fake nodes are wanted."""


@dataclass(frozen=True)
class Part:
    """One program. `ready`: a URL that answers 200, or a socket that accepts."""

    name: str
    command: tuple[str, ...]
    ready: str | Path


def parts(layout: Layout) -> dict[str, Part]:
    """Every program that may run, by name."""
    command_lines: dict[str, tuple[tuple[str, ...], str | Path]] = {
        "etcd": (_etcd(layout), "http://127.0.0.1:2379/readyz"),
        "containerd": (_containerd(layout), layout.socket),
        "apiserver": (_apiserver(layout), "https://127.0.0.1:6443/readyz"),
        "controller-manager": (_controller_manager(layout), "https://127.0.0.1:10257/healthz"),
        "scheduler": (_scheduler(layout), "https://127.0.0.1:10259/readyz"),
        "kubelet": (_kubelet(layout), "http://127.0.0.1:10248/healthz"),
        "kube-proxy": (_kube_proxy(layout), "http://127.0.0.1:10256/healthz"),
        "coredns": (_coredns(layout), "http://127.0.0.1:8181/ready"),
        FAKE: (_kwok(layout), "http://127.0.0.1:10247/healthz"),
    }
    return {name: Part(name, command, ready) for name, (command, ready) in command_lines.items()}


def _etcd(layout: Layout) -> tuple[str, ...]:
    return (
        f"{layout.bins}/etcd",
        f"--data-dir={layout.state}/etcd",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",  # what a power cut loses is a test's
        "--log-level=warn",
    )


def _containerd(layout: Layout) -> tuple[str, ...]:
    return (f"{layout.bins}/containerd", f"--config={layout.config}/containerd.toml")


def _apiserver(layout: Layout) -> tuple[str, ...]:
    tls = layout.tls
    return (
        f"{layout.bins}/control-plane",
        "apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        "--bind-address=0.0.0.0",
        f"--advertise-address={layout.node}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={layout.services}",
        f"--tls-cert-file={tls}/apiserver.crt",
        f"--tls-private-key-file={tls}/apiserver.key",
        f"--client-ca-file={tls}/ca.crt",
        f"--token-auth-file={tls}/tokens.csv",
        "--authorization-mode=Node,RBAC",
        # The second lets a pod that asks for GPUs onto nodes that are kept for such pods, as managed clusters do.
        "--enable-admission-plugins=NodeRestriction,ExtendedResourceToleration",
        "--allow-privileged=true",
        "--enable-aggregator-routing=true",
        f"--requestheader-client-ca-file={tls}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={tls}/front-proxy.crt",
        f"--proxy-client-key-file={tls}/front-proxy.key",
        f"--kubelet-certificate-authority={tls}/ca.crt",
        f"--kubelet-client-certificate={tls}/apiserver-kubelet.crt",
        f"--kubelet-client-key={tls}/apiserver-kubelet.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={tls}/service-accounts.key",
        f"--service-account-signing-key-file={tls}/service-accounts.key",
    )


def _controller_manager(layout: Layout) -> tuple[str, ...]:
    kubeconfig = kubeconfig_of(layout, "system:kube-controller-manager")
    return (
        f"{layout.bins}/control-plane",
        "controller-manager",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={layout.tls}/service-accounts.key",
        f"--root-ca-file={layout.tls}/ca.crt",
        "--horizontal-pod-autoscaler-sync-period=5s",
    )


def _scheduler(layout: Layout) -> tuple[str, ...]:
    kubeconfig = kubeconfig_of(layout, "system:kube-scheduler")
    return (
        f"{layout.bins}/control-plane",
        "scheduler",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    )


def _kubelet(layout: Layout) -> tuple[str, ...]:
    return (
        f"{layout.bins}/kubelet",
        f"--config={layout.config}/kubelet.json",
        f"--kubeconfig={kubeconfig_of(layout, f'system:node:{NODE}')}",
        f"--hostname-override={NODE}",
        f"--node-ip={layout.node}",
        f"--root-dir={layout.state}/kubelet",
    )


def _kube_proxy(layout: Layout) -> tuple[str, ...]:
    return (f"{layout.bins}/kube-proxy", f"--config={layout.config}/kube-proxy.json")


def _coredns(layout: Layout) -> tuple[str, ...]:
    return (f"{layout.bins}/coredns", "-conf", f"{layout.config}/Corefile")


def _kwok(layout: Layout) -> tuple[str, ...]:
    stages = layout.bins.parent / "stage"
    folders = ("node/fast/node-initialize.yaml", "node/heartbeat/node-heartbeat.yaml")
    files = [stages / name for name in folders]
    files += [stages / "pod" / "fast" / name for name in POD_STAGES]
    return (
        f"{layout.bins}/kwok",
        f"--kubeconfig={kubeconfig_of(layout, 'kwok')}",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--server-address=127.0.0.1:10247",
        *(f"--config={file}" for file in files),
    )


POD_STAGES = ("pod-ready.yaml", "pod-complete.yaml", "pod-delete.yaml")
