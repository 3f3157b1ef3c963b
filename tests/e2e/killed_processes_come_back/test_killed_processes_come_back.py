"""Faults between two updates: each process is killed on its own, and all of them at once."""

from __future__ import annotations

from tests.e2e.harness import Project, SteadyLoad, ask, scripted


def test_a_killed_replica_is_replaced_and_its_neighbour_serves(project: Project) -> None:
    project.write({"chat": scripted(replicas={"min": 2, "max": 2})})
    project.up()
    with SteadyLoad(project.endpoint, "chat", project.token(), streams=0) as load:
        assert project.kill("runtime.replica", "-0.json") == 1
        project.wait_until(lambda: len(project.pids()) == 2, what="two replicas")
        load.wait_for(20)


def test_a_killed_host_stops_no_replica_and_the_next_up_brings_it_back(project: Project) -> None:
    project.write({"chat": scripted()})
    project.up()
    token, pids = project.token(), project.pids()
    with SteadyLoad(project.endpoint, "chat", token) as load:
        assert project.kill("runtime.host") == 1
        load.wait_for(20)
        project.up()
        assert project.pids() == pids
        assert project.token() == token
    project.assert_no_changes()


def test_a_killed_gateway_is_back_without_help(project: Project) -> None:
    project.write({"chat": scripted()})
    project.up()
    token = project.token()
    assert project.kill("runtime.gateway") == 1
    assert ask(project.endpoint, "chat", token, seconds=15).status == 200
    project.assert_no_changes()


def test_after_a_power_cut_a_plain_up_restores_everything(project: Project) -> None:
    project.write({"chat": scripted(replicas={"min": 2, "max": 2}), "other": scripted("other")})
    project.up()
    token = project.token()
    project.kill_everything()
    project.up()
    assert project.token() == token
    assert ask(project.endpoint, "chat", token).status == 200
    assert ask(project.endpoint, "other", project.token("other")).text == "other"
    project.assert_no_changes()
