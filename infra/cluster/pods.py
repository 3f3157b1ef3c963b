"""How far one pod of a version is, and why it cannot go on: from the pod's JSON, its events and its replica's words.

Pure. Times are Unix seconds of the cluster's clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runtime.contract.cluster import REPLICA_PORT
from runtime.contract.host import ReplicaState
from runtime.contract.phases import STARTING, Phase
from runtime.contract.replica import ReplicaStatus

Json = Mapping[str, Any]

PULL_FAILURES = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
     "RegistryUnavailable", "SignatureValidationFailed"}
)  # fmt: skip
START_FAILURES = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun",
     "PreCreateHookError", "PreStartHookError", "PostStartHookError"}
)  # fmt: skip
BEFORE_START = ("FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox")
"""Reasons of events that hold a pod up between its node and its first process."""
NODE_IS_COMING = ("TriggeredScaleUp", "NotTriggerScaleUp")
KILLED = 128
SIGNALS = {2: "SIGINT", 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}


@dataclass(frozen=True)
class PodFailure:
    """Why a pod's start failed, and whose log says more (container empty: nothing ever ran)."""

    pod: str
    phase: Phase
    reason: str
    container: str = ""
    previous: bool = False  # the log is the one of the run before


def seconds(text: object) -> float:
    """A time of the API as Unix seconds; 0 for none."""
    return datetime.fromisoformat(text).timestamp() if isinstance(text, str) and text else 0.0


def name_of(thing: Json) -> str:
    """An object's name."""
    return str(thing["metadata"]["name"])


def is_going(pod: Json) -> bool:
    """Is it being deleted?"""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_over(pod: Json) -> bool:
    """Has it ended for good (evicted, say)? Its ReplicaSet makes another one."""
    return _status(pod).get("phase") in ("Failed", "Succeeded")


def is_ready(pod: Json) -> bool:
    """Ready for requests: the pod's own condition, and it is not leaving."""
    return not is_going(pod) and (_condition(pod, "Ready") or {}).get("status") == "True"


def is_running(pod: Json) -> bool:
    """Does its main container run now?"""
    return "running" in (_main(pod) or {}).get("state", {})


def asks_status(pod: Json) -> bool:
    """Does its replica know more than the API server? It runs, is not ready, and is not leaving."""
    return is_running(pod) and not is_ready(pod) and not is_going(pod)


def restarts(pod: Json) -> int:
    """How often its main container was started again."""
    return int((_main(pod) or {}).get("restartCount", 0))


def is_unschedulable(pod: Json) -> bool:
    """Has the scheduler found no node?"""
    return not is_going(pod) and (_condition(pod, "PodScheduled") or {}).get("reason") == "Unschedulable"


def is_stuck(pod: Json) -> bool:
    """Does it wait out a back-off, or is it over? A new start of its version begins with a new pod."""
    if is_going(pod):
        return False
    waiting = [_waiting(each) for each in _containers(pod)]
    return is_over(pod) or any(each in PULL_FAILURES | {"CrashLoopBackOff"} for each, _ in waiting)


def replica_state(pod: Json, events: Sequence[Json], status: ReplicaStatus | None) -> ReplicaState:
    """The pod as a replica. `events`: about this pod; `status`: what its replica said last."""
    failure = start_failure(pod, events, status)
    phase, since, detail = _where(pod, events, status)
    if failure is not None and (is_over(pod) or not is_running(pod)):
        phase, detail = Phase.FAILED, failure.phase.value
    address = _status(pod).get("podIP", "")
    return ReplicaState(
        replica=name_of(pod),
        pid=None,
        phase=phase,
        since=since,
        detail=detail,
        ready=is_ready(pod),
        restarts=restarts(pod),
        error=failure.reason if failure else "",
        endpoint=f"http://{f'[{address}]' if ':' in address else address}:{REPLICA_PORT}" if address else "",
    )


