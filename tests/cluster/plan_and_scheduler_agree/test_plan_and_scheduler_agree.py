"""200 random stacks on fake GPU nodes: the plan's three verdicts against Kubernetes' own scheduler."""

from __future__ import annotations

import contextlib
import os
import random
from collections import Counter
from typing import Any

from infra.plan import VersionPlan
from tests.cluster.harness import Cluster, Namespace, pod
from tests.cluster.plan_and_scheduler_agree.stacks import RandomStack, random_stack

STACKS = int(os.environ.get("INFERFORM_RANDOM_STACKS", "200"))
SEED = int(os.environ.get("INFERFORM_RANDOM_SEED", "1"))
BATCH = 100
STACK_LABEL = "test/stack"


def pods_of(stack: RandomStack) -> list[dict[str, Any]]:
    """A pod for each replica at its maximum, with what the plan says that it asks for; in an order of chance."""
    made = []
    for service in stack.plan.services:
        [version] = service.versions
        for number in range(version.bounds.max):
            made.append(replica(f"s{stack.number}-{service.name}-{number}", stack, version))
    random.Random(stack.number).shuffle(made)
    return made


def replica(name: str, stack: RandomStack, version: VersionPlan) -> dict[str, Any]:
    """One replica's pod; the label keeps it on its own stack's nodes, as stacks are tried side by side."""
    place = version.placement
    assert place is not None, name
    limits = {"nvidia.com/gpu": place.gpus, "cpu": place.cpus, "memory": f"{place.memory_gib}Gi"}
    return pod(name, limits=limits, nodeSelector={STACK_LABEL: f"s{stack.number}"})


def waiting(found: list[dict[str, Any]]) -> Counter[int]:
    """Pods that the scheduler found no node for, by stack; raises LookupError while it has not looked at each."""
    left: Counter[int] = Counter()
    for each in found:
        if each["spec"].get("nodeName"):
            continue
        reasons = {condition.get("reason") for condition in each["status"].get("conditions", [])}
        if "Unschedulable" not in reasons:
            raise LookupError(each["metadata"]["name"])
        left[int(each["metadata"]["name"].split("-")[0][1:])] += 1
    return left


def decided(namespace: Namespace, expected: int, sure: set[int]) -> Counter[int]:
    """Wait until the scheduler has looked at every pod; of stacks that are `sure` to fit, until it has placed all.

    A new node repels pods until its taint `not-ready` is taken off, so a first refusal need not be the last word.
    """
    answer: list[Counter[int]] = []

    def looked_at() -> bool:
        found = namespace.items("pods")
        try:
            answer.append(waiting(found))
        except LookupError:
            return False
        return len(found) == expected

    namespace.cluster.wait_until(looked_at, 120, "the scheduler looked at every pod")
    with contextlib.suppress(AssertionError):  # the test counts those that wait for good
        namespace.cluster.wait_until(lambda: looked_at() and not sure & set(answer[-1]), 120, "placed")
    return answer[-1]


def test_the_plan_says_what_the_scheduler_does(fake_nodes: Cluster, namespace: Namespace) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    wrong = []
    for first in range(0, STACKS, BATCH):
        stacks = [random_stack(number, SEED) for number in range(first, min(first + BATCH, STACKS))]
        for stack in stacks:
            fake_nodes.add_nodes(stack.instance_type, stack.nodes, wait=False, **{STACK_LABEL: f"s{stack.number}"})
        pods = [each for stack in stacks for each in pods_of(stack)]
        namespace.create(pods)
        left = decided(namespace, len(pods), {each.number for each in stacks if each.verdict == "always fits"})
        for stack in stacks:
            outcome = "some wait" if left[stack.number] else "all placed"
            seen[stack.verdict, outcome] += 1
            if (stack.verdict, outcome) in (("always fits", "some wait"), ("never fits", "all placed")):
                wrong.append((stack.config, stack.verdict, outcome))
        namespace.delete_pods()
        fake_nodes.remove_fake_nodes()
    print(
        "\nverdict and what the scheduler did:", *(f"{key}: {count}" for key, count in sorted(seen.items())), sep="\n  "
    )
    assert not wrong, wrong[:3]
    assert {verdict for verdict, _ in seen} == {"always fits", "fits only if packed well", "never fits"}
