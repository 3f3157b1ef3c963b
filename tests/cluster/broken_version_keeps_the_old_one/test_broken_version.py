"""What can go wrong with a new version on a cluster: one error with the phase and the cluster's words.

An image that cannot be pulled is a table test (tests/infra/cluster): a kubelet 1.36 without cgroups per pod, as the
test cluster's, panics on a pod with a memory limit whose image is missing.
"""

from __future__ import annotations

from typing import Any

from tests.cluster.harness import ClusterProject, small
from tests.e2e.harness import SteadyLoad, ask

SHORT = {"timeouts": {"schedule": 5, "image": 60}}
BROKEN: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "engine": (
        small("bad", engineArgs={"failStart": {"phase": "engine", "reason": "out of memory"}}),
        ("phase engine", "out of memory"),
    ),
    "cores": (small("bad", resources={"cpus": 500}, rollout=SHORT), ("phase schedule", "cpu")),
    "nodes": (
        small("bad", resources={"group": "elsewhere"}, rollout=SHORT),
        ("phase schedule", "node affinity/selector"),
    ),
}
GROUPS = {"elsewhere": {"instanceTypes": ["ecs.g7.xlarge"], "nodes": {"min": 0, "max": 1}}}
"""The plan takes the file's word that there are such nodes; this cluster has none."""


def test_the_update_fails_with_the_clusters_words_and_the_old_version_serves(project: ClusterProject) -> None:
    good = small("good")
    project.write({"chat": good})
    project.up()
    token = project.token()
    with SteadyLoad(project.endpoint, "chat", token, rate=10) as load:
        for service, words in BROKEN.values():
            project.write({"chat": service}, resourceGroups=GROUPS)
            output = project.up(code=1)
            assert all(word in output for word in words), output
            assert "Traceback" not in output
        project.write({"chat": good, "fine": small("fine")})
        project.up()
        assert set(load.verdict.texts) == {"good"}
    assert ask(project.endpoint, "fine", project.token("fine")).text == "fine"
    project.assert_no_changes()


def test_a_quota_refuses_at_the_api_server_and_one_broken_service_holds_up_no_other(project: ClusterProject) -> None:
    quotas = {"small": {"cpus": 1}}
    inside = small("inside", resources={"quota": "small", "cpus": 0.2})
    project.write({"inside": inside, "other": small("other")}, quotas=quotas)
    project.up()
    # The plan refuses what is above the declared quota, so the cluster's own has to be smaller than declared.
    project.kubectl("patch", "resourcequota", "small", "--type=merge", '-p={"spec":{"hard":{"requests.cpu":"300m"}}}')
    changed = small("changed", resources={"quota": "small", "cpus": 0.2}, rollout=SHORT)
    project.write({"inside": changed, "other": small("moved on")}, quotas=quotas)
    output = project.up("--continue-on-error", code=1)
    assert "quota" in output, output
    assert ask(project.endpoint, "other", project.token("other")).text == "moved on"
    assert ask(project.endpoint, "inside", project.token("inside")).text == "inside"