def _where(pod: Json, events: Sequence[Json], status: ReplicaStatus | None) -> tuple[Phase, float, str]:
    """Phase, since when, detail; the first that matches wins."""
    metadata = pod["metadata"]
    if is_going(pod):
        return (
            Phase.DRAINING,
            seconds(metadata["deletionTimestamp"]) - metadata.get("deletionGracePeriodSeconds", 0),
            "",
        )
    if is_ready(pod):
        return Phase.READY, seconds((_condition(pod, "Ready") or {}).get("lastTransitionTime")), ""
    scheduled = _condition(pod, "PodScheduled") or {}
    if scheduled.get("status") != "True":
        text = plain_words(str(scheduled.get("message") or "waits for a node"))
        more = _said(events, NODE_IS_COMING)
        return Phase.SCHEDULE, seconds(metadata.get("creationTimestamp")), f"{text}; {more}" if more else text
    main = _main(pod)
    if main is not None and (running := main.get("state", {}).get("running")):
        if status is None:
            return Phase.IMAGE, seconds(running.get("startedAt")), "process started"
        return status.phase, status.since, status.detail
    pulling = _said(events, ("Pulling",))
    detail = _said(events, BEFORE_START) or (pulling[:1].lower() + pulling[1:]) or "its container is being created"
    return Phase.IMAGE, seconds(scheduled.get("lastTransitionTime")), detail


def plain_words(text: str) -> str:
    """The scheduler's words but for what it says about preemption, which is no choice here."""
    for noise in (" no new claims to deallocate,", " preemption: "):
        text = text.partition(noise)[0]
    return text.strip()


def start_failure(pod: Json, events: Sequence[Json], status: ReplicaStatus | None) -> PodFailure | None:
    """Why this pod's start failed; None while it has not. The first that matches wins.

    1. Leaving or ready: no failure.
    2. Over: evicted, or refused by its node.
    3. A container whose image cannot be pulled, or that cannot be created.
    4. Its replica says that it failed.
    5. A container that exited, now or just before this run.
    """
    if is_going(pod) or is_ready(pod):
        return None
    name, seen = name_of(pod), _last_phase(status)
    if is_over(pod):
        reason = str(_status(pod).get("reason") or "it ended")
        text = str(_status(pod).get("message") or "").strip()
        ended = _first_end(pod, status)
        if ended is not None and not _status(pod).get("reason"):
            return ended
        return PodFailure(name, seen or Phase.SCHEDULE, f"the pod is over: {reason}{f': {text}' if text else ''}")
    for container in _containers(pod):
        reason, message = _waiting(container)
        if reason in PULL_FAILURES:
            words = _registry_words(message, events)
            text = f"image {_image(pod, container)} cannot be pulled: {words or reason}"
            return PodFailure(name, Phase.IMAGE, text)
        if reason in START_FAILURES:
            text = f"the container cannot be started: {message or reason}"
            return PodFailure(name, Phase.IMAGE, text)
    if status is not None and status.phase is Phase.FAILED and is_running(pod):
        return PodFailure(name, _phase(status.detail) or Phase.ENGINE, status.error, _container_name(pod))
    return _first_end(pod, status)


def _first_end(pod: Json, status: ReplicaStatus | None) -> PodFailure | None:
    for container in _containers(pod):
        state = container.get("state", {})
        now = state.get("terminated")
        ended = now or container.get("lastState", {}).get("terminated")
        if not ended or (_is_init(pod, container) and (ended.get("exitCode") == 0 or "running" in state)):
            continue
        if ended.get("reason") == "ContainerStatusUnknown":
            continue  # its node was away: nobody knows how it ended
        phase, reason = termination(ended, _limit(pod, container), _last_phase(status))
        previous = now is None
        return PodFailure(name_of(pod), phase, reason, str(container["name"]), previous)
    return None


