"""The autoscaler under real load: 1 -> 4 -> 1 and 0 -> 1 -> 0, with previews that never show it."""

from __future__ import annotations

from tests.e2e.harness import Project, SteadyLoad, ask, scripted

BUSY = {"min": 1, "max": 4, "target": {"concurrency": 2}, "scaleDownSeconds": 3}
SLEEPY = {"min": 0, "max": 2, "idleSeconds": 4}


def test_load_moves_the_count_and_no_preview_shows_it(project: Project) -> None:
    busy = scripted(engineArgs={"ttftSeconds": 0.5}, replicas=BUSY)
    project.write({"busy": busy, "sleepy": scripted("awake", replicas=SLEEPY)})
    project.up()
    first = project.pids("busy")
    assert (len(first), len(project.pids("sleepy"))) == (1, 0)
    with SteadyLoad(project.endpoint, "busy", project.token("busy"), rate=16, streams=0):
        project.wait_until(lambda: len(project.pids("busy")) == 4, what="four replicas under load")
        assert "target 2 per replica" in project.versions("busy")["main"].because
        project.assert_no_changes()
        # A change in place under load: the count is kept, and nothing restarts.
        before = project.pids("busy")
        project.write(
            {
                "busy": {**busy, "replicas": {**BUSY, "scaleDownSeconds": 2}},
                "sleepy": scripted("awake", replicas=SLEEPY),
            }
        )
        project.up()
        assert project.pids("busy") == before
    assert ask(project.endpoint, "sleepy", project.token("sleepy")).text == "awake", (
        "the first request waits, and wakes"
    )
    project.assert_no_changes()
    project.wait_until(lambda: len(project.pids("busy")) == 1, what="one replica without load")
    project.wait_until(lambda: not project.pids("sleepy"), what="asleep again")
    assert project.versions("sleepy")["main"].because == "nothing was asked for 4 s"
    project.assert_no_changes()
