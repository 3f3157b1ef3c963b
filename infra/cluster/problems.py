"""What can go wrong with a cluster, in the words and exceptions that a local host's client has too."""

from __future__ import annotations

from infra.hostclient import Absent, HostGone, HostProblem, NoWay
from runtime.contract.cluster import ClusterAddress
from runtime.kubeapi import (
    ApiProblem,
    BadKubeconfig,
    Forbidden,
    KubeProblem,
    NoCredentials,
    NoKubeconfig,
    NotFound,
    Unauthorized,
    UnknownContext,
    Unreachable,
)

QUOTA = "exceeded quota"


def translated(problem: KubeProblem, address: ClusterAddress) -> HostProblem | HostGone:
    """The exception for the user. Texts begin with the field of the stack file that would change it."""
    match problem:
        case NoKubeconfig() | BadKubeconfig():
            return NoWay(f"target.kubeconfig: {problem}")
        case UnknownContext():
            return NoWay(f"target.context: {problem}")
        case NoCredentials():
            return NoWay(f"target.context: {problem}")
        case Unreachable():
            return NoWay(f"target.context: {problem}{_of(address)}")
        case Unauthorized():
            text = f"the Kubernetes API does not take the credentials{_of(address)}: {problem.message}"
            return HostProblem("Unauthorized", f"target.context: {text}", problem.status)
        case Forbidden():
            return HostProblem("Forbidden", refused(problem), problem.status)
        case NotFound():
            return Absent(problem.message or str(problem), problem.status)
        case ApiProblem():
            return HostProblem("Invalid", str(problem), problem.status)
    return NoWay(str(problem))


def refused(problem: Forbidden) -> str:
    """What a 403 means: a quota or a policy in the API server's own words, or a right that is missing."""
    if QUOTA in problem.message:
        return problem.message.partition(" is forbidden: ")[2] or problem.message
    if f"cannot {problem.verb} resource" not in problem.message:
        return problem.message or str(problem)
    user = problem.message.partition('User "')[2].partition('"')[0]
    return f"{f'user {user}' if user else 'the context'} may not {right(problem)}: {problem.message}"


def right(problem: ApiProblem) -> str:
    """A right in words: `create deployments in namespace llm`."""
    where = f" in namespace {problem.namespace}" if problem.namespace else ""
    return f"{problem.verb} {problem.resource}{where}"


def _of(address: ClusterAddress) -> str:
    return f" (context {address.context})" if address.context else ""
