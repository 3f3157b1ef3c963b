"""The leading gateway scales on concurrency, to zero and back; the count is in no diff."""

from __future__ import annotations

from runtime.contract.cluster import HASH, PART, PART_VERSION
from tests.cluster.harness import ClusterProject, small
from tests.e2e.harness import SteadyLoad, ask

REPLICAS = {
    "min": 0,
    "max": 4,
    "target": {"concurrency": 2},
    "idleSeconds": 5,
    "scaleUpSeconds": 0,
    "scaleDownSeconds": 4,
}


def test_from_one_to_four_to_none_and_back(project: ClusterProject) -> None:
    slow = {"tokensPerSecond": 4, "tokens": 8}
    project.write({"chat": small("scaled", replicas=REPLICAS, engineArgs=slow)})
    project.up()
    token = project.token()
    digest = ask(project.endpoint, "chat", token).version

    def live() -> int:
        return int(project.get("deployment", f"chat-{digest}")["spec"]["replicas"])

    with SteadyLoad(project.endpoint, "chat", token, rate=1, streams=8):
        project.wait_until(lambda: live() == 4, 60, "four replicas under load")
        project.assert_no_changes()
    project.wait_until(lambda: live() == 0, 90, "no replica without load")
    project.wait_until(lambda: not project.pods({PART: PART_VERSION, HASH: digest}), 60, "no pod")
    project.assert_no_changes()
    assert ask(project.endpoint, "chat", token).status == 200, "a request wakes it and waits"
    assert live() >= 1
    project.assert_no_changes()
