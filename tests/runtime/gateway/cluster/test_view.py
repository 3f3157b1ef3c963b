"""From a namespace's objects to a gateway's view."""

from __future__ import annotations

import logging

import pytest

from runtime.contract.cluster import REPLICA_KEY, ROUTE_KEY, TOKENS, VERSION_KEY
from runtime.contract.host import Endpoint, ServiceView
from runtime.gateway.cluster.view import Eyes, Seen, Snapshot, View, shared
from runtime.kubeapi import Object
from tests.runtime.gateway.cluster.things import (
    HASH,
    NAME,
    encoded,
    endpoint,
    gateway_slice,
    limited,
    route,
    route_map,
    secret,
    version,
    version_map,
    version_slice,
)


def by_name(*objects: Object) -> dict[str, Object]:
    return {each["metadata"]["name"]: each for each in objects}


def see(*, now: float = 100.0, eyes: Eyes | None = None, **kinds: dict[str, Object]) -> Seen:
    return (eyes or Eyes()).see(Snapshot(**kinds), now)


def chat(seen: Seen) -> ServiceView:
    return seen.services["chat"]


def test_an_empty_namespace_is_an_empty_view() -> None:
    seen = see()
    assert (seen.services, seen.replica_key, seen.ready_gateways) == ({}, b"", 1)


def test_a_service_is_its_route_its_tokens_its_versions_and_their_pods() -> None:
    seen = see(
        versions=by_name(version_map(version(live=2))),
        routes=by_name(route_map(route())),
        secrets=by_name(secret(chat="t")),
        slices=by_name(version_slice(endpoint("chat-a", "10.0.0.7", ready=True))),
    )
    assert chat(seen).table == route()
    assert chat(seen).tokens == ("t",)
    assert chat(seen).versions[HASH].live == 2
    assert chat(seen).endpoints == {HASH: (Endpoint(replica="chat-a", address="http://10.0.0.7:8000", ready=True),)}
    assert seen.replica_key == b"replica-secret"


def test_a_version_without_a_route_or_pods_is_known_all_the_same() -> None:
    seen = see(versions=by_name(version_map(version())))
    assert chat(seen).table is None
    assert chat(seen).endpoints == {HASH: ()}


@pytest.mark.parametrize(
    ("conditions", "ready", "draining"),
    [
        ({"ready": True, "serving": True, "terminating": False}, True, False),
        ({"ready": False, "serving": False, "terminating": False}, False, False),
        ({"ready": False, "serving": True, "terminating": True}, False, True),
        ({"ready": True, "terminating": True}, False, True),  # a Service that publishes not ready addresses
        ({}, True, False),  # unknown counts as ready
    ],
)
def test_conditions_of_a_pod(conditions: dict[str, bool], ready: bool, draining: bool) -> None:
    slices = by_name(version_slice(endpoint("a", "10.0.0.7", **conditions)))
    [found] = chat(see(versions=by_name(version_map(version())), slices=slices)).endpoints[HASH]
    assert (found.ready, found.draining) == (ready, draining)


def test_a_pod_in_two_slices_is_one_replica() -> None:
    slices = by_name(
        version_slice(endpoint("a", "fd00::7", ready=True), kind="IPv6", name="six"),
        version_slice(endpoint("a", "10.0.0.7", ready=True), name="four"),
    )
    [found] = chat(see(versions=by_name(version_map(version())), slices=slices)).endpoints[HASH]
    assert found.address == "http://10.0.0.7:8000"


def test_an_ipv6_pod_has_brackets_in_its_address() -> None:
    slices = by_name(version_slice(endpoint("a", "fd00::7", ready=True), kind="IPv6"))
    [found] = chat(see(versions=by_name(version_map(version())), slices=slices)).endpoints[HASH]
    assert found.address == "http://[fd00::7]:8000"


