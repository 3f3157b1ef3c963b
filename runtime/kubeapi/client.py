"""The calls of the API, one method each, on plain JSON data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from runtime.kubeapi.access import Access
from runtime.kubeapi.documents import Object, document, error_document, selectors, typed
from runtime.kubeapi.errors import ApiProblem, KubeProblem, Unreachable, from_status
from runtime.kubeapi.resources import PODS, Resource

Objects = list[Object]

CALL_SECONDS = 30.0
CONNECT_SECONDS = 10.0
BUSY_TRIES = 5
"""An API server that is overloaded answers 429 and says when to come back; so often we do."""
BUSY_SECONDS = 5.0
PAGE = 500
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class KubeClient:
    """A connection pool to one API server. Every call raises KubeProblem: ApiProblem, Unreachable, NoCredentials."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    # Objects ---------------------------------------------------------------------------------------------------------

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object."""
        return await self.call("GET", resource, namespace, name)

    async def list(self, resource: Resource, namespace: str = "", *, labels: str = "", fields: str = "") -> Objects:
        """All objects that the selectors (`a=b,c in (d,e)`) match; kind and apiVersion are filled in."""
        items, _ = await self.list_at(resource, namespace, labels=labels, fields=fields)
        return items

    async def list_at(
        self, resource: Resource, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> tuple[Objects, str]:
        """As `list`, and the resourceVersion from which a watch goes on."""
        query = {"limit": str(PAGE), **selectors(labels, fields)}
        items: Objects = []
        while True:
            page = await self.call("GET", resource, namespace, query=query, verb="list")
            for item in page.get("items") or []:
                items.append({"apiVersion": resource.api, "kind": resource.kind, **item})
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return items, str(metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """Create; raises AlreadyExists."""
        query = {"dryRun": "All"} if dry_run else {}
        return await self.call("POST", resource, namespace, body=typed(resource, body), query=query)

    async def replace(self, resource: Resource, namespace: str, body: Object, *, subresource: str = "") -> Object:
        """Write an object that was read: with its resourceVersion this is a compare-and-swap. Raises Conflict."""
        name = str(body["metadata"]["name"])
        return await self.call("PUT", resource, namespace, name, subresource=subresource, body=typed(resource, body))

    async def merge_patch(
        self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any], *, subresource: str = ""
    ) -> Object:
        """JSON merge patch (RFC 7386): null deletes a key, lists are replaced."""
        kind = "application/merge-patch+json"
        return await self.call(
            "PATCH", resource, namespace, name, subresource=subresource, body=patch, content_type=kind
        )

    async def json_patch(
        self, resource: Resource, namespace: str, name: str, patch: Sequence[Mapping[str, Any]]
    ) -> Object:
        """JSON patch (RFC 6902); a `test` that fails is Invalid."""
        return await self.call(
            "PATCH", resource, namespace, name, body=patch, content_type="application/json-patch+json"
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        propagation: str = "Background",
        uid: str = "",
        resource_version: str = "",
    ) -> None:
        """Ask for an object's deletion; with `uid` or `resource_version` only of that very one (Conflict)."""
        preconditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if preconditions:
            body["preconditions"] = preconditions
        await self.call("DELETE", resource, namespace, name, body=body)

    async def scale(self, resource: Resource, namespace: str, name: str, replicas: int) -> None:
        """Set the count by the scale subresource: the right to it is not a right to the whole object."""
        await self.merge_patch(resource, namespace, name, {"spec": {"replicas": replicas}}, subresource="scale")

    # Pods and rights -------------------------------------------------------------------------------------------------

    async def logs(
        self, namespace: str, pod: str, *, container: str = "", tail: int | None = 200, previous: bool = False
    ) -> str:
        """The last lines of a container's log."""
        async with self._logs(namespace, pod, container, tail, previous=previous, follow=False) as response:
            return await response.text(errors="replace")

    async def follow_logs(
        self, namespace: str, pod: str, *, container: str = "", tail: int | None = 200
    ) -> AsyncIterator[bytes]:
        """The log as it is written, until the container ends."""
        async with self._logs(namespace, pod, container, tail, previous=False, follow=True) as response:
            try:
                async for chunk in response.content.iter_any():
                    yield chunk
            except (aiohttp.ClientError, OSError) as error:
                raise self._unreachable(error) from error

    async def can(
        self, verb: str, resource: Resource, namespace: str = "", *, name: str = "", subresource: str = ""
    ) -> bool:
        """May we do this? Asks with a SelfSubjectAccessReview."""
        attributes = {
            "verb": verb, "group": resource.group, "resource": resource.plural, "subresource": subresource,
            "namespace": namespace, "name": name,
        }  # fmt: skip
        reviews = Resource("authorization.k8s.io/v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False)
        review = await self.create(reviews, "", {"spec": {"resourceAttributes": attributes}})
        return bool((review.get("status") or {}).get("allowed"))

    async def version(self) -> Object:
        """The server's `/version`: gitVersion and more. Cheap: it tells whether anybody answers."""
        return await self.raw("GET", "/version")

    # Calls -----------------------------------------------------------------------------------------------------------

    async def call(
        self,
        method: str,
        resource: Resource,
        namespace: str = "",
        name: str = "",
        *,
        subresource: str = "",
        body: object = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        verb: str = "",
    ) -> Object:
        """One call for a resource."""
        return await self.raw(
            method,
            resource.path(namespace, name, subresource),
            body=body,
            query=query,
            content_type=content_type,
            verb=verb,
            resource=f"{resource.plural}/{subresource}" if subresource else resource.plural,
            namespace=namespace,
            name=name,
        )

    async def raw(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        verb: str = "",
        resource: str = "",
        namespace: str = "",
        name: str = "",
    ) -> Object:
        """One call for any path of the API; what is not JSON reads as `{}`."""
        about = {"verb": verb or _VERBS[method], "resource": resource or path, "namespace": namespace, "name": name}
        for tries in range(1, BUSY_TRIES + 1):
            try:
                timeout = aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS)
                async with self.open(
                    method, path, about, body=body, query=query, content_type=content_type, timeout=timeout
                ) as response:
                    return document(await response.read())
            except ApiProblem as problem:
                if problem.status != 429 or problem.retry_after is None or tries == BUSY_TRIES:
                    raise
                await asyncio.sleep(min(problem.retry_after, BUSY_SECONDS))
            except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
                raise self._unreachable(error) from error
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        about: Mapping[str, str],
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        timeout: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer whose body is read by the caller. Raises ApiProblem for errors, and aiohttp's own exceptions."""
        data = None if body is None else orjson.dumps(body)
        refused = False
        while True:
            headers = await self.headers(refused=refused)
            if data is not None:
                headers["Content-Type"] = content_type
            async with self.session().request(
                method,
                self.access.server + path,
                params=query,
                data=data,
                headers=headers,
                timeout=timeout,
                proxy=self.access.proxy,
                server_hostname=self.access.server_name,
                allow_redirects=False,
            ) as response:
                if response.status == 401 and not refused and "Authorization" in headers:
                    refused = True
                    continue
                if response.status >= 400:
                    raise from_status(response.status, error_document(await response.read()), **about)
                yield response
                return

    async def headers(self, *, refused: bool = False) -> dict[str, str]:
        """The headers that open the API server."""
        headers = {"Accept": "application/json, */*", "User-Agent": "inferform"}  # kubelets answer no JSON
        if value := await self.access.credentials.authorization(refused=refused):
            headers["Authorization"] = value
        return headers

    def session(self) -> aiohttp.ClientSession:
        """The connection pool, made in the running loop."""
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self.access.tls or True, limit=100)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=True)
        return self._session

    @asynccontextmanager
    async def _logs(
        self, namespace: str, pod: str, container: str, tail: int | None, *, previous: bool, follow: bool
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        query = {"follow": "true"} if follow else {}
        if container:
            query["container"] = container
        if tail is not None:
            query["tailLines"] = str(tail)
        if previous:
            query["previous"] = "true"
        about = {"verb": "get", "resource": "pods/log", "namespace": namespace, "name": pod}
        timeout = aiohttp.ClientTimeout(total=None if follow else CALL_SECONDS, sock_connect=CONNECT_SECONDS)
        try:
            async with self.open(
                "GET", PODS.path(namespace, pod, "log"), about, query=query, timeout=timeout
            ) as response:
                yield response
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> KubeProblem:
        return Unreachable(self.access.server, str(error) or "it took too long")
