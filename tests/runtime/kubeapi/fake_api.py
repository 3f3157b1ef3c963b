"""A small Kubernetes API in the test's own event loop: objects with versions, watches, Status errors, port-forwards."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from runtime.kubeapi import Access, KubeClient, Object

Key = tuple[str, str, str]  # plural, namespace, name
PodServer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Token:
    """Credentials of a test: the second value is given out once the first was refused."""

    def __init__(self, *values: str) -> None:
        self.values = list(values)

    async def authorization(self, *, refused: bool = False) -> str:
        if refused and len(self.values) > 1:
            self.values.pop(0)
        return self.values[0] if self.values else ""


class FakeApi:
    """What is there, and what was asked."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.calls: list[str] = []
        self.version = 100
        self.watches: list[tuple[str, str, dict[str, str], asyncio.Queue[dict[str, Any] | None]]] = []
        self.history: list[tuple[int, str, str, dict[str, Any]]] = []
        self.oldest = 0  # watches from before it are answered 410
        self.token = ""  # required when set
        self.refuse: dict[str, tuple[int, str, str]] = {}  # "verb plural" -> status, reason, message
        self.busy = 0  # so many calls are answered 429
        self.pods: dict[tuple[str, int], int] = {}  # pod, port -> local port
        self.url = ""

    # What a test does ------------------------------------------------------------------------------------------------

    def put(self, plural: str, namespace: str, body: Object) -> Object:
        """Create or replace, past all checks."""
        name = body["metadata"]["name"]
        known = (plural, namespace, name) in self.objects
        return self._store(plural, namespace, body, "MODIFIED" if known else "ADDED")

    def remove(self, plural: str, namespace: str, name: str) -> None:
        item = self.objects.pop((plural, namespace, name))
        self._tell(plural, namespace, "DELETED", self._next(item))

    def get(self, plural: str, namespace: str, name: str) -> Object:
        return self.objects[plural, namespace, name]

    def drop_watches(self) -> None:
        """End every watch's connection, as a server that restarts."""
        for *_, queue in self.watches:
            queue.put_nowait(None)

    def forget_history(self) -> None:
        """Compact: a watch from before now gets 410."""
        self.oldest = self.version + 1
        self.version += 1

    # Inside ----------------------------------------------------------------------------------------------------------

    def _next(self, item: Object) -> Object:
        self.version += 1
        item = copy.deepcopy(item)
        item["metadata"]["resourceVersion"] = str(self.version)
        return item

    def _store(self, plural: str, namespace: str, body: Object, kind: str) -> Object:
        item = self._next(body)
        item["metadata"].setdefault("uid", f"uid-{self.version}")
        item["metadata"].setdefault("namespace", namespace)
        self.objects[plural, namespace, item["metadata"]["name"]] = item
        self._tell(plural, namespace, kind, item)
        return item

    def _tell(self, plural: str, namespace: str, kind: str, item: Object) -> None:
        event = {"type": kind, "object": item}
        self.history.append((self.version, plural, namespace, event))
        for watched, where, query, queue in self.watches:
            if watched == plural and where in ("", namespace) and _matches(item, query):
                queue.put_nowait(event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        namespace, plural, name, subresource = _split(request.path)
        verb = request.method
        if verb == "GET":
            verb = "WATCH" if request.query.get("watch") else "GET" if name else "LIST"
        self.calls.append(f"{verb} {'/'.join(part for part in (plural, name, subresource) if part)}")
        if self.token and request.headers.get("Authorization") != self.token:
            return _status(401, "Unauthorized", "Unauthorized")
        if self.busy:
            self.busy -= 1
            return _status(429, "TooManyRequests", "too many requests", retryAfterSeconds=0)
        if refusal := self.refuse.get(f"{verb} {plural}"):
            return _status(*refusal)
        key = (plural, namespace, name)
        if subresource == "portforward":
            return await self._portforward(request, name)
        if subresource == "log":
            return web.Response(text=f"log of {name}\n")
        match verb:
            case "LIST":
                items = [
                    item
                    for (kind, where, _), item in sorted(self.objects.items())
                    if kind == plural and namespace in ("", where) and _matches(item, dict(request.query))
                ]
                return web.json_response({"items": items, "metadata": {"resourceVersion": str(self.version)}})
            case "WATCH":
                return await self._watch(request, plural, namespace)
            case "POST":
                body = await request.json()
                if plural == "selfsubjectaccessreviews":
                    wanted = body["spec"]["resourceAttributes"]
                    allowed = f"{wanted['verb']} {wanted['resource']}" not in self.refuse
                    return web.json_response({**body, "status": {"allowed": allowed}}, status=201)
                key = (plural, namespace, body["metadata"]["name"])
                if key in self.objects:
                    return _status(409, "AlreadyExists", f"{plural} {key[2]!r} already exists")
                return web.json_response(self._store(plural, namespace, body, "ADDED"), status=201)
        if key not in self.objects:
            return _status(404, "NotFound", f"{plural} {name!r} not found")
        item = self.objects[key]
        match verb:
            case "PUT":
                body = await request.json()
                read = body["metadata"].get("resourceVersion")
                if read and read != item["metadata"]["resourceVersion"]:
                    return _status(409, "Conflict", "the object has been modified")
                item = self._store(plural, namespace, body, "MODIFIED")
            case "PATCH":
                patch = await request.json()
                changed = copy.deepcopy(item)
                if isinstance(patch, dict):
                    _merge(changed, patch)
                    read = patch.get("metadata", {}).get("resourceVersion")
                    if read and read != item["metadata"]["resourceVersion"]:
                        return _status(409, "Conflict", "the object has been modified")
                item = self._store(plural, namespace, changed, "MODIFIED")
            case "DELETE":
                self.remove(plural, namespace, name)
        return web.json_response(item)

    async def _watch(self, request: web.Request, plural: str, namespace: str) -> web.StreamResponse:
        query, since = dict(request.query), int(request.query["resourceVersion"])
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        if since < self.oldest:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            return web.json_response({"type": "ERROR", "object": status})
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        for version, kind, where, event in self.history:
            if version > since and kind == plural and namespace in ("", where) and _matches(event["object"], query):
                queue.put_nowait(event)
        entry = (plural, namespace, query, queue)
        self.watches.append(entry)
        try:
            await response.prepare(request)
            while (event := await queue.get()) is not None:
                line = json.dumps(event).encode() + b"\n"
                await response.write(line[:7])  # an event may come in pieces
                await response.write(line[7:])
            assert request.transport is not None
            request.transport.abort()
        finally:
            self.watches.remove(entry)
        return response

    async def _portforward(self, request: web.Request, pod: str) -> web.StreamResponse:
        if "*/*" not in request.headers["Accept"]:
            return web.Response(status=406, text="406: Not Acceptable")  # as kubelets do
        port = int(request.query["ports"])
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        for channel in (0, 1):
            await socket.send_bytes(bytes([channel]) + port.to_bytes(2, "little"))
        local = self.pods.get((pod, port))
        if local is None:
            await socket.send_bytes(b"\x01connection refused")
            await socket.close()
            return socket
        reader, writer = await asyncio.open_connection("127.0.0.1", local)

        async def back() -> None:
            while data := await reader.read(1000):
                await socket.send_bytes(b"\x00" + data)
            await socket.close()

        task = asyncio.create_task(back())
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                assert message.data[0] == 0
                writer.write(message.data[1:])
        writer.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return socket


@asynccontextmanager
async def fake_api() -> AsyncIterator[FakeApi]:
    """An API server that listens on a port of its own."""
    api = FakeApi()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.handle)
    server = TestServer(app)
    await server.start_server()
    api.url = str(server.make_url("")).rstrip("/")
    try:
        yield api
    finally:
        api.drop_watches()
        await server.close()


