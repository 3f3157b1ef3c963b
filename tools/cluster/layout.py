"""Where things of one cluster lie: its state folder, its addresses, its names. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONTEXT = "inferform-test"
"""Of every kubeconfig written here, never any other: tests refuse to touch a cluster whose context differs."""
NODE = "inferform-test"
NETWORKS = 100
"""How many clusters one machine may run at once: each has its own addresses."""
LONGEST_STATE = 107 - len("/containerd.sock.ttrpc")
"""A unix socket's path has at most 107 bytes."""


@dataclass(frozen=True)
class Layout:
    """One cluster. Addresses are of 198.18.0.0/15, the range for tests of network devices, so that they clash with
    nobody's: link .0/30, load balancers .64/26, pods .128/25, services in 198.19."""

    state: Path
    number: int
    bins: Path
    pause: Path

    @property
    def link(self) -> str:
        """The network device of this machine that leads to the cluster."""
        return f"ifcluster{self.number}"

    @property
    def cgroup(self) -> str:
        """What the cluster takes for the root of every hierarchy of cgroups: those of its containers lie below."""
        return f"inferform-cluster-{self.number}"

    @property
    def desk(self) -> str:
        """This machine's address as the cluster's pods see it."""
        return f"198.18.{self.number}.1"

    @property
    def node(self) -> str:
        """The node's address; the API server's too."""
        return f"198.18.{self.number}.2"

    @property
    def pods(self) -> str:
        """Addresses of pods, reachable from this machine."""
        return f"198.18.{self.number}.128/25"

    @property
    def balancers(self) -> str:
        """Addresses that services of type LoadBalancer may get, reachable from this machine."""
        return f"198.18.{self.number}.64/26"

    @property
    def services(self) -> str:
        """Addresses of services, reachable from this machine."""
        return f"198.19.{self.number}.0/24"

    @property
    def dns(self) -> str:
        """The address of the service `kube-dns`."""
        return f"198.19.{self.number}.10"

    @property
    def first_service(self) -> str:
        """The address that Kubernetes gives to its own service."""
        return f"198.19.{self.number}.1"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.node}:6443"

    @property
    def kubeconfig(self) -> Path:
        """For users and tests; its one context is CONTEXT."""
        return self.state / "kubeconfig"

    @property
    def socket(self) -> Path:
        """Of containerd."""
        return self.state / "containerd.sock"

    @property
    def tls(self) -> Path:
        """Keys and certificates, and the file of tokens."""
        return self.state / "tls"

    @property
    def config(self) -> Path:
        """Configuration files of the parts."""
        return self.state / "config"

    @property
    def logs(self) -> Path:
        """A log per part."""
        return self.state / "logs"

    @property
    def record(self) -> Path:
        """What identifies the running cluster: see `control.Record`."""
        return self.state / "cluster.json"

    @property
    def report(self) -> Path:
        """What the first process says about its parts: see `inside.Inside`."""
        return self.state / "report.json"

    @property
    def fake_nodes(self) -> Path:
        """Exists when kwok is wanted."""
        return self.state / "kwok-wanted"

    @property
    def volumes(self) -> Path:
        """Folders behind the cluster's persistent volumes."""
        return self.state / "volumes"
