"""Replicas scaled by another hand never appear in a diff, and no update resets them."""

from __future__ import annotations

from tests.e2e.harness import Project, scripted


def test_a_scaled_service_previews_empty_and_keeps_its_count(project: Project) -> None:
    project.write({"chat": scripted(replicas={"min": 1, "max": 4})})
    project.up()
    project.scale("chat", 3)
    project.wait_until(lambda: len(project.pids()) == 3, what="three replicas")
    project.assert_no_changes()
    project.refresh("--expect-no-changes")
    project.write({"chat": scripted(replicas={"min": 1, "max": 4}, limits={"qps": 500})})
    project.up()
    assert len(project.pids()) == 3
