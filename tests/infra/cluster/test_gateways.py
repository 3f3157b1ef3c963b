"""Whether a namespace's gateways are on their way, or will never be ready, and what is said about it."""

from __future__ import annotations

from infra.cluster.gateways import failure, newest, starting
from tests.infra.cluster.test_observe import BORN, NOW, PLACED, READY, container, event, pod

LOOP = {"reason": "CrashLoopBackOff", "message": "back-off 10s"}
NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}


def crashing(name: str = "chat-1") -> dict[str, object]:
    last = {"terminated": {"exitCode": 2, "message": "no such option"}}
    return pod(container(restarts=2, last=last, waiting=LOOP), name=name)


def test_what_they_wait_for_is_the_clusters_word() -> None:
    pulling = {"chat-1": [event("Pulling", 'Pulling image "registry.corp/inferform"')]}
    mine = [pod(), pod(name="chat-2")]
    assert starting(mine[:1], pulling) == (
        '0 of 1 pods of inferform-gateway are ready (pulling image "registry.corp/inferform")'
    )
    assert starting(mine, pulling).endswith('(pulling image "registry.corp/inferform"; its container is being created)')


def test_an_image_that_cannot_be_pulled_is_a_failure_at_once() -> None:
    mine = [pod(container(waiting={"reason": "ErrImagePull", "message": "manifest unknown"}))]
    failed = failure(mine, {}, NOW)
    assert failed is not None
    assert "manifest unknown" in failed.reason


def test_a_crash_loop_names_the_container_whose_log_says_more() -> None:
    failed = failure([crashing()], {}, NOW)
    assert failed is not None
    assert (failed.reason, failed.container, failed.previous) == (
        "its process exited with 2: no such option", "replica", True,
    )  # fmt: skip


def test_one_end_is_no_crash_loop() -> None:
    ended = {"terminated": {"exitCode": 1}}
    assert failure([pod(container(restarts=1, last=ended, running={"startedAt": PLACED}))], {}, NOW) is None


def test_as_long_as_one_may_be_ready_there_is_hope() -> None:
    assert failure([crashing(), pod(name="chat-2")], {}, NOW) is None
    assert failure([crashing(), crashing("chat-2")], {}, NOW) is not None


def test_no_node_is_a_failure_after_minutes_unless_one_is_coming() -> None:
    mine = [pod(conditions=(NO_NODE,), born=BORN)]  # two minutes old
    assert failure(mine, {}, NOW) is None
    failed = failure(mine, {}, NOW + 200)
    assert failed is not None
    assert failed.reason == "no node for 300 s: 0/1 nodes are available"
    assert failure(mine, {"chat-1": [event("TriggeredScaleUp", "1->2")]}, NOW + 200) is None


def test_pods_of_an_earlier_template_and_those_that_leave_do_not_count() -> None:
    old, new = crashing("old"), pod(name="new", born=PLACED)
    old["metadata"]["labels"] = {"pod-template-hash": "1"}  # type: ignore[index]
    new["metadata"]["labels"] = {"pod-template-hash": "2"}
    going = pod(name="going", born=PLACED, conditions=(READY,), going=True)
    assert newest([new, old, going]) == [new]
