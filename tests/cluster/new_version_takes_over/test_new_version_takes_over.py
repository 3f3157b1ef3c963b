"""A changed engine argument on a cluster: surge, proof, route, then the old version goes."""

from __future__ import annotations

from runtime.contract.cluster import HASH, PART, PART_VERSION
from tests.cluster.harness import ClusterProject, small
from tests.e2e.harness import SteadyLoad, ask

BOUNDS = {"min": 1, "max": 4}


def test_it_starts_with_as_many_replicas_as_serve_and_no_request_fails(project: ClusterProject) -> None:
    project.write({"chat": small("one", replicas=BOUNDS)})
    project.up()
    token = project.token()
    old = ask(project.endpoint, "chat", token).version
    # Another hand scales, as an autoscaler or an operator would: the plan never writes a count.
    project.kubectl("scale", "deployment", f"chat-{old}", "--replicas=4")
    project.wait_until(lambda: len(project.ready({HASH: old})) == 4, 90, "four replicas")
    project.assert_no_changes()
    with SteadyLoad(project.endpoint, "chat", token, rate=10) as load:
        project.write({"chat": small("two", replicas=BOUNDS)})
        assert "replace" not in project.changes().values()
        project.up()
        new = ask(project.endpoint, "chat", token).version
        assert new != old
        assert len(project.ready({HASH: new})) == 4, "capacity is carried over before the route moves"
        load.wait_for(20)
        assert set(load.verdict.texts) == {"one", "two"}
    assert {pod["metadata"]["labels"][HASH] for pod in project.pods({PART: PART_VERSION})} == {new}
    assert project.token() == token
    project.assert_no_changes()
