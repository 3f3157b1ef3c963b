"""The admin API through its socket, with a gateway that the test plays."""

from __future__ import annotations

import asyncio
import json
import logging
import stat

import pytest

from runtime.contract.host import GatewayReport
from runtime.contract.wanted import ORPHAN_SECONDS
from tests.runtime.host.conftest import Local, record


async def report(host: Local, **more: object) -> None:
    view = json.loads(await first_line(host))
    given = {"gateway": "g", "incarnation": view["incarnation"], "revision": view["revision"], **more}
    body = GatewayReport.model_validate(given).to_json()
    assert (await host.call("POST", "/v1/gateway/report", body)).status == 200


async def first_line(host: Local) -> bytes:
    async with host.session.get("http://host/v1/watch") as lines:
        return await lines.content.readline()


async def test_an_older_epoch_is_refused(host: Local) -> None:
    first = (await host.call("POST", "/v1/epochs"))["epoch"]
    second = (await host.call("POST", "/v1/epochs"))["epoch"]
    assert second == first + 1
    version = record()
    path = f"/v1/services/chat/versions/{version.hash}"
    stale = await host.call("PUT", path, version.to_json(), epoch=first)
    assert (stale.status, stale["code"]) == (409, "StaleEpoch")
    assert (await host.call("PUT", path, version.to_json(), epoch=second)).status == 200
    assert (await host.call("PUT", f"{path}/scale", {"replicas": 0})).status == 200, "an operator's hand has no epoch"