@asynccontextmanager
async def client_of(api: FakeApi, *tokens: str) -> AsyncIterator[KubeClient]:
    """A client of it."""
    async with KubeClient(Access(server=api.url, credentials=Token(*tokens))) as client:
        yield client


def labelled(name: str, labels: dict[str, str] | None = None, **rest: Any) -> Object:
    """An object with a name and labels."""
    return {"metadata": {"name": name, "labels": labels or {}}, **rest}


def _split(path: str) -> tuple[str, str, str, str]:
    """Namespace, plural, name, subresource of a path."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if not parts:
        raise web.HTTPNotFound  # discovery of a group that is not there
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource = (*parts, "", "")[:3]
    return namespace, plural, name, subresource


def _matches(item: Object, query: dict[str, str]) -> bool:
    labels = item["metadata"].get("labels") or {}
    for each in re.findall(r"[^,(]+(?:\([^)]*\))?", query.get("labelSelector", "")):
        key, _, several = each.partition(" in ")
        key, _, value = key.partition("=")
        if labels.get(key) not in (several.strip("()").split(",") if several else [value]):
            return False
    for each in filter(None, query.get("fieldSelector", "").split(",")):
        key, _, value = each.partition("=")
        if key != "metadata.name" or item["metadata"]["name"] != value:
            return False
    return True


def _merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


def _status(code: int, reason: str, message: str, **details: Any) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return web.json_response(body, status=code)
