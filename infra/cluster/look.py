"""Looking at a version: its pods, what they and their replicas say, and what a failed one wrote last.

Note: docs/designs/kubernetes-target.md, rule 3
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from infra.cluster import observe, pods
from infra.cluster.placing import Placing
from infra.cluster.pods import Json, PodFailure, name_of
from infra.cluster.session import Session
from runtime.contract.cluster import HASH, REPLICA_PORT, SERVICE, version_name
from runtime.contract.desired import Version
from runtime.contract.host import ReplicaState, VersionFailure, VersionState
from runtime.contract.names import STATUS_PATH
from runtime.contract.replica import ReplicaStatus
from runtime.contract.route import RouteTable
from runtime.kubeapi import DEPLOYMENTS, KubeProblem, request

STATUS_SECONDS = 1.0
"""A replica is asked how far it is once in so long."""
STATUS_TIMEOUT = 2.0
ASKED_AT_ONCE = 8
LOG_LINES = 15
Key = tuple[str, str]


@dataclass
class Heard:
    """What replicas and logs said, by pod."""

    statuses: dict[str, ReplicaStatus] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)  # pod -> when, monotonic
    tails: dict[tuple[str, str, bool, int], tuple[str, ...]] = field(default_factory=dict)
    failures: dict[Key, VersionFailure] = field(default_factory=dict)  # by version: to be kept in its row


class Looks:
    """What is seen of versions in one namespace. Raises KubeProblem."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._heard = Heard()
        self._placing = Placing(session)

    def failure(self, service: str, hash: str) -> VersionFailure | None:
        """The failure that was last seen, to be kept in the row: its pods go with it."""
        return self._heard.failures.get((service, hash))

    def forget(self, service: str, hash: str) -> None:
        """A new lease: what failed before counts for nothing."""
        self._heard.failures.pop((service, hash), None)

    async def of(self, service: str, hash: str) -> list[Json]:
        """The pods of a version, the oldest first."""
        return observe.by_age(await self.pods(service, hash))

    async def pods(self, service: str, hash: str) -> list[Json]:
        return of_version((await self._session.follow("pods")).values(), service, hash)

    async def look(self, row: Version, table: RouteTable | None, without: Iterable[str] = ()) -> VersionState:
        gone = set(without)
        mine = [pod for pod in await self.pods(*row.key) if name_of(pod) not in gone]
        deployments = await self._session.follow("deployments")
        await self._ask(mine)
        events = await self.events(mine)
        name = version_name(*row.key)
        deployment = deployments.get(name)
        if deployment is None and not mine and row.lease_epoch:
            deployment = await self._session.find(DEPLOYMENTS, name)  # the watch may be a moment behind
        state = self.state(row, table, deployment, mine, events)
        if said := await self._placing.of(mine):
            state = state.model_copy(update={"replicas": tuple(_more(each, said) for each in state.replicas)})
        failed = observe.failed_pod(mine, events, self._heard.statuses)
        if failed is not None and state.failure is not None:
            tail = await self.tail(failed, mine)
            self._heard.failures[row.key] = failure = state.failure.model_copy(update={"log_tail": tail})
            state = state.model_copy(update={"failure": failure})
        elif state.failure is not None:
            self._heard.failures[row.key] = state.failure
        return state

    def state(
        self,
        row: Version,
        table: RouteTable | None,
        deployment: Json | None,
        mine: list[Json],
        events: dict[str, list[Json]] | None = None,
    ) -> VersionState:
        state = observe.version_state(
            row,
            deployment=deployment,
            pods=mine,
            events=events or {},
            statuses=self._heard.statuses,
            route=table,
            now=self._session.now(),
        )
        skew = self._session.skew
        if not skew:
            return state
        shifted = tuple(each.model_copy(update={"since": each.since - skew}) for each in state.replicas)
        return state.model_copy(update={"replicas": shifted})  # to the clock of whoever asks

    async def _ask(self, mine: Iterable[Json]) -> None:
        now = time.monotonic()
        due = [
            name_of(pod)
            for pod in mine
            if pods.asks_status(pod) and now - self._heard.asked.get(name_of(pod), float("-inf")) >= STATUS_SECONDS
        ]
        await asyncio.gather(*(self._ask_one(pod) for pod in due[:ASKED_AT_ONCE]))

    async def _ask_one(self, pod: str) -> None:
        self._heard.asked[pod] = time.monotonic()
        try:
            answer = await request(
                self._session.kube, self._session.namespace, pod, REPLICA_PORT, "GET", STATUS_PATH,
                timeout=STATUS_TIMEOUT,
            )  # fmt: skip
            self._heard.statuses[pod] = ReplicaStatus.from_json(answer.body)
        except (KubeProblem, ValidationError):
            return  # it does not listen yet, or has ended: the API server knows

    async def events(self, mine: list[Json]) -> dict[str, list[Json]]:
        """The events about these pods, by pod; none when they could say no more than the pods themselves."""
        if not observe.needs_events(mine):
            return {}
        names = {name_of(pod) for pod in mine}
        found: dict[str, list[Json]] = {}
        for event in (await self._session.follow("events")).values():
            about = (event.get("involvedObject") or {}).get("name")
            if about in names:
                found.setdefault(about, []).append(event)
        return found

    async def tail(self, failed: PodFailure, mine: Iterable[Json]) -> tuple[str, ...]:
        """The last lines of a failed container's log, asked for once a run of it."""
        if not failed.container:
            return ()
        restarts = next((pods.restarts(pod) for pod in mine if name_of(pod) == failed.pod), 0)
        key = (failed.pod, failed.container, failed.previous, restarts)
        if key not in self._heard.tails:
            try:
                text = await self._session.kube.logs(
                    self._session.namespace, failed.pod, container=failed.container, tail=LOG_LINES,
                    previous=failed.previous,
                )  # fmt: skip
            except KubeProblem:
                return ()
            self._heard.tails[key] = tuple(line for line in text.splitlines() if line.strip())
        return self._heard.tails[key]


def _more(replica: ReplicaState, said: Mapping[str, str]) -> ReplicaState:
    more = said.get(replica.replica)
    return replica.model_copy(update={"detail": f"{replica.detail} ({more})"}) if more else replica


def of_version(every: Iterable[Json], service: str, hash: str) -> list[Json]:
    """The pods of one version."""
    wish = {SERVICE: service, HASH: hash}.items()
    return [pod for pod in every if wish <= (pod["metadata"].get("labels") or {}).items()]
