"""The admin API's calls about versions: declare, scale, lease, drain, delete, logs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from runtime.contract import wanted
from runtime.contract.desired import Version
from runtime.contract.host import Lease, Scale, VersionRecord, VersionState
from runtime.contract.names import EPOCH_HEADER
from runtime.host import logs
from runtime.host.host import Host
from runtime.host.refusal import Refusal, number, parse

SERVICE_NAME = re.compile(r"[a-z0-9_]{3,63}")
LONGEST_LEASE_SECONDS = 86400.0
EXIT_SECONDS = 30.0
"""How much longer than `drain_seconds` the end of a version's last replica may take."""


def answer(state: VersionState) -> web.Response:
    """A version's state as JSON."""
    return web.Response(text=state.to_json(), content_type="application/json")


class VersionCalls:
    """Handlers; each does its write, brings the host in step, and answers with the version's new state."""

    def __init__(self, host: Host) -> None:
        self._host, self._store = host, host.store

    def add_to(self, app: web.Application) -> None:
        one = "/v1/services/{service}/versions/{hash}"
        app.router.add_get("/v1/versions", self.list)
        app.router.add_put(one, self.put)
        app.router.add_get(one, self.get)
        app.router.add_delete(one, self.delete)
        app.router.add_put(one + "/scale", self.scale)
        app.router.add_put(one + "/lease", self.lease)
        app.router.add_delete(one + "/lease", self.end_lease)
        app.router.add_post(one + "/drain", self.drain)
        app.router.add_get(one + "/logs", self.logs)

    def _find(self, request: web.Request) -> Version:
        service, digest = request.match_info["service"], request.match_info["hash"]
        version = self._store.version(service, digest)
        if version is None:
            known = [entry.record.hash for entry in self._store.versions() if entry.record.service == service]
            text = f"known versions of {service}: {', '.join(known)}" if known else f"no version of {service} is known"
            raise Refusal(404, "NotFound", f"version {digest} of {service}: {text}")
        return version

    def _routed(self, version: Version) -> bool:
        return wanted.is_routed(version, self._store.routes().get(version.record.service))

    def _write(self, version: Version) -> web.Response:
        self._store.put_version(version)
        self._host.step()
        return answer(self._host.version_state(self._store.version(*version.key) or version))

    async def list(self, request: web.Request) -> web.Response:
        states = [self._host.version_state(version) for version in self._store.versions()]
        return web.json_response([state.to_data() for state in states])

    async def get(self, request: web.Request) -> web.Response:
        return answer(self._host.version_state(self._find(request)))

    async def put(self, request: web.Request) -> web.Response:
        record = await parse(VersionRecord, request)
        service, digest = request.match_info["service"], request.match_info["hash"]
        if (record.service, record.hash) != (service, digest):
            raise Refusal(400, "Invalid", f"the body names {record.service}/{record.hash}, the path {service}/{digest}")
        if not SERVICE_NAME.fullmatch(service):
            raise Refusal(400, "Invalid", f"service: {service!r} does not match {SERVICE_NAME.pattern}")
        if record.template.hash() != digest:
            raise Refusal(400, "Invalid", f"hash: {digest} is not the hash of the template, {record.template.hash()}")
        bounds = record.bounds
        if not 0 <= bounds.min <= bounds.max:
            raise Refusal(400, "Invalid", f"bounds: min {bounds.min} is not between 0 and max {bounds.max}")
        version = self._store.version(service, digest)
        if version is None:
            return self._write(Version(record=record))
        live = wanted.clamp(version.live, bounds, routed=self._routed(version))
        return self._write(replace(version, record=record, live=live, deleting=False))

    async def scale(self, request: web.Request) -> web.Response:
        scale, version = await parse(Scale, request), self._find(request)
        try:
            scaled = wanted.scaled(version, scale, routed=self._routed(version), now=self._host.now())
        except wanted.OutOfBounds as error:
            raise Refusal(400, "Invalid", str(error)) from None
        service, digest = version.key
        logs.note("scaled", service=service, version=digest, replicas=scale.replicas, reason=scale.reason)
        return self._write(scaled)

    async def lease(self, request: web.Request) -> web.Response:
        lease, version = await parse(Lease, request), self._find(request)
        if not 0 < lease.seconds <= LONGEST_LEASE_SECONDS:
            raise Refusal(400, "Invalid", f"seconds: {lease.seconds} is not between 0 and {LONGEST_LEASE_SECONDS:.0f}")
        now, epoch = self._host.now(), request.headers.get(EPOCH_HEADER, "")
        if wanted.is_leased(version, now) and version.lease_epoch == epoch:
            # A renewal: what failed under this lease must stay visible to the rollout that renews it.
            return self._write(replace(wanted.leased(version, lease.seconds, now), failure=version.failure))
        self._host.replicas.restart_backoff(version.key)
        return self._write(replace(wanted.leased(version, lease.seconds, now), lease_epoch=epoch))

    async def end_lease(self, request: web.Request) -> web.Response:
        version = self._find(request)
        return self._write(wanted.released(version, routed=self._routed(version), now=self._host.now()))

    async def drain(self, request: web.Request) -> web.Response:
        version = self._find(request)
        self._refuse_routed(version)
        host, asked = self._host, self._host.view.current.revision

        def idle() -> bool:
            applied = host.reports.revision()
            names = [slot.replica for slot in host.replicas.of(version.key)]
            return applied is None or (applied >= asked and host.reports.in_flight(names) == 0)

        await host.bell.until(idle, version.record.template.drain_seconds)
        return answer(host.version_state(self._find(request)))

    async def delete(self, request: web.Request) -> web.Response:
        version = self._find(request)
        self._refuse_routed(version)
        self._write(replace(version, deleting=True, lease_until=0, temporary=None))
        host, last = self._host, self._host.version_state(version)
        seconds = version.record.template.drain_seconds + EXIT_SECONDS
        if not await host.bell.until(lambda: self._store.version(*version.key) is None, seconds):
            raise Refusal(409, "InUse", f"replicas of {version.record.hash} still run after {seconds:.0f} s")
        return answer(last)

    def _refuse_routed(self, version: Version) -> None:
        if self._routed(version):
            text = f"the route of {version.record.service} names version {version.record.name}"
            raise Refusal(409, "InUse", f"{text} ({version.record.hash})")

    async def logs(self, request: web.Request) -> web.StreamResponse:
        version = self._find(request)
        lines, asked = int(number(request, "tail", 200)), request.query.get("replica")
        service, digest = version.key
        paths = {
            path.stem: path for path in sorted((self._host.folder.logs / service).glob(f"{service}-{digest}-*.log"))
        }
        if asked is not None and asked not in paths:
            raise Refusal(404, "NotFound", f"replica {asked} has no log; there are: {', '.join(paths) or 'none'}")
        chosen: dict[str, Path] = paths if asked is None else {asked: paths[asked]}
        places = logs.sizes(list(chosen.values()))
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        for replica, path in chosen.items():
            heading = f"==> {replica} <==\n" if len(chosen) > 1 else ""
            text = "".join(f"{line}\n" for line in logs.tail(path, lines))
            await response.write((heading + text).encode())
        if request.query.get("follow", "0") not in ("", "0", "false"):
            async for piece in logs.follow(places):
                if self._host.stopping:
                    break
                try:
                    await response.write(piece)
                except ConnectionError:
                    break
        return response
