"""Target kubernetes: components as objects of a namespace. docs/designs/kubernetes-target.md has their table.

Every module is one concept: pure functions from a plan to plain manifests. `declare` alone knows pulumi_kubernetes,
whose import takes over a second and so waits until this target is chosen; `render` writes the same manifests to files.
"""
