"""The namespace of a stack: made or adopted, owned by one stack, and taken away when it was ours.

Note: docs/designs/kubernetes-target.md
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from infra.cluster import rows
from infra.cluster.needs import Needs, check
from infra.cluster.problems import right
from infra.cluster.rows import Object
from infra.cluster.session import Session, foreign
from infra.hostclient import HostGone, HostProblem
from runtime.contract.cluster import CREATED, LEADER, MANAGED_BY, PART_REPORT, RECORD, TOKENS
from runtime.kubeapi import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    LEASES,
    NAMESPACES,
    PODS,
    SECRETS,
    SERVICES,
    AlreadyExists,
    Forbidden,
    NotFound,
    Resource,
)

ENFORCE = "pod-security.kubernetes.io/enforce"
POD_SECURITY = {ENFORCE: "restricted", "pod-security.kubernetes.io/warn": "restricted"}
POLL_SECONDS = 0.3
GONE_SECONDS = 300.0
"""So long a namespace's end is waited for."""
LAST_PODS_SECONDS = 30.0
"""So long the end of our last pods is waited for before the namespace is deleted: where a namespace still has some, the
controller looks again only after their whole grace period."""
RIGHTS: tuple[tuple[str, Resource, str], ...] = (
    ("create", CONFIG_MAPS, ""),
    ("update", CONFIG_MAPS, ""),
    ("create", SECRETS, ""),
    ("create", SERVICES, ""),
    ("create", DEPLOYMENTS, ""),
    ("patch", DEPLOYMENTS, "scale"),
    ("list", PODS, ""),
    ("watch", PODS, ""),
    ("create", PODS, "portforward"),
    ("create", Resource("rbac.authorization.k8s.io/v1", "roles", "Role"), ""),
    ("create", Resource("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy"), ""),
)
"""What an update needs there; asked for at the first one, so that it does not stop half-way."""


@dataclass(frozen=True)
class NamespaceState:
    """What is there: made by us?, its owner (`project.stack`), and the server's version."""

    created: bool
    stack: str
    version: str
    pod_security: bool


async def ensure(session: Session, stack: str, *, pod_security: bool, needs: Needs | None = None) -> NamespaceState:
    """Make the namespace or adopt it, unchanged; then its record and its tokens. Raises HostProblem for a foreign one.

    0. A cluster that lacks what the stack needs is an error before anything is made.
    1. One that is being deleted is waited for. 2. A user without the right to look at namespaces may still use one.
    """
    version = str((await session.kube.version()).get("gitVersion", ""))
    await check(session, needs or Needs())
    found = await _namespace(session, stack, pod_security=pod_security)
    if missing := await missing_rights(session):
        text = f"the context may not {', '.join(missing)} in namespace {session.namespace} (SelfSubjectAccessReview)"
        raise HostProblem("Forbidden", f"target.context: {text}", 403)
    record = await _record(session, stack)
    with suppress(AlreadyExists):
        if await session.find(SECRETS, TOKENS) is None:
            await session.kube.create(SECRETS, session.namespace, rows.tokens_object())
    return _state(found, record, version)


async def look(session: Session) -> NamespaceState:
    """What is there, with read rights alone. Absent."""
    version = str((await session.kube.version()).get("gitVersion", ""))
    record = await session.record(fresh=True)
    try:
        found: Object = await session.kube.get(NAMESPACES, "", session.namespace)
    except Forbidden:
        found = {"metadata": {"name": session.namespace}}
    return _state(found, record, version)


async def remove(session: Session, stack: str) -> bool:
    """Take away what is ours, and the namespace when we made it; was it? Waits for its end."""
    record = await session.find(CONFIG_MAPS, RECORD)
    if record is not None and rows.owner_of(record) != stack:
        raise HostProblem("ForeignState", foreign(session.namespace, rows.owner_of(record), stack), 409)
    try:
        found: Object | None = await session.kube.get(NAMESPACES, "", session.namespace)
    except NotFound:
        return True
    except Forbidden:
        found = None
    if found is not None and _created(found, stack):
        await _last_pods(session)
        with suppress(NotFound):
            await session.kube.delete(NAMESPACES, "", session.namespace)
        await _gone(session)
        return True
    ours = await session.kube.list(LEASES, session.namespace, labels=rows.selector(PART_REPORT))
    names = [(LEASES, str(lease["metadata"]["name"])) for lease in ours]
    for resource, name in [*names, (LEASES, LEADER), (SECRETS, TOKENS), (CONFIG_MAPS, RECORD)]:
        with suppress(NotFound):
            await session.kube.delete(resource, session.namespace, name)
    return False


