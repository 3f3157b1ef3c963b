"""`pulumi destroy` leaves no process, no socket and no port (the fixture's end asserts just that)."""

from __future__ import annotations

from tests.e2e.harness import Project, scripted


def test_destroy_while_streams_run_leaves_nothing(project: Project) -> None:
    project.write({"one": scripted(replicas={"min": 2, "max": 2}), "two": scripted()})
    project.up()
    assert len(project.processes("runtime.replica")) == 3
    project.destroy()
    project.assert_nothing_left()


def test_removing_a_service_removes_all_of_it_and_leaves_the_rest(project: Project) -> None:
    project.write({"one": scripted(), "two": scripted("two")})
    project.up()
    token = project.token("two")
    project.write({"two": scripted("two")})
    project.up()
    assert {state.record.service for state in project.host.versions()} == {"two"}
    assert project.token("two") == token
    project.assert_no_changes()
