"""One service on a cluster: its token and address; per version its row, its pods, its rollout; its route."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pulumi

from components.targets import local
from components.targets.kubernetes.declare import Cluster, declare_all
from components.targets.kubernetes.gateway import service_alias
from components.targets.kubernetes.knowledge import documents_config_map, knowledge
from components.targets.kubernetes.render import service_manifests
from components.targets.kubernetes.scaling import scaler_objects
from components.targets.kubernetes.version import version_objects
from infra.plan import ServicePlan
from infra.resources import Rollout, Route, Token, Version
from runtime.contract.names import PREDICT_PREFIX


def service(
    plan: ServicePlan,
    cluster: Cluster,
    *,
    endpoint: pulumi.Input[str],
    parent: pulumi.Resource,
    first: Sequence[pulumi.Resource] = (),
) -> local.Service:
    """Declare one service.

    The order is the local target's: per version Version -> its objects -> Rollout, and a Route that depends on every
    rollout. Deletes run the other way round: a rollout's comes before its pods'. `first`: what its pods wait for: a
    quota that counts them.
    """
    state, namespace = cluster.state, cluster.address.namespace
    if cluster.rendered:
        declare_all(list(service_manifests(namespace, plan)), cluster, parent, [*cluster.first(), *first])
        return local.Service(
            endpoint=pulumi.Output.concat(endpoint, PREDICT_PREFIX, plan.name), token=pulumi.Output.secret("")
        )
    gateway = [cluster.gateway] if cluster.gateway is not None else []

    def ours(*after: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=parent, depends_on=list(after))

    token = Token(plan.name, local.token_inputs(plan, state), ours(*cluster.first()))
    others = [service_alias(namespace, plan.name)]
    if plan.knowledge is not None:
        others.append(documents_config_map(namespace, plan.name, Path(plan.knowledge)))
    beside = declare_all(others, cluster, parent, cluster.first())
    rollouts: list[pulumi.Resource] = []
    for version in plan.versions:
        name = f"{plan.name}-{version.hash}"
        row = Version(name, local.version_inputs(plan, version, state), ours(*cluster.first()))
        objects = declare_all(version_objects(namespace, plan.name, version), cluster, parent, [row, *first])
        rollout = Rollout(
            name,
            {**local.rollout_inputs(plan, version, state), "endpoint": endpoint, "token": token.token},
            ours(row, token, *objects, *gateway),
        )
        # After the rollout's first count: an autoscaler of the cluster would move the one that a version is born with.
        declare_all(scaler_objects(namespace, plan, version), cluster, parent, [rollout, *cluster.scalers])
        rollouts.append(rollout)
    route = Route(
        plan.name,
        {**local.route_inputs(plan, state, knowledge(plan)), "gateway": endpoint},
        ours(*rollouts, *beside, token),
    )
    return local.Service(endpoint=route.endpoint, token=token.token)