async def missing_rights(session: Session) -> list[str]:
    """The rights that an update needs and that this user has not, in words."""

    async def lacks(verb: str, resource: Resource, subresource: str) -> str:
        if await session.kube.can(verb, resource, session.namespace, subresource=subresource):
            return ""
        name = f"{resource.plural}/{subresource}" if subresource else resource.plural
        return f"{verb} {name}{f'.{resource.group}' if resource.group else ''}"

    return [each for each in await asyncio.gather(*(lacks(*needed) for needed in RIGHTS)) if each]


async def _namespace(session: Session, stack: str, *, pod_security: bool) -> Object:
    deadline = time.monotonic() + GONE_SECONDS
    while True:
        try:
            found = await session.kube.get(NAMESPACES, "", session.namespace)
        except NotFound:
            found = None
        except Forbidden:
            return {"metadata": {"name": session.namespace}}  # a record that can be written there is proof enough
        if found is None:
            try:
                return await session.kube.create(
                    NAMESPACES, "", namespace_object(session.namespace, stack, pod_security)
                )
            except AlreadyExists:
                continue
            except Forbidden as refused:
                if await session.kube.can("create", NAMESPACES):
                    raise  # admission: its words say why
                text = (
                    f"target.namespace: there is no namespace {session.namespace} and the context may not "
                    f"{right(refused)} (SelfSubjectAccessReview); have it made, or name one that exists"
                )
                raise HostProblem("Forbidden", text, 403) from refused
        if not found["metadata"].get("deletionTimestamp"):
            return found
        if time.monotonic() > deadline:
            raise HostGone(
                f"target.namespace: {session.namespace} is being deleted{_held(found)}; run `pulumi up` later"
            )
        await asyncio.sleep(POLL_SECONDS)


async def _record(session: Session, stack: str) -> Object:
    def rule(found: Object | None) -> Object | None:
        if found is None:
            return rows.record_object(stack)
        if rows.owner_of(found) != stack:
            raise HostProblem("ForeignState", foreign(session.namespace, rows.owner_of(found), stack), 409)
        return found

    written = await session.change(CONFIG_MAPS, RECORD, rule, None)
    assert written is not None
    return written


async def _last_pods(session: Session) -> None:
    """Wait until no pod of ours is left, or long enough."""
    marks = ",".join(f"{key}={value}" for key, value in MANAGED_BY.items())
    deadline = time.monotonic() + LAST_PODS_SECONDS
    while time.monotonic() < deadline:
        if not await session.kube.list(PODS, session.namespace, labels=marks):
            return
        await asyncio.sleep(POLL_SECONDS)


async def _gone(session: Session) -> None:
    deadline = time.monotonic() + GONE_SECONDS
    while True:
        try:
            found = await session.kube.get(NAMESPACES, "", session.namespace)
        except (NotFound, Forbidden):  # some clusters hide what does not exist
            return
        if time.monotonic() > deadline:
            raise HostProblem(
                "InUse", f"namespace {session.namespace} is still there after {GONE_SECONDS:g} s{_held(found)}", 409
            )
        await asyncio.sleep(POLL_SECONDS)


def namespace_object(name: str, stack: str, pod_security: bool) -> Object:
    """A namespace that we make."""
    marks = {**MANAGED_BY, **(POD_SECURITY if pod_security else {})}
    return {"metadata": {"name": name, "labels": marks, "annotations": {CREATED: stack}}}


def _created(namespace: Object, stack: str) -> bool:
    return (namespace["metadata"].get("annotations") or {}).get(CREATED) == stack


def _state(namespace: Object, record: Object, version: str) -> NamespaceState:
    owner = rows.owner_of(record)
    marks = namespace["metadata"].get("labels") or {}
    return NamespaceState(
        created=_created(namespace, owner),
        stack=owner,
        version=version,
        pod_security=marks.get(ENFORCE) == "restricted",
    )


def _held(namespace: Object) -> str:
    """What keeps a namespace from ending, in the API server's words."""
    conditions: Iterable[Object] = (namespace.get("status") or {}).get("conditions") or []
    texts = [str(each.get("message", "")) for each in conditions if each.get("status") == "True"]
    return f": {'; '.join(texts)}" if texts else ""
