"""A gateway in a cluster: its view comes from the Kubernetes API, one of the gateways leads.

Note: docs/designs/kubernetes-target.md, rules 2, 5, 6 and 7.
"""
