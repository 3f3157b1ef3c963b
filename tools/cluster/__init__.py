"""A real Kubernetes cluster of one node on this machine, for tests: `scripts/cluster`.

All of it runs in namespaces of its own (processes, mounts, network), so that stopping one process leaves nothing.
Layers, from below: layout, process; tls, configs, parts, objects (pure or writing files); api; inside (the first
process in there); network, control (from outside); __main__.
"""