async def test_a_rotated_token_leaves_the_old_one_valid_for_the_overlap(
    host: Local, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await host.declare(record())
    await host.call("PUT", "/v1/services/chat/token", {"token": "first-token", "rotation": 1})
    await host.call("PUT", "/v1/services/chat/token", {"token": "second-token", "rotation": 2, "overlapSeconds": 600})
    settings = host.folder.settings / "chat.json"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert json.loads(settings.read_text())["tokens"] == ["second-token", "first-token"]
    assert json.loads(await first_line(host))["services"]["chat"]["tokens"] == ["second-token", "first-token"]
    host.ahead = 601
    host.host.step()
    assert json.loads(settings.read_text())["tokens"] == ["second-token"]
    assert json.loads(await first_line(host))["services"]["chat"]["tokens"] == ["second-token"]
    assert "first-token" not in caplog.text
    assert "second-token" not in caplog.text


async def test_an_orphan_is_swept_and_listed_as_drift_until_it_is_routed(host: Local) -> None:
    path = await host.run(record())
    since = (await host.state(path)).orphan_since
    assert since is not None
    host.stopped_at = since + ORPHAN_SECONDS - 1
    host.host.step()
    assert len((await host.state(path)).replicas) == 1
    assert (await host.get("/v1/drift"))["list"] == []
    host.ahead, host.stopped_at = ORPHAN_SECONDS + 1, None
    host.host.step()
    await host.until(path, lambda state: not state.replicas)
    drift = (await host.get("/v1/drift"))["list"]
    assert [(entry["service"], entry["hash"]) for entry in drift] == [("chat", record().hash)]
    await host.route({record().hash: 100})
    await host.until(path, lambda state: bool(state.replicas) and state.replicas[0].ready)
    assert (await host.get("/v1/drift"))["list"] == []


async def test_a_route_is_applied_when_the_gateway_has_reported_it(host: Local) -> None:
    await host.declare(record())
    state = await host.route({record().hash: 100})
    assert (state["table"]["generation"], state["applied"]) == (1, 0)
    early = await host.get("/v1/services/chat/route?wait=1&seconds=0.1")
    assert (early.status, early["code"]) == (409, "Invalid")
    waiting = asyncio.create_task(host.get("/v1/services/chat/route?wait=1&seconds=10"))
    await report(host, generations={"chat": 1})
    answer = await waiting
    assert (answer.status, answer["applied"]) == (200, 1)


async def test_generations_count_changes_and_go_on_after_a_delete(host: Local) -> None:
    await host.declare(record())
    digest = record().hash
    assert (await host.route({digest: 100}))["table"]["generation"] == 1
    assert (await host.route({digest: 100}))["table"]["generation"] == 1
    assert (await host.route({digest: 100}, webui=True))["table"]["generation"] == 2
    await host.call("DELETE", "/v1/services/chat/route")
    assert (await host.route({digest: 100}))["table"]["generation"] == 3


async def test_a_routed_version_cannot_be_deleted_or_drained(host: Local) -> None:
    path = await host.declare(record())
    await host.route({record().hash: 100})
    for method, where in (("DELETE", path), ("POST", f"{path}/drain")):
        answer = await host.call(method, where)
        assert (answer.status, answer["code"]) == (409, "InUse")


async def test_drain_waits_for_the_last_request(host: Local) -> None:
    path = await host.run(record())
    replica = (await host.state(path)).replicas[0].replica
    await report(host, inFlight={replica: 1})
    draining = asyncio.create_task(host.call("POST", f"{path}/drain"))
    await asyncio.sleep(0.2)
    assert not draining.done()
    await report(host, inFlight={replica: 0})
    assert (await draining).status == 200


async def test_scaling_down_tells_the_gateway_before_the_replica(host: Local) -> None:
    path = await host.run(record(minimum=0))
    replica = (await host.state(path)).replicas[0]
    await report(host)
    await host.call("PUT", f"{path}/scale", {"replicas": 0})
    await host.until(path, lambda state: state.replicas[0].phase == "draining")
    view = json.loads(await first_line(host))
    endpoint = view["services"]["chat"]["endpoints"][record(minimum=0).hash][0]
    assert (endpoint["replica"], endpoint["draining"]) == (replica.replica, True)
    await asyncio.sleep(0.3)
    assert host.processes() == {replica.pid}, "the gateway has not taken it out yet"
    await report(host)
    await host.until(path, lambda state: not state.replicas)


async def test_a_stopped_service_has_no_replicas_until_a_lease_holds_them(host: Local) -> None:
    path = await host.run(record())
    await host.route({record().hash: 100}, stopped=True)
    await host.until(path, lambda state: not state.replicas)
    await host.call("PUT", f"{path}/lease", {"seconds": 60})
    started = await host.until(path, lambda state: bool(state.replicas) and state.replicas[0].ready)
    await host.call("DELETE", f"{path}/lease")
    await host.route({record().hash: 100}, stopped=False)
    assert (await host.state(path)).replicas[0].pid == started.replicas[0].pid, "no restart between proof and route"


async def test_a_scale_wakes_a_version_that_rests_at_zero(host: Local) -> None:
    version = record(minimum=0)
    path = await host.declare(version)
    await host.route({version.hash: 100})
    assert (await host.state(path)).wanted == 0
    await host.call("PUT", f"{path}/scale", {"replicas": 1})
    await host.until(path, lambda state: bool(state.replicas) and state.replicas[0].ready)


BAD = [
    ("PUT", "/v1/services/chat/versions/0000000000", record().to_json(), "the body names"),
    ("PUT", "/v1/services/chat/versions/{hash}", '{"nonsense": 1}', "nonsense"),
    ("PUT", "/v1/services/chat/versions/{hash}/scale", '{"replicas": 9}', "outside the bounds 1 to 3"),
    ("PUT", "/v1/services/chat/versions/{hash}/lease", '{"seconds": -1}', "seconds"),
    ("PUT", "/v1/services/chat/token", '{"token": "s3cret"}', "shorter"),
    ("PUT", "/v1/services/chat/route", '{"service": "chat"}', "sum to 0"),
    (
        "PUT",
        "/v1/services/chat/route",
        '{"service": "chat", "versions": {"a": {"hash": "x", "weight": 100}}}',
        "known are",
    ),
    ("PUT", "/v1/gateway", '{"port": 99999}', "99999"),
]


async def test_bad_input_is_named(host: Local) -> None:
    await host.declare(record())
    for method, path, body, words in BAD:
        answer = await host.call(method, path.replace("{hash}", record().hash), body)
        assert (answer.status, answer["code"]) == (400, "Invalid"), path
        assert words in answer["message"]
        assert "s3cret" not in answer["message"]


async def test_what_is_not_there_is_not_found(host: Local) -> None:
    for path in ("/v1/nothing", "/v1/services/chat/route", "/v1/services/chat/token", "/v1/services/chat/versions/x"):
        answer = await host.get(path)
        assert (answer.status, answer["code"]) == (404, "NotFound")
