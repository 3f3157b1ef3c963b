"""What can go wrong between us and a Kubernetes API: one family of exceptions, each with the facts as attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class KubeProblem(Exception):
    """The base of all."""


class NoKubeconfig(KubeProblem):
    """None of the kubeconfig files exists."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        super().__init__(f"there is no kubeconfig: looked at {', '.join(paths) or 'no path'}")
        self.paths = paths


class BadKubeconfig(KubeProblem):
    """A kubeconfig that says nothing usable."""

    def __init__(self, paths: tuple[str, ...], why: str) -> None:
        super().__init__(f"the kubeconfig {', '.join(paths)} cannot be used: {why}")
        self.paths, self.why = paths, why


class UnknownContext(KubeProblem):
    """The kubeconfig has no such context; `context` is empty when none was asked for and none is the current one."""

    def __init__(self, context: str, known: tuple[str, ...]) -> None:
        names = ", ".join(known) or "none"
        text = f"there is no context {context!r}" if context else "the kubeconfig has no current context"
        super().__init__(f"{text}; its contexts: {names}")
        self.context, self.known = context, known


class NoCredentials(KubeProblem):
    """A credential plugin, or a token's file, gave nothing."""

    def __init__(self, why: str) -> None:
        super().__init__(f"no credentials for the cluster: {why}")
        self.why = why


class Unreachable(KubeProblem):
    """Nobody answered at the API server's address."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"the Kubernetes API at {address} does not answer: {why}")
        self.address, self.why = address, why


class ApiProblem(KubeProblem):
    """The API server's answer was an error. `message` is its own words; `details` its Status' details."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        verb: str,
        resource: str,
        namespace: str,
        name: str = "",
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        what = "/".join(part for part in (resource, name) if part)
        super().__init__(f"{verb} {what}{f' in {namespace}' if namespace else ''}: {message or reason or status}")
        self.status, self.reason, self.message = status, reason, message
        self.verb, self.resource, self.namespace, self.name = verb, resource, namespace, name
        self.details: Mapping[str, Any] = details or {}
        self.retry_after = retry_after


class Unauthorized(ApiProblem):
    """401: the credentials are not (or no longer) valid."""


class Forbidden(ApiProblem):
    """403: a right is missing, or admission (a quota, a policy) refused."""


class NotFound(ApiProblem):
    """404."""


class Conflict(ApiProblem):
    """409: the object has changed since it was read."""


class AlreadyExists(ApiProblem):
    """409: a create's name is taken."""


class Gone(ApiProblem):
    """410: the resourceVersion is too old; list again."""


class Invalid(ApiProblem):
    """422: the object breaks a rule of its kind."""


_BY_STATUS: dict[int, type[ApiProblem]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
}


def from_status(
    code: int, document: Mapping[str, Any], *, verb: str, resource: str, namespace: str, name: str = ""
) -> ApiProblem:
    """The exception of an error answer; `document` is its Status, or empty when it was none."""
    reason = str(document.get("reason") or "")
    kind = AlreadyExists if reason == "AlreadyExists" else _BY_STATUS.get(code, ApiProblem)
    details = document.get("details")
    details = details if isinstance(details, Mapping) else {}
    seconds = details.get("retryAfterSeconds")
    return kind(
        code,
        reason,
        str(document.get("message") or ""),
        verb=verb,
        resource=resource,
        namespace=namespace,
        name=name,
        details=details,
        retry_after=float(seconds) if isinstance(seconds, int) else None,
    )
