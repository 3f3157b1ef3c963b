"""What behaviours on a cluster need: the cluster, namespaces, fake nodes, and a Pulumi project that targets it."""

from tests.cluster.harness.balancer import Balancer, addresses
from tests.cluster.harness.cluster import Cluster, ClusterCommandFailed
from tests.cluster.harness.namespace import Namespace, pod
from tests.cluster.harness.project import ClusterProject, small

__all__ = ["Balancer", "Cluster", "ClusterCommandFailed", "ClusterProject", "Namespace", "addresses", "pod", "small"]
