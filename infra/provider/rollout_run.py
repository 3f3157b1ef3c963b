"""One rollout under way: every effect on its place is here, the decisions are in rollout_steps.

Note: docs/designs/local-target.md
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from infra.hostclient import Absent, HostGone, HostProblem
from infra.place import Place, Way
from infra.provider import measuring, proof
from infra.provider.gateway_wait import GatewayWait
from infra.provider.operation import Cancellation, Cancelled, Operation, Refused
from infra.provider.rollout_steps import Failed, Ready, Timeouts, Waiting, failure_text, judge, seed
from runtime.contract.document import Document
from runtime.contract.host import Scale, VersionState
from runtime.contract.phases import Phase
from runtime.contract.route import RouteTable
from runtime.contract.version import Bounds

LEASE_SECONDS = 30.0
RENEW_SECONDS = 8.0
HANDOVER_SECONDS = 600.0
"""After a recreate the old version stays at zero for so long at most: the route moves, or it comes back by itself."""
MAKE_ROOM_SECONDS = 10.0
"""So long a failed recreate waits for the new version's end before the old one comes back."""
UNAUTHORIZED_SECONDS = 10.0
LOG_LINES = 15


class RolloutInputs(Document):
    """What is declared. Strategy, share and token matter to the next rollout and are no change by themselves."""

    state: str
    endpoint: str
    service: str
    hash: str
    strategy: Literal["surge", "recreate"] = "surge"
    surge: int = Field(default=1, ge=1)
    timeouts: Timeouts = Timeouts()
    stopped: bool = False
    replicas: Bounds = Bounds()
    share: int = Field(default=100, ge=0, le=100)
    token: str = Field(repr=False)


@dataclass(frozen=True)
class Clock:
    """Time as a rollout sees it; tests pass their own. `now` is Unix seconds."""

    now: Callable[[], float] = time.time
    sleep: Callable[[Cancellation, float], None] = Cancellation.sleep


