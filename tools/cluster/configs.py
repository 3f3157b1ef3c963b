"""Configuration files of the parts: text from a layout. Pure, but for `write`."""

from __future__ import annotations

import json
from typing import Any

from tools.cluster.image import PAUSE
from tools.cluster.layout import CONTEXT, NODE, Layout
from tools.cluster.tls import kubeconfig_of


def write(layout: Layout, *, snapshotter: str, runc: str, cni_programs: str) -> None:
    """Write them all below `layout.config`."""
    (layout.config / "cni").mkdir(parents=True)
    documents = {
        "kubelet.json": kubelet(layout),
        "kube-proxy.json": kube_proxy(layout),
        "cni/pods.conflist": cni(layout),
    }
    for name, document in documents.items():
        (layout.config / name).write_text(json.dumps(document, indent=1))
    (layout.config / "containerd.toml").write_text(
        containerd(layout, snapshotter=snapshotter, runc=runc, cni_programs=cni_programs)
    )
    (layout.config / "Corefile").write_text(corefile(layout))
    (layout.config / "resolv.conf").write_text("# The node's own: names outside the cluster have no address.\n")


def containerd(layout: Layout, *, snapshotter: str, runc: str, cni_programs: str) -> str:
    """containerd's: no AppArmor and no lowering of oom scores, which sandboxes forbid."""
    return f"""version = 3
root = "{layout.state}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]

[grpc]
address = "{layout.socket}"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "{snapshotter}"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
disable_apparmor = true

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{runc}"
SystemdCgroup = false

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{cni_programs}"]
conf_dir = "{layout.config}/cni"
"""


def cni(layout: Layout) -> dict[str, Any]:
    """A pair of devices per pod, routed and not bridged: a bridge would answer past kube-proxy's rules."""
    addresses = {
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": layout.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": addresses}, ports]}


def kubelet(layout: Layout) -> dict[str, Any]:
    """The kubelet's: cgroups of containers alone, no eviction because this machine's disk is full."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.node,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.tls / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "clusterDNS": [layout.dns],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "enforceNodeAllocatable": [],
        "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "5s",
        "oomScoreAdj": 0,
        "podLogsDir": str(layout.state / "pod-logs"),
        "registerNode": True,
        "resolvConf": str(layout.config / "resolv.conf"),
        "serializeImagePulls": False,
        "tlsCertFile": str(layout.tls / "kubelet.crt"),
        "tlsPrivateKeyFile": str(layout.tls / "kubelet.key"),
    }


def kube_proxy(layout: Layout) -> dict[str, Any]:
    """kube-proxy's: iptables; conntrack's limits belong to the whole machine and stay."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig_of(layout, "system:kube-proxy"))},
        "clusterCIDR": layout.pods,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "detectLocalMode": "ClusterCIDR",
        "healthzBindAddress": "127.0.0.1:10256",
        "hostnameOverride": NODE,
        "iptables": {"minSyncPeriod": "100ms"},
        "metricsBindAddress": "127.0.0.1:10249",
        "mode": "iptables",
    }


def corefile(layout: Layout) -> str:
    """CoreDNS's: names of the cluster, nothing else; answers may be a second old."""
    return f""". {{
    bind {layout.node}
    errors
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig_of(layout, "system:coredns")} {CONTEXT}
        ttl 1
    }}
}}
"""
