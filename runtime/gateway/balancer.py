"""The live state of one service: its replicas' slots, who holds one, who waits for one, what its limits have left.

Slots are taken as leases and given back in `finally`; a lease knows its slot object, so a late finish on a replica that
has left, or that came back under the same name, never touches another count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from runtime.contract.activity import VersionCounts
from runtime.contract.host import Endpoint, ServiceView
from runtime.contract.replica import Limits
from runtime.gateway.hold import HoldQueue, may_hold
from runtime.gateway.limits import TokenBucket
from runtime.gateway.routing import SmoothWeighted, least_loaded, named_version

SUSPECT_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
"""How long a replica that refused a connection is passed over: after the first refusal, the second, ..."""


class NoReplica(Exception):
    """No replica became ready in time, or none may be waited for. `reason` is for the access log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RateLimited(Exception):
    """Every ready replica has used up its `qpsPerReplica`."""


@dataclass(eq=False, slots=True)
class Slot:
    """One replica as this gateway uses it."""

    service: str
    hash: str
    endpoint: Endpoint
    bucket: TokenBucket
    in_flight: int = 0
    last_used: int = 0
    refusals: int = 0
    suspect_until: float = 0.0


@dataclass(eq=False, slots=True)
class Activity:
    """What one version has done since the gateway knows it."""

    requests: int = 0
    wishes: int = 0  # requests that would have gone to this version, had it a ready replica
    ttft_count: int = 0
    ttft_seconds: float = 0.0


@dataclass(eq=False, slots=True)
class Lease:
    """A request's place on a replica. `release` may be called any number of times."""

    slot: Slot
    _owner: Balancer
    _held: bool = True

    def release(self) -> None:
        """Give the place back."""
        if self._held:
            self._held = False
            self.slot.in_flight -= 1
            self._owner.slot_freed(self.slot)


@dataclass(eq=False, slots=True)
class _Waiting:
    """The requests that wait for one version, or (hash None) for whichever the traffic map gives."""

    hash: str | None
    queue: HoldQueue[Lease] = field(default_factory=HoldQueue)


