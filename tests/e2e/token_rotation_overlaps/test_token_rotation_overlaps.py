"""A higher tokenRotation makes a new token; the old one works until the overlap ends, and nothing restarts."""

from __future__ import annotations

from tests.e2e.harness import Project, SteadyLoad, ask, scripted


def test_old_and_new_token_work_through_the_overlap(project: Project) -> None:
    project.write({"chat": scripted(tokenOverlapSeconds=4)})
    project.up()
    old, pids = project.token(), project.pids()
    with SteadyLoad(project.endpoint, "chat", old):
        project.write({"chat": scripted(tokenOverlapSeconds=4, tokenRotation=2)})
        project.up()
        new = project.token()
        assert new != old
        assert ask(project.endpoint, "chat", new).status == 200
    assert project.outputs()["chat"]["token"] == new
    project.wait_until(lambda: ask(project.endpoint, "chat", old).status == 401, what="the old token has ended")
    assert ask(project.endpoint, "chat", new).status == 200
    assert project.pids() == pids
    project.assert_no_changes()
