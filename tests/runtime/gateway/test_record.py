"""What is remembered of requests: the log without secrets, the counts, the gateway's own paths."""

from __future__ import annotations

import io
import json

from tests.runtime.gateway.conftest import MakeReplica
from tests.runtime.gateway.harness import TOKEN, fronting, view_of


async def test_the_access_log_says_who_what_and_how_long_and_no_secret(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        records = front.gateway.records
        records._log = log = io.StringIO()
        await front.request(path=f"/api/predict/chat/x?token={TOKEN}", headers=b"X-Request-Id: mine\r\n")
        await front.request(token="wrong-secret")
        records.flush()
        good, bad = (json.loads(line) for line in log.getvalue().splitlines())
    assert (good["id"], good["service"], good["path"]) == ("mine", "chat", "/api/predict/chat/x")
    assert (good["status"], good["version"], good["replica"], good["bytes"]) == (200, "V1", "a", 1)
    assert good["ms"] >= good["ttftMs"] > 0
    assert bad["status"] == 401
    assert "replica" not in bad
    assert TOKEN not in log.getvalue()
    assert "secret" not in log.getvalue()


async def test_a_log_of_errors_leaves_out_what_went_well(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        records = front.gateway.records
        records._log = log = io.StringIO()
        records._only_errors = True
        await front.request()
        await front.request(token="wrong")
        records.flush()
    assert [json.loads(line)["status"] for line in log.getvalue().splitlines()] == [401]


async def test_metrics_count_requests_by_service_and_code(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        await front.request()
        await front.request(token="wrong")
        status, head, body = await front.request("GET", "/-/metrics", token=None)
    assert status == 200
    assert b"text/plain; version=0.0.4" in head
    lines = body.decode().splitlines()
    assert 'inferform_gateway_requests_total{service="chat",code="200"} 1' in lines
    assert 'inferform_gateway_requests_total{service="chat",code="401"} 1' in lines
    assert 'inferform_gateway_in_flight{service="chat",replica="a"} 0' in lines
    assert 'inferform_gateway_held_requests{service="chat"} 0' in lines
    assert 'inferform_gateway_request_seconds_bucket{service="chat",le="+Inf"} 2' in lines
    assert 'inferform_gateway_request_seconds_count{service="chat"} 2' in lines


async def test_metrics_are_for_this_machine_only() -> None:
    async with fronting(view_of({})) as front:
        reader, writer = await front.connect()
        while not front.server.connections:
            await reader.read(0)
        for connection in front.server.connections:
            connection.loopback = False
        writer.write(b"GET /-/metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        assert (await reader.read(-1)).startswith(b"HTTP/1.1 404 ")
        writer.close()


async def test_health_says_whether_a_view_is_there_and_answers_nothing_but_get() -> None:
    async with fronting(None) as front:
        status, _, body = await front.request("GET", "/-/health", token=None)
        assert (status, json.loads(body)["status"]) == (503, "no view yet")
        front.gateway.apply(view_of({}, revision=4))
        status, _, body = await front.request("GET", "/-/health", token=None)
        assert (status, json.loads(body)) == (200, {"status": "ok", "revision": 4})
        status, head, _ = await front.request("POST", "/-/health", token=None)
        assert status == 405
        assert b"Allow: GET, HEAD" in head
        assert (await front.request("GET", "/", token=None))[0] == 404


async def test_what_has_happened_is_counted_by_version(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        for _ in range(3):
            await front.request()
        report = front.gateway.report()
        assert report is not None
        assert report.in_flight == {"a": 0}
        counts = front.gateway.activity().services["chat"]["V1"]
        assert (counts.requests, counts.in_flight, counts.ttft_count) == (3, 0, 3)
        assert 0 < counts.ttft_ms < 15000
