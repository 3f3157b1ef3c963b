"""Behaviours on a real Kubernetes cluster: API server, scheduler, kubelet, containerd, kube-proxy, CoreDNS.

`INFERFORM_TEST_CLUSTER=STATE-FOLDER` uses one that `scripts/cluster up` started; else each run starts its own.
"""