def test_an_overlap_of_tokens_ends_by_itself() -> None:
    eyes, secrets, routes = Eyes(), by_name(secret(chat="new|old|200")), by_name(route_map(route()))
    assert chat(see(now=199.0, eyes=eyes, secrets=secrets, routes=routes)).tokens == ("new", "old")
    assert chat(see(now=200.0, eyes=eyes, secrets=secrets, routes=routes)).tokens == ("new",)


@pytest.mark.parametrize(
    ("limits", "gateways", "qps", "per_replica", "concurrency", "queue"),
    [
        ({"qps": 10, "concurrency": 5}, 1, 10, 0, 5, 64),
        ({"qps": 10, "concurrency": 5}, 2, 5, 0, 3, 32),
        ({"qps": 1, "concurrency": 1, "qps_per_replica": 3, "queue": 8}, 3, 1 / 3, 1, 1, 3),
        ({"queue": 0}, 2, 0, 0, 0, 0),  # 0 stays off
    ],
)
def test_limits_are_shared_by_the_ready_gateways(
    limits: dict[str, float], gateways: int, qps: float, per_replica: float, concurrency: int, queue: int
) -> None:
    part = shared(limited(**limits), gateways).limits
    assert (part.qps, part.qps_per_replica) == (qps, per_replica)
    assert (part.concurrency, part.queue) == (concurrency, queue)


def test_gateways_that_end_or_are_not_ready_share_nothing() -> None:
    slices = by_name(
        gateway_slice(
            endpoint("g-a", "10.0.0.1", ready=True),
            endpoint("g-b", "10.0.0.2", ready=True),
            endpoint("g-c", "10.0.0.3", ready=False),
            endpoint("g-d", "10.0.0.4", ready=False, terminating=True),
        )
    )
    seen = see(slices=slices, routes=by_name(route_map(limited(qps=10))))
    assert seen.ready_gateways == 2
    table = chat(seen).table
    assert table is not None
    assert table.limits.qps == 5
    assert seen.routes["chat"].limits.qps == 10


def test_only_a_change_raises_the_revision() -> None:
    view, eyes, routes = View("g"), Eyes(), by_name(route_map(route()))
    assert view.update({})
    assert not view.update({})
    assert view.update(see(eyes=eyes, routes=routes).services)
    assert not view.update(see(eyes=eyes, routes=routes, now=101.0).services)
    assert view.current.revision == 2


@pytest.mark.parametrize("broken", ["{", '{"record": 5}', '{"service": "chat", "tokens": ["hush"]}', "5"])
def test_a_broken_object_is_named_and_its_service_keeps_what_it_had(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    eyes = Eyes()
    good = {
        "versions": by_name(version_map(version(live=2))),
        "routes": by_name(route_map(route())),
        "secrets": by_name(secret(chat="t", other="u")),
    }
    before = see(eyes=eyes, **good)
    bad = {
        "versions": by_name({**version_map(version()), "data": {VERSION_KEY: broken}}),
        "routes": by_name({**route_map(route()), "data": {ROUTE_KEY: broken}}),
        "secrets": {TOKENS: {"data": {**secret(other="u2")["data"], "chat": encoded(broken)}}},
    }
    with caplog.at_level(logging.ERROR):
        after = see(eyes=eyes, **bad)
        see(eyes=eyes, **bad)
    assert chat(after) == chat(before)
    assert len(caplog.records) == 3, "once each, not at every look"
    assert {NAME, "chat-route", "chat"} == {
        record.args[1] for record in caplog.records if isinstance(record.args, tuple)
    }
    assert "hush" not in caplog.text


def test_what_was_never_readable_is_left_out() -> None:
    seen = see(routes={"x": {"metadata": {"name": "x"}, "data": {ROUTE_KEY: "{"}}}, secrets=by_name(secret()))
    assert seen.services == {}


@pytest.mark.parametrize("key", [encoded("two\r\nlines"), "no base64!", encoded("größe")])
def test_a_replica_key_that_no_header_can_hold_is_none(key: str) -> None:
    assert see(secrets={TOKENS: {"data": {REPLICA_KEY: key}}}).replica_key == b""
