"""Small servers of the two hubs' shape, on ports of their own: what their clients ask, answered from memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

COMMIT = "1234567890abcdef1234567890abcdef12345678"
OLDER = "ffffffffffffffffffffffffffffffffffffffff"


@dataclass
class Hub:
    """A hub with one model `org/tiny`. `break_after`: bytes of a first answer after which the connection drops."""

    files: dict[str, bytes]
    url: str = ""
    break_after: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # `NAME` or `NAME from BYTE` per download
    refuse: bool = False
    scheme: str = ""

    async def send(self, request: web.Request, name: str, headers: dict[str, str]) -> web.StreamResponse:
        """A file, whole or from a byte on; dropped half-way where the test wants it."""
        if self.refuse:
            raise web.HTTPServiceUnavailable
        content = self.files.get(name)
        if content is None:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound"})
        start = request.http_range.start or 0
        if request.method == "GET":
            self.asked.append(f"{name} from {start}" if start else name)
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        response.headers["Accept-Ranges"] = "bytes"
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        response.content_length = len(content) - start
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        if (stop := self.break_after.pop(name, None)) is not None:
            await response.write(content[start:stop])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(content[start:])
        return response


@asynccontextmanager
async def huggingface(hub: Hub) -> AsyncIterator[Hub]:
    """Serve a hub of Hugging Face's shape."""

    def known(request: web.Request) -> None:
        if request.match_info["name"] != "tiny":
            raise web.HTTPNotFound(headers={"X-Error-Code": "RepoNotFound"})
        if request.match_info.get("revision", "main") not in ("main", "v1", COMMIT):
            raise web.HTTPNotFound(headers={"X-Error-Code": "RevisionNotFound"})

    async def info(request: web.Request) -> web.Response:
        known(request)
        siblings = [{"rfilename": name, "size": len(content)} for name, content in hub.files.items()]
        return web.json_response({"id": "org/tiny", "modelId": "org/tiny", "sha": COMMIT, "siblings": siblings})

    async def tree(request: web.Request) -> web.Response:
        known(request)
        return web.json_response(
            [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in hub.files.items()
            ]
        )

    async def resolve(request: web.Request) -> web.StreamResponse:
        known(request)
        name = request.match_info["path"]
        etag = hashlib.sha1(hub.files.get(name, b"")).hexdigest()
        return await hub.send(request, name, {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"'})

    app = web.Application()
    app.router.add_get("/api/models/org/{name}/revision/{revision}", info)
    app.router.add_get("/api/models/org/{name}/tree/{revision}", tree)
    app.router.add_get("/org/{name}/resolve/{revision}/{path:.*}", resolve)
    async with TestServer(app) as server:
        hub.url = str(server.make_url("")).rstrip("/")
        yield hub


@asynccontextmanager
async def modelscope(hub: Hub) -> AsyncIterator[Hub]:
    """Serve a hub of ModelScope's shape."""

    def known(request: web.Request) -> None:
        if request.match_info["name"] != "tiny" or request.query.get("Revision") not in ("master", COMMIT):
            raise web.HTTPNotFound(text='{"Code": 10010205001, "Message": "no such model", "Success": false}')

    async def listing(request: web.Request) -> web.Response:
        known(request)
        files = [
            {
                "Path": name,
                "Name": name,
                "Type": "blob",
                "Size": len(content),
                "Sha256": hashlib.sha256(content).hexdigest(),
                "Revision": COMMIT if name == "config.json" else OLDER,
                "CommittedDate": 1_700_000_001 if name == "config.json" else 1_700_000_000,
            }
            for name, content in hub.files.items()
        ]
        return web.json_response({"Code": 200, "Success": True, "Data": {"Files": files}})

    async def download(request: web.Request) -> web.StreamResponse:
        known(request)
        return await hub.send(request, request.query["FilePath"], {})

    app = web.Application()
    app.router.add_get("/api/v1/models/org/{name}/repo/files", listing)
    app.router.add_get("/api/v1/models/org/{name}/repo", download)
    async with TestServer(app) as server:
        hub.url = str(server.make_url("")).rstrip("/")
        yield hub
