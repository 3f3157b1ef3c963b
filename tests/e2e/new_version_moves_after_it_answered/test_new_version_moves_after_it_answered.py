"""A changed engine argument is a new version beside the old one; traffic moves once it has answered."""

from __future__ import annotations

from tests.e2e.harness import Project, SteadyLoad, ask, scripted


def test_the_old_version_serves_until_the_new_one_answers(project: Project) -> None:
    project.write({"chat": scripted("hello from one")})
    project.up()
    token, old = project.token(), project.versions()["main"].record.hash
    with SteadyLoad(project.endpoint, "chat", token) as load:
        project.write({"chat": scripted("hello from two", engineArgs={"startSeconds": 1})})
        changes = project.changes()
        assert "replace" not in changes.values()
        project.up()
        new = project.versions()["main"].record.hash
        assert new != old
        assert ask(project.endpoint, "chat", token).version == new
        load.wait_for(20)
        assert set(load.verdict.texts) == {"hello from one", "hello from two"}
    assert list(project.versions()) == ["main"]
    assert len(project.pids()) == 1
    assert project.token() == token
    project.assert_no_changes()


def test_live_replicas_are_carried_over_to_the_new_version(project: Project) -> None:
    project.write({"chat": scripted("one", replicas={"min": 1, "max": 4})})
    project.up()
    project.scale("chat", 3)
    project.wait_until(lambda: len(project.pids()) == 3, what="three replicas")
    project.write({"chat": scripted("two", replicas={"min": 1, "max": 4})})
    project.up()
    assert len(project.versions()["main"].replicas) == 3