class Balancer:
    """One service. `clock` is monotonic, in seconds."""

    def __init__(self, name: str, view: ServiceView, clock: Callable[[], float]) -> None:
        self.name = name
        self.view = view
        self.in_flight = 0  # requests of this service inside the gateway, held ones included
        self.admitted = 0  # those that are authorized and within the limits
        self.held = 0
        self.limits = Limits()
        self._clock = clock
        self._uses = 0
        self._names: dict[str, str] = {}
        self._wrr = SmoothWeighted({})
        self._bucket = TokenBucket(0, clock())
        self._slots: dict[str, Slot] = {}  # by replica
        self._by_hash: dict[str, list[Slot]] = {}
        self._departed: set[Slot] = set()  # left the view with requests in flight
        self._waiting: dict[str | None, _Waiting] = {}
        self._activity: dict[str, Activity] = {}
        self._pump_timer: asyncio.TimerHandle | None = None
        self.apply(view)

    # What the view says ----------------------------------------------------------------------------------------------

    @property
    def stopped(self) -> bool:
        """Whether the table says that nothing is served."""
        return self.view.table is not None and self.view.table.stopped

    @property
    def needs_token(self) -> bool:
        """Only a table may switch the token off."""
        return self.view.table is None or self.view.table.auth == "token"

    @property
    def versions(self) -> dict[str, str]:
        """The names of the table, with their hashes."""
        return self._names

    def apply(self, view: ServiceView) -> None:
        """Take a new view: known replicas keep their counts, limits that did not change keep their buckets."""
        now = self._clock()
        self.view = view
        table = view.table
        limits = table.limits if table is not None else Limits()
        per_replica_changed = limits.qps_per_replica != self.limits.qps_per_replica
        if limits.qps != self._bucket.limit:
            self._bucket = TokenBucket(limits.qps, now)
        self.limits = limits
        self._names = {name: version.hash for name, version in table.versions.items()} if table is not None else {}
        weights = {version.hash: version.weight for version in table.versions.values()} if table is not None else {}
        fresh = SmoothWeighted(weights)
        if fresh.weights != self._wrr.weights:
            self._wrr = fresh
        known, self._slots, self._by_hash = self._slots, {}, {}
        for version_hash, endpoints in view.endpoints.items():
            for endpoint in endpoints:
                slot = known.pop(endpoint.replica, None)
                if slot is not None and (slot.hash != version_hash or slot.endpoint.address != endpoint.address):
                    self._depart(slot)
                    slot = None
                if slot is None:
                    slot = Slot(self.name, version_hash, endpoint, TokenBucket(limits.qps_per_replica, now))
                elif per_replica_changed:
                    slot.bucket = TokenBucket(limits.qps_per_replica, now)
                if endpoint.ready and not slot.endpoint.ready:
                    slot.refusals, slot.suspect_until = 0, 0.0
                slot.endpoint = endpoint
                self._slots[endpoint.replica] = slot
                self._by_hash.setdefault(version_hash, []).append(slot)
        for slot in known.values():
            self._depart(slot)
        current = {*self._names.values(), *view.endpoints}
        self._activity = {each: activity for each, activity in self._activity.items() if each in current}
        if self.stopped:
            for waiting in self._waiting.values():
                waiting.queue.refuse(NoReplica("the service was stopped"))
        self.pump()

    def remove(self) -> None:
        """The service has left the view: nobody waits for it any longer."""
        self.apply(ServiceView())
        for waiting in self._waiting.values():
            waiting.queue.refuse(NoReplica("the service was removed"))

    # Requests --------------------------------------------------------------------------------------------------------

    def find_version(self, wanted: str) -> str | None:
        """The hash that a request names by header; None when there is no such version."""
        return named_version(wanted, self._names, {*self._names.values(), *self.view.endpoints})

    def has_ready(self, version_hash: str | None) -> bool:
        """Whether a replica is ready now: of the version, or (None) of any version with a weight."""
        if version_hash is not None:
            return bool(self._usable(version_hash))
        return any(self._usable(each) for each in self._wrr.weights)

    def pass_rate_limit(self) -> bool:
        """Take one request from the service's rate."""
        return self._bucket.take(self._clock())

    def retry_after(self) -> int:
        """Whole seconds until the service's rate allows a request again, at least 1."""
        return max(1, -int(-self._bucket.wait_seconds(self._clock()) // 1))

    async def acquire(self, version_hash: str | None, *, hold_until: float | None = None) -> Lease:
        """A place on a replica: of one version, or (None) of the one whose turn it is.

        Waits until `hold_until` (the balancer's clock) when no replica is ready; None never waits.
        Raises NoReplica and RateLimited.
        """
        waiting = self._waiting.get(version_hash)
        if waiting is None or not waiting.queue or hold_until is None:
            lease = self.take(version_hash)
            if lease is not None:
                return lease
        if hold_until is None:
            raise NoReplica("no replica is ready")
        seconds = hold_until - self._clock()
        if not may_hold(stopped=self.stopped, hold_seconds=seconds, held=self.held):
            raise NoReplica("the service is stopped" if self.stopped else "no replica is ready and no more may wait")
        return await self._hold(version_hash, seconds)

    def take(self, version_hash: str | None, *, tried: Collection[Slot] = (), gently: bool = False) -> Lease | None:
        """Choose version and replica now; None when no replica is there. Raises RateLimited.

        Replicas in `tried` are not chosen. `gently` is for those who waited: no more at once per replica than its own
        queue is sure to admit, and a replica's rate is waited for instead of refused.
        """
        now = self._clock()
        if version_hash is None:
            if self.stopped:
                return None
            candidates = {each: self._candidates(each, tried, gently, now) for each in self._wrr.weights}
            ready = [each for each, slots in candidates.items() if slots]
            chosen = self._wrr.pick(ready)
            if chosen is None:
                return None
            if len(ready) < len(candidates) and not tried:
                for missing in candidates:
                    if not self._usable(
                        missing
                    ):  # another version serves meanwhile; the report says this one is wanted
                        self._activity_of(missing).wishes += 1
            slots = candidates[chosen]
        else:
            chosen = version_hash
            slots = self._candidates(version_hash, tried, gently, now)
            if not slots:
                return None
        if self.limits.qps_per_replica > 0:
            slots = [slot for slot in slots if slot.bucket.wait_seconds(now) <= 0]
        slot = least_loaded(slots)
        if slot is None:
            raise RateLimited
        slot.bucket.take(now)
        self._uses += 1
        slot.last_used = self._uses
        slot.in_flight += 1
        self._activity_of(chosen).requests += 1
        return Lease(slot, self)

    def suspect(self, slot: Slot) -> None:
        """A replica refused a connection: pass it over for a while, a little longer each time in a row."""
        pause = SUSPECT_SECONDS[min(slot.refusals, len(SUSPECT_SECONDS) - 1)]
        slot.refusals += 1
        slot.suspect_until = self._clock() + pause

    def slot_freed(self, slot: Slot) -> None:
        """A lease was released."""
        if not slot.in_flight:
            self._departed.discard(slot)
        if self._waiting:
            self.pump()

    def answered(self, slot: Slot, ttft: float | None) -> None:
        """A replica answered a request, its first body byte after `ttft` seconds."""
        slot.refusals = 0
        if ttft is not None:
            activity = self._activity_of(slot.hash)
            activity.ttft_count += 1
            activity.ttft_seconds += ttft

    # Reports ---------------------------------------------------------------------------------------------------------

    def in_flight_by_replica(self) -> dict[str, int]:
        """Requests in flight, those on replicas that have left the view included."""
        counts = {replica: slot.in_flight for replica, slot in self._slots.items()}
        for slot in self._departed:
            counts[slot.endpoint.replica] = counts.get(slot.endpoint.replica, 0) + slot.in_flight
        return counts

    def counts(self) -> dict[str, VersionCounts]:
        """What each version does and has done."""
        in_flight: dict[str, int] = {}
        for slot in (*self._slots.values(), *self._departed):
            in_flight[slot.hash] = in_flight.get(slot.hash, 0) + slot.in_flight
        held: dict[str, float] = {}
        for waiting in self._waiting.values():
            shares = {waiting.hash: 1.0} if waiting.hash is not None else self._wrr.shares()
            for version_hash, share in shares.items():
                held[version_hash] = held.get(version_hash, 0) + len(waiting.queue) * share
        result = {}
        for version_hash in {*in_flight, *held, *self._activity}:
            activity = self._activity.get(version_hash) or Activity()
            result[version_hash] = VersionCounts(
                in_flight=in_flight.get(version_hash, 0),
                held=held.get(version_hash, 0),
                wishes=activity.wishes,
                requests=activity.requests,
                ttft_count=activity.ttft_count,
                ttft_ms=activity.ttft_seconds * 1000,
            )
        return result

    @property
    def idle(self) -> bool:
        """Whether nothing of this service is under way."""
        return not self.in_flight and not self._departed and not any(slot.in_flight for slot in self._slots.values())

    def pump(self) -> None:
        """Give free replicas to the requests that wait, in order of arrival."""
        for key, waiting in list(self._waiting.items()):
            while waiting.queue:
                lease = self.take(waiting.hash, gently=True)
                if lease is None:
                    break
                waiting.queue.grant(lease)
            if not waiting.queue:
                del self._waiting[key]
        self._arm_pump()

    # Inside ----------------------------------------------------------------------------------------------------------

    def _usable(self, version_hash: str) -> list[Slot]:
        now = self._clock()
        return [
            slot
            for slot in self._by_hash.get(version_hash, ())
            if slot.endpoint.ready and not slot.endpoint.draining and slot.suspect_until <= now
        ]

    def _candidates(self, version_hash: str, tried: Collection[Slot], gently: bool, now: float) -> list[Slot]:
        slots = self._usable(version_hash)
        if tried:
            slots = [slot for slot in slots if slot not in tried]
        if gently and self.limits.queue > 0:
            slots = [slot for slot in slots if slot.in_flight < self.limits.queue]
        if gently and self.limits.qps_per_replica > 0:
            slots = [slot for slot in slots if slot.bucket.wait_seconds(now) <= 0]
        return slots

    async def _hold(self, version_hash: str | None, seconds: float) -> Lease:
        waiting = self._waiting.setdefault(version_hash, _Waiting(version_hash))
        place = waiting.queue.join()
        self.held += 1
        self._arm_pump()
        try:
            async with asyncio.timeout(seconds):
                try:
                    return await place
                except asyncio.CancelledError:
                    if place.done() and not place.cancelled():  # granted in the very moment of giving up
                        place.result().release()
                    raise
        except TimeoutError:
            raise NoReplica(f"no replica became ready within {seconds:g} s") from None
        finally:
            self.held -= 1

    def _arm_pump(self) -> None:
        """Wake when a suspect may be tried again or a replica's rate allows a request: no view changes then."""
        if self._pump_timer is not None:
            self._pump_timer.cancel()
            self._pump_timer = None
        if not self._waiting:
            return
        now = self._clock()
        times = [
            until
            for slot in self._slots.values()
            if slot.endpoint.ready and (until := max(slot.suspect_until, now + slot.bucket.wait_seconds(now))) > now
        ]
        if times:
            self._pump_timer = asyncio.get_running_loop().call_later(min(times) - now + 0.001, self.pump)

    def _activity_of(self, version_hash: str) -> Activity:
        activity = self._activity.get(version_hash)
        if activity is None:
            activity = self._activity[version_hash] = Activity()
        return activity

    def _depart(self, slot: Slot) -> None:
        if slot.in_flight:
            self._departed.add(slot)
