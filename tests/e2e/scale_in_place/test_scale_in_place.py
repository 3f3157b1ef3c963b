"""More replicas is an update in place: the running replica stays, and no request notices."""

from __future__ import annotations

from tests.e2e.harness import Project, SteadyLoad, scripted


def test_one_to_two_to_one_restarts_nothing_and_fails_no_request(project: Project) -> None:
    project.write({"chat": scripted(replicas={"min": 1, "max": 3})})
    project.up()
    first = project.pids()
    assert len(first) == 1
    with SteadyLoad(project.endpoint, "chat", project.token()):
        project.write({"chat": scripted(replicas={"min": 2, "max": 3})})
        assert "create" not in project.changes().values()
        project.up()
        assert len(project.pids()) == 2
        assert first < project.pids()
        project.write({"chat": scripted(replicas={"min": 1, "max": 1})})
        project.up()
        project.wait_until(lambda: len(project.pids()) == 1, what="one replica")
    project.assert_no_changes()
