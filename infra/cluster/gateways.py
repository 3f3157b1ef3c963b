"""How far the gateways of a namespace are: ready, on their way, or why they cannot start.

Note: docs/designs/kubernetes-target.md, rules 4 and 5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infra.cluster import observe, pods, reports
from infra.cluster.look import Looks
from infra.cluster.pods import Json, PodFailure, name_of
from infra.cluster.session import Session
from infra.place import Gateways
from runtime.contract.cluster import GATEWAY
from runtime.kubeapi import DEPLOYMENTS

UNSCHEDULABLE_SECONDS = 300.0
"""So long a gateway may find no node before that is a failure: a node may be on its way."""
TEMPLATE = "pod-template-hash"


async def gateways(session: Session, looks: Looks) -> Gateways:
    """What is known of them. Raises KubeProblem."""
    there = list((await session.follow("gateways")).values())
    if reports.ready_gateways(there):
        return Gateways()
    mine = newest(there)
    if not mine:
        deployment = await session.find(DEPLOYMENTS, GATEWAY)
        words = observe.not_made(deployment) if deployment is not None else f"the Deployment {GATEWAY} is not there yet"
        return Gateways(starting=f"no pod of {GATEWAY} is there{f': {words}' if words else ''}")
    events = await looks.events(mine)
    failed = failure(mine, events, session.now())
    if failed is None:
        return Gateways(starting=starting(mine, events))
    text = f"0 of {len(mine)} pods of {GATEWAY} are ready; {failed.pod}: {failed.reason}"
    return Gateways(failure=text, log_tail=await looks.tail(failed, mine))


def newest(every: Sequence[Json]) -> list[Json]:
    """The pods that stay, of the template that was made last: an update may have those of an earlier one beside it."""
    staying = [pod for pod in observe.by_age(every) if not pods.is_going(pod)]
    return [pod for pod in staying if _template(pod) == _template(staying[-1])]


def failure(mine: Sequence[Json], events: Mapping[str, Sequence[Json]], now: float) -> PodFailure | None:
    """Why none of these pods will be ready; None while one of them may be. Times are Unix seconds."""
    found = [_failure(pod, events.get(name_of(pod), ()), now) for pod in mine]
    failed = [each for each in found if each is not None]
    return failed[0] if failed and len(failed) == len(mine) else None


def _failure(pod: Json, events: Sequence[Json], now: float) -> PodFailure | None:
    """A pod that was started twice and ends again, or has no image, or finds no node for long."""
    if pods.is_stuck(pod):
        return pods.start_failure(pod, events, None)
    if pods.is_unschedulable(pod) and not _node_is_coming(events):
        state = pods.replica_state(pod, events, None)
        if now - state.since >= UNSCHEDULABLE_SECONDS:
            return PodFailure(name_of(pod), state.phase, f"no node for {UNSCHEDULABLE_SECONDS:g} s: {state.detail}")
    return None


def starting(mine: Sequence[Json], events: Mapping[str, Sequence[Json]]) -> str:
    """What they wait for, in words: `0 of 2 pods of inferform-gateway ready (pulling image ...)`."""
    states = [pods.replica_state(pod, events.get(name_of(pod), ()), None) for pod in mine]
    details = "; ".join(dict.fromkeys(state.detail for state in states if state.detail))
    return f"0 of {len(mine)} pods of {GATEWAY} are ready{f' ({details})' if details else ''}"


def _template(pod: Json) -> object:
    return (pod["metadata"].get("labels") or {}).get(TEMPLATE)


def _node_is_coming(events: Sequence[Json]) -> bool:
    return any(each.get("reason") == "TriggeredScaleUp" for each in events)
