"""Following objects: list, then watch from there; a break is connected again, a version that is gone is listed anew."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal

import aiohttp
import orjson

from runtime.kubeapi.client import CONNECT_SECONDS, KubeClient
from runtime.kubeapi.documents import Object, selectors
from runtime.kubeapi.errors import ApiProblem, Gone, KubeProblem, Unreachable, from_status
from runtime.kubeapi.resources import Resource

BACK_OFF = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before the next try, by failures in a row; each is drawn between half of it and all."""
WATCH_SECONDS = 300
"""Asked of the server: a watch ends after it, and goes on with the next one."""
SILENT_SECONDS = 150.0
"""Bookmarks come about each minute; a connection that is silent for longer leads nowhere."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """Everything there is now; what was known and is not here has gone."""

    objects: tuple[Object, ...]


@dataclass(frozen=True)
class Change:
    """One object was added, modified or deleted (then as it was last)."""

    kind: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Object


async def watch(
    client: KubeClient,
    resource: Resource,
    namespace: str = "",
    *,
    labels: str = "",
    fields: str = "",
    trouble: Callable[[KubeProblem | None], None] = lambda problem: None,
) -> AsyncIterator[Listing | Change]:
    """A Listing, then Changes, for ever; another Listing after a gap. It never raises but for cancellation.

    `trouble` hears each failure of a try, and None when it works again.
    """
    version, failures = "", 0
    while True:
        try:
            if not version:
                objects, version = await client.list_at(resource, namespace, labels=labels, fields=fields)
                yield Listing(tuple(objects))
            query = {"resourceVersion": version, **selectors(labels, fields)}
            async for kind, item in _events(client, resource, namespace, query, lambda: trouble(None)):
                failures = 0
                version = str(item["metadata"]["resourceVersion"])
                if kind != "BOOKMARK":
                    yield Change(kind, item)
            failures = 0
            continue
        except Gone:
            version = ""
        except KubeProblem as problem:
            trouble(problem)
            if isinstance(problem, ApiProblem):
                version = ""  # also where a server has been restored and knows no such version
        limit = BACK_OFF[min(failures, len(BACK_OFF) - 1)]
        failures += 1
        await asyncio.sleep(limit * random.uniform(0.5, 1.0))


async def _events(
    client: KubeClient, resource: Resource, namespace: str, selected: dict[str, str], opened: Callable[[], None]
) -> AsyncIterator[tuple[Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"], Object]]:
    """The events of one connection. Ends when the server ends it. Raises KubeProblem."""
    about = {"verb": "watch", "resource": resource.plural, "namespace": namespace, "name": ""}
    query = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(WATCH_SECONDS),
        **selected,
    }
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
    began = asyncio.get_running_loop().time()
    try:
        async with client.open("GET", resource.path(namespace), about, query=query, timeout=timeout) as response:
            opened()
            async for line in _lines(response.content):
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise from_status(int(status.get("code") or 500), status, **about)
                yield event["type"], event["object"]
    except (aiohttp.ClientError, OSError) as error:
        raise Unreachable(client.access.server, str(error) or "the watch fell silent") from error
    except orjson.JSONDecodeError as error:
        raise Unreachable(client.access.server, f"the watch sent what is not JSON: {error}") from error
    if asyncio.get_running_loop().time() - began < 1.0:
        raise Unreachable(client.access.server, "the watch was ended at once")


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
    if rest.strip():
        yield rest


class Informer:
    """A local copy of what a selector matches: `objects` by name. `run` keeps it up to date until cancelled."""

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        namespace: str,
        *,
        labels: str = "",
        fields: str = "",
        changed: asyncio.Event | None = None,
    ) -> None:
        self.objects: dict[str, Object] = {}
        self.synced = asyncio.Event()  # the first list is here
        self.changed = changed or asyncio.Event()  # set at every change; cleared by whoever waits for it
        self.problem: KubeProblem | None = None  # why it is not up to date now
        self._client, self._resource, self._namespace = client, resource, namespace
        self._labels, self._fields = labels, fields

    async def run(self) -> None:
        """Follow until cancelled."""
        feed = watch(
            self._client,
            self._resource,
            self._namespace,
            labels=self._labels,
            fields=self._fields,
            trouble=self._trouble,
        )
        async for news in feed:
            match news:
                case Listing(objects):
                    fresh = {str(each["metadata"]["name"]): each for each in objects}
                    if fresh != self.objects or not self.synced.is_set():
                        self.objects = fresh
                        self.changed.set()
                    self.synced.set()
                case Change("DELETED", item):
                    self.objects.pop(str(item["metadata"]["name"]), None)
                    self.changed.set()
                case Change(_, item):
                    self.objects[str(item["metadata"]["name"])] = item
                    self.changed.set()

    def _trouble(self, problem: KubeProblem | None) -> None:
        if problem is not None and self.problem is None:
            log.warning("%s; going on with what was last seen", problem)
        elif problem is None and self.problem is not None:
            log.info("%s are followed again", self._resource.plural)
        self.problem = problem
