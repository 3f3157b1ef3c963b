"""A resource group whose one node is full: the new version takes the old one's place, and requests wait meanwhile."""

from __future__ import annotations

from typing import Any

from tests.cluster.harness import ClusterProject, small
from tests.e2e.harness import SteadyLoad

TYPE = "desk-2"
CATALOG = """
defaults: {verified: documented, source: the test cluster, date: 2026-11-25}
instances:
  desk-2: {cloud: own, family: desk, vcpus: 2, memoryGib: 16}
"""
"""A type of one's own: two cores, as the test cluster's node has."""


def config(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """One service that takes most of the pool's only node, and the pool."""
    resources = {"group": "pool", "cpus": 1.2, "memoryGiB": 1}
    groups = {"pool": {"instanceTypes": [TYPE], "nodes": {"min": 1, "max": 1}}}
    return {"chat": small(text, resources=resources, limits={"holdSeconds": 60})}, {"resourceGroups": groups}


def test_requests_wait_and_none_fails_as_the_preview_had_said(project: ClusterProject) -> None:
    (project.folder / "inferform.catalog.yaml").write_text(CATALOG)
    project.cluster.label_node(**{"node.kubernetes.io__instance_type": TYPE})
    try:
        services, groups = config("one")
        project.write(services, **groups)
        project.up()
        token = project.token()
        with SteadyLoad(project.endpoint, "chat", token, rate=5) as load:
            services, groups = config("two")
            project.write(services, **groups)
            preview = project.preview()
            assert "recreate" in preview, preview
            assert "requests wait" in preview, preview
            project.up()
            load.wait_for(10)
            assert set(load.verdict.texts) == {"one", "two"}
        project.assert_no_changes()
    finally:
        project.cluster.label_node(**{"node.kubernetes.io__instance_type": None})