class RolloutRun:
    """Lease, seed, wait, prove; on failure everything as it was."""

    def __init__(self, args: RolloutInputs, operation: Operation, host: Place, clock: Clock) -> None:
        self.args = args
        self.operation = operation
        self.host = host
        self.clock = clock
        self.resting: list[str] = []  # hashes of old versions that were scaled to zero
        self.renewed = 0.0
        self.routed = False
        self.stopped = False  # the route says so still: a start under way
        self.name = ""
        self.shown = ""
        self.starts = measuring.Starts()

    def prove(self) -> None:
        """Lease, seed, wait, prove, end the lease; on any failure take the version back and raise Refused."""
        args = self.args
        began = self.clock.now()
        table = route_table(self.host, args.service)
        others = [v.hash for v in table.versions.values() if v.hash != args.hash] if table else []
        self.routed = table is not None and any(v.hash == args.hash for v in table.versions.values())
        self.stopped = table is not None and table.stopped
        live = {hash: self._wanted(hash) for hash in others}
        state = self.host.lease(args.service, args.hash, LEASE_SECONDS)
        self.renewed = began
        self.name = state.record.name
        try:
            if args.strategy == "recreate" and not self.routed:
                self._rest(state, (hash for hash, count in live.items() if count))
            scale = seed(bounds=args.replicas, share=args.share, live=live.values(), current=state.wanted)
            if scale.temporary or state.wanted != scale.replicas:
                state = self.host.scale(args.service, args.hash, scale)
            self._wait(scale.replicas)
            asked = self._ask()
        except Cancelled:
            self._take_back()
            raise Refused(
                f"service {args.service}, version {self.name} ({args.hash}): cancelled while it came up"
            ) from None
        except (HostProblem, HostGone, Refused):
            self._take_back()
            raise
        self._measure(asked)
        for hash in self.resting:
            self.host.lease(args.service, hash, HANDOVER_SECONDS)
        self.host.end_lease(args.service, args.hash)
        self.operation.status(f"answered after {self.clock.now() - began:.1f} s")

    def _wanted(self, hash: str) -> int:
        try:
            return self.host.version(self.args.service, hash).wanted
        except Absent:
            return 0

    def _rest(self, state: VersionState, hashes: Iterator[str]) -> None:
        """Recreate: the old versions give their memory back first; requests are held meanwhile."""
        for hash in hashes:
            self.host.lease(self.args.service, hash, LEASE_SECONDS)
            self.resting.append(hash)
            self.host.scale(self.args.service, hash, Scale(replicas=0, temporary=True))
        if not state.wanted:
            self.host.scale(self.args.service, self.args.hash, Scale(replicas=0))  # a Deployment is born with one
        self._show("recreate: waiting for the old version to stop; requests are held")
        while any(self._runs(hash) for hash in self.resting):
            self._pause(self.host.poll_seconds)

    def _runs(self, hash: str) -> bool:
        return any(replica.pid or replica.endpoint for replica in self.host.version(self.args.service, hash).replicas)

    def _show(self, status: str) -> None:
        """Progress, each text once."""
        if status != self.shown:
            self.shown = status
            self.operation.status(status)

    def _wait(self, want: int) -> None:
        began = self.clock.now()
        while True:
            state = self.host.version(self.args.service, self.args.hash)
            self.starts.look(state)
            match judge(state, want=want, clocks=self.args.timeouts, began=began, now=self.clock.now()):
                case Ready():
                    return
                case Failed() as failed:
                    raise self._failure(failed)
                case Waiting() as waiting:
                    self._show(str(waiting))
            self._pause(self.host.poll_seconds)

    def _ask(self) -> float:
        """One generation, within the clock of the first token; when that clock began.

        It begins with a ready gateway, which may need a moment to see a new replica.
        """
        with self.host.way_to_gateway(self.args.endpoint) as way:
            return self._ask_by(way)

    def _ask_by(self, way: Way) -> float:
        args = self.args
        began = self.clock.now()
        clock = args.timeouts.first_token
        wait = GatewayWait(self.host, self.clock.now, began)
        while True:
            gateways = wait.look()
            if gateways.failure:
                reason = f"no gateway can be asked: {gateways.failure}"
                raise self._failure(Failed(Phase.FIRST_TOKEN, reason, gateways.log_tail))
            if gateways.starting:
                self._show(f"waiting for the gateway: {gateways.starting}")
                self._pause(self.host.poll_seconds)
                began = self.clock.now()
                continue
            left = clock - (self.clock.now() - began)
            self._show(f"first token {clock - left:.0f} s")
            status = 0
            try:
                answer = proof.ask(
                    way.url, args.service, args.hash, args.token,
                    timeout=max(left, 0.1), cancellation=self.operation.cancellation,
                )  # fmt: skip
                status, problem = answer.status, proof.verdict(answer, args.hash)
                if not problem:
                    return began
            except OSError as lost:
                problem = way.problem or f"the gateway at {args.endpoint} does not answer ({lost})"
            spent = self.clock.now() - began
            final = status not in proof.AGAIN and status != 0
            if final or spent >= clock or (status == 401 and spent >= UNAUTHORIZED_SECONDS):
                late = "" if final else f" for {spent:.0f} s (rollout.timeouts.firstToken is {clock:g} s)"
                raise self._failure(Failed(Phase.FIRST_TOKEN, f"no generation was answered{late}: {problem}"))
            state = self.host.version(args.service, args.hash)
            if state.failure is not None and not any(replica.ready for replica in state.replicas):
                raise self._failure(Failed(state.failure.phase, state.failure.reason, state.failure.log_tail))
            self._pause(self.host.poll_seconds)

    def _measure(self, asked: float) -> None:
        """Keep how long the start took, for the next plan to show. Nothing depends on it."""
        seconds = self.starts.seconds(asked, self.clock.now())
        if seconds:
            state = self.host.version(self.args.service, self.args.hash)
            if problem := measuring.keep(state, seconds, where=self.args.state):
                self._show(problem)

    def _pause(self, seconds: float) -> None:
        """Wait, and keep the leases alive."""
        late = self.clock.now() - self.renewed
        if late >= RENEW_SECONDS:
            try:
                for hash in (self.args.hash, *self.resting):
                    self.host.lease(self.args.service, hash, LEASE_SECONDS)
                self.renewed = self.clock.now()
            except HostGone:
                if late >= LEASE_SECONDS:
                    raise
        self.clock.sleep(self.operation.cancellation, seconds)

    def _failure(self, failed: Failed) -> Refused:
        tail = failed.log_tail
        if not tail:
            with suppress(HostProblem, HostGone):
                text = self.host.logs(self.args.service, self.args.hash, tail=LOG_LINES)
                tail = tuple(line for line in text.splitlines() if line.strip())
        failed = Failed(failed.phase, failed.reason, tail[-LOG_LINES:])
        return Refused(failure_text(service=self.args.service, version=self.name, hash=self.args.hash, failed=failed))

    def _take_back(self) -> None:
        """After a failure: the new version to zero, the old ones as they were.

        A version that the route names keeps what it has: the host goes on trying. A service that was to be started
        stays under the short lease at zero, because a released one runs on for a while.
        """
        service, hash = self.args.service, self.args.hash
        with suppress(HostProblem, HostGone):
            if self.routed and not self.stopped:
                self.host.end_lease(service, hash)
            elif self.routed:
                self.host.scale(service, hash, Scale(replicas=0, temporary=True))
            else:
                self.host.scale(service, hash, Scale(replicas=0))
                self.host.end_lease(service, hash)
            began = self.clock.now()
            while self.resting and self._runs(hash) and self.clock.now() - began < MAKE_ROOM_SECONDS:
                self.clock.sleep(
                    Cancellation(), self.host.poll_seconds
                )  # also when cancelled: the old one needs the memory
        for old in self.resting:
            with suppress(HostProblem, HostGone):
                self.host.end_lease(service, old)


def route_table(host: Place, service: str) -> RouteTable | None:
    """A service's table; None when it has none."""
    try:
        return host.route(service).table
    except Absent:
        return None
