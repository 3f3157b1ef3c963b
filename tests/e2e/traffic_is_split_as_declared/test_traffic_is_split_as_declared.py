"""Two versions share traffic as declared; changing the split touches the route alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import aiohttp

from tests.e2e.harness import Project, SteadyLoad, ask

REQUESTS = 2000


def two(traffic: dict[str, int]) -> dict[str, Any]:
    versions = {name: {"engine": "scripted", "engineArgs": {"text": name}} for name in ("v1", "v2")}
    return {"method": "standard", "versions": versions, "traffic": traffic}


async def observe(project: Project, token: str) -> Counter[str]:
    seen: Counter[str] = Counter()
    gate = asyncio.Semaphore(16)
    async with aiohttp.ClientSession(headers={"Authorization": token}) as session:

        async def one() -> None:
            async with gate, session.post(f"{project.endpoint}/api/predict/chat", json={"prompt": "hi"}) as reply:
                assert reply.status == 200, await reply.text()
                seen[(await reply.json(content_type=None))["response"]] += 1

        await asyncio.gather(*(one() for _ in range(REQUESTS)))
    return seen


async def test_ninety_ten_then_fifty_fifty(project: Project) -> None:
    project.write({"chat": two({"v1": 90, "v2": 10})})
    project.up()
    token, pids = project.token(), project.pids()
    seen = await observe(project, token)
    assert abs(seen["v2"] / REQUESTS - 0.10) < 0.02, seen
    project.write({"chat": two({"v1": 50, "v2": 50})})
    preview = project.preview()
    assert "10 => 50" in preview and "90 => 50" in preview, preview
    with SteadyLoad(project.endpoint, "chat", token):
        project.up()
    assert project.pids() == pids, "changing the split restarted something"
    seen = await observe(project, token)
    assert abs(seen["v2"] / REQUESTS - 0.50) < 0.02, seen
    project.assert_no_changes()


def test_a_tester_reaches_a_version_without_traffic_by_header(project: Project) -> None:
    project.write({"chat": two({"v1": 100, "v2": 0})})
    project.up()
    assert ask(project.endpoint, "chat", project.token(), headers={"X-Inferform-Version": "v2"}).text == "v2"
    assert {ask(project.endpoint, "chat", project.token()).text for _ in range(20)} == {"v1"}
