"""Target local: a service as resources of the plugin. docs/designs/local-target.md has their table and their order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from infra.plan import ServicePlan, VersionPlan
from infra.plan.documents import documents_digest
from infra.resources import Host, Rollout, Route, Token, Version
from runtime.contract.document import Document
from runtime.contract.host import GatewaySettings
from runtime.contract.replica import Knowledge
from runtime.contract.route import RouteTable, RouteVersion


@dataclass(frozen=True)
class Service:
    """What a declared service gives."""

    endpoint: pulumi.Output[str]
    token: pulumi.Output[str]


def host(name: str, *, state: str, settings: GatewaySettings, parent: pulumi.Resource) -> Host:
    """The daemon of one state folder with its gateway."""
    return Host(name, {"state": state, "gateway": settings.to_data()}, pulumi.ResourceOptions(parent=parent))


def service(
    plan: ServicePlan, *, state: pulumi.Input[str], endpoint: pulumi.Input[str], parent: pulumi.Resource
) -> Service:
    """Declare one service: token; per version Version -> Rollout; a Route that depends on every rollout.

    Resources of a version are named by its hash: a new version is a create, and the old one's delete comes last.
    """
    token = Token(plan.name, token_inputs(plan, state), pulumi.ResourceOptions(parent=parent))
    rollouts: list[pulumi.Resource] = []
    for version in plan.versions:
        name = f"{plan.name}-{version.hash}"
        declared = Version(name, version_inputs(plan, version, state), pulumi.ResourceOptions(parent=parent))
        rollout = Rollout(
            name,
            {**rollout_inputs(plan, version, state), "endpoint": endpoint, "token": token.token},
            pulumi.ResourceOptions(parent=parent, depends_on=[declared, token]),
        )
        rollouts.append(rollout)
    route = Route(
        plan.name,
        {**route_inputs(plan, state, _knowledge(plan)), "gateway": endpoint},
        pulumi.ResourceOptions(parent=parent, depends_on=[*rollouts, token]),
    )
    return Service(endpoint=route.endpoint, token=token.token)


def token_inputs(plan: ServicePlan, state: pulumi.Input[str]) -> dict[str, Any]:
    """Inputs of a service's Token."""
    overlap = plan.token_overlap_seconds
    return {"state": state, "service": plan.name, "rotation": plan.token_rotation, "overlapSeconds": overlap}


def version_inputs(plan: ServicePlan, version: VersionPlan, state: pulumi.Input[str]) -> dict[str, Any]:
    """Inputs of a Version; how it scales is said where it is not as usual."""
    scaling = version.scaling.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {
        "state": state,
        "service": plan.name,
        "name": version.name,
        "hash": version.hash,
        "template": _data(version.template),
        "replicas": version.bounds.to_data(),
        **({"scaling": scaling} if scaling else {}),
    }


def rollout_inputs(plan: ServicePlan, version: VersionPlan, state: pulumi.Input[str]) -> dict[str, Any]:
    """Inputs of a Rollout, but for the endpoint and the token."""
    clocks = plan.rollout.clocks
    return {
        "state": state,
        "service": plan.name,
        "hash": version.hash,
        "strategy": plan.rollout.strategy,
        "surge": plan.rollout.surge,
        "timeouts": {
            "schedule": clocks.schedule,
            "image": clocks.image,
            "weights": clocks.weights,
            "engine": clocks.engine,
            "firstToken": clocks.first_token,
        },
        "stopped": plan.stopped,
        "replicas": version.bounds.to_data(),
        "share": plan.traffic.get(version.name, 0),
    }


def route_inputs(plan: ServicePlan, state: pulumi.Input[str], knowledge: Knowledge | None) -> dict[str, Any]:
    """Inputs of a Route, but for the gateway's address. `knowledge`: where replicas find the declared documents."""
    return {"state": state, **_data(route_table(plan, knowledge), "generation")}


def route_table(plan: ServicePlan, knowledge: Knowledge | None) -> RouteTable:
    """A service's route as it is declared; its generation is given by the place."""
    return RouteTable(
        service=plan.name,
        method=plan.method,
        versions={
            version.name: RouteVersion(hash=version.hash, weight=plan.traffic.get(version.name, 0))
            for version in plan.versions
        },
        limits=plan.limits,
        auth=plan.auth,
        wire=plan.wire,
        webui=plan.webui,
        knowledge=knowledge,
        stopped=plan.stopped,
    )


def _knowledge(plan: ServicePlan) -> Knowledge | None:
    if plan.knowledge is None:
        return None
    return Knowledge(folder=plan.knowledge, digest=documents_digest(Path(plan.knowledge)))


def _data(document: Document, *without: str) -> dict[str, Any]:
    return document.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=set(without))
