"""Section 3.2: 499 is counted and never sent; section 8 of the checklist, through gateway and replica together."""

from __future__ import annotations

import asyncio
from pathlib import Path

from runtime.contract.host import Endpoint
from tests.runtime.gateway.harness import fronting, post, until, view_of
from tests.runtime.replica.harness import running


async def test_499_is_counted_by_gateway_and_replica_and_never_sent(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b", "tokensPerSecond": 0.02}) as replica:
        endpoint = Endpoint(replica="r", address=f"http://{replica.host}:{replica.port}", ready=True)
        async with fronting(view_of({"v1": [endpoint]}, service="demo")) as front:
            reader, writer = await front.connect()
            writer.write(post(b'{"prompt": "Q"}', path=b"/api/predict/demo"))
            await until(lambda: replica.replica.load().running == 1)
            writer.write_eof()  # its side of the connection ends; it could still read
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            await until(lambda: not replica.replica.in_flight)
            assert replica.replica.load().running == 0, "generation is cancelled"
            assert front.gateway.records.by_code == {("demo", 499): 1}
        metrics = replica.replica.metrics.text(replica.replica.load()).decode()
    assert 'inferform_requests_total{code="499",protocol="chatllm",service="demo"} 1.0' in metrics
