"""A stopped service has no replicas and answers 503 at once; started again it has the same token."""

from __future__ import annotations

from tests.e2e.harness import Project, ask, scripted


def test_stop_answers_503_at_once_and_start_brings_it_back(project: Project) -> None:
    project.write({"chat": scripted(), "other": scripted("other")})
    project.up()
    token = project.token()
    project.write({"chat": scripted(stopped=True), "other": scripted("other")})
    project.up()
    answer = ask(project.endpoint, "chat", token, seconds=3)
    assert (answer.status, answer.body) == (503, b"no healthy upstream")
    assert ask(project.endpoint, "chat", "wrong", seconds=3).status == 401
    project.wait_until(lambda: not project.pids(), what="no replica")
    assert ask(project.endpoint, "other", project.token("other")).text == "other"
    project.assert_no_changes()
    project.write({"chat": scripted(), "other": scripted("other")})
    project.up()
    assert ask(project.endpoint, "chat", token).status == 200
    project.assert_no_changes()


def test_a_service_may_be_created_stopped(project: Project) -> None:
    project.write({"chat": scripted(stopped=True)})
    project.up()
    assert ask(project.endpoint, "chat", project.token(), seconds=3).status == 503
    assert not project.pids()
