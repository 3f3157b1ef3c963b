"""Everything that dies on a cluster while requests and streams run."""

from __future__ import annotations

import os
import signal

from runtime.contract.cluster import GATEWAY, HASH, LEADER, PART, PART_GATEWAY, PART_VERSION
from tests.cluster.harness import ClusterProject, small
from tests.e2e.harness import SteadyLoad, ask
from tools.cluster.layout import NODE


def settle(project: ClusterProject, part: str, gone: set[str], count: int) -> None:
    """Until `count` pods of the part are ready and those are not among them."""

    def settled() -> bool:
        ready = project.ready({PART: part})
        return len(ready) >= count and not ready & gone

    project.wait_until(settled, 90, f"{count} pods of {part}")


def test_no_request_fails_while_pods_the_leader_and_the_api_server_go(project: ClusterProject) -> None:
    project.write({"chat": small("still here", engineArgs={"tokensPerSecond": 20}, replicas={"min": 2, "max": 2})})
    project.up()
    token = project.token()
    settle(project, PART_VERSION, set(), 2)
    settle(project, PART_GATEWAY, set(), 2)
    with SteadyLoad(project.endpoint, "chat", token, rate=10) as load:
        victim = min(project.ready({PART: PART_VERSION}))
        project.kubectl("delete", "pod", victim, "--wait=false")  # drains: its streams end
        settle(project, PART_VERSION, {victim}, 2)
        load.wait_for(10)

        leader = project.get("lease", LEADER)["spec"]["holderIdentity"]
        project.kubectl("delete", "pod", leader, "--wait=false")
        settle(project, PART_GATEWAY, {leader}, 2)
        project.wait_until(
            lambda: project.get("lease", LEADER)["spec"].get("holderIdentity") in project.ready({PART: PART_GATEWAY}),
            60,
            "another gateway leads",
        )
        load.wait_for(10)

        os.kill(project.cluster.pid("apiserver"), signal.SIGKILL)  # the cluster starts it again
        load.wait_for(20)
        project.cluster.wait_until(lambda: answers(project), 60, "the API server is back")

        before = project.ready({PART: PART_VERSION})
        try:
            project.cluster.kubectl("drain", NODE, f"--pod-selector={PART}={PART_VERSION}", *UNSAFE)
        finally:
            project.cluster.kubectl("uncordon", NODE)
        settle(project, PART_VERSION, set(), 2)
        assert project.ready({PART: PART_VERSION}) != before
        load.wait_for(10)
    assert ask(project.endpoint, "chat", token).text == "still here"
    project.assert_no_changes()


UNSAFE = ("--ignore-daemonsets", "--delete-emptydir-data", "--disable-eviction")
"""One node has no room elsewhere: what is drained waits until it is uncordoned, and a budget would wait for ever."""


def answers(project: ClusterProject) -> bool:
    """Does the API server answer?"""
    try:
        project.cluster.kubectl("get", "--raw", "/readyz")
    except AssertionError:
        return False
    return True


def test_a_killed_replica_breaks_only_what_it_streams(project: ClusterProject) -> None:
    project.write({"chat": small("still here", replicas={"min": 2, "max": 2})})
    project.up()
    token = project.token()
    settle(project, PART_VERSION, set(), 2)
    with SteadyLoad(project.endpoint, "chat", token, rate=10, streams=0) as load:
        victim = min(project.ready({PART: PART_VERSION}))
        project.kubectl("delete", "pod", victim, "--force", "--grace-period=0", "--wait=false")
        settle(project, PART_VERSION, {victim}, 2)
        load.wait_for(10)
    digest = ask(project.endpoint, "chat", token).version
    assert len(project.pods({PART: PART_VERSION, HASH: digest})) == 2
    assert project.get("deployment", GATEWAY)["status"]["readyReplicas"] == 2
