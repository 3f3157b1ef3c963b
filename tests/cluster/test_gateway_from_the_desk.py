"""A gateway process that follows a namespace of a real cluster: what it serves, scales, takes over and gives back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runtime.contract import cluster as names
from runtime.kubeapi import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    LEASES,
    PODS,
    SECRETS,
    SERVICES,
    ForwardBroken,
    Invalid,
    KubeClient,
    NotFound,
    from_kubeconfig,
    request,
)
from tests.cluster.harness import Cluster, Namespace
from tests.cluster.harness.namespace import pod
from tests.runtime.gateway.cluster.things import HASH, NAME, route, route_map, secret, version, version_map

pytestmark = pytest.mark.e2e
LABELS = {names.PART: names.PART_VERSION, names.SERVICE: "chat", names.HASH: HASH}


@asynccontextmanager
async def client(cluster: Cluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(await from_kubeconfig(str(cluster.kubeconfig))) as kube:
        yield kube


async def soon(condition: Callable[[], Awaitable[object]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the conditions are states of a cluster
            await asyncio.sleep(0.2)


async def declare(kube: KubeClient, namespace: str) -> None:
    """A service whose replicas answer `hello`."""
    await kube.create(SECRETS, namespace, secret(chat="t"))
    await kube.create(CONFIG_MAPS, namespace, version_map(version(live=2)))
    await kube.create(CONFIG_MAPS, namespace, route_map(route()))
    spec = pod("replica", "serve", f":{names.REPLICA_PORT}", "hello")["spec"]
    template = {"metadata": {"labels": LABELS}, "spec": spec}
    deployment = {"selector": {"matchLabels": LABELS}, "template": template}
    await kube.create(DEPLOYMENTS, namespace, {"metadata": {"name": NAME, "labels": LABELS}, "spec": deployment})
    headless = {"clusterIP": "None", "selector": LABELS, "ports": [{"port": names.REPLICA_PORT}]}
    await kube.create(SERVICES, namespace, {"metadata": {"name": NAME, "labels": LABELS}, "spec": headless})


@asynccontextmanager
async def gateway(cluster: Cluster, namespace: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The process, and where it listens."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runtime.gateway", "--cluster", namespace, "--listen", "127.0.0.1:0"),
        *("--internal", "127.0.0.1:0", "--drain-delay", "0.5", "--access-log", "off"),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "POD_NAME": "g-1"},
        cwd=Path(__file__).parents[2],
    )
    assert child.stderr is not None
    try:
        line = (await child.stderr.readline()).decode()
        reading = asyncio.create_task(child.stderr.read())
        yield child, f"http://{line.strip().removeprefix('listening on ')}"
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
    print((await reading).decode())


async def test_it_serves_scales_takes_another_hands_count_and_hands_the_lead_over(
    cluster: Cluster, namespace: Namespace
) -> None:
    where = namespace.name
    async with client(cluster) as kube:
        await declare(kube, where)

        async def count() -> int:
            return int((await kube.get(DEPLOYMENTS, where, NAME))["spec"]["replicas"])

        async def row() -> dict[str, Any]:
            read: dict[str, Any] = json.loads((await kube.get(CONFIG_MAPS, where, NAME))["data"][names.VERSION_KEY])
            return read

        async def ready() -> int:
            return int((await kube.get(DEPLOYMENTS, where, NAME)).get("status", {}).get("readyReplicas") or 0)

        async def is_(what: Callable[[], Awaitable[Any]], value: object) -> None:
            async def so() -> bool:
                return bool(await what() == value)

            await soon(so)

        async def live() -> int:
            return int((await row())["live"])

        async with gateway(cluster, where) as (child, url), aiohttp.ClientSession() as session:
            await is_(count, 2)
            await is_(ready, 2)
            async with session.post(f"{url}/api/predict/chat", data=b"hi", headers={"Authorization": "t"}) as answer:
                assert (answer.status, await answer.text()) == (200, "hello\n")
            report = await kube.get(LEASES, where, "g-1")
            assert json.loads(report["metadata"]["annotations"][names.APPLIED]) == {"chat": 1}
            await kube.scale(DEPLOYMENTS, where, NAME, 3)
            await is_(live, 3)
            await kube.scale(DEPLOYMENTS, where, NAME, 9)
            await is_(count, 3)
            child.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(child.wait(), 30) == 0
        assert (await kube.get(LEASES, where, names.LEADER))["spec"]["holderIdentity"] == ""


async def test_the_client_reaches_pods_through_the_api_and_says_what_is_wrong(
    cluster: Cluster, namespace: Namespace
) -> None:
    where = namespace.name
    namespace.apply(pod("one", "serve", ":8000", "hello"))
    namespace.wait_for("pod/one", "condition=Ready")
    async with client(cluster) as kube:
        answer = await request(kube, where, "one", 8000, "GET", "/")
        assert (answer.status, answer.body) == (200, b"hello\n")
        with pytest.raises(ForwardBroken, match=r"port 8001 of pod one .*refused"):
            await request(kube, where, "one", 8001, "GET", "/")
        with pytest.raises(NotFound):
            await request(kube, where, "none", 8000, "GET", "/")
        with pytest.raises(Invalid, match=r"metadata\.name"):
            await kube.create(CONFIG_MAPS, where, {"metadata": {"name": "Bad_Name"}})
        assert await kube.can("create", PODS, where, subresource="portforward")