def termination(ended: Json, memory_limit: str, seen: Phase | None) -> tuple[Phase, str]:
    """The phase in which a container ended, and why, in words. `seen`: the phase that its replica was last in."""
    code, message = int(ended.get("exitCode", 0)), str(ended.get("message") or "").strip()
    reason = str(ended.get("reason") or "")
    if reason == "OOMKilled":
        limit = f" of {memory_limit}" if memory_limit else ""
        return seen or Phase.ENGINE, f"it was killed because it used more memory than its limit{limit} (OOMKilled)"
    if reason in START_FAILURES:
        return Phase.IMAGE, f"the container cannot be started: {message or reason}"
    try:
        said = json.loads(message)
        return Phase(said["phase"]), str(said["reason"])
    except (ValueError, KeyError, TypeError):
        pass
    last = next((line.strip() for line in reversed(message.splitlines()) if line.strip()), "")
    number = code - KILLED
    how = f"was ended by signal {number}" + (f" ({SIGNALS[number]})" if number in SIGNALS else "")
    text = f"its process {how if 0 < number < 65 else f'exited with {code}'}"
    return seen or Phase.ENGINE, f"{text}: {last}" if last else text


def _registry_words(message: str, events: Sequence[Json]) -> str:
    """The registry's own words; a back-off has none, the event before it has."""
    if not message or message.startswith("Back-off pulling image"):
        _, _, cause = message.partition("ErrImagePull: ")
        failed = [text for text in _texts(events, ("Failed",)) if "pull image" in text]
        message = cause or (failed[-1] if failed else message)
    if message.startswith("Failed to pull image"):
        message = message.partition('": ')[2] or message
    _, _, plain = message.partition(" desc = ")
    return (plain or message).strip()


def _texts(events: Iterable[Json], reasons: Sequence[str]) -> list[str]:
    found = [each for each in events if each.get("reason") in reasons]
    found.sort(key=lambda each: seconds(each.get("lastTimestamp") or each.get("eventTime")))
    return [str(each.get("message") or "") for each in found]


def _said(events: Sequence[Json], reasons: Sequence[str]) -> str:
    texts = _texts(events, reasons)
    return texts[-1] if texts else ""


def _status(pod: Json) -> Json:
    found: Json = pod.get("status") or {}
    return found


def _condition(pod: Json, kind: str) -> Json | None:
    return next((each for each in _status(pod).get("conditions") or [] if each.get("type") == kind), None)


def _containers(pod: Json) -> list[Json]:
    """The statuses of its containers: those that prepare it first."""
    status = _status(pod)
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _is_init(pod: Json, container: Json) -> bool:
    return any(each is container for each in _status(pod).get("initContainerStatuses") or [])


def _container_name(pod: Json) -> str:
    return str(pod["spec"]["containers"][0]["name"])


def _main(pod: Json) -> Json | None:
    """The replica's container: the first."""
    name = _container_name(pod)
    return next((each for each in _status(pod).get("containerStatuses") or [] if each["name"] == name), None)


def _declared(pod: Json, container: Json) -> Json:
    spec = pod["spec"]
    every: list[Json] = [*(spec.get("initContainers") or []), *spec["containers"]]
    return next((each for each in every if each["name"] == container["name"]), {})


def _image(pod: Json, container: Json) -> str:
    return str(_declared(pod, container).get("image") or container.get("image", ""))


def _limit(pod: Json, container: Json) -> str:
    return str((_declared(pod, container).get("resources") or {}).get("limits", {}).get("memory", ""))


def _waiting(container: Json) -> tuple[str, str]:
    waiting = container.get("state", {}).get("waiting") or {}
    return str(waiting.get("reason") or ""), str(waiting.get("message") or "")


def _phase(text: str) -> Phase | None:
    return next((phase for phase in STARTING if phase.value == text), None)


def _last_phase(status: ReplicaStatus | None) -> Phase | None:
    if status is None:
        return None
    return _phase(status.detail) if status.phase is Phase.FAILED else status.phase if status.phase in STARTING else None
