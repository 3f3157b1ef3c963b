"""The logs of a version's pods: the last lines, and new ones as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from infra.cluster import pods
from infra.cluster.pods import Json, name_of
from infra.cluster.session import Session
from infra.cluster.versions import Versions
from infra.hostclient import Absent
from runtime.kubeapi import ApiProblem, KubeProblem

LOOK_SECONDS = 1.0
"""So often a new pod is looked for while logs are followed."""


async def text_of(session: Session, versions: Versions, service: str, hash: str, *, replica: str, tail: int) -> str:
    """The last lines of each pod. A pod that has not started anything has none. Absent."""
    await versions.row(service, hash)
    mine = await versions.looks.of(service, hash)
    chosen = [pod for pod in mine if replica in ("", name_of(pod))]
    if replica and not chosen:
        names = ", ".join(name_of(pod) for pod in mine) or "none"
        raise Absent(f"there is no pod {replica}; there are: {names}", 404)
    texts = []
    for pod, text in zip(chosen, await asyncio.gather(*(_last(session, pod, tail) for pod in chosen)), strict=True):
        heading = f"==> {name_of(pod)} <==\n" if len(chosen) > 1 else ""
        texts.append(heading + text + ("\n" if text and not text.endswith("\n") else ""))
    return "".join(texts)


async def _last(session: Session, pod: Json, tail: int) -> str:
    try:
        # Between two runs of a container the log is the one of the run before.
        previous = not pods.is_running(pod) and pods.restarts(pod) > 0
        return await session.kube.logs(session.namespace, name_of(pod), tail=tail, previous=previous)
    except ApiProblem as problem:
        if problem.status in (400, 404):  # its container is still waiting, or it is gone
            return ""
        raise


async def follow_lines(
    session: Session, versions: Versions, service: str, hash: str, *, replica: str, tail: int
) -> AsyncIterator[str]:
    """Lines of all pods, of those that come later too; ends when the version is gone, or the one pod asked for."""
    await versions.row(service, hash)
    lines: asyncio.Queue[str] = asyncio.Queue(maxsize=1000)
    readers: dict[str, asyncio.Task[None]] = {}
    first = True
    try:
        while True:
            mine = await versions.looks.of(service, hash)
            for pod in mine:
                name = name_of(pod)
                again = name in readers and readers[name].done()
                if replica in ("", name) and pods.is_running(pod) and (name not in readers or again):
                    work = _read(session, name, lines, 0 if again else tail if first else None)
                    readers[name] = asyncio.create_task(work)
            first = False
            if replica and replica not in {name_of(pod) for pod in mine} and lines.empty():
                return
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    while True:
                        yield await lines.get()
            except TimeoutError:
                continue
    finally:
        for task in readers.values():
            task.cancel()
        await asyncio.gather(*readers.values(), return_exceptions=True)


async def _read(session: Session, pod: str, lines: asyncio.Queue[str], tail: int | None) -> None:
    rest = b""
    try:
        async for chunk in session.kube.follow_logs(session.namespace, pod, tail=tail):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                await lines.put(line.decode(errors="replace").rstrip("\r"))
    except KubeProblem:
        return  # the pod is gone, or the connection: it is looked for again
